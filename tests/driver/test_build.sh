#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# facet.ko for every kernel whose headers are installed, without a warning.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
found=0
for headers in /usr/src/linux-headers-*-amd64; do
	[[ -e $headers/Makefile && -e $headers/include/generated/autoconf.h ]] || continue
	out=$build/driver/$(basename "$headers")
	mkdir -p "$out"
	driver/build "$headers" "$out" W=1 >"$out.log" 2>&1 || { cat "$out.log"; exit 1; }
	if grep -E 'warning:' "$out.log"; then exit 1; fi
	echo "$(basename "$headers"): $(modinfo -F vermagic "$out/facet.ko" 2>/dev/null || echo built)"
	found=1
done
[[ $found = 1 ]] || { echo "no kernel headers are installed (linux-headers-amd64)"; exit 77; }
