/* SPDX-License-Identifier: Apache-2.0 */
/* GEMM: the reference against 64-bit sums in another order, each table against the reference. */
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct operands {
	struct op_gemm p;
	int8_t *a, *b, *residual;
	int32_t *bias;
};

static void operands_make(struct rng *r, struct operands *o, enum fixture_fill fill,
			  enum fixture_scales scales, bool residual)
{
	struct op_gemm *p = &o->p;
	size_t outputs = (size_t)p->m * p->n;

	fixture_requant(r, scales, p->n, &p->q);
	ck_assert_int_eq(op_gemm_check(p), 0);
	o->a = fixture_alloc((size_t)p->m * p->k);
	o->b = fixture_alloc((size_t)p->n * p->k);
	o->bias = fixture_alloc(p->n * sizeof(int32_t));
	o->residual = residual ? fixture_alloc(outputs) : NULL;
	fixture_fill(r, fill, o->a, (size_t)p->m * p->k);
	fixture_fill(r, fill, o->b, (size_t)p->n * p->k);
	for (uint32_t n = 0; n < p->n; n++)
		o->bias[n] = fill == FILL_RANDOM ? rng_range(r, -20000, 20000)
						 : rng_range(r, -1, 1) * OP_BIAS_MAX;
	if (residual)
		fixture_fill(r, FILL_RANDOM, o->residual, outputs);
}

static void operands_free(struct operands *o)
{
	fixture_free_requant(&o->p.q);
	free(o->a);
	free(o->b);
	free(o->bias);
	free(o->residual);
}

/* By outer products: k outermost, from the last to the first. */
static void *oracle(const struct operands *o)
{
	const struct op_gemm *p = &o->p;
	size_t outputs = (size_t)p->m * p->n;
	int64_t *sum = fixture_alloc(outputs * sizeof(int64_t));
	void *y = fixture_alloc(outputs * fixture_out_bytes(p->out));

	memset(sum, 0, outputs * sizeof(int64_t));
	for (size_t k = p->k; k-- > 0;)
		for (size_t i = 0; i < outputs; i++)
			sum[i] += (int64_t)o->a[i / p->n * p->k + k] * o->b[i % p->n * p->k + k];
	for (size_t i = 0; i < outputs; i++)
		oracle_requant(&p->q, p->out, (uint32_t)(i % p->n), sum[i] + o->bias[i % p->n],
			       o->residual, y, i);
	free(sum);
	return y;
}

struct run {
	const struct cpu_kernels *k;
	const struct operands *o;
	void *packed, *y;
};

static int run_slice(void *context, uint32_t begin, uint32_t end)
{
	struct run *run = context;
	size_t bytes = run->k->gemm_scratch_bytes(&run->o->p);
	void *scratch = fixture_alloc(bytes);
	int err;

	memset(scratch, 0x5a, bytes);
	err = run->k->gemm(&run->o->p, run->packed, run->o->a, run->o->residual, run->y, begin, end,
			   scratch);
	free(scratch);
	return err;
}

static void expect_same(const struct operands *o, const void *want, const void *got,
			const char *who, uint64_t seed)
{
	size_t size = fixture_out_bytes(o->p.out), n = (size_t)o->p.m * o->p.n * size, i = 0;

	while (i < n && ((uint8_t *)want)[i] == ((uint8_t *)got)[i])
		i++;
	if (i < n)
		ck_abort_msg("%s differs at output %zu, seed %llu: m %u n %u k %u out %d", who,
			     i / size, (unsigned long long)seed, o->p.m, o->p.n, o->p.k, o->p.out);
}

static void check_checksums(const struct operands *o, uint64_t seed)
{
	const struct op_gemm *p = &o->p;
	uint32_t *want = fixture_alloc((size_t)p->m * 4), *got = fixture_alloc((size_t)p->m * 4);
	void *packed = fixture_alloc(cpu_gemm_checksum_bytes(p));

	for (size_t m = 0; m < p->m; m++) {
		want[m] = 0;
		for (size_t n = 0; n < p->n; n++)
			want[m] += (uint32_t)o->bias[n];
		for (size_t k = 0; k < p->k; k++)
			for (size_t n = 0; n < p->n; n++)
				want[m] += (uint32_t)(o->a[m * p->k + k] * o->b[n * p->k + k]);
	}
	ck_assert_int_eq(ref_gemm_checksum(p, o->a, o->b, o->bias, got), 0);
	ck_assert_msg(!memcmp(want, got, (size_t)p->m * 4), "ref, seed %d", (int)seed);
	cpu_gemm_checksum_pack(p, o->b, o->bias, packed);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		memset(got, 0x5a, (size_t)p->m * 4);
		cpu_gemm_checksum(*k, p, packed, o->a, got, 0, p->m);
		ck_assert_msg(!memcmp(want, got, (size_t)p->m * 4), "%s, seed %d", (*k)->name,
			      (int)seed);
	}
	free(want);
	free(got);
	free(packed);
}

static void check_operands(struct rng *r, const struct operands *o, uint64_t seed)
{
	size_t bytes = (size_t)o->p.m * o->p.n * fixture_out_bytes(o->p.out);
	void *want = oracle(o), *y = fixture_alloc(bytes);

	ck_assert_int_eq(ref_gemm(&o->p, o->a, o->b, o->bias, o->residual, y), 0);
	expect_same(o, want, y, "ref", seed);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		struct run run = {.k = *k, .o = o, .y = y};

		run.packed = fixture_alloc((*k)->gemm_packed_bytes(&o->p));
		ck_assert_int_eq((*k)->gemm_pack(&o->p, o->b, o->bias, run.packed), 0);
		memset(y, 0x33, bytes);
		fixture_slices(r, o->p.m, run_slice, &run);
		expect_same(o, want, y, (*k)->name, seed);
		ck_assert_int_lt(run_slice(&run, 0, o->p.m + 1), 0);
		free(run.packed);
	}
	check_checksums(o, seed);
	free(want);
	free(y);
}

START_TEST(random_shapes)
{
	struct rng r = {(uint64_t)_i};
	uint32_t width = _i % 3 ? 70 : 200;
	struct operands o = {.p = {.m = 1 + rng_below(&r, 45),
				   .n = 1 + rng_below(&r, width),
				   .k = 1 + rng_below(&r, 300),
				   .out = (enum op_out)rng_below(&r, 3)}};

	operands_make(&r, &o, (enum fixture_fill)rng_below(&r, FILL_KINDS),
		      (enum fixture_scales)rng_below(&r, SCALES_KINDS), rng_below(&r, 2));
	check_operands(&r, &o, (uint64_t)_i);
	operands_free(&o);
}
END_TEST

/* The longest sum at the ends of its range: +-(2^30 + 2^30 - 1), where + 128 wraps. */
START_TEST(largest_accumulators)
{
	struct rng r = {(uint64_t)_i};
	struct operands o = {.p = {.m = 3, .n = 35, .k = OP_K_MAX, .out = (enum op_out)(_i % 3)}};

	operands_make(&r, &o, FILL_LOWEST, _i < 3 ? SCALES_WILD : SCALES_PRELU, _i & 1);
	for (uint32_t n = 0; n < o.p.n; n++) {
		/* A ReLU whose t leaves int32 on the way to the clamp. */
		if (_i >= 6) {
			((float *)o.p.q.s_pos)[n] = 3;
			((float *)o.p.q.s_neg)[n] = 0;
		}
		o.bias[n] = n % 2 ? OP_BIAS_MAX : -OP_BIAS_MAX;
		memset(o.b + (size_t)n * o.p.k, n % 3 ? -128 : 127, o.p.k);
	}
	memset(o.a + o.p.k, 127, o.p.k);
	check_operands(&r, &o, (uint64_t)_i);
	operands_free(&o);
}
END_TEST

/* With a fused multiply-add the product is not rounded: most of these results would differ. */
START_TEST(no_fused_multiply_add)
{
	enum { N = 4096 };
	struct rng r = {77};
	struct operands o = {.p = {.m = 1, .n = N, .k = 1, .out = OP_OUT_F32}};
	uint32_t differ = 0;
	float *y;

	operands_make(&r, &o, FILL_RANDOM, SCALES_LINEAR, true);
	y = oracle(&o);
	for (uint32_t i = 0; i < N; i++) {
		float acc = (float)(o.a[0] * o.b[i] + o.bias[i]);
		float term = (float)(o.residual[i] - o.p.q.z_r) * o.p.q.s_r;

		differ += fmaf(acc, o.p.q.s_pos[i], term) != y[i];
		term = acc * o.p.q.s_pos[i];
		differ += fmaf((float)(o.residual[i] - o.p.q.z_r), o.p.q.s_r, term) != y[i];
	}
	ck_assert_uint_gt(differ, N / 4);
	check_operands(&r, &o, 77);
	free(y);
	operands_free(&o);
}
END_TEST

/* Halves round to the even neighbour; an accumulator of -1 already takes the other scale. */
START_TEST(ties_to_even)
{
	struct rng r = {5};
	struct operands o = {.p = {.m = 1, .n = 64, .k = 1, .out = OP_OUT_S8}};
	int8_t y[64];

	operands_make(&r, &o, FILL_RANDOM, SCALES_LINEAR, false);
	o.p.q = (struct op_requant){
		.s_pos = o.p.q.s_pos, .s_neg = o.p.q.s_neg, .lo = -128, .hi = 127};
	o.a[0] = 1;
	for (int i = 0; i < 64; i++) {
		((float *)o.p.q.s_pos)[i] = 0.5f;
		((float *)o.p.q.s_neg)[i] = i % 4 == 3 ? -1.5f : 0.5f;
		o.b[i] = (int8_t)(i - 32);
		o.bias[i] = 0;
	}
	ck_assert_int_eq(ref_gemm(&o.p, o.a, o.b, o.bias, NULL, y), 0);
	ck_assert_int_eq(y[33], 0);  /* 0.5 */
	ck_assert_int_eq(y[35], 2);  /* 1.5 */
	ck_assert_int_eq(y[31], 2);  /* -1 * -1.5 */
	ck_assert_int_eq(y[29], -2); /* -1.5 */
	ck_assert_int_eq(y[25], -4); /* -3.5 */
	check_operands(&r, &o, 5);
	operands_free(&o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gemm");
	TCase *t = tcase_create("gemm");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_shapes, 0, 150);
	tcase_add_loop_test(t, largest_accumulators, 0, 9);
	tcase_add_test(t, no_fused_multiply_add);
	tcase_add_test(t, ties_to_even);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
