/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One op of the graph becomes one command. Whatever a device would refuse is refused here, so that
 * a model that was loaded runs.
 */
#include "daemon/model/graph.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Multiply-adds that one element of an op without any costs at most, in time. */
#define ELEMENT_WORK 64u

/* What the converters of the single kinds see: the op and its tensors. */
struct op_view {
	struct model_check *check;
	const Facet__Model__Op *op;
	struct model_step *step;
	const struct model_tensor_place *in[DEVICE_INPUTS_MAX], *out;
};

/* A span of exactly these bytes in the weights, aligned; NULL if it is anything else. */
static const void *span_data(const struct op_view *v, const Facet__Model__Span *span,
			     uint64_t bytes, uint64_t align)
{
	const struct model *model = v->check->model;

	if (!span || span->length != bytes || span->offset % align ||
	    span->offset > model->weights_bytes || bytes > model->weights_bytes - span->offset)
		return NULL;
	return model->weights + span->offset;
}

/* ---- conv2d and gemm ---- */

static bool requant_ok(const struct op_view *v, const Facet__Model__Requant *from,
		       uint32_t channels, struct op_requant *to, enum op_out *out)
{
	if (!from || from->out != (v->out->type == MODEL_S8 ? OP_OUT_S8 : OP_OUT_F32))
		return false;
	*out = (enum op_out)from->out;
	*to = (struct op_requant){
		.s_pos = span_data(v, from->s_pos, (uint64_t)channels * 4, 4),
		.s_neg = span_data(v, from->s_neg, (uint64_t)channels * 4, 4),
		.s_r = from->s_r,
		.z_r = from->z_r,
		.z = from->z,
		.lo = from->lo,
		.hi = from->hi,
	};
	return to->s_pos && to->s_neg;
}

/* Input, output and residual of both: int8 in, int8 or float out, a residual like the output. */
static bool product_types_ok(const struct op_view *v)
{
	return v->in[0]->type == MODEL_S8 && v->out->type != MODEL_U8 &&
	       (v->op->n_inputs == 1 ||
		(v->in[1]->type == MODEL_S8 && v->in[1]->elements == v->out->elements));
}

static int take_weights(struct op_view *v, const Facet__Model__Span *weights,
			const Facet__Model__Span *bias, uint32_t rows, uint32_t k)
{
	const int8_t *w = span_data(v, weights, (uint64_t)rows * k, 1);
	const int32_t *b = span_data(v, bias, (uint64_t)rows * 4, 4);

	if (!w || !b)
		return model_fail(v->check, "weights or bias have the wrong size or place");
	if (op_weights_check(w, b, rows, k))
		return model_fail(v->check, "a bias is out of range, sums could overflow");
	v->step->weights = weights->offset;
	v->step->bias = bias->offset;
	v->check->model->info.macs += v->out->elements * k;
	v->check->work += v->out->elements * k;
	return 0;
}

static int conv2d(struct op_view *v)
{
	const Facet__Model__Conv *c = v->op->conv;
	struct op_conv2d *p = &v->step->command.conv2d;

	v->step->command.op = DEVICE_CONV2D;
	if (!product_types_ok(v) || v->in[0]->rank != 3 || v->out->rank != 3)
		return model_fail(v->check, "a convolution is from S8 [h][w][c] to [h][w][c]");
	*p = (struct op_conv2d){.n = 1,
				.h = v->in[0]->shape[0],
				.w = v->in[0]->shape[1],
				.c = v->in[0]->shape[2],
				.oc = v->out->shape[2],
				.kh = c->kh,
				.kw = c->kw,
				.groups = c->groups,
				.stride_h = c->stride_h,
				.stride_w = c->stride_w,
				.dilation_h = c->dilation_h,
				.dilation_w = c->dilation_w,
				.pad_top = c->pad_top,
				.pad_left = c->pad_left,
				.pad_bottom = c->pad_bottom,
				.pad_right = c->pad_right,
				.z_x = c->z_x};
	if (!requant_ok(v, c->q, p->oc, &p->q, &p->out) || op_conv2d_check(p))
		return model_fail(v->check, "a parameter of the convolution is out of range");
	if (op_conv2d_oh(p) != v->out->shape[0] || op_conv2d_ow(p) != v->out->shape[1])
		return model_fail(v->check, "the output's shape is not that of the convolution");
	return take_weights(v, c->weights, c->bias, p->oc, p->kh * p->kw * (p->c / p->groups));
}

static int gemm(struct op_view *v)
{
	const Facet__Model__Gemm *g = v->op->gemm;
	struct op_gemm *p = &v->step->command.gemm;
	uint64_t m = g->k ? v->in[0]->elements / g->k : 0;

	v->step->command.op = DEVICE_GEMM;
	*p = (struct op_gemm){.m = (uint32_t)m, .n = v->out->shape[v->out->rank - 1], .k = g->k};
	if (!product_types_ok(v) || m * g->k != v->in[0]->elements || m * p->n != v->out->elements)
		return model_fail(v->check, "a matrix product is from S8 [m][k] to [m][n]");
	if (!requant_ok(v, g->q, p->n, &p->q, &p->out) || op_gemm_check(p))
		return model_fail(v->check, "a parameter of the matrix product is out of range");
	return take_weights(v, g->weights, g->bias, p->n, p->k);
}

/* ---- the others ---- */

static int pool2d(struct op_view *v)
{
	const Facet__Model__Pool *c = v->op->pool;
	struct op_pool2d *p = &v->step->command.pool2d;

	v->step->command.op = DEVICE_POOL2D;
	if (v->in[0]->type != MODEL_S8 || v->out->type != MODEL_S8 || v->in[0]->rank != 3 ||
	    v->out->rank != 3)
		return model_fail(v->check, "a pooling is from S8 [h][w][c] to S8 [h][w][c]");
	*p = (struct op_pool2d){.n = 1,
				.h = v->in[0]->shape[0],
				.w = v->in[0]->shape[1],
				.c = v->in[0]->shape[2],
				.kh = c->kh,
				.kw = c->kw,
				.stride_h = c->stride_h,
				.stride_w = c->stride_w,
				.pad_top = c->pad_top,
				.pad_left = c->pad_left,
				.pad_bottom = c->pad_bottom,
				.pad_right = c->pad_right,
				.kind = c->kind == OP_POOL_MAX ? OP_POOL_MAX : OP_POOL_AVG,
				.divisor = c->divisor,
				.scale = c->scale,
				.z_x = c->z_x,
				.z = c->z,
				.lo = c->lo,
				.hi = c->hi};
	if (c->kind > OP_POOL_AVG || op_pool2d_check(p))
		return model_fail(v->check, "a parameter of the pooling is out of range");
	if (op_pool2d_oh(p) != v->out->shape[0] || op_pool2d_ow(p) != v->out->shape[1] ||
	    p->c != v->out->shape[2])
		return model_fail(v->check, "the output's shape is not that of the pooling");
	v->check->work += v->out->elements * p->kh * p->kw;
	return 0;
}

static int add(struct op_view *v)
{
	const Facet__Model__Add *a = v->op->add;
	struct op_add *p = &v->step->command.add;

	v->step->command.op = DEVICE_ADD;
	*p = (struct op_add){v->out->elements, a->s_a, a->s_b, a->z_a, a->z_b, a->z, a->lo, a->hi};
	if (v->in[0]->type != MODEL_S8 || v->in[1]->type != MODEL_S8 || v->out->type != MODEL_S8 ||
	    v->in[0]->elements != p->count || v->in[1]->elements != p->count)
		return model_fail(v->check, "a sum is of two S8 tensors as large as the output");
	return op_add_check(p) ? model_fail(v->check, "a parameter of the sum is out of range") : 0;
}

/*
 * The device's table is indexed by int8, x + 128. A table for uint8 pixels is rewritten so: the byte
 * of pixel x is read as int8 x - 256 * (x > 127), thus its value goes to (x + 128) mod 256.
 */
static int rewrite_table(struct op_view *v, const uint8_t *from, uint64_t bytes, uint64_t *offset)
{
	struct model_check *check = v->check;
	struct model *model = check->model;
	uint8_t *to;

	if (bytes > MODEL_TABLES_MAX - check->tables_bytes)
		return model_fail(check, "the tables take too much memory");
	*offset = model->constants_bytes + check->tables_bytes;
	check->tables_bytes += bytes;
	to = model->weights + *offset;
	for (uint64_t i = 0; i < bytes; i++)
		to[i ^ 128] = from[i];
	return 0;
}

static int table(struct op_view *v)
{
	const Facet__Model__Table *t = v->op->table;
	struct device_command *command = &v->step->command;
	uint32_t c = t->per_channel ? v->out->shape[v->out->rank - 1] : 1;
	const void *data = span_data(v, t->table, (uint64_t)c * 256, 1);

	command->op = DEVICE_TABLE;
	command->table = (struct op_table){v->out->elements / c, c, t->per_channel};
	if (v->in[0]->type != (t->from_u8 ? MODEL_U8 : MODEL_S8) || v->out->type != MODEL_S8 ||
	    v->in[0]->elements != v->out->elements)
		return model_fail(v->check, "a table is from S8 (or U8) to S8, of the same size");
	if (!data || op_table_check(&command->table))
		return model_fail(v->check, "the table has the wrong size or place");
	command->tables[0] = (struct device_span){NULL, t->table->offset, (uint64_t)c * 256};
	v->step->tables = 1;
	if (!t->from_u8)
		return 0;
	return rewrite_table(v, data, (uint64_t)c * 256, &command->tables[0].offset);
}

static int concat_input(struct op_view *v, uint32_t i)
{
	const Facet__Model__Concat *c = v->op->concat;
	struct device_command *command = &v->step->command;
	const Facet__Model__Span *t = c->n_tables ? c->tables[i] : NULL;
	uint32_t channels = v->in[i]->shape[v->in[i]->rank - 1];

	command->concat.c[i] = channels;
	if (v->in[i]->type != MODEL_S8 || v->in[i]->elements / channels != command->concat.pixels)
		return model_fail(v->check, "input %u does not fit the concatenation", i);
	if (!t || t->length == 0)
		return 0;
	if (!span_data(v, t, 256, 1))
		return model_fail(v->check, "table %u has the wrong size or place", i);
	command->tables[i] = (struct device_span){NULL, t->offset, 256};
	v->step->tables |= 1u << i;
	return 0;
}

static int concat(struct op_view *v)
{
	struct device_command *command = &v->step->command;
	uint32_t channels = v->out->shape[v->out->rank - 1], n = (uint32_t)v->op->n_inputs;
	uint64_t total = 0;

	command->op = DEVICE_CONCAT;
	command->concat = (struct op_concat){.pixels = v->out->elements / channels, .inputs = n};
	if (v->out->type != MODEL_S8 || (v->op->concat->n_tables && v->op->concat->n_tables != n))
		return model_fail(v->check, "a concatenation is of S8, with a table an input");
	for (uint32_t i = 0; i < n; i++) {
		int err = concat_input(v, i);

		if (err)
			return err;
		total += command->concat.c[i];
	}
	if (total != channels || op_concat_check(&command->concat))
		return model_fail(v->check, "the inputs' channels are not those of the output");
	return 0;
}

static int dequantize(struct op_view *v)
{
	const Facet__Model__Dequantize *d = v->op->dequantize;
	struct op_dequantize *p = &v->step->command.dequantize;

	v->step->command.op = DEVICE_DEQUANTIZE;
	*p = (struct op_dequantize){v->out->elements, d->scale, d->z};
	if (v->in[0]->type != MODEL_S8 || v->out->type != MODEL_F32 ||
	    v->in[0]->elements != p->count || op_dequantize_check(p))
		return model_fail(v->check, "dequantizing is from S8 to F32, of the same size");
	return 0;
}

static int float_op(struct op_view *v)
{
	const Facet__Model__Float *f = v->op->float_op;
	struct op_float *p = &v->step->command.float_op;
	uint32_t cols = v->out->shape[v->out->rank - 1];
	uint64_t b[] = {[OP_B_FULL] = v->out->elements,
			[OP_B_ROW] = cols,
			[OP_B_COLUMN] = v->out->elements / cols,
			[OP_B_SCALAR] = 1};

	v->step->command.op = DEVICE_FLOAT;
	if (f->kind >= OP_FLOAT_KINDS || f->b > OP_B_SCALAR)
		return model_fail(v->check, "no such float op (%u)", f->kind);
	*p = (struct op_float){.kind = f->kind, .rows = v->out->elements / cols, .cols = cols};
	p->b = f->b;
	if (v->op->n_inputs != (p->kind <= OP_FLOAT_DIV ? 2 : 1) || v->out->type != MODEL_F32 ||
	    v->in[0]->type != MODEL_F32 || v->in[0]->elements != v->out->elements)
		return model_fail(v->check, "a float op is from F32 to F32, of the same size");
	if (v->op->n_inputs == 2 && (v->in[1]->type != MODEL_F32 || v->in[1]->elements != b[p->b]))
		return model_fail(v->check, "the second operand has the wrong size");
	return op_float_check(p) ? model_fail(v->check, "the float op is too large") : 0;
}

static int copy(struct op_view *v)
{
	v->step->command.op = DEVICE_COPY;
	if (v->in[0]->type != v->out->type || v->in[0]->elements != v->out->elements)
		return model_fail(v->check, "a copy is of the same type and size");
	return 0;
}

static int strided(struct op_view *v)
{
	const Facet__Model__Strided *s = v->op->strided;
	struct device_strided *p = &v->step->command.strided;

	v->step->command.op = DEVICE_STRIDED;
	if (s->n_extent < 1 || s->n_extent > 6 || s->n_stride != s->n_extent)
		return model_fail(v->check, "wants 1 to 6 extents and as many strides");
	*p = (struct device_strided){.rank = (uint32_t)s->n_extent,
				     .element_bytes = v->out->type == MODEL_F32 ? 4 : 1,
				     .offset = s->offset};
	memcpy(p->extent, s->extent, s->n_extent * sizeof(p->extent[0]));
	memcpy(p->stride, s->stride, s->n_stride * sizeof(p->stride[0]));
	if (v->in[0]->type != v->out->type ||
	    device_strided_elements(p, v->in[0]->elements) != v->out->elements)
		return model_fail(v->check, "gathers outside its input, or not the output's size");
	return 0;
}

static int join(struct op_view *v)
{
	const Facet__Model__Join *j = v->op->join;
	struct device_join *p = &v->step->command.join;

	v->step->command.op = DEVICE_JOIN;
	if (j->n_inner != v->op->n_inputs)
		return model_fail(v->check, "wants a block size an input");
	*p = (struct device_join){.outer = j->outer,
				  .inputs = (uint32_t)j->n_inner,
				  .element_bytes = v->out->type == MODEL_F32 ? 4 : 1};
	memcpy(p->inner, j->inner, j->n_inner * sizeof(p->inner[0]));
	if (device_join_elements(p) != v->out->elements)
		return model_fail(v->check, "the blocks are not those of the output");
	for (uint32_t i = 0; i < p->inputs; i++)
		if (v->in[i]->type != v->out->type || v->in[i]->elements != p->outer * p->inner[i])
			return model_fail(v->check, "input %u does not fit its blocks", i);
	return 0;
}

/* ---- all of them ---- */

static const struct kind {
	Facet__Model__Op__ParamsCase params;
	uint32_t inputs_min, inputs_max;
	int (*convert)(struct op_view *v);
} kinds[] = {
	[FACET__MODEL__KIND__CONV2D] = {FACET__MODEL__OP__PARAMS_CONV, 1, 2, conv2d},
	[FACET__MODEL__KIND__GEMM] = {FACET__MODEL__OP__PARAMS_GEMM, 1, 2, gemm},
	[FACET__MODEL__KIND__POOL2D] = {FACET__MODEL__OP__PARAMS_POOL, 1, 1, pool2d},
	[FACET__MODEL__KIND__ADD] = {FACET__MODEL__OP__PARAMS_ADD, 2, 2, add},
	[FACET__MODEL__KIND__TABLE] = {FACET__MODEL__OP__PARAMS_TABLE, 1, 1, table},
	[FACET__MODEL__KIND__CONCAT] = {FACET__MODEL__OP__PARAMS_CONCAT, 1, OP_CONCAT_MAX, concat},
	[FACET__MODEL__KIND__DEQUANTIZE] = {FACET__MODEL__OP__PARAMS_DEQUANTIZE, 1, 1, dequantize},
	[FACET__MODEL__KIND__FLOAT] = {FACET__MODEL__OP__PARAMS_FLOAT_OP, 1, 2, float_op},
	[FACET__MODEL__KIND__COPY] = {FACET__MODEL__OP__PARAMS__NOT_SET, 1, 1, copy},
	[FACET__MODEL__KIND__STRIDED] = {FACET__MODEL__OP__PARAMS_STRIDED, 1, 1, strided},
	[FACET__MODEL__KIND__JOIN] = {FACET__MODEL__OP__PARAMS_JOIN, 1, DEVICE_INPUTS_MAX, join},
};

static void set_span(const struct model_tensor_place *tensor, struct device_span *span)
{
	*span = (struct device_span){NULL, tensor->offset, tensor->bytes};
}

int model_check_op(struct model_check *check, const Facet__Model__Op *op, struct model_step *step)
{
	struct op_view v = {.check = check, .op = op, .step = step};
	const struct model_tensor_place *tensors = check->model->tensors;
	const struct kind *kind = kinds;

	if ((unsigned int)op->kind >= sizeof(kinds) / sizeof(kinds[0]))
		return model_fail(check, "op kind %d is unknown, made for a newer version?",
				  (int)op->kind);
	kind += op->kind;
	if (op->params_case != kind->params)
		return model_fail(check, "its parameters are those of another kind");
	if (op->n_inputs < kind->inputs_min || op->n_inputs > kind->inputs_max)
		return model_fail(check, "%zu inputs: there may be %u to %u", op->n_inputs,
				  kind->inputs_min, kind->inputs_max);
	for (uint32_t i = 0; i < op->n_inputs; i++) {
		v.in[i] = &tensors[op->inputs[i]];
		set_span(v.in[i], &step->command.in[i]);
		step->input[i] = op->inputs[i];
		*(v.in[i]->is_const ? &step->in_constants : &step->in_arena) |= 1u << i;
	}
	v.out = &tensors[op->output];
	if (v.out->is_const)
		return model_fail(check, "writes a constant");
	set_span(v.out, &step->command.out);
	step->output = op->output;
	check->work += v.out->elements * ELEMENT_WORK;
	return kind->convert(&v);
}
