#!/usr/bin/env bash
# A board that goes wrong under load from two clients: who is innocent loses nothing, and it works again.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec tests/vm/um-run -l -t 400 env CK_TIMEOUT_MULTIPLIER=3 "$(realpath "$BUILD")/tests/vm/guest/faults"
