#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# facet.ko for Debian's kernels 6.1 and 6.12, and for every kernel whose headers are installed, without a
# warning.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
found=0 missing= done=
one() {
	local out=$build/driver/headers-$1
	mkdir -p "$out"
	driver/build "$2" "$out" W=1 >"$out.log" 2>&1 || { cat "$out.log"; exit 1; }
	if grep -E 'warning:' "$out.log"; then exit 1; fi
	echo "$1: $(modinfo -F vermagic "$out/facet.ko" 2>/dev/null || echo built)"
	found=1
	done+=" $1 "
}
for v in 6.1 6.12; do
	if kernel=$(tests/vm/debian-kernel $v 2>"$build/driver-kernel.log"); then
		one "$(cat "$kernel/version")" "$kernel/headers"
	else
		missing=$(tail -n 1 "$build/driver-kernel.log")
	fi
done
for headers in /usr/src/linux-headers-*-amd64; do
	[[ -e $headers/Makefile && -e $headers/include/generated/autoconf.h ]] || continue
	version=${headers#/usr/src/linux-headers-}
	[[ $done = *" $version "* ]] || one "$version" "$headers"
done
[[ $found = 1 ]] || { echo "no kernel headers: $missing"; exit 77; }
