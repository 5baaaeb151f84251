/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a host and of a copy, compared as a query sees them. */
#include "daemon/device/part.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define TILES	 6u
#define ROWS	 (TILES * SEARCH_TILE_ROWS)
#define DIM	 70u
#define PADDED	 72u
#define TILES_AT 2u /* of the host's, where the copy begins */
#define EPOCH	 10u

struct table {
	_Alignas(64) uint8_t head[ROWS * PADDED], tail[ROWS * PADDED];
	float scale[ROWS], bias[ROWS];
	uint64_t id[ROWS], tags[ROWS];
	uint32_t born[ROWS], died[ROWS], subject[ROWS];
	struct search_rows rows;
};

static struct table host, copy;

static void point(struct table *t, enum search_metric metric, uint32_t head)
{
	t->rows = (struct search_rows){metric,
				       DIM,
				       head,
				       t->head,
				       head < PADDED ? t->tail : NULL,
				       metric == SEARCH_DOT ? NULL : t->scale,
				       metric == SEARCH_L2 ? t->bias : NULL,
				       t->id,
				       t->tags,
				       t->born,
				       t->died,
				       t->subject};
}

static void fill(enum search_metric metric, uint32_t head, uint64_t *seed)
{
	uint8_t *bytes = (uint8_t *)&host;

	for (size_t i = 0; i < offsetof(struct table, rows); i++)
		bytes[i] = (uint8_t)rig_random(seed);
	for (uint32_t r = 0; r < ROWS; r++) {
		host.born[r] = rig_random(seed) % 20;
		host.died[r] =
			rig_random(seed) % 2 ? SEARCH_NEVER : host.born[r] + rig_random(seed) % 10;
	}
	point(&host, metric, head);
	point(&copy, metric, head);
	for (int part = 0; part < PARTS; part++) {
		uint64_t tile = part_bytes(&host.rows, (enum part)part);

		if (tile)
			memcpy(part_room(&copy.rows, (enum part)part),
			       part_data(&host.rows, (enum part)part) + TILES_AT * tile,
			       (TILES - TILES_AT) * tile);
	}
}

static const struct search_query query = {.epoch = EPOCH, .rows = ROWS - 3};

static uint64_t differ(uint64_t *first)
{
	return part_rows_differ(&host.rows, TILES_AT, TILES - TILES_AT, &copy.rows, &query, first);
}

static bool seen(uint64_t r)
{
	return r < query.rows && host.born[r] <= EPOCH && host.died[r] > EPOCH;
}

/* The bit of a part's value that is row r's, of the copy. */
static uint8_t *byte_of(enum part part, uint64_t r, uint64_t *seed)
{
	uint64_t row = part_bytes(&copy.rows, part) / SEARCH_TILE_ROWS;
	uint64_t c = r - TILES_AT * SEARCH_TILE_ROWS, i = rig_random(seed) % row;
	uint8_t *at = part_room(&copy.rows, part);

	if (part != PART_HEAD && part != PART_TAIL)
		return at + c * row + i;
	return at + (c / SEARCH_TILE_ROWS * row + i / 4 * 4) * SEARCH_TILE_ROWS +
	       c % SEARCH_TILE_ROWS * 4 + i % 4;
}

/* One bit of anything a query sees of a row, and only that. */
static void flip_one(enum part part, uint64_t *seed)
{
	uint64_t r = TILES_AT * SEARCH_TILE_ROWS +
		     rig_random(seed) % ((TILES - TILES_AT) * SEARCH_TILE_ROWS);
	uint8_t *at = byte_of(part, r, seed), before = *at;
	uint64_t first = 0, found;

	*at ^= (uint8_t)(1u << rig_random(seed) % 8);
	found = differ(&first);
	*at = before;
	if (seen(r) || found)
		ck_assert_uint_eq(first, r);
	if (seen(r))
		ck_assert_msg(found == 1, "part %d", part);
	/* Of the others only whether they are seen counts. */
	else if (part != PART_BORN && part != PART_DIED)
		ck_assert_uint_eq(found, 0);
}

START_TEST(every_bit_that_a_query_sees_counts)
{
	static const uint32_t heads[] = {PADDED, 32};
	uint64_t seed = 5, first;

	for (enum search_metric metric = SEARCH_COSINE; metric <= SEARCH_L2; metric++)
		for (int h = 0; h < 2; h++) {
			fill(metric, heads[h], &seed);
			ck_assert_uint_eq(differ(&first), 0);
			for (int i = 0; i < 5000; i++) {
				enum part part = rig_random(&seed) % PARTS;

				if (part_bytes(&host.rows, part))
					flip_one(part, &seed);
			}
		}
}
END_TEST

static void place(uint64_t r, uint32_t born, uint32_t died, uint32_t copy_born, uint32_t copy_died)
{
	host.born[r] = born;
	host.died[r] = died;
	copy.born[r - TILES_AT * SEARCH_TILE_ROWS] = copy_born;
	copy.died[r - TILES_AT * SEARCH_TILE_ROWS] = copy_died;
}

/* What the copy may not know yet, and what it must. */
START_TEST(births_and_deaths)
{
	const uint32_t never = SEARCH_NEVER;
	const struct {
		uint32_t born, died, copy_born, copy_died;
		bool same;
	} cases[] = {
		{3, never, 3, never, true},  {3, 12, 3, never, true},
		{3, 12, 3, 12, true},	     {3, 12, 3, 13, false},
		{3, never, 3, 12, false},    {3, never, 3, 10, false},
		{3, never, 4, never, false}, {3, 10, 3, never, false},
		{3, 10, 3, 10, true},	     {3, 10, 3, 7, true},
		{11, never, never, 0, true}, {11, never, 10, never, false},
		{3, 3, 3, 3, true},
	};
	uint64_t seed = 6, first;

	fill(SEARCH_DOT, PADDED, &seed);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		place(40, cases[i].born, cases[i].died, cases[i].copy_born, cases[i].copy_died);
		ck_assert_msg(differ(&first) == !cases[i].same, "case %zu", i);
	}
	/* Behind what the query sees nothing counts. */
	place(ROWS - 2, 3, never, 20, 0);
	place(40, 3, never, 3, never);
	ck_assert_uint_eq(differ(&first), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("part");
	TCase *tcase = tcase_create("compared");

	tcase_add_test(tcase, every_bit_that_a_query_sees_counts);
	tcase_add_test(tcase, births_and_deaths);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
