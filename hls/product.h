/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and matrix product, as boards/shell/kernels.h has them. A matrix product is a
 * convolution of 1 x 1 over m pixels.
 *
 * dense: an array of HLS_PIXELS x HLS_COLUMNS accumulators that stay where they are (output
 * stationary); in each clock HLS_STEP inputs of every pixel meet HLS_STEP weights of every column.
 * The inputs of the pixels are gathered once, whole; weights come in blocks of HLS_BLOCK, the next one
 * while one is at work. Groups are products of their own.
 * depthwise: HLS_LANES channels at once over a line buffer that holds as many rows as a window is
 * high; each input is read once. What does not fit the buffer goes through the array.
 *
 * Arguments have been checked by whoever rang, the sums of weights too.
 */
#ifndef FACET_HLS_PRODUCT_H
#define FACET_HLS_PRODUCT_H

#include "hls/requant.h"

/* The words of struct shell_conv2d, and what follows from them. */
struct product_shape {
	uint32_t n, h, w, c;
	uint32_t oc, kh, kw, groups;
	uint32_t stride_h, stride_w, dilation_h, dilation_w;
	uint32_t pad_top, pad_left, pad_bottom, pad_right;
	int32_t z_x;
	struct requant_args q;
	uint32_t oh, ow;
	uint32_t group_c, group_oc, k;
};

/* Operands, by their place in memory; absent ones are NULL. */
struct product_memory {
	uint8_t *y;
	uint32_t *chk;
	const int8_t *x, *residual, *weights;
	const int32_t *bias;
	const float *s_pos, *s_neg;
};

/* args: the shell's structure, as words. */
void product_open_conv2d(struct product_shape *s, const uint32_t *args);
void product_open_gemm(struct product_shape *s, const uint32_t *args);
/* Output rows [begin, end) of n * oh (of m). */
void product_rows(const struct product_shape *s, const struct product_memory *m, uint32_t begin,
		  uint32_t end);

/* The kernels. */
void facet_conv2d(const uint32_t *args, uint8_t *y, uint32_t *chk, const int8_t *x,
		  const int8_t *residual, const int8_t *weights, const int32_t *bias,
		  const float *s_pos, const float *s_neg);
void facet_gemm(const uint32_t *args, uint8_t *y, uint32_t *chk, const int8_t *a,
		const int8_t *residual, const int8_t *b, const int32_t *bias, const float *s_pos,
		const float *s_neg);

/* ---- internal to hls/ ---- */
void dense_rows(const struct product_shape *s, const struct product_memory *m, uint64_t begin,
		uint64_t end); /* of pixels */
bool depthwise_fits(const struct product_shape *s);
void depthwise_rows(const struct product_shape *s, const struct product_memory *m, uint32_t begin,
		    uint32_t end);

/* One accumulator of one channel to output i. */
static inline void product_store(const struct product_shape *s, const struct product_memory *m,
				 uint32_t channel, int32_t acc, uint64_t i)
{
#pragma HLS INLINE
	uint32_t word = (uint32_t)acc;

	if (s->q.out != OP_OUT_S32) {
		float t = requant_scale(&s->q, acc, m->s_pos[channel], m->s_neg[channel],
					m->residual, m->residual ? m->residual[i] : 0);

		if (s->q.out == OP_OUT_S8) {
			m->y[i] = (uint8_t)requant_clamp(&s->q, t);
			return;
		}
		word = hls_bits(t);
	}
	for (uint32_t b = 0; b < 4; b++)
		m->y[i * 4 + b] = (uint8_t)(word >> b * 8);
}

#endif
