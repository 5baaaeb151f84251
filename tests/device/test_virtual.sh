#!/usr/bin/env bash
# The suites of this room on the virtual board: commands as jobs in rings, operands in its banks.
set -u
build=$(realpath "${BUILD:-build}")
export BUILD=$build FACET_TEST_DEVICE=virtual
bad=0
for t in test_ops test_search; do "$build/tests/device/$t" || bad=1; done
exit $bad
