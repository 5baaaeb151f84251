/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernels/fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

int32_t rng_range(struct rng *r, int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a + rng_below(r, (uint32_t)b - (uint32_t)a + 1));
}

float rng_scale(struct rng *r)
{
	uint32_t bits = (uint32_t)rng_range(r, 127 - 14, 127 - 3) << 23 | rng_below(r, 1 << 23);
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

void *fixture_alloc(size_t bytes)
{
	void *p = NULL;

	ck_assert_int_eq(posix_memalign(&p, 64, bytes ? bytes : 1), 0);
	return p;
}

void fixture_fill(struct rng *r, enum fixture_fill kind, int8_t *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const int8_t value[] = {[FILL_RANDOM] = (int8_t)rng_next(r),
					[FILL_LOWEST] = -128,
					[FILL_HIGHEST] = 127,
					[FILL_EXTREMES] = rng_below(r, 2) ? 127 : -128};

		x[i] = value[kind];
	}
}

static void wild(struct rng *r, float *pos, float *neg)
{
	const float some[] = {0.0f, 0x1p-100f, 0x1p60f, 1.0f, 0x1.fffffep-1f, 0x1p-20f};

	*pos = some[rng_below(r, 6)];
	*neg = some[rng_below(r, 6)] * (rng_below(r, 2) ? 1.0f : -1.0f);
}

void fixture_requant(struct rng *r, enum fixture_scales kind, uint32_t channels,
		     struct op_requant *q)
{
	float *pos = fixture_alloc(channels * sizeof(float));
	float *neg = fixture_alloc(channels * sizeof(float));

	for (uint32_t c = 0; c < channels; c++) {
		pos[c] = rng_scale(r);
		neg[c] = kind == SCALES_RELU ? 0.0f : pos[c];
		if (kind == SCALES_PRELU)
			neg[c] = rng_scale(r) * (rng_below(r, 4) ? 0.25f : -0.25f);
		if (kind == SCALES_WILD)
			wild(r, &pos[c], &neg[c]);
	}
	*q = (struct op_requant){.s_pos = pos,
				 .s_neg = neg,
				 .s_r = rng_scale(r) * 4,
				 .z_r = rng_range(r, -128, 127),
				 .z = rng_range(r, -128, 127),
				 .lo = -128,
				 .hi = 127};
	if (rng_below(r, 2)) {
		q->lo = rng_range(r, -128, 127);
		q->hi = rng_range(r, q->lo, 127);
	}
}

void fixture_free_requant(struct op_requant *q)
{
	free((void *)q->s_pos);
	free((void *)q->s_neg);
}

size_t fixture_out_bytes(enum op_out out)
{
	return out == OP_OUT_S8 ? 1 : 4;
}

/* The floor of t and what is left over decide; no rounding mode is involved. */
int8_t oracle_byte(float t, int32_t z, int32_t lo, int32_t hi)
{
	int64_t whole;
	double rest;

	if (t < lo - z)
		return (int8_t)lo;
	if (t > hi - z)
		return (int8_t)hi;
	whole = (int64_t)t - ((double)t < (double)(int64_t)t);
	rest = (double)t - (double)whole;
	if (rest > 0.5 || (rest == 0.5 && whole % 2 != 0))
		whole++;
	return (int8_t)(whole + z);
}

/* Each step exact in 113 bits, then rounded to single once. */
void oracle_requant(const struct op_requant *q, enum op_out out, uint32_t c, int64_t acc,
		    const int8_t *residual, void *y, size_t i)
{
	__float128 exact;
	float t;

	ck_assert(acc >= INT32_MIN && acc <= INT32_MAX);
	if (out == OP_OUT_S32) {
		((int32_t *)y)[i] = (int32_t)acc;
		return;
	}
	t = (float)(__float128)acc;
	exact = (__float128)t * (acc < 0 ? q->s_neg[c] : q->s_pos[c]);
	t = (float)exact;
	if (residual) {
		exact = (__float128)(residual[i] - q->z_r) * q->s_r;
		exact = (__float128)(float)exact + t;
		t = (float)exact;
	}
	if (out == OP_OUT_F32)
		((float *)y)[i] = t;
	else
		((int8_t *)y)[i] = oracle_byte(t, q->z, q->lo, q->hi);
}

void fixture_slices(struct rng *r, uint32_t rows, int (*op)(void *context, uint32_t, uint32_t),
		    void *context)
{
	uint32_t first[64], n = 0, at = 0;

	while (at < rows) {
		first[n++] = at;
		at += n == 63 ? rows : 1 + rng_below(r, rows);
	}
	first[n] = rows;
	/* From a random one around: neither ascending nor descending. */
	for (uint32_t i = 0, j = rng_below(r, n); i < n; i++, j = (j + n - 1) % n)
		ck_assert_int_eq(op(context, first[j], first[j + 1]), 0);
}
