/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolution on AVX-512 VNNI, 64 channels at a time.
 *
 * vpdpbusd adds four products in one lane, so four taps of a channel must lie side by side. Four
 * vectors of 64 channels are interleaved byte by byte into four quarters: quarter g holds, in the
 * 128-bit lane l, channels 16 l + 4 g .. + 3, four taps each. Packing four results back to bytes
 * restores the order of the channels by itself. A slot is one such set of four taps:
 *
 *   3x3, stride 1   a column of four input rows serves two output rows; six slots: the first
 *                   output row's taps (0, 1, 2, none), the second's (none, 0, 1, 2), by kx
 *   3x3, stride 2   a column of three input rows; three slots, by kx
 *   otherwise       the taps in order, by fours
 *
 * Along x each column is multiplied once for every output it belongs to, and the partial sums move
 * on with it. Input bytes become unsigned by adding 128, which the packed bias takes back.
 */
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/shortcut.h"

#include <errno.h>
#include <immintrin.h>
#include <string.h>

#define CHANNELS 64u
#define INLINE	 static inline __attribute__((always_inline))
#define NO_TAP	 UINT32_MAX

struct quad {
	__m512i v0, v1, v2, v3;
};

enum form { PAIRED_ROWS, STRIDE_2, GENERIC };

/* One block of 64 channels, quarters in the order above; `slots` of 4 x 64 bytes follow. */
struct block {
	int32_t bias[CHANNELS];
	float pos[CHANNELS], neg[CHANNELS];
	int8_t slot[][4 * CHANNELS];
};

static enum form form_of(const struct op_conv2d *p)
{
	if (p->kh != 3 || p->kw != 3 || p->dilation_h != 1 || p->dilation_w != 1)
		return GENERIC;
	if (p->stride_w == 1 && p->stride_h == 1)
		return PAIRED_ROWS;
	return p->stride_w == 2 ? STRIDE_2 : GENERIC;
}

static uint32_t slots_of(const struct op_conv2d *p)
{
	const uint32_t slots[] = {6, 3, (p->kh * p->kw + 3) / 4};

	return slots[form_of(p)];
}

/* Which tap is byte j of a slot. */
static uint32_t tap_of(const struct op_conv2d *p, uint32_t slot, uint32_t j)
{
	uint32_t row = slot / 3, tap = slot * 4 + j;

	if (form_of(p) == GENERIC)
		return tap < p->kh * p->kw ? tap : NO_TAP;
	return j < row || j - row > 2 ? NO_TAP : (j - row) * 3 + slot % 3;
}

/* Place of a block's channel among the lanes of the four quarters. */
static uint32_t lane_of(uint32_t c)
{
	return c / 4 % 4 * 16 + c / 16 * 4 + c % 4;
}

static size_t block_bytes(const struct op_conv2d *p)
{
	return sizeof(struct block) + (size_t)slots_of(p) * 4 * CHANNELS;
}

static uint32_t blocks_of(const struct op_conv2d *p)
{
	return (p->c + CHANNELS - 1) / CHANNELS;
}

size_t depthwise_packed_bytes_avx512(const struct op_conv2d *p)
{
	return sizeof(struct scales_kind) + blocks_of(p) * block_bytes(p);
}

static struct block *block_at(const struct op_conv2d *p, const void *packed, uint32_t i)
{
	return (struct block *)((uint8_t *)packed + sizeof(struct scales_kind) +
				i * block_bytes(p));
}

static void pack_channel(const struct op_conv2d *p, struct block *b, uint32_t lane, const int8_t *w,
			 int32_t bias)
{
	uint32_t sum = 0;

	for (uint32_t tap = 0; tap < p->kh * p->kw; tap++)
		sum += (uint32_t)w[tap];
	b->bias[lane] = (int32_t)((uint32_t)bias - 128 * sum);
	for (uint32_t slot = 0; slot < slots_of(p); slot++)
		for (uint32_t j = 0; j < 4; j++) {
			uint32_t tap = tap_of(p, slot, j);

			b->slot[slot][lane * 4 + j] = tap == NO_TAP ? 0 : w[tap];
		}
}

void depthwise_pack_avx512(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			   void *packed)
{
	struct scales_kind *head = packed;

	memset(packed, 0, depthwise_packed_bytes_avx512(p));
	*head = scales_kind(&p->q, p->c, p->out);
	for (uint32_t c = 0; c < p->c; c++) {
		struct block *b = block_at(p, packed, c / CHANNELS);
		uint32_t lane = lane_of(c % CHANNELS);

		pack_channel(p, b, lane, w + (size_t)c * p->kh * p->kw, bias[c]);
		if (p->out == OP_OUT_S32)
			continue;
		b->pos[lane] = p->q.s_pos[c];
		b->neg[lane] = p->q.s_neg[c];
	}
}

/* ---- requantisation ----------------------------------------------------------------------- */

struct output {
	enum op_out out;
	struct shortcut cut;
	uint32_t channels; /* of the whole tensor */
	const struct block *block;
	const int8_t *residual; /* whole tensor, or NULL */
	void *y;
	__mmask64 mask;
	__m512 s_r, high;
	__m512i z_r, z, lo, hi;
};

static struct output output_of(const struct op_conv2d *p, const void *packed,
			       const int8_t *residual, void *y)
{
	bool byte = p->out == OP_OUT_S8, scales = p->out != OP_OUT_S32;
	struct shortcut cut = shortcut_of(packed, &p->q, p->out, residual);

	return (struct output){
		.out = p->out,
		.cut = cut,
		.channels = p->c,
		.residual = residual,
		.y = y,
		.s_r = _mm512_set1_ps(scales ? p->q.s_r : 0),
		.z_r = _mm512_set1_epi32(scales ? p->q.z_r : 0),
		.high = _mm512_set1_ps(byte ? (float)(p->q.hi - p->q.z) : 0),
		.z = _mm512_set1_epi16((int16_t)(byte ? p->q.z : 0)),
		.lo = _mm512_set1_epi8((int8_t)(byte ? cut.lo : 0)),
		.hi = _mm512_set1_epi8((int8_t)(byte ? p->q.hi : 0)),
	};
}

INLINE __m512 scaled(const struct output *o, __m512i acc, const float *pos, const float *neg)
{
	__m512 t = _mm512_cvtepi32_ps(acc);

	if (o->cut.linear)
		return _mm512_mul_ps(t, _mm512_load_ps(pos));
	return _mm512_mul_ps(t, _mm512_mask_mov_ps(_mm512_load_ps(pos), _mm512_movepi32_mask(acc),
						   _mm512_load_ps(neg)));
}

/* r: the residual's byte in the top byte of each lane. */
INLINE __m512 with_residual(const struct output *o, __m512 t, __m512i r)
{
	__m512 f = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srai_epi32(r, 24), o->z_r));

	return _mm512_add_ps(t, _mm512_mul_ps(f, o->s_r));
}

struct floats {
	__m512 t0, t1, t2, t3;
};

INLINE struct floats scaled_quad(const struct output *o, struct quad acc, size_t at)
{
	const struct block *b = o->block;
	struct floats f = {scaled(o, acc.v0, b->pos, b->neg),
			   scaled(o, acc.v1, b->pos + 16, b->neg + 16),
			   scaled(o, acc.v2, b->pos + 32, b->neg + 32),
			   scaled(o, acc.v3, b->pos + 48, b->neg + 48)};

	if (o->residual) {
		__m512i zero = _mm512_setzero_si512();
		__m512i r = _mm512_maskz_loadu_epi8(o->mask, o->residual + at);
		__m512i low = _mm512_unpacklo_epi8(zero, r), high = _mm512_unpackhi_epi8(zero, r);

		f.t0 = with_residual(o, f.t0, _mm512_unpacklo_epi16(zero, low));
		f.t1 = with_residual(o, f.t1, _mm512_unpackhi_epi16(zero, low));
		f.t2 = with_residual(o, f.t2, _mm512_unpacklo_epi16(zero, high));
		f.t3 = with_residual(o, f.t3, _mm512_unpackhi_epi16(zero, high));
	}
	return f;
}

/* Four bytes a channel: the accumulators, or t. */
static void store_dwords(const struct output *o, struct quad acc, size_t at)
{
	int32_t lanes[CHANNELS] __attribute__((aligned(64)));
	int32_t *y = (int32_t *)o->y + at;

	if (o->out == OP_OUT_F32) {
		struct floats f = scaled_quad(o, acc, at);

		acc = (struct quad){_mm512_castps_si512(f.t0), _mm512_castps_si512(f.t1),
				    _mm512_castps_si512(f.t2), _mm512_castps_si512(f.t3)};
	}
	_mm512_store_si512(lanes, acc.v0);
	_mm512_store_si512(lanes + 16, acc.v1);
	_mm512_store_si512(lanes + 32, acc.v2);
	_mm512_store_si512(lanes + 48, acc.v3);
	for (uint32_t c = 0; c < CHANNELS && o->mask >> c & 1; c++)
		memcpy(y + c, lanes + lane_of(c), sizeof(*y));
}

INLINE __m512i rounded(const struct output *o, __m512 t, const bool small)
{
	return _mm512_cvtps_epi32(small ? t : _mm512_min_ps(t, o->high));
}

/* Saturation, lo and hi clamp; but t past 2^31 would turn negative, so high comes before that. */
INLINE void store_bytes(const struct output *o, struct quad acc, size_t at, const bool small)
{
	struct floats f = scaled_quad(o, acc, at);
	__m512i low = _mm512_packs_epi32(rounded(o, f.t0, small), rounded(o, f.t1, small));
	__m512i high = _mm512_packs_epi32(rounded(o, f.t2, small), rounded(o, f.t3, small)), v;

	v = _mm512_packs_epi16(_mm512_adds_epi16(low, o->z), _mm512_adds_epi16(high, o->z));
	v = _mm512_min_epi8(_mm512_max_epi8(v, o->lo), o->hi);
	if (o->mask == ~0ull)
		_mm512_storeu_si512((int8_t *)o->y + at, v);
	else
		_mm512_mask_storeu_epi8((int8_t *)o->y + at, o->mask, v);
}

/* What is rare: other outputs, scales above a half. */
static __attribute__((noinline)) void store_other(const struct output *o, struct quad acc,
						  size_t at)
{
	if (o->out == OP_OUT_S8)
		store_bytes(o, acc, at, false);
	else
		store_dwords(o, acc, at);
}

/* at: element of the first channel. */
INLINE void store(const struct output *o, struct quad acc, size_t at)
{
	if (o->out == OP_OUT_S8 && o->cut.small)
		store_bytes(o, acc, at, true);
	else
		store_other(o, acc, at);
}

/* ---- multiplication ------------------------------------------------------------------------ */

INLINE __m512i load(const int8_t *x, __mmask64 m)
{
	const __m512i flip = _mm512_set1_epi8(-128);
	__m512i v = m == ~0ull ? _mm512_loadu_si512(x) : _mm512_maskz_loadu_epi8(m, x);

	return _mm512_xor_si512(v, flip);
}

INLINE struct quad interleave(__m512i r0, __m512i r1, __m512i r2, __m512i r3)
{
	__m512i low01 = _mm512_unpacklo_epi8(r0, r1), high01 = _mm512_unpackhi_epi8(r0, r1);
	__m512i low23 = _mm512_unpacklo_epi8(r2, r3), high23 = _mm512_unpackhi_epi8(r2, r3);

	return (struct quad){
		_mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
		_mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
}

INLINE struct quad load_quad(const void *p)
{
	const uint8_t *b = p;

	return (struct quad){_mm512_load_si512(b), _mm512_load_si512(b + 64),
			     _mm512_load_si512(b + 128), _mm512_load_si512(b + 192)};
}

INLINE struct quad multiply(struct quad acc, struct quad x, const int8_t *slot)
{
	return (struct quad){_mm512_dpbusd_epi32(acc.v0, x.v0, _mm512_load_si512(slot)),
			     _mm512_dpbusd_epi32(acc.v1, x.v1, _mm512_load_si512(slot + 64)),
			     _mm512_dpbusd_epi32(acc.v2, x.v2, _mm512_load_si512(slot + 128)),
			     _mm512_dpbusd_epi32(acc.v3, x.v3, _mm512_load_si512(slot + 192))};
}

/* What the loops below share. */
struct walk {
	const struct op_conv2d *p;
	const void *packed;
	const int8_t *image;
	const int8_t *padding; /* 64 values of z_x */
	uint32_t oh, ow;
	struct output o;
};

/* A row of the image, or NULL where it is padding. */
static const int8_t *row_at(const struct walk *w, int64_t iy)
{
	return iy < 0 || iy >= w->p->h ? NULL : w->image + (size_t)iy * w->p->w * w->p->c;
}

/* Input rows walked along x, padding included: a row of padding stands still. */
struct columns {
	const int8_t *x0, *x1, *x2, *x3, *padding;
	size_t step0, step1, step2, step3;
	int64_t ix, width;
	__mmask64 mask;
};

static struct columns columns_at(const struct walk *w, int64_t iy, uint32_t c)
{
	const int8_t *r0 = row_at(w, iy), *r1 = row_at(w, iy + 1), *r2 = row_at(w, iy + 2);
	const int8_t *r3 = row_at(w, iy + 3);
	size_t step = w->p->c;

	return (struct columns){.x0 = r0 ? r0 + c : w->padding,
				.x1 = r1 ? r1 + c : w->padding,
				.x2 = r2 ? r2 + c : w->padding,
				.x3 = r3 ? r3 + c : w->padding,
				.step0 = r0 ? step : 0,
				.step1 = r1 ? step : 0,
				.step2 = r2 ? step : 0,
				.step3 = r3 ? step : 0,
				.padding = w->padding,
				.ix = -(int64_t)w->p->pad_left,
				.width = w->p->w,
				.mask = w->o.mask};
}

/* The next column, four rows of it or three. */
INLINE struct quad next_column(struct columns *s, const bool four)
{
	__m512i v0, v1, v2, v3;

	if (s->ix < 0 || s->ix >= s->width) {
		v0 = v1 = v2 = v3 = load(s->padding, s->mask);
	} else {
		v0 = load(s->x0, s->mask);
		v1 = load(s->x1, s->mask);
		v2 = load(s->x2, s->mask);
		v3 = four ? load(s->x3, s->mask) : v2;
		s->x0 += s->step0;
		s->x1 += s->step1;
		s->x2 += s->step2;
		s->x3 += s->step3;
	}
	s->ix++;
	return interleave(v0, v1, v2, v3);
}

/* Output rows `row` and, if both, row + 1 of the image at iy, for channels from c. */
INLINE void paired_rows(const struct walk *w, size_t row, int64_t iy, bool both, uint32_t c)
{
	const struct output o = w->o;
	const struct block *b = o.block;
	struct columns s = columns_at(w, iy, c);
	size_t at = row * w->ow * w->p->c + c, below = (size_t)w->ow * w->p->c;
	struct quad bias = load_quad(b->bias), q = next_column(&s, true);
	struct quad next0 = multiply(bias, q, b->slot[0]), next1 = multiply(bias, q, b->slot[3]);
	struct quad last0, last1;

	q = next_column(&s, true);
	next0 = multiply(next0, q, b->slot[1]);
	next1 = multiply(next1, q, b->slot[4]);
	last0 = multiply(bias, q, b->slot[0]);
	last1 = multiply(bias, q, b->slot[3]);
	for (uint32_t ox = 0; ox < w->ow; ox++, at += w->p->c) {
		q = next_column(&s, true);
		store(&o, multiply(next0, q, b->slot[2]), at);
		next0 = multiply(last0, q, b->slot[1]);
		last0 = multiply(load_quad(b->bias), q, b->slot[0]);
		if (both)
			store(&o, multiply(next1, q, b->slot[5]), at + below);
		next1 = multiply(last1, q, b->slot[4]);
		last1 = multiply(load_quad(b->bias), q, b->slot[3]);
	}
}

INLINE void stride_2(const struct walk *w, size_t row, int64_t iy, uint32_t c)
{
	const struct output o = w->o;
	const struct block *b = o.block;
	struct columns s = columns_at(w, iy, c);
	size_t at = row * w->ow * w->p->c + c;
	struct quad acc = multiply(load_quad(b->bias), next_column(&s, false), b->slot[0]), q;

	for (uint32_t ox = 0; ox < w->ow; ox++, at += w->p->c) {
		acc = multiply(acc, next_column(&s, false), b->slot[1]);
		q = next_column(&s, false);
		store(&o, multiply(acc, q, b->slot[2]), at);
		acc = multiply(load_quad(b->bias), q, b->slot[0]);
	}
}

/* Whole blocks and the last, partial one: apart, so that the common case has no mask. */
static void rows_full(struct walk *w, size_t row, int64_t iy, bool both, uint32_t c)
{
	w->o.mask = ~0ull;
	if (form_of(w->p) == PAIRED_ROWS)
		paired_rows(w, row, iy, both, c);
	else
		stride_2(w, row, iy, c);
}

static void rows_partial(struct walk *w, size_t row, int64_t iy, bool both, uint32_t c)
{
	if (form_of(w->p) == PAIRED_ROWS)
		paired_rows(w, row, iy, both, c);
	else
		stride_2(w, row, iy, c);
}

/* ---- any kernel: a list of taps for each output pixel ------------------------------------- */

static uint32_t taps_padded(const struct op_conv2d *p)
{
	return (p->kh * p->kw + 3) / 4 * 4;
}

/* NULL where the tap is padding. */
static void find_taps(const struct walk *w, int64_t iy, int64_t ix, const int8_t **tap)
{
	const struct op_conv2d *p = w->p;

	for (uint32_t ky = 0; ky < p->kh; ky++) {
		const int8_t *row = row_at(w, iy + (int64_t)ky * p->dilation_h);

		for (uint32_t kx = 0; kx < p->kw; kx++) {
			int64_t tx = ix + (int64_t)kx * p->dilation_w;
			bool inside = row && tx >= 0 && tx < p->w;

			*tap++ = inside ? row + (size_t)tx * p->c : NULL;
		}
	}
}

INLINE __m512i tap_values(const struct walk *w, const int8_t *tap, uint32_t c)
{
	return load(tap ? tap + c : w->padding, w->o.mask);
}

static void any_pixel(const struct walk *w, const int8_t **tap, size_t at, uint32_t c)
{
	const struct block *b = w->o.block;
	struct quad acc = load_quad(b->bias);

	for (uint32_t slot = 0; slot < taps_padded(w->p) / 4; slot++, tap += 4)
		acc = multiply(acc,
			       interleave(tap_values(w, tap[0], c), tap_values(w, tap[1], c),
					  tap_values(w, tap[2], c), tap_values(w, tap[3], c)),
			       b->slot[slot]);
	store(&w->o, acc, at);
}

/* ---- entries ------------------------------------------------------------------------------- */

static void select_block(struct walk *w, uint32_t i)
{
	uint32_t left = w->p->c - i * CHANNELS;

	w->o.block = block_at(w->p, w->packed, i);
	w->o.mask = left >= CHANNELS ? ~0ull : (1ull << left) - 1;
}

static void any_row(struct walk *w, size_t row, int64_t iy, const int8_t **tap)
{
	for (uint32_t ox = 0; ox < w->ow; ox++) {
		size_t at = (row * w->ow + ox) * w->p->c;

		find_taps(w, iy, (int64_t)ox * w->p->stride_w - w->p->pad_left, tap);
		for (uint32_t i = 0; i < blocks_of(w->p); i++) {
			select_block(w, i);
			any_pixel(w, tap, at + i * CHANNELS, i * CHANNELS);
		}
	}
}

/* Computes one output row, or two where the form does so; returns how many. */
static uint32_t some_rows(struct walk *w, uint32_t row, uint32_t left, const int8_t **tap)
{
	enum form form = form_of(w->p);
	uint32_t oy = row % w->oh;
	int64_t iy = (int64_t)oy * w->p->stride_h - w->p->pad_top;
	bool both = left > 1 && oy + 1 < w->oh && form == PAIRED_ROWS;

	if (form == GENERIC) {
		any_row(w, row, iy, tap);
		return 1;
	}
	for (uint32_t i = 0; i < blocks_of(w->p); i++) {
		select_block(w, i);
		if (w->o.mask == ~0ull)
			rows_full(w, row, iy, both, i * CHANNELS);
		else
			rows_partial(w, row, iy, both, i * CHANNELS);
	}
	return both ? 2 : 1;
}

size_t depthwise_scratch_bytes_avx512(const struct op_conv2d *p)
{
	return CHANNELS + taps_padded(p) * sizeof(void *);
}

int depthwise_avx512(const struct op_conv2d *p, const void *packed, const int8_t *x,
		     const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		     void *scratch)
{
	struct walk w = {.p = p,
			 .packed = packed,
			 .padding = scratch,
			 .oh = op_conv2d_oh(p),
			 .ow = op_conv2d_ow(p),
			 .o = output_of(p, packed, residual, y)};
	const int8_t **tap = (const int8_t **)((int8_t *)scratch + CHANNELS);

	if (row_begin > row_end || row_end > p->n * w.oh)
		return -EINVAL;
	memset(scratch, p->z_x, CHANNELS);
	for (uint32_t i = p->kh * p->kw; i < taps_padded(p); i++)
		tap[i] = NULL;
	while (row_begin < row_end) {
		w.image = x + (size_t)(row_begin / w.oh) * p->h * p->w * p->c;
		row_begin += some_rows(&w, row_begin, row_end - row_begin, tap);
	}
	return 0;
}
