/* SPDX-License-Identifier: Apache-2.0 */
/* Random galleries and queries for the tests of search, row-major beside the tiles, and an oracle
 * that knows only the row-major side. */
#ifndef FACET_TESTS_KERNELS_SEARCH_WORLD_H
#define FACET_TESTS_KERNELS_SEARCH_WORLD_H

#include "kernels/ops.h"

struct world {
	uint64_t seed;
	uint64_t rows, tiles;
	struct search_rows layout; /* what is searched; its arrays end where memory ends */
	int8_t *x;		   /* [rows][dim] */
	float *scale, *bias;
	uint64_t *id, *tags;
	uint32_t *born, *died, *subject;
	uint32_t count;
	struct search_query queries[SEARCH_BATCH_MAX];
	int8_t *probes; /* [SEARCH_BATCH_MAX][dim] */
	void *maps[16]; /* of guarded memory */
	size_t map_bytes[16];
	int map_count;
};

struct world_limits {
	uint32_t dim;  /* at most */
	uint64_t rows; /* at most */
	uint32_t count;
	uint32_t k;
};

uint64_t world_random(uint64_t *state);
uint64_t world_below(uint64_t *state, uint64_t n);

/* Everything follows from the seed. */
struct world *world_create(uint64_t seed, const struct world_limits *limits);
void world_free(struct world *w);

/* The answer to query i by int64 and __float128 arithmetic and a full sort; the caller frees it. */
struct search_hit *world_answer(const struct world *w, uint32_t i, uint32_t *count);

/* Does the list hold exactly these hits? Prints what differs, with the seed. */
bool world_agrees(const struct world *w, uint32_t i, const struct search_list *list,
		  const char *who);

#endif
