/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes, the choice of a face, and the pipeline over an engine whose networks are played here. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/face/boxes.h"
#include "host/libfacet/facet.h"
#include "tests/face/make.h"
#include "tests/suite.h"

static char text[FACET_FACE_TEXT];

/* ---- suppression against its definition ---------------------------------------------------------- */

static double extent(const float *a, const float *b, int i)
{
	return fmin(a[i + 2], b[i + 2]) - fmax(a[i], b[i]);
}

static double iou(const float *a, const float *b)
{
	double w = extent(a, b, 0), h = extent(a, b, 1), both = w > 0 && h > 0 ? w * h : 0;

	return both /
	       (extent(a, a, 0) * extent(a, a, 1) + extent(b, b, 0) * extent(b, b, 1) - both);
}

/* Says for each anchor whether it is kept: the best one left, again and again. */
static uint32_t brute(const float *scores, const float *boxes, uint32_t n, float min_score,
		      float most, uint32_t *kept)
{
	char *out = calloc(n, 1);
	uint32_t count = 0;

	for (;;) {
		uint32_t best = n;

		for (uint32_t i = 0; i < n; i++)
			if (!out[i] && scores[2 * i + 1] >= min_score &&
			    (best == n || scores[2 * i + 1] > scores[2 * best + 1]))
				best = i;
		if (best == n)
			break;
		kept[count++] = best;
		for (uint32_t i = 0; i < n; i++)
			if (i == best || iou(boxes + 4 * best, boxes + 4 * i) > most)
				out[i] = 1;
	}
	free(out);
	return count;
}

START_TEST(suppression)
{
	uint64_t seed = 500 + (uint64_t)_i;

	for (int round = 0; round < 40; round++) {
		uint32_t n = 1 + (uint32_t)(make_random(&seed) % 300), want[300];
		float scores[600], boxes[1200];
		struct face_found got[300];
		uint32_t count;
		int r;

		for (uint32_t i = 0; i < n; i++) {
			float x = (float)(make_random(&seed) % 100) / 100,
			      y = (float)(make_random(&seed) % 100) / 100;

			scores[2 * i + 1] = (float)(make_random(&seed) % 50) / 50; /* with ties */
			scores[2 * i] = 1 - scores[2 * i + 1];
			boxes[4 * i] = x - 0.1f;
			boxes[4 * i + 1] = y - 0.1f;
			boxes[4 * i + 2] = x + 0.05f + (float)(make_random(&seed) % 100) / 400;
			boxes[4 * i + 3] = y + 0.05f + (float)(make_random(&seed) % 100) / 400;
		}
		count = brute(scores, boxes, n, 0.3f, 0.4f, want);
		r = face_boxes_pick(scores, boxes, n, 0.3f, 0.4f, got, 300);
		ck_assert_int_eq(r, count);
		for (uint32_t i = 0; i < count; i++) {
			ck_assert_uint_eq(got[i].anchor, want[i]);
			ck_assert_mem_eq(&got[i].left, boxes + 4 * want[i], 16);
		}
		r = face_boxes_pick(scores, boxes, n, 0.3f, 0.4f, got, 2);
		ck_assert_int_eq(r, count < 2 ? count : 2);
	}
}
END_TEST

START_TEST(nonsense_anchors)
{
	static const float boxes[] = {0,    0,	  NAN,	1,    0.5f, 0,	  0.5f, 1,   0.6f,     0,
				      0.5f, 1,	  -2,	0,    1,    1,	  0,	0,   INFINITY, 1,
				      0.1f, 0.1f, 0.2f, 0.2f, 0.5f, 0.5f, 0.6f, 0.6f};
	static const float scores[] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, NAN, 0, 0.9f};
	struct face_found got[7];

	ck_assert_int_eq(face_boxes_pick(scores, boxes, 7, 0.5f, 0.4f, got, 7), 1);
	ck_assert_uint_eq(got[0].anchor, 6);
	ck_assert_int_eq(face_boxes_pick(scores, boxes, 0, 0.5f, 0.4f, got, 7), 0);
}
END_TEST

START_TEST(choice)
{
	struct facet_face faces[3] = {{.left = 0, .top = 0, .right = 30, .bottom = 30},
				      {.left = 40, .top = 40, .right = 62, .bottom = 60},
				      {.left = 60, .top = 0, .right = 95, .bottom = 30}};
	struct facet_face_image image = {NULL, 100, 100};
	struct facet_face_set set = {faces, 3, 0};

	ck_assert_int_eq(facet_face_choose(&set, &image, FACET_FACE_ONLY), -E2BIG);
	ck_assert_int_eq(facet_face_choose(&set, &image, FACET_FACE_LARGEST), 2);
	ck_assert_int_eq(facet_face_choose(&set, &image, FACET_FACE_CENTRE), 1);
	ck_assert_int_eq(facet_face_choose(&set, &image, (enum facet_face_choice)9), -EINVAL);
	set.count = 1;
	ck_assert_int_eq(facet_face_choose(&set, &image, FACET_FACE_ONLY), 0);
	set.count = 0;
	ck_assert_int_eq(facet_face_choose(&set, &image, FACET_FACE_LARGEST), -ENOENT);
}
END_TEST

/* ---- an engine ----------------------------------------------------------------------------------- */

#define ANCHORS 50u
#define WIDTH	200u
#define HEIGHT	100u

/* Photo i is of one grey, (i, i, i), and has i % 4 faces, at known places. */
struct job {
	void *tag;
	uint32_t photo, count;
	bool landmarks;
};

struct engine {
	struct facet_face_network detect, landmark;
	struct job jobs[512];
	uint32_t count, most;
	uint64_t seed;
	uint32_t fail_photo, refuse_photo, poison_photo, lose_after; /* 0: never */
	uint32_t done, closed, bound;				     /* of faces, if not 0 */
	float *output[2];
};

static const struct facet_face_network detector = {32,	  24, 3, 2, {4 * ANCHORS, 2 * ANCHORS},
						   {4, 2}};
static const struct facet_face_network marks = {16, 16, 1, 1, {136}, {136}};

static int describe(void *context, const char *model, struct facet_face_network *network, char *why)
{
	struct engine *e = context;

	if (!strcmp(model, "none")) {
		snprintf(why, FACET_FACE_TEXT, "there is no such model");
		return -ENOENT;
	}
	*network = !strcmp(model, "landmark") ? e->landmark : e->detect;
	return 0;
}

static int submit(void *context, const char *model, const uint8_t *input, uint32_t count, void *tag,
		  char *why)
{
	struct engine *e = context;
	bool landmarks = !strcmp(model, "landmark");
	uint32_t photo = input[0];

	ck_assert_uint_eq(count, !landmarks			    ? 1
				 : e->bound && e->bound < photo % 4 ? e->bound
								    : photo % 4);
	if (e->refuse_photo && photo == e->refuse_photo) {
		snprintf(why, FACET_FACE_TEXT, "refused");
		return -EAGAIN;
	}
	ck_assert_uint_lt(e->count, 512);
	e->jobs[e->count++] = (struct job){tag, photo, count, landmarks};
	e->most = e->count > e->most ? e->count : e->most;
	return 0;
}

static void place(uint32_t photo, uint32_t face, float box[4])
{
	box[0] = 0.1f + 0.3f * (float)face;
	box[1] = 0.1f + 0.001f * (float)photo;
	box[2] = box[0] + 0.2f;
	box[3] = box[1] + 0.5f;
}

static float mark(uint32_t face, uint32_t value)
{
	return (float)((value * 7 + face * 13) % 100) / 100;
}

static void play(struct engine *e, const struct job *job)
{
	for (int i = 0; i < 2; i++)
		free(e->output[i]);
	e->output[0] = calloc(job->count, 136 * 4 * sizeof(float));
	e->output[1] = calloc(2 * ANCHORS, sizeof(float));
	for (uint32_t f = 0; job->landmarks && f < job->count; f++)
		for (uint32_t v = 0; v < 136; v++)
			e->output[0][f * 136 + v] =
				e->poison_photo == job->photo && f == 0 && v == 99 ? NAN
										   : mark(f, v);
	for (uint32_t f = 0; !job->landmarks && f < job->photo % 4; f++) {
		place(job->photo, f, e->output[0] + 4 * (10 * f + 3));
		e->output[1][2 * (10 * f + 3) + 1] = 0.95f - 0.1f * (float)f;
	}
}

static int next(void *context, struct facet_face_done *done)
{
	struct engine *e = context;
	uint32_t at = (uint32_t)(make_random(&e->seed) % e->count);
	struct job job = e->jobs[at];

	ck_assert_uint_gt(e->count, 0);
	if (e->lose_after && e->done >= e->lose_after)
		return -ECONNABORTED;
	e->jobs[at] = e->jobs[--e->count];
	e->done++;
	*done = (struct facet_face_done){.tag = job.tag};
	if (e->fail_photo && job.photo == e->fail_photo) {
		done->status = -EIO;
		snprintf(done->text, sizeof(done->text), "it failed");
		return 0;
	}
	play(e, &job);
	for (int i = 0; i < 2; i++)
		done->output[i] = e->output[i];
	return 0;
}

static void close_engine(void *context)
{
	struct engine *e = context;

	for (int i = 0; i < 2; i++)
		free(e->output[i]);
	e->closed++;
}

static struct engine engine;

static struct facet_face_pipeline *open_pipeline(const struct facet_face_options *options)
{
	struct facet_face_engine e = {&engine, describe, submit, next, close_engine};
	struct facet_face_pipeline *pipeline;
	int r;

	engine.detect = detector;
	engine.landmark = marks;
	engine.seed = 9;
	r = facet_face_pipeline_create(&e, options, &pipeline, text);
	ck_assert_msg(r == 0, "%s", text);
	return pipeline;
}

/* ---- batches ------------------------------------------------------------------------------------- */

struct seen {
	uint32_t photos, stop_after;
	int status[256];
	uint32_t count[256], refused[256];
};

static struct facet_face_image photo(uint32_t i)
{
	struct facet_face_image image;

	ck_assert_int_eq(facet_face_image_create(WIDTH, HEIGHT, &image), 0);
	memset(image.rgb, (int)i, WIDTH * HEIGHT * 3);
	return image;
}

static int give(void *context, uint32_t i, struct facet_face_image *image, char *why)
{
	(void)context;
	if (i == 13) {
		snprintf(why, FACET_FACE_TEXT, "unreadable");
		return -EBADMSG;
	}
	*image = photo(i);
	return 0;
}

static void check_face(uint32_t i, uint32_t f, const struct facet_face *face)
{
	float box[4];

	place(i, f, box);
	ck_assert_float_eq_tol(face->left, box[0] * WIDTH, 1e-3);
	ck_assert_float_eq_tol(face->bottom, box[3] * HEIGHT, 1e-3);
	ck_assert_float_eq(face->score, 0.95f - 0.1f * (float)f);
	for (uint32_t v = 0; v < 68; v++) {
		double left = floor(box[0] * WIDTH), right = floor(box[2] * WIDTH + 0.5);
		double top = floor(box[1] * HEIGHT), bottom = floor(box[3] * HEIGHT + 0.5);

		ck_assert_double_eq_tol(face->landmark[v].x, left + mark(f, 2 * v) * (right - left),
					1e-3);
		ck_assert_double_eq_tol(face->landmark[v].y,
					top + mark(f, 2 * v + 1) * (bottom - top), 1e-3);
	}
	ck_assert_float_eq(face->point[2].x, face->landmark[30].x);
}

static int found(void *context, uint32_t i, int status, struct facet_face_image *image,
		 struct facet_face_set *set, const char *why)
{
	struct seen *seen = context;

	ck_assert_int_eq(seen->status[i], 1); /* not seen yet */
	seen->status[i] = status;
	seen->count[i] = set->count;
	seen->refused[i] = set->refused;
	ck_assert_int_eq(status < 0, why[0] != 0);
	if (status == 0) {
		ck_assert_uint_eq(image->width, WIDTH);
		for (uint32_t f = 0; f < set->count; f++)
			check_face(i, engine.poison_photo == i ? f + 1 : f, &set->face[f]);
	}
	facet_face_set_free(set);
	seen->photos++;
	return seen->stop_after && seen->photos >= seen->stop_after ? -EINTR : 0;
}

static int run(struct facet_face_pipeline *pipeline, uint32_t count, struct seen *seen)
{
	struct facet_face_batch batch = {seen, give, found};

	for (int i = 0; i < 256; i++)
		seen->status[i] = 1;
	return facet_face_run(pipeline, count, &batch);
}

START_TEST(batch)
{
	struct facet_face_options options = {.size = sizeof(options), .in_flight = (uint32_t)_i};
	struct facet_face_pipeline *pipeline = open_pipeline(&options);
	struct seen seen = {0};

	engine.fail_photo = 30;
	engine.refuse_photo = 41;
	engine.poison_photo = 51;
	ck_assert_int_eq(run(pipeline, 200, &seen), 0);
	ck_assert_uint_eq(seen.photos, 200);
	for (uint32_t i = 0; i < 200; i++) {
		int want = i == 13 ? -EBADMSG : i == 30 ? -EIO : i == 41 ? -EAGAIN : 0;

		ck_assert_int_eq(seen.status[i], want);
		ck_assert_uint_eq(seen.count[i] + seen.refused[i], want ? 0 : i % 4);
		ck_assert_uint_eq(seen.refused[i], i == 51);
	}
	ck_assert_uint_eq(engine.most, _i ? _i : 8);
	facet_face_pipeline_free(pipeline);
	ck_assert_uint_eq(engine.closed, 1);
}
END_TEST

START_TEST(batch_lost)
{
	struct facet_face_pipeline *pipeline = open_pipeline(NULL);
	struct seen seen = {0};
	uint32_t lost = 0;

	engine.lose_after = 40;
	ck_assert_int_eq(run(pipeline, 200, &seen), -ECONNABORTED);
	for (uint32_t i = 0; i < 200; i++)
		lost += seen.status[i] == -ECONNABORTED;
	ck_assert_uint_eq(lost, 8);
	facet_face_pipeline_free(pipeline);
}
END_TEST

START_TEST(batch_stopped)
{
	struct facet_face_pipeline *pipeline = open_pipeline(NULL);
	struct seen seen = {.stop_after = 20};

	ck_assert_int_eq(run(pipeline, 200, &seen), -EINTR);
	ck_assert_uint_ge(seen.photos, 20);
	ck_assert_uint_le(seen.photos, 28);
	ck_assert_uint_eq(engine.count, 0); /* none is left on its way */
	facet_face_pipeline_free(pipeline);
}
END_TEST

START_TEST(single)
{
	struct facet_face_options options = {.size = sizeof(options), .min_side = 45};
	struct facet_face_pipeline *pipeline = open_pipeline(NULL);
	struct facet_face_image image = photo(7), none = {0};
	struct facet_face_set set;

	ck_assert_int_eq(facet_face_find(pipeline, &image, &set, text), 0);
	ck_assert_uint_eq(set.count, 3);
	for (uint32_t f = 0; f < 3; f++)
		check_face(7, f, &set.face[f]);
	facet_face_set_free(&set);
	ck_assert_int_eq(facet_face_find(pipeline, &none, &set, text), -EINVAL);
	engine.fail_photo = 7;
	ck_assert_int_eq(facet_face_find(pipeline, &image, &set, text), -EIO);
	ck_assert_str_eq(text, "it failed");
	ck_assert_ptr_null(set.face);
	engine.fail_photo = 0;
	facet_face_pipeline_free(pipeline);
	memset(&engine, 0, sizeof(engine));
	pipeline = open_pipeline(&options); /* the boxes are 40 wide */
	ck_assert_int_eq(facet_face_find(pipeline, &image, &set, text), 0);
	ck_assert_uint_eq(set.count, 0);
	ck_assert_uint_eq(set.refused, 3);
	facet_face_set_free(&set);
	facet_face_pipeline_free(pipeline);
	facet_face_image_free(&image);
}
END_TEST

START_TEST(quality_bound)
{
	struct facet_face_options options = {
		.size = sizeof(options), .min_quality = 0.1f, .max_faces = 2};
	struct facet_face_pipeline *pipeline = open_pipeline(&options);
	struct facet_face_image image = photo(7); /* of one colour: not sharp at all */
	struct facet_face_set set;

	engine.bound = 2;
	ck_assert_int_eq(facet_face_find(pipeline, &image, &set, text), 0);
	ck_assert_uint_eq(set.count, 0);
	ck_assert_uint_eq(set.refused, 2);
	facet_face_set_free(&set);
	facet_face_pipeline_free(pipeline);
	facet_face_image_free(&image);
}
END_TEST

START_TEST(wrong_networks)
{
	struct facet_face_engine e = {&engine, describe, submit, next, close_engine};
	struct facet_face_options none = {.size = sizeof(none), .landmark = "none"};
	struct facet_face_pipeline *pipeline;

	engine.detect = detector;
	engine.landmark = marks;
	ck_assert_int_eq(facet_face_pipeline_create(&e, &none, &pipeline, text), -ENOENT);
	engine.detect.floats[0] += 4;
	ck_assert_int_eq(facet_face_pipeline_create(&e, NULL, &pipeline, text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "detect"));
	engine.detect = detector;
	engine.detect.channels = 1;
	ck_assert_int_eq(facet_face_pipeline_create(&e, NULL, &pipeline, text), -EINVAL);
	engine.detect = detector;
	engine.detect.columns[1] = 3;
	ck_assert_int_eq(facet_face_pipeline_create(&e, NULL, &pipeline, text), -EINVAL);
	engine.detect = detector;
	engine.landmark.floats[0] = 10;
	ck_assert_int_eq(facet_face_pipeline_create(&e, NULL, &pipeline, text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "landmark"));
	ck_assert_ptr_null(pipeline);
	ck_assert_uint_eq(engine.closed, 0); /* it stays the caller's */
}
END_TEST

START_TEST(probe)
{
	struct facet_face faces[2] = {
		{.point = {{40, 50}, {70, 50}, {55, 70}, {42, 90}, {68, 90}}},
		{.point = {{50, 55}, {80, 50}, {65, 70}, {52, 90}, {78, 90}}}};
	struct facet_face_image image = make_image(WIDTH, HEIGHT, 50, 1);
	uint8_t *tensors, crop[112 * 112 * 3];
	struct facet_probe probe;

	ck_assert_int_eq(facet_face_probe(&image, faces, 2, 112, &probe, &tensors), 0);
	ck_assert_int_eq(probe.kind, FACET_TENSORS);
	ck_assert_int_eq(probe.type, FACET_U8);
	ck_assert_uint_eq(probe.count, 2);
	ck_assert_uint_eq(probe.dim, sizeof(crop));
	ck_assert_ptr_eq(probe.data, tensors);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(facet_face_align(&image, &faces[i], 112, crop), 0);
		ck_assert_mem_eq(tensors + i * sizeof(crop), crop, sizeof(crop));
	}
	free(tensors);
	ck_assert_int_eq(facet_face_probe(&image, faces, 0, 112, &probe, &tensors), -EINVAL);
	ck_assert_int_eq(facet_face_probe(&image, faces, 2, 100, &probe, &tensors), -EINVAL);
	memset(faces, 0, sizeof(faces));
	ck_assert_int_eq(facet_face_probe(&image, faces, 2, 112, &probe, &tensors), -EINVAL);
	ck_assert_ptr_null(tensors);
	facet_face_image_free(&image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faces");
	TCase *boxes = tcase_create("boxes"), *pipeline = tcase_create("pipeline");

	tcase_add_loop_test(boxes, suppression, 0, 4);
	tcase_add_test(boxes, nonsense_anchors);
	tcase_add_test(boxes, choice);
	tcase_add_loop_test(pipeline, batch, 0, 5);
	tcase_add_test(pipeline, batch_lost);
	tcase_add_test(pipeline, batch_stopped);
	tcase_add_test(pipeline, single);
	tcase_add_test(pipeline, quality_bound);
	tcase_add_test(pipeline, wrong_networks);
	tcase_add_test(pipeline, probe);
	suite_add_tcase(suite, boxes);
	suite_add_tcase(suite, pipeline);
	return suite_run(suite);
}
