/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Photos on their way through the networks. A photo holds a slot from its decoding to its result:
 * first its detector job, then one landmark job for all its faces. While jobs are out, the next
 * photos are decoded; results come in the order in which the engine finishes.
 */
#include "host/face/align.h"
#include "host/face/boxes.h"
#include "host/face/image.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 256u
#define FACES_MAX     1024u
#define ANCHORS_MAX   (1u << 20)

struct facet_face_pipeline {
	struct facet_face_engine engine;
	char *detector, *landmark;
	struct facet_face_network detect, marks; /* as described by the engine */
	uint32_t scores, boxes;			 /* which of the detector's outputs */
	struct facet_face_options options;
};

struct slot {
	bool busy;
	uint32_t photo;
	int (*advance)(struct facet_face_pipeline *p, struct slot *slot,
		       const struct facet_face_done *done);
	struct facet_face_image image;
	struct facet_face_set set;
	uint8_t *input; /* of the job that is out */
	int status;
	char text[FACET_FACE_TEXT];
};

/* ---- one photo ----------------------------------------------------------------------------------- */

static int no_memory(struct slot *slot)
{
	return face_fail(slot->text, -ENOMEM, "out of memory");
}

static int
submit(struct facet_face_pipeline *p, struct slot *slot, const char *model, uint32_t count,
       int (*advance)(struct facet_face_pipeline *, struct slot *, const struct facet_face_done *))
{
	slot->advance = advance;
	return p->engine.submit(p->engine.context, model, slot->input, count, slot, slot->text);
}

/* The whole pixels of a face's box, at least one. */
static struct facet_face_box pixels_of(const struct facet_face *face)
{
	struct facet_face_box box = {(int32_t)floorf(face->left), (int32_t)floorf(face->top),
				     (int32_t)floorf(face->right + 0.5f),
				     (int32_t)floorf(face->bottom + 0.5f)};

	box.right = box.right > box.left ? box.right : box.left + 1;
	box.bottom = box.bottom > box.top ? box.bottom : box.top + 1;
	return box;
}

static bool good_enough(const struct facet_face_pipeline *p, const struct facet_face *face)
{
	return face->quality >= p->options.min_quality;
}

static int place_landmarks(struct facet_face *face, const float *values)
{
	struct facet_face_box box = pixels_of(face);
	float width = (float)(box.right - box.left), height = (float)(box.bottom - box.top);

	for (uint32_t i = 0; i < FACET_FACE_LANDMARKS; i++) {
		float x = values[2 * i], y = values[2 * i + 1];

		if (!(x >= -4 && x <= 5 && y >= -4 && y <= 5))
			return -EINVAL;
		face->landmark[i].x = (float)box.left + x * width;
		face->landmark[i].y = (float)box.top + y * height;
	}
	face_points_from_landmarks(face);
	return 0;
}

static int finish_landmarks(struct facet_face_pipeline *p, struct slot *slot,
			    const struct facet_face_done *done)
{
	struct facet_face_set *set = &slot->set;
	uint32_t count = set->count;

	set->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct facet_face *face = &set->face[i];
		int r = place_landmarks(face, done->output[0] + (size_t)i * p->marks.floats[0]);

		if (r == 0)
			r = face_quality_measure(&slot->image, face);
		if (r == -ENOMEM)
			return no_memory(slot);
		if (r == 0 && good_enough(p, face))
			set->face[set->count++] = *face;
		else
			set->refused++;
	}
	return 0;
}

static int start_landmarks(struct facet_face_pipeline *p, struct slot *slot)
{
	const struct facet_face_network *net = &p->marks;
	size_t bytes = (size_t)net->width * net->height * net->channels;

	free(slot->input);
	slot->input = malloc(bytes * slot->set.count);
	if (!slot->input)
		return no_memory(slot);
	for (uint32_t i = 0; i < slot->set.count; i++) {
		int r = facet_face_image_resize(&slot->image, pixels_of(&slot->set.face[i]),
						net->width, net->height, net->channels,
						slot->input + i * bytes);
		if (r < 0)
			return face_fail(slot->text, r, "cannot cut a face out of the photo");
	}
	return submit(p, slot, p->landmark, slot->set.count, finish_landmarks);
}

static void take_faces(struct facet_face_pipeline *p, struct slot *slot,
		       const struct face_found *found, uint32_t count)
{
	float width = (float)slot->image.width, height = (float)slot->image.height;

	for (uint32_t i = 0; i < count; i++) {
		struct facet_face face = {.left = found[i].left * width,
					  .top = found[i].top * height,
					  .right = found[i].right * width,
					  .bottom = found[i].bottom * height,
					  .score = found[i].score > 1 ? 1 : found[i].score};
		float side = fminf(face.right - face.left, face.bottom - face.top);

		if (side < (float)p->options.min_side)
			slot->set.refused++;
		else
			slot->set.face[slot->set.count++] = face;
	}
}

/* Returns 1 if a job is out, 0 if the photo is finished. */
static int finish_detector(struct facet_face_pipeline *p, struct slot *slot,
			   const struct facet_face_done *done)
{
	uint32_t anchors = p->detect.floats[p->scores] / 2;
	struct face_found *found = malloc(p->options.max_faces * sizeof(*found));
	int r;

	slot->set.face = calloc(p->options.max_faces, sizeof(*slot->set.face));
	if (!found || !slot->set.face) {
		r = no_memory(slot);
		goto out;
	}
	r = face_boxes_pick(done->output[p->scores], done->output[p->boxes], anchors,
			    p->options.min_score, p->options.max_overlap, found,
			    p->options.max_faces);
	if (r < 0) {
		no_memory(slot);
		goto out;
	}
	take_faces(p, slot, found, (uint32_t)r);
	r = slot->set.count ? start_landmarks(p, slot) : 0;
	if (r == 0 && slot->set.count)
		r = 1;
out:
	free(found);
	return r;
}

static int start_detector(struct facet_face_pipeline *p, struct slot *slot)
{
	const struct facet_face_network *net = &p->detect;
	struct facet_face_box whole = {0, 0, (int32_t)slot->image.width,
				       (int32_t)slot->image.height};
	int r;

	if (!slot->image.rgb)
		return face_fail(slot->text, -EINVAL, "there is no image");
	slot->input = malloc((size_t)net->width * net->height * net->channels);
	if (!slot->input)
		return no_memory(slot);
	r = facet_face_image_resize(&slot->image, whole, net->width, net->height, net->channels,
				    slot->input);
	if (r < 0)
		return face_fail(slot->text, r, "cannot resize the photo");
	return submit(p, slot, p->detector, 1, finish_detector);
}

/* ---- all of them --------------------------------------------------------------------------------- */

struct run {
	struct facet_face_pipeline *pipeline;
	const struct facet_face_batch *batch;
	struct slot *slots;
	uint32_t busy, next, count;
	int stopped; /* why no more photos are begun */
};

static void close_slot(struct run *run, struct slot *slot)
{
	int r;

	if (slot->status < 0)
		facet_face_set_free(&slot->set);
	free(slot->input);
	slot->input = NULL;
	slot->busy = false;
	run->busy--;
	r = run->batch->found(run->batch->context, slot->photo, slot->status, &slot->image,
			      &slot->set, slot->status < 0 ? slot->text : "");
	facet_face_image_free(&slot->image);
	if (r < 0 && !run->stopped)
		run->stopped = r;
}

static struct slot *open_slot(struct run *run)
{
	struct slot *slot = run->slots;

	while (slot->busy)
		slot++;
	*slot = (struct slot){.busy = true, .photo = run->next++};
	run->busy++;
	return slot;
}

static void begin_photo(struct run *run)
{
	struct slot *slot = open_slot(run);

	slot->status =
		run->batch->image(run->batch->context, slot->photo, &slot->image, slot->text);
	if (slot->status == 0)
		slot->status = start_detector(run->pipeline, slot);
	if (slot->status < 0)
		close_slot(run, slot);
}

static void abandon_all(struct run *run, int error)
{
	run->stopped = error;
	for (uint32_t i = 0; i < run->pipeline->options.in_flight; i++) {
		struct slot *slot = &run->slots[i];

		if (!slot->busy)
			continue;
		slot->status = face_fail(slot->text, error, "the connection was lost");
		close_slot(run, slot);
	}
}

static void advance_photo(struct run *run)
{
	struct facet_face_engine *engine = &run->pipeline->engine;
	struct facet_face_done done = {0};
	struct slot *slot;
	int r = engine->next(engine->context, &done);

	if (r < 0) {
		abandon_all(run, r);
		return;
	}
	slot = done.tag;
	if (done.status < 0)
		r = face_fail(slot->text, done.status, "%s", done.text);
	else
		r = slot->advance(run->pipeline, slot, &done);
	if (r > 0)
		return;
	slot->status = r;
	close_slot(run, slot);
}

int facet_face_run(struct facet_face_pipeline *p, uint32_t count,
		   const struct facet_face_batch *batch)
{
	struct run run = {.pipeline = p, .batch = batch, .count = count};

	run.slots = calloc(p->options.in_flight, sizeof(*run.slots));
	if (!run.slots)
		return -ENOMEM;
	while (run.busy || (run.next < count && !run.stopped)) {
		if (run.next < count && !run.stopped && run.busy < p->options.in_flight)
			begin_photo(&run);
		else
			advance_photo(&run);
	}
	free(run.slots);
	return run.stopped;
}

struct single {
	const struct facet_face_image *image;
	struct facet_face_set *set;
	char *text;
	int status;
};

static int give_single(void *context, uint32_t i, struct facet_face_image *image,
		       char text[FACET_FACE_TEXT])
{
	struct single *single = context;

	(void)i;
	(void)text;
	*image = *single->image;
	return 0;
}

static int take_single(void *context, uint32_t i, int status, struct facet_face_image *image,
		       struct facet_face_set *set, const char *text)
{
	struct single *single = context;

	(void)i;
	*image = (struct facet_face_image){0}; /* it is the caller's */
	*single->set = *set;
	single->status = status;
	if (status < 0)
		face_fail(single->text, status, "%s", text);
	return 0;
}

int facet_face_find(struct facet_face_pipeline *p, const struct facet_face_image *image,
		    struct facet_face_set *set, char text[FACET_FACE_TEXT])
{
	struct single single = {.image = image, .set = set, .text = text};
	struct facet_face_batch batch = {&single, give_single, take_single};
	int r;

	*set = (struct facet_face_set){0};
	r = facet_face_run(p, 1, &batch);
	if (r == -ENOMEM && single.status == 0)
		face_fail(text, r, "out of memory");
	return single.status < 0 ? single.status : r;
}

/* ---- making one ---------------------------------------------------------------------------------- */

static bool input_fits(const struct facet_face_network *net, uint32_t channels)
{
	return net->width >= 8 && net->width <= 4096 && net->height >= 8 && net->height <= 4096 &&
	       net->channels == channels;
}

/* Finds [anchors][2] and [anchors][4] among the outputs. */
static int check_detector(struct facet_face_pipeline *p, char text[FACET_FACE_TEXT])
{
	const struct facet_face_network *net = &p->detect;
	int scores = -1, boxes = -1;

	for (uint32_t i = 0; i < net->outputs; i++) {
		if (net->columns[i] == 2)
			scores = (int)i;
		if (net->columns[i] == 4)
			boxes = (int)i;
	}
	if (!input_fits(net, 3) || scores < 0 || boxes < 0 ||
	    net->floats[scores] / 2 != net->floats[boxes] / 4 || net->floats[scores] % 2 ||
	    net->floats[boxes] % 4 || net->floats[scores] / 2 > ANCHORS_MAX)
		return face_fail(text, -EINVAL,
				 "model %s is no face detector: it needs an RGB input and outputs "
				 "[anchors][2] and [anchors][4]",
				 p->detector);
	p->scores = (uint32_t)scores;
	p->boxes = (uint32_t)boxes;
	return 0;
}

static int check_landmark(struct facet_face_pipeline *p, char text[FACET_FACE_TEXT])
{
	const struct facet_face_network *net = &p->marks;

	if (!(input_fits(net, 1) || input_fits(net, 3)) || net->outputs != 1 ||
	    net->floats[0] != 2 * FACET_FACE_LANDMARKS)
		return face_fail(text, -EINVAL,
				 "model %s is no landmark network: it needs an image as input and "
				 "%u outputs",
				 p->landmark, 2 * FACET_FACE_LANDMARKS);
	return 0;
}

static void set_options(struct facet_face_options *to, const struct facet_face_options *from)
{
	if (from)
		memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
	to->min_score = to->min_score > 0 ? to->min_score : 0.6f;
	to->max_overlap = to->max_overlap > 0 ? to->max_overlap : 0.4f;
	to->min_side = to->min_side ? to->min_side : 16;
	to->max_faces = to->max_faces ? to->max_faces : 64;
	to->max_faces = to->max_faces < FACES_MAX ? to->max_faces : FACES_MAX;
	to->in_flight = to->in_flight ? to->in_flight : 8;
	to->in_flight = to->in_flight < IN_FLIGHT_MAX ? to->in_flight : IN_FLIGHT_MAX;
}

int facet_face_pipeline_create(const struct facet_face_engine *engine,
			       const struct facet_face_options *options,
			       struct facet_face_pipeline **pipeline, char text[FACET_FACE_TEXT])
{
	struct facet_face_pipeline *p = calloc(1, sizeof(*p));
	int r;

	*pipeline = NULL;
	if (!p)
		return face_fail(text, -ENOMEM, "out of memory");
	set_options(&p->options, options);
	p->detector = strdup(p->options.detector ? p->options.detector : "detect");
	p->landmark = strdup(p->options.landmark ? p->options.landmark : "landmark");
	r = p->detector && p->landmark ? 0 : face_fail(text, -ENOMEM, "out of memory");
	if (r == 0)
		r = engine->describe(engine->context, p->detector, &p->detect, text);
	if (r == 0)
		r = check_detector(p, text);
	if (r == 0)
		r = engine->describe(engine->context, p->landmark, &p->marks, text);
	if (r == 0)
		r = check_landmark(p, text);
	if (r < 0) {
		facet_face_pipeline_free(p); /* its engine is not set: that stays the caller's */
		return r;
	}
	p->engine = *engine;
	*pipeline = p;
	return 0;
}

void facet_face_pipeline_free(struct facet_face_pipeline *p)
{
	if (!p)
		return;
	if (p->engine.close)
		p->engine.close(p->engine.context);
	free(p->detector);
	free(p->landmark);
	free(p);
}
