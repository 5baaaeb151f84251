#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A minute of fuzzing (FUZZ_SECONDS; an hour with FACET_LONG), over all targets.
set -eu
cd "$(dirname "$0")/../.."
command -v clang >/dev/null || { echo "clang is missing: no fuzzing"; exit 77; }
make --no-print-directory BUILD="${BUILD:-build}" fuzz-build
FUZZ_SECONDS=${FUZZ_SECONDS:-${FACET_LONG:+3600}} tests/fuzz/run
