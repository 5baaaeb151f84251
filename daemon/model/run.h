/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the model room: what a part needs to know of the item it is of. */
#ifndef FACET_DAEMON_MODEL_RUN_H
#define FACET_DAEMON_MODEL_RUN_H

#include "daemon/model/plan.h"

struct model_run {
	const struct model_plan *plan; /* the CPU's */
	uint8_t *memory;	       /* the arena */
	struct device_buffer *arena;
	struct device_command commands[]; /* [steps] */
};

#endif
