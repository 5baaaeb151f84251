/* SPDX-License-Identifier: Apache-2.0 */
/* float <-> float16 (IEEE 754 binary16), nearest even, in integers: the definition. */
#include "kernels/ref/ref.h"

#include <string.h>

#define HALF_INFINITY 0x7c00u
#define HALF_QUIET    0x0200u

/* x >> n, rounded to nearest even; 1 <= n <= 31 */
static uint32_t shift_rne(uint32_t x, uint32_t n)
{
	uint32_t half = 1u << (n - 1);
	uint32_t rest = x & ((1u << n) - 1);
	uint32_t y = x >> n;

	return y + (rest > half || (rest == half && (y & 1)));
}

static uint16_t to_half(uint32_t bits)
{
	uint32_t sign = bits >> 16 & 0x8000u;
	uint32_t magnitude = bits & 0x7fffffffu;
	uint32_t exponent = magnitude >> 23; /* biased by 127; a half's 2^-14 is 113 */
	uint32_t half;

	if (magnitude > 0x7f800000u)
		half = HALF_INFINITY | HALF_QUIET | (magnitude >> 13 & 0x3ffu);
	else if (exponent >= 143)
		half = HALF_INFINITY;
	else if (exponent >= 113) /* a carry out of the mantissa rightly steps the exponent */
		half = shift_rne(magnitude - (112u << 23), 13);
	else if (exponent >= 102)
		half = shift_rne((magnitude & 0x7fffffu) | 0x800000u, 126 - exponent);
	else
		half = 0;
	return (uint16_t)(sign | half);
}

static uint32_t from_half(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
	uint32_t exponent = half >> 10 & 31u;
	uint32_t mantissa = half & 0x3ffu;

	if (exponent == 31)
		return sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0);
	if (exponent)
		return sign | (exponent + 112) << 23 | mantissa << 13;
	if (!mantissa)
		return sign;
	for (exponent = 113; !(mantissa & 0x400u); exponent--)
		mantissa <<= 1;
	return sign | exponent << 23 | (mantissa & 0x3ffu) << 13;
}

void ref_to_half(const float *x, size_t n, uint16_t *y)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, &x[i], sizeof(bits));
		y[i] = to_half(bits);
	}
}

void ref_from_half(const uint16_t *x, size_t n, float *y)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits = from_half(x[i]);

		memcpy(&y[i], &bits, sizeof(bits));
	}
}
