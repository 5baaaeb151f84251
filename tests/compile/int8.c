/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/compile/int8.h"

#include "kernels/ref/ref.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t word(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, 8);
	return v;
}

static uint8_t *read_file(const char *path, size_t *length)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;

	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	*length = (size_t)ftell(f);
	rewind(f);
	data = aligned_alloc(64, (*length + 63) & ~(size_t)63);
	ck_assert_uint_eq(fread(data, 1, *length, f), *length);
	fclose(f);
	return data;
}

void int8_open(struct int8_net *net, const char *path)
{
	crypto_generichash_state state;
	uint8_t digest[32];
	uint64_t graph, weights;

	net->file = read_file(path, &net->length);
	ck_assert(!memcmp(net->file, "FACETFCT\1\0\0\0\0\0\0\0", 16));
	graph = word(net->file + 16);
	weights = word(net->file + 24);
	ck_assert_uint_eq(weights % 64, 0);
	ck_assert_uint_eq(weights, (128 + graph + 63) / 64 * 64);
	ck_assert_uint_eq(weights + word(net->file + 32), net->length);
	ck_assert_int_ge(sodium_init(), 0);
	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, net->file + 128, graph);
	crypto_generichash_update(&state, net->file + weights, net->length - weights);
	crypto_generichash_final(&state, digest, 32);
	ck_assert(!memcmp(digest, net->file + 64, 32));
	net->weights = net->file + weights;
	net->graph = facet__model__graph__unpack(NULL, graph, net->file + 128);
	ck_assert_ptr_nonnull(net->graph);
	net->value = calloc(net->graph->n_tensors, sizeof(void *));
}

size_t int8_count(const struct int8_net *net, uint32_t tensor)
{
	size_t count = 1;

	for (size_t i = 0; i < net->graph->tensors[tensor]->n_shape; i++)
		count *= net->graph->tensors[tensor]->shape[i];
	return count;
}

static size_t size_of(const struct int8_net *net, uint32_t tensor)
{
	return net->graph->tensors[tensor]->type == FACET__MODEL__TYPE__F32 ? 4 : 1;
}

static size_t bytes_of(const struct int8_net *net, uint32_t tensor)
{
	return int8_count(net, tensor) * size_of(net, tensor);
}

static uint32_t last(const Facet__Model__Tensor *t)
{
	return t->shape[t->n_shape - 1];
}

/* ---- ops ---------------------------------------------------------------------------------------------- */

static struct op_requant requant(const struct int8_net *n, const Facet__Model__Requant *q)
{
	return (struct op_requant){(const float *)(n->weights + q->s_pos->offset),
				   (const float *)(n->weights + q->s_neg->offset),
				   q->s_r,
				   q->z_r,
				   q->z,
				   q->lo,
				   q->hi};
}

static int run_conv(struct int8_net *n, const Facet__Model__Op *op, const void *const *in,
		    void *out)
{
	const uint32_t *x = n->graph->tensors[op->inputs[0]]->shape;
	const Facet__Model__Conv *c = op->conv;
	struct op_conv2d p = {1,
			      x[0],
			      x[1],
			      x[2],
			      last(n->graph->tensors[op->output]),
			      c->kh,
			      c->kw,
			      c->groups,
			      c->stride_h,
			      c->stride_w,
			      c->dilation_h,
			      c->dilation_w,
			      c->pad_top,
			      c->pad_left,
			      c->pad_bottom,
			      c->pad_right,
			      c->z_x,
			      (enum op_out)c->q->out,
			      requant(n, c->q)};

	ck_assert_uint_eq(op_conv2d_oh(&p), n->graph->tensors[op->output]->shape[0]);
	ck_assert_uint_eq(op_conv2d_ow(&p), n->graph->tensors[op->output]->shape[1]);
	return ref_conv2d(&p, in[0], (const int8_t *)n->weights + c->weights->offset,
			  (const int32_t *)(n->weights + c->bias->offset), in[1], out);
}

static int run_gemm(struct int8_net *n, const Facet__Model__Op *op, const void *const *in,
		    void *out)
{
	const Facet__Model__Gemm *g = op->gemm;
	uint32_t columns = last(n->graph->tensors[op->output]);
	struct op_gemm p = {(uint32_t)int8_count(n, op->output) / columns, columns, g->k,
			    (enum op_out)g->q->out, requant(n, g->q)};

	return ref_gemm(&p, in[0], (const int8_t *)n->weights + g->weights->offset,
			(const int32_t *)(n->weights + g->bias->offset), in[1], out);
}

static int run_pool(struct int8_net *n, const Facet__Model__Op *op, const void *const *in,
		    void *out)
{
	const uint32_t *x = n->graph->tensors[op->inputs[0]]->shape;
	const Facet__Model__Pool *f = op->pool;
	struct op_pool2d p = {1,
			      x[0],
			      x[1],
			      x[2],
			      f->kh,
			      f->kw,
			      f->stride_h,
			      f->stride_w,
			      f->pad_top,
			      f->pad_left,
			      f->pad_bottom,
			      f->pad_right,
			      (enum op_pool_kind)f->kind,
			      f->divisor,
			      f->scale,
			      f->z_x,
			      f->z,
			      f->lo,
			      f->hi};

	ck_assert_uint_eq(op_pool2d_oh(&p), n->graph->tensors[op->output]->shape[0]);
	ck_assert_uint_eq(op_pool2d_ow(&p), n->graph->tensors[op->output]->shape[1]);
	return ref_pool2d(&p, in[0], out);
}

static int run_table(struct int8_net *n, const Facet__Model__Op *op, const void *const *in,
		     void *out)
{
	const uint8_t *x = in[0], *table = n->weights + op->table->table->offset;
	uint32_t channels = op->table->per_channel ? last(n->graph->tensors[op->output]) : 1;
	uint8_t flip = op->table->from_u8 ? 0 : 128;

	for (size_t i = 0; i < int8_count(n, op->output); i++)
		((uint8_t *)out)[i] = table[i % channels * 256 + (uint8_t)(x[i] + flip)];
	return 0;
}

static int run_concat(struct int8_net *n, const Facet__Model__Op *op, const void *const *in,
		      void *out)
{
	struct op_concat p = {.inputs = (uint32_t)op->n_inputs};
	const int8_t *tables[OP_CONCAT_MAX];

	p.pixels = int8_count(n, op->output) / last(n->graph->tensors[op->output]);
	for (size_t k = 0; k < op->n_inputs; k++) {
		const Facet__Model__Span *t = op->concat->tables[k];

		p.c[k] = last(n->graph->tensors[op->inputs[k]]);
		tables[k] = t->length ? (const int8_t *)n->weights + t->offset : NULL;
	}
	return ref_concat(&p, (const int8_t *const *)in, tables, out);
}

static void gather(const Facet__Model__Strided *s, size_t axis, int64_t at, size_t size,
		   const char *from, char **to)
{
	if (axis == s->n_extent) {
		memcpy(*to, from + at * (int64_t)size, size);
		*to += size;
		return;
	}
	for (uint32_t i = 0; i < s->extent[axis]; i++)
		gather(s, axis + 1, at + i * s->stride[axis], size, from, to);
}

static int run_join(struct int8_net *n, const Facet__Model__Op *op, const void *const *in,
		    char *out)
{
	for (uint64_t o = 0; o < op->join->outer; o++)
		for (size_t k = 0; k < op->n_inputs; k++) {
			size_t block = op->join->inner[k] * size_of(n, op->output);

			memcpy(out, (const char *)in[k] + o * block, block);
			out += block;
		}
	return 0;
}

static int run_op(struct int8_net *n, const Facet__Model__Op *op, const void *const *in, void *out)
{
	size_t count = int8_count(n, op->output);
	uint32_t cols = last(n->graph->tensors[op->output]);
	const Facet__Model__Add *a = op->add;
	char *to = out;

	switch (op->kind) {
	case FACET__MODEL__KIND__CONV2D:
		return run_conv(n, op, in, out);
	case FACET__MODEL__KIND__GEMM:
		return run_gemm(n, op, in, out);
	case FACET__MODEL__KIND__POOL2D:
		return run_pool(n, op, in, out);
	case FACET__MODEL__KIND__ADD:
		return ref_add(
			&(struct op_add){count, a->s_a, a->s_b, a->z_a, a->z_b, a->z, a->lo, a->hi},
			in[0], in[1], out);
	case FACET__MODEL__KIND__TABLE:
		return run_table(n, op, in, out);
	case FACET__MODEL__KIND__CONCAT:
		return run_concat(n, op, in, out);
	case FACET__MODEL__KIND__DEQUANTIZE:
		return ref_dequantize(
			&(struct op_dequantize){count, op->dequantize->scale, op->dequantize->z},
			in[0], out);
	case FACET__MODEL__KIND__FLOAT:
		return ref_float(&(struct op_float){(enum op_float_kind)op->float_op->kind,
						    count / cols, cols, op->float_op->b},
				 in[0], in[1], out);
	case FACET__MODEL__KIND__COPY:
		memcpy(out, in[0], count * size_of(n, op->output));
		return 0;
	case FACET__MODEL__KIND__STRIDED:
		gather(op->strided, 0, (int64_t)op->strided->offset, size_of(n, op->output), in[0],
		       &to);
		return 0;
	default:
		return run_join(n, op, in, out);
	}
}

static void run(struct int8_net *net, const uint8_t *pixels)
{
	memcpy(net->value[net->graph->inputs[0]], pixels, int8_count(net, net->graph->inputs[0]));
	for (size_t i = 0; i < net->graph->n_ops; i++) {
		const Facet__Model__Op *op = net->graph->ops[i];
		const void *in[OP_CONCAT_MAX] = {NULL};

		for (size_t k = 0; k < op->n_inputs; k++)
			in[k] = net->value[op->inputs[k]];
		ck_assert_msg(!run_op(net, op, in, net->value[op->output]), "op %s is refused",
			      op->name);
	}
}

void int8_run(struct int8_net *net, const uint8_t *pixels)
{
	for (uint32_t t = 0; t < net->graph->n_tensors; t++) {
		const Facet__Model__Tensor *tensor = net->graph->tensors[t];

		if (!net->value[t])
			net->value[t] = calloc(1, bytes_of(net, t));
		if (tensor->is_const)
			memcpy(net->value[t], net->weights + tensor->const_offset,
			       bytes_of(net, t));
	}
	run(net, pixels);
}

void int8_run_arena(struct int8_net *net, const uint8_t *pixels)
{
	char *arena = calloc(1, net->graph->arena_bytes);
	void **own = net->value;

	net->value = calloc(net->graph->n_tensors, sizeof(void *));
	for (uint32_t t = 0; t < net->graph->n_tensors; t++) {
		const Facet__Model__Tensor *tensor = net->graph->tensors[t];

		net->value[t] = tensor->is_const ? own[t] : arena + tensor->arena_offset;
		if (!tensor->is_const)
			ck_assert_uint_le(tensor->arena_offset + bytes_of(net, t),
					  net->graph->arena_bytes);
	}
	run(net, pixels);
	for (size_t k = 0; k < net->graph->n_outputs; k++) {
		uint32_t t = net->graph->outputs[k];

		ck_assert(!memcmp(net->value[t], own[t], bytes_of(net, t)));
	}
	ck_assert(!memcmp(net->value[net->graph->inputs[0]], pixels,
			  bytes_of(net, net->graph->inputs[0])));
	free(net->value);
	free(arena);
	net->value = own;
}

void int8_close(struct int8_net *net)
{
	for (size_t t = 0; t < net->graph->n_tensors; t++)
		free(net->value[t]);
	free(net->value);
	facet__model__graph__free_unpacked(net->graph, NULL);
	free(net->file);
}
