/* SPDX-License-Identifier: Apache-2.0 */
/* Templates to int8 and float16: the definition against exact arithmetic, then every instruction
 * set against the definition. */
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static float float_of(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static uint32_t bits_of(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static void random_row(uint64_t *state, float *x, uint32_t dim)
{
	float size = ldexpf(1.0f, (int)(next_random(state) % 200) - 100);

	for (uint32_t i = 0; i < dim; i++)
		x[i] = ((float)(next_random(state) >> 40) * 0x1p-23f - 1.0f) * size;
}

/* The integer nearest to a / b, ties to even, in exact arithmetic: a and b are floats, so |a| - n |b|
 * and its double fit in 113 bits for the small quotients here. */
static int nearest(float a, float b)
{
	__float128 x = fabsf(a), y = b;
	int n = (int)(x / y);

	while ((__float128)n * y > x)
		n--;
	while ((__float128)(n + 1) * y <= x)
		n++;
	if (2 * (x - n * y) > y || (2 * (x - n * y) == y && n % 2))
		n++;
	return a < 0 ? -n : n;
}

/* The quotient is rounded to a float before it is rounded to an integer, so next to a tie both
 * neighbours may be right; only there. */
static bool is_rounded(int8_t q, float x, float step)
{
	__float128 quotient = (__float128)x / step, off = quotient - q;

	return q == nearest(x, step) || (off < 0 ? -off : off) - 0.5 < 1e-5;
}

START_TEST(ref_quantize_is_right)
{
	uint64_t state = 3;
	float x[512], step;
	int8_t q[512];

	for (int round = 0; round < 2000; round++) {
		uint32_t dim = 1 + (uint32_t)(next_random(&state) % 512);
		float max = 0;

		random_row(&state, x, dim);
		for (uint32_t i = 0; i < dim; i++)
			max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
		ck_assert_int_eq(op_quantize_row(x, dim, q, &step), 0);
		ck_assert_float_eq(step, (float)((double)max / 127.0));
		for (uint32_t i = 0; i < dim; i++)
			ck_assert(is_rounded(q[i], x[i], step));
	}
}
END_TEST

/* step = 1: the quotients are exact, ties are seen as such. */
START_TEST(ties_go_to_even)
{
	static const float x[] = {127,	 0.5f,	 1.5f,	  2.5f,	 -0.5f,	      -1.5f,
				  -2.5f, 126.5f, -126.5f, -127,	 0.49999997f, 0.50000006f,
				  -3.5f, 4.5f,	 5.5f,	  -4.5f, 64.5f};
	static const int8_t expected[] = {127,	0, 2, 2,  0, -2, -2, 126, -126,
					  -127, 0, 1, -4, 4, 6,	 -4, 64};
	int8_t q[17];
	float step;

	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		ck_assert_int_eq((*k)->quantize_row(x, 17, q, &step), 0);
		ck_assert_float_eq(step, 1.0f);
		ck_assert_mem_eq(q, expected, sizeof(expected));
	}
}
END_TEST

START_TEST(cpu_quantize_is_the_same)
{
	uint64_t state = 17;
	float x[600], step, other_step;
	int8_t q[600], other[601];

	for (int round = 0; round < 3000; round++) {
		uint32_t dim = 1 + (uint32_t)(next_random(&state) % 600);

		random_row(&state, x, dim);
		ck_assert_int_eq(ref_quantize_row(x, dim, q, &step), 0);
		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
			other[dim] = 99;
			ck_assert_int_eq((*k)->quantize_row(x, dim, other, &other_step), 0);
			ck_assert_float_eq(step, other_step);
			ck_assert_mem_eq(q, other, dim);
			ck_assert_int_eq(other[dim], 99);
		}
	}
}
END_TEST

static void assert_quantize(const float *x, uint32_t dim, int answer)
{
	int8_t q[64];
	float step;

	ck_assert_int_eq(op_quantize_row(x, dim, q, &step), answer);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		ck_assert_int_eq((*k)->quantize_row(x, dim, q, &step), answer);
}

START_TEST(bad_templates_are_refused)
{
	static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};

	for (uint32_t at = 0; at < 40; at++)
		for (size_t i = 0; i < 4; i++) {
			float x[40] = {1.0f, 2.0f};

			x[at] = bad[i];
			assert_quantize(x, 40, -EINVAL);
		}
	assert_quantize((float[40]){0}, 40, -EINVAL);
	assert_quantize((float[1]){1.0f}, 0, -EINVAL);
	assert_quantize((float[1]){1.0f}, OP_DIM_MAX + 1, -EINVAL);
	assert_quantize((float[1]){127 * FLT_MIN}, 1, 0);
	assert_quantize((float[1]){126 * FLT_MIN}, 1, -EINVAL);
	assert_quantize((float[1]){190 * 0x1p-149f}, 1, -EINVAL);
	assert_quantize((float[1]){-FLT_MAX}, 1, 0);
}
END_TEST

START_TEST(cosine_scale)
{
	static const int8_t x[] = {3, -4, 0}, y[] = {-128};
	int8_t z[1024];

	memset(z, -128, sizeof(z));
	ck_assert_float_eq(op_cosine_scale(x, 3), 0.2f);
	ck_assert_float_eq(op_cosine_scale(y, 1), 0x1p-7f);
	ck_assert_float_eq(op_cosine_scale(z, 1024), 0x1p-12f);
}
END_TEST

/* ---- float16 ---- */

/* What a half is worth, by its definition. */
static double half_value(uint32_t half)
{
	int exponent = half >> 10 & 31;
	double mantissa = half & 1023;

	return exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
}

/* The nearest half by walking over all of them: the last not above, or the one after it. */
static uint32_t nearest_half(float x)
{
	double a = fabs((double)x), low, high;
	uint32_t least = 0, past = 0x7c00;

	while (past - least > 1) {
		uint32_t middle = (least + past) / 2;

		if (half_value(middle) <= a)
			least = middle;
		else
			past = middle;
	}
	low = half_value(least);
	high = half_value(least + 1); /* 65,536 past the largest, where infinity begins */
	if (a - low > high - a || (a - low == high - a && least % 2))
		least++;
	return least | (signbit(x) ? 0x8000u : 0);
}

START_TEST(ref_to_half_is_right)
{
	uint64_t state = 23;

	for (int i = 0; i < 400000; i++) {
		uint32_t bits = (uint32_t)next_random(&state);
		uint16_t half;
		float x;

		if (i % 2) /* in the range of halves, on and next to ties */
			bits = (bits & 0x8fffffffu) + 0x30000000u;
		if (i % 4 == 3)
			bits = (bits & ~0xfffu) + (uint32_t)(i / 4 % 3) - 1;
		x = float_of(bits);
		if (isnan(x) || isinf(x))
			continue;
		ref_to_half(&x, 1, &half);
		ck_assert_msg(half == nearest_half(x), "%a: %04x", x, half);
	}
}
END_TEST

START_TEST(every_half_converts)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		uint16_t half = (uint16_t)h, back;
		float x;

		ref_from_half(&half, 1, &x);
		ref_to_half(&x, 1, &back);
		if ((h & 0x7fff) < 0x7c00) {
			ck_assert(x == (h & 0x8000 ? -1 : 1) * half_value(h & 0x7fff));
			ck_assert_uint_eq(back, h);
		} else if ((h & 0x7fff) == 0x7c00) {
			ck_assert(isinf(x) && !signbit(x) == !(h & 0x8000));
			ck_assert_uint_eq(back, h);
		} else {
			ck_assert(isnan(x));
			ck_assert_uint_eq(back, h | 0x200);
		}
	}
}
END_TEST

START_TEST(cpu_half_is_the_same)
{
	enum { N = 65536 };
	static float x[N], y[N + 1], y_other[N + 1];
	static uint16_t h[N + 1], h_other[N + 1], all[N];
	uint64_t state = 29;

	for (int i = 0; i < N; i++) {
		uint32_t bits = (uint32_t)next_random(&state);

		x[i] = float_of(i % 2 ? bits : (bits & 0x8fffffffu) + 0x30000000u);
		all[i] = (uint16_t)i;
	}
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		for (size_t n = N - 40; n <= N; n++) {
			h[n] = h_other[n] = 0x1234;
			y[n] = y_other[n] = 5.0f;
			ref_to_half(x, n, h);
			ref_from_half(all + N - n, n, y);
			(*k)->to_half(x, n, h_other);
			(*k)->from_half(all + N - n, n, y_other);
			ck_assert_mem_eq(h, h_other, (n + 1) * sizeof(*h));
			ck_assert_mem_eq(y, y_other, (n + 1) * sizeof(*y));
		}
}
END_TEST

START_TEST(half_corners)
{
	static const struct {
		uint32_t bits;
		uint16_t half;
	} corners[] = {
		{0x477fe000, 0x7bff}, /* 65504, the largest */
		{0x477fefff, 0x7bff}, {0x477ff000, 0x7c00}, {0x7f7fffff, 0x7c00},
		{0xff800000, 0xfc00}, {0x33000000, 0x0000}, /* 2^-25, half of the smallest */
		{0x33000001, 0x0001}, {0x33c00000, 0x0002}, {0x387fffff, 0x0400},
		{0x80000001, 0x8000}, {0x7f800001, 0x7e00}, {0xffc02000, 0xfe01},
	};

	for (size_t i = 0; i < sizeof(corners) / sizeof(corners[0]); i++) {
		float x[17];
		uint16_t half[17];

		for (int j = 0; j < 17; j++)
			x[j] = float_of(corners[i].bits);
		ck_assert_uint_eq(bits_of(x[0]), corners[i].bits);
		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
			(*k)->to_half(x, 17, half);
			ck_assert_uint_eq(half[0], corners[i].half);
			ck_assert_uint_eq(half[16], corners[i].half);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quantize");
	TCase *tc = tcase_create("quantize");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, ref_quantize_is_right);
	tcase_add_test(tc, ties_go_to_even);
	tcase_add_test(tc, cpu_quantize_is_the_same);
	tcase_add_test(tc, bad_templates_are_refused);
	tcase_add_test(tc, cosine_scale);
	tcase_add_test(tc, ref_to_half_is_right);
	tcase_add_test(tc, every_half_converts);
	tcase_add_test(tc, cpu_half_is_the_same);
	tcase_add_test(tc, half_corners);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
