/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"
#include "kernels/requant.h"

/* One output value's sum; (iy, ix) is the first tap's place, which may lie in the padding. */
static int32_t dot(const struct op_conv2d *p, const int8_t *x, const int8_t *w, int32_t bias,
		   int64_t iy, int64_t ix)
{
	uint32_t channels = p->c / p->groups;
	int32_t acc = bias;

	for (uint32_t ky = 0; ky < p->kh; ky++) {
		for (uint32_t kx = 0; kx < p->kw; kx++) {
			int64_t ty = iy + (int64_t)ky * p->dilation_h;
			int64_t tx = ix + (int64_t)kx * p->dilation_w;
			bool inside = ty >= 0 && ty < p->h && tx >= 0 && tx < p->w;
			const int8_t *tap = inside ? x + (ty * p->w + tx) * p->c : NULL;

			for (uint32_t c = 0; c < channels; c++)
				acc += (tap ? tap[c] : p->z_x) * *w++;
		}
	}
	return acc;
}

static void pixel(const struct op_conv2d *p, const int8_t *image, const int8_t *w,
		  const int32_t *bias, const int8_t *residual, void *y, size_t at, int64_t iy,
		  int64_t ix)
{
	uint32_t channels = p->c / p->groups, per_group = p->oc / p->groups;
	size_t k = (size_t)p->kh * p->kw * channels;

	for (uint32_t o = 0; o < p->oc; o++) {
		const int8_t *x = image + (size_t)(o / per_group) * channels;
		int32_t acc = dot(p, x, w + o * k, bias[o], iy, ix);

		requant_store(&p->q, p->out, o, acc, residual, y, at * p->oc + o);
	}
}

int ref_conv2d(const struct op_conv2d *p, const int8_t *x, const int8_t *w, const int32_t *bias,
	       const int8_t *residual, void *y)
{
	int err = op_conv2d_check(p);
	uint32_t oh, ow;

	if (!err)
		err = op_weights_check(w, bias, p->oc, p->kh * p->kw * (p->c / p->groups));
	if (err)
		return err;
	oh = op_conv2d_oh(p);
	ow = op_conv2d_ow(p);
	for (size_t at = 0; at < (size_t)p->n * oh * ow; at++) {
		size_t ox = at % ow, oy = at / ow % oh, n = at / ow / oh;

		pixel(p, x + n * p->h * p->w * p->c, w, bias, residual, y, at,
		      (int64_t)oy * p->stride_h - p->pad_top,
		      (int64_t)ox * p->stride_w - p->pad_left);
	}
	return 0;
}
