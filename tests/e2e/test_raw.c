/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm and conv2d through a real daemon, on the CPU and on boards that are sound, wrong, or come and
 * go: the bytes are those of kernels/ref, or there is an error.
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

#define CHANNELS_MAX 64u

static struct rig rig;
static struct facet *c;
static struct rng rng = {1};

static int8_t *bytes_of(size_t n)
{
	int8_t *at = malloc(n);

	for (size_t i = 0; i < n; i++)
		at[i] = (int8_t)rng_below(&rng, 256);
	return at;
}

static void start(const char *settings)
{
	struct facet_params params = {.size = sizeof(params)};

	rig_make(&rig, settings);
	rig_start(&rig);
	ck_assert_int_eq(facet_connect(rig.socket, &params, &c), 0);
}

static void stop(void)
{
	facet_close(c);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
}

static struct facet_device board(void)
{
	struct facet_devices *devices;
	struct facet_device d;

	ck_assert_msg(!facet_device_list(c, "b0", &devices), "%s", facet_error(c)->text);
	d = devices->items[0];
	d.text = d.state = NULL;
	facet_free(devices);
	return d;
}

static void until_works(void)
{
	for (int i = 0; i < 1000 && !board().works; i++)
		usleep(10000);
	ck_assert(board().works);
}

/* What both kinds of product have. */
struct product {
	int8_t *x, *w, *residual;
	int32_t bias[CHANNELS_MAX];
	float scale[CHANNELS_MAX];
	size_t out_bytes;
	void *want, *got;
};

static struct facet_requant make(struct product *p, size_t x, size_t w, size_t outputs,
				 uint32_t channels, enum facet_out out)
{
	p->x = bytes_of(x);
	p->w = bytes_of(w);
	p->residual = out != FACET_OUT_S32 && rng_below(&rng, 2) ? bytes_of(outputs) : NULL;
	for (uint32_t i = 0; i < channels; i++) {
		p->bias[i] = (int32_t)rng_below(&rng, 20000) - 10000;
		p->scale[i] = 1.0f / (float)(1000 + rng_below(&rng, 100000));
	}
	p->out_bytes = outputs * (out == FACET_OUT_S8 ? 1 : 4);
	p->want = calloc(1, p->out_bytes);
	p->got = calloc(1, p->out_bytes);
	return (struct facet_requant){.s_pos = p->scale,
				      .s_neg = p->scale,
				      .s_r = 0.5f,
				      .z_r = 3,
				      .z = -4,
				      .lo = -128,
				      .hi = 127};
}

static struct op_requant same(const struct facet_requant *q)
{
	return (struct op_requant){q->s_pos, q->s_neg, q->s_r, q->z_r, q->z, q->lo, q->hi};
}

static void judge(struct product *p, int err)
{
	ck_assert_msg(!err, "%s", facet_error(c)->text);
	ck_assert_mem_eq(p->got, p->want, p->out_bytes);
	free(p->x);
	free(p->w);
	free(p->residual);
	free(p->want);
	free(p->got);
}

static void gemm(void)
{
	struct facet_gemm g = {
		.size = sizeof(g), .m = 1 + rng_below(&rng, 200), .n = 1 + rng_below(&rng, 64)};
	struct product p;
	struct op_gemm op;

	g.k = 1 + rng_below(&rng, 150);
	g.out = (enum facet_out)rng_below(&rng, 3);
	g.q = make(&p, (size_t)g.m * g.k, (size_t)g.n * g.k, (size_t)g.m * g.n, g.n, g.out);
	g.a = p.x;
	g.b = p.w;
	g.bias = p.bias;
	g.residual = p.residual;
	op = (struct op_gemm){g.m, g.n, g.k, (enum op_out)g.out, same(&g.q)};
	ck_assert_int_eq(ref_gemm(&op, p.x, p.w, p.bias, p.residual, p.want), 0);
	judge(&p, facet_gemm_s8(c, &g, p.got));
}

static void conv2d(void)
{
	uint32_t size = 1 + 2 * rng_below(&rng, 2), groups = 1 + rng_below(&rng, 2);
	struct facet_conv2d g = {.size = sizeof(g),
				 .n = 1 + rng_below(&rng, 5),
				 .h = 5 + rng_below(&rng, 9),
				 .w = 5 + rng_below(&rng, 9),
				 .c = groups * (1 + rng_below(&rng, 9)),
				 .oc = groups * (1 + rng_below(&rng, 20)),
				 .kh = size,
				 .kw = size,
				 .groups = groups,
				 .stride_h = 1 + rng_below(&rng, 2),
				 .stride_w = 1 + rng_below(&rng, 2),
				 .dilation_h = 1,
				 .dilation_w = 1,
				 .pad_top = size / 2,
				 .pad_left = size / 2,
				 .pad_bottom = size / 2,
				 .pad_right = size / 2,
				 .z_x = (int32_t)rng_below(&rng, 20) - 10};
	struct op_conv2d op = {g.n,	    g.h,   g.w,	      g.c,	  g.oc,
			       g.kh,	    g.kw,  g.groups,  g.stride_h, g.stride_w,
			       1,	    1,	   g.pad_top, g.pad_left, g.pad_bottom,
			       g.pad_right, g.z_x, OP_OUT_S8, {0}};
	size_t pixels = (size_t)g.n * op_conv2d_oh(&op) * op_conv2d_ow(&op);
	struct product p;

	g.out = (enum facet_out)rng_below(&rng, 3);
	op.out = (enum op_out)g.out;
	g.q = make(&p, (size_t)g.n * g.h * g.w * g.c, (size_t)g.oc * size * size * (g.c / groups),
		   pixels * g.oc, g.oc, g.out);
	g.x = p.x;
	g.weights = p.w;
	g.bias = p.bias;
	g.residual = p.residual;
	op.q = same(&g.q);
	ck_assert_int_eq(ref_conv2d(&op, p.x, p.w, p.bias, p.residual, p.want), 0);
	judge(&p, facet_conv2d_s8(c, &g, p.got));
}

static void products(int times)
{
	for (int i = 0; i < times; i++) {
		gemm();
		conv2d();
	}
}

static const struct {
	const char *settings;
	bool checked, stands_out;
} boards[] = {
	{"", false, false},
	{"[device b0]\nkind = fault\nprefer = 1\n[limits]\nchecksum_every = 1\n", true, false},
	{"[device b0]\nkind = fault\nprefer = 1\n[limits]\ncheck_every = 2\nslice_us = 100\n", true,
	 false},
	{"[device b0]\nkind = virtual\nprefer = 1\n[limits]\ncheck_every = 3\n"
	 "checksum_every = 1\n",
	 true, false},
	{"[device b0]\nkind = fault\n[limits]\nslice_us = 100\n", false, false},
	{"[device b0]\nkind = fault\nprefer = 1\nfault = flip-out:every=5,ops=compute\n[limits]\n"
	 "check_every = 1\n",
	 true, true},
	{"[device b0]\nkind = fault\nprefer = 1\nfault = flip-in:every=3\n[limits]\n"
	 "check_every = 1\n",
	 true, true},
	{"[device b0]\nkind = fault\nprefer = 1\nfault = flip-acc:every=3\n[limits]\n"
	 "check_every = 0\nchecksum_every = 1\n",
	 true, true},
	{"[device b0]\nkind = fault\nprefer = 1\nfault = fail:every=7\n", false, true},
	{"[device b0]\nkind = fault\nprefer = 1\nfault = hang:every=9,ms=20\n", false, true},
	{"[device b0]\nkind = fault\nprefer = 1\nfault = gone:after=20\n", false, true},
};

START_TEST(test_products)
{
	struct facet_device d;

	start(boards[_i].settings);
	if (*boards[_i].settings)
		until_works();
	products(30);
	if (*boards[_i].settings) {
		d = board();
		if (boards[_i].checked)
			ck_assert_uint_gt(d.checks, 0);
		ck_assert_int_eq(d.failed + d.mismatches > 0, boards[_i].stands_out);
	}
	stop();
}
END_TEST

START_TEST(test_the_board_comes_and_goes)
{
	static const enum facet_device_action actions[] = {FACET_DEVICE_DRAIN, FACET_DEVICE_ENABLE,
							   FACET_DEVICE_RESET, FACET_DEVICE_REMOVE,
							   FACET_DEVICE_ENABLE};

	start("[device b0]\nkind = fault\nprefer = 1\n[limits]\ncheck_every = 2\nslice_us = 100\n");
	until_works();
	for (int i = 0; i < 40; i++) {
		facet_device_change(c, "b0", actions[i % 5], NULL);
		products(1);
	}
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raw kernels, end to end");
	TCase *tcase = tcase_create("raw");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_products, 0, sizeof(boards) / sizeof(boards[0]));
	tcase_add_test(tcase, test_the_board_comes_and_goes);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
