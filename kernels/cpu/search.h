/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search on the CPU: one entry an instruction set, all with the contract of cpu_kernels.search, and
 * what they share: the checks of a call, the packing of its queries and the test of a hit.
 */
#ifndef FACET_KERNELS_CPU_SEARCH_H
#define FACET_KERNELS_CPU_SEARCH_H

#include "kernels/ops.h"

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

#endif
