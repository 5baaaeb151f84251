/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution in float: panels of 16 output pixels, gathered and multiplied; depthwise directly. */
#include "host/compile/execute.h"
#include "host/compile/execute_gemm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct conv {
	const struct graph_window *w;
	int64_t h, wd, oh, ow;
	size_t channels, outs; /* of one group */
};

/* What 16 output pixels from `first` see of one group's input: [channels][kh][kw][16]. */
static void gather(const struct conv *c, const float *x, int64_t first, int64_t columns,
		   float *panel)
{
	const struct graph_window *w = c->w;
	int64_t iy[EXECUTE_PANEL], ix[EXECUTE_PANEL];

	for (int64_t i = 0; i < columns; i++) {
		iy[i] = (first + i) / c->ow * w->stride_h - w->pad_top;
		ix[i] = (first + i) % c->ow * w->stride_w - w->pad_left;
	}
	for (size_t ch = 0; ch < c->channels; ch++, x += c->h * c->wd)
		for (uint32_t ky = 0; ky < w->kh; ky++)
			for (uint32_t kx = 0; kx < w->kw; kx++, panel += EXECUTE_PANEL)
				for (int64_t i = 0; i < columns; i++) {
					int64_t ty = iy[i] + (int64_t)ky * w->dilation_h;
					int64_t tx = ix[i] + (int64_t)kx * w->dilation_w;

					panel[i] = ty >= 0 && ty < c->h && tx >= 0 && tx < c->wd
							   ? x[ty * c->wd + tx]
							   : 0;
				}
}

static bool is_pointwise(const struct graph_window *w)
{
	return w->kh == 1 && w->kw == 1 && w->stride_h == 1 && w->stride_w == 1 && !w->pad_top &&
	       !w->pad_left && !w->pad_bottom && !w->pad_right;
}

static void conv_group(const struct conv *c, const float *x, const float *w, const float *start,
		       float *panel, float *y)
{
	execute_gemm_fn *gemm = execute_gemm_best();
	int64_t pixels = c->oh * c->ow;
	size_t k = c->channels * c->w->kh * c->w->kw;

	for (int64_t first = 0; first < pixels; first += EXECUTE_PANEL) {
		int64_t columns = pixels - first < EXECUTE_PANEL ? pixels - first : EXECUTE_PANEL;

		if (is_pointwise(c->w))
			for (size_t ch = 0; ch < c->channels; ch++)
				memcpy(panel + ch * EXECUTE_PANEL, x + (int64_t)ch * pixels + first,
				       (size_t)columns * sizeof(float));
		else
			gather(c, x, first, columns, panel);
		gemm(w, k, start, (uint32_t)c->outs, panel, y + first, (size_t)pixels,
		     (uint32_t)columns);
	}
}

/* The output columns [from, to) whose tap kx lies inside the input. */
static void inside(int64_t size, int64_t out, int64_t shift, int64_t stride, int64_t *from,
		   int64_t *to)
{
	*from = shift < 0 ? (-shift + stride - 1) / stride : 0;
	*to = size - 1 - shift < 0 ? 0 : (size - 1 - shift) / stride + 1;
	*from = *from < out ? *from : out;
	*to = *to < out ? *to : out;
	*to = *to > *from ? *to : *from;
}

static void add_row(float *y, const float *x, float w, int64_t stride, int64_t from, int64_t to)
{
	if (stride == 1)
		for (int64_t i = from; i < to; i++)
			y[i] += w * x[i];
	else
		for (int64_t i = from; i < to; i++)
			y[i] += w * x[i * stride];
}

static void depthwise(const struct conv *c, const float *x, const float *w, float start, float *y)
{
	const struct graph_window *win = c->w;

	for (int64_t oy = 0; oy < c->oh; oy++, y += c->ow) {
		for (int64_t i = 0; i < c->ow; i++)
			y[i] = start;
		for (uint32_t ky = 0; ky < win->kh; ky++) {
			int64_t ty =
				oy * win->stride_h - win->pad_top + (int64_t)ky * win->dilation_h;

			if (ty < 0 || ty >= c->h)
				continue;
			for (uint32_t kx = 0; kx < win->kw; kx++) {
				int64_t shift = (int64_t)kx * win->dilation_w - win->pad_left, from,
					to;

				inside(c->wd, c->ow, shift, win->stride_w, &from, &to);
				add_row(y, x + ty * c->wd + shift, w[ky * win->kw + kx],
					win->stride_w, from, to);
			}
		}
	}
}

int execute_conv(const struct graph *g, const struct graph_node *n, const float *x, const float *w,
		 const float *bias, float *y)
{
	const struct graph_tensor *in = &g->tensor[n->input[0]], *out = &g->tensor[n->output[0]];
	uint32_t groups = n->win.groups;
	struct conv c = {&n->win,
			 in->dim[2],
			 in->dim[3],
			 out->dim[2],
			 out->dim[3],
			 (size_t)in->dim[1] / groups,
			 (size_t)out->dim[1] / groups};
	size_t k = c.channels * n->win.kh * n->win.kw;
	float *panel = aligned_alloc(64, k * EXECUTE_PANEL * sizeof(float));
	float *start = calloc((size_t)out->dim[1], sizeof(float));

	if (!panel || !start) {
		free(panel);
		free(start);
		return -ENOMEM;
	}
	memset(panel, 0, k * EXECUTE_PANEL * sizeof(float));
	if (bias)
		memcpy(start, bias, (size_t)out->dim[1] * sizeof(float));
	for (uint32_t i = 0; i < groups; i++) {
		const float *xg = x + i * c.channels * (size_t)(c.h * c.wd);
		float *yg = y + i * c.outs * (size_t)(c.oh * c.ow);

		if (c.channels == 1 && c.outs == 1)
			depthwise(&c, xg, w + i * k, start[i], yg);
		else
			conv_group(&c, xg, w + i * c.outs * k, start + i * c.outs, panel, yg);
	}
	free(panel);
	free(start);
	return 0;
}
