/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks of one search by the core: what memory delivers, what queues take, what is before and after. */
#include "boards/model/model.h"

#include <math.h>

#define CHAIN  11.0 /* from a line to its tile's first insertion */
#define FINISH 4.0  /* states before and after */
#define SLOTS  16.0 /* tiles that wait for the queues without stopping the lines */

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* The largest of n Poisson variables of this mean, at most 16. */
static double expected_largest(double mean, uint32_t n)
{
	double p = exp(-mean), below = p, sum = 0;

	for (int i = 0; i < 16; i++) {
		sum += 1 - pow(below < 1 ? below : 1, n);
		p *= mean / (i + 1);
		below += p;
	}
	return sum;
}

/*
 * What queues take: of rows in no order, row r is among the `places` best so far with places / r. Tiles
 * that come while one is at it wait; only what is past the slots stops the lines, and what is left at
 * the end is seen as a tail.
 */
static void queues(const struct model_core *core, const struct model_search *search,
		   double clocks_a_tile, struct model_clocks *c)
{
	double behind = 0;
	uint64_t busy = search->tiles < 4096 ? search->tiles : 4096;

	for (uint64_t t = 0; t < busy; t++) {
		double mean = core->places * 1.0 / ((double)t + 0.5);
		double take = mean >= 16 ? 16 : expected_largest(mean, core->queries);

		behind = larger(0, behind + larger(1, take) - clocks_a_tile);
		if (behind > SLOTS * clocks_a_tile + 16) {
			c->hits += behind - SLOTS * clocks_a_tile - 16;
			behind = SLOTS * clocks_a_tile + 16;
		}
	}
	if (busy == search->tiles)
		c->drain += behind;
}

struct model_clocks model_search_clocks(const struct model_core *core,
					const struct model_memory *memory,
					const struct model_search *search)
{
	struct model_clocks c = {.bound = "memory"};
	double lines = (search->dim + 3) / 4;
	double awake =
		memory->refresh_every > 0 ? 1 - memory->refresh_clocks / memory->refresh_every : 1;
	double ready = 1 - memory->unready;
	double rate = (memory->rate < ready ? memory->rate : ready) * awake;
	double in_flight = (core->depth - core->burst / 2.0) /
			   (memory->latency + 4 + core->burst / 2.0 / rate);
	double writes = core->queries * ceil(search->k / 8.0);

	if (rate >= awake)
		c.bound = "multipliers";
	if (in_flight < rate) {
		rate = in_flight;
		c.bound = "latency";
	}
	c.fill = FINISH + 2 + memory->latency + 1 / ready + larger(lines / rate, 10);
	c.stream = (double)search->tiles * lines / rate;
	c.drain = CHAIN + writes * (8 + 2 / ready) + memory->latency + 2 / ready;
	queues(core, search, lines / rate, &c);
	if (c.hits > c.stream)
		c.bound = "queues";
	c.total = c.fill + c.stream + c.hits + c.drain;
	return c;
}
