/* SPDX-License-Identifier: Apache-2.0 */
/* Which tiles changed since when: a follower that takes over what it is told has everything. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "daemon/gallery/changes.h"
#include "kernels/ops.h"
#include "tests/suite.h"

#define TILES 5000u
#define ROWS  (TILES * SEARCH_TILE_ROWS)

static void init(struct changes *c)
{
	ck_assert_int_eq(changes_init(c, ROWS), 0);
	ck_assert_int_eq(changes_room(c, ROWS), 0);
}

static void mark(struct changes *c, uint32_t row)
{
	changes_begin(c);
	changes_mark(c, row);
	changes_end(c);
}

START_TEST(test_runs_of_tiles)
{
	uint64_t begin = 0, tiles, since, all = 0;
	struct changes c;

	init(&c);
	ck_assert(changes_next(&c, 0, TILES, 1000, &begin, &tiles));
	ck_assert_uint_eq(begin, 0);
	ck_assert_uint_eq(tiles, 1000);
	since = changes_moment(&c, &all);
	begin = 0;
	ck_assert(!changes_next(&c, since, TILES, 1000, &begin, &tiles));
	mark(&c, 16 * 7);
	mark(&c, 16 * 8 + 15);
	mark(&c, ROWS - 1);
	begin = 0;
	ck_assert(changes_next(&c, since, TILES, 1000, &begin, &tiles));
	ck_assert_uint_eq(begin, 7);
	ck_assert_uint_eq(tiles, 2);
	begin = 0;
	ck_assert(changes_next(&c, since, TILES, 1, &begin, &tiles));
	ck_assert_uint_eq(tiles, 1);
	begin = 9;
	ck_assert(changes_next(&c, since, TILES, 1000, &begin, &tiles));
	ck_assert_uint_eq(begin, TILES - 1);
	begin = 9;
	ck_assert(!changes_next(&c, since, TILES - 1, 1000, &begin, &tiles));
	since = changes_moment(&c, &all);
	begin = 0;
	ck_assert(!changes_next(&c, since, TILES, 1000, &begin, &tiles));
	changes_free(&c);
}
END_TEST

/* A writer counts in its tiles, and publishes how far it is; a follower copies what changed. */
struct shared {
	struct changes changes;
	_Atomic uint32_t value[TILES];
	_Atomic uint64_t published; /* tiles written up to here, counted round */
	atomic_bool stop;
};

static void *write_tiles(void *user)
{
	struct shared *s = user;
	uint32_t seed = 1;

	for (uint64_t n = 1; !atomic_load(&s->stop); n++) {
		uint32_t tile = (seed = seed * 1664525u + 1013904223u) >> 8 & 4095;

		atomic_store(&s->value[tile], (uint32_t)n);
		mark(&s->changes, tile * SEARCH_TILE_ROWS);
		atomic_store(&s->published, n);
	}
	return NULL;
}

/* Rows are marked, a moment is taken, and only then are they published. */
START_TEST(test_a_moment_has_all_that_was_marked)
{
	uint64_t tiles = 3, begin = 0, found, since;
	struct changes c;

	init(&c);
	since = changes_moment(&c, &tiles);
	ck_assert_uint_eq(tiles, 3);
	mark(&c, 16 * 9);
	mark(&c, 16 * 4);
	changes_moment(&c, &tiles);
	ck_assert_uint_eq(tiles, 10);
	ck_assert(changes_next(&c, since, tiles, 1000, &begin, &found));
	ck_assert_uint_eq(begin, 4);
	begin = 5;
	ck_assert(changes_next(&c, since, tiles, 1000, &begin, &found));
	ck_assert_uint_eq(begin, 9);
	tiles = 0;
	changes_moment(&c, &tiles);
	ck_assert_uint_eq(tiles, 10);
	changes_free(&c);
}
END_TEST

START_TEST(test_a_follower_misses_nothing)
{
	static uint32_t copy[TILES];
	struct shared *s = calloc(1, sizeof(*s));
	uint64_t since = 0, rounds = 0;
	pthread_t writer;

	init(&s->changes);
	pthread_create(&writer, NULL, write_tiles, s);
	while (rounds++ < 3000) {
		uint64_t published = atomic_load(&s->published);
		uint64_t all = 0, moment = changes_moment(&s->changes, &all), at = 0, tiles;
		uint32_t newest = 0;

		while (changes_next(&s->changes, since, TILES, 64, &at, &tiles)) {
			for (uint64_t t = at; t < at + tiles; t++)
				copy[t] = atomic_load(&s->value[t]);
			at += tiles;
		}
		for (uint32_t t = 0; t < TILES; t++)
			newest = copy[t] > newest ? copy[t] : newest;
		ck_assert_uint_ge(newest, (uint32_t)published);
		since = moment;
	}
	atomic_store(&s->stop, true);
	pthread_join(writer, NULL);
	for (uint64_t at = 0, tiles; changes_next(&s->changes, since, TILES, 64, &at, &tiles);
	     at += tiles)
		for (uint64_t t = at; t < at + tiles; t++)
			copy[t] = atomic_load(&s->value[t]);
	for (uint32_t t = 0; t < TILES; t++)
		ck_assert_uint_eq(copy[t], atomic_load(&s->value[t]));
	changes_free(&s->changes);
	free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("changes");
	TCase *tc = tcase_create("changes");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_runs_of_tiles);
	tcase_add_test(tc, test_a_moment_has_all_that_was_marked);
	tcase_add_test(tc, test_a_follower_misses_nothing);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
