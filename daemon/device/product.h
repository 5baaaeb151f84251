/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gemm and conv2d have in common for whoever prepares, runs or checks one without caring which of
 * the two it is. The commands are DEVICE_GEMM and DEVICE_CONV2D; only their parameters are looked at.
 */
#ifndef FACET_DAEMON_DEVICE_PRODUCT_H
#define FACET_DAEMON_DEVICE_PRODUCT_H

#include "daemon/device/device.h"

/* Rows of a gemm, output pixels of a conv2d: as many as it has checksums. 0 for another op. */
uint64_t device_product_rows(const struct device_command *command);

/* Packed for the device: its own weights_gemm() or weights_conv2d(). */
int device_product_weights(struct device *device, const struct device_command *command,
			   const int8_t *w, const int32_t *bias, struct device_weights **weights);

/* What checksums of its accumulators are computed from, for free(); NULL: no memory. It holds for any
 * number of rows or images. */
void *device_product_sums(const struct device_command *command, const int8_t *w,
			  const int32_t *bias);
/* Is chk[rows] what the CPU computes from the input x? It writes its own to expected[rows]. */
bool device_product_sums_right(const struct device_command *command, const void *sums,
			       const int8_t *x, const uint32_t *chk, uint32_t *expected);

#endif
