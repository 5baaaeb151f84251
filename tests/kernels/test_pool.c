/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling: the oracle scatters every input to the windows that hold it. */
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct operands {
	struct op_pool2d p;
	int8_t *x;
	size_t inputs, outputs;
};

static void operands_make(struct rng *r, struct operands *o)
{
	struct op_pool2d *p = &o->p;

	*p = (struct op_pool2d){.n = 1 + rng_below(r, 2),
				.h = 1 + rng_below(r, 14),
				.w = 1 + rng_below(r, 14),
				.c = 1 + rng_below(r, 140),
				.kind = (enum op_pool_kind)rng_below(r, 2),
				.divisor = rng_below(r, 2) ? 0 : 1 + rng_below(r, 50),
				.scale = rng_scale(r) * 8,
				.z_x = rng_range(r, -128, 127),
				.z = rng_range(r, -128, 127)};
	p->lo = rng_range(r, -128, 0);
	p->hi = rng_range(r, p->lo, 127);
	do {
		p->kh = 1 + rng_below(r, 8);
		p->kw = 1 + rng_below(r, 8);
		p->stride_h = 1 + rng_below(r, 3);
		p->stride_w = 1 + rng_below(r, 3);
		p->pad_top = rng_below(r, p->kh);
		p->pad_left = rng_below(r, p->kw);
		p->pad_bottom = rng_below(r, p->kh);
		p->pad_right = rng_below(r, p->kw);
	} while (op_pool2d_check(p));
	o->inputs = (size_t)p->n * p->h * p->w * p->c;
	o->outputs = (size_t)p->n * op_pool2d_oh(p) * op_pool2d_ow(p) * p->c;
	o->x = fixture_alloc(o->inputs);
	fixture_fill(r, (enum fixture_fill)rng_below(r, FILL_KINDS), o->x, o->inputs);
}

struct window {
	int64_t sum, taps;
	int best;
};

/* Adds input (iy, ix) of one channel to every output window that covers it. */
static void scatter(const struct op_pool2d *p, struct window *first, size_t iy, size_t ix, int8_t v)
{
	uint32_t oh = op_pool2d_oh(p), ow = op_pool2d_ow(p);

	for (uint32_t oy = 0; oy < oh; oy++)
		for (uint32_t ox = 0; ox < ow; ox++) {
			int64_t ky = (int64_t)(iy + p->pad_top) - (int64_t)oy * p->stride_h;
			int64_t kx = (int64_t)(ix + p->pad_left) - (int64_t)ox * p->stride_w;
			struct window *w = first + ((size_t)oy * ow + ox) * p->c;

			if (ky < 0 || ky >= p->kh || kx < 0 || kx >= p->kw)
				continue;
			w->best = !w->taps || v > w->best ? v : w->best;
			w->sum += v;
			w->taps++;
		}
}

static int8_t *oracle(const struct operands *o)
{
	const struct op_pool2d *p = &o->p;
	size_t per_image = o->outputs / p->n;
	struct window *windows = calloc(o->outputs, sizeof(*windows));
	int8_t *y = fixture_alloc(o->outputs);

	for (size_t i = 0; i < o->inputs; i++) {
		size_t pixel = i / p->c, image = pixel / p->w / p->h;

		scatter(p, windows + image * per_image + i % p->c, pixel / p->w % p->h,
			pixel % p->w, o->x[i]);
	}
	for (size_t i = 0; i < o->outputs; i++) {
		const struct window *w = &windows[i];
		float s = (float)((__float128)p->scale /
				  (p->divisor ? (int64_t)p->divisor : w->taps));
		__float128 t = (__float128)(w->sum - w->taps * p->z_x) * s;

		ck_assert_int_gt(w->taps, 0);
		y[i] = p->kind == OP_POOL_MAX ? (int8_t)w->best
					      : oracle_byte((float)t, p->z, p->lo, p->hi);
	}
	free(windows);
	return y;
}

struct run {
	const struct cpu_kernels *k;
	const struct operands *o;
	int8_t *y;
};

static int run_slice(void *context, uint32_t begin, uint32_t end)
{
	struct run *run = context;

	return run->k->pool2d(&run->o->p, run->o->x, run->y, begin, end);
}

static void expect_same(const struct operands *o, const int8_t *want, const int8_t *got,
			const char *who, int seed)
{
	for (size_t i = 0; i < o->outputs; i++)
		if (want[i] != got[i])
			ck_abort_msg("%s: %d instead of %d at %zu, seed %d", who, got[i], want[i],
				     i, seed);
}

START_TEST(random_windows)
{
	struct rng r = {(uint64_t)_i};
	struct operands o;
	int8_t *want, *y;

	operands_make(&r, &o);
	want = oracle(&o);
	y = fixture_alloc(o.outputs);
	ck_assert_int_eq(ref_pool2d(&o.p, o.x, y), 0);
	expect_same(&o, want, y, "ref", _i);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		struct run run = {*k, &o, y};
		uint32_t rows = o.p.n * op_pool2d_oh(&o.p);

		memset(y, 0x33, o.outputs);
		fixture_slices(&r, rows, run_slice, &run);
		expect_same(&o, want, y, (*k)->name, _i);
		ck_assert_int_lt(run_slice(&run, 0, rows + 1), 0);
		ck_assert_int_lt(run_slice(&run, 1, 0), 0);
	}
	free(want);
	free(y);
	free(o.x);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool2d");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_windows, 0, 150);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
