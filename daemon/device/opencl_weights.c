/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of one convolution or GEMM, packed in lines as kernels/opencl/product.cl reads them. */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LINE 16u /* channels */

/* Where channel c of the output is among the lines. */
static uint32_t slot_of(const struct device_weights *weights, uint32_t c)
{
	uint32_t per_group = (uint32_t)weights->params.group_out;

	if (weights->depthwise)
		return c;
	return c / per_group * (uint32_t)weights->params.tiles * LINE + c % per_group;
}

static struct cl_product conv2d_params(const struct op_conv2d *p)
{
	return (struct cl_product){.h = (int)p->h,
				   .w = (int)p->w,
				   .c = (int)p->c,
				   .oh = (int)op_conv2d_oh(p),
				   .ow = (int)op_conv2d_ow(p),
				   .oc = (int)p->oc,
				   .groups = (int)p->groups,
				   .group_in = (int)(p->c / p->groups),
				   .group_out = (int)(p->oc / p->groups),
				   .kh = (int)p->kh,
				   .kw = (int)p->kw,
				   .stride_h = (int)p->stride_h,
				   .stride_w = (int)p->stride_w,
				   .dilation_h = (int)p->dilation_h,
				   .dilation_w = (int)p->dilation_w,
				   .pad_top = (int)p->pad_top,
				   .pad_left = (int)p->pad_left};
}

/* The inputs of one output channel, as rows of taps. */
struct source {
	const int8_t *w;
	const int32_t *bias;
	uint32_t channels, taps, inputs; /* inputs: of one tap */
	int8_t padding;
};

static uint64_t packed_bytes(struct device_weights *weights, const struct source *from)
{
	struct cl_product *p = &weights->params;
	uint64_t fours = (from->inputs + 3) / 4, body;

	if (weights->depthwise) {
		p->tiles = (int)((from->channels + LINE - 1) / LINE);
		weights->lines = (uint32_t)p->tiles;
		body = (uint64_t)from->taps * weights->lines * LINE;
		fours = LINE / 4;
	} else {
		p->tiles = (int)(((uint32_t)p->group_out + LINE - 1) / LINE);
		weights->lines = (uint32_t)p->groups * (uint32_t)p->tiles;
		body = (uint64_t)weights->lines * from->taps * fours * LINE * 4;
	}
	p->pad_at = body < INT_MAX ? (int)body : -1;
	return body + fours * 4;
}

/* Of a depthwise convolution: [tap][channel]. */
static void pack_channel(const struct source *from, uint32_t c, uint32_t line, int8_t *to)
{
	for (uint32_t t = 0; t < from->taps; t++)
		to[(size_t)t * line + c] = from->w[(size_t)c * from->taps + t];
}

/* Of the others: [line][tap][four inputs][16 channels][4]. */
static void pack_slot(const struct source *from, uint32_t c, uint32_t slot, int8_t *to)
{
	size_t fours = (from->inputs + 3) / 4;
	const int8_t *w = from->w + (size_t)c * from->taps * from->inputs;

	to += (size_t)(slot / LINE) * from->taps * fours * LINE * 4 + slot % LINE * 4;
	for (uint32_t t = 0; t < from->taps; t++, to += fours * LINE * 4)
		for (uint32_t i = 0; i < from->inputs; i++)
			to[i / 4 * LINE * 4 + i % 4] = *w++;
}

/* The tile kernel raises the inputs by 128. */
static int32_t bias_of(const struct device_weights *weights, const struct source *from, uint32_t c)
{
	size_t k = (size_t)from->taps * from->inputs;
	uint32_t bias = (uint32_t)from->bias[c], sum = 0;

	for (size_t i = 0; i < k; i++)
		sum += (uint32_t)(int32_t)from->w[c * k + i];
	return (int32_t)(weights->product == KERNEL_PRODUCT_TILE ? bias - 128u * sum : bias);
}

static int upload(struct opencl *cl, const void *data, uint64_t bytes, uint64_t *charged,
		  cl_mem *memory)
{
	uint64_t limit = opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u;
	int err = opencl_memory(cl, CL_MEM_READ_ONLY, bytes, NULL, memory, charged);

	return err ? err : opencl_put(cl, cl->session->io, *memory, 0, data, bytes, limit);
}

static int fill(struct opencl *cl, struct device_weights *weights, const struct source *from,
		int8_t *packed, uint64_t bytes, int32_t *bias)
{
	uint64_t slots = (uint64_t)weights->lines * LINE;
	int err;

	for (uint32_t c = 0; c < from->channels; c++) {
		uint32_t slot = slot_of(weights, c);

		if (weights->depthwise)
			pack_channel(from, c, (uint32_t)slots, packed);
		else
			pack_slot(from, c, slot, packed);
		bias[slot] = bias_of(weights, from, c);
	}
	memset(packed + weights->params.pad_at, from->padding,
	       bytes - (uint64_t)weights->params.pad_at);
	err = upload(cl, packed, bytes, &weights->charged, &weights->packed);
	if (!err)
		err = upload(cl, bias, slots * 4, &weights->charged, &weights->bias);
	if (!err)
		err = upload(cl, weights->shadow, slots * 8, &weights->charged, &weights->scales);
	return err;
}

static int pack(struct opencl *cl, struct device_weights *weights, const struct source *from)
{
	uint64_t bytes = packed_bytes(weights, from), slots = (uint64_t)weights->lines * LINE;
	int32_t *bias = NULL;
	int8_t *packed = NULL;
	int err = -ENOMEM;

	/* Packing makes a copy here first, so it is bounded before. */
	if (weights->params.pad_at < 0 || bytes > cl->buffer_max ||
	    bytes > cl->memory_max - atomic_load(&cl->memory))
		return -ENOMEM;
	packed = calloc(1, bytes);
	bias = calloc(slots, sizeof(*bias));
	weights->shadow = calloc(2 * slots, sizeof(*weights->shadow));
	if (packed && bias && weights->shadow)
		err = fill(cl, weights, from, packed, bytes, bias);
	free(packed);
	free(bias);
	return err;
}

static int make(struct opencl *cl, struct device_weights *made, const struct source *from,
		struct device_weights **weights)
{
	int err = op_weights_check(from->w, from->bias, from->channels, from->taps * from->inputs);

	made->base.device = &cl->base;
	made->product = made->depthwise ? KERNEL_DEPTHWISE : cl->variant->product;
	pthread_rwlock_rdlock(&cl->use);
	made->generation = cl->generation;
	if (!err)
		err = pack(cl, made, from);
	pthread_rwlock_unlock(&cl->use);
	if (err)
		opencl_weights_free(made);
	else
		*weights = made;
	return err;
}

int opencl_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
			  const int32_t *bias, struct device_weights **weights)
{
	int err = op_conv2d_check(op);
	struct device_weights *made;
	struct source from;

	if (err)
		return err;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->base.op = DEVICE_CONV2D;
	made->base.conv2d = *op;
	made->params = conv2d_params(op);
	made->depthwise = op->groups == op->c && op->oc == op->c;
	from = (struct source){
		w, bias, op->oc, op->kh * op->kw, op->c / op->groups, (int8_t)op->z_x};
	return make(opencl_of(device), made, &from, weights);
}

int opencl_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
			const int32_t *bias, struct device_weights **weights)
{
	const struct source from = {b, bias, op->n, 1, op->k, 0};
	int err = op_gemm_check(op);
	struct device_weights *made;

	if (err)
		return err;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->base.op = DEVICE_GEMM;
	made->base.gemm = *op;
	made->params = (struct cl_product){.h = 1,
					   .c = (int)op->k,
					   .oh = 1,
					   .oc = (int)op->n,
					   .groups = 1,
					   .group_in = (int)op->k,
					   .group_out = (int)op->n,
					   .kh = 1,
					   .kw = 1,
					   .stride_h = 1,
					   .stride_w = 1,
					   .dilation_h = 1,
					   .dilation_w = 1};
	return make(opencl_of(device), made, &from, weights);
}

void opencl_weights_free(struct device_weights *weights)
{
	struct opencl *cl;
	cl_mem memory[3];

	if (!weights)
		return;
	cl = opencl_of(weights->base.device);
	memory[0] = weights->packed;
	memory[1] = weights->bias;
	memory[2] = weights->scales;
	pthread_rwlock_rdlock(&cl->use);
	for (int i = 0; i < 3; i++)
		if (memory[i] && !atomic_load(&cl->lost) && weights->generation == cl->generation)
			clReleaseMemObject(memory[i]);
	pthread_rwlock_unlock(&cl->use);
	opencl_uncharge(cl, weights->charged);
	free(weights->shadow);
	free(weights);
}

/* A command may come with other scales than the one before: they are sent when they differ. */
int opencl_weights_scales(struct opencl *cl, struct device_weights *weights,
			  const struct op_requant *q, enum op_out out)
{
	bool same = true;

	if (out == OP_OUT_S32)
		return 0;
	for (uint32_t c = 0; c < (uint32_t)weights->params.oc; c++) {
		uint32_t slot = slot_of(weights, c);
		float *pos = weights->shadow + slot / LINE * 2 * LINE + slot % LINE;

		if (!memcmp(pos, &q->s_pos[c], 4) && !memcmp(pos + LINE, &q->s_neg[c], 4))
			continue;
		pos[0] = q->s_pos[c];
		pos[LINE] = q->s_neg[c];
		same = false;
	}
	if (same)
		return 0;
	return opencl_put(cl, cl->session->queue, weights->scales, 0, weights->shadow,
			  (uint64_t)weights->lines * 2 * LINE * sizeof(float), cl->deadline);
}
