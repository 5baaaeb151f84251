/* SPDX-License-Identifier: Apache-2.0 */
/* export: a page of records with their vectors. */
#include <string.h>

#include "daemon/job/service.h"

#define PAGE_MAX 256 /* items and subjects lie in the frame */

static void export_cleanup(struct job *job)
{
	gallery_request_clear(&job->gr);
}

static int export_items(struct job *job, Facet__Wire__ExportReply *export)
{
	const struct gallery_request *gr = &job->gr;
	Facet__Wire__TemplateInfo *items = job_need(job, gr->record_count * sizeof(*items) + 1);

	if (!items)
		return -1;
	export->items = job_need(job, gr->record_count * sizeof(*export->items) + 1);
	if (!export->items)
		return -1;
	export->subjects = job_need(job, gr->record_count * sizeof(*export->subjects) + 1);
	if (!export->subjects)
		return -1;
	for (uint32_t i = 0; i < gr->record_count; i++) {
		facet__wire__template_info__init(&items[i]);
		items[i].id = gr->records[i].id;
		items[i].tags = gr->records[i].tags;
		items[i].epoch = gr->records[i].epoch;
		items[i].source = gr->records[i].source;
		export->items[i] = &items[i];
		export->subjects[i] = gr->records[i].subject;
	}
	export->n_items = export->n_subjects = gr->record_count;
	return 0;
}

static void exported(struct job *job)
{
	const struct gallery_request *gr = &job->gr;
	uint32_t dim = gallery_spec(job->gallery->gallery)->space.dim;
	Facet__Wire__ExportReply export = FACET__WIRE__EXPORT_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	struct job_out out = {.count = 0};

	if (export_items(job, &export) ||
	    job_put(job, &out, gr->vectors, (uint64_t)gr->record_count * dim * sizeof(float),
		    &export.vectors))
		return;
	export.count = gr->record_count;
	export.dim = dim;
	export.type = FACET__WIRE__TYPE__F32;
	export.cursor = gr->cursor;
	export.more = gr->more;
	reply.body_case = FACET__WIRE__REPLY__BODY_EXPORT;
	reply.export = &export;
	job_send(job, &out, &reply);
}

void handle_export(struct job *job)
{
	const Facet__Wire__Export *m = job->body;

	if (!gallery_spec(job->gallery->gallery)) {
		job_not_ready(job, job->gallery);
		return;
	}
	memset(&job->gr, 0, sizeof(job->gr));
	job->gr.kind = GALLERY_EXPORT;
	job->gr.cursor = m->cursor;
	job->gr.limit = m->limit && m->limit < PAGE_MAX ? m->limit : PAGE_MAX;
	job->cleanup = export_cleanup;
	job_gallery(job, exported);
}
