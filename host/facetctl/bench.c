/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: what the service reaches on this machine, measured from outside: search, echo, enrol,
 * model, gemm, conv. Kernels by themselves, the machine's limits and peers are `make bench`.
 */
#include "host/facetctl/floor.h"
#include "host/facetctl/load.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUERIES	    1024u /* different ones, in turn */
#define ECHO_ROUNDS 9
#define CLIENTS_MAX 1024u

enum {
	KEY_ROWS = 0x100,
	KEY_DIM,
	KEY_CLIENTS,
	KEY_SECONDS,
	KEY_GALLERY,
	KEY_DEPTH,
	KEY_MODEL,
	KEY_SHAPE,
	KEY_FLOOR,
	KEY_ORIGINALS
};

struct input {
	struct ctl_input common;
	const char *what, *gallery, *model, *shape;
	uint64_t rows;
	uint32_t dim, depth, k;
	uint32_t clients[16], client_counts;
	double seconds;
	bool floor, originals;
	int floor_processor;
};

static void parse_clients(struct input *in, char *arg, struct argp_state *state)
{
	char *save = NULL;

	in->client_counts = 0;
	for (char *part = strtok_r(arg, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		if (in->client_counts == 16)
			argp_error(state, "--clients: at most 16 numbers");
		in->clients[in->client_counts++] =
			(uint32_t)ctl_count(state, "--clients", part, 1, CLIENTS_MAX);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case KEY_ROWS:
		in->rows = ctl_count(state, "--rows", arg, 0, 1ull << 32);
		return 0;
	case KEY_DIM:
		in->dim = (uint32_t)ctl_count(state, "--dim", arg, 1, 1024);
		return 0;
	case KEY_CLIENTS:
		parse_clients(in, arg, state);
		return 0;
	case KEY_SECONDS:
		in->seconds = ctl_real(state, "--seconds", arg);
		return 0;
	case KEY_GALLERY:
		in->gallery = arg;
		return 0;
	case KEY_DEPTH:
		in->depth = (uint32_t)ctl_count(state, "--depth", arg, 1, 4096);
		return 0;
	case KEY_MODEL:
		in->model = arg;
		return 0;
	case KEY_SHAPE:
		in->shape = arg;
		return 0;
	case KEY_ORIGINALS:
		in->originals = true;
		return 0;
	case KEY_FLOOR:
		in->floor = true;
		in->floor_processor =
			arg ? (int)ctl_count(state, "--floor", arg, 0, CPU_SETSIZE - 1) : -1;
		return 0;
	case 'k':
		in->k = (uint32_t)ctl_count(state, "-k", arg, 1, 1024);
		return 0;
	case ARGP_KEY_ARG:
		if (in->what)
			return ARGP_ERR_UNKNOWN;
		in->what = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- what a call is ---------------------------------------------------------------------------- */
struct work {
	struct input *in;
	uint32_t dim, crop_bytes;
	float *queries; /* [QUERIES][dim] */
	float *scores;	/* [slots][k] */
	int64_t *ids;
	uint64_t turn;
	uint8_t payload[64];
	uint8_t *replies; /* [slots][64] */
	const char *gallery;
	uint64_t random;
	float *rows; /* enrol: one batch */
	uint64_t *row_ids;
	uint8_t *tensor;
	struct facet_outputs **outputs; /* [slots] */
	struct facet_gemm gemm;
	struct facet_conv2d conv;
	void *product; /* all slots write the same bytes here */
};

static int submit_search(void *context, struct facet *f, uint32_t slot,
			 const struct facet_call *call)
{
	struct work *w = context;
	uint32_t k = w->in->k;

	return facet_submit_search(
		f, w->gallery, 1, w->dim, w->queries + (w->turn++ % QUERIES) * w->dim, k, NULL,
		w->scores + (size_t)slot * k, w->ids + (size_t)slot * k, call, NULL);
}

static int submit_echo(void *context, struct facet *f, uint32_t slot, const struct facet_call *call)
{
	struct work *w = context;

	return facet_submit_ping(f, w->payload, sizeof(w->payload),
				 w->replies + (size_t)slot * sizeof(w->payload), call, NULL);
}

static int submit_enrol(void *context, struct facet *f, uint32_t slot,
			const struct facet_call *call)
{
	static const char *const subject = "bench";
	struct work *w = context;
	struct facet_probe probe = {
		.size = sizeof(probe), .count = 1000, .dim = w->dim, .data = w->rows};
	struct facet_enrol_params params = {.size = sizeof(params), .ids = w->row_ids};

	(void)slot;
	for (uint32_t i = 0; i < 1000; i++)
		w->row_ids[i] = load_random(&w->random) >> 1;
	return facet_submit_enrol(f, w->gallery, &probe, &subject, 1, &params, NULL, NULL, call,
				  NULL);
}

static int submit_model(void *context, struct facet *f, uint32_t slot,
			const struct facet_call *call)
{
	struct work *w = context;

	facet_free(w->outputs[slot]);
	w->outputs[slot] = NULL;
	return facet_submit_infer(f, w->in->model, 1, w->tensor, w->crop_bytes, &w->outputs[slot],
				  call, NULL);
}

static int submit_gemm(void *context, struct facet *f, uint32_t slot, const struct facet_call *call)
{
	struct work *w = context;

	(void)slot;
	return facet_submit_gemm_s8(f, &w->gemm, w->product, call, NULL);
}

static int submit_conv(void *context, struct facet *f, uint32_t slot, const struct facet_call *call)
{
	struct work *w = context;

	(void)slot;
	return facet_submit_conv2d_s8(f, &w->conv, w->product, call, NULL);
}

/* gops: multiplies and adds of one call, in 10^9, or 0. */
static void result_row(struct ctl *ctl, const char *what, uint32_t clients, uint32_t depth,
		       const struct load_result *r, double per_call, double gops)
{
	struct json_object *row = output_row_new();

	output_text(row, "bench", what);
	output_count(row, "clients", clients);
	output_count(row, "depth", depth);
	output_number(row, "per_second", per_call * (double)r->calls / r->seconds, 1);
	output_number(row, "p50_us", r->p50_us, 1);
	output_number(row, "p99_us", r->p99_us, 1);
	output_number(row, "device_us", r->device_us, 1);
	output_count(row, "overloaded", (int64_t)r->failed);
	if (gops > 0)
		output_number(row, "Gop/s", gops * (double)r->calls / r->seconds, 1);
	output_row(ctl->out, row);
}

/* Runs it and prints a row. */
static int measure(struct ctl *ctl, struct work *w, const char *what, uint32_t clients,
		   uint32_t depth, double per_call, double gops,
		   int (*submit)(void *, struct facet *, uint32_t, const struct facet_call *))
{
	struct load load = {.ctl = ctl,
			    .clients = clients,
			    .depth = depth,
			    .seconds = w->in->seconds,
			    .submit = submit,
			    .context = w};
	struct load_result r;

	if (load_run(&load, &r) != CTL_OK)
		return CTL_ERROR;
	result_row(ctl, what, clients, depth, &r, per_call, gops);
	return CTL_OK;
}

/* ---- search ----------------------------------------------------------------------------------- */
static int gallery_dim(struct ctl *ctl, const char *name, uint32_t *dim, uint64_t *rows)
{
	struct facet_galleries *galleries;

	if (facet_gallery_list(ctl->c, name, &galleries) != 0)
		return ctl_failed(ctl, name);
	*dim = galleries->count && galleries->items[0].space ? galleries->items[0].space->dim : 0;
	*rows = galleries->count ? galleries->items[0].templates : 0;
	facet_free(galleries);
	return *dim ? CTL_OK : ctl_error("no gallery '%s' here", name);
}

static int search_clients(struct ctl *ctl, struct input *in, struct work *w)
{
	uint32_t most = 1;
	int status = CTL_OK;

	for (uint32_t i = 0; i < in->client_counts; i++)
		most = in->clients[i] > most ? in->clients[i] : most;
	w->queries = malloc((size_t)QUERIES * w->dim * sizeof(float));
	w->scores = malloc((size_t)most * in->depth * in->k * sizeof(float));
	w->ids = malloc((size_t)most * in->depth * in->k * sizeof(int64_t));
	if (!w->queries || !w->scores || !w->ids)
		status = ctl_error("out of memory");
	else
		load_vectors(1, 10, QUERIES, w->dim, w->queries);
	for (uint32_t i = 0; status == CTL_OK && i < in->client_counts; i++)
		status = measure(ctl, w, "search", in->clients[i], in->depth, 1,
				 2e-9 * (double)in->rows * w->dim, submit_search);
	free(w->queries);
	free(w->scores);
	free(w->ids);
	return status;
}

static int bench_search(struct ctl *ctl, struct input *in, struct work *w)
{
	char name[65] = "";
	int status;

	w->dim = in->dim;
	if (in->gallery)
		status = gallery_dim(ctl, in->gallery, &w->dim, &in->rows);
	else
		status = load_gallery(ctl, name, in->rows, in->dim, in->originals);
	w->gallery = in->gallery ? in->gallery : name;
	if (status == CTL_OK) {
		output_note(ctl->out, "%" PRIu64 " templates of %u B, top-%u", in->rows, w->dim,
			    in->k);
		status = search_clients(ctl, in, w);
	}
	if (name[0] && (status == CTL_OK || !in->gallery))
		load_gallery_delete(ctl, name);
	return status;
}

/* ---- echo ------------------------------------------------------------------------------------- */
static int by_median(const void *a, const void *b)
{
	double x = ((const struct load_result *)a)->p50_us,
	       y = ((const struct load_result *)b)->p50_us;

	return (x > y) - (x < y);
}

/* In turn with the bare floor, so that both see the same machine; the round of the median latency
 * is shown. */
static int echo_depth(struct ctl *ctl, struct input *in, struct work *w, uint32_t depth)
{
	struct load_result echo[ECHO_ROUNDS], bare[ECHO_ROUNDS];
	struct load load = {.ctl = ctl,
			    .clients = 1,
			    .depth = depth,
			    .seconds = in->seconds / ECHO_ROUNDS,
			    .submit = submit_echo,
			    .context = w};

	for (int i = 0; i < ECHO_ROUNDS; i++) {
		if (load_run(&load, &echo[i]) != CTL_OK)
			return CTL_ERROR;
		if (in->floor && floor_run(depth, load.seconds, in->floor_processor, &bare[i]) != 0)
			return ctl_error("the bare floor cannot be measured here");
	}
	qsort(echo, ECHO_ROUNDS, sizeof(*echo), by_median);
	result_row(ctl, "echo", 1, depth, &echo[ECHO_ROUNDS / 2], 1, 0);
	if (in->floor) {
		qsort(bare, ECHO_ROUNDS, sizeof(*bare), by_median);
		result_row(ctl, "bare floor", 1, depth, &bare[ECHO_ROUNDS / 2], 1, 0);
	}
	return CTL_OK;
}

static int bench_echo(struct ctl *ctl, struct input *in, struct work *w)
{
	uint32_t deep = in->depth > 1 ? in->depth : 256;
	int status;

	w->replies = malloc((size_t)deep * sizeof(w->payload));
	if (!w->replies)
		return ctl_error("out of memory");
	status = echo_depth(ctl, in, w, 1);
	if (status == CTL_OK)
		status = echo_depth(ctl, in, w, deep);
	free(w->replies);
	return status;
}

/* ---- enrol ------------------------------------------------------------------------------------ */
static int bench_enrol(struct ctl *ctl, struct input *in, struct work *w)
{
	char name[65];
	int status;

	w->dim = in->dim;
	w->gallery = name;
	w->random = (uint64_t)getpid() << 32;
	w->rows = malloc(1000ul * in->dim * sizeof(float));
	w->row_ids = malloc(1000 * sizeof(uint64_t));
	status = w->rows && w->row_ids ? load_gallery(ctl, name, in->rows, in->dim, in->originals)
				       : ctl_error("out of memory");
	if (status == CTL_OK) {
		load_vectors(2, 0, 1000, in->dim, w->rows);
		status = measure(ctl, w, "enrol", 1, 8, 1000, 0, submit_enrol);
		load_gallery_delete(ctl, name);
	}
	free(w->rows);
	free(w->row_ids);
	return status;
}

/* ---- model, gemm, conv -------------------------------------------------------------------------- */
static int bench_model(struct ctl *ctl, struct input *in, struct work *w)
{
	struct facet_models *models;
	double macs = 0;
	int status;

	if (!in->model)
		return ctl_error("bench model wants --model NAME");
	if (facet_model_list(ctl->c, in->model, &models) != 0)
		return ctl_failed(ctl, in->model);
	if (models->count == 1) {
		macs = (double)models->items[0].macs;
		for (uint32_t i = 0; i < models->items[0].input_count; i++)
			w->crop_bytes += (uint32_t)models->items[0].inputs[i].elements;
	}
	facet_free(models);
	if (w->crop_bytes == 0)
		return ctl_error("no model '%s' here", in->model);
	w->tensor = malloc(w->crop_bytes);
	w->outputs = calloc(in->depth, sizeof(*w->outputs));
	status = w->tensor && w->outputs ? CTL_OK : ctl_error("out of memory");
	for (uint32_t i = 0; status == CTL_OK && i < w->crop_bytes; i++)
		w->tensor[i] = (uint8_t)load_random(&w->random);
	if (status == CTL_OK)
		status = measure(ctl, w, in->model, 1, in->depth, 1, 2e-9 * macs, submit_model);
	for (uint32_t i = 0; w->outputs && i < in->depth; i++)
		facet_free(w->outputs[i]);
	free(w->outputs);
	free(w->tensor);
	return status;
}

static int8_t *random_bytes(struct work *w, size_t bytes)
{
	int8_t *x = malloc(bytes);

	for (size_t i = 0; x && i < bytes; i++)
		x[i] = (int8_t)load_random(&w->random);
	return x;
}

static struct facet_requant plain_requant(uint32_t channels, float *scale)
{
	for (uint32_t i = 0; i < channels; i++)
		scale[i] = 0x1p-10f;
	return (struct facet_requant){.s_pos = scale, .s_neg = scale, .lo = -128, .hi = 127};
}

static int bench_gemm(struct ctl *ctl, struct input *in, struct work *w)
{
	uint32_t m = 256, n = 256, k = 512;
	float *scale;
	int status;

	if (in->shape &&
	    (sscanf(in->shape, "%ux%ux%u", &m, &n, &k) != 3 || m > 65536 || n > 65536 || k > 65536))
		return ctl_error("--shape %s: a GEMM's is MxNxK, for example 256x256x512",
				 in->shape);
	scale = malloc(n * sizeof(*scale) + 1);
	w->gemm = (struct facet_gemm){.size = sizeof(w->gemm), .m = m, .n = n, .k = k};
	w->gemm.a = random_bytes(w, (size_t)m * k);
	w->gemm.b = random_bytes(w, (size_t)n * k);
	w->product = malloc((size_t)m * n + 1);
	status =
		scale && w->gemm.a && w->gemm.b && w->product ? CTL_OK : ctl_error("out of memory");
	if (status == CTL_OK) {
		w->gemm.q = plain_requant(n, scale);
		status = measure(ctl, w, "gemm", 1, in->depth, 1, 2e-9 * m * n * k, submit_gemm);
	}
	free((void *)w->gemm.a);
	free((void *)w->gemm.b);
	free(w->product);
	free(scale);
	return status;
}

static int bench_conv(struct ctl *ctl, struct input *in, struct work *w)
{
	uint32_t h = 28, c = 128, oc = 128, kernel = 3;
	struct facet_conv2d *p = &w->conv;
	float *scale;
	int status;

	if (in->shape && (sscanf(in->shape, "%ux%ux%ux%u", &h, &c, &oc, &kernel) != 4 || h > 1024 ||
			  c > 4096 || oc > 4096 || kernel > 11))
		return ctl_error(
			"--shape %s: a convolution's is HxCxOCxK, for example 28x128x128x3",
			in->shape);
	*p = (struct facet_conv2d){.size = sizeof(*p),
				   .n = 1,
				   .h = h,
				   .w = h,
				   .c = c,
				   .oc = oc,
				   .kh = kernel,
				   .kw = kernel,
				   .groups = 1,
				   .stride_h = 1,
				   .stride_w = 1,
				   .dilation_h = 1,
				   .dilation_w = 1,
				   .pad_top = kernel / 2,
				   .pad_left = kernel / 2,
				   .pad_bottom = kernel / 2,
				   .pad_right = kernel / 2};
	scale = malloc(oc * sizeof(*scale) + 1);
	p->x = random_bytes(w, (size_t)h * h * c);
	p->weights = random_bytes(w, (size_t)oc * kernel * kernel * c);
	w->product = malloc((size_t)h * h * oc + 1);
	status = scale && p->x && p->weights && w->product ? CTL_OK : ctl_error("out of memory");
	if (status == CTL_OK) {
		p->q = plain_requant(oc, scale);
		status = measure(ctl, w, "conv", 1, in->depth, 1,
				 2e-9 * h * h * oc * kernel * kernel * c, submit_conv);
	}
	free((void *)p->x);
	free((void *)p->weights);
	free(w->product);
	free(scale);
	return status;
}

/* ---- the command ------------------------------------------------------------------------------- */
static const struct bench {
	const char *name;
	int (*run)(struct ctl *ctl, struct input *in, struct work *w);
} benches[] = {
	{"search", bench_search}, {"echo", bench_echo},	  {"enrol", bench_enrol},
	{"enroll", bench_enrol},  {"model", bench_model}, {"gemm", bench_gemm},
	{"conv", bench_conv},
};

static int bench(struct ctl *ctl, void *input)
{
	struct input *in = input;
	struct work w = {.in = in};

	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (strcmp(in->what, benches[i].name) == 0)
			return benches[i].run(ctl, in, &w);
	return ctl_error("bench %s: want search, gemm, conv, model, echo or enrol", in->what);
}

int cmd_bench(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"rows", KEY_ROWS, "N", 0, "search, enrol: templates in the gallery (100,000; 0)",
		 0},
		{"dim", KEY_DIM, "D", 0, "(512)", 0},
		{"gallery", KEY_GALLERY, "NAME", 0, "search: this gallery instead of a made-up one",
		 0},
		{NULL, 'k', "K", 0, "search: hits a query (10)", 0},
		{"clients", KEY_CLIENTS, "N[,N...]", 0, "search: connections (1,16,64)", 0},
		{"depth", KEY_DEPTH, "N", 0, "calls in flight of a client (1; echo: 1 and 256)", 0},
		{"model", KEY_MODEL, "NAME", 0, "model: which", 0},
		{"shape", KEY_SHAPE, "S", 0, "gemm: MxNxK; conv: HxCxOCxK", 0},
		{"seconds", KEY_SECONDS, "S", 0, "of each measurement (3)", 0},
		{"originals", KEY_ORIGINALS, NULL, 0, "search, enrol: keep float16 originals too",
		 0},
		{"floor", KEY_FLOOR, "CPU", OPTION_ARG_OPTIONAL,
		 "echo: beside two bare threads and a socket (the worker on that processor)", 0},
		{0},
	};
	static const struct argp argp = {options,
					 parse,
					 "search|gemm|conv|model|echo|enrol",
					 "Measure the service from outside, wall clock. make bench "
					 "measures the kernels alone.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl},
			   .dim = 512,
			   .depth = 1,
			   .k = 10,
			   .seconds = 3,
			   .clients = {1, 16, 64},
			   .client_counts = 3,
			   .rows = UINT64_MAX};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (!in.what)
		return ctl_error("bench wants search, gemm, conv, model, echo or enrol");
	if (in.rows == UINT64_MAX)
		in.rows = strncmp(in.what, "enrol", 5) == 0 ? 0 : 100000;
	return ctl_run(ctl, false, bench, &in);
}
