/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolution on AVX2, 16 channels and two taps at a time: both taps become 16 bits, are
 * interleaved, and vpmaddwd adds their products. The first register then holds channels 0-3 and
 * 8-11, the second 4-7 and 12-15; packing them puts the channels back in order.
 */
#include "kernels/cpu/depthwise.h"
#include "kernels/requant.h"

#include <errno.h>
#include <immintrin.h>
#include <string.h>

#define CHANNELS 16u

/* One block of 16 channels; pairs of taps follow, each [2 registers][8 lanes][2 taps]. */
struct block {
	int32_t bias[CHANNELS];
	float pos[CHANNELS], neg[CHANNELS];
	int16_t pair[][2 * CHANNELS];
};

static uint32_t pairs_of(const struct op_conv2d *p)
{
	return (p->kh * p->kw + 1) / 2;
}

static size_t block_bytes(const struct op_conv2d *p)
{
	return sizeof(struct block) + (size_t)pairs_of(p) * 2 * CHANNELS * sizeof(int16_t);
}

static struct block *block_at(const struct op_conv2d *p, const void *packed, uint32_t i)
{
	return (struct block *)((uint8_t *)packed + i * block_bytes(p));
}

size_t depthwise_packed_bytes_avx2(const struct op_conv2d *p)
{
	return (p->c + CHANNELS - 1) / CHANNELS * block_bytes(p);
}

/* Place of a block's channel among the lanes of the two registers. */
static uint32_t lane_of(uint32_t c)
{
	return (c >> 2 & 1) * 8 + (c >> 3) * 4 + (c & 3);
}

void depthwise_pack_avx2(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			 void *packed)
{
	uint32_t taps = p->kh * p->kw;

	memset(packed, 0, depthwise_packed_bytes_avx2(p));
	for (uint32_t c = 0; c < p->c; c++) {
		struct block *b = block_at(p, packed, c / CHANNELS);
		uint32_t lane = lane_of(c % CHANNELS);

		b->bias[lane] = bias[c];
		if (p->out != OP_OUT_S32) {
			b->pos[lane] = p->q.s_pos[c];
			b->neg[lane] = p->q.s_neg[c];
		}
		for (uint32_t tap = 0; tap < taps; tap++)
			b->pair[tap / 2][lane * 2 + tap % 2] = w[(size_t)c * taps + tap];
	}
}

/* ---- requantisation ------------------------------------------------------------------------ */

struct output {
	const struct op_conv2d *p;
	const struct block *block;
	const int8_t *residual;
	void *y;
	__m256 low, high;
	uint32_t channels; /* of this block */
};

static inline __m256i scaled_bytes(const struct output *o, __m256i acc, uint32_t lane)
{
	__m256 s = _mm256_blendv_ps(_mm256_load_ps(o->block->pos + lane),
				    _mm256_load_ps(o->block->neg + lane), _mm256_castsi256_ps(acc));
	__m256 t = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), s);

	t = _mm256_min_ps(_mm256_max_ps(t, o->low), o->high);
	return _mm256_add_epi32(_mm256_cvtps_epi32(t), _mm256_set1_epi32(o->p->q.z));
}

/* Whatever is not a whole block of bytes without a residual. */
static __attribute__((noinline)) void store_some(const struct output *o, __m256i a0, __m256i a1,
						 size_t at)
{
	int32_t acc[CHANNELS] __attribute__((aligned(32)));

	_mm256_store_si256((__m256i *)acc, a0);
	_mm256_store_si256((__m256i *)acc + 1, a1);
	for (uint32_t c = 0; c < o->channels; c++) {
		struct op_requant q = o->p->q;

		q.s_pos = o->block->pos + lane_of(c);
		q.s_neg = o->block->neg + lane_of(c);
		requant_store(&q, o->p->out, 0, acc[lane_of(c)], o->residual, o->y, at + c);
	}
}

static inline void store(const struct output *o, __m256i a0, __m256i a1, size_t at)
{
	__m256i words;
	__m128i bytes;

	if (o->channels < CHANNELS || o->residual || o->p->out != OP_OUT_S8) {
		store_some(o, a0, a1, at);
		return;
	}
	words = _mm256_packs_epi32(scaled_bytes(o, a0, 0), scaled_bytes(o, a1, 8));
	bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
	_mm_storeu_si128((__m128i *)((int8_t *)o->y + at), bytes);
}

/* ---- taps ---------------------------------------------------------------------------------- */

/* Channels past the last are zero, so that nothing is read past the tensor. */
static inline __m256i load(const int8_t *x, uint32_t channels)
{
	int8_t some[CHANNELS] = {0};

	if (channels == CHANNELS)
		return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)x));
	memcpy(some, x, channels);
	return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)some));
}

/* Where each tap of an output pixel lies; padding, of CHANNELS values, for those outside. */
struct taps {
	const int8_t **x; /* [pairs * 2], first channel */
	const int8_t *padding;
};

static void find_taps(const struct op_conv2d *p, const struct taps *t, const int8_t *image,
		      int64_t iy, int64_t ix)
{
	const int8_t **out = t->x;

	for (uint32_t ky = 0; ky < p->kh; ky++) {
		int64_t ty = iy + (int64_t)ky * p->dilation_h, tx = ix;
		bool row = ty >= 0 && ty < p->h;

		for (uint32_t kx = 0; kx < p->kw; kx++, tx += p->dilation_w)
			*out++ = row && tx >= 0 && tx < p->w ? image + (ty * p->w + tx) * p->c
							     : NULL;
	}
}

static inline __m256i tap(const struct taps *t, uint32_t i, uint32_t c, uint32_t channels)
{
	return load(t->x[i] ? t->x[i] + c : t->padding, channels);
}

static inline void pixel(const struct output *o, const struct taps *t, uint32_t c, size_t at)
{
	const struct block *b = o->block;
	__m256i a0 = _mm256_load_si256((const __m256i *)b->bias);
	__m256i a1 = _mm256_load_si256((const __m256i *)b->bias + 1);

	for (uint32_t i = 0; i < pairs_of(o->p); i++) {
		__m256i x0 = tap(t, 2 * i, c, o->channels), x1 = tap(t, 2 * i + 1, c, o->channels);
		const __m256i *w = (const __m256i *)b->pair[i];

		a0 = _mm256_add_epi32(
			a0, _mm256_madd_epi16(_mm256_unpacklo_epi16(x0, x1), _mm256_load_si256(w)));
		a1 = _mm256_add_epi32(a1, _mm256_madd_epi16(_mm256_unpackhi_epi16(x0, x1),
							    _mm256_load_si256(w + 1)));
	}
	store(o, a0, a1, at);
}

size_t depthwise_scratch_bytes_avx2(const struct op_conv2d *p)
{
	return CHANNELS + pairs_of(p) * 2 * sizeof(void *);
}

int depthwise_avx2(const struct op_conv2d *p, const void *packed, const int8_t *x,
		   const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		   void *scratch)
{
	bool byte = p->out == OP_OUT_S8;
	uint32_t oh = op_conv2d_oh(p), ow = op_conv2d_ow(p);
	struct taps t = {(const int8_t **)((int8_t *)scratch + CHANNELS), scratch};
	struct output o = {.p = p,
			   .residual = residual,
			   .y = y,
			   .low = _mm256_set1_ps(byte ? (float)(p->q.lo - p->q.z) : 0),
			   .high = _mm256_set1_ps(byte ? (float)(p->q.hi - p->q.z) : 0)};

	if (row_begin > row_end || row_end > p->n * oh)
		return -EINVAL;
	memset(scratch, p->z_x, CHANNELS);
	t.x[pairs_of(p) * 2 - 1] = NULL; /* an odd tap out; its weights are zero */
	for (size_t at = (size_t)row_begin * ow; at < (size_t)row_end * ow; at++) {
		find_taps(p, &t, x + at / ow / oh * p->h * p->w * p->c,
			  (int64_t)(at / ow % oh) * p->stride_h - p->pad_top,
			  (int64_t)(at % ow) * p->stride_w - p->pad_left);
		for (uint32_t c = 0; c < p->c; c += CHANNELS) {
			o.block = block_at(p, packed, c / CHANNELS);
			o.channels = p->c - c < CHANNELS ? p->c - c : CHANNELS;
			pixel(&o, &t, c, at * p->c + c);
		}
	}
	return 0;
}
