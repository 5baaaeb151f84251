/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums of products from their inputs. A GEMM is a convolution of m images of one pixel.
 *
 * A weight's sum over up to 65,536 channels takes 24 bits; it is kept as 65536 * high + low, both
 * int16, and high is left out where it is zero everywhere, as it is in most layers.
 */
#include <stdbool.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/isa.h"

/* uint32_t bias, wide, tap[kh * kw]; int16_t low[taps], high[taps] */
struct sums {
	uint32_t bias, wide;
	uint32_t tap[]; /* of one tap, over all channels: what a padded one counts a unit of z_x */
};

struct view {
	const struct cpu_kernels *kernels;
	const struct op_conv2d *p;
	const struct sums *sums;
	const int16_t *low, *high; /* [kh][kw][c] */
};

static size_t taps_of(const struct op_conv2d *p)
{
	return (size_t)p->kh * p->kw * p->c;
}

size_t cpu_conv2d_checksum_bytes(const struct op_conv2d *p)
{
	return sizeof(struct sums) + (size_t)p->kh * p->kw * 4 + taps_of(p) * 4;
}

static int32_t weight_sum(const struct op_conv2d *p, const int8_t *w, size_t tap, uint32_t c)
{
	uint32_t channels = p->c / p->groups, per_group = p->oc / p->groups;
	size_t k = (size_t)p->kh * p->kw * channels;
	const int8_t *of =
		w + (size_t)(c / channels) * per_group * k + tap * channels + c % channels;
	int32_t sum = 0;

	for (uint32_t o = 0; o < per_group; o++)
		sum += of[o * k];
	return sum;
}

void cpu_conv2d_checksum_pack(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			      void *packed)
{
	struct sums *sums = packed;
	size_t taps = (size_t)p->kh * p->kw;
	int16_t *low = (int16_t *)(sums->tap + taps), *high = low + taps_of(p);

	sums->bias = sums->wide = 0;
	for (uint32_t o = 0; o < p->oc; o++)
		sums->bias += (uint32_t)bias[o];
	for (size_t t = 0; t < taps; t++) {
		sums->tap[t] = 0;
		for (uint32_t c = 0; c < p->c; c++) {
			int32_t sum = weight_sum(p, w, t, c);
			size_t at = t * p->c + c;

			low[at] = (int16_t)sum;
			high[at] = (int16_t)((sum - low[at]) / 65536);
			sums->wide |= high[at] != 0;
			sums->tap[t] += (uint32_t)sum;
		}
	}
}

static uint32_t dot(const struct view *v, const int8_t *x, size_t at, size_t n)
{
	uint32_t sum = v->kernels->checksum_dot(x, v->low + at, n);

	return v->sums->wide ? sum + 65536 * v->kernels->checksum_dot(x, v->high + at, n) : sum;
}

/* One row of taps; (ty, ix) is where the first of them lies, inside or not. */
static uint32_t tap_row(const struct view *v, const int8_t *image, uint32_t ky, int64_t ty,
			int64_t ix)
{
	const struct op_conv2d *p = v->p;
	bool inside = ty >= 0 && ty < p->h;
	uint32_t sum = 0;

	if (inside && p->dilation_w == 1 && ix >= 0 && ix + p->kw <= p->w)
		return dot(v, image + ((size_t)ty * p->w + (size_t)ix) * p->c,
			   (size_t)ky * p->kw * p->c, (size_t)p->kw * p->c);
	for (uint32_t kx = 0; kx < p->kw; kx++) {
		int64_t tx = ix + (int64_t)kx * p->dilation_w;
		size_t tap = (size_t)ky * p->kw + kx;

		if (inside && tx >= 0 && tx < p->w)
			sum += dot(v, image + ((size_t)ty * p->w + (size_t)tx) * p->c, tap * p->c,
				   p->c);
		else
			sum += (uint32_t)p->z_x * v->sums->tap[tap];
	}
	return sum;
}

void cpu_conv2d_checksum(const struct cpu_kernels *kernels, const struct op_conv2d *p,
			 const void *packed, const int8_t *x, uint32_t *chk, uint32_t row_begin,
			 uint32_t row_end)
{
	const struct sums *sums = packed;
	const int16_t *low = (const int16_t *)(sums->tap + (size_t)p->kh * p->kw);
	struct view v = {kernels, p, sums, low, low + taps_of(p)};
	uint32_t oh = op_conv2d_oh(p), ow = op_conv2d_ow(p);

	for (uint32_t row = row_begin; row < row_end; row++) {
		const int8_t *image = x + (size_t)(row / oh) * p->h * p->w * p->c;
		int64_t iy = (int64_t)(row % oh) * p->stride_h - p->pad_top;

		for (uint32_t ox = 0; ox < ow; ox++) {
			int64_t ix = (int64_t)ox * p->stride_w - p->pad_left;
			uint32_t sum = sums->bias;

			for (uint32_t ky = 0; ky < p->kh; ky++)
				sum += tap_row(&v, image, ky, iy + (int64_t)ky * p->dilation_h, ix);
			chk[(size_t)row * ow + ox] = sum;
		}
	}
}

static struct op_conv2d gemm_as_conv2d(const struct op_gemm *p)
{
	return (struct op_conv2d){.n = p->m,
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
				  .dilation_w = 1};
}

size_t cpu_gemm_checksum_bytes(const struct op_gemm *p)
{
	struct op_conv2d conv = gemm_as_conv2d(p);

	return cpu_conv2d_checksum_bytes(&conv);
}

void cpu_gemm_checksum_pack(const struct op_gemm *p, const int8_t *b, const int32_t *bias,
			    void *packed)
{
	struct op_conv2d conv = gemm_as_conv2d(p);

	cpu_conv2d_checksum_pack(&conv, b, bias, packed);
}

void cpu_gemm_checksum(const struct cpu_kernels *kernels, const struct op_gemm *p,
		       const void *packed, const int8_t *a, uint32_t *chk, uint32_t row_begin,
		       uint32_t row_end)
{
	struct op_conv2d conv = gemm_as_conv2d(p);

	cpu_conv2d_checksum(kernels, &conv, packed, a, chk, row_begin, row_end);
}

uint32_t cpu_checksum_dot_portable(const int8_t *x, const int16_t *w, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)(x[i] * w[i]);
	return sum;
}
