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

/* [queries / 4][dimension group][4]; queries past the last are zero and never looked at */
static void pack(struct cpu_search *call)
{
	struct words *to = (struct words *)call->packed;

	for (uint32_t first = 0; first < call->count; first += QUERIES)
		for (uint32_t g = 0; g < call->groups; g++)
			for (uint32_t i = first; i < first + QUERIES; i++)
				*to++ = i < call->count ? words_of(call, i, g)
							: (struct words){{0, 0}, {0, 0}};
}

static inline __m256i broadcast(const int16_t *pair)
{
	return _mm256_set1_epi32(*(const int32_t *)pair);
}

static inline __m256i add_products(__m256i sum, __m256i even, __m256i odd, const struct words *x)
{
	sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, broadcast(x->even)));
	return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, broadcast(x->odd)));
}

/* The dots of four queries with eight rows of a tile, half 0 or 1 of its lines. */
static void scan_half(struct cpu_search *call, uint64_t tile, uint32_t half, const struct words *x)
{
	const __m256i low = _mm256_set1_epi16(0xff);
	__m256i dots0 = _mm256_setzero_si256(), dots1 = dots0, dots2 = dots0, dots3 = dots0;

	for (uint32_t part = 0; part < 2; part++) {
		uint32_t begin = part ? call->head_groups : 0;
		uint32_t end = part ? call->groups : call->head_groups;
		const uint8_t *at;

		if (begin == end)
			continue;
		at = cpu_search_line(call, tile, begin) + 32 * half;
		for (uint32_t g = begin; g < end; g++, at += 64, x += QUERIES) {
			__m256i line = _mm256_load_si256((const __m256i *)at);
			__m256i even = _mm256_and_si256(line, low);
			__m256i odd = _mm256_srli_epi16(line, 8);

			dots0 = add_products(dots0, even, odd, &x[0]);
			dots1 = add_products(dots1, even, odd, &x[1]);
			dots2 = add_products(dots2, even, odd, &x[2]);
			dots3 = add_products(dots3, even, odd, &x[3]);
		}
	}
	_mm256_store_si256((__m256i *)&call->dots[0][8 * half], dots0);
	_mm256_store_si256((__m256i *)&call->dots[1][8 * half], dots1);
	_mm256_store_si256((__m256i *)&call->dots[2][8 * half], dots2);
	_mm256_store_si256((__m256i *)&call->dots[3][8 * half], dots3);
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

	for (uint32_t first = 0; first < call->count;
	     first += QUERIES, x += QUERIES * call->groups) {
		scan_half(call, tile, 0, x);
		scan_half(call, tile, 1, x);
		for (uint32_t i = first; i < first + QUERIES && i < call->count; i++)
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
