#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The driver's header: C and C++, the same layout for programs of 32 and 64 bits, no holes that are not
# spelt out, and rules of its own (no unions, no bit-fields, no enums, sizes that are multiples of 8).
set -u
cd "$(dirname "$0")/../.."
command -v pahole >/dev/null || { echo "pahole is missing (package pahole)"; exit 77; }
out=$(mktemp -d) && trap 'rm -rf "$out"' EXIT
header=driver/uapi/facet_drm.h bad=0
fail() { echo "FAIL: $*"; bad=1; }
mapfile -t names < <(sed -nE 's/^struct (drm_facet_[a-z_]+) \{.*/\1/p' $header)
[[ ${#names[@]} -gt 20 ]] || fail "only ${#names[@]} structures were found"
{
	echo '#include "driver/uapi/facet_drm.h"'
	for n in "${names[@]}"; do echo "struct $n a_$n;"; done
} >"$out/all.c"
cp "$out/all.c" "$out/all.cpp"
gcc -g -m64 -Wall -Wextra -Werror -pedantic -I. -I/usr/include/libdrm -c "$out/all.c" -o "$out/64.o" || fail "C"
g++ -Wall -Wextra -Werror -I. -I/usr/include/libdrm -c "$out/all.cpp" -o "$out/cpp.o" || fail "C++"
# The kernel's headers of a 32-bit program are the same files; only the compiler is another.
gcc -g -m32 -Wall -Wextra -Werror -I. -I/usr/include/libdrm -idirafter /usr/include/x86_64-linux-gnu -c "$out/all.c" -o "$out/32.o" || fail "32 bits"
for n in "${names[@]}"; do
	pahole -C "$n" "$out/64.o" >"$out/64" 2>/dev/null
	pahole -C "$n" "$out/32.o" >"$out/32" 2>/dev/null
	grep -q 'size:' "$out/64" || fail "$n: pahole says nothing"
	grep -vE 'cachelines|last cacheline|boundary' "$out/64" >"$out/a"
	grep -vE 'cachelines|last cacheline|boundary' "$out/32" >"$out/b"
	cmp -s "$out/a" "$out/b" || { fail "$n: 32 and 64 bits differ"; diff "$out/a" "$out/b"; }
	! grep -qE 'X{3}|holes:|padding:|bit_padding' "$out/64" || { fail "$n: a hole"; cat "$out/64"; }
	size=$(sed -nE 's/.*size: ([0-9]+).*/\1/p' "$out/64")
	[[ $((${size:-1} % 8)) = 0 ]] || fail "$n: $size bytes"
done
# As the text has it, comments left out.
gcc -fpreprocessed -dD -E -P $header 2>/dev/null >"$out/text"
! grep -nE '\bunion\b|\benum\b|:[[:space:]]*[0-9]+;' "$out/text" || fail "a union, an enum or a bit-field"
! grep -nE '\b(int|long|short|unsigned|bool|size_t)\b' "$out/text" || fail "a type without a width"
! grep -nE '^\s+(struct|void|__u8|__u32|char) \*' "$out/text" || fail "a pointer"
echo "${#names[@]} structures"
exit $bad
