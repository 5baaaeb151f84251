/* SPDX-License-Identifier: Apache-2.0 */
/* Small ONNX networks, built in memory. */
#ifndef FACET_TESTS_COMPILE_NET_H
#define FACET_TESTS_COMPILE_NET_H

#include <stddef.h>
#include <stdint.h>
#include "onnx.pb-c.h"

struct net {
	Onnx__ModelProto *model;
	uint64_t random; /* never 0 */
};

/* The same numbers for the same seed; uniform in [least, most). */
double net_random(uint64_t *state, double least, double most);

/* A network with the image "x" [1][c][h][w]. */
struct net net_create(int64_t opset, int64_t c, int64_t h, int64_t w);
void net_free(struct net *net);

/* Initialisers; dims end with 0. Random ones are uniform. */
Onnx__TensorProto *net_weights(struct net *net, const char *name, double least, double most, ...);
void net_ints(struct net *net, const char *name, int count, ...);
void net_scalar(struct net *net, const char *name, float value);

/* Names apart by blanks; "-" is an absent input. */
Onnx__NodeProto *net_node(struct net *net, const char *type, const char *inputs,
			  const char *outputs);
void node_int(Onnx__NodeProto *node, const char *name, int64_t value);
void node_float(Onnx__NodeProto *node, const char *name, float value);
void node_text(Onnx__NodeProto *node, const char *name, const char *value);
void node_ints(Onnx__NodeProto *node, const char *name, int count, ...);

void net_output(struct net *net, const char *name);
uint8_t *net_pack(const struct net *net, size_t *length); /* free() it */
/* Writes it to a file in a new folder; both are for net_unlink(). */
char *net_write(const struct net *net);
void net_unlink(char *path);

#endif
