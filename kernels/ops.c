/* SPDX-License-Identifier: Apache-2.0 */
/* Which parameters of an op are legal. All products are taken in 64 bits, extents being <= 2^16. */
#include "kernels/ops.h"

#include <errno.h>

/* A bias within OP_BIAS_MAX is safe with any weights, since the longest sum stays in its half. */
_Static_assert((int64_t)OP_BIAS_MAX + 128 * 128 * (int64_t)OP_K_MAX < (int64_t)1 << 31,
	       "the worst accumulator must fit int32");

static bool extent_ok(uint64_t v)
{
	return v >= 1 && v <= OP_DIM_MAX;
}

static bool elements_ok(uint64_t a, uint64_t b)
{
	return a >= 1 && b >= 1 && a <= OP_ELEMENTS_MAX && b <= OP_ELEMENTS_MAX / a;
}

/* Four extents of at most 2^18 each multiply to no more than 2^72, so two at a time. */
static bool tensor_ok(uint64_t n, uint64_t h, uint64_t w, uint64_t c)
{
	return elements_ok(n, h) && elements_ok(n * h, w) && elements_ok(n * h * w, c);
}

static bool byte_ok(int32_t v)
{
	return v >= -128 && v <= 127;
}

static bool clamp_ok(int32_t z, int32_t lo, int32_t hi)
{
	return byte_ok(z) && byte_ok(lo) && byte_ok(hi) && lo <= hi;
}

/* 0 or 2^-100 <= |s| <= 2^60; a NaN fails both comparisons. */
static bool scale_ok(float s)
{
	float m = s < 0 ? -s : s;

	return m == 0 || (m >= 0x1p-100f && m <= 0x1p60f);
}

int op_requant_check(const struct op_requant *q, uint32_t channels, enum op_out out)
{
	if (out == OP_OUT_S32)
		return 0;
	if (out != OP_OUT_S8 && out != OP_OUT_F32)
		return -EINVAL;
	if (!q->s_pos || !q->s_neg || !scale_ok(q->s_r) || !byte_ok(q->z_r))
		return -EINVAL;
	if (out == OP_OUT_S8 && !clamp_ok(q->z, q->lo, q->hi))
		return -EINVAL;
	for (uint32_t c = 0; c < channels; c++)
		if (!scale_ok(q->s_pos[c]) || q->s_pos[c] < 0 || !scale_ok(q->s_neg[c]))
			return -EINVAL;
	return 0;
}

int op_weights_check(const int8_t *w, const int32_t *bias, uint32_t rows, uint32_t k)
{
	/* The weights need no look: see the assertion above. */
	(void)w;
	if (!elements_ok(rows, k) || k > OP_K_MAX)
		return -EINVAL;
	for (uint32_t r = 0; r < rows; r++)
		if (bias[r] > OP_BIAS_MAX || bias[r] < -OP_BIAS_MAX)
			return -EOVERFLOW;
	return 0;
}

/* ---- sliding windows --------------------------------------------------------------------- */

/* Extent of a window of k taps. */
static uint64_t reach(uint32_t k, uint32_t dilation)
{
	return ((uint64_t)k - 1) * dilation + 1;
}

/* Output extent, or 0 where the window is larger than the padded input. */
static uint32_t windows(uint32_t size, uint32_t before, uint32_t after, uint64_t window,
			uint32_t stride)
{
	uint64_t padded = (uint64_t)size + before + after;

	return padded < window ? 0 : (uint32_t)((padded - window) / stride + 1);
}

uint32_t op_conv2d_oh(const struct op_conv2d *p)
{
	return windows(p->h, p->pad_top, p->pad_bottom, reach(p->kh, p->dilation_h), p->stride_h);
}

uint32_t op_conv2d_ow(const struct op_conv2d *p)
{
	return windows(p->w, p->pad_left, p->pad_right, reach(p->kw, p->dilation_w), p->stride_w);
}

static bool conv2d_extents_ok(const struct op_conv2d *p)
{
	const uint32_t positive[] = {p->n,	  p->h,	       p->w,	      p->c,
				     p->oc,	  p->kh,       p->kw,	      p->groups,
				     p->stride_h, p->stride_w, p->dilation_h, p->dilation_w};
	const uint32_t pads[] = {p->pad_top, p->pad_left, p->pad_bottom, p->pad_right};

	for (size_t i = 0; i < sizeof(positive) / sizeof(positive[0]); i++)
		if (!extent_ok(positive[i]))
			return false;
	for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++)
		if (pads[i] > OP_DIM_MAX)
			return false;
	return true;
}

int op_conv2d_check(const struct op_conv2d *p)
{
	uint64_t k;

	if (!conv2d_extents_ok(p) || p->c % p->groups || p->oc % p->groups || !byte_ok(p->z_x))
		return -EINVAL;
	k = (uint64_t)p->kh * p->kw;
	if (k > OP_K_MAX || k * (p->c / p->groups) > OP_K_MAX)
		return -EINVAL;
	if (!elements_ok(k * (p->c / p->groups), p->oc))
		return -EINVAL;
	/* The padded input is bounded too, since a kernel may make a copy of it. */
	if (!tensor_ok(p->n, (uint64_t)p->h + p->pad_top + p->pad_bottom,
		       (uint64_t)p->w + p->pad_left + p->pad_right, p->c))
		return -EINVAL;
	if (!extent_ok(op_conv2d_oh(p)) || !extent_ok(op_conv2d_ow(p)) ||
	    !tensor_ok(p->n, op_conv2d_oh(p), op_conv2d_ow(p), p->oc))
		return -EINVAL;
	return op_requant_check(&p->q, p->oc, p->out);
}

int op_gemm_check(const struct op_gemm *p)
{
	if (!extent_ok(p->n) || !extent_ok(p->k) || p->k > OP_K_MAX)
		return -EINVAL;
	if (!elements_ok(p->m, p->k) || !elements_ok(p->m, p->n) || !elements_ok(p->n, p->k))
		return -EINVAL;
	return op_requant_check(&p->q, p->n, p->out);
}

uint32_t op_pool2d_oh(const struct op_pool2d *p)
{
	return windows(p->h, p->pad_top, p->pad_bottom, p->kh, p->stride_h);
}

uint32_t op_pool2d_ow(const struct op_pool2d *p)
{
	return windows(p->w, p->pad_left, p->pad_right, p->kw, p->stride_w);
}

/* Every window touches the input if the first and the last do. */
static bool covers(uint32_t size, uint32_t before, uint32_t k, uint32_t stride, uint32_t out)
{
	return out >= 1 && before < k && (uint64_t)(out - 1) * stride < (uint64_t)size + before;
}

int op_pool2d_check(const struct op_pool2d *p)
{
	const uint32_t positive[] = {p->n,  p->h,  p->w,	p->c,
				     p->kh, p->kw, p->stride_h, p->stride_w};
	uint32_t oh, ow;

	for (size_t i = 0; i < sizeof(positive) / sizeof(positive[0]); i++)
		if (!extent_ok(positive[i]))
			return -EINVAL;
	if (p->pad_bottom > OP_DIM_MAX || p->pad_right > OP_DIM_MAX || p->pad_top > OP_DIM_MAX ||
	    p->pad_left > OP_DIM_MAX || (uint64_t)p->kh * p->kw > OP_K_MAX)
		return -EINVAL;
	oh = op_pool2d_oh(p);
	ow = op_pool2d_ow(p);
	if (!covers(p->h, p->pad_top, p->kh, p->stride_h, oh) ||
	    !covers(p->w, p->pad_left, p->kw, p->stride_w, ow))
		return -EINVAL;
	if (!tensor_ok(p->n, p->h, p->w, p->c) || !tensor_ok(p->n, oh, ow, p->c))
		return -EINVAL;
	if (p->kind == OP_POOL_MAX)
		return 0;
	if (p->kind != OP_POOL_AVG || p->divisor > OP_K_MAX || !scale_ok(p->scale) ||
	    p->scale < 0 || !byte_ok(p->z_x) || !clamp_ok(p->z, p->lo, p->hi))
		return -EINVAL;
	return 0;
}

/* ---- pointwise and float ----------------------------------------------------------------- */

int op_add_check(const struct op_add *p)
{
	if (!elements_ok(p->count, 1) || !scale_ok(p->s_a) || !scale_ok(p->s_b) ||
	    !byte_ok(p->z_a) || !byte_ok(p->z_b) || !clamp_ok(p->z, p->lo, p->hi))
		return -EINVAL;
	return 0;
}

int op_table_check(const struct op_table *p)
{
	return extent_ok(p->c) && elements_ok(p->pixels, p->c) ? 0 : -EINVAL;
}

int op_concat_check(const struct op_concat *p)
{
	uint64_t c = 0;

	if (p->inputs < 1 || p->inputs > OP_CONCAT_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < p->inputs; i++) {
		if (!extent_ok(p->c[i]))
			return -EINVAL;
		c += p->c[i];
	}
	return extent_ok(c) && elements_ok(p->pixels, c) ? 0 : -EINVAL;
}

int op_float_check(const struct op_float *p)
{
	if ((unsigned int)p->kind >= OP_FLOAT_KINDS || !elements_ok(p->rows, p->cols))
		return -EINVAL;
	if (p->kind <= OP_FLOAT_DIV && (unsigned int)p->b > OP_B_SCALAR)
		return -EINVAL;
	return 0;
}

int op_dequantize_check(const struct op_dequantize *p)
{
	if (!elements_ok(p->count, 1) || !scale_ok(p->scale) || !byte_ok(p->z))
		return -EINVAL;
	return 0;
}
