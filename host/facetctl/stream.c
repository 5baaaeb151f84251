/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct slot {
	bool busy;
	uint64_t first;
	uint32_t count;
	uint8_t key[FACET_KEY_BYTES];
	struct facet_enrolled enrolled;
};

struct stream {
	struct ctl *ctl;
	const char *gallery;
	const struct vectors *vectors;
	const char *const *labels;
	void *rows; /* one chunk; the library copies it on submission */
	struct slot slot[STREAM_IN_FLIGHT];
	uint64_t next, done;
};

static int submit(struct stream *s, struct slot *slot)
{
	struct facet_probe probe = {.size = sizeof(probe),
				    .type = s->vectors->is_s8 ? FACET_S8 : FACET_F32,
				    .count = slot->count,
				    .dim = s->vectors->dim,
				    .data = s->rows};
	struct facet_enrol_params params = {.size = sizeof(params), .key = slot->key};
	struct facet_call call = {.size = sizeof(call), .class_ = FACET_BATCH, .user = slot};

	vectors_copy(s->vectors, slot->first, slot->count, s->rows);
	slot->enrolled = (struct facet_enrolled){.size = sizeof(slot->enrolled)};
	if (facet_submit_enrol(s->ctl->c, s->gallery, &probe, s->labels + slot->first, slot->count,
			       &params, NULL, &slot->enrolled, &call, NULL) != 0)
		return ctl_failed(s->ctl, "enrol");
	slot->busy = true;
	return CTL_OK;
}

static int fill(struct stream *s)
{
	for (unsigned int i = 0; i < STREAM_IN_FLIGHT && s->next < s->vectors->count; i++) {
		struct slot *slot = &s->slot[i];
		uint64_t left = s->vectors->count - s->next;

		if (slot->busy)
			continue;
		slot->first = s->next;
		slot->count = left < STREAM_CHUNK ? (uint32_t)left : STREAM_CHUNK;
		if (getrandom(slot->key, sizeof(slot->key), 0) != sizeof(slot->key))
			return ctl_error("no random numbers");
		if (submit(s, slot) != CTL_OK)
			return CTL_ERROR;
		s->next += slot->count;
	}
	return CTL_OK;
}

static int take(struct stream *s)
{
	struct facet_completion done = {.size = sizeof(done)};
	struct slot *slot;

	if (facet_wait(s->ctl->c, 0, &done) != 0)
		return ctl_failed(s->ctl, "enrol");
	slot = done.user;
	slot->busy = false;
	if (done.result == 0) {
		s->done += slot->count;
		return CTL_OK;
	}
	if (done.error.retryable && !ctl_interrupted()) {
		uint32_t ms = done.error.retry_after_ms ? done.error.retry_after_ms : 50;

		nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
		return submit(s, slot);
	}
	return ctl_error("enrol: vectors %" PRIu64 " to %" PRIu64 ": %s", slot->first,
			 slot->first + slot->count - 1, done.error.text);
}

int stream_open(const char *vectors, const char *labels, struct stream_file *file)
{
	char text[256];

	if (vectors_open(vectors, &file->vectors, text, sizeof(text)) != 0)
		return ctl_error("%s", text);
	if (labels_read(labels, file->vectors.count, &file->block, &file->labels, text,
			sizeof(text)) == 0)
		return CTL_OK;
	vectors_close(&file->vectors);
	return ctl_error("%s", text);
}

void stream_close(struct stream_file *file)
{
	free(file->labels);
	free(file->block);
	vectors_close(&file->vectors);
}

int stream_enrol(struct ctl *ctl, const char *gallery, const struct stream_file *file,
		 uint64_t *done)
{
	const struct vectors *vectors = &file->vectors;
	struct stream s = {
		.ctl = ctl, .gallery = gallery, .vectors = vectors, .labels = file->labels};
	int status = CTL_OK;

	*done = 0;
	if (ctl->dry_run)
		return CTL_OK;
	s.rows = malloc((size_t)STREAM_CHUNK * vectors->dim * 4);
	if (!s.rows)
		return ctl_error("out of memory");
	while (status == CTL_OK && s.done < vectors->count) {
		if (!ctl_interrupted())
			status = fill(&s);
		else if (facet_in_flight(ctl->c) == 0)
			status = ctl_error("interrupted");
		if (status == CTL_OK && facet_in_flight(ctl->c))
			status = take(&s);
		output_progress(ctl->out, "enrolled", s.done, vectors->count);
	}
	*done = s.done;
	free(s.rows);
	return status;
}
