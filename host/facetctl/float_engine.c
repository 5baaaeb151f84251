/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/float_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/compile/compile.h"

#define NETS 2

struct job {
	struct job *next;
	void *tag;
	int status;
	float *output[FACET_FACE_OUTPUTS];
	char text[FACET_FACE_TEXT];
};

struct float_engine {
	struct {
		char *path;
		struct compile_float *net;
	} net[NETS];
	struct job *first, **last; /* done, not yet taken */
	struct job *taken;	   /* its outputs are with the caller */
};

static void job_free(struct job *job)
{
	if (!job)
		return;
	for (unsigned int i = 0; i < FACET_FACE_OUTPUTS; i++)
		free(job->output[i]);
	free(job);
}

/* The network of that path, opened at its first use. */
static struct compile_float *find_net(struct float_engine *engine, const char *path,
				      char text[FACET_FACE_TEXT])
{
	static const float zero[COMPILE_CHANNELS_MAX], grey[COMPILE_CHANNELS_MAX] = {256};
	struct compile_input input;
	char why[COMPILE_TEXT] = "";
	unsigned int i;

	for (i = 0; i < NETS && engine->net[i].path; i++)
		if (strcmp(engine->net[i].path, path) == 0)
			return engine->net[i].net;
	if (i == NETS)
		return NULL;
	if (compile_inspect(path, &input, why) != 0 ||
	    compile_float_open(path, input.channels == 1 ? zero : NULL,
			       input.channels == 1 ? grey : NULL, &engine->net[i].net, why) != 0) {
		snprintf(text, FACET_FACE_TEXT, "%.*s", (int)FACET_FACE_TEXT - 1, why);
		return NULL;
	}
	engine->net[i].path = strdup(path);
	return engine->net[i].path ? engine->net[i].net : NULL;
}

static int describe(void *context, const char *model, struct facet_face_network *network,
		    char text[FACET_FACE_TEXT])
{
	struct compile_float *net = find_net(context, model, text);
	struct compile_input input;

	if (!net)
		return -EINVAL;
	compile_float_input(net, &input);
	*network = (struct facet_face_network){.width = input.width,
					       .height = input.height,
					       .channels = input.channels,
					       .outputs = compile_float_outputs(net)};
	if (network->outputs > FACET_FACE_OUTPUTS)
		return -EINVAL;
	for (uint32_t i = 0; i < network->outputs; i++) {
		uint32_t rows, columns;

		compile_float_output(net, i, &rows, &columns);
		network->floats[i] = rows * columns;
		network->columns[i] = columns;
	}
	return 0;
}

static int keep_outputs(struct compile_float *net, struct job *job, uint32_t item, uint32_t count)
{
	for (uint32_t i = 0; i < compile_float_outputs(net); i++) {
		uint32_t rows, columns;
		const float *values = compile_float_output(net, i, &rows, &columns);
		size_t floats = (size_t)rows * columns;

		if (!job->output[i])
			job->output[i] = malloc(floats * count * sizeof(float));
		if (!job->output[i])
			return -ENOMEM;
		memcpy(job->output[i] + floats * item, values, floats * sizeof(float));
	}
	return 0;
}

/* Runs it at once: the float executor has no queue. */
static int submit(void *context, const char *model, const uint8_t *input, uint32_t count, void *tag,
		  char text[FACET_FACE_TEXT])
{
	struct float_engine *engine = context;
	struct compile_float *net = find_net(engine, model, text);
	struct job *job = net ? calloc(1, sizeof(*job)) : NULL;
	struct compile_input size;

	if (!job)
		return net ? -ENOMEM : -EINVAL;
	compile_float_input(net, &size);
	job->tag = tag;
	for (uint32_t i = 0; i < count && !job->status; i++) {
		size_t bytes = (size_t)size.width * size.height * size.channels;

		job->status = compile_float_run(net, input + i * bytes);
		if (!job->status)
			job->status = keep_outputs(net, job, i, count);
	}
	if (job->status)
		snprintf(job->text, sizeof(job->text), "%s: %s", model, strerror(-job->status));
	*engine->last = job;
	engine->last = &job->next;
	return 0;
}

static int next(void *context, struct facet_face_done *done)
{
	struct float_engine *engine = context;
	struct job *job = engine->first;

	if (!job)
		return -ENOENT;
	engine->first = job->next;
	if (!engine->first)
		engine->last = &engine->first;
	job_free(engine->taken);
	engine->taken = job;
	memset(done, 0, sizeof(*done));
	done->tag = job->tag;
	done->status = job->status;
	memcpy(done->text, job->text, sizeof(done->text));
	for (unsigned int i = 0; i < FACET_FACE_OUTPUTS; i++)
		done->output[i] = job->output[i];
	return 0;
}

static void close_engine(void *context)
{
	struct float_engine *engine = context;

	for (struct job *job = engine->first, *after; job; job = after) {
		after = job->next;
		job_free(job);
	}
	job_free(engine->taken);
	for (unsigned int i = 0; i < NETS; i++) {
		free(engine->net[i].path);
		compile_float_close(engine->net[i].net);
	}
	free(engine);
}

int float_engine_create(struct facet_face_engine *engine)
{
	struct float_engine *own = calloc(1, sizeof(*own));

	if (!own)
		return -ENOMEM;
	own->last = &own->first;
	*engine = (struct facet_face_engine){own, describe, submit, next, close_engine};
	return 0;
}
