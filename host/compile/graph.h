/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A float network in memory: tensors and nodes in the order of execution, with ONNX's meaning
 * (NCHW, batch 1), but one spelling of each thing: parameters that ONNX keeps now in attributes and
 * now in inputs are constants or fields here. All shapes are known.
 */
#ifndef FACET_HOST_COMPILE_GRAPH_H
#define FACET_HOST_COMPILE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "host/compile/pool.h"

#define GRAPH_RANK	   6u
#define GRAPH_EXTENT_MAX   (1 << 24)
#define GRAPH_ELEMENTS_MAX (1 << 28)
#define GRAPH_NONE	   UINT32_MAX

enum graph_kind {
	GRAPH_CONV,	 /* x, w [oc][c/groups][kh][kw] [, b] */
	GRAPH_GEMM,	 /* x [..][k], w [n][k] [, b] */
	GRAPH_AFFINE,	 /* x, a [c], b [c]: a * x + b along axis 1 */
	GRAPH_BATCHNORM, /* x, scale, shift, mean, variance; alpha is epsilon */
	GRAPH_ADD,	 /* two tensors, broadcast */
	GRAPH_SUB,
	GRAPH_MUL,
	GRAPH_DIV,
	GRAPH_MAXPOOL,
	GRAPH_AVGPOOL,
	GRAPH_RELU,
	GRAPH_LEAKY, /* alpha */
	GRAPH_PRELU, /* x, slope (broadcast) */
	GRAPH_CLIP,  /* x [, least] [, most] */
	GRAPH_SIGMOID,
	GRAPH_TANH,
	GRAPH_EXP,
	GRAPH_SQRT,
	GRAPH_HARDSIGMOID, /* alpha, beta */
	GRAPH_HARDSWISH,
	GRAPH_ELU,	 /* alpha */
	GRAPH_SOFTMAX,	 /* axis; with flatten over axis and all after it */
	GRAPH_CONCAT,	 /* axis */
	GRAPH_RESHAPE,	 /* x [, shape] */
	GRAPH_FLATTEN,	 /* axis; becomes RESHAPE, as do the next three */
	GRAPH_SQUEEZE,	 /* x [, axes] */
	GRAPH_UNSQUEEZE, /* x, axes */
	GRAPH_IDENTITY,
	GRAPH_TRANSPOSE,  /* perm */
	GRAPH_SLICE,	  /* x, starts, ends [, axes] [, steps] */
	GRAPH_SPLIT,	  /* x [, sizes], axis; several outputs */
	GRAPH_PAD,	  /* x, pads [, value] */
	GRAPH_REDUCEMEAN, /* x, axes; keep */
	GRAPH_SHAPE,
	GRAPH_GATHER, /* x, index; axis */
	GRAPH_CAST,   /* to_integer */
	GRAPH_KINDS
};

enum graph_type { GRAPH_F32, GRAPH_I64 };

struct graph_tensor {
	char *name;
	enum graph_type type;
	uint32_t rank;
	int64_t dim[GRAPH_RANK];
	size_t count; /* elements; 0: shape not known yet */
	float *f;     /* a constant's values, or NULL */
	int64_t *i;
};

/* A window over the last two extents. */
struct graph_window {
	uint32_t kh, kw, stride_h, stride_w, dilation_h, dilation_w;
	uint32_t pad_top, pad_left, pad_bottom, pad_right;
	uint32_t groups;
	enum { GRAPH_PAD_STATED, GRAPH_PAD_UPPER, GRAPH_PAD_LOWER, GRAPH_PAD_VALID } automatic;
	bool global, ceil, count_padding;
};

struct graph_node {
	enum graph_kind kind;
	char *name;
	bool dead;
	uint32_t inputs, outputs;
	uint32_t *input, *output; /* tensors; an absent input is GRAPH_NONE */
	struct graph_window win;
	int64_t axis;
	float alpha, beta;
	bool keep, flatten, to_integer;
	uint32_t perms;
	int64_t perm[GRAPH_RANK];
	/* Set by shape inference: SLICE, PAD (start = before, step = after) */
	int64_t start[GRAPH_RANK], step[GRAPH_RANK];
};

struct graph {
	struct pool *pool;
	char *name;
	struct graph_tensor *tensor;
	struct graph_node *node;
	uint32_t tensors, nodes, tensors_room;
	uint32_t input; /* the image */
	uint32_t outputs, *output;
};

/* A new tensor's index, or GRAPH_NONE without memory. */
uint32_t graph_add_tensor(struct graph *g, const char *name);
/* Sets shape and count; -EINVAL where an extent or the whole is out of bounds. */
int graph_set_shape(struct graph *g, uint32_t tensor, uint32_t rank, const int64_t *dim);
/* A float constant [count], its values for the caller to fill; NULL without memory. */
float *graph_add_constant(struct graph *g, uint32_t count, uint32_t *tensor);

static inline bool graph_is_constant(const struct graph *g, uint32_t tensor)
{
	return g->tensor[tensor].f || g->tensor[tensor].i;
}

/* The constant floats of a node's input, or NULL: absent or not constant. */
const float *graph_floats(const struct graph *g, const struct graph_node *n, uint32_t input);

/* Who makes and who uses each tensor. */
struct graph_links {
	uint32_t *producer; /* [tensors] node, or GRAPH_NONE */
	uint32_t *uses;	    /* [tensors] inputs of live nodes and graph outputs */
	uint32_t *user;	    /* [tensors] one of the nodes using it, or GRAPH_NONE */
};

int graph_link(struct graph *g, struct graph_links *links);
/* Lets every use of `from` use `to` instead. */
void graph_replace(struct graph *g, uint32_t from, uint32_t to);
/* Marks nodes dead whose outputs nothing uses, and drops dead nodes from the list. */
int graph_sweep(struct graph *g);

/* ---- views: a tensor's elements in strides of some storage --------------------------------- */
struct graph_view {
	uint32_t rank;
	int64_t dim[GRAPH_RANK], stride[GRAPH_RANK], offset;
};

void graph_view_plain(const struct graph_tensor *t, struct graph_view *view);
/*
 * The view a RESHAPE, TRANSPOSE, SLICE or SPLIT makes of its input's view; false where a reshape
 * needs the elements moved first.
 */
bool graph_view_apply(const struct graph *g, const struct graph_node *n, uint32_t output,
		      const struct graph_view *in, struct graph_view *out);
/* Gathers a view's elements (size 1, 4 or 8 bytes) in row-major order. */
void graph_view_copy(const struct graph_view *view, size_t size, const void *from, void *to);

/* ---- passes; 0 or a negative errno with the pool's line set ----------------------------------- */
int onnx_read(struct pool *pool, const char *path, struct graph **graph);
int onnx_parse(struct pool *pool, const uint8_t *data, size_t length, struct graph **graph);
int shape_infer(struct graph *g); /* also evaluates what is constant */
int fold_graph(struct graph *g);

/* "Conv", "Gemm", ...: the kind as ONNX spells it. */
const char *graph_kind_name(enum graph_kind kind);

#endif
