/* SPDX-License-Identifier: Apache-2.0 */
/* What is in memory: tables against naive ones, snapshots, the end of rows. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/device/host_memory.h"
#include "daemon/gallery/internal.h"
#include "tests/gallery/fixture.h"

#define DIM 64

static struct fixture f;
static float vectors[2000 * DIM];

static void setup(void)
{
	fixture_init(&f, DIM, SEARCH_COSINE);
	fixture_create(&f);
	for (uint32_t i = 0; i < 2000; i++)
		fixture_vector(5, i, DIM, vectors + i * DIM);
}

static void teardown(void)
{
	fixture_free(&f);
}

static void setup_shared(void)
{
	host_memory_want();
	setup();
}

static uint64_t random_state = 12345;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static bool same_value(const void *context, uint32_t value)
{
	return *(const uint32_t *)context == value;
}

/* Few different hashes, the highest among them, so that runs are long and wrap around the end. */
static uint32_t hash_of(uint32_t value)
{
	return value % 7 == 0 ? UINT32_MAX - value % 3 : value * 2654435761u;
}

START_TEST(index_against_a_plain_array)
{
	static bool in[5000];
	struct index index;
	uint64_t used = 0;

	ck_assert_int_eq(index_init(&index), 0);
	for (int i = 0; i < 200000; i++) {
		uint32_t value = random_below(5000);
		uint32_t found = index_find(&index, hash_of(value), same_value, &value);

		ck_assert_uint_eq(found, in[value] ? value : INDEX_NONE);
		if (in[value]) {
			index_remove(&index, hash_of(value), value);
		} else {
			ck_assert_int_eq(index_room(&index, 1, NULL), 0);
			index_insert(&index, hash_of(value), value);
		}
		in[value] = !in[value];
		used += in[value] ? 1 : -1;
		ck_assert_uint_eq(index.used, used);
		ck_assert_uint_le(index.used * 4, index.size * 3);
	}
	index_free(&index);
}
END_TEST

START_TEST(a_snapshot_sees_its_time)
{
	struct gallery_snapshot before, after;
	struct search_query query = {.k = 1};
	struct gallery_probe probe;
	uint64_t ids[10] = {0};

	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 10, ids), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &before), 0);
	memset(ids, 0, sizeof(ids));
	ck_assert_int_eq(fixture_enrol(&f, "s", vectors + 10 * DIM, 10, ids), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &after), 0);
	ck_assert_int_eq(gallery_probe_f32(f.gallery, vectors, &probe), 0);
	gallery_query(f.gallery, &probe, &before, &query);
	ck_assert_uint_eq(query.rows, 10);
	gallery_query(f.gallery, &probe, &after, &query);
	ck_assert_uint_eq(query.rows, 20);
	for (uint32_t r = 0; r < 20; r++) {
		ck_assert_int_eq(rows_visible(&f.gallery->rows, r, before.epoch, 20), r < 10);
		ck_assert(rows_visible(&f.gallery->rows, r, after.epoch, 20));
	}
	gallery_release(f.gallery, &before);
	gallery_release(f.gallery, &after);
}
END_TEST

struct holder {
	struct gallery_snapshot snapshot;
	bool released;
};

static void *release_later(void *argument)
{
	struct holder *holder = argument;

	usleep(200000);
	__atomic_store_n(&holder->released, true, __ATOMIC_SEQ_CST);
	gallery_release(f.gallery, &holder->snapshot);
	return NULL;
}

START_TEST(a_delete_waits_for_those_who_see_it)
{
	struct holder holder = {.released = false};
	struct search_hit best;
	struct gallery_probe probe;
	uint64_t ids[3] = {0};
	pthread_t thread;

	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 3, ids), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &holder.snapshot), 0);
	ck_assert_int_eq(gallery_probe_f32(f.gallery, vectors, &probe), 0);
	pthread_create(&thread, NULL, release_later, &holder);
	ck_assert_int_eq(fixture_delete(&f, ids[0]), 0);
	ck_assert(__atomic_load_n(&holder.released, __ATOMIC_SEQ_CST));
	pthread_join(thread, NULL);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &holder.snapshot), 0);
	ck_assert_int_eq(gallery_verify(f.gallery, &holder.snapshot, "s", &probe, &best), 0);
	ck_assert_uint_ne(best.id, ids[0]);
	gallery_release(f.gallery, &holder.snapshot);
}
END_TEST

/* A slot wiped while a search runs is not filled anew until that search has ended. */
START_TEST(slots_rest_while_a_search_runs)
{
	struct gallery_snapshot during;
	const struct rows *rows = &f.gallery->rows;
	uint64_t ids[64] = {0}, more[64] = {0};

	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 64, ids), 0);
	ck_assert_int_eq(fixture_delete(&f, ids[5]), 0);
	ck_assert_int_eq(fixture_enrol(&f, "s", vectors + 64 * DIM, 1, more), 0);
	ck_assert_uint_eq(rows_by_id(rows, more[0]), 5); /* nobody looked: used again */
	ck_assert_int_eq(gallery_snapshot(f.gallery, &during), 0);
	gallery_release(f.gallery, &during);
	ck_assert_int_eq(fixture_delete(&f, ids[6]), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &during),
			 0); /* after the delete: free already */
	ck_assert_int_eq(fixture_enrol(&f, "s", vectors + 65 * DIM, 1, more + 1), 0);
	ck_assert_uint_eq(rows_by_id(rows, more[1]), 6);
	/* `during` sees not the new row; row 6 was wiped before it began */
	ck_assert(!rows_visible(rows, 6, during.epoch, during.row_count));
	gallery_release(f.gallery, &during);
}
END_TEST

START_TEST(wiped_slots_rest)
{
	struct snapshots snapshots;
	uint64_t rows, old, young, generation, stamp;
	uint32_t epoch;

	snapshots_init(&snapshots);
	snapshots_publish(&snapshots, 1, 10);
	ck_assert_int_eq(snapshots_hold(&snapshots, &epoch, &rows, &old), 0);
	snapshots_publish(&snapshots, 2, 20);
	stamp = snapshots_stamp(&snapshots);
	ck_assert_int_eq(snapshots_hold(&snapshots, &epoch, &rows, &young), 0);
	ck_assert_uint_eq(epoch, 2);
	ck_assert_uint_eq(rows, 20);
	snapshots_oldest(&snapshots, &epoch, &generation);
	ck_assert_uint_eq(epoch, 1);
	ck_assert_uint_lt(generation, stamp);
	ck_assert(snapshots_release(&snapshots, old));
	snapshots_oldest(&snapshots, &epoch, &generation);
	ck_assert_uint_eq(epoch, 2);
	ck_assert_uint_ge(generation, stamp);
	ck_assert(snapshots_release(&snapshots, young));
	snapshots_oldest(&snapshots, &epoch, &generation);
	ck_assert_uint_eq(generation, UINT64_MAX);
	snapshots_free(&snapshots);
}
END_TEST

/* A snapshot that older than the wipe keeps the slot from being used, one by one with a model. */
START_TEST(no_slot_is_used_under_an_old_snapshot)
{
	struct gallery_snapshot old;
	struct fixture_wait *wait = fixture_wait_new();
	uint64_t ids[32] = {0}, more[8] = {0}, gone = 0;
	struct gallery_request request = {
		.kind = GALLERY_DELETE_TEMPLATES, .ids = &gone, .count = 1};

	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 32, ids), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &old), 0);
	gone = ids[9];
	fixture_submit(&f, &request, wait);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(fixture_enrol(&f, "s", vectors + (40 + i) * DIM, 1, more + i), 0);
	ck_assert(rows_visible(&f.gallery->rows, 9, old.epoch, old.row_count));
	ck_assert(!rows_visible(&f.gallery->rows, 9, old.epoch + 1, old.row_count));
	ck_assert_uint_eq(f.gallery->rows.view.id[9], ids[9]);
	for (int i = 0; i < 8; i++)
		ck_assert_uint_ge(rows_by_id(&f.gallery->rows, more[i]), 32);
	gallery_release(f.gallery, &old);
	fixture_wait(wait, 1);
	fixture_wait_free(wait);
	ck_assert_int_eq(request.error, 0);
	ck_assert_uint_eq(f.gallery->rows.view.id[9], 0);
	more[0] = 0;
	ck_assert_int_eq(fixture_enrol(&f, "s", vectors + 60 * DIM, 1, more), 0);
	ck_assert_uint_eq(rows_by_id(&f.gallery->rows, more[0]), 9);
}
END_TEST

static bool part_has(const struct reserve *part, const void *bytes, size_t n)
{
	return part->grown && memmem(part->base, part->grown, bytes, n) != NULL;
}

static bool memory_has(const void *bytes, size_t n)
{
	const struct gallery *g = f.gallery;
	bool found = part_has(&g->subjects.arena, bytes, n);

	for (int i = 0; i < ROWS_PARTS; i++)
		found = found || part_has(&g->rows.part[i], bytes, n);
	return found || (g->group->x_room && memmem(g->group->x, g->group->x_room * DIM, bytes, n));
}

START_TEST(deleted_is_wiped)
{
	struct gallery_request request = {.kind = GALLERY_DELETE_SUBJECT,
					  .subject = "Mallory Zzyzx"};
	uint64_t ids[40] = {0}, id = UINT64_C(0x1badcafedeadbee5);
	uint8_t tile[4];
	int8_t row[DIM];

	ck_assert_int_eq(fixture_enrol(&f, "others", vectors, 40, ids), 0);
	ck_assert_int_eq(fixture_enrol(&f, "Mallory Zzyzx", vectors + 41 * DIM, 1, &id), 0);
	ck_assert(memory_has("Mallory Zzyzx", 13));
	ck_assert(memory_has(&id, 8));
	search_get_row(&f.gallery->rows.view, 40, row);
	memcpy(tile, f.gallery->rows.view.head_tiles + 2 * 16 * DIM + 8 * 4, 4);
	ck_assert_int_eq((int8_t)(tile[0] - 128), row[0]);
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert(!memory_has("Mallory", 7) && !memory_has("Zzyzx", 5));
	ck_assert(!memory_has(&id, 8));
	search_get_row(&f.gallery->rows.view, 40, row);
	for (int d = 0; d < DIM; d++)
		ck_assert_int_eq(row[d], 0);
	ck_assert(f.gallery->rows.view.scale[40] == 0.0f);
	ck_assert_int_eq(fixture_enrol(&f, "others", vectors + 41 * DIM, 1, &id), 0);
}
END_TEST

struct searcher {
	bool stop;
	uint64_t searches, bad;
};

/* Searches while others enrol and delete: only whole templates, each under its own name. */
static void *search_on(void *argument)
{
	struct searcher *searcher = argument;
	struct search_hit hits[4];

	while (!__atomic_load_n(&searcher->stop, __ATOMIC_RELAXED)) {
		uint32_t i = (uint32_t)(searcher->searches++ % 500);
		uint32_t n = fixture_search(&f, vectors + i * DIM, 4, hits);

		for (uint32_t h = 0; h < n; h++) /* ids carry the number of their vector */
			if (hits[h].id % 1000 != i && hits[h].s > 0.999f * 127.0f * 6.0f)
				searcher->bad++;
		if (n && hits[0].s <= 0.0f)
			searcher->bad++;
	}
	return NULL;
}

START_TEST(searches_beside_writers)
{
	struct searcher searcher = {.stop = false};
	uint64_t ids[500], gone[250];
	pthread_t thread;

	pthread_create(&thread, NULL, search_on, &searcher);
	for (uint64_t round = 0; round < 40; round++) {
		struct gallery_request request = {
			.kind = GALLERY_DELETE_TEMPLATES, .ids = gone, .count = 250};

		for (uint32_t i = 0; i < 500; i++) {
			ids[i] = (round + 1) * 1000 + i;
			if (i % 2)
				gone[i / 2] = ids[i];
		}
		ck_assert_int_eq(fixture_enrol(&f, "w", vectors, 500, ids), 0);
		ck_assert_int_eq(fixture_run(&f, &request), 0);
		ck_assert_uint_eq(request.templates, 250);
		if (round) {
			for (uint32_t i = 0; i < 250; i++)
				gone[i] = round * 1000 + i * 2;
			ck_assert_int_eq(fixture_run(&f, &request), 0);
		}
	}
	__atomic_store_n(&searcher.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(searcher.searches, 0);
	ck_assert_uint_eq(searcher.bad, 0);
	ck_assert_uint_le(f.gallery->rows.high, 3000); /* slots were used again */
}
END_TEST

static void set_epoch(uint32_t epoch)
{
	pthread_mutex_lock(&f.gallery->snapshots.lock);
	f.gallery->epoch = f.gallery->snapshots.epoch = epoch;
	pthread_mutex_unlock(&f.gallery->snapshots.lock);
}

START_TEST(epochs_begin_again)
{
	uint64_t ids[10] = {0}, more = 0;

	ck_assert_int_eq(fixture_enrol(&f, "e", vectors, 10, ids), 0);
	ck_assert_int_eq(fixture_delete(&f, ids[3]), 0);
	set_epoch(UINT32_MAX - (1u << 19));
	ck_assert_int_eq(fixture_enrol(&f, "e", vectors + 10 * DIM, 1, &more), 0);
	ck_assert_uint_lt(f.gallery->epoch, 10);
	ck_assert(fixture_has(&f, more) && fixture_has(&f, ids[0]) && !fixture_has(&f, ids[3]));
	ck_assert_int_eq(fixture_delete(&f, more), 0);
	ck_assert(!fixture_has(&f, more) && fixture_has(&f, ids[9]));
}
END_TEST

/* Without a moment free of snapshots by itself: the writer makes one before the epochs run out. */
START_TEST(epochs_begin_again_under_load)
{
	uint64_t ids[2] = {0}, more = 0;
	const char *subject = "e";
	struct gallery_request request = {.kind = GALLERY_ENROL,
					  .count = 1,
					  .f32 = vectors + 2 * DIM,
					  .subjects = &subject,
					  .subject_count = 1,
					  .ids = &more};
	struct fixture_wait *wait = fixture_wait_new();
	struct gallery_snapshot held, next;
	int err;

	ck_assert_int_eq(fixture_enrol(&f, "e", vectors, 2, ids), 0);
	set_epoch(UINT32_MAX - 2);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &held), 0);
	fixture_submit(&f, &request, wait);
	while (!(err = gallery_snapshot(f.gallery, &next))) {
		ck_assert(!fixture_wait_over(wait));
		gallery_release(f.gallery, &held);
		held = next;
	}
	ck_assert_int_eq(err, -EAGAIN);
	ck_assert(!fixture_wait_over(wait));
	gallery_release(f.gallery, &held);
	fixture_wait(wait, 1);
	fixture_wait_free(wait);
	ck_assert_int_eq(request.error, 0);
	ck_assert_uint_lt(f.gallery->epoch, 10);
	ck_assert(fixture_has(&f, more) && fixture_has(&f, ids[0]));
}
END_TEST

START_TEST(names_are_kept_compactly)
{
	struct subjects subjects;
	char name[GALLERY_SUBJECT_MAX + 1];
	uint32_t id[200];
	uint64_t used = 0;

	ck_assert_int_eq(subjects_init(&subjects), 0);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 200; i++) {
			ck_assert_int_eq(subjects_room(&subjects, 1), 0);
			memset(name, 'a' + i % 26, sizeof(name));
			snprintf(name + i % 100, sizeof(name) - (size_t)(i % 100), "%d.%d", round,
				 i);
			id[i] = subjects_get(&subjects, name);
			ck_assert_uint_eq(subjects_get(&subjects, name), id[i]);
			ck_assert_str_eq(subjects_name(&subjects, id[i]), name);
		}
		for (int i = 0; i < 200; i++) {
			subjects_drop_empty(&subjects, id[i]);
		}
		if (round == 9)
			used = subjects.arena_used;
		ck_assert_uint_eq(subjects.names.used, 0);
	}
	ck_assert_uint_eq(subjects.high, 200);
	ck_assert_uint_le(subjects.arena_used, used + 200 * 8);
	subjects_free(&subjects);
}
END_TEST

/* A subject of many templates is deleted without memory for their vectors. */
START_TEST(a_delete_takes_no_room_for_vectors)
{
	struct gallery_request request = {.kind = GALLERY_DELETE_SUBJECT, .subject = "s"};

	for (int i = 0; i < 10; i++) {
		uint64_t ids[500] = {0};

		ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 500, ids), 0);
	}
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(request.templates, 5000);
	ck_assert_uint_lt(f.gallery->group->x_room, 5000);
}
END_TEST

START_TEST(a_subject_page_beside_a_delete)
{
	struct gallery *g = f.gallery;
	struct gallery_request delete = {.kind = GALLERY_DELETE_SUBJECT, .subject = "a"};
	struct gallery_request page = {.kind = GALLERY_SUBJECT, .subject = "a", .limit = 20};
	struct fixture_wait *wait = fixture_wait_new();
	struct gallery_snapshot held;
	struct gallery_status status;

	for (uint32_t i = 0; i < 20; i++) { /* row i has sequence i + 1 */
		uint64_t id = 0;

		ck_assert_int_eq(fixture_enrol(&f, i % 2 ? "b" : "a", vectors, 1, &id), 0);
	}
	ck_assert_int_eq(gallery_snapshot(g, &held), 0);
	fixture_submit(&f, &delete, wait);
	do
		gallery_status(g, &status);
	while (status.templates != 10);
	/* A page that took its snapshot just before the delete: the rows are in a list by now. */
	snapshots_publish(&g->snapshots, held.epoch, held.row_count);
	ck_assert_int_eq(fixture_run(&f, &page), 0);
	for (uint32_t i = 0; i < page.record_count; i++)
		ck_assert_str_eq(page.records[i].subject, "a");
	gallery_request_clear(&page);
	snapshots_publish(&g->snapshots, held.epoch + 1, held.row_count);
	gallery_release(g, &held);
	fixture_wait(wait, 1);
	fixture_wait_free(wait);
}
END_TEST

/* A delete again, by its key or by its id, says no sooner that the template is gone. */
START_TEST(a_repeated_delete_waits_as_well)
{
	uint64_t ids[2] = {0};
	struct gallery_request request[3] = {0};
	struct fixture_wait *wait[3];
	struct gallery_snapshot held;

	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 2, ids), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &held), 0);
	for (int i = 0; i < 3; i++) {
		wait[i] = fixture_wait_new();
		request[i].kind = GALLERY_DELETE_TEMPLATES;
		request[i].count = 1;
		request[i].ids = ids;
		request[i].has_key = i < 2;
		fixture_submit(&f, &request[i], wait[i]);
	}
	usleep(100000);
	for (int i = 0; i < 3; i++)
		ck_assert(!fixture_wait_over(wait[i]));
	gallery_release(f.gallery, &held);
	for (int i = 0; i < 3; i++) {
		fixture_wait(wait[i], 1);
		ck_assert_int_eq(request[i].error, i < 2 ? 0 : -ENOENT);
		ck_assert_int_eq(request[i].replayed, i == 1);
		fixture_wait_free(wait[i]);
	}
}
END_TEST

/* What a driver would read through the memfd is what searches read. */
static void is_below(const void *at, size_t bytes)
{
	uint8_t *read = malloc(bytes);
	uint64_t offset;
	int fd;

	ck_assert(host_memory_find(at, bytes, &fd, &offset));
	ck_assert_int_eq(pread(fd, read, bytes, (off_t)offset), (ssize_t)bytes);
	ck_assert(!memcmp(read, at, bytes));
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
	free(read);
}

START_TEST(rows_that_boards_read)
{
	const struct search_rows *rows = &f.gallery->rows.view;
	uint64_t ids[200] = {0}, offset;
	const uint8_t *tiles;
	int fd;

	ck_assert_int_eq(fixture_enrol(&f, "s", vectors, 200, ids), 0);
	is_below(rows->head_tiles, 200 * DIM);
	is_below(rows->head_tiles + DIM, 7 * DIM);
	is_below(rows->scale, 200 * sizeof(float));
	is_below(rows->born, 200 * 4);
	is_below(rows->died, 200 * 4);
	is_below(rows->tags, 200 * 8);
	ck_assert(!host_memory_find(rows->id, 8, &fd, &offset)); /* no board has these */
	ck_assert(!host_memory_find(vectors, 8, &fd, &offset));
	ck_assert(!host_memory_find(rows->head_tiles, SIZE_MAX, &fd, &offset));
	ck_assert(!host_memory_find(rows->head_tiles - 1, 2, &fd, &offset));
	tiles = rows->head_tiles;
	fixture_close(&f);
	ck_assert(!host_memory_find(tiles, 1, &fd, &offset));
}
END_TEST

START_TEST(ranges_come_and_go)
{
	uint8_t *at[3];
	uint64_t offset;
	int fd;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(host_memory_map(8192, 1 << 21, &at[i]), 0);
		ck_assert_uint_eq((uintptr_t)at[i] % (1 << 21), 0);
		ck_assert_int_eq(mprotect(at[i], 8192, PROT_READ | PROT_WRITE), 0);
		ck_assert_int_eq(at[i][8191], 0);
	}
	ck_assert(host_memory_find(at[1] + 4096, 4096, &fd, &offset));
	ck_assert_uint_eq(offset, 4096);
	ck_assert(!host_memory_find(at[1] + 4096, 4097, &fd, &offset));
	host_memory_unmap(at[1]);
	ck_assert(!host_memory_find(at[1], 1, &fd, &offset));
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* closed */
	ck_assert(host_memory_find(at[0], 8192, &fd, &offset));
	ck_assert(host_memory_find(at[2], 8192, &fd, &offset));
	host_memory_unmap(at[0]);
	host_memory_unmap(at[2]);
	host_memory_unmap(NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gallery memory");
	TCase *t = tcase_create("memory"), *shared = tcase_create("shared");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, index_against_a_plain_array);
	tcase_add_test(t, a_snapshot_sees_its_time);
	tcase_add_test(t, a_delete_waits_for_those_who_see_it);
	tcase_add_test(t, a_delete_takes_no_room_for_vectors);
	tcase_add_test(t, a_subject_page_beside_a_delete);
	tcase_add_test(t, a_repeated_delete_waits_as_well);
	tcase_add_test(t, slots_rest_while_a_search_runs);
	tcase_add_test(t, wiped_slots_rest);
	tcase_add_test(t, no_slot_is_used_under_an_old_snapshot);
	tcase_add_test(t, deleted_is_wiped);
	tcase_add_test(t, searches_beside_writers);
	tcase_add_test(t, epochs_begin_again);
	tcase_add_test(t, epochs_begin_again_under_load);
	tcase_add_test(t, names_are_kept_compactly);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(shared, setup_shared, teardown);
	tcase_set_timeout(shared, 60);
	tcase_add_test(shared, rows_that_boards_read);
	tcase_add_test(shared, ranges_come_and_go);
	tcase_add_test(shared, deleted_is_wiped);
	tcase_add_test(shared, wiped_slots_rest);
	tcase_add_test(shared, searches_beside_writers);
	suite_add_tcase(s, shared);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
