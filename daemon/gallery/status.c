/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/internal.h"

#include <stdarg.h>
#include <string.h>

void gallery_set_state(struct gallery *gallery, enum gallery_state state, const char *format, ...)
{
	char text[GALLERY_TEXT];
	va_list arguments;
	bool same;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pthread_mutex_lock(&gallery->lock);
	same = gallery->status.state == state && !strcmp(gallery->status.text, text);
	gallery->status.state = state;
	memcpy(gallery->status.text, text, sizeof(text));
	pthread_mutex_unlock(&gallery->lock);
	if (!same && gallery->changed)
		gallery->changed(gallery, gallery->user);
}

enum gallery_state gallery_get_state(struct gallery *gallery)
{
	enum gallery_state state;

	pthread_mutex_lock(&gallery->lock);
	state = gallery->status.state;
	pthread_mutex_unlock(&gallery->lock);
	return state;
}

void gallery_set_percent(struct gallery *gallery, uint32_t percent)
{
	pthread_mutex_lock(&gallery->lock);
	gallery->status.percent = percent;
	pthread_mutex_unlock(&gallery->lock);
}

static uint64_t resident(const struct gallery *gallery)
{
	const struct rows *rows = &gallery->rows;
	uint64_t bytes =
		(rows->ids.size + gallery->subjects.names.size) * sizeof(struct index_slot);
	uint64_t row = search_padded_dim(rows->view.dim) + 3 * 8 + 5 * 4;

	row += rows->view.metric == SEARCH_L2 ? 8 : rows->view.metric == SEARCH_COSINE ? 4 : 0;
	bytes += rows->high * row - values_away_bytes(gallery);
	bytes += gallery->subjects.high * sizeof(struct subject) + gallery->subjects.arena_used;
	return bytes;
}

void gallery_count(struct gallery *gallery)
{
	uint64_t bytes = resident(gallery), disk = store_disk_bytes(gallery->store);

	pthread_mutex_lock(&gallery->lock);
	gallery->status.templates = gallery->templates;
	gallery->status.subjects = gallery->subjects.live;
	gallery->status.epoch = gallery->store->state.epoch;
	gallery->status.resident_bytes = bytes;
	gallery->status.disk_bytes = disk;
	pthread_mutex_unlock(&gallery->lock);
}

void gallery_status(const struct gallery *gallery, struct gallery_status *status)
{
	struct gallery *g = (struct gallery *)gallery; /* the lock is not part of what is const */

	pthread_mutex_lock(&g->lock);
	*status = g->status;
	pthread_mutex_unlock(&g->lock);
}

int gallery_fail(struct gallery_request *request, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(request->text, sizeof(request->text), format, arguments);
	va_end(arguments);
	request->error = error;
	return error;
}
