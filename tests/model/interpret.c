/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/interpret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/ref/ref.h"

struct machine {
	const struct fct *fct;
	void **values;
};

static uint64_t elements(const Facet__Model__Tensor *t)
{
	uint64_t n = 1;

	for (size_t i = 0; i < t->n_shape; i++)
		n *= t->shape[i];
	return n;
}

static uint32_t last(const Facet__Model__Tensor *t)
{
	return t->shape[t->n_shape - 1];
}

static const void *data(const struct machine *m, const Facet__Model__Span *span)
{
	return m->fct->weights + span->offset;
}

static struct op_requant requant(const struct machine *m, const Facet__Model__Requant *q)
{
	return (struct op_requant){.s_pos = data(m, q->s_pos),
				   .s_neg = data(m, q->s_neg),
				   .s_r = q->s_r,
				   .z_r = q->z_r,
				   .z = q->z,
				   .lo = q->lo,
				   .hi = q->hi};
}

static int conv(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Conv *c = op->conv;
	const uint32_t *x = m->fct->tensor[op->inputs[0]].shape;
	struct op_conv2d p = {.n = 1, .h = x[0], .w = x[1], .c = x[2]};

	p.oc = m->fct->tensor[op->output].shape[2];
	p.kh = c->kh;
	p.kw = c->kw;
	p.groups = c->groups;
	p.stride_h = c->stride_h;
	p.stride_w = c->stride_w;
	p.dilation_h = c->dilation_h;
	p.dilation_w = c->dilation_w;
	p.pad_top = c->pad_top;
	p.pad_left = c->pad_left;
	p.pad_bottom = c->pad_bottom;
	p.pad_right = c->pad_right;
	p.z_x = c->z_x;
	p.out = (enum op_out)c->q->out;
	p.q = requant(m, c->q);
	return ref_conv2d(&p, in[0], data(m, c->weights), data(m, c->bias), in[1], out);
}

static int gemm(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Gemm *g = op->gemm;
	struct op_gemm p = {.n = last(&m->fct->tensor[op->output]), .k = g->k};

	p.m = (uint32_t)(elements(&m->fct->tensor[op->inputs[0]]) / g->k);
	p.out = (enum op_out)g->q->out;
	p.q = requant(m, g->q);
	return ref_gemm(&p, in[0], data(m, g->weights), data(m, g->bias), in[1], out);
}

static int pool(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Pool *c = op->pool;
	const uint32_t *x = m->fct->tensor[op->inputs[0]].shape;
	struct op_pool2d p = {.n = 1, .h = x[0], .w = x[1], .c = x[2]};

	p.kh = c->kh;
	p.kw = c->kw;
	p.stride_h = c->stride_h;
	p.stride_w = c->stride_w;
	p.pad_top = c->pad_top;
	p.pad_left = c->pad_left;
	p.pad_bottom = c->pad_bottom;
	p.pad_right = c->pad_right;
	p.kind = (enum op_pool_kind)c->kind;
	p.divisor = c->divisor;
	p.scale = c->scale;
	p.z_x = c->z_x;
	p.z = c->z;
	p.lo = c->lo;
	p.hi = c->hi;
	return ref_pool2d(&p, in[0], out);
}

static int add(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Add *a = op->add;
	struct op_add p = {.count = elements(&m->fct->tensor[op->output]),
			   .s_a = a->s_a,
			   .s_b = a->s_b,
			   .z_a = a->z_a,
			   .z_b = a->z_b,
			   .z = a->z,
			   .lo = a->lo,
			   .hi = a->hi};

	return ref_add(&p, in[0], in[1], out);
}

static int table(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Table *t = op->table;
	const Facet__Model__Tensor *y = &m->fct->tensor[op->output];
	const int8_t *values = data(m, t->table);

	for (uint64_t i = 0; i < elements(y); i++) {
		uint64_t row = t->per_channel ? i % last(y) : 0;
		int at = t->from_u8 ? ((uint8_t *)in[0])[i] : ((int8_t *)in[0])[i] + 128;

		((int8_t *)out)[i] = values[row * 256 + (uint64_t)at];
	}
	return 0;
}

static int concat(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Tensor *y = &m->fct->tensor[op->output];
	struct op_concat p = {.pixels = elements(y) / last(y), .inputs = (uint32_t)op->n_inputs};
	const int8_t *tables[OP_CONCAT_MAX] = {0};

	for (uint32_t i = 0; i < p.inputs; i++) {
		p.c[i] = last(&m->fct->tensor[op->inputs[i]]);
		if (op->concat->n_tables && op->concat->tables[i]->length)
			tables[i] = data(m, op->concat->tables[i]);
	}
	return ref_concat(&p, (const int8_t *const *)in, tables, out);
}

static int dequantize(const struct machine *m, const Facet__Model__Op *op, void *const *in,
		      void *out)
{
	struct op_dequantize p = {elements(&m->fct->tensor[op->output]), op->dequantize->scale,
				  op->dequantize->z};

	return ref_dequantize(&p, in[0], out);
}

static int float_op(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Tensor *y = &m->fct->tensor[op->output];
	struct op_float p = {.kind = (enum op_float_kind)op->float_op->kind,
			     .rows = elements(y) / last(y),
			     .cols = last(y)};

	p.b = op->float_op->b;
	return ref_float(&p, in[0], in[1], out);
}

static size_t size_of(const Facet__Model__Tensor *t)
{
	return t->type == FACET__MODEL__TYPE__F32 ? 4 : 1;
}

static int copy(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Tensor *y = &m->fct->tensor[op->output];

	memcpy(out, in[0], elements(y) * size_of(y));
	return 0;
}

static int strided(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	const Facet__Model__Tensor *y = &m->fct->tensor[op->output];
	const Facet__Model__Strided *s = op->strided;

	for (uint64_t i = 0; i < elements(y); i++) {
		int64_t at = (int64_t)s->offset;
		uint64_t rest = i;

		for (size_t d = s->n_extent; d-- > 0; rest /= s->extent[d])
			at += (int64_t)(rest % s->extent[d]) * s->stride[d];
		memcpy((char *)out + i * size_of(y), (char *)in[0] + at * (int64_t)size_of(y),
		       size_of(y));
	}
	return 0;
}

static int join(const struct machine *m, const Facet__Model__Op *op, void *const *in, void *out)
{
	size_t size = size_of(&m->fct->tensor[op->output]);
	char *to = out;

	for (uint64_t o = 0; o < op->join->outer; o++)
		for (size_t i = 0; i < op->n_inputs; i++) {
			size_t block = op->join->inner[i] * size;

			memcpy(to, (char *)in[i] + o * block, block);
			to += block;
		}
	return 0;
}

void interpret(const struct fct *fct, void **values)
{
	static int (*const run[])(const struct machine *, const Facet__Model__Op *, void *const *,
				  void *) = {conv,	 gemm,	   pool, add,	  table, concat,
					     dequantize, float_op, copy, strided, join};
	struct machine m = {fct, values};

	for (size_t i = 0; i < fct->graph.n_ops; i++) {
		const Facet__Model__Op *op = &fct->op[i];
		const Facet__Model__Tensor *y = &fct->tensor[op->output];
		void *in[20] = {0};
		int err;

		for (size_t k = 0; k < op->n_inputs; k++) {
			const Facet__Model__Tensor *x = &fct->tensor[op->inputs[k]];

			in[k] = x->is_const ? (void *)(fct->weights + x->const_offset)
					    : values[op->inputs[k]];
		}
		values[op->output] = calloc(elements(y), size_of(y));
		err = run[op->kind](&m, op, in, values[op->output]);
		assert(!err);
	}
}
