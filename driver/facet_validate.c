// SPDX-License-Identifier: GPL-2.0-only
/* Arguments of an op to extents of its operands; see facet_validate.h. */
#include "facet_validate.h"

/* As kernels/ops.h; tests/driver/test_validate.c compares. */
#define DIM_MAX	       65536u
#define K_MAX	       65536u
#define ELEMENTS_MAX   (1u << 30)
#define SEARCH_BATCH   64u
#define SEARCH_DIM     1024u
#define SEARCH_TILES   ((1u << 28) - 1)
#define TILE_ROWS      16u
#define CONCAT_MAX     16u
#define MEMTEST_PASSES 65536u
#define BURN_MS	       60000u
#define BURN_DUTY      256u

enum out { OUT_S8, OUT_F32, OUT_S32, OUTS };
enum metric { METRIC_COSINE, METRIC_DOT, METRIC_L2, METRICS };
enum pool { POOL_MAX, POOL_AVERAGE };

static bool extent_ok(u64 v)
{
	return v >= 1 && v <= DIM_MAX;
}

static bool elements_ok(u64 a, u64 b)
{
	return a >= 1 && b >= 1 && a <= ELEMENTS_MAX && b <= ELEMENTS_MAX / a;
}

static bool tensor_ok(u64 n, u64 h, u64 w, u64 c)
{
	return elements_ok(n, h) && elements_ok(n * h, w) && elements_ok(n * h * w, c);
}

static bool byte_ok(shell_sle32 v)
{
	s32 b = (s32)le32_to_cpu(v);

	return b >= -128 && b <= 127;
}

static bool clamp_ok(shell_sle32 z, shell_sle32 lo, shell_sle32 hi)
{
	return byte_ok(z) && byte_ok(lo) && byte_ok(hi) &&
	       (s32)le32_to_cpu(lo) <= (s32)le32_to_cpu(hi);
}

/* 0 or 2^-100 <= |s| <= 2^60, told from the bits: without the sign they order like the values. */
static bool scale_ok(shell_f32 s)
{
	u32 magnitude = le32_to_cpu(s) & 0x7fffffffu;

	return magnitude == 0 || (magnitude >= 27u << 23 && magnitude <= 187u << 23);
}

/* Minus zero is not below zero. */
static bool positive_scale_ok(shell_f32 s)
{
	return scale_ok(s) && (le32_to_cpu(s) >> 31 == 0 || le32_to_cpu(s) == 1u << 31);
}

static void operand(struct facet_extents *e, u32 index, u64 bytes, u8 align,
		    enum facet_presence presence)
{
	e->operand[index].bytes = presence == FACET_ABSENT ? 0 : bytes;
	e->operand[index].align = align;
	e->operand[index].presence = presence;
}

/* ---- moving -------------------------------------------------------------------------------- */

static int echo(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_echo *a = args;
	enum facet_presence presence = bytes ? FACET_NEEDED : FACET_ABSENT;

	if (a->reserved)
		return -EINVAL;
	operand(e, 0, bytes, 1, presence);
	operand(e, 1, bytes, 1, presence);
	return 0;
}

/* Bytes from the first to the last of @rows runs; 0 where that is no legal number. */
static u64 strided(u64 rows, u64 row_bytes, u64 stride)
{
	u64 last;

	if (!rows || !row_bytes || stride < row_bytes)
		return 0;
	if (__builtin_mul_overflow(rows - 1, stride, &last) ||
	    __builtin_add_overflow(last, row_bytes, &last))
		return 0;
	return last;
}

static int copy(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_copy *a = args;
	u64 rows = le64_to_cpu(a->rows), row_bytes = le64_to_cpu(a->row_bytes);
	u64 out = strided(rows, row_bytes, le64_to_cpu(a->out_stride));
	u64 in = strided(rows, row_bytes, le64_to_cpu(a->in_stride));

	if (bytes || !out || !in)
		return -EINVAL;
	operand(e, 0, out, 1, FACET_NEEDED);
	operand(e, 1, in, 1, FACET_NEEDED);
	return 0;
}

static int fill(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_fill *a = args;

	if (!bytes || le32_to_cpu(a->flags) & ~SHELL_FILL_VERIFY || a->reserved)
		return -EINVAL;
	operand(e, 0, bytes, 1, FACET_NEEDED);
	e->operand[0].read = le32_to_cpu(a->flags) & SHELL_FILL_VERIFY;
	return 0;
}

/* ---- search -------------------------------------------------------------------------------- */

static int search(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_search *a = args;
	u32 metric = le32_to_cpu(a->metric), dim = le32_to_cpu(a->dim);
	u32 head = le32_to_cpu(a->head), count = le32_to_cpu(a->count);
	u64 capacity = le32_to_cpu(a->capacity), rows;
	u32 padded = (dim + 3) & ~3u;

	if (bytes || metric >= METRICS || dim < 1 || dim > SEARCH_DIM)
		return -EINVAL;
	if (head < 4 || head % 4 || head > padded || count < 1 || count > SEARCH_BATCH)
		return -EINVAL;
	if (le32_to_cpu(a->tiles) < 1 || le32_to_cpu(a->tiles) > SEARCH_TILES || !capacity)
		return -EINVAL;
	if (a->reserved[0] || a->reserved[1])
		return -EINVAL;
	rows = (u64)le32_to_cpu(a->tiles) * TILE_ROWS;
	operand(e, 0,
		count * (sizeof(struct shell_survivors) + capacity * sizeof(struct shell_survivor)),
		4, FACET_NEEDED);
	operand(e, 1, (u64)count * dim, 1, FACET_NEEDED);
	operand(e, 2, count * sizeof(struct shell_query), 4, FACET_NEEDED);
	operand(e, 3, rows * head, 1, FACET_NEEDED);
	operand(e, 4, rows * (padded - head), 1, head < padded ? FACET_NEEDED : FACET_ABSENT);
	operand(e, 5, rows * 4, 4, metric == METRIC_DOT ? FACET_ABSENT : FACET_NEEDED);
	operand(e, 6, rows * 4, 4, metric == METRIC_L2 ? FACET_NEEDED : FACET_ABSENT);
	operand(e, 7, rows * 4, 4, FACET_OPTIONAL);
	operand(e, 8, rows * 4, 4, FACET_PAIRED);
	operand(e, 9, rows * 8, 4, FACET_OPTIONAL);
	return 0;
}

/* ---- products ------------------------------------------------------------------------------ */

struct product {
	u64 pixels; /* rows of the output */
	u64 channels;
	u64 x, weights; /* elements */
};

static bool requant_ok(const struct shell_requant *q)
{
	u32 out = le32_to_cpu(q->out);

	if (out == OUT_S32)
		return true;
	if (out >= OUTS || !scale_ok(q->s_r) || !byte_ok(q->z_r))
		return false;
	return out == OUT_F32 || clamp_ok(q->z, q->lo, q->hi);
}

/* y, chk | x, residual, weights, bias, s_pos, s_neg */
static void product(struct facet_extents *e, const struct product *p, const struct shell_requant *q)
{
	u32 out = le32_to_cpu(q->out);
	u8 element = out == OUT_S8 ? 1 : 4;
	u64 y = p->pixels * p->channels;
	enum facet_presence scales = out == OUT_S32 ? FACET_ABSENT : FACET_NEEDED;

	operand(e, 0, y * element, element, FACET_NEEDED);
	operand(e, 1, p->pixels * 4, 4, FACET_OPTIONAL);
	operand(e, 2, p->x, 1, FACET_NEEDED);
	operand(e, 3, y, 1, out == OUT_S32 ? FACET_ABSENT : FACET_OPTIONAL);
	operand(e, 4, p->weights, 1, FACET_NEEDED);
	operand(e, 5, p->channels * 4, 4, FACET_NEEDED);
	operand(e, 6, p->channels * 4, 4, scales);
	operand(e, 7, p->channels * 4, 4, scales);
}

static int gemm(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_gemm *a = args;
	u64 m = le32_to_cpu(a->m), n = le32_to_cpu(a->n), k = le32_to_cpu(a->k);
	struct product p = {m, n, m * k, n * k};

	if (bytes || a->reserved || !extent_ok(n) || !extent_ok(k) || !requant_ok(&a->q))
		return -EINVAL;
	if (!elements_ok(m, k) || !elements_ok(m, n) || !elements_ok(n, k))
		return -EINVAL;
	product(e, &p, &a->q);
	return 0;
}

/* Places of a window of @reach in @size and its padding. */
static u64 windows(u32 size, u32 before, u32 after, u64 reach, u32 stride)
{
	u64 padded = (u64)size + before + after;

	return padded < reach ? 0 : (padded - reach) / stride + 1;
}

static bool extents_ok(const shell_le32 *v, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (!extent_ok(le32_to_cpu(v[i])))
			return false;
	return true;
}

static bool pads_ok(const shell_le32 *v)
{
	u32 i;

	for (i = 0; i < 4; i++)
		if (le32_to_cpu(v[i]) > DIM_MAX)
			return false;
	return true;
}

/* Fills in @p from extents that are each in range. */
static bool conv2d_shape(const struct shell_conv2d *a, struct product *p)
{
	u64 n = le32_to_cpu(a->n), h = le32_to_cpu(a->h), w = le32_to_cpu(a->w);
	u64 c = le32_to_cpu(a->c), oc = le32_to_cpu(a->oc), groups = le32_to_cpu(a->groups);
	u64 kh = le32_to_cpu(a->kh), kw = le32_to_cpu(a->kw), k, oh, ow;
	u32 top = le32_to_cpu(a->pad_top), bottom = le32_to_cpu(a->pad_bottom);
	u32 left = le32_to_cpu(a->pad_left), right = le32_to_cpu(a->pad_right);

	if (c % groups || oc % groups)
		return false;
	k = kh * kw;
	if (k > K_MAX || k * (c / groups) > K_MAX || !elements_ok(k * (c / groups), oc))
		return false;
	if (!tensor_ok(n, h + top + bottom, w + left + right, c))
		return false;
	oh = windows(h, top, bottom, (kh - 1) * le32_to_cpu(a->dilation_h) + 1,
		     le32_to_cpu(a->stride_h));
	ow = windows(w, left, right, (kw - 1) * le32_to_cpu(a->dilation_w) + 1,
		     le32_to_cpu(a->stride_w));
	if (!extent_ok(oh) || !extent_ok(ow) || !tensor_ok(n, oh, ow, oc))
		return false;
	p->pixels = n * oh * ow;
	p->channels = oc;
	p->x = n * h * w * c;
	p->weights = k * (c / groups) * oc;
	return true;
}

static int conv2d(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_conv2d *a = args;
	struct product p;

	/* n, h, w, c, oc, kh, kw, groups, strides, dilations lie in a row, then the four pads */
	if (bytes || a->reserved || !extents_ok(&a->n, 12) || !pads_ok(&a->pad_top))
		return -EINVAL;
	if (!byte_ok(a->z_x) || !requant_ok(&a->q) || !conv2d_shape(a, &p))
		return -EINVAL;
	product(e, &p, &a->q);
	return 0;
}

/* ---- pointwise ----------------------------------------------------------------------------- */

/* Each window must touch the input: the first and the last do. */
static bool covers(u32 size, u32 before, u32 k, u32 stride, u64 out)
{
	return out >= 1 && before < k && (out - 1) * stride < (u64)size + before;
}

static bool pool2d_kind_ok(const struct shell_pool2d *a)
{
	if (le32_to_cpu(a->kind) == POOL_MAX)
		return true;
	return le32_to_cpu(a->kind) == POOL_AVERAGE && le32_to_cpu(a->divisor) <= K_MAX &&
	       positive_scale_ok(a->scale) && byte_ok(a->z_x) && clamp_ok(a->z, a->lo, a->hi);
}

static int pool2d(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_pool2d *a = args;
	u32 n = le32_to_cpu(a->n), h = le32_to_cpu(a->h), w = le32_to_cpu(a->w);
	u32 c = le32_to_cpu(a->c), kh = le32_to_cpu(a->kh), kw = le32_to_cpu(a->kw);
	u32 top = le32_to_cpu(a->pad_top), left = le32_to_cpu(a->pad_left);
	u64 oh, ow;

	/* n, h, w, c, kh, kw and the strides lie in a row, then the four pads */
	if (bytes || a->reserved || !extents_ok(&a->n, 8) || !pads_ok(&a->pad_top) ||
	    (u64)kh * kw > K_MAX || !pool2d_kind_ok(a))
		return -EINVAL;
	oh = windows(h, top, le32_to_cpu(a->pad_bottom), kh, le32_to_cpu(a->stride_h));
	ow = windows(w, left, le32_to_cpu(a->pad_right), kw, le32_to_cpu(a->stride_w));
	if (!covers(h, top, kh, le32_to_cpu(a->stride_h), oh) ||
	    !covers(w, left, kw, le32_to_cpu(a->stride_w), ow))
		return -EINVAL;
	if (!tensor_ok(n, h, w, c) || !tensor_ok(n, oh, ow, c))
		return -EINVAL;
	operand(e, 0, n * oh * ow * c, 1, FACET_NEEDED);
	operand(e, 1, (u64)n * h * w * c, 1, FACET_NEEDED);
	return 0;
}

static int add(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_add *a = args;
	u64 elements = le64_to_cpu(a->elements);

	if (bytes || a->reserved || !elements_ok(elements, 1))
		return -EINVAL;
	if (!scale_ok(a->s_a) || !scale_ok(a->s_b) || !byte_ok(a->z_a) || !byte_ok(a->z_b) ||
	    !clamp_ok(a->z, a->lo, a->hi))
		return -EINVAL;
	operand(e, 0, elements, 1, FACET_NEEDED);
	operand(e, 1, elements, 1, FACET_NEEDED);
	operand(e, 2, elements, 1, FACET_NEEDED);
	return 0;
}

static int table(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_table *a = args;
	u64 pixels = le64_to_cpu(a->pixels), c = le32_to_cpu(a->c);
	u32 per_channel = le32_to_cpu(a->per_channel);

	if (bytes || !extent_ok(c) || !elements_ok(pixels, c) || per_channel > 1)
		return -EINVAL;
	operand(e, 0, pixels * c, 1, FACET_NEEDED);
	operand(e, 1, pixels * c, 1, FACET_NEEDED);
	operand(e, 2, per_channel ? c * 256 : 256, 1, FACET_NEEDED);
	return 0;
}

static int concat(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_concat *a = args;
	u64 pixels = le64_to_cpu(a->pixels), sum = 0;
	u32 inputs = le32_to_cpu(a->inputs), i;

	if (bytes || a->reserved || inputs < 1 || inputs > CONCAT_MAX ||
	    e->operands != 2 * inputs + 1)
		return -EINVAL;
	for (i = 0; i < CONCAT_MAX; i++) {
		u64 c = le32_to_cpu(a->c[i]);

		if (i < inputs ? !extent_ok(c) : c != 0)
			return -EINVAL;
		sum += c;
	}
	if (!extent_ok(sum) || !elements_ok(pixels, sum))
		return -EINVAL;
	operand(e, 0, pixels * sum, 1, FACET_NEEDED);
	for (i = 0; i < inputs; i++) {
		operand(e, 1 + i, pixels * le32_to_cpu(a->c[i]), 1, FACET_NEEDED);
		operand(e, 1 + inputs + i, 256, 1, FACET_OPTIONAL);
	}
	return 0;
}

/* ---- bring-up ------------------------------------------------------------------------------ */

static int memtest(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_memtest *a = args;
	u64 faults = le32_to_cpu(a->report_max);
	u32 passes = le32_to_cpu(a->passes);

	if (!bytes || bytes % 8 || a->reserved || !faults || passes < 1 || passes > MEMTEST_PASSES)
		return -EINVAL;
	if (le32_to_cpu(a->pattern) >= SHELL_MEMTEST_PATTERNS)
		return -EINVAL;
	operand(e, 0, bytes, 8, FACET_NEEDED);
	e->operand[0].read = true;
	operand(e, 1,
		sizeof(struct shell_memtest_report) + faults * sizeof(struct shell_memtest_fault),
		4, FACET_NEEDED);
	return 0;
}

static int burn(const void *args, u64 bytes, struct facet_extents *e)
{
	const struct shell_burn *a = args;
	u32 ms = le32_to_cpu(a->milliseconds), duty = le32_to_cpu(a->duty);

	if (bytes || a->reserved || ms < 1 || ms > BURN_MS || duty < 1 || duty > BURN_DUTY)
		return -EINVAL;
	operand(e, 0, sizeof(struct shell_burn_report), 4, FACET_NEEDED);
	return 0;
}

/* ---- the table ----------------------------------------------------------------------------- */

struct op_shape {
	u32 args_size;
	u32 least, most; /* operands */
	u64 written;
};

#define SHAPE(name, type, fewest, most_operands, mask)                                             \
	[SHELL_OP_##name] = {sizeof(type), fewest, most_operands, mask},
static const struct op_shape shapes[SHELL_OPS] = {SHELL_OP_TABLE_OF(SHAPE)};

typedef int (*extents_fn)(const void *args, u64 bytes, struct facet_extents *e);

static const extents_fn checks[SHELL_OPS] = {
	[SHELL_OP_ECHO] = echo,	    [SHELL_OP_COPY] = copy,	  [SHELL_OP_FILL] = fill,
	[SHELL_OP_SEARCH] = search, [SHELL_OP_CONV2D] = conv2d,	  [SHELL_OP_GEMM] = gemm,
	[SHELL_OP_POOL2D] = pool2d, [SHELL_OP_ADD] = add,	  [SHELL_OP_TABLE] = table,
	[SHELL_OP_CONCAT] = concat, [SHELL_OP_MEMTEST] = memtest, [SHELL_OP_BURN] = burn,
};

int facet_validate(u32 op, const void *args, u32 args_size, u64 bytes, u32 operands,
		   struct facet_extents *extents)
{
	const struct op_shape *shape;
	u32 i;

	if (op >= SHELL_OPS)
		return -EOPNOTSUPP;
	shape = &shapes[op];
	if (args_size != shape->args_size || operands < shape->least || operands > shape->most)
		return -EINVAL;
	memset(extents, 0, sizeof(*extents));
	extents->op = op;
	extents->operands = operands;
	extents->args_size = args_size;
	for (i = 0; i < operands; i++) {
		extents->operand[i].written = shape->written >> i & 1;
		extents->operand[i].read = !extents->operand[i].written;
	}
	return checks[op](args, bytes, extents);
}
