/* SPDX-License-Identifier: Apache-2.0 */
/* Which way of searching is the fastest, found by measuring: simulated passes with stated costs. */
#include <check.h>
#include <stdlib.h>

#include "daemon/job/mode.h"
#include "tests/suite.h"

#define WORK 100.0

/* count passes, each as long as its mode costs; how many were in each mode, and the time of all. */
static uint64_t run(struct modes *modes, const uint64_t cost[MODE_COUNT], uint32_t count,
		    uint32_t in[MODE_COUNT], uint64_t *now)
{
	uint64_t begun = *now;

	for (uint32_t i = 0; i < count; i++) {
		enum mode mode = modes->mode;
		uint32_t window = modes_begin(modes, *now);

		in[mode]++;
		*now += cost[mode];
		modes_end(modes, window, WORK, *now);
		*now += 1000000; /* idle: it counts for nobody */
	}
	return *now - begun - count * UINT64_C(1000000);
}

START_TEST(test_the_fastest_is_found)
{
	static const uint64_t costs[][MODE_COUNT] = {
		{1000, 800, 2000}, {500, 800, 2000}, {3000, 2000, 900}, {1000, 1001, 1002}};
	const uint64_t *cost = costs[_i];
	uint32_t in[MODE_COUNT] = {0}, best = 0;
	struct modes modes = {0};
	uint64_t now = 5, ns, least = UINT64_MAX;

	for (uint32_t m = 0; m < MODE_COUNT; m++)
		if (cost[m] < least) {
			least = cost[m];
			best = m;
		}
	run(&modes, cost, 3 * MODE_TRIES, in, &now);
	for (uint32_t m = 0; m < MODE_COUNT; m++)
		ck_assert_uint_eq(in[m], MODE_TRIES);
	ns = run(&modes, cost, 100000, in, &now);
	ck_assert_uint_gt(in[best], 99500); /* half a percent is spent on looking at the others */
	ck_assert_uint_lt(ns, least * 101500);
	for (uint32_t m = 0; m < MODE_COUNT; m++)
		ck_assert_uint_gt(in[m], 150);
}
END_TEST

/* What was best need not stay so. */
START_TEST(test_a_change_is_noticed)
{
	static const uint64_t first[] = {1000, 800, 2000}, then[] = {1000, 1500, 600};
	uint32_t in[MODE_COUNT] = {0};
	struct modes modes = {0};
	uint64_t now = 5;

	run(&modes, first, 5000, in, &now);
	ck_assert_uint_gt(in[MODE_CPU], 4500);
	run(&modes, then, 10000, in, &now);
	in[MODE_BOARD] = 0;
	run(&modes, then, 10000, in, &now);
	ck_assert_uint_gt(in[MODE_BOARD], 9500);
}
END_TEST

/* Passes that overlap count the time once; one that began in an older window says nothing. */
START_TEST(test_passes_that_overlap)
{
	struct modes modes = {0};
	uint32_t window[4];
	uint64_t now = 100;

	for (uint32_t round = 0; round < MODE_TRIES / 4; round++) {
		for (uint32_t i = 0; i < 4; i++)
			window[i] = modes_begin(&modes, now);
		for (uint32_t i = 0; i < 4; i++)
			modes_end(&modes, window[i], WORK, now += 10);
		now += 1000;
	}
	ck_assert_uint_eq(modes.window, 1);
	ck_assert(modes.cost[MODE_BOTH] == 10.0 / WORK);
	window[0] = modes_begin(&modes, now);
	for (uint32_t i = 0; i < MODE_TRIES; i++)
		modes_end(&modes, modes_begin(&modes, now), WORK, now);
	ck_assert_uint_eq(modes.window, 2);
	modes_end(&modes, window[0], WORK, now + 5);
	ck_assert_uint_eq(modes.passes, 0);
	ck_assert_uint_eq(modes.active, 0);
	modes_end(&modes, modes_begin(&modes, now), 0, now + 5); /* broken off */
	ck_assert_uint_eq(modes.passes, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mode");
	TCase *tc = tcase_create("mode");

	tcase_add_loop_test(tc, test_the_fastest_is_found, 0, 4);
	tcase_add_test(tc, test_a_change_is_noticed);
	tcase_add_test(tc, test_passes_that_overlap);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
