/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_driver ROOT CHECKER ROUNDS SEED: works on the gallery "staff" under powershim.so: enrolments
 * and deletes in flight at once, now and then a compaction. The template with id N is
 * fixture_vector(21, N); what is acknowledged is noted in the record.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gallery/fixture.h"
#include "tests/gallery/tools/power.h"

#define DIM    32
#define FLIGHT 6
#define BATCH  24

struct batch {
	struct gallery_request request;
	float x[BATCH * DIM];
	uint64_t ids[BATCH];
};

static power_note_fn *note;

static void note_all(const uint64_t *ids, uint32_t count, enum power_fact fact)
{
	struct power_note notes[BATCH] = {0};

	for (uint32_t i = 0; i < count; i++)
		notes[i] = (struct power_note){ids[i], fact, 0};
	note(notes, count);
}

static void enrol(struct fixture *f, struct batch *batch, uint64_t *next, struct fixture_wait *wait)
{
	static const char *const subjects[] = {"ann", "ben", "cid", "dora"};
	uint32_t count = 1 + (uint32_t)random() % BATCH;

	for (uint32_t i = 0; i < count; i++) {
		batch->ids[i] = ++*next;
		fixture_vector(21, *next, DIM, batch->x + i * DIM);
	}
	batch->request = (struct gallery_request){
		.kind = GALLERY_ENROL,
		.count = count,
		.f32 = batch->x,
		.ids = batch->ids,
		.subjects = &subjects[random() % 4],
		.subject_count = 1,
		.has_key = true,
	};
	memcpy(batch->request.key, next, sizeof(*next));
	fixture_submit(f, &batch->request, wait);
}

static void delete_half(struct fixture *f, struct batch *batch, struct fixture_wait *wait)
{
	uint32_t count = (batch->request.count + 1) / 2;

	note_all(batch->ids, count, POWER_DELETING);
	batch->request = (struct gallery_request){
		.kind = GALLERY_DELETE_TEMPLATES, .count = count, .ids = batch->ids};
	fixture_submit(f, &batch->request, wait);
}

static void must(const struct gallery_request *request)
{
	if (!request->error)
		return;
	fprintf(stderr, "power_driver: %s\n", request->text);
	exit(1);
}

static void round_of(struct fixture *f, struct batch *batches, uint64_t *next)
{
	struct fixture_wait *wait = fixture_wait_new();
	uint32_t done = FLIGHT;

	for (uint32_t b = 0; b < FLIGHT; b++)
		enrol(f, &batches[b], next, wait);
	fixture_wait(wait, done);
	for (uint32_t b = 0; b < FLIGHT; b++) {
		must(&batches[b].request);
		note_all(batches[b].ids, batches[b].request.count, POWER_ENROLLED);
	}
	for (uint32_t b = 0; b < FLIGHT; b += 2)
		delete_half(f, &batches[b], wait);
	fixture_wait(wait, done + FLIGHT / 2);
	for (uint32_t b = 0; b < FLIGHT; b += 2) {
		must(&batches[b].request);
		note_all(batches[b].ids, batches[b].request.count, POWER_DELETED);
	}
	fixture_wait_free(wait);
}

int main(int argc, char **argv)
{
	struct gallery_request compact = {.kind = GALLERY_COMPACT};
	struct batch *batches = calloc(FLIGHT, sizeof(*batches));
	struct fixture f = {.config = {.disk_reserve = 1}};
	uint64_t next = 0;
	int rounds;

	note = (power_note_fn *)dlsym(RTLD_DEFAULT, "power_note");
	if (argc != 5 || !note || !batches) {
		fprintf(stderr,
			"usage: LD_PRELOAD=powershim.so power_driver ROOT CHECKER ROUNDS SEED\n");
		return 2;
	}
	f.config.root = argv[1];
	f.config.checker = argv[2];
	rounds = atoi(argv[3]);
	srandom((unsigned int)atoi(argv[4]));
	strcpy(f.spec.space.name, "bare");
	f.spec.space.dim = DIM;
	fixture_create(&f);
	for (int i = 0; i < rounds; i++) {
		round_of(&f, batches, &next);
		if (i % 16 != 11)
			continue;
		fixture_run(&f, &compact);
		must(&compact);
	}
	fixture_close(&f);
	free(batches);
	return 0;
}
