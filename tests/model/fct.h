/* SPDX-License-Identifier: Apache-2.0 */
/* Writes .fct files for the tests, from proto/model.proto alone: no code of the compiler. */
#ifndef FACET_TESTS_MODEL_FCT_H
#define FACET_TESTS_MODEL_FCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model.pb-c.h"

#define FCT_TENSORS 400
#define FCT_OPS	    400
#define FCT_WEIGHTS (1u << 20)

/* A graph being built; its parts may be changed at will before fct_write(). */
struct fct {
	Facet__Model__Graph graph;
	Facet__Model__Tensor tensor[FCT_TENSORS], *tensors[FCT_TENSORS];
	Facet__Model__Op op[FCT_OPS], *ops[FCT_OPS];
	uint32_t shape[FCT_TENSORS][6], op_inputs[FCT_OPS][20], inputs[20], outputs[20];
	union {
		Facet__Model__Conv conv;
		Facet__Model__Gemm gemm;
		Facet__Model__Pool pool;
		Facet__Model__Add add;
		Facet__Model__Table table;
		Facet__Model__Concat concat;
		Facet__Model__Dequantize dequantize;
		Facet__Model__Float float_op;
		Facet__Model__Strided strided;
		Facet__Model__Join join;
	} params[FCT_OPS];
	Facet__Model__Requant requant[FCT_OPS];
	Facet__Model__Span span[FCT_OPS * 8];
	Facet__Model__Span *span_list[FCT_OPS][20];
	uint32_t extent[FCT_OPS][8];
	int64_t stride[FCT_OPS][8];
	uint64_t inner[FCT_OPS][20];
	uint32_t spans;
	uint8_t weights[FCT_WEIGHTS];
	uint64_t weights_bytes;
	uint8_t space[32];
	uint64_t seed;
};

struct fct *fct_new(uint64_t seed);
uint32_t fct_random(struct fct *fct); /* splitmix */

/* An activation behind all others in the arena, or a constant of random values; its index. */
uint32_t fct_tensor(struct fct *fct, Facet__Model__Type type, uint32_t rank, uint32_t a, uint32_t b,
		    uint32_t c);
uint32_t fct_const_f32(struct fct *fct, uint32_t count);
/* Bytes at the end of the weights, aligned to 4. */
Facet__Model__Span *fct_bytes(struct fct *fct, const void *data, uint64_t bytes);

/* An op of one or two inputs (UINT32_MAX: none) with legal, random weights and scales. Its
 * parameters are in fct->params[index] and may be changed. Returns the index of the op. */
uint32_t fct_conv(struct fct *fct, uint32_t in, uint32_t residual, uint32_t out, uint32_t k,
		  uint32_t stride, uint32_t pad, uint32_t groups);
uint32_t fct_gemm(struct fct *fct, uint32_t in, uint32_t residual, uint32_t out, uint32_t k);
uint32_t fct_pool(struct fct *fct, uint32_t in, uint32_t out, uint32_t kind, uint32_t k,
		  uint32_t stride);
uint32_t fct_add(struct fct *fct, uint32_t a, uint32_t b, uint32_t out);
uint32_t fct_table(struct fct *fct, uint32_t in, uint32_t out, bool per_channel, bool from_u8);
uint32_t fct_concat(struct fct *fct, const uint32_t *in, uint32_t n, uint32_t out, bool tables);
uint32_t fct_dequantize(struct fct *fct, uint32_t in, uint32_t out);
uint32_t fct_float(struct fct *fct, uint32_t a, uint32_t b, uint32_t out, uint32_t kind,
		   uint32_t b_kind);
uint32_t fct_copy(struct fct *fct, uint32_t in, uint32_t out);
/* extent and stride of rank numbers each */
uint32_t fct_strided(struct fct *fct, uint32_t in, uint32_t out, uint32_t rank,
		     const uint32_t *extent, const int64_t *stride, uint64_t offset);
uint32_t fct_join(struct fct *fct, const uint32_t *in, uint32_t n, uint32_t out, uint64_t outer,
		  const uint64_t *inner);
void fct_input(struct fct *fct, uint32_t tensor);
void fct_output(struct fct *fct, uint32_t tensor);

/* Gives the activations new places in the arena: bytes that nobody wants any more are used again. */
void fct_reuse(struct fct *fct);

/* The file, malloc'ed. */
uint8_t *fct_write(const struct fct *fct, size_t *bytes);
/* Corrects the digest of a file whose lengths are right; false if they are not. */
bool fct_rehash(uint8_t *file, size_t bytes);

/* All op kinds in one network: U8 pixels and a second S8 input to three outputs. */
struct fct *fct_everything(uint64_t seed);

#endif
