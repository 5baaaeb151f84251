/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the model room: a network that has been checked, and the checking of it. */
#ifndef FACET_DAEMON_MODEL_GRAPH_H
#define FACET_DAEMON_MODEL_GRAPH_H

#include "daemon/model/model.h"
#include "model.pb-c.h"

#define MODEL_TENSORS_MAX 8192u
#define MODEL_OPS_MAX	  8192u
#define MODEL_NAME_MAX	  255u
#define MODEL_ARENA_MAX	  (UINT64_C(1) << 30)
#define MODEL_WORK_MAX	  UINT64_C(10000000000000) /* multiply-adds, or what takes as long */
#define MODEL_NEVER	  UINT32_MAX
#define MODEL_TABLES_MAX  (UINT64_C(64) << 20) /* bytes of tables rewritten at load */

struct model_tensor_place {
	enum model_type type;
	uint32_t rank, shape[4];
	uint64_t elements, bytes;
	bool is_const;
	uint64_t offset; /* in the arena, or in the weights */
};

/*
 * One op as a command whose spans have no buffers yet: a bit of arena or constants says which one
 * operand i of in[] or tables[] belongs to; with neither bit it is absent. The output is in the
 * arena. Scales point into the model's weights.
 */
struct model_step {
	struct device_command command;
	uint32_t in_arena, in_constants, tables;
	uint32_t input[DEVICE_INPUTS_MAX], output; /* tensors; input[i] where in_arena has bit i */
	uint64_t weights, bias; /* of conv2d and gemm: offsets in the model's weights */
	uint64_t work;		/* of it and all before it: multiply-adds, or what takes as long */
};

struct model {
	struct model_info info;
	/* The weights of the file, then tables that were rewritten for the device; 64-byte aligned. */
	uint8_t *weights;
	uint64_t weights_bytes, constants_bytes;
	struct model_tensor_place *tensors;
	uint32_t tensor_count;
	uint32_t *
		last; /* [tensors] the last op that reads it, MODEL_NEVER of an output; 0: none does */
	struct model_step *steps;
	uint32_t step_count;
	uint32_t input[MODEL_IO_MAX], output[MODEL_IO_MAX]; /* tensors */
	char *names;					    /* what info points to */
};

/* While a graph is being checked. */
struct model_check {
	struct model *model;
	const Facet__Model__Graph *graph;
	const char *where; /* of an op, for messages */
	uint32_t index;
	uint64_t work;
	uint64_t tables_bytes; /* rewritten so far */
	char *text;	       /* MODEL_TEXT, the first error */
};

/* Writes the message, returns -EINVAL. */
int model_fail(struct model_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- graph.c: tensors, the order of ops, what lives when ---- */
int model_check_graph(struct model_check *check);

/* ---- step.c: one op becomes a command; its tensors' indices are legal ---- */
int model_check_op(struct model_check *check, const Facet__Model__Op *op, struct model_step *step);

#endif
