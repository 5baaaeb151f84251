/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches that share passes: many queries at once, each with a k, tags and threshold of its own,
 * against the definition of kernels/ops.h written down again here.
 */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/rig.h"
#include "tests/suite.h"

#define DIM	 24
#define ROWS	 700
#define QUERIES	 120
#define K_MAX	 20
#define SUBJECTS 50

static struct rig rig;
static struct raw raw;
static char gallery[] = "staff";
static int8_t rows[ROWS][DIM], probes[QUERIES][DIM];
static uint64_t ids[ROWS], tags[ROWS];
static char names[ROWS][8];

/* ---- the definition ------------------------------------------------------------------------------ */
struct hit {
	float s;
	uint64_t id;
	int subject;
};

static float scale_of(const int8_t *x)
{
	double sum = 0;

	for (int i = 0; i < DIM; i++)
		sum += x[i] * x[i];
	return (float)(1 / sqrt(sum));
}

static int better(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	if (x->s != y->s)
		return x->s > y->s ? -1 : 1;
	return x->id < y->id ? -1 : 1;
}

static uint32_t expected(const Facet__Wire__Search *q, const int8_t *probe, struct hit *hits)
{
	bool seen[SUBJECTS] = {false};
	static struct hit all[ROWS];
	uint32_t n = 0, kept = 0;

	for (int r = 0; r < ROWS; r++) {
		int dot = 0;

		for (int i = 0; i < DIM; i++)
			dot += rows[r][i] * probe[i];
		if ((tags[r] & q->tag_mask) != q->tag_value)
			continue;
		all[n++] = (struct hit){(float)dot * scale_of(rows[r]), ids[r], r % SUBJECTS};
	}
	qsort(all, n, sizeof(*all), better);
	for (uint32_t i = 0; i < n && kept < q->k; i++) {
		if (q->has_threshold && all[i].s * scale_of(probe) < q->threshold)
			break;
		if (q->by_subject && seen[all[i].subject])
			continue;
		seen[all[i].subject] = true;
		hits[kept++] = all[i];
	}
	return kept;
}

/* ---- requests ------------------------------------------------------------------------------------ */
static void vectors_make(Facet__Wire__Probe *probe, Facet__Wire__Vectors *vectors,
			 Facet__Wire__Bulk *bulk, void *data, uint32_t count)
{
	facet__wire__probe__init(probe);
	facet__wire__vectors__init(vectors);
	facet__wire__bulk__init(bulk);
	bulk->data.data = data;
	bulk->data.len = count * DIM;
	vectors->count = count;
	vectors->dim = DIM;
	vectors->type = FACET__WIRE__TYPE__S8;
	vectors->data = bulk;
	probe->kind_case = FACET__WIRE__PROBE__KIND_VECTORS;
	probe->vectors = vectors;
}

static void gallery_fill(unsigned *seed)
{
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__GalleryCreate create = FACET__WIRE__GALLERY_CREATE__INIT;
	Facet__Wire__Space space = FACET__WIRE__SPACE__INIT;
	Facet__Wire__Enrol enrol = FACET__WIRE__ENROL__INIT;
	Facet__Wire__Bulk data, id = FACET__WIRE__BULK__INIT, tag = FACET__WIRE__BULK__INIT;
	Facet__Wire__Vectors vectors;
	Facet__Wire__Probe probe;
	char *subjects[ROWS];

	for (int r = 0; r < ROWS; r++) {
		for (int i = 0; i < DIM; i++)
			rows[r][i] = (int8_t)(rand_r(seed) % 5 - 2); /* few values: many ties */
		rows[r][0] = 1;
		ids[r] = 1 + (uint64_t)r * 7919 % ROWS;
		tags[r] = (uint64_t)rand_r(seed) % 4;
		snprintf(names[r], sizeof(names[r]), "s%d", r % SUBJECTS);
		subjects[r] = names[r];
	}
	space.name = (char *)"vectors";
	space.dim = DIM;
	create.name = gallery;
	create.space = &space;
	request.body_case = FACET__WIRE__REQUEST__BODY_GALLERY_CREATE;
	request.gallery_create = &create;
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text);
	vectors_make(&probe, &vectors, &data, rows, ROWS);
	id.data.data = (uint8_t *)ids;
	tag.data.data = (uint8_t *)tags;
	id.data.len = tag.data.len = sizeof(ids);
	enrol.gallery = gallery;
	enrol.probe = &probe;
	enrol.ids = &id;
	enrol.tags = &tag;
	enrol.subjects = subjects;
	enrol.n_subjects = ROWS;
	request.body_case = FACET__WIRE__REQUEST__BODY_ENROL;
	request.enrol = &enrol;
	ck_assert_msg(raw_code(&raw, &request, NULL, 0) == 0, "%s", rig_text);
}

static void query_make(Facet__Wire__Search *q, unsigned *seed)
{
	facet__wire__search__init(q);
	q->gallery = gallery;
	q->k = 1 + (uint32_t)rand_r(seed) % K_MAX;
	q->tag_mask = (uint64_t)rand_r(seed) % 3;
	q->tag_value = q->tag_mask & (uint64_t)rand_r(seed);
	q->has_threshold = rand_r(seed) % 3 == 0;
	q->threshold = 0.3f;
	q->by_subject = rand_r(seed) % 3 == 0;
	q->names = rand_r(seed) % 2;
}

static void reply_check(const Facet__Wire__Reply *reply, const Facet__Wire__Search *q,
			const int8_t *probe, int seed)
{
	struct hit hits[K_MAX];
	uint32_t count = expected(q, probe, hits);
	const Facet__Wire__SearchReply *s = reply->search;

	ck_assert_msg(!reply->error, "%s", reply->error ? reply->error->text : "");
	ck_assert_uint_eq(s->n_counts, 1);
	ck_assert_msg(s->counts[0] == count, "seed %d: %u hits, expected %u", seed, s->counts[0],
		      count);
	ck_assert_int_eq(s->decided, q->has_threshold);
	ck_assert_uint_eq(s->n_subjects, q->names ? count : 0);
	for (uint32_t i = 0; i < count; i++) {
		float score;
		uint64_t id;

		memcpy(&score, s->scores->data.data + i * 4, 4);
		memcpy(&id, s->ids->data.data + i * 8, 8);
		ck_assert_msg(id == hits[i].id, "seed %d: hit %u is %u, expected %u", seed, i,
			      (unsigned)id, (unsigned)hits[i].id);
		ck_assert(score == hits[i].s * scale_of(probe));
		if (q->names) {
			char name[8];

			snprintf(name, sizeof(name), "s%d", hits[i].subject);
			ck_assert_str_eq(s->subjects[i], name);
		}
	}
}

START_TEST(test_queries_of_a_pass_keep_their_own_parameters)
{
	static Facet__Wire__Search queries[QUERIES];
	unsigned seed = 31 + (unsigned)_i;

	rig_make(&rig, "[device cpu]\nthreads = 2\n[limits]\nslice_us = 100\nqueue = 1000\n");
	rig_start(&rig);
	raw_open(&raw, &rig);
	raw_hello(&raw);
	gallery_fill(&seed);
	for (unsigned n = 0; n < QUERIES; n++) {
		Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
		Facet__Wire__Bulk data;
		Facet__Wire__Vectors vectors;
		Facet__Wire__Probe probe;

		for (int i = 0; i < DIM; i++)
			probes[n][i] = (int8_t)(rand_r(&seed) % 7 - 3);
		probes[n][1] = 2;
		query_make(&queries[n], &seed);
		vectors_make(&probe, &vectors, &data, probes[n], 1);
		queries[n].probe = &probe;
		request.id = n;
		request.class_ = rand_r(&seed) % 2 ? FACET__WIRE__CLASS__BATCH
						   : FACET__WIRE__CLASS__INTERACTIVE;
		request.body_case = FACET__WIRE__REQUEST__BODY_SEARCH;
		request.search = &queries[n];
		ck_assert(raw_request(&raw, &request, NULL, 0));
	}
	for (unsigned n = 0; n < QUERIES; n++) {
		Facet__Wire__ServerFrame *frame = raw_next(&raw);

		ck_assert_ptr_nonnull(frame);
		ck_assert_uint_lt(frame->reply->id, QUERIES);
		reply_check(frame->reply, &queries[frame->reply->id], probes[frame->reply->id],
			    31 + _i);
		facet__wire__server_frame__free_unpacked(frame, NULL);
	}
	raw_close(&raw);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search");
	TCase *tcase = tcase_create("search");

	tcase_set_timeout(tcase, 40);
	tcase_add_loop_test(tcase, test_queries_of_a_pass_keep_their_own_parameters, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
