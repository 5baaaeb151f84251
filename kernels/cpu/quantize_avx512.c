/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/quantize.h"
#include "kernels/ops.h"

#include <errno.h>
#include <float.h>
#include <immintrin.h>

#define LANES 16u

/* The lanes of a row's last, partial vector are masked: zero, and never stored. */
static __mmask16 lanes_left(uint32_t left)
{
	return left < LANES ? (__mmask16)((1u << left) - 1) : 0xffff;
}

/* max|x|; false if an element is a NaN or an infinity */
static bool largest(const float *x, uint32_t dim, float *max)
{
	const __m512 finite = _mm512_set1_ps(FLT_MAX);
	__m512 sum = _mm512_setzero_ps();
	__mmask16 bad = 0;

	for (uint32_t i = 0; i < dim; i += LANES) {
		__m512 v = _mm512_abs_ps(_mm512_maskz_loadu_ps(lanes_left(dim - i), x + i));

		bad |= _mm512_cmp_ps_mask(v, finite, _CMP_NLE_UQ);
		sum = _mm512_max_ps(sum, v);
	}
	*max = _mm512_reduce_max_ps(sum);
	return !bad;
}

int cpu_quantize_row_avx512(const float *x, uint32_t dim, int8_t *q, float *step)
{
	float max;

	if (dim < 1 || dim > OP_DIM_MAX || !largest(x, dim, &max))
		return -EINVAL;
	*step = max / 127.0f;
	if (*step < FLT_MIN)
		return -EINVAL;
	for (uint32_t i = 0; i < dim; i += LANES) {
		__mmask16 lanes = lanes_left(dim - i);
		__m512 v =
			_mm512_div_ps(_mm512_maskz_loadu_ps(lanes, x + i), _mm512_set1_ps(*step));

		_mm512_mask_cvtepi32_storeu_epi8(q + i, lanes, _mm512_cvtps_epi32(v));
	}
	return 0;
}
