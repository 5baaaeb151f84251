/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment. Preparing does all that can fail but the disk: it checks the request, quantizes, and
 * fills rows that no search counts yet. After the commit they only need to be born.
 */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD 8 /* templates whose slot of the id table is fetched ahead */

static const char *subject_of(const struct gallery_request *request, uint32_t i)
{
	return request->subjects[request->subject_count == 1 ? 0 : i];
}

static const char *source_of(const struct gallery_request *request, uint32_t i)
{
	if (!request->source_count)
		return "";
	return request->sources[request->source_count == 1 ? 0 : i];
}

static int check_texts(struct gallery_request *request)
{
	for (uint32_t i = 0; i < request->subject_count; i++)
		if (!record_text_ok(request->subjects[i], GALLERY_SUBJECT_MAX, false))
			return gallery_fail(request, -EINVAL,
					    "subject %" PRIu32 " is not 1 to %d bytes of UTF-8 "
					    "without control characters",
					    i, GALLERY_SUBJECT_MAX);
	for (uint32_t i = 0; i < request->source_count; i++)
		if (!record_text_ok(request->sources[i], GALLERY_SOURCE_MAX, true))
			return gallery_fail(request, -EINVAL,
					    "source %" PRIu32 " is not at most %d bytes of UTF-8 "
					    "without control characters",
					    i, GALLERY_SOURCE_MAX);
	return 0;
}

static int enrol_check(struct gallery *gallery, struct gallery_request *request)
{
	uint32_t n = request->count;

	if (n < 1 || n > GALLERY_BATCH_MAX)
		return gallery_fail(request, -EINVAL, "a request enrols 1 to %u templates",
				    GALLERY_BATCH_MAX);
	if (!request->f32 == !request->s8 || !request->ids || !request->subjects)
		return gallery_fail(request, -EINVAL,
				    "vectors of one kind, ids and subjects are needed");
	if (request->subject_count != 1 && request->subject_count != n)
		return gallery_fail(request, -EINVAL, "give one subject, or one a template");
	if (request->source_count &&
	    (!request->sources || (request->source_count != 1 && request->source_count != n)))
		return gallery_fail(request, -EINVAL, "give no source, one, or one a template");
	if (request->f32 && gallery->spec.space.metric == SEARCH_DOT)
		return gallery_fail(request, -EINVAL,
				    "a gallery of metric dot takes int8 vectors: a float "
				    "vector's step has no place in its score");
	return check_texts(request);
}

/* The number of a template that came without one: the next one that is not in use. */
static uint64_t next_id(struct gallery *gallery, struct record_state *state)
{
	while (rows_by_id(&gallery->rows, state->next_id) != INDEX_NONE)
		state->next_id++;
	return state->next_id++;
}

static int quantize(struct gallery *gallery, struct gallery_request *request, uint32_t i, int8_t *x,
		    float *step)
{
	uint32_t dim = gallery->spec.space.dim;
	bool zero = true;

	if (request->f32) {
		if (!gallery->cpu->quantize_row(request->f32 + (size_t)i * dim, dim, x, step))
			return 0;
		return gallery_fail(request, -EINVAL,
				    "vector %" PRIu32 " is zero or holds a NaN or an infinity", i);
	}
	*step = 1.0f;
	memcpy(x, request->s8 + (size_t)i * dim, dim);
	for (uint32_t d = 0; d < dim; d++)
		zero = zero && !x[d];
	return zero ? gallery_fail(request, -EINVAL, "vector %" PRIu32 " is zero", i) : 0;
}

static int choose_id(struct gallery *gallery, struct gallery_request *request, uint32_t i,
		     uint64_t *id)
{
	*id = request->ids[i];
	if (*id > GALLERY_ID_MAX)
		return gallery_fail(request, -EINVAL, "template id %" PRIu64 " is over 2^63 - 1",
				    *id);
	if (!*id)
		*id = next_id(gallery, &gallery->group->txn.state);
	else if (rows_by_id(&gallery->rows, *id) != INDEX_NONE)
		return gallery_fail(request, -EEXIST,
				    "template id %" PRIu64 " exists already: choose another, or "
				    "delete it first",
				    *id);
	return 0;
}

/* One template into the next staged entry and a row of its own. */
static int stage(struct gallery *gallery, struct gallery_request *request, uint32_t i)
{
	struct group *group = gallery->group;
	struct staged *staged = &group->staged[group->count];
	int8_t *x = group->x + (size_t)group->count * gallery->spec.space.dim;
	struct rows_entry entry = {.x = x, .tags = request->tags ? request->tags[i] : 0};
	uint32_t row;

	if (choose_id(gallery, request, i, &entry.id) ||
	    quantize(gallery, request, i, x, &entry.step))
		return request->error;
	if (request->subject_count == 1 && i > 0)
		entry.subject = staged[-1].subject;
	else
		entry.subject = subjects_get(&gallery->subjects, subject_of(request, i));
	entry.seq = group->txn.state.next_seq + group->count;
	row = rows_take(&gallery->rows);
	if (values_need(gallery, row)) {
		rows_give(&gallery->rows, row);
		subjects_drop_empty(&gallery->subjects, entry.subject);
		return gallery_fail(request, -EIO, "the store cannot be read");
	}
	if (rows_fill(&gallery->rows, row, &entry)) {
		rows_wipe(&gallery->rows, row);
		rows_give(&gallery->rows, row);
		subjects_drop_empty(&gallery->subjects, entry.subject);
		return gallery_fail(request, -EINVAL, "vector %" PRIu32 " is too large", i);
	}
	rows_add_id(&gallery->rows, row);
	subjects_count(&gallery->subjects, entry.subject, 1);
	*staged = (struct staged){request, i, row, entry.subject, entry.step, entry.id};
	group->count++;
	return 0;
}

static void enrol_take_back(struct gallery *gallery, uint32_t from)
{
	struct group *group = gallery->group;

	while (group->count > from) {
		struct staged *staged = &group->staged[--group->count];

		rows_drop_id(&gallery->rows, staged->row);
		rows_wipe(&gallery->rows, staged->row);
		rows_give(&gallery->rows, staged->row);
		subjects_count(&gallery->subjects, staged->subject, -1);
		subjects_drop_empty(&gallery->subjects, staged->subject);
	}
}

/* The numbers given out, as runs, so that a replay can give them again. */
static int note_runs(struct gallery *gallery, struct gallery_request *request, uint32_t from,
		     struct store_answer *answer)
{
	const struct staged *staged = gallery->group->staged + from;
	struct store_run *run = NULL;

	answer->runs = calloc(request->count, sizeof(*answer->runs));
	if (!answer->runs)
		return gallery_fail(request, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < request->count; i++) {
		if (request->ids[i])
			continue;
		if (run && run->first + run->count == staged[i].id) {
			run->count++;
			continue;
		}
		run = &answer->runs[answer->run_count++];
		*run = (struct store_run){staged[i].id, 1};
	}
	return 0;
}

static int enrol_prepare(struct gallery *gallery, struct gallery_request *request,
			 struct store_answer *answer)
{
	uint32_t from = gallery->group->count;
	uint64_t next = gallery->group->txn.state.next_id;
	int err = 0;

	if (request->limited && request->count > request->room)
		return gallery_fail(request, -EDQUOT, "no room for more templates");
	if (rows_room(&gallery->rows, request->count) ||
	    subjects_room(&gallery->subjects, request->subject_count) ||
	    group_room(gallery, request->count, true))
		return gallery_fail(request, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < request->count && !err; i++) {
		if (i + AHEAD < request->count && request->ids[i + AHEAD])
			rows_prefetch_id(&gallery->rows, request->ids[i + AHEAD]);
		err = stage(gallery, request, i);
	}
	if (!err && request->has_key)
		err = note_runs(gallery, request, from, answer);
	if (err) {
		enrol_take_back(gallery, from);
		gallery->group->txn.state.next_id = next;
		return err;
	}
	answer->templates = request->templates = request->count;
	return 0;
}

static int enrol_write(struct gallery *gallery)
{
	struct group *group = gallery->group;
	struct store_txn *txn = &group->txn;
	uint32_t dim = gallery->spec.space.dim;
	bool originals = !gallery->spec.keep_int8_only;
	int err = 0;

	for (uint32_t i = 0; i < group->count && !err; i++) {
		const struct staged *staged = &group->staged[i];
		const struct gallery_request *request = staged->request;
		const char *subject = subject_of(request, staged->index);
		const char *source = source_of(request, staged->index);
		struct record record = {
			.id = staged->id,
			.tags = request->tags ? request->tags[staged->index] : 0,
			.epoch = txn->state.epoch,
			.step = staged->step,
			.dim = dim,
			.subject = subject,
			.subject_bytes = (uint32_t)strlen(subject),
			.source = source,
			.source_bytes = (uint32_t)strlen(source),
			.x = group->x + (size_t)i * dim,
		};
		const float *original = NULL;

		if (originals && request->f32)
			original = request->f32 + (size_t)staged->index * dim;
		err = store_put(txn, txn->state.next_seq + i, &record, original);
	}
	if (!err)
		txn->state.next_seq += group->count;
	return err;
}

static void enrol_publish(struct gallery *gallery)
{
	struct group *group = gallery->group;
	uint32_t *born = (uint32_t *)gallery->rows.view.born;

	changes_begin(&gallery->rows.changes);
	for (uint32_t i = 0; i < group->count; i++) {
		const struct staged *staged = &group->staged[i];

		staged->request->ids[staged->index] = staged->id;
		subjects_link(&gallery->subjects, &gallery->rows, staged->row);
		__atomic_store_n(&born[staged->row], gallery->epoch, __ATOMIC_RELEASE);
		changes_mark(&gallery->rows.changes, staged->row);
	}
	changes_end(&gallery->rows.changes);
	gallery->templates += group->count;
}

const struct group_ops enrol_ops = {
	.check = enrol_check,
	.prepare = enrol_prepare,
	.write = enrol_write,
	.publish = enrol_publish,
	.take_back = enrol_take_back,
};
