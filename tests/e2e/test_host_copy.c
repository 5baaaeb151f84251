/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Galleries without a host copy, through a daemon: beside each there is a twin with one, on the same
 * boards, and every answer must be the twin's, whatever is enrolled, deleted and lost meanwhile.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/libfacet/facet.h"
#include "tests/e2e/rig.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#define DIM	64u
#define BATCH	1000u
#define BATCHES 60u
#define QUERIES 8u
#define K	7u

static struct rig rig;
static struct facet *c;
static struct rng rng;
static float vectors[BATCH][DIM];
static uint64_t ids[BATCH], last_id;

static void start(const char *settings)
{
	const struct facet_params params = {.size = sizeof(params)};

	rng = (struct rng){11};
	last_id = 0;
	rig_make(&rig, settings);
	rig_start(&rig);
	ck_assert_int_eq(facet_connect(rig.socket, &params, &c), 0);
}

static void stop(void)
{
	facet_close(c);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}

/* ---- both galleries -------------------------------------------------------------------------------------- */
static void make(void)
{
	struct facet_gallery_params gallery = {
		.size = sizeof(gallery), .dim = DIM, .keep_int8_only = true, .space = "s"};

	ck_assert_int_eq(facet_gallery_create(c, "twin", &gallery), 0);
	gallery.options = FACET_GALLERY_NO_HOST_COPY;
	ck_assert_int_eq(facet_gallery_create(c, "bare", &gallery), 0);
	gallery.options = 2;
	ck_assert_int_eq(facet_gallery_create(c, "other", &gallery), -FACET_EINVALID_ARGUMENT);
}

static void enrol(uint32_t count)
{
	static char names[BATCH][24];
	static const char *subjects[BATCH];
	const struct facet_enrol_params params = {.size = sizeof(params), .ids = ids};
	const struct facet_probe probe = {
		.size = sizeof(probe), .count = count, .dim = DIM, .data = vectors};

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t d = 0; d < DIM; d++)
			vectors[i][d] = (float)rng_below(&rng, 2001) - 1000;
		ids[i] = ++last_id;
		snprintf(names[i], sizeof(names[i]), "subject %llu",
			 (unsigned long long)(ids[i] % 997));
		subjects[i] = names[i];
	}
	for (int g = 0; g < 2; g++)
		ck_assert_msg(!facet_enrol(c, g ? "bare" : "twin", &probe, subjects, count, &params,
					   NULL, NULL),
			      "%s", facet_error(c)->text);
}

static void delete_some(uint32_t count)
{
	struct facet_deleted deleted = {.size = sizeof(deleted)};

	for (uint32_t i = 0; i < count; i++) {
		uint64_t id = 1 + rng_below(&rng, (uint32_t)last_id);
		int first = facet_template_delete(c, "twin", &id, 1, NULL, &deleted);

		ck_assert_int_eq(facet_template_delete(c, "bare", &id, 1, NULL, &deleted), first);
	}
}

static int search(const char *gallery, float scores[QUERIES][K], int64_t hits[QUERIES][K])
{
	return facet_search(c, gallery, QUERIES, DIM, vectors[0], K, NULL, scores[0], hits[0]);
}

static void ck_twins(void)
{
	float a[QUERIES][K], b[QUERIES][K];
	int64_t x[QUERIES][K], y[QUERIES][K];

	ck_assert_msg(!search("twin", a, x), "%s", facet_error(c)->text);
	ck_assert_msg(!search("bare", b, y), "%s", facet_error(c)->text);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_mem_eq(x, y, sizeof(x));
}

static void ck_verified(void)
{
	struct facet_verdict a = {.size = sizeof(a)}, b = a;
	const struct facet_probe probe = {
		.size = sizeof(probe), .count = 1, .dim = DIM, .data = vectors};
	char subject[24];

	snprintf(subject, sizeof(subject), "subject %llu", (unsigned long long)(ids[0] % 997));
	ck_assert_msg(!facet_verify(c, "twin", subject, &probe, NULL, &a), "%s",
		      facet_error(c)->text);
	ck_assert_msg(!facet_verify(c, "bare", subject, &probe, NULL, &b), "%s",
		      facet_error(c)->text);
	ck_assert(a.score == b.score && a.id == b.id);
	ck_assert_int_eq(facet_verify(c, "bare", "nobody", &probe, NULL, &b), -FACET_ENOT_FOUND);
}

/* ---- where its rows are ------------------------------------------------------------------------------------ */
static uint64_t resident(const char *gallery, char host[16])
{
	struct facet_galleries *list;
	uint64_t bytes;

	ck_assert_int_eq(facet_gallery_list(c, gallery, &list), 0);
	bytes = list->items[0].resident_bytes;
	snprintf(host, 16, "%s", list->items[0].host);
	facet_free(list);
	return bytes;
}

static void until_host(const char *wanted)
{
	char host[16] = "";

	for (int i = 0; i < 20000 && strcmp(host, wanted) != 0; i++) {
		resident("bare", host);
		usleep(500);
	}
	ck_assert_str_eq(host, wanted);
}

/* What can go has gone: the values, but for a block. */
static void until_shed(void)
{
	char host[16];
	uint64_t values = last_id * DIM, gone = 0;
	bool shed = false;

	for (int i = 0; i < 20000 && !shed; i++) {
		uint64_t with = resident("twin", host);

		gone = with - resident("bare", host);
		shed = !strcmp(host, "away") && gone >= values - 2048 * DIM;
		usleep(500);
	}
	ck_assert_msg(shed, "%s, %llu of %llu bytes gone", host, (unsigned long long)gone,
		      (unsigned long long)values);
}

static void change(const char *device, enum facet_device_action action)
{
	for (int i = 0; i < 5000 && facet_device_change(c, device, action, NULL); i++)
		usleep(1000);
}

/* ---- tests ------------------------------------------------------------------------------------------------ */
static const char *const settings[] = {
	"[device cpu]\nthreads = 1\n[device b0]\nkind = fault\n",
	"[device cpu]\nthreads = 1\n[device b0]\nkind = virtual\n",
	/* in shards, neither of which has room for all of it */
	"[device cpu]\nthreads = 1\n[device b0]\nkind = fault\nmemory = 7M\n"
	"[device b1]\nkind = fault\nmemory = 7M\n",
	/* a second copy that is always behind the first */
	"[device cpu]\nthreads = 1\n[device b0]\nkind = fault\n"
	"[device b1]\nkind = fault\nfault = delay:ms=10,ops=load\n",
	/* everything is checked, as far as it can be */
	"[device cpu]\nthreads = 1\n[device b0]\nkind = fault\n"
	"[limits]\ncheck_every = 1\nreadback_every = 1\n",
};

static void fill(void)
{
	make();
	for (uint32_t i = 0; i < BATCHES; i++)
		enrol(BATCH);
}

START_TEST(test_follows)
{
	start(settings[_i]);
	fill();
	if (_i == 2) { /* the twin would take the room */
		ck_assert_int_eq(facet_gallery_delete(c, "twin", NULL, NULL), 0);
		until_host("away");
		stop();
		return;
	}
	until_shed();
	for (int round = 0; round < 60; round++) {
		ck_twins();
		if (rng_below(&rng, 2))
			delete_some(1 + rng_below(&rng, 8));
		/* A delete waits for all copies: these are quicker than the slowest. */
		for (uint64_t more = rng_below(&rng, 4); more > 0; more--)
			enrol(1 + rng_below(&rng, 10));
	}
	ck_twins();
	ck_verified();
	stop();
}
END_TEST

/* Until it is read again: UNAVAILABLE and worth another try; then the CPU has it; then a board again. */
START_TEST(test_lost)
{
	float scores[QUERIES][K];
	int64_t hits[QUERIES][K];
	uint32_t refused = 0;
	int err;

	start(settings[0]);
	fill();
	for (int round = 0; round < 4; round++) {
		until_shed();
		change("b0", round % 2 ? FACET_DEVICE_REMOVE : FACET_DEVICE_RESET);
		while ((err = search("bare", scores, hits)) != 0) {
			ck_assert_int_eq(err, -FACET_EUNAVAILABLE);
			ck_assert(facet_error(c)->retryable && facet_error(c)->retry_after_ms > 0);
			refused++;
			usleep(500);
		}
		ck_twins();
		enrol(10);
		delete_some(5);
		ck_twins();
		change("b0", FACET_DEVICE_ENABLE);
	}
	ck_assert_uint_gt(refused, 0);
	until_shed();
	ck_twins();
	stop();
}
END_TEST

/* A second board that comes later gets its copy too, though the host has no rows. */
START_TEST(test_another_board)
{
	start("[device cpu]\nthreads = 1\n[device b0]\nkind = fault\n[device b1]\nkind = fault\n");
	change("b1", FACET_DEVICE_REMOVE);
	fill();
	until_shed();
	change("b1", FACET_DEVICE_ENABLE);
	for (int i = 0; i < 200; i++)
		ck_twins();
	until_shed();
	/* Now the first is not needed. */
	for (int i = 0; i < 5000; i++) {
		struct facet_devices *devices;
		bool copied = false;

		ck_assert_int_eq(facet_device_list(c, "b1", &devices), 0);
		for (uint32_t k = 0; k < devices->items[0].copy_count; k++)
			copied |= !strcmp(devices->items[0].copies[k].gallery, "bare") &&
				  devices->items[0].copies[k].current;
		facet_free(devices);
		if (copied)
			break;
		usleep(1000);
		ck_assert_int_lt(i, 4999);
	}
	change("b0", FACET_DEVICE_REMOVE);
	ck_twins();
	until_host("away");
	stop();
}
END_TEST

/* It outgrows its copy, which is made anew from rows that are read again. */
START_TEST(test_growth)
{
	start(settings[0]);
	make();
	for (uint32_t i = 0; i < 130; i++) {
		enrol(BATCH);
		if (i % 10 == 9)
			until_host("away");
	}
	until_shed();
	ck_twins();
	stop();
}
END_TEST

static void until_ready(void)
{
	bool ready = false;

	for (int i = 0; i < 20000 && !ready; i++) {
		struct facet_info *info;

		ck_assert_int_eq(facet_info(c, 0, &info), 0);
		ready = info->ready;
		facet_free(info);
		usleep(500);
	}
	ck_assert(ready);
}

/* A start finds all of it again. */
START_TEST(test_restart)
{
	const struct facet_params params = {.size = sizeof(params)};

	start(settings[0]);
	fill();
	until_shed();
	facet_close(c);
	ck_assert_int_eq(rig_end(&rig, SIGKILL), SIGKILL);
	rig_start(&rig);
	ck_assert_int_eq(facet_connect(rig.socket, &params, &c), 0);
	until_ready();
	until_shed();
	ck_twins();
	ck_verified();
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("galleries without a host copy");
	TCase *tcase = tcase_create("host copy");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, test_follows, 0, sizeof(settings) / sizeof(settings[0]));
	tcase_add_test(tcase, test_lost);
	tcase_add_test(tcase, test_another_board);
	tcase_add_test(tcase, test_growth);
	tcase_add_test(tcase, test_restart);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
