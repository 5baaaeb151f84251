/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluate: how well a model in the daemon tells people apart.
 *
 * Each photo's aligned face becomes a template by inference. The templates are enrolled into a
 * gallery made for this and searched by every one of themselves, so that the scores are those that
 * users get: int8 rows, by the daemon's own search. From all pairs, or those of a list: TAR at FAR
 * with bootstrap intervals, rank-1, thresholds by false-match rate. --float NET.onnx runs the float
 * network over the same crops for comparison.
 */
#include "host/compile/compile.h"
#include "host/facetctl/photos.h"
#include "host/facetctl/plot.h"
#include "host/facetctl/roc.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK	   32u	      /* crops of one inference call, queries of one search */
#define HITS_MAX   (1u << 20) /* queries x hits of one search, the daemon's bound */
#define REPLICATES 200u	      /* of the bootstrap */

enum { KEY_MODEL = 0x100, KEY_PAIRS, KEY_PLOT, KEY_FLOAT, KEY_EXCLUDE, KEY_NO_STORE };

static const double rates[] = {1e-1, 1e-2, 1e-3, 1e-4, 1e-5};
#define RATES (sizeof(rates) / sizeof(rates[0]))

struct input {
	struct ctl_input common;
	const char *dir, *model, *pairs, *plot, *float_network, *exclude;
	bool no_store;
	struct photo_options photo;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case KEY_MODEL:
		in->model = arg;
		return 0;
	case KEY_PAIRS:
		in->pairs = arg;
		return 0;
	case KEY_PLOT:
		in->plot = arg;
		return 0;
	case KEY_FLOAT:
		in->float_network = arg;
		return 0;
	case KEY_EXCLUDE:
		in->exclude = arg;
		return 0;
	case KEY_NO_STORE:
		in->no_store = true;
		return 0;
	case ARGP_KEY_ARG:
		if (in->dir)
			return ARGP_ERR_UNKNOWN;
		in->dir = arg;
		return 0;
	default:
		return photo_option(&in->photo, key, arg, state);
	}
}

/* ---- samples: photos with a face, their crops, their templates --------------------------------- */
struct samples {
	struct photos photos;
	uint32_t count, crop_bytes, size, dim, subjects;
	uint32_t *photo;   /* [count] which photo */
	uint32_t *subject; /* [count] 0 .. subjects - 1 */
	uint8_t *crops;	   /* [count][crop_bytes] */
	float *templates;  /* [count][dim] */
	float *scores;	   /* [count][count], one network's at a time */
};

static void samples_free(struct samples *s)
{
	free(s->photo);
	free(s->subject);
	free(s->crops);
	free(s->templates);
	free(s->scores);
	photos_free(&s->photos);
}

static bool listed(char *const *names, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Drops the photos of the subjects named in the file (those of the calibration). */
static int exclude_subjects(const char *path, struct photos *photos)
{
	FILE *file = fopen(path, "re");
	char **names = NULL, *line = NULL;
	size_t room = 0;
	uint32_t count = 0, kept = 0;

	if (!file)
		return ctl_error("%s: %s", path, strerror(errno));
	while (getline(&line, &room, file) > 0) {
		char **more = realloc(names, (count + 1ul) * sizeof(*names));

		if (!more)
			break;
		names = more;
		line[strcspn(line, "\r\n")] = '\0';
		names[count] = strdup(line);
		count += names[count] != NULL;
	}
	free(line);
	fclose(file);
	for (uint32_t i = 0; i < photos->count; i++)
		if (listed(names, count, photos->item[i].subject))
			free(photos->item[i].path);
		else
			photos->item[kept++] = photos->item[i];
	photos->count = kept;
	for (uint32_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return kept ? CTL_OK : ctl_error("%s: leaves no photo", path);
}

static int on_crop(void *context, uint32_t photo, const uint8_t *crop)
{
	struct samples *s = context;

	memcpy(s->crops + (size_t)s->count * s->crop_bytes, crop, s->crop_bytes);
	s->photo[s->count++] = photo;
	return 0;
}

/* Photos are sorted by path, so a new folder is a new subject; crops came in any order. */
static void number_subjects(struct samples *s, uint32_t *of_photo)
{
	for (uint32_t i = 0; i < s->photos.count; i++) {
		if (i && s->photos.item[i].subject != s->photos.item[i - 1].subject)
			s->subjects++;
		of_photo[i] = s->subjects;
	}
	s->subjects++;
	for (uint32_t i = 0; i < s->count; i++)
		s->subject[i] = of_photo[s->photo[i]];
}

static int gather(struct ctl *ctl, struct input *in, struct samples *s)
{
	struct photo_finder finder;
	uint32_t refused, *of_photo;
	int status;

	if (photos_list(in->dir, &s->photos) != CTL_OK)
		return CTL_ERROR;
	if (in->exclude && exclude_subjects(in->exclude, &s->photos) != CTL_OK)
		return CTL_ERROR;
	s->size = photo_crop_size(ctl, in->model);
	if (!s->size || photo_finder_open(ctl, &in->photo, &finder) != CTL_OK)
		return CTL_ERROR;
	s->crop_bytes = 3 * s->size * s->size;
	s->crops = malloc((size_t)s->photos.count * s->crop_bytes);
	s->photo = calloc(s->photos.count, sizeof(*s->photo));
	s->subject = calloc(s->photos.count, sizeof(*s->subject));
	of_photo = calloc(s->photos.count, sizeof(*of_photo));
	status = s->crops && s->photo && s->subject && of_photo ? CTL_OK
								: ctl_error("out of memory");
	if (status == CTL_OK)
		status = photo_finder_run(ctl, &finder, &s->photos, s->size, "photos", on_crop, s,
					  &refused);
	if (status == CTL_OK)
		number_subjects(s, of_photo);
	free(of_photo);
	photo_finder_close(&finder);
	if (status == CTL_OK && s->count < 2)
		return ctl_error("%s: fewer than two photos with a face", in->dir);
	return status;
}

/* ---- templates by the daemon ------------------------------------------------------------------ */
static int infer_templates(struct ctl *ctl, const char *model, struct samples *s)
{
	for (uint32_t i = 0; i < s->count; i += CHUNK) {
		uint32_t n = s->count - i < CHUNK ? s->count - i : CHUNK;
		struct facet_outputs *outputs;

		if (ctl_interrupted())
			return ctl_error("interrupted");
		if (facet_infer(ctl->c, model, n, s->crops + (size_t)i * s->crop_bytes,
				(size_t)n * s->crop_bytes, &outputs) != 0)
			return ctl_failed(ctl, model);
		if (i == 0) {
			s->dim = (uint32_t)(outputs->items[0].bytes / n / sizeof(float));
			s->templates = malloc((size_t)s->count * s->dim * sizeof(float));
		}
		if (s->templates && outputs->items[0].bytes == (size_t)n * s->dim * sizeof(float))
			memcpy(s->templates + (size_t)i * s->dim, outputs->items[0].data,
			       outputs->items[0].bytes);
		facet_free(outputs);
		if (!s->templates)
			return ctl_error("out of memory");
		output_progress(ctl->out, "templates", i + n, s->count);
	}
	return CTL_OK;
}

static int enrol_templates(struct ctl *ctl, const char *gallery, const struct samples *s)
{
	static const char *const subject = "sample";
	uint64_t ids[CHUNK];

	for (uint32_t i = 0; i < s->count; i += CHUNK) {
		uint32_t n = s->count - i < CHUNK ? s->count - i : CHUNK;
		struct facet_probe probe = {.size = sizeof(probe),
					    .count = n,
					    .dim = s->dim,
					    .data = s->templates + (size_t)i * s->dim};
		struct facet_enrol_params params = {.size = sizeof(params), .ids = ids};

		for (uint32_t j = 0; j < n; j++)
			ids[j] = i + j + 1; /* 0 asks for a number of the daemon's */
		if (facet_enrol(ctl->c, gallery, &probe, &subject, 1, &params, NULL, NULL) != 0)
			return ctl_failed(ctl, "enrol");
	}
	return CTL_OK;
}

static int search_templates(struct ctl *ctl, const char *gallery, struct samples *s)
{
	uint32_t chunk = HITS_MAX / s->count < CHUNK ? HITS_MAX / s->count : CHUNK;
	float *scores = malloc((size_t)chunk * s->count * sizeof(*scores));
	int64_t *ids = malloc((size_t)chunk * s->count * sizeof(*ids));
	int status = scores && ids ? CTL_OK : ctl_error("out of memory");

	for (uint32_t i = 0; status == CTL_OK && i < s->count; i += chunk) {
		uint32_t n = s->count - i < chunk ? s->count - i : chunk;

		if (ctl_interrupted())
			status = ctl_error("interrupted");
		else if (facet_search(ctl->c, gallery, n, s->dim, s->templates + (size_t)i * s->dim,
				      s->count, NULL, scores, ids) != 0)
			status = ctl_failed(ctl, "search");
		for (uint64_t h = 0; status == CTL_OK && h < (uint64_t)n * s->count; h++)
			if (ids[h] > 0 && ids[h] <= s->count)
				s->scores[(i + h / s->count) * s->count + (uint64_t)ids[h] - 1] =
					scores[h];
		output_progress(ctl->out, "searches", i + n, s->count);
	}
	free(scores);
	free(ids);
	return status;
}

static int score_by_daemon(struct ctl *ctl, const char *model, struct samples *s)
{
	struct facet_gallery_params params = {.size = sizeof(params), .keep_int8_only = true};
	char gallery[64];
	int status;

	if (infer_templates(ctl, model, s) != CTL_OK)
		return CTL_ERROR;
	if (s->count > 65536)
		return ctl_error("at most 65,536 faces at once; this folder has %u", s->count);
	params.dim = s->dim;
	snprintf(gallery, sizeof(gallery), "evaluate-%d", (int)getpid());
	if (facet_gallery_create(ctl->c, gallery, &params) != 0)
		return ctl_failed(ctl, "a gallery to evaluate in");
	status = enrol_templates(ctl, gallery, s);
	if (status == CTL_OK)
		status = search_templates(ctl, gallery, s);
	if (facet_gallery_delete(ctl->c, gallery, NULL, NULL) != 0)
		status = ctl_failed(ctl, gallery);
	return status;
}

/* ---- templates by the float network ------------------------------------------------------------- */
static void normalise(float *x, uint32_t dim)
{
	double sum = 0;

	for (uint32_t d = 0; d < dim; d++)
		sum += (double)x[d] * x[d];
	for (uint32_t d = 0; d < dim && sum > 0; d++)
		x[d] = (float)(x[d] / sqrt(sum));
}

static int score_by_float(struct ctl *ctl, const char *network, struct samples *s)
{
	struct compile_float *net;
	char text[COMPILE_TEXT] = "";
	uint32_t rows, dim;
	int status = CTL_OK;

	if (compile_float_open(network, NULL, NULL, &net, text) != 0)
		return ctl_error("%s", text);
	compile_float_output(net, 0, &rows, &dim);
	if (rows * dim != s->dim)
		status =
			ctl_error("%s: makes %u values, the model %u", network, rows * dim, s->dim);
	for (uint32_t i = 0; status == CTL_OK && i < s->count; i++) {
		if (ctl_interrupted())
			status = ctl_error("interrupted");
		else if (compile_float_run(net, s->crops + (size_t)i * s->crop_bytes) != 0)
			status = ctl_error("%s: cannot be run", network);
		else
			memcpy(s->templates + (size_t)i * s->dim,
			       compile_float_output(net, 0, &rows, &dim), s->dim * sizeof(float));
		normalise(s->templates + (size_t)i * s->dim, s->dim);
		output_progress(ctl->out, "float templates", i + 1, s->count);
	}
	compile_float_close(net);
	for (uint32_t i = 0; status == CTL_OK && i < s->count; i++)
		for (uint32_t j = 0; j <= i; j++) {
			float dot = 0;

			for (uint32_t d = 0; d < s->dim; d++)
				dot += s->templates[(size_t)i * s->dim + d] *
				       s->templates[(size_t)j * s->dim + d];
			s->scores[(size_t)i * s->count + j] = dot;
			s->scores[(size_t)j * s->count + i] = dot;
		}
	return status;
}

/* ---- pairs ---------------------------------------------------------------------------------- */
/* Sample of subject NAME whose file is NAME_%04d.jpg or .png with that number, or -1. */
static int64_t find_sample(const struct samples *s, const char *name, unsigned int number)
{
	size_t length = strlen(name);

	for (uint32_t i = 0; i < s->count; i++) {
		const struct photo *p = &s->photos.item[s->photo[i]];

		if (strcmp(p->subject, name) == 0 && strncmp(p->file, name, length) == 0 &&
		    p->file[length] == '_' && strtoul(p->file + length + 1, NULL, 10) == number)
			return i;
	}
	return -1;
}

static int add_pair(struct roc *roc, const struct samples *s, uint32_t a, uint32_t b)
{
	return roc_add(roc, s->subject[a], s->subject[b], s->scores[(size_t)a * s->count + b]);
}

/* Lines "NAME I J" (same person) and "NAME I NAME J" as LFW's lists have them. */
static int listed_pairs(const char *path, const struct samples *s, struct roc *roc,
			uint64_t *missing)
{
	FILE *file = fopen(path, "re");
	char line[512], a[128], b[128], extra[8];
	unsigned int i, j;
	int error = 0;

	if (!file)
		return ctl_error("%s: %s", path, strerror(errno));
	while (!error && fgets(line, sizeof(line), file)) {
		int64_t x, y;

		if (sscanf(line, "%127s %u %127s %u %7s", a, &i, b, &j, extra) == 4) {
			x = find_sample(s, a, i);
			y = find_sample(s, b, j);
		} else if (sscanf(line, "%127s %u %u %7s", a, &i, &j, extra) == 3) {
			x = find_sample(s, a, i);
			y = find_sample(s, a, j);
		} else {
			continue; /* a header */
		}
		if (x < 0 || y < 0)
			(*missing)++;
		else
			error = add_pair(roc, s, (uint32_t)x, (uint32_t)y);
	}
	fclose(file);
	return error ? ctl_error("out of memory") : CTL_OK;
}

static struct roc *make_roc(struct ctl *ctl, struct input *in, const struct samples *s)
{
	struct roc *roc = roc_create(s->subjects);
	uint64_t missing = 0;
	int error = roc ? 0 : -ENOMEM;

	if (!error && in->pairs) {
		if (listed_pairs(in->pairs, s, roc, &missing) != CTL_OK)
			goto fail;
		if (missing)
			output_note(ctl->out,
				    "%" PRIu64 " listed pairs have a photo that is not here",
				    missing);
	}
	for (uint32_t i = 1; !error && !in->pairs && i < s->count; i++)
		for (uint32_t j = 0; !error && j < i; j++)
			error = add_pair(roc, s, i, j);
	if (!error)
		error = roc_finish(roc);
	if (!error)
		return roc;
	ctl_error(error == -ENODATA
			  ? "no genuine or no impostor pairs: want several subjects, some "
			    "with two photos"
			  : "out of memory");
fail:
	roc_free(roc);
	return NULL;
}

/* Closed set, leave one out: of the probes whose subject has another photo, how many have one of
 * its photos first. */
static double rank_one(const struct samples *s)
{
	uint32_t *photos_of = calloc(s->subjects, sizeof(*photos_of));
	uint64_t probes = 0, right = 0;

	if (!photos_of)
		return NAN;
	for (uint32_t i = 0; i < s->count; i++)
		photos_of[s->subject[i]]++;
	for (uint32_t i = 0; i < s->count; i++) {
		int64_t best = -1;

		if (photos_of[s->subject[i]] < 2)
			continue;
		for (uint32_t j = 0; j < s->count; j++)
			if (j != i && (best < 0 || s->scores[(size_t)i * s->count + j] >
							   s->scores[(size_t)i * s->count + best]))
				best = j;
		probes++;
		right += s->subject[best] == s->subject[i];
	}
	free(photos_of);
	return probes ? (double)right / (double)probes : NAN;
}

/* ---- the report ----------------------------------------------------------------------------- */
static void report(struct ctl *ctl, const char *network, const struct samples *s,
		   const struct roc *roc)
{
	double first = rank_one(s);

	output_note(ctl->out,
		    "%s: %u faces of %u subjects, %" PRIu64 " genuine and %" PRIu64
		    " impostor pairs, rank-1 %.2f %%",
		    network, s->count, s->subjects, roc_genuine(roc), roc_impostors(roc),
		    100 * first);
	for (unsigned int i = 0; i < RATES; i++) {
		struct json_object *row = output_row_new();
		struct roc_point point;
		char far[16];

		if (rates[i] * (double)roc_impostors(roc) < 10) {
			output_note(ctl->out,
				    "FAR %g: not stated, %" PRIu64 " impostor pairs are too few",
				    rates[i], roc_impostors(roc));
			json_object_put(row);
			continue;
		}
		roc_at(roc, rates[i], &point);
		roc_interval(roc, &point, REPLICATES, 1);
		output_text(row, "network", network);
		snprintf(far, sizeof(far), "%g", rates[i]);
		json_object_object_add(row, "FAR", json_object_new_double_s(rates[i], far));
		output_number(row, "TAR_%", 100 * point.tar, 2);
		output_number(row, "low_%", 100 * point.low, 2);
		output_number(row, "high_%", 100 * point.high, 2);
		output_number(row, "threshold", point.threshold, 4);
		output_number(row, "rank1_%", 100 * first, 2);
		output_row(ctl->out, row);
	}
}

static int store_thresholds(struct ctl *ctl, const char *model, const struct roc *roc)
{
	struct facet_threshold thresholds[RATES];
	uint32_t count = 0;

	for (unsigned int i = RATES; i-- > 0;) {
		struct roc_point point;

		if (rates[i] * (double)roc_impostors(roc) < 10)
			continue;
		roc_at(roc, rates[i], &point);
		thresholds[count++] =
			(struct facet_threshold){.fmr = rates[i],
						 .score = (float)point.threshold,
						 .impostor_pairs = roc_impostors(roc)};
	}
	if (count == 0 || ctl->dry_run)
		return CTL_OK;
	if (facet_thresholds(ctl->c, NULL, model, thresholds, count, NULL) != 0)
		return ctl_failed(ctl, "thresholds");
	output_note(ctl->out, "%u thresholds stored into the space of %s (identify --fmr RATE)",
		    count, model);
	return CTL_OK;
}

static int evaluate(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct samples s = {0};
	struct roc *roc[2] = {NULL, NULL};
	char model[65];
	int status = CTL_OK;

	if (!in->model) {
		status = photo_only_model(ctl, model);
		in->model = model;
	}
	if (status == CTL_OK)
		status = gather(ctl, in, &s);

	if (status == CTL_OK && !(s.scores = calloc((size_t)s.count * s.count, sizeof(float))))
		status = ctl_error("out of memory");
	if (status == CTL_OK)
		status = score_by_daemon(ctl, in->model, &s);
	if (status == CTL_OK && !(roc[0] = make_roc(ctl, in, &s)))
		status = CTL_ERROR;
	if (status == CTL_OK) {
		report(ctl, "int8", &s, roc[0]);
		if (!in->no_store)
			status = store_thresholds(ctl, in->model, roc[0]);
	}
	if (status == CTL_OK && in->float_network) {
		status = score_by_float(ctl, in->float_network, &s);
		if (status == CTL_OK && !(roc[1] = make_roc(ctl, in, &s)))
			status = CTL_ERROR;
		if (status == CTL_OK)
			report(ctl, "float", &s, roc[1]);
	}
	if (status == CTL_OK && in->plot) {
		const struct plot_curve curves[] = {{"int8", roc[0]}, {"float", roc[1]}};
		int error = plot_det(in->plot, curves, roc[1] ? 2 : 1);

		if (error)
			status = ctl_error("%s: %s", in->plot, strerror(-error));
	}
	roc_free(roc[0]);
	roc_free(roc[1]);
	samples_free(&s);
	return status;
}

int cmd_evaluate(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"model", KEY_MODEL, "MODEL", 0, "the recognition model to judge (the only one)",
		 0},
		{"pairs", KEY_PAIRS, "FILE", 0, "only these pairs: NAME I J, or NAME I NAME J", 0},
		{"plot", KEY_PLOT, "FILE.png", 0, "draw the DET curve", 0},
		{"float", KEY_FLOAT, "NET.onnx", 0, "the float network too, beside it", 0},
		{"exclude", KEY_EXCLUDE, "FILE", 0,
		 "leave out these subjects (compile --subjects-out)", 0},
		{"no-store", KEY_NO_STORE, NULL, 0, "do not store the thresholds", 0},
		PHOTO_KEYS,
		{0},
	};
	static const struct argp argp = {
		options,
		parse,
		"DIR",
		"TAR at FAR with 95 % intervals (bootstrap over subjects), rank-1, and the "
		"thresholds "
		"of the false-match rates, which are stored into the model's space.",
		ctl_children,
		NULL,
		NULL};
	struct input in = {.common = {ctl}, .photo = {.choice = FACET_FACE_CENTRE}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.dir)
		return ctl_error("evaluate wants DIR (and --model MODEL where there are several)");
	return ctl_run(ctl, false, evaluate, &in);
}
