/* SPDX-License-Identifier: Apache-2.0 */
/* Search in plain C: the tile's dots into a buffer, then its rows one by one. */
#include "kernels/cpu/search.h"

#include <string.h>

static void pack(struct cpu_search *call)
{
	int8_t *to = (int8_t *)call->packed;

	for (uint32_t i = 0; i < call->count; i++)
		for (uint32_t g = 0; g < call->groups; g++, to += 4)
			cpu_search_query_group(call, i, g, to);
}

/* One line for all queries; in 16-bit lanes, so that the compiler finds pmaddwd. */
static void add_line(const uint8_t *line, const int8_t *x, int32_t *dots)
{
	for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++)
		dots[r] += line[4 * r] * x[0] + line[4 * r + 1] * x[1] + line[4 * r + 2] * x[2] +
			   line[4 * r + 3] * x[3];
}

static void scan_tile(struct cpu_search *call, uint64_t tile)
{
	const int8_t *x = (const int8_t *)call->packed;

	for (uint32_t i = 0; i < call->count; i++) {
		int32_t *dots = call->dots[0];

		for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++)
			dots[r] = call->start[i];
		for (uint32_t g = 0; g < call->groups; g++, x += 4)
			add_line(cpu_search_line(call, tile, g), x, dots);
		cpu_search_tile(call, i, tile, dots);
	}
}

int cpu_search_portable(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
			const struct search_query *queries, uint32_t count,
			struct search_list *const *lists, void *scratch)
{
	struct cpu_search *call = scratch;
	int err = cpu_search_begin(call, rows, tile_begin, tile_end, queries, count, lists);

	if (err)
		return err;
	pack(call);
	for (uint64_t tile = tile_begin; tile < tile_end; tile++)
		scan_tile(call, tile);
	return 0;
}
