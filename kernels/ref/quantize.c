/* SPDX-License-Identifier: Apache-2.0 */
/* A float template becomes an int8 row: the definition. */
#include "kernels/ref/ref.h"

#include <errno.h>
#include <float.h>
#include <math.h>

int ref_quantize_row(const float *x, uint32_t dim, int8_t *q, float *step)
{
	float max = 0.0f;

	if (dim < 1 || dim > OP_DIM_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < dim; i++) {
		if (!isfinite(x[i]))
			return -EINVAL;
		max = fmaxf(max, fabsf(x[i]));
	}
	*step = max / 127.0f;
	if (*step < FLT_MIN)
		return -EINVAL;
	for (uint32_t i = 0; i < dim; i++)
		q[i] = (int8_t)rintf(x[i] / *step);
	return 0;
}

int op_quantize_row(const float *x, uint32_t dim, int8_t *q, float *step)
{
	return ref_quantize_row(x, dim, q, step);
}

float op_cosine_scale(const int8_t *q, uint32_t dim)
{
	int32_t sum = 0; /* at most 65,536 * 2^14 */

	for (uint32_t i = 0; i < dim; i++)
		sum += q[i] * q[i];
	return (float)(1.0 / sqrt((double)sum));
}
