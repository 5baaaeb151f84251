/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise on line buffers. */
#include "hls/product.h"

typedef int8_t lanes[HLS_LANES];

/* One block of channels on its way down an image. */
struct band {
	uint32_t channel, channels;
	uint32_t window; /* rows that a window spans */
	uint32_t next;	 /* input row to be read next */
};

static uint32_t window_rows(const struct product_shape *s)
{
	return (s->kh - 1) * s->dilation_h + 1;
}

bool depthwise_fits(const struct product_shape *s)
{
	return s->groups == s->c && s->oc == s->c && s->c > 1 && s->kh * s->kw <= HLS_TAPS &&
	       (uint64_t)window_rows(s) * s->w <= HLS_LINE_PIXELS;
}

static void load_weights(const struct product_shape *s, const struct product_memory *m,
			 const struct band *band, lanes weights[HLS_TAPS])
{
	for (uint32_t l = 0; l < band->channels; l++)
		for (uint32_t t = 0; t < s->k; t++) {
#pragma HLS PIPELINE II = 1
			weights[t][l] = m->weights[(uint64_t)(band->channel + l) * s->k + t];
		}
}

/* A row stays in place row % window until the window has passed it. */
static void load_row(const struct product_shape *s, const int8_t *x, const struct band *band,
		     uint64_t image, uint32_t row, lanes *line)
{
	const int8_t *from = x + (image * s->h + row) * s->w * s->c + band->channel;
	lanes *to = line + (uint64_t)(row % band->window) * s->w;

	for (uint32_t i = 0; i < s->w; i++)
		for (uint32_t l = 0; l < band->channels; l++) {
#pragma HLS PIPELINE II = 1
			to[i][l] = from[(uint64_t)i * s->c + l];
		}
}

/* All rows of the window from iy on that are inside and not there yet. */
static void load_rows(const struct product_shape *s, const int8_t *x, struct band *band,
		      uint64_t image, int64_t iy, lanes *line)
{
	int64_t end = iy + band->window < s->h ? iy + band->window : s->h;

	if (iy > band->next)
		band->next = (uint32_t)iy;
	for (; band->next < end; band->next++)
		load_row(s, x, band, image, band->next, line);
}

static void add_tap(const lanes x, const lanes weights, int32_t acc[HLS_LANES])
{
#pragma HLS INLINE
	for (uint32_t l = 0; l < HLS_LANES; l++) {
#pragma HLS UNROLL
		acc[l] += x[l] * weights[l];
	}
}

static void sum_pixel(const struct product_shape *s, const struct band *band, const lanes *line,
		      lanes weights[HLS_TAPS], const lanes padding, int64_t iy, int64_t ix,
		      int32_t acc[HLS_LANES])
{
	for (uint32_t ky = 0; ky < s->kh; ky++)
		for (uint32_t kx = 0; kx < s->kw; kx++) {
#pragma HLS PIPELINE II = 1
			int64_t ty = iy + (int64_t)ky * s->dilation_h;
			int64_t tx = ix + (int64_t)kx * s->dilation_w;
			bool inside = ty >= 0 && ty < s->h && tx >= 0 && tx < s->w;
			uint64_t at =
				inside ? (uint64_t)(ty % band->window) * s->w + (uint64_t)tx : 0;

			add_tap(inside ? line[at] : padding, weights[ky * s->kw + kx], acc);
		}
}

static uint32_t store_pixel(const struct product_shape *s, const struct product_memory *m,
			    const struct band *band, const int32_t acc[HLS_LANES], uint64_t pixel)
{
	uint32_t sum = 0;

	for (uint32_t l = 0; l < band->channels; l++) {
#pragma HLS PIPELINE II = 1
		uint32_t channel = band->channel + l;

		sum += (uint32_t)acc[l];
		product_store(s, m, channel, acc[l], pixel * s->oc + channel);
	}
	return sum;
}

static void output_row(const struct product_shape *s, const struct product_memory *m,
		       const struct band *band, const lanes *line, lanes weights[HLS_TAPS],
		       const int32_t bias[HLS_LANES], const lanes padding, uint64_t row)
{
	int64_t iy = (int64_t)(row % s->oh) * s->stride_h - s->pad_top;

	for (uint32_t ox = 0; ox < s->ow; ox++) {
		int64_t ix = (int64_t)ox * s->stride_w - s->pad_left;
		uint64_t pixel = row * s->ow + ox;
		int32_t acc[HLS_LANES];
		uint32_t sum;

		for (uint32_t l = 0; l < HLS_LANES; l++) {
#pragma HLS UNROLL
			acc[l] = bias[l];
		}
		sum_pixel(s, band, line, weights, padding, iy, ix, acc);
		sum = store_pixel(s, m, band, acc, pixel);
		/* Blocks of channels come one after the other; the first one begins the sum. */
		if (m->chk)
			m->chk[pixel] = (band->channel ? m->chk[pixel] : 0) + sum;
	}
}

static void band_rows(const struct product_shape *s, const struct product_memory *m,
		      struct band *band, lanes *line, const lanes padding, uint32_t begin,
		      uint32_t end)
{
	lanes weights[HLS_TAPS] = {{0}};
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 2
	int32_t bias[HLS_LANES] = {0};
#pragma HLS ARRAY_PARTITION variable = bias complete

	load_weights(s, m, band, weights);
	for (uint32_t l = 0; l < band->channels; l++)
		bias[l] = m->bias[band->channel + l];
	for (uint32_t row = begin; row < end; row++) {
		int64_t iy = (int64_t)(row % s->oh) * s->stride_h - s->pad_top;

		if (row == begin || row % s->oh == 0)
			band->next = 0;
		load_rows(s, m->x, band, row / s->oh, iy, line);
		output_row(s, m, band, line, weights, bias, padding, row);
	}
}

void depthwise_rows(const struct product_shape *s, const struct product_memory *m, uint32_t begin,
		    uint32_t end)
{
	lanes line[HLS_LINE_PIXELS];
#pragma HLS BIND_STORAGE variable = line type = ram_2p impl = uram
#pragma HLS ARRAY_RESHAPE variable = line complete dim = 2
	lanes padding;

	for (uint32_t i = 0; i < HLS_LINE_PIXELS && i < window_rows(s) * s->w; i++)
		for (uint32_t l = 0; l < HLS_LANES; l++)
			line[i][l] = 0; /* lanes without a channel are multiplied too */
	for (uint32_t l = 0; l < HLS_LANES; l++)
		padding[l] = (int8_t)s->z_x;
	for (uint32_t c = 0; c < s->c; c += HLS_LANES) {
		struct band band = {.channel = c, .window = window_rows(s)};

		band.channels = s->c - c < HLS_LANES ? s->c - c : HLS_LANES;
		band_rows(s, m, &band, line, padding, begin, end);
	}
}
