/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer thread: loads the gallery, then makes one commit of all that waits, again and again.
 * Enrolments and deletes do not share a commit, so requests keep the order in which they came.
 */
#include "daemon/gallery/internal.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define READ_ONLY_POLL_MS  250
#define PURGE_RETRY_S	   600
#define TEMPLATE_DISK(dim) (8 * (uint64_t)(dim) + 1024) /* at most, with tree pages rewritten */

static const struct group_ops *ops_of(const struct gallery_request *request)
{
	return request->kind == GALLERY_ENROL ? &enrol_ops : &delete_ops;
}

static void finish(struct gallery_request *request)
{
	request->next = NULL;
	request->done(request);
}

static int grow(void **array, uint32_t *room, uint32_t want, size_t bytes)
{
	void *more;

	if (want <= *room)
		return 0;
	want = want < 1024 ? 1024 : want + want / 4;
	more = realloc(*array, want * bytes);
	if (!more)
		return -ENOMEM;
	*array = more;
	*room = want;
	return 0;
}

int group_room(struct gallery *gallery, uint32_t more, bool vectors)
{
	struct group *group = gallery->group;
	uint32_t want = group->count + more;
	void *staged = group->staged, *x = group->x;
	int err = grow(&staged, &group->room, want, sizeof(*group->staged));

	group->staged = staged;
	if (!err && vectors)
		err = grow(&x, &group->x_room, want, gallery->spec.space.dim);
	group->x = x;
	return err;
}

/* ---- the disk ------------------------------------------------------------------------------ */
static bool disk_low(struct gallery *gallery, uint64_t bytes, uint64_t *free_bytes)
{
	struct statvfs vfs;

	if (statvfs(gallery->dir, &vfs))
		return false;
	*free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return *free_bytes < gallery->disk_reserve + bytes;
}

static void set_read_only(struct gallery *gallery, uint64_t free_bytes)
{
	gallery_set_state(gallery, GALLERY_READ_ONLY,
			  "the disk is low (%llu MiB free, %llu MiB kept in reserve): "
			  "make room, and enrolment goes on by itself",
			  (unsigned long long)(free_bytes >> 20),
			  (unsigned long long)(gallery->disk_reserve >> 20));
}

static bool may_write(struct gallery *gallery, uint64_t bytes)
{
	uint64_t free_bytes;

	if (gallery->broken)
		return false;
	if (disk_low(gallery, bytes, &free_bytes)) {
		set_read_only(gallery, free_bytes);
		return false;
	}
	if (gallery_get_state(gallery) == GALLERY_READ_ONLY)
		gallery_set_state(gallery, GALLERY_READY, "%s", "");
	return true;
}

/* ---- a group --------------------------------------------------------------------------------- */
/* Of all of a request but its vectors, which would cost more than writing them. */
static void digest(const struct gallery_request *request, uint8_t out[16])
{
	crypto_generichash_state state;
	uint32_t fixed[3] = {(uint32_t)request->kind, request->count, request->subject_count};

	crypto_generichash_init(&state, NULL, 0, 16);
	crypto_generichash_update(&state, (const uint8_t *)fixed, sizeof(fixed));
	if (request->kind != GALLERY_DELETE_SUBJECT)
		crypto_generichash_update(&state, (const uint8_t *)request->ids,
					  request->count * sizeof(*request->ids));
	else
		crypto_generichash_update(&state, (const uint8_t *)request->subject,
					  strnlen(request->subject, sizeof(request->subject)));
	for (uint32_t i = 0; request->kind == GALLERY_ENROL && i < request->subject_count; i++)
		crypto_generichash_update(&state, (const uint8_t *)request->subjects[i],
					  strlen(request->subjects[i]) + 1);
	if (request->kind == GALLERY_ENROL && request->tags)
		crypto_generichash_update(&state, (const uint8_t *)request->tags,
					  request->count * sizeof(*request->tags));
	crypto_generichash_final(&state, out, 16);
}

static void answer_again(struct gallery_request *request, const struct store_answer *answer)
{
	uint64_t run = 0, used = 0;

	for (uint32_t i = 0; request->kind == GALLERY_ENROL && i < request->count; i++) {
		if (request->ids[i] || run >= answer->run_count)
			continue;
		request->ids[i] = answer->runs[run].first + used++;
		if (used == answer->runs[run].count)
			run++, used = 0;
	}
	request->templates = answer->templates;
	request->subjects_out = answer->subjects;
	request->epoch = answer->epoch;
	request->replayed = true;
	request->error = 0;
}

/* True if the key is known: the request has its answer. */
static bool replay(struct gallery *gallery, struct gallery_request *request,
		   struct store_answer *answer)
{
	struct store_answer first = {0};
	int err;

	digest(request, answer->digest);
	err = store_key_get(&gallery->group->txn, request->key, &first);
	if (err == -ENOENT)
		return false;
	if (err)
		gallery_fail(request, err, "the table of idempotency keys: %s", strerror(-err));
	else if (memcmp(first.digest, answer->digest, sizeof(first.digest)))
		gallery_fail(request, -EINVAL,
			     "this idempotency key was used for another request: make a new one");
	else
		answer_again(request, &first);
	free(first.runs);
	return true;
}

static bool refuse(struct gallery *gallery, struct gallery_request *request)
{
	uint64_t bytes = request->count * TEMPLATE_DISK(gallery->spec.space.dim);
	struct gallery_status status;

	if (gallery->broken || (request->kind == GALLERY_ENROL && !may_write(gallery, bytes))) {
		gallery_status(gallery, &status);
		gallery_fail(request, gallery->broken ? -EIO : -EROFS, "%s", status.text);
		return true;
	}
	return false;
}

static void acknowledge_later(struct gallery *gallery, struct gallery_request *request)
{
	request->next = NULL;
	*gallery->unacknowledged_last = request;
	gallery->unacknowledged_last = &request->next;
}

/*
 * Without a part in the commit: refused, replayed or a dry run. That templates are gone is not said
 * before nobody sees them any more, whoever deleted them.
 */
static void finish_apart(struct gallery *gallery, struct gallery_request *request)
{
	bool gone = request->error == -ENOENT || request->replayed;

	if (!request->replayed)
		request->epoch = gallery->store->state.epoch;
	if (gone && request->kind != GALLERY_ENROL)
		acknowledge_later(gallery, request);
	else
		finish(request);
}

/*
 * The request joins the group, or is finished. False: it is neither, since what speaks against it
 * may be what the group is about to do; it is judged again when that is done, or has failed.
 */
static bool add(struct gallery *gallery, struct gallery_request *request)
{
	struct group *group = gallery->group;
	struct store_answer *answer = &group->answers[group->request_count];
	const struct group_ops *ops = ops_of(request);
	bool keyed = request->has_key && !request->dry_run;

	request->error = 0;
	request->text[0] = '\0';
	request->replayed = false;
	request->wiped = 0;
	memset(answer, 0, sizeof(*answer));
	if (ops->check(gallery, request) || (keyed && replay(gallery, request, answer)) ||
	    refuse(gallery, request) || ops->prepare(gallery, request, answer) ||
	    request->dry_run) {
		free(answer->runs);
		if ((request->error == -ENOENT || request->error == -EEXIST) &&
		    group->request_count)
			return false;
		finish_apart(gallery, request);
		return true;
	}
	request->epoch = answer->epoch = group->txn.state.epoch;
	group->requests[group->request_count++] = request;
	return true;
}

static bool joins(const struct group *group, const struct gallery_request *request,
		  const struct group_ops *ops)
{
	if (ops_of(request) != ops || request->kind == GALLERY_COMPACT ||
	    group->count >= GALLERY_GROUP_MAX || group->request_count == GALLERY_QUEUE_MAX)
		return false;
	for (uint32_t i = 0; request->has_key && i < group->request_count; i++)
		if (group->requests[i]->has_key &&
		    !memcmp(group->requests[i]->key, request->key, sizeof(request->key)))
			return false; /* it is a replay of what this group commits */
	return true;
}

static int write_keys(struct group *group)
{
	int err = 0;

	for (uint32_t i = 0; i < group->request_count && !err; i++)
		if (group->requests[i]->has_key)
			err = store_key_put(&group->txn, group->requests[i]->key,
					    &group->answers[i]);
	return err;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int commit(struct gallery *gallery)
{
	uint64_t start = now_ns();
	int err = store_commit(&gallery->group->txn);

	pthread_mutex_lock(&gallery->lock);
	gallery->status.commits += !err;
	gallery->status.fsync_ns += now_ns() - start;
	pthread_mutex_unlock(&gallery->lock);
	return err;
}

/* A full map is made larger and all is written again: nothing but the transaction was touched. */
static int write_group(struct gallery *gallery, const struct group_ops *ops)
{
	struct group *group = gallery->group;
	struct record_state state = group->txn.state;
	uint64_t bytes = group->count * TEMPLATE_DISK(gallery->spec.space.dim);
	int err = STORE_AGAIN;

	for (int tries = 0; err == STORE_AGAIN && tries < 8; tries++) {
		if (tries || store_tight(gallery->store, bytes)) {
			store_abort(&group->txn);
			err = store_grow(gallery->store, bytes);
			if (!err)
				err = store_begin(gallery->store, &group->txn);
			if (err)
				return err;
			group->txn.state = state;
		}
		err = ops->write(gallery);
		if (!err)
			err = write_keys(group);
		if (!err)
			err = commit(gallery);
	}
	return err;
}

static void group_failed(struct gallery *gallery, const struct group_ops *ops, int err)
{
	struct group *group = gallery->group;

	store_abort(&group->txn);
	ops->take_back(gallery, 0);
	if (err == -ENOSPC || err == -EDQUOT) {
		err = -ENOSPC;
		gallery_set_state(gallery, GALLERY_READ_ONLY,
				  "the disk is full: make room, and enrolment goes on by itself");
	} else if (err != -ENOMEM) {
		gallery->broken = true;
		gallery_set_state(gallery, GALLERY_READ_ONLY,
				  "a write failed (%s): check the disk and restart facetd",
				  strerror(-err));
		err = -EIO;
	}
	for (uint32_t i = 0; i < group->request_count; i++) {
		gallery_fail(group->requests[i], err, "not written: %s", strerror(-err));
		finish(group->requests[i]);
	}
}

static void group_done(struct gallery *gallery, const struct group_ops *ops)
{
	struct group *group = gallery->group;

	gallery->epoch++;
	ops->publish(gallery);
	snapshots_publish(&gallery->snapshots, gallery->epoch, gallery->rows.high);
	gallery_count(gallery);
	follow_tell(gallery);
	for (uint32_t i = 0; i < group->request_count; i++) {
		if (ops == &delete_ops)
			acknowledge_later(gallery, group->requests[i]);
		else
			finish(group->requests[i]);
	}
}

static void note_purge(struct gallery *gallery, struct record_state *state,
		       const struct group_ops *ops)
{
	if (ops == &delete_ops && !state->purge_due)
		state->purge_due = (uint64_t)time(NULL) + gallery->purge_seconds;
}

static void commit_group(struct gallery *gallery, const struct group_ops *ops)
{
	struct group *group = gallery->group;
	int err;

	if (!group->request_count) {
		store_abort(&group->txn);
		return;
	}
	note_purge(gallery, &group->txn.state, ops);
	err = write_group(gallery, ops);
	if (err)
		group_failed(gallery, ops, err);
	else
		group_done(gallery, ops);
	for (uint32_t i = 0; i < group->request_count; i++)
		free(group->answers[i].runs);
	if (group->count && ops == &enrol_ops)
		sodium_memzero(group->x, (size_t)group->count * gallery->spec.space.dim);
}

static struct gallery_request *run_group(struct gallery *gallery, struct gallery_request *list)
{
	const struct group_ops *ops = ops_of(list);
	struct group *group = gallery->group;
	int err;

	group->count = group->request_count = 0;
	epoch_rebase(gallery);
	err = store_begin(gallery->store, &group->txn);
	if (err) {
		struct gallery_request *next = list->next;

		gallery_fail(list, -EIO, "the store does not answer: %s", strerror(-err));
		finish(list);
		return next;
	}
	group->txn.state.epoch++;
	while (list && joins(group, list, ops)) {
		struct gallery_request *next = list->next;

		if (!add(gallery, list))
			break;
		list = next;
	}
	commit_group(gallery, ops);
	return list;
}

/* ---- deletes are acknowledged when nobody sees the rows any more, and they are wiped ------------ */
/* The epoch in memory in which a committed request took effect. */
static uint32_t memory_epoch(const struct gallery *gallery, const struct gallery_request *request)
{
	uint64_t since = gallery->store->state.epoch - request->epoch;

	return since > gallery->epoch ? 0 : (uint32_t)(gallery->epoch - since);
}

static void acknowledge(struct gallery *gallery, bool all)
{
	struct gallery_request *request = gallery->unacknowledged;

	while (request && (all || (!reclaim_pending(gallery, memory_epoch(gallery, request)) &&
				   follow_wiped(gallery, request)))) {
		gallery->unacknowledged = request->next;
		if (!gallery->unacknowledged)
			gallery->unacknowledged_last = &gallery->unacknowledged;
		finish(request);
		request = gallery->unacknowledged;
	}
}

/* ---- purge ----------------------------------------------------------------------------------- */
static int compact(struct gallery *gallery, char text[GALLERY_TEXT])
{
	struct store_txn txn;
	uint64_t free_bytes;
	int err;

	if (gallery->broken) {
		snprintf(text, GALLERY_TEXT, "an earlier write failed: restart facetd");
		return -EIO;
	}
	if (disk_low(gallery, store_disk_bytes(gallery->store), &free_bytes)) {
		snprintf(text, GALLERY_TEXT, "compaction wants %llu MiB free: make room",
			 (unsigned long long)(store_disk_bytes(gallery->store) >> 20));
		return -ENOSPC;
	}
	err = store_compact(gallery->store, text);
	if (!err)
		err = store_begin(gallery->store, &txn);
	if (!err) {
		txn.state.purge_due = 0;
		err = store_commit(&txn);
	}
	if (err == -EIO) {
		gallery->broken = true;
		gallery_set_state(gallery, GALLERY_READ_ONLY, "%s: restart facetd", text);
	}
	gallery_count(gallery);
	return err;
}

static void run_compact(struct gallery *gallery, struct gallery_request *request)
{
	request->text[0] = '\0';
	request->error = compact(gallery, request->text);
	finish(request);
}

static void purge_if_due(struct gallery *gallery)
{
	uint64_t due = gallery->store->state.purge_due;
	int64_t now = (int64_t)time(NULL);
	char text[GALLERY_TEXT];

	if (!due || (int64_t)due > now || gallery->purge_retry > now)
		return;
	if (compact(gallery, text))
		gallery->purge_retry = now + PURGE_RETRY_S;
}

static int timeout_ms(struct gallery *gallery)
{
	uint64_t due = gallery->store->state.purge_due;
	int64_t now = (int64_t)time(NULL), at = (int64_t)due;

	if (gallery_get_state(gallery) == GALLERY_READ_ONLY && !gallery->broken)
		return READ_ONLY_POLL_MS;
	if (!due)
		return -1;
	if (at < gallery->purge_retry)
		at = gallery->purge_retry;
	if (at <= now)
		return 1;
	return at - now > 3600 ? 3600 * 1000 : (int)(at - now) * 1000;
}

static void serve(struct gallery *gallery, struct gallery_request *list)
{
	while (list) {
		struct gallery_request *next = list->next;

		if (list->kind == GALLERY_COMPACT) {
			run_compact(gallery, list);
			list = next;
		} else {
			list = run_group(gallery, list);
		}
		reclaim_run(gallery);
		acknowledge(gallery, false);
	}
}

static void loop(struct gallery *gallery)
{
	bool stopped = false, more = false;

	while (!stopped) {
		int timeout = more ? 0 : timeout_ms(gallery);
		struct gallery_request *list = queue_take(&gallery->writes, timeout, &stopped);

		serve(gallery, list);
		reclaim_run(gallery);
		acknowledge(gallery, false);
		more = values_run(gallery);
		if (gallery_get_state(gallery) == GALLERY_READ_ONLY)
			may_write(gallery, 0);
		purge_if_due(gallery);
	}
	acknowledge(gallery, true);
}

static void refuse_all(struct gallery *gallery)
{
	bool stopped = false;

	while (!stopped) {
		struct gallery_request *list = queue_take(&gallery->writes, -1, &stopped);

		while (list) {
			struct gallery_request *next = list->next;

			gallery_fail(list, -EIO, "the gallery failed to load");
			finish(list);
			list = next;
		}
	}
}

void *gallery_writer(void *argument)
{
	struct gallery *gallery = argument;

	cpu_float_mode();
	if (gallery_load(gallery))
		refuse_all(gallery);
	else
		loop(gallery);
	return NULL;
}
