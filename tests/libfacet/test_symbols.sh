#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the library shows is exactly what facet.h declares, under its version, and the header stands
# by itself in C and C++.
set -eu
cd "$(dirname "$0")/../.."
lib=${BUILD:-build}/libfacet.so
declared=$(sed 's@/\*.*\*/@@' host/libfacet/facet.h | grep -oE '\bfacet_[a-z0-9_]+\(' | tr -d '(' | sort -u)
# Those in the text of comments are calls of the same functions.
shown=$(nm -D --defined-only "$lib" | awk '$2 == "T" { print $3 }' | sort -u)
want=$(for f in $declared; do echo "$f@@FACET_0"; done)
diff <(echo "$want") <(echo "$shown") || { echo "facet.h (<) and $lib (>) differ"; exit 1; }
undefined=$(nm -D --undefined-only "$lib" | grep -E ' (facet|wire|client)_' || true)
[[ -z $undefined ]] || { echo "undefined: $undefined"; exit 1; }
${CC:-cc} -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only host/libfacet/facet.h
if command -v g++ >/dev/null; then
	g++ -Wall -Wextra -Werror -fsyntax-only -x c++ host/libfacet/facet.h
fi
echo "$(echo "$shown" | wc -l) symbols"
