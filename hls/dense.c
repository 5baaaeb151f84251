/* SPDX-License-Identifier: Apache-2.0 */
/* The output stationary array. */
#include "hls/pack.h"
#include "hls/product.h"

#define STEPS_MAX   (OP_K_MAX / HLS_STEP)
#define BLOCK_STEPS (HLS_BLOCK / HLS_STEP)

/* Inputs of the pixels at work; weights of one block. */
typedef int8_t panel_step[HLS_PIXELS][HLS_STEP];
typedef int8_t block_step[HLS_STEP][HLS_COLUMNS];
typedef int32_t sums[HLS_PIXELS][HLS_COLUMNS];

/* Some pixels against some channels of one group. */
struct patch {
	uint64_t pixel;
	uint32_t pixels;
	uint32_t group, channel, channels; /* channel: of all */
};

static uint32_t steps_of(const struct product_shape *s)
{
	return (s->k + HLS_STEP - 1) / HLS_STEP;
}

/* ---- inputs ---------------------------------------------------------------------------------------- */

/* The channels of one tap: at tap_at of x, or in the padding. */
static void gather_tap(const struct product_shape *s, const int8_t *tap, uint32_t k, uint32_t p,
		       panel_step *panel)
{
	for (uint32_t c = 0; c < s->group_c; c++) {
#pragma HLS PIPELINE II = 1
		panel[(k + c) / HLS_STEP][p][(k + c) % HLS_STEP] = tap ? tap[c] : (int8_t)s->z_x;
	}
}

static void gather_pixel(const struct product_shape *s, const int8_t *x, uint64_t pixel,
			 uint32_t group, uint32_t p, panel_step *panel)
{
	uint64_t row = pixel / s->ow, image = row / s->oh;
	int64_t iy = (int64_t)(row % s->oh) * s->stride_h - s->pad_top;
	int64_t ix = (int64_t)(pixel % s->ow) * s->stride_w - s->pad_left;
	uint32_t k = 0;

	for (uint32_t ky = 0; ky < s->kh; ky++)
		for (uint32_t kx = 0; kx < s->kw; kx++, k += s->group_c) {
			int64_t ty = iy + (int64_t)ky * s->dilation_h;
			int64_t tx = ix + (int64_t)kx * s->dilation_w;
			bool inside = ty >= 0 && ty < s->h && tx >= 0 && tx < s->w;
			uint64_t at = ((image * s->h + (uint64_t)ty) * s->w + (uint64_t)tx) * s->c;

			gather_tap(s, inside ? x + at + (uint64_t)group * s->group_c : NULL, k, p,
				   panel);
		}
	for (; k % HLS_STEP; k++)
		panel[k / HLS_STEP][p][k % HLS_STEP] = 0;
}

static void gather(const struct product_shape *s, const int8_t *x, const struct patch *patch,
		   panel_step *panel)
{
	for (uint32_t p = 0; p < patch->pixels; p++)
		gather_pixel(s, x, patch->pixel + p, patch->group, p, panel);
}

/* ---- weights --------------------------------------------------------------------------------------- */

/* From depth k on; columns without a channel and depths past the last weigh nothing. */
static void load_block(const struct product_shape *s, const int8_t *weights,
		       const struct patch *patch, uint32_t k, block_step *block)
{
	uint32_t depth = s->k - k < HLS_BLOCK ? s->k - k : HLS_BLOCK;
	uint32_t padded = (depth + HLS_STEP - 1) / HLS_STEP * HLS_STEP;

	for (uint32_t c = 0; c < HLS_COLUMNS; c++) {
		const int8_t *row = weights + (uint64_t)patch->channel * s->k + k;
		uint32_t there = c < patch->channels ? depth : 0;

		for (uint32_t i = 0; i < padded; i++) {
#pragma HLS PIPELINE II = 1
			block[i / HLS_STEP][i % HLS_STEP][c] =
				i < there ? row[(uint64_t)c * s->k + i] : 0;
		}
	}
}

/* ---- the array ------------------------------------------------------------------------------------- */

#if HLS_PACKED
static void multiply(const int8_t x[HLS_STEP], const block_step weights, int32_t acc[HLS_COLUMNS])
{
#pragma HLS INLINE
	for (uint32_t c = 0; c < HLS_COLUMNS; c += 2) {
#pragma HLS UNROLL
		int64_t chain = 0;

		for (uint32_t j = 0; j < HLS_STEP; j++) {
#pragma HLS UNROLL
			chain += (int64_t)pack_two(weights[j][c], weights[j][c + 1]) * x[j];
		}
		acc[c] += pack_low(chain);
		acc[c + 1] += pack_high(chain);
	}
}
#else
static void multiply(const int8_t x[HLS_STEP], const block_step weights, int32_t acc[HLS_COLUMNS])
{
#pragma HLS INLINE
	for (uint32_t c = 0; c < HLS_COLUMNS; c++) {
#pragma HLS UNROLL
		acc[c] += x[0] * weights[0][c] + x[1] * weights[1][c] + x[2] * weights[2][c] +
			  x[3] * weights[3][c];
	}
}
#endif

static void accumulate(const panel_step *panel, const block_step *block, uint32_t steps,
		       uint32_t pixels, sums acc)
{
	for (uint32_t i = 0; i < steps; i++) {
#pragma HLS PIPELINE II = 1
		for (uint32_t p = 0; p < HLS_PIXELS; p++) {
#pragma HLS UNROLL
			if (p < pixels)
				multiply(panel[i][p], block[i], acc[p]);
		}
	}
}

/* The next block comes in while one is multiplied. */
static void multiply_patch(const struct product_shape *s, const int8_t *weights,
			   const struct patch *patch, const panel_step *panel, sums acc)
{
	for (uint32_t k = 0; k < s->k; k += HLS_BLOCK) {
#pragma HLS DATAFLOW
		block_step block[BLOCK_STEPS];
#pragma HLS ARRAY_PARTITION variable = block complete dim = 2
#pragma HLS ARRAY_PARTITION variable = block complete dim = 3
		uint32_t left = steps_of(s) - k / HLS_STEP;

		load_block(s, weights, patch, k, block);
		accumulate(panel + k / HLS_STEP, block, left < BLOCK_STEPS ? left : BLOCK_STEPS,
			   patch->pixels, acc);
	}
}

static void begin_sums(const struct product_memory *m, const struct patch *patch, sums acc)
{
	for (uint32_t c = 0; c < HLS_COLUMNS; c++) {
#pragma HLS PIPELINE II = 1
		int32_t bias = c < patch->channels ? m->bias[patch->channel + c] : 0;

		for (uint32_t p = 0; p < HLS_PIXELS; p++) {
#pragma HLS UNROLL
			acc[p][c] = bias;
		}
	}
}

static void store_sums(const struct product_shape *s, const struct product_memory *m,
		       const struct patch *patch, sums acc, uint32_t chk[HLS_PIXELS])
{
	for (uint32_t p = 0; p < patch->pixels; p++)
		for (uint32_t c = 0; c < patch->channels; c++) {
#pragma HLS PIPELINE II = 1
			uint32_t channel = patch->channel + c;

			chk[p] += (uint32_t)acc[p][c];
			product_store(s, m, channel, acc[p][c],
				      (patch->pixel + p) * s->oc + channel);
		}
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static void group_of_pixels(const struct product_shape *s, const struct product_memory *m,
			    struct patch *patch, panel_step *panel, uint32_t chk[HLS_PIXELS])
{
	sums acc;
#pragma HLS ARRAY_PARTITION variable = acc complete dim = 0

	gather(s, m->x, patch, panel);
	for (uint32_t c = 0; c < s->group_oc; c += HLS_COLUMNS) {
		uint32_t left = s->group_oc - c;

		patch->channel = patch->group * s->group_oc + c;
		patch->channels = left < HLS_COLUMNS ? left : HLS_COLUMNS;
		begin_sums(m, patch, acc);
		multiply_patch(s, m->weights, patch, panel, acc);
		store_sums(s, m, patch, acc, chk);
	}
}

void dense_rows(const struct product_shape *s, const struct product_memory *m, uint64_t begin,
		uint64_t end)
{
	panel_step panel[STEPS_MAX];
#pragma HLS BIND_STORAGE variable = panel type = ram_2p impl = uram
#pragma HLS ARRAY_RESHAPE variable = panel complete dim = 2
#pragma HLS ARRAY_RESHAPE variable = panel complete dim = 3

	for (uint64_t pixel = begin; pixel < end; pixel += HLS_PIXELS) {
		uint32_t pixels = end - pixel < HLS_PIXELS ? (uint32_t)(end - pixel) : HLS_PIXELS;
		uint32_t chk[HLS_PIXELS] = {0};

		for (uint32_t group = 0; group < s->groups; group++) {
			struct patch patch = {pixel, pixels, group, 0, 0};

			group_of_pixels(s, m, &patch, panel, chk);
		}
		for (uint32_t p = 0; p < pixels && m->chk; p++)
			m->chk[pixel + p] = chk[p];
	}
}
