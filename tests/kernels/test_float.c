/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The float tail: each formula of the definition in 113 bits, rounded to single where the
 * definition rounds, and exp against the C library's long double.
 */
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef __float128 wide;

static float random_float(struct rng *r, float range)
{
	return (float)((double)rng_range(r, -(1 << 30), 1 << 30) * 0x1p-30 * range);
}

static float *random_floats(struct rng *r, size_t n, float range)
{
	float *x = fixture_alloc(n * sizeof(*x));

	for (size_t i = 0; i < n; i++)
		x[i] = random_float(r, range);
	return x;
}

static void expect_bits(const float *want, const float *got, size_t n, int seed)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(want + i, got + i, sizeof(float)))
			ck_abort_msg("%a instead of %a at %zu, seed %d", (double)got[i],
				     (double)want[i], i, seed);
}

/* ---- exp ----------------------------------------------------------------------------------- */

static float ref_exp(float x)
{
	const struct op_float p = {.kind = OP_FLOAT_EXP, .rows = 1, .cols = 1};
	float y;

	ck_assert_int_eq(ref_float(&p, &x, NULL, &y), 0);
	return y;
}

/* The definition again: range reduction, then the Taylor sum; every line rounds once. */
static float oracle_exp(float x)
{
	static const int factorial[] = {5040, 720, 120, 24, 6, 2};
	long n = lrint((double)(float)((wide)x * 1.44269504f));
	float r = (float)((wide)x - (wide)n * 0.693359375f), t, square;

	r = (float)(r - (wide)(float)((wide)n * -2.12194440e-4f));
	t = (float)((wide)1 / factorial[0]);
	for (int i = 1; i < 6; i++) {
		t = (float)((wide)t * r);
		t = (float)(t + (wide)(float)((wide)1 / factorial[i]));
	}
	t = (float)((wide)t * r);
	square = (float)((wide)t * r);
	t = (float)((wide)square + r);
	t = (float)((wide)t + 1);
	return (float)((wide)t * (wide)ldexpl(1, (int)n));
}

START_TEST(exp_is_its_definition)
{
	struct rng r = {(uint64_t)_i};

	for (int i = 0; i < 20000; i++) {
		float x = random_float(&r, i % 3 ? 86.0f : 1.0f), want = oracle_exp(x);
		float got = ref_exp(x);

		expect_bits(&want, &got, 1, _i);
	}
}
END_TEST

START_TEST(exp_is_accurate)
{
	double worst = 0;

	for (uint64_t bits = (uint64_t)_i; bits <= UINT32_MAX; bits += 9973) {
		uint32_t u = (uint32_t)bits;
		double e, ulp;
		float x;

		memcpy(&x, &u, sizeof(x));
		if (!(x < 88.722f && x > -104.0f))
			continue;
		e = (double)expl((long double)x);
		ulp = fmax(ldexp(1, ilogb(e) - 23), 0x1p-149);
		worst = fmax(worst, fabs((double)ref_exp(x) - e) / ulp);
	}
	ck_assert_double_lt(worst, 1.1);
}
END_TEST

START_TEST(exp_at_the_ends)
{
	ck_assert(isinf(ref_exp(89.0f)) && isinf(ref_exp(INFINITY)));
	ck_assert(isinf(ref_exp(88.75f)) && !isinf(ref_exp(88.7f)));
	ck_assert(ref_exp(-INFINITY) == 0 && ref_exp(-200.0f) == 0);
	ck_assert(ref_exp(-103.0f) == 0x1p-149f);
	ck_assert(isnan(ref_exp(NAN)));
	ck_assert(ref_exp(0.0f) == 1 && ref_exp(-0.0f) == 1);
}
END_TEST

/* ---- elementwise --------------------------------------------------------------------------- */

static float oracle_binary(enum op_float_kind kind, float a, float b)
{
	const wide x = a, y = b;
	const wide exact[] = {[OP_FLOAT_ADD] = x + y,
			      [OP_FLOAT_SUB] = x - y,
			      [OP_FLOAT_MUL] = x * y,
			      [OP_FLOAT_DIV] = x / y};

	return (float)exact[kind];
}

START_TEST(binary)
{
	struct rng r = {(uint64_t)_i};
	struct op_float p = {.kind = (enum op_float_kind)(_i % 4),
			     .rows = 1 + rng_below(&r, 20),
			     .cols = 1 + rng_below(&r, 30)};
	size_t n = p.rows * p.cols;
	float *a = random_floats(&r, n, 100), *b = random_floats(&r, n, 100);
	float *want = fixture_alloc(n * 4), *y = fixture_alloc(n * 4);

	p.b = _i / 4 % 4;
	for (size_t row = 0; row < p.rows; row++)
		for (size_t col = 0; col < p.cols; col++) {
			size_t i = row * p.cols + col;
			size_t at = p.b == OP_B_FULL	 ? i
				    : p.b == OP_B_ROW	 ? col
				    : p.b == OP_B_COLUMN ? row
							 : 0;

			want[i] = oracle_binary(p.kind, a[i], b[at]);
		}
	ck_assert_int_eq(ref_float(&p, a, b, y), 0);
	expect_bits(want, y, n, _i);
	/* In place. */
	ck_assert_int_eq(ref_float(&p, a, b, a), 0);
	expect_bits(want, a, n, _i);
	free(a);
	free(b);
	free(want);
	free(y);
}
END_TEST

START_TEST(sigmoid)
{
	struct op_float p = {.kind = OP_FLOAT_SIGMOID, .rows = 7, .cols = 300};
	struct rng r = {1};
	size_t n = p.rows * p.cols;
	float *x = random_floats(&r, n, 40), *y = fixture_alloc(n * 4);

	x[0] = 200;
	x[1] = -200;
	ck_assert_int_eq(ref_float(&p, x, NULL, y), 0);
	ck_assert(y[0] == 1 && y[1] == 0);
	for (size_t i = 2; i < n; i++) {
		float down = (float)(1 + (wide)oracle_exp(-x[i]));
		float want = (float)(1 / (wide)down);

		expect_bits(&want, y + i, 1, (int)i);
	}
	free(x);
	free(y);
}
END_TEST

/* The root is the single whose square is nearest, judged by exact squares of the midpoints. */
START_TEST(square_root)
{
	struct op_float p = {.kind = OP_FLOAT_SQRT, .rows = 1, .cols = 5000};
	struct rng r = {2};
	float *x = random_floats(&r, p.cols, 1000), *y = fixture_alloc(p.cols * 4);

	for (uint32_t i = 0; i < p.cols; i++)
		x[i] = fabsf(x[i]);
	ck_assert_int_eq(ref_float(&p, x, NULL, y), 0);
	for (uint32_t i = 0; i < p.cols; i++) {
		wide below = ((wide)y[i] + nextafterf(y[i], 0)) / 2;
		wide above = ((wide)y[i] + nextafterf(y[i], INFINITY)) / 2;

		ck_assert(x[i] >= below * below && x[i] <= above * above);
	}
	free(x);
	free(y);
}
END_TEST

/* ---- softmax ------------------------------------------------------------------------------- */

static void oracle_softmax(const float *x, uint32_t n, float *y)
{
	float top = -INFINITY, lane[16] = {0};

	for (uint32_t i = n; i-- > 0;)
		top = fmaxf(top, x[i]);
	for (uint32_t l = 0; l < 16; l++)
		for (uint32_t i = l; i < n; i += 16)
			lane[l] = (float)((wide)lane[l] + oracle_exp((float)((wide)x[i] - top)));
	for (uint32_t l = 0; l < 8; l++)
		lane[l] = (float)((wide)lane[l] + lane[l + 8]);
	for (uint32_t l = 0; l < 4; l++)
		lane[l] = (float)((wide)lane[l] + lane[l + 4]);
	lane[0] = (float)((wide)lane[0] + lane[2]);
	lane[1] = (float)((wide)lane[1] + lane[3]);
	lane[0] = (float)((wide)lane[0] + lane[1]);
	for (uint32_t i = 0; i < n; i++)
		y[i] = (float)((wide)oracle_exp((float)((wide)x[i] - top)) / lane[0]);
}

START_TEST(softmax)
{
	struct rng r = {(uint64_t)_i};
	struct op_float p = {.kind = OP_FLOAT_SOFTMAX,
			     .rows = 1 + rng_below(&r, 20),
			     .cols = 1 + rng_below(&r, 100)};
	size_t n = p.rows * p.cols;
	float *x = random_floats(&r, n, 20), *want = fixture_alloc(n * 4);

	for (size_t row = 0; row < p.rows; row++)
		oracle_softmax(x + row * p.cols, p.cols, want + row * p.cols);
	ck_assert_int_eq(ref_float(&p, x, NULL, x), 0);
	expect_bits(want, x, n, _i);
	free(x);
	free(want);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("float");
	TCase *t = tcase_create("float");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, exp_is_its_definition, 0, 3);
	tcase_add_loop_test(t, exp_is_accurate, 0, 2);
	tcase_add_test(t, exp_at_the_ends);
	tcase_add_loop_test(t, binary, 0, 32);
	tcase_add_test(t, sigmoid);
	tcase_add_test(t, square_root);
	tcase_add_loop_test(t, softmax, 0, 30);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
