/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels are made for: the parameters of one board. HLS_BOARD names a header that
 * hls/package/board-header wrote from [kernels] of boards/<card>/board.ini; the arithmetic is the same
 * whatever they are, only how much of it happens in one clock.
 *
 *   HLS_CHANNELS      memory ports of one search kernel, 1 .. 16
 *   HLS_QUERIES       queries multiplied at once with what a port reads
 *   HLS_K             places of a query's k-queue; a larger k does not raise the limit
 *   HLS_PACKED        1: two int8 products in one multiplier of 27 x 18 bits
 *   HLS_PIXELS, HLS_COLUMNS, HLS_BLOCK
 *                     the array: output pixels, output channels, depth of a block of weights
 *   HLS_LANES         channels that depthwise takes at once
 *   HLS_LINE_PIXELS   pixels of the line buffer, HLS_TAPS taps of a depthwise window
 *   HLS_BURN_LANES    multiplier lanes of burn
 *   HLS_CLOCK_KHZ     clock of the kernels
 */
#ifndef FACET_HLS_BOARD_H
#define FACET_HLS_BOARD_H

#include HLS_BOARD
#include "boards/shell/kernels.h"
#include "kernels/ops.h"

#define HLS_STEP 4u /* products summed in one chain of multipliers, in one clock */

#if HLS_CHANNELS < 1 || HLS_CHANNELS > 16
#error "HLS_CHANNELS: 1 .. 16"
#endif
#if HLS_QUERIES < 2 || HLS_QUERIES > 64 || 64 % HLS_QUERIES
#error "HLS_QUERIES: 2, 4, 8, 16, 32, 64"
#endif
#if HLS_K < 1 || HLS_COLUMNS < 2 || HLS_COLUMNS % 2 || HLS_PIXELS < 1 || HLS_LANES < 1
#error "HLS_K, HLS_COLUMNS, HLS_PIXELS, HLS_LANES"
#endif
#if HLS_BLOCK < 4 || HLS_BLOCK % 4 || HLS_LINE_PIXELS < 1 || HLS_TAPS < 1 || HLS_BURN_LANES < 1
#error "HLS_BLOCK, HLS_LINE_PIXELS, HLS_TAPS, HLS_BURN_LANES"
#endif

/* A pragma whose words are macros. */
#define HLS_TEXT(words)	  _Pragma(#words)
#define HLS_PRAGMA(words) HLS_TEXT(words)

#define HLS_JOIN_(a, b) a##b
#define HLS_JOIN(a, b)	HLS_JOIN_(a, b)

/* X(0) X(1) .. X(HLS_CHANNELS - 1): C has no lists of ports. */
#define HLS_EACH_1(X)  X(0)
#define HLS_EACH_2(X)  HLS_EACH_1(X) X(1)
#define HLS_EACH_3(X)  HLS_EACH_2(X) X(2)
#define HLS_EACH_4(X)  HLS_EACH_3(X) X(3)
#define HLS_EACH_5(X)  HLS_EACH_4(X) X(4)
#define HLS_EACH_6(X)  HLS_EACH_5(X) X(5)
#define HLS_EACH_7(X)  HLS_EACH_6(X) X(6)
#define HLS_EACH_8(X)  HLS_EACH_7(X) X(7)
#define HLS_EACH_9(X)  HLS_EACH_8(X) X(8)
#define HLS_EACH_10(X) HLS_EACH_9(X) X(9)
#define HLS_EACH_11(X) HLS_EACH_10(X) X(10)
#define HLS_EACH_12(X) HLS_EACH_11(X) X(11)
#define HLS_EACH_13(X) HLS_EACH_12(X) X(12)
#define HLS_EACH_14(X) HLS_EACH_13(X) X(13)
#define HLS_EACH_15(X) HLS_EACH_14(X) X(14)
#define HLS_EACH_16(X) HLS_EACH_15(X) X(15)
#define HLS_EACH(X)    HLS_JOIN(HLS_EACH_, HLS_CHANNELS)(X)

/* One line of a tile: what a port of 512 bits reads in one clock. */
struct hls_line {
	uint8_t byte[64];
};

static inline float hls_float(uint32_t bits)
{
	union {
		uint32_t bits;
		float value;
	} u;

	u.bits = bits;
	return u.value;
}

static inline uint32_t hls_bits(float value)
{
	union {
		uint32_t bits;
		float value;
	} u;

	u.value = value;
	return u.bits;
}

#endif
