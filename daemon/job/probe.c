/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: the templates of a request, given as vectors or made from tensors by a model. */
#include <inttypes.h>
#include <string.h>

#include "daemon/job/service.h"

/* Where job_probe() continues; in the job's memory. */
struct probe_stage {
	struct job_probe *probe;
	job_step then;
	struct probe_stage *outer;
};

static int probe_dim(struct job *job, const struct gallery_entry *entry, uint32_t dim)
{
	const struct gallery_spec *spec = entry ? gallery_spec(entry->gallery) : NULL;

	if (!entry && dim >= 1 && dim <= SEARCH_DIM_MAX)
		return 0;
	if (!entry)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"dimension %u; templates have 1 to %u", dim, SEARCH_DIM_MAX);
	if (!spec)
		return job_not_ready(job, entry);
	if (dim == spec->space.dim)
		return 0;
	return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			"dimension %u, but the gallery's space has %u; send vectors of its space",
			dim, spec->space.dim);
}

static void probe_vectors(struct job *job, const Facet__Wire__Vectors *v,
			  struct gallery_entry *entry, struct job_probe *probe, job_step then)
{
	bool s8 = v->type == FACET__WIRE__TYPE__S8;
	uint32_t bytes = s8 ? 1 : 4;
	const void *data;

	if (!s8 && v->type != FACET__WIRE__TYPE__F32) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "vectors of type %d; send F32 or S8", (int)v->type);
		return;
	}
	if (probe_dim(job, entry, v->dim))
		return;
	if (!v->count || v->count > job->service->config->vectors) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "%u vectors; send 1 to %" PRIu64 " at once", v->count,
			 job->service->config->vectors);
		return;
	}
	if (job_bulk(job, v->data, (uint64_t)v->count * v->dim * bytes, bytes, "the vectors",
		     &data))
		return;
	*probe = (struct job_probe){.count = v->count, .dim = v->dim};
	if (s8)
		probe->s8 = data;
	else
		probe->f32 = data;
	then(job);
}

static void probe_inferred(struct job *job)
{
	struct probe_stage *stage = job->user;
	const struct model_info *info = model_info(job->model->model);

	job->user = stage->outer;
	stage->probe->dim = info->dim;
	stage->probe->f32 = (const float *)(const void *)job->infer.outputs[0];
	stage->then(job);
}

/* The gallery's own model, or the one named; never one of another space. */
static struct model_entry *probe_model(struct job *job, const Facet__Wire__Tensors *tensors,
				       struct gallery_entry *entry)
{
	const struct gallery_spec *spec = entry ? gallery_spec(entry->gallery) : NULL;
	const char *name = tensors->model;
	struct model_entry *model;

	if (!*name && spec)
		name = spec->model;
	if (!*name) {
		job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
			 "no model makes templates of this space; send vectors, or name a model");
		return NULL;
	}
	model = service_model(job->service, name);
	if (!model) {
		if (job->service->models_loading)
			job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
				   "models are loading; come back shortly");
		else
			job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
				 "no model of this name; see model list");
		return NULL;
	}
	if (!model_info(model->model)->is_template) {
		job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
			 "the model makes no templates; name one that does");
		return NULL;
	}
	if (spec && (memcmp(model_info(model->model)->space_digest, spec->space.digest, 32) ||
		     model_info(model->model)->dim != spec->space.dim)) {
		job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
			 "the model is of another space than the gallery; use the model it was "
			 "created with");
		return NULL;
	}
	return model;
}

static void probe_tensors(struct job *job, const Facet__Wire__Tensors *tensors,
			  struct gallery_entry *entry, struct job_probe *probe, job_step then)
{
	struct model_entry *model;
	struct probe_stage *stage;

	if (entry && !gallery_spec(entry->gallery)) {
		job_not_ready(job, entry);
		return;
	}
	model = probe_model(job, tensors, entry);
	if (!model)
		return;
	stage = job_need(job, sizeof(*stage));
	if (!stage)
		return;
	if (job->model)
		model_entry_release(job->model);
	job_hold_model(job, model);
	*stage = (struct probe_stage){.probe = probe, .then = then, .outer = job->user};
	job->user = stage;
	*probe = (struct job_probe){.count = tensors->count};
	job_infer(job, tensors, probe_inferred);
}

void job_probe(struct job *job, const Facet__Wire__Probe *message, struct gallery_entry *entry,
	       uint32_t expect, struct job_probe *probe, job_step then)
{
	uint32_t count;

	if (!message || message->kind_case == FACET__WIRE__PROBE__KIND__NOT_SET) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "no probe; send vectors or tensors");
		return;
	}
	count = message->kind_case == FACET__WIRE__PROBE__KIND_VECTORS ? message->vectors->count
								       : message->tensors->count;
	if (expect && count != expect) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT, "%u probes; send %u", count,
			 expect);
		return;
	}
	if (message->kind_case == FACET__WIRE__PROBE__KIND_VECTORS)
		probe_vectors(job, message->vectors, entry, probe, then);
	else
		probe_tensors(job, message->tensors, entry, probe, then);
}
