/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search on the CPU: one entry an instruction set, all with the contract of cpu_kernels.search, and
 * what they share: the checks of a call, the packing of its queries and the test of a hit.
 */
#ifndef FACET_KERNELS_CPU_SEARCH_H
#define FACET_KERNELS_CPU_SEARCH_H

#include "kernels/ops.h"

#include <string.h>

int cpu_search_avx512(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
		      const struct search_query *queries, uint32_t count,
		      struct search_list *const *lists, void *scratch);
int cpu_search_avx2(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
		    const struct search_query *queries, uint32_t count,
		    struct search_list *const *lists, void *scratch);
int cpu_search_portable(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
			const struct search_query *queries, uint32_t count,
			struct search_list *const *lists, void *scratch);

/* Enough for every instruction set; the buffer is to be 64-byte aligned. */
size_t cpu_search_scratch_bytes(uint32_t dim, uint32_t queries);

/* ---- shared by the instruction sets ---- */

#define CPU_SEARCH_AHEAD 4  /* tiles */
#define CPU_SEARCH_DOTS	 32 /* accumulators of 16 rows a kernel may leave in dots */

/* One call, at the start of its scratch buffer. */
struct cpu_search {
	_Alignas(64) int32_t dots[CPU_SEARCH_DOTS][SEARCH_TILE_ROWS];
	int32_t start[SEARCH_BATCH_MAX]; /* -128 * sum(x): what the + 128 of the rows adds */
	/* What s must reach, and at s == limit the highest id that may still get in. */
	float limit[SEARCH_BATCH_MAX];
	uint64_t limit_id[SEARCH_BATCH_MAX];
	float q_mul[SEARCH_BATCH_MAX];
	const struct search_rows *rows;
	const struct search_query *queries;
	struct search_list *const *lists;
	const float *scale; /* NULL: 1 */
	const float *bias;  /* NULL: no q_mul and bias */
	uint32_t count;
	uint32_t groups;	       /* of 4 dimensions */
	uint32_t head_groups;	       /* the first of them, in head_tiles */
	_Alignas(64) uint8_t packed[]; /* queries in the kernel's order, 2 bytes a dimension */
};

/* Checks the call and fills everything but packed. */
int cpu_search_begin(struct cpu_search *call, const struct search_rows *rows, uint64_t tile_begin,
		     uint64_t tile_end, const struct search_query *queries, uint32_t count,
		     struct search_list *const *lists);

/* Dimensions 4 * group .. + 3 of a query, zero past dim. */
static inline void cpu_search_query_group(const struct cpu_search *call, uint32_t query,
					  uint32_t group, int8_t out[4])
{
	const int8_t *x = call->queries[query].x + 4 * group;
	uint32_t left = call->rows->dim - 4 * group;

	if (left >= 4)
		memcpy(out, x, 4);
	else
		for (uint32_t i = 0; i < 4; i++)
			out[i] = i < left ? x[i] : 0;
}

/* Line `group` of a tile: 16 rows of 4 dimensions. */
const uint8_t *cpu_search_line(const struct cpu_search *call, uint64_t tile, uint32_t group);

/* Fetches scale and bias of a later tile: a load that misses would hold up all behind it. */
static inline void cpu_search_prefetch(const struct cpu_search *call, uint64_t tile)
{
	uintptr_t offset = (tile + CPU_SEARCH_AHEAD) * SEARCH_TILE_ROWS * sizeof(float);

	if (call->scale)
		__builtin_prefetch((const void *)((uintptr_t)call->scale + offset));
	if (call->bias)
		__builtin_prefetch((const void *)((uintptr_t)call->bias + offset));
}

/* Offers a row that counts and is known to reach the query's limit; updates the limit. */
void cpu_search_offer(struct cpu_search *call, uint32_t query, uint64_t row, float s);

/* Scores 16 dots of one query and offers the rows that count. */
void cpu_search_tile(struct cpu_search *call, uint32_t query, uint64_t tile, const int32_t *dots);

#endif
