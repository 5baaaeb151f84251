/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cross-layer equalisation (after Nagel et al., Data-Free Quantization, 2019, section 4.1, with
 * measured activations): channels that are small beside others of their tensor would lose most of
 * their int8 steps. A channel's scale may be moved from the weights that make it to the weights that
 * use it, through anything that is positively homogeneous: ReLU, PReLU, sums, pools. In exact
 * arithmetic the network's outputs do not change.
 */
#ifndef FACET_HOST_COMPILE_EQUALISE_H
#define FACET_HOST_COMPILE_EQUALISE_H

#include "host/compile/calibrate.h"

/* Rescales the weights of a folded graph (fold_graph gives each node its own). */
int equalise_graph(struct graph *g, const struct calibrate *calibrate);

#endif
