/* SPDX-License-Identifier: Apache-2.0 */
/* The float executor as plain functions, for the comparison with another runtime. */
#include "tests/compile/bridge.h"

#include "host/compile/execute.h"

#include <stdlib.h>

struct bridge {
	struct pool *pool;
	struct graph *g;
	struct execute *e;
	char text[400];
};

struct bridge *bridge_open(const char *path, bool fold)
{
	struct bridge *b = calloc(1, sizeof(*b));

	b->pool = pool_create((size_t)8 << 30, b->text, sizeof(b->text));
	if (onnx_read(b->pool, path, &b->g) || shape_infer(b->g) || (fold && fold_graph(b->g)) ||
	    execute_create(b->g, &b->e))
		b->e = NULL;
	return b;
}

const char *bridge_error(const struct bridge *b)
{
	return b->e ? "" : b->text;
}

int bridge_run(struct bridge *b, const float *input)
{
	return execute_run(b->e, input);
}

const float *bridge_output(const struct bridge *b, unsigned int index, size_t *count)
{
	if (index >= b->g->outputs)
		return NULL;
	*count = b->g->tensor[b->g->output[index]].count;
	return execute_values(b->e, b->g->output[index]);
}

void bridge_close(struct bridge *b)
{
	pool_free(b->pool);
	free(b);
}
