/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/graph.h"

#include <errno.h>
#include <string.h>

uint32_t graph_add_tensor(struct graph *g, const char *name)
{
	if (g->tensors == g->tensors_room) {
		uint32_t room = g->tensors_room ? g->tensors_room * 2 : 256;
		struct graph_tensor *more = pool_alloc(g->pool, room, sizeof(*more));

		if (!more)
			return GRAPH_NONE;
		if (g->tensors)
			memcpy(more, g->tensor, g->tensors * sizeof(*more));
		g->tensor = more;
		g->tensors_room = room;
	}
	g->tensor[g->tensors].name = pool_text(g->pool, name, strlen(name));
	return g->tensor[g->tensors].name ? g->tensors++ : GRAPH_NONE;
}

int graph_set_shape(struct graph *g, uint32_t tensor, uint32_t rank, const int64_t *dim)
{
	struct graph_tensor *t = &g->tensor[tensor];
	int64_t count = 1;

	if (rank > GRAPH_RANK)
		return -EINVAL;
	for (uint32_t i = 0; i < rank; i++) {
		if (dim[i] < 1 || dim[i] > GRAPH_EXTENT_MAX)
			return -EINVAL;
		count *= dim[i];
		if (count > GRAPH_ELEMENTS_MAX)
			return -EINVAL;
	}
	for (uint32_t i = 0; i < GRAPH_RANK; i++)
		t->dim[i] = i < rank ? dim[i] : 1;
	t->rank = rank;
	t->count = (size_t)count;
	return 0;
}

float *graph_add_constant(struct graph *g, uint32_t count, uint32_t *tensor)
{
	int64_t dim = count;
	float *values = pool_alloc(g->pool, count, sizeof(*values));

	*tensor = graph_add_tensor(g, "constant");
	if (!values || *tensor == GRAPH_NONE || graph_set_shape(g, *tensor, 1, &dim))
		return NULL;
	g->tensor[*tensor].f = values;
	return values;
}

const float *graph_floats(const struct graph *g, const struct graph_node *n, uint32_t input)
{
	if (input >= n->inputs || n->input[input] == GRAPH_NONE)
		return NULL;
	return g->tensor[n->input[input]].f;
}

int graph_link(struct graph *g, struct graph_links *links)
{
	links->producer = pool_alloc(g->pool, g->tensors, sizeof(uint32_t));
	links->uses = pool_alloc(g->pool, g->tensors, sizeof(uint32_t));
	links->user = pool_alloc(g->pool, g->tensors, sizeof(uint32_t));
	if (!links->producer || !links->uses || !links->user)
		return pool_exhausted(g->pool);
	for (uint32_t t = 0; t < g->tensors; t++)
		links->producer[t] = links->user[t] = GRAPH_NONE;
	for (uint32_t i = 0; i < g->nodes; i++) {
		const struct graph_node *n = &g->node[i];

		if (n->dead)
			continue;
		for (uint32_t k = 0; k < n->outputs; k++)
			links->producer[n->output[k]] = i;
		for (uint32_t k = 0; k < n->inputs; k++) {
			if (n->input[k] == GRAPH_NONE)
				continue;
			links->uses[n->input[k]]++;
			links->user[n->input[k]] = i;
		}
	}
	for (uint32_t k = 0; k < g->outputs; k++)
		links->uses[g->output[k]]++;
	return 0;
}

void graph_replace(struct graph *g, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < g->nodes; i++)
		for (uint32_t k = 0; k < g->node[i].inputs; k++)
			if (g->node[i].input[k] == from)
				g->node[i].input[k] = to;
	for (uint32_t k = 0; k < g->outputs; k++)
		if (g->output[k] == from)
			g->output[k] = to;
}

static bool is_used(const struct graph_links *links, const struct graph_node *n)
{
	for (uint32_t k = 0; k < n->outputs; k++)
		if (links->uses[n->output[k]])
			return true;
	return false;
}

int graph_sweep(struct graph *g)
{
	struct graph_links links;
	uint32_t kept = 0;
	int err = graph_link(g, &links);

	if (err)
		return err;
	/* Backwards, so that a node whose only user dies is seen after it. */
	for (uint32_t i = g->nodes; i-- > 0;) {
		struct graph_node *n = &g->node[i];

		if (n->dead || is_used(&links, n))
			continue;
		n->dead = true;
		for (uint32_t k = 0; k < n->inputs; k++)
			if (n->input[k] != GRAPH_NONE)
				links.uses[n->input[k]]--;
	}
	for (uint32_t i = 0; i < g->nodes; i++)
		if (!g->node[i].dead)
			g->node[kept++] = g->node[i];
	g->nodes = kept;
	return 0;
}

/* ---- views ----------------------------------------------------------------------------------- */

void graph_view_plain(const struct graph_tensor *t, struct graph_view *view)
{
	int64_t stride = 1;

	*view = (struct graph_view){.rank = t->rank};
	for (uint32_t i = t->rank; i-- > 0;) {
		view->dim[i] = t->dim[i];
		view->stride[i] = stride;
		stride *= t->dim[i];
	}
}

/*
 * Both shapes are walked from the innermost extent. The input's extents are first joined where
 * their strides allow it; each joined run must then be a product of output extents.
 */
static bool view_reshape(const struct graph_view *in, const struct graph_tensor *t,
			 struct graph_view *out)
{
	uint32_t axis = in->rank, to = t->rank;

	*out = (struct graph_view){.rank = t->rank, .offset = in->offset};
	memcpy(out->dim, t->dim, sizeof(out->dim));
	while (axis > 0) {
		int64_t run = in->dim[axis - 1], step = in->stride[axis - 1];

		axis--;
		if (run == 1)
			continue;
		while (axis > 0 && (in->dim[axis - 1] == 1 || in->stride[axis - 1] == step * run)) {
			run *= in->dim[axis - 1];
			axis--;
		}
		while (to > 0 && run > 1) {
			if (run % t->dim[to - 1])
				return false;
			out->stride[to - 1] = step;
			step *= t->dim[to - 1];
			run /= t->dim[to - 1];
			to--;
		}
		if (run > 1)
			return false;
	}
	while (to > 0 && t->dim[to - 1] == 1)
		to--;
	return to == 0;
}

static void view_slice(const struct graph_node *n, uint32_t axis, struct graph_view *out)
{
	out->offset += n->start[axis] * out->stride[axis];
	out->stride[axis] *= n->step[axis];
}

static void view_split(const struct graph *g, const struct graph_node *n, uint32_t output,
		       struct graph_view *out)
{
	for (uint32_t k = 0; k < output; k++)
		out->offset += g->tensor[n->output[k]].dim[n->axis] * out->stride[n->axis];
}

bool graph_view_apply(const struct graph *g, const struct graph_node *n, uint32_t output,
		      const struct graph_view *in, struct graph_view *out)
{
	const struct graph_tensor *t = &g->tensor[n->output[output]];

	if (n->kind == GRAPH_RESHAPE)
		return view_reshape(in, t, out);
	*out = *in;
	for (uint32_t i = 0; i < in->rank; i++) {
		if (n->kind == GRAPH_TRANSPOSE)
			out->stride[i] = in->stride[n->perm[i]];
		else if (n->kind == GRAPH_SLICE)
			view_slice(n, i, out);
		out->dim[i] = t->dim[i];
	}
	if (n->kind == GRAPH_SPLIT)
		view_split(g, n, output, out);
	return true;
}

void graph_view_copy(const struct graph_view *view, size_t size, const void *from, void *to)
{
	int64_t at[GRAPH_RANK] = {0}, offset = view->offset;
	const char *source = from;
	char *target = to;
	uint32_t axis;

	do {
		memcpy(target, source + offset * (int64_t)size, size);
		target += size;
		for (axis = view->rank; axis-- > 0;) {
			offset += view->stride[axis];
			if (++at[axis] < view->dim[axis])
				break;
			offset -= view->stride[axis] * view->dim[axis];
			at[axis] = 0;
		}
	} while (axis != UINT32_MAX);
}

static const char *const kind_names[GRAPH_KINDS] = {
	[GRAPH_CONV] = "Conv",
	[GRAPH_GEMM] = "Gemm",
	[GRAPH_AFFINE] = "Affine",
	[GRAPH_BATCHNORM] = "BatchNormalization",
	[GRAPH_ADD] = "Add",
	[GRAPH_SUB] = "Sub",
	[GRAPH_MUL] = "Mul",
	[GRAPH_DIV] = "Div",
	[GRAPH_MAXPOOL] = "MaxPool",
	[GRAPH_AVGPOOL] = "AveragePool",
	[GRAPH_RELU] = "Relu",
	[GRAPH_LEAKY] = "LeakyRelu",
	[GRAPH_PRELU] = "PRelu",
	[GRAPH_CLIP] = "Clip",
	[GRAPH_SIGMOID] = "Sigmoid",
	[GRAPH_TANH] = "Tanh",
	[GRAPH_EXP] = "Exp",
	[GRAPH_SQRT] = "Sqrt",
	[GRAPH_HARDSIGMOID] = "HardSigmoid",
	[GRAPH_HARDSWISH] = "HardSwish",
	[GRAPH_ELU] = "Elu",
	[GRAPH_SOFTMAX] = "Softmax",
	[GRAPH_CONCAT] = "Concat",
	[GRAPH_RESHAPE] = "Reshape",
	[GRAPH_FLATTEN] = "Flatten",
	[GRAPH_SQUEEZE] = "Squeeze",
	[GRAPH_UNSQUEEZE] = "Unsqueeze",
	[GRAPH_IDENTITY] = "Identity",
	[GRAPH_TRANSPOSE] = "Transpose",
	[GRAPH_SLICE] = "Slice",
	[GRAPH_SPLIT] = "Split",
	[GRAPH_PAD] = "Pad",
	[GRAPH_REDUCEMEAN] = "ReduceMean",
	[GRAPH_SHAPE] = "Shape",
	[GRAPH_GATHER] = "Gather",
	[GRAPH_CAST] = "Cast",
};

const char *graph_kind_name(enum graph_kind kind)
{
	return kind_names[kind];
}
