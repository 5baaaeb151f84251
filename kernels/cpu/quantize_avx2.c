/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/quantize.h"
#include "kernels/ops.h"

#include <errno.h>
#include <float.h>
#include <immintrin.h>
#include <string.h>

#define LANES 8u

static uint32_t lanes_left(uint32_t left)
{
	return left < LANES ? left : LANES;
}

/* Up to 8 elements, zero after them. */
static __m256 load(const float *x, uint32_t lanes)
{
	float part[LANES] = {0};

	if (lanes == LANES)
		return _mm256_loadu_ps(x);
	memcpy(part, x, lanes * sizeof(*x));
	return _mm256_loadu_ps(part);
}

/* max|x|; false if an element is a NaN or an infinity */
static bool largest(const float *x, uint32_t dim, float *max)
{
	const __m256 finite = _mm256_set1_ps(FLT_MAX), sign = _mm256_set1_ps(-0.0f);
	__m256 sum = _mm256_setzero_ps(), bad = sum;
	float lanes[LANES];

	for (uint32_t i = 0; i < dim; i += LANES) {
		__m256 v = _mm256_andnot_ps(sign, load(x + i, lanes_left(dim - i)));

		bad = _mm256_or_ps(bad, _mm256_cmp_ps(v, finite, _CMP_NLE_UQ));
		sum = _mm256_max_ps(sum, v);
	}
	_mm256_storeu_ps(lanes, sum);
	*max = 0.0f;
	for (uint32_t i = 0; i < LANES; i++)
		*max = lanes[i] > *max ? lanes[i] : *max;
	return _mm256_movemask_ps(bad) == 0;
}

int cpu_quantize_row_avx2(const float *x, uint32_t dim, int8_t *q, float *step)
{
	float max;

	if (dim < 1 || dim > OP_DIM_MAX || !largest(x, dim, &max))
		return -EINVAL;
	*step = max / 127.0f;
	if (*step < FLT_MIN)
		return -EINVAL;
	for (uint32_t i = 0; i < dim; i += LANES) {
		uint32_t lanes = lanes_left(dim - i);
		__m256i v = _mm256_cvtps_epi32(
			_mm256_div_ps(load(x + i, lanes), _mm256_set1_ps(*step)));
		__m128i words =
			_mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
		int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));

		memcpy(q + i, &bytes, lanes);
	}
	return 0;
}
