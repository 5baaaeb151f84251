/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of every kind: what they answer, and what they refuse. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/gallery/fixture.h"

#define DIM 36

static struct fixture f;
static float vectors[4000 * DIM];

static void setup(void)
{
	fixture_init(&f, DIM, SEARCH_COSINE);
	fixture_create(&f);
	for (uint32_t i = 0; i < 4000; i++)
		fixture_vector(3, i, DIM, vectors + i * DIM);
}

static void teardown(void)
{
	fixture_free(&f);
}

static struct gallery_request enrol_request(uint32_t count, const char *const *subject,
					    uint64_t *ids)
{
	return (struct gallery_request){
		.kind = GALLERY_ENROL,
		.count = count,
		.f32 = vectors,
		.subjects = subject,
		.subject_count = 1,
		.ids = ids,
	};
}

static uint64_t templates(void)
{
	struct gallery_status status;

	gallery_status(f.gallery, &status);
	return status.templates;
}

static int enrol_named(const char *subject)
{
	uint64_t id = 0;
	struct gallery_request request = enrol_request(1, &subject, &id);

	return fixture_run(&f, &request);
}

START_TEST(names_are_checked)
{
	static const char *const good[] = {"a", "\xc3\x84", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					   "../x", " ",
					   /* the least and the largest of each length */
					   "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf",
					   "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"",
					  "\x01",
					  "a\nb",
					  "\x7f",
					  "\xc2\x85",
					  "\xc0\x80",
					  "\xe0\x80\x80",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\xff",
					  "\xc3",
					  "\xe2\x82",
					  "\xf8\x88\x80\x80\x80",
					  "\xc2\x9f",
					  "\xe0\x9f\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\x80",
					  "a\xc3(",
					  "\xed\xbf\xbf"};
	char name[GALLERY_SUBJECT_MAX + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_int_eq(enrol_named(good[i]), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_int_eq(enrol_named(bad[i]), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[GALLERY_SUBJECT_MAX + 1] = '\0';
	ck_assert_int_eq(enrol_named(name), -EINVAL);
	name[GALLERY_SUBJECT_MAX] = '\0';
	ck_assert_int_eq(enrol_named(name), 0);
	ck_assert_uint_eq(templates(), sizeof(good) / sizeof(*good) + 1);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(templates(), sizeof(good) / sizeof(*good) + 1);
}
END_TEST

START_TEST(bad_vectors_are_refused)
{
	static const float hostile[] = {NAN, INFINITY, -INFINITY};
	uint64_t ids[3] = {10, 11, 12};
	const char *subject = "x";
	struct gallery_request request = enrol_request(3, &subject, ids);
	int8_t zero[3 * DIM] = {1};

	for (size_t i = 0; i < 3; i++) {
		vectors[DIM + 5] = hostile[i];
		ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
		ck_assert_ptr_nonnull(strstr(request.text, "vector 1"));
	}
	memset(vectors + DIM, 0, DIM * sizeof(float));
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.f32 = NULL;
	request.s8 = zero;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.s8 = NULL;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	ck_assert_uint_eq(templates(), 0);
	zero[DIM] = 1, zero[2 * DIM] = -128;
	request.s8 = zero;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(templates(), 3);
}
END_TEST

START_TEST(counts_are_checked)
{
	uint64_t ids[3] = {0};
	const char *subjects[3] = {"a", "b", "c"};
	struct gallery_request request = enrol_request(3, subjects, ids);

	request.count = 0;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.count = 65537;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.count = 3;
	request.subject_count = 2;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.subject_count = 3;
	request.source_count = 2;
	request.sources = subjects;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.source_count = 3;
	request.has_key = true; /* a bad request is refused before it is looked up */
	request.ids = NULL;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.ids = ids;
	request.count = 1u << 31;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.count = 3;
	subjects[1] = NULL;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	subjects[1] = "b";
	ids[1] = (uint64_t)GALLERY_ID_MAX + 1;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	ids[1] = GALLERY_ID_MAX;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(ids[0], 1);
	ck_assert_uint_eq(ids[2], 2);
}
END_TEST

static void check_subject(const char *name, uint32_t count)
{
	struct gallery_request page = {.kind = GALLERY_SUBJECTS, .limit = 10};

	ck_assert_int_eq(fixture_run(&f, &page), 0);
	ck_assert_uint_eq(page.record_count, count != 0);
	if (count) {
		ck_assert_str_eq(page.records[0].subject, name);
		ck_assert_uint_eq(page.subject_templates[0], count);
	}
	gallery_request_clear(&page);
}

START_TEST(duplicates_are_refused_whole)
{
	uint64_t ids[4] = {5, 0, 5, 7};
	const char *subject = "dup";
	struct gallery_request request = enrol_request(4, &subject, ids);

	ck_assert_int_eq(fixture_run(&f, &request), -EEXIST);
	ck_assert_ptr_nonnull(strstr(request.text, "id 5 "));
	ck_assert_uint_eq(ids[1], 0);
	ck_assert_uint_eq(templates(), 0);
	check_subject("dup", 0);
	ck_assert(!fixture_has(&f, 5));
	ids[2] = 6;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(ids[1], 1);
	ids[0] = 8, ids[1] = 9, ids[2] = 10, ids[3] = 6;
	ck_assert_int_eq(fixture_run(&f, &request), -EEXIST);
	ck_assert_uint_eq(templates(), 4);
	ck_assert(!fixture_has(&f, 8));
	ck_assert_int_eq(fixture_delete(&f, 6), 0);
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(templates(), 7);
}
END_TEST

/* A request in the same commit as a bad one must not lose what they share. */
START_TEST(a_bad_neighbour_harms_nobody)
{
	struct fixture_wait *wait = fixture_wait_new();
	struct gallery_request requests[40];
	uint64_t ids[40][2];
	const char *subject = "shared";
	uint32_t good = 0;

	for (uint32_t i = 0; i < 40; i++) {
		ids[i][0] = 100 + i;
		ids[i][1] = i % 2 ? 100 + i : 200 + i; /* the odd ones name one id twice */
		requests[i] = enrol_request(2, &subject, ids[i]);
		fixture_submit(&f, &requests[i], wait);
	}
	fixture_wait(wait, 40);
	fixture_wait_free(wait);
	for (uint32_t i = 0; i < 40; i++) {
		ck_assert_int_eq(requests[i].error, i % 2 ? -EEXIST : 0);
		good += requests[i].error == 0;
	}
	ck_assert_uint_eq(templates(), 2 * good);
	check_subject("shared", 2 * good);
	for (uint32_t i = 0; i < 40; i += 2)
		ck_assert(fixture_has(&f, 100 + i) && fixture_has(&f, 200 + i));
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(templates(), 2 * good);
}
END_TEST

START_TEST(a_replay_gives_the_first_answer)
{
	uint64_t ids[5] = {0, 77, 0, 0, 88}, again[5] = {0, 77, 0, 0, 88}, taken = 2;
	const char *subject = "rep";
	struct gallery_request request = enrol_request(1, &subject, &taken);

	ck_assert_int_eq(fixture_run(&f, &request), 0); /* id 2: the numbering must step over it */
	request = enrol_request(5, &subject, ids);
	request.has_key = true;
	memset(request.key, 9, sizeof(request.key));
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert(!request.replayed);
	ck_assert_uint_eq(ids[0], 1);
	ck_assert_uint_eq(ids[2], 3);
	for (int round = 0; round < 2; round++) {
		uint64_t epoch = request.epoch;

		memcpy(again, (uint64_t[]){0, 77, 0, 0, 88}, sizeof(again));
		request.ids = again;
		ck_assert_int_eq(fixture_run(&f, &request), 0);
		ck_assert(request.replayed);
		ck_assert_uint_eq(request.templates, 5);
		ck_assert_uint_eq(request.epoch, epoch);
		ck_assert_mem_eq(ids, again, sizeof(ids));
		fixture_close(&f);
		ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	}
	ck_assert_uint_eq(templates(), 6);
	again[0] = 1234;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL); /* the key, another request */
	ck_assert_uint_eq(templates(), 6);
}
END_TEST

START_TEST(the_same_key_twice_at_once)
{
	struct fixture_wait *wait = fixture_wait_new();
	struct gallery_request requests[10];
	uint64_t ids[10][3] = {{0}};
	const char *subject = "twice";
	uint32_t first = 0;

	for (uint32_t i = 0; i < 10; i++) {
		requests[i] = enrol_request(3, &subject, ids[i]);
		requests[i].has_key = true;
		fixture_submit(&f, &requests[i], wait);
	}
	fixture_wait(wait, 10);
	fixture_wait_free(wait);
	for (uint32_t i = 0; i < 10; i++) {
		ck_assert_int_eq(requests[i].error, 0);
		ck_assert_mem_eq(ids[i], ids[0], sizeof(ids[0]));
		first += !requests[i].replayed;
	}
	ck_assert_uint_eq(first, 1);
	ck_assert_uint_eq(templates(), 3);
}
END_TEST

START_TEST(deletes)
{
	uint64_t ids[6] = {0}, gone[4] = {2, 3, 3, 999};
	const char *subjects[6] = {"a", "a", "b", "a", "c", "c"};
	struct gallery_request request = enrol_request(6, subjects, ids);

	request.subject_count = 6;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	request = (struct gallery_request){
		.kind = GALLERY_DELETE_TEMPLATES, .ids = gone, .count = 4, .dry_run = true};
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(request.templates, 2);
	ck_assert_uint_eq(request.subjects_out, 1);
	ck_assert(fixture_has(&f, 2));
	ck_assert_uint_eq(templates(), 6);
	request.dry_run = false;
	request.has_key = true;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(request.templates, 2);
	ck_assert(!fixture_has(&f, 2) && !fixture_has(&f, 3) && fixture_has(&f, 1));
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert(request.replayed);
	ck_assert_uint_eq(request.templates, 2);
	ck_assert_uint_eq(request.subjects_out, 1);
	ck_assert_int_eq(fixture_delete(&f, 2), -ENOENT);
	request = (struct gallery_request){.kind = GALLERY_DELETE_SUBJECT, .subject = "c"};
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(request.templates, 2);
	ck_assert_int_eq(fixture_run(&f, &request), -ENOENT);
	ck_assert_uint_eq(templates(), 2);
	memset(request.subject, 'x', sizeof(request.subject));
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(templates(), 2);
	ck_assert(fixture_has(&f, 1) && fixture_has(&f, 4) && !fixture_has(&f, 5));
}
END_TEST

static void enrol_tagged(uint32_t count, uint64_t *ids, uint64_t *tags, const char **subjects)
{
	struct gallery_request request = enrol_request(count, subjects, ids);
	static const char *source = "photo.jpg";

	for (uint32_t i = 0; i < count; i++) {
		ids[i] = 0;
		tags[i] = i * 3;
		subjects[i] = i % 3 == 0 ? "zero" : i % 3 == 1 ? "one" : "two";
	}
	request.subject_count = count;
	request.tags = tags;
	request.sources = &source;
	request.source_count = 1;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
}

START_TEST(export_gives_all_back)
{
	uint64_t ids[1000], tags[1000], seen = 0;
	const char *subjects[1000];
	struct gallery_request page = {.kind = GALLERY_EXPORT, .limit = 128, .more = true};

	enrol_tagged(1000, ids, tags, subjects);
	ck_assert_int_eq(fixture_delete(&f, ids[300]), 0);
	while (page.more) {
		ck_assert_int_eq(fixture_run(&f, &page), 0);
		for (uint32_t i = 0; i < page.record_count; i++) {
			const struct gallery_record *record = &page.records[i];
			uint64_t n = record->id - 1;

			ck_assert_uint_ne(n, 300);
			ck_assert_uint_eq(record->tags, n * 3);
			ck_assert_str_eq(record->subject, subjects[n]);
			ck_assert_str_eq(record->source, "photo.jpg");
			for (uint32_t d = 0; d < DIM; d++) /* float16 of what was given */
				ck_assert_float_eq_tol(
					page.vectors[i * DIM + d], vectors[n * DIM + d],
					fabsf(vectors[n * DIM + d]) * 0x1p-11f + 0x1p-25f);
			seen++;
		}
		gallery_request_clear(&page);
	}
	ck_assert_uint_eq(seen, 999);
	page.limit = 0;
	ck_assert_int_eq(fixture_run(&f, &page), -EINVAL);
	page.limit = 100000;
	ck_assert_int_eq(fixture_run(&f, &page), -EINVAL);
}
END_TEST

START_TEST(subjects_and_their_templates)
{
	uint64_t ids[100], tags[100], seen = 0;
	const char *subjects[100];
	struct gallery_request page = {.kind = GALLERY_SUBJECTS, .limit = 2};

	enrol_tagged(100, ids, tags, subjects);
	ck_assert_int_eq(fixture_run(&f, &page), 0);
	ck_assert_uint_eq(page.record_count, 2);
	ck_assert(page.more);
	ck_assert_str_eq(page.records[0].subject, "zero");
	ck_assert_uint_eq(page.subject_templates[0], 34);
	gallery_request_clear(&page);
	ck_assert_int_eq(fixture_run(&f, &page), 0);
	ck_assert_uint_eq(page.record_count, 1);
	ck_assert(!page.more);
	gallery_request_clear(&page);
	page = (struct gallery_request){
		.kind = GALLERY_SUBJECT, .subject = "one", .limit = 10, .more = true};
	while (page.more) {
		ck_assert_int_eq(fixture_run(&f, &page), 0);
		for (uint32_t i = 0; i < page.record_count; i++, seen++) {
			ck_assert_uint_eq(page.records[i].id % 3, 2);
			ck_assert_str_eq(page.records[i].subject, "one");
		}
		gallery_request_clear(&page);
	}
	ck_assert_uint_eq(seen, 33);
	strcpy(page.subject, "nobody");
	page.cursor = 0;
	ck_assert_int_eq(fixture_run(&f, &page), -ENOENT);
	gallery_request_clear(&page);
}
END_TEST

START_TEST(rerank_by_the_originals)
{
	uint64_t ids[300] = {0};
	struct search_hit hits[40];
	double scores[40], last = 2.0;
	struct gallery_request request = {.kind = GALLERY_RERANK, .hits = hits, .scores = scores};
	float x[DIM];

	ck_assert_int_eq(fixture_enrol(&f, "r", vectors, 300, ids), 0);
	fixture_vector(99, 0, DIM, x);
	request.probe = x;
	request.count = fixture_search(&f, x, 40, hits);
	ck_assert_uint_eq(request.count, 40);
	ck_assert_int_eq(fixture_delete(&f, hits[7].id), 0);
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_uint_eq(request.record_count, 39);
	ck_assert(isnan(scores[39]));
	for (uint32_t i = 0; i < 39; i++) {
		const float *y = vectors + (hits[i].id - 1) * DIM;
		double xy = 0, xx = 0, yy = 0;

		for (uint32_t d = 0; d < DIM; d++)
			xy += (double)x[d] * y[d], xx += (double)x[d] * x[d],
				yy += (double)y[d] * y[d];
		ck_assert(scores[i] <= last);
		ck_assert_double_eq_tol(scores[i], xy / sqrt(xx * yy), 1e-3);
		last = scores[i];
	}
	x[0] = NAN;
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
}
END_TEST

START_TEST(verify_takes_the_best)
{
	uint64_t ids[9] = {0};
	struct gallery_snapshot snapshot;
	struct gallery_probe probe;
	struct search_hit best;

	ck_assert_int_eq(fixture_enrol(&f, "v", vectors, 9, ids), 0);
	ck_assert_int_eq(fixture_enrol(&f, "w", vectors + 9 * DIM, 1, (uint64_t[]){0}), 0);
	ck_assert_int_eq(gallery_probe_f32(f.gallery, vectors + 4 * DIM, &probe), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &snapshot), 0);
	ck_assert_int_eq(gallery_verify(f.gallery, &snapshot, "v", &probe, &best), 0);
	ck_assert_uint_eq(best.id, 5);
	ck_assert_float_eq_tol(gallery_score(f.gallery, &probe, best.s), 1.0f, 1e-6f);
	ck_assert_int_eq(gallery_verify(f.gallery, &snapshot, "w", &probe, &best), 0);
	ck_assert_uint_eq(best.id, 10);
	ck_assert_int_eq(gallery_verify(f.gallery, &snapshot, "u", &probe, &best), -ENOENT);
	gallery_release(f.gallery, &snapshot);
	ck_assert_int_eq(fixture_delete(&f, 5), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &snapshot), 0);
	ck_assert_int_eq(gallery_verify(f.gallery, &snapshot, "v", &probe, &best), 0);
	ck_assert_uint_ne(best.id, 5);
	gallery_release(f.gallery, &snapshot);
}
END_TEST

START_TEST(int8_only_keeps_no_originals)
{
	struct gallery_request page = {.kind = GALLERY_EXPORT, .limit = 10};
	uint64_t id = 0;

	fixture_free(&f);
	fixture_init(&f, DIM, SEARCH_COSINE);
	f.spec.keep_int8_only = true;
	fixture_create(&f);
	ck_assert_int_eq(fixture_enrol(&f, "i", vectors, 1, &id), 0);
	ck_assert_int_eq(fixture_run(&f, &page), 0);
	ck_assert_uint_eq(page.record_count, 1);
	for (uint32_t d = 0; d < DIM; d++) /* within half a step of what was given */
		ck_assert_float_eq_tol(page.vectors[d], vectors[d], 0.5f / 127.0f / 5.9f);
	gallery_request_clear(&page);
}
END_TEST

START_TEST(the_map_grows)
{
	uint64_t *ids = calloc(4000, sizeof(*ids));
	char path[256];
	struct stat st;

	for (int i = 0; i < 90; i++) {
		memset(ids, 0, 4000 * sizeof(*ids));
		ck_assert_int_eq(fixture_enrol(&f, "m", vectors, 4000, ids), 0);
	}
	ck_assert_uint_eq(templates(), 360000);
	fixture_data_path(&f, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_gt(st.st_size, 68 << 20); /* the map began with 64 MiB */
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(templates(), 360000);
	free(ids);
}
END_TEST

static long file_has(const char *path, const void *bytes, size_t n)
{
	FILE *file = fopen(path, "r");
	char *all = malloc(64 << 20);
	size_t size = fread(all, 1, 64 << 20, file);
	long found = memmem(all, size, bytes, n) != NULL;

	fclose(file);
	free(all);
	return found;
}

START_TEST(compaction_purges)
{
	struct gallery_request request = {.kind = GALLERY_COMPACT};
	uint64_t ids[500] = {0}, more = 0;
	char path[256];

	fixture_data_path(&f, path);
	ck_assert_int_eq(fixture_enrol(&f, "stays", vectors, 500, ids), 0);
	ck_assert_int_eq(fixture_enrol(&f, "Mallory Unforgettable", vectors, 1, &more), 0);
	ck_assert(file_has(path, "Mallory Unforgettable", 21));
	ck_assert_int_eq(fixture_delete(&f, more), 0);
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert(!file_has(path, "Mallory", 7));
	ck_assert(file_has(path, "stays", 5));
	ck_assert(fixture_has(&f, ids[499]));
	more = 0;
	ck_assert_int_eq(fixture_enrol(&f, "after", vectors, 1, &more), 0);
	fixture_close(&f);
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	ck_assert_uint_eq(templates(), 501);
}
END_TEST

START_TEST(purged_in_time)
{
	uint64_t id = 0, stays = 0;
	char path[256];
	int tries = 0;

	fixture_free(&f);
	fixture_init(&f, DIM, SEARCH_COSINE);
	f.config.purge_seconds = 1;
	fixture_create(&f);
	fixture_data_path(&f, path);
	ck_assert_int_eq(fixture_enrol(&f, "stays", vectors, 1, &stays), 0);
	ck_assert_int_eq(fixture_enrol(&f, "Mallory", vectors, 1, &id), 0);
	ck_assert_int_eq(fixture_delete(&f, id), 0);
	fixture_close(&f); /* the date survives a restart */
	ck_assert_int_eq(fixture_open(&f), GALLERY_READY);
	while (file_has(path, "Mallory", 7) && tries++ < 100)
		usleep(50000);
	ck_assert_int_lt(tries, 100);
	ck_assert(fixture_has(&f, stays));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gallery requests");
	TCase *t = tcase_create("requests");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, names_are_checked);
	tcase_add_test(t, bad_vectors_are_refused);
	tcase_add_test(t, counts_are_checked);
	tcase_add_test(t, duplicates_are_refused_whole);
	tcase_add_test(t, a_bad_neighbour_harms_nobody);
	tcase_add_test(t, a_replay_gives_the_first_answer);
	tcase_add_test(t, the_same_key_twice_at_once);
	tcase_add_test(t, deletes);
	tcase_add_test(t, export_gives_all_back);
	tcase_add_test(t, subjects_and_their_templates);
	tcase_add_test(t, rerank_by_the_originals);
	tcase_add_test(t, verify_takes_the_best);
	tcase_add_test(t, int8_only_keeps_no_originals);
	tcase_add_test(t, the_map_grows);
	tcase_add_test(t, compaction_purges);
	tcase_add_test(t, purged_in_time);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
