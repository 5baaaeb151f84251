#!/usr/bin/env bash
# What operators and developers see of the driver: hwmon, fdinfo, trace events, devcoredump, debugfs.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec tests/vm/um-run -l -t 120 env CK_TIMEOUT_MULTIPLIER=3 "$(realpath "$BUILD")/tests/vm/guest/seeing"
