/* SPDX-License-Identifier: Apache-2.0 */
/* A device made of a shell port; internal to daemon/device, and for bring-up. */
#ifndef FACET_DAEMON_DEVICE_SHELL_H
#define FACET_DAEMON_DEVICE_SHELL_H

#include <string.h>

#include "daemon/device/command.h"
#include "daemon/device/device.h"
#include "daemon/device/part.h"
#include "daemon/device/shell_port.h"
#include "daemon/device/worker.h"

struct device_buffer {
	struct command_buffer base;
	struct shell_memory *memory;
};

struct device_weights {
	struct command_weights base;
	struct shell_memory *memory; /* weights, then bias at bias_offset */
	uint64_t weight_bytes, bias_offset, bias_bytes;
};

struct device_rows {
	struct device *device;
	const struct search_rows *rows;
	uint64_t tile_begin, tile_end;
	struct shell_memory *part[PART_SHELL]; /* NULL: the metric or layout has none */
};

/* Operands that a command brings along: written here by the worker, seen by the board. */
struct shell_stage {
	struct shell_memory *memory;
	uint8_t *data;
	uint64_t bytes, used;
	bool mapped; /* data is the memory itself */
};

struct shell_device {
	struct device base;
	struct shell_port *port;
	struct shell_port_caps caps;
	uint64_t memory_max;
	_Atomic uint64_t memory;
	struct shell_stage in, out; /* the worker's */
	_Alignas(64) struct worker worker;
};

static inline struct shell_device *shell_of(const struct device *device)
{
	return (struct shell_device *)device;
}

/* A shell_f32. */
static inline uint32_t shell_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* Takes the port, which is closed with the device, or here on an error. ops: the
 * backend's table, made by SHELL_DEVICE_OPS. */
int shell_device_create(const struct device_ops *ops, struct shell_port *port,
			const struct device_config *config, struct device **device);

/* A table of a backend over a port. */
#define SHELL_DEVICE_OPS(kind_, probe_)                                                            \
	{                                                                                          \
		.kind = kind_, .probe = probe_, .caps = shell_caps,                                \
		.buffer_create = shell_buffer_create, .buffer_import = shell_buffer_import,        \
		.buffer_map = shell_buffer_map, .buffer_write = shell_buffer_write,                \
		.buffer_read = shell_buffer_read, .buffer_free = shell_buffer_free,                \
		.rows_create = shell_rows_create, .rows_free = shell_rows_free,                    \
		.weights_conv2d = shell_weights_conv2d, .weights_gemm = shell_weights_gemm,        \
		.weights_free = shell_weights_free, .submit = shell_submit,                        \
		.cancel = shell_cancel, .reset = shell_reset, .stats = shell_stats,                \
		.close = shell_close                                                               \
	}

/* ---- shell.c ---- */
void shell_caps(const struct device *device, struct device_caps *caps);
int shell_submit(struct device *device, struct device_batch *batch);
void shell_cancel(struct device *device, struct device_batch *batch);
int shell_reset(struct device *device);
void shell_stats(const struct device *device, struct device_stats *stats);
void shell_close(struct device *device);

/* ---- shell_memory.c ---- */
int shell_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer);
int shell_buffer_import(struct device *device, void *memory, uint64_t bytes,
			struct device_buffer **buffer);
void *shell_buffer_map(struct device_buffer *buffer);
int shell_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
		       uint64_t bytes);
int shell_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes);
void shell_buffer_free(struct device_buffer *buffer);
int shell_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
			 const int32_t *bias, struct device_weights **weights);
int shell_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
		       const int32_t *bias, struct device_weights **weights);
void shell_weights_free(struct device_weights *weights);
/* Board memory that counts in the device's bound. */
int shell_memory_take(struct shell_device *shell, uint64_t bytes, struct shell_memory **memory);
void shell_memory_give(struct shell_device *shell, struct shell_memory *memory);
/* Room for so many bytes in all of a command; what was there before is lost. */
int shell_stage_room(struct shell_device *shell, struct shell_stage *stage, uint64_t bytes);
/* Cuts a piece off, and where it lies for the board. Room was made. */
void *shell_stage_take(const struct shell_device *shell, struct shell_stage *stage, uint64_t bytes,
		       struct shell_extent *extent);
/* To the board before a call; from it afterwards. */
int shell_stage_push(struct shell_device *shell, struct shell_stage *stage);
int shell_stage_pull(struct shell_device *shell, struct shell_stage *stage);
void shell_stage_free(struct shell_device *shell, struct shell_stage *stage);

/* ---- shell_call.c: one command that is checked, as one call ---- */
int shell_run(struct shell_device *shell, const struct device_batch *batch, uint32_t index);
/* Runs calls, and the first one's error. */
int shell_calls(struct shell_device *shell, struct shell_call *calls, uint32_t count);

/* ---- shell_search.c ---- */
int shell_rows_create(struct device *device, const struct search_rows *rows, uint64_t tile_begin,
		      uint64_t tile_end, struct device_rows **copy);
void shell_rows_free(struct device_rows *copy);
int shell_run_load(struct shell_device *shell, const struct device_command *command);
int shell_run_unload(struct shell_device *shell, const struct device_command *command);
int shell_run_search(struct shell_device *shell, const struct device_batch *batch,
		     const struct device_command *command);

#endif
