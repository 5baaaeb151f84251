/* SPDX-License-Identifier: Apache-2.0 */
/* The search core in Verilog against the definition: random galleries, extremes, memories of many
 * kinds, errors, and how many products a clock it makes. */
#include "tests/rtl/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static void run_case(const struct rig_case *c)
{
	struct rig *rig = rig_create(c);

	ck_assert_uint_eq(rig_run(rig), CORE_DONE);
	rig_assert_equal(rig);
	/* Its own count: without the two clocks that the bench's writing of the register takes. */
	ck_assert_uint_le(rig->told, rig->clocks);
	ck_assert_uint_le(rig->clocks - rig->told, 4);
	rig_free(rig);
}

static uint32_t some_dim(struct rng *state)
{
	static const uint32_t dims[] = {1, 2, 3, 4, 5, 8, 63, 64, 128, 192, 511, 512, 1021, 1024};

	if (rng_below(state, 2))
		return dims[rng_below(state, sizeof(dims) / sizeof(dims[0]))];
	return 1 + rng_below(state, 200);
}

static struct core_memory some_memory(struct rng *state)
{
	struct core_memory m = {.latency = 1 + rng_below(state, 300),
				.rate_num = 1 + rng_below(state, 8),
				.rate_den = 8,
				.refuse = rng_below(state, 3) ? 0 : rng_below(state, 200),
				.seed = rng_next(state)};

	if (rng_below(state, 2)) {
		m.refresh_every = 400 + rng_below(state, 2000);
		m.refresh_clocks = 1 + rng_below(state, 200);
	}
	return m;
}

/* Each case follows from its number. */
static struct rig_case some_case(uint64_t seed)
{
	struct rng state = {seed};
	struct rig_case c = {.seed = seed, .dim = some_dim(&state)};
	uint32_t most = 8192 / c.dim < 90 ? 8192 / c.dim : 90;

	c.memory = some_memory(&state);
	c.tiles = 1 + rng_below(&state, most < 3 ? 3 : most);
	c.rows = rng_below(&state, 3) ? c.tiles * 16 - rng_below(&state, 16)
				      : rng_below(&state, c.tiles * 16 + 40);
	c.k = rng_below(&state, 2) ? 16 : 1 + rng_below(&state, 16);
	c.fill = (enum rig_fill)rng_below(&state, RIG_FILLS);
	c.limit = rng_below(&state, 2) ? INT32_MIN : (int32_t)rng_below(&state, 40 * c.dim);
	return c;
}

START_TEST(random_cases)
{
	struct rig_case c = some_case(1000u + (uint64_t)_i);

	run_case(&c);
}
END_TEST

/* Each filling at the smallest and largest rows, with and without a limit, against a fast memory. */
START_TEST(extremes)
{
	static const uint32_t dims[] = {1, 4, 8, 128, 1024};
	struct rig_case c = {.seed = 77,
			     .dim = dims[_i / RIG_FILLS],
			     .fill = (enum rig_fill)(_i % RIG_FILLS),
			     .k = 16,
			     .tiles = 40,
			     .rows = 640,
			     .memory = rig_perfect()};

	c.limit = INT32_MIN;
	run_case(&c);
	c.limit = 0;
	c.k = 1;
	run_case(&c);
	c.limit = INT32_MAX; /* above every dot */
	c.k = 9;
	run_case(&c);
}
END_TEST

/* A limit that a row's dot equals lets it pass; one above does not. */
START_TEST(limit_is_inclusive)
{
	struct rig_case c = {
		.seed = 5, .dim = 1024, .fill = RIG_LOWEST, .k = 3, .tiles = 2, .rows = 20};

	c.memory = rig_hbm();
	c.limit = 1024 * 128 * 128;
	run_case(&c);
	c.limit++;
	run_case(&c);
	c.fill = RIG_OPPOSITE;
	c.limit = -1024 * 128 * 127;
	run_case(&c);
}
END_TEST

/* A memory that is hardly ever ready: nothing that waits is lost or changed. */
START_TEST(reluctant_memory)
{
	struct rig_case c = {.dim = 16, .k = 16, .tiles = 3, .rows = 48};

	c.limit = INT32_MIN;
	for (c.seed = 1; c.seed <= 10; c.seed++) {
		c.memory = rig_hbm();
		c.memory.refuse = 245;
		c.memory.seed = c.seed;
		run_case(&c);
	}
}
END_TEST

/* One core, many searches: nothing is left over from the one before. */
START_TEST(again_and_again)
{
	struct rig_case c = {.seed = 9, .dim = 96, .k = 16, .tiles = 30, .rows = 480};
	struct rig *rig;

	c.memory = rig_hbm();
	c.limit = INT32_MIN;
	rig = rig_create(&c);
	for (uint32_t i = 0; i < 6; i++) {
		rig->c.tiles = 30 - 5 * i;
		rig->c.k = 16 - 3 * i;
		rig->c.dim = 96;
		rig_arguments(rig);
		ck_assert_uint_eq(rig_run(rig), CORE_DONE);
		rig_assert_equal(rig);
	}
	rig_free(rig);
}
END_TEST

/* Arguments that cannot be are refused before anything is read, and the core works on. */
START_TEST(bad_arguments)
{
	static const struct {
		uint32_t offset, value;
	} bad[] = {{CORE_DIM, 0},      {CORE_DIM, 1025},       {CORE_DIM, 0x80000200},
		   {CORE_TILES, 0},    {CORE_TILES, 1u << 28}, {CORE_K, 0},
		   {CORE_K, 17},       {CORE_K, 0x101},	       {CORE_QUERIES, 32},
		   {CORE_TILES_AT, 4}, {CORE_RESULTS, 8}};
	struct rig_case c = {.seed = 9, .dim = 64, .k = 16, .tiles = 3, .rows = 48};
	struct rig *rig;

	c.memory = rig_hbm();
	c.limit = INT32_MIN;
	rig = rig_create(&c);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_arguments(rig);
		core_write(rig->core, bad[i].offset, bad[i].value);
		ck_assert_uint_eq(rig_run(rig), CORE_BAD);
		ck_assert_uint_eq(rig->reads + rig->writes, 0);
	}
	rig_arguments(rig);
	ck_assert_uint_eq(rig_run(rig), CORE_DONE);
	rig_assert_equal(rig);
	rig_free(rig);
}
END_TEST

/* An error of memory at any access is told, and not at the next search. */
START_TEST(memory_errors)
{
	struct rig_case c = {.seed = 9, .dim = 64, .k = 16, .tiles = 3, .rows = 48};
	struct rig *rig;
	uint64_t reads, writes;

	c.memory = rig_hbm();
	c.limit = INT32_MIN;
	rig = rig_create(&c);
	ck_assert_uint_eq(rig_run(rig), CORE_DONE);
	reads = rig->reads;
	writes = rig->writes;
	ck_assert_uint_eq(reads, 16 * 4); /* queries and three tiles */
	ck_assert_uint_eq(writes, rig->queries * 2);
	for (uint64_t i = 1; i <= reads + writes; i += i < reads ? 7 : 1) {
		rig->reads = rig->writes = 0;
		rig->fail_read = i <= reads ? i : 0;
		rig->fail_write = i > reads ? i - reads : 0;
		ck_assert_uint_eq(rig_run(rig), CORE_FAILED);
	}
	rig->fail_read = rig->fail_write = 0;
	ck_assert_uint_eq(rig_run(rig), CORE_DONE);
	rig_assert_equal(rig);
	rig_free(rig);
}
END_TEST

/* Registers: what was written is read, and nothing moves an argument while it runs. */
START_TEST(registers)
{
	struct rig_case c = {.seed = 3, .dim = 512, .k = 5, .tiles = 20, .rows = 320};
	struct rig *rig;

	c.memory = rig_hbm();
	c.limit = -123456;
	rig = rig_create(&c);
	ck_assert_uint_eq(core_read(rig->core, CORE_TILES_AT + 4), rig->tiles_at >> 32);
	ck_assert_int_eq((int32_t)core_read(rig->core, CORE_LIMIT), -123456);
	core_write(rig->core, CORE_CONTROL, 1);
	core_write(rig->core, CORE_K, 1);
	core_clock(rig->core, 2000);
	core_write(rig->core, CORE_CONTROL, 1); /* it runs already */
	ck_assert_uint_eq(core_read(rig->core, CORE_CONTROL), 1);
	ck_assert_int_eq(core_wait(rig->core, 100000), 0);
	ck_assert_uint_eq(core_read(rig->core, CORE_K), 5);
	core_write(rig->core, CORE_IRQ_STATUS, 1);
	ck_assert_uint_gt(core_read(rig->core, CORE_CLOCKS), 20 * 128); /* counted from the first */
	core_clock(rig->core, 5000);
	ck_assert_uint_eq(core_read(rig->core, CORE_IRQ_STATUS), 0);
	rig_assert_equal(rig);
	core_read(rig->core, CORE_CONTROL);
	/* Without the interrupt enabled none comes. */
	core_write(rig->core, CORE_IRQ_ENABLE, 0);
	core_write(rig->core, CORE_CONTROL, 1);
	ck_assert_int_eq(core_wait(rig->core, 20000), -1);
	ck_assert_uint_eq(core_read(rig->core, CORE_CONTROL), 6);
	rig_free(rig);
}
END_TEST

/* With a memory that delivers a line a clock it takes nearly one a clock: 64 products a query. */
START_TEST(products_a_clock)
{
	struct rig_case c = {.seed = 3, .dim = 512, .k = 10, .tiles = 150, .rows = 2400};
	struct rig *rig;
	double lines = 150 * 128, rate;

	c.memory = rig_perfect();
	c.limit = INT32_MIN;
	rig = rig_create(&c);
	ck_assert_uint_eq(rig_run(rig), CORE_DONE);
	rate = lines / (double)rig->told;
	printf("a line a clock of memory: %.4f lines, %.1f products a clock, all overheads "
	       "counted\n",
	       rate, rate * 64 * rig->queries);
	ck_assert_double_ge(rate, 0.97);
	ck_assert_uint_le(core_counts(rig->core).in_flight_max, rig->depth);
	rig_free(rig);
	/* HBM's manner: what memory delivers is what is taken. */
	c.memory = rig_hbm();
	rig = rig_create(&c);
	ck_assert_uint_eq(rig_run(rig), CORE_DONE);
	rate = lines / (double)rig->told;
	printf("HBM's manner: %.4f of a line a clock, %.3f of what memory delivers\n", rate,
	       rate / (0.75 * (1 - 105.0 / 1170)));
	ck_assert_double_ge(rate, 0.97 * 0.75 * (1 - 105.0 / 1170));
	rig_free(rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search core");
	TCase *tc = tcase_create("core");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, random_cases, 0, getenv("FACET_LONG") ? 2000 : 120);
	tcase_add_loop_test(tc, extremes, 0, 5 * RIG_FILLS);
	tcase_add_test(tc, limit_is_inclusive);
	tcase_add_test(tc, reluctant_memory);
	tcase_add_test(tc, again_and_again);
	tcase_add_test(tc, bad_arguments);
	tcase_add_test(tc, memory_errors);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, products_a_clock);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
