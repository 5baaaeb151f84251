#!/usr/bin/env bash
# Boards that come and go: unbound, pulled, refused, wedged, found while memory is short.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec tests/vm/um-run -l -t 300 env CK_TIMEOUT_MULTIPLIER=3 "$(realpath "$BUILD")/tests/vm/guest/life"
