/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/dense.h"

#include <errno.h>
#include <string.h>

#define SLACK		64u	     /* a step may read past the last value; its weights are zero */
#define POINTWISE_BYTES (32u << 10)  /* of input copied at a time: it is to stay in the L1 cache */
#define ROWS_BYTES	(128u << 10) /* of input rows copied at a time: in the L2 cache */

/* A convolution or GEMM as the loops below see it. */
struct dense {
	const struct dense_isa *isa;
	uint32_t groups, c, oc; /* c, oc: of all groups */
	uint32_t segments, run; /* run: values of a segment */
	uint32_t steps, tiles;	/* steps of a segment, tiles of a group */
	const struct op_requant *q;
	enum op_out out;
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static struct dense dense_shape(const struct dense_isa *isa, uint32_t groups, uint32_t c,
				uint32_t oc, uint32_t segments, uint32_t run)
{
	return (struct dense){
		.isa = isa,
		.groups = groups,
		.c = c,
		.oc = oc,
		.segments = segments,
		.run = run,
		.steps = (run + isa->products - 1) / isa->products,
		.tiles = (oc / groups + isa->lanes - 1) / isa->lanes,
	};
}

static struct dense conv2d_shape(const struct dense_isa *isa, const struct op_conv2d *p)
{
	bool adjacent = p->groups == 1 && (p->dilation_w == 1 || p->kw == 1);
	uint32_t taps = adjacent ? p->kw : 1;
	struct dense d = dense_shape(isa, p->groups, p->c, p->oc, p->kh * p->kw / taps,
				     p->c / p->groups * taps);

	d.q = &p->q;
	d.out = p->out;
	return d;
}

static struct dense gemm_shape(const struct dense_isa *isa, const struct op_gemm *p)
{
	struct dense d = dense_shape(isa, 1, p->k, p->n, 1, p->k);

	d.q = &p->q;
	d.out = p->out;
	return d;
}

/* ---- packing ----------------------------------------------------------------------------- */

static size_t lanes_total(const struct dense *d)
{
	return (size_t)d->groups * d->tiles * d->isa->lanes;
}

static size_t tile_bytes(const struct dense *d)
{
	return (size_t)d->segments * d->steps * d->isa->lanes * d->isa->products * d->isa->element;
}

/* struct scales_kind; bias, s_pos and s_neg of all lanes; the tiles. */
static size_t packed_bytes(const struct dense *d)
{
	return sizeof(struct scales_kind) + round_up(lanes_total(d) * 12, 64) +
	       (size_t)d->groups * d->tiles * tile_bytes(d);
}

static uint8_t *packed_weights(const struct dense *d, const void *packed)
{
	return (uint8_t *)packed + packed_bytes(d) - (size_t)d->groups * d->tiles * tile_bytes(d);
}

/* The lane, counted over the tiles of a group, that holds the group's channel o. */
static uint32_t lane_of(const struct dense *d, uint32_t o)
{
	uint32_t pair = 2 * d->isa->lanes, first = o / pair * pair, in = o - first;

	if (first + d->isa->lanes >= d->tiles * d->isa->lanes)
		return o;
	return first + (in >> 2 & 1) * d->isa->lanes + (in >> 3) * 4 + (in & 3);
}

static void put_weight(const struct dense *d, uint8_t *tile, uint32_t lane, uint32_t segment,
		       uint32_t i, int8_t w)
{
	const struct dense_isa *isa = d->isa;
	size_t step = (size_t)segment * d->steps + i / isa->products;
	size_t at = (step * isa->lanes + lane) * isa->products + i % isa->products;

	if (isa->element == 1)
		((int8_t *)tile)[at] = w;
	else
		((int16_t *)tile)[at] = w;
}

/* One output channel's weights; returns their sum. */
static int32_t pack_channel(const struct dense *d, uint8_t *tile, uint32_t lane, const int8_t *w)
{
	int32_t sum = 0;

	for (uint32_t s = 0; s < d->segments; s++)
		for (uint32_t i = 0; i < d->run; i++) {
			sum += *w;
			put_weight(d, tile, lane, s, i, *w++);
		}
	return sum;
}

static void pack(const struct dense *d, const int8_t *w, const int32_t *bias, void *packed)
{
	uint32_t lanes = d->isa->lanes, per_group = d->oc / d->groups;
	size_t k = (size_t)d->segments * d->run;
	struct scales_kind *head = packed;
	int32_t *to_bias = (int32_t *)(head + 1);
	float *to_pos = (void *)(to_bias + lanes_total(d)), *to_neg = to_pos + lanes_total(d);

	memset(packed, 0, packed_bytes(d));
	*head = scales_kind(d->q, d->oc, d->out);
	for (uint32_t o = 0; o < d->oc; o++, w += k) {
		uint32_t in_group = lane_of(d, o % per_group);
		size_t lane = (size_t)(o / per_group) * d->tiles * lanes + in_group;
		uint8_t *tile = packed_weights(d, packed) + lane / lanes * tile_bytes(d);
		int32_t sum = pack_channel(d, tile, (uint32_t)(lane % lanes), w);

		/* May leave int32 and wrap; the products it corrects wrap back. */
		to_bias[lane] = (int32_t)((uint32_t)bias[o] - (uint32_t)d->isa->offset * sum);
		if (d->out == OP_OUT_S32)
			continue;
		to_pos[lane] = d->q->s_pos[o];
		to_neg[lane] = d->q->s_neg[o];
	}
}

/* ---- computing --------------------------------------------------------------------------- */

/* Output pixels in a row that share their segments' start. */
struct strips {
	const uint8_t **segment; /* [count][segments] */
	uint32_t count, pixels;
	size_t at;     /* output pixel of the first strip's first pixel */
	size_t stride; /* bytes from a pixel to the next */
};

/* All pixels of the strips for the tiles of b, in blocks of nearly equal size. */
static void run_strips(const struct dense *d, const struct strips *s, struct dense_block *b,
		       size_t channel, size_t offset, uint32_t most)
{
	uint32_t blocks = (s->pixels + most - 1) / most;

	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t done = 0;

		b->segment = s->segment + (size_t)i * d->segments;
		for (uint32_t j = 0; j < blocks; j++, done += b->pixels) {
			b->pixels = (s->pixels - done + blocks - j - 1) / (blocks - j);
			b->offset = offset + done * s->stride;
			b->at = (s->at + (size_t)i * s->pixels + done) * d->oc + channel;
			d->isa->block(b);
		}
	}
}

static void run_group(const struct dense *d, const void *packed, const struct strips *s,
		      uint32_t group, struct dense_block *b)
{
	const struct dense_isa *isa = d->isa;
	uint32_t per_group = d->oc / d->groups, cg = d->c / d->groups;
	bool narrow = s->pixels <= isa->narrow;
	const int32_t *bias = (const int32_t *)((const struct scales_kind *)packed + 1);

	for (uint32_t tile = 0; tile < d->tiles; tile += b->tiles) {
		size_t first = (size_t)group * d->tiles + tile, lane = first * isa->lanes;
		uint32_t done = tile * isa->lanes, left = d->tiles - tile;

		b->tiles = narrow && left >= 4 ? 4 : left >= 2 ? 2 : 1;
		b->w = packed_weights(d, packed) + first * b->w_tile;
		b->bias = bias + lane;
		b->s_pos = (const float *)(const void *)(bias + lanes_total(d)) + lane;
		b->s_neg = b->s_pos + lanes_total(d);
		b->channels = per_group - done;
		if (b->channels > b->tiles * isa->lanes)
			b->channels = b->tiles * isa->lanes;
		run_strips(d, s, b, (size_t)group * per_group + done,
			   (size_t)group * cg * isa->element,
			   b->tiles == 4 ? isa->narrow : isa->pixels);
	}
}

static void run(const struct dense *d, const void *packed, const struct strips *s,
		const int8_t *residual, void *y)
{
	struct dense_block b = {.segments = d->segments,
				.steps = d->steps,
				.stride = s->stride,
				.w_tile = tile_bytes(d),
				.q = d->q,
				.out = d->out,
				.residual = residual,
				.y = y,
				.pixel = d->oc};

	b.cut = shortcut_of(packed, d->q, d->out, residual);
	for (uint32_t g = 0; g < d->groups; g++)
		run_group(d, packed, s, g, &b);
}

/* ---- one segment a pixel: GEMM, 1x1 convolution ------------------------------------------ */

/*
 * Bytes from a pixel to the next. Rows 4 KiB apart would share a set of the L1 cache, and a block
 * has more rows than a set has ways.
 */
static size_t pixel_bytes(const struct dense *d)
{
	size_t bytes = (size_t)d->c * d->isa->element;

	return bytes % 2048 ? bytes : bytes + 64;
}

/* Pixels copied at a time: at least one full block. */
static uint32_t pointwise_pixels(const struct dense *d)
{
	size_t fit = POINTWISE_BYTES / (pixel_bytes(d) + d->oc);
	uint32_t blocks = (uint32_t)(fit / d->isa->pixels);

	return (blocks ? blocks : 1) * d->isa->pixels;
}

static size_t pointwise_scratch(const struct dense *d)
{
	return 64 + pointwise_pixels(d) * pixel_bytes(d) + SLACK;
}

/* Where output pixel `at` of a pointwise op finds its input, or a GEMM (ow == 0) its row. */
struct gather {
	const int8_t *x;
	const struct op_conv2d *conv; /* NULL: all pixels follow each other */
	uint32_t oh, ow;
};

static void gather_pixels(const struct dense *d, const struct gather *g, size_t at, uint32_t n,
			  uint8_t *to)
{
	const struct op_conv2d *p = g->conv;
	size_t bytes = pixel_bytes(d);

	if (!p && bytes == (size_t)d->c * d->isa->element) {
		d->isa->copy(g->x + at * d->c, (size_t)n * d->c, to);
		return;
	}
	for (uint32_t i = 0; i < n; i++, at++, to += bytes) {
		size_t from = at;

		if (p) {
			size_t oy = at / g->ow % g->oh, iy = oy * p->stride_h;
			size_t ix = at % g->ow * p->stride_w, image = at / g->ow / g->oh;

			from = (image * p->h + iy) * p->w + ix;
		}
		d->isa->copy(g->x + from * d->c, d->c, to);
	}
}

static void pointwise(const struct dense *d, const void *packed, const struct gather *g,
		      const int8_t *residual, void *y, size_t begin, size_t end, void *scratch)
{
	uint32_t most = pointwise_pixels(d);
	const uint8_t **segment = scratch;
	uint8_t *rows = (uint8_t *)scratch + 64;

	segment[0] = rows;
	while (begin < end) {
		uint32_t n = end - begin < most ? (uint32_t)(end - begin) : most;
		struct strips s = {.segment = segment,
				   .count = 1,
				   .pixels = n,
				   .at = begin,
				   .stride = pixel_bytes(d)};

		gather_pixels(d, g, begin, n, rows);
		run(d, packed, &s, residual, y);
		begin += n;
	}
}

/* ---- windows ----------------------------------------------------------------------------- */

/* How many output rows are made from one copy of input rows, and what that copy takes. */
struct window_plan {
	uint32_t oh, ow;
	uint32_t rows;	   /* output rows at a time */
	uint32_t span;	   /* input rows they reach over, at most */
	uint32_t cols;	   /* of the copy, padding included */
	size_t row;	   /* bytes of a row of the copy */
	size_t table, map; /* bytes of the segment table and of the map of rows present */
};

static uint32_t span_of(const struct op_conv2d *p, uint32_t rows)
{
	uint64_t span =
		(uint64_t)(rows - 1) * p->stride_h + (uint64_t)(p->kh - 1) * p->dilation_h + 1;

	return span < p->h ? (uint32_t)span : p->h;
}

static struct window_plan window_plan(const struct dense *d, const struct op_conv2d *p)
{
	struct window_plan w = {.oh = op_conv2d_oh(p), .ow = op_conv2d_ow(p), .rows = 1};

	w.cols = (w.ow - 1) * p->stride_w + (p->kw - 1) * p->dilation_w + 1;
	w.row = round_up((size_t)w.cols * p->c * d->isa->element, 64);
	while (w.rows < w.oh && span_of(p, w.rows + 1) * w.row <= ROWS_BYTES &&
	       (w.rows + 1) * d->segments * sizeof(void *) <= ROWS_BYTES)
		w.rows++;
	w.span = span_of(p, w.rows);
	w.table = round_up((size_t)w.rows * d->segments * sizeof(void *), 64);
	w.map = round_up(w.span, 64);
	return w;
}

static size_t window_scratch(const struct dense *d, const struct op_conv2d *p)
{
	struct window_plan w = window_plan(d, p);

	return w.table + w.map + ((size_t)w.span + 1) * w.row + SLACK;
}

/* The input rows of one group of output rows. */
struct window {
	const struct dense *d;
	const struct op_conv2d *p;
	const struct window_plan *plan;
	const int8_t *image;
	const uint8_t **segment;
	uint8_t *present; /* [span] */
	uint8_t *rows;	  /* [span + 1][row], the last all padding */
};

static void copy_row(const struct window *w, uint32_t iy, uint8_t *to)
{
	const struct op_conv2d *p = w->p;
	const struct dense_isa *isa = w->d->isa;
	uint32_t left = p->pad_left < w->plan->cols ? p->pad_left : w->plan->cols;
	uint32_t n = w->plan->cols - left < p->w ? w->plan->cols - left : p->w;
	size_t pixel = (size_t)p->c * isa->element;

	isa->fill((int8_t)p->z_x, (size_t)left * p->c, to);
	isa->copy(w->image + (size_t)iy * p->w * p->c, (size_t)n * p->c, to + left * pixel);
	isa->fill((int8_t)p->z_x, (size_t)(w->plan->cols - left - n) * p->c,
		  to + (left + n) * pixel);
}

/* The copy of input row iy, made if it is not there yet; first is the span's first row. */
static const uint8_t *row_of(const struct window *w, int64_t iy, int64_t first)
{
	uint8_t *to;

	if (iy < 0 || iy >= w->p->h)
		return w->rows + w->plan->span * w->plan->row;
	to = w->rows + (size_t)(iy - first) * w->plan->row;
	if (!w->present[iy - first]) {
		w->present[iy - first] = 1;
		copy_row(w, (uint32_t)iy, to);
	}
	return to;
}

static void find_segments(const struct window *w, uint32_t oy, uint32_t rows)
{
	const struct op_conv2d *p = w->p;
	uint32_t taps = w->d->segments / p->kh;
	size_t tap = (size_t)p->dilation_w * p->c * w->d->isa->element;
	int64_t top = (int64_t)oy * p->stride_h - p->pad_top, first = top < 0 ? 0 : top;
	const uint8_t **out = w->segment;

	memset(w->present, 0, w->plan->span);
	for (uint32_t r = 0; r < rows; r++, top += p->stride_h)
		for (uint32_t ky = 0; ky < p->kh; ky++) {
			const uint8_t *row = row_of(w, top + (int64_t)ky * p->dilation_h, first);

			for (uint32_t kx = 0; kx < taps; kx++)
				*out++ = row + kx * tap;
		}
}

static void windows(const struct dense *d, const struct op_conv2d *p, const void *packed,
		    const int8_t *x, const int8_t *residual, void *y, uint32_t begin, uint32_t end,
		    void *scratch)
{
	struct window_plan plan = window_plan(d, p);
	struct window w = {.d = d, .p = p, .plan = &plan, .segment = scratch};

	w.present = (uint8_t *)scratch + plan.table;
	w.rows = w.present + plan.map;
	d->isa->fill((int8_t)p->z_x, (size_t)plan.cols * p->c, w.rows + plan.span * plan.row);
	while (begin < end) {
		uint32_t oy = begin % plan.oh, n = plan.oh - oy;
		struct strips s = {.segment = w.segment,
				   .pixels = plan.ow,
				   .at = (size_t)begin * plan.ow,
				   .stride = (size_t)p->stride_w * p->c * d->isa->element};

		n = n < plan.rows ? n : plan.rows;
		s.count = n < end - begin ? n : end - begin;
		w.image = x + (size_t)(begin / plan.oh) * p->h * p->w * p->c;
		find_segments(&w, oy, s.count);
		run(d, packed, &s, residual, y);
		begin += s.count;
	}
}

/* ---- entries ----------------------------------------------------------------------------- */

static bool is_pointwise(const struct op_conv2d *p)
{
	return p->kh == 1 && p->kw == 1 &&
	       !(p->pad_top | p->pad_left | p->pad_bottom | p->pad_right);
}

size_t dense_conv2d_packed_bytes(const struct dense_isa *isa, const struct op_conv2d *p)
{
	struct dense d;

	if (op_conv2d_check(p))
		return 0;
	d = conv2d_shape(isa, p);
	return packed_bytes(&d);
}

int dense_conv2d_pack(const struct dense_isa *isa, const struct op_conv2d *p, const int8_t *w,
		      const int32_t *bias, void *packed)
{
	int err = op_conv2d_check(p);
	struct dense d;

	if (!err)
		err = op_weights_check(w, bias, p->oc, p->kh * p->kw * (p->c / p->groups));
	if (err)
		return err;
	d = conv2d_shape(isa, p);
	pack(&d, w, bias, packed);
	return 0;
}

size_t dense_conv2d_scratch_bytes(const struct dense_isa *isa, const struct op_conv2d *p)
{
	struct dense d;

	if (op_conv2d_check(p))
		return 0;
	d = conv2d_shape(isa, p);
	return is_pointwise(p) ? pointwise_scratch(&d) : window_scratch(&d, p);
}

int dense_conv2d(const struct dense_isa *isa, const struct op_conv2d *p, const void *packed,
		 const int8_t *x, const int8_t *residual, void *y, uint32_t row_begin,
		 uint32_t row_end, void *scratch)
{
	struct dense d = conv2d_shape(isa, p);
	struct gather g = {.x = x, .oh = op_conv2d_oh(p), .ow = op_conv2d_ow(p)};

	if (row_begin > row_end || row_end > p->n * g.oh)
		return -EINVAL;
	if (!is_pointwise(p)) {
		windows(&d, p, packed, x, residual, y, row_begin, row_end, scratch);
		return 0;
	}
	if (p->stride_h != 1 || p->stride_w != 1)
		g.conv = p;
	pointwise(&d, packed, &g, residual, y, (size_t)row_begin * g.ow, (size_t)row_end * g.ow,
		  scratch);
	return 0;
}

size_t dense_gemm_packed_bytes(const struct dense_isa *isa, const struct op_gemm *p)
{
	struct dense d;

	if (op_gemm_check(p))
		return 0;
	d = gemm_shape(isa, p);
	return packed_bytes(&d);
}

int dense_gemm_pack(const struct dense_isa *isa, const struct op_gemm *p, const int8_t *b,
		    const int32_t *bias, void *packed)
{
	int err = op_gemm_check(p);
	struct dense d;

	if (!err)
		err = op_weights_check(b, bias, p->n, p->k);
	if (err)
		return err;
	d = gemm_shape(isa, p);
	pack(&d, b, bias, packed);
	return 0;
}

size_t dense_gemm_scratch_bytes(const struct dense_isa *isa, const struct op_gemm *p)
{
	struct dense d;

	if (op_gemm_check(p))
		return 0;
	d = gemm_shape(isa, p);
	return pointwise_scratch(&d);
}

int dense_gemm(const struct dense_isa *isa, const struct op_gemm *p, const void *packed,
	       const int8_t *a, const int8_t *residual, void *y, uint32_t row_begin,
	       uint32_t row_end, void *scratch)
{
	struct dense d = gemm_shape(isa, p);
	struct gather g = {.x = a};

	if (row_begin > row_end || row_end > p->m)
		return -EINVAL;
	pointwise(&d, packed, &g, residual, y, row_begin, row_end, scratch);
	return 0;
}
