#!/usr/bin/env bash
# Debian's own kernels under QEMU: 6.1, whose driver has a render node, and 6.12, with an accel node and with
# every transfer through bounce buffers, where a forgotten hand-over is a wrong byte. The driver's calls, and
# identify on a gallery in board memory: the answers of the CPU, byte for byte. FACET_LONG: the whole suite.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
build=$(realpath "$BUILD")
guest=$PWD/tests/vm/guest
. tests/vm/lib.sh
mkdir -p "$build/vm"
data=$(mktemp -d "$build/vm/stock-XXXXXX") && trap 'rm -rf "$data"' EXIT
make_vectors "$data"

# Helpers are found beside each other.
files=()
for f in "$build"/facetd "$build"/facetctl "$build"/facet-gallery-check "$guest/identify.sh" "$data"; do files+=(-c "$f"); done
tests=(uapi)
if [[ ${FACET_LONG:-} ]]; then
	tests=(uapi seeing faults life "fuzz" "$build/tests/device/test_search" "$build/tests/device/test_ops")
	for f in "$build"/tests/vm/guest/{seeing,faults,life,fuzz}; do files+=(-c "$f"); done
fi
# on KERNEL WORD...: of the kernel's command line
on() {
	local kernel=$1 words=()
	shift
	for w in "$@"; do words+=(-a "$w"); done
	tests/vm/qemu-run -K "$kernel" -m 1024 -t "${FACET_LONG:+1}800" ${words[@]+"${words[@]}"} "${files[@]}" -c "$build/tests/vm/guest/uapi" -- \
		/bin/bash "$guest/stock.sh" "$build/tests/vm/guest" "$data" "${tests[@]}"
}
on 6.1 || exit $?
on 6.12 swiotlb=force
