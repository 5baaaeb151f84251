/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program by the CPU's kernels, which compute the bits of kernels/ref/, in the arena as it
 * was laid out.
 */
#include "host/compile/program.h"
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"

#include <errno.h>
#include <string.h>

struct evaluate {
	const struct program *p;
	const struct cpu_kernels *cpu;
	uint8_t *arena, *scratch;
	void **packed; /* [ops] weights, or a table turned to the kernels' order */
};

struct call {
	const struct evaluate *e;
	const Facet__Model__Op *op;
	const void *packed;
	const void *in[OP_CONCAT_MAX];
	const Facet__Model__Tensor *x, *y; /* first input, output */
	uint64_t count;			   /* elements of the output */
	void *out;
};

static const void *span(const struct evaluate *e, const Facet__Model__Span *s)
{
	return e->p->weights + s->offset;
}

static void set_requant(const struct evaluate *e, const Facet__Model__Requant *from,
			struct op_requant *to, enum op_out *out)
{
	*out = (enum op_out)from->out;
	*to = (struct op_requant){.s_pos = span(e, from->s_pos),
				  .s_neg = span(e, from->s_neg),
				  .s_r = from->s_r,
				  .z_r = from->z_r,
				  .z = from->z,
				  .lo = from->lo,
				  .hi = from->hi};
}

static void set_conv(const struct evaluate *e, const Facet__Model__Op *op, struct op_conv2d *to)
{
	const Facet__Model__Tensor *x = e->p->graph.tensors[op->inputs[0]];
	const Facet__Model__Tensor *y = e->p->graph.tensors[op->output];
	const Facet__Model__Conv *c = op->conv;

	*to = (struct op_conv2d){.n = 1,
				 .h = x->shape[0],
				 .w = x->shape[1],
				 .c = x->shape[2],
				 .oc = y->shape[2],
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
	set_requant(e, c->q, &to->q, &to->out);
}

static void set_gemm(const struct evaluate *e, const Facet__Model__Op *op, struct op_gemm *to)
{
	const Facet__Model__Tensor *y = e->p->graph.tensors[op->output];

	*to = (struct op_gemm){.n = y->shape[y->n_shape - 1], .k = op->gemm->k};
	to->m = (uint32_t)(program_tensor_count(e->p, op->output) / to->n);
	set_requant(e, op->gemm->q, &to->q, &to->out);
}

static int run_conv(const struct call *c)
{
	struct op_conv2d p;

	set_conv(c->e, c->op, &p);
	return c->e->cpu->conv2d(&p, c->packed, c->in[0], c->in[1], c->out, 0, op_conv2d_oh(&p),
				 c->e->scratch);
}

static int run_gemm(const struct call *c)
{
	struct op_gemm p;

	set_gemm(c->e, c->op, &p);
	return c->e->cpu->gemm(&p, c->packed, c->in[0], c->in[1], c->out, 0, p.m, c->e->scratch);
}

static int run_pool(const struct call *c)
{
	const Facet__Model__Pool *f = c->op->pool;
	struct op_pool2d p = {.n = 1,
			      .h = c->x->shape[0],
			      .w = c->x->shape[1],
			      .c = c->x->shape[2],
			      .kh = f->kh,
			      .kw = f->kw,
			      .stride_h = f->stride_h,
			      .stride_w = f->stride_w,
			      .pad_top = f->pad_top,
			      .pad_left = f->pad_left,
			      .pad_bottom = f->pad_bottom,
			      .pad_right = f->pad_right,
			      .kind = (enum op_pool_kind)f->kind,
			      .divisor = f->divisor,
			      .scale = f->scale,
			      .z_x = f->z_x,
			      .z = f->z,
			      .lo = f->lo,
			      .hi = f->hi};

	return c->e->cpu->pool2d(&p, c->in[0], c->out, 0, op_pool2d_oh(&p));
}

static int run_add(const struct call *c)
{
	const Facet__Model__Add *f = c->op->add;
	struct op_add p = {c->count, f->s_a, f->s_b, f->z_a, f->z_b, f->z, f->lo, f->hi};

	return c->e->cpu->add(&p, c->in[0], c->in[1], c->out);
}

static int run_table(const struct call *c)
{
	uint32_t channels = c->op->table->per_channel ? c->y->shape[c->y->n_shape - 1] : 1;
	struct op_table p = {c->count / channels, channels, c->op->table->per_channel};

	return c->e->cpu->table(&p, c->packed, c->in[0], c->out);
}

static int run_concat(const struct call *c)
{
	const Facet__Model__Concat *f = c->op->concat;
	struct op_concat p = {.inputs = (uint32_t)c->op->n_inputs};
	const int8_t *tables[OP_CONCAT_MAX], *in[OP_CONCAT_MAX];

	p.pixels = c->count / c->y->shape[c->y->n_shape - 1];
	for (uint32_t k = 0; k < p.inputs; k++) {
		const Facet__Model__Tensor *t = c->e->p->graph.tensors[c->op->inputs[k]];

		p.c[k] = t->shape[t->n_shape - 1];
		in[k] = c->in[k];
		tables[k] = f->tables[k]->length ? span(c->e, f->tables[k]) : NULL;
	}
	return c->e->cpu->concat(&p, in, tables, c->out);
}

static int run_dequantize(const struct call *c)
{
	struct op_dequantize p = {c->count, c->op->dequantize->scale, c->op->dequantize->z};

	return c->e->cpu->dequantize(&p, c->in[0], c->out);
}

static int run_float(const struct call *c)
{
	uint32_t cols = c->y->shape[c->y->n_shape - 1];
	struct op_float p = {.kind = (enum op_float_kind)c->op->float_op->kind,
			     .rows = c->count / cols,
			     .cols = cols};

	p.b = c->op->float_op->b;
	return ref_float(&p, c->in[0], c->in[1], c->out);
}

static size_t element_size(const struct call *c)
{
	return c->y->type == FACET__MODEL__TYPE__F32 ? sizeof(float) : 1;
}

static int run_copy(const struct call *c)
{
	memcpy(c->out, c->in[0], c->count * element_size(c));
	return 0;
}

static int run_strided(const struct call *c)
{
	const Facet__Model__Strided *s = c->op->strided;
	struct graph_view view = {.rank = (uint32_t)s->n_extent, .offset = (int64_t)s->offset};

	for (uint32_t i = 0; i < view.rank; i++) {
		view.dim[i] = s->extent[i];
		view.stride[i] = s->stride[i];
	}
	graph_view_copy(&view, element_size(c), c->in[0], c->out);
	return 0;
}

static int run_join(const struct call *c)
{
	const Facet__Model__Join *j = c->op->join;
	char *to = c->out;

	for (uint64_t o = 0; o < j->outer; o++)
		for (size_t k = 0; k < j->n_inner; k++) {
			size_t bytes = j->inner[k] * element_size(c);

			memcpy(to, (const char *)c->in[k] + o * bytes, bytes);
			to += bytes;
		}
	return 0;
}

static int (*const runs[])(const struct call *c) = {
	[FACET__MODEL__KIND__CONV2D] = run_conv,
	[FACET__MODEL__KIND__GEMM] = run_gemm,
	[FACET__MODEL__KIND__POOL2D] = run_pool,
	[FACET__MODEL__KIND__ADD] = run_add,
	[FACET__MODEL__KIND__TABLE] = run_table,
	[FACET__MODEL__KIND__CONCAT] = run_concat,
	[FACET__MODEL__KIND__DEQUANTIZE] = run_dequantize,
	[FACET__MODEL__KIND__FLOAT] = run_float,
	[FACET__MODEL__KIND__COPY] = run_copy,
	[FACET__MODEL__KIND__STRIDED] = run_strided,
	[FACET__MODEL__KIND__JOIN] = run_join,
};

/* ---- before the first run ----------------------------------------------------------------------------- */

static int pack_conv(struct evaluate *e, uint32_t i, size_t *scratch)
{
	const Facet__Model__Op *op = e->p->graph.ops[i];
	struct op_conv2d p;

	set_conv(e, op, &p);
	if (op_conv2d_check(&p))
		return -EINVAL;
	*scratch = e->cpu->conv2d_scratch_bytes(&p);
	e->packed[i] = pool_alloc(e->p->pool, e->cpu->conv2d_packed_bytes(&p), 1);
	return e->packed[i] ? e->cpu->conv2d_pack(&p, span(e, op->conv->weights),
						  span(e, op->conv->bias), e->packed[i])
			    : -ENOMEM;
}

static int pack_gemm(struct evaluate *e, uint32_t i, size_t *scratch)
{
	const Facet__Model__Op *op = e->p->graph.ops[i];
	struct op_gemm p;

	set_gemm(e, op, &p);
	if (op_gemm_check(&p))
		return -EINVAL;
	*scratch = e->cpu->gemm_scratch_bytes(&p);
	e->packed[i] = pool_alloc(e->p->pool, e->cpu->gemm_packed_bytes(&p), 1);
	return e->packed[i] ? e->cpu->gemm_pack(&p, span(e, op->gemm->weights),
						span(e, op->gemm->bias), e->packed[i])
			    : -ENOMEM;
}

/* Tables for pixels are indexed by the byte; the kernels take it as int8 and add 128. */
static int pack_table(struct evaluate *e, uint32_t i)
{
	const Facet__Model__Table *t = e->p->graph.ops[i]->table;
	const uint8_t *from = span(e, t->table);
	uint8_t *to = pool_alloc(e->p->pool, t->table->length, 1);

	if (!to)
		return -ENOMEM;
	for (uint64_t k = 0; k < t->table->length; k++)
		to[t->from_u8 ? k ^ 128 : k] = from[k];
	e->packed[i] = to;
	return 0;
}

static int pack_op(struct evaluate *e, uint32_t i, size_t *scratch)
{
	switch (e->p->graph.ops[i]->kind) {
	case FACET__MODEL__KIND__CONV2D:
		return pack_conv(e, i, scratch);
	case FACET__MODEL__KIND__GEMM:
		return pack_gemm(e, i, scratch);
	case FACET__MODEL__KIND__TABLE:
		return pack_table(e, i);
	default:
		return 0;
	}
}

int evaluate_create(const struct program *p, struct evaluate **evaluate)
{
	struct evaluate *e = pool_alloc(p->pool, 1, sizeof(*e));
	size_t most = 64;

	if (!e)
		return pool_exhausted(p->pool);
	*evaluate = e;
	e->p = p;
	e->cpu = cpu_kernels_get(NULL);
	if (!e->cpu)
		return pool_error(p->pool, -EINVAL,
				  "FACET_CPU_ISA names instructions that this processor lacks");
	e->arena = pool_alloc(p->pool, p->graph.arena_bytes, 1);
	e->packed = pool_alloc(p->pool, p->graph.n_ops, sizeof(*e->packed));
	if (!e->arena || !e->packed)
		return pool_exhausted(p->pool);
	for (uint32_t i = 0; i < p->graph.n_ops; i++) {
		size_t scratch = 0;
		int err = pack_op(e, i, &scratch);

		if (err)
			return pool_error(p->pool, err, "the node '%s' has no legal int8 form",
					  p->graph.ops[i]->name);
		most = scratch > most ? scratch : most;
	}
	e->scratch = pool_alloc(p->pool, most, 1);
	return e->scratch ? 0 : pool_exhausted(p->pool);
}

const void *evaluate_tensor(const struct evaluate *e, uint32_t tensor)
{
	const Facet__Model__Tensor *t = e->p->graph.tensors[tensor];

	return t->is_const ? e->p->weights + t->const_offset : e->arena + t->arena_offset;
}

int evaluate_run(struct evaluate *e, const uint8_t *pixels, evaluate_seen_fn *seen, void *context)
{
	const Facet__Model__Graph *g = &e->p->graph;
	uint32_t image = g->inputs[0];

	cpu_float_mode();
	memcpy(e->arena + g->tensors[image]->arena_offset, pixels,
	       program_tensor_bytes(e->p, image));
	for (uint32_t i = 0; i < g->n_ops; i++) {
		struct call c = {.e = e,
				 .op = g->ops[i],
				 .packed = e->packed[i],
				 .x = g->tensors[g->ops[i]->inputs[0]],
				 .y = g->tensors[g->ops[i]->output]};
		int err;

		c.count = program_tensor_count(e->p, c.op->output);
		c.out = e->arena + c.y->arena_offset;
		for (size_t k = 0; k < c.op->n_inputs; k++)
			c.in[k] = evaluate_tensor(e, c.op->inputs[k]);
		err = runs[c.op->kind](&c);
		if (err)
			return pool_error(e->p->pool, err, "the node '%s' has no legal int8 form",
					  c.op->name);
		if (seen)
			seen(context, i, c.out);
	}
	return 0;
}
