/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits that flip between the products and all that follows: the OpenCL kernels are built with
 * FACET_FLIP for this program, which changes one accumulator where the multipliers left it. The sums
 * that the CPU makes from the inputs (kernels/cpu/checksum.c) must find each one, at its row.
 */
#include "daemon/device/opencl.h"
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define X_MAX	   8192u
#define W_MAX	   8192u
#define CHANNELS   64u
#define PIXELS	   256u
#define Y_MAX	   4096u
#define SHAPES	   7u
#define FLIPS	   2100u /* of both kinds of kernels together, in make check */
#define FLIPS_LONG 10000u

/* Whole and ragged tiles of channels and pixels, padding, strides, groups, each channel alone. */
static const struct op_conv2d shapes[SHAPES] = {
	{1, 8, 8, 16, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, -3, OP_OUT_S32, {0}},
	{1, 9, 7, 5, 19, 3, 3, 1, 2, 2, 1, 1, 1, 1, 1, 1, 7, OP_OUT_S32, {0}},
	{2, 6, 6, 8, 24, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, OP_OUT_S32, {0}},
	{1, 8, 8, 12, 36, 3, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 1, OP_OUT_S32, {0}},
	{1, 10, 10, 24, 24, 3, 3, 24, 1, 1, 1, 1, 1, 1, 1, 1, -5, OP_OUT_S32, {0}},
	/* these are GEMMs: n rows of c inputs */
	{17, 1, 1, 61, 33, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, OP_OUT_S32, {0}},
	{8, 1, 1, 128, 64, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, OP_OUT_S32, {0}},
};
#define FIRST_GEMM 5u

static struct device *device;
static char why[256];

struct product {
	struct op_conv2d p;
	bool gemm;
	uint32_t pixels;
	int8_t x[X_MAX], w[W_MAX];
	int32_t bias[CHANNELS], want[Y_MAX], y[Y_MAX];
	float scale[CHANNELS];
	uint32_t chk[PIXELS];
	uint32_t packed[16384]; /* what the CPU's sums are made with */
	struct device_buffer *in, *out, *sums;
	struct device_weights *weights;
	struct device_command command;
};

static struct op_gemm gemm_of(const struct product *g)
{
	return (struct op_gemm){g->p.n, g->p.oc, g->p.c, g->p.out, g->p.q};
}

static uint32_t y_bytes(const struct product *g)
{
	return g->pixels * g->p.oc * (g->p.out == OP_OUT_S8 ? 1 : 4);
}

static uint32_t x_bytes(const struct product *g)
{
	return g->p.n * g->p.h * g->p.w * g->p.c;
}

static void product_random(struct product *g, uint64_t *seed)
{
	uint32_t w = g->p.oc * g->p.kh * g->p.kw * g->p.c / g->p.groups;

	ck_assert(x_bytes(g) <= X_MAX && w <= W_MAX && g->p.oc <= CHANNELS);
	for (uint32_t i = 0; i < x_bytes(g); i++)
		g->x[i] = (int8_t)rig_random(seed);
	for (uint32_t i = 0; i < w; i++)
		g->w[i] = (int8_t)rig_random(seed);
	for (uint32_t c = 0; c < g->p.oc; c++) {
		g->bias[c] = (int32_t)rig_between(seed, 0, 20000) - 10000;
		g->scale[c] = rig_float(seed, 0.0005f, 0.002f);
	}
}

static void product_expect(struct product *g)
{
	const struct op_gemm p = gemm_of(g);

	if (g->gemm)
		ck_assert_int_eq(ref_gemm(&p, g->x, g->w, g->bias, NULL, g->want), 0);
	else
		ck_assert_int_eq(ref_conv2d(&g->p, g->x, g->w, g->bias, NULL, g->want), 0);
	if (g->gemm) {
		ck_assert_uint_le(cpu_gemm_checksum_bytes(&p), sizeof(g->packed));
		cpu_gemm_checksum_pack(&p, g->w, g->bias, g->packed);
	} else {
		ck_assert_uint_le(cpu_conv2d_checksum_bytes(&g->p), sizeof(g->packed));
		cpu_conv2d_checksum_pack(&g->p, g->w, g->bias, g->packed);
	}
}

static void product_command(struct product *g)
{
	const struct op_gemm p = gemm_of(g);

	g->command = (struct device_command){.op = g->gemm ? DEVICE_GEMM : DEVICE_CONV2D,
					     .weights = g->weights,
					     .in = {{g->in, 0, x_bytes(g)}},
					     .out = {g->out, 0, y_bytes(g)},
					     .checksum = {g->sums, 0, g->pixels * 4}};
	if (g->gemm)
		g->command.gemm = p;
	else
		g->command.conv2d = g->p;
}

static void product_init(struct product *g, uint32_t shape, enum op_out out, uint64_t *seed)
{
	const struct device_ops *ops = device->ops;
	struct op_gemm p;

	memset(g, 0, sizeof(*g));
	g->p = shapes[shape];
	g->p.out = out;
	g->p.q = (struct op_requant){g->scale, g->scale, 0, 0, 2, -128, 127};
	g->gemm = shape >= FIRST_GEMM;
	g->pixels = g->p.n * op_conv2d_oh(&g->p) * op_conv2d_ow(&g->p);
	ck_assert(g->pixels <= PIXELS && g->pixels * g->p.oc <= Y_MAX);
	product_random(g, seed);
	product_expect(g);
	p = gemm_of(g);
	if (g->gemm)
		ck_assert_int_eq(ops->weights_gemm(device, &p, g->w, g->bias, &g->weights), 0);
	else
		ck_assert_int_eq(ops->weights_conv2d(device, &g->p, g->w, g->bias, &g->weights), 0);
	ck_assert_int_eq(ops->buffer_create(device, x_bytes(g), &g->in), 0);
	ck_assert_int_eq(ops->buffer_create(device, y_bytes(g), &g->out), 0);
	ck_assert_int_eq(ops->buffer_create(device, g->pixels * 4, &g->sums), 0);
	ck_assert_int_eq(ops->buffer_write(g->in, 0, g->x, x_bytes(g)), 0);
	product_command(g);
}

static void product_free(struct product *g)
{
	device->ops->buffer_free(g->in);
	device->ops->buffer_free(g->out);
	device->ops->buffer_free(g->sums);
	device->ops->weights_free(g->weights);
}

static void product_run(struct product *g)
{
	ck_assert_int_eq(rig_run(device, &g->command, 1, NULL), 0);
	ck_assert_int_eq(device->ops->buffer_read(g->out, 0, g->y, y_bytes(g)), 0);
	ck_assert_int_eq(device->ops->buffer_read(g->sums, 0, g->chk, g->pixels * 4), 0);
}

/* Rows whose sum is not that of the CPU; the last of them into row. */
static uint32_t rows_found(const struct product *g, uint32_t *row)
{
	const struct cpu_kernels *kernels = cpu_kernels_get(NULL);
	const struct op_gemm p = gemm_of(g);
	uint32_t want[PIXELS], found = 0;

	if (g->gemm)
		cpu_gemm_checksum(kernels, &p, g->packed, g->x, want, 0, p.m);
	else
		cpu_conv2d_checksum(kernels, &g->p, g->packed, g->x, want, 0,
				    g->p.n * op_conv2d_oh(&g->p));
	for (uint32_t m = 0; m < g->pixels; m++) {
		if (g->chk[m] == want[m])
			continue;
		*row = m;
		found++;
	}
	return found;
}

/* Where the output is not the reference's, it is that of the accumulator which was flipped. */
static void ck_only_there(const struct product *g, uint32_t pixel, uint32_t channel, uint32_t mask)
{
	const uint8_t *y = (const uint8_t *)g->y, *want = (const uint8_t *)g->want;
	uint32_t bytes = g->p.out == OP_OUT_S8 ? 1 : 4, at = pixel * g->p.oc + channel;

	ck_assert_mem_eq(y, want, at * bytes);
	ck_assert_mem_eq(y + (at + 1) * bytes, want + (at + 1) * bytes,
			 y_bytes(g) - (at + 1) * bytes);
	if (g->p.out == OP_OUT_S32)
		ck_assert_int_eq(g->y[at], (int32_t)((uint32_t)g->want[at] ^ mask));
}

static uint32_t flips_of_each(void)
{
	return (getenv("FACET_LONG") ? FLIPS_LONG : FLIPS) / SHAPES / 2 + 1;
}

/* Returns how many of them changed a byte of the output. */
static uint32_t flip_all(struct product *g, uint64_t *seed)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < flips_of_each(); i++) {
		uint32_t pixel = rig_between(seed, 0, g->pixels - 1);
		uint32_t channel = rig_between(seed, 0, g->p.oc - 1), row = UINT32_MAX;
		uint32_t mask = 1u << rig_between(seed, 0, 31);

		opencl_flip(device, pixel, channel, mask);
		product_run(g);
		ck_assert_uint_eq(rows_found(g, &row), 1);
		ck_assert_uint_eq(row, pixel);
		ck_only_there(g, pixel, channel, mask);
		wrong += memcmp(g->y, g->want, y_bytes(g)) != 0;
	}
	return wrong;
}

static bool is_there(const char *variant)
{
	return strcmp(variant, "tile") || __builtin_cpu_supports("avx512vnni");
}

static void open_variant(const char *variant)
{
	const char *build = getenv("BUILD");
	const struct device_config config = {.select = "Portable",
					     .isa = variant,
					     .libexec = build ? build : "build",
					     .why = why,
					     .why_bytes = sizeof(why)};

	ck_assert_msg(!device_open("opencl", &config, &device), "%s", why);
}

static const char *const variants[] = {"portable", "tile"};

START_TEST(sums_find_every_flipped_accumulator)
{
	static struct product g;
	uint64_t seed = 20 + (uint64_t)_i;
	uint32_t row, wrong = 0, of = SHAPES * flips_of_each();

	if (!is_there(variants[_i])) {
		puts("no AVX-512 VNNI: the tile's kernels were left out");
		return;
	}
	open_variant(variants[_i]);
	for (uint32_t shape = 0; shape < SHAPES; shape++) {
		product_init(&g, shape, shape % 2 ? OP_OUT_S8 : OP_OUT_S32, &seed);
		opencl_flip(device, 0, 0, 0);
		product_run(&g);
		ck_assert_uint_eq(rows_found(&g, &row), 0);
		ck_assert_mem_eq(g.y, g.want, y_bytes(&g));
		wrong += flip_all(&g, &seed);
		product_free(&g);
	}
	device->ops->close(device);
	printf("%s: %u of %u flipped accumulators found by the sums; %u of them changed a byte\n",
	       variants[_i], of, of, wrong);
	ck_assert_uint_gt(wrong, of / 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device flip");
	TCase *tc = tcase_create("flip");

	tcase_set_timeout(tc, getenv("FACET_LONG") ? 600 : 120);
	tcase_add_loop_test(tc, sums_find_every_flipped_accumulator, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

/* Asked in the helper: threads of a driver that this process has loaded do not outlive a fork. */
static bool has_pocl(void)
{
	const char *build = getenv("BUILD");
	const struct device_config config = {.libexec = build ? build : "build"};
	struct opencl_listed list[8];
	int n = opencl_list(&config, list, 8, why, sizeof(why));

	for (int i = 0; i < n && i < 8; i++)
		if (strstr(list[i].platform, "Portable"))
			return true;
	return false;
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
	puts("PoCL is not built for ThreadSanitizer");
	return 77;
#endif
	if (!has_pocl()) {
		puts("PoCL (pocl-opencl-icd) is not installed");
		return 77;
	}
	return suite_run(suite());
}
