/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/quantize.h"
#include "kernels/ref/ref.h"

#include <immintrin.h>

#define LANES 8u

void cpu_to_half_avx2(const float *x, size_t n, uint16_t *y)
{
	size_t whole = n / LANES * LANES;

	for (size_t i = 0; i < whole; i += LANES)
		_mm_storeu_si128((__m128i *)(y + i),
				 _mm256_cvtps_ph(_mm256_loadu_ps(x + i),
						 _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
	ref_to_half(x + whole, n - whole, y + whole);
}

void cpu_from_half_avx2(const uint16_t *x, size_t n, float *y)
{
	size_t whole = n / LANES * LANES;

	for (size_t i = 0; i < whole; i += LANES)
		_mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
	ref_from_half(x + whole, n - whole, y + whole);
}
