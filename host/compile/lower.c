/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/lower.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int lower_refuse(const struct lower *l, const struct graph_node *n, const char *why)
{
	return pool_error(l->g->pool, -ENOTSUP, "the %s node '%s': %s", graph_kind_name(n->kind),
			  n->name, why);
}

/* ---- scales --------------------------------------------------------------------------------------- */

struct lower_quant lower_quant_of(double least, double most)
{
	double step;

	least = fmin(least, 0);
	most = fmax(most, 0);
	step = (most - least) / 255;
	if (!(step > 0x1p-40))
		return (struct lower_quant){1.0f, 0};
	return (struct lower_quant){(float)step,
				    (int32_t)fmin(fmax(rint(-128 - least / step), -128), 127)};
}

int32_t lower_quantise(const struct lower_quant *q, double real)
{
	return (int32_t)fmin(fmax(rint(real / (double)q->scale) + q->z, -128), 127);
}

void lower_measure(struct lower *l, uint32_t tensor)
{
	float least, most;

	calibrate_range(l->calibrate, tensor, l->percentile, &least, &most);
	l->quant[tensor] = lower_quant_of((double)least, (double)most);
}

/* ---- what is computed in float ---------------------------------------------------------------------- */

enum domain {
	DOMAIN_INT8,   /* only int8 */
	DOMAIN_FLOAT,  /* only float */
	DOMAIN_EITHER, /* int8; float if an input is */
	DOMAIN_MOVE,   /* the same; and float if all who use it are */
};

struct lowering {
	enum domain domain;
	lower_fn *int8, *in_float;
};

static lower_fn lower_move;

static const struct lowering lowerings[GRAPH_KINDS] = {
	[GRAPH_CONV] = {DOMAIN_INT8, lower_conv, NULL},
	[GRAPH_GEMM] = {DOMAIN_INT8, lower_gemm, NULL},
	[GRAPH_AFFINE] = {DOMAIN_EITHER, lower_table, lower_float_affine},
	[GRAPH_ADD] = {DOMAIN_EITHER, lower_add, lower_float_binary},
	[GRAPH_SUB] = {DOMAIN_FLOAT, NULL, lower_float_binary},
	[GRAPH_MUL] = {DOMAIN_FLOAT, NULL, lower_float_binary},
	[GRAPH_DIV] = {DOMAIN_FLOAT, NULL, lower_float_binary},
	[GRAPH_MAXPOOL] = {DOMAIN_INT8, lower_pool, NULL},
	[GRAPH_AVGPOOL] = {DOMAIN_INT8, lower_pool, NULL},
	[GRAPH_RELU] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_LEAKY] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_PRELU] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_CLIP] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_SIGMOID] = {DOMAIN_MOVE, lower_table, lower_float_unary},
	[GRAPH_TANH] = {DOMAIN_MOVE, lower_table, lower_float_tanh},
	[GRAPH_EXP] = {DOMAIN_FLOAT, NULL, lower_float_unary},
	[GRAPH_SQRT] = {DOMAIN_FLOAT, NULL, lower_float_unary},
	[GRAPH_HARDSIGMOID] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_HARDSWISH] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_ELU] = {DOMAIN_INT8, lower_table, NULL},
	[GRAPH_SOFTMAX] = {DOMAIN_FLOAT, NULL, lower_float_softmax},
	[GRAPH_CONCAT] = {DOMAIN_MOVE, lower_concat, lower_float_concat},
	[GRAPH_RESHAPE] = {DOMAIN_MOVE, lower_move, lower_move},
	[GRAPH_TRANSPOSE] = {DOMAIN_MOVE, lower_move, lower_move},
	[GRAPH_SLICE] = {DOMAIN_MOVE, lower_move, lower_move},
	[GRAPH_SPLIT] = {DOMAIN_MOVE, lower_move, lower_move},
};

/* Forwards: float where it must be, and where an input is float. */
static int find_float_makers(struct lower *l, bool *is_float)
{
	for (uint32_t i = 0; i < l->g->nodes; i++) {
		const struct graph_node *n = &l->g->node[i];
		const struct lowering *how = &lowerings[n->kind];
		bool now = how->domain == DOMAIN_FLOAT;

		for (uint32_t k = 0; k < n->inputs; k++)
			now = now || (n->input[k] != GRAPH_NONE && is_float[n->input[k]]);
		/* A constant that is no factor or term of a channel is added in float. */
		now = now || (n->kind == GRAPH_ADD && (graph_is_constant(l->g, n->input[0]) ||
						       graph_is_constant(l->g, n->input[1])));
		if (now && !how->in_float)
			return lower_refuse(
				l, n,
				"it comes after an operation that only exists in float, "
				"but only exists in int8; end the network before it");
		if (!now && !how->int8)
			return lower_refuse(l, n, "it has no int8 form");
		l->in_float[i] = now;
		for (uint32_t k = 0; k < n->outputs; k++)
			is_float[n->output[k]] = now;
	}
	return 0;
}

/* Backwards: what only float nodes and outputs use, and moves of it. */
static void find_float_users(struct lower *l)
{
	for (uint32_t t = 0; t < l->g->tensors; t++)
		l->float_only[t] = l->links.uses[t] > 0;
	for (uint32_t i = l->g->nodes; i-- > 0;) {
		const struct graph_node *n = &l->g->node[i];
		bool now = lowerings[n->kind].domain == DOMAIN_MOVE;

		for (uint32_t k = 0; k < n->outputs; k++)
			now = now && l->float_only[n->output[k]];
		l->in_float[i] = l->in_float[i] || now;
		for (uint32_t k = 0; k < n->inputs; k++)
			if (n->input[k] != GRAPH_NONE && !l->in_float[i])
				l->float_only[n->input[k]] = false;
	}
}

/* ---- fusing ----------------------------------------------------------------------------------------- */

struct graph_node *lower_next(const struct lower *l, uint32_t tensor)
{
	uint32_t user = l->links.user[tensor];

	if (l->links.uses[tensor] != 1 || user == GRAPH_NONE || l->in_float[user] || l->done[user])
		return NULL;
	return &l->g->node[user];
}

void lower_mark_done(struct lower *l, const struct graph_node *n)
{
	l->done[n - l->g->node] = true;
}

/* ---- places ----------------------------------------------------------------------------------------- */

void lower_order_nhwc(const struct graph *g, uint32_t tensor, uint32_t *order)
{
	static const uint32_t nhwc[GRAPH_RANK] = {0, 2, 3, 1, 4, 5};

	lower_order_plain(order);
	if (g->tensor[tensor].rank == 4)
		memcpy(order, nhwc, sizeof(nhwc));
}

void lower_order_plain(uint32_t *order)
{
	for (uint32_t i = 0; i < GRAPH_RANK; i++)
		order[i] = i;
}

uint32_t lower_shape(const struct graph *g, uint32_t tensor, const uint32_t *order, uint32_t *shape)
{
	const struct graph_tensor *t = &g->tensor[tensor];
	uint32_t rank = 0, first = t->rank > 1 && t->dim[order[0]] == 1;

	for (uint32_t i = first; i < t->rank; i++) {
		uint32_t extent = (uint32_t)t->dim[order[i]];

		/* A file's tensors have four extents at most: the outer ones are joined. */
		if (rank == 1 && t->rank - i > 3)
			shape[0] *= extent;
		else
			shape[rank++] = extent;
	}
	if (!rank)
		shape[rank++] = 1;
	return rank;
}

/* The view of a tensor that lies in that order without gaps. */
static void dense_view(const struct graph_tensor *t, const uint32_t *order, struct graph_view *view)
{
	int64_t stride = 1;

	*view = (struct graph_view){.rank = t->rank};
	for (uint32_t i = t->rank; i-- > 0;) {
		view->dim[order[i]] = t->dim[order[i]];
		view->stride[order[i]] = stride;
		stride *= t->dim[order[i]];
	}
}

static bool same_view(const struct graph_view *a, const struct graph_view *b)
{
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->dim[i] != 1 && a->stride[i] != b->stride[i])
			return false;
	return a->offset == b->offset;
}

static const Facet__Model__Type file_types[LOWER_TYPES] = {
	[LOWER_S8] = FACET__MODEL__TYPE__S8, [LOWER_F32] = FACET__MODEL__TYPE__F32};

static int add_tensor(struct lower *l, uint32_t tensor, enum lower_type type, uint32_t rank,
		      const uint32_t *shape, const struct graph_view *view, uint32_t *index)
{
	Facet__Model__Tensor *t;

	*index = program_tensor(l->p, l->g->tensor[tensor].name, file_types[type], rank, shape);
	if (*index == GRAPH_NONE)
		return pool_exhausted(l->g->pool);
	t = l->p->graph.tensors[*index];
	if (type == LOWER_S8) {
		t->scale = l->quant[tensor].scale;
		t->zero_point = l->quant[tensor].z;
	}
	l->p->stands_for[*index] = tensor;
	l->p->view[*index] = *view;
	l->place[type][tensor].tensor = *index;
	l->place[type][tensor].view = *view;
	return 0;
}

int lower_result(struct lower *l, uint32_t tensor, enum lower_type type, const uint32_t *order,
		 uint32_t *index)
{
	struct graph_view view;
	uint32_t shape[GRAPH_RANK], rank = lower_shape(l->g, tensor, order, shape);

	dense_view(&l->g->tensor[tensor], order, &view);
	return add_tensor(l, tensor, type, rank, shape, &view, index);
}

int lower_result_like(struct lower *l, uint32_t tensor, enum lower_type type,
		      const struct lower_place *like, uint32_t *index)
{
	const Facet__Model__Tensor *t = l->p->graph.tensors[like->tensor];

	return add_tensor(l, tensor, type, (uint32_t)t->n_shape, t->shape, &like->view, index);
}

/* Gathers a view into a new dense tensor. */
static int gather(struct lower *l, const struct graph_node *n, uint32_t tensor,
		  enum lower_type type, const uint32_t *order)
{
	struct graph_view view = l->place[type][tensor].view;
	uint32_t from = l->place[type][tensor].tensor, to;
	Facet__Model__Strided *s =
		PROGRAM_NEW(l->g->pool, Facet__Model__Strided, facet__model__strided__init);
	Facet__Model__Op *op;
	int err = lower_result(l, tensor, type, order, &to);

	if (err || !s)
		return pool_exhausted(l->g->pool);
	s->extent = pool_alloc(l->g->pool, GRAPH_RANK, sizeof(*s->extent));
	s->stride = pool_alloc(l->g->pool, GRAPH_RANK, sizeof(*s->stride));
	op = program_op(l->p, FACET__MODEL__KIND__STRIDED, n->name, 1, &from, to);
	if (!s->extent || !s->stride || !op)
		return pool_exhausted(l->g->pool);
	for (uint32_t i = 0; i < view.rank; i++) {
		if (view.dim[order[i]] == 1)
			continue;
		s->extent[s->n_extent++] = (uint32_t)view.dim[order[i]];
		s->stride[s->n_stride++] = view.stride[order[i]];
	}
	if (!s->n_extent) {
		s->extent[s->n_extent++] = 1;
		s->stride[s->n_stride++] = 1;
	}
	s->offset = (uint64_t)view.offset;
	op->params_case = FACET__MODEL__OP__PARAMS_STRIDED;
	op->strided = s;
	return 0;
}

/* The same bytes under another shape. */
static int copy(struct lower *l, const struct graph_node *n, uint32_t tensor, enum lower_type type,
		const uint32_t *order)
{
	uint32_t from = l->place[type][tensor].tensor, to;
	int err = lower_result(l, tensor, type, order, &to);

	if (err)
		return err;
	return program_op(l->p, FACET__MODEL__KIND__COPY, n->name, 1, &from, to)
		       ? 0
		       : pool_exhausted(l->g->pool);
}

/* Does the place hold all of its program tensor? */
static bool is_whole(const struct lower *l, uint32_t tensor, enum lower_type type)
{
	const struct lower_place *place = &l->place[type][tensor];

	return l->g->tensor[tensor].count == program_tensor_count(l->p, place->tensor) &&
	       place->view.offset == 0;
}

static int dequantise(struct lower *l, const struct graph_node *n, uint32_t tensor)
{
	const struct lower_place *from = &l->place[LOWER_S8][tensor];
	Facet__Model__Dequantize *d =
		PROGRAM_NEW(l->g->pool, Facet__Model__Dequantize, facet__model__dequantize__init);
	Facet__Model__Op *op;
	uint32_t to;
	int err = lower_whole(l, n, tensor, LOWER_S8);

	if (!err)
		err = lower_result_like(l, tensor, LOWER_F32, from, &to);
	if (err)
		return err;
	op = program_op(l->p, FACET__MODEL__KIND__DEQUANTIZE, n->name, 1, &from->tensor, to);
	if (!op || !d)
		return pool_exhausted(l->g->pool);
	d->scale = l->quant[tensor].scale;
	d->z = l->quant[tensor].z;
	op->params_case = FACET__MODEL__OP__PARAMS_DEQUANTIZE;
	op->dequantize = d;
	return 0;
}

/* Makes sure that the tensor has a place of that type. */
static int have(struct lower *l, const struct graph_node *n, uint32_t tensor, enum lower_type type)
{
	if (l->place[type][tensor].tensor != GRAPH_NONE)
		return 0;
	if (type == LOWER_F32 && l->place[LOWER_S8][tensor].tensor != GRAPH_NONE)
		return dequantise(l, n, tensor);
	return lower_refuse(l, n, "an input of it is not to be had in int8");
}

int lower_whole(struct lower *l, const struct graph_node *n, uint32_t tensor, enum lower_type type)
{
	uint32_t order[GRAPH_RANK];
	int err = have(l, n, tensor, type);

	if (err || is_whole(l, tensor, type))
		return err;
	lower_order_nhwc(l->g, tensor, order);
	return gather(l, n, tensor, type, order);
}

int lower_dense(struct lower *l, const struct graph_node *n, uint32_t tensor, enum lower_type type,
		const uint32_t *order, uint32_t *index)
{
	struct lower_place *place = &l->place[type][tensor];
	uint32_t shape[GRAPH_RANK], rank = lower_shape(l->g, tensor, order, shape);
	const Facet__Model__Tensor *t;
	struct graph_view view;
	int err = have(l, n, tensor, type);

	if (err)
		return err;
	dense_view(&l->g->tensor[tensor], order, &view);
	t = l->p->graph.tensors[place->tensor];
	if (!is_whole(l, tensor, type) || !same_view(&place->view, &view))
		err = gather(l, n, tensor, type, order);
	else if (t->n_shape != rank || memcmp(t->shape, shape, rank * sizeof(*shape)))
		err = copy(l, n, tensor, type, order);
	*index = place->tensor;
	return err;
}

/* ---- moves, the image, the outputs -------------------------------------------------------------------- */

static int move_output(struct lower *l, const struct graph_node *n, uint32_t k,
		       enum lower_type type)
{
	uint32_t x = n->input[0], y = n->output[k], order[GRAPH_RANK], index;
	struct graph_view view;
	int err = 0;

	if (!graph_view_apply(l->g, n, k, &l->place[type][x].view, &view)) {
		lower_order_plain(order);
		err = lower_dense(l, n, x, type, order, &index);
		if (!err && !graph_view_apply(l->g, n, k, &l->place[type][x].view, &view))
			return lower_refuse(l, n, "its shapes do not fit");
	}
	l->quant[y] = l->quant[x];
	l->place[type][y] = (struct lower_place){l->place[type][x].tensor, view};
	return err;
}

static int lower_move(struct lower *l, struct graph_node *n)
{
	uint32_t x = n->input[0];
	int err = 0;

	for (enum lower_type type = LOWER_S8; type < LOWER_TYPES; type++)
		for (uint32_t k = 0; k < n->outputs && !err; k++)
			if (l->place[type][x].tensor != GRAPH_NONE)
				err = move_output(l, n, k, type);
	return err;
}

static int image_table(struct lower *l, int8_t *table)
{
	const struct graph_tensor *image = &l->g->tensor[l->g->input];
	struct lower_quant *q = &l->quant[l->g->input];
	double least = 0, most = 0;
	uint32_t channels = (uint32_t)image->dim[1];

	for (uint32_t c = 0; c < channels; c++) {
		least = fmin(least, (0 - (double)l->mean[c]) / (double)l->scale[c]);
		most = fmax(most, (255 - (double)l->mean[c]) / (double)l->scale[c]);
	}
	*q = lower_quant_of(least, most);
	for (uint32_t c = 0; c < channels; c++)
		for (int32_t x = 0; x < 256; x++) {
			double real = (x - (double)l->mean[c]) / (double)l->scale[c];

			table[c * 256 + (uint32_t)x] = (int8_t)lower_quantise(q, real);
			l->image_error[c] +=
				((table[c * 256 + (uint32_t)x] - q->z) * (double)q->scale - real) /
				256;
		}
	for (uint32_t c = 1; c < channels; c++)
		if (memcmp(table, table + c * 256, 256))
			return 1;
	return 0;
}

static int lower_image(struct lower *l)
{
	Facet__Model__Table *t =
		PROGRAM_NEW(l->g->pool, Facet__Model__Table, facet__model__table__init);
	uint32_t order[GRAPH_RANK], shape[GRAPH_RANK], rank, from, to;
	const struct graph_tensor *image = &l->g->tensor[l->g->input];
	int8_t table[COMPILE_CHANNELS_MAX * 256];
	Facet__Model__Op *op;
	int err;

	lower_order_nhwc(l->g, l->g->input, order);
	rank = lower_shape(l->g, l->g->input, order, shape);
	l->image_error = pool_alloc(l->g->pool, (size_t)image->dim[1], sizeof(double));
	from = program_tensor(l->p, image->name, FACET__MODEL__TYPE__U8, rank, shape);
	l->p->graph.inputs = pool_alloc(l->g->pool, 1, sizeof(uint32_t));
	if (!t || !l->image_error || from == GRAPH_NONE || !l->p->graph.inputs)
		return pool_exhausted(l->g->pool);
	l->p->graph.inputs[0] = from;
	l->p->graph.n_inputs = 1;
	t->from_u8 = true;
	t->per_channel = image_table(l, table);
	err = lower_result(l, l->g->input, LOWER_S8, order, &to);
	if (err)
		return err;
	op = program_op(l->p, FACET__MODEL__KIND__TABLE, "image", 1, &from, to);
	t->table = program_span(l->p, table, t->per_channel ? (size_t)image->dim[1] * 256 : 256);
	if (!op || !t->table)
		return pool_exhausted(l->g->pool);
	op->params_case = FACET__MODEL__OP__PARAMS_TABLE;
	op->table = t;
	return 0;
}

static int lower_outputs(struct lower *l)
{
	struct graph *g = l->g;
	uint32_t order[GRAPH_RANK];

	lower_order_plain(order);
	l->p->graph.outputs = pool_alloc(g->pool, g->outputs, sizeof(uint32_t));
	if (!l->p->graph.outputs)
		return pool_exhausted(g->pool);
	for (uint32_t k = 0; k < g->outputs; k++) {
		uint32_t t = g->output[k], index;
		uint32_t maker = l->links.producer[t];
		int err;

		if (maker == GRAPH_NONE)
			return pool_error(g->pool, -EINVAL, "the output '%s' is the image itself",
					  g->tensor[t].name);
		err = lower_dense(l, &g->node[maker], t, LOWER_F32, order, &index);
		if (err)
			return err;
		l->p->graph.outputs[l->p->graph.n_outputs++] = index;
		err = program_rename(l->p, index, g->tensor[t].name);
		if (err)
			return err;
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static int prepare(struct lower *l)
{
	struct pool *pool = l->g->pool;
	int err = graph_link(l->g, &l->links);

	l->p = program_create(pool);
	l->in_float = pool_alloc(pool, l->g->nodes, sizeof(bool));
	l->done = pool_alloc(pool, l->g->nodes, sizeof(bool));
	l->float_only = pool_alloc(pool, l->g->tensors, sizeof(bool));
	l->quant = pool_alloc(pool, l->g->tensors, sizeof(*l->quant));
	if (err || !l->p || !l->in_float || !l->done || !l->float_only || !l->quant)
		return pool_exhausted(pool);
	for (enum lower_type type = LOWER_S8; type < LOWER_TYPES; type++) {
		l->place[type] = pool_alloc(pool, l->g->tensors, sizeof(*l->place[type]));
		if (!l->place[type])
			return pool_exhausted(pool);
		for (uint32_t t = 0; t < l->g->tensors; t++)
			l->place[type][t].tensor = GRAPH_NONE;
	}
	return 0;
}

static int lower_nodes(struct lower *l)
{
	for (uint32_t i = 0; i < l->g->nodes; i++) {
		struct graph_node *n = &l->g->node[i];
		const struct lowering *how = &lowerings[n->kind];
		int err;

		if (l->done[i])
			continue;
		err = (l->in_float[i] ? how->in_float : how->int8)(l, n);
		if (err)
			return err;
		l->p->graph.macs += execute_macs(l->g, n);
	}
	return 0;
}

int lower_graph(struct graph *g, const struct calibrate *calibrate,
		const struct compile_options *options, struct program **program)
{
	struct lower l = {.g = g,
			  .calibrate = calibrate,
			  .percentile = options->percentile,
			  .mean = options->mean,
			  .scale = options->scale};
	bool *is_float = pool_alloc(g->pool, g->tensors, sizeof(bool));
	int err = is_float ? prepare(&l) : pool_exhausted(g->pool);

	if (!err)
		err = find_float_makers(&l, is_float);
	if (err)
		return err;
	find_float_users(&l);
	err = lower_image(&l);
	if (!err)
		err = lower_nodes(&l);
	if (!err)
		err = lower_outputs(&l);
	*program = l.p;
	return err;
}

int lower_wanted(const struct graph *g, bool **wanted)
{
	*wanted = pool_alloc(g->pool, g->tensors, sizeof(bool));
	if (!*wanted)
		return pool_exhausted(g->pool);
	for (uint32_t i = 0; i < g->nodes; i++)
		for (uint32_t k = 0; k < g->node[i].outputs; k++)
			(*wanted)[g->node[i].output[k]] =
				lowerings[g->node[i].kind].int8 != NULL &&
				lowerings[g->node[i].kind].int8 != lower_move;
	return 0;
}
