/* SPDX-License-Identifier: Apache-2.0 */
/* The array and the line buffer in C simulation, against kernels/ref; and the packed multiplier. */
#include "hls/pack.h"
#include "hls/product.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- one product, whichever op --------------------------------------------------------------------- */

struct product {
	bool gemm;
	struct op_conv2d conv;
	struct op_gemm mm;
	uint64_t inputs, pixels;
	uint32_t channels, k, rows;
	int8_t *x, *w, *residual;
	int32_t *bias;
	const struct op_requant *q;
	enum op_out out;
};

static void operands_make(struct rng *r, struct product *o, enum fixture_fill fill,
			  enum fixture_scales scales, bool residual)
{
	struct op_requant *q = o->gemm ? &o->mm.q : &o->conv.q;
	uint64_t outputs = o->pixels * o->channels, weights = (uint64_t)o->channels * o->k;

	fixture_requant(r, scales, o->channels, q);
	o->q = q;
	ck_assert_int_eq(o->gemm ? op_gemm_check(&o->mm) : op_conv2d_check(&o->conv), 0);
	o->x = fixture_alloc(o->inputs);
	o->w = fixture_alloc(weights);
	o->bias = fixture_alloc(o->channels * sizeof(int32_t));
	residual = residual && o->out != OP_OUT_S32;
	o->residual = residual ? fixture_alloc(outputs) : NULL;
	fixture_fill(r, fill, o->x, o->inputs);
	fixture_fill(r, fill, o->w, weights);
	for (uint32_t c = 0; c < o->channels; c++)
		o->bias[c] = fill == FILL_RANDOM ? rng_range(r, -20000, 20000)
						 : rng_range(r, -1, 1) * OP_BIAS_MAX;
	if (residual)
		fixture_fill(r, FILL_RANDOM, o->residual, outputs);
}

static void product_free(struct product *o)
{
	fixture_free_requant((struct op_requant *)o->q);
	free(o->x);
	free(o->w);
	free(o->bias);
	free(o->residual);
}

static struct product of_gemm(uint32_t m, uint32_t n, uint32_t k, enum op_out out)
{
	return (struct product){.gemm = true,
				.mm = {.m = m, .n = n, .k = k, .out = out},
				.inputs = (uint64_t)m * k,
				.pixels = m,
				.rows = m,
				.channels = n,
				.k = k,
				.out = out};
}

static struct product of_conv(struct rng *r, struct op_conv2d p)
{
	struct product o = {.conv = p};

	o.conv.z_x = rng_range(r, -128, 127);
	o.rows = p.n * op_conv2d_oh(&p);
	o.pixels = (uint64_t)o.rows * op_conv2d_ow(&p);
	o.inputs = (uint64_t)p.n * p.h * p.w * p.c;
	o.channels = p.oc;
	o.k = p.kh * p.kw * (p.c / p.groups);
	o.out = p.out;
	return o;
}

/* ---- reference and kernel ----------------------------------------------------------------------- */

static void reference(const struct product *o, void *y, uint32_t *chk)
{
	int err;

	if (o->gemm) {
		err = ref_gemm(&o->mm, o->x, o->w, o->bias, o->residual, y);
		err |= ref_gemm_checksum(&o->mm, o->x, o->w, o->bias, chk);
	} else {
		err = ref_conv2d(&o->conv, o->x, o->w, o->bias, o->residual, y);
		err |= ref_conv2d_checksum(&o->conv, o->x, o->w, o->bias, chk);
	}
	ck_assert_int_eq(err, 0);
}

static struct shell_requant requant_args(const struct product *o)
{
	const struct op_requant *q = o->q;

	return (struct shell_requant){o->out,	      hls_bits(q->s_r), (uint32_t)q->z_r,
				      (uint32_t)q->z, (uint32_t)q->lo,	(uint32_t)q->hi};
}

static struct shell_conv2d conv_args(const struct product *o)
{
	const struct op_conv2d *p = &o->conv;

	return (struct shell_conv2d){p->n,
				     p->h,
				     p->w,
				     p->c,
				     p->oc,
				     p->kh,
				     p->kw,
				     p->groups,
				     p->stride_h,
				     p->stride_w,
				     p->dilation_h,
				     p->dilation_w,
				     p->pad_top,
				     p->pad_left,
				     p->pad_bottom,
				     p->pad_right,
				     (uint32_t)p->z_x,
				     requant_args(o),
				     0};
}

static void kernel(const struct product *o, uint8_t *y, uint32_t *chk)
{
	bool scaled = o->out != OP_OUT_S32;
	const float *s_pos = scaled ? o->q->s_pos : NULL, *s_neg = scaled ? o->q->s_neg : NULL;

	if (o->gemm) {
		struct shell_gemm args = {o->mm.m, o->mm.n, o->mm.k, requant_args(o), 0};

		facet_gemm((const uint32_t *)&args, y, chk, o->x, o->residual, o->w, o->bias, s_pos,
			   s_neg);
	} else {
		struct shell_conv2d args = conv_args(o);

		facet_conv2d((const uint32_t *)&args, y, chk, o->x, o->residual, o->w, o->bias,
			     s_pos, s_neg);
	}
}

struct slices {
	const struct product *o;
	struct product_shape shape;
	struct product_memory memory;
};

static int run_slice(void *context, uint32_t begin, uint32_t end)
{
	struct slices *s = context;

	product_rows(&s->shape, &s->memory, begin, end);
	return 0;
}

static void in_slices(struct rng *r, const struct product *o, uint8_t *y, uint32_t *chk)
{
	struct slices s = {
		.o = o,
		.memory = {y, chk, o->x, o->residual, o->w, o->bias, o->q->s_pos, o->q->s_neg}};

	if (o->gemm) {
		struct shell_gemm args = {o->mm.m, o->mm.n, o->mm.k, requant_args(o), 0};

		product_open_gemm(&s.shape, (const uint32_t *)&args);
	} else {
		struct shell_conv2d args = conv_args(o);

		product_open_conv2d(&s.shape, (const uint32_t *)&args);
	}
	fixture_slices(r, o->rows, run_slice, &s);
}

static void expect_same(const struct product *o, const void *want, const void *got, size_t bytes,
			const char *what, uint64_t seed)
{
	size_t i = 0;

	while (i < bytes && ((uint8_t *)want)[i] == ((uint8_t *)got)[i])
		i++;
	if (i < bytes)
		ck_abort_msg(
			"%s differs at byte %zu of %zu, seed %llu: %u channels, k %u, rows %u, "
			"out %d",
			what, i, bytes, (unsigned long long)seed, o->channels, o->k, o->rows,
			o->out);
}

static void check_product(struct rng *r, const struct product *o, uint64_t seed)
{
	size_t bytes = o->pixels * o->channels * fixture_out_bytes(o->out);
	void *want = fixture_alloc(bytes), *y = fixture_alloc(bytes);
	uint32_t *want_chk = fixture_alloc(o->pixels * 4), *chk = fixture_alloc(o->pixels * 4);

	reference(o, want, want_chk);
	memset(y, 0x33, bytes);
	memset(chk, 0x33, o->pixels * 4);
	kernel(o, y, chk);
	expect_same(o, want, y, bytes, "kernel", seed);
	expect_same(o, want_chk, chk, o->pixels * 4, "sums", seed);
	memset(y, 0x33, bytes);
	in_slices(r, o, y, seed % 2 ? chk : NULL);
	expect_same(o, want, y, bytes, "slices", seed);
	expect_same(o, want_chk, chk, o->pixels * 4, "sums of slices", seed);
	free(want);
	free(y);
	free(want_chk);
	free(chk);
}

/* ---- matrix products ------------------------------------------------------------------------------- */

static void run_product(struct rng *r, struct product o, enum fixture_fill fill, uint64_t seed)
{
	operands_make(r, &o, fill, (enum fixture_scales)rng_below(r, SCALES_KINDS),
		      rng_below(r, 2));
	check_product(r, &o, seed);
	product_free(&o);
}

START_TEST(random_gemm)
{
	struct rng r = {(uint64_t)_i};
	uint32_t m = 1 + rng_below(&r, 2 * HLS_PIXELS + 3);
	uint32_t n = 1 + rng_below(&r, 3 * HLS_COLUMNS + 3);
	uint32_t k = 1 + rng_below(&r, _i % 5 ? 90 : 2 * HLS_BLOCK + 9);

	run_product(&r, of_gemm(m, n, k, (enum op_out)rng_below(&r, 3)),
		    (enum fixture_fill)rng_below(&r, FILL_KINDS), (uint64_t)_i);
}
END_TEST

START_TEST(edges_gemm)
{
	const uint32_t ms[] = {1, HLS_PIXELS, HLS_PIXELS + 1};
	const uint32_t ns[] = {1, HLS_COLUMNS, HLS_COLUMNS + 1};
	const uint32_t ks[] = {1, 4, 5, HLS_BLOCK - 1, HLS_BLOCK, HLS_BLOCK + 1};
	struct rng r = {(uint64_t)_i + 700};

	run_product(&r, of_gemm(ms[_i % 3], ns[_i / 3 % 3], ks[_i / 9], (enum op_out)(_i % 3)),
		    (enum fixture_fill)(_i % FILL_KINDS), (uint64_t)_i);
}
END_TEST

/* The longest sum at the ends of its range, +-(2^30 + 2^30 - 1). */
START_TEST(largest_sums)
{
	struct rng r = {(uint64_t)_i};
	struct product o = of_gemm(2, 5, OP_K_MAX, (enum op_out)(_i % 3));

	operands_make(&r, &o, FILL_LOWEST, _i < 3 ? SCALES_WILD : SCALES_PRELU, _i & 1);
	for (uint32_t n = 0; n < o.channels; n++) {
		o.bias[n] = n % 2 ? OP_BIAS_MAX : -OP_BIAS_MAX;
		memset(o.w + (size_t)n * o.k, n % 3 ? -128 : 127, o.k);
	}
	memset(o.x + o.k, 127, o.k);
	check_product(&r, &o, (uint64_t)_i);
	product_free(&o);
}
END_TEST

/* Halves to the even neighbour; an accumulator of -1 already takes the other scale. */
START_TEST(ties_to_even)
{
	struct rng r = {5};
	struct product o = of_gemm(1, 255, 1, OP_OUT_S8);

	operands_make(&r, &o, FILL_RANDOM, SCALES_LINEAR, false);
	for (uint32_t c = 0; c < 255; c++) {
		((float *)o.q->s_pos)[c] = 0.5f;
		((float *)o.q->s_neg)[c] = c % 4 == 2 ? -1.5f : 0.5f;
		o.w[c] = (int8_t)((int32_t)c - 127);
		o.bias[c] = 0;
	}
	o.x[0] = 1;
	o.mm.q.z = 0;
	o.mm.q.lo = -128;
	o.mm.q.hi = 127;
	check_product(&r, &o, 5);
	product_free(&o);
}
END_TEST

/* ---- convolutions ---------------------------------------------------------------------------------- */

static void pad_to_fit(struct rng *r, uint32_t size, uint32_t k, uint32_t dilation,
		       uint32_t *before, uint32_t *after)
{
	uint32_t window = (k - 1) * dilation + 1;

	*before = rng_below(r, window + 1);
	*after = rng_below(r, window + 1);
	if (size + *before + *after < window)
		*after = window - size - *before;
}

enum kind { DENSE, POINTWISE, GROUPED, DEPTHWISE, MULTIPLIED, KINDS };

static void give_channels(struct rng *r, struct op_conv2d *p, enum kind kind)
{
	const uint32_t some[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 65, 130};

	p->groups = kind == GROUPED ? 2 + rng_below(r, 4) : 1;
	p->c = p->groups * some[rng_below(r, kind == GROUPED ? 6 : 13)];
	p->oc = p->groups * some[rng_below(r, kind == GROUPED ? 8 : 13)];
	if (kind == DEPTHWISE || kind == MULTIPLIED)
		p->groups = p->oc = p->c;
	if (kind == MULTIPLIED) /* two outputs a channel: not the line buffer's */
		p->oc = 2 * p->c;
}

static struct op_conv2d random_shape(struct rng *r, enum kind kind)
{
	const uint32_t dilations[] = {1, 1, 1, 2, 3};
	struct op_conv2d p = {.n = 1 + rng_below(r, 2),
			      .h = 1 + rng_below(r, 12),
			      .w = 1 + rng_below(r, 24),
			      .kh = 1 + rng_below(r, 4),
			      .kw = 1 + rng_below(r, 4),
			      .stride_h = 1 + rng_below(r, 3),
			      .stride_w = 1 + rng_below(r, 3),
			      .dilation_h = dilations[rng_below(r, 5)],
			      .dilation_w = dilations[rng_below(r, 5)],
			      .out = (enum op_out)rng_below(r, 3)};

	give_channels(r, &p, kind);
	if (kind == POINTWISE)
		p.kh = p.kw = 1;
	pad_to_fit(r, p.h, p.kh, p.dilation_h, &p.pad_top, &p.pad_bottom);
	pad_to_fit(r, p.w, p.kw, p.dilation_w, &p.pad_left, &p.pad_right);
	return p;
}

START_TEST(random_conv)
{
	struct rng r = {(uint64_t)_i + 3000};
	struct op_conv2d p = random_shape(&r, (enum kind)(_i % KINDS));

	run_product(&r, of_conv(&r, p), (enum fixture_fill)rng_below(&r, FILL_KINDS), (uint64_t)_i);
}
END_TEST

#define CONV(h_, w_, c_, oc_, groups_, k, s, pad)                                                  \
	{                                                                                          \
		.n = 1, .h = h_, .w = w_, .c = c_, .oc = oc_, .kh = k, .kw = k, .groups = groups_, \
		.stride_h = s, .stride_w = s, .dilation_h = 1, .dilation_w = 1, .pad_top = pad,    \
		.pad_left = pad, .pad_bottom = pad, .pad_right = pad                               \
	}

static const struct op_conv2d edges[] = {CONV(1, 1, 1, 1, 1, 1, 1, 0),
					 CONV(1, 1, 3, 16, 1, 3, 1, 1),
					 CONV(2, 2, 17, 31, 1, 5, 1, 2),
					 CONV(1, 1, 15, 17, 1, 7, 3, 3),
					 CONV(24, 24, 3, 32, 1, 3, 2, 1),
					 CONV(7, 7, 300, 20, 1, 1, 1, 0),
					 CONV(7, 7, 65, 65, 65, 7, 1, 0),
					 CONV(1, 1, 64, 64, 64, 3, 1, 1),
					 CONV(8, 8, 63, 63, 63, 3, 2, 1),
					 CONV(3, 3, 2, 2, 2, 8, 1, 4), /* more taps than HLS_TAPS */
					 CONV(9, 5, 16, 16, 16, 5, 3, 0),
					 CONV(2, HLS_LINE_PIXELS, 2, 2, 2, 2, 1, 1), /* too wide */
					 CONV(9, 9, 130, 130, 130, 3, 1, 1)};

START_TEST(edges_conv)
{
	const size_t n = sizeof(edges) / sizeof(edges[0]);
	struct rng r = {(uint64_t)_i + 900};
	struct op_conv2d p = edges[(size_t)_i % n];

	p.out = (enum op_out)((size_t)_i / n % 3);
	run_product(&r, of_conv(&r, p), (enum fixture_fill)((size_t)_i % FILL_KINDS), (uint64_t)_i);
}
END_TEST

/* ---- the packed multiplier --------------------------------------------------------------------------- */

START_TEST(pack_every_product)
{
	for (int32_t x0 = -128; x0 < 128; x0++)
		for (int32_t x1 = -128; x1 < 128; x1++)
			for (int32_t v = -128; v < 128; v++) {
				int64_t chain = (int64_t)pack_two((int8_t)x0, (int8_t)x1) * v;

				if (pack_low(chain) != x0 * v || pack_high(chain) != x1 * v)
					ck_abort_msg("%d %d * %d", x0, x1, v);
			}
}
END_TEST

START_TEST(pack_chains)
{
	static const int8_t value[] = {-128, -127, -1, 0, 1, 127};
	struct rng r = {1};

	for (uint32_t n = 0; n < 2000000; n++) {
		int64_t chain = 0;
		int32_t low = 0, high = 0;

		for (uint32_t j = 0; j < HLS_STEP; j++) {
			int8_t x0 = value[rng_below(&r, 6)], x1 = value[rng_below(&r, 6)];
			int8_t v = value[rng_below(&r, 6)];

			chain += (int64_t)pack_two(x0, x1) * v;
			low += x0 * v;
			high += x1 * v;
		}
		if (pack_low(chain) != low || pack_high(chain) != high)
			ck_abort_msg("chain %u", n);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hls product");
	TCase *t = tcase_create("product");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_gemm, 0, 60);
	tcase_add_loop_test(t, edges_gemm, 0, 54);
	tcase_add_loop_test(t, largest_sums, 0, 6);
	tcase_add_test(t, ties_to_even);
	tcase_add_loop_test(t, random_conv, 0, 150);
	tcase_add_loop_test(t, edges_conv, 0, 39);
	tcase_add_test(t, pack_every_product);
	tcase_add_test(t, pack_chains);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
