/* SPDX-License-Identifier: Apache-2.0 */
/* The meaning of a graph, read plainly: a tensor an array, an op after the other by kernels/ref. */
#ifndef FACET_TESTS_MODEL_INTERPRET_H
#define FACET_TESTS_MODEL_INTERPRET_H

#include "tests/model/fct.h"

/* values[t]: an array of each tensor, malloc'ed; those of the inputs are filled, the others NULL. */
void interpret(const struct fct *fct, void **values);

#endif
