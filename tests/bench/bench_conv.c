/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and GEMM: the layers of MobileFaceNet one by one and as a whole, then some shapes of
 * other networks. 10^9 multiplies and adds a second of CPU time on one core, the fraction of the
 * vpdpbusd rate measured in the same run, and oneDNN beside it where it was there at build time.
 * Padded taps count. oneDNN has it easier: one scale a channel and no residual (+r). A ratio above
 * 1.05 means that the limit was not measured well: an error.
 *
 *   bench_conv [--isa NAME] [--rounds R]
 */
#include "kernels/cpu/cpu.h"
#include "tests/bench/limits.h"
#include "tests/bench/onednn.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX   99
#define RATIO_MAX    1.05
#define ROUND_SECOND 0.004 /* CPU time of one sample of a layer */

struct options {
	const char *isa;
	int rounds;
};

struct shape {
	uint32_t h, c, oc, k, stride, pad; /* k 0: a GEMM of h rows, depth c, width oc */
	bool depthwise, residual;
	uint32_t repeat; /* how often it occurs in the network */
};

#define POINT(h, c, oc, n)                                                                         \
	{                                                                                          \
		h, c, oc, 1, 1, 0, false, false, n                                                 \
	}
#define POINT_ADD(h, c, oc, n)                                                                     \
	{                                                                                          \
		h, c, oc, 1, 1, 0, false, true, n                                                  \
	}
#define FULL(h, c, oc, stride, n)                                                                  \
	{                                                                                          \
		h, c, oc, 3, stride, 1, false, false, n                                            \
	}
#define DEPTH(h, c, stride, n)                                                                     \
	{                                                                                          \
		h, c, c, 3, stride, 1, true, false, n                                              \
	}
#define GEMM(m, k, width)                                                                          \
	{                                                                                          \
		m, k, width, 0, 1, 0, false, false, 1                                              \
	}

static const struct shape mobilefacenet[] = {
	FULL(112, 3, 64, 2, 1), DEPTH(56, 64, 1, 1),
	POINT(56, 64, 128, 1),	DEPTH(56, 128, 2, 1),
	POINT(28, 128, 64, 1),	POINT(28, 64, 128, 4),
	DEPTH(28, 128, 1, 4),	POINT_ADD(28, 128, 64, 4),
	POINT(28, 64, 256, 1),	DEPTH(28, 256, 2, 1),
	POINT(14, 256, 128, 1), POINT(14, 128, 256, 6),
	DEPTH(14, 256, 1, 6),	POINT_ADD(14, 256, 128, 6),
	POINT(14, 128, 512, 1), DEPTH(14, 512, 2, 1),
	POINT(7, 512, 128, 1),	POINT(7, 128, 256, 2),
	DEPTH(7, 256, 1, 2),	POINT_ADD(7, 256, 128, 2),
	POINT(7, 128, 512, 1),	{7, 512, 512, 7, 1, 0, true, false, 1},
	POINT(1, 512, 512, 1),
};

static const struct shape others[] = {
	FULL(112, 64, 64, 1, 1),  FULL(112, 3, 64, 2, 1),   POINT(56, 64, 128, 1),
	FULL(28, 128, 128, 1, 1), FULL(14, 256, 256, 1, 1), POINT(14, 128, 256, 1),
	POINT(14, 1024, 256, 1),  POINT(7, 512, 512, 1),    FULL(7, 512, 512, 1, 1),
	DEPTH(56, 128, 1, 1),	  DEPTH(14, 256, 1, 1),	    GEMM(1024, 1024, 1024),
	GEMM(196, 4608, 512),	  GEMM(16, 4096, 4096),	    GEMM(1, 4096, 4096),
};

/* One layer with operands and packed weights. */
struct layer {
	const struct cpu_kernels *kernels;
	struct op_conv2d conv; /* of a GEMM: n = 1, h = m, w = 1 */
	struct op_gemm gemm;
	bool is_gemm, residual;
	int8_t *x, *y, *w, *r;
	float *scale;
	int32_t *bias;
	void *packed, *scratch;
	double ops;
	struct onednn *peer;
	double seconds[2][ROUNDS_MAX]; /* ours, the peer's */
};

static void *alloc(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);

	if (!p) {
		fprintf(stderr, "bench_conv: out of memory\n");
		exit(2);
	}
	memset(p, 0, (bytes + 127) / 64 * 64);
	return p;
}

static int8_t *some_bytes(size_t n)
{
	int8_t *p = alloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (int8_t)(i * 2654435761u >> 13);
	return p;
}

static struct op_requant some_scales(struct layer *l, uint32_t channels)
{
	l->scale = alloc(2 * channels * sizeof(float));
	for (uint32_t c = 0; c < channels; c++) {
		l->scale[c] = 0.001f + (float)c * 1e-7f;
		l->scale[channels + c] = l->scale[c] * 0.25f;
	}
	return (struct op_requant){.s_pos = l->scale,
				   .s_neg = l->scale + channels,
				   .s_r = 0.5f,
				   .lo = -128,
				   .hi = 127};
}

static void layer_pack(struct layer *l)
{
	const struct cpu_kernels *k = l->kernels;

	if (l->is_gemm) {
		l->packed = alloc(k->gemm_packed_bytes(&l->gemm));
		l->scratch = alloc(k->gemm_scratch_bytes(&l->gemm));
		k->gemm_pack(&l->gemm, l->w, l->bias, l->packed);
	} else {
		l->packed = alloc(k->conv2d_packed_bytes(&l->conv));
		l->scratch = alloc(k->conv2d_scratch_bytes(&l->conv));
		k->conv2d_pack(&l->conv, l->w, l->bias, l->packed);
	}
}

static void layer_make(struct layer *l, const struct cpu_kernels *k, const struct shape *s)
{
	uint32_t kk = s->k ? s->k : 1, groups = s->depthwise ? s->c : 1;
	size_t weights = (size_t)s->oc * kk * kk * (s->c / groups), outputs;

	*l = (struct layer){.kernels = k, .is_gemm = s->k == 0, .residual = s->residual};
	l->conv = (struct op_conv2d){.n = 1,
				     .h = s->h,
				     .w = s->k ? s->h : 1,
				     .c = s->c,
				     .oc = s->oc,
				     .kh = kk,
				     .kw = kk,
				     .groups = groups,
				     .stride_h = s->stride,
				     .stride_w = s->stride,
				     .dilation_h = 1,
				     .dilation_w = 1,
				     .pad_top = s->pad,
				     .pad_left = s->pad,
				     .pad_bottom = s->pad,
				     .pad_right = s->pad,
				     .out = OP_OUT_S8};
	l->conv.q = some_scales(l, s->oc);
	l->gemm = (struct op_gemm){s->h, s->oc, s->c, OP_OUT_S8, l->conv.q};
	outputs = (size_t)op_conv2d_oh(&l->conv) * op_conv2d_ow(&l->conv) * s->oc;
	l->ops = 2.0 * (double)outputs * (double)(weights / s->oc);
	l->x = some_bytes((size_t)l->conv.h * l->conv.w * s->c);
	l->y = some_bytes(outputs);
	l->r = some_bytes(outputs);
	l->w = some_bytes(weights);
	l->bias = alloc(s->oc * sizeof(int32_t));
	layer_pack(l);
	l->peer = l->is_gemm ? NULL : onednn_create(&l->conv);
}

static void layer_free(struct layer *l)
{
	onednn_free(l->peer);
	free(l->x);
	free(l->y);
	free(l->r);
	free(l->w);
	free(l->bias);
	free(l->scale);
	free(l->packed);
	free(l->scratch);
}

static void layer_run(struct layer *l)
{
	const int8_t *r = l->residual ? l->r : NULL;

	if (l->is_gemm)
		l->kernels->gemm(&l->gemm, l->packed, l->x, r, l->y, 0, l->gemm.m, l->scratch);
	else
		l->kernels->conv2d(&l->conv, l->packed, l->x, r, l->y, 0, op_conv2d_oh(&l->conv),
				   l->scratch);
}

/* Seconds of one run, over as many as make a sample. */
static double sample(struct layer *l, bool peer)
{
	double begin = limits_cpu_seconds(), passed = 0;
	int n = 0;

	while (passed < ROUND_SECOND) {
		for (int i = 0; i < 8; i++, n++)
			if (peer)
				onednn_run(l->peer);
			else
				layer_run(l);
		passed = limits_cpu_seconds() - begin;
	}
	return passed / n;
}

static void print_shape(const struct shape *s)
{
	if (!s->k)
		printf("gemm %ux%ux%u%*s", s->h, s->oc, s->c, s->h > 999 ? 9 : 12, "");
	else
		printf("%-9s %3ux%-3u %4u ->%4u k%u s%u%s", s->depthwise ? "depthwise" : "conv",
		       s->h, s->h, s->c, s->oc, s->k, s->stride, s->residual ? " +r" : "   ");
}

/* Returns whether the limit holds. */
static bool print_layer(struct layer *l, const struct shape *s, const struct options *o,
			double peak)
{
	double ours = limits_median(l->seconds[0], o->rounds), ratio;

	print_shape(s);
	ratio = peak > 0 ? l->ops / ours / 1e9 / peak : 0;
	printf(" x%u %8.1f us %7.1f Gop/s %5.2f", s->repeat, ours * 1e6, l->ops / ours / 1e9,
	       ratio);
	if (l->peer) {
		double theirs = limits_median(l->seconds[1], o->rounds);

		printf("   oneDNN %7.1f, ours %.2f x", l->ops / theirs / 1e9, theirs / ours);
	}
	printf("\n");
	return ratio <= RATIO_MAX;
}

static bool bench(const struct cpu_kernels *k, const struct options *o, const struct shape *shapes,
		  size_t count, struct limits *limits, double *network)
{
	struct layer *layers = calloc(count, sizeof(*layers));
	double total[ROUNDS_MAX];
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		layer_make(&layers[i], k, &shapes[i]);
	for (int round = 0; round < o->rounds; round++) {
		double begin;

		if (round % 4 == 0)
			limits_sample(limits);
		for (size_t i = 0; i < count; i++) {
			layers[i].seconds[0][round] = sample(&layers[i], false);
			if (layers[i].peer)
				layers[i].seconds[1][round] = sample(&layers[i], true);
		}
		begin = limits_cpu_seconds();
		for (size_t i = 0; i < count; i++)
			for (uint32_t j = 0; j < shapes[i].repeat; j++)
				layer_run(&layers[i]);
		total[round] = limits_cpu_seconds() - begin;
	}
	for (size_t i = 0; i < count; i++) {
		ok = print_layer(&layers[i], &shapes[i], o, limits_vnni_gops(limits)) && ok;
		layer_free(&layers[i]);
	}
	free(layers);
	*network = limits_median(total, o->rounds);
	return ok;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'i':
		o->isa = arg;
		return 0;
	case 'r':
		o->rounds = atoi(arg);
		if (o->rounds < 1 || o->rounds > ROUNDS_MAX)
			argp_error(state, "--rounds is 1 to %d", ROUNDS_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option argp_options[] = {
	{"isa", 'i', "NAME", 0, "avx512vnni, avx2 or portable", 0},
	{"rounds", 'r', "R", 0, "samples of each layer (9)", 0},
	{0}};
static const struct argp argp = {argp_options, parse, NULL, "int8 convolution and GEMM",
				 NULL,	       NULL,  NULL};

int main(int argc, char **argv)
{
	struct options o = {.rounds = 9};
	const struct cpu_kernels *k;
	struct limits *limits;
	double network = 0, unused;
	bool ok;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	/* oneDNN is to use one thread too; its OpenMP reads the environment before main. */
	if (!getenv("OMP_NUM_THREADS")) {
		setenv("OMP_NUM_THREADS", "1", 1);
		execv("/proc/self/exe", argv);
	}
	k = cpu_kernels_get(o.isa);
	limits = k ? limits_create() : NULL;
	if (!limits) {
		fprintf(stderr, "bench_conv: %s\n",
			k ? "out of memory" : "no such instruction set");
		return 2;
	}
	cpu_float_mode();
	printf("MobileFaceNet at 112x112, %s\n", k->name);
	ok = bench(k, &o, mobilefacenet, sizeof(mobilefacenet) / sizeof(*mobilefacenet), limits,
		   &network);
	printf("whole network, batch 1: %.3f ms a core\n\nother shapes\n", network * 1e3);
	ok = bench(k, &o, others, sizeof(others) / sizeof(*others), limits, &unused) && ok;
	printf("vpdpbusd: %.1f Gop/s in this run; oneDNN %s\n", limits_vnni_gops(limits),
	       onednn_version());
	limits_free(limits);
	if (!ok)
		fprintf(stderr, "bench_conv: a ratio above %.2f: the limit was not reached\n",
			RATIO_MAX);
	return !ok;
}
