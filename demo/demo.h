/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's own tools: what it needs besides facetd and facetctl. Each prints why it failed. */
#ifndef FACET_DEMO_DEMO_H
#define FACET_DEMO_DEMO_H

#include <stdint.h>

int demo_cut(int argc, char **argv);
int demo_edit(int argc, char **argv);
int demo_sheet(int argc, char **argv);
int demo_grow(int argc, char **argv);
int demo_limits(int argc, char **argv);

int demo_fail(const char *format, ...) __attribute__((format(printf, 1, 2))); /* 2 */

/* The same numbers everywhere: SplitMix64, and a sum of four 16 bit uniforms in place of a normal. */
uint64_t demo_random(uint64_t *state);
float demo_normal(uint64_t *state);

#endif
