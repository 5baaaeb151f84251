/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixteen channels side by side in the compiler's own vectors. Vectors go by pointer, since how
 * they are passed differs between instruction sets.
 */
#ifndef FACET_KERNELS_CPU_LANES_H
#define FACET_KERNELS_CPU_LANES_H

#include "kernels/ops.h"

#include <string.h>

#define LANES 16u

/* A copy of n <= LANES values; most often of all, which the compiler makes one move. */
#define LANES_COPY(to, from, n)                                                                    \
	do {                                                                                       \
		if ((n) >= LANES)                                                                  \
			memcpy(to, from, LANES * sizeof(*(from)));                                 \
		else                                                                               \
			memcpy(to, from, (n) * sizeof(*(from)));                                   \
	} while (0)

typedef int8_t lanes_i8 __attribute__((vector_size(LANES)));
typedef int16_t lanes_i16 __attribute__((vector_size(LANES * 2)));
typedef int32_t lanes_i32 __attribute__((vector_size(LANES * 4)));
typedef float lanes_f32 __attribute__((vector_size(LANES * 4)));

/* n <= LANES values, zero past them. */
static inline void lanes_load(const int8_t *x, uint32_t n, lanes_i16 *out)
{
	lanes_i8 v = {0};

	LANES_COPY(&v, x, n);
	*out = __builtin_convertvector(v, lanes_i16);
}

static inline void lanes_multiply_add(lanes_i32 *acc, const lanes_i16 *x, const int8_t *w)
{
	lanes_i16 v;

	lanes_load(w, LANES, &v);
	*acc += __builtin_convertvector(*x * v, lanes_i32); /* |product| <= 2^14 */
}

static inline void lanes_select(const lanes_i32 *mask, const lanes_f32 *yes, lanes_f32 *no)
{
	lanes_i32 v = (*mask & (lanes_i32)*yes) | (~*mask & (lanes_i32)*no);

	memcpy(no, &v, sizeof(v));
}

/* Clamp, round to nearest even, zero point. */
static inline void lanes_bytes(const struct op_requant *q, lanes_f32 *t, uint32_t n, int8_t *y)
{
	const lanes_f32 zero = {0};
	lanes_f32 low = zero + (float)(q->lo - q->z), high = zero + (float)(q->hi - q->z);
	const float magic = 12582912.0f; /* 1.5 * 2^23 */
	lanes_i32 mask = *t < low;
	lanes_i8 bytes;

	lanes_select(&mask, &low, t);
	mask = *t > high;
	lanes_select(&mask, &high, t);
	*t = (*t + magic) - magic;
	bytes = __builtin_convertvector(__builtin_convertvector(*t, lanes_i32) + q->z, lanes_i8);
	LANES_COPY(y, (const int8_t *)&bytes, n);
}

/* Accumulators of channels [c, c + n) to elements [at, at + n); residual may be NULL. */
static inline void lanes_store(const struct op_requant *q, enum op_out out, uint32_t c, uint32_t n,
			       const lanes_i32 *acc, const int8_t *residual, void *y, size_t at)
{
	lanes_f32 s = {0}, s_neg = {0}, t;
	lanes_i32 negative = *acc < 0;
	lanes_i16 r;

	if (out == OP_OUT_S32) {
		LANES_COPY((int32_t *)y + at, (const int32_t *)acc, n);
		return;
	}
	LANES_COPY(&s, q->s_pos + c, n);
	LANES_COPY(&s_neg, q->s_neg + c, n);
	lanes_select(&negative, &s_neg, &s);
	t = __builtin_convertvector(*acc, lanes_f32) * s;
	if (residual) {
		lanes_load(residual + at, n, &r);
		t = t + __builtin_convertvector(__builtin_convertvector(r, lanes_i32) - q->z_r,
						lanes_f32) *
				q->s_r;
	}
	if (out == OP_OUT_F32)
		LANES_COPY((float *)y + at, (const float *)&t, n);
	else
		lanes_bytes(q, &t, n, (int8_t *)y + at);
}

#endif
