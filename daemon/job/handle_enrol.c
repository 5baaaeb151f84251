/* SPDX-License-Identifier: Apache-2.0 */
/* enrol: templates into a gallery, durable when answered. */
#include <inttypes.h>
#include <string.h>

#include "daemon/job/service.h"

static void enrolled(struct job *job)
{
	Facet__Wire__EnrolReply enrol = FACET__WIRE__ENROL_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	struct job_out out = {.count = 0};

	if (job_put(job, &out, job->gr.ids, job->gr.count * sizeof(uint64_t), &enrol.ids))
		return;
	enrol.epoch = job->gr.epoch;
	enrol.replayed = job->gr.replayed;
	reply.body_case = FACET__WIRE__REPLY__BODY_ENROL;
	reply.enrol = &enrol;
	job_send(job, &out, &reply);
}

/* Ids are written to, so they are always a copy; 0 asks for a number. */
static int enrol_ids(struct job *job, const Facet__Wire__Bulk *bulk, uint32_t count)
{
	uint64_t bytes = (uint64_t)count * sizeof(uint64_t);
	const void *given = NULL;

	if (bulk && job_bulk(job, bulk, bytes, 8, "ids", &given))
		return -1;
	job->gr.ids = job_need(job, bytes);
	if (!job->gr.ids)
		return -1;
	if (given)
		memcpy(job->gr.ids, given, bytes);
	else
		memset(job->gr.ids, 0, bytes);
	return 0;
}

/* What the tenant that made the gallery has left of its templates. Those of requests under way
 * count as if they were there; a replay, which adds none, is told by the gallery. */
static void enrol_room(struct job *job)
{
	struct gallery_entry *entry = job->gallery;
	const struct tenant *owner = tenants_named(job->service->tenants, entry->owner);
	uint64_t templates;

	if (owner && owner->template_quota) {
		service_made(job->service, owner->name, &templates);
		job->gr.limited = true;
		job->gr.room =
			owner->template_quota > templates ? owner->template_quota - templates : 0;
	}
	job->enrolling = job->gr.count;
	entry->enrolling += job->enrolling;
}

static void enrol_probed(struct job *job)
{
	const Facet__Wire__Enrol *e = job->body;
	const void *tags = NULL;

	memset(&job->gr, 0, sizeof(job->gr));
	job->gr.kind = GALLERY_ENROL;
	job->gr.count = job->probe.count;
	job->gr.f32 = job->probe.f32;
	job->gr.s8 = job->probe.s8;
	job->gr.subjects = (const char *const *)e->subjects;
	job->gr.subject_count = (uint32_t)e->n_subjects;
	job->gr.sources = (const char *const *)e->sources;
	job->gr.source_count = (uint32_t)e->n_sources;
	if (enrol_ids(job, e->ids, job->gr.count))
		return;
	if (e->tags && job_bulk(job, e->tags, job->gr.count * sizeof(uint64_t), 8, "tags", &tags))
		return;
	job->gr.tags = tags;
	job->gr.has_key = e->key.len > 0;
	if (job->gr.has_key)
		memcpy(job->gr.key, e->key.data, sizeof(job->gr.key));
	enrol_room(job);
	job_gallery(job, enrolled);
}

void handle_enrol(struct job *job)
{
	const Facet__Wire__Enrol *e = job->body;
	uint32_t count;

	if (e->key.len && e->key.len != GALLERY_KEY_BYTES) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "an idempotency key of %zu bytes; send %d or none", e->key.len,
			 GALLERY_KEY_BYTES);
		return;
	}
	count = !e->probe						  ? 0
		: e->probe->kind_case == FACET__WIRE__PROBE__KIND_VECTORS ? e->probe->vectors->count
		: e->probe->kind_case == FACET__WIRE__PROBE__KIND_TENSORS ? e->probe->tensors->count
									  : 0;
	if (e->n_subjects != 1 && e->n_subjects != count) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "%zu subjects for %u templates; send one for all or one each",
			 e->n_subjects, count);
		return;
	}
	if (e->n_sources > 1 && e->n_sources != count) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "%zu sources for %u templates; send none, one for all or one each",
			 e->n_sources, count);
		return;
	}
	job_probe(job, e->probe, job->gallery, 0, &job->probe, enrol_probed);
}
