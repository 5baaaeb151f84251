/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of a gallery's rows: what is legal, and a row in and out of its tile. */
#include "kernels/ops.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SCALE_MAX  0x1p60f
#define BIAS_MAX   0x1p120f
#define Q_MUL_MAX  0x1p40f
#define TILE_ALIGN 64u

static bool tiles_ok(const uint8_t *tiles)
{
	return tiles && (uintptr_t)tiles % TILE_ALIGN == 0;
}

static bool in_range(float x, float max)
{
	return x >= 0.0f && x <= max; /* false for NaN */
}

int search_rows_check(const struct search_rows *rows)
{
	uint32_t padded = search_padded_dim(rows->dim);

	if (rows->metric != SEARCH_COSINE && rows->metric != SEARCH_DOT &&
	    rows->metric != SEARCH_L2)
		return -EINVAL;
	if (rows->dim < 1 || rows->dim > SEARCH_DIM_MAX)
		return -EINVAL;
	if (rows->head < 4 || rows->head % 4 || rows->head > padded)
		return -EINVAL;
	if (!tiles_ok(rows->head_tiles) || (rows->head < padded && !tiles_ok(rows->tail_tiles)))
		return -EINVAL;
	if (rows->metric != SEARCH_DOT && !rows->scale)
		return -EINVAL;
	if (rows->metric == SEARCH_L2 && !rows->bias)
		return -EINVAL;
	if (!rows->id || !rows->tags || !rows->born || !rows->died || !rows->subject)
		return -EINVAL;
	return 0;
}

int search_query_check(const struct search_query *query, const struct search_rows *rows)
{
	if (!query->x || query->k < 1 || query->k > SEARCH_K_MAX || isnan(query->limit))
		return -EINVAL;
	if (rows->metric == SEARCH_L2 && !in_range(query->q_mul, Q_MUL_MAX))
		return -EINVAL;
	return 0;
}

int search_scales_check(const struct search_rows *rows, uint64_t row_begin, uint64_t row_end)
{
	for (uint64_t r = row_begin; r < row_end; r++) {
		if (rows->metric != SEARCH_DOT && !in_range(rows->scale[r], SCALE_MAX))
			return -EINVAL;
		if (rows->metric == SEARCH_L2 && !in_range(rows->bias[r], BIAS_MAX))
			return -EINVAL;
	}
	return 0;
}

/* The four bytes of row r that hold dimensions d .. d + 3; d is a multiple of 4. */
static const uint8_t *group_of_row(const struct search_rows *rows, uint64_t r, uint32_t d)
{
	const uint8_t *tiles = rows->head_tiles;
	uint32_t dims = rows->head;

	if (d >= rows->head) {
		d -= rows->head;
		dims = search_padded_dim(rows->dim) - rows->head;
		tiles = rows->tail_tiles;
	}
	return tiles + r / SEARCH_TILE_ROWS * SEARCH_TILE_ROWS * dims + d * SEARCH_TILE_ROWS +
	       r % SEARCH_TILE_ROWS * 4;
}

void search_put_row(const struct search_rows *rows, uint64_t r, const int8_t *x)
{
	for (uint32_t d = 0; d < search_padded_dim(rows->dim); d += 4) {
		uint8_t *to = (uint8_t *)group_of_row(rows, r, d);
		uint32_t four = 0;

		memcpy(&four, x + d, d + 4 <= rows->dim ? 4 : rows->dim - d);
		four ^= 0x80808080u; /* + 128 on each byte */
		memcpy(to, &four, 4);
	}
}

void search_get_row(const struct search_rows *rows, uint64_t r, int8_t *x)
{
	for (uint32_t d = 0; d < rows->dim; d++)
		x[d] = (int8_t)(group_of_row(rows, r, d & ~3u)[d & 3] - 128);
}
