/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The Facet PCI shell: ops of the units, their operands and arguments. kernels/ops.h defines what
 * they compute, bit for bit, and which parameters are legal; here is only how they are written down.
 *
 * Outputs come first among the operands, so that one mask an op tells what it writes. An operand has
 * exactly the bytes that the arguments say (elements * size); outputs overlap no other operand
 * within a bank or a run of bus addresses. Operands of 4-byte elements lie at multiples of 4, in a
 * bank all lie at multiples of the board's alignment (SHELL_LIMITS_ALIGN).
 */
#ifndef FACET_BOARDS_SHELL_KERNELS_H
#define FACET_BOARDS_SHELL_KERNELS_H

#include "types.h"

enum shell_op {
	SHELL_OP_ECHO = 0,
	SHELL_OP_COPY = 1,
	SHELL_OP_FILL = 2,
	SHELL_OP_SEARCH = 3,
	SHELL_OP_CONV2D = 4,
	SHELL_OP_GEMM = 5,
	SHELL_OP_POOL2D = 6,
	SHELL_OP_ADD = 7,
	SHELL_OP_TABLE = 8,
	SHELL_OP_CONCAT = 9,
	SHELL_OP_MEMTEST = 10,
	SHELL_OP_BURN = 11,
	SHELL_OPS
};

/*
 * X(name, arguments, fewest operands, most operands, mask of the operands that are written)
 * in the order of enum shell_op.
 */
#define SHELL_OP_TABLE_OF(X)                                                                       \
	X(ECHO, struct shell_echo, 2, 2, 0x1)                                                      \
	X(COPY, struct shell_copy, 2, 2, 0x1)                                                      \
	X(FILL, struct shell_fill, 1, 1, 0x1)                                                      \
	X(SEARCH, struct shell_search, 10, 10, 0x1)                                                \
	X(CONV2D, struct shell_conv2d, 8, 8, 0x3)                                                  \
	X(GEMM, struct shell_gemm, 8, 8, 0x3)                                                      \
	X(POOL2D, struct shell_pool2d, 2, 2, 0x1)                                                  \
	X(ADD, struct shell_add, 3, 3, 0x1)                                                        \
	X(TABLE, struct shell_table, 3, 3, 0x1)                                                    \
	X(CONCAT, struct shell_concat, 3, 33, 0x1)                                                 \
	X(MEMTEST, struct shell_memtest, 2, 2, 0x3)                                                \
	X(BURN, struct shell_burn, 1, 1, 0x1)

/* ---- moving ---------------------------------------------------------------------------------- */

/* out | in: out = in, both of any one length, or both absent. */
struct shell_echo {
	shell_le64 reserved;
};

/*
 * out | in: `rows` runs of `row_bytes`, row r at r * out_stride of out and r * in_stride of in. A
 * stride is at least row_bytes; operands have (rows - 1) * stride + row_bytes bytes. Only DMA units
 * take other spaces than their banks where SHELL_CAP_HOST_DATA is not set.
 */
struct shell_copy {
	shell_le64 row_bytes;
	shell_le64 rows;
	shell_le64 out_stride;
	shell_le64 in_stride;
};

/* out: any length, filled with the 8 bytes of pattern over and over. Value: bytes that did not read
 * back as written, with SHELL_FILL_VERIFY, else 0. */
struct shell_fill {
	shell_le64 pattern;
	shell_le32 flags;
	shell_le32 reserved;
};

#define SHELL_FILL_VERIFY (1u << 0)

/* ---- search ---------------------------------------------------------------------------------
 *
 * survivors | queries, parameters, head tiles, tail tiles, scale, bias, born, died, tags
 *
 * A range of `tiles` tiles of 16 rows, counted from row 0 of this range: rows of kernels/ops.h
 * "search" in its layout (head_tiles, tail_tiles, scale, bias, born, died, tags of ops.h), queries
 * int8 [count][dim], parameters struct shell_query [count]. Tail is absent where head is the padded
 * dim; scale where the metric is dot; bias where it is not L2. Born and died are both present or
 * both absent, tags by itself: what is absent, every row passes.
 *
 * A row counts for a query if row < rows, born <= epoch < died, (tags & tag_mask) == tag_value and
 * s >= limit, where s is the score of ops.h. With k > 0 the board may raise the limit up to the
 * k-th best score of the rows that count, never beyond, so all rows of that very score stay too.
 * With k == 0 it does not raise it; that is for who filters survivors further, as by subject.
 *
 * survivors is, for each query, struct shell_survivors and `capacity` of struct shell_survivor:
 *   - each row that counts under the last limit is there, once;
 *   - others that count under the first limit may be there;
 *   - in any order;
 *   - unless found > capacity: then stored == capacity of them are there, and whoever needs the
 *     others asks again for fewer tiles or with the limit that is told.
 * Value: the sum of found.
 */
struct shell_search {
	shell_le32 metric; /* enum search_metric */
	shell_le32 dim, head;
	shell_le32 count;    /* queries, 1 .. SEARCH_BATCH_MAX */
	shell_le32 tiles;    /* 1 .. 2^28 - 1 */
	shell_le32 capacity; /* survivors a query, >= 1 */
	shell_le32 reserved[2];
};

struct shell_query {
	shell_f32 q_mul; /* L2 only, else 0 */
	shell_f32 limit; /* -infinity for none */
	shell_le32 k;
	shell_le32 epoch;
	shell_le64 rows; /* of this range, high-water mark */
	shell_le64 tag_mask, tag_value;
	shell_le64 reserved;
};

struct shell_survivors {
	shell_le32 found;  /* rows that passed the limit of their moment */
	shell_le32 stored; /* min(found, capacity) */
	shell_f32 limit;   /* the last one */
	shell_le32 reserved;
};

struct shell_survivor {
	shell_le32 row; /* of this range */
	shell_f32 s;
};

SHELL_SIZE(struct shell_search, 32);
SHELL_SIZE(struct shell_query, 48);
SHELL_SIZE(struct shell_survivors, 16);
SHELL_SIZE(struct shell_survivor, 8);

/* ---- products --------------------------------------------------------------------------------
 *
 * y, chk | x (a), residual, weights (b), bias, s_pos, s_neg
 *
 * y has elements of 1 (OP_OUT_S8) or 4 bytes. chk is uint32_t [rows of y]: the sum over all
 * channels of the accumulators of one output pixel, modulo 2^32; absent: not wanted. residual is
 * int8 of y's shape or absent; with OP_OUT_S32 it is absent, and s_pos and s_neg too. weights are in
 * the order of kernels/ops.h. s_pos and s_neg are float [channels], bias int32 [channels].
 */
struct shell_requant {
	shell_le32 out; /* enum op_out */
	shell_f32 s_r;
	shell_sle32 z_r, z, lo, hi;
};

struct shell_conv2d {
	shell_le32 n, h, w, c;
	shell_le32 oc, kh, kw, groups;
	shell_le32 stride_h, stride_w, dilation_h, dilation_w;
	shell_le32 pad_top, pad_left, pad_bottom, pad_right;
	shell_sle32 z_x;
	struct shell_requant q;
	shell_le32 reserved;
};

struct shell_gemm {
	shell_le32 m, n, k;
	struct shell_requant q;
	shell_le32 reserved;
};

SHELL_SIZE(struct shell_requant, 24);
SHELL_SIZE(struct shell_conv2d, 96);
SHELL_SIZE(struct shell_gemm, 40);

/* ---- pointwise ------------------------------------------------------------------------------- */

/* y | x */
struct shell_pool2d {
	shell_le32 n, h, w, c;
	shell_le32 kh, kw, stride_h, stride_w;
	shell_le32 pad_top, pad_left, pad_bottom, pad_right;
	shell_le32 kind; /* enum op_pool_kind */
	shell_le32 divisor;
	shell_f32 scale;
	shell_sle32 z_x, z, lo, hi;
	shell_le32 reserved;
};

/* y | a, b */
struct shell_add {
	shell_le64 elements;
	shell_f32 s_a, s_b;
	shell_sle32 z_a, z_b, z, lo, hi;
	shell_le32 reserved;
};

/* y | x, table: int8 [256], or [c][256] with per_channel 1 */
struct shell_table {
	shell_le64 pixels;
	shell_le32 c;
	shell_le32 per_channel;
};

/* y | x[inputs], table[inputs]: 2 * inputs + 1 operands, a table may be absent */
struct shell_concat {
	shell_le64 pixels;
	shell_le32 inputs;
	shell_le32 reserved;
	shell_le32 c[16];
};

SHELL_SIZE(struct shell_pool2d, 80);
SHELL_SIZE(struct shell_add, 40);
SHELL_SIZE(struct shell_table, 16);
SHELL_SIZE(struct shell_concat, 80);

/* ---- bring-up --------------------------------------------------------------------------------
 *
 * memtest: region, report. The region is a whole number of 64-bit words in a bank; what was in it is
 * lost. report is struct shell_memtest_report and `report_max` of struct shell_memtest_fault: the
 * first faults found, in the order of finding. Value: words that read wrong, over all passes.
 *
 * Patterns, all over the words of the region, address a being the place in the bank:
 *   MARCH   March C-: up w0; up r0 w1; up r1 w0; down r0 w1; down r1 w0; up r0, where 0 is `seed` and
 *           1 its complement.
 *   ADDRESS up w(a); up r(a); down w(~a); down r(~a): stuck and shorted address lines.
 *   MOVING  moving inversions: for bit 0 .. 63: up w(1 << bit); up r w(~(1 << bit)); down r.
 *   PRBS    up w x(i); up r x(i), where x(0) = seed (0: 1) and x(i + 1) is x(i) after
 *           x ^= x << 13; x ^= x >> 7; x ^= x << 17.
 *   READ    up r(seed): that every word is seed, writing nothing.
 */
enum shell_memtest_pattern {
	SHELL_MEMTEST_MARCH = 0,
	SHELL_MEMTEST_ADDRESS = 1,
	SHELL_MEMTEST_MOVING = 2,
	SHELL_MEMTEST_PRBS = 3,
	SHELL_MEMTEST_READ = 4,
	SHELL_MEMTEST_PATTERNS
};

struct shell_memtest {
	shell_le32 pattern;
	shell_le32 passes; /* 1 .. 65,536; PRBS goes on from pass to pass */
	shell_le64 seed;
	shell_le32 report_max; /* >= 1 */
	shell_le32 reserved;
};

struct shell_memtest_report {
	shell_le64 faults; /* words that read wrong */
	shell_le64 words;  /* read in all */
	shell_le32 stored; /* min(faults, report_max) */
	shell_le32 reserved;
	shell_le64 bits; /* all bits that were ever wrong */
};

struct shell_memtest_fault {
	shell_le64 address; /* place in the bank */
	shell_le64 expected;
	shell_le64 found;
};

SHELL_SIZE(struct shell_memtest, 24);
SHELL_SIZE(struct shell_memtest_report, 32);
SHELL_SIZE(struct shell_memtest_fault, 24);

/*
 * burn: report. The multipliers run for so long, `duty` of 256 clocks each. A round is 65,536 products
 * of the stream x of PRBS from seed: the sum, modulo 2^32, of (int8)x * (int8)(x >> 8). It is the
 * same each round; who asks computes it and says what is expected. Value: rounds that differed.
 */
#define SHELL_BURN_ROUND 65536u

struct shell_burn {
	shell_le32 milliseconds; /* 1 .. 60,000 */
	shell_le32 duty;	 /* 1 .. 256 */
	shell_le64 seed;
	shell_le32 expected;
	shell_le32 reserved;
};

struct shell_burn_report {
	shell_le64 rounds;
	shell_le64 wrong;
	shell_le64 products; /* multiplied in all */
	shell_le32 sum;	     /* of the last round that differed, or of the last */
	shell_le32 reserved;
};

SHELL_SIZE(struct shell_burn, 24);
SHELL_SIZE(struct shell_burn_report, 32);

SHELL_SIZE(struct shell_echo, 8);
SHELL_SIZE(struct shell_copy, 32);
SHELL_SIZE(struct shell_fill, 16);

#endif
