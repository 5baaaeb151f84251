/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What values the float network's tensors take over the calibration samples: a histogram each, and
 * figures a channel (axis 1).
 *
 * A histogram's bins are the upper 16 bits of a float: 1/128 of relative width at any magnitude, so
 * one pass over the samples is enough.
 */
#ifndef FACET_HOST_COMPILE_CALIBRATE_H
#define FACET_HOST_COMPILE_CALIBRATE_H

#include "host/compile/execute.h"

struct calibrate; /* lives in the graph's pool */

/* With histograms for the tensors for which wanted[] is true; NULL: for none. */
int calibrate_create(const struct graph *g, const bool *wanted, struct calibrate **calibrate);
/* Takes in the values of a run. */
void calibrate_add(struct calibrate *c, const struct execute *execute);
/* The range that leaves (100 - percentile) / 2 per cent of the values outside at either end. */
void calibrate_range(const struct calibrate *c, uint32_t tensor, double percentile, float *least,
		     float *most);
/* A channel's largest magnitude in a sample, and its value, both averaged over samples; NULL for a
 * tensor without channels. */
const double *calibrate_channel_top(const struct calibrate *c, uint32_t tensor);
const double *calibrate_channel_mean(const struct calibrate *c, uint32_t tensor);

#endif
