/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner product of the float executor. A panel is k lines of EXECUTE_PANEL values (columns);
 * y[r][column] = start[r] + sum over k of a[r][k] * panel[k][column], summed in the order of k, for
 * `rows` rows. Both builds of it give the same bits: a column is a lane of its own.
 */
#ifndef FACET_HOST_COMPILE_EXECUTE_GEMM_H
#define FACET_HOST_COMPILE_EXECUTE_GEMM_H

#include <stddef.h>
#include <stdint.h>

#define EXECUTE_PANEL 16u

typedef void execute_gemm_fn(const float *a, size_t k, const float *start, uint32_t rows,
			     const float *panel, float *y, size_t y_stride, uint32_t columns);

execute_gemm_fn execute_gemm_baseline, execute_gemm_avx2;
execute_gemm_fn *execute_gemm_best(void);

#endif
