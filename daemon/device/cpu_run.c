/* SPDX-License-Identifier: Apache-2.0 */
/* One command: checked, then the kernel, shared by the pool where that pays. */
#include "daemon/device/cpu.h"
#include "kernels/ref/ref.h"

#include <errno.h>

/* Less work than this takes less time than waking a helper. */
#define SHARE_MACS   (UINT64_C(1) << 20)
#define SHARE_BYTES  (UINT64_C(1) << 18)
#define SCRATCH_KEPT ((size_t)16 << 20) /* bytes a thread between commands */
#define SLICES_EACH  2u /* slices a thread, so that a late helper costs half a share at most */

/* The memory of an operand, NULL for an absent one; the command was checked. */
static void *at(const struct device_span *span)
{
	return span->buffer ? span->buffer->base.data + span->offset : NULL;
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
};

static int conv2d_part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	const struct product *job = argument;
	const struct device_command *command = job->command;

	return job->cpu->kernels->conv2d(&command->conv2d, command->weights->packed,
					 at(&command->in[0]), at(&command->in[1]),
					 at(&command->out), (uint32_t)begin, (uint32_t)end,
					 cpu_pool_scratch(job->cpu->pool, thread));
}

static int run_conv2d(struct cpu *cpu, const struct device_command *command)
{
	const struct op_conv2d *p = &command->conv2d;
	struct product job = {.cpu = cpu, .command = command};
	uint64_t rows = (uint64_t)p->n * op_conv2d_oh(p);
	uint64_t macs = rows * op_conv2d_ow(p) * p->oc * p->kh * p->kw * (p->c / p->groups);

	if (cpu_pool_reserve(cpu->pool, cpu->kernels->conv2d_scratch_bytes(p)))
		return -ENOMEM;
	return cpu_pool_run(cpu->pool, rows, rows_grain(cpu, rows, macs >= SHARE_MACS), conv2d_part,
			    &job);
}

static int gemm_part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	const struct product *job = argument;
	const struct device_command *command = job->command;

	return job->cpu->kernels->gemm(&command->gemm, command->weights->packed,
				       at(&command->in[0]), at(&command->in[1]), at(&command->out),
				       (uint32_t)begin, (uint32_t)end,
				       cpu_pool_scratch(job->cpu->pool, thread));
}

static int run_gemm(struct cpu *cpu, const struct device_command *command)
{
	const struct op_gemm *p = &command->gemm;
	struct product job = {.cpu = cpu, .command = command};
	bool share = (uint64_t)p->m * p->n * p->k >= SHARE_MACS;

	if (cpu_pool_reserve(cpu->pool, cpu->kernels->gemm_scratch_bytes(p)))
		return -ENOMEM;
	return cpu_pool_run(cpu->pool, p->m, rows_grain(cpu, p->m, share), gemm_part, &job);
}

/* ---- the smaller ones ---- */

static int pool2d_part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	const struct product *job = argument;
	const struct device_command *command = job->command;

	(void)thread;
	return job->cpu->kernels->pool2d(&command->pool2d, at(&command->in[0]), at(&command->out),
					 (uint32_t)begin, (uint32_t)end);
}

static int run_pool2d(struct cpu *cpu, const struct device_command *command)
{
	const struct op_pool2d *p = &command->pool2d;
	struct product job = {.cpu = cpu, .command = command};
	uint64_t rows = (uint64_t)p->n * op_pool2d_oh(p);
	bool share = command->in[0].bytes >= SHARE_BYTES;

	return cpu_pool_run(cpu->pool, rows, rows_grain(cpu, rows, share), pool2d_part, &job);
}

static int run_add(struct cpu *cpu, const struct device_command *command)
{
	return cpu->kernels->add(&command->add, at(&command->in[0]), at(&command->in[1]),
				 at(&command->out));
}

static int run_table(struct cpu *cpu, const struct device_command *command)
{
	return cpu->kernels->table(&command->table, at(&command->tables[0]), at(&command->in[0]),
				   at(&command->out));
}

static int run_concat(struct cpu *cpu, const struct device_command *command)
{
	const int8_t *x[OP_CONCAT_MAX], *tables[OP_CONCAT_MAX];

	for (uint32_t i = 0; i < command->concat.inputs; i++) {
		x[i] = at(&command->in[i]);
		tables[i] = at(&command->tables[i]);
	}
	return cpu->kernels->concat(&command->concat, x, tables, at(&command->out));
}

static int run_dequantize(struct cpu *cpu, const struct device_command *command)
{
	return cpu->kernels->dequantize(&command->dequantize, at(&command->in[0]),
					at(&command->out));
}

/* The float tail is small and has one definition, which is the implementation too. */
static int run_float(struct cpu *cpu, const struct device_command *command)
{
	const struct op_float *p = &command->float_op;

	(void)cpu;
	return ref_float(p, at(&command->in[0]),
			 p->kind <= OP_FLOAT_DIV ? at(&command->in[1]) : NULL, at(&command->out));
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

	if (command_check(&cpu->base, command) || !run[command->op])
		return -EINVAL;
	err = run[command->op](cpu, command);
	/* One convolution with a huge border must not hold its memory for ever. */
	cpu_pool_trim(cpu->pool, SCRATCH_KEPT);
	return err;
}
