/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/driver/cases.h"

#define ONE    0x3f800000u
#define NAN_   0x7fc00000u
#define INF    0x7f800000u
#define TINY   0x0d7fffffu /* just below 2^-100 */
#define HUGE_  0x5d800001u /* just above 2^60 */
#define MINUS1 0xbf800000u
#define LOW    ((uint32_t)-128)
#define LOWER  ((uint32_t)-129)

#define OUT_S8                                                                                     \
	{                                                                                          \
		0, ONE, 3, (uint32_t)-5, LOW, 127                                                  \
	}
#define OUT_F32                                                                                    \
	{                                                                                          \
		1, ONE, 3, 1000, 2, 1                                                              \
	}
#define OUT_S32                                                                                    \
	{                                                                                          \
		2, NAN_, 1000, 1000, 2, 1                                                          \
	}

static const struct shell_echo echo = {0};
static const struct shell_copy copy = {100, 7, 128, 100};
static const struct shell_copy copy_once = {4096, 1, 4096, 8192};
static const struct shell_fill fill = {0x0123456789abcdef, 0, 0};
static const struct shell_search cosine = {0, 126, 64, 3, 5, 10, {0, 0}};
static const struct shell_search dot = {1, 128, 128, 64, 1, 1, {0, 0}};
static const struct shell_search l2 = {2, 5, 4, 1, 2, 300, {0, 0}};
/* 2 x 7 x 9 x 6 by 8 filters of 3 x 3 x 3: 2 x 4 x 7 pixels */
static const struct shell_conv2d conv = {2, 7, 9, 6, 8, 3, 3,	2,	2, 1,
					 1, 2, 1, 1, 1, 1, LOW, OUT_S8, 0};
static const struct shell_conv2d conv_s32 = {1, 4, 4, 4, 4, 1, 1, 4,	   1, 1,
					     1, 1, 0, 0, 0, 0, 0, OUT_S32, 0};
static const struct shell_gemm gemm = {5, 12, 33, OUT_S8, 0};
static const struct shell_gemm gemm_f32 = {70000, 2, 3, OUT_F32, 0};
static const struct shell_pool2d average = {2, 6, 5, 3, 3,   2, 2, 1,	1,   0,
					    1, 1, 1, 9, ONE, 4, 5, LOW, 127, 0};
static const struct shell_pool2d max = {1, 4, 4, 3,	2,    2,    2,	  2, 0, 0,
					0, 0, 0, 70000, NAN_, 1000, 1000, 2, 1, 0};
static const struct shell_add add = {1000, ONE, MINUS1, 1, 2, 3, LOW, 127, 0};
static const struct shell_table table = {50, 20, 0};
static const struct shell_table table_each = {50, 20, 1};
static const struct shell_concat concat = {30, 3, 0, {4, 8, 12}};
static const struct shell_memtest memtest = {SHELL_MEMTEST_PRBS, 2, 7, 4, 0};
static const struct shell_burn burn = {1, 16, 1, 0, 0};

#define CASE(nr, a, n) .op = SHELL_OP_##nr, .args = &(a), .args_bytes = sizeof(a), .operands = n

const struct sound sound_cases[] = {
	{CASE(ECHO, echo, 2), .bytes = 100, .length = {100, 100}},
	{CASE(ECHO, echo, 2), .length = {ABSENT, ABSENT}},
	{CASE(COPY, copy, 2), .length = {868, 700}},
	{CASE(COPY, copy_once, 2), .length = {4096, 4096}},
	{CASE(FILL, fill, 1), .bytes = 4099, .length = {4099}},
	{CASE(SEARCH, cosine, 10),
	 .length = {288, 378, 144, 5120, 5120, 320, ABSENT, 320, 320, 640}, .optional = 0x380},
	{CASE(SEARCH, dot, 10),
	 .length = {1536, 8192, 3072, 2048, ABSENT, ABSENT, ABSENT, 64, 64, 128},
	 .optional = 0x380},
	{CASE(SEARCH, l2, 10), .length = {2416, 5, 48, 128, 128, 128, 128, 128, 128, 256},
	 .optional = 0x380},
	{CASE(CONV2D, conv, 8), .length = {448, 224, 756, 448, 216, 32, 32, 32}, .optional = 0x0a},
	{CASE(CONV2D, conv_s32, 8), .length = {256, 64, 64, ABSENT, 4, 16, ABSENT, ABSENT},
	 .optional = 0x02},
	{CASE(GEMM, gemm, 8), .length = {60, 20, 165, 60, 396, 48, 48, 48}, .optional = 0x0a},
	{CASE(GEMM, gemm_f32, 8), .length = {560000, 280000, 210000, 140000, 6, 8, 8, 8},
	 .optional = 0x0a},
	/* windows 3 x 2, strides 2 x 1, pads 1, 0, 1, 1: 3 x 5 pixels */
	{CASE(POOL2D, average, 2), .length = {90, 180}},
	{CASE(POOL2D, max, 2), .length = {12, 48}},
	{CASE(ADD, add, 3), .length = {1000, 1000, 1000}},
	{CASE(TABLE, table, 3), .length = {1000, 1000, 256}},
	{CASE(TABLE, table_each, 3), .length = {1000, 1000, 5120}},
	{CASE(CONCAT, concat, 7), .length = {720, 120, 240, 360, 256, 256, 256}, .optional = 0x70},
	{CASE(MEMTEST, memtest, 2), .bytes = 8192, .length = {8192, 128}},
	{CASE(BURN, burn, 1), .length = {32}},
};
const size_t sound_count = sizeof(sound_cases) / sizeof(sound_cases[0]);

#define NO(op, type, member, value)                                                                \
	{                                                                                          \
		SHELL_OP_##op, offsetof(struct shell_##type, member), value                        \
	}
#define HIGH(op, type, member, value)                                                              \
	{                                                                                          \
		SHELL_OP_##op, offsetof(struct shell_##type, member) + 4, value                    \
	}
#define REQUANT(op, type)                                                                          \
	NO(op, type, q.out, 3), NO(op, type, q.s_r, NAN_), NO(op, type, q.s_r, INF),               \
		NO(op, type, q.s_r, TINY), NO(op, type, q.s_r, HUGE_), NO(op, type, q.z_r, 128),   \
		NO(op, type, q.z_r, LOWER), NO(op, type, q.z, 128), NO(op, type, q.z, LOWER),      \
		NO(op, type, q.lo, LOWER), NO(op, type, q.lo, 128), NO(op, type, q.hi, 128),       \
		NO(op, type, q.hi, LOWER), NO(op, type, reserved, 1)
#define EXTENT(op, type, member) NO(op, type, member, 0), NO(op, type, member, 65537)

const struct refusal refusals[] = {
	NO(ECHO, echo, reserved, 1),
	HIGH(ECHO, echo, reserved, 1),
	NO(COPY, copy, row_bytes, 0),
	NO(COPY, copy, row_bytes, 129), /* more than a stride */
	NO(COPY, copy, rows, 0),
	NO(COPY, copy, out_stride, 99),
	NO(COPY, copy, in_stride, 99),
	HIGH(COPY, copy, row_bytes, 1),
	NO(FILL, fill, flags, 2),
	NO(FILL, fill, flags, 0x80000000),
	NO(FILL, fill, reserved, 1),
	NO(SEARCH, search, metric, 3),
	NO(SEARCH, search, dim, 0),
	NO(SEARCH, search, dim, 1025),
	NO(SEARCH, search, dim, 60), /* less than head */
	NO(SEARCH, search, head, 0),
	NO(SEARCH, search, head, 66),
	NO(SEARCH, search, head, 132),
	NO(SEARCH, search, count, 0),
	NO(SEARCH, search, count, 65),
	NO(SEARCH, search, tiles, 0),
	NO(SEARCH, search, tiles, 1u << 28),
	NO(SEARCH, search, capacity, 0),
	NO(SEARCH, search, reserved[0], 1),
	NO(SEARCH, search, reserved[1], 1),
	EXTENT(CONV2D, conv2d, n),
	EXTENT(CONV2D, conv2d, h),
	EXTENT(CONV2D, conv2d, w),
	EXTENT(CONV2D, conv2d, c),
	EXTENT(CONV2D, conv2d, oc),
	EXTENT(CONV2D, conv2d, kh),
	EXTENT(CONV2D, conv2d, kw),
	EXTENT(CONV2D, conv2d, groups),
	EXTENT(CONV2D, conv2d, stride_h),
	EXTENT(CONV2D, conv2d, stride_w),
	EXTENT(CONV2D, conv2d, dilation_h),
	EXTENT(CONV2D, conv2d, dilation_w),
	NO(CONV2D, conv2d, groups, 4),	   /* c is no multiple of it */
	NO(CONV2D, conv2d, groups, 3),	   /* oc is none */
	NO(CONV2D, conv2d, kh, 10),	   /* more than there is */
	NO(CONV2D, conv2d, dilation_w, 6), /* likewise */
	NO(CONV2D, conv2d, pad_top, 65537),
	NO(CONV2D, conv2d, pad_left, 65537),
	NO(CONV2D, conv2d, pad_bottom, 65537),
	NO(CONV2D, conv2d, pad_right, 65537),
	NO(CONV2D, conv2d, pad_left, 65536), /* over 65,536 windows: one extent too long */
	NO(CONV2D, conv2d, z_x, 128),
	NO(CONV2D, conv2d, z_x, LOWER),
	REQUANT(CONV2D, conv2d),
	NO(GEMM, gemm, m, 0),
	EXTENT(GEMM, gemm, n),
	EXTENT(GEMM, gemm, k),
	NO(GEMM, gemm, m, (1u << 30) / 33 + 1), /* a too large */
	REQUANT(GEMM, gemm),
	EXTENT(POOL2D, pool2d, n),
	EXTENT(POOL2D, pool2d, h),
	EXTENT(POOL2D, pool2d, w),
	EXTENT(POOL2D, pool2d, c),
	EXTENT(POOL2D, pool2d, kh),
	EXTENT(POOL2D, pool2d, kw),
	EXTENT(POOL2D, pool2d, stride_h),
	EXTENT(POOL2D, pool2d, stride_w),
	NO(POOL2D, pool2d, pad_top, 3),	   /* the first window would see nothing */
	NO(POOL2D, pool2d, pad_bottom, 4), /* the last one */
	NO(POOL2D, pool2d, pad_right, 2),
	NO(POOL2D, pool2d, pad_left, 65537),
	NO(POOL2D, pool2d, kind, 2),
	NO(POOL2D, pool2d, divisor, 65537),
	NO(POOL2D, pool2d, scale, NAN_),
	NO(POOL2D, pool2d, scale, MINUS1),
	NO(POOL2D, pool2d, scale, TINY),
	NO(POOL2D, pool2d, scale, HUGE_),
	NO(POOL2D, pool2d, z_x, 128),
	NO(POOL2D, pool2d, z, LOWER),
	NO(POOL2D, pool2d, lo, 128),
	NO(POOL2D, pool2d, hi, LOWER),
	NO(POOL2D, pool2d, reserved, 1),
	NO(ADD, add, elements, 0),
	NO(ADD, add, elements, (1u << 30) + 1),
	HIGH(ADD, add, elements, 1),
	NO(ADD, add, s_a, NAN_),
	NO(ADD, add, s_a, TINY),
	NO(ADD, add, s_b, INF),
	NO(ADD, add, s_b, HUGE_),
	NO(ADD, add, z_a, 128),
	NO(ADD, add, z_b, LOWER),
	NO(ADD, add, z, 128),
	NO(ADD, add, lo, LOWER),
	NO(ADD, add, hi, 128),
	NO(ADD, add, reserved, 1),
	NO(TABLE, table, pixels, 0),
	HIGH(TABLE, table, pixels, 1),
	EXTENT(TABLE, table, c),
	NO(TABLE, table, per_channel, 2),
	NO(CONCAT, concat, pixels, 0),
	HIGH(CONCAT, concat, pixels, 1),
	NO(CONCAT, concat, inputs, 0),
	NO(CONCAT, concat, inputs, 17),
	NO(CONCAT, concat, inputs, 2), /* another number of operands */
	NO(CONCAT, concat, reserved, 1),
	EXTENT(CONCAT, concat, c[2]),
	NO(CONCAT, concat, c[1], 65536), /* the sum is one extent too */
	NO(CONCAT, concat, c[3], 1),
	NO(CONCAT, concat, c[15], 1),
	NO(MEMTEST, memtest, pattern, 5),
	NO(MEMTEST, memtest, passes, 0),
	NO(MEMTEST, memtest, passes, 65537),
	NO(MEMTEST, memtest, report_max, 0),
	NO(MEMTEST, memtest, reserved, 1),
	NO(BURN, burn, milliseconds, 0),
	NO(BURN, burn, milliseconds, 60001),
	NO(BURN, burn, duty, 0),
	NO(BURN, burn, duty, 257),
	NO(BURN, burn, reserved, 1),
};
const size_t refusal_count = sizeof(refusals) / sizeof(refusals[0]);

const struct sound *sound_of(uint32_t op)
{
	for (size_t i = 0; i < sound_count; i++)
		if (sound_cases[i].op == op)
			return &sound_cases[i];
	return NULL;
}
