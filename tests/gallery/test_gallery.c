/* SPDX-License-Identifier: Apache-2.0 */
/* A gallery as a user sees it: enrol, search, delete, replay, restart. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gallery/fixture.h"

#define DIM 48

static struct fixture f;

static void setup(void)
{
	fixture_init(&f, DIM, SEARCH_COSINE);
	fixture_create(&f);
}

static void teardown(void)
{
	fixture_free(&f);
}

static void enrol_some(uint32_t seed, uint32_t count, uint64_t *ids, const char *subject)
{
	float *x = malloc(count * DIM * sizeof(*x));

	for (uint32_t i = 0; i < count; i++)
		fixture_vector(seed, i, DIM, x + i * DIM);
	ck_assert_int_eq(fixture_enrol(&f, subject, x, count, ids), 0);
	free(x);
}

START_TEST(enrolled_is_found)
{
	uint64_t ids[100] = {0};
	struct search_hit hits[3];
	float x[DIM];

	enrol_some(7, 100, ids, "ann");
	for (uint32_t i = 0; i < 100; i++) {
		ck_assert_uint_eq(ids[i], i + 1);
		fixture_vector(7, i, DIM, x);
		ck_assert_uint_eq(fixture_search(&f, x, 3, hits), 3);
		ck_assert_uint_eq(hits[0].id, ids[i]);
		ck_assert_str_eq(gallery_subject(f.gallery, hits[0].subject), "ann");
	}
}
END_TEST

START_TEST(survives_a_restart)
{
	uint64_t ids[1000] = {0};
	struct search_hit before[50], after[50];
	float x[DIM];
	struct gallery_status status;

	enrol_some(8, 1000, ids, "ben");
	ck_assert_int_eq(fixture_delete(&f, ids[500]), 0);
	ck_assert(!fixture_has(&f, ids[500]));
	fixture_vector(8, 3, DIM, x);
	ck_assert_uint_eq(fixture_search(&f, x, 50, before), 50);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(fixture_search(&f, x, 50, after), 50);
	for (uint32_t i = 0; i < 50; i++) {
		ck_assert_uint_eq(before[i].id, after[i].id);
		ck_assert(before[i].s == after[i].s);
	}
	ck_assert(!fixture_has(&f, ids[500]));
	gallery_status(f.gallery, &status);
	ck_assert_uint_eq(status.templates, 999);
	ck_assert_uint_eq(status.subjects, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gallery");
	TCase *t = tcase_create("gallery");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, enrolled_is_found);
	tcase_add_test(t, survives_a_restart);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
