/* SPDX-License-Identifier: Apache-2.0 */
/* The cycle model against the clocks that the core counts under Verilator. */
#include "boards/model/model.h"
#include "tests/rtl/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

#define CONFIGURATIONS 50

static struct rig_case some_case(uint64_t seed)
{
	static const uint32_t dims[] = {8, 16, 32, 64, 128, 192, 256, 512, 1024};
	struct rng state = {seed};
	struct rig_case c = {.seed = seed, .limit = INT32_MIN};
	struct core_memory *m = &c.memory;

	c.dim = rng_below(&state, 2) ? dims[rng_below(&state, 9)] : 5 + rng_below(&state, 1020);
	c.tiles = (4096 + rng_below(&state, 16384)) / ((c.dim + 3) / 4) + 1;
	c.rows = c.tiles * 16 - rng_below(&state, 16);
	c.k = 1 + rng_below(&state, 16);
	*m = (struct core_memory){.latency = 20 + rng_below(&state, 200),
				  .rate_num = 2 + rng_below(&state, 7),
				  .rate_den = 8,
				  .refuse = rng_below(&state, 2) ? rng_below(&state, 128) : 0,
				  .seed = rng_next(&state)};
	if (rng_below(&state, 2)) {
		m->refresh_every = 400 + rng_below(&state, 1600);
		m->refresh_clocks = 1 + rng_below(&state, 120);
	}
	return c;
}

static double model_of(const struct rig *rig)
{
	const struct core_memory *m = &rig->c.memory;
	struct model_core core = {rig->queries, rig->places, rig->burst, rig->depth};
	struct model_memory memory = {.latency = m->latency,
				      .rate = (double)m->rate_num / m->rate_den,
				      .refresh_every = m->refresh_every,
				      .refresh_clocks = m->refresh_clocks,
				      .unready = m->refuse / 256.0};
	struct model_search search = {.dim = rig->c.dim, .k = rig->c.k, .tiles = rig->c.tiles};

	return model_search_clocks(&core, &memory, &search).total;
}

START_TEST(within_five_percent)
{
	double worst = 0;
	uint64_t worst_seed = 0;

	for (uint64_t seed = 1; seed <= CONFIGURATIONS; seed++) {
		struct rig_case c = some_case(seed);
		struct rig *rig = rig_create(&c);
		double off;

		ck_assert_uint_eq(rig_run(rig), CORE_DONE);
		off = fabs(model_of(rig) / (double)rig->told - 1);
		if (off > 0.02)
			printf("seed %2d dim %4u tiles %5u latency %3u rate %u/8 unready %3u: %.0f "
			       "for %llu\n",
			       (int)seed, c.dim, c.tiles, c.memory.latency, c.memory.rate_num,
			       c.memory.refuse, model_of(rig), (unsigned long long)rig->told);
		if (off > worst) {
			worst = off;
			worst_seed = seed;
		}
		rig_free(rig);
	}
	printf("MODEL against the core, %d configurations: worst off by %.2f %% (seed %d)\n",
	       CONFIGURATIONS, worst * 100, (int)worst_seed);
	ck_assert_double_le(worst, 0.05);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cycle model");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, within_five_percent);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
