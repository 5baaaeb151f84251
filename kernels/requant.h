/* SPDX-License-Identifier: Apache-2.0 */
/* The requantisation of kernels/ops.h, one value at a time. Internal to kernels/. */
#ifndef FACET_KERNELS_REQUANT_H
#define FACET_KERNELS_REQUANT_H

#include "kernels/ops.h"

/*
 * Round to nearest, ties to even, for |t| <= 2^22: adding 1.5 * 2^23 leaves no bit below one, and
 * the addition itself rounds as wanted.
 */
static inline float requant_rne(float t)
{
	const float magic = 12582912.0f;

	return (t + magic) - magic;
}

/* Clamp, round, add the zero point. */
static inline int8_t requant_byte(float t, int32_t z, int32_t lo, int32_t hi)
{
	float low = (float)(lo - z), high = (float)(hi - z);

	t = t > low ? t : low;
	t = t < high ? t : high;
	return (int8_t)((int32_t)requant_rne(t) + z);
}

/* One accumulator of channel c into y[i]; residual, of the same shape as y, may be NULL. */
static inline void requant_store(const struct op_requant *q, enum op_out out, uint32_t c,
				 int32_t acc, const int8_t *residual, void *y, size_t i)
{
	float t;

	if (out == OP_OUT_S32) {
		((int32_t *)y)[i] = acc;
		return;
	}
	t = (float)acc * (acc < 0 ? q->s_neg[c] : q->s_pos[c]);
	if (residual)
		t = t + (float)(residual[i] - q->z_r) * q->s_r;
	if (out == OP_OUT_F32)
		((float *)y)[i] = t;
	else
		((int8_t *)y)[i] = requant_byte(t, q->z, q->lo, q->hi);
}

#endif
