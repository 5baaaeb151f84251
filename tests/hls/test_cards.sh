#!/usr/bin/env bash
# The suites of this room on the kernels of every card: other widths, packed multipliers.
set -u
build=${BUILD:-build}
bad=0 seen=0
for file in boards/*/board.ini; do
	card=$(basename "$(dirname "$file")")
	[[ $card != virtual ]] || continue
	for t in tests/hls/test_*.c; do
		echo "== $card: $(basename "$t" .c)"
		"$build/tests/hls-$card/$(basename "$t" .c)" || bad=1
		seen=$((seen + 1))
	done
done
[[ $seen -gt 0 && $bad = 0 ]]
