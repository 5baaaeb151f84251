/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling over blocks of channels, so that a window's taps are read once and in order. */
#include "kernels/cpu/isa.h"
#include "kernels/requant.h"

#include <errno.h>
#include <string.h>

#define LANES 32u

struct window {
	const int8_t *x; /* first tap inside, first channel of the block */
	uint32_t rows, cols, channels;
};

static void clip(int64_t at, uint32_t k, uint32_t size, uint32_t *begin, uint32_t *count)
{
	int64_t end = at + k > size ? size : at + k;

	*begin = at < 0 ? 0 : (uint32_t)at;
	*count = (uint32_t)(end - *begin);
}

/* n is a constant for whole blocks, which lets the compiler use vectors. */
static inline void take_largest(int8_t *restrict best, const int8_t *restrict tap, uint32_t n)
{
	for (uint32_t c = 0; c < n; c++)
		best[c] = tap[c] > best[c] ? tap[c] : best[c];
}

static inline void add_tap(int32_t *restrict acc, const int8_t *restrict tap, uint32_t n)
{
	for (uint32_t c = 0; c < n; c++)
		acc[c] += tap[c];
}

static void largest(const struct op_pool2d *p, const struct window *win, int8_t *y)
{
	int8_t best[LANES];

	memset(best, -128, sizeof(best));
	for (uint32_t r = 0; r < win->rows; r++)
		for (uint32_t i = 0; i < win->cols; i++) {
			const int8_t *tap = win->x + ((size_t)r * p->w + i) * p->c;

			if (win->channels == LANES)
				take_largest(best, tap, LANES);
			else
				take_largest(best, tap, win->channels);
		}
	memcpy(y, best, win->channels);
}

static void average(const struct op_pool2d *p, const struct window *win, int8_t *y)
{
	uint32_t taps = win->rows * win->cols;
	float s = p->scale / (float)(p->divisor ? p->divisor : taps);
	int32_t acc[LANES] = {0};

	for (uint32_t r = 0; r < win->rows; r++)
		for (uint32_t i = 0; i < win->cols; i++) {
			const int8_t *tap = win->x + ((size_t)r * p->w + i) * p->c;

			if (win->channels == LANES)
				add_tap(acc, tap, LANES);
			else
				add_tap(acc, tap, win->channels);
		}
	for (uint32_t c = 0; c < win->channels; c++) {
		int32_t sum = acc[c] - (int32_t)taps * p->z_x;

		y[c] = requant_byte((float)sum * s, p->z, p->lo, p->hi);
	}
}

static void pixel(const struct op_pool2d *p, const int8_t *image, uint32_t oy, uint32_t ox,
		  int8_t *y)
{
	uint32_t iy, ix;
	struct window win;

	clip((int64_t)oy * p->stride_h - p->pad_top, p->kh, p->h, &iy, &win.rows);
	clip((int64_t)ox * p->stride_w - p->pad_left, p->kw, p->w, &ix, &win.cols);
	for (uint32_t c = 0; c < p->c; c += LANES) {
		win.x = image + ((size_t)iy * p->w + ix) * p->c + c;
		win.channels = p->c - c < LANES ? p->c - c : LANES;
		if (p->kind == OP_POOL_MAX)
			largest(p, &win, y + c);
		else
			average(p, &win, y + c);
	}
}

int cpu_pool2d_portable(const struct op_pool2d *p, const int8_t *x, int8_t *y, uint32_t row_begin,
			uint32_t row_end)
{
	int err = op_pool2d_check(p);
	uint32_t oh, ow;

	if (err)
		return err;
	oh = op_pool2d_oh(p);
	ow = op_pool2d_ow(p);
	if (row_begin > row_end || row_end > p->n * oh)
		return -EINVAL;
	for (uint32_t row = row_begin; row < row_end; row++) {
		const int8_t *image = x + (size_t)(row / oh) * p->h * p->w * p->c;

		for (uint32_t ox = 0; ox < ow; ox++)
			pixel(p, image, row % oh, ox, y + ((size_t)row * ow + ox) * p->c);
	}
	return 0;
}
