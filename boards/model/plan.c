/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/model/plan.h"

#include "boards/model/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Memory and multipliers: Alveo data sheets DS965 (U50), DS963 (U280), DS978 (U55C); the rate of a
 * channel: UG1393. 30 of 32 channels hold rows. The U50 cannot run all its HBM within 75 W: its data
 * sheet says 316 GB/s of 460.
 */
static const struct plan_board boards[] = {
	{"u50", 30, 256.0 * (1 << 20), 14.375e9, 316e9 * 30 / 32, 75, 4},
	{"u55c", 30, 512.0 * (1 << 20), 14.375e9, 0, 150, 8},
	{"u280", 30, 256.0 * (1 << 20), 14.375e9, 0, 225, 8},
};

#define LATENCY	     250e-9 /* of a read, through the switch */
#define REFRESH_EACH 3.9e-6 /* HBM2: tREFI, tRFC */
#define REFRESH_TIME 260e-9
#define PASS_COST    30e-6 /* command, interrupt, results over the link */
#define FILL_MAX     0.95  /* of a channel */
#define SIDE_BYTES   20	   /* scale, born, died, tags of a row */
#define ARRIVALS     20000u

const struct plan_board *plan_board_at(size_t i)
{
	return i < sizeof(boards) / sizeof(boards[0]) ? &boards[i] : NULL;
}

const struct plan_board *plan_board_find(const char *name)
{
	for (size_t i = 0; i < sizeof(boards) / sizeof(boards[0]); i++)
		if (!strcmp(boards[i].name, name))
			return &boards[i];
	return NULL;
}

/* ---- one pass ---------------------------------------------------------------------------------- */

static void plan_pass(const struct plan_board *b, double clock_hz, const struct plan_wish *wish,
		      struct plan *p)
{
	double padded = (wish->dim + 3) / 4 * 4, all = b->channel_rate * b->channels, share, rate;
	uint64_t parts = (uint64_t)p->boards * b->channels * 16;
	struct model_core core = {b->queries, wish->k > 16 ? wish->k : 16, 64, 512};
	struct model_memory memory = {.latency = LATENCY * clock_hz,
				      .refresh_every = REFRESH_EACH * clock_hz,
				      .refresh_clocks = REFRESH_TIME * clock_hz};
	struct model_search search = {wish->dim, wish->k, (wish->gallery + parts - 1) / parts};
	struct model_clocks clocks;

	share = b->card_rate > 0 && b->card_rate < all ? b->card_rate / all : 1;
	rate = b->channel_rate * share / 64 / clock_hz;
	memory.rate = rate < 1 ? rate : 1;
	clocks = model_search_clocks(&core, &memory, &search);
	p->bound = share < 1 && !strcmp(clocks.bound, "memory") ? "power" : clocks.bound;
	p->pass = clocks.total / clock_hz + PASS_COST;
	p->rows_bytes = (double)search.tiles * 16 * (padded + SIDE_BYTES);
	p->used = p->rows_bytes / b->channel_bytes;
	p->rate_max = b->queries / p->pass;
	p->watts = b->watts * p->boards;
	p->of_memory = (double)search.tiles * 16 * padded / p->pass / b->channel_rate;
}

/* ---- waiting ----------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Queries that come at random, always the same ones; a pass takes all that wait, up to its batch. */
static int plan_wait(const struct plan_wish *wish, struct plan *p)
{
	double *at = malloc(2 * ARRIVALS * sizeof(*at)), *took, now = 0, free_at = 0;
	uint64_t random = 88172645463325252u;
	uint32_t i = 0, passes = 0;

	if (!at)
		return -ENOMEM;
	took = at + ARRIVALS;
	for (uint32_t n = 0; n < ARRIVALS; n++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		now -= log(((double)(random >> 11) + 1) * 0x1p-53) / wish->rate;
		at[n] = now;
	}
	while (i < ARRIVALS) {
		double start = at[i] > free_at ? at[i] : free_at;

		free_at = start + p->pass;
		for (uint32_t n = 0; n < p->batch_max && i < ARRIVALS && at[i] <= start; n++, i++)
			took[i] = free_at - at[i];
		passes++;
	}
	p->batch = (double)ARRIVALS / passes;
	qsort(took, ARRIVALS, sizeof(*took), by_value);
	p->p50 = took[ARRIVALS / 2];
	p->p99 = took[ARRIVALS / 100 * 99];
	free(at);
	return 0;
}

int plan_make(const struct plan_board *board, double clock_hz, const struct plan_wish *wish,
	      struct plan *plan)
{
	if (!wish->gallery || wish->gallery > 1ull << 40 || !wish->dim || wish->dim > 1024 ||
	    !wish->k || wish->k > 255 || !(wish->rate > 0) || wish->rate > 1e9 ||
	    !(wish->p99 >= 0) || !(clock_hz >= 1e6))
		return -EINVAL;
	for (uint32_t n = 1; n <= PLAN_BOARDS_MAX; n++) {
		*plan = (struct plan){.boards = n, .batch_max = board->queries};
		plan_pass(board, clock_hz, wish, plan);
		/* Past 0.95 of what full passes give, waiting has no end worth computing. */
		if (plan->used > FILL_MAX || wish->rate > 0.95 * plan->rate_max)
			continue;
		if (plan_wait(wish, plan))
			return -ENOMEM;
		if (wish->p99 == 0 || plan->p99 <= wish->p99)
			return 0;
	}
	return -ERANGE;
}
