/* SPDX-License-Identifier: Apache-2.0 */
/* The list of the best k against a plain sort of everything offered. */
#include "kernels/ops.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct offers {
	struct search_hit *hits;
	uint32_t count, subjects;
};

/* Scores from few values, so that ties decide; ids unique and in no order. */
static struct offers offers_create(uint64_t *state, uint32_t count, uint32_t values,
				   uint32_t subjects)
{
	struct offers o = {calloc(count, sizeof(*o.hits)), count, subjects};

	ck_assert_ptr_nonnull(o.hits);
	for (uint32_t i = 0; i < count; i++)
		o.hits[i] = (struct search_hit){
			.s = (float)(next_random(state) % values) - (float)values / 2,
			.subject = (uint32_t)(next_random(state) % subjects) * 4096,
			.id = (i + 1) * 0x9e3779b97f4a7c15u,
			.row = i,
		};
	return o;
}

static int by_order(const void *a, const void *b)
{
	const struct search_hit *x = a, *y = b;

	if (x->s > y->s || (x->s == y->s && x->id < y->id))
		return -1;
	return 1;
}

static uint32_t expected_hits(const struct offers *o, uint32_t k, bool by_subject,
			      struct search_hit *out)
{
	struct search_hit *all = malloc(o->count * sizeof(*all));
	bool *seen = calloc(o->subjects, sizeof(*seen));
	uint32_t n = 0;

	memcpy(all, o->hits, o->count * sizeof(*all));
	qsort(all, o->count, sizeof(*all), by_order);
	for (uint32_t i = 0; i < o->count && n < k; i++) {
		uint32_t subject = all[i].subject / 4096;

		if (by_subject && seen[subject])
			continue;
		seen[subject] = true;
		out[n++] = all[i];
	}
	free(seen);
	free(all);
	return n;
}

static void assert_list(const struct search_list *list, const struct offers *o, uint32_t k,
			bool by_subject)
{
	struct search_hit *got = calloc(k, sizeof(*got)), *expected = calloc(k, sizeof(*expected));
	uint32_t n = expected_hits(o, k, by_subject, expected);

	ck_assert_uint_eq(search_list_sorted(list, got), n);
	ck_assert_mem_eq(got, expected, n * sizeof(*got));
	ck_assert_float_eq(search_list_limit(list), n == k ? expected[k - 1].s : -INFINITY);
	ck_assert_uint_eq(search_list_limit_id(list), n == k ? expected[k - 1].id : UINT64_MAX);
	free(expected);
	free(got);
}

static void check_list(uint64_t seed, uint32_t k, uint32_t count, uint32_t subjects,
		       bool by_subject)
{
	uint64_t state = seed;
	struct offers o = offers_create(&state, count, 1 + seed % 50, subjects);
	struct search_list *list = search_list_create(k, by_subject);

	ck_assert_ptr_nonnull(list);
	for (uint32_t i = 0; i < count; i++)
		search_list_offer(list, &o.hits[i]);
	assert_list(list, &o, k, by_subject);
	assert_list(list, &o, k, by_subject); /* reading it changes nothing */
	search_list_free(list);
	free(o.hits);
}

static const uint32_t ks[] = {1, 2, 3, 7, 10, 100, 1000, 65536};

START_TEST(best_k)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		check_list(seed, ks[_i], 3000, 700, false);
		check_list(seed, ks[_i], 3000, 1 + (uint32_t)seed * 40, true);
	}
	check_list(99, ks[_i], 150000, 100000, false);
	check_list(99, ks[_i], 150000, 100000, true);
}
END_TEST

/* In any split, merged in any order: the same as one list. */
START_TEST(merge_is_exact)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t state = seed * 77;
		bool by_subject = seed % 2;
		uint32_t k = ks[seed % 7];
		struct offers o = offers_create(&state, 2000, 30, 150);
		struct search_list *total = search_list_create(k, by_subject), *part[5];

		for (int i = 0; i < 5; i++)
			part[i] = search_list_create(k, by_subject);
		for (uint32_t i = 0; i < o.count; i++)
			search_list_offer(part[next_random(&state) % 5], &o.hits[i]);
		for (int i = 0; i < 5; i++)
			search_list_merge(total, part[(i * 3 + (int)seed) % 5]);
		assert_list(total, &o, k, by_subject);
		for (int i = 0; i < 5; i++)
			search_list_free(part[i]);
		search_list_free(total);
		free(o.hits);
	}
}
END_TEST

/* One list for many queries of different k and kind. */
START_TEST(reset_forgets)
{
	struct search_list *list = search_list_create(1000, false);
	uint64_t state = 5;

	for (int i = 0; i < 200; i++) {
		uint32_t k = 1 + (uint32_t)(next_random(&state) % 1000);
		struct offers o = offers_create(&state, 1500, 40, 300);

		search_list_reset(list, k, i % 2);
		ck_assert_float_eq(search_list_limit(list), -INFINITY);
		for (uint32_t j = 0; j < o.count; j++)
			search_list_offer(list, &o.hits[j]);
		assert_list(list, &o, k, i % 2);
		free(o.hits);
	}
	search_list_free(list);
}
END_TEST

/* The best template of a subject moves through the heap while others come and go. */
START_TEST(subject_improves)
{
	struct search_list *list = search_list_create(2, true);
	static const struct search_hit offers[] = {
		{1.0f, 7, 10, 0}, {2.0f, 8, 11, 1}, {3.0f, 7, 12, 2}, {3.0f, 7, 9, 3},
		{3.0f, 7, 13, 4}, {2.5f, 9, 14, 5}, {2.5f, 8, 15, 6}, {NAN, 1, 1, 7},
	};
	struct search_hit got[2];

	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		search_list_offer(list, &offers[i]);
	ck_assert_uint_eq(search_list_sorted(list, got), 2);
	ck_assert_uint_eq(got[0].id, 9);
	ck_assert_uint_eq(got[1].id, 14);
	search_list_free(list);
}
END_TEST

START_TEST(bad_k)
{
	ck_assert_ptr_null(search_list_create(0, false));
	ck_assert_ptr_null(search_list_create(SEARCH_K_MAX + 1, true));
	search_list_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search_list");
	TCase *tc = tcase_create("list");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, best_k, 0, sizeof(ks) / sizeof(ks[0]));
	tcase_add_test(tc, merge_is_exact);
	tcase_add_test(tc, reset_forgets);
	tcase_add_test(tc, subject_improves);
	tcase_add_test(tc, bad_k);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
