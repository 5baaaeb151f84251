/* SPDX-License-Identifier: Apache-2.0 */
/* Sums, pools, concatenations, and everything that is a table of 256 values. */
#include "host/compile/lower.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>

/* ---- sums --------------------------------------------------------------------------------------------- */

int lower_add(struct lower *l, struct graph_node *n)
{
	Facet__Model__Add *a = PROGRAM_NEW(l->g->pool, Facet__Model__Add, facet__model__add__init);
	const struct graph_tensor *ta = &l->g->tensor[n->input[0]],
				  *tb = &l->g->tensor[n->input[1]];
	uint32_t order[GRAPH_RANK], inputs[2], output, y = n->output[0];
	const struct graph_node *next = lower_next(l, y);
	Facet__Model__Op *op;
	int err = 0;

	if (ta->rank != tb->rank || memcmp(ta->dim, tb->dim, sizeof(ta->dim)))
		return lower_refuse(l, n, "a sum of different shapes has no int8 form");
	lower_order_nhwc(l->g, y, order);
	for (uint32_t k = 0; k < 2 && !err; k++)
		err = lower_dense(l, n, n->input[k], LOWER_S8, order, &inputs[k]);
	if (err || !a)
		return err ? err : pool_exhausted(l->g->pool);
	if (next && next->kind == GRAPH_RELU) {
		y = next->output[0];
		lower_mark_done(l, next);
	}
	lower_measure(l, y);
	err = lower_result(l, y, LOWER_S8, order, &output);
	if (err)
		return err;
	a->s_a = l->quant[n->input[0]].scale / l->quant[y].scale;
	a->s_b = l->quant[n->input[1]].scale / l->quant[y].scale;
	a->z_a = l->quant[n->input[0]].z;
	a->z_b = l->quant[n->input[1]].z;
	a->z = l->quant[y].z;
	a->lo = y == n->output[0] ? -128 : a->z;
	a->hi = 127;
	op = program_op(l->p, FACET__MODEL__KIND__ADD, n->name, 2, inputs, output);
	if (!op)
		return pool_exhausted(l->g->pool);
	op->params_case = FACET__MODEL__OP__PARAMS_ADD;
	op->add = a;
	return 0;
}

/* ---- pools -------------------------------------------------------------------------------------------- */

static void fill_pool(const struct lower *l, const struct graph_node *n, Facet__Model__Pool *to)
{
	const struct lower_quant *x = &l->quant[n->input[0]], *y = &l->quant[n->output[0]];
	const struct graph_window *w = &n->win;

	*to = (Facet__Model__Pool){.base = to->base,
				   .kind = n->kind == GRAPH_MAXPOOL ? OP_POOL_MAX : OP_POOL_AVG,
				   .kh = w->kh,
				   .kw = w->kw,
				   .stride_h = w->stride_h,
				   .stride_w = w->stride_w,
				   .pad_top = w->pad_top,
				   .pad_left = w->pad_left,
				   .pad_bottom = w->pad_bottom,
				   .pad_right = w->pad_right,
				   .divisor = w->count_padding ? w->kh * w->kw : 0,
				   .scale = x->scale / y->scale,
				   .z_x = x->z,
				   .z = y->z,
				   .lo = -128,
				   .hi = 127};
}

int lower_pool(struct lower *l, struct graph_node *n)
{
	Facet__Model__Pool *pool =
		PROGRAM_NEW(l->g->pool, Facet__Model__Pool, facet__model__pool__init);
	uint32_t order[GRAPH_RANK], x, output, y = n->output[0], shape[3];
	const struct graph_tensor *t = &l->g->tensor[y];
	struct graph_view view = {.rank = t->rank};
	Facet__Model__Op *op;
	int err;

	lower_order_nhwc(l->g, n->input[0], order);
	err = pool ? lower_dense(l, n, n->input[0], LOWER_S8, order, &x)
		   : pool_exhausted(l->g->pool);
	if (err)
		return err;
	if (n->kind == GRAPH_MAXPOOL)
		l->quant[y] = l->quant[n->input[0]];
	else
		lower_measure(l, y);
	/* A mean that drops height and width is still [1][1][c] to the op. */
	shape[0] = t->rank == 4 ? (uint32_t)t->dim[2] : 1;
	shape[1] = t->rank == 4 ? (uint32_t)t->dim[3] : 1;
	shape[2] = (uint32_t)t->dim[1];
	memcpy(view.dim, t->dim, sizeof(view.dim));
	view.stride[1] = 1;
	view.stride[2] = (int64_t)shape[1] * shape[2];
	view.stride[3] = shape[2];
	output = program_tensor(l->p, t->name, FACET__MODEL__TYPE__S8, 3, shape);
	if (output == GRAPH_NONE)
		return pool_exhausted(l->g->pool);
	l->p->graph.tensors[output]->scale = l->quant[y].scale;
	l->p->graph.tensors[output]->zero_point = l->quant[y].z;
	l->p->stands_for[output] = y;
	l->p->view[output] = view;
	l->place[LOWER_S8][y] = (struct lower_place){output, view};
	op = program_op(l->p, FACET__MODEL__KIND__POOL2D, n->name, 1, &x, output);
	if (!op)
		return pool_exhausted(l->g->pool);
	fill_pool(l, n, pool);
	op->params_case = FACET__MODEL__OP__PARAMS_POOL;
	op->pool = pool;
	return 0;
}

/* ---- tables ------------------------------------------------------------------------------------------- */

static double unary(const struct lower *l, const struct graph_node *n, uint32_t c, double x)
{
	const float *a = graph_floats(l->g, n, 1), *b = graph_floats(l->g, n, 2);

	switch (n->kind) {
	case GRAPH_AFFINE:
		return (double)a[c] * x + (double)b[c];
	case GRAPH_RELU:
		return fmax(x, 0);
	case GRAPH_LEAKY:
		return x < 0 ? x * (double)n->alpha : x;
	case GRAPH_PRELU:
		return x < 0 ? x * (double)a[l->g->tensor[n->input[1]].count == 1 ? 0 : c] : x;
	case GRAPH_CLIP:
		return fmin(fmax(x, a ? (double)*a : x), b ? (double)*b : INFINITY);
	case GRAPH_SIGMOID:
		return 1 / (1 + exp(-x));
	case GRAPH_TANH:
		return tanh(x);
	case GRAPH_HARDSIGMOID:
		return fmin(fmax((double)n->alpha * x + (double)n->beta, 0), 1);
	case GRAPH_HARDSWISH:
		return x * fmin(fmax(x / 6 + 0.5, 0), 1);
	default: /* GRAPH_ELU */
		return x < 0 ? (double)n->alpha * expm1(x) : x;
	}
}

static bool is_table(const struct graph_node *n)
{
	switch (n->kind) {
	case GRAPH_AFFINE:
	case GRAPH_RELU:
	case GRAPH_LEAKY:
	case GRAPH_PRELU:
	case GRAPH_CLIP:
	case GRAPH_SIGMOID:
	case GRAPH_TANH:
	case GRAPH_HARDSIGMOID:
	case GRAPH_HARDSWISH:
	case GRAPH_ELU:
		return true;
	default:
		return false;
	}
}

static bool is_per_channel(const struct lower *l, const struct graph_node *n)
{
	return n->kind == GRAPH_AFFINE ||
	       (n->kind == GRAPH_PRELU && l->g->tensor[n->input[1]].count != 1);
}

#define CHAIN_MAX 8u

/* Nodes of one value each in a row, computed by one table. */
struct chain {
	const struct graph_node *node[CHAIN_MAX];
	uint32_t count;
	bool per_channel;
};

static void collect(struct lower *l, const struct graph_node *n, struct chain *chain)
{
	*chain = (struct chain){0};
	while (n && is_table(n) && chain->count < CHAIN_MAX) {
		chain->node[chain->count++] = n;
		chain->per_channel = chain->per_channel || is_per_channel(l, n);
		lower_mark_done(l, n);
		n = lower_next(l, n->output[0]);
	}
}

static int fill_table(struct lower *l, const struct chain *chain, uint32_t x, uint32_t y,
		      Facet__Model__Table *to)
{
	uint32_t channels = chain->per_channel ? (uint32_t)l->g->tensor[x].dim[1] : 1;
	int8_t *table = pool_alloc(l->g->pool, (size_t)channels * 256, 1);

	if (!table)
		return pool_exhausted(l->g->pool);
	for (uint32_t c = 0; c < channels; c++)
		for (int32_t q = -128; q < 128; q++) {
			double v = (q - l->quant[x].z) * (double)l->quant[x].scale;

			for (uint32_t i = 0; i < chain->count; i++)
				v = unary(l, chain->node[i], c, v);
			table[c * 256 + (uint32_t)(q + 128)] =
				(int8_t)lower_quantise(&l->quant[y], v);
		}
	to->per_channel = chain->per_channel;
	to->table = program_span(l->p, table, (size_t)channels * 256);
	return to->table ? 0 : pool_exhausted(l->g->pool);
}

int lower_table(struct lower *l, struct graph_node *n)
{
	Facet__Model__Table *t =
		PROGRAM_NEW(l->g->pool, Facet__Model__Table, facet__model__table__init);
	uint32_t order[GRAPH_RANK], x = n->input[0], y, from, to;
	struct chain chain;
	Facet__Model__Op *op;
	int err;

	collect(l, n, &chain);
	y = chain.node[chain.count - 1]->output[0];
	lower_order_nhwc(l->g, x, order);
	if (chain.per_channel && l->g->tensor[x].rank != 2 && l->g->tensor[x].rank != 4)
		return lower_refuse(l, n, "values a channel need rank 2 or 4");
	err = chain.per_channel ? lower_dense(l, n, x, LOWER_S8, order, &from)
				: lower_whole(l, n, x, LOWER_S8);
	if (err || !t)
		return err ? err : pool_exhausted(l->g->pool);
	from = l->place[LOWER_S8][x].tensor;
	lower_measure(l, y);
	err = lower_result_like(l, y, LOWER_S8, &l->place[LOWER_S8][x], &to);
	if (!err)
		err = fill_table(l, &chain, x, y, t);
	if (err)
		return err;
	op = program_op(l->p, FACET__MODEL__KIND__TABLE, n->name, 1, &from, to);
	if (!op)
		return pool_exhausted(l->g->pool);
	op->params_case = FACET__MODEL__OP__PARAMS_TABLE;
	op->table = t;
	return 0;
}

/* ---- concatenation -------------------------------------------------------------------------------------- */

/* From one scale to another; an empty span where they are the same. */
static Facet__Model__Span *rescale_table(struct lower *l, const struct lower_quant *from,
					 const struct lower_quant *to)
{
	int8_t table[256];

	if (from->scale == to->scale && from->z == to->z)
		return PROGRAM_NEW(l->g->pool, Facet__Model__Span, facet__model__span__init);
	for (int32_t q = -128; q < 128; q++)
		table[q + 128] = (int8_t)lower_quantise(to, (q - from->z) * (double)from->scale);
	return program_span(l->p, table, sizeof(table));
}

/* `count` inputs, the first perhaps an earlier part of the same concatenation, into `output`. */
static int emit_concat(struct lower *l, const struct graph_node *n, uint32_t count,
		       const uint32_t *inputs, const struct lower_quant *quants, uint32_t output)
{
	Facet__Model__Concat *c =
		PROGRAM_NEW(l->g->pool, Facet__Model__Concat, facet__model__concat__init);
	Facet__Model__Op *op =
		program_op(l->p, FACET__MODEL__KIND__CONCAT, n->name, count, inputs, output);

	if (!c || !op)
		return pool_exhausted(l->g->pool);
	c->tables = pool_alloc(l->g->pool, count, sizeof(*c->tables));
	if (!c->tables)
		return pool_exhausted(l->g->pool);
	for (uint32_t k = 0; k < count; k++) {
		c->tables[k] = rescale_table(l, &quants[k], &l->quant[n->output[0]]);
		if (!c->tables[k])
			return pool_exhausted(l->g->pool);
	}
	c->n_tables = count;
	op->params_case = FACET__MODEL__OP__PARAMS_CONCAT;
	op->concat = c;
	return 0;
}

/* An unnamed tensor for the first `channels` channels of the output. */
static uint32_t partial(struct lower *l, uint32_t y, const uint32_t *order, uint32_t channels)
{
	uint32_t shape[GRAPH_RANK], rank = lower_shape(l->g, y, order, shape), index;

	shape[rank - 1] = channels;
	index = program_tensor(l->p, l->g->tensor[y].name, FACET__MODEL__TYPE__S8, rank, shape);
	if (index != GRAPH_NONE) {
		l->p->graph.tensors[index]->scale = l->quant[y].scale;
		l->p->graph.tensors[index]->zero_point = l->quant[y].z;
	}
	return index;
}

int lower_concat(struct lower *l, struct graph_node *n)
{
	uint32_t y = n->output[0], order[GRAPH_RANK], inputs[OP_CONCAT_MAX], held = 0, channels = 0;
	struct lower_quant quants[OP_CONCAT_MAX];
	int err = 0;

	lower_order_nhwc(l->g, y, order);
	if (n->axis != order[l->g->tensor[y].rank - 1])
		return lower_refuse(l, n, "in int8 only channels can be concatenated");
	lower_measure(l, y);
	for (uint32_t k = 0; k < n->inputs && !err; k++) {
		bool last = k + 1 == n->inputs;

		err = lower_dense(l, n, n->input[k], LOWER_S8, order, &inputs[held]);
		quants[held++] = l->quant[n->input[k]];
		channels += (uint32_t)l->g->tensor[n->input[k]].dim[n->axis];
		if (err || (held < OP_CONCAT_MAX && !last))
			continue;
		uint32_t output;

		if (last)
			err = lower_result(l, y, LOWER_S8, order, &output);
		else
			output = partial(l, y, order, channels);
		if (!err && output == GRAPH_NONE)
			err = pool_exhausted(l->g->pool);
		if (!err)
			err = emit_concat(l, n, held, inputs, quants, output);
		inputs[0] = output;
		quants[0] = l->quant[y];
		held = 1;
	}
	return err;
}
