/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dense block on AVX2: values are kept as 16 bits in scratch and in the packed weights, and
 * vpmaddwd adds two exact products a lane; nothing saturates.
 */
#include "kernels/cpu/dense.h"
#include "kernels/requant.h"

#include <immintrin.h>
#include <string.h>

#define LANES  8
#define PIXELS 6
#define NARROW 3

static void copy_words(const int8_t *x, size_t n, void *to)
{
	int16_t *y = to;

	for (; n >= 16; n -= 16, x += 16, y += 16)
		_mm256_storeu_si256((__m256i *)y,
				    _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)x)));
	for (; n; n--)
		*y++ = *x++;
}

static void fill_words(int8_t v, size_t n, void *to)
{
	int16_t *y = to;

	for (size_t i = 0; i < n; i++)
		y[i] = v;
}

/* ---- requantisation ------------------------------------------------------------------------ */

struct tail {
	const struct dense_block *b;
	__m256 s_r, low, high;
	__m256i z_r, z;
};

static inline __m256 scaled(__m256i acc, const float *pos, const float *neg)
{
	__m256 t = _mm256_cvtepi32_ps(acc);
	__m256 s = _mm256_blendv_ps(_mm256_load_ps(pos), _mm256_load_ps(neg),
				    _mm256_castsi256_ps(acc));

	return _mm256_mul_ps(t, s);
}

/* Four residual bytes for each half of the lanes. */
static inline __m256 with_residual(const struct tail *t, __m256 v, int32_t r0, int32_t r1)
{
	__m256i r = _mm256_cvtepi8_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(r0), r1, 1));
	__m256 f = _mm256_cvtepi32_ps(_mm256_sub_epi32(r, t->z_r));

	return _mm256_add_ps(v, _mm256_mul_ps(f, t->s_r));
}

static inline __m256i rounded(const struct tail *t, __m256 v)
{
	v = _mm256_min_ps(_mm256_max_ps(v, t->low), t->high);
	return _mm256_add_epi32(_mm256_cvtps_epi32(v), t->z);
}

static inline int32_t four_bytes(const int8_t *x)
{
	int32_t v;

	memcpy(&v, x, sizeof(v));
	return v;
}

/* A pair of tiles: in channel order their lanes alternate by fours, as packing wants them. */
static void store_pixel(const struct tail *t, const int32_t *acc, size_t at)
{
	const struct dense_block *b = t->b;
	__m256i i0 = _mm256_load_si256((const __m256i *)acc);
	__m256i i1 = _mm256_load_si256((const __m256i *)(acc + LANES));
	__m256 t0, t1;
	__m128i bytes;

	if (b->out != OP_OUT_S32) {
		t0 = scaled(i0, b->s_pos, b->s_neg);
		t1 = scaled(i1, b->s_pos + LANES, b->s_neg + LANES);
		if (b->residual) {
			const int8_t *r = b->residual + at;

			t0 = with_residual(t, t0, four_bytes(r), four_bytes(r + 8));
			t1 = with_residual(t, t1, four_bytes(r + 4), four_bytes(r + 12));
		}
		i0 = _mm256_castps_si256(t0);
		i1 = _mm256_castps_si256(t1);
	}
	if (b->out != OP_OUT_S8) {
		__m256i *y = (__m256i *)((int32_t *)b->y + at);

		_mm256_storeu_si256(y, _mm256_permute2x128_si256(i0, i1, 0x20));
		_mm256_storeu_si256(y + 1, _mm256_permute2x128_si256(i0, i1, 0x31));
		return;
	}
	i0 = _mm256_packs_epi32(rounded(t, t0), rounded(t, t1));
	bytes = _mm_packs_epi16(_mm256_castsi256_si128(i0), _mm256_extracti128_si256(i0, 1));
	_mm_storeu_si128((__m128i *)((int8_t *)b->y + at), bytes);
}

/* Less than a whole pair, lane by lane; order: where channel c lies among the accumulators. */
static void store_some(const struct tail *t, const int32_t *acc, size_t at)
{
	const struct dense_block *b = t->b;

	for (uint32_t c = 0; c < b->channels; c++) {
		uint32_t lane = b->tiles == 1 ? c : (c >> 2 & 1) * LANES + (c >> 3) * 4 + (c & 3);
		const struct op_requant q = {.s_pos = b->s_pos + lane,
					     .s_neg = b->s_neg + lane,
					     .s_r = b->q->s_r,
					     .z_r = b->q->z_r,
					     .z = b->q->z,
					     .lo = b->q->lo,
					     .hi = b->q->hi};

		requant_store(&q, b->out, 0, acc[lane], b->residual, b->y, at + c);
	}
}

/* stride: accumulators from a pixel to the next. */
static void store(const struct dense_block *b, const int32_t *acc, uint32_t stride)
{
	const struct op_requant *q = b->q;
	bool byte = b->out == OP_OUT_S8;
	const struct tail t = {.b = b,
			       .s_r = _mm256_set1_ps(q->s_r),
			       .z_r = _mm256_set1_epi32(q->z_r),
			       .low = _mm256_set1_ps(byte ? (float)(q->lo - q->z) : 0),
			       .high = _mm256_set1_ps(byte ? (float)(q->hi - q->z) : 0),
			       .z = _mm256_set1_epi32(q->z)};
	size_t at = b->at;

	for (uint32_t i = 0; i < b->pixels; i++, acc += stride, at += b->pixel)
		if (b->channels == 2 * LANES)
			store_pixel(&t, acc, at);
		else
			store_some(&t, acc, at);
}

/* ---- the multiplication -------------------------------------------------------------------- */

static inline __m256i broadcast(const uint8_t *x)
{
	int32_t v;

	memcpy(&v, x, sizeof(v));
	return _mm256_set1_epi32(v);
}

static inline __m256i load(const void *p)
{
	return _mm256_load_si256(p);
}

static inline __m256i multiply_add(__m256i acc, __m256i x, __m256i w)
{
	return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
}

#define EACH_PIXEL(DO)	DO(0, x0, 0) DO(1, x0, 1) DO(2, x0, 2) DO(3, x3, 0) DO(4, x3, 1) DO(5, x3, 2)
#define EACH_NARROW(DO) DO(0, x0, 0) DO(1, x0, 1) DO(2, x0, 2)

#define DECLARE_2(i, base, n) __m256i a##i = bias0, b##i = bias1;
#define MULTIPLY_2(i, base, n)                                                                     \
	if (pixels > i) {                                                                          \
		__m256i v = broadcast(base + n * stride);                                          \
		a##i = multiply_add(a##i, v, w0);                                                  \
		if (tiles > 1)                                                                     \
			b##i = multiply_add(b##i, v, w1);                                          \
	}
#define DUMP_2(i, base, n)                                                                         \
	if (pixels > i) {                                                                          \
		_mm256_store_si256((__m256i *)(acc + i * tiles * LANES), a##i);                    \
		if (tiles > 1)                                                                     \
			_mm256_store_si256((__m256i *)(acc + (i * tiles + 1) * LANES), b##i);      \
	}

/* pixels and tiles (1 or 2) are constants wherever this is expanded. */
static inline __attribute__((always_inline)) void
multiply_2(const struct dense_block *b, const uint32_t pixels, const uint32_t tiles, int32_t *acc)
{
	const size_t stride = b->stride;
	const uint8_t *w = b->w, *second = b->w + (tiles > 1 ? b->w_tile : 0);
	const __m256i bias0 = load(b->bias), bias1 = load(b->bias + (tiles > 1 ? LANES : 0));
	EACH_PIXEL(DECLARE_2)

	for (uint32_t s = 0; s < b->segments; s++) {
		const uint8_t *x0 = b->segment[s] + b->offset, *x3 = x0 + 3 * stride;

		for (uint32_t k = b->steps; k; k--) {
			__m256i w0 = load(w), w1 = load(second);

			EACH_PIXEL(MULTIPLY_2)
			w += 32, second += 32;
			x0 += 4, x3 += 4;
		}
	}
	EACH_PIXEL(DUMP_2)
}

#define DECLARE_4(i, base, n) __m256i a##i = bias0, b##i = bias1, c##i = bias2, d##i = bias3;
#define MULTIPLY_4(i, base, n)                                                                     \
	if (pixels > i) {                                                                          \
		__m256i v = broadcast(base + n * stride);                                          \
		a##i = multiply_add(a##i, v, load(w));                                             \
		b##i = multiply_add(b##i, v, load(w + tile));                                      \
		c##i = multiply_add(c##i, v, load(w + 2 * tile));                                  \
		d##i = multiply_add(d##i, v, load(w + 3 * tile));                                  \
	}
#define DUMP_4(i, base, n)                                                                         \
	if (pixels > i) {                                                                          \
		_mm256_store_si256((__m256i *)(acc + (i * 4 + 0) * LANES), a##i);                  \
		_mm256_store_si256((__m256i *)(acc + (i * 4 + 1) * LANES), b##i);                  \
		_mm256_store_si256((__m256i *)(acc + (i * 4 + 2) * LANES), c##i);                  \
		_mm256_store_si256((__m256i *)(acc + (i * 4 + 3) * LANES), d##i);                  \
	}

static inline __attribute__((always_inline)) void multiply_4(const struct dense_block *b,
							     const uint32_t pixels, int32_t *acc)
{
	const size_t stride = b->stride, tile = b->w_tile;
	const uint8_t *w = b->w;
	const __m256i bias0 = load(b->bias), bias1 = load(b->bias + LANES);
	const __m256i bias2 = load(b->bias + 2 * LANES), bias3 = load(b->bias + 3 * LANES);
	EACH_NARROW(DECLARE_4)

	for (uint32_t s = 0; s < b->segments; s++) {
		const uint8_t *x0 = b->segment[s] + b->offset;

		for (uint32_t k = b->steps; k; k--, w += 32, x0 += 4) {
			EACH_NARROW(MULTIPLY_4)
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
WIDE(1) WIDE(2) WIDE(3) WIDE(4) WIDE(5) WIDE(6)
NARROW_4(1) NARROW_4(2) NARROW_4(3)

typedef void multiply_fn(const struct dense_block *b, int32_t *acc);
static multiply_fn *const multiply[5][PIXELS + 1] = {
	[1] = {NULL, single_1, single_2, single_3, single_4, single_5, single_6},
	[2] = {NULL, pair_1, pair_2, pair_3, pair_4, pair_5, pair_6},
	[4] = {NULL, quad_1, quad_2, quad_3},
};
/* clang-format on */

static void block(const struct dense_block *b)
{
	_Alignas(32) int32_t acc[PIXELS * 2 * LANES];
	struct dense_block half = *b;
	uint32_t stride = b->tiles * LANES;

	multiply[b->tiles][b->pixels](b, acc);
	for (uint32_t tile = 0; tile < b->tiles; tile += 2) {
		half.channels = b->channels - tile * LANES;
		if (half.channels > 2 * LANES)
			half.channels = 2 * LANES;
		store(&half, acc + tile * LANES, stride);
		half.at += 2 * LANES;
		half.s_pos += 2 * LANES;
		half.s_neg += 2 * LANES;
	}
}

const struct dense_isa dense_avx2 = {
	.lanes = LANES,
	.products = 2,
	.element = 2,
	.offset = 0,
	.pixels = PIXELS,
	.narrow = NARROW,
	.copy = copy_words,
	.fill = fill_words,
	.block = block,
};
