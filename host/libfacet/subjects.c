/* SPDX-License-Identifier: Apache-2.0 */
/* What a gallery holds: subjects, their templates, and all records for export. */
#include "host/libfacet/client.h"

static bool subjects_fill(struct facet_subjects *subjects, Facet__Wire__SubjectInfo *const *from,
			  size_t count)
{
	struct facet_subject *to = client_result_add(subjects, count, sizeof(*to));

	subjects->count = (uint32_t)count;
	subjects->items = to;
	for (size_t i = 0; to && i < count; i++) {
		to[i].subject = client_result_text(subjects, from[i]->subject);
		to[i].templates = from[i]->templates;
		to[i].item_count = (uint32_t)from[i]->n_items;
		if (!to[i].subject ||
		    !client_templates_get(subjects, from[i]->items, from[i]->n_items, &to[i].items))
			return false;
	}
	return to != NULL;
}

static int subjects_finish(struct client_call *call, Facet__Wire__SubjectInfo *const *from,
			   size_t count, uint64_t cursor, bool more)
{
	struct facet_subjects *subjects = client_result_new(sizeof(*subjects));

	if (!subjects || !subjects_fill(subjects, from, count)) {
		facet_free(subjects);
		return client_no_memory(call);
	}
	subjects->cursor = cursor;
	subjects->more = more;
	*(struct facet_subjects **)call->out[0] = subjects;
	return 0;
}

/* out subjects */
static int finish_list(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	const Facet__Wire__SubjectListReply *body = reply->body->subject_list;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_SUBJECT_LIST)
		return client_nonsense(call);
	return subjects_finish(call, body->subjects, body->n_subjects, body->cursor, body->more);
}

int facet_subject_list(struct facet *c, const char *gallery, uint64_t cursor, uint32_t limit,
		       struct facet_subjects **subjects)
{
	Facet__Wire__SubjectList list = FACET__WIRE__SUBJECT_LIST__INIT;
	struct client_request r;

	*subjects = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_SUBJECT_LIST);
	r.wire.subject_list = &list;
	list.gallery = (char *)gallery;
	list.cursor = cursor;
	list.limit = limit;
	r.finish = finish_list;
	r.out[0] = subjects;
	return client_call(c, &r);
}

static int finish_show(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_SUBJECT_SHOW)
		return client_nonsense(call);
	return subjects_finish(call, &reply->body->subject_show, 1, 0, false);
}

int facet_subject_show(struct facet *c, const char *gallery, const char *subject,
		       struct facet_subjects **subjects)
{
	Facet__Wire__SubjectShow show = FACET__WIRE__SUBJECT_SHOW__INIT;
	struct client_request r;

	*subjects = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_SUBJECT_SHOW);
	r.wire.subject_show = &show;
	show.gallery = (char *)gallery;
	show.subject = (char *)subject;
	r.finish = finish_show;
	r.out[0] = subjects;
	return client_call(c, &r);
}

/* ---- export --------------------------------------------------------------------------------------- */
static int page_fill(struct client_call *call, const struct client_reply *reply,
		     struct facet_page *page)
{
	const Facet__Wire__ExportReply *body = reply->body->export;
	uint64_t bytes =
		(uint64_t)body->count * body->dim * (body->type == FACET__WIRE__TYPE__F32 ? 4 : 1);
	void *vectors;

	if (body->n_items != body->count || body->n_subjects != body->count || body->dim > 65536 ||
	    (body->type != FACET__WIRE__TYPE__F32 && body->type != FACET__WIRE__TYPE__S8))
		return client_nonsense(call);
	vectors = client_result_add(page, bytes, 1);
	if (!vectors || !client_templates_get(page, body->items, body->n_items, &page->items) ||
	    !client_texts_get(page, body->subjects, body->n_subjects, &page->subjects))
		return client_no_memory(call);
	page->count = body->count;
	page->dim = body->dim;
	page->type = (enum facet_type)body->type;
	page->vectors = vectors;
	page->cursor = body->cursor;
	page->more = body->more;
	return client_bulk_copy(call, reply, body->vectors, vectors, bytes);
}

/* out page */
static int finish_export(struct facet *c, struct client_call *call,
			 const struct client_reply *reply)
{
	struct facet_page *page;
	int err;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_EXPORT)
		return client_nonsense(call);
	page = client_result_new(sizeof(*page));
	err = page ? page_fill(call, reply, page) : client_no_memory(call);
	if (err)
		facet_free(page);
	else
		*(struct facet_page **)call->out[0] = page;
	return err;
}

int facet_export(struct facet *c, const char *gallery, uint64_t cursor, uint32_t limit,
		 struct facet_page **page)
{
	Facet__Wire__Export ask = FACET__WIRE__EXPORT__INIT;
	struct client_request r;

	*page = NULL;
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_EXPORT);
	r.wire.export = &ask;
	ask.gallery = (char *)gallery;
	ask.cursor = cursor;
	ask.limit = limit;
	r.finish = finish_export;
	r.out[0] = page;
	return client_call(c, &r);
}
