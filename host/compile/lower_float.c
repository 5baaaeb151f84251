/* SPDX-License-Identifier: Apache-2.0 */
/* The float tail of a network: what a detector does with its scores and boxes. */
#include "host/compile/lower.h"
#include "kernels/ops.h"

#include <string.h>

static int emit(struct lower *l, const struct graph_node *n, enum op_float_kind kind, uint32_t b,
		uint32_t inputs, const uint32_t *input, uint32_t output)
{
	Facet__Model__Float *f =
		PROGRAM_NEW(l->g->pool, Facet__Model__Float, facet__model__float__init);
	Facet__Model__Op *op =
		program_op(l->p, FACET__MODEL__KIND__FLOAT, n->name, inputs, input, output);

	if (!f || !op)
		return pool_exhausted(l->g->pool);
	f->kind = kind;
	f->b = b;
	op->params_case = FACET__MODEL__OP__PARAMS_FLOAT_OP;
	op->float_op = f;
	return 0;
}

int lower_float_unary(struct lower *l, struct graph_node *n)
{
	enum op_float_kind kind = n->kind == GRAPH_EXP	  ? OP_FLOAT_EXP
				  : n->kind == GRAPH_SQRT ? OP_FLOAT_SQRT
							  : OP_FLOAT_SIGMOID;
	const struct lower_place *x = &l->place[LOWER_F32][n->input[0]];
	uint32_t to;
	int err = lower_whole(l, n, n->input[0], LOWER_F32);

	if (!err)
		err = lower_result_like(l, n->output[0], LOWER_F32, x, &to);
	return err ? err : emit(l, n, kind, OP_B_FULL, 1, &x->tensor, to);
}

/* A tensor of no name, shaped like another. */
static uint32_t unnamed_like(struct lower *l, uint32_t like)
{
	const Facet__Model__Tensor *t = l->p->graph.tensors[like];

	return program_tensor(l->p, "", FACET__MODEL__TYPE__F32, (uint32_t)t->n_shape, t->shape);
}

static int emit_scalar(struct lower *l, const struct graph_node *n, enum op_float_kind kind,
		       float b, uint32_t x, uint32_t y)
{
	uint32_t input[2] = {x, program_constant(l->p, &b, 1)};

	if (input[1] == GRAPH_NONE || y == GRAPH_NONE)
		return pool_exhausted(l->g->pool);
	return emit(l, n, kind, OP_B_SCALAR, 2, input, y);
}

/* tanh(x) = 2 / (1 + exp(-2 x)) - 1 */
int lower_float_tanh(struct lower *l, struct graph_node *n)
{
	const struct lower_place *x = &l->place[LOWER_F32][n->input[0]];
	int err = lower_whole(l, n, n->input[0], LOWER_F32);
	uint32_t twice, sigmoid, wide, y;

	if (err)
		return err;
	twice = unnamed_like(l, x->tensor);
	sigmoid = unnamed_like(l, x->tensor);
	wide = unnamed_like(l, x->tensor);
	err = emit_scalar(l, n, OP_FLOAT_MUL, 2, x->tensor, twice);
	if (!err)
		err = sigmoid == GRAPH_NONE
			      ? pool_exhausted(l->g->pool)
			      : emit(l, n, OP_FLOAT_SIGMOID, OP_B_FULL, 1, &twice, sigmoid);
	if (!err)
		err = emit_scalar(l, n, OP_FLOAT_MUL, 2, sigmoid, wide);
	if (!err)
		err = lower_result_like(l, n->output[0], LOWER_F32, x, &y);
	return err ? err : emit_scalar(l, n, OP_FLOAT_SUB, 1, wide, y);
}

/* ---- two operands ------------------------------------------------------------------------------------- */

/* Repeats a constant's values over the output's shape. */
static uint32_t spread_constant(struct lower *l, uint32_t tensor, uint32_t y)
{
	const struct graph_tensor *t = &l->g->tensor[tensor], *out = &l->g->tensor[y];
	struct graph_view plain, view = {.rank = out->rank};
	float *values = pool_alloc(l->g->pool, out->count, sizeof(float));

	if (!values || t->rank > out->rank)
		return GRAPH_NONE;
	graph_view_plain(t, &plain);
	for (uint32_t i = 0; i < out->rank; i++) {
		uint32_t skip = out->rank - t->rank;

		view.dim[i] = out->dim[i];
		view.stride[i] = i >= skip && t->dim[i - skip] != 1 ? plain.stride[i - skip] : 0;
	}
	graph_view_copy(&view, sizeof(float), t->f, values);
	return program_constant(l->p, values, (uint32_t)out->count);
}

/* Operand k in the output's order and size; sets *b for a single value. */
static int operand(struct lower *l, const struct graph_node *n, uint32_t k, uint32_t *index,
		   uint32_t *b)
{
	uint32_t t = n->input[k], y = n->output[0], order[GRAPH_RANK];
	const struct graph_tensor *from = &l->g->tensor[t];

	lower_order_plain(order);
	if (!graph_is_constant(l->g, t) && from->count != l->g->tensor[y].count)
		return lower_refuse(l, n,
				    "operands of different sizes, neither constant, have no form "
				    "here");
	if (!graph_is_constant(l->g, t))
		return lower_dense(l, n, t, LOWER_F32, order, index);
	if (k == 1 && from->count == 1) {
		*b = OP_B_SCALAR;
		*index = program_constant(l->p, from->f, 1);
	} else {
		*index = spread_constant(l, t, y);
	}
	return *index == GRAPH_NONE ? pool_exhausted(l->g->pool) : 0;
}

int lower_float_binary(struct lower *l, struct graph_node *n)
{
	static const enum op_float_kind kinds[] = {OP_FLOAT_ADD, OP_FLOAT_SUB, OP_FLOAT_MUL,
						   OP_FLOAT_DIV};
	uint32_t input[2], order[GRAPH_RANK], b = OP_B_FULL, y;
	int err = operand(l, n, 0, &input[0], &b);

	if (!err)
		err = operand(l, n, 1, &input[1], &b);
	lower_order_plain(order);
	if (!err)
		err = lower_result(l, n->output[0], LOWER_F32, order, &y);
	return err ? err : emit(l, n, kinds[n->kind - GRAPH_ADD], b, 2, input, y);
}

int lower_float_affine(struct lower *l, struct graph_node *n)
{
	const struct graph_tensor *t = &l->g->tensor[n->input[0]];
	uint32_t order[GRAPH_RANK], x, y, input[2];
	int err;

	lower_order_nhwc(l->g, n->input[0], order);
	err = lower_dense(l, n, n->input[0], LOWER_F32, order, &x);
	if (err)
		return err;
	input[0] = x;
	input[1] = program_constant(l->p, graph_floats(l->g, n, 1), (uint32_t)t->dim[1]);
	x = unnamed_like(l, x);
	if (input[1] == GRAPH_NONE || x == GRAPH_NONE)
		return pool_exhausted(l->g->pool);
	err = emit(l, n, OP_FLOAT_MUL, OP_B_ROW, 2, input, x);
	if (!err)
		err = lower_result(l, n->output[0], LOWER_F32, order, &y);
	if (err)
		return err;
	input[0] = x;
	input[1] = program_constant(l->p, graph_floats(l->g, n, 2), (uint32_t)t->dim[1]);
	return input[1] == GRAPH_NONE ? pool_exhausted(l->g->pool)
				      : emit(l, n, OP_FLOAT_ADD, OP_B_ROW, 2, input, y);
}

/* ---- the others --------------------------------------------------------------------------------------- */

/* The axis goes innermost; with flatten it must already hold all that follows. */
int lower_float_softmax(struct lower *l, struct graph_node *n)
{
	const struct graph_tensor *t = &l->g->tensor[n->input[0]];
	uint32_t order[GRAPH_RANK], axis = (uint32_t)n->axis, x, y;
	int64_t after = 1;
	int err;

	for (uint32_t i = axis + 1; i < t->rank; i++)
		after *= t->dim[i];
	if (n->flatten && after != 1)
		return lower_refuse(l, n, "a softmax over several axes is not supported");
	lower_order_plain(order);
	for (uint32_t i = axis; i + 1 < t->rank; i++)
		order[i] = i + 1;
	order[t->rank - 1] = axis;
	err = lower_dense(l, n, n->input[0], LOWER_F32, order, &x);
	if (!err)
		err = lower_result(l, n->output[0], LOWER_F32, order, &y);
	return err ? err : emit(l, n, OP_FLOAT_SOFTMAX, OP_B_FULL, 1, &x, y);
}

int lower_float_concat(struct lower *l, struct graph_node *n)
{
	Facet__Model__Join *j =
		PROGRAM_NEW(l->g->pool, Facet__Model__Join, facet__model__join__init);
	uint32_t order[GRAPH_RANK], inputs[OP_CONCAT_MAX], y;
	Facet__Model__Op *op;
	int err = 0;

	if (n->inputs > OP_CONCAT_MAX)
		return lower_refuse(l, n, "it has over 16 inputs");
	if (!j)
		return pool_exhausted(l->g->pool);
	j->inner = pool_alloc(l->g->pool, n->inputs, sizeof(*j->inner));
	if (!j->inner)
		return pool_exhausted(l->g->pool);
	j->outer = 1;
	for (uint32_t i = 0; i < n->axis; i++)
		j->outer *= (uint64_t)l->g->tensor[n->output[0]].dim[i];
	lower_order_plain(order);
	for (uint32_t k = 0; k < n->inputs && !err; k++) {
		if (graph_is_constant(l->g, n->input[k]))
			return lower_refuse(l, n, "a constant cannot be concatenated");
		err = lower_dense(l, n, n->input[k], LOWER_F32, order, &inputs[k]);
		j->inner[j->n_inner++] = l->g->tensor[n->input[k]].count / j->outer;
	}
	if (!err)
		err = lower_result(l, n->output[0], LOWER_F32, order, &y);
	if (err)
		return err;
	op = program_op(l->p, FACET__MODEL__KIND__JOIN, n->name, n->inputs, inputs, y);
	if (!op)
		return pool_exhausted(l->g->pool);
	op->params_case = FACET__MODEL__OP__PARAMS_JOIN;
	op->join = j;
	return 0;
}
