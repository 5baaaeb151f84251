/* SPDX-License-Identifier: Apache-2.0 */
/* The float network by itself: compile_float_ of compile.h. */
#include "host/compile/compile.h"

#include <errno.h>
#include <stdlib.h>
#include "host/compile/execute.h"

#define FLOAT_MEMORY_MAX (4ull << 30)
#define PIXEL_MEAN	 127.0f
#define PIXEL_SCALE	 128.0f

struct compile_float {
	struct pool *pool;
	struct graph *graph;
	struct execute *execute;
	struct compile_input input;
	float mean[COMPILE_CHANNELS_MAX], scale[COMPILE_CHANNELS_MAX];
	float *plane; /* the input, NCHW */
};

/* The input's extents as a picture's; other inputs are no picture. */
static int read_input(struct compile_float *net)
{
	const struct graph_tensor *t = &net->graph->tensor[net->graph->input];

	if (t->rank != 4 || t->dim[0] != 1 || t->dim[1] < 1 || t->dim[1] > COMPILE_CHANNELS_MAX)
		return pool_error(net->pool, -EINVAL,
				  "the input is no picture: want 1 x channels x height x width");
	net->input = (struct compile_input){.width = (uint32_t)t->dim[3],
					    .height = (uint32_t)t->dim[2],
					    .channels = (uint32_t)t->dim[1]};
	net->plane = pool_alloc(net->pool, t->count, sizeof(*net->plane));
	return net->plane ? 0 : pool_exhausted(net->pool);
}

static int open_network(struct compile_float *net, const char *network)
{
	int error = onnx_read(net->pool, network, &net->graph);

	if (!error)
		error = shape_infer(net->graph);
	if (!error)
		error = fold_graph(net->graph);
	if (!error)
		error = read_input(net);
	if (!error)
		error = execute_create(net->graph, &net->execute);
	return error;
}

int compile_float_open(const char *network, const float *mean, const float *scale,
		       struct compile_float **net, char text[COMPILE_TEXT])
{
	struct compile_float *f = calloc(1, sizeof(*f));
	int error = -ENOMEM;

	text[0] = '\0';
	if (f)
		f->pool = pool_create(FLOAT_MEMORY_MAX, text, COMPILE_TEXT);
	if (f && f->pool)
		error = open_network(f, network);
	if (error) {
		compile_float_close(f);
		return error;
	}
	for (unsigned int c = 0; c < COMPILE_CHANNELS_MAX; c++) {
		f->mean[c] = mean ? mean[c] : PIXEL_MEAN;
		f->scale[c] = scale && scale[c] != 0 ? scale[c] : scale ? scale[0] : PIXEL_SCALE;
	}
	*net = f;
	return 0;
}

void compile_float_close(struct compile_float *net)
{
	if (!net)
		return;
	if (net->pool)
		pool_free(net->pool);
	free(net);
}

void compile_float_input(const struct compile_float *net, struct compile_input *input)
{
	*input = net->input;
}

uint32_t compile_float_outputs(const struct compile_float *net)
{
	return net->graph->outputs;
}

const float *compile_float_output(const struct compile_float *net, uint32_t i, uint32_t *rows,
				  uint32_t *columns)
{
	uint32_t tensor = net->graph->output[i];
	const struct graph_tensor *t = &net->graph->tensor[tensor];

	*columns = t->rank ? (uint32_t)t->dim[t->rank - 1] : 1;
	*rows = (uint32_t)(t->count / *columns);
	return execute_values(net->execute, tensor);
}

int compile_float_run(struct compile_float *net, const uint8_t *pixels)
{
	uint32_t channels = net->input.channels;
	size_t area = (size_t)net->input.width * net->input.height;

	for (uint32_t c = 0; c < channels; c++)
		for (size_t i = 0; i < area; i++)
			net->plane[c * area + i] =
				((float)pixels[i * channels + c] - net->mean[c]) / net->scale[c];
	return execute_run(net->execute, net->plane);
}
