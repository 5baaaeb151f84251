/* SPDX-License-Identifier: Apache-2.0 */
/* identify (1:N), verify (1:1), compare (two photos). */
#include "host/facetctl/photos.h"
#include "host/facetctl/vectors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX	4096
#define VECTORS_AT_ONCE 64u

enum { KEY_VECTORS = 0x100, KEY_BY, KEY_TAGS, KEY_THRESHOLD, KEY_FMR, KEY_MODEL, KEY_RERANK };

struct input {
	struct ctl_input common;
	const char *arg[ARGS_MAX];
	uint32_t count;
	const char *vectors, *model;
	uint32_t k;
	struct facet_search_params search;
	struct photo_options photo;
};

static void parse_tags(struct input *in, char *arg, struct argp_state *state)
{
	char *equals = strchr(arg, '=');

	if (!equals)
		argp_error(state, "--tags %s: want MASK=VALUE, for example 0x1=0x1", arg);
	*equals = '\0';
	in->search.tag_mask = ctl_count(state, "--tags", arg, 0, UINT64_MAX);
	in->search.tag_value = ctl_count(state, "--tags", equals + 1, 0, UINT64_MAX);
}

static void parse_by(struct input *in, const char *arg, struct argp_state *state)
{
	if (strcmp(arg, "subject") != 0 && strcmp(arg, "template") != 0)
		argp_error(state, "--by %s: want template or subject", arg);
	in->search.by_subject = arg[0] == 's';
}

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
	case KEY_MODEL:
		in->model = arg;
		return 0;
	case 'k':
		in->k = (uint32_t)ctl_count(state, "-k", arg, 1, 65536);
		return 0;
	case KEY_BY:
		parse_by(in, arg, state);
		return 0;
	case KEY_TAGS:
		parse_tags(in, arg, state);
		return 0;
	case KEY_THRESHOLD:
		in->search.has_threshold = true;
		in->search.threshold = (float)ctl_real(state, "--threshold", arg);
		return 0;
	case KEY_FMR:
		in->search.fmr = ctl_real(state, "--fmr", arg);
		if (!(in->search.fmr > 0 && in->search.fmr < 1))
			argp_error(state, "--fmr %s: want a rate above 0 and below 1", arg);
		return 0;
	case KEY_RERANK:
		in->search.rerank = (uint32_t)ctl_count(state, "--rerank", arg, 1, 65536);
		return 0;
	case ARGP_KEY_ARG:
		if (in->count == ARGS_MAX)
			return ARGP_ERR_UNKNOWN;
		in->arg[in->count++] = arg;
		return 0;
	default:
		return photo_option(&in->photo, key, arg, state);
	}
}

#define THRESHOLD_KEYS                                                                             \
	{"threshold", KEY_THRESHOLD, "T", 0, "scores from T on are matches", 0},                   \
	{                                                                                          \
		"fmr", KEY_FMR, "RATE", 0, "the threshold calibrated for this false-match rate", 0 \
	}

/* ---- faces of a photo as tensors ------------------------------------------------------------- */
struct crops {
	uint32_t count, bytes; /* bytes of one */
	uint8_t *data;
};

/* Every face (choice ONLY with all), or the chosen one, of a photo. */
static int crops_of(struct photo_finder *finder, const char *path, uint32_t size, bool all,
		    struct crops *crops)
{
	struct facet_face_image image = {0};
	struct facet_face_set set = {0};
	char text[FACET_FACE_TEXT] = "";
	int error, face = 0;

	memset(crops, 0, sizeof(*crops));
	error = facet_face_image_load(path, &image, text);
	if (!error)
		error = facet_face_find(finder->pipeline, &image, &set, text);
	if (!error && !(all && finder->options.choice == FACET_FACE_ONLY)) {
		face = facet_face_choose(&set, &image, finder->options.choice);
		if (face == -E2BIG)
			snprintf(text, sizeof(text),
				 "several faces; --face largest takes the largest");
		error = face < 0 ? face : 0;
		crops->count = 1;
	} else if (!error) {
		crops->count = set.count;
	}
	if (!error && set.count == 0)
		error = -ENOENT;
	if (error == -ENOENT && !text[0])
		snprintf(text, sizeof(text), "no face found");
	crops->bytes = 3 * size * size;
	if (!error && !(crops->data = malloc((size_t)crops->count * crops->bytes)))
		error = -ENOMEM;
	for (uint32_t i = 0; !error && i < crops->count; i++)
		error = facet_face_align(&image, &set.face[crops->count == 1 ? (uint32_t)face : i],
					 size, crops->data + (size_t)i * crops->bytes);
	facet_face_set_free(&set);
	facet_face_image_free(&image);
	if (!error)
		return CTL_OK;
	free(crops->data);
	crops->data = NULL;
	return ctl_error("%s: %s", path, text[0] ? text : strerror(-error));
}

static struct facet_probe probe_of(const struct crops *crops, const char *model)
{
	return (struct facet_probe){.size = sizeof(struct facet_probe),
				    .kind = FACET_TENSORS,
				    .type = FACET_U8,
				    .count = crops->count,
				    .dim = crops->bytes,
				    .data = crops->data,
				    .model = model};
}

/* ---- identify ------------------------------------------------------------------------------- */
static void hit_row(struct ctl *ctl, const struct facet_hits *hits, const char *probe,
		    uint32_t face, uint64_t first, uint64_t h)
{
	struct json_object *row = output_row_new();

	output_text(row, "probe", probe);
	output_count(row, "face", face);
	output_count(row, "rank", (int64_t)(h - first + 1));
	output_text(row, "subject", hits->subjects ? hits->subjects[h] : NULL);
	output_number(row, "score", hits->scores[h], 4);
	output_count(row, "template", hits->ids[h]);
	output_text(row, "decision", hits->decided ? "match" : "candidate");
	output_row(ctl->out, row);
}

/* Prints the hits of one call; counts the probes that have any. */
static void print_hits(struct ctl *ctl, const struct facet_hits *hits, const char *probe,
		       uint32_t base, uint32_t *matched)
{
	for (uint32_t q = 0; q < hits->queries; q++) {
		if (hits->lims[q] < hits->lims[q + 1])
			(*matched)++;
		else
			output_note(ctl->out, "%s, face %u: no match (threshold %.4f)", probe,
				    base + q + 1, hits->threshold);
		for (uint64_t h = hits->lims[q]; h < hits->lims[q + 1]; h++)
			hit_row(ctl, hits, probe, base + q + 1, hits->lims[q], h);
	}
}

static int identify_probe(struct ctl *ctl, struct input *in, const struct facet_probe *probe,
			  const char *name, uint32_t base, uint32_t *matched, bool *decided)
{
	struct facet_hits *hits;

	if (facet_identify(ctl->c, in->arg[0], probe, in->k, &in->search, &hits) != 0)
		return ctl_failed(ctl, name);
	print_hits(ctl, hits, name, base, matched);
	*decided = hits->decided;
	facet_free(hits);
	return CTL_OK;
}

static int identify_photos(struct ctl *ctl, struct input *in, uint32_t *matched, bool *decided)
{
	struct photo_finder finder;
	char model[65];
	uint32_t size;
	int status = CTL_OK, bad = CTL_OK;

	if (photo_gallery_model(ctl, in->arg[0], model) != CTL_OK)
		return CTL_ERROR;
	size = photo_crop_size(ctl, model);
	if (!size || photo_finder_open(ctl, &in->photo, &finder) != CTL_OK)
		return CTL_ERROR;
	for (uint32_t i = 1; i < in->count && status == CTL_OK && !ctl_interrupted(); i++) {
		struct crops crops;
		struct facet_probe probe;

		if (crops_of(&finder, in->arg[i], size, true, &crops) != CTL_OK) {
			bad = CTL_ERROR; /* said by name; the other photos still count */
			continue;
		}
		probe = probe_of(&crops, NULL);
		status = identify_probe(ctl, in, &probe, in->arg[i], 0, matched, decided);
		free(crops.data);
	}
	photo_finder_close(&finder);
	return status == CTL_OK ? bad : status;
}

static int identify_vectors(struct ctl *ctl, struct input *in, uint32_t *matched, bool *decided)
{
	struct vectors vectors;
	char text[256];
	void *rows;
	int status = CTL_OK;

	if (vectors_open(in->vectors, &vectors, text, sizeof(text)) != 0)
		return ctl_error("%s", text);
	rows = malloc((size_t)VECTORS_AT_ONCE * vectors.dim * 4);
	if (!rows)
		status = ctl_error("out of memory");
	for (uint64_t i = 0; status == CTL_OK && i < vectors.count && !ctl_interrupted();) {
		uint64_t left = vectors.count - i;
		struct facet_probe probe = {.size = sizeof(probe),
					    .type = vectors.is_s8 ? FACET_S8 : FACET_F32,
					    .count = left < VECTORS_AT_ONCE ? (uint32_t)left
									    : VECTORS_AT_ONCE,
					    .dim = vectors.dim,
					    .data = rows};

		vectors_copy(&vectors, i, probe.count, rows);
		status =
			identify_probe(ctl, in, &probe, in->vectors, (uint32_t)i, matched, decided);
		i += probe.count;
	}
	free(rows);
	vectors_close(&vectors);
	return status;
}

static int identify(struct ctl *ctl, void *input)
{
	struct input *in = input;
	uint32_t matched = 0;
	bool decided = false;
	int status = in->vectors ? identify_vectors(ctl, in, &matched, &decided)
				 : identify_photos(ctl, in, &matched, &decided);

	if (status == CTL_OK && ctl_interrupted())
		return ctl_error("interrupted");
	if (status == CTL_OK && !decided)
		output_note(ctl->out,
			    "candidates, no decision: no threshold (give --threshold or --fmr; "
			    "facetctl evaluate calibrates)");
	return status == CTL_OK && matched == 0 ? CTL_NO_MATCH : status;
}

int cmd_identify(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{NULL, 'k', "K", 0, "hits a face (5)", 0},
		{"by", KEY_BY, "WHAT", 0, "template (default) or subject: one hit each", 0},
		{"tags", KEY_TAGS, "MASK=VALUE", 0, "only templates with (tags & MASK) == VALUE",
		 0},
		{"vectors", KEY_VECTORS, "FILE", 0, "vectors (.npy, .fvecs) instead of photos", 0},
		{"rerank", KEY_RERANK, "K2", 0, "re-score the first K2 by the float originals", 0},
		THRESHOLD_KEYS,
		PHOTO_KEYS,
		{0},
	};
	static const struct argp argp = {
		options,
		parse,
		"GALLERY PHOTO...",
		"Who is it? Every face of the photos against the gallery. Exit 1 "
		"when no face has a match.",
		ctl_children,
		NULL,
		NULL};
	struct input *in = calloc(1, sizeof(*in));
	int status;

	if (!in)
		return ctl_error("out of memory");
	in->common.ctl = ctl;
	in->k = 5;
	in->search.size = sizeof(in->search);
	ctl_parse(ctl, &argp, argc, argv, in);
	if (in->count < 1 || (in->count > 1) == (in->vectors != NULL))
		status = ctl_error("identify wants GALLERY PHOTO..., or GALLERY --vectors FILE");
	else
		status = ctl_run(ctl, false, identify, in);
	free(in);
	return status;
}

/* ---- verify, compare ------------------------------------------------------------------------- */
static int verdict_row(struct ctl *ctl, const char *a, const char *b,
		       const struct facet_verdict *verdict)
{
	struct json_object *row = output_row_new();

	output_text(row, "a", a);
	output_text(row, "b", b);
	output_number(row, "score", verdict->score, 4);
	if (verdict->decided)
		output_number(row, "threshold", verdict->threshold, 4);
	output_text(row, "decision",
		    !verdict->decided ? "none: no threshold"
		    : verdict->match  ? "match"
				      : "no match");
	output_row(ctl->out, row);
	return verdict->decided && !verdict->match ? CTL_NO_MATCH : CTL_OK;
}

static struct facet_verify_params verify_params(const struct input *in)
{
	return (struct facet_verify_params){.size = sizeof(struct facet_verify_params),
					    .has_threshold = in->search.has_threshold,
					    .threshold = in->search.threshold,
					    .fmr = in->search.fmr};
}

static int verify(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_verify_params params = verify_params(in);
	struct facet_verdict verdict = {.size = sizeof(verdict)};
	struct photo_finder finder;
	struct crops crops;
	char model[65];
	uint32_t size;
	int status;

	if (photo_gallery_model(ctl, in->arg[0], model) != CTL_OK)
		return CTL_ERROR;
	size = photo_crop_size(ctl, model);
	if (!size || photo_finder_open(ctl, &in->photo, &finder) != CTL_OK)
		return CTL_ERROR;
	status = crops_of(&finder, in->arg[2], size, false, &crops);
	if (status == CTL_OK) {
		struct facet_probe probe = probe_of(&crops, NULL);

		if (facet_verify(ctl->c, in->arg[0], in->arg[1], &probe, &params, &verdict) != 0)
			status = ctl_failed(ctl, in->arg[1]);
		else
			status = verdict_row(ctl, in->arg[1], in->arg[2], &verdict);
		free(crops.data);
	}
	photo_finder_close(&finder);
	return status;
}

static const struct argp_option verify_options[] = {
	THRESHOLD_KEYS,
	PHOTO_KEYS,
	{"model", KEY_MODEL, "MODEL", 0, "compare: the recognition model", 0},
	{0},
};

static int verify_parse(struct ctl *ctl, const struct argp *argp, int argc, char **argv,
			struct input **in)
{
	*in = calloc(1, sizeof(**in));
	if (!*in)
		return ctl_error("out of memory");
	(*in)->common.ctl = ctl;
	(*in)->search.size = sizeof((*in)->search);
	ctl_parse(ctl, argp, argc, argv, *in);
	return CTL_OK;
}

int cmd_verify(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {verify_options,
					 parse,
					 "GALLERY SUBJECT PHOTO",
					 "Is the face of the photo this subject? Exit 1 when not.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input *in;
	int status = verify_parse(ctl, &argp, argc, argv, &in);

	if (status == CTL_OK)
		status = in->count != 3 ? ctl_error("verify wants GALLERY SUBJECT PHOTO")
					: ctl_run(ctl, true, verify, in);
	free(in);
	return status;
}

static int compare(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct facet_verify_params params = verify_params(in);
	struct facet_verdict verdict = {.size = sizeof(verdict)};
	struct crops a = {0}, b = {0};
	struct photo_finder finder;
	char model[65];
	uint32_t size;
	float score;
	int status;

	if (!in->model && photo_only_model(ctl, model) != CTL_OK)
		return CTL_ERROR;
	if (in->model)
		snprintf(model, sizeof(model), "%s", in->model);
	size = photo_crop_size(ctl, model);
	if (!size || photo_finder_open(ctl, &in->photo, &finder) != CTL_OK)
		return CTL_ERROR;
	status = crops_of(&finder, in->arg[0], size, false, &a);
	if (status == CTL_OK)
		status = crops_of(&finder, in->arg[1], size, false, &b);
	if (status == CTL_OK) {
		struct facet_probe pa = probe_of(&a, model), pb = probe_of(&b, model);

		if (facet_compare(ctl->c, &pa, &pb, &params, &score, &verdict) != 0)
			status = ctl_failed(ctl, "compare");
		else
			status = verdict_row(ctl, in->arg[0], in->arg[1], &verdict);
	}
	free(a.data);
	free(b.data);
	photo_finder_close(&finder);
	return status;
}

int cmd_compare(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		verify_options,
		parse,
		"PHOTO PHOTO",
		"Are the faces of two photos the same person? Exit 1 when not.",
		ctl_children,
		NULL,
		NULL};
	struct input *in;
	int status = verify_parse(ctl, &argp, argc, argv, &in);

	if (status == CTL_OK)
		status = in->count != 2 ? ctl_error("compare wants PHOTO PHOTO")
					: ctl_run(ctl, true, compare, in);
	free(in);
	return status;
}
