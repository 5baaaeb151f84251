/* SPDX-License-Identifier: Apache-2.0 */
/* One port of search: lines are read and decoded, multiplied with HLS_QUERIES queries a clock, scored. */
#include "hls/search_lane.h"
#include "hls/pack.h"

static void decode(const struct hls_line *line, int16_t to[4][SEARCH_TILE_ROWS])
{
#pragma HLS INLINE
	for (uint32_t j = 0; j < 4; j++) {
#pragma HLS UNROLL
		for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++) {
#pragma HLS UNROLL
			to[j][r] = (int16_t)(line->byte[r * 4 + j] - 128);
		}
	}
}

static void read_lines(const struct hls_line *lines, uint32_t count,
		       int16_t (*to)[4][SEARCH_TILE_ROWS])
{
	for (uint32_t g = 0; g < count; g++) {
#pragma HLS PIPELINE II = 1
		decode(&lines[g], to[g]);
	}
}

static void read_floats(const float *from, bool wanted, uint64_t row, float to[SEARCH_TILE_ROWS])
{
	for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++) {
#pragma HLS PIPELINE II = 1
		to[r] = wanted ? from[row + r] : 0;
	}
}

void search_lane_read(const struct search_state *s, uint32_t port, uint32_t round,
		      const struct hls_line *head, const struct hls_line *tail,
		      const struct search_columns *columns, struct search_tile *tile)
{
	uint32_t tail_groups = s->groups - s->head_groups;
	uint64_t index = (uint64_t)port * s->share + round;

	tile->present = index < s->tiles;
	if (!tile->present)
		return;
	read_lines(head + (uint64_t)round * s->head_groups, s->head_groups, tile->value);
	if (tail_groups)
		read_lines(tail + (uint64_t)round * tail_groups, tail_groups,
			   tile->value + s->head_groups);
	read_floats(columns->scale, s->metric != SEARCH_DOT, index * SEARCH_TILE_ROWS, tile->scale);
	read_floats(columns->bias, s->metric == SEARCH_L2, index * SEARCH_TILE_ROWS, tile->bias);
}

/* ---- multipliers ---------------------------------------------------------------------------------- */

#if HLS_PACKED
/* One group of 4 dimensions, 16 rows, two queries: 64 multipliers. */
static void multiply(const int16_t value[4][SEARCH_TILE_ROWS], const int8_t x[4][HLS_QUERIES],
		     int32_t dot[HLS_QUERIES][SEARCH_TILE_ROWS])
{
#pragma HLS INLINE
	for (uint32_t q = 0; q < HLS_QUERIES; q += 2) {
#pragma HLS UNROLL
		for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++) {
#pragma HLS UNROLL
			int64_t chain = 0;

			for (uint32_t j = 0; j < 4; j++) {
#pragma HLS UNROLL
				chain += (int64_t)pack_two(x[j][q], x[j][q + 1]) * value[j][r];
			}
			dot[q][r] += pack_low(chain);
			dot[q + 1][r] += pack_high(chain);
		}
	}
}
#else
static void multiply(const int16_t value[4][SEARCH_TILE_ROWS], const int8_t x[4][HLS_QUERIES],
		     int32_t dot[HLS_QUERIES][SEARCH_TILE_ROWS])
{
#pragma HLS INLINE
	for (uint32_t q = 0; q < HLS_QUERIES; q++) {
#pragma HLS UNROLL
		const int16_t x0 = x[0][q], x1 = x[1][q], x2 = x[2][q], x3 = x[3][q];

		for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++) {
#pragma HLS UNROLL
			dot[q][r] += value[0][r] * x0 + value[1][r] * x1 + value[2][r] * x2 +
				     value[3][r] * x3;
		}
	}
}
#endif

static void multiply_turn(const struct search_tile *tile, uint32_t groups,
			  const int8_t (*x)[4][HLS_QUERIES],
			  int32_t to[HLS_QUERIES][SEARCH_TILE_ROWS])
{
	int32_t dot[HLS_QUERIES][SEARCH_TILE_ROWS] = {{0}};
#pragma HLS ARRAY_PARTITION variable = dot complete dim = 0

	for (uint32_t g = 0; g < groups; g++) {
#pragma HLS PIPELINE II = 1
		multiply(tile->value[g], x[g], dot);
	}
	for (uint32_t q = 0; q < HLS_QUERIES; q++) {
#pragma HLS UNROLL
		for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++) {
#pragma HLS UNROLL
			to[q][r] = dot[q][r];
		}
	}
}

void search_lane_multiply(const struct search_state *s, const struct search_tile *tile,
			  struct search_products *products)
{
	products->present = tile->present;
	if (!tile->present)
		return;
	for (uint32_t turn = 0; turn * HLS_QUERIES < s->count; turn++)
		multiply_turn(tile, s->groups, s->x[turn], products->dot[turn]);
	for (uint32_t r = 0; r < SEARCH_TILE_ROWS; r++) {
#pragma HLS UNROLL
		products->scale[r] = tile->scale[r];
		products->bias[r] = tile->bias[r];
	}
}

/* ---- scores ----------------------------------------------------------------------------------------- */

static float score(uint32_t metric, int32_t dot, float scale, float bias, float q_mul)
{
#pragma HLS INLINE
	float s = (float)dot;

	if (metric != SEARCH_DOT)
		s = s * scale;
	if (metric == SEARCH_L2) {
		s = s * q_mul;
		s = s - bias;
	}
	return s;
}

bool search_lane_score(const struct search_state *s, uint32_t turn,
		       const struct search_products *products, struct search_scores *scores)
{
	bool any = false;

	if (!products->present)
		return false;
	for (uint32_t q = 0; q < HLS_QUERIES; q++) {
#pragma HLS UNROLL
		uint32_t query = turn * HLS_QUERIES + q;

		scores->passes[q] = 0;
		for (uint32_t r = 0; r < SEARCH_TILE_ROWS && query < s->count; r++) {
#pragma HLS PIPELINE II = 1
			float t = score(s->metric, products->dot[turn][q][r], products->scale[r],
					products->bias[r], s->q_mul[query]);

			scores->s[q][r] = t;
			scores->passes[q] |= (uint32_t)(t >= s->limit[query]) << r;
		}
		any |= scores->passes[q] != 0;
	}
	return any;
}
