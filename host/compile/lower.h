/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the float graph to int8 ops. Each graph tensor that is needed gets a place: a tensor of the
 * program and a view into it (moves such as transpose and reshape only change the view). It may have
 * two places, one int8, one float.
 */
#ifndef FACET_HOST_COMPILE_LOWER_H
#define FACET_HOST_COMPILE_LOWER_H

#include "host/compile/calibrate.h"
#include "host/compile/compile.h"
#include "host/compile/program.h"

struct lower_quant {
	float scale;
	int32_t z;
};

struct lower_place {
	uint32_t tensor; /* of the program, or GRAPH_NONE */
	struct graph_view view;
};

enum lower_type { LOWER_S8, LOWER_F32, LOWER_TYPES };

struct lower {
	struct graph *g;
	const struct calibrate *calibrate;
	double percentile;
	const float *mean, *scale; /* of the image's channels */
	struct graph_links links;
	struct program *p;
	bool *in_float;				/* [nodes] computed in float */
	bool *float_only;			/* [tensors] wanted in float alone */
	bool *done;				/* [nodes] already part of an op */
	struct lower_place *place[LOWER_TYPES]; /* [tensors] */
	struct lower_quant *quant;		/* [tensors] of the int8 place */
	double *image_error; /* [channels] mean of what the image's int8 form adds */
};

/* Makes the program; 0 or a negative errno with the pool's line set. */
int lower_graph(struct graph *g, const struct calibrate *calibrate,
		const struct compile_options *options, struct program **program);
/* Tensors whose histograms lower_graph() will ask for: [tensors]. */
int lower_wanted(const struct graph *g, bool **wanted);

/* ---- for the parts of it ------------------------------------------------------------------------- */
int lower_refuse(const struct lower *l, const struct graph_node *n, const char *why);
/* The scale and zero point of a tensor, from its calibrated range. */
void lower_measure(struct lower *l, uint32_t tensor);
struct lower_quant lower_quant_of(double least, double most);
/* The int8 value nearest to real, within [-128, 127]. */
int32_t lower_quantise(const struct lower_quant *q, double real);

/* The node using a tensor, if it is the only use, in int8, and not yet part of an op; or NULL. */
struct graph_node *lower_next(const struct lower *l, uint32_t tensor);
void lower_mark_done(struct lower *l, const struct graph_node *n);

/* Height, width, channels (innermost) for rank 4; as they are for others. */
void lower_order_nhwc(const struct graph *g, uint32_t tensor, uint32_t *order);
void lower_order_plain(uint32_t *order);
/* The shape of a program tensor that holds a graph tensor in that order; returns its rank. */
uint32_t lower_shape(const struct graph *g, uint32_t tensor, const uint32_t *order,
		     uint32_t *shape);
/* A program tensor that holds a graph tensor without gaps in that order, made if it must be. */
int lower_dense(struct lower *l, const struct graph_node *n, uint32_t tensor, enum lower_type type,
		const uint32_t *order, uint32_t *index);
/* A program tensor that holds all its elements in any order: place[type][tensor] says which. */
int lower_whole(struct lower *l, const struct graph_node *n, uint32_t tensor, enum lower_type type);
/* A new program tensor for a graph tensor, dense in that order; becomes its place. */
int lower_result(struct lower *l, uint32_t tensor, enum lower_type type, const uint32_t *order,
		 uint32_t *index);
/* The same, laid out like another place. */
int lower_result_like(struct lower *l, uint32_t tensor, enum lower_type type,
		      const struct lower_place *like, uint32_t *index);

/* ---- one kind each ------------------------------------------------------------------------------- */
typedef int lower_fn(struct lower *l, struct graph_node *n);
lower_fn lower_conv, lower_gemm;				    /* lower_product.c */
lower_fn lower_add, lower_pool, lower_concat, lower_table;	    /* lower_point.c */
lower_fn lower_float_unary, lower_float_binary, lower_float_affine; /* lower_float.c */
lower_fn lower_float_softmax, lower_float_concat, lower_float_tanh;

#endif
