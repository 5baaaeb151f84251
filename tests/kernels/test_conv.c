/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution: the reference against an oracle, each instruction set against the reference. */
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct operands {
	struct op_conv2d p;
	int8_t *x, *w, *residual;
	int32_t *bias;
	size_t outputs;
};

static size_t input_count(const struct op_conv2d *p)
{
	return (size_t)p->n * p->h * p->w * p->c;
}

static uint32_t k_of(const struct op_conv2d *p)
{
	return p->kh * p->kw * (p->c / p->groups);
}

static void operands_make(struct rng *r, struct operands *o, enum fixture_fill fill,
			  enum fixture_scales scales, bool residual)
{
	struct op_conv2d *p = &o->p;

	fixture_requant(r, scales, p->oc, &p->q);
	p->z_x = rng_range(r, -128, 127);
	ck_assert_int_eq(op_conv2d_check(p), 0);
	o->outputs = (size_t)p->n * op_conv2d_oh(p) * op_conv2d_ow(p) * p->oc;
	o->x = fixture_alloc(input_count(p));
	o->w = fixture_alloc((size_t)p->oc * k_of(p));
	o->bias = fixture_alloc(p->oc * sizeof(int32_t));
	o->residual = residual ? fixture_alloc(o->outputs) : NULL;
	fixture_fill(r, fill, o->x, input_count(p));
	fixture_fill(r, fill, o->w, (size_t)p->oc * k_of(p));
	for (uint32_t c = 0; c < p->oc; c++)
		o->bias[c] = fill == FILL_RANDOM ? rng_range(r, -20000, 20000)
						 : rng_range(r, -1, 1) * OP_BIAS_MAX;
	if (residual)
		fixture_fill(r, FILL_RANDOM, o->residual, o->outputs);
}

static void operands_free(struct operands *o)
{
	fixture_free_requant(&o->p.q);
	free(o->x);
	free(o->w);
	free(o->bias);
	free(o->residual);
}

/* ---- oracle: an explicitly padded copy, gathered output by output -------------------------- */

static int8_t *padded_copy(const struct operands *o)
{
	const struct op_conv2d *p = &o->p;
	uint32_t h = p->h + p->pad_top + p->pad_bottom, w = p->w + p->pad_left + p->pad_right;
	int8_t *copy = fixture_alloc((size_t)p->n * h * w * p->c);

	memset(copy, p->z_x, (size_t)p->n * h * w * p->c);
	for (uint32_t n = 0; n < p->n; n++)
		for (uint32_t y = 0; y < p->h; y++)
			memcpy(copy + (((size_t)n * h + y + p->pad_top) * w + p->pad_left) * p->c,
			       o->x + ((size_t)n * p->h + y) * p->w * p->c, (size_t)p->w * p->c);
	return copy;
}

static int64_t oracle_sum(const struct operands *o, const int8_t *padded, size_t pixel,
			  uint32_t channel)
{
	const struct op_conv2d *p = &o->p;
	uint32_t h = p->h + p->pad_top + p->pad_bottom, w = p->w + p->pad_left + p->pad_right;
	uint32_t ow = op_conv2d_ow(p), oh = op_conv2d_oh(p), cg = p->c / p->groups;
	size_t ox = pixel % ow, oy = pixel / ow % oh, n = pixel / ow / oh;
	uint32_t group = channel / (p->oc / p->groups);
	int64_t sum = o->bias[channel];

	for (uint32_t c = 0; c < cg; c++)
		for (uint32_t kx = 0; kx < p->kw; kx++)
			for (uint32_t ky = 0; ky < p->kh; ky++) {
				size_t iy = oy * p->stride_h + (size_t)ky * p->dilation_h;
				size_t ix = ox * p->stride_w + (size_t)kx * p->dilation_w;
				size_t at = ((n * h + iy) * w + ix) * p->c + group * cg + c;
				size_t k = ((size_t)channel * p->kh + ky) * p->kw + kx;

				sum += (int64_t)padded[at] * o->w[k * cg + c];
			}
	return sum;
}

static void *oracle(const struct operands *o)
{
	int8_t *padded = padded_copy(o);
	void *y = fixture_alloc(o->outputs * fixture_out_bytes(o->p.out));

	for (size_t i = 0; i < o->outputs; i++) {
		uint32_t channel = (uint32_t)(i % o->p.oc);
		int64_t sum = oracle_sum(o, padded, i / o->p.oc, channel);

		oracle_requant(&o->p.q, o->p.out, channel, sum, o->residual, y, i);
	}
	free(padded);
	return y;
}

/* ---- running one table --------------------------------------------------------------------- */

struct run {
	const struct cpu_kernels *k;
	const struct operands *o;
	void *packed, *y;
};

static int run_slice(void *context, uint32_t begin, uint32_t end)
{
	struct run *run = context;
	size_t bytes = run->k->conv2d_scratch_bytes(&run->o->p);
	void *scratch = fixture_alloc(bytes);
	int err;

	memset(scratch, 0x5a, bytes);
	err = run->k->conv2d(&run->o->p, run->packed, run->o->x, run->o->residual, run->y, begin,
			     end, scratch);
	free(scratch);
	return err;
}

static void expect_same(const struct operands *o, const void *want, const void *got,
			const char *who, uint64_t seed)
{
	const struct op_conv2d *p = &o->p;
	size_t size = fixture_out_bytes(p->out), i = 0;

	while (i < o->outputs * size && ((uint8_t *)want)[i] == ((uint8_t *)got)[i])
		i++;
	if (i == o->outputs * size)
		return;
	ck_abort_msg("%s differs at output %zu, seed %llu: n %u h %u w %u c %u oc %u k %ux%u "
		     "groups %u stride %ux%u dilation %ux%u pad %u %u %u %u out %d",
		     who, i / size, (unsigned long long)seed, p->n, p->h, p->w, p->c, p->oc, p->kh,
		     p->kw, p->groups, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w,
		     p->pad_top, p->pad_left, p->pad_bottom, p->pad_right, p->out);
}

static void check_table(struct rng *r, const struct cpu_kernels *k, const struct operands *o,
			const void *want, uint64_t seed)
{
	struct run run = {.k = k, .o = o};
	size_t bytes = o->outputs * fixture_out_bytes(o->p.out);
	uint32_t rows = o->p.n * op_conv2d_oh(&o->p), one = rng_below(r, rows);
	size_t row = bytes / rows;
	uint8_t *untouched = fixture_alloc(bytes);

	run.packed = fixture_alloc(k->conv2d_packed_bytes(&o->p));
	run.y = fixture_alloc(bytes);
	ck_assert_int_eq(k->conv2d_pack(&o->p, o->w, o->bias, run.packed), 0);
	/* One row alone leaves the others as they are. */
	memset(run.y, 0x33, bytes);
	memset(untouched, 0x33, bytes);
	ck_assert_int_eq(run_slice(&run, one, one + 1), 0);
	memcpy(untouched + one * row, (uint8_t *)want + one * row, row);
	expect_same(o, untouched, run.y, k->name, seed);
	fixture_slices(r, rows, run_slice, &run);
	expect_same(o, want, run.y, k->name, seed);
	ck_assert_int_lt(run_slice(&run, 0, rows + 1), 0);
	ck_assert_int_lt(run_slice(&run, 1, 0), 0);
	if (o->residual && o->p.out == OP_OUT_S8) {
		/* Added in place. */
		struct operands same = *o;

		same.residual = memcpy(run.y, o->residual, bytes);
		run.o = &same;
		fixture_slices(r, rows, run_slice, &run);
		expect_same(o, want, run.y, k->name, seed);
	}
	free(run.packed);
	free(run.y);
	free(untouched);
}

/* ---- checksums ------------------------------------------------------------------------------ */

static void check_checksums(struct rng *r, const struct operands *o, uint64_t seed)
{
	const struct op_conv2d *p = &o->p;
	size_t pixels = o->outputs / p->oc;
	uint32_t rows = p->n * op_conv2d_oh(p), cut = rng_below(r, rows + 1);
	uint32_t *want = fixture_alloc(pixels * 4), *got = fixture_alloc(pixels * 4);
	void *packed = fixture_alloc(cpu_conv2d_checksum_bytes(p));
	int8_t *padded = padded_copy(o);

	for (size_t m = 0; m < pixels; m++) {
		int64_t sum = 0;

		for (uint32_t c = 0; c < p->oc; c++)
			sum += oracle_sum(o, padded, m, c);
		want[m] = (uint32_t)sum;
	}
	ck_assert_int_eq(ref_conv2d_checksum(p, o->x, o->w, o->bias, got), 0);
	ck_assert_msg(!memcmp(want, got, pixels * 4), "ref, seed %d", (int)seed);
	cpu_conv2d_checksum_pack(p, o->w, o->bias, packed);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		memset(got, 0x5a, pixels * 4);
		cpu_conv2d_checksum(*k, p, packed, o->x, got, cut, rows);
		cpu_conv2d_checksum(*k, p, packed, o->x, got, 0, cut);
		ck_assert_msg(!memcmp(want, got, pixels * 4), "%s, seed %d", (*k)->name, (int)seed);
	}
	free(want);
	free(got);
	free(packed);
	free(padded);
}

static void check_operands(struct rng *r, const struct operands *o, uint64_t seed)
{
	void *want = oracle(o);
	void *ref = fixture_alloc(o->outputs * fixture_out_bytes(o->p.out));

	ck_assert_int_eq(ref_conv2d(&o->p, o->x, o->w, o->bias, o->residual, ref), 0);
	expect_same(o, want, ref, "ref", seed);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		check_table(r, *k, o, want, seed);
	check_checksums(r, o, seed);
	free(want);
	free(ref);
}

/* ---- shapes -------------------------------------------------------------------------------- */

static uint32_t some_channels(struct rng *r)
{
	const uint32_t some[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 80, 130};

	return some[rng_below(r, sizeof(some) / sizeof(some[0]))];
}

static void pad_to_fit(struct rng *r, uint32_t size, uint32_t k, uint32_t dilation,
		       uint32_t *before, uint32_t *after)
{
	uint32_t window = (k - 1) * dilation + 1;

	*before = rng_below(r, window + 1);
	*after = rng_below(r, window + 1);
	if (size + *before + *after < window)
		*after = window - size - *before;
}

static struct op_conv2d random_shape(struct rng *r)
{
	const uint32_t dilations[] = {1, 1, 1, 2, 3, 5};
	struct op_conv2d p = {.n = 1 + rng_below(r, 2),
			      .h = 1 + rng_below(r, 12),
			      .w = 1 + rng_below(r, 40),
			      .c = some_channels(r),
			      .oc = some_channels(r),
			      .kh = 1 + rng_below(r, 4),
			      .kw = 1 + rng_below(r, 4),
			      .groups = 1,
			      .stride_h = 1 + rng_below(r, 3),
			      .stride_w = 1 + rng_below(r, 3),
			      .dilation_h = dilations[rng_below(r, 6)],
			      .dilation_w = dilations[rng_below(r, 6)],
			      .out = (enum op_out)rng_below(r, 3)};

	if (rng_below(r, 2))
		p.out = OP_OUT_S8;
	if (rng_below(r, 4) == 0)
		p.kh = p.kw = 1;
	pad_to_fit(r, p.h, p.kh, p.dilation_h, &p.pad_top, &p.pad_bottom);
	pad_to_fit(r, p.w, p.kw, p.dilation_w, &p.pad_left, &p.pad_right);
	return p;
}

static void run_random(uint64_t seed, struct op_conv2d (*shape)(struct rng *r))
{
	struct rng r = {seed};
	struct operands o = {.p = shape(&r)};
	enum fixture_scales scales = (enum fixture_scales)rng_below(&r, SCALES_KINDS);

	operands_make(&r, &o, FILL_RANDOM, scales, rng_below(&r, 3) == 0);
	check_operands(&r, &o, seed);
	operands_free(&o);
}

START_TEST(random_shapes)
{
	run_random(1000 + (uint64_t)_i, random_shape);
}
END_TEST

/* A GEMM's like: many pixels, few taps, so that blocks of all widths occur. */
static struct op_conv2d pointwise_shape(struct rng *r)
{
	struct op_conv2d p = random_shape(r);

	p.h = 1 + rng_below(r, 8);
	p.kh = p.kw = 1;
	p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 0;
	return p;
}

START_TEST(random_pointwise)
{
	run_random(2000 + (uint64_t)_i, pointwise_shape);
}
END_TEST

static struct op_conv2d grouped_shape(struct rng *r)
{
	struct op_conv2d p = random_shape(r);
	uint32_t groups = 2 + rng_below(r, 4);

	p.c = groups * (1 + rng_below(r, 20));
	p.oc = groups * (1 + rng_below(r, 40));
	p.groups = groups;
	return p;
}

START_TEST(random_grouped)
{
	run_random(3000 + (uint64_t)_i, grouped_shape);
}
END_TEST

static struct op_conv2d depthwise_shape(struct rng *r)
{
	struct op_conv2d p = random_shape(r);

	p.c = p.oc = p.groups = some_channels(r);
	if (rng_below(r, 4)) {
		p.kh = p.kw = 3;
		p.dilation_h = p.dilation_w = 1;
		p.stride_h = p.stride_w = 1 + rng_below(r, 2);
		pad_to_fit(r, p.h, 3, 1, &p.pad_top, &p.pad_bottom);
		pad_to_fit(r, p.w, 3, 1, &p.pad_left, &p.pad_right);
	}
	return p;
}

START_TEST(random_depthwise)
{
	run_random(4000 + (uint64_t)_i, depthwise_shape);
}
END_TEST

#define CONV(h_, w_, c_, oc_, k, s, pad)                                                           \
	{                                                                                          \
		.n = 1, .h = h_, .w = w_, .c = c_, .oc = oc_, .kh = k, .kw = k, .groups = 1,       \
		.stride_h = s, .stride_w = s, .dilation_h = 1, .dilation_w = 1, .pad_top = pad,    \
		.pad_left = pad, .pad_bottom = pad, .pad_right = pad                               \
	}
#define DEPTHWISE(h_, w_, c_, k, s, pad)                                                           \
	{                                                                                          \
		.n = 1, .h = h_, .w = w_, .c = c_, .oc = c_, .kh = k, .kw = k, .groups = c_,       \
		.stride_h = s, .stride_w = s, .dilation_h = 1, .dilation_w = 1, .pad_top = pad,    \
		.pad_left = pad, .pad_bottom = pad, .pad_right = pad                               \
	}

static const struct op_conv2d edges[] = {
	CONV(1, 1, 1, 1, 1, 1, 0),     CONV(1, 1, 3, 16, 3, 1, 1),
	CONV(1, 1, 64, 64, 1, 1, 0),   CONV(2, 2, 17, 31, 5, 1, 2),
	CONV(1, 1, 15, 17, 7, 3, 3),   CONV(3, 3, 16, 32, 3, 3, 0),
	CONV(24, 24, 3, 64, 3, 2, 1),  CONV(20, 20, 1, 8, 5, 2, 2),
	CONV(7, 7, 96, 96, 3, 1, 1),   CONV(9, 15, 31, 33, 3, 2, 1),
	CONV(7, 7, 512, 64, 1, 1, 0),  CONV(4, 4, 64, 128, 3, 2, 0),
	CONV(3, 2, 35, 300, 3, 1, 1), /* weights' sums that leave int16 */
	DEPTHWISE(7, 7, 512, 7, 1, 0), DEPTHWISE(1, 1, 64, 3, 1, 1),
	DEPTHWISE(8, 8, 128, 3, 2, 1), DEPTHWISE(9, 9, 63, 3, 1, 1),
	DEPTHWISE(5, 6, 65, 5, 1, 2),  DEPTHWISE(2, 2, 2, 3, 2, 1),
	DEPTHWISE(7, 9, 192, 3, 2, 0), DEPTHWISE(3, 3, 8, 3, 1, 0),
	DEPTHWISE(28, 28, 64, 3, 1, 1)};

START_TEST(edge_shapes)
{
	const size_t n = sizeof(edges) / sizeof(edges[0]);

	for (int fill = 0; fill < FILL_KINDS; fill++) {
		struct rng r = {(uint64_t)(_i * 10 + fill)};
		struct operands o = {.p = edges[(size_t)_i % n]};

		o.p.out = (enum op_out)((size_t)_i / n);
		operands_make(&r, &o, (enum fixture_fill)fill,
			      (enum fixture_scales)rng_below(&r, SCALES_KINDS), fill & 1);
		check_operands(&r, &o, (uint64_t)_i);
		operands_free(&o);
	}
}
END_TEST

static Suite *suite(void)
{
	const int edge_runs = 3 * sizeof(edges) / sizeof(edges[0]);
	Suite *s = suite_create("conv");
	TCase *t = tcase_create("conv2d");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_shapes, 0, 150);
	tcase_add_loop_test(t, random_pointwise, 0, 80);
	tcase_add_loop_test(t, random_grouped, 0, 60);
	tcase_add_loop_test(t, random_depthwise, 0, 150);
	tcase_add_loop_test(t, edge_shapes, 0, edge_runs);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
