/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the network smaller without changing what it computes: batch norms and constant factors
 * become affine nodes, which go into the convolution or product before them; reshapes and pads that
 * do nothing go away; zero pads go into the convolution after them.
 */
#include "host/compile/graph.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- into affine form ------------------------------------------------------------------------ */

static int make_affine(struct graph *g, struct graph_node *n, uint32_t x, float **a, float **b)
{
	uint32_t channels = (uint32_t)g->tensor[x].dim[1], ta, tb;

	*a = graph_add_constant(g, channels, &ta);
	*b = graph_add_constant(g, channels, &tb);
	n->input = pool_alloc(g->pool, 3, sizeof(*n->input));
	if (!*a || !*b || !n->input)
		return pool_exhausted(g->pool);
	n->input[0] = x;
	n->input[1] = ta;
	n->input[2] = tb;
	n->inputs = 3;
	n->kind = GRAPH_AFFINE;
	return 0;
}

static int from_batchnorm(struct graph *g, struct graph_node *n)
{
	const float *scale = graph_floats(g, n, 1), *shift = graph_floats(g, n, 2);
	const float *mean = graph_floats(g, n, 3), *variance = graph_floats(g, n, 4);
	float epsilon = n->alpha, *a, *b;
	int err = make_affine(g, n, n->input[0], &a, &b);

	if (err)
		return err;
	for (int64_t c = 0; c < g->tensor[n->input[0]].dim[1]; c++) {
		double factor = scale[c] / sqrt((double)variance[c] + epsilon);

		a[c] = (float)factor;
		b[c] = (float)(shift[c] - mean[c] * factor);
		if (!isfinite(a[c]) || !isfinite(b[c]))
			return pool_error(
				g->pool, -EINVAL,
				"the BatchNormalization node '%s' has an impossible variance",
				n->name);
	}
	return 0;
}

/* Is the constant one value, or one a channel, of x? */
static bool is_per_channel(const struct graph_tensor *x, const struct graph_tensor *constant)
{
	if (!constant->f || (x->rank != 2 && x->rank != 4) || constant->rank > x->rank)
		return false;
	for (uint32_t i = 0; i < constant->rank; i++)
		if (constant->dim[i] != 1 &&
		    (i + x->rank - constant->rank != 1 || constant->dim[i] != x->dim[1]))
			return false;
	return true;
}

static int from_binary(struct graph *g, struct graph_node *n)
{
	uint32_t side = graph_floats(g, n, 1) ? 1 : 0; /* where the constant is */
	const struct graph_tensor *constant = &g->tensor[n->input[side]];
	const float *v = constant->f;
	size_t last = constant->count - 1;
	enum graph_kind kind = n->kind;
	float *a, *b;
	int err;

	if (!is_per_channel(&g->tensor[n->input[!side]], constant) ||
	    (kind == GRAPH_DIV && side == 0))
		return 0;
	err = make_affine(g, n, n->input[!side], &a, &b);
	if (err)
		return err;
	for (size_t c = 0; c < (size_t)g->tensor[n->input[0]].dim[1]; c++) {
		float value = v[c < last ? c : last];

		a[c] = kind == GRAPH_MUL ? value : kind == GRAPH_DIV ? 1 / value : 1;
		b[c] = kind == GRAPH_ADD ? value : kind == GRAPH_SUB ? -value : 0;
		if (kind == GRAPH_SUB && side == 0) {
			a[c] = -1;
			b[c] = value;
		}
		if (!isfinite(a[c]))
			return pool_error(g->pool, -EINVAL, "the Div node '%s' divides by zero",
					  n->name);
	}
	return 0;
}

static int to_affine(struct graph *g)
{
	for (uint32_t i = 0; i < g->nodes; i++) {
		struct graph_node *n = &g->node[i];
		int err = 0;

		if (n->kind == GRAPH_BATCHNORM)
			err = from_batchnorm(g, n);
		else if (n->kind >= GRAPH_ADD && n->kind <= GRAPH_DIV)
			err = from_binary(g, n);
		if (err)
			return err;
	}
	return 0;
}

/* ---- weights of one's own ---------------------------------------------------------------------- */

static int clone(struct graph *g, uint32_t *tensor)
{
	const struct graph_tensor from = g->tensor[*tensor];
	float *to = graph_add_constant(g, (uint32_t)from.count, tensor);

	if (!to)
		return pool_exhausted(g->pool);
	memcpy(to, from.f, from.count * sizeof(float));
	return graph_set_shape(g, *tensor, from.rank, from.dim);
}

/* Every convolution and product gets weights that no other node uses, and a bias. */
static int own_weights(struct graph *g, struct graph_node *n)
{
	uint32_t *input = pool_alloc(g->pool, 3, sizeof(*input));
	int err;

	if (!input)
		return pool_exhausted(g->pool);
	memcpy(input, n->input, 2 * sizeof(*input));
	err = clone(g, &input[1]);
	if (err)
		return err;
	input[2] = n->inputs > 2 ? n->input[2] : GRAPH_NONE;
	if (input[2] != GRAPH_NONE)
		err = clone(g, &input[2]);
	else if (!graph_add_constant(g, (uint32_t)g->tensor[input[1]].dim[0], &input[2]))
		err = pool_exhausted(g->pool);
	n->input = input;
	n->inputs = 3;
	return err;
}

/* ---- merging ------------------------------------------------------------------------------------- */

static void scale_weights(struct graph *g, const struct graph_node *n, const float *a,
			  const float *b)
{
	struct graph_tensor *w = &g->tensor[n->input[1]];
	size_t rows = (size_t)w->dim[0], k = w->count / rows;
	float *bias = g->tensor[n->input[2]].f;

	for (size_t r = 0; r < rows; r++) {
		for (size_t i = 0; i < k; i++)
			w->f[r * k + i] *= a[r];
		bias[r] = bias[r] * a[r] + b[r];
	}
}

/* The affine node n takes its input's maker into itself, or goes into it. */
static bool merge_affine(struct graph *g, const struct graph_links *links, struct graph_node *n)
{
	uint32_t x = n->input[0], maker = links->producer[x];
	const float *a = graph_floats(g, n, 1), *b = graph_floats(g, n, 2);
	struct graph_node *m;

	if (maker == GRAPH_NONE || links->uses[x] != 1)
		return false;
	m = &g->node[maker];
	if (m->kind == GRAPH_CONV || (m->kind == GRAPH_GEMM && g->tensor[x].rank == 2)) {
		scale_weights(g, m, a, b);
	} else if (m->kind == GRAPH_AFFINE) {
		float *ma = g->tensor[m->input[1]].f, *mb = g->tensor[m->input[2]].f;

		for (int64_t c = 0; c < g->tensor[x].dim[1]; c++) {
			ma[c] *= a[c];
			mb[c] = mb[c] * a[c] + b[c];
		}
	} else {
		return false;
	}
	m->output[0] = n->output[0];
	n->dead = true;
	return true;
}

static bool is_output(const struct graph *g, uint32_t tensor)
{
	for (uint32_t k = 0; k < g->outputs; k++)
		if (g->output[k] == tensor)
			return true;
	return false;
}

static bool does_nothing(const struct graph *g, const struct graph_node *n)
{
	const struct graph_tensor *x = &g->tensor[n->input[0]], *y = &g->tensor[n->output[0]];

	if (n->kind == GRAPH_AFFINE) {
		for (int64_t c = 0; c < x->dim[1]; c++)
			if (graph_floats(g, n, 1)[c] != 1 || graph_floats(g, n, 2)[c] != 0)
				return false;
		return true;
	}
	if (n->kind == GRAPH_CONCAT)
		return n->inputs == 1;
	return (n->kind == GRAPH_RESHAPE || n->kind == GRAPH_PAD) && x->rank == y->rank &&
	       !memcmp(x->dim, y->dim, sizeof(x->dim));
}

/* An output keeps its name; it cannot be the image itself, nor two outputs at once. */
static bool bypass(struct graph *g, struct graph_node *n)
{
	uint32_t x = n->input[0], y = n->output[0];

	if (is_output(g, y)) {
		if (x == g->input || is_output(g, x))
			return false;
		g->tensor[x].name = g->tensor[y].name;
	}
	graph_replace(g, y, x);
	n->dead = true;
	return true;
}

/* A pad of zeros over height and width becomes the convolution's own. */
static bool merge_pad(struct graph *g, const struct graph_links *links, struct graph_node *n)
{
	uint32_t x = n->input[0], maker = links->producer[x];
	const struct graph_node *pad = maker == GRAPH_NONE ? NULL : &g->node[maker];

	if (!pad || pad->kind != GRAPH_PAD || pad->alpha != 0 || g->tensor[x].rank != 4 ||
	    pad->start[0] || pad->start[1] || pad->step[0] || pad->step[1])
		return false;
	n->win.pad_top += (uint32_t)pad->start[2];
	n->win.pad_left += (uint32_t)pad->start[3];
	n->win.pad_bottom += (uint32_t)pad->step[2];
	n->win.pad_right += (uint32_t)pad->step[3];
	n->input[0] = pad->input[0];
	return true;
}

static int merge_once(struct graph *g, bool *changed)
{
	struct graph_links links;
	bool now = true;

	*changed = false;
	for (uint32_t i = 0; i < g->nodes; i++) {
		struct graph_node *n = &g->node[i];
		/* A merge moves edges: count anew after it. */
		int err = now ? graph_link(g, &links) : 0;

		if (err)
			return err;
		now = false;
		if (n->dead)
			continue;
		if (does_nothing(g, n))
			now = bypass(g, n);
		else if (n->kind == GRAPH_AFFINE)
			now = merge_affine(g, &links, n);
		else if (n->kind == GRAPH_CONV)
			now = merge_pad(g, &links, n);
		*changed = *changed || now;
	}
	return 0;
}

int fold_graph(struct graph *g)
{
	bool changed = true;
	int err = to_affine(g);

	for (uint32_t i = 0; i < g->nodes && !err; i++)
		if (!g->node[i].dead &&
		    (g->node[i].kind == GRAPH_CONV || g->node[i].kind == GRAPH_GEMM))
			err = own_weights(g, &g->node[i]);
	while (changed && !err)
		err = merge_once(g, &changed);
	return err ? err : graph_sweep(g);
}
