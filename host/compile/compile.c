/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/compile.h"

#include "host/compile/equalise.h"
#include "host/compile/lower.h"
#include "host/compile/measure.h"
#include "kernels/ops.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX	((size_t)12 << 30)
#define SAMPLES_DEFAULT 200u
#define SAMPLES_SCALES	64u /* enough for a channel's magnitude */
#define SAMPLES_MEASURE 32u
#define SPREAD_MOST	0.9

struct job {
	struct compile_options options; /* completed by the defaults */
	struct pool *pool;
	struct graph *g;
	struct execute *execute;
	struct program *p;
	struct compile_input input;
	uint8_t **sample;
	uint32_t samples;
	float *real; /* one sample as the float network wants it */
	uint8_t space[32];
};

static int progress(struct job *job, const char *what, uint32_t done, uint32_t total)
{
	if (job->options.progress &&
	    job->options.progress(job->options.progress_context, what, done, total))
		return pool_error(job->pool, -ECANCELED, "stopped");
	return 0;
}

/* ---- the network and the samples ---------------------------------------------------------------------- */

static void hash_float(crypto_generichash_state *state, float v)
{
	uint32_t bits;
	uint8_t bytes[4];

	memcpy(&bits, &v, sizeof(bits));
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(bits >> 8 * i);
	crypto_generichash_update(state, bytes, sizeof(bytes));
}

/*
 * What makes templates comparable: the float weights in the file's order, the operators, and the
 * preprocessing. Not the calibration: two compilations of one network are one space.
 */
static void hash_space(struct job *job)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(job->space));
	for (uint32_t t = 0; t < job->g->tensors; t++)
		for (size_t i = 0; job->g->tensor[t].f && i < job->g->tensor[t].count; i++)
			hash_float(&state, job->g->tensor[t].f[i]);
	for (uint32_t i = 0; i < job->g->nodes; i++)
		hash_float(&state, (float)job->g->node[i].kind);
	for (uint32_t c = 0; c < job->input.channels; c++) {
		hash_float(&state, job->options.mean[c]);
		hash_float(&state, job->options.scale[c]);
	}
	crypto_generichash_final(&state, job->space, sizeof(job->space));
}

static int check_options(struct job *job)
{
	struct compile_options *o = &job->options;

	o->samples_max = o->samples_max ? o->samples_max : SAMPLES_DEFAULT;
	o->percentile = o->percentile != 0 ? o->percentile : COMPILE_PERCENTILE;
	if (o->scale[0] == 0)
		for (uint32_t c = 0; c < COMPILE_CHANNELS_MAX; c++) {
			o->mean[c] = 127;
			o->scale[c] = 128;
		}
	if (o->samples_max > COMPILE_SAMPLES_MAX)
		return pool_error(job->pool, -EINVAL, "at most %u calibration samples are taken",
				  COMPILE_SAMPLES_MAX);
	if (!(o->percentile >= 90 && o->percentile <= 100))
		return pool_error(job->pool, -EINVAL, "the percentile must be from 90 to 100");
	for (uint32_t c = 0; c < job->input.channels; c++)
		if (!isfinite(o->mean[c]) || !(o->scale[c] >= 1e-6f && o->scale[c] <= 1e6f))
			return pool_error(job->pool, -EINVAL,
					  "the scale of the pixels must be from 1e-6 to 1e6");
	return 0;
}

static int read_network(struct job *job)
{
	const struct graph_tensor *image;
	int err = onnx_read(job->pool, job->options.network, &job->g);

	if (err)
		return err;
	image = &job->g->tensor[job->g->input];
	job->input = (struct compile_input){.width = (uint32_t)image->dim[3],
					    .height = (uint32_t)image->dim[2],
					    .channels = (uint32_t)image->dim[1]};
	err = check_options(job);
	if (err)
		return err;
	hash_space(job);
	err = shape_infer(job->g);
	if (!err)
		err = fold_graph(job->g);
	if (!err)
		err = execute_create(job->g, &job->execute);
	return err;
}

static int read_samples(struct job *job)
{
	size_t bytes = (size_t)job->input.width * job->input.height * job->input.channels;
	int more = 1;

	job->sample = pool_alloc(job->pool, job->options.samples_max, sizeof(*job->sample));
	job->real = pool_alloc(job->pool, bytes, sizeof(float));
	if (!job->sample || !job->real)
		return pool_exhausted(job->pool);
	while (job->samples < job->options.samples_max && job->options.sample) {
		uint8_t *pixels = pool_alloc(job->pool, bytes, 1);

		if (!pixels)
			return pool_exhausted(job->pool);
		more = job->options.sample(job->options.sample_context, job->samples, &job->input,
					   pixels);
		if (more < 0)
			return pool_error(job->pool, more,
					  "a calibration sample could not be read");
		if (!more)
			break;
		job->sample[job->samples++] = pixels;
		if (progress(job, "samples", job->samples, job->options.samples_max))
			return -ECANCELED;
	}
	if (!job->samples)
		return pool_error(job->pool, -EINVAL,
				  "there are no calibration samples; give a folder of photos");
	return 0;
}

/* Pixels [h][w][c] to floats [c][h][w]. */
static const float *real_sample(struct job *job, uint32_t index)
{
	size_t size = (size_t)job->input.width * job->input.height;
	const uint8_t *pixel = job->sample[index];

	for (size_t i = 0; i < size; i++)
		for (uint32_t c = 0; c < job->input.channels; c++)
			job->real[c * size + i] =
				((float)*pixel++ - job->options.mean[c]) / job->options.scale[c];
	return job->real;
}

/* ---- the passes --------------------------------------------------------------------------------------- */

static int check_finite(struct job *job)
{
	for (uint32_t k = 0; k < job->g->outputs; k++) {
		const struct graph_tensor *t = &job->g->tensor[job->g->output[k]];
		const float *v = execute_values(job->execute, job->g->output[k]);

		for (size_t i = 0; i < t->count; i++)
			if (!isfinite(v[i]))
				return pool_error(
					job->pool, -EINVAL,
					"the float network's output '%s' is not finite: its "
					"weights are damaged",
					t->name);
	}
	return 0;
}

static int calibrate(struct job *job, const char *what, const bool *wanted, uint32_t samples,
		     struct calibrate **c)
{
	int err = calibrate_create(job->g, wanted, c);

	for (uint32_t i = 0; i < samples && !err; i++) {
		err = execute_run(job->execute, real_sample(job, i));
		if (!err)
			err = check_finite(job);
		if (err)
			return err;
		calibrate_add(*c, job->execute);
		err = progress(job, what, i + 1, samples);
	}
	return err;
}

static int equalise(struct job *job)
{
	uint32_t samples = job->samples < SAMPLES_SCALES ? job->samples : SAMPLES_SCALES;
	struct calibrate *c;
	int err;

	if (job->options.no_equalise)
		return 0;
	err = calibrate(job, "equalise", NULL, samples, &c);
	return err ? err : equalise_graph(job->g, c);
}

static int quantise(struct job *job)
{
	struct calibrate *c;
	bool *wanted;
	int err = lower_wanted(job->g, &wanted);

	if (!err)
		err = calibrate(job, "calibrate", wanted, job->samples, &c);
	if (!err)
		err = lower_graph(job->g, c, &job->options, &job->p);
	return err ? err : arena_place(job->p);
}

/* ---- the report --------------------------------------------------------------------------------------- */

static const char *const kinds[] = {
	[FACET__MODEL__KIND__CONV2D] = "conv2d",
	[FACET__MODEL__KIND__GEMM] = "gemm",
	[FACET__MODEL__KIND__POOL2D] = "pool2d",
	[FACET__MODEL__KIND__ADD] = "add",
	[FACET__MODEL__KIND__TABLE] = "table",
	[FACET__MODEL__KIND__CONCAT] = "concat",
	[FACET__MODEL__KIND__DEQUANTIZE] = "dequantize",
	[FACET__MODEL__KIND__FLOAT] = "float",
	[FACET__MODEL__KIND__COPY] = "copy",
	[FACET__MODEL__KIND__STRIDED] = "strided",
	[FACET__MODEL__KIND__JOIN] = "join",
};

static uint64_t op_macs(const struct program *p, const Facet__Model__Op *op)
{
	uint64_t count = program_tensor_count(p, op->output);
	const Facet__Model__Tensor *y = p->graph.tensors[op->output];
	uint64_t rows = y->shape[y->n_shape - 1];

	if (op->kind == FACET__MODEL__KIND__CONV2D)
		return count * (op->conv->weights->length / rows);
	return op->kind == FACET__MODEL__KIND__GEMM ? count * op->gemm->k : 0;
}

static bool fill_layer(const struct program *p, const struct measure *m, uint32_t i,
		       struct compile_layer *layer)
{
	const Facet__Model__Op *op = p->graph.ops[i];
	const Facet__Model__Tensor *y = p->graph.tensors[op->output];

	*layer = (struct compile_layer){.name = strdup(op->name),
					.kind = kinds[op->kind],
					.rank = (uint32_t)y->n_shape,
					.macs = op_macs(p, op),
					.sqnr = measure_sqnr(m, i)};
	memcpy(layer->shape, y->shape, y->n_shape * sizeof(*y->shape));
	return layer->name != NULL;
}

static int fill_report(struct job *job, const struct measure *m, struct compile_report *r)
{
	const Facet__Model__Graph *graph = &job->p->graph;
	const Facet__Model__Tensor *out = graph->tensors[graph->outputs[0]];

	r->name = strdup(graph->name);
	r->layer = calloc(graph->n_ops, sizeof(*r->layer));
	if (!r->name || !r->layer)
		return pool_exhausted(job->pool);
	for (; r->layers < graph->n_ops; r->layers++)
		if (!fill_layer(job->p, m, r->layers, &r->layer[r->layers]))
			return pool_exhausted(job->pool);
	r->input = job->input;
	r->samples = job->samples;
	r->macs = graph->macs;
	r->weight_bytes = job->p->weight_bytes;
	r->arena_bytes = graph->arena_bytes;
	r->outputs = (uint32_t)graph->n_outputs;
	r->dim = out->shape[out->n_shape - 1];
	r->is_template = graph->template_;
	memcpy(r->space_digest, job->space, sizeof(job->space));
	measure_finish(m, r);
	return 0;
}

static int check_spread(struct job *job, const struct compile_report *r)
{
	if (!r->is_template || job->options.allow_collapse || job->samples < 2)
		return 0;
	if (r->spread_float >= SPREAD_MOST)
		return pool_error(
			job->pool, -ERANGE,
			"different samples give nearly the same template already in float "
			"(mean cosine %.4f): the network is broken or wants another "
			"preprocessing",
			r->spread_float);
	if (r->spread >= SPREAD_MOST)
		return pool_error(job->pool, -ERANGE,
				  "different samples give nearly the same template in int8 (mean "
				  "cosine %.4f, in float %.4f): calibrate with more varied photos",
				  r->spread, r->spread_float);
	return 0;
}

static int measure(struct job *job, struct compile_report *r)
{
	uint32_t samples = job->samples < SAMPLES_MEASURE ? job->samples : SAMPLES_MEASURE;
	struct evaluate *evaluate;
	struct measure *m;
	int err = evaluate_create(job->p, &evaluate);

	if (!err)
		err = measure_create(job->g, job->p, samples, &m);
	for (uint32_t i = 0; i < samples && !err; i++) {
		/* Spread over all samples, since neighbours may be of one person. */
		uint32_t at = (uint32_t)((uint64_t)i * job->samples / samples);

		err = measure_add(m, job->execute, evaluate, real_sample(job, at), job->sample[at]);
		if (!err)
			err = progress(job, "measure", i + 1, samples);
	}
	if (!err)
		err = fill_report(job, m, r);
	return err ? err : check_spread(job, r);
}

/* ---- the file ----------------------------------------------------------------------------------------- */

/* "dir/fr_feature.onnx" -> "fr_feature" */
static char *model_name(struct job *job)
{
	const char *path = job->options.network, *slash = strrchr(path, '/'), *dot;

	if (job->options.name)
		return pool_text(job->pool, job->options.name, strlen(job->options.name));
	path = slash ? slash + 1 : path;
	dot = strrchr(path, '.');
	return pool_text(job->pool, path, dot && dot != path ? (size_t)(dot - path) : strlen(path));
}

static bool is_template(const struct job *job)
{
	const Facet__Model__Graph *graph = &job->p->graph;
	const Facet__Model__Tensor *out = graph->tensors[graph->outputs[0]];

	return !job->options.not_template && graph->n_outputs == 1 && out->n_shape == 1 &&
	       out->shape[0] >= 16 && out->shape[0] <= SEARCH_DIM_MAX;
}

static int describe(struct job *job)
{
	Facet__Model__Preprocess *pre =
		PROGRAM_NEW(job->pool, Facet__Model__Preprocess, facet__model__preprocess__init);
	Facet__Model__Graph *graph = &job->p->graph;

	graph->name = model_name(job);
	graph->producer = pool_text(job->pool, "facetctl compile " FACET_VERSION,
				    strlen("facetctl compile " FACET_VERSION));
	if (!pre || !graph->name || !graph->producer)
		return pool_exhausted(job->pool);
	pre->width = job->input.width;
	pre->height = job->input.height;
	pre->channels = job->input.channels;
	pre->mean = job->options.mean;
	pre->scale = job->options.scale;
	pre->n_mean = pre->n_scale = job->input.channels;
	graph->preprocess = pre;
	graph->template_ = is_template(job);
	graph->space_digest = (ProtobufCBinaryData){.data = job->space, .len = sizeof(job->space)};
	return 0;
}

static int write_output(struct job *job, struct compile_report *r)
{
	uint8_t *data;
	size_t length;
	int err;

	job->p->graph.cosine_to_float = (float)r->centred_cosine;
	err = write_pack(job->p, &data, &length);
	if (err)
		return err;
	r->file_bytes = length;
	crypto_generichash(r->digest, sizeof(r->digest), data, length, NULL, 0);
	return job->options.output ? write_file(job->pool, job->options.output, data, length) : 0;
}

static int run(struct job *job, struct compile_report *r)
{
	int err = read_network(job);

	if (!err)
		err = read_samples(job);
	if (!err)
		err = equalise(job);
	if (!err)
		err = quantise(job);
	if (!err)
		err = describe(job);
	if (!err)
		err = measure(job, r);
	if (!err)
		err = write_output(job, r);
	return err;
}

int compile_network(const struct compile_options *options, struct compile_report **report,
		    char text[COMPILE_TEXT])
{
	struct job job = {.options = *options};
	int err = -ENOMEM;

	*report = calloc(1, sizeof(**report));
	job.pool = pool_create(MEMORY_MAX, text, COMPILE_TEXT);
	if (!*report || !job.pool)
		snprintf(text, COMPILE_TEXT, "no memory");
	else
		err = sodium_init() < 0 ? -EIO : run(&job, *report);
	pool_free(job.pool);
	if (err) {
		compile_report_free(*report);
		*report = NULL;
	}
	return err;
}

void compile_report_free(struct compile_report *report)
{
	if (!report)
		return;
	for (uint32_t i = 0; i < report->layers; i++)
		free(report->layer[i].name);
	free(report->layer);
	free(report->name);
	free(report);
}

int compile_inspect(const char *network, struct compile_input *input, char text[COMPILE_TEXT])
{
	struct job job = {.options = {.network = network}};
	int err = -ENOMEM;

	job.pool = pool_create(MEMORY_MAX, text, COMPILE_TEXT);
	if (job.pool)
		err = onnx_read(job.pool, network, &job.g);
	else
		snprintf(text, COMPILE_TEXT, "no memory");
	if (!err) {
		const struct graph_tensor *image = &job.g->tensor[job.g->input];

		*input = (struct compile_input){.width = (uint32_t)image->dim[3],
						.height = (uint32_t)image->dim[2],
						.channels = (uint32_t)image->dim[1]};
	}
	pool_free(job.pool);
	return err;
}
