/* SPDX-License-Identifier: Apache-2.0 */
/* Scores and their limits, of every metric; float16 originals of any size. */
#include <check.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/gallery/internal.h"
#include "tests/gallery/fixture.h"

#define DIM 40

static struct fixture f;

static void make(enum search_metric metric)
{
	fixture_init(&f, DIM, metric);
	fixture_create(&f);
}

static void teardown(void)
{
	fixture_free(&f);
}

static bool passes(const struct gallery_probe *probe, float threshold, float s)
{
	float score = gallery_score(f.gallery, probe, s);

	return f.spec.space.metric == SEARCH_L2 ? score <= threshold : score >= threshold;
}

/* The limit passes and its lower neighbour does not. */
static void check_limit(const struct gallery_probe *probe, float threshold)
{
	float limit = gallery_limit(f.gallery, probe, threshold);

	ck_assert(!isnan(limit));
	if (limit == INFINITY) {
		ck_assert(!passes(probe, threshold, FLT_MAX));
		return;
	}
	ck_assert(passes(probe, threshold, limit));
	if (limit != -INFINITY)
		ck_assert(!passes(probe, threshold, nextafterf(limit, -INFINITY)));
}

START_TEST(limits_are_exact)
{
	static const float fixed[] = {0.0f,	-0.0f,	   1.0f,      -1.0f,	 0.3f,
				      INFINITY, -INFINITY, FLT_MIN,   -FLT_MIN,	 FLT_MAX,
				      -FLT_MAX, 1e-30f,	   0x1p-149f, -0x1p-149f};
	struct gallery_probe probe;
	float x[DIM];

	make((enum search_metric)_i);
	for (uint32_t i = 0; i < 200; i++) {
		fixture_vector(31, i, DIM, x);
		for (int d = 0; d < DIM; d++)
			x[d] *= ldexpf(1.0f, (int)(i % 40) - 20);
		ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), 0);
		for (size_t t = 0; t < sizeof(fixed) / sizeof(*fixed); t++)
			check_limit(&probe, fixed[t]);
		for (int t = 0; t < 50; t++)
			check_limit(&probe, ldexpf((float)(random() % 20001) / 10000.0f - 1.0f,
						   (int)(random() % 20) - 10));
		ck_assert(gallery_limit(f.gallery, &probe, NAN) == INFINITY);
	}
}
END_TEST

/* Against the cosine or the squared distance of the floats themselves. */
static void check_scores(enum search_metric metric)
{
	float x[DIM], y[DIM];
	uint64_t id = 0;
	struct search_hit hit;
	struct gallery_probe probe;

	make(metric);
	for (uint32_t i = 0; i < 50; i++) {
		double xy = 0, xx = 0, yy = 0, expected, got;

		fixture_vector(32, i, DIM, x);
		fixture_vector(33, i, DIM, y);
		for (int d = 0; d < DIM; d++) {
			x[d] += y[d] * 0.5f;
			xy += (double)x[d] * y[d], xx += (double)x[d] * x[d],
				yy += (double)y[d] * y[d];
		}
		id = 0;
		ck_assert_int_eq(fixture_enrol(&f, "y", y, 1, &id), 0);
		ck_assert_uint_eq(fixture_search(&f, x, 1, &hit), 1);
		ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), 0);
		got = gallery_score(f.gallery, &probe, hit.s);
		expected = metric == SEARCH_L2 ? xx + yy - 2 * xy : xy / sqrt(xx * yy);
		ck_assert_double_eq_tol(got, expected, 0.01);
		ck_assert_int_eq(fixture_delete(&f, id), 0);
	}
}

START_TEST(scores_of_cosine)
{
	check_scores(SEARCH_COSINE);
}
END_TEST

START_TEST(scores_of_l2)
{
	check_scores(SEARCH_L2);
}
END_TEST

START_TEST(hostile_probes)
{
	struct gallery_probe probe;
	float x[DIM] = {0};
	int8_t q[DIM] = {0};

	make(SEARCH_L2);
	ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), -EINVAL);
	ck_assert_int_eq(gallery_probe_s8(f.gallery, q, &probe), -EINVAL);
	x[3] = NAN;
	ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), -EINVAL);
	x[3] = INFINITY;
	ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), -EINVAL);
	x[3] = FLT_MAX;
	ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), -EINVAL); /* a step over 2^40 */
	x[3] = 1.0f;
	ck_assert_int_eq(gallery_probe_f32(f.gallery, x, &probe), 0);
	q[0] = -128;
	ck_assert_int_eq(gallery_probe_s8(f.gallery, q, &probe), 0);
	ck_assert_float_eq(probe.q_scale, 1.0f);
	ck_assert_float_eq(probe.q_norm2, 16384.0f);
}
END_TEST

START_TEST(too_large_for_l2)
{
	uint64_t id = 7;
	float x[DIM] = {0x1p100f, 1.0f};

	make(SEARCH_L2);
	ck_assert_int_eq(fixture_enrol(&f, "big", x, 1, &id), -EINVAL);
	x[0] = 0x1p30f;
	ck_assert_int_eq(fixture_enrol(&f, "big", x, 1, &id), 0);
}
END_TEST

START_TEST(dot_takes_int8)
{
	float x[DIM] = {1.0f};
	int8_t q[2 * DIM] = {3, -4};
	const char *subject = "d";
	uint64_t ids[2] = {0};
	struct gallery_probe probe;
	struct search_hit best;
	struct gallery_snapshot snapshot;
	struct gallery_request request = {.kind = GALLERY_ENROL,
					  .count = 2,
					  .f32 = x,
					  .ids = ids,
					  .subjects = &subject,
					  .subject_count = 1};

	make(SEARCH_DOT);
	ck_assert_int_eq(fixture_run(&f, &request), -EINVAL);
	request.f32 = NULL;
	request.s8 = q;
	q[DIM] = 100;
	ck_assert_int_eq(fixture_run(&f, &request), 0);
	ck_assert_int_eq(gallery_probe_s8(f.gallery, q, &probe), 0);
	ck_assert_int_eq(gallery_snapshot(f.gallery, &snapshot), 0);
	ck_assert_int_eq(gallery_verify(f.gallery, &snapshot, "d", &probe, &best), 0);
	gallery_release(f.gallery, &snapshot);
	ck_assert_uint_eq(best.id, 2);
	ck_assert_float_eq(gallery_score(f.gallery, &probe, best.s), 300.0f);
}
END_TEST

START_TEST(originals_of_any_size)
{
	const struct cpu_kernels *cpu = cpu_kernels_get(NULL);
	uint8_t packed[4 + 2 * DIM] __attribute__((aligned(2)));
	float x[DIM], back[DIM], step;
	int8_t q[DIM];

	fixture_init(&f, DIM, SEARCH_COSINE);
	for (int exponent = -118; exponent <= 126; exponent++) {
		float max = 0.0f;

		fixture_vector(34, (uint64_t)(exponent + 200), DIM, x);
		for (int d = 0; d < DIM; d++) {
			x[d] = ldexpf(x[d], exponent);
			max = fmaxf(max, fabsf(x[d]));
		}
		if (op_quantize_row(x, DIM, q, &step))
			continue;
		record_original_write(cpu, x, DIM, step, packed);
		ck_assert_int_eq(record_original_read(cpu, packed, sizeof(packed), DIM, back), 0);
		for (int d = 0; d < DIM; d++)
			ck_assert(fabsf(back[d] - x[d]) <= fabsf(x[d]) * 0x1p-11f + max * 0x1p-18f);
	}
	ck_assert_int_eq(record_original_read(cpu, packed, sizeof(packed) - 1, DIM, back),
			 -EBADMSG);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gallery probes");
	TCase *t = tcase_create("probes");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, limits_are_exact, 0, 3);
	tcase_add_test(t, hostile_probes);
	tcase_add_test(t, too_large_for_l2);
	tcase_add_test(t, dot_takes_int8);
	tcase_add_test(t, originals_of_any_size);
	suite_add_tcase(s, t);
	t = tcase_create("scores");
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, scores_of_cosine);
	tcase_add_test(t, scores_of_l2);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return fixture_main(argc, argv, suite);
}
