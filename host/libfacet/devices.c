/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's devices. */
#include "host/libfacet/client.h"

static bool copies_get(void *result, const Facet__Wire__Device *from, struct facet_device *to)
{
	struct facet_device_copy *copies =
		client_result_add(result, from->n_copies, sizeof(*copies));

	to->copy_count = (uint32_t)from->n_copies;
	to->copies = copies;
	for (size_t i = 0; copies && i < from->n_copies; i++) {
		copies[i] = (struct facet_device_copy){
			.gallery = client_result_text(result, from->copies[i]->gallery),
			.row_begin = from->copies[i]->row_begin,
			.row_end = from->copies[i]->row_end,
			.current = from->copies[i]->current,
		};
		if (!copies[i].gallery)
			return false;
	}
	return copies != NULL;
}

static bool models_get(void *result, const Facet__Wire__Device *from, struct facet_device *to)
{
	struct facet_device_model *models =
		client_result_add(result, from->n_models, sizeof(*models));

	to->model_count = (uint32_t)from->n_models;
	to->models = models;
	for (size_t i = 0; models && i < from->n_models; i++) {
		models[i] = (struct facet_device_model){
			.model = client_result_text(result, from->models[i]->model),
			.ops = from->models[i]->ops,
			.of = from->models[i]->of,
			.bytes = from->models[i]->bytes,
		};
		if (!models[i].model)
			return false;
	}
	return models != NULL;
}

static bool device_get(void *result, const Facet__Wire__Device *from, struct facet_device *to)
{
	*to = (struct facet_device){
		.name = client_result_text(result, from->name),
		.kind = client_result_text(result, from->kind),
		.state = client_result_text(result, from->state),
		.hardware = client_result_text(result, from->hardware),
		.detail = client_result_text(result, from->detail),
		.text = client_result_text(result, from->text),
		.works = from->works,
		.batches = from->batches,
		.failed = from->failed,
		.repeated = from->repeated,
		.resets = from->resets,
		.busy_ns = from->busy_ns,
		.memory_bytes = from->memory_bytes,
		.memory_used = from->memory_used,
		.checks = from->checks,
		.mismatches = from->mismatches,
		.bytes_up = from->bytes_up,
		.bytes_down = from->bytes_down,
		.bytes_direct = from->bytes_direct,
		.queued = from->queued,
	};
	return to->name && to->kind && to->state && to->hardware && to->detail && to->text &&
	       copies_get(result, from, to) && models_get(result, from, to);
}

static struct facet_devices *devices_get(const Facet__Wire__DeviceListReply *from)
{
	struct facet_devices *devices = client_result_new(sizeof(*devices));
	struct facet_device *items =
		devices ? client_result_add(devices, from->n_devices, sizeof(*items)) : NULL;

	for (size_t i = 0; items && i < from->n_devices; i++)
		if (!device_get(devices, from->devices[i], &items[i]))
			items = NULL;
	if (!items) {
		facet_free(devices);
		return NULL;
	}
	devices->count = (uint32_t)from->n_devices;
	devices->items = items;
	return devices;
}

/* out devices, may be NULL */
static int finish(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	struct facet_devices *devices;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_DEVICE_LIST)
		return client_nonsense(call);
	if (!call->out[0])
		return 0;
	devices = devices_get(reply->body->device_list);
	if (!devices)
		return client_no_memory(call);
	*(struct facet_devices **)call->out[0] = devices;
	return 0;
}

int facet_device_list(struct facet *c, const char *name, struct facet_devices **devices)
{
	Facet__Wire__DeviceList list = FACET__WIRE__DEVICE_LIST__INIT;
	struct client_request r;

	*devices = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_DEVICE_LIST);
	r.wire.device_list = &list;
	list.name = (char *)(name ? name : "");
	r.finish = finish;
	r.out[0] = devices;
	return client_call(c, &r);
}

int facet_device_change(struct facet *c, const char *name, enum facet_device_action action,
			struct facet_devices **device)
{
	Facet__Wire__DeviceChange change = FACET__WIRE__DEVICE_CHANGE__INIT;
	struct client_request r;

	if (device)
		*device = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_DEVICE_CHANGE);
	r.wire.device_change = &change;
	r.once = true;
	change.name = (char *)name;
	change.action = (Facet__Wire__DeviceChange__Action)action;
	r.finish = finish;
	r.out[0] = device;
	return client_call(c, &r);
}
