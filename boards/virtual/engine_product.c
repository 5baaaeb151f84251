/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and matrix product. Where the sum of accumulators is wanted (or one is to be flipped)
 * they are made first, as int32, and requantised from there; else kernels/cpu does both at once.
 */
#include "boards/virtual/internal.h"
#include "kernels/requant.h"

#include <stdlib.h>
#include <string.h>

enum { Y, CHK, X, RESIDUAL, WEIGHTS, BIAS, S_POS, S_NEG };

/* One product, whichever op: rows of work (n * oh, or m), pixels and channels of the output. */
struct product {
	struct job *job;
	enum op_out out;
	struct op_requant q;
	uint64_t rows, pixels, work;
	uint32_t channels;
	void *packed, *scratch, *y;
	const int8_t *x, *residual;
	int (*slice)(struct product *p, uint32_t begin, uint32_t end);
	int (*pack)(struct product *p);
	union {
		struct op_conv2d conv2d;
		struct op_gemm gemm;
	};
};

static void requant_of(struct op_requant *q, const struct shell_requant *args)
{
	*q = (struct op_requant){
		.s_r = engine_float(args->s_r),
		.z_r = (int32_t)args->z_r,
		.z = (int32_t)args->z,
		.lo = (int32_t)args->lo,
		.hi = (int32_t)args->hi,
	};
}

static uint32_t out_bytes(enum op_out out)
{
	return out == OP_OUT_S8 ? 1 : 4;
}

/* Scales stand in for the board's, whose values are looked at once they are there. */
static int check_shape(struct product *p, int (*check)(struct product *p))
{
	static const float one[1];
	const struct op_requant q = p->q;
	int err;

	if ((uint32_t)p->out > OP_OUT_S32)
		return task_fail(p->job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	err = op_requant_check(&(struct op_requant){one, one, q.s_r, q.z_r, q.z, q.lo, q.hi}, 1,
			       p->out);
	if (!err)
		err = check(p);
	return task_check(p->job, err);
}

static bool absent_or(struct job *job, uint32_t index, bool wanted)
{
	return operand_present(job, index) == wanted;
}

static int check_operands(struct product *p, uint64_t inputs, uint64_t weights)
{
	struct job *job = p->job;
	uint64_t outputs = p->pixels * p->channels;
	bool scaled = p->out != OP_OUT_S32;

	if (operand_length(job, Y, outputs, out_bytes(p->out)) ||
	    operand_length(job, X, inputs, 1) || operand_length(job, WEIGHTS, weights, 1) ||
	    operand_length(job, BIAS, p->channels, 4))
		return -1;
	for (uint32_t i = S_POS; i <= S_NEG; i++)
		if (!absent_or(job, i, scaled) ||
		    (scaled && operand_length(job, i, p->channels, 4)))
			return task_fail(job, SHELL_BAD_OPERAND, i, 0);
	if (operand_present(job, RESIDUAL) &&
	    (!scaled || operand_length(job, RESIDUAL, outputs, 1)))
		return task_fail(job, SHELL_BAD_OPERAND, RESIDUAL, 0);
	if (operand_present(job, CHK) && (!(job->board->config.caps & SHELL_CAP_CHECKSUM) ||
					  operand_length(job, CHK, p->pixels, 4)))
		return task_fail(job, SHELL_BAD_OPERAND, CHK, 0);
	return 0;
}

static int run_slices(struct product *p)
{
	uint64_t slice = engine_slice(p->rows, p->work);

	for (uint64_t row = 0; row < p->rows; row += slice) {
		uint64_t end = row + slice < p->rows ? row + slice : p->rows;

		if (!task_alive(p->job) ||
		    task_check(p->job, p->slice(p, (uint32_t)row, (uint32_t)end)))
			return -1;
	}
	return 0;
}

static void sum_accumulators(const struct product *p, const int32_t *acc, uint32_t *chk)
{
	for (uint64_t pixel = 0; pixel < p->pixels; pixel++) {
		uint32_t sum = 0;

		for (uint32_t c = 0; c < p->channels; c++)
			sum += (uint32_t)acc[pixel * p->channels + c];
		memcpy(chk + pixel, &sum, 4);
	}
}

static void requantise(const struct product *p, const int32_t *acc, void *y)
{
	for (uint64_t pixel = 0; pixel < p->pixels; pixel++)
		for (uint32_t c = 0; c < p->channels; c++) {
			uint64_t i = pixel * p->channels + c;

			requant_store(&p->q, p->out, c, acc[i], p->residual, y, i);
		}
}

/* Accumulators first; then their sums, and the output from them. */
static int run_in_two(struct product *p, const struct fault *flip)
{
	struct job *job = p->job;
	uint64_t outputs = p->pixels * p->channels;
	int32_t *acc = engine_alloc(job, outputs * 4);
	enum op_out *out = p->slice == NULL ? NULL : &p->out, wanted = p->out;
	const int8_t *residual = p->residual;
	int err = -1;

	if (!acc)
		return -1;
	*out = OP_OUT_S32;
	p->residual = NULL;
	p->y = acc;
	if (!task_check(job, p->pack(p)))
		err = run_slices(p);
	p->residual = residual;
	*out = wanted;
	if (!err && flip)
		fault_flip_bit(acc, outputs * 4, flip->bit);
	if (!err && job->view[CHK].data)
		sum_accumulators(p, acc, (uint32_t *)(void *)job->view[CHK].data);
	if (!err)
		requantise(p, acc, job->view[Y].data);
	free(acc);
	return err;
}

static int compute(struct product *p)
{
	struct job *job = p->job;
	struct fault hit;
	bool flip = fault_strikes(job->board, FAULT_ACCUMULATOR, job->unit->index, &hit);

	p->x = (const int8_t *)job->view[X].data;
	p->residual = (const int8_t *)job->view[RESIDUAL].data;
	p->y = job->view[Y].data;
	if (flip || job->view[CHK].data)
		return run_in_two(p, flip ? &hit : NULL);
	if (task_check(job, p->pack(p)))
		return -1;
	return run_slices(p);
}

static int run(struct product *p)
{
	struct job *job = p->job;
	int err;

	if (p->pixels * p->channels > job->board->config.operand_max)
		return task_fail(job, SHELL_UNSUPPORTED, Y, 0);
	if (engine_open(job))
		return -1;
	p->q.s_pos = (const float *)(const void *)job->view[S_POS].data;
	p->q.s_neg = (const float *)(const void *)job->view[S_NEG].data;
	err = task_check(job, op_requant_check(&p->q, p->channels, p->out));
	if (!err)
		err = compute(p);
	free(p->packed);
	return err ? err : view_flush(job);
}

/* ---- convolution ------------------------------------------------------------------------------ */

static int check_conv2d(struct product *p)
{
	struct op_conv2d shape = p->conv2d;

	shape.out = OP_OUT_S32; /* without scales */
	return op_conv2d_check(&shape);
}

static int slice_conv2d(struct product *p, uint32_t begin, uint32_t end)
{
	return p->job->board->kernels->conv2d(&p->conv2d, p->packed, p->x, p->residual, p->y, begin,
					      end, p->scratch);
}

static int pack_conv2d(struct product *p)
{
	const struct cpu_kernels *kernels = p->job->board->kernels;
	const struct view *view = p->job->view;

	p->conv2d.out = p->out;
	p->conv2d.q = p->q;
	p->packed = engine_alloc(p->job, kernels->conv2d_packed_bytes(&p->conv2d));
	p->scratch = engine_scratch(p->job, kernels->conv2d_scratch_bytes(&p->conv2d));
	if (!p->packed || !p->scratch)
		return 0;
	return kernels->conv2d_pack(&p->conv2d, (const int8_t *)view[WEIGHTS].data,
				    (const int32_t *)(const void *)view[BIAS].data, p->packed);
}

int engine_conv2d(struct job *job)
{
	const struct shell_conv2d *a = &job->args.conv2d;
	struct product p = {.job = job, .slice = slice_conv2d, .pack = pack_conv2d};
	struct op_conv2d *op = &p.conv2d;
	uint64_t k;

	if (a->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	*op = (struct op_conv2d){a->n,
				 a->h,
				 a->w,
				 a->c,
				 a->oc,
				 a->kh,
				 a->kw,
				 a->groups,
				 a->stride_h,
				 a->stride_w,
				 a->dilation_h,
				 a->dilation_w,
				 a->pad_top,
				 a->pad_left,
				 a->pad_bottom,
				 a->pad_right,
				 (int32_t)a->z_x,
				 (enum op_out)a->q.out,
				 {0}};
	p.out = (enum op_out)a->q.out;
	requant_of(&p.q, &a->q);
	if (check_shape(&p, check_conv2d))
		return -1;
	p.rows = (uint64_t)op->n * op_conv2d_oh(op);
	p.pixels = p.rows * op_conv2d_ow(op);
	p.channels = op->oc;
	k = (uint64_t)op->kh * op->kw * (op->c / op->groups);
	p.work = p.pixels * p.channels * k;
	if (check_operands(&p, (uint64_t)op->n * op->h * op->w * op->c, op->oc * k))
		return -1;
	return run(&p);
}

/* ---- matrix product --------------------------------------------------------------------------- */

static int check_gemm(struct product *p)
{
	struct op_gemm shape = p->gemm;

	shape.out = OP_OUT_S32;
	return op_gemm_check(&shape);
}

static int slice_gemm(struct product *p, uint32_t begin, uint32_t end)
{
	return p->job->board->kernels->gemm(&p->gemm, p->packed, p->x, p->residual, p->y, begin,
					    end, p->scratch);
}

static int pack_gemm(struct product *p)
{
	const struct cpu_kernels *kernels = p->job->board->kernels;
	const struct view *view = p->job->view;

	p->gemm.out = p->out;
	p->gemm.q = p->q;
	p->packed = engine_alloc(p->job, kernels->gemm_packed_bytes(&p->gemm));
	p->scratch = engine_scratch(p->job, kernels->gemm_scratch_bytes(&p->gemm));
	if (!p->packed || !p->scratch)
		return 0;
	return kernels->gemm_pack(&p->gemm, (const int8_t *)view[WEIGHTS].data,
				  (const int32_t *)(const void *)view[BIAS].data, p->packed);
}

int engine_gemm(struct job *job)
{
	const struct shell_gemm *a = &job->args.gemm;
	struct product p = {.job = job, .slice = slice_gemm, .pack = pack_gemm};

	if (a->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	p.gemm = (struct op_gemm){a->m, a->n, a->k, (enum op_out)a->q.out, {0}};
	p.out = (enum op_out)a->q.out;
	requant_of(&p.q, &a->q);
	if (check_shape(&p, check_gemm))
		return -1;
	p.rows = p.pixels = a->m;
	p.channels = a->n;
	p.work = p.pixels * p.channels * a->k;
	if (check_operands(&p, (uint64_t)a->m * a->k, (uint64_t)a->n * a->k))
		return -1;
	return run(&p);
}
