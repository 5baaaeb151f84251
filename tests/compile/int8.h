/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a .fct file by kernels/ref/, each tensor in memory of its own, as proto/model.proto says. */
#ifndef FACET_TESTS_COMPILE_INT8_H
#define FACET_TESTS_COMPILE_INT8_H

#include <stddef.h>
#include <stdint.h>
#include "model.pb-c.h"

struct int8_net {
	uint8_t *file;
	size_t length;
	const uint8_t *weights;
	Facet__Model__Graph *graph;
	void **value; /* [tensors] */
};

/* Reads and checks the header; fails the test if it is wrong. */
void int8_open(struct int8_net *net, const char *path);
void int8_run(struct int8_net *net, const uint8_t *pixels);
/* Runs it once more in one arena at the stated offsets: the outputs must be the same. */
void int8_run_arena(struct int8_net *net, const uint8_t *pixels);
size_t int8_count(const struct int8_net *net, uint32_t tensor);
void int8_close(struct int8_net *net);

#endif
