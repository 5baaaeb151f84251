/* SPDX-License-Identifier: Apache-2.0 */
/* Between onnx.c (file, tensors, order) and onnx_node.c (operators and their attributes). */
#ifndef FACET_HOST_COMPILE_ONNX_H
#define FACET_HOST_COMPILE_ONNX_H

#include "host/compile/graph.h"
#include "onnx.pb-c.h"

#define ONNX_FILE_MAX  (512u << 20)
#define ONNX_OPSET_MIN 7
#define ONNX_OPSET_MAX 23

/* Is the operator one of ours? */
bool onnx_node_known(const Onnx__NodeProto *proto);
/* Fills n's kind and parameters; its inputs and outputs are set. May add inputs (from attributes). */
int onnx_node_read(struct graph *g, const Onnx__NodeProto *proto, int64_t opset,
		   struct graph_node *n);
/* A constant tensor's shape and values. */
int onnx_tensor_read(struct graph *g, const Onnx__TensorProto *proto, uint32_t tensor);

#endif
