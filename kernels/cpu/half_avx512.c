/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/quantize.h"

#include <immintrin.h>

#define LANES	     16u
#define NEAREST_EVEN (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

static __mmask16 lanes_left(size_t left)
{
	return left < LANES ? (__mmask16)((1u << left) - 1) : 0xffff;
}

void cpu_to_half_avx512(const float *x, size_t n, uint16_t *y)
{
	for (size_t i = 0; i < n; i += LANES) {
		__mmask16 lanes = lanes_left(n - i);
		__m256i half = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(lanes, x + i), NEAREST_EVEN);

		_mm256_mask_storeu_epi16(y + i, lanes, half);
	}
}

void cpu_from_half_avx512(const uint16_t *x, size_t n, float *y)
{
	for (size_t i = 0; i < n; i += LANES) {
		__mmask16 lanes = lanes_left(n - i);

		_mm512_mask_storeu_ps(y + i, lanes,
				      _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, x + i)));
	}
}
