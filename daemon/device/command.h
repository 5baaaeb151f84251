/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a legal command is, the same for all backends: parameters by the op's own check, operands
 * found, bounded, aligned and apart. Internal to daemon/device.
 */
#ifndef FACET_DAEMON_DEVICE_COMMAND_H
#define FACET_DAEMON_DEVICE_COMMAND_H

#include "daemon/device/device.h"

#define COMMAND_BUFFER_MAX (UINT64_C(1) << 46)
#define COMMAND_TILES_MAX  (UINT64_C(1) << 48)

/* Every backend's struct device_buffer starts with this. */
struct command_buffer {
	struct device *device;
	uint8_t *data; /* its memory, NULL where that is out of the host's sight */
	uint64_t bytes;
};

/* Every backend's struct device_weights starts with this: what they were packed for. */
struct command_weights {
	struct device *device;
	enum device_op op;
	union {
		struct op_conv2d conv2d;
		struct op_gemm gemm;
	};
};

/*
 * 0, or -EINVAL. Afterwards each operand that the op has is a span of exactly its bytes in a buffer
 * of this device, and an absent one has no buffer. Of a load only the host's side is looked at.
 */
int command_check(const struct device *device, const struct device_command *command);

/* The end of a search's tiles: those past every query's rows hold nothing to find. */
uint64_t command_last_tile(const struct device_search *p);

static inline bool command_inside(const struct command_buffer *buffer, uint64_t offset,
				  uint64_t bytes)
{
	return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

static inline uint32_t command_out_bytes(enum op_out out)
{
	return out == OP_OUT_S8 ? 1 : 4;
}

#endif
