/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"
#include "kernels/requant.h"

/* The taps of one window that lie inside the input. */
struct window {
	uint32_t y0, y1, x0, x1;
};

static uint32_t clip(int64_t v, uint32_t size)
{
	return v < 0 ? 0 : v > size ? size : (uint32_t)v;
}

static struct window window(const struct op_pool2d *p, uint32_t oy, uint32_t ox)
{
	int64_t y = (int64_t)oy * p->stride_h - p->pad_top;
	int64_t x = (int64_t)ox * p->stride_w - p->pad_left;

	return (struct window){clip(y, p->h), clip(y + p->kh, p->h), clip(x, p->w),
			       clip(x + p->kw, p->w)};
}

static int8_t largest(const struct op_pool2d *p, const int8_t *x, const struct window *win)
{
	int8_t best = -128;

	for (uint32_t iy = win->y0; iy < win->y1; iy++)
		for (uint32_t ix = win->x0; ix < win->x1; ix++) {
			int8_t v = x[((size_t)iy * p->w + ix) * p->c];

			best = v > best ? v : best;
		}
	return best;
}

static int8_t average(const struct op_pool2d *p, const int8_t *x, const struct window *win)
{
	uint32_t taps = (win->y1 - win->y0) * (win->x1 - win->x0);
	float s = p->scale / (float)(p->divisor ? p->divisor : taps);
	int32_t acc = 0;

	for (uint32_t iy = win->y0; iy < win->y1; iy++)
		for (uint32_t ix = win->x0; ix < win->x1; ix++)
			acc += x[((size_t)iy * p->w + ix) * p->c] - p->z_x;
	return requant_byte((float)acc * s, p->z, p->lo, p->hi);
}

int ref_pool2d(const struct op_pool2d *p, const int8_t *x, int8_t *y)
{
	int err = op_pool2d_check(p);
	uint32_t oh, ow;

	if (err)
		return err;
	oh = op_pool2d_oh(p);
	ow = op_pool2d_ow(p);
	for (size_t at = 0; at < (size_t)p->n * oh * ow; at++) {
		struct window win = window(p, (uint32_t)(at / ow % oh), (uint32_t)(at % ow));
		const int8_t *image = x + at / ow / oh * p->h * p->w * p->c;

		for (uint32_t c = 0; c < p->c; c++)
			y[at * p->c + c] = p->kind == OP_POOL_MAX ? largest(p, image + c, &win)
								  : average(p, image + c, &win);
	}
	return 0;
}
