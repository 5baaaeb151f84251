/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/equalise.h"

#include <math.h>
#include <string.h>

#define SWEEPS	   20u
#define SCALE_MOST 256.0 /* how far a channel may move in all; dead ones would go on for ever */

/* Tensors that must share the scale of each channel. */
struct group {
	bool frozen, used;
	bool depthwise_only; /* all who use it scale each channel by itself */
	uint32_t channels;
	double *top;   /* [channels] largest magnitudes among its tensors */
	double *reach; /* [channels] largest weight that meets it */
	double *moved; /* [channels] product of the factors so far */
};

struct equalise {
	struct graph *g;
	const struct calibrate *calibrate;
	struct graph_links links;
	uint32_t *parent;    /* [tensors] union-find */
	struct group *group; /* [tensors], of roots */
};

static uint32_t root(struct equalise *e, uint32_t t)
{
	while (e->parent[t] != t)
		t = e->parent[t] = e->parent[e->parent[t]];
	return t;
}

static void join(struct equalise *e, uint32_t a, uint32_t b)
{
	a = root(e, a);
	b = root(e, b);
	if (a != b)
		e->parent[b] = a;
}

static bool same_channels(const struct graph_tensor *a, const struct graph_tensor *b)
{
	return a->rank >= 2 && b->rank >= 2 && a->dim[1] == b->dim[1];
}

/* [1][c][1][1] <-> [1][c] */
static bool keeps_channels(const struct graph_tensor *a, const struct graph_tensor *b)
{
	return same_channels(a, b) && a->count == (size_t)a->dim[1] &&
	       b->count == (size_t)b->dim[1];
}

/* Does a channel scaled at the input come out scaled likewise? */
static bool passes_scale(const struct graph *g, const struct graph_node *n)
{
	const struct graph_tensor *x = &g->tensor[n->input[0]], *y = &g->tensor[n->output[0]];

	switch (n->kind) {
	case GRAPH_RELU:
	case GRAPH_LEAKY:
	case GRAPH_PRELU:
	case GRAPH_MAXPOOL:
	case GRAPH_AVGPOOL:
		return same_channels(x, y);
	case GRAPH_RESHAPE:
		return keeps_channels(x, y);
	case GRAPH_ADD:
		return !graph_is_constant(g, n->input[0]) && !graph_is_constant(g, n->input[1]) &&
		       x->rank == y->rank && !memcmp(x->dim, y->dim, sizeof(x->dim)) &&
		       !memcmp(g->tensor[n->input[1]].dim, y->dim, sizeof(y->dim));
	default:
		return false;
	}
}

static bool has_weights(const struct graph *g, const struct graph_node *n)
{
	return n->kind == GRAPH_CONV || (n->kind == GRAPH_GEMM && g->tensor[n->input[0]].rank == 2);
}

static bool is_depthwise(const struct graph *g, const struct graph_node *n)
{
	return n->kind == GRAPH_CONV && g->tensor[n->input[1]].dim[1] == 1 &&
	       n->win.groups == g->tensor[n->input[0]].dim[1];
}

static void freeze(struct equalise *e, uint32_t tensor)
{
	e->group[root(e, tensor)].frozen = true;
}

static void find_groups(struct equalise *e)
{
	struct graph *g = e->g;

	for (uint32_t i = 0; i < g->nodes; i++) {
		const struct graph_node *n = &g->node[i];

		if (!passes_scale(g, n))
			continue;
		join(e, n->output[0], n->input[0]);
		if (n->kind == GRAPH_ADD)
			join(e, n->output[0], n->input[1]);
	}
	freeze(e, g->input);
	for (uint32_t k = 0; k < g->outputs; k++)
		freeze(e, g->output[k]);
	for (uint32_t i = 0; i < g->nodes; i++) {
		const struct graph_node *n = &g->node[i];

		if (passes_scale(g, n) || has_weights(g, n))
			continue;
		for (uint32_t k = 0; k < n->inputs; k++)
			if (n->input[k] != GRAPH_NONE)
				freeze(e, n->input[k]);
		for (uint32_t k = 0; k < n->outputs; k++)
			freeze(e, n->output[k]);
	}
}

/* A convolution's output that only an activation reads is never stored. */
static bool is_stored(const struct equalise *e, uint32_t t)
{
	const struct graph_node *n;

	if (e->links.uses[t] != 1 || e->links.user[t] == GRAPH_NONE)
		return true;
	n = &e->g->node[e->links.user[t]];
	return n->kind != GRAPH_RELU && n->kind != GRAPH_LEAKY && n->kind != GRAPH_PRELU;
}

static int measure_group(struct equalise *e, uint32_t t)
{
	struct group *group = &e->group[root(e, t)];
	const double *top = calibrate_channel_top(e->calibrate, t);
	uint32_t channels = (uint32_t)e->g->tensor[t].dim[1];

	if (group->frozen || !top)
		return 0;
	if (!group->top) {
		group->channels = channels;
		group->depthwise_only = true;
		group->top = pool_alloc(e->g->pool, channels, sizeof(double));
		group->reach = pool_alloc(e->g->pool, channels, sizeof(double));
		group->moved = pool_alloc(e->g->pool, channels, sizeof(double));
		if (!group->top || !group->reach || !group->moved)
			return pool_exhausted(e->g->pool);
		for (uint32_t c = 0; c < channels; c++)
			group->moved[c] = 1;
	}
	for (uint32_t c = 0; c < channels && is_stored(e, t); c++)
		group->top[c] = fmax(group->top[c], top[c]);
	return 0;
}

/* The largest weight that meets each input channel. */
static void measure_reach(struct equalise *e, const struct graph_node *n)
{
	struct group *group = &e->group[root(e, n->input[0])];
	const struct graph_tensor *w = &e->g->tensor[n->input[1]];
	size_t rows = (size_t)w->dim[0], columns = (size_t)w->dim[1];
	size_t taps = w->count / rows / columns, rows_of_group;

	if (group->frozen || !group->top)
		return;
	group->used = true;
	rows_of_group = rows / (n->kind == GRAPH_CONV ? n->win.groups : 1);
	group->depthwise_only = group->depthwise_only && is_depthwise(e->g, n);
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++)
			for (size_t i = 0; i < taps; i++) {
				double *to = &group->reach[r / rows_of_group * columns + c];

				*to = fmax(*to, fabs((double)w->f[(r * columns + c) * taps + i]));
			}
}

/* The factor that channel c's activations are divided by. */
static double factor(const struct group *group, uint32_t c)
{
	if (!(group->top[c] > 0) || !(group->reach[c] > 0))
		return 1;
	return group->depthwise_only ? group->top[c] : sqrt(group->top[c] / group->reach[c]);
}

/* Factors of a group around a mean of 1, bounded. */
static double *factors(struct equalise *e, struct group *group)
{
	double *s = pool_alloc(e->g->pool, group->channels, sizeof(double)), sum = 0;

	if (!s)
		return NULL;
	for (uint32_t c = 0; c < group->channels; c++) {
		s[c] = log(factor(group, c));
		sum += s[c];
	}
	for (uint32_t c = 0; c < group->channels; c++) {
		double to = group->moved[c] * exp(s[c] - sum / group->channels);

		to = fmin(fmax(to, 1 / SCALE_MOST), SCALE_MOST);
		s[c] = to / group->moved[c];
		group->moved[c] = to;
	}
	return s;
}

static void scale_makers(struct equalise *e, const struct graph_node *n, const double *s)
{
	struct graph_tensor *w = &e->g->tensor[n->input[1]];
	size_t rows = (size_t)w->dim[0], k = w->count / rows;

	for (size_t r = 0; r < rows; r++) {
		for (size_t i = 0; i < k; i++)
			w->f[r * k + i] = (float)((double)w->f[r * k + i] / s[r]);
		e->g->tensor[n->input[2]].f[r] =
			(float)((double)e->g->tensor[n->input[2]].f[r] / s[r]);
	}
}

static void scale_users(struct equalise *e, const struct graph_node *n, const double *s)
{
	struct graph_tensor *w = &e->g->tensor[n->input[1]];
	size_t rows = (size_t)w->dim[0], columns = (size_t)w->dim[1];
	size_t taps = w->count / rows / columns;
	size_t rows_of_group = rows / (n->kind == GRAPH_CONV ? n->win.groups : 1);

	for (size_t i = 0; i < w->count; i++) {
		size_t r = i / taps / columns, c = i / taps % columns;

		w->f[i] = (float)((double)w->f[i] * s[r / rows_of_group * columns + c]);
	}
}

static int sweep(struct equalise *e)
{
	struct graph *g = e->g;

	for (uint32_t t = 0; t < g->tensors; t++) {
		struct group *group = &e->group[t];
		double *s;

		if (!group->top || root(e, t) != t)
			continue;
		memset(group->reach, 0, group->channels * sizeof(double));
		for (uint32_t i = 0; i < g->nodes; i++)
			if (has_weights(g, &g->node[i]) && root(e, g->node[i].input[0]) == t)
				measure_reach(e, &g->node[i]);
		s = group->used ? factors(e, group) : NULL;
		if (!s && group->used)
			return pool_exhausted(g->pool);
		for (uint32_t i = 0; s && i < g->nodes; i++) {
			if (!has_weights(g, &g->node[i]))
				continue;
			if (root(e, g->node[i].output[0]) == t)
				scale_makers(e, &g->node[i], s);
			if (root(e, g->node[i].input[0]) == t)
				scale_users(e, &g->node[i], s);
		}
		for (uint32_t c = 0; s && c < group->channels; c++)
			group->top[c] /= s[c];
	}
	return 0;
}

int equalise_graph(struct graph *g, const struct calibrate *calibrate)
{
	struct equalise e = {.g = g, .calibrate = calibrate};
	int err = graph_link(g, &e.links);

	e.parent = pool_alloc(g->pool, g->tensors, sizeof(*e.parent));
	e.group = pool_alloc(g->pool, g->tensors, sizeof(*e.group));
	if (err || !e.parent || !e.group)
		return pool_exhausted(g->pool);
	for (uint32_t t = 0; t < g->tensors; t++)
		e.parent[t] = t;
	find_groups(&e);
	for (uint32_t i = 0; i < g->nodes && !err; i++)
		for (uint32_t k = 0; k < g->node[i].outputs && !err; k++)
			err = measure_group(&e, g->node[i].output[k]);
	for (uint32_t i = 0; i < SWEEPS && !err; i++)
		err = sweep(&e);
	return err;
}
