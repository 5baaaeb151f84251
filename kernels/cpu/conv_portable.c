/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and GEMM for any processor: a GEMM is a convolution of 1 x 1 pixels, and weights are
 * packed as [16 channels] a product so that the innermost loop is a plain vector multiply-add.
 */
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/lanes.h"

#include <errno.h>
#include <string.h>

/* Packed: per group and per block of LANES output channels, LANES biases, then [k][LANES]. */
static size_t block_bytes(uint32_t k)
{
	return LANES * sizeof(int32_t) + (size_t)k * LANES;
}

static uint32_t blocks(uint32_t channels)
{
	return (channels + LANES - 1) / LANES;
}

static size_t packed_bytes(uint32_t groups, uint32_t per_group, uint32_t k)
{
	return (size_t)groups * blocks(per_group) * block_bytes(k);
}

static void pack(uint32_t groups, uint32_t per_group, uint32_t k, const int8_t *w,
		 const int32_t *bias, void *packed)
{
	memset(packed, 0, packed_bytes(groups, per_group, k));
	for (uint32_t o = 0; o < groups * per_group; o++) {
		uint32_t in_group = o % per_group, lane = in_group % LANES;
		size_t block = (size_t)(o / per_group) * blocks(per_group) + in_group / LANES;
		uint8_t *base = (uint8_t *)packed + block * block_bytes(k);
		int8_t *rows = (int8_t *)(base + LANES * sizeof(int32_t));

		((int32_t *)base)[lane] = bias[o];
		for (uint32_t i = 0; i < k; i++)
			rows[(size_t)i * LANES + lane] = w[(size_t)o * k + i];
	}
}

/* acc[lane] += x[i] * rows[i][lane]; without x, padding stands for each value. */
static const int8_t *multiply_add(lanes_i32 *acc, const int8_t *x, int32_t padding, uint32_t n,
				  const int8_t *rows)
{
	for (uint32_t i = 0; i < n; i++, rows += LANES) {
		lanes_i16 v = (lanes_i16){0} + (int16_t)(x ? x[i] : padding);

		lanes_multiply_add(acc, &v, rows);
	}
	return rows;
}

static void taps(const struct op_conv2d *p, const int8_t *x, int64_t iy, int64_t ix, lanes_i32 *acc,
		 const int8_t *rows)
{
	for (uint32_t ky = 0; ky < p->kh; ky++) {
		for (uint32_t kx = 0; kx < p->kw; kx++) {
			int64_t ty = iy + (int64_t)ky * p->dilation_h;
			int64_t tx = ix + (int64_t)kx * p->dilation_w;
			bool inside = ty >= 0 && ty < p->h && tx >= 0 && tx < p->w;

			rows = multiply_add(acc, inside ? x + (ty * p->w + tx) * p->c : NULL,
					    p->z_x, p->c / p->groups, rows);
		}
	}
}

static void pixel(const struct op_conv2d *p, const uint8_t *packed, const int8_t *image,
		  const int8_t *residual, void *y, size_t at, int64_t iy, int64_t ix)
{
	uint32_t channels = p->c / p->groups, per_group = p->oc / p->groups;
	uint32_t k = p->kh * p->kw * channels;
	lanes_i32 acc;

	for (uint32_t g = 0; g < p->groups; g++) {
		for (uint32_t o = 0; o < per_group; o += LANES, packed += block_bytes(k)) {
			uint32_t n = per_group - o < LANES ? per_group - o : LANES;

			uint32_t c = g * per_group + o;

			memcpy(&acc, packed, sizeof(acc));
			taps(p, image + (size_t)g * channels, iy, ix, &acc,
			     (const int8_t *)(packed + sizeof(acc)));
			lanes_store(&p->q, p->out, c, n, &acc, residual, y, at * p->oc + c);
		}
	}
}

size_t cpu_conv2d_packed_bytes_portable(const struct op_conv2d *p)
{
	if (op_conv2d_check(p))
		return 0;
	if (is_depthwise(p))
		return depthwise_packed_bytes_portable(p);
	return packed_bytes(p->groups, p->oc / p->groups, p->kh * p->kw * (p->c / p->groups));
}

int cpu_conv2d_pack_portable(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			     void *packed)
{
	int err = op_conv2d_check(p);
	uint32_t k = err ? 0 : p->kh * p->kw * (p->c / p->groups);

	if (!err)
		err = op_weights_check(w, bias, p->oc, k);
	if (err)
		return err;
	if (is_depthwise(p))
		depthwise_pack_portable(p, w, bias, packed);
	else
		pack(p->groups, p->oc / p->groups, k, w, bias, packed);
	return 0;
}

size_t cpu_conv2d_scratch_bytes_portable(const struct op_conv2d *p)
{
	(void)p;
	return 0;
}

int cpu_conv2d_portable(const struct op_conv2d *p, const void *packed, const int8_t *x,
			const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
			void *scratch)
{
	uint32_t oh = op_conv2d_oh(p), ow = op_conv2d_ow(p);

	(void)scratch;
	if (is_depthwise(p))
		return depthwise_portable(p, packed, x, residual, y, row_begin, row_end);
	if (row_begin > row_end || row_end > p->n * oh)
		return -EINVAL;
	for (uint32_t row = row_begin; row < row_end; row++) {
		const int8_t *image = x + (size_t)(row / oh) * p->h * p->w * p->c;

		for (uint32_t ox = 0; ox < ow; ox++)
			pixel(p, packed, image, residual, y, (size_t)row * ow + ox,
			      (int64_t)(row % oh) * p->stride_h - p->pad_top,
			      (int64_t)ox * p->stride_w - p->pad_left);
	}
	return 0;
}

size_t cpu_gemm_packed_bytes_portable(const struct op_gemm *p)
{
	return op_gemm_check(p) ? 0 : packed_bytes(1, p->n, p->k);
}

int cpu_gemm_pack_portable(const struct op_gemm *p, const int8_t *b, const int32_t *bias,
			   void *packed)
{
	int err = op_gemm_check(p);

	if (!err)
		err = op_weights_check(b, bias, p->n, p->k);
	if (!err)
		pack(1, p->n, p->k, b, bias, packed);
	return err;
}

size_t cpu_gemm_scratch_bytes_portable(const struct op_gemm *p)
{
	(void)p;
	return 0;
}

int cpu_gemm_portable(const struct op_gemm *p, const void *packed, const int8_t *a,
		      const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		      void *scratch)
{
	const struct op_conv2d row = {.n = 1,
				      .h = 1,
				      .w = 1,
				      .c = p->k,
				      .oc = p->n,
				      .kh = 1,
				      .kw = 1,
				      .groups = 1,
				      .stride_h = 1,
				      .stride_w = 1,
				      .dilation_h = 1,
				      .dilation_w = 1,
				      .out = p->out,
				      .q = p->q};

	(void)scratch;
	if (row_begin > row_end || row_end > p->m)
		return -EINVAL;
	for (size_t m = row_begin; m < row_end; m++)
		pixel(&row, packed, a + m * p->k, residual, y, m, 0, 0);
	return 0;
}
