#!/usr/bin/env bash
# What the search core takes on a board, by yosys: each multiplier makes two products a clock.
# Only the multipliers are mapped; FACET_LONG=1 maps all of it and prints a table of cells.
set -eu
command -v yosys >/dev/null || { echo "yosys is missing"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
part='-run begin:map_memory'
[[ -z ${FACET_LONG:-} ]] || part=
yosys -q -p "read_verilog hls/rtl/*.v; synth_xilinx -family xcup -top search_core $part; tee -q -o $log stat -top search_core" 2>/dev/null
total=$(sed -n '/=== design hierarchy/,$p' "$log")
dsps=$(awk '$1 == "DSP48E2" { n = $2 } END { print n + 0 }' <<<"$total")
pairs=$(sed -nE 's/.*parameter PAIRS = ([0-9]+).*/\1/p' hls/rtl/search_core.v)
products=$((64 * 2 * pairs))
[[ -z ${FACET_LONG:-} ]] || echo "$total"
echo "DSP48E2: $dsps, products a clock: $products"
# Nothing else may be multiplied, and nothing may have been left to look-up tables.
! grep -qE '\$(mul|macc_v2)' <<<"$total"
[[ $dsps -gt 0 && $products -ge $((2 * dsps)) ]]
