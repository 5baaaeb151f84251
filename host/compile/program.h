/* SPDX-License-Identifier: Apache-2.0 */
/* The int8 network while it is made: the messages of proto/model.proto and the weights behind them. */
#ifndef FACET_HOST_COMPILE_PROGRAM_H
#define FACET_HOST_COMPILE_PROGRAM_H

#include "host/compile/graph.h"
#include "model.pb-c.h"

struct program {
	struct pool *pool;
	Facet__Model__Graph graph; /* its arrays have room for *_room entries */
	uint32_t tensors_room, ops_room;
	uint8_t *weights;
	size_t weight_bytes, weight_room;
	/* For measuring: the float tensor that each tensor stands for, GRAPH_NONE for none. Element i of
	 * the float tensor, in its row-major order, lies where view says. */
	uint32_t *stands_for;
	struct graph_view *view;
};

struct program *program_create(struct pool *pool);
/* Index of a new tensor in the arena, or GRAPH_NONE without memory. */
uint32_t program_tensor(struct program *p, const char *name, Facet__Model__Type type, uint32_t rank,
			const uint32_t *shape);
int program_rename(struct program *p, uint32_t tensor, const char *name);
/* A constant F32 tensor. */
uint32_t program_constant(struct program *p, const float *values, uint32_t count);
/* A new op; its params are for the caller to set. NULL without memory. */
Facet__Model__Op *program_op(struct program *p, Facet__Model__Kind kind, const char *name,
			     uint32_t inputs, const uint32_t *input, uint32_t output);
/* Stores bytes among the weights, on a multiple of 64; NULL without memory. */
Facet__Model__Span *program_span(struct program *p, const void *data, size_t bytes);

uint64_t program_tensor_count(const struct program *p, uint32_t tensor);
uint64_t program_tensor_bytes(const struct program *p, uint32_t tensor);

/* A message's memory, initialised: PROGRAM_NEW(pool, Facet__Model__Conv, facet__model__conv__init) */
#define PROGRAM_NEW(pool, type, init)                                                              \
	((type *)program_new(pool, sizeof(type), (void (*)(void *))init))
void *program_new(struct pool *pool, size_t size, void (*init)(void *));

/* arena.c: gives every tensor of the arena its place. */
int arena_place(struct program *p);
/* write.c: the file's bytes, and a file with them. */
int write_pack(const struct program *p, uint8_t **data, size_t *length);
int write_file(struct pool *pool, const char *path, const uint8_t *data, size_t length);

/* evaluate.c: runs the int8 network on one image. After each op, seen() is told. */
typedef void evaluate_seen_fn(void *context, uint32_t op, const void *output);
struct evaluate;
int evaluate_create(const struct program *p, struct evaluate **evaluate);
int evaluate_run(struct evaluate *e, const uint8_t *pixels, evaluate_seen_fn *seen, void *context);
const void *evaluate_tensor(const struct evaluate *e, uint32_t tensor);

#endif
