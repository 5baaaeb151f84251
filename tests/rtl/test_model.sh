#!/usr/bin/env bash
# The cycle model against the core under Verilator.
set -u
build=${BUILD:-build}
for tool in verilator g++; do
	command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
done
make -s BUILD="$build" ${SAN:+SAN=$SAN} "$build/tests/rtl/model_test" || exit 1
"$build/tests/rtl/model_test"
