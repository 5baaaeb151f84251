/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boards that hang, fail, vanish and are pulled out of service under load, round after round (60;
 * FACET_ROUNDS or, with FACET_LONG, 1,000): every request is right, or is refused in words that allow a
 * repetition, within its deadline; and the daemon is as large afterwards as before.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/libfacet/facet.h"
#include "kernels/ref/ref.h"
#include "tests/e2e/rig.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#define DIM	 64u
#define ROWS	 20000u
#define QUERIES	 32u
#define K	 5u
#define CLIENTS	 3
#define PRODUCTS 4
#define SIDE	 96u /* of a product's matrices */
#define DEADLINE UINT64_C(20000000000)
#ifdef __SANITIZE_ADDRESS__ /* keeps what was freed */
#define GROWN_KIB (1024 * 1024)
#else
#define GROWN_KIB 16384 /* that a daemon may have */
#endif

/* Boards and what is wrong with them; a round is one batch that failed on one of them. */
static const char settings[] =
	"[device cpu]\nthreads = 1\n"
	"[device hangs]\nkind = fault\nprefer = 1\ntimeout_ms = 2000\n"
	"fault = hang:rate=1/60,ms=30;fail:rate=1/50\n"
	"[device goes]\nkind = fault\nprefer = 1\n"
	"fault = gone:rate=1/80;fail:rate=1/90\n"
	"[device board]\nkind = virtual\ntimeout_ms = 2000\n"
	"select = fail:after=400,every=70;lost-irq:every=40;unit-stop:after=400,every=150\n"
	"[limits]\ncheck_every = 50\nchecksum_every = 10\nslice_us = 1000\n";

static struct rig rig;
static float vectors[QUERIES][DIM];
static float scores[QUERIES][K];
static int64_t ids[QUERIES][K];
static int8_t left[PRODUCTS][SIDE * SIDE], right[PRODUCTS][SIDE * SIDE];
static int32_t sums[PRODUCTS][SIDE * SIDE];

struct client {
	pthread_t thread;
	struct facet *c;
	struct rng rng;
	uint64_t right, repeatable, wrong, other;
	char text[300]; /* of the first that may not be repeated */
};
static atomic_bool stop;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct facet *connect_to(void)
{
	const struct facet_params params = {.size = sizeof(params)};
	const struct facet_call call = {.size = sizeof(call), .timeout_ns = DEADLINE};
	struct facet *c;

	ck_assert_int_eq(facet_connect(rig.socket, &params, &c), 0);
	facet_defaults(c, &call);
	return c;
}

/* ---- what is asked, and what is right ------------------------------------------------------------------- */
static void random_vector(struct rng *rng, float *x)
{
	for (uint32_t i = 0; i < DIM; i++)
		x[i] = (float)rng_below(rng, 2001) - 1000;
}

static void fill_gallery(struct facet *c)
{
	const struct facet_gallery_params gallery = {
		.size = sizeof(gallery), .dim = DIM, .keep_int8_only = true};
	static float x[1000][DIM];
	const struct facet_probe probe = {
		.size = sizeof(probe), .count = 1000, .dim = DIM, .data = x};
	const char *const subject = "someone";
	struct rng rng = {7};

	ck_assert_int_eq(facet_gallery_create(c, "g", &gallery), 0);
	for (uint32_t done = 0; done < ROWS; done += 1000) {
		for (uint32_t i = 0; i < 1000; i++)
			random_vector(&rng, x[i]);
		ck_assert_msg(!facet_enrol(c, "g", &probe, &subject, 1, NULL, NULL, NULL), "%s",
			      facet_error(c)->text);
		if (done / 1000 < QUERIES)
			memcpy(vectors[done / 1000], x[done / 1000 * 7], sizeof(vectors[0]));
	}
	for (uint32_t i = ROWS / 1000; i < QUERIES; i++)
		random_vector(&rng, vectors[i]);
	/* Before a board has anything of it: the answers of the CPU. */
	for (uint32_t i = 0; i < QUERIES; i++)
		ck_assert_int_eq(
			facet_search(c, "g", 1, DIM, vectors[i], K, NULL, scores[i], ids[i]), 0);
}

static void make_products(void)
{
	const struct op_gemm op = {.m = SIDE, .n = SIDE, .k = SIDE, .out = OP_OUT_S32};
	static const int32_t bias[SIDE];
	struct rng rng = {9};

	for (int p = 0; p < PRODUCTS; p++) {
		for (uint32_t i = 0; i < SIDE * SIDE; i++) {
			left[p][i] = (int8_t)rng_below(&rng, 256);
			right[p][i] = (int8_t)rng_below(&rng, 256);
		}
		ck_assert_int_eq(ref_gemm(&op, left[p], right[p], bias, NULL, sums[p]), 0);
	}
}

/* ---- clients ------------------------------------------------------------------------------------------------ */
static int search(struct client *client, bool *same)
{
	uint32_t first = rng_below(&client->rng, QUERIES), n = 1 + rng_below(&client->rng, 6);
	float got[6][K];
	int64_t hit[6][K];
	int err;

	n = n < QUERIES - first ? n : QUERIES - first;
	err = facet_search(client->c, "g", n, DIM, vectors[first], K, NULL, got[0], hit[0]);
	*same = !memcmp(hit, ids[first], n * sizeof(hit[0])) &&
		!memcmp(got, scores[first], n * sizeof(got[0]));
	return err;
}

static int product(struct client *client, bool *same)
{
	uint32_t p = rng_below(&client->rng, PRODUCTS);
	int32_t got[SIDE * SIDE];
	const struct facet_gemm g = {.size = sizeof(g),
				     .m = SIDE,
				     .n = SIDE,
				     .k = SIDE,
				     .a = left[p],
				     .b = right[p],
				     .out = FACET_OUT_S32};
	int err = facet_gemm_s8(client->c, &g, got);

	*same = !memcmp(got, sums[p], sizeof(got));
	return err;
}

static void judge(struct client *client, int err, bool same, uint64_t begun)
{
	const struct facet_error *error = facet_error(client->c);

	if (!err && same) {
		client->right++;
	} else if (!err) {
		client->wrong++;
	} else if (error->retryable && now() - begun < DEADLINE) {
		client->repeatable++;
		usleep(error->retry_after_ms * 1000);
	} else {
		if (!client->other++)
			snprintf(client->text, sizeof(client->text), "%d: %s", error->code,
				 error->text);
	}
}

static void *load(void *argument)
{
	struct client *client = argument;

	while (!stop) {
		uint64_t begun = now();
		bool same;
		int err =
			rng_below(&client->rng, 3) ? search(client, &same) : product(client, &same);

		judge(client, err, same, begun);
	}
	return NULL;
}

/* ---- the operator ------------------------------------------------------------------------------------------ */
static uint64_t look_after(struct facet *c, struct rng *rng)
{
	struct facet_devices *devices;
	uint64_t failed = 0;

	ck_assert_msg(!facet_device_list(c, NULL, &devices), "%s", facet_error(c)->text);
	for (uint32_t i = 0; i < devices->count; i++) {
		const struct facet_device *d = &devices->items[i];

		if (!strcmp(d->name, "cpu"))
			continue;
		failed += d->failed;
		/* What is gone stays away until it is taken out and put in again. */
		if (!strcmp(d->state, "dead"))
			facet_device_change(c, d->name, FACET_DEVICE_REMOVE, NULL);
		else if (!d->works)
			facet_device_change(c, d->name, FACET_DEVICE_ENABLE, NULL);
		else if (!rng_below(rng, 100))
			facet_device_change(
				c, d->name,
				rng_below(rng, 2) ? FACET_DEVICE_RESET : FACET_DEVICE_DRAIN, NULL);
	}
	facet_free(devices);
	return failed;
}

/* Taken out, a board holds nothing. One that is just being opened is not taken out yet. */
static bool is_out(struct facet *c, const struct facet_device *d)
{
	if (strcmp(d->state, "removed") && strcmp(d->state, "absent")) {
		facet_device_change(c, d->name, FACET_DEVICE_REMOVE, NULL);
		return false;
	}
	return !d->works && !d->memory_used && !d->copy_count && !d->queued;
}

static void all_out(struct facet *c)
{
	char last[200] = "";

	for (int i = 0; i < 3000; i++) {
		struct facet_devices *devices;
		bool out = true;

		ck_assert_int_eq(facet_device_list(c, NULL, &devices), 0);
		for (uint32_t d = 0; d < devices->count; d++)
			if (strcmp(devices->items[d].name, "cpu") &&
			    !is_out(c, &devices->items[d])) {
				out = false;
				snprintf(last, sizeof(last), "%.40s is %.40s: %.100s",
					 devices->items[d].name, devices->items[d].state,
					 devices->items[d].text);
			}
		facet_free(devices);
		if (out)
			return;
		usleep(10000);
	}
	ck_abort_msg("%s", last);
}

static uint64_t rounds_wanted(void)
{
	const char *rounds = getenv("FACET_ROUNDS");

	return rounds ? strtoull(rounds, NULL, 10) : getenv("FACET_LONG") ? 1000 : 60;
}

/* Until so many batches have failed on boards, ever. */
static void run_rounds(struct facet *c, uint64_t until)
{
	static uint64_t told;
	struct rng rng = {13};
	uint64_t done;

	do {
		usleep(3000);
		done = look_after(c, &rng);
		if (done / 100 > told) {
			told = done / 100;
			printf("%llu rounds\n", (unsigned long long)done);
			fflush(stdout);
		}
	} while (done < until);
}

/* Under load, which ends; then all boards are taken out. */
static void rounds(struct facet *c, uint64_t until, struct client *sum)
{
	static struct client clients[CLIENTS];

	stop = false;
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){.c = connect_to(), .rng = {100 + (uint64_t)i}};
		ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, load, &clients[i]), 0);
	}
	run_rounds(c, until);
	stop = true;
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		facet_close(clients[i].c);
		ck_assert_msg(!clients[i].other, "%s", clients[i].text);
		sum->right += clients[i].right;
		sum->wrong += clients[i].wrong;
		sum->repeatable += clients[i].repeatable;
	}
	all_out(c);
}

START_TEST(test_rounds)
{
	uint64_t wanted = rounds_wanted();
	struct client sum = {0};
	struct facet *c;
	unsigned fds;
	long kib, grown;

	rig_make(&rig, settings);
	rig_start(&rig);
	c = connect_to();
	all_out(c);
	fill_gallery(c);
	make_products();
	rounds(c, wanted / 4, &sum); /* by then it has what it needs */
	fds = rig_fds(&rig);
	kib = rig_resident_kib(&rig);
	rounds(c, wanted, &sum);
	grown = rig_resident_kib(&rig) - kib;
	printf("%llu rounds: %llu right, %llu to be repeated, %llu wrong; %+ld KiB\n",
	       (unsigned long long)wanted, (unsigned long long)sum.right,
	       (unsigned long long)sum.repeatable, (unsigned long long)sum.wrong, grown);
	ck_assert_uint_eq(sum.wrong, 0);
	ck_assert_uint_gt(sum.right, wanted);
	ck_assert_int_lt(grown, GROWN_KIB);
	ck_assert_uint_le(rig_fds(&rig), fds);
	facet_close(c);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boards that fail, round after round");
	TCase *tcase = tcase_create("rounds");

	tcase_set_timeout(tcase, 3600);
	tcase_add_test(tcase, test_rounds);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
