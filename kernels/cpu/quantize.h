/* SPDX-License-Identifier: Apache-2.0 */
/* Float templates to int8 and float16 on the CPU: the bits of ref_quantize_row, ref_to_half and
 * ref_from_half for every instruction set. */
#ifndef FACET_KERNELS_CPU_QUANTIZE_H
#define FACET_KERNELS_CPU_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

int cpu_quantize_row_avx512(const float *x, uint32_t dim, int8_t *q, float *step);
int cpu_quantize_row_avx2(const float *x, uint32_t dim, int8_t *q, float *step);
int cpu_quantize_row_portable(const float *x, uint32_t dim, int8_t *q, float *step);

void cpu_to_half_avx512(const float *x, size_t n, uint16_t *y);
void cpu_to_half_avx2(const float *x, size_t n, uint16_t *y);
void cpu_to_half_portable(const float *x, size_t n, uint16_t *y);

void cpu_from_half_avx512(const uint16_t *x, size_t n, float *y);
void cpu_from_half_avx2(const uint16_t *x, size_t n, float *y);
void cpu_from_half_portable(const uint16_t *x, size_t n, float *y);

#endif
