/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FACET_TESTS_COMPILE_BRIDGE_H
#define FACET_TESTS_COMPILE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>

struct bridge;
struct bridge *bridge_open(const char *path, bool fold);
const char *bridge_error(const struct bridge *b); /* empty if it is open */
int bridge_run(struct bridge *b, const float *input);
const float *bridge_output(const struct bridge *b, unsigned int index, size_t *count);
void bridge_close(struct bridge *b);

#endif
