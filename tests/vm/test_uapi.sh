#!/usr/bin/env bash
# Each call of the driver, with everything that is wrong about it, and what it promises.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec tests/vm/um-run -l -t 300 env ${FACET_LONG:+FACET_LONG=1} CK_TIMEOUT_MULTIPLIER=5 "$(realpath "$BUILD")/tests/vm/guest/uapi"
