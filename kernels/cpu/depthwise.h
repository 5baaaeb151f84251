/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolution (groups == c == oc). Contracts as in struct cpu_kernels, except that the
 * caller has checked the parameters and weights.
 */
#ifndef FACET_KERNELS_CPU_DEPTHWISE_H
#define FACET_KERNELS_CPU_DEPTHWISE_H

#include "kernels/ops.h"

static inline bool is_depthwise(const struct op_conv2d *p)
{
	return p->groups == p->c && p->oc == p->c && p->c > 1;
}

size_t depthwise_packed_bytes_avx512(const struct op_conv2d *p);
void depthwise_pack_avx512(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			   void *packed);
size_t depthwise_scratch_bytes_avx512(const struct op_conv2d *p);
int depthwise_avx512(const struct op_conv2d *p, const void *packed, const int8_t *x,
		     const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		     void *scratch);

size_t depthwise_packed_bytes_avx2(const struct op_conv2d *p);
void depthwise_pack_avx2(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			 void *packed);
size_t depthwise_scratch_bytes_avx2(const struct op_conv2d *p);
int depthwise_avx2(const struct op_conv2d *p, const void *packed, const int8_t *x,
		   const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		   void *scratch);

size_t depthwise_packed_bytes_portable(const struct op_conv2d *p);
void depthwise_pack_portable(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			     void *packed);
int depthwise_portable(const struct op_conv2d *p, const void *packed, const int8_t *x,
		       const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end);

#endif
