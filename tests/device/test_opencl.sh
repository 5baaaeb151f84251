#!/usr/bin/env bash
# The suites of this room on PoCL, with each variant of the kernels; and the kernels in oclgrind's
# simulator, whose log must stay empty: no access out of bounds, no data race.
set -u
build=$(realpath "${BUILD:-build}")
export BUILD=$build
if ! "$build/facet-opencl-probe" list | grep -q Portable; then
	echo "PoCL (pocl-opencl-icd) is not installed"
	exit 77
fi
if [[ ${SAN:-} == *thread* ]]; then
	echo "PoCL is not built for ThreadSanitizer"
	exit 77
fi
work=$(mktemp -d /tmp/facet-opencl-XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -m 700 "$work/cache"
export FACET_TEST_DEVICE=opencl:Portable FACET_TEST_CACHE=$work/cache
bad=0
variants='portable lane'
grep -q avx512_vnni /proc/cpuinfo && variants+=' tile'
for v in $variants; do
	echo "-- $v"
	FACET_TEST_VARIANT=$v "$build/tests/device/test_search" || bad=1
	# Its products are the portable ones.
	[[ $v = lane ]] || FACET_TEST_VARIANT=$v "$build/tests/device/test_ops" || bad=1
done
if command -v oclgrind >/dev/null; then
	for v in portable lane; do
		echo "-- oclgrind, $v"
		timeout 300 oclgrind --data-races --log "$work/log" "$build/facet-opencl-probe" try '' '' '' $v 0 600000 >"$work/said" 2>&1
		grep -qx "variant	$v" "$work/said" || { cat "$work/said"; bad=1; }
		[[ ! -s $work/log ]] || { head -n 20 "$work/log"; bad=1; }
	done
else
	echo "oclgrind is not installed: its part was left out"
fi
exit $bad
