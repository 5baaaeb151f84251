/* SPDX-License-Identifier: Apache-2.0 */
/* Galleries as things: made, opened, closed, removed; requests handed to their threads. */
#include "daemon/gallery/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESERVE_DEFAULT ((uint64_t)256 << 20)
#define PURGE_DEFAULT	86400u

static int set_config(struct gallery *gallery, const struct gallery_config *config)
{
	gallery->disk_reserve = config->disk_reserve ? config->disk_reserve : RESERVE_DEFAULT;
	gallery->purge_seconds = config->purge_seconds ? config->purge_seconds : PURGE_DEFAULT;
	gallery->keyed = config->key != NULL;
	if (config->key)
		memcpy(gallery->key, config->key, sizeof(gallery->key));
	gallery->changed = config->changed;
	gallery->user = config->user;
	gallery->checker = strdup(config->checker);
	gallery->dir = gallery_path(config->root, gallery->name);
	return gallery->checker && gallery->dir ? 0 : -ENOMEM;
}

static void free_gallery(struct gallery *gallery)
{
	if (gallery->shaped)
		rows_free(&gallery->rows);
	if (gallery->loaded)
		subjects_free(&gallery->subjects);
	values_free(gallery);
	store_close(gallery->store);
	if (gallery->group) {
		free(gallery->group->staged);
		free(gallery->group->x);
		free(gallery->group);
	}
	if (gallery->dir_fd >= 0)
		close(gallery->dir_fd);
	snapshots_free(&gallery->snapshots);
	queue_free(&gallery->writes);
	queue_free(&gallery->reads);
	pthread_mutex_destroy(&gallery->lock);
	sodium_memzero(gallery->key, sizeof(gallery->key));
	free(gallery->checker);
	free(gallery->dir);
	free(gallery);
}

static struct gallery *new_gallery(const char *name)
{
	struct gallery *gallery = calloc(1, sizeof(*gallery));

	if (!gallery)
		return NULL;
	strcpy(gallery->name, name);
	gallery->dir_fd = -1;
	gallery->cpu = cpu_kernels_get(NULL);
	gallery->dying.first = gallery->wiped.first = gallery->resting.first = ROWS_NONE;
	gallery->unacknowledged_last = &gallery->unacknowledged;
	gallery->copied = UINT64_MAX;
	gallery->values.order = 1;
	gallery->values.here = 1;
	pthread_mutex_init(&gallery->lock, NULL);
	queue_init(&gallery->writes);
	queue_init(&gallery->reads);
	snapshots_init(&gallery->snapshots);
	return gallery;
}

static int start(struct gallery *gallery)
{
	int err;

	gallery->dir_fd = open(gallery->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (gallery->dir_fd < 0)
		return -errno;
	gallery->group = calloc(1, sizeof(*gallery->group));
	if (!gallery->group || !gallery->cpu)
		return -ENOMEM;
	err = pthread_create(&gallery->writer, NULL, gallery_writer, gallery);
	if (err)
		return -err;
	err = pthread_create(&gallery->reader, NULL, gallery_reader, gallery);
	if (err) {
		__atomic_store_n(&gallery->stopping, true, __ATOMIC_RELAXED);
		queue_stop(&gallery->writes);
		pthread_join(gallery->writer, NULL);
	}
	return -err;
}

int gallery_open(const struct gallery_config *config, const char *name, struct gallery **out)
{
	struct gallery *gallery;
	int err;

	if (!gallery_name_ok(name))
		return -EINVAL;
	if (sodium_init() < 0)
		return -EIO;
	gallery = new_gallery(name);
	if (!gallery)
		return -ENOMEM;
	err = set_config(gallery, config);
	*out = gallery; /* a callback may come before start() returns */
	if (!err)
		err = start(gallery);
	if (err) {
		*out = NULL;
		free_gallery(gallery);
	}
	return err;
}

void gallery_close(struct gallery *gallery)
{
	if (!gallery)
		return;
	pthread_mutex_lock(&gallery->lock);
	__atomic_store_n(&gallery->stopping, true, __ATOMIC_RELAXED);
	if (gallery->checker_pid)
		kill(gallery->checker_pid, SIGKILL);
	pthread_mutex_unlock(&gallery->lock);
	queue_stop(&gallery->writes);
	queue_stop(&gallery->reads);
	pthread_join(gallery->writer, NULL);
	pthread_join(gallery->reader, NULL);
	assert(!gallery->snapshots.count);
	free_gallery(gallery);
}

const char *gallery_name(const struct gallery *gallery)
{
	return gallery->name;
}

const struct gallery_spec *gallery_spec(const struct gallery *gallery)
{
	return __atomic_load_n(&gallery->spec_known, __ATOMIC_ACQUIRE) ? &gallery->spec : NULL;
}

static int usable(struct gallery *gallery)
{
	enum gallery_state state = gallery_get_state(gallery);

	if (state == GALLERY_FAILED)
		return -EIO;
	return state == GALLERY_READY || state == GALLERY_READ_ONLY ? 0 : -EAGAIN;
}

int gallery_snapshot(struct gallery *gallery, struct gallery_snapshot *snapshot)
{
	int err = usable(gallery);

	if (err)
		return err;
	snapshot->rows = &gallery->rows.view;
	err = snapshots_hold(&gallery->snapshots, &snapshot->epoch, &snapshot->row_count,
			     &snapshot->generation);
	/* Epochs do not begin again while a snapshot is held. */
	if (!err)
		snapshot->era = __atomic_load_n(&gallery->snapshots.era, __ATOMIC_RELAXED);
	return err;
}

void gallery_release(struct gallery *gallery, struct gallery_snapshot *snapshot)
{
	bool oldest = snapshots_release(&gallery->snapshots, snapshot->generation);

	snapshot->rows = NULL;
	if (oldest && __atomic_load_n(&gallery->reclaim_wanted, __ATOMIC_SEQ_CST))
		queue_nudge(&gallery->writes);
}

int gallery_submit(struct gallery *gallery, struct gallery_request *request)
{
	int err = usable(gallery);

	if (err)
		return err;
	switch (request->kind) {
	case GALLERY_SUBJECTS:
	case GALLERY_SUBJECT:
	case GALLERY_EXPORT:
	case GALLERY_RERANK:
	case GALLERY_VERIFY:
		return queue_put(&gallery->reads, request);
	default:
		return queue_put(&gallery->writes, request);
	}
}

void gallery_request_clear(struct gallery_request *request)
{
	if (request->vectors)
		sodium_memzero(request->vectors, request->vector_bytes);
	free(request->records);
	free(request->subject_templates);
	free(request->vectors);
	request->records = NULL;
	request->subject_templates = NULL;
	request->vectors = NULL;
	request->vector_bytes = 0;
	request->record_count = 0;
}
