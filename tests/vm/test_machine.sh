#!/usr/bin/env bash
# facetctl device virtual: a machine with board and driver by one command.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
ctl=$(realpath "$build")/facetctl bad=0
fail() { echo "FAIL: $*"; bad=1; }
words=$("$ctl" device virtual -f slow:us=1 -- sh -c 'ls /dev/accel; exit 3')
status=$?
[[ $status != 77 ]] || { echo "$words"; exit 77; }
[[ $status = 3 && $words = *accel0* ]] || fail "a command: exit $status: $words"
words=$("$ctl" device virtual --kernel 7.0 2>&1) && fail "a kernel that there is not"
[[ $words = *"um, 6.1, 6.12 or kasan"* ]] || fail "$words"
words=$("$ctl" device virtual --kernel 6.1 2>&1) && fail "QEMU without a command"
words=$(cp "$ctl" /tmp/facetctl-$$ && cd / && FACET_SOURCE= /tmp/facetctl-$$ device virtual -- true 2>&1) && fail "without sources"
rm -f /tmp/facetctl-$$
[[ $words = *FACET_SOURCE* ]] || fail "without sources: $words"
words=$(cd / && FACET_SOURCE=$OLDPWD "$ctl" device virtual -f nonsense -- true 2>&1) && fail "a fault that there is not"
[[ $words = *nonsense* ]] || fail "$words"
exit $bad
