/* SPDX-License-Identifier: Apache-2.0 */
/* How near the int8 network comes to the float network, op by op and at the end. */
#ifndef FACET_HOST_COMPILE_MEASURE_H
#define FACET_HOST_COMPILE_MEASURE_H

#include "host/compile/compile.h"
#include "host/compile/execute.h"
#include "host/compile/program.h"

struct measure; /* lives in the graph's pool */

int measure_create(const struct graph *g, const struct program *p, uint32_t samples_max,
		   struct measure **measure);
/* Runs both on a sample: as floats in the graph's order, and as pixels. */
int measure_add(struct measure *m, struct execute *execute, struct evaluate *evaluate,
		const float *input, const uint8_t *pixels);
/* Signal to noise of an op's output, dB. */
double measure_sqnr(const struct measure *m, uint32_t op);
/* Fills the cosines of a report. */
void measure_finish(const struct measure *m, struct compile_report *report);

#endif
