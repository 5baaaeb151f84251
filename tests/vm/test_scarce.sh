#!/usr/bin/env bash
# Each allocation of each call fails once: ENOMEM and no leak, or the work is done all the same.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec tests/vm/um-run -l -t 200 env CK_TIMEOUT_MULTIPLIER=3 "$(realpath "$BUILD")/tests/vm/guest/scarce"
