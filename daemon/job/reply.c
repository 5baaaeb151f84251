/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that several replies have in common, made in the job's memory. */
#include <string.h>

#include "daemon/job/host_copy.h"
#include "daemon/job/service.h"

#define THRESHOLDS_MAX 64

static const char *const state_names[] = {
	[GALLERY_CHECKING] = "checking",   [GALLERY_LOADING] = "loading", [GALLERY_READY] = "ready",
	[GALLERY_READ_ONLY] = "read-only", [GALLERY_FAILED] = "failed",
};

static const Facet__Wire__Metric metrics_of[] = {
	[SEARCH_COSINE] = FACET__WIRE__METRIC__COSINE,
	[SEARCH_DOT] = FACET__WIRE__METRIC__DOT,
	[SEARCH_L2] = FACET__WIRE__METRIC__L2,
};

static const Facet__Wire__Type types_of[] = {
	[MODEL_F32] = FACET__WIRE__TYPE__F32,
	[MODEL_S8] = FACET__WIRE__TYPE__S8,
	[MODEL_U8] = FACET__WIRE__TYPE__U8,
};

static char *reply_text(struct job *job, const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = job_alloc(job, bytes);

	return copy ? memcpy(copy, text, bytes) : NULL;
}

static bool space_thresholds(struct job *job, Facet__Wire__Space *space, const uint8_t digest[32])
{
	struct gallery_threshold list[THRESHOLDS_MAX];
	int count = gallery_catalog_get(job->service->catalog, digest, list, THRESHOLDS_MAX);

	if (count <= 0)
		return true;
	space->thresholds = job_alloc(job, (uint64_t)count * sizeof(*space->thresholds));
	if (!space->thresholds)
		return false;
	for (int i = 0; i < count; i++) {
		Facet__Wire__Threshold *t = job_alloc(job, sizeof(*t));

		if (!t)
			return false;
		facet__wire__threshold__init(t);
		t->fmr = list[i].fmr;
		t->score = list[i].score;
		t->impostor_pairs = list[i].impostor_pairs;
		space->thresholds[space->n_thresholds++] = t;
	}
	return true;
}

Facet__Wire__Space *reply_space(struct job *job, const char *name, const uint8_t digest[32],
				uint32_t dim, enum search_metric metric)
{
	Facet__Wire__Space *space = job_alloc(job, sizeof(*space));
	uint8_t *copy = job_alloc(job, 32);

	if (!space || !copy)
		return NULL;
	facet__wire__space__init(space);
	space->name = reply_text(job, name);
	space->digest.data = memcpy(copy, digest, 32);
	space->digest.len = 32;
	space->dim = dim;
	space->metric = metrics_of[metric];
	return space->name && space_thresholds(job, space, digest) ? space : NULL;
}

Facet__Wire__GalleryInfo *reply_gallery(struct job *job, const struct gallery_entry *entry)
{
	Facet__Wire__GalleryInfo *info = job_alloc(job, sizeof(*info));
	const struct gallery_spec *spec = gallery_spec(entry->gallery);
	struct gallery_status status;

	if (!info)
		return NULL;
	facet__wire__gallery_info__init(info);
	gallery_status(entry->gallery, &status);
	info->name = reply_text(job, entry->name);
	info->text = reply_text(job, status.text);
	if (!info->name || !info->text)
		return NULL;
	info->state = (char *)state_names[status.state];
	info->percent = status.percent;
	info->templates = status.templates;
	info->subjects = status.subjects;
	info->epoch = status.epoch;
	info->resident_bytes = status.resident_bytes;
	info->disk_bytes = status.disk_bytes;
	if (!spec)
		return info;
	info->keep_int8_only = spec->keep_int8_only;
	info->no_host_copy = spec->no_host_copy;
	if (spec->no_host_copy)
		info->host = (char *)host_copy_name(entry);
	info->model = reply_text(job, spec->model);
	info->space = reply_space(job, spec->space.name, spec->space.digest, spec->space.dim,
				  spec->space.metric);
	return info->model && info->space ? info : NULL;
}

Facet__Wire__DeviceInfo *reply_device(struct job *job, const struct fleet_device *device)
{
	Facet__Wire__DeviceInfo *info = job_alloc(job, sizeof(*info));
	struct device_stats stats = {0};

	if (!info)
		return NULL;
	facet__wire__device_info__init(info);
	if (device->device)
		device->device->ops->stats(device->device, &stats);
	info->name = (char *)device->name;
	info->kind = (char *)device->kind;
	info->health = (char *)fleet_state_name(device);
	info->detail = (char *)(device->text[0] ? device->text : device->caps.detail);
	info->jobs = stats.batches;
	info->busy_ns = stats.busy_ns;
	info->queued = stats.queued;
	return info;
}

static bool reply_tensor(struct job *job, const struct model_tensor *tensor,
			 Facet__Wire__TensorInfo **out)
{
	Facet__Wire__TensorInfo *info = job_alloc(job, sizeof(*info));

	if (!info)
		return false;
	facet__wire__tensor_info__init(info);
	info->name = reply_text(job, tensor->name ? tensor->name : "");
	info->type = types_of[tensor->type];
	info->shape = job_alloc(job, sizeof(tensor->shape));
	if (!info->name || !info->shape)
		return false;
	memcpy(info->shape, tensor->shape, tensor->rank * sizeof(*tensor->shape));
	info->n_shape = tensor->rank;
	*out = info;
	return true;
}

static bool reply_tensors(struct job *job, const struct model_tensor *tensors, uint32_t count,
			  size_t *n, Facet__Wire__TensorInfo ***out)
{
	*out = job_alloc(job, (count + 1) * sizeof(**out));
	if (!*out)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!reply_tensor(job, &tensors[i], &(*out)[i]))
			return false;
	*n = count;
	return true;
}

Facet__Wire__ModelInfo *reply_model(struct job *job, const struct model_entry *entry)
{
	const struct model_info *m = model_info(entry->model);
	Facet__Wire__ModelInfo *info = job_alloc(job, sizeof(*info));

	if (!info)
		return NULL;
	facet__wire__model_info__init(info);
	info->name = reply_text(job, entry->name);
	if (!info->name ||
	    !reply_tensors(job, m->input, m->inputs, &info->n_inputs, &info->inputs) ||
	    !reply_tensors(job, m->output, m->outputs, &info->n_outputs, &info->outputs))
		return NULL;
	if (m->is_template) {
		info->space = reply_space(job, m->name, m->space_digest, m->dim, SEARCH_COSINE);
		if (!info->space)
			return NULL;
	}
	info->digest.data = (uint8_t *)m->digest;
	info->digest.len = sizeof(m->digest);
	info->macs = m->macs;
	info->weight_bytes = m->weight_bytes;
	info->ops = m->ops;
	info->cosine_to_float = m->cosine_to_float;
	return info;
}
