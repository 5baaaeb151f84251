/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects and templates: list, show, delete. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/job/service.h"

#define PAGE_MAX 256 /* records of a page: they lie in the frame */

static void subject_cleanup(struct job *job)
{
	gallery_request_clear(&job->gr);
}

static void subject_request(struct job *job, enum gallery_kind kind, job_step step)
{
	job->gr.kind = kind;
	job->cleanup = subject_cleanup;
	job_gallery(job, step);
}

static int subject_name(struct job *job, const char *subject)
{
	size_t n = strlen(subject);

	if (!n || n > GALLERY_SUBJECT_MAX)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"a subject of %zu bytes; they have 1 to %d", n,
				GALLERY_SUBJECT_MAX);
	memcpy(job->gr.subject, subject, n + 1);
	return 0;
}

static int subject_key(struct job *job, const ProtobufCBinaryData *key)
{
	if (key->len && key->len != GALLERY_KEY_BYTES)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"an idempotency key of %zu bytes; send %d or none", key->len,
				GALLERY_KEY_BYTES);
	job->gr.has_key = key->len > 0;
	if (key->len)
		memcpy(job->gr.key, key->data, GALLERY_KEY_BYTES);
	return 0;
}

/* ---- list ------------------------------------------------------------------------------------ */
static void subjects_listed(struct job *job)
{
	const struct gallery_request *gr = &job->gr;
	Facet__Wire__SubjectListReply list = FACET__WIRE__SUBJECT_LIST_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__SubjectInfo *infos = job_need(job, gr->record_count * sizeof(*infos) + 1);

	if (!infos)
		return;
	list.subjects = job_need(job, gr->record_count * sizeof(*list.subjects) + 1);
	if (!list.subjects)
		return;
	for (uint32_t i = 0; i < gr->record_count; i++) {
		facet__wire__subject_info__init(&infos[i]);
		infos[i].subject = gr->records[i].subject;
		infos[i].templates = gr->subject_templates ? gr->subject_templates[i] : 0;
		list.subjects[i] = &infos[i];
	}
	list.n_subjects = gr->record_count;
	list.cursor = gr->cursor;
	list.more = gr->more;
	reply.body_case = FACET__WIRE__REPLY__BODY_SUBJECT_LIST;
	reply.subject_list = &list;
	job_reply(job, &reply, NULL, 0);
}

void handle_subject_list(struct job *job)
{
	const Facet__Wire__SubjectList *m = job->body;

	memset(&job->gr, 0, sizeof(job->gr));
	job->gr.cursor = m->cursor;
	job->gr.limit = m->limit && m->limit < PAGE_MAX ? m->limit : PAGE_MAX;
	subject_request(job, GALLERY_SUBJECTS, subjects_listed);
}

/* ---- show ------------------------------------------------------------------------------------ */
/* Pages are read to the end for the count; the first one's templates are shown. */
struct subject_pages {
	Facet__Wire__TemplateInfo *items[PAGE_MAX];
	size_t shown;
	uint32_t templates;
};

static Facet__Wire__TemplateInfo *template_item(struct job *job,
						const struct gallery_record *record)
{
	Facet__Wire__TemplateInfo *item = job_need(job, sizeof(*item) + sizeof(record->source));

	if (!item)
		return NULL;
	facet__wire__template_info__init(item);
	item->id = record->id;
	item->tags = record->tags;
	item->epoch = record->epoch;
	item->source = memcpy(item + 1, record->source, sizeof(record->source));
	return item;
}

static void subject_reply(struct job *job, struct subject_pages *pages)
{
	const Facet__Wire__SubjectShow *m = job->body;
	Facet__Wire__SubjectInfo info = FACET__WIRE__SUBJECT_INFO__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	info.items = pages->items;
	info.n_items = pages->shown;
	info.subject = m->subject;
	info.templates = pages->templates;
	reply.body_case = FACET__WIRE__REPLY__BODY_SUBJECT_SHOW;
	reply.subject_show = &info;
	job_reply(job, &reply, NULL, 0);
}

static void subject_shown(struct job *job)
{
	struct subject_pages *pages = job->user;
	struct gallery_request *gr = &job->gr;
	uint64_t cursor = gr->cursor;

	for (uint32_t i = 0; i < gr->record_count && pages->shown < PAGE_MAX; i++) {
		Facet__Wire__TemplateInfo *item = template_item(job, &gr->records[i]);

		if (!item)
			return;
		pages->items[pages->shown++] = item;
	}
	pages->templates += gr->record_count;
	if (!gr->more) {
		subject_reply(job, pages);
		return;
	}
	gallery_request_clear(gr);
	gr->cursor = cursor;
	gr->record_count = 0;
	gr->more = false;
	job_gallery(job, subject_shown);
}

void handle_subject_show(struct job *job)
{
	const Facet__Wire__SubjectShow *m = job->body;
	struct subject_pages *pages = job_need(job, sizeof(*pages));

	if (!pages)
		return;
	memset(&job->gr, 0, sizeof(job->gr));
	if (subject_name(job, m->subject))
		return;
	memset(pages, 0, sizeof(*pages));
	job->user = pages;
	job->gr.limit = PAGE_MAX;
	subject_request(job, GALLERY_SUBJECT, subject_shown);
}

/* ---- deletes ----------------------------------------------------------------------------------- */
static void deleted(struct job *job)
{
	Facet__Wire__DeleteReply done = FACET__WIRE__DELETE_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	done.templates = job->gr.templates;
	done.subjects = job->gr.subjects_out;
	done.epoch = job->gr.epoch;
	done.replayed = job->gr.replayed;
	reply.body_case = FACET__WIRE__REPLY__BODY_DELETED;
	reply.deleted = &done;
	job_reply(job, &reply, NULL, 0);
}

void handle_subject_delete(struct job *job)
{
	const Facet__Wire__SubjectDelete *m = job->body;

	memset(&job->gr, 0, sizeof(job->gr));
	if (subject_name(job, m->subject) || subject_key(job, &m->key))
		return;
	job->gr.dry_run = m->dry_run;
	subject_request(job, GALLERY_DELETE_SUBJECT, deleted);
}

void handle_template_delete(struct job *job)
{
	const Facet__Wire__TemplateDelete *m = job->body;

	memset(&job->gr, 0, sizeof(job->gr));
	if (subject_key(job, &m->key))
		return;
	if (!m->n_ids) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT, "no ids; name the templates");
		return;
	}
	job->gr.ids = m->ids;
	job->gr.count = (uint32_t)m->n_ids;
	job->gr.dry_run = m->dry_run;
	subject_request(job, GALLERY_DELETE_TEMPLATES, deleted);
}
