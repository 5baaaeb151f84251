/* SPDX-License-Identifier: Apache-2.0 */
/* What a unit of some work is measured to cost on each device. */
#ifndef FACET_DAEMON_JOB_COST_H
#define FACET_DAEMON_JOB_COST_H

#include "daemon/job/fleet.h"

struct cost {
	double ns[FLEET_MAX]; /* a unit; 0: not measured */
	double mean_ns;	      /* over those that did some */
	uint32_t devices;     /* that were measured, a bit each */
};

/* So much was done in so long. Returns what it counts: the same for the same work whoever did it, the
 * mean over the devices, so that no tenant pays for the device it happened to get. */
uint64_t cost_measure(struct cost *cost, uint32_t device, double work, uint64_t device_ns);

#endif
