/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling, addition, tables and concatenation. */
#include "boards/virtual/internal.h"

#include <string.h>

static int8_t *data(struct job *job, uint32_t index)
{
	return (int8_t *)job->view[index].data;
}

/* ---- pooling: y | x --------------------------------------------------------------------------- */

static void pool2d_of(struct op_pool2d *op, const struct shell_pool2d *a)
{
	*op = (struct op_pool2d){
		.n = a->n,
		.h = a->h,
		.w = a->w,
		.c = a->c,
		.kh = a->kh,
		.kw = a->kw,
		.stride_h = a->stride_h,
		.stride_w = a->stride_w,
		.pad_top = a->pad_top,
		.pad_left = a->pad_left,
		.pad_bottom = a->pad_bottom,
		.pad_right = a->pad_right,
		.kind = (enum op_pool_kind)a->kind,
		.divisor = a->divisor,
		.scale = engine_float(a->scale),
		.z_x = (int32_t)a->z_x,
		.z = (int32_t)a->z,
		.lo = (int32_t)a->lo,
		.hi = (int32_t)a->hi,
	};
}

static int run_pool2d(struct job *job, const struct op_pool2d *op, uint64_t rows, uint64_t work)
{
	uint64_t slice = engine_slice(rows, work);

	for (uint64_t row = 0; row < rows; row += slice) {
		uint64_t end = row + slice < rows ? row + slice : rows;
		int err = job->board->kernels->pool2d(op, data(job, 1), data(job, 0), (uint32_t)row,
						      (uint32_t)end);

		if (!task_alive(job) || task_check(job, err))
			return -1;
	}
	return view_flush(job);
}

int engine_pool2d(struct job *job)
{
	struct op_pool2d op;
	uint64_t rows, outputs;

	pool2d_of(&op, &job->args.pool2d);
	if (job->args.pool2d.reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (task_check(job, op_pool2d_check(&op)))
		return -1;
	rows = (uint64_t)op.n * op_pool2d_oh(&op);
	outputs = rows * op_pool2d_ow(&op) * op.c;
	if (operand_length(job, 0, outputs, 1) ||
	    operand_length(job, 1, (uint64_t)op.n * op.h * op.w * op.c, 1) || engine_open(job))
		return -1;
	return run_pool2d(job, &op, rows, outputs * op.kh * op.kw);
}

/* ---- addition: y | a, b ----------------------------------------------------------------------- */

int engine_add(struct job *job)
{
	const struct shell_add *a = &job->args.add;
	const struct op_add op = {
		.count = a->elements,
		.s_a = engine_float(a->s_a),
		.s_b = engine_float(a->s_b),
		.z_a = (int32_t)a->z_a,
		.z_b = (int32_t)a->z_b,
		.z = (int32_t)a->z,
		.lo = (int32_t)a->lo,
		.hi = (int32_t)a->hi,
	};

	if (a->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (task_check(job, op_add_check(&op)))
		return -1;
	for (uint32_t i = 0; i < 3; i++)
		if (operand_length(job, i, op.count, 1))
			return -1;
	if (engine_open(job) ||
	    task_check(job,
		       job->board->kernels->add(&op, data(job, 1), data(job, 2), data(job, 0))))
		return -1;
	return view_flush(job);
}

/* ---- table: y | x, table ---------------------------------------------------------------------- */

int engine_table(struct job *job)
{
	const struct shell_table *a = &job->args.table;
	const struct op_table op = {a->pixels, a->c, a->per_channel == 1};

	if (a->per_channel > 1)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (task_check(job, op_table_check(&op)))
		return -1;
	if (operand_length(job, 0, op.pixels * op.c, 1) ||
	    operand_length(job, 1, op.pixels * op.c, 1) ||
	    operand_length(job, 2, op.per_channel ? op.c * 256u : 256u, 1) || engine_open(job) ||
	    task_check(job,
		       job->board->kernels->table(&op, data(job, 2), data(job, 1), data(job, 0))))
		return -1;
	return view_flush(job);
}

/* ---- concat: y | x[inputs], table[inputs] ------------------------------------------------------ */

static int concat_of(struct job *job, struct op_concat *op)
{
	const struct shell_concat *a = &job->args.concat;

	*op = (struct op_concat){.pixels = a->pixels, .inputs = a->inputs};
	memcpy(op->c, a->c, sizeof(op->c));
	if (a->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (task_check(job, op_concat_check(op)))
		return -1;
	for (uint32_t i = op->inputs; i < OP_CONCAT_MAX; i++)
		if (a->c[i])
			return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (job->operands != 2 * op->inputs + 1)
		return task_fail(job, SHELL_BAD_ENTRY, SHELL_INDEX_NONE, 0);
	return 0;
}

static int check_concat(struct job *job, const struct op_concat *op)
{
	uint64_t c = 0;

	for (uint32_t i = 0; i < op->inputs; i++) {
		uint32_t table = 1 + op->inputs + i;

		c += op->c[i];
		if (operand_length(job, 1 + i, op->pixels * op->c[i], 1) ||
		    (operand_present(job, table) && operand_length(job, table, 256, 1)))
			return -1;
	}
	return operand_length(job, 0, op->pixels * c, 1);
}

int engine_concat(struct job *job)
{
	const int8_t *x[OP_CONCAT_MAX], *tables[OP_CONCAT_MAX];
	struct op_concat op;

	if (concat_of(job, &op) || check_concat(job, &op) || engine_open(job))
		return -1;
	for (uint32_t i = 0; i < op.inputs; i++) {
		x[i] = data(job, 1 + i);
		tables[i] = data(job, 1 + op.inputs + i);
	}
	if (task_check(job, job->board->kernels->concat(&op, x, tables, data(job, 0))))
		return -1;
	return view_flush(job);
}
