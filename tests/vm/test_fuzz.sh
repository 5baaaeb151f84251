#!/usr/bin/env bash
# Calls of the driver made up at random, under KASAN, lockdep and kmemleak: about a minute of them, ten
# millions with FACET_LONG. FACET_SEED repeats a run.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
calls=${FACET_CALLS:-${FACET_LONG:+10000000}}
exec tests/vm/um-run -l -t 7200 "$(realpath "$BUILD")/tests/vm/guest/fuzz" "${calls:-200000}" "${FACET_SEED:-$(date +%s)}"
