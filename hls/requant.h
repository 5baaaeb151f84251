/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requantisation of kernels/ops.h for the kernels of boards. Rounding is by what is left over
 * after the whole part, which a synthesis that reorders float sums could not spoil.
 */
#ifndef FACET_HLS_REQUANT_H
#define FACET_HLS_REQUANT_H

#include "hls/board.h"

/* What is the same for all channels. */
struct requant_args {
	uint32_t out; /* enum op_out */
	float s_r;
	int32_t z_r, z, lo, hi;
};

/* To nearest, ties to even; |t| <= 255. */
static inline int32_t requant_round(float t)
{
#pragma HLS INLINE
	int32_t whole = (int32_t)t;
	float rest = t - (float)whole; /* exact, of t's sign */
	bool odd = whole & 1;

	if (rest > 0.5f || (rest == 0.5f && odd))
		return whole + 1;
	if (rest < -0.5f || (rest == -0.5f && odd))
		return whole - 1;
	return whole;
}

/* t of kernels/ops.h; residual: present, and its value. */
static inline float requant_scale(const struct requant_args *q, int32_t acc, float s_pos,
				  float s_neg, bool residual, int8_t r)
{
#pragma HLS INLINE
	float t = (float)acc * (acc < 0 ? s_neg : s_pos);

	if (residual) {
		float term = (float)(r - q->z_r) * q->s_r;

		t = t + term;
	}
	return t;
}

static inline int8_t requant_clamp(const struct requant_args *q, float t)
{
#pragma HLS INLINE
	float low = (float)(q->lo - q->z), high = (float)(q->hi - q->z);

	if (!(t > low))
		t = low;
	if (!(t < high))
		t = high;
	return (int8_t)(requant_round(t) + q->z);
}

#endif
