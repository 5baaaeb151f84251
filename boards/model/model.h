/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many clocks the search core of hls/rtl takes. A model: it is held against the core under
 * Verilator (tests/rtl/model_test.c) and was never compared with silicon.
 */
#ifndef FACET_BOARDS_MODEL_H
#define FACET_BOARDS_MODEL_H

#include <stddef.h>
#include <stdint.h>

struct model_memory {
	double latency;			      /* clocks from a read to its first line */
	double rate;			      /* lines of 64 bytes a clock at best, <= 1 */
	double refresh_every, refresh_clocks; /* clocks; 0: never */
	double unready; /* share of clocks in which it takes or gives nothing */
};

struct model_core {
	uint32_t queries, places; /* at once; of each one's queue */
	uint32_t burst, depth;	  /* lines */
};

struct model_search {
	uint32_t dim, k;
	uint64_t tiles; /* of 16 rows, in this memory channel */
};

struct model_clocks {
	double fill;   /* until the first line of the gallery is multiplied */
	double stream; /* lines of the gallery */
	double hits;   /* what queues take longer than lines */
	double drain;  /* the chain, the last tiles, results */
	double total;
	const char *bound; /* "memory", "latency", "multipliers" or "queues" */
};

/* For rows in no order that no limit keeps out, the worst that is not contrived. */
struct model_clocks model_search_clocks(const struct model_core *core,
					const struct model_memory *memory,
					const struct model_search *search);

#endif
