/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The op set: what every device computes, bit for bit.
 *
 * kernels/ref/ is the definition in plain C, one file an op. kernels/cpu/ and every other device
 * give the same bytes. The parameters of an op are a plain struct; op_*_check() says whether they
 * are legal, and every backend refuses exactly what it refuses, with the same negative errno:
 *   -EINVAL      a parameter is outside its stated range
 *   -EOVERFLOW   an accumulator could leave int32 with these weights
 *
 * Conventions
 *   activations  int8, NHWC, row-major, no gaps. real = (q - z) * scale.
 *   weights      int8, symmetric, [oc][kh][kw][c / groups]; a GEMM's are [n][k].
 *   bias         int32, in units of the accumulator, with the input's zero point folded in:
 *                bias[c] = round(b / (s_x * s_w[c])) - z_x * sum(w[c]), so acc = bias + sum(x * w)
 *                over raw int8 values. A padded tap reads z_x, never 0.
 *   accumulator  int32: |bias| + 128 * sum|w| < 2^31 per channel, K <= 65,536.
 *   rounding     to nearest, ties to even (the default IEEE mode), single precision, no
 *                contraction (-ffp-contract=off), denormals kept.
 */
#ifndef FACET_KERNELS_OPS_H
#define FACET_KERNELS_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OP_K_MAX	65536u		/* products summed into one accumulator */
#define OP_DIM_MAX	65536u		/* any one extent of a tensor */
#define OP_ELEMENTS_MAX (1u << 30)	/* elements of one tensor */
#define OP_BIAS_MAX	((1 << 30) - 1) /* |folded bias| */

/* ---- requantisation ------------------------------------------------------------------------
 *
 *   t = (float)acc * (acc < 0 ? s_neg[c] : s_pos[c])
 *   t = t + (float)(r - z_r) * s_r                       only with a residual r
 *   y = (int)rne(min(max(t, (float)(lo - z)), (float)(hi - z))) + z
 *
 * Two scales a channel make ReLU (s_neg = 0), LeakyReLU and PReLU free; lo and hi make ReLU6 free.
 * With OP_OUT_F32 the op stores t itself; with OP_OUT_S32 it stores acc.
 */
enum op_out { OP_OUT_S8 = 0, OP_OUT_F32 = 1, OP_OUT_S32 = 2 };

struct op_requant {
	const float *s_pos; /* [channels]; 0 or 2^-100 <= |s| <= 2^60, s_pos >= 0 */
	const float *s_neg; /* [channels]; the same range, any sign */
	float s_r;	    /* residual scale, used only when a residual is given */
	int32_t z_r;	    /* residual zero point, [-128, 127] */
	int32_t z, lo, hi;  /* output zero point and clamp, [-128, 127], lo <= hi (OP_OUT_S8) */
};

int op_requant_check(const struct op_requant *q, uint32_t channels, enum op_out out);

/* ---- convolution (dense, grouped, depthwise) ------------------------------------------------
 *
 *   oh = (h + pad_top + pad_bottom - ((kh - 1) * dilation_h + 1)) / stride_h + 1, ow likewise.
 *   Depthwise is groups == c == oc.
 */
struct op_conv2d {
	uint32_t n, h, w, c;
	uint32_t oc, kh, kw, groups;
	uint32_t stride_h, stride_w, dilation_h, dilation_w;
	uint32_t pad_top, pad_left, pad_bottom, pad_right;
	int32_t z_x; /* what a padded tap reads */
	enum op_out out;
	struct op_requant q;
};

uint32_t op_conv2d_oh(const struct op_conv2d *p);
uint32_t op_conv2d_ow(const struct op_conv2d *p);
int op_conv2d_check(const struct op_conv2d *p);

/* ---- GEMM: y[m][n] = sum_k a[m][k] * b[n][k] ------------------------------------------------
 * b is the constant operand, a weight row a channel; scales and bias are per n.
 */
struct op_gemm {
	uint32_t m, n, k;
	enum op_out out;
	struct op_requant q;
};

int op_gemm_check(const struct op_gemm *p);

/* Weights of one op, checked once: |bias| + 128 * sum|w| < 2^31 for each of rows channels. */
int op_weights_check(const int8_t *w, const int32_t *bias, uint32_t rows, uint32_t k);

/* ---- checksums of products ------------------------------------------------------------------
 *
 *   chk[m] = sum over all channels of the accumulators (bias included) of output pixel m, or row m
 *            of a GEMM, modulo 2^32, before requantisation
 *
 * A device adds up what its multipliers made. Sums of products are linear, so the same comes out of
 * the input and the weights summed over their channels, at 1 / channels of the work:
 *   chk[m] = sum(bias) + sum over taps and c of x[tap][c] * (sum of w[oc][tap][c] over c's group)
 * An accumulator that is off by anything but a multiple of 2^32 shows, so each flip of one bit does
 * (K. Huang, J. Abraham, Algorithm-based fault tolerance for matrix operations, IEEE Transactions on
 * Computers C-33, 1984). A padded tap reads z_x here too. kernels/ref/checksum.c is the definition.
 */

/* ---- pooling --------------------------------------------------------------------------------
 * Max: the largest value of the taps inside the input (padding never wins); z, scales unused.
 * Average: acc = sum over taps inside of (x - z_x); then the requantisation with
 * s = scale / (float)divisor, where divisor is the one stated, or with 0 the number of taps inside.
 * Every window must cover at least one tap inside.
 */
enum op_pool_kind { OP_POOL_MAX = 0, OP_POOL_AVG = 1 };

struct op_pool2d {
	uint32_t n, h, w, c;
	uint32_t kh, kw, stride_h, stride_w;
	uint32_t pad_top, pad_left, pad_bottom, pad_right;
	enum op_pool_kind kind;
	uint32_t divisor;
	float scale; /* s_x / s_y */
	int32_t z_x, z, lo, hi;
};

uint32_t op_pool2d_oh(const struct op_pool2d *p);
uint32_t op_pool2d_ow(const struct op_pool2d *p);
int op_pool2d_check(const struct op_pool2d *p);

/* ---- pointwise ------------------------------------------------------------------------------
 * add: t = (float)(a - z_a) * s_a;  t = t + (float)(b - z_b) * s_b;  then clamp, round, + z.
 * table: y = table[x + 128], one table for all channels or one a channel ([c][256]).
 * concat: along the channels, each input through a table of its own (or none).
 */
struct op_add {
	uint64_t count;
	float s_a, s_b;
	int32_t z_a, z_b, z, lo, hi;
};

struct op_table {
	uint64_t pixels;
	uint32_t c;
	bool per_channel;
};

#define OP_CONCAT_MAX 16
struct op_concat {
	uint64_t pixels;
	uint32_t inputs;
	uint32_t c[OP_CONCAT_MAX];
};

int op_add_check(const struct op_add *p);
int op_table_check(const struct op_table *p);
int op_concat_check(const struct op_concat *p);

/* ---- float tail (CPU only, never offloaded) -------------------------------------------------
 * Each is made of + - * / sqrt and our own exp, so all hosts agree. Sums run in 16 lanes:
 * lane i takes elements i, i + 16, ...; lanes are then added pairwise 8, 4, 2, 1.
 */
enum op_float_kind {
	OP_FLOAT_ADD,
	OP_FLOAT_SUB,
	OP_FLOAT_MUL,
	OP_FLOAT_DIV, /* binary, b broadcast as below */
	OP_FLOAT_EXP,
	OP_FLOAT_SIGMOID,
	OP_FLOAT_SQRT,	  /* unary */
	OP_FLOAT_SOFTMAX, /* over the innermost extent */
	OP_FLOAT_KINDS
};

struct op_float {
	enum op_float_kind kind;
	uint64_t rows; /* outer elements */
	uint32_t cols; /* innermost extent */
	/* binary: how b is indexed: whole tensor, one row of cols, one value a row, or one value */
	enum { OP_B_FULL, OP_B_ROW, OP_B_COLUMN, OP_B_SCALAR } b;
};

int op_float_check(const struct op_float *p);

/* y[i] = (float)(x[i] - z) * scale */
struct op_dequantize {
	uint64_t count;
	float scale;
	int32_t z;
};

int op_dequantize_check(const struct op_dequantize *p);

/* ---- templates ------------------------------------------------------------------------------
 * A float template becomes an int8 row: step = max|x| / 127 (single precision divide),
 * q[i] = (int)rne(x[i] / step). Refused (-EINVAL): a vector with a NaN or an infinity, and a zero
 * vector, which is one whose step is below FLT_MIN (a denormal step would not keep |q| <= 127).
 * row scale for cosine: (float)(1 / sqrt((double)sum q^2)).
 * Float16 conversions round to nearest even; a value past the float16 range becomes infinity, a NaN
 * stays a NaN of the same sign and leading payload, made quiet.
 */
int op_quantize_row(const float *x, uint32_t dim, int8_t *q, float *step);
float op_cosine_scale(const int8_t *q, uint32_t dim);

/* ---- search ---------------------------------------------------------------------------------
 * Layout: tiles of 16 rows; inside a tile, groups of 4 dimensions; line g of a tile is 64 bytes,
 * [16 rows][4 dims], each int8 value + 128. Dimensions past dim hold 128 (zero). The first `head`
 * dimensions of every row lie in `head_tiles`, the others in `tail_tiles`; with head == the padded
 * dimension there is no tail.
 *
 *   dot    = sum of x[i] * row[i], exact in int32 (and in float: |dot| <= 2^24)
 *   cosine : s = (float)dot * scale[r]
 *   dot    : s = (float)dot
 *   L2     : s = ((float)dot * scale[r]) * q_mul - bias[r], where scale = 2 * step,
 *            bias = (float)(|row|^2 * step^2) and q_mul = the query's step: |q|^2 * step_q^2 - s is
 *            the squared distance.
 *
 * Order: larger s, then lower id: a total order, so no answer depends on shards, threads, batch or
 * device. A row counts if row < query.rows, born <= epoch < died, (tags & mask) == value and
 * s >= limit. By subject, a subject scores its best template (of equal ones the lowest id). Scales
 * are in [0, 2^60], biases in [0, 2^120], q_mul in [0, 2^40], so NaN never arises from legal input;
 * a row whose score is NaN all the same counts nowhere.
 */
#define SEARCH_TILE_ROWS 16u
#define SEARCH_DIM_MAX	 1024u
#define SEARCH_K_MAX	 65536u
#define SEARCH_BATCH_MAX 64u
#define SEARCH_NEVER	 UINT32_MAX /* died: still alive */

enum search_metric { SEARCH_COSINE = 0, SEARCH_DOT = 1, SEARCH_L2 = 2 };

struct search_rows {
	enum search_metric metric;
	uint32_t dim;		   /* 1 .. 1024 */
	uint32_t head;		   /* multiple of 4, 4 .. padded dim */
	const uint8_t *head_tiles; /* [tiles][head / 4][16][4], 64-byte aligned */
	const uint8_t *tail_tiles; /* [tiles][(padded - head) / 4][16][4], or NULL */
	const float *scale;	   /* [tiles * 16]; cosine and L2 */
	const float *bias;	   /* [tiles * 16]; L2 */
	const uint64_t *id;	   /* template ids, unique among live rows */
	const uint64_t *tags;
	const uint32_t *born, *died;
	const uint32_t *subject; /* dense index of the subject */
};

struct search_query {
	const int8_t *x; /* [dim], in the order of the layout */
	float q_mul;	 /* L2 only */
	float limit;	 /* smallest s that passes; -INFINITY for none */
	uint32_t k;	 /* 1 .. SEARCH_K_MAX */
	bool by_subject;
	uint32_t epoch;
	uint64_t rows; /* high-water mark */
	uint64_t tag_mask, tag_value;
};

struct search_hit {
	float s;
	uint32_t subject;
	uint64_t id;
	uint64_t row;
};

/* The best k of one query so far, opaque; made for k and by_subject. See kernels/search_list.c. */
struct search_list;
struct search_list *search_list_create(uint32_t k, bool by_subject); /* NULL: no memory or bad k */
void search_list_free(struct search_list *list);
/* Empties it; k is at most the one it was created for. */
void search_list_reset(struct search_list *list, uint32_t k, bool by_subject);
/* The score a candidate must reach (>=) to have a chance; -INFINITY until k are held. */
float search_list_limit(const struct search_list *list);
/* At exactly that score a candidate also needs a lower id than this; UINT64_MAX until k are held. */
uint64_t search_list_limit_id(const struct search_list *list);
void search_list_offer(struct search_list *list, const struct search_hit *hit);
void search_list_merge(struct search_list *into, const struct search_list *from);
/* Writes the hits best first, returns their number (<= k). The list stays as it is. */
uint32_t search_list_sorted(const struct search_list *list, struct search_hit *out);

static inline uint32_t search_padded_dim(uint32_t dim)
{
	return (dim + 3u) & ~3u;
}

int search_rows_check(const struct search_rows *rows);
int search_query_check(const struct search_query *query, const struct search_rows *rows);
/* Are scale and bias of these rows in range? Asked once when rows are written, not by a search. */
int search_scales_check(const struct search_rows *rows, uint64_t row_begin, uint64_t row_end);

/* Writes row r (dim int8 values in layout order) into the tiles; reads it back. */
void search_put_row(const struct search_rows *rows, uint64_t r, const int8_t *x);
void search_get_row(const struct search_rows *rows, uint64_t r, int8_t *x);

#endif
