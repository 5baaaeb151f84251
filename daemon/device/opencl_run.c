/* SPDX-License-Identifier: Apache-2.0 */
/* One command, on the worker: checked as on every device, then enqueued. */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <string.h>

#define A OPENCL_ARGUMENT

static const struct device_buffer *buffer_of(const struct device_span *span)
{
	return span->buffer;
}

/* Kernels read bytes and offsets; an absent operand is some other one that is not read. */
static cl_mem memory_of(const struct device_span *span, const struct device_span *otherwise)
{
	return buffer_of(span->buffer ? span : otherwise)->memory;
}

/* ---- conv2d and gemm ---- */

static struct cl_requant requant_of(const struct device_command *command,
				    const struct op_requant *q, enum op_out out)
{
	return (struct cl_requant){.s_r = q->s_r,
				   .z_r = q->z_r,
				   .z = q->z,
				   .lo = q->lo,
				   .hi = q->hi,
				   .out = (int)out,
				   .residual = command->in[1].buffer != NULL,
				   .checksum = command->checksum.buffer != NULL};
}

static int clear_checksum(struct opencl *cl, const struct device_command *command)
{
	const struct device_span *sum = &command->checksum;

	if (!sum->buffer)
		return 0;
	return opencl_fill(cl, cl->session->queue, buffer_of(sum)->memory, sum->offset, sum->bytes,
			   0);
}

static int run_product(struct opencl *cl, const struct device_command *command, struct cl_product p)
{
	struct device_weights *w = (struct device_weights *)(uintptr_t)command->weights;
	const struct device_span *x = &command->in[0], *r = &command->in[1], *y = &command->out;
	cl_mem residual = memory_of(r, x), sum = memory_of(&command->checksum, y);
	cl_ulong sum_at = command->checksum.buffer ? command->checksum.offset : 0;
	cl_ulong residual_at = r->buffer ? r->offset : 0;
	uint64_t wide = w->depthwise ? (uint64_t)p.pixels : ((uint64_t)p.pixels + 3) / 4;
	int err = clear_checksum(cl, command);

	if (err)
		return err;
	return OPENCL_LAUNCH(cl, w->product, wide, w->lines, A(p), A(buffer_of(x)->memory),
			     A(x->offset), A(w->packed), A(w->bias), A(w->scales), A(residual),
			     A(residual_at), A(buffer_of(y)->memory), A(y->offset), A(sum),
			     A(sum_at) OPENCL_FLIP_ARGUMENTS(cl));
}

static int run_conv2d(struct opencl *cl, const struct device_command *command)
{
	const struct op_conv2d *op = &command->conv2d;
	struct cl_product p = command->weights->params;
	int err = opencl_weights_scales(cl, (struct device_weights *)(uintptr_t)command->weights,
					&op->q, op->out);

	p.pixels = (int)op->n * p.oh * p.ow;
	p.q = requant_of(command, &op->q, op->out);
	return err ? err : run_product(cl, command, p);
}

static int run_gemm(struct opencl *cl, const struct device_command *command)
{
	const struct op_gemm *op = &command->gemm;
	struct cl_product p = command->weights->params;
	int err = opencl_weights_scales(cl, (struct device_weights *)(uintptr_t)command->weights,
					&op->q, op->out);

	p.w = p.ow = p.pixels = (int)op->m;
	p.q = requant_of(command, &op->q, op->out);
	return err ? err : run_product(cl, command, p);
}

/* ---- the smaller ones ---- */

/* The division is done here: OpenCL's need not be the rounded one. */
static int pool_scales(struct opencl *cl, const struct op_pool2d *op, cl_mem *memory)
{
	static float scales[OP_K_MAX + 1]; /* of the one worker; the self-test comes before it */
	uint32_t count = op->divisor ? 1 : op->kh * op->kw + 1;

	for (uint32_t i = 0; i < count; i++)
		scales[i] = op->divisor ? op->scale / (float)op->divisor
					: (i ? op->scale / (float)i : 0.0f);
	return opencl_temporary(cl, scales, count * sizeof(float), memory);
}

static int run_pool2d(struct opencl *cl, const struct device_command *command)
{
	const struct op_pool2d *op = &command->pool2d;
	const struct device_span *x = &command->in[0], *y = &command->out;
	struct cl_pool p = {.h = (int)op->h,
			    .w = (int)op->w,
			    .c = (int)op->c,
			    .oh = (int)op_pool2d_oh(op),
			    .ow = (int)op_pool2d_ow(op),
			    .kh = (int)op->kh,
			    .kw = (int)op->kw,
			    .stride_h = (int)op->stride_h,
			    .stride_w = (int)op->stride_w,
			    .pad_top = (int)op->pad_top,
			    .pad_left = (int)op->pad_left,
			    .average = op->kind == OP_POOL_AVG,
			    .divisor = op->divisor != 0,
			    .z_x = op->z_x,
			    .z = op->z,
			    .lo = op->lo,
			    .hi = op->hi};
	cl_mem scales;
	int err;

	p.pixels = (int)op->n * p.oh * p.ow;
	err = pool_scales(cl, op, &scales);
	if (err)
		return err;
	return OPENCL_LAUNCH(cl, KERNEL_POOL2D, (uint64_t)p.pixels, (op->c + 15) / 16, A(p),
			     A(buffer_of(x)->memory), A(x->offset), A(buffer_of(y)->memory),
			     A(y->offset), A(scales));
}

static int run_add(struct opencl *cl, const struct device_command *command)
{
	const struct op_add *op = &command->add;
	const struct device_span *a = &command->in[0], *b = &command->in[1], *y = &command->out;
	const struct cl_add p = {op->s_a, op->s_b, op->z_a, op->z_b, op->z, op->lo, op->hi};

	return OPENCL_LAUNCH(cl, KERNEL_ADD, (op->count + 15) / 16, 1, A(p),
			     A(buffer_of(a)->memory), A(a->offset), A(buffer_of(b)->memory),
			     A(b->offset), A(buffer_of(y)->memory), A(y->offset), A(op->count));
}

static int run_dequantize(struct opencl *cl, const struct device_command *command)
{
	const struct op_dequantize *op = &command->dequantize;
	const struct device_span *x = &command->in[0], *y = &command->out;

	return OPENCL_LAUNCH(cl, KERNEL_DEQUANTIZE, (op->count + 15) / 16, 1,
			     A(buffer_of(x)->memory), A(x->offset), A(buffer_of(y)->memory),
			     A(y->offset), A(op->count), A(op->scale), A(op->z));
}

static int launch_table(struct opencl *cl, const struct device_span *x,
			const struct device_span *table, uint32_t per_channel, uint64_t pixels,
			uint32_t c, const struct device_span *y, uint32_t first, uint32_t all)
{
	uint64_t count = pixels * c;

	return OPENCL_LAUNCH(cl, KERNEL_TABLE, count, 1, A(buffer_of(x)->memory), A(x->offset),
			     A(buffer_of(table)->memory), A(table->offset), A(per_channel), A(c),
			     A(buffer_of(y)->memory), A(y->offset), A(first), A(all), A(count));
}

static int run_table(struct opencl *cl, const struct device_command *command)
{
	const struct op_table *op = &command->table;

	return launch_table(cl, &command->in[0], &command->tables[0], op->per_channel, op->pixels,
			    op->c, &command->out, 0, op->c);
}

/* Blocks of so many bytes, side by side in x, `pitch` bytes apart in y. Not the driver's own copy of
 * rectangles: that must not have both in one buffer. */
static int copy_blocks(struct opencl *cl, const struct device_span *x, uint64_t rows,
		       uint64_t bytes, const struct device_span *y, uint64_t first, uint64_t pitch)
{
	cl_ulong to = y->offset + first;

	return OPENCL_LAUNCH(cl, KERNEL_BLOCKS, rows, (bytes + 15) / 16, A(buffer_of(x)->memory),
			     A(x->offset), A(buffer_of(y)->memory), A(to), A(rows), A(bytes),
			     A(pitch));
}

static int run_concat(struct opencl *cl, const struct device_command *command)
{
	const struct op_concat *op = &command->concat;
	uint32_t all = (uint32_t)(command->out.bytes / op->pixels), first = 0;
	int err = 0;

	for (uint32_t i = 0; i < op->inputs && !err; i++) {
		const struct device_span *table = &command->tables[i];

		err = table->buffer ? launch_table(cl, &command->in[i], table, 0, op->pixels,
						   op->c[i], &command->out, first, all)
				    : copy_blocks(cl, &command->in[i], op->pixels, op->c[i],
						  &command->out, first, all);
		first += op->c[i];
	}
	return err;
}

/* ---- those that move bytes ---- */

static int run_copy(struct opencl *cl, const struct device_command *command)
{
	const struct device_span *x = &command->in[0], *y = &command->out;
	cl_int error =
		clEnqueueCopyBuffer(cl->session->queue, buffer_of(x)->memory, buffer_of(y)->memory,
				    x->offset, y->offset, y->bytes, 0, NULL, NULL);

	cl->session->enqueued++;
	return opencl_errno(error);
}

static int run_echo(struct opencl *cl, const struct device_command *command)
{
	return command->out.buffer ? run_copy(cl, command) : 0;
}

static int run_join(struct opencl *cl, const struct device_command *command)
{
	const struct device_join *op = &command->join;
	uint64_t pitch = command->out.bytes / op->outer, first = 0;
	int err = 0;

	for (uint32_t i = 0; i < op->inputs && !err; i++) {
		uint64_t bytes = op->inner[i] * op->element_bytes;

		err = copy_blocks(cl, &command->in[i], op->outer, bytes, &command->out, first,
				  pitch);
		first += bytes;
	}
	return err;
}

static int run_strided(struct opencl *cl, const struct device_command *command)
{
	const struct device_strided *op = &command->strided;
	const struct device_span *x = &command->in[0], *y = &command->out;
	cl_ulong from = x->offset + op->offset * op->element_bytes;
	cl_ulong count = y->bytes / op->element_bytes;
	cl_uint8 extent = {{0}};
	cl_long8 stride = {{0}};

	for (uint32_t d = 0; d < op->rank; d++) {
		extent.s[d] = op->extent[d];
		stride.s[d] = op->stride[d];
	}
	return OPENCL_LAUNCH(cl, KERNEL_STRIDED, count, 1, A(buffer_of(x)->memory), A(from),
			     A(buffer_of(y)->memory), A(y->offset), A(op->element_bytes),
			     A(op->rank), A(extent), A(stride), A(count));
}

static int run_upload(struct opencl *cl, const struct device_command *command)
{
	const struct device_span *y = &command->out;

	return opencl_put(cl, cl->session->queue, buffer_of(y)->memory, y->offset, command->host,
			  y->bytes, cl->deadline);
}

static int run_download(struct opencl *cl, const struct device_command *command)
{
	const struct device_span *x = &command->in[0];

	return opencl_get(cl, cl->session->queue, buffer_of(x)->memory, x->offset, command->host,
			  x->bytes, cl->deadline);
}

/* ---- all of them ---- */

#define NO_KERNEL OPENCL_KERNELS
static const struct {
	int (*run)(struct opencl *cl, const struct device_command *command);
	enum opencl_kernel needs;
} ops[DEVICE_OPS] = {
	[DEVICE_ECHO] = {run_echo, NO_KERNEL},
	[DEVICE_CONV2D] = {run_conv2d, KERNEL_DEPTHWISE},
	[DEVICE_GEMM] = {run_gemm, KERNEL_PRODUCT},
	[DEVICE_POOL2D] = {run_pool2d, KERNEL_POOL2D},
	[DEVICE_ADD] = {run_add, KERNEL_ADD},
	[DEVICE_TABLE] = {run_table, KERNEL_TABLE},
	[DEVICE_CONCAT] = {run_concat, KERNEL_TABLE},
	[DEVICE_DEQUANTIZE] = {run_dequantize, KERNEL_DEQUANTIZE},
	[DEVICE_STRIDED] = {run_strided, KERNEL_STRIDED},
	[DEVICE_JOIN] = {run_join, KERNEL_BLOCKS},
	[DEVICE_COPY] = {run_copy, NO_KERNEL},
	[DEVICE_UPLOAD] = {run_upload, NO_KERNEL},
	[DEVICE_DOWNLOAD] = {run_download, NO_KERNEL},
	[DEVICE_LOAD] = {opencl_run_load, KERNEL_SELECT},
	[DEVICE_UNLOAD] = {opencl_run_unload, KERNEL_SELECT},
};

static bool has(const struct opencl *cl, enum opencl_kernel kernel)
{
	return kernel == NO_KERNEL || cl->session->kernel[kernel];
}

static bool can(const struct opencl *cl, enum device_op op)
{
	const struct opencl_variant *v = cl->variant;

	if (op == DEVICE_SEARCH)
		return has(cl, KERNEL_SELECT) && has(cl, v->block[0].kernel);
	if (!ops[op].run || !has(cl, ops[op].needs))
		return false;
	if (op == DEVICE_CONV2D || op == DEVICE_GEMM)
		return has(cl, v->product);
	return true;
}

uint64_t opencl_ops(const struct opencl *cl)
{
	uint64_t bits = 0;

	for (int op = 0; op < DEVICE_OPS; op++)
		if (can(cl, (enum device_op)op))
			bits |= UINT64_C(1) << op;
	return bits;
}

/* What was made before a reset is not there any more. */
static bool is_here(const struct opencl *cl, const struct device_span *span)
{
	return !span->buffer || span->buffer->generation == cl->generation;
}

static bool all_here(const struct opencl *cl, const struct device_command *command)
{
	bool product = command->op == DEVICE_CONV2D || command->op == DEVICE_GEMM;

	for (int i = 0; i < DEVICE_INPUTS_MAX; i++)
		if (!is_here(cl, &command->in[i]) || !is_here(cl, &command->tables[i]))
			return false;
	return is_here(cl, &command->out) && is_here(cl, &command->checksum) &&
	       (!product || command->weights->generation == cl->generation);
}

int opencl_run(struct opencl *cl, const struct device_batch *batch,
	       const struct device_command *command)
{
	if (command_check(&cl->base, command) || !can(cl, command->op))
		return -EINVAL;
	if (!all_here(cl, command))
		return -ESTALE;
	if (command->op == DEVICE_SEARCH)
		return opencl_run_search(cl, batch, command);
	return ops[command->op].run(cl, command);
}

#ifdef FACET_FLIP
void opencl_flip(struct device *device, uint32_t pixel, uint32_t channel, uint32_t mask)
{
	struct opencl *cl = opencl_of(device);

	cl->flip.pixel = pixel;
	cl->flip.channel = channel;
	cl->flip.mask = mask;
}
#endif
