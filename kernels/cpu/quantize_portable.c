/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C is the definition itself. */
#include "kernels/cpu/quantize.h"
#include "kernels/ref/ref.h"

int cpu_quantize_row_portable(const float *x, uint32_t dim, int8_t *q, float *step)
{
	return ref_quantize_row(x, dim, q, step);
}

void cpu_to_half_portable(const float *x, size_t n, uint16_t *y)
{
	ref_to_half(x, n, y);
}

void cpu_from_half_portable(const uint16_t *x, size_t n, float *y)
{
	ref_from_half(x, n, y);
}
