/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command: parameters checked by the op's own check, operands found and bounded, then the
 * kernel, shared by the pool where that pays.
 */
#include "daemon/device/cpu.h"
#include "kernels/ref/ref.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Less work than this takes less time than waking a helper. */
#define SHARE_MACS   (UINT64_C(1) << 20)
#define SHARE_BYTES  (UINT64_C(1) << 18)
#define SCRATCH_KEPT ((size_t)16 << 20) /* bytes a thread between commands */
#define SLICES_EACH  2u /* slices a thread, so that a late helper costs half a share at most */

/* An operand that was found, and its size. */
struct operand {
	void *data;
	uint64_t bytes;
};

static int find(const struct cpu *cpu, const struct device_span *span, uint64_t elements,
		uint32_t element_bytes, struct operand *operand)
{
	uint8_t *data = NULL;
	int err;

	operand->bytes = elements * element_bytes; /* <= 2^32, by the op's check */
	err = cpu_span(&cpu->base, span, operand->bytes, element_bytes, &data);
	operand->data = data;
	return err;
}

static int find_output(const struct cpu *cpu, const struct device_command *command,
		       uint64_t elements, uint32_t element_bytes, const struct operand *in,
		       uint32_t inputs, struct operand *out)
{
	if (find(cpu, &command->out, elements, element_bytes, out))
		return -EINVAL;
	for (uint32_t i = 0; i < inputs; i++)
		if (in[i].data && cpu_overlap(in[i].data, in[i].bytes, out->data, out->bytes))
			return -EINVAL;
	return 0;
}

/* in[1] of a conv2d or gemm: as large as the output in bytes of int8, or absent. */
static int find_residual(const struct cpu *cpu, const struct device_command *command,
			 uint64_t elements, struct operand *residual)
{
	*residual = (struct operand){0};
	return command->in[1].buffer ? find(cpu, &command->in[1], elements, 1, residual) : 0;
}

static uint32_t out_bytes(enum op_out out)
{
	return out == OP_OUT_S8 ? 1 : 4;
}

/* Rows a slice, so that all threads have some, or all rows where the work is small. */
static uint64_t rows_grain(const struct cpu *cpu, uint64_t rows, bool share)
{
	uint64_t slices = (uint64_t)cpu->threads * SLICES_EACH;

	return share ? (rows + slices - 1) / slices : rows;
}

/* ---- conv2d and gemm ---- */

struct product {
	const struct cpu *cpu;
	const struct device_command *command;
	struct operand in[2], out;
};

static bool weights_fit(const struct cpu *cpu, const struct device_command *command,
			const void *made_for, const void *op, size_t from, size_t to)
{
	const struct device_weights *weights = command->weights;

	return weights && weights->device == &cpu->base && weights->op == command->op &&
	       !memcmp((const char *)made_for + from, (const char *)op + from, to - from);
}

static int conv2d_part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	const struct product *job = argument;
	const struct device_command *command = job->command;

	return job->cpu->kernels->conv2d(&command->conv2d, command->weights->packed,
					 job->in[0].data, job->in[1].data, job->out.data,
					 (uint32_t)begin, (uint32_t)end,
					 cpu_pool_scratch(job->cpu->pool, thread));
}

static int run_conv2d(struct cpu *cpu, const struct device_command *command)
{
	const struct op_conv2d *p = &command->conv2d;
	struct product job = {.cpu = cpu, .command = command};
	uint64_t rows, outputs, macs;

	/* From h on, up to the requantisation; the batch is free. This comes first: the op's check
	 * reads as many scales as there are channels. */
	if (!weights_fit(cpu, command, command->weights ? &command->weights->conv2d : NULL, p,
			 offsetof(struct op_conv2d, h), offsetof(struct op_conv2d, q)) ||
	    op_conv2d_check(p))
		return -EINVAL;
	rows = (uint64_t)p->n * op_conv2d_oh(p);
	outputs = rows * op_conv2d_ow(p) * p->oc;
	macs = outputs * p->kh * p->kw * (p->c / p->groups);
	if (find(cpu, &command->in[0], (uint64_t)p->n * p->h * p->w * p->c, 1, &job.in[0]) ||
	    find_residual(cpu, command, outputs, &job.in[1]) ||
	    find_output(cpu, command, outputs, out_bytes(p->out), job.in, 2, &job.out))
		return -EINVAL;
	if (cpu_pool_reserve(cpu->pool, cpu->kernels->conv2d_scratch_bytes(p)))
		return -ENOMEM;
	return cpu_pool_run(cpu->pool, rows, rows_grain(cpu, rows, macs >= SHARE_MACS), conv2d_part,
			    &job);
}

static int gemm_part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	const struct product *job = argument;
	const struct device_command *command = job->command;

	return job->cpu->kernels->gemm(&command->gemm, command->weights->packed, job->in[0].data,
				       job->in[1].data, job->out.data, (uint32_t)begin,
				       (uint32_t)end, cpu_pool_scratch(job->cpu->pool, thread));
}

static int run_gemm(struct cpu *cpu, const struct device_command *command)
{
	const struct op_gemm *p = &command->gemm;
	struct product job = {.cpu = cpu, .command = command};
	uint64_t outputs;
	bool share;

	if (!weights_fit(cpu, command, command->weights ? &command->weights->gemm : NULL, p,
			 offsetof(struct op_gemm, n), offsetof(struct op_gemm, q)) ||
	    op_gemm_check(p))
		return -EINVAL;
	outputs = (uint64_t)p->m * p->n;
	share = outputs * p->k >= SHARE_MACS;
	if (find(cpu, &command->in[0], (uint64_t)p->m * p->k, 1, &job.in[0]) ||
	    find_residual(cpu, command, outputs, &job.in[1]) ||
	    find_output(cpu, command, outputs, out_bytes(p->out), job.in, 2, &job.out))
		return -EINVAL;
	if (cpu_pool_reserve(cpu->pool, cpu->kernels->gemm_scratch_bytes(p)))
		return -ENOMEM;
	return cpu_pool_run(cpu->pool, p->m, rows_grain(cpu, p->m, share), gemm_part, &job);
}

/* ---- the smaller ones ---- */

static int pool2d_part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	const struct product *job = argument;

	(void)thread;
	return job->cpu->kernels->pool2d(&job->command->pool2d, job->in[0].data, job->out.data,
					 (uint32_t)begin, (uint32_t)end);
}

static int run_pool2d(struct cpu *cpu, const struct device_command *command)
{
	const struct op_pool2d *p = &command->pool2d;
	struct product job = {.cpu = cpu, .command = command};
	uint64_t rows, inputs;

	if (op_pool2d_check(p))
		return -EINVAL;
	rows = (uint64_t)p->n * op_pool2d_oh(p);
	inputs = (uint64_t)p->n * p->h * p->w * p->c;
	if (find(cpu, &command->in[0], inputs, 1, &job.in[0]) ||
	    find_output(cpu, command, rows * op_pool2d_ow(p) * p->c, 1, job.in, 1, &job.out))
		return -EINVAL;
	return cpu_pool_run(cpu->pool, rows, rows_grain(cpu, rows, inputs >= SHARE_BYTES),
			    pool2d_part, &job);
}

static int run_add(struct cpu *cpu, const struct device_command *command)
{
	const struct op_add *p = &command->add;
	struct operand in[2], out;

	if (op_add_check(p) || find(cpu, &command->in[0], p->count, 1, &in[0]) ||
	    find(cpu, &command->in[1], p->count, 1, &in[1]) ||
	    find_output(cpu, command, p->count, 1, in, 2, &out))
		return -EINVAL;
	return cpu->kernels->add(p, in[0].data, in[1].data, out.data);
}

static int run_table(struct cpu *cpu, const struct device_command *command)
{
	const struct op_table *p = &command->table;
	struct operand in[2], out;

	if (op_table_check(p) || find(cpu, &command->in[0], p->pixels * p->c, 1, &in[0]) ||
	    find(cpu, &command->tables[0], p->per_channel ? p->c * 256u : 256u, 1, &in[1]) ||
	    find_output(cpu, command, p->pixels * p->c, 1, in, 2, &out))
		return -EINVAL;
	return cpu->kernels->table(p, in[1].data, in[0].data, out.data);
}

static int run_concat(struct cpu *cpu, const struct device_command *command)
{
	const struct op_concat *p = &command->concat;
	struct operand in[2 * OP_CONCAT_MAX] = {0}, out;
	const int8_t *x[OP_CONCAT_MAX], *tables[OP_CONCAT_MAX];
	uint64_t c = 0;

	if (op_concat_check(p))
		return -EINVAL;
	for (uint32_t i = 0; i < p->inputs; i++) {
		struct operand *table = &in[OP_CONCAT_MAX + i];

		if (find(cpu, &command->in[i], p->pixels * p->c[i], 1, &in[i]) ||
		    (command->tables[i].buffer && find(cpu, &command->tables[i], 256, 1, table)))
			return -EINVAL;
		x[i] = in[i].data;
		tables[i] = table->data;
		c += p->c[i];
	}
	if (find_output(cpu, command, p->pixels * c, 1, in, 2 * OP_CONCAT_MAX, &out))
		return -EINVAL;
	return cpu->kernels->concat(p, x, tables, out.data);
}

static int run_dequantize(struct cpu *cpu, const struct device_command *command)
{
	const struct op_dequantize *p = &command->dequantize;
	struct operand in, out;

	if (op_dequantize_check(p) || find(cpu, &command->in[0], p->count, 1, &in) ||
	    find_output(cpu, command, p->count, 4, &in, 1, &out))
		return -EINVAL;
	return cpu->kernels->dequantize(p, in.data, out.data);
}

static uint64_t float_b_elements(const struct op_float *p)
{
	const uint64_t elements[] = {[OP_B_FULL] = p->rows * p->cols,
				     [OP_B_ROW] = p->cols,
				     [OP_B_COLUMN] = p->rows,
				     [OP_B_SCALAR] = 1};

	return elements[p->b];
}

/* The float tail is small and has one definition, which is the implementation too. */
static int run_float(struct cpu *cpu, const struct device_command *command)
{
	const struct op_float *p = &command->float_op;
	struct operand in[2] = {0}, out;

	if (op_float_check(p) || find(cpu, &command->in[0], p->rows * p->cols, 4, &in[0]) ||
	    (p->kind <= OP_FLOAT_DIV &&
	     find(cpu, &command->in[1], float_b_elements(p), 4, &in[1])) ||
	    find_output(cpu, command, p->rows * p->cols, 4, in, 2, &out))
		return -EINVAL;
	return ref_float(p, in[0].data, in[1].data, out.data);
}

/* ---- all of them ---- */

int cpu_run(struct cpu *cpu, const struct device_command *command)
{
	static int (*const run[DEVICE_OPS])(struct cpu *, const struct device_command *) = {
		[DEVICE_ECHO] = cpu_run_echo,	      [DEVICE_SEARCH] = cpu_run_search,
		[DEVICE_CONV2D] = run_conv2d,	      [DEVICE_GEMM] = run_gemm,
		[DEVICE_POOL2D] = run_pool2d,	      [DEVICE_ADD] = run_add,
		[DEVICE_TABLE] = run_table,	      [DEVICE_CONCAT] = run_concat,
		[DEVICE_DEQUANTIZE] = run_dequantize, [DEVICE_FLOAT] = run_float,
		[DEVICE_STRIDED] = cpu_run_strided,   [DEVICE_JOIN] = cpu_run_join,
		[DEVICE_COPY] = cpu_run_copy,	      [DEVICE_UPLOAD] = cpu_run_upload,
		[DEVICE_DOWNLOAD] = cpu_run_download,
	};

	int err;

	if ((unsigned int)command->op >= DEVICE_OPS || !run[command->op])
		return -EINVAL;
	err = run[command->op](cpu, command);
	/* One convolution with a huge border must not hold its memory for ever. */
	cpu_pool_trim(cpu->pool, SCRATCH_KEPT);
	return err;
}
