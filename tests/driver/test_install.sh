#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What DKMS gets builds by itself, as dkms.conf says.
set -u
cd "$(dirname "$0")/../.."
kernel=$(tests/vm/debian-kernel 6.12 2>&1) || { echo "${kernel##*$'\n'}"; exit 77; }
to=$(mktemp -d) && trap 'rm -rf "$to"' EXIT
bad=0
fail() { echo "FAIL: $*"; bad=1; }
make -s install-driver DESTDIR="$to" || fail "make install-driver"
cd "$to"/usr/src/facet-*/ || exit 1
kernel_source_dir=$kernel/headers
. ./dkms.conf
[[ $PACKAGE_NAME-$PACKAGE_VERSION = "$(basename "$PWD")" ]] || fail "the version of dkms.conf: $PACKAGE_VERSION"
eval "${MAKE[0]}" >log 2>&1 || { tail log; fail "${MAKE[0]}"; }
[[ -e ${BUILT_MODULE_LOCATION[0]}/${BUILT_MODULE_NAME[0]}.ko ]] || fail "no module"
grep -q 'GROUP="facet"' "$to/lib/udev/rules.d/70-facet.rules" || fail "the udev rule"
exit $bad
