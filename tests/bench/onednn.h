/* SPDX-License-Identifier: Apache-2.0 */
/* oneDNN as the peer of bench_conv. Without its headers at build time there is none. */
#ifndef FACET_BENCH_ONEDNN_H
#define FACET_BENCH_ONEDNN_H

#include "kernels/ops.h"

struct onednn;

/* One int8 layer with scales and weights in the library's own order; NULL: not compared. */
struct onednn *onednn_create(const struct op_conv2d *p);
void onednn_free(struct onednn *o);
void onednn_run(struct onednn *o);
const char *onednn_version(void);

#endif
