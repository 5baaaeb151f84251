#!/usr/bin/env bash
# The bed itself: a guest boots with the board on its bus, a command's status and words come out, time
# limits hold, and the host's files cannot be written but for the run's folder.
set -u
here=$(cd "$(dirname "$0")" && pwd)
run=$here/um-run
bad=0
fail() { echo "FAIL: $*"; bad=1; }
mine=$(mktemp -d) && trap 'rm -rf "$mine"' EXIT

"$run" -n -t 120 bash "$here/guest/pci.sh"
status=$?
[[ $status != 77 ]] || exit 77
[[ $status = 0 ]] || fail "the board on the bus: exit $status"

words=$("$run" -n sh -c 'echo "two words"; exit 3')
[[ $? = 3 && $words = "two words" ]] || fail "status or words of a command: $words"

"$run" -n -t 5 sleep 100 >/dev/null
[[ $? = 124 ]] || fail "a time limit"

touch "$mine/there"
words=$("$run" -n sh -c "touch /etc/facet-was-here '$here/facet-was-here' 2>/dev/null; echo x >\$FACET_RUN/x && cat \$FACET_RUN/x")
[[ $words = x ]] || fail "the run's folder: $words"
[[ ! -e /etc/facet-was-here && ! -e $here/facet-was-here ]] || fail "the guest wrote the host's files"

# Faults are for the board to have, and what is no fault is refused.
words=$("$run" -n -f gone sh -c 'cat /sys/bus/pci/devices/*/vendor' 2>&1)
[[ $words != *0xfac7* ]] || fail "a board that is gone is on the bus"
"$run" -n -f nonsense true >"$mine/words" 2>&1 && fail "a fault that does not exist"
grep -q nonsense "$mine/words" || fail "what is wrong with a fault: $(cat "$mine/words")"

# Commands while it runs.
words=$("$run" -n sh -c '
	echo figures >$FACET_RUN/board/command
	i=0; while [ ! -e $FACET_RUN/board/answer ] && [ $i -lt 50 ]; do sleep 0.1; i=$((i + 1)); done
	head -n 1 $FACET_RUN/board/answer')
[[ $words = ok ]] || fail "a command for the board: $words"
exit $bad
