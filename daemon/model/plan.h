/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the model room: what runs and parts need to know of a plan. */
#ifndef FACET_DAEMON_MODEL_PLAN_H
#define FACET_DAEMON_MODEL_PLAN_H

#include "daemon/model/graph.h"

struct model_plan {
	const struct model *model;
	struct device *device;
	struct device_caps caps;
	struct device_buffer *constants; /* NULL where the model has none */
	/* [steps]: weights and constants are bound, what lies in the arena is not */
	struct device_command *commands;
	struct device_weights **weights; /* [steps], NULL for ops without */
	void **sums;			 /* [steps] of a board: packed for checksums of products */
	bool *takes;			 /* [steps] the device does */
	uint64_t bytes;			 /* weights and constants on the device, about */
	uint64_t sums_bytes;		 /* the largest checksum of a step */
};

/* Where tensors and constants may begin. */
#define PLAN_ALIGN 64u

static inline uint64_t plan_aligned(uint64_t bytes)
{
	return (bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

/* The command with the operands of a step that lie in the arena bound to it. */
void plan_bind(const struct model_plan *plan, uint32_t step, struct device_buffer *arena,
	       struct device_command *command);

#endif
