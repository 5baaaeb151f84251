/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The float executor: ONNX's operators over float, one item, NCHW. It is the oracle of the int8
 * network and the source of the calibration. Sums run in a fixed order without fused
 * multiply-adds, so that all hosts compute the same bits.
 */
#ifndef FACET_HOST_COMPILE_EXECUTE_H
#define FACET_HOST_COMPILE_EXECUTE_H

#include "host/compile/graph.h"

/* One node on values: in[k] and out[k] are the elements (float or int64) of its tensors. -EINVAL for
 * a kind that has no meaning on integers. */
int execute_node(const struct graph *g, const struct graph_node *n, const void *const *in,
		 void *const *out);

struct execute; /* lives in the graph's pool */
int execute_create(const struct graph *g, struct execute **execute);
/* Runs the network over an input of its shape. */
int execute_run(struct execute *execute, const float *input);
/* A tensor's values after a run, or a constant's. */
const float *execute_values(const struct execute *execute, uint32_t tensor);

/* Multiply-accumulates of a node. */
uint64_t execute_macs(const struct graph *g, const struct graph_node *n);

/* ---- execute_conv.c ------------------------------------------------------------------------------ */
int execute_conv(const struct graph *g, const struct graph_node *n, const float *x, const float *w,
		 const float *bias, float *y);

#endif
