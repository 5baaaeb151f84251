/* SPDX-License-Identifier: Apache-2.0 */
/* enrol: photos or vectors into a gallery. */
#include "host/facetctl/photos.h"
#include "host/facetctl/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH	  16u /* crops of one call */
#define IN_FLIGHT 4u  /* calls */

enum { KEY_VECTORS = 0x100, KEY_LABELS };

struct input {
	struct ctl_input common;
	const char *gallery, *dir, *vectors, *labels;
	uint64_t tags;
	struct photo_options photo;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case KEY_VECTORS:
		in->vectors = arg;
		return 0;
	case KEY_LABELS:
		in->labels = arg;
		return 0;
	case 't':
		in->tags = ctl_count(state, "--tags", arg, 0, UINT64_MAX);
		return 0;
	case ARGP_KEY_ARG:
		if (!in->gallery)
			in->gallery = arg;
		else if (!in->dir)
			in->dir = arg;
		else
			return ARGP_ERR_UNKNOWN;
		return 0;
	default:
		return photo_option(&in->photo, key, arg, state);
	}
}

/* ---- photos --------------------------------------------------------------------------------- */
struct enrolment {
	struct ctl *ctl;
	struct input *in;
	const struct photos *photos;
	uint32_t crop_bytes, waiting;
	uint64_t enrolled;
	uint8_t *crops; /* [BATCH][crop_bytes] */
	const char *subjects[BATCH], *sources[BATCH];
	uint64_t tags[BATCH];
};

static int take(struct enrolment *e)
{
	struct facet_completion done = {.size = sizeof(done)};

	if (facet_wait(e->ctl->c, 0, &done) != 0)
		return ctl_failed(e->ctl, "enrol");
	if (done.result != 0)
		return ctl_error("enrol: %s", done.error.text);
	e->enrolled += (uintptr_t)done.user;
	return CTL_OK;
}

/* Sends what has gathered; waits while IN_FLIGHT calls are on their way. */
static int send_batch(struct enrolment *e)
{
	struct facet_probe probe = {.size = sizeof(probe),
				    .kind = FACET_TENSORS,
				    .type = FACET_U8,
				    .count = e->waiting,
				    .dim = e->crop_bytes,
				    .data = e->crops};
	struct facet_enrol_params params = {.size = sizeof(params),
					    .tags = e->tags,
					    .sources = e->sources,
					    .source_count = e->waiting};
	struct facet_call call = {
		.size = sizeof(call), .class_ = FACET_BATCH, .user = (void *)(uintptr_t)e->waiting};

	if (e->waiting == 0)
		return CTL_OK;
	while (facet_in_flight(e->ctl->c) >= IN_FLIGHT)
		if (take(e) != CTL_OK)
			return CTL_ERROR;
	if (facet_submit_enrol(e->ctl->c, e->in->gallery, &probe, e->subjects, e->waiting, &params,
			       NULL, NULL, &call, NULL) != 0)
		return ctl_failed(e->ctl, "enrol");
	e->waiting = 0;
	return CTL_OK;
}

static int on_face(void *context, uint32_t photo, const uint8_t *crop)
{
	struct enrolment *e = context;
	uint32_t i = e->waiting++;

	memcpy(e->crops + (size_t)i * e->crop_bytes, crop, e->crop_bytes);
	e->subjects[i] = e->photos->item[photo].subject;
	e->sources[i] = e->photos->item[photo].file;
	e->tags[i] = e->in->tags;
	return e->waiting == BATCH ? send_batch(e) : 0;
}

static int enrol_photos(struct ctl *ctl, struct input *in, const struct photos *photos,
			uint64_t *enrolled, uint32_t *refused)
{
	struct enrolment e = {.ctl = ctl, .in = in, .photos = photos};
	struct photo_finder finder;
	char model[65];
	uint32_t size;
	int status;

	if (photo_gallery_model(ctl, in->gallery, model) != CTL_OK)
		return CTL_ERROR;
	size = photo_crop_size(ctl, model);
	if (!size || photo_finder_open(ctl, &in->photo, &finder) != CTL_OK)
		return CTL_ERROR;
	e.crop_bytes = 3 * size * size;
	e.crops = malloc((size_t)BATCH * e.crop_bytes);
	status = e.crops ? CTL_OK : ctl_error("out of memory");
	if (status == CTL_OK)
		status = photo_finder_run(ctl, &finder, photos, size, "photos", on_face, &e,
					  refused);
	if (status == CTL_OK)
		status = send_batch(&e);
	while (status == CTL_OK && facet_in_flight(ctl->c))
		status = take(&e);
	*enrolled = e.enrolled;
	free(e.crops);
	photo_finder_close(&finder);
	return status;
}

static int photos_work(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct photos photos;
	struct json_object *row;
	uint64_t enrolled = 0;
	uint32_t refused = 0;
	int status;

	if (photos_list(in->dir, &photos) != CTL_OK)
		return CTL_ERROR;
	if (ctl->dry_run) {
		output_note(ctl->out, "%u photos of %u subjects would be enrolled", photos.count,
			    photos.folder_count - 1);
		photos_free(&photos);
		return CTL_OK;
	}
	status = enrol_photos(ctl, in, &photos, &enrolled, &refused);
	row = output_row_new();
	output_text(row, "gallery", in->gallery);
	output_count(row, "photos", photos.count);
	output_count(row, "enrolled", (int64_t)enrolled);
	output_count(row, "refused", refused);
	output_row(ctl->out, row);
	photos_free(&photos);
	return status == CTL_OK && enrolled == 0 ? ctl_error("nothing enrolled") : status;
}

/* ---- vectors -------------------------------------------------------------------------------- */
static int vectors_work(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct stream_file file;
	struct json_object *row;
	uint64_t done;
	int status;

	if (stream_open(in->vectors, in->labels, &file) != CTL_OK)
		return CTL_ERROR;
	status = stream_enrol(ctl, in->gallery, &file, &done);
	row = output_row_new();
	output_text(row, "gallery", in->gallery);
	output_count(row, "vectors", (int64_t)file.vectors.count);
	output_count(row, "enrolled", (int64_t)done);
	output_row(ctl->out, row);
	stream_close(&file);
	return status;
}

int cmd_enrol(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"vectors", KEY_VECTORS, "FILE", 0, "vectors (.npy, .fvecs) instead of photos", 0},
		{"labels", KEY_LABELS, "FILE", 0, "with --vectors: a subject a line", 0},
		{"tags", 't', "N", 0, "tag bits of the templates", 0},
		PHOTO_KEYS,
		{0},
	};
	static const struct argp argp = {options,
					 parse,
					 "GALLERY DIR",
					 "Enrol photos: DIR/SUBJECT/PHOTO. Durable when it "
					 "returns. A photo with several faces "
					 "is refused unless --face says which one.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.gallery || !in.dir == !in.vectors)
		return ctl_error("enrol wants GALLERY and DIR, or GALLERY and --vectors FILE");
	if (in.vectors && !in.labels)
		return ctl_error("--vectors wants --labels FILE, a subject a line");
	return ctl_run(ctl, true, in.vectors ? vectors_work : photos_work, &in);
}
