/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices beside the CPU: opened when the daemon starts, watched, reset, closed and opened again.
 * What may block is done on a thread of theirs. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_BOARDS_H
#define FACET_DAEMON_JOB_BOARDS_H

#include "daemon/job/service.h"

/* Those of the configuration. -ENOMEM; a board that cannot be opened is no error. */
int boards_start(struct service *service);
/* Nothing of jobs is in flight. Waits for loads of galleries, and closes all. */
void boards_stop(struct service *service);
/* Trials of devices that were quarantined; boards_wakeup(): when to call it next, 0 for never. */
void boards_tick(struct service *service);
uint64_t boards_wakeup(const struct service *service);
/* Galleries and models go where there is room: something has changed. */
void boards_fill(struct service *service);
/* An errand of its own for a board's sake (placement.c, model_place.c). */
void boards_errand(struct service *service, struct errand *errand);
/* A copy of the board's is gone: what waited for that goes on. */
void board_step(struct fleet_device *device);

/* ---- an operator's: each starts something and returns; fleet_state_name() tells how it goes ------- */
enum board_action { BOARD_DRAIN, BOARD_ENABLE, BOARD_RESET, BOARD_REMOVE, BOARD_ACTIONS };
/* -EOPNOTSUPP: the CPU cannot be spared; -EBUSY: another action is under way; -ENODEV: not open. */
int board_act(struct fleet_device *device, enum board_action action);

#endif
