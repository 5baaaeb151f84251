/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: list, and what an operator may do with one. */
#include <errno.h>
#include <string.h>

#include "daemon/job/boards.h"
#include "daemon/job/model_place.h"
#include "daemon/job/placement.h"
#include "daemon/job/service.h"

static int copies(struct job *job, const struct fleet_device *device, Facet__Wire__Device *message)
{
	const struct service *service = job->service;
	size_t count = 0;

	for (const struct gallery_entry *e = service->galleries; e; e = e->next)
		count++;
	message->copies = job_need(job, (count + 1) * sizeof(*message->copies));
	if (!message->copies)
		return -1;
	for (const struct gallery_entry *e = service->galleries; e; e = e->next) {
		struct placement_info info;
		Facet__Wire__DeviceCopy *copy;

		if (e->hidden || !placement_info(e, device->index, &info))
			continue;
		copy = job_need(job, sizeof(*copy));
		if (!copy)
			return -1;
		facet__wire__device_copy__init(copy);
		copy->gallery = (char *)e->name;
		copy->row_begin = info.tile_begin * SEARCH_TILE_ROWS;
		copy->row_end = info.tile_end * SEARCH_TILE_ROWS;
		copy->current = info.covers;
		message->copies[message->n_copies++] = copy;
	}
	return 0;
}

static int models(struct job *job, const struct fleet_device *device, Facet__Wire__Device *message)
{
	const struct service *service = job->service;
	size_t count = 0;

	for (const struct model_entry *e = service->models; e; e = e->next)
		count++;
	message->models = job_need(job, (count + 1) * sizeof(*message->models));
	if (!message->models)
		return -1;
	for (const struct model_entry *e = service->models; e; e = e->next) {
		Facet__Wire__DeviceModel *model;
		uint64_t bytes;
		uint32_t ops;

		if (e->hidden || !model_place_info(e, device->index, &ops, &bytes))
			continue;
		model = job_need(job, sizeof(*model));
		if (!model)
			return -1;
		facet__wire__device_model__init(model);
		model->model = (char *)e->name;
		model->ops = ops;
		model->of = model_info(e->model)->ops;
		model->bytes = bytes;
		message->models[message->n_models++] = model;
	}
	return 0;
}

static Facet__Wire__Device *describe(struct job *job, struct fleet_device *device)
{
	const struct metrics_device *metrics = device->metrics;
	Facet__Wire__Device *message = job_need(job, sizeof(*message));

	if (!message)
		return NULL;
	facet__wire__device__init(message);
	message->name = (char *)device->name;
	message->kind = (char *)device->kind;
	message->state = (char *)fleet_state_name(device);
	message->hardware = (char *)device->caps.name;
	message->detail = (char *)device->caps.detail;
	message->text = (char *)device->text;
	message->works = fleet_works(device);
	message->batches = device->slices;
	message->failed = device->failed;
	message->repeated = device->repeated;
	message->busy_ns = device->busy_ns;
	message->queued = device->in_flight;
	message->memory_bytes = device->device ? device->caps.memory_bytes : 0;
	fleet_ask(device);
	if (metrics) {
		message->resets = metrics->resets;
		message->bytes_up = metrics->up_bytes;
		message->bytes_down = metrics->down_bytes;
		message->bytes_direct = metrics->direct_bytes;
		message->memory_used = metrics->memory_bytes;
		for (int i = 0; i < CHECKS; i++) {
			message->checks += metrics->checks[i];
			message->mismatches += metrics->mismatches[i];
		}
	}
	if (copies(job, device, message) || models(job, device, message))
		return NULL;
	return message;
}

static void reply_devices(struct job *job, const char *name)
{
	Facet__Wire__DeviceListReply list = FACET__WIRE__DEVICE_LIST_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	struct fleet *fleet = &job->service->fleet;

	list.devices = job_need(job, fleet->count * sizeof(*list.devices));
	if (!list.devices)
		return;
	for (uint32_t i = 0; i < fleet->count; i++) {
		if (*name && strcmp(name, fleet->device[i].name) != 0)
			continue;
		list.devices[list.n_devices] = describe(job, &fleet->device[i]);
		if (!list.devices[list.n_devices++])
			return;
	}
	if (*name && !list.n_devices) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
			 "no device of this name; see device list");
		return;
	}
	reply.body_case = FACET__WIRE__REPLY__BODY_DEVICE_LIST;
	reply.device_list = &list;
	job_reply(job, &reply, NULL, 0);
}

void handle_device_list(struct job *job)
{
	const Facet__Wire__DeviceList *m = job->body;

	reply_devices(job, m->name);
}

/* Starts it; whoever wants to know when it is done asks for the state. */
void handle_device_change(struct job *job)
{
	static const enum board_action actions[] = {
		[FACET__WIRE__DEVICE_CHANGE__ACTION__DRAIN] = BOARD_DRAIN,
		[FACET__WIRE__DEVICE_CHANGE__ACTION__ENABLE] = BOARD_ENABLE,
		[FACET__WIRE__DEVICE_CHANGE__ACTION__RESET] = BOARD_RESET,
		[FACET__WIRE__DEVICE_CHANGE__ACTION__REMOVE] = BOARD_REMOVE,
	};
	const Facet__Wire__DeviceChange *m = job->body;
	struct fleet_device *device = fleet_find(&job->service->fleet, m->name);
	int err;

	if (!device) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
			 "no device of this name; see device list");
		return;
	}
	if ((unsigned)m->action >= sizeof(actions) / sizeof(actions[0])) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "no such action; a device is drained, enabled, reset or removed");
		return;
	}
	err = board_act(device, actions[m->action]);
	if (err == -EOPNOTSUPP)
		job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
			 "the cpu cannot be spared: it takes what no other device can");
	else if (err == -EBUSY)
		job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
			   "the device is %s; come back shortly", fleet_state_name(device));
	else if (err)
		job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
			 "the device is %s: enable it first", fleet_state_name(device));
	else
		reply_devices(job, device->name);
}
