/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the model room: what a run needs to know of its plan. */
#ifndef FACET_DAEMON_MODEL_PLAN_H
#define FACET_DAEMON_MODEL_PLAN_H

#include "daemon/model/graph.h"

struct model_plan {
	const struct model *model;
	struct device *device;
	struct device_buffer *constants; /* NULL where the model has none */
	struct device_weights **weights; /* [steps], NULL for ops without */
};

#endif
