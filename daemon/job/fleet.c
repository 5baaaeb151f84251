/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/job/boards.h"
#include "daemon/job/health.h"

static const char *const state_names[] = {
	[FLEET_OPENING] = "opening",	 [FLEET_OPEN] = "ok",
	[FLEET_ABSENT] = "absent",	 [FLEET_LOST] = "lost",
	[FLEET_RESETTING] = "resetting", [FLEET_REMOVED] = "removed",
	[FLEET_CLOSING] = "closing",
};

struct fleet_device *fleet_add(struct fleet *fleet, const char *name, const char *kind)
{
	struct fleet_device *device = &fleet->device[fleet->count];

	if (fleet->count == FLEET_MAX)
		return NULL;
	*device = (struct fleet_device){.index = fleet->count++, .state = FLEET_OPENING};
	snprintf(device->name, sizeof(device->name), "%s", name);
	snprintf(device->kind, sizeof(device->kind), "%s", kind);
	return device;
}

struct fleet_device *fleet_find(struct fleet *fleet, const char *name)
{
	for (uint32_t i = 0; i < fleet->count; i++)
		if (!strcmp(fleet->device[i].name, name))
			return &fleet->device[i];
	return NULL;
}

void fleet_opened(struct fleet_device *device, struct device *opened)
{
	device->device = opened;
	device->state = FLEET_OPEN;
	device->text[0] = '\0';
	opened->ops->caps(opened, &device->caps);
	device->asked = (struct device_stats){0};
}

void fleet_ask(struct fleet_device *device)
{
	struct device_stats stats = {0};

	if (!device->device || !device->metrics)
		return;
	device->device->ops->stats(device->device, &stats);
	device->metrics->queued = stats.queued;
	device->metrics->memory_limit = device->caps.memory_bytes;
	/* A device that is opened anew begins at 0, a counter of ours does not. */
	device->metrics->direct_bytes += stats.direct_bytes - device->asked.direct_bytes;
	device->metrics->faults += stats.faults - device->asked.faults;
	device->asked = stats;
}

const char *fleet_state_name(const struct fleet_device *device)
{
	if (device->state == FLEET_OPEN && device->drained)
		return device->in_flight ? "draining" : "drained";
	if (device->state == FLEET_OPEN && device->health)
		return health_state_name(device->health->state);
	return state_names[device->state];
}

bool fleet_lost(int error)
{
	static const int errors[] = {-ESTALE, -ETIMEDOUT, -ENODEV, -EBADMSG};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (error == errors[i])
			return true;
	return false;
}

bool fleet_works(const struct fleet_device *device)
{
	return device->state == FLEET_OPEN && !device->drained &&
	       (!device->health || health_usable(device->health));
}

void fleet_begin(struct fleet_device *device, uint64_t now_ns, uint64_t expected_ns)
{
	if (device->in_flight++ == 0)
		device->busy_since_ns = now_ns;
	device->expected_ns += expected_ns;
}

void fleet_judge(struct fleet_device *device, int error, uint64_t now_ns)
{
	if (error == -EBADMSG)
		health_mismatch(device->health, device->health->epoch, now_ns);
	else
		health_result(device->health, device->health->epoch, error, now_ns);
}

void fleet_over(struct fleet_device *device, uint64_t now_ns, uint64_t expected_ns,
		uint64_t device_ns, int error)
{
	device->in_flight--;
	device->expected_ns -= expected_ns;
	device->busy_since_ns = now_ns;
	device->slices++;
	device->busy_ns += device_ns;
	device->failed += error != 0;
	if (device->health)
		fleet_judge(device, error, now_ns);
	if (!device->in_flight)
		board_step(device);
	if (error == -ENODEV && device->index != FLEET_CPU && device->state == FLEET_OPEN) {
		device->state = FLEET_LOST;
		snprintf(device->text, sizeof(device->text),
			 "it does not answer any more: reset it, or mend it and enable it again");
	}
}

uint64_t fleet_backlog_ns(const struct fleet_device *device, uint64_t now_ns)
{
	uint64_t passed = device->in_flight ? now_ns - device->busy_since_ns : 0;

	return device->expected_ns > passed ? device->expected_ns - passed : 0;
}
