/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/fct.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

uint32_t fct_random(struct fct *fct)
{
	uint64_t z = fct->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 16);
}

/* In [low, high). */
static float random_float(struct fct *fct, float low, float high)
{
	return low + (high - low) * ((float)(fct_random(fct) % 65536) / 65536.0f);
}

struct fct *fct_new(uint64_t seed)
{
	struct fct *fct = calloc(1, sizeof(*fct));

	facet__model__graph__init(&fct->graph);
	fct->seed = seed;
	fct->graph.name = "small";
	fct->graph.producer = "test";
	fct->graph.tensors = fct->tensors;
	fct->graph.ops = fct->ops;
	fct->graph.inputs = fct->inputs;
	fct->graph.outputs = fct->outputs;
	fct->graph.cosine_to_float = 1;
	for (uint32_t i = 0; i < FCT_TENSORS; i++)
		fct->tensors[i] = &fct->tensor[i];
	for (uint32_t i = 0; i < FCT_OPS; i++)
		fct->ops[i] = &fct->op[i];
	return fct;
}

/* ---- tensors ---- */

static uint32_t new_tensor(struct fct *fct, Facet__Model__Type type)
{
	uint32_t i = (uint32_t)fct->graph.n_tensors++;
	Facet__Model__Tensor *t = &fct->tensor[i];

	assert(i < FCT_TENSORS);
	facet__model__tensor__init(t);
	t->name = "t";
	t->type = type;
	t->scale = 0.05f;
	t->shape = fct->shape[i];
	return i;
}

uint32_t fct_tensor(struct fct *fct, Facet__Model__Type type, uint32_t rank, uint32_t a, uint32_t b,
		    uint32_t c)
{
	uint32_t i = new_tensor(fct, type);
	Facet__Model__Tensor *t = &fct->tensor[i];
	uint64_t bytes = type == FACET__MODEL__TYPE__F32 ? 4 : 1;

	t->n_shape = rank;
	memcpy(t->shape, (uint32_t[]){a, b, c}, sizeof(uint32_t[3]));
	for (uint32_t d = 0; d < rank; d++)
		bytes *= t->shape[d];
	t->arena_offset = fct->graph.arena_bytes;
	fct->graph.arena_bytes += (bytes + 63) / 64 * 64;
	return i;
}

static void *weights_room(struct fct *fct, uint64_t bytes)
{
	uint8_t *at;

	fct->weights_bytes = (fct->weights_bytes + 3) & ~(uint64_t)3;
	at = fct->weights + fct->weights_bytes;
	fct->weights_bytes += bytes;
	assert(fct->weights_bytes <= FCT_WEIGHTS);
	return at;
}

uint32_t fct_const_f32(struct fct *fct, uint32_t count)
{
	uint32_t i = new_tensor(fct, FACET__MODEL__TYPE__F32);
	float *values = weights_room(fct, (uint64_t)count * 4);

	for (uint32_t k = 0; k < count; k++)
		values[k] = random_float(fct, 0.5f, 2.0f);
	fct->tensor[i].is_const = true;
	fct->tensor[i].const_offset = (uint64_t)((uint8_t *)values - fct->weights);
	fct->tensor[i].n_shape = 1;
	fct->tensor[i].shape[0] = count;
	return i;
}

static Facet__Model__Span *span_of(struct fct *fct, const void *at, uint64_t bytes)
{
	Facet__Model__Span *span = &fct->span[fct->spans++];

	assert(fct->spans <= sizeof(fct->span) / sizeof(fct->span[0]));
	facet__model__span__init(span);
	span->offset = (uint64_t)((const uint8_t *)at - fct->weights);
	span->length = bytes;
	return span;
}

Facet__Model__Span *fct_bytes(struct fct *fct, const void *data, uint64_t bytes)
{
	uint8_t *at = weights_room(fct, bytes);

	memcpy(at, data, bytes);
	return span_of(fct, at, bytes);
}

static Facet__Model__Span *random_bytes(struct fct *fct, uint64_t bytes)
{
	uint8_t *at = weights_room(fct, bytes);

	for (uint64_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)fct_random(fct);
	return span_of(fct, at, bytes);
}

static Facet__Model__Span *random_floats(struct fct *fct, uint32_t n, float low, float high)
{
	float *at = weights_room(fct, (uint64_t)n * 4);

	for (uint32_t i = 0; i < n; i++)
		at[i] = random_float(fct, low, high);
	return span_of(fct, at, (uint64_t)n * 4);
}

static Facet__Model__Span *random_biases(struct fct *fct, uint32_t n)
{
	int32_t *at = weights_room(fct, (uint64_t)n * 4);

	for (uint32_t i = 0; i < n; i++)
		at[i] = (int32_t)(fct_random(fct) % 20001) - 10000;
	return span_of(fct, at, (uint64_t)n * 4);
}

/* ---- ops ---- */

static uint32_t new_op(struct fct *fct, Facet__Model__Kind kind,
		       Facet__Model__Op__ParamsCase params_case, const uint32_t *in, uint32_t n,
		       uint32_t out)
{
	uint32_t i = (uint32_t)fct->graph.n_ops++;
	Facet__Model__Op *op = &fct->op[i];

	assert(i < FCT_OPS);
	facet__model__op__init(op);
	op->kind = kind;
	op->name = "n";
	op->params_case = params_case;
	op->conv = &fct->params[i].conv;
	op->inputs = fct->op_inputs[i];
	op->output = out;
	while (op->n_inputs < n && in[op->n_inputs] != UINT32_MAX) {
		op->inputs[op->n_inputs] = in[op->n_inputs];
		op->n_inputs++;
	}
	return i;
}

static Facet__Model__Requant *requant(struct fct *fct, uint32_t op, uint32_t channels, uint32_t k)
{
	Facet__Model__Requant *q = &fct->requant[op];
	float s = 0.02f / (float)k;

	facet__model__requant__init(q);
	q->s_pos = random_floats(fct, channels, s / 2, s);
	q->s_neg = random_floats(fct, channels, -s / 4, s);
	q->s_r = 0.7f;
	q->z_r = 3;
	q->z = -5;
	q->lo = -120;
	q->hi = 127;
	q->out = fct->tensor[fct->op[op].output].type == FACET__MODEL__TYPE__F32;
	return q;
}

uint32_t fct_conv(struct fct *fct, uint32_t in, uint32_t residual, uint32_t out, uint32_t k,
		  uint32_t stride, uint32_t pad, uint32_t groups)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__CONV2D, FACET__MODEL__OP__PARAMS_CONV,
			    (uint32_t[]){in, residual}, 2, out);
	uint32_t channels = fct->shape[in][2] / groups, oc = fct->shape[out][2];
	Facet__Model__Conv *c = &fct->params[i].conv;

	facet__model__conv__init(c);
	c->kh = c->kw = k;
	c->groups = groups;
	c->stride_h = c->stride_w = stride;
	c->dilation_h = c->dilation_w = 1;
	c->pad_top = c->pad_left = c->pad_bottom = c->pad_right = pad;
	c->z_x = 7;
	c->weights = random_bytes(fct, (uint64_t)oc * k * k * channels);
	c->bias = random_biases(fct, oc);
	c->q = requant(fct, i, oc, k * k * channels);
	return i;
}

uint32_t fct_gemm(struct fct *fct, uint32_t in, uint32_t residual, uint32_t out, uint32_t k)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__GEMM, FACET__MODEL__OP__PARAMS_GEMM,
			    (uint32_t[]){in, residual}, 2, out);
	uint32_t n = fct->shape[out][fct->tensor[out].n_shape - 1];
	Facet__Model__Gemm *g = &fct->params[i].gemm;

	facet__model__gemm__init(g);
	g->k = k;
	g->weights = random_bytes(fct, (uint64_t)n * k);
	g->bias = random_biases(fct, n);
	g->q = requant(fct, i, n, k);
	return i;
}

uint32_t fct_pool(struct fct *fct, uint32_t in, uint32_t out, uint32_t kind, uint32_t k,
		  uint32_t stride)
{
	uint32_t i =
		new_op(fct, FACET__MODEL__KIND__POOL2D, FACET__MODEL__OP__PARAMS_POOL, &in, 1, out);
	Facet__Model__Pool *p = &fct->params[i].pool;

	facet__model__pool__init(p);
	p->kind = kind;
	p->kh = p->kw = k;
	p->stride_h = p->stride_w = stride;
	p->scale = 0.9f;
	p->z_x = -4;
	p->z = 6;
	p->lo = -128;
	p->hi = 127;
	return i;
}

uint32_t fct_add(struct fct *fct, uint32_t a, uint32_t b, uint32_t out)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__ADD, FACET__MODEL__OP__PARAMS_ADD,
			    (uint32_t[]){a, b}, 2, out);
	Facet__Model__Add *p = &fct->params[i].add;

	facet__model__add__init(p);
	p->s_a = 0.6f;
	p->s_b = -0.45f;
	p->z_a = 2;
	p->z_b = -9;
	p->z = 1;
	p->lo = -128;
	p->hi = 110;
	return i;
}

uint32_t fct_table(struct fct *fct, uint32_t in, uint32_t out, bool per_channel, bool from_u8)
{
	uint32_t i =
		new_op(fct, FACET__MODEL__KIND__TABLE, FACET__MODEL__OP__PARAMS_TABLE, &in, 1, out);
	uint32_t c = per_channel ? fct->shape[out][fct->tensor[out].n_shape - 1] : 1;
	Facet__Model__Table *t = &fct->params[i].table;

	facet__model__table__init(t);
	t->table = random_bytes(fct, (uint64_t)c * 256);
	t->per_channel = per_channel;
	t->from_u8 = from_u8;
	return i;
}

uint32_t fct_concat(struct fct *fct, const uint32_t *in, uint32_t n, uint32_t out, bool tables)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__CONCAT, FACET__MODEL__OP__PARAMS_CONCAT, in, n,
			    out);
	Facet__Model__Concat *c = &fct->params[i].concat;

	facet__model__concat__init(c);
	c->tables = fct->span_list[i];
	for (uint32_t k = 0; tables && k < n; k++)
		c->tables[c->n_tables++] =
			k % 2 ? random_bytes(fct, 256) : span_of(fct, fct->weights, 0);
	return i;
}

uint32_t fct_dequantize(struct fct *fct, uint32_t in, uint32_t out)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__DEQUANTIZE,
			    FACET__MODEL__OP__PARAMS_DEQUANTIZE, &in, 1, out);

	facet__model__dequantize__init(&fct->params[i].dequantize);
	fct->params[i].dequantize.scale = 0.031f;
	fct->params[i].dequantize.z = 12;
	return i;
}

uint32_t fct_float(struct fct *fct, uint32_t a, uint32_t b, uint32_t out, uint32_t kind,
		   uint32_t b_kind)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__FLOAT, FACET__MODEL__OP__PARAMS_FLOAT_OP,
			    (uint32_t[]){a, b}, 2, out);

	facet__model__float__init(&fct->params[i].float_op);
	fct->params[i].float_op.kind = kind;
	fct->params[i].float_op.b = b_kind;
	return i;
}

uint32_t fct_copy(struct fct *fct, uint32_t in, uint32_t out)
{
	return new_op(fct, FACET__MODEL__KIND__COPY, FACET__MODEL__OP__PARAMS__NOT_SET, &in, 1,
		      out);
}

uint32_t fct_strided(struct fct *fct, uint32_t in, uint32_t out, uint32_t rank,
		     const uint32_t *extent, const int64_t *stride, uint64_t offset)
{
	uint32_t i = new_op(fct, FACET__MODEL__KIND__STRIDED, FACET__MODEL__OP__PARAMS_STRIDED, &in,
			    1, out);
	Facet__Model__Strided *s = &fct->params[i].strided;

	facet__model__strided__init(s);
	s->n_extent = s->n_stride = rank;
	s->extent = fct->extent[i];
	s->stride = fct->stride[i];
	memcpy(s->extent, extent, rank * sizeof(*extent));
	memcpy(s->stride, stride, rank * sizeof(*stride));
	s->offset = offset;
	return i;
}

uint32_t fct_join(struct fct *fct, const uint32_t *in, uint32_t n, uint32_t out, uint64_t outer,
		  const uint64_t *inner)
{
	uint32_t i =
		new_op(fct, FACET__MODEL__KIND__JOIN, FACET__MODEL__OP__PARAMS_JOIN, in, n, out);
	Facet__Model__Join *j = &fct->params[i].join;

	facet__model__join__init(j);
	j->outer = outer;
	j->n_inner = n;
	j->inner = fct->inner[i];
	memcpy(j->inner, inner, n * sizeof(*inner));
	return i;
}

void fct_input(struct fct *fct, uint32_t tensor)
{
	fct->inputs[fct->graph.n_inputs++] = tensor;
}

void fct_output(struct fct *fct, uint32_t tensor)
{
	fct->outputs[fct->graph.n_outputs++] = tensor;
}

/* ---- the file ---- */

static uint64_t get64(const uint8_t *at)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | at[i];
	return v;
}

static void put64(uint8_t *at, uint64_t v)
{
	for (int i = 0; i < 8; i++, v >>= 8)
		at[i] = (uint8_t)v;
}

bool fct_rehash(uint8_t *file, size_t bytes)
{
	uint64_t graph = bytes < 128 ? 0 : get64(file + 16), at, length;
	crypto_generichash_state state;

	if (bytes < 128)
		return false;
	at = get64(file + 24);
	length = get64(file + 32);
	if (graph > bytes - 128 || at > bytes || length > bytes - at)
		return false;
	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, file + 128, graph);
	crypto_generichash_update(&state, file + at, length);
	crypto_generichash_final(&state, file + 64, 32);
	return true;
}

uint8_t *fct_write(const struct fct *fct, size_t *bytes)
{
	size_t graph = facet__model__graph__get_packed_size(&fct->graph);
	size_t at = (128 + graph + 63) / 64 * 64;
	uint8_t *file;

	*bytes = at + fct->weights_bytes;
	file = calloc(1, *bytes);
	memcpy(file, "FACETFCT\1", 9);
	put64(file + 16, graph);
	put64(file + 24, at);
	put64(file + 32, fct->weights_bytes);
	facet__model__graph__pack(&fct->graph, file + 128);
	memcpy(file + at, fct->weights, fct->weights_bytes);
	fct_rehash(file, *bytes);
	return file;
}

/* ---- places that are used again ---- */

struct life {
	uint32_t begin, end; /* ops, from the writing one to the last that reads it */
};

static void life_use(struct life *life, uint32_t op)
{
	life->begin = life->begin < op ? life->begin : op;
	life->end = life->end > op ? life->end : op;
}

static uint64_t place_bytes(const Facet__Model__Tensor *t)
{
	uint64_t bytes = t->type == FACET__MODEL__TYPE__F32 ? 4 : 1;

	for (size_t i = 0; i < t->n_shape; i++)
		bytes *= t->shape[i];
	return (bytes + 63) / 64 * 64;
}

/* The lowest place that is free while tensor i lives; tensors before it have theirs. */
static uint64_t place_find(const struct fct *fct, const struct life *life, uint32_t i)
{
	uint64_t at = 0, bytes = place_bytes(&fct->tensor[i]);

	for (uint32_t k = 0; k < i; k++) {
		const Facet__Model__Tensor *t = &fct->tensor[k];

		if (t->is_const || life[k].end < life[i].begin || life[i].end < life[k].begin ||
		    t->arena_offset >= at + bytes || t->arena_offset + place_bytes(t) <= at)
			continue;
		at = t->arena_offset + place_bytes(t);
		k = UINT32_MAX; /* from the beginning */
	}
	return at;
}

void fct_reuse(struct fct *fct)
{
	struct life life[FCT_TENSORS];
	const Facet__Model__Graph *graph = &fct->graph;

	for (uint32_t i = 0; i < FCT_TENSORS; i++)
		life[i] = (struct life){UINT32_MAX, 0};
	for (uint32_t i = 0; i < graph->n_ops; i++) {
		for (size_t k = 0; k < fct->op[i].n_inputs; k++)
			life_use(&life[fct->op[i].inputs[k]], i);
		life_use(&life[fct->op[i].output], i);
	}
	for (size_t i = 0; i < graph->n_inputs; i++)
		life[fct->inputs[i]].begin = 0;
	for (size_t i = 0; i < graph->n_outputs; i++)
		life[fct->outputs[i]].end = UINT32_MAX;
	fct->graph.arena_bytes = 64;
	for (uint32_t i = 0; i < graph->n_tensors; i++) {
		Facet__Model__Tensor *t = &fct->tensor[i];

		if (t->is_const)
			continue;
		t->arena_offset = place_find(fct, life, i);
		if (t->arena_offset + place_bytes(t) > fct->graph.arena_bytes)
			fct->graph.arena_bytes = t->arena_offset + place_bytes(t);
	}
}

/* ---- a network with every op ---- */

struct fct *fct_everything(uint64_t seed)
{
	const Facet__Model__Type S8 = FACET__MODEL__TYPE__S8, F32 = FACET__MODEL__TYPE__F32;
	struct fct *f = fct_new(seed);
	uint32_t pixels = fct_tensor(f, FACET__MODEL__TYPE__U8, 3, 12, 12, 3);
	uint32_t other = fct_tensor(f, S8, 3, 6, 6, 16);
	uint32_t t0 = fct_tensor(f, S8, 3, 12, 12, 3), t1 = fct_tensor(f, S8, 3, 6, 6, 16);
	uint32_t t2 = fct_tensor(f, S8, 3, 6, 6, 16), t3 = fct_tensor(f, S8, 3, 6, 6, 16);
	uint32_t t4 = fct_tensor(f, S8, 3, 6, 6, 16), t5 = fct_tensor(f, S8, 3, 6, 6, 32);
	uint32_t t6 = fct_tensor(f, S8, 3, 3, 3, 32), t7 = fct_tensor(f, S8, 3, 3, 3, 32);
	uint32_t t8 = fct_tensor(f, S8, 3, 32, 3, 3), t9 = fct_tensor(f, S8, 1, 288, 0, 0);
	uint32_t t10 = fct_tensor(f, F32, 1, 20, 0, 0), t11 = fct_tensor(f, F32, 1, 20, 0, 0);
	uint32_t t12 = fct_tensor(f, F32, 2, 9, 32, 0), t13 = fct_tensor(f, F32, 2, 9, 32, 0);
	uint32_t t14 = fct_tensor(f, S8, 2, 9, 64, 0), t15 = fct_tensor(f, F32, 1, 20, 0, 0);
	uint32_t t16 = fct_tensor(f, S8, 3, 3, 3, 32), c0 = fct_const_f32(f, 20);
	const uint32_t extent[] = {32, 3, 3};
	const int64_t stride[] = {1, 96, 32};

	fct_input(f, pixels);
	fct_input(f, other);
	fct_table(f, pixels, t0, true, true);
	fct_conv(f, t0, UINT32_MAX, t1, 3, 2, 1, 1);
	fct_conv(f, t1, UINT32_MAX, t2, 3, 1, 1, 16);
	fct_conv(f, t2, t1, t3, 1, 1, 0, 2);
	fct_add(f, t3, other, t4);
	fct_concat(f, (uint32_t[]){t4, t1}, 2, t5, true);
	fct_pool(f, t5, t6, 0, 2, 2);
	fct_pool(f, t5, t16, 1, 2, 2);
	fct_table(f, t6, t7, false, false);
	fct_strided(f, t7, t8, 3, extent, stride, 0);
	fct_copy(f, t8, t9);
	fct_gemm(f, t9, UINT32_MAX, t10, 288);
	fct_float(f, t10, c0, t11, 2, 1);
	fct_float(f, t11, UINT32_MAX, t15, 5, 0);
	fct_dequantize(f, t7, t12);
	fct_float(f, t12, UINT32_MAX, t13, 7, 0);
	fct_join(f, (uint32_t[]){t6, t16}, 2, t14, 9, (uint64_t[]){32, 32});
	fct_output(f, t15);
	fct_output(f, t13);
	fct_output(f, t14);
	return f;
}
