/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon says of itself. */
#include "host/libfacet/client.h"

static bool devices_get(struct facet_info *info, const Facet__Wire__InfoReply *from)
{
	struct facet_device_info *to = client_result_add(info, from->n_devices, sizeof(*to));

	info->device_count = (uint32_t)from->n_devices;
	info->devices = to;
	for (size_t i = 0; to && i < from->n_devices; i++) {
		const Facet__Wire__DeviceInfo *d = from->devices[i];

		to[i].name = client_result_text(info, d->name);
		to[i].kind = client_result_text(info, d->kind);
		to[i].health = client_result_text(info, d->health);
		to[i].detail = client_result_text(info, d->detail);
		if (!to[i].name || !to[i].kind || !to[i].health || !to[i].detail)
			return false;
		to[i].jobs = d->jobs;
		to[i].busy_ns = d->busy_ns;
		to[i].queued = d->queued;
	}
	return to != NULL;
}

static bool info_fill(struct facet_info *info, const Facet__Wire__InfoReply *from)
{
	info->version = client_result_text(info, from->version);
	info->metrics = client_result_text(info, from->metrics);
	info->instance = from->instance;
	info->uptime_ns = from->uptime_ns;
	info->ready = from->ready;
	info->draining = from->draining;
	info->connections = from->connections;
	info->queued = from->queued;
	info->queue_limit = from->queue_limit;
	info->gallery_count = (uint32_t)from->n_galleries;
	info->model_count = (uint32_t)from->n_models;
	return info->version && info->metrics && devices_get(info, from) &&
	       client_galleries_get(info, from->galleries, from->n_galleries, &info->galleries) &&
	       client_models_get(info, from->models, from->n_models, &info->models);
}

/* out info */
static int finish(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	struct facet_info *info;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_INFO)
		return client_nonsense(call);
	info = client_result_new(sizeof(*info));
	if (!info || !info_fill(info, reply->body->info)) {
		facet_free(info);
		return client_no_memory(call);
	}
	*(struct facet_info **)call->out[0] = info;
	return 0;
}

int facet_info(struct facet *c, uint32_t what, struct facet_info **info)
{
	Facet__Wire__Info ask = FACET__WIRE__INFO__INIT;
	struct client_request r;

	*info = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_INFO);
	r.wire.info = &ask;
	ask.devices = what & FACET_INFO_DEVICES;
	ask.galleries = what & FACET_INFO_GALLERIES;
	ask.models = what & FACET_INFO_MODELS;
	ask.metrics = what & FACET_INFO_METRICS;
	r.finish = finish;
	r.out[0] = info;
	return client_call(c, &r);
}
