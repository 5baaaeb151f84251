/* SPDX-License-Identifier: Apache-2.0 */
/* compile: an ONNX network becomes an int8 model, calibrated on a folder of photos. */
#include "host/compile/compile.h"
#include "host/facetctl/float_engine.h"
#include "host/facetctl/photos.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_CALIBRATE = 0x100,
	KEY_CROP,
	KEY_DETECTOR,
	KEY_LANDMARK,
	KEY_MEAN,
	KEY_SCALE,
	KEY_SAMPLES,
	KEY_SUBJECTS,
	KEY_NAME,
	KEY_PERCENTILE,
	KEY_NO_EQUALISE,
	KEY_NO_TEMPLATE,
};

/* What of a photo is a sample of the network. */
enum crop { CROP_WHOLE, CROP_BOX, CROP_FACE, CROP_AUTO };

struct input {
	struct ctl_input common;
	const char *calibrate, *detector, *landmark, *subjects;
	enum crop crop;
	uint32_t samples;
	struct compile_options options;
	/* while it runs */
	struct photos photos;
	uint32_t *chosen, chosen_count, next;
	struct facet_face_pipeline *pipeline;
};

static void parse_values(float values[COMPILE_CHANNELS_MAX], const char *option, char *arg,
			 struct argp_state *state)
{
	unsigned int n = 0;
	char *save = NULL;

	for (char *part = strtok_r(arg, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		if (n == COMPILE_CHANNELS_MAX)
			argp_error(state, "%s: at most %u values", option, COMPILE_CHANNELS_MAX);
		values[n++] = (float)ctl_real(state, option, part);
	}
	for (unsigned int i = n; n && i < COMPILE_CHANNELS_MAX; i++)
		values[i] = values[n - 1];
}

static void parse_crop(struct input *in, const char *arg, struct argp_state *state)
{
	static const char *const names[] = {"whole", "box", "face"};

	for (unsigned int i = 0; i < 3; i++)
		if (strcmp(arg, names[i]) == 0) {
			in->crop = (enum crop)i;
			return;
		}
	argp_error(state, "--crop %s: want whole, box or face", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case KEY_CALIBRATE:
		in->calibrate = arg;
		return 0;
	case KEY_CROP:
		parse_crop(in, arg, state);
		return 0;
	case KEY_DETECTOR:
		in->detector = arg;
		return 0;
	case KEY_LANDMARK:
		in->landmark = arg;
		return 0;
	case KEY_MEAN:
		parse_values(in->options.mean, "--mean", arg, state);
		if (in->options.scale[0] == 0)
			for (unsigned int i = 0; i < COMPILE_CHANNELS_MAX; i++)
				in->options.scale[i] = 1;
		return 0;
	case KEY_SCALE:
		parse_values(in->options.scale, "--scale", arg, state);
		if (in->options.scale[0] == 0)
			argp_error(state, "--scale: 0 divides by nothing");
		return 0;
	case KEY_SAMPLES:
		in->samples = (uint32_t)ctl_count(state, "--samples", arg, 1, COMPILE_SAMPLES_MAX);
		return 0;
	case KEY_SUBJECTS:
		in->subjects = arg;
		return 0;
	case KEY_NAME:
		in->options.name = arg;
		return 0;
	case KEY_PERCENTILE:
		in->options.percentile = ctl_real(state, "--percentile", arg);
		return 0;
	case KEY_NO_EQUALISE:
		in->options.no_equalise = true;
		return 0;
	case KEY_NO_TEMPLATE:
		in->options.not_template = true;
		return 0;
	case ARGP_KEY_ARG:
		if (in->options.network)
			return ARGP_ERR_UNKNOWN;
		in->options.network = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- which photos ---------------------------------------------------------------------------
 * Whole subjects at even spacing, until there are enough: few people are used up, so that others
 * are left to be judged on.
 */
static uint32_t subject_end(const struct photos *photos, uint32_t first)
{
	uint32_t end = first;

	while (end < photos->count && photos->item[end].subject == photos->item[first].subject)
		end++;
	return end;
}

static int choose_photos(struct input *in)
{
	const struct photos *photos = &in->photos;
	uint32_t subjects = 0, wanted, taken = 0, s = 0;

	for (uint32_t i = 0; i < photos->count; i = subject_end(photos, i))
		subjects++;
	wanted = (uint32_t)((uint64_t)in->samples * subjects / photos->count);
	wanted = wanted < 1 ? 1 : wanted > subjects ? subjects : wanted;
	in->chosen = calloc(photos->count, sizeof(*in->chosen));
	if (!in->chosen)
		return ctl_error("out of memory");
	for (uint32_t i = 0, end; i < photos->count; i = end, s++) {
		end = subject_end(photos, i);
		if (taken == wanted ||
		    s != (uint32_t)((2ul * taken + 1) * subjects / (2ul * wanted)))
			continue;
		taken++;
		for (uint32_t p = i; p < end && in->chosen_count < in->samples; p++)
			in->chosen[in->chosen_count++] = p;
	}
	return CTL_OK;
}

static int write_subjects(const struct input *in)
{
	FILE *file = in->subjects ? fopen(in->subjects, "we") : NULL;
	const char *last = NULL;

	if (!in->subjects)
		return CTL_OK;
	if (!file)
		return ctl_error("%s: %s", in->subjects, strerror(errno));
	for (uint32_t i = 0; i < in->chosen_count; i++) {
		const char *subject = in->photos.item[in->chosen[i]].subject;

		if (subject != last)
			fprintf(file, "%s\n", subject);
		last = subject;
	}
	return fclose(file) == 0 ? CTL_OK : ctl_error("%s: %s", in->subjects, strerror(errno));
}

/* ---- samples -------------------------------------------------------------------------------- */
static struct facet_face_box box_of(const struct facet_face *face)
{
	return (struct facet_face_box){(int32_t)lrintf(face->left), (int32_t)lrintf(face->top),
				       (int32_t)lrintf(face->right), (int32_t)lrintf(face->bottom)};
}

static int crop_photo(struct input *in, const struct facet_face_image *image,
		      const struct compile_input *want, uint8_t *pixels, char text[FACET_FACE_TEXT])
{
	struct facet_face_box all = {0, 0, (int32_t)image->width, (int32_t)image->height};
	struct facet_face_set set;
	int error, face;

	if (in->crop == CROP_WHOLE)
		return facet_face_image_resize(image, all, want->width, want->height,
					       want->channels, pixels);
	error = facet_face_find(in->pipeline, image, &set, text);
	if (error)
		return error;
	face = facet_face_choose(&set, image, FACET_FACE_CENTRE);
	if (face < 0)
		error = face;
	else if (in->crop == CROP_FACE)
		error = facet_face_align(image, &set.face[face], want->width, pixels);
	else
		error = facet_face_image_resize(image, box_of(&set.face[face]), want->width,
						want->height, want->channels, pixels);
	facet_face_set_free(&set);
	return error;
}

/* The next usable photo; those that cannot be used are named and passed over. */
static int next_sample(void *context, uint32_t index, const struct compile_input *want,
		       uint8_t *pixels)
{
	struct input *in = context;

	(void)index;
	while (in->next < in->chosen_count) {
		const char *path = in->photos.item[in->chosen[in->next++]].path;
		struct facet_face_image image = {0};
		char text[FACET_FACE_TEXT] = "";
		int error;

		if (ctl_interrupted())
			return -ECANCELED;
		error = facet_face_image_load(path, &image, text);
		if (!error)
			error = crop_photo(in, &image, want, pixels, text);
		facet_face_image_free(&image);
		if (!error)
			return 1;
		output_note(in->common.ctl->out, "%s: not used: %s", path,
			    error == -ENOENT ? "no face found"
			    : text[0]	     ? text
					     : strerror(-error));
	}
	return 0;
}

static int open_pipeline(struct input *in)
{
	struct facet_face_options options = {
		.size = sizeof(options), .detector = in->detector, .landmark = in->landmark};
	struct facet_face_engine engine;
	char text[FACET_FACE_TEXT] = "";

	if (in->crop == CROP_WHOLE)
		return CTL_OK;
	if (!in->detector || !in->landmark)
		return ctl_error("--crop %s wants --detector NET.onnx and --landmark NET.onnx",
				 in->crop == CROP_BOX ? "box" : "face");
	if (float_engine_create(&engine) != 0)
		return ctl_error("out of memory");
	if (facet_face_pipeline_create(&engine, &options, &in->pipeline, text) != 0)
		return ctl_error("faces: %s", text);
	return CTL_OK;
}

/* ---- the result ----------------------------------------------------------------------------- */
static int on_progress(void *context, const char *what, uint32_t done, uint32_t total)
{
	output_progress(context, what, done, total);
	return ctl_interrupted();
}

static void print_report(struct ctl *ctl, const struct compile_report *report)
{
	for (uint32_t i = 0; i < report->layers; i++) {
		const struct compile_layer *layer = &report->layer[i];
		struct json_object *row = output_row_new();
		char shape[64] = "";
		size_t n = 0;

		for (uint32_t d = 0; d < layer->rank && n < sizeof(shape); d++)
			n += (size_t)snprintf(shape + n, sizeof(shape) - n, "%s%u", d ? "x" : "",
					      layer->shape[d]);
		output_text(row, "layer", layer->name);
		output_text(row, "op", layer->kind);
		output_text(row, "output", shape);
		output_number(row, "MMACs", (double)layer->macs / 1e6, 3);
		output_number(row, "SQNR_dB", layer->sqnr, 1);
		output_row(ctl->out, row);
	}
	output_note(ctl->out, "%s: %ux%ux%u in, %.1f MMACs, %.2f MB of weights, %u samples",
		    report->name, report->input.width, report->input.height, report->input.channels,
		    (double)report->macs / 1e6, (double)report->weight_bytes / 1e6,
		    report->samples);
	output_note(
		ctl->out,
		"int8 against float: cosine %.4f, centred cosine %.4f; between different samples "
		"%.3f (float %.3f)",
		report->cosine, report->centred_cosine, report->spread, report->spread_float);
}

static int compile(struct ctl *ctl, struct input *in)
{
	struct compile_report *report = NULL;
	char text[COMPILE_TEXT] = "";
	int status;

	if (photos_list(in->calibrate, &in->photos) != CTL_OK)
		return CTL_ERROR;
	status = choose_photos(in);
	if (status == CTL_OK)
		status = open_pipeline(in);
	in->options.output = ctl->dry_run ? NULL : ctl->file;
	in->options.sample = next_sample;
	in->options.samples_max = in->samples;
	in->options.sample_context = in;
	in->options.progress = on_progress;
	in->options.progress_context = ctl->out;
	if (status == CTL_OK && compile_network(&in->options, &report, text) != 0)
		status = ctl_error("%s", text);
	if (status == CTL_OK)
		status = write_subjects(in);
	if (status == CTL_OK)
		print_report(ctl, report);
	compile_report_free(report);
	facet_face_pipeline_free(in->pipeline);
	free(in->chosen);
	photos_free(&in->photos);
	return status;
}

/* A network for aligned faces is known by its input's size. */
static int default_crop(struct input *in)
{
	struct compile_input want;
	char text[COMPILE_TEXT] = "";

	if (in->crop != CROP_AUTO)
		return CTL_OK;
	if (compile_inspect(in->options.network, &want, text) != 0)
		return ctl_error("%s", text);
	in->crop = CROP_WHOLE;
	if (in->detector && want.width == want.height)
		in->crop = want.channels == 1 ? CROP_BOX : CROP_FACE;
	return CTL_OK;
}

int cmd_compile(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"calibrate", KEY_CALIBRATE, "DIR", 0, "photos that show the values to expect", 0},
		{"crop", KEY_CROP, "WHAT", 0,
		 "what of a photo the network sees: whole, the face's box, or the aligned face "
		 "(with --detector: box for grey, face for colour; else whole)",
		 0},
		{"detector", KEY_DETECTOR, "NET.onnx", 0, "finds the faces of the photos", 0},
		{"landmark", KEY_LANDMARK, "NET.onnx", 0, "finds eyes, nose and mouth", 0},
		{"mean", KEY_MEAN, "M[,M,M]", 0, "value = (pixel - mean) / scale (127)", 0},
		{"scale", KEY_SCALE, "S[,S,S]", 0, "(128)", 0},
		{"samples", KEY_SAMPLES, "N", 0, "photos to use (200)", 0},
		{"subjects-out", KEY_SUBJECTS, "FILE", 0,
		 "write the subjects used, for evaluate --exclude", 0},
		{"name", KEY_NAME, "NAME", 0, "the model's name in the file", 0},
		{"percentile", KEY_PERCENTILE, "P", 0, "of values inside the int8 range (99.99)",
		 0},
		{"no-equalise", KEY_NO_EQUALISE, NULL, 0, "no cross-layer equalisation", 0},
		{"no-template", KEY_NO_TEMPLATE, NULL, 0,
		 "the one vector it gives is no template, but landmarks or a class", 0},
		{0},
	};
	static const struct argp argp = {
		options,
		parse,
		"NET.onnx",
		"Quantize a float network to int8, measure every layer against float, write "
		"NET.fct. "
		"-o NET.fct names the file; -o table, json or jsonl the report's format.",
		ctl_children,
		NULL,
		NULL};
	struct input in = {.common = {ctl}, .crop = CROP_AUTO, .samples = 200};
	int status;

	ctl->takes_file = true;
	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.options.network || !in.calibrate || (!ctl->file && !ctl->dry_run))
		status = ctl_error("compile wants NET.onnx, --calibrate DIR and -o NET.fct");
	else
		status = default_crop(&in);
	if (status == CTL_OK)
		status = compile(ctl, &in);
	return ctl_end(ctl, false, status);
}
