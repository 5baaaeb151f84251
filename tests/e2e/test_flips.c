/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits that flip on boards, one at a time, with everything checked: in what a board is given, in the
 * rows it keeps, in accumulators, in what it gives. Each is found, and no answer is wrong. 12 of a kind;
 * FACET_FLIPS, or 10,000 of all kinds with FACET_LONG.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/libfacet/facet.h"
#include "kernels/ref/ref.h"
#include "tests/e2e/rig.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#define DIM  64u
#define ROWS 3000u
#define K    5u
#define M    24u
#define N    20u
#define KIN  48u
#define SIDE 9u /* of the convolution's image */
#define OC   12u

#define ALL_CHECKED "check_every = 1\nreadback_every = 1\nchecksum_every = 1\n"
#define SUMS_ONLY   "check_every = 0\nreadback_every = 0\nchecksum_every = 1\n"

static struct rig rig;
static struct facet *c;
static struct rng rng;

/* ---- what is asked, and what is right ------------------------------------------------------------------- */
static float vector[DIM], scores[K];
static int64_t ids[K];
static int8_t a[M * KIN], b[N * KIN], image[SIDE * SIDE * KIN], weights[OC * 9 * KIN];
static int32_t sums[M * N];
static int8_t pixels[SIDE * SIDE * OC];
static float scale[OC];

static const struct facet_gemm gemm = {
	.size = sizeof(gemm), .m = M, .n = N, .k = KIN, .a = a, .b = b, .out = FACET_OUT_S32};
static const struct facet_conv2d conv = {
	.size = sizeof(conv),
	.n = 1,
	.h = SIDE,
	.w = SIDE,
	.c = KIN,
	.oc = OC,
	.kh = 3,
	.kw = 3,
	.groups = 1,
	.stride_h = 1,
	.stride_w = 1,
	.dilation_h = 1,
	.dilation_w = 1,
	.pad_top = 1,
	.pad_left = 1,
	.pad_bottom = 1,
	.pad_right = 1,
	.out = FACET_OUT_S8,
	.q = {.s_pos = scale, .s_neg = scale, .lo = -128, .hi = 127},
	.x = image,
	.weights = weights};

static bool search_right(void)
{
	float got[K];
	int64_t hit[K];

	ck_assert_msg(!facet_search(c, "g", 1, DIM, vector, K, NULL, got, hit), "%s",
		      facet_error(c)->text);
	return !memcmp(got, scores, sizeof(got)) && !memcmp(hit, ids, sizeof(hit));
}

static bool gemm_right(void)
{
	int32_t got[M * N];

	ck_assert_msg(!facet_gemm_s8(c, &gemm, got), "%s", facet_error(c)->text);
	return !memcmp(got, sums, sizeof(got));
}

static bool conv_right(void)
{
	int8_t got[SIDE * SIDE * OC];

	ck_assert_msg(!facet_conv2d_s8(c, &conv, got), "%s", facet_error(c)->text);
	return !memcmp(got, pixels, sizeof(got));
}

static void random_bytes(int8_t *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (int8_t)rng_below(&rng, 256);
}

static void make_gallery(void)
{
	const struct facet_gallery_params gallery = {
		.size = sizeof(gallery), .dim = DIM, .keep_int8_only = true};
	static float x[ROWS][DIM];
	const struct facet_probe probe = {
		.size = sizeof(probe), .count = ROWS, .dim = DIM, .data = x};
	const char *const subject = "someone";

	for (uint32_t i = 0; i < ROWS * DIM; i++)
		x[i / DIM][i % DIM] = (float)rng_below(&rng, 2001) - 1000;
	ck_assert_int_eq(facet_gallery_create(c, "g", &gallery), 0);
	ck_assert_msg(!facet_enrol(c, "g", &probe, &subject, 1, NULL, NULL, NULL), "%s",
		      facet_error(c)->text);
	memcpy(vector, x[17], sizeof(vector));
	ck_assert_int_eq(facet_search(c, "g", 1, DIM, vector, K, NULL, scores, ids), 0);
}

static void make_products(void)
{
	static const int32_t none[N + OC];
	const struct op_gemm g = {.m = M, .n = N, .k = KIN, .out = OP_OUT_S32};
	const struct op_conv2d v = {.n = 1,
				    .h = SIDE,
				    .w = SIDE,
				    .c = KIN,
				    .oc = OC,
				    .kh = 3,
				    .kw = 3,
				    .groups = 1,
				    .stride_h = 1,
				    .stride_w = 1,
				    .dilation_h = 1,
				    .dilation_w = 1,
				    .pad_top = 1,
				    .pad_left = 1,
				    .pad_bottom = 1,
				    .pad_right = 1,
				    .q = {scale, scale, 0, 0, 0, -128, 127}};

	for (uint32_t i = 0; i < OC; i++)
		scale[i] = 3e-4f;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	random_bytes(image, sizeof(image));
	random_bytes(weights, sizeof(weights));
	ck_assert_int_eq(ref_gemm(&g, a, b, none, NULL, sums), 0);
	ck_assert_int_eq(ref_conv2d(&v, image, weights, none, NULL, pixels), 0);
}

/* ---- the daemon's counters ------------------------------------------------------------------------------ */
struct counters {
	uint64_t faults, mismatches, resets;
	bool works;
};

static uint64_t value(const char *text, const char *series)
{
	const char *at = strstr(text, series);

	ck_assert_msg(at != NULL, "%s", series);
	return strtoull(at + strlen(series), NULL, 10);
}

static struct counters count(void)
{
	struct counters counters;
	struct facet_info *info;
	const char *t;

	ck_assert_int_eq(facet_info(c, FACET_INFO_METRICS, &info), 0);
	t = info->metrics;
	counters = (struct counters){
		.faults = value(t, "facet_device_faults_total{device=\"b0\"} "),
		.mismatches =
			value(t, "facet_mismatches_total{device=\"b0\",method=\"recomputed\"} ") +
			value(t, "facet_mismatches_total{device=\"b0\",method=\"readback\"} ") +
			value(t, "facet_mismatches_total{device=\"b0\",method=\"sums\"} "),
		.resets = value(t, "facet_device_resets_total{device=\"b0\"} "),
		.works = value(t, "facet_device_state{device=\"b0\",state=\"ok\"} ") ||
			 value(t, "facet_device_state{device=\"b0\",state=\"suspect\"} ")};
	facet_free(info);
	return counters;
}

/* It is quarantined after each mismatch, and tested before it works again, flips or not. */
static struct counters until_works(void)
{
	struct counters counters = count();

	for (int i = 0; !counters.works; i++) {
		ck_assert_int_lt(i, 20000);
		facet_device_change(c, "b0", FACET_DEVICE_ENABLE, NULL);
		usleep(500);
		counters = count();
	}
	return counters;
}

/* ---- one kind of flip ----------------------------------------------------------------------------------- */
static const struct setting {
	const char *what, *fault, *limits;
	bool (*right)(void);
} settings[] = {
	{"queries", "flip-in:ops=search", ALL_CHECKED, search_right},
	{"resident rows", "flip-rows:ops=search", ALL_CHECKED, search_right},
	{"hits", "flip-out:ops=search", ALL_CHECKED, search_right},
	{"inputs of gemm", "flip-in:ops=gemm", ALL_CHECKED, gemm_right},
	{"outputs of gemm", "flip-out:ops=gemm", ALL_CHECKED, gemm_right},
	{"outputs of conv2d", "flip-out:ops=conv2d", ALL_CHECKED, conv_right},
	{"accumulators of gemm", "flip-acc:ops=gemm", ALL_CHECKED, gemm_right},
	{"accumulators of gemm, by sums alone", "flip-acc:ops=gemm", SUMS_ONLY, gemm_right},
	{"accumulators of conv2d, by sums alone", "flip-acc:ops=conv2d", SUMS_ONLY, conv_right},
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static uint64_t flips_wanted(void)
{
	const char *flips = getenv("FACET_FLIPS");

	if (flips)
		return strtoull(flips, NULL, 10);
	return getenv("FACET_LONG") ? (10000 + SETTINGS - 1) / SETTINGS : 12;
}

static void start(const struct setting *setting, uint64_t seed)
{
	const struct facet_params params = {.size = sizeof(params)};
	char text[400];

	/* The self-test at the beginning is spared, so that there is a beginning. */
	snprintf(text, sizeof(text),
		 "[device cpu]\nthreads = 1\n"
		 "[device b0]\nkind = fault\nprefer = 1\nfault = %s,rate=1/2,after=3,seed=%llu\n"
		 "[limits]\n%s",
		 setting->fault, (unsigned long long)seed, setting->limits);
	rig_make(&rig, text);
	rig_start(&rig);
	ck_assert_int_eq(facet_connect(rig.socket, &params, &c), 0);
}

/* One request: how many flips there were in it, each of them found. */
static uint64_t ask(const struct setting *setting)
{
	struct counters before = until_works(), after;
	bool right = setting->right();
	uint64_t flips;

	after = count();
	ck_assert_msg(right, "a wrong answer came out");
	/* It was tested meanwhile, with flips that are not those of the request. */
	if (after.resets != before.resets)
		return 0;
	flips = after.faults - before.faults;
	ck_assert_msg(after.mismatches - before.mismatches == flips, "%llu of %llu flips found",
		      (unsigned long long)(after.mismatches - before.mismatches),
		      (unsigned long long)flips);
	return flips;
}

START_TEST(test_flips)
{
	const struct setting *setting = &settings[_i];
	uint64_t wanted = flips_wanted(), flips = 0, requests = 0;

	rng = (struct rng){(uint64_t)_i + 1};
	start(setting, (uint64_t)_i + 1);
	make_gallery();
	make_products();
	for (; flips < wanted; requests++) {
		/* It is preferred: a few are answered while it is in quarantine. */
		ck_assert_uint_lt(requests, 20 * wanted + 500);
		flips += ask(setting);
	}
	printf("%s: %llu flips in %llu requests, each found\n", setting->what,
	       (unsigned long long)flips, (unsigned long long)requests);
	facet_close(c);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bits that flip");
	TCase *tcase = tcase_create("flips");

	tcase_set_timeout(tcase, 3600);
	tcase_add_loop_test(tcase, test_flips, 0, SETTINGS);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
