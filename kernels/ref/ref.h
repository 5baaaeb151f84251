/* SPDX-License-Identifier: Apache-2.0 */
/* The reference: each op of kernels/ops.h in plain C, whole tensors at a time. The definition. */
#ifndef FACET_KERNELS_REF_H
#define FACET_KERNELS_REF_H

#include "kernels/ops.h"

int ref_conv2d(const struct op_conv2d *p, const int8_t *x, const int8_t *w, const int32_t *bias,
	       const int8_t *residual, void *y);
int ref_gemm(const struct op_gemm *p, const int8_t *a, const int8_t *b, const int32_t *bias,
	     const int8_t *residual, void *y);
/* [n * oh * ow] and [m], by the accumulators themselves. */
int ref_conv2d_checksum(const struct op_conv2d *p, const int8_t *x, const int8_t *w,
			const int32_t *bias, uint32_t *chk);
int ref_gemm_checksum(const struct op_gemm *p, const int8_t *a, const int8_t *b,
		      const int32_t *bias, uint32_t *chk);
int ref_pool2d(const struct op_pool2d *p, const int8_t *x, int8_t *y);
int ref_add(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y);
int ref_table(const struct op_table *p, const int8_t *table, const int8_t *x, int8_t *y);
int ref_concat(const struct op_concat *p, const int8_t *const *x, const int8_t *const *tables,
	       int8_t *y);
int ref_float(const struct op_float *p, const float *a, const float *b, float *y);
int ref_dequantize(const struct op_dequantize *p, const int8_t *x, float *y);
int ref_quantize_row(const float *x, uint32_t dim, int8_t *q, float *step);
void ref_to_half(const float *x, size_t n, uint16_t *y);
void ref_from_half(const uint16_t *x, size_t n, float *y);
int ref_search(const struct search_rows *rows, uint64_t row_begin, uint64_t row_end,
	       const struct search_query *queries, uint32_t count,
	       struct search_list *const *lists);

#endif
