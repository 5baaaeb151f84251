#!/usr/bin/env bash
# Lines of the driver that its suite runs: at least 90 of 100.
set -u
cd "$(dirname "$0")/../.."
[[ ${FACET_LONG:-} ]] || { echo "make check-long counts lines (tests/vm/coverage does it now)"; exit 77; }
exec tests/vm/coverage 90
