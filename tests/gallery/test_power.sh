#!/usr/bin/env bash
# Loses power at 100 moments (FACET_LONG=1: 1,000) while a gallery is written to; and proves that
# the test can fail: a driver whose store does not sync must not pass.
set -u
build=$(realpath "${BUILD:-build}")
tools=$build/tests/gallery/tools
points=100 rounds=40
[[ -n ${FACET_LONG:-} ]] && points=1000 rounds=160
seed=${FACET_SEED:-7}
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0
work=$(mktemp -d /tmp/facet-power-XXXXXX)
trap 'rm -rf "$work"' EXIT

# lose DRIVER POINTS: records DRIVER at work, then loses power in copies of its files
lose() {
	rm -rf "$work/root" "$work/log"
	FACET_POWER_LOG=$work/log LD_PRELOAD=$tools/powershim.so "$tools/$1" "$work/root" \
		"$build/facet-gallery-check" "$rounds" "$seed" || return 2
	"$tools/power_replay" "$work/log" "$work/root" "$build/facet-gallery-check" "$2" "$seed"
}

if ! lose power_driver "$points"; then
	echo "a loss of power was not survived"
	exit 1
fi
lose power_driver_nosync 20 >"$work/control" 2>&1
if [[ $? != 1 ]]; then
	cat "$work/control"
	echo "the control, a store built with MDB_NOSYNC, was not found out"
	exit 1
fi
echo "the control, a store built with MDB_NOSYNC: $(tail -n 1 "$work/control")"
