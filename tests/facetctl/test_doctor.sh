#!/usr/bin/env bash
# doctor over made-up machines: what it says of each, and its exit code.
set -u
build=$(realpath "${BUILD:-build}")
folder=$(mktemp -d "${TMPDIR:-/tmp}/facet-doctor-XXXXXX")
trap 'rm -rf "$folder"' EXIT
export FACET_SOCKET=$folder/no.sock
unset XILINX_XRT
bad=0
fail() {
	echo "FAILED: $*"
	bad=1
}
# doctor MACHINE STATUS WHAT IS CAUSE: of the made-up machine
doctor() {
	local said status
	said=$("$build/facetctl" doctor -R "$folder/$1" -o json)
	status=$?
	[[ $status = "$2" ]] || fail "$1: exit $status"
	python3 -c 'import json, sys
rows = {r["what"]: r for r in json.loads(sys.argv[1])}
r = rows[sys.argv[2]]
assert len(rows) == 9 and r["is"] == sys.argv[3] and sys.argv[4] in r["cause"], r
assert r["is"] == "ok" or r["remedy"], r' "$said" "$3" "$4" "$5" || fail "$1: $3"
}
file() { mkdir -p "$(dirname "$folder/$1")" && printf '%s\n' "$2" >"$folder/$1"; }

mkdir "$folder/bare"
doctor bare 0 processor weak 'cannot be read'
doctor bare 0 'huge pages' weak 'no transparent huge pages'
doctor bare 0 daemon absent 'no facetd at'
doctor bare 0 opencl absent 'no OpenCL driver'
doctor bare 0 cards absent 'no card'
doctor bare 0 nodes absent 'no accel'
doctor bare 0 iommu absent 'no IOMMU'
doctor bare 0 xrt absent 'not installed'
file new/proc/cpuinfo 'flags : sse avx2 avx512_vnni'
file new/sys/kernel/mm/transparent_hugepage/enabled 'always [madvise] never'
file new/sys/class/iommu/dmar0/x ''
file new/usr/lib/x86_64-linux-gnu/libxrt_core.so.2 ''
file new/sys/bus/pci/devices/0000:01:00.0/vendor 0xfac7
file new/sys/bus/pci/devices/0000:01:00.0/driver/x ''
file new/sys/bus/pci/devices/0000:02:00.0/vendor 0x8086
file new/dev/accel/accel0 ''
doctor new 0 processor ok 'AVX-512 VNNI'
doctor new 0 'huge pages' ok 'are on'
doctor new 0 cards ok '1 card,'
doctor new 0 nodes ok '1 node,'
doctor new 0 iommu ok 'is on'
doctor new 0 xrt ok 'no backend'
file old/proc/cpuinfo 'flags : sse avx2 bmi2'
file old/sys/kernel/mm/transparent_hugepage/enabled 'always madvise [never]'
file old/sys/bus/pci/devices/0000:01:00.0/vendor 0xfac7
doctor old 1 processor weak 'AVX2, no'
doctor old 1 'huge pages' weak 'switched off'
doctor old 1 cards BAD '1 of 1 cards have no driver'
XILINX_XRT=/nowhere doctor bare 1 xrt BAD 'XILINX_XRT is /nowhere'
exit $bad
