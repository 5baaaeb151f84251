/* SPDX-License-Identifier: Apache-2.0 */
/* info: what the daemon is and has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/service.h"

static int info_devices(struct job *job, Facet__Wire__InfoReply *info)
{
	struct fleet *fleet = &job->service->fleet;

	info->devices = job_need(job, fleet->count * sizeof(*info->devices));
	if (!info->devices)
		return -1;
	for (uint32_t i = 0; i < fleet->count; i++) {
		info->devices[i] = reply_device(job, &fleet->device[i]);
		if (!info->devices[i])
			return job_fail_errno(job, -ENOMEM, NULL);
		info->n_devices++;
	}
	return 0;
}

static int info_galleries(struct job *job, Facet__Wire__InfoReply *info)
{
	size_t count = 0;

	for (struct gallery_entry *e = job->service->galleries; e; e = e->next)
		count++;
	info->galleries = job_need(job, (count + 1) * sizeof(*info->galleries));
	if (!info->galleries)
		return -1;
	for (struct gallery_entry *e = job->service->galleries; e; e = e->next) {
		if (e->hidden || !e->gallery || !tenant_rights(job->tenant, e->name))
			continue;
		info->galleries[info->n_galleries] = reply_gallery(job, e);
		if (!info->galleries[info->n_galleries++])
			return job_fail_errno(job, -ENOMEM, NULL);
	}
	return 0;
}

static int info_models(struct job *job, Facet__Wire__InfoReply *info)
{
	size_t count = 0;

	for (struct model_entry *e = job->service->models; e; e = e->next)
		count++;
	info->models = job_need(job, (count + 1) * sizeof(*info->models));
	if (!info->models)
		return -1;
	for (struct model_entry *e = job->service->models; e; e = e->next) {
		if (e->hidden)
			continue;
		info->models[info->n_models] = reply_model(job, e);
		if (!info->models[info->n_models++])
			return job_fail_errno(job, -ENOMEM, NULL);
	}
	return 0;
}

static int info_metrics(struct job *job, Facet__Wire__InfoReply *info)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return job_fail_errno(job, -ENOMEM, NULL);
	service_print_metrics(job->service, job->tenant, out);
	fclose(out);
	/* What is over half a frame is to be had on the metrics socket. */
	if (bytes < WIRE_FRAME_MAX / 2)
		info->metrics = job_need(job, bytes + 1);
	if (info->metrics && bytes < WIRE_FRAME_MAX / 2)
		memcpy(info->metrics, text, bytes + 1);
	free(text);
	return info->metrics ? 0 : -1;
}

void handle_info(struct job *job)
{
	const Facet__Wire__Info *want = job->body;
	const struct service *service = job->service;
	Facet__Wire__InfoReply info = FACET__WIRE__INFO_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	info.version = (char *)FACET_VERSION;
	info.instance = service->instance;
	info.uptime_ns = service_now() - service->started_ns;
	info.ready = service_ready(service);
	info.draining = service->draining;
	info.connections = service->connections;
	info.queued = sched_waiting(service->sched);
	info.queue_limit = (uint32_t)service->config->queue;
	if ((want->devices && info_devices(job, &info)) ||
	    (want->galleries && info_galleries(job, &info)) ||
	    (want->models && info_models(job, &info)) ||
	    (want->metrics && info_metrics(job, &info)))
		return;
	reply.body_case = FACET__WIRE__REPLY__BODY_INFO;
	reply.info = &info;
	job_reply(job, &reply, NULL, 0);
}
