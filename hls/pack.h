/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sums of HLS_STEP products each with one factor in common, so that a multiplier of 27 x 18 bits
 * (DSP48E2) does two at a time: x0 lies in the low, x1 above 18 bits. The chain adds whole words;
 * they are taken apart after it. |sum of 4 products of int8| <= 2^16 fits the low 18 bits.
 */
#ifndef FACET_HLS_PACK_H
#define FACET_HLS_PACK_H

#include "hls/board.h"

#define PACK_BITS 18

static inline int32_t pack_two(int8_t x0, int8_t x1)
{
	return (int32_t)x1 * (1 << PACK_BITS) + x0;
}

/* The low sum, with its sign. */
static inline int32_t pack_low(int64_t chain)
{
	const int32_t half = 1 << (PACK_BITS - 1), mask = (1 << PACK_BITS) - 1;

	return (int32_t)((chain & mask) ^ half) - half;
}

/* What lies above it, once the low one's borrow is taken back. */
static inline int32_t pack_high(int64_t chain)
{
	return (int32_t)((chain - pack_low(chain)) >> PACK_BITS);
}

#endif
