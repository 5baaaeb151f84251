/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle: ONNX's operators in double precision, straight from the standard's text over the
 * protobuf message itself. It shares nothing with the compiler, and knows only legal networks.
 */
#ifndef FACET_TESTS_COMPILE_NAIVE_H
#define FACET_TESTS_COMPILE_NAIVE_H

#include <stddef.h>
#include "onnx.pb-c.h"

struct naive_value {
	char *name;
	int rank;
	int64_t dim[8];
	size_t count;
	double *v;
};

struct naive {
	const Onnx__ModelProto *model;
	struct naive_value value[256];
	int values;
};

/* Runs the network over the image x. */
void naive_run(struct naive *n, const Onnx__ModelProto *model, const float *x);
const struct naive_value *naive_output(const struct naive *n, size_t index);
void naive_free(struct naive *n);

#endif
