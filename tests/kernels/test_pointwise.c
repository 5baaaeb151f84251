/* SPDX-License-Identifier: Apache-2.0 */
/* Add, table, concat, dequantize. */
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int8_t *random_bytes(struct rng *r, size_t n)
{
	int8_t *x = fixture_alloc(n);

	fixture_fill(r, FILL_RANDOM, x, n);
	return x;
}

static void expect_same(const void *want, const void *got, size_t bytes, const char *who, int seed)
{
	for (size_t i = 0; i < bytes; i++)
		if (((const uint8_t *)want)[i] != ((const uint8_t *)got)[i])
			ck_abort_msg("%s differs at byte %zu, seed %d", who, i, seed);
}

/* ---- add ----------------------------------------------------------------------------------- */

static float oracle_sum(const struct op_add *p, int8_t a, int8_t b)
{
	__float128 x = (__float128)(a - p->z_a) * p->s_a, y = (__float128)(b - p->z_b) * p->s_b;

	return (float)((__float128)(float)x + (float)y);
}

static struct op_add random_add(struct rng *r, uint64_t count)
{
	struct op_add p = {.count = count,
			   .s_a = rng_scale(r) * 4,
			   .s_b = rng_scale(r) * (rng_below(r, 2) ? 4.0f : -4.0f),
			   .z_a = rng_range(r, -128, 127),
			   .z_b = rng_range(r, -128, 127),
			   .z = rng_range(r, -128, 127)};

	p.lo = rng_range(r, -128, 0);
	p.hi = rng_range(r, p.lo, 127);
	return p;
}

static void check_add(const struct op_add *p, const int8_t *a, const int8_t *b, int seed)
{
	int8_t *want = fixture_alloc(p->count), *y = fixture_alloc(p->count);

	for (uint64_t i = 0; i < p->count; i++)
		want[i] = oracle_byte(oracle_sum(p, a[i], b[i]), p->z, p->lo, p->hi);
	ck_assert_int_eq(ref_add(p, a, b, y), 0);
	expect_same(want, y, p->count, "ref", seed);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		memset(y, 0x33, p->count);
		ck_assert_int_eq((*k)->add(p, a, b, y), 0);
		expect_same(want, y, p->count, (*k)->name, seed);
	}
	free(want);
	free(y);
}

START_TEST(add_random)
{
	struct rng r = {(uint64_t)_i};
	struct op_add p = random_add(&r, 1 + rng_below(&r, 3000));
	int8_t *a = random_bytes(&r, p.count), *b = random_bytes(&r, p.count);

	if (_i % 5 == 0)
		p.s_a = 0x1p60f;
	check_add(&p, a, b, _i);
	free(a);
	free(b);
}
END_TEST

/* Sums so close to a half that an unrounded product falls on its other side. */
START_TEST(add_no_fused_multiply_add)
{
	struct rng r = {9};
	uint32_t differ = 0;

	for (int tries = 0; tries < 200000 && differ < 20; tries++) {
		struct op_add p = random_add(&r, 1);
		int8_t a = (int8_t)rng_next(&r), b = (int8_t)rng_next(&r);
		float whole = (float)(b - p.z_b), fused;

		p.lo = -128;
		p.hi = 127;
		/* Choose s_b so that the sum is a half, as nearly as single precision can. */
		p.s_b = whole == 0 ? 1 : (0.5f - (float)(a - p.z_a) * p.s_a) / whole;
		if (op_add_check(&p))
			continue;
		fused = fmaf(whole, p.s_b, (float)(a - p.z_a) * p.s_a);
		if (oracle_byte(fused, p.z, -128, 127) ==
		    oracle_byte(oracle_sum(&p, a, b), p.z, -128, 127))
			continue;
		differ++;
		check_add(&p, &a, &b, tries);
	}
	ck_assert_uint_ge(differ, 20);
}
END_TEST

/* ---- table --------------------------------------------------------------------------------- */

START_TEST(table_random)
{
	struct rng r = {(uint64_t)_i};
	struct op_table p = {.pixels = 1 + rng_below(&r, 300),
			     .c = 1 + rng_below(&r, 40),
			     .per_channel = _i & 1};
	size_t n = p.pixels * p.c;
	int8_t *x = random_bytes(&r, n), *table = random_bytes(&r, (size_t)p.c * 256);
	int8_t *want = fixture_alloc(n), *y = fixture_alloc(n);

	for (size_t i = 0; i < n; i++) {
		size_t c = p.per_channel ? i % p.c : 0;
		uint8_t shifted = (uint8_t)x[i] ^ 0x80;

		want[i] = table[c * 256 + shifted];
	}
	ck_assert_int_eq(ref_table(&p, table, x, y), 0);
	expect_same(want, y, n, "ref", _i);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		memset(y, 0x33, n);
		ck_assert_int_eq((*k)->table(&p, table, x, y), 0);
		expect_same(want, y, n, (*k)->name, _i);
		/* In place. */
		memcpy(y, x, n);
		ck_assert_int_eq((*k)->table(&p, table, y, y), 0);
		expect_same(want, y, n, (*k)->name, _i);
	}
	free(x);
	free(table);
	free(want);
	free(y);
}
END_TEST

/* ---- concat -------------------------------------------------------------------------------- */

START_TEST(concat_random)
{
	struct rng r = {(uint64_t)_i};
	struct op_concat p = {.pixels = 1 + rng_below(&r, 100),
			      .inputs = 1 + rng_below(&r, OP_CONCAT_MAX)};
	const int8_t *x[OP_CONCAT_MAX], *tables[OP_CONCAT_MAX];
	uint32_t total = 0, at = 0;
	int8_t *want, *y;

	for (uint32_t i = 0; i < p.inputs; i++) {
		p.c[i] = 1 + rng_below(&r, 30);
		total += p.c[i];
		x[i] = random_bytes(&r, p.pixels * p.c[i]);
		tables[i] = rng_below(&r, 2) ? random_bytes(&r, 256) : NULL;
	}
	want = fixture_alloc(p.pixels * total);
	y = fixture_alloc(p.pixels * total);
	for (uint32_t i = 0; i < p.inputs; at += p.c[i++])
		for (size_t j = 0; j < p.pixels * p.c[i]; j++) {
			int8_t v = x[i][j];

			if (tables[i] && _i % 3)
				v = tables[i][(uint8_t)v ^ 0x80];
			want[j / p.c[i] * total + at + j % p.c[i]] = v;
		}
	ck_assert_int_eq(ref_concat(&p, x, _i % 3 ? tables : NULL, y), 0);
	expect_same(want, y, p.pixels * total, "ref", _i);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		memset(y, 0x33, p.pixels * total);
		ck_assert_int_eq((*k)->concat(&p, x, _i % 3 ? tables : NULL, y), 0);
		expect_same(want, y, p.pixels * total, (*k)->name, _i);
	}
	for (uint32_t i = 0; i < p.inputs; i++) {
		free((void *)x[i]);
		free((void *)tables[i]);
	}
	free(want);
	free(y);
}
END_TEST

/* ---- dequantize ---------------------------------------------------------------------------- */

START_TEST(dequantize_random)
{
	struct rng r = {(uint64_t)_i};
	struct op_dequantize p = {.count = 1 + rng_below(&r, 2000),
				  .scale = rng_scale(&r) * (_i & 1 ? 1.0f : -1.0f),
				  .z = rng_range(&r, -128, 127)};
	int8_t *x = random_bytes(&r, p.count);
	float *want = fixture_alloc(p.count * 4), *y = fixture_alloc(p.count * 4);

	for (uint64_t i = 0; i < p.count; i++)
		want[i] = (float)((__float128)(x[i] - p.z) * p.scale);
	ck_assert_int_eq(ref_dequantize(&p, x, y), 0);
	expect_same(want, y, p.count * 4, "ref", _i);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		memset(y, 0x33, p.count * 4);
		ck_assert_int_eq((*k)->dequantize(&p, x, y), 0);
		expect_same(want, y, p.count * 4, (*k)->name, _i);
	}
	free(x);
	free(want);
	free(y);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pointwise");
	TCase *t = tcase_create("pointwise");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, add_random, 0, 60);
	tcase_add_test(t, add_no_fused_multiply_add);
	tcase_add_loop_test(t, table_random, 0, 20);
	tcase_add_loop_test(t, concat_random, 0, 20);
	tcase_add_loop_test(t, dequantize_random, 0, 10);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
