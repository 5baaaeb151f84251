/* SPDX-License-Identifier: Apache-2.0 */
/* The reader thread: pages of records and subjects, and re-rank by the originals. */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct gallery_request *request)
{
	return gallery_fail(request, -ENOMEM, "out of memory");
}

static int begin_page(struct gallery_request *request)
{
	uint32_t limit = request->limit;

	if (limit < 1 || limit > GALLERY_PAGE_MAX)
		return gallery_fail(request, -EINVAL, "a page has 1 to %u entries",
				    GALLERY_PAGE_MAX);
	request->records = calloc(limit, sizeof(*request->records));
	return request->records ? 0 : no_memory(request);
}

static void set_record(struct gallery_record *to, const struct record *from)
{
	to->id = from->id;
	to->tags = from->tags;
	to->epoch = from->epoch;
	memcpy(to->subject, from->subject, from->subject_bytes);
	memcpy(to->source, from->source, from->source_bytes);
}

static int bad_store(struct gallery_request *request, int err)
{
	return gallery_fail(request, -EIO, "reading the store: %s", strerror(-err));
}

static int export_records(struct gallery *gallery, struct gallery_request *request,
			  struct store_view *view)
{
	uint32_t dim = gallery->spec.space.dim;
	uint64_t seq = request->cursor;
	struct record record;
	int err;

	for (; !(err = store_get(view, &seq, true, &record)); seq++) {
		uint32_t n = request->record_count;

		if (n == request->limit) {
			request->more = true;
			break;
		}
		set_record(&request->records[n], &record);
		err = store_original(view, seq, &record, request->vectors + (size_t)n * dim);
		if (err)
			break;
		request->record_count++;
	}
	request->cursor = seq;
	return err && err != -ENOENT ? bad_store(request, err) : 0;
}

static int export_page(struct gallery *gallery, struct gallery_request *request,
		       struct store_view *view)
{
	int err = begin_page(request);

	if (err)
		return err;
	request->vector_bytes = (size_t)request->limit * gallery->spec.space.dim * sizeof(float);
	request->vectors = calloc(1, request->vector_bytes);
	if (!request->vectors) {
		request->vector_bytes = 0;
		return no_memory(request);
	}
	return export_records(gallery, request, view);
}

static void copy_subjects(struct gallery *gallery, struct gallery_request *request)
{
	struct subjects *subjects = &gallery->subjects;
	uint64_t i = request->cursor;

	pthread_mutex_lock(&subjects->lock);
	for (; i < subjects->high; i++) {
		uint32_t n = request->record_count;

		if (!subjects->entry[i].count)
			continue;
		if (n == request->limit) {
			request->more = true;
			break;
		}
		strcpy(request->records[n].subject, subjects_name(subjects, (uint32_t)i));
		request->subject_templates[n] = subjects->entry[i].count;
		request->record_count++;
	}
	pthread_mutex_unlock(&subjects->lock);
	request->cursor = i;
}

static int subjects_page(struct gallery *gallery, struct gallery_request *request,
			 struct store_view *view)
{
	int err = begin_page(request);

	(void)view;
	if (err)
		return err;
	request->subject_templates = calloc(request->limit, sizeof(*request->subject_templates));
	if (!request->subject_templates)
		return no_memory(request);
	copy_subjects(gallery, request);
	return 0;
}

/* The cursor counts the subject's templates, the newest first. */
static int subject_records(struct gallery *gallery, struct gallery_request *request,
			   struct store_view *view, uint32_t row,
			   const struct gallery_snapshot *snapshot)
{
	uint64_t skip = request->cursor;

	for (; row != ROWS_NONE;
	     row = __atomic_load_n(&gallery->rows.older[row], __ATOMIC_ACQUIRE)) {
		uint64_t seq = __atomic_load_n(&gallery->rows.seq[row], __ATOMIC_RELAXED);
		struct record record;
		int err;

		if (!rows_visible(&gallery->rows, row, snapshot->epoch, snapshot->row_count))
			continue;
		if (skip) {
			skip--;
			continue;
		}
		if (request->record_count == request->limit) {
			request->more = true;
			break;
		}
		err = store_get(view, &seq, false, &record);
		/* Deleted a moment ago: absent, or seq is by now the link of a list. */
		if (!err && record.id != gallery->rows.view.id[row])
			err = -ENOENT;
		if (err && err != -ENOENT)
			return bad_store(request, err);
		request->cursor++;
		if (!err)
			set_record(&request->records[request->record_count++], &record);
	}
	return request->record_count || request->cursor
		       ? 0
		       : gallery_fail(request, -ENOENT, "no such subject");
}

static int subject_page(struct gallery *gallery, struct gallery_request *request,
			struct store_view *view)
{
	struct gallery_snapshot snapshot;
	uint32_t subject, row = ROWS_NONE;
	int err = begin_page(request);

	if (!err && !memchr(request->subject, '\0', sizeof(request->subject)))
		err = gallery_fail(request, -EINVAL, "the subject's name is too long");
	if (err)
		return err;
	err = gallery_snapshot(gallery, &snapshot);
	if (err)
		return gallery_fail(request, err, "%s", strerror(-err));
	pthread_mutex_lock(&gallery->subjects.lock);
	subject = subjects_find(&gallery->subjects, request->subject);
	if (subject != INDEX_NONE)
		row = gallery->subjects.entry[subject].head;
	pthread_mutex_unlock(&gallery->subjects.lock);
	err = subject_records(gallery, request, view, row, &snapshot);
	gallery_release(gallery, &snapshot);
	return err;
}

static int verify(struct gallery *gallery, struct gallery_request *request, struct store_view *view)
{
	int err;

	if (!request->query || !request->snapshot || !request->hits ||
	    !memchr(request->subject, '\0', sizeof(request->subject)))
		return gallery_fail(request, -EINVAL, "a verify needs a probe and a subject");
	err = verify_rows(gallery, view, request->snapshot, request->subject, request->query,
			  request->hits);
	if (err == -ENOENT)
		return gallery_fail(request, err, "no such subject in the gallery; enrol it first");
	return err ? bad_store(request, err) : 0;
}

typedef int request_serve(struct gallery *gallery, struct gallery_request *request,
			  struct store_view *view);

static request_serve *const serve[] = {
	[GALLERY_SUBJECTS] = subjects_page, [GALLERY_SUBJECT] = subject_page,
	[GALLERY_EXPORT] = export_page,	    [GALLERY_RERANK] = gallery_rerank,
	[GALLERY_VERIFY] = verify,
};

/* While the snapshot is held no delete of what the view shows is acknowledged. */
static void run(struct gallery *gallery, struct gallery_request *request, struct store_view *view)
{
	struct gallery_snapshot snapshot;
	int err, held;

	request->error = 0;
	request->text[0] = '\0';
	request->more = false;
	request->record_count = 0;
	held = gallery_snapshot(gallery, &snapshot);
	err = held ? held : store_view_begin(gallery->store, view);
	if (held) {
		gallery_fail(request, held, "%s", strerror(-held));
	} else if (err) {
		bad_store(request, err);
	} else {
		serve[request->kind](gallery, request, view);
		store_view_end(view);
	}
	request->next = NULL;
	request->done(request);
	if (!held)
		gallery_release(gallery, &snapshot);
}

void *gallery_reader(void *argument)
{
	struct gallery *gallery = argument;
	struct store_view *view = malloc(sizeof(*view));
	bool stopped = false;

	cpu_float_mode();
	while (!stopped) {
		struct gallery_request *list = queue_take(&gallery->reads, -1, &stopped);

		while (list) {
			struct gallery_request *next = list->next;

			if (view) {
				run(gallery, list, view);
			} else {
				no_memory(list);
				list->done(list);
			}
			list = next;
		}
	}
	free(view);
	return NULL;
}
