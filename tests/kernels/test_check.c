/* SPDX-License-Identifier: Apache-2.0 */
/* Bad parameters: refused, and with the same errno by the reference and every instruction set. */
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float one[64], bad[64];
static int32_t bias[64];
static int8_t bytes[1 << 16];
static float floats[64];
static _Alignas(64) uint8_t packed[1 << 20];

static void setup(void)
{
	for (int i = 0; i < 64; i++)
		one[i] = bad[i] = 1.0f;
}

static struct op_requant good_requant(void)
{
	return (struct op_requant){.s_pos = one, .s_neg = one, .lo = -128, .hi = 127};
}

static struct op_conv2d good_conv(void)
{
	return (struct op_conv2d){.n = 1,
				  .h = 4,
				  .w = 4,
				  .c = 4,
				  .oc = 8,
				  .kh = 3,
				  .kw = 3,
				  .groups = 1,
				  .stride_h = 1,
				  .stride_w = 1,
				  .dilation_h = 1,
				  .dilation_w = 1,
				  .q = good_requant()};
}

static void expect_conv(const struct op_conv2d *p, int err, const char *what)
{
	static int8_t y[1 << 16];

	ck_assert_msg(ref_conv2d(p, bytes, bytes, bias, NULL, y) == err, "ref: %s", what);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		ck_assert_msg((*k)->conv2d_pack(p, bytes, bias, packed) == err, "%s: %s",
			      (*k)->name, what);
		if (op_conv2d_check(p))
			ck_assert((*k)->conv2d_packed_bytes(p) == 0 &&
				  (*k)->conv2d_scratch_bytes(p) == 0);
	}
}

#define BAD_CONV(change)                                                                           \
	do {                                                                                       \
		struct op_conv2d p = good_conv();                                                  \
		change;                                                                            \
		expect_conv(&p, -EINVAL, #change);                                                 \
	} while (0)

START_TEST(conv_extents)
{
	struct op_conv2d p = good_conv();

	expect_conv(&p, 0, "a good one");
	BAD_CONV(p.n = 0);
	BAD_CONV(p.h = 0);
	BAD_CONV(p.w = 0);
	BAD_CONV(p.c = 0);
	BAD_CONV(p.oc = 0);
	BAD_CONV(p.kh = 0);
	BAD_CONV(p.kw = 0);
	BAD_CONV(p.groups = 0);
	BAD_CONV(p.stride_h = 0);
	BAD_CONV(p.stride_w = 0);
	BAD_CONV(p.dilation_h = 0);
	BAD_CONV(p.dilation_w = 0);
	BAD_CONV(p.groups = 3);
	BAD_CONV(p.c = 6; p.groups = 3);
	BAD_CONV(p.kh = 5);
	BAD_CONV(p.dilation_w = 2);
	BAD_CONV(p.pad_top = OP_DIM_MAX + 1);
	BAD_CONV(p.pad_left = UINT32_MAX);
	BAD_CONV(p.pad_right = UINT32_MAX);
	BAD_CONV(p.stride_h = OP_DIM_MAX + 1);
	BAD_CONV(p.dilation_h = UINT32_MAX);
	BAD_CONV(p.n = OP_DIM_MAX; p.h = OP_DIM_MAX);
	BAD_CONV(p.h = p.w = 1 << 15; p.c = 2);
	BAD_CONV(p.h = p.w = OP_DIM_MAX; p.kh = p.kw = 257; p.c = 1);
	BAD_CONV(p.c = OP_DIM_MAX; p.kh = 1; p.kw = 2);
	BAD_CONV(p.oc = OP_DIM_MAX; p.c = 1; p.kh = p.kw = 256; p.pad_top = p.pad_left = 256);
	BAD_CONV(p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = OP_DIM_MAX);
	BAD_CONV(p.z_x = 128);
	BAD_CONV(p.z_x = -129);
	BAD_CONV(p.out = (enum op_out)3);
	BAD_CONV(p.out = (enum op_out) - 1);
}
END_TEST

START_TEST(requantisation)
{
	const float refused[] = {NAN, INFINITY, -INFINITY, 0x1p61f, 0x1p-101f, -0x1p61f, 1e-40f};
	const float taken[] = {0, 0x1p60f, 0x1p-100f, 1};

	BAD_CONV(p.q.s_pos = NULL);
	BAD_CONV(p.q.s_neg = NULL);
	BAD_CONV(p.q.lo = -129);
	BAD_CONV(p.q.hi = 128);
	BAD_CONV(p.q.z = 128);
	BAD_CONV(p.q.z = -129);
	BAD_CONV(p.q.z_r = 128);
	BAD_CONV(p.q.lo = 5; p.q.hi = 4);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		bad[7] = refused[i];
		BAD_CONV(p.q.s_pos = bad);
		BAD_CONV(p.q.s_neg = bad);
		BAD_CONV(p.q.s_r = refused[i]);
	}
	bad[7] = -1;
	BAD_CONV(p.q.s_pos = bad);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct op_conv2d p = good_conv();

		bad[7] = -taken[i];
		p.q.s_neg = bad;
		expect_conv(&p, 0, "a scale at its limit");
	}
	/* What an output does not use is not looked at. */
	struct op_conv2d p = good_conv();

	p.out = OP_OUT_F32;
	p.q.lo = 1000;
	expect_conv(&p, 0, "f32 without clamp");
	p.out = OP_OUT_S32;
	p.q = (struct op_requant){0};
	expect_conv(&p, 0, "s32 without scales");
}
END_TEST

START_TEST(depthwise_is_checked_too)
{
	BAD_CONV(p.oc = p.groups = 4; p.z_x = 200);
	BAD_CONV(p.oc = p.groups = 4; p.kw = 5);
	BAD_CONV(p.oc = p.groups = 4; p.q.hi = 128);
}
END_TEST

START_TEST(overflow)
{
	struct op_conv2d p = good_conv();
	struct op_gemm g = {.m = 2, .n = 8, .k = 4, .q = good_requant()};
	static int8_t y[64];

	for (int negative = 0; negative < 2; negative++) {
		bias[3] = negative ? -OP_BIAS_MAX : OP_BIAS_MAX;
		expect_conv(&p, 0, "the largest bias");
		bias[3] = negative ? -OP_BIAS_MAX - 1 : OP_BIAS_MAX + 1;
		expect_conv(&p, -EOVERFLOW, "a larger bias");
		p.oc = p.groups = 4;
		expect_conv(&p, -EOVERFLOW, "a larger bias, depthwise");
		p = good_conv();
		ck_assert_int_eq(ref_gemm(&g, bytes, bytes, bias, NULL, y), -EOVERFLOW);
		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
			ck_assert_int_eq((*k)->gemm_pack(&g, bytes, bias, packed), -EOVERFLOW);
	}
	bias[3] = INT32_MIN;
	expect_conv(&p, -EOVERFLOW, "the smallest int32");
	ck_assert_int_eq(op_weights_check(bytes, bias, 8, OP_K_MAX + 1), -EINVAL);
	ck_assert_int_eq(op_weights_check(bytes, bias, 0, 4), -EINVAL);
}
END_TEST

static void expect_gemm(uint32_t m, uint32_t n, uint32_t k)
{
	const struct op_gemm p = {.m = m, .n = n, .k = k, .q = good_requant()};
	static int8_t y[64];

	ck_assert_int_eq(ref_gemm(&p, bytes, bytes, bias, NULL, y), -EINVAL);
	for (const struct cpu_kernels *const *t = cpu_kernels_all(); *t; t++) {
		ck_assert_int_eq((*t)->gemm_pack(&p, bytes, bias, packed), -EINVAL);
		ck_assert_uint_eq((*t)->gemm_packed_bytes(&p), 0);
		ck_assert_uint_eq((*t)->gemm_scratch_bytes(&p), 0);
	}
}

START_TEST(gemm_extents)
{
	expect_gemm(0, 8, 4);
	expect_gemm(2, 0, 4);
	expect_gemm(2, 8, 0);
	expect_gemm(2, 8, OP_K_MAX + 1);
	expect_gemm(2, OP_DIM_MAX + 1, 4);
	expect_gemm(1u << 31, 1, 1);
	expect_gemm(1 << 20, 8, 2048);
	expect_gemm(1, OP_DIM_MAX, OP_K_MAX);
}
END_TEST

#define BAD_POOL(change)                                                                           \
	do {                                                                                       \
		struct op_pool2d p = {.n = 1,                                                      \
				      .h = 4,                                                      \
				      .w = 4,                                                      \
				      .c = 4,                                                      \
				      .kh = 3,                                                     \
				      .kw = 3,                                                     \
				      .stride_h = 1,                                               \
				      .stride_w = 1,                                               \
				      .kind = OP_POOL_AVG,                                         \
				      .scale = 1,                                                  \
				      .lo = -128,                                                  \
				      .hi = 127};                                                  \
		static int8_t y[1 << 12];                                                          \
		ck_assert_int_eq(ref_pool2d(&p, bytes, y), 0);                                     \
		change;                                                                            \
		ck_assert_msg(ref_pool2d(&p, bytes, y) == -EINVAL, "ref: %s", #change);            \
		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)              \
			ck_assert_msg((*k)->pool2d(&p, bytes, y, 0, 0) == -EINVAL, "%s: %s",       \
				      (*k)->name, #change);                                        \
	} while (0)

START_TEST(pool)
{
	BAD_POOL(p.n = 0);
	BAD_POOL(p.c = 0);
	BAD_POOL(p.kh = 0);
	BAD_POOL(p.stride_w = 0);
	BAD_POOL(p.kh = 5);
	BAD_POOL(p.pad_top = 3);
	BAD_POOL(p.pad_left = 7);
	BAD_POOL(p.pad_bottom = 6; p.stride_h = 2);
	BAD_POOL(p.pad_right = 40);
	BAD_POOL(p.kh = p.kw = 300; p.pad_top = p.pad_left = 299);
	BAD_POOL(p.kind = (enum op_pool_kind)2);
	BAD_POOL(p.divisor = OP_K_MAX + 1);
	BAD_POOL(p.scale = -1);
	BAD_POOL(p.scale = NAN);
	BAD_POOL(p.z_x = 128);
	BAD_POOL(p.hi = 128);
	BAD_POOL(p.lo = 4; p.hi = 3);
}
END_TEST

static void expect_add(struct op_add p)
{
	static int8_t y[64];

	ck_assert_int_eq(ref_add(&p, bytes, bytes, y), -EINVAL);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		ck_assert_int_eq((*k)->add(&p, bytes, bytes, y), -EINVAL);
}

static void expect_table(uint64_t pixels, uint32_t c)
{
	const struct op_table p = {.pixels = pixels, .c = c};
	static int8_t y[64];

	ck_assert_int_eq(ref_table(&p, bytes, bytes, y), -EINVAL);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		ck_assert_int_eq((*k)->table(&p, bytes, bytes, y), -EINVAL);
}

static void expect_concat(struct op_concat p)
{
	static int8_t y[64];

	ck_assert_int_eq(ref_concat(&p, NULL, NULL, y), -EINVAL);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		ck_assert_int_eq((*k)->concat(&p, NULL, NULL, y), -EINVAL);
}

static void expect_dequantize(struct op_dequantize p)
{
	ck_assert_int_eq(ref_dequantize(&p, bytes, floats), -EINVAL);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		ck_assert_int_eq((*k)->dequantize(&p, bytes, floats), -EINVAL);
}

START_TEST(pointwise)
{
	expect_add((struct op_add){.count = 0, .s_a = 1, .s_b = 1, .hi = 1});
	expect_add((struct op_add){.count = OP_ELEMENTS_MAX + 1ull, .s_a = 1, .s_b = 1, .hi = 1});
	expect_add((struct op_add){.count = 4, .s_a = NAN, .s_b = 1, .hi = 1});
	expect_add((struct op_add){.count = 4, .s_a = 1, .s_b = INFINITY, .hi = 1});
	expect_add((struct op_add){.count = 4, .s_a = 1, .s_b = 1, .z_a = 128, .hi = 1});
	expect_add((struct op_add){.count = 4, .s_a = 1, .s_b = 1, .z_b = -129, .hi = 1});
	expect_add((struct op_add){.count = 4, .s_a = 1, .s_b = 1, .lo = 2, .hi = 1});
	expect_table(0, 4);
	expect_table(4, 0);
	expect_table(1, OP_DIM_MAX + 1);
	expect_table(UINT64_MAX, 2);
	expect_table(OP_ELEMENTS_MAX, 2);
	expect_concat((struct op_concat){.pixels = 1, .inputs = 0});
	expect_concat((struct op_concat){.pixels = 1, .inputs = OP_CONCAT_MAX + 1});
	expect_concat((struct op_concat){.pixels = 1, .inputs = 2, .c = {1, 0}});
	expect_concat((struct op_concat){.pixels = 1, .inputs = 2, .c = {OP_DIM_MAX, 1}});
	expect_concat((struct op_concat){.pixels = 0, .inputs = 1, .c = {1}});
	expect_concat((struct op_concat){.pixels = 1ull << 62, .inputs = 1, .c = {4}});
	expect_dequantize((struct op_dequantize){.count = 0, .scale = 1});
	expect_dequantize((struct op_dequantize){.count = 4, .scale = NAN});
	expect_dequantize((struct op_dequantize){.count = 4, .scale = 1, .z = 128});
}
END_TEST

START_TEST(float_ops)
{
	const struct op_float refused[] = {{.kind = OP_FLOAT_KINDS, .rows = 1, .cols = 1},
					   {.kind = (enum op_float_kind) - 1, .rows = 1, .cols = 1},
					   {.kind = OP_FLOAT_EXP, .rows = 0, .cols = 1},
					   {.kind = OP_FLOAT_EXP, .rows = 1, .cols = 0},
					   {.kind = OP_FLOAT_EXP, .rows = 1ull << 63, .cols = 2},
					   {.kind = OP_FLOAT_ADD, .rows = 1, .cols = 1, .b = 4}};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ck_assert_int_eq(ref_float(&refused[i], floats, floats, floats), -EINVAL);
}
END_TEST

START_TEST(dispatch)
{
	const struct cpu_kernels *const *all = cpu_kernels_all();

	ck_assert_str_eq(cpu_kernels_get("portable")->name, "portable");
	ck_assert_ptr_null(cpu_kernels_get("avx1024"));
	ck_assert_ptr_null(cpu_kernels_get(""));
	for (size_t i = 0; all[i]; i++)
		ck_assert_ptr_eq(cpu_kernels_get(all[i]->name), all[i]);
	unsetenv("FACET_CPU_ISA");
	ck_assert_ptr_eq(cpu_kernels_get(NULL), all[0]);
	setenv("FACET_CPU_ISA", "portable", 1);
	ck_assert_str_eq(cpu_kernels_get(NULL)->name, "portable");
	setenv("FACET_CPU_ISA", "none", 1);
	ck_assert_ptr_null(cpu_kernels_get(NULL));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("check");
	TCase *t = tcase_create("check");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, conv_extents);
	tcase_add_test(t, requantisation);
	tcase_add_test(t, depthwise_is_checked_too);
	tcase_add_test(t, overflow);
	tcase_add_test(t, gemm_extents);
	tcase_add_test(t, pool);
	tcase_add_test(t, pointwise);
	tcase_add_test(t, float_ops);
	tcase_add_test(t, dispatch);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
