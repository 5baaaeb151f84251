/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search with vpdpbusd: one tile of 16 rows against up to 24 queries at a time, an accumulator a
 * query. The first group of queries reads the tiles as one stream, prefetched a little ahead of the
 * hardware; the others run over a block of them while it is in the second cache, so that a group's
 * queries stay in the first. Scores are compared in registers; only a tile with a hit leaves its dots
 * in memory for the slow path.
 *
 * The accumulators have names and the multiply-add is written in assembly, because GCC 12 puts
 * arrays of them on the stack.
 */
#include "kernels/cpu/search.h"

#include <immintrin.h>

#define QUERIES 24
/* clang-format off */
#define EACH(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) \
	X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)
/* clang-format on */

#define AHEAD	    1024   /* bytes a line is fetched before its use */
#define BLOCK_BYTES 131072 /* of tiles: with a group of queries they fit the second cache */

/* Lines of the head, or of the tail, of a tile. */
struct span {
	const uint8_t *lines;
	size_t bytes;
};

struct tile {
	struct span head, tail;
	uint64_t number;
};

#define ADD_PRODUCTS(sum, line, x) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(line), "v"(x))

static inline __m512 scale_of(const struct cpu_search *call, uint64_t tile)
{
	if (!call->scale)
		return _mm512_set1_ps(1.0f); /* exact: the score is the dot */
	return _mm512_loadu_ps(call->scale + tile * SEARCH_TILE_ROWS);
}

static inline __m512 score(__m512i dots, __m512 scale)
{
	return _mm512_mul_ps(_mm512_cvtepi32_ps(dots), scale);
}

static inline __m512 score_l2(__m512i dots, __m512 scale, float q_mul, __m512 bias)
{
	return _mm512_sub_ps(_mm512_mul_ps(score(dots, scale), _mm512_set1_ps(q_mul)), bias);
}

/*
 * The dots of n queries, first .. first + n - 1, with a tile. True if any score reaches its query's
 * limit; then all dots are in call->dots.
 */
static inline __attribute__((always_inline)) bool scan(struct cpu_search *call,
						       const struct tile *tile, uint32_t first,
						       const int32_t *x, const uint32_t n)
{
	const float *limit = call->limit + first;
	const float *q_mul = call->q_mul + first;
	__mmask16 hits = 0;
	__m512 scale;

#define BEGIN(i) __m512i dots##i = _mm512_set1_epi32(call->start[first + (i < n ? i : 0)]);
	EACH(BEGIN)
	for (const struct span *span = &tile->head; span <= &tile->tail; span++)
		for (size_t at = 0; at < span->bytes; at += 64, x += n) {
			__m512i line = _mm512_load_si512(span->lines + at);

			_mm_prefetch((const char *)((uintptr_t)span->lines + at + AHEAD),
				     _MM_HINT_T1);
#define STEP(i)                                                                                    \
	if (i < n) {                                                                               \
		__m512i xs = _mm512_set1_epi32(x[i]);                                              \
		ADD_PRODUCTS(dots##i, line, xs);                                                   \
	}
			EACH(STEP)
		}
	scale = scale_of(call, tile->number);
#define COMPARE(i)                                                                                 \
	if (i < n)                                                                                 \
		hits |= _mm512_cmp_ps_mask(score(dots##i, scale), _mm512_set1_ps(limit[i]),        \
					   _CMP_GE_OQ);
#define COMPARE_L2(i)                                                                              \
	if (i < n)                                                                                 \
		hits |= _mm512_cmp_ps_mask(score_l2(dots##i, scale, q_mul[i], bias),               \
					   _mm512_set1_ps(limit[i]), _CMP_GE_OQ);
	if (call->bias) {
		__m512 bias = _mm512_loadu_ps(call->bias + tile->number * SEARCH_TILE_ROWS);

		EACH(COMPARE_L2)
	} else {
		EACH(COMPARE)
	}
	if (__builtin_expect(!hits, 1))
		return false;
#define KEEP(i)                                                                                    \
	if (i < n)                                                                                 \
		_mm512_store_si512(call->dots[i], dots##i);
	EACH(KEEP)
	return true;
}

typedef bool (*scan_fn)(struct cpu_search *call, const struct tile *tile, uint32_t first,
			const int32_t *x);

#define SCAN(i)                                                                                    \
	static bool scan_##i(struct cpu_search *call, const struct tile *tile, uint32_t first,     \
			     const int32_t *x)                                                     \
	{                                                                                          \
		return scan(call, tile, first, x, i + 1);                                          \
	}
EACH(SCAN)

#define NAME(i) scan_##i,
static const scan_fn scans[QUERIES] = {EACH(NAME)};

/* ---- hits ---- */

/* The rows of a tile below the query's high-water mark; nothing is known of the others. */
static __mmask16 rows_below(const struct search_query *query, uint64_t tile)
{
	uint64_t row = tile * SEARCH_TILE_ROWS;

	if (row >= query->rows)
		return 0;
	if (query->rows - row >= SEARCH_TILE_ROWS)
		return 0xffff;
	return (__mmask16)((1u << (query->rows - row)) - 1);
}

/* Which of the rows in mask are alive and have the tags. */
static __mmask16 rows_that_count(const struct search_rows *rows, const struct search_query *query,
				 uint64_t tile, __mmask16 mask)
{
	uint64_t row = tile * SEARCH_TILE_ROWS;
	__m512i epoch = _mm512_set1_epi32((int32_t)query->epoch);
	__m512i tag_mask = _mm512_set1_epi64((int64_t)query->tag_mask);
	__m512i tag_value = _mm512_set1_epi64((int64_t)query->tag_value);
	__m512i born, died, low, high;
	uint32_t tagged;

	/* All loads by the first mask: they need not wait for each other. */
	born = _mm512_maskz_loadu_epi32(mask, rows->born + row);
	died = _mm512_maskz_loadu_epi32(mask, rows->died + row);
	low = _mm512_maskz_loadu_epi64((__mmask8)mask, rows->tags + row);
	high = _mm512_maskz_loadu_epi64((__mmask8)(mask >> 8), rows->tags + row + 8);
	mask = _mm512_mask_cmple_epu32_mask(mask, born, epoch);
	mask = _mm512_mask_cmplt_epu32_mask(mask, epoch, died);
	tagged = _mm512_cmpeq_epi64_mask(_mm512_and_si512(low, tag_mask), tag_value);
	tagged |= _mm512_cmpeq_epi64_mask(_mm512_and_si512(high, tag_mask), tag_value) << 8;
	return mask & (__mmask16)tagged;
}

/* Which of the rows in mask have an id above the limit's. */
static __mmask16 ids_above(const struct search_rows *rows, uint64_t tile, __mmask16 mask,
			   uint64_t limit_id)
{
	const uint64_t *id = rows->id + tile * SEARCH_TILE_ROWS;
	__m512i limit = _mm512_set1_epi64((int64_t)limit_id);
	__mmask8 low = (__mmask8)mask, high = (__mmask8)(mask >> 8);

	low = _mm512_mask_cmpgt_epu64_mask(low, _mm512_maskz_loadu_epi64(low, id), limit);
	high = _mm512_mask_cmpgt_epu64_mask(high, _mm512_maskz_loadu_epi64(high, id + 8), limit);
	return (__mmask16)(low | high << 8);
}

/* Offers the rows of a tile whose scores, of those in mask, reach the limit of the query. */
static void offer_hits(struct cpu_search *call, uint32_t query, uint64_t tile, __m512 s,
		       __mmask16 mask)
{
	_Alignas(64) float scores[SEARCH_TILE_ROWS];
	__mmask16 ties;

	mask &= rows_below(&call->queries[query], tile);
	ties = _mm512_mask_cmp_ps_mask(mask, s, _mm512_set1_ps(call->limit[query]), _CMP_EQ_OQ);
	/* Ties are sorted out here: many equal templates must not cost an offer each. */
	if (ties && call->limit_id[query] != UINT64_MAX)
		mask &= (__mmask16)~ids_above(call->rows, tile, ties, call->limit_id[query]);
	if (mask)
		mask = rows_that_count(call->rows, &call->queries[query], tile, mask);
	if (!mask)
		return;
	_mm512_store_ps(scores, s);
	for (uint32_t left = mask; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctz(left);

		if (scores[i] >= call->limit[query])
			cpu_search_offer(call, query, tile * SEARCH_TILE_ROWS + i, scores[i]);
	}
}

/* What a hit looks at is rarely in a cache; begin to fetch it all at once. */
static void prefetch_columns(const struct search_rows *rows, uint64_t tile)
{
	uint64_t row = tile * SEARCH_TILE_ROWS;

	_mm_prefetch((const char *)((uintptr_t)rows->born + row * 4), _MM_HINT_T0);
	_mm_prefetch((const char *)((uintptr_t)rows->died + row * 4), _MM_HINT_T0);
	_mm_prefetch((const char *)((uintptr_t)rows->subject + row * 4), _MM_HINT_T0);
	_mm_prefetch((const char *)((uintptr_t)rows->tags + row * 8), _MM_HINT_T0);
	_mm_prefetch((const char *)((uintptr_t)rows->tags + row * 8 + 64), _MM_HINT_T0);
	_mm_prefetch((const char *)((uintptr_t)rows->id + row * 8), _MM_HINT_T0);
	_mm_prefetch((const char *)((uintptr_t)rows->id + row * 8 + 64), _MM_HINT_T0);
}

static __attribute__((noinline)) void take_hits(struct cpu_search *call, uint64_t tile,
						uint32_t first, uint32_t n)
{
	__m512 scale = scale_of(call, tile), bias = _mm512_setzero_ps();

	prefetch_columns(call->rows, tile);
	if (call->bias)
		bias = _mm512_loadu_ps(call->bias + tile * SEARCH_TILE_ROWS);
	for (uint32_t i = 0; i < n; i++) {
		__m512i dots = _mm512_load_si512(call->dots[i]);
		__m512 s = call->bias ? score_l2(dots, scale, call->q_mul[first + i], bias)
				      : score(dots, scale);
		__mmask16 mask =
			_mm512_cmp_ps_mask(s, _mm512_set1_ps(call->limit[first + i]), _CMP_GE_OQ);

		if (mask)
			offer_hits(call, first + i, tile, s, mask);
	}
}

/* ---- the run over the tiles ---- */

/* Query groups of nearly equal size: how many of `left` queries go into the next of them. */
static uint32_t next_group(uint32_t left)
{
	uint32_t groups = (left + QUERIES - 1) / QUERIES;

	return (left + groups - 1) / groups;
}

/* [query group][dimension group][query] of 4 dimensions */
static void pack(struct cpu_search *call)
{
	int8_t *to = (int8_t *)call->packed;
	uint32_t n;

	for (uint32_t first = 0; first < call->count; first += n) {
		n = next_group(call->count - first);
		for (uint32_t g = 0; g < call->groups; g++)
			for (uint32_t i = 0; i < n; i++, to += 4)
				cpu_search_query_group(call, first + i, g, to);
	}
}

static struct span span_of(const uint8_t *tiles, uint64_t tile, uint32_t groups)
{
	size_t bytes = (size_t)groups * 64;

	return (struct span){groups ? tiles + tile * bytes : NULL, bytes};
}

/* One group of n queries over the tiles of a block. */
static void scan_block(struct cpu_search *call, uint64_t begin, uint64_t end, uint32_t first,
		       uint32_t n, const int32_t *x)
{
	const struct search_rows *rows = call->rows;
	uint32_t head = call->head_groups, tail = call->groups - head;

	for (uint64_t t = begin; t < end; t++) {
		struct tile tile = {span_of(rows->head_tiles, t, head),
				    span_of(rows->tail_tiles, t, tail), t};

		cpu_search_prefetch(call, t);
		if (scans[n - 1](call, &tile, first, x))
			take_hits(call, t, first, n);
	}
}

int cpu_search_avx512(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
		      const struct search_query *queries, uint32_t count,
		      struct search_list *const *lists, void *scratch)
{
	struct cpu_search *call = scratch;
	int err = cpu_search_begin(call, rows, tile_begin, tile_end, queries, count, lists);
	uint64_t block, end;

	if (err)
		return err;
	pack(call);
	block = 1 + BLOCK_BYTES / (64 * call->groups);
	for (uint64_t begin = tile_begin; begin < tile_end; begin = end) {
		const int32_t *x = (const int32_t *)call->packed;
		uint32_t n;

		end = tile_end - begin < block ? tile_end : begin + block;
		for (uint32_t first = 0; first < count; first += n, x += n * call->groups) {
			n = next_group(count - first);
			scan_block(call, begin, end, first, n, x);
		}
	}
	return 0;
}
