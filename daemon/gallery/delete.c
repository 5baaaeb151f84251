/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletes. Preparing lets the rows die in the epoch to come, which no snapshot has yet; the commit
 * removes the records; publishing makes that epoch the present one.
 */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void set_died(struct gallery *gallery, uint32_t row, uint32_t epoch)
{
	uint32_t *died = (uint32_t *)gallery->rows.view.died;

	__atomic_store_n(&died[row], epoch, __ATOMIC_RELEASE);
}

static bool alive(const struct gallery *gallery, uint32_t row)
{
	return gallery->rows.view.died[row] == SEARCH_NEVER;
}

static int stage(struct gallery *gallery, struct gallery_request *request, uint32_t row)
{
	struct group *group = gallery->group;
	uint32_t subject = gallery->rows.view.subject[row];

	if (!request->dry_run && values_need(gallery, row))
		return gallery_fail(request, -EIO, "the store cannot be read");
	request->templates++;
	set_died(gallery, row, gallery->epoch + 1);
	subjects_count(&gallery->subjects, subject, -1);
	request->subjects_out += gallery->subjects.entry[subject].count == 0;
	group->staged[group->count++] =
		(struct staged){.request = request, .row = row, .subject = subject};
	return 0;
}

static void delete_take_back(struct gallery *gallery, uint32_t from)
{
	struct group *group = gallery->group;

	while (group->count > from) {
		struct staged *staged = &group->staged[--group->count];

		set_died(gallery, staged->row, SEARCH_NEVER);
		subjects_count(&gallery->subjects, staged->subject, 1);
	}
}

static int delete_check(struct gallery *gallery, struct gallery_request *request)
{
	(void)gallery;
	if (request->kind == GALLERY_DELETE_SUBJECT)
		return memchr(request->subject, '\0', sizeof(request->subject))
			       ? 0
			       : gallery_fail(request, -EINVAL, "the subject's name is too long");
	if (request->count < 1 || request->count > GALLERY_BATCH_MAX || !request->ids)
		return gallery_fail(request, -EINVAL, "a request deletes 1 to %u templates",
				    GALLERY_BATCH_MAX);
	return 0;
}

static int stage_templates(struct gallery *gallery, struct gallery_request *request)
{
	if (group_room(gallery, request->count, false))
		return gallery_fail(request, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < request->count; i++) {
		uint32_t row = rows_by_id(&gallery->rows, request->ids[i]);

		if (row != INDEX_NONE && alive(gallery, row) && stage(gallery, request, row))
			return request->error;
	}
	if (!request->templates)
		return gallery_fail(request, -ENOENT, "no template has id %" PRIu64 "%s",
				    request->ids[0], request->count > 1 ? " or the others" : "");
	return 0;
}

static int stage_subject(struct gallery *gallery, struct gallery_request *request)
{
	uint32_t subject = subjects_find(&gallery->subjects, request->subject);
	uint32_t row;

	if (subject == INDEX_NONE || !gallery->subjects.entry[subject].count)
		return gallery_fail(request, -ENOENT, "no such subject");
	if (group_room(gallery, gallery->subjects.entry[subject].count, false))
		return gallery_fail(request, -ENOMEM, "out of memory");
	row = gallery->subjects.entry[subject].head;
	for (; row != ROWS_NONE; row = gallery->rows.older[row])
		if (alive(gallery, row) && stage(gallery, request, row))
			return request->error;
	return 0;
}

static int delete_prepare(struct gallery *gallery, struct gallery_request *request,
			  struct store_answer *answer)
{
	uint32_t from = gallery->group->count;
	int err;

	request->templates = request->subjects_out = 0;
	if (request->kind == GALLERY_DELETE_SUBJECT)
		err = stage_subject(gallery, request);
	else
		err = stage_templates(gallery, request);
	if (err || request->dry_run)
		delete_take_back(gallery, from);
	answer->templates = request->templates;
	answer->subjects = request->subjects_out;
	return err;
}

static int delete_write(struct gallery *gallery)
{
	struct group *group = gallery->group;
	int err = 0;

	for (uint32_t i = 0; i < group->count && !err; i++)
		err = store_delete(&group->txn, gallery->rows.seq[group->staged[i].row]);
	return err;
}

static void delete_publish(struct gallery *gallery)
{
	struct group *group = gallery->group;

	changes_begin(&gallery->rows.changes);
	for (uint32_t i = 0; i < group->count; i++) {
		rows_drop_id(&gallery->rows, group->staged[i].row);
		reclaim_add(gallery, group->staged[i].row);
		changes_mark(&gallery->rows.changes, group->staged[i].row);
	}
	changes_end(&gallery->rows.changes);
	gallery->templates -= group->count;
}

const struct group_ops delete_ops = {
	.check = delete_check,
	.prepare = delete_prepare,
	.write = delete_write,
	.publish = delete_publish,
	.take_back = delete_take_back,
};
