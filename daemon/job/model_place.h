/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models on boards: a plan of each model on each board that can do some of its ops, with arenas for
 * a few parts at a time. Made and freed on the boards' errand thread. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_MODEL_PLACE_H
#define FACET_DAEMON_JOB_MODEL_PLACE_H

#include "daemon/job/service.h"

/* The model, or the devices, have changed: places are made. */
void model_place_follow(struct model_entry *entry);
void model_place_follow_all(struct service *service);
/* Its places go; each holds a reference on the entry until it is gone. */
void model_place_drop(struct model_entry *entry);
/* No place is on the device; those that are there are told to go, and board_step() follows. */
bool model_place_clear(struct service *service, struct fleet_device *device);

/* The plan, NULL where there is none to be used now. */
const struct model_plan *model_place_plan(const struct model_entry *entry, uint32_t device);
/* An arena of it, kept until model_place_done(); NULL: all are in use. error is the slice's. */
struct model_arena *model_place_use(struct model_entry *entry, uint32_t device);
bool model_place_full(const struct model_entry *entry, uint32_t device);
void model_place_done(struct model_entry *entry, uint32_t device, struct model_arena *arena,
		      int error);

/* For `device show`: false where nothing of the model is there. */
bool model_place_info(const struct model_entry *entry, uint32_t device, uint32_t *ops,
		      uint64_t *bytes);

#endif
