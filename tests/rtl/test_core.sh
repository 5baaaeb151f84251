#!/usr/bin/env bash
# The search core under Verilator: its sources are clean, and it computes what the definition says.
set -u
build=${BUILD:-build}
for tool in verilator g++; do
	command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
done
for pairs in 1 2 3 4; do
	verilator --lint-only -Wall -GPAIRS="$pairs" -y hls/rtl --top-module search_core hls/rtl/search_core.v || exit 1
done
make -s BUILD="$build" ${SAN:+SAN=$SAN} "$build/tests/rtl/core_test" || exit 1
"$build/tests/rtl/core_test"
