/* SPDX-License-Identifier: Apache-2.0 */
/* A gallery and queries behind the search core's port, and the definition's answer beside its own. */
#ifndef FACET_TESTS_RTL_RIG_H
#define FACET_TESTS_RTL_RIG_H

#include "hls/rtl/sim/core.h"
#include "kernels/ops.h"
#include "tests/kernels/fixture.h"

#define RIG_QUERIES_MAX 8
#define RIG_K_MAX	255

enum rig_fill {
	RIG_RANDOM,
	RIG_LOWEST,   /* all -128: the largest dot there is */
	RIG_OPPOSITE, /* rows -128, queries 127: the smallest */
	RIG_EXTREMES, /* -128 and 127 at random */
	RIG_EQUAL,    /* all rows alike: only ties */
	RIG_RISING,   /* each row better than all before it */
	RIG_FEW,      /* few different dots: many ties */
	RIG_FILLS
};

struct rig_case {
	uint64_t seed;
	uint32_t dim, tiles, rows, k; /* rows may be fewer or more than the tiles hold */
	enum rig_fill fill;
	int32_t limit;		   /* of all queries; INT32_MIN: none */
	struct core_memory memory; /* but for context, read, write */
	uint64_t tiles_at;	   /* where in memory, 0: somewhere */
};

struct rig {
	struct rig_case c;
	struct core *core;
	uint32_t queries, places, burst, depth; /* the shape that the core tells */
	struct search_rows rows;
	int8_t *x; /* [RIG_QUERIES_MAX][dim] */
	uint8_t *query_tile;
	uint8_t results[RIG_QUERIES_MAX * 256 * 8];
	uint64_t query_at, tiles_at, results_at;
	uint64_t fail_read,
		fail_write; /* this access and no other is answered with an error; 0: none */
	uint64_t reads, writes, outside;
	uint64_t clocks; /* from the write that starts it to the interrupt, by the bench's count */
	uint32_t passed[RIG_QUERIES_MAX], stalled, starved;
	uint64_t told; /* clocks by the core's own count */
};

/* A memory of HBM's manner: 14.4 of 19.2 GB/s, 350 ns refresh each 3.9 us at 300 MHz. */
struct core_memory rig_hbm(void);
/* A line a clock, always. */
struct core_memory rig_perfect(void);

struct rig *rig_create(const struct rig_case *c);
void rig_free(struct rig *rig);
void rig_arguments(struct rig *rig);
/* Starts it and waits for the interrupt; the status. Asserts that it comes and the bus's rules held. */
uint32_t rig_run(struct rig *rig);
/* The core's answer is the definition's, place by place. */
void rig_assert_equal(struct rig *rig);

#endif
