/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/isa.h"

#include <immintrin.h>

#define LANES 16u

/* Two products in int32 lanes: |x * w| <= 2^22, and the sums wrap as they should. */
static inline __m256i step(__m256i sum, const int8_t *x, const int16_t *w)
{
	__m256i x16 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)x));
	__m256i w16 = _mm256_loadu_si256((const __m256i *)w);

	return _mm256_add_epi32(sum, _mm256_madd_epi16(x16, w16));
}

uint32_t cpu_checksum_dot_avx2(const int8_t *x, const int16_t *w, size_t n)
{
	size_t pairs = n / (2 * LANES) * (2 * LANES), whole = n / LANES * LANES;
	__m256i a = _mm256_setzero_si256(), b = a;
	__m128i s;

	for (size_t i = 0; i < pairs; i += 2 * LANES) {
		a = step(a, x + i, w + i);
		b = step(b, x + i + LANES, w + i + LANES);
	}
	if (pairs < whole)
		a = step(a, x + pairs, w + pairs);
	a = _mm256_add_epi32(a, b);
	s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
	return (uint32_t)_mm_cvtsi128_si32(s) +
	       cpu_checksum_dot_portable(x + whole, w + whole, n - whole);
}
