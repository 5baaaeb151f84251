/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gallery without a host copy: values go block by block, come back before anything in a block
 * changes, and all together when they are asked for. A copy is played by an array here, that takes over
 * the tiles which changed, as a board does: it must always be what a gallery with a host copy has.
 */
#include "daemon/gallery/internal.h"
#include "tests/gallery/fixture.h"
#include "tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIM	 32u
#define ROWS	 6000u /* 5 blocks and a part */
#define BATCH	 500u
#define TILES_AT 1000u /* tiles that the copy has room for */
#define TILE	 (SEARCH_TILE_ROWS * DIM)

static struct fixture f;
static uint8_t copy[TILES_AT * TILE];
static uint64_t done; /* the copy's last moment */
static uint64_t seed;

/* What is there, by id: the vector's number. */
static uint32_t vector_of[4 * ROWS];
static uint64_t alive[4 * ROWS];
static uint32_t alive_count;

static uint32_t draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void setup(void)
{
	fixture_init(&f, DIM, SEARCH_COSINE);
	f.spec.no_host_copy = true;
	fixture_create(&f);
	gallery_follow(f.gallery, true);
	gallery_copied(f.gallery, UINT64_MAX); /* deletes do not wait for the copy here */
	memset(copy, 0, sizeof(copy));
	done = 0;
	seed = 3;
	alive_count = 0;
}

static void teardown(void)
{
	fixture_free(&f);
}

static uint64_t enrol(uint32_t count)
{
	static float x[BATCH * DIM];
	static uint64_t ids[BATCH];
	static uint32_t next;

	for (uint32_t i = 0; i < count; i++) {
		ids[i] = 0;
		fixture_vector(5, next + i, DIM, x + i * DIM);
	}
	ck_assert_int_eq(fixture_enrol(&f, "s", x, count, ids), 0);
	for (uint32_t i = 0; i < count; i++) {
		vector_of[ids[i]] = next + i;
		alive[alive_count++] = ids[i];
	}
	next += count;
	return ids[0];
}

static void delete_some(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = draw(alive_count);

		ck_assert_int_eq(fixture_delete(&f, alive[at]), 0);
		alive[at] = alive[--alive_count];
	}
}

static uint64_t resident(void)
{
	struct gallery_status status;

	gallery_status(f.gallery, &status);
	return status.resident_bytes;
}

/* As DEVICE_LOAD does. */
static void follow(void)
{
	struct gallery_moment now;
	uint64_t at = 0, tiles;

	gallery_moment(f.gallery, &now);
	ck_assert_uint_le(now.tiles, TILES_AT);
	while (gallery_changed_tiles(f.gallery, done, now.tiles, 64, &at, &tiles)) {
		memcpy(copy + at * TILE, now.rows->head_tiles + at * TILE, tiles * TILE);
		at += tiles;
	}
	done = now.stamp;
}

static void wait_shed(void)
{
	gallery_shed(f.gallery, done);
	while (__atomic_load_n(&f.gallery->values.shed, __ATOMIC_ACQUIRE) != done)
		usleep(200);
}

static void wait_here(void)
{
	gallery_fetch(f.gallery);
	while (!gallery_here(f.gallery))
		usleep(200);
}

/* Every live template, where its row says it is. */
static void ck_values(const uint8_t *tiles)
{
	struct search_rows rows = f.gallery->rows.view;

	rows.head_tiles = tiles;
	for (uint32_t i = 0; i < alive_count; i++) {
		uint32_t row = rows_by_id(&f.gallery->rows, alive[i]);
		int8_t want[DIM], got[DIM];
		float x[DIM], step;

		ck_assert_uint_ne(row, ROWS_NONE);
		fixture_vector(5, vector_of[alive[i]], DIM, x);
		ck_assert_int_eq(op_quantize_row(x, DIM, want, &step), 0);
		search_get_row(&rows, row, got);
		ck_assert_msg(!memcmp(want, got, DIM), "row %u", row);
	}
}

static void fill(void)
{
	for (uint32_t i = 0; i < ROWS; i += BATCH)
		enrol(BATCH);
	follow();
}

START_TEST(values_go_and_come_back)
{
	uint64_t before;

	fill();
	before = resident();
	wait_shed();
	/* All but the last block. */
	ck_assert_uint_eq(before - resident(), ROWS / 1024 * 1024 * DIM);
	ck_assert_uint_eq(f.gallery->rows.view.head_tiles[TILE], 0);
	ck_values(copy);
	wait_here();
	ck_assert_uint_eq(resident(), before);
	ck_values(f.gallery->rows.view.head_tiles);
	/* And again, though nothing has changed. */
	wait_shed();
	ck_assert_uint_lt(resident(), before);
	wait_here();
	ck_values(f.gallery->rows.view.head_tiles);
}
END_TEST

/* Freed slots are filled, rows die and are wiped, in blocks that are away. */
START_TEST(a_copy_follows_what_changes_meanwhile)
{
	fill();
	for (int round = 0; round < 60; round++) {
		if (draw(3))
			wait_shed();
		if (draw(2))
			delete_some(1 + draw(6));
		if (draw(2))
			enrol(1 + draw(20));
		follow();
		ck_values(copy);
		if (!draw(8)) {
			wait_here();
			ck_values(f.gallery->rows.view.head_tiles);
		}
	}
	wait_here();
	ck_values(f.gallery->rows.view.head_tiles);
}
END_TEST

/* A block with what the copy does not have yet, if only one row of one commit, is not let go. */
START_TEST(what_the_copy_lacks_stays)
{
	fill();
	delete_some(40);
	for (int round = 0; round < 40; round++) {
		wait_here();
		follow();
		enrol(1); /* where one was deleted */
		wait_shed();
		follow();
		ck_values(copy);
	}
}
END_TEST

/* What an older snapshot still sees of a row that was deleted stays in the copy. */
START_TEST(a_dying_row_keeps_its_values)
{
	struct gallery_snapshot old;
	struct fixture_wait *wait = fixture_wait_new();
	uint64_t gone;
	struct gallery_request request = {
		.kind = GALLERY_DELETE_TEMPLATES, .ids = &gone, .count = 1};
	int8_t before[DIM], after[DIM];
	struct search_rows rows;
	uint32_t row;

	fill();
	gone = alive[700];
	alive[700] = alive[--alive_count];
	row = rows_by_id(&f.gallery->rows, gone);
	wait_shed();
	rows = f.gallery->rows.view;
	rows.head_tiles = copy;
	search_get_row(&rows, row, before);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &old), 0);
	fixture_submit(&f, &request, wait);
	while (__atomic_load_n(&rows.died[row], __ATOMIC_ACQUIRE) == SEARCH_NEVER)
		usleep(200);
	usleep(2000);
	follow();
	wait_shed();
	follow();
	search_get_row(&rows, row, after);
	ck_assert(rows_visible(&f.gallery->rows, row, old.epoch, old.row_count));
	ck_assert_mem_eq(before, after, DIM);
	gallery_release(f.gallery, &old);
	fixture_wait(wait, 1);
	fixture_wait_free(wait);
	/* Now it is wiped, and its block may go. */
	follow();
	search_get_row(&rows, row, after);
	ck_assert(after[0] == 0 && !memcmp(after, after + 1, DIM - 1));
	ck_values(copy);
	wait_shed();
	ck_assert_uint_eq(f.gallery->values.away_count, ROWS / 1024);
}
END_TEST

START_TEST(verified_by_the_store)
{
	struct gallery_snapshot now;
	struct gallery_probe probe;
	struct search_hit by_memory, by_store;
	struct gallery_request request = {.kind = GALLERY_VERIFY,
					  .query = &probe,
					  .snapshot = &now,
					  .hits = &by_store,
					  .subject = "s"};
	float x[DIM];

	fill();
	fixture_vector(5, vector_of[alive[1234]], DIM, x);
	ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &now), 0);
	ck_assert_int_eq(gallery_verify(f.gallery, &now, "s", &probe, &by_memory), 0);
	wait_shed();
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(by_store.id, alive[1234]);
	ck_assert_uint_eq(by_store.id, by_memory.id);
	ck_assert(by_store.s == by_memory.s);
	strcpy(request.subject, "nobody");
	ck_assert_int_eq(fixture_run(&f, &request), -ENOENT);
	gallery_release(f.gallery, &now);
}
END_TEST

/* The choice is on the disk. */
START_TEST(it_is_remembered)
{
	fill();
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert(gallery_spec(f.gallery)->no_host_copy);
	ck_values(f.gallery->rows.view.head_tiles);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("values");
	TCase *tcase = tcase_create("away");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, values_go_and_come_back);
	tcase_add_test(tcase, a_copy_follows_what_changes_meanwhile);
	tcase_add_test(tcase, what_the_copy_lacks_stays);
	tcase_add_test(tcase, a_dying_row_keeps_its_values);
	tcase_add_test(tcase, verified_by_the_store);
	tcase_add_test(tcase, it_is_remembered);
	suite_add_tcase(s, tcase);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
