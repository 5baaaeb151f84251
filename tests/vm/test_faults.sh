#!/usr/bin/env bash
# A board that goes wrong under load from two clients: who is innocent loses nothing, and it works again.
# FACET_LONG: a thousand rounds more.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
rounds=${FACET_LONG:+1000}
rounds=${FACET_FAULT_ROUNDS:-$rounds}
exec tests/vm/um-run -l -t 3600 env ${rounds:+FACET_FAULT_ROUNDS="$rounds"} CK_TIMEOUT_MULTIPLIER=3 "$(realpath "$BUILD")/tests/vm/guest/faults"
