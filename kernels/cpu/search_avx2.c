/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search with vpmaddwd. A line of a tile is split into its even and its odd bytes, widened to words
 * for nothing (the rows are unsigned): a word pair then belongs to one row, so two multiply-adds
 * give a row's four products in its own 32-bit lane, and nothing saturates. Four queries at a time
 * share the split.
 */
#include "kernels/cpu/search.h"

#include <immintrin.h>

#define QUERIES 4u

/* A group of 4 dimensions of a query: dimensions 0 and 2 as words, then 1 and 3. */
struct words {
	int16_t even[2], odd[2];
};

static struct words words_of(const struct cpu_search *call, uint32_t query, uint32_t group)
{
	int8_t x[4];

	cpu_search_query_group(call, query, group, x);
	return (struct words){{x[0], x[2]}, {x[1], x[3]}};
}

/* How many queries share a line: a single one is not made to carry three empty ones. */
static uint32_t width_of(const struct cpu_search *call)
{
	return call->count == 1 ? 1 : QUERIES;
}

/* [queries / width][dimension group][width]; queries past the last are zero and never looked at */
static void pack(struct cpu_search *call)
{
	struct words *to = (struct words *)call->packed;
	uint32_t width = width_of(call);

	for (uint32_t first = 0; first < call->count; first += width)
		for (uint32_t g = 0; g < call->groups; g++)
			for (uint32_t i = first; i < first + width; i++)
				*to++ = i < call->count ? words_of(call, i, g)
							: (struct words){{0, 0}, {0, 0}};
}

static inline __m256i broadcast(const int16_t *pair)
{
	return _mm256_set1_epi32(*(const int32_t *)pair);
}

static inline __m256i add_products(__m256i sum, __m256i even, __m256i odd, __m256i x_even,
				   __m256i x_odd)
{
	sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, x_even));
	return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, x_odd));
}

#define EACH(X) X(0) X(1) X(2) X(3)

/* The dots, without their start, of `width` queries with a tile: rows 0 to 7 in a, 8 to 15 in b. */
static inline __attribute__((always_inline)) void scan(struct cpu_search *call, uint64_t tile,
						       const struct words *x, const uint32_t width)
{
	const __m256i low = _mm256_set1_epi16(0xff);

#define BEGIN(i) __m256i a##i = _mm256_setzero_si256(), b##i = a##i;
	EACH(BEGIN)
	for (uint32_t part = 0; part < 2; part++) {
		uint32_t begin = part ? call->head_groups : 0;
		uint32_t end = part ? call->groups : call->head_groups;
		const uint8_t *at = begin < end ? cpu_search_line(call, tile, begin) : NULL;

		for (uint32_t g = begin; g < end; g++, at += 64, x += width) {
			__m256i line_a = _mm256_load_si256((const __m256i *)at);
			__m256i line_b = _mm256_load_si256((const __m256i *)(at + 32));
			__m256i even_a = _mm256_and_si256(line_a, low);
			__m256i even_b = _mm256_and_si256(line_b, low);
			__m256i odd_a = _mm256_srli_epi16(line_a, 8);
			__m256i odd_b = _mm256_srli_epi16(line_b, 8);

#define STEP(i)                                                                                    \
	if (i < width) {                                                                           \
		__m256i x_even = broadcast(x[i].even), x_odd = broadcast(x[i].odd);                \
		a##i = add_products(a##i, even_a, odd_a, x_even, x_odd);                           \
		b##i = add_products(b##i, even_b, odd_b, x_even, x_odd);                           \
	}
			EACH(STEP)
		}
	}
#define KEEP(i)                                                                                    \
	_mm256_store_si256((__m256i *)call->dots[i], a##i);                                        \
	_mm256_store_si256((__m256i *)&call->dots[i][8], b##i);
	EACH(KEEP)
}

static void scan_one(struct cpu_search *call, uint64_t tile, const struct words *x)
{
	scan(call, tile, x, 1);
}

static void scan_four(struct cpu_search *call, uint64_t tile, const struct words *x)
{
	scan(call, tile, x, QUERIES);
}

/* Does any of the 16 dots reach the limit? Leaves them with the start added. */
static bool hits(struct cpu_search *call, uint32_t query, uint64_t tile, int32_t *dots)
{
	const __m256i start = _mm256_set1_epi32(call->start[query]);
	const __m256 limit = _mm256_set1_ps(call->limit[query]);
	__m256 any = _mm256_setzero_ps();

	for (uint32_t i = 0; i < SEARCH_TILE_ROWS; i += 8) {
		__m256i dot =
			_mm256_add_epi32(_mm256_load_si256((const __m256i *)(dots + i)), start);
		__m256 s = _mm256_cvtepi32_ps(dot);
		uint64_t row = tile * SEARCH_TILE_ROWS + i;

		_mm256_store_si256((__m256i *)(dots + i), dot);
		if (call->scale)
			s = _mm256_mul_ps(s, _mm256_loadu_ps(call->scale + row));
		if (call->bias)
			s = _mm256_sub_ps(_mm256_mul_ps(s, _mm256_set1_ps(call->q_mul[query])),
					  _mm256_loadu_ps(call->bias + row));
		any = _mm256_or_ps(any, _mm256_cmp_ps(s, limit, _CMP_GE_OQ));
	}
	return _mm256_movemask_ps(any) != 0;
}

static void scan_tile(struct cpu_search *call, uint64_t tile)
{
	const struct words *x = (const struct words *)call->packed;
	uint32_t width = width_of(call);

	cpu_search_prefetch(call, tile);
	for (uint32_t first = 0; first < call->count; first += width, x += width * call->groups) {
		if (width == 1)
			scan_one(call, tile, x);
		else
			scan_four(call, tile, x);
		for (uint32_t i = first; i < first + width && i < call->count; i++)
			if (hits(call, i, tile, call->dots[i - first]))
				cpu_search_tile(call, i, tile, call->dots[i - first]);
	}
}

int cpu_search_avx2(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
		    const struct search_query *queries, uint32_t count,
		    struct search_list *const *lists, void *scratch)
{
	struct cpu_search *call = scratch;
	int err = cpu_search_begin(call, rows, tile_begin, tile_end, queries, count, lists);

	if (err)
		return err;
	pack(call);
	for (uint64_t tile = tile_begin; tile < tile_end; tile++)
		scan_tile(call, tile);
	return 0;
}
