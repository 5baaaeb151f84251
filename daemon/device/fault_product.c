/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conv2d or gemm by way of its accumulators: the inner device sums the products, a bit of a sum is
 * flipped, and the checksum, the requantisation and the residual come after that, as in a board
 * whose MAC array fails. Also the checksums of devices that have none of their own.
 */
#include "daemon/device/fault_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/requant.h"

struct product {
	struct fault *fault;
	const struct device_command *command;
	const struct op_requant *q;
	enum op_out out;
	uint64_t rows;
	uint32_t channels;
	int32_t *acc;
	int8_t *residual;
	uint8_t *y;
	uint32_t *chk;
};

/* Shape and requantisation; the command is checked as the inner device would. */
static int product_shape(struct product *p)
{
	const struct device_command *c = p->command;

	if (c->op == DEVICE_GEMM) {
		p->q = &c->gemm.q;
		p->out = c->gemm.out;
		p->rows = c->gemm.m;
		p->channels = c->gemm.n;
		return op_gemm_check(&c->gemm);
	}
	p->q = &c->conv2d.q;
	p->out = c->conv2d.out;
	p->channels = c->conv2d.oc;
	if (op_conv2d_check(&c->conv2d))
		return -EINVAL;
	p->rows = (uint64_t)c->conv2d.n * op_conv2d_oh(&c->conv2d) * op_conv2d_ow(&c->conv2d);
	return 0;
}

static uint32_t out_bytes(const struct product *p)
{
	return p->out == OP_OUT_S8 ? 1 : 4;
}

static bool apart(const struct device_span *a, const struct device_span *b)
{
	return a->buffer != b->buffer || a->offset + a->bytes <= b->offset ||
	       b->offset + b->bytes <= a->offset;
}

/* What the inner device will not see of the command as it is. */
static bool spans_fit(const struct product *p)
{
	const struct device_command *c = p->command;
	uint64_t n = p->rows * p->channels;

	return c->out.buffer && c->out.bytes == n * out_bytes(p) &&
	       c->out.offset % out_bytes(p) == 0 && apart(&c->out, &c->in[0]) &&
	       (!c->in[1].buffer || (c->in[1].bytes == n && apart(&c->out, &c->in[1]))) &&
	       (!c->checksum.buffer ||
		(c->checksum.bytes == p->rows * 4 && c->checksum.offset % 4 == 0));
}

/* The inner device's sums, into p->acc. */
static int product_sums(struct product *p)
{
	struct fault *fault = p->fault;
	struct device *inner = fault->inner;
	uint64_t bytes = p->rows * p->channels * 4;
	struct device_command command;
	struct device_buffer *sums = NULL;
	int err = fault_translate(fault, p->command, &command);

	if (err)
		return err;
	err = inner->ops->buffer_create(inner, bytes, &sums);
	if (err)
		return err;
	*(command.op == DEVICE_GEMM ? &command.gemm.out : &command.conv2d.out) = OP_OUT_S32;
	command.weights = p->command->weights->sums;
	command.in[1] = command.checksum = (struct device_span){0};
	command.out = (struct device_span){sums, 0, bytes};
	err = fault_inner(fault, &command);
	if (!err)
		err = inner->ops->buffer_read(sums, 0, p->acc, bytes);
	inner->ops->buffer_free(sums);
	return err;
}

static int product_read_residual(struct product *p)
{
	const struct device_span *span = &p->command->in[1];

	if (!span->buffer)
		return 0;
	p->residual = malloc(span->bytes);
	if (!p->residual)
		return -ENOMEM;
	return fault_buffer_read(span->buffer, span->offset, p->residual, span->bytes);
}

static void product_requantise(struct product *p)
{
	for (uint64_t m = 0; m < p->rows; m++) {
		uint32_t sum = 0;

		for (uint32_t c = 0; c < p->channels; c++) {
			uint64_t i = m * p->channels + c;

			sum += (uint32_t)p->acc[i];
			requant_store(p->q, p->out, c, p->acc[i], p->residual, p->y, i);
		}
		p->chk[m] = sum;
	}
}

static int product_write(struct product *p)
{
	const struct device_command *c = p->command;
	const struct device_ops *ops = p->fault->inner->ops;
	int err = ops->buffer_write(c->out.buffer->inner, c->out.offset, p->y, c->out.bytes);

	if (!err && c->checksum.buffer)
		err = ops->buffer_write(c->checksum.buffer->inner, c->checksum.offset, p->chk,
					c->checksum.bytes);
	return err;
}

int fault_product(struct fault *fault, const struct device_command *command,
		  struct fault_rule *flip)
{
	struct product p = {.fault = fault, .command = command};
	uint64_t n;
	int err;

	if (!command->weights || command->weights->device != &fault->base || product_shape(&p) ||
	    !spans_fit(&p))
		return -EINVAL;
	n = p.rows * p.channels;
	p.acc = malloc(n * 4);
	p.y = malloc(n * out_bytes(&p));
	p.chk = malloc(p.rows * 4);
	err = p.acc && p.y && p.chk ? product_read_residual(&p) : -ENOMEM;
	if (!err)
		err = product_sums(&p);
	if (!err && flip)
		fault_flip(fault, flip, p.acc, n * 4);
	if (!err) {
		product_requantise(&p);
		err = product_write(&p);
	}
	free(p.acc);
	free(p.y);
	free(p.chk);
	free(p.residual);
	return err;
}
