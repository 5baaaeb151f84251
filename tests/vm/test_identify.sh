#!/usr/bin/env bash
# End to end in User-Mode Linux: the daemon, a gallery in the memory of a board behind facet.ko, and the
# answers of the CPU alone, byte for byte.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
mkdir -p "$build/vm"
data=$(mktemp -d "$build/vm/identify-XXXXXX") && trap 'rm -rf "$data"' EXIT
. tests/vm/lib.sh
make_vectors "$data"
tests/vm/um-run -l -m 768 -t 300 bash tests/vm/guest/identify.sh "$data"
