/* SPDX-License-Identifier: Apache-2.0 */
/* One command of the fault device: translated for the inner one, with its flips. */
#include "daemon/device/fault_internal.h"

#include <errno.h>
#include <string.h>

static bool is_product(enum device_op op)
{
	return op == DEVICE_CONV2D || op == DEVICE_GEMM;
}

/* ---- translation ---- */

static int translate_span(struct fault *fault, struct device_span *span)
{
	if (!span->buffer)
		return 0;
	if (span->buffer->device != &fault->base)
		return -EINVAL;
	span->buffer = span->buffer->inner;
	return 0;
}

int fault_translate(struct fault *fault, const struct device_command *command,
		    struct device_command *inner)
{
	int err;

	*inner = *command;
	err = translate_span(fault, &inner->out);
	if (!err)
		err = translate_span(fault, &inner->checksum);
	for (int i = 0; !err && i < DEVICE_INPUTS_MAX; i++) {
		err = translate_span(fault, &inner->in[i]);
		if (!err)
			err = translate_span(fault, &inner->tables[i]);
	}
	if (err || !is_product(command->op) || !command->weights)
		return err;
	if (command->weights->device != &fault->base)
		return -EINVAL;
	inner->weights = command->weights->inner;
	return 0;
}

/* ---- imported memory ---- */

static int stage_in_span(struct fault *fault, const struct device_span *span)
{
	struct device_buffer *b = span->buffer;

	if (!b || b->device != &fault->base || !b->host || span->offset > b->bytes ||
	    span->bytes > b->bytes - span->offset)
		return 0; /* the command itself is refused for what is wrong with it */
	return fault->inner->ops->buffer_write(b->inner, span->offset, b->host + span->offset,
					       span->bytes);
}

int fault_stage_in(struct fault *fault, const struct device_batch *batch)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < batch->count; i++) {
		const struct device_command *c = &batch->commands[i];

		for (int k = 0; !err && k < DEVICE_INPUTS_MAX; k++) {
			err = stage_in_span(fault, &c->in[k]);
			if (!err)
				err = stage_in_span(fault, &c->tables[k]);
		}
	}
	return err;
}

static int stage_out_span(struct fault *fault, const struct device_span *span)
{
	struct device_buffer *b = span->buffer;

	if (!b || b->device != &fault->base || !b->host)
		return 0;
	return fault->inner->ops->buffer_read(b->inner, span->offset, b->host + span->offset,
					      span->bytes);
}

int fault_stage_out(struct fault *fault, const struct device_batch *batch, uint32_t count)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < count; i++) {
		err = stage_out_span(fault, &batch->commands[i].out);
		if (!err)
			err = stage_out_span(fault, &batch->commands[i].checksum);
	}
	return err;
}

/* ---- flips in buffers ---- */

/* One bit at a time: read the byte, flip it, write it back. */
static int flip_span(struct fault *fault, struct fault_rule *rule, const struct device_span *span)
{
	const struct device_ops *ops = fault->inner->ops;
	struct device_buffer *inner = span->buffer->inner;
	int err = 0;

	for (uint32_t i = 0; !err && i < rule->bits; i++) {
		uint64_t bit = fault_random(rule) % (span->bytes * 8);
		uint64_t at = span->offset + bit / 8;
		uint8_t byte;

		err = ops->buffer_read(inner, at, &byte, 1);
		byte ^= (uint8_t)(1u << bit % 8);
		if (!err)
			err = ops->buffer_write(inner, at, &byte, 1);
	}
	if (!err)
		fault_count(fault, rule);
	return err;
}

static bool flippable(const struct fault *fault, const struct device_span *span)
{
	return span->buffer && span->buffer->device == &fault->base && span->bytes &&
	       span->offset <= span->buffer->bytes &&
	       span->bytes <= span->buffer->bytes - span->offset;
}

static int flip_inputs(struct fault *fault, struct fault_rule *rule,
		       const struct device_command *command)
{
	const struct device_span *span[2 * DEVICE_INPUTS_MAX];
	uint32_t n = 0;

	for (int i = 0; i < DEVICE_INPUTS_MAX; i++) {
		if (flippable(fault, &command->in[i]))
			span[n++] = &command->in[i];
		if (flippable(fault, &command->tables[i]))
			span[n++] = &command->tables[i];
	}
	return n ? flip_span(fault, rule, span[fault_random(rule) % n]) : 0;
}

static int flip_output(struct fault *fault, struct fault_rule *rule,
		       const struct device_command *command)
{
	if (command->op == DEVICE_DOWNLOAD) {
		fault_flip(fault, rule, command->host, command->in[0].bytes);
		return 0;
	}
	return flippable(fault, &command->out) ? flip_span(fault, rule, &command->out) : 0;
}

/* ---- a command ---- */

static int run_plain(struct fault *fault, const struct device_command *command)
{
	struct device_command inner;
	int err = fault_translate(fault, command, &inner);

	return err ? err : fault_inner(fault, &inner);
}

static bool needs_sums(const struct fault *fault, const struct device_command *command,
		       const struct fault_strikes *strikes)
{
	return is_product(command->op) && (strikes->rule[FAULT_FLIP_ACC] ||
					   (command->checksum.buffer && !fault->inner_checksums));
}

int fault_run(struct fault *fault, const struct device_command *command,
	      const struct fault_strikes *strikes)
{
	int err = 0;

	if (command->op == DEVICE_SEARCH)
		return fault_search(fault, command, strikes);
	if (command->op == DEVICE_LOAD)
		return fault_load(fault, command);
	if (command->op == DEVICE_UNLOAD)
		return fault_unload(fault, command);
	if (strikes->rule[FAULT_FLIP_IN])
		err = flip_inputs(fault, strikes->rule[FAULT_FLIP_IN], command);
	if (err)
		return err;
	if (needs_sums(fault, command, strikes))
		err = fault_product(fault, command, strikes->rule[FAULT_FLIP_ACC]);
	else
		err = run_plain(fault, command);
	if (!err && strikes->rule[FAULT_FLIP_OUT])
		err = flip_output(fault, strikes->rule[FAULT_FLIP_OUT], command);
	return err;
}
