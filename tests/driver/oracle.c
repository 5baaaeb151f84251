/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's arguments as those of kernels/ops.h, whose checks share no line with the driver's. */
#include "tests/driver/cases.h"
#include "kernels/ops.h"

#include <errno.h>

static float single(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* One channel stands for all: the ranges of scales in buffers are the board's to check. */
static struct op_requant requant(const struct shell_requant *q)
{
	static const float one[OP_DIM_MAX];

	return (struct op_requant){
		one,	       one, single(q->s_r), (int32_t)q->z_r, (int32_t)q->z, (int32_t)q->lo,
		(int32_t)q->hi};
}

static int conv2d(const void *args)
{
	const struct shell_conv2d *a = args;
	struct op_conv2d p = {a->n,	     a->h,	    a->w,
			      a->c,	     a->oc,	    a->kh,
			      a->kw,	     a->groups,	    a->stride_h,
			      a->stride_w,   a->dilation_h, a->dilation_w,
			      a->pad_top,    a->pad_left,   a->pad_bottom,
			      a->pad_right,  (int)a->z_x,   (enum op_out)a->q.out,
			      requant(&a->q)};

	return op_conv2d_check(&p);
}

static int gemm(const void *args)
{
	const struct shell_gemm *a = args;
	struct op_gemm p = {a->m, a->n, a->k, (enum op_out)a->q.out, requant(&a->q)};

	return op_gemm_check(&p);
}

static int pool2d(const void *args)
{
	const struct shell_pool2d *a = args;
	struct op_pool2d p = {a->n,
			      a->h,
			      a->w,
			      a->c,
			      a->kh,
			      a->kw,
			      a->stride_h,
			      a->stride_w,
			      a->pad_top,
			      a->pad_left,
			      a->pad_bottom,
			      a->pad_right,
			      (enum op_pool_kind)a->kind,
			      a->divisor,
			      single(a->scale),
			      (int32_t)a->z_x,
			      (int32_t)a->z,
			      (int32_t)a->lo,
			      (int32_t)a->hi};

	return op_pool2d_check(&p);
}

static int add(const void *args)
{
	const struct shell_add *a = args;
	struct op_add p = {a->elements,	    single(a->s_a), single(a->s_b), (int32_t)a->z_a,
			   (int32_t)a->z_b, (int32_t)a->z,  (int32_t)a->lo, (int32_t)a->hi};

	return op_add_check(&p);
}

static int table(const void *args)
{
	const struct shell_table *a = args;
	struct op_table p = {a->pixels, a->c, a->per_channel};

	return a->per_channel > 1 ? -EINVAL : op_table_check(&p);
}

static int concat(const void *args)
{
	const struct shell_concat *a = args;
	struct op_concat p = {.pixels = a->pixels, .inputs = a->inputs};

	memcpy(p.c, a->c, sizeof(p.c));
	for (uint32_t i = a->inputs; i < OP_CONCAT_MAX; i++)
		if (a->c[i])
			return -EINVAL;
	return op_concat_check(&p);
}

static int search(const void *args)
{
	static _Alignas(64) uint8_t some[64];
	static uint64_t ids[1];
	static uint32_t marks[1];
	static float scales[1];
	const struct shell_search *a = args;
	struct search_rows rows = {(enum search_metric)a->metric,
				   a->dim,
				   a->head,
				   some,
				   some,
				   scales,
				   scales,
				   ids,
				   ids,
				   marks,
				   marks,
				   marks};

	if (!a->count || a->count > SEARCH_BATCH_MAX || !a->tiles || a->tiles >= 1u << 28 ||
	    !a->capacity)
		return -EINVAL;
	return search_rows_check(&rows);
}

static int (*const checks[SHELL_OPS])(const void *args) = {
	[SHELL_OP_CONV2D] = conv2d, [SHELL_OP_GEMM] = gemm,   [SHELL_OP_POOL2D] = pool2d,
	[SHELL_OP_ADD] = add,	    [SHELL_OP_TABLE] = table, [SHELL_OP_CONCAT] = concat,
	[SHELL_OP_SEARCH] = search,
};

int oracle_knows(uint32_t op)
{
	return op < SHELL_OPS && checks[op];
}

int oracle_check(uint32_t op, const void *args)
{
	return checks[op](args);
}
