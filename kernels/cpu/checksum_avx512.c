/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/isa.h"

#include <immintrin.h>

#define LANES 32u

/* Adds two products to each int32 lane; without saturation, so the sums wrap as they should. */
static inline __m512i step(__m512i sum, __m256i x, __m512i w)
{
	return _mm512_dpwssd_epi32(sum, _mm512_cvtepi8_epi16(x), w);
}

static inline __m512i whole_step(__m512i sum, const int8_t *x, const int16_t *w)
{
	return step(sum, _mm256_loadu_si256((const __m256i *)x), _mm512_loadu_si512(w));
}

uint32_t cpu_checksum_dot_avx512(const int8_t *x, const int16_t *w, size_t n)
{
	size_t pairs = n / (2 * LANES) * (2 * LANES), whole = n / LANES * LANES;
	__mmask32 rest = (__mmask32)((UINT64_C(1) << (n - whole)) - 1);
	__m512i a = _mm512_setzero_si512(), b = a;

	for (size_t i = 0; i < pairs; i += 2 * LANES) {
		a = whole_step(a, x + i, w + i);
		b = whole_step(b, x + i + LANES, w + i + LANES);
	}
	if (pairs < whole)
		a = whole_step(a, x + pairs, w + pairs);
	if (rest)
		b = step(b, _mm256_maskz_loadu_epi8(rest, x + whole),
			 _mm512_maskz_loadu_epi16(rest, w + whole));
	return (uint32_t)_mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}
