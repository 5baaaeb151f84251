/* SPDX-License-Identifier: Apache-2.0 */
/* Error rates against brute force over all thresholds. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "host/facetctl/roc.h"
#include "tests/suite.h"

#define SUBJECTS 12
#define PHOTOS	 60

struct sample_pair {
	uint32_t a, b;
	float score;
};

static uint32_t seed = 12345;

static uint32_t next_random(uint32_t bound)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % bound;
}

/* All pairs of photos; scores on a coarse grid, so that there are many ties. */
static uint32_t make_pairs(struct sample_pair *pairs)
{
	uint32_t subject[PHOTOS], n = 0;

	for (uint32_t i = 0; i < PHOTOS; i++)
		subject[i] = next_random(SUBJECTS);
	for (uint32_t i = 0; i < PHOTOS; i++)
		for (uint32_t j = 0; j < i; j++) {
			float base = subject[i] == subject[j] ? 0.5f : 0.1f;

			pairs[n].a = subject[i];
			pairs[n].b = subject[j];
			pairs[n++].score = base + (float)next_random(50) / 64.0f;
		}
	return n;
}

static double rate(const struct sample_pair *pairs, uint32_t n, int genuine, double threshold)
{
	double passed = 0, total = 0;

	for (uint32_t i = 0; i < n; i++)
		if ((pairs[i].a == pairs[i].b) == genuine) {
			total++;
			passed += pairs[i].score >= threshold;
		}
	return passed / total;
}

static struct roc *fill(const struct sample_pair *pairs, uint32_t n)
{
	struct roc *roc = roc_create(SUBJECTS);

	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(roc_add(roc, pairs[i].a, pairs[i].b, pairs[i].score), 0);
	ck_assert_int_eq(roc_finish(roc), 0);
	return roc;
}

START_TEST(thresholds_are_the_smallest_that_keep_the_rate)
{
	static struct sample_pair pairs[PHOTOS * PHOTOS];
	uint32_t n = make_pairs(pairs);
	struct roc *roc = fill(pairs, n);

	for (double far = 0.001; far < 1; far *= 1.3) {
		struct roc_point point;
		double smallest = INFINITY;

		roc_at(roc, far, &point);
		ck_assert(rate(pairs, n, 0, point.threshold) <= far);
		/* Every score below it, taken as threshold, breaks the rate. */
		for (uint32_t i = 0; i < n; i++)
			if (pairs[i].score < point.threshold)
				ck_assert(rate(pairs, n, 0, pairs[i].score) > far);
			else if (pairs[i].score < smallest)
				smallest = pairs[i].score;
		ck_assert(fabs(point.tar - rate(pairs, n, 1, point.threshold)) < 1e-12);
	}
	roc_free(roc);
}
END_TEST

START_TEST(intervals_hold_the_value_and_repeat)
{
	static struct sample_pair pairs[PHOTOS * PHOTOS];
	struct roc *roc = fill(pairs, make_pairs(pairs));
	struct roc_point a, b;

	roc_at(roc, 0.05, &a);
	b = a;
	ck_assert_int_eq(roc_interval(roc, &a, 200, 7), 0);
	ck_assert_int_eq(roc_interval(roc, &b, 200, 7), 0);
	ck_assert(a.low == b.low && a.high == b.high);
	ck_assert(a.low <= a.tar && a.tar <= a.high);
	ck_assert(a.low < a.high);
	roc_free(roc);
}
END_TEST

START_TEST(a_score_at_the_threshold_passes)
{
	struct roc *roc = roc_create(2);
	struct roc_point point;

	roc_add(roc, 0, 1, 0.5f);
	roc_add(roc, 0, 0, nextafterf(0.5f, 1)); /* where the threshold will be */
	ck_assert_int_eq(roc_finish(roc), 0);
	roc_at(roc, 0.5, &point);
	ck_assert(point.threshold == nextafterf(0.5f, 1));
	ck_assert(point.tar == 1);
	roc_free(roc);
}
END_TEST

START_TEST(no_pairs_is_an_error)
{
	struct roc *roc = roc_create(2);

	ck_assert_int_lt(roc_finish(roc), 0);
	roc_add(roc, 0, 0, 1);
	ck_assert_int_lt(roc_finish(roc), 0);
	roc_add(roc, 0, 1, 0);
	ck_assert_int_eq(roc_finish(roc), 0);
	ck_assert_uint_eq(roc_genuine(roc), 1);
	ck_assert_uint_eq(roc_impostors(roc), 1);
	roc_free(roc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("roc");
	TCase *cases = tcase_create("roc");

	suite_add_tcase(suite, cases);
	tcase_add_test(cases, thresholds_are_the_smallest_that_keep_the_rate);
	tcase_add_test(cases, intervals_hold_the_value_and_repeat);
	tcase_add_test(cases, a_score_at_the_threshold_passes);
	tcase_add_test(cases, no_pairs_is_an_error);
	return suite_run(suite);
}
