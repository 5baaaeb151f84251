/* SPDX-License-Identifier: Apache-2.0 */
/* Board memory: buffers, weights, and what a command brings along. */
#include "daemon/device/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory that counts ---- */

int shell_memory_take(struct shell_device *shell, uint64_t bytes, struct shell_memory **memory)
{
	uint64_t before = atomic_fetch_add(&shell->memory, bytes);
	int err = -ENOMEM;

	if (before <= shell->memory_max && bytes <= shell->memory_max - before)
		err = shell->port->ops->memory_create(shell->port, SHELL_PLACE_BOARD, bytes,
						      memory);
	if (err)
		atomic_fetch_sub(&shell->memory, bytes);
	return err == -ENOSPC ? -ENOMEM : err;
}

void shell_memory_give(struct shell_device *shell, struct shell_memory *memory)
{
	if (!memory)
		return;
	atomic_fetch_sub(&shell->memory, memory->bytes);
	shell->port->ops->memory_free(shell->port, memory);
}

/* ---- buffers ---- */

int shell_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer)
{
	struct device_buffer *b;
	int err;

	if (bytes == 0 || bytes > COMMAND_BUFFER_MAX)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->base.device = device;
	b->base.bytes = bytes;
	err = shell_memory_take(shell_of(device), bytes, &b->memory);
	if (err)
		free(b);
	else
		*buffer = b;
	return err;
}

/* A board works on memory of its own. */
int shell_buffer_import(struct device *device, void *memory, uint64_t bytes,
			struct device_buffer **buffer)
{
	(void)device;
	(void)memory;
	(void)bytes;
	(void)buffer;
	return -EOPNOTSUPP;
}

void *shell_buffer_map(struct device_buffer *buffer)
{
	(void)buffer;
	return NULL;
}

int shell_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
		       uint64_t bytes)
{
	struct shell_port *port = shell_of(buffer->base.device)->port;

	if (!command_inside(&buffer->base, offset, bytes))
		return -EINVAL;
	return bytes ? port->ops->write(port, buffer->memory, offset, data, bytes) : 0;
}

int shell_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes)
{
	struct shell_port *port = shell_of(buffer->base.device)->port;

	if (!command_inside(&buffer->base, offset, bytes))
		return -EINVAL;
	return bytes ? port->ops->read(port, buffer->memory, offset, data, bytes) : 0;
}

void shell_buffer_free(struct device_buffer *buffer)
{
	if (!buffer)
		return;
	shell_memory_give(shell_of(buffer->base.device), buffer->memory);
	free(buffer);
}

/* ---- weights: in the order of kernels/ops.h, the board packs them as it likes ---- */

static uint64_t aligned(const struct shell_device *shell, uint64_t bytes)
{
	uint64_t align = shell->caps.alignment;

	return (bytes + align - 1) & ~(align - 1);
}

static int weights_write(struct device_weights *weights, const int8_t *w, const int32_t *bias)
{
	struct shell_port *port = shell_of(weights->base.device)->port;
	int err = port->ops->write(port, weights->memory, 0, w, weights->weight_bytes);

	if (!err)
		err = port->ops->write(port, weights->memory, weights->bias_offset, bias,
				       weights->bias_bytes);
	return err;
}

static int weights_new(struct device *device, uint32_t rows, uint32_t k, const int8_t *w,
		       const int32_t *bias, struct device_weights *made)
{
	struct shell_device *shell = shell_of(device);
	int err = op_weights_check(w, bias, rows, k);

	if (err)
		return err;
	made->base.device = device;
	made->weight_bytes = (uint64_t)rows * k;
	made->bias_offset = aligned(shell, made->weight_bytes);
	made->bias_bytes = (uint64_t)rows * sizeof(int32_t);
	err = shell_memory_take(shell, made->bias_offset + made->bias_bytes, &made->memory);
	if (!err)
		err = weights_write(made, w, bias);
	return err;
}

static int weights_keep(struct device_weights *made, int err, struct device_weights **weights)
{
	if (err)
		shell_weights_free(made);
	else
		*weights = made;
	return err;
}

int shell_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
			 const int32_t *bias, struct device_weights **weights)
{
	struct device_weights *made;
	int err = op_conv2d_check(op);

	if (err)
		return err;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->base.device = device;
	made->base.op = DEVICE_CONV2D;
	made->base.conv2d = *op;
	err = weights_new(device, op->oc, op->kh * op->kw * (op->c / op->groups), w, bias, made);
	return weights_keep(made, err, weights);
}

int shell_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
		       const int32_t *bias, struct device_weights **weights)
{
	struct device_weights *made;
	int err = op_gemm_check(op);

	if (err)
		return err;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->base.device = device;
	made->base.op = DEVICE_GEMM;
	made->base.gemm = *op;
	err = weights_new(device, op->n, op->k, b, bias, made);
	return weights_keep(made, err, weights);
}

void shell_weights_free(struct device_weights *weights)
{
	if (!weights)
		return;
	shell_memory_give(shell_of(weights->base.device), weights->memory);
	free(weights);
}

/* ---- what a command brings along ---- */

static enum shell_place stage_place(const struct shell_device *shell)
{
	return shell->caps.host_data ? SHELL_PLACE_HOST : SHELL_PLACE_BOARD;
}

static int stage_grow(struct shell_device *shell, struct shell_stage *stage, uint64_t bytes)
{
	struct shell_port *port = shell->port;
	int err;

	shell_stage_free(shell, stage);
	err = port->ops->memory_create(port, stage_place(shell), bytes, &stage->memory);
	if (err)
		return err == -ENOSPC ? -ENOMEM : err;
	stage->bytes = bytes;
	stage->mapped = shell->caps.host_data;
	stage->data = stage->mapped ? stage->memory->map : malloc(bytes);
	if (!stage->data) {
		shell_stage_free(shell, stage);
		return -ENOMEM;
	}
	return 0;
}

#define STAGE_PIECES 16u /* that may be cut from one room */

int shell_stage_room(struct shell_device *shell, struct shell_stage *stage, uint64_t bytes)
{
	bytes += (uint64_t)STAGE_PIECES * shell->caps.alignment;
	stage->used = 0;
	return bytes <= stage->bytes ? 0 : stage_grow(shell, stage, bytes + bytes / 2);
}

void *shell_stage_take(const struct shell_device *shell, struct shell_stage *stage, uint64_t bytes,
		       struct shell_extent *extent)
{
	*extent = (struct shell_extent){stage->memory, stage->used, bytes};
	stage->used += aligned(shell, bytes);
	return stage->data + extent->offset;
}

int shell_stage_push(struct shell_device *shell, struct shell_stage *stage)
{
	struct shell_port *port = shell->port;

	if (stage->mapped || !stage->used)
		return 0;
	return port->ops->write(port, stage->memory, 0, stage->data, stage->used);
}

int shell_stage_pull(struct shell_device *shell, struct shell_stage *stage)
{
	struct shell_port *port = shell->port;

	if (stage->mapped || !stage->used)
		return 0;
	return port->ops->read(port, stage->memory, 0, stage->data, stage->used);
}

void shell_stage_free(struct shell_device *shell, struct shell_stage *stage)
{
	if (!stage->mapped)
		free(stage->data);
	if (stage->memory)
		shell->port->ops->memory_free(shell->port, stage->memory);
	*stage = (struct shell_stage){0};
}
