/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolution for any processor, LANES channels at a time.
 * Packed: per block of LANES channels, LANES biases, then [tap][LANES] weights.
 */
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/lanes.h"

#include <errno.h>

static size_t block_bytes(const struct op_conv2d *p)
{
	return LANES * sizeof(int32_t) + (size_t)p->kh * p->kw * LANES;
}

size_t depthwise_packed_bytes_portable(const struct op_conv2d *p)
{
	return (p->c + LANES - 1) / LANES * block_bytes(p);
}

void depthwise_pack_portable(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			     void *packed)
{
	uint32_t taps = p->kh * p->kw;

	memset(packed, 0, depthwise_packed_bytes_portable(p));
	for (uint32_t c = 0; c < p->c; c++) {
		uint8_t *block = (uint8_t *)packed + c / LANES * block_bytes(p);
		int8_t *to = (int8_t *)block + LANES * sizeof(int32_t);

		((int32_t *)block)[c % LANES] = bias[c];
		for (uint32_t tap = 0; tap < taps; tap++)
			to[tap * LANES + c % LANES] = w[(size_t)c * taps + tap];
	}
}

/* LANES channels from c of one output pixel; (iy, ix) is its first tap's place. */
static void pixel(const struct op_conv2d *p, const uint8_t *block, const int8_t *image, int64_t iy,
		  int64_t ix, uint32_t c, lanes_i32 *acc)
{
	const int8_t *w = (const int8_t *)block + LANES * sizeof(int32_t);
	const lanes_i16 padding = (lanes_i16){0} + (int16_t)p->z_x;

	memcpy(acc, block, sizeof(*acc));
	for (uint32_t ky = 0; ky < p->kh; ky++) {
		int64_t ty = iy + (int64_t)ky * p->dilation_h, tx = ix;
		bool row = ty >= 0 && ty < p->h;

		for (uint32_t kx = 0; kx < p->kw; kx++, tx += p->dilation_w, w += LANES) {
			lanes_i16 x = padding;

			if (row && tx >= 0 && tx < p->w)
				lanes_load(image + ((size_t)ty * p->w + (size_t)tx) * p->c + c,
					   p->c - c, &x);
			lanes_multiply_add(acc, &x, w);
		}
	}
}

int depthwise_portable(const struct op_conv2d *p, const void *packed, const int8_t *x,
		       const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end)
{
	uint32_t oh = op_conv2d_oh(p), ow = op_conv2d_ow(p);

	if (row_begin > row_end || row_end > p->n * oh)
		return -EINVAL;
	for (size_t at = (size_t)row_begin * ow; at < (size_t)row_end * ow; at++) {
		const int8_t *image = x + at / ow / oh * p->h * p->w * p->c;
		int64_t iy = (int64_t)(at / ow % oh) * p->stride_h - p->pad_top;
		int64_t ix = (int64_t)(at % ow) * p->stride_w - p->pad_left;
		const uint8_t *block = packed;

		for (uint32_t c = 0; c < p->c; c += LANES, block += block_bytes(p)) {
			uint32_t n = p->c - c < LANES ? p->c - c : LANES;
			lanes_i32 acc;

			pixel(p, block, image, iy, ix, c, &acc);
			lanes_store(&p->q, p->out, c, n, &acc, residual, y, at * p->oc + c);
		}
	}
	return 0;
}
