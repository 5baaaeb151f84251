/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dense block on AVX-512 VNNI. vpdpbusd multiplies unsigned by signed bytes, so the input is
 * kept as value + 128 and the bias takes 128 * sum(w) back; sums wrap modulo 2^32 on the way.
 *
 * The accumulators are named one by one: GCC 12 keeps an array of them in memory.
 */
#include "kernels/cpu/dense.h"

#include <immintrin.h>
#include <string.h>

#define LANES  16
#define PIXELS 14
#define NARROW 6
#define INLINE static inline __attribute__((always_inline))

static void copy_biased(const int8_t *x, size_t n, void *to)
{
	const __m512i flip = _mm512_set1_epi8(-128);
	uint8_t *y = to;

	for (; n >= 64; n -= 64, x += 64, y += 64)
		_mm512_storeu_si512(y, _mm512_xor_si512(_mm512_loadu_si512(x), flip));
	if (n) {
		__mmask64 m = ~0ull >> (64 - n);

		_mm512_mask_storeu_epi8(y, m,
					_mm512_xor_si512(_mm512_maskz_loadu_epi8(m, x), flip));
	}
}

static void fill_biased(int8_t v, size_t n, void *to)
{
	memset(to, v ^ 0x80, n);
}

/* ---- requantisation of a pair of tiles, two pixels at a time ------------------------------ */

/* The channels of two tiles: lanes of tile 0 and 1 alternate by fours in channel order. */
struct pair {
	const struct dense_block *b;
	__m512 pos0, pos1, neg0, neg1;
	__m512 s_r, high;
	__m512i z_r, z, lo, hi, to_pixels;
	__m256i to_tiles;
	__mmask32 channels;
};

INLINE __m512 scaled(__m512i acc, __m512 pos, __m512 neg, bool linear)
{
	__m512 t = _mm512_cvtepi32_ps(acc);

	if (linear)
		return _mm512_mul_ps(t, pos);
	return _mm512_mul_ps(t, _mm512_mask_mov_ps(pos, _mm512_movepi32_mask(acc), neg));
}

INLINE __m512 with_residual(__m512 t, __m128i r, const struct pair *p)
{
	__m512 f = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepi8_epi32(r), p->z_r));

	return _mm512_add_ps(t, _mm512_mul_ps(f, p->s_r));
}

/* One pixel's channels: accumulators to t. */
struct floats {
	__m512 t0, t1;
};

INLINE struct floats scaled_pixel(const struct pair *p, __m512i a0, __m512i a1, size_t at,
				  const bool linear)
{
	struct floats f = {scaled(a0, p->pos0, p->neg0, linear),
			   scaled(a1, p->pos1, p->neg1, linear)};

	if (p->b->residual) {
		__m256i r = _mm256_maskz_loadu_epi8(p->channels, p->b->residual + at);

		r = _mm256_permutexvar_epi32(p->to_tiles, r);
		f.t0 = with_residual(f.t0, _mm256_castsi256_si128(r), p);
		f.t1 = with_residual(f.t1, _mm256_extracti128_si256(r, 1), p);
	}
	return f;
}

/*
 * Saturation and p->lo do the clamp's lower side, p->hi its upper. But past 2^31 conversion would
 * turn negative: unless t is small, p->high comes first.
 */
INLINE __m512i words(const struct pair *p, struct floats f, const bool small)
{
	__m512i i0 = _mm512_cvtps_epi32(small ? f.t0 : _mm512_min_ps(f.t0, p->high));
	__m512i i1 = _mm512_cvtps_epi32(small ? f.t1 : _mm512_min_ps(f.t1, p->high));

	return _mm512_adds_epi16(_mm512_packs_epi32(i0, i1), p->z);
}

/* Two pixels, or with both false the first alone. */
INLINE void store_two(const struct pair *p, __m512i a0, __m512i a1, __m512i b0, __m512i b1,
		      size_t at, const bool both, const bool linear, const bool small)
{
	int8_t *y = (int8_t *)p->b->y + at;
	size_t second = both ? p->b->pixel : 0;
	__m512i first = words(p, scaled_pixel(p, a0, a1, at, linear), small), v = first;

	if (both)
		v = words(p, scaled_pixel(p, b0, b1, at + second, linear), small);
	v = _mm512_permutexvar_epi64(p->to_pixels, _mm512_packs_epi16(first, v));
	v = _mm512_min_epi8(_mm512_max_epi8(v, p->lo), p->hi);
	if (both)
		_mm256_mask_storeu_epi8(y + second, p->channels, _mm512_extracti64x4_epi64(v, 1));
	_mm256_mask_storeu_epi8(y, p->channels, _mm512_castsi512_si256(v));
}

static void store_bytes(const struct pair *p, const int32_t *acc, uint32_t stride)
{
	const struct dense_block *b = p->b;
	size_t at = b->at;

	for (uint32_t i = 0; i < b->pixels; i++, acc += stride, at += b->pixel) {
		__m512i a0 = _mm512_load_si512(acc), a1 = _mm512_load_si512(acc + LANES);

		store_two(p, a0, a1, a0, a1, at, false, b->cut.linear, false);
	}
}

/* Four bytes a channel: the accumulator, or t. */
static void store_dwords(const struct pair *p, const int32_t *acc, uint32_t stride)
{
	const __m512i to_first =
		_mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
	const __m512i to_second =
		_mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
	const struct dense_block *b = p->b;
	int32_t *y = b->y;
	size_t at = b->at;

	for (uint32_t i = 0; i < b->pixels; i++, acc += stride, at += b->pixel) {
		__m512i v0 = _mm512_load_si512(acc), v1 = _mm512_load_si512(acc + LANES);

		if (b->out == OP_OUT_F32) {
			struct floats f = scaled_pixel(p, v0, v1, at, b->cut.linear);

			v0 = _mm512_castps_si512(f.t0);
			v1 = _mm512_castps_si512(f.t1);
		}
		_mm512_mask_storeu_epi32(y + at, (__mmask16)p->channels,
					 _mm512_permutex2var_epi32(v0, to_first, v1));
		_mm512_mask_storeu_epi32(y + at + LANES, (__mmask16)(p->channels >> 16),
					 _mm512_permutex2var_epi32(v0, to_second, v1));
	}
}

INLINE struct pair pair_of(const struct dense_block *b)
{
	const struct op_requant *q = b->q;
	bool scales = b->out != OP_OUT_S32, byte = b->out == OP_OUT_S8;

	return (struct pair){
		.b = b,
		.pos0 = _mm512_load_ps(b->s_pos),
		.pos1 = _mm512_load_ps(b->s_pos + LANES),
		.neg0 = _mm512_load_ps(b->s_neg),
		.neg1 = _mm512_load_ps(b->s_neg + LANES),
		.s_r = _mm512_set1_ps(scales ? q->s_r : 0),
		.z_r = _mm512_set1_epi32(scales ? q->z_r : 0),
		.high = _mm512_set1_ps(byte ? (float)(q->hi - q->z) : 0),
		.z = _mm512_set1_epi16((int16_t)(byte ? q->z : 0)),
		.lo = _mm512_set1_epi8((int8_t)(byte ? b->cut.lo : 0)),
		.hi = _mm512_set1_epi8((int8_t)(byte ? q->hi : 0)),
		.to_pixels = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
		.to_tiles = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7),
		.channels = b->channels >= 32 ? ~0u : (1u << b->channels) - 1,
	};
}

/* stride: accumulators from a pixel to the next. */
static void store_pair(const struct dense_block *b, const int32_t *acc, uint32_t stride)
{
	struct pair p = pair_of(b);

	if (b->out == OP_OUT_S8)
		store_bytes(&p, acc, stride);
	else
		store_dwords(&p, acc, stride);
}

/* ---- a tile without a partner: channels in plain order ------------------------------------ */

static void store_single(const struct dense_block *b, const int32_t *acc)
{
	const struct op_requant *q = b->q;
	__mmask16 m = (__mmask16)(0xffffu >> (16 - b->channels));
	bool byte = b->out == OP_OUT_S8;
	struct pair p = {.s_r = _mm512_set1_ps(q->s_r), .z_r = _mm512_set1_epi32(q->z_r)};
	__m512 pos = _mm512_load_ps(b->s_pos), neg = _mm512_load_ps(b->s_neg);
	__m512 low = _mm512_set1_ps(byte ? (float)(b->cut.lo - q->z) : 0);
	__m512 high = _mm512_set1_ps(byte ? (float)(q->hi - q->z) : 0);
	__m512i z = _mm512_set1_epi32(q->z);
	size_t at = b->at;

	for (uint32_t i = 0; i < b->pixels; i++, acc += LANES, at += b->pixel) {
		__m512i v = _mm512_load_si512(acc);
		__m512 t = scaled(v, pos, neg, b->cut.linear);

		if (b->out == OP_OUT_S32) {
			_mm512_mask_storeu_epi32((int32_t *)b->y + at, m, v);
			continue;
		}
		if (b->residual)
			t = with_residual(t, _mm_maskz_loadu_epi8(m, b->residual + at), &p);
		if (!byte) {
			_mm512_mask_storeu_ps((float *)b->y + at, m, t);
			continue;
		}
		v = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(t, low), high));
		_mm_mask_storeu_epi8((int8_t *)b->y + at, m,
				     _mm512_cvtepi32_epi8(_mm512_add_epi32(v, z)));
	}
}

/* ---- the multiplication ------------------------------------------------------------------- */

static inline __m512i broadcast(const uint8_t *x)
{
	int32_t v;

	memcpy(&v, x, sizeof(v));
	return _mm512_set1_epi32(v);
}

/* DO(pixel, base pointer, pixels from there): five pointers to advance instead of fourteen. */
#define EACH_PIXEL(DO)                                                                             \
	DO(0, x0, 0)                                                                               \
	DO(1, x0, 1)                                                                               \
	DO(2, x0, 2)                                                                               \
	DO(3, x3, 0)                                                                               \
	DO(4, x3, 1)                                                                               \
	DO(5, x3, 2)                                                                               \
	DO(6, x6, 0)                                                                               \
	DO(7, x6, 1)                                                                               \
	DO(8, x6, 2)                                                                               \
	DO(9, x9, 0)                                                                               \
	DO(10, x9, 1)                                                                              \
	DO(11, x9, 2)                                                                              \
	DO(12, x12, 0)                                                                             \
	DO(13, x12, 1)

#define EACH_NARROW(DO)                                                                            \
	DO(0, x0, 0)                                                                               \
	DO(1, x0, 1)                                                                               \
	DO(2, x0, 2)                                                                               \
	DO(3, x3, 0)                                                                               \
	DO(4, x3, 1)                                                                               \
	DO(5, x3, 2)

#define DECLARE_2(i, base, n) __m512i a##i = bias0, b##i = bias1;
#define MULTIPLY_2(i, base, n)                                                                     \
	if (pixels > i) {                                                                          \
		__m512i v = broadcast(base + n * stride);                                          \
		a##i = _mm512_dpbusd_epi32(a##i, v, w0);                                           \
		if (tiles > 1)                                                                     \
			b##i = _mm512_dpbusd_epi32(b##i, v, w1);                                   \
	}
#define DUMP_2(i, base, n)                                                                         \
	if (pixels > i) {                                                                          \
		_mm512_store_si512(acc + i * tiles * LANES, a##i);                                 \
		if (tiles > 1)                                                                     \
			_mm512_store_si512(acc + (i * tiles + 1) * LANES, b##i);                   \
	}

#define STORE_2(i, next)                                                                           \
	if (pixels > i)                                                                            \
		store_two(&p, a##i, b##i, a##next, b##next, block->at + i * block->pixel,          \
			  pixels > next, linear, true);

/* Most blocks: bytes of pairs, straight from the registers. */
#define STORE_ALL                                                                                  \
	STORE_2(0, 1)                                                                              \
	STORE_2(2, 3) STORE_2(4, 5) STORE_2(6, 7) STORE_2(8, 9) STORE_2(10, 11) STORE_2(12, 13)

/* pixels and tiles (1 or 2) are constants wherever this is expanded. */
INLINE void multiply_2(const struct dense_block *block, const uint32_t pixels, const uint32_t tiles,
		       int32_t *acc)
{
	const size_t stride = block->stride;
	const uint8_t *w = block->w, *second = block->w + (tiles > 1 ? block->w_tile : 0);
	const __m512i bias0 = _mm512_load_si512(block->bias);
	const __m512i bias1 = _mm512_load_si512(block->bias + (tiles > 1 ? LANES : 0));
	EACH_PIXEL(DECLARE_2)

	for (uint32_t s = 0; s < block->segments; s++) {
		const uint8_t *x0 = block->segment[s] + block->offset, *x3 = x0 + 3 * stride;
		const uint8_t *x6 = x0 + 6 * stride, *x9 = x0 + 9 * stride, *x12 = x0 + 12 * stride;

		for (uint32_t k = block->steps; k; k--) {
			__m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(second);

			EACH_PIXEL(MULTIPLY_2)
			w += 64, second += 64;
			x0 += 4, x3 += 4, x6 += 4, x9 += 4, x12 += 4;
		}
	}
	if (tiles == 2 && block->out == OP_OUT_S8 && block->cut.small) {
		const struct pair p = pair_of(block);

		if (block->cut.linear) {
			const bool linear = true;

			STORE_ALL
		} else {
			const bool linear = false;

			STORE_ALL
		}
		return;
	}
	EACH_PIXEL(DUMP_2)
}

#define DECLARE_4(i, base, n) __m512i a##i = bias0, b##i = bias1, c##i = bias2, d##i = bias3;
#define MULTIPLY_4(i, base, n)                                                                     \
	if (pixels > i) {                                                                          \
		__m512i v = broadcast(base + n * stride);                                          \
		a##i = _mm512_dpbusd_epi32(a##i, v, w0);                                           \
		b##i = _mm512_dpbusd_epi32(b##i, v, w1);                                           \
		c##i = _mm512_dpbusd_epi32(c##i, v, w2);                                           \
		d##i = _mm512_dpbusd_epi32(d##i, v, w3);                                           \
	}
#define DUMP_4(i, base, n)                                                                         \
	if (pixels > i) {                                                                          \
		_mm512_store_si512(acc + (i * 4 + 0) * LANES, a##i);                               \
		_mm512_store_si512(acc + (i * 4 + 1) * LANES, b##i);                               \
		_mm512_store_si512(acc + (i * 4 + 2) * LANES, c##i);                               \
		_mm512_store_si512(acc + (i * 4 + 3) * LANES, d##i);                               \
	}

static inline __attribute__((always_inline)) void multiply_4(const struct dense_block *b,
							     const uint32_t pixels, int32_t *acc)
{
	const size_t stride = b->stride, tile = b->w_tile;
	const uint8_t *w = b->w;
	const __m512i bias0 = _mm512_load_si512(b->bias);
	const __m512i bias1 = _mm512_load_si512(b->bias + LANES);
	const __m512i bias2 = _mm512_load_si512(b->bias + 2 * LANES);
	const __m512i bias3 = _mm512_load_si512(b->bias + 3 * LANES);
	EACH_NARROW(DECLARE_4)

	for (uint32_t s = 0; s < b->segments; s++) {
		const uint8_t *x0 = b->segment[s] + b->offset, *x3 = x0 + 3 * stride;

		for (uint32_t k = b->steps; k; k--) {
			__m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + tile);
			__m512i w2 = _mm512_load_si512(w + 2 * tile);
			__m512i w3 = _mm512_load_si512(w + 3 * tile);

			EACH_NARROW(MULTIPLY_4)
			w += 64;
			x0 += 4, x3 += 4;
		}
	}
	EACH_NARROW(DUMP_4)
}

#define WIDE(n)                                                                                    \
	static void single_##n(const struct dense_block *b, int32_t *acc)                          \
	{                                                                                          \
		multiply_2(b, n, 1, acc);                                                          \
	}                                                                                          \
	static void pair_##n(const struct dense_block *b, int32_t *acc)                            \
	{                                                                                          \
		multiply_2(b, n, 2, acc);                                                          \
	}
#define NARROW_4(n)                                                                                \
	static void quad_##n(const struct dense_block *b, int32_t *acc)                            \
	{                                                                                          \
		multiply_4(b, n, acc);                                                             \
	}

/* clang-format off */
WIDE(1) WIDE(2) WIDE(3) WIDE(4) WIDE(5) WIDE(6) WIDE(7)
WIDE(8) WIDE(9) WIDE(10) WIDE(11) WIDE(12) WIDE(13) WIDE(14)
NARROW_4(1) NARROW_4(2) NARROW_4(3) NARROW_4(4) NARROW_4(5) NARROW_4(6)

typedef void multiply_fn(const struct dense_block *b, int32_t *acc);
static multiply_fn *const multiply[5][PIXELS + 1] = {
	[1] = {NULL, single_1, single_2, single_3, single_4, single_5, single_6, single_7, single_8,
	       single_9, single_10, single_11, single_12, single_13, single_14},
	[2] = {NULL, pair_1, pair_2, pair_3, pair_4, pair_5, pair_6, pair_7, pair_8, pair_9,
	       pair_10, pair_11, pair_12, pair_13, pair_14},
	[4] = {NULL, quad_1, quad_2, quad_3, quad_4, quad_5, quad_6},
};
/* clang-format on */

static void block(const struct dense_block *b)
{
	_Alignas(64) int32_t acc[PIXELS * 2 * LANES];
	struct dense_block half = *b;

	multiply[b->tiles][b->pixels](b, acc);
	if (b->tiles == 2 && b->out == OP_OUT_S8 && b->cut.small)
		return;
	if (b->tiles == 1) {
		store_single(b, acc);
		return;
	}
	store_pair(b, acc, b->tiles * LANES);
	if (b->tiles == 4) {
		half.at += 2 * LANES;
		half.s_pos += 2 * LANES;
		half.s_neg += 2 * LANES;
		half.channels -= 2 * LANES;
		store_pair(&half, acc + 2 * LANES, 4 * LANES);
	}
}

const struct dense_isa dense_avx512 = {
	.lanes = LANES,
	.products = 4,
	.element = 1,
	.offset = 128,
	.pixels = PIXELS,
	.narrow = NARROW,
	.copy = copy_biased,
	.fill = fill_biased,
	.block = block,
};
