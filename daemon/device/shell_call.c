/* SPDX-License-Identifier: Apache-2.0 */
/* Commands written down as the shell wants them. */
#include "daemon/device/shell.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void shell_call_op(struct shell_call *call, enum shell_op op, const void *args, uint32_t bytes)
{
	assert(bytes <= sizeof(call->args));
	call->op = op;
	call->args_bytes = bytes;
	memcpy(call->args, args, bytes);
}

int shell_calls(struct shell_device *shell, struct shell_call *calls, uint32_t count)
{
	shell->port->ops->run(shell->port, calls, count);
	for (uint32_t i = 0; i < count; i++)
		if (calls[i].error)
			return calls[i].error;
	return 0;
}

/* ---- operands ---- */

static struct shell_extent extent_of(const struct device_span *span)
{
	if (!span->buffer)
		return (struct shell_extent){0};
	return (struct shell_extent){span->buffer->memory, span->offset, span->bytes};
}

static void add(struct shell_call *call, struct shell_extent extent)
{
	call->operand[call->operands++] = extent;
}

static bool placed(const struct shell_device *shell, const struct device_span *span)
{
	return !span->buffer || span->offset % shell->caps.alignment == 0;
}

/* In a bank operands lie at multiples of what the board can address. */
static bool all_placed(const struct shell_device *shell, const struct device_command *command)
{
	for (uint32_t i = 0; i < DEVICE_INPUTS_MAX; i++)
		if (!placed(shell, &command->in[i]) || !placed(shell, &command->tables[i]))
			return false;
	return placed(shell, &command->out) && placed(shell, &command->checksum);
}

/* ---- products ---- */

static struct shell_requant requant_of(enum op_out out, const struct op_requant *q)
{
	return (struct shell_requant){.out = out,
				      .s_r = shell_bits(q->s_r),
				      .z_r = (uint32_t)q->z_r,
				      .z = (uint32_t)q->z,
				      .lo = (uint32_t)q->lo,
				      .hi = (uint32_t)q->hi};
}

static void stage_scales(struct shell_device *shell, const float *scales, uint32_t channels,
			 struct shell_call *call)
{
	struct shell_extent extent;

	memcpy(shell_stage_take(shell, &shell->in, channels * sizeof(float), &extent), scales,
	       channels * sizeof(float));
	add(call, extent);
}

static int run_product(struct shell_device *shell, const struct device_command *command,
		       struct shell_call *call, uint32_t channels, enum op_out out,
		       const struct op_requant *q)
{
	const struct device_weights *weights = command->weights;
	const struct shell_extent none = {0};
	int err = shell_stage_room(shell, &shell->in, 2 * channels * sizeof(float));

	if (err)
		return err;
	add(call, extent_of(&command->out));
	add(call, extent_of(&command->checksum));
	add(call, extent_of(&command->in[0]));
	/* Accumulators as they are take no residual; the op ignores one that is given. */
	add(call, out == OP_OUT_S32 ? none : extent_of(&command->in[1]));
	add(call, (struct shell_extent){weights->memory, 0, weights->weight_bytes});
	add(call,
	    (struct shell_extent){weights->memory, weights->bias_offset, weights->bias_bytes});
	if (out == OP_OUT_S32) {
		call->operands += 2;
	} else {
		stage_scales(shell, q->s_pos, channels, call);
		stage_scales(shell, q->s_neg, channels, call);
	}
	err = shell_stage_push(shell, &shell->in);
	return err ? err : shell_calls(shell, call, 1);
}

static int run_conv2d(struct shell_device *shell, const struct device_command *command,
		      struct shell_call *call)
{
	const struct op_conv2d *p = &command->conv2d;
	const struct shell_conv2d args = {
		.n = p->n,
		.h = p->h,
		.w = p->w,
		.c = p->c,
		.oc = p->oc,
		.kh = p->kh,
		.kw = p->kw,
		.groups = p->groups,
		.stride_h = p->stride_h,
		.stride_w = p->stride_w,
		.dilation_h = p->dilation_h,
		.dilation_w = p->dilation_w,
		.pad_top = p->pad_top,
		.pad_left = p->pad_left,
		.pad_bottom = p->pad_bottom,
		.pad_right = p->pad_right,
		.z_x = (uint32_t)p->z_x,
		.q = requant_of(p->out, &p->q),
	};

	shell_call_op(call, SHELL_OP_CONV2D, &args, sizeof(args));
	return run_product(shell, command, call, p->oc, p->out, &p->q);
}

static int run_gemm(struct shell_device *shell, const struct device_command *command,
		    struct shell_call *call)
{
	const struct op_gemm *p = &command->gemm;
	const struct shell_gemm args = {
		.m = p->m, .n = p->n, .k = p->k, .q = requant_of(p->out, &p->q)};

	shell_call_op(call, SHELL_OP_GEMM, &args, sizeof(args));
	return run_product(shell, command, call, p->n, p->out, &p->q);
}

/* ---- the smaller ones ---- */

static int run_pool2d(struct shell_device *shell, const struct device_command *command,
		      struct shell_call *call)
{
	const struct op_pool2d *p = &command->pool2d;
	const struct shell_pool2d args = {
		.n = p->n,
		.h = p->h,
		.w = p->w,
		.c = p->c,
		.kh = p->kh,
		.kw = p->kw,
		.stride_h = p->stride_h,
		.stride_w = p->stride_w,
		.pad_top = p->pad_top,
		.pad_left = p->pad_left,
		.pad_bottom = p->pad_bottom,
		.pad_right = p->pad_right,
		.kind = p->kind,
		.divisor = p->divisor,
		.scale = shell_bits(p->scale),
		.z_x = (uint32_t)p->z_x,
		.z = (uint32_t)p->z,
		.lo = (uint32_t)p->lo,
		.hi = (uint32_t)p->hi,
	};

	shell_call_op(call, SHELL_OP_POOL2D, &args, sizeof(args));
	add(call, extent_of(&command->out));
	add(call, extent_of(&command->in[0]));
	return shell_calls(shell, call, 1);
}

static int run_add(struct shell_device *shell, const struct device_command *command,
		   struct shell_call *call)
{
	const struct op_add *p = &command->add;
	const struct shell_add args = {
		.elements = p->count,
		.s_a = shell_bits(p->s_a),
		.s_b = shell_bits(p->s_b),
		.z_a = (uint32_t)p->z_a,
		.z_b = (uint32_t)p->z_b,
		.z = (uint32_t)p->z,
		.lo = (uint32_t)p->lo,
		.hi = (uint32_t)p->hi,
	};

	shell_call_op(call, SHELL_OP_ADD, &args, sizeof(args));
	add(call, extent_of(&command->out));
	add(call, extent_of(&command->in[0]));
	add(call, extent_of(&command->in[1]));
	return shell_calls(shell, call, 1);
}

static int run_table(struct shell_device *shell, const struct device_command *command,
		     struct shell_call *call)
{
	const struct op_table *p = &command->table;
	const struct shell_table args = {
		.pixels = p->pixels, .c = p->c, .per_channel = p->per_channel};

	shell_call_op(call, SHELL_OP_TABLE, &args, sizeof(args));
	add(call, extent_of(&command->out));
	add(call, extent_of(&command->in[0]));
	add(call, extent_of(&command->tables[0]));
	return shell_calls(shell, call, 1);
}

static int run_concat(struct shell_device *shell, const struct device_command *command,
		      struct shell_call *call)
{
	const struct op_concat *p = &command->concat;
	struct shell_concat args = {.pixels = p->pixels, .inputs = p->inputs};

	for (uint32_t i = 0; i < p->inputs; i++)
		args.c[i] = p->c[i];
	shell_call_op(call, SHELL_OP_CONCAT, &args, sizeof(args));
	add(call, extent_of(&command->out));
	for (uint32_t i = 0; i < p->inputs; i++)
		add(call, extent_of(&command->in[i]));
	for (uint32_t i = 0; i < p->inputs; i++)
		add(call, extent_of(&command->tables[i]));
	return shell_calls(shell, call, 1);
}

/* ---- those that move bytes ---- */

static int run_copy(struct shell_device *shell, const struct device_command *command,
		    struct shell_call *call)
{
	const struct shell_copy args = {.row_bytes = command->out.bytes,
					.rows = 1,
					.out_stride = command->out.bytes,
					.in_stride = command->out.bytes};

	shell_call_op(call, SHELL_OP_COPY, &args, sizeof(args));
	add(call, extent_of(&command->out));
	add(call, extent_of(&command->in[0]));
	return shell_calls(shell, call, 1);
}

static int run_echo(struct shell_device *shell, const struct device_command *command,
		    struct shell_call *call)
{
	const struct shell_echo args = {0};

	shell_call_op(call, SHELL_OP_ECHO, &args, sizeof(args));
	add(call, extent_of(&command->out));
	add(call, extent_of(&command->in[0]));
	return shell_calls(shell, call, 1);
}

static int run_upload(struct shell_device *shell, const struct device_command *command,
		      struct shell_call *call)
{
	const struct device_span *out = &command->out;

	(void)call;
	return shell->port->ops->write(shell->port, out->buffer->memory, out->offset, command->host,
				       out->bytes);
}

static int run_download(struct shell_device *shell, const struct device_command *command,
			struct shell_call *call)
{
	const struct device_span *in = &command->in[0];

	(void)call;
	return shell->port->ops->read(shell->port, in->buffer->memory, in->offset, command->host,
				      in->bytes);
}

/* ---- all of them ---- */

int shell_run(struct shell_device *shell, const struct device_batch *batch, uint32_t index)
{
	static int (*const run[DEVICE_OPS])(struct shell_device *, const struct device_command *,
					    struct shell_call *) = {
		[DEVICE_ECHO] = run_echo,     [DEVICE_CONV2D] = run_conv2d,
		[DEVICE_GEMM] = run_gemm,     [DEVICE_POOL2D] = run_pool2d,
		[DEVICE_ADD] = run_add,	      [DEVICE_TABLE] = run_table,
		[DEVICE_CONCAT] = run_concat, [DEVICE_COPY] = run_copy,
		[DEVICE_UPLOAD] = run_upload, [DEVICE_DOWNLOAD] = run_download,
	};
	const struct device_command *command = &batch->commands[index];
	struct shell_call call = {.tag = batch->trace};
	struct device_caps caps;
	int err = command_check(&shell->base, command);

	if (err)
		return err;
	shell_caps(&shell->base, &caps);
	if (!(caps.ops >> command->op & 1))
		return -EINVAL;
	if (command->op == DEVICE_SEARCH)
		return shell_run_search(shell, batch, command);
	if (command->op == DEVICE_LOAD)
		return shell_run_load(shell, command);
	if (command->op == DEVICE_UNLOAD)
		return shell_run_unload(shell, command);
	return all_placed(shell, command) ? run[command->op](shell, command, &call) : -EINVAL;
}

uint64_t shell_op_writes(enum shell_op op)
{
	static const uint64_t written[SHELL_OPS] = {
#define WRITTEN(name, args, fewest, most, mask) mask,
		SHELL_OP_TABLE_OF(WRITTEN)
#undef WRITTEN
	};

	return (uint32_t)op < SHELL_OPS ? written[op] : 0;
}
