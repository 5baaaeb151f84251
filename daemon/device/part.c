/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/part.h"

#include <string.h>

const enum part part_load_order[PARTS] = {PART_HEAD, PART_TAIL, PART_SCALE,   PART_BIAS, PART_ID,
					  PART_TAGS, PART_DIED, PART_SUBJECT, PART_BORN};

uint64_t part_bytes(const struct search_rows *rows, enum part part)
{
	uint64_t padded = search_padded_dim(rows->dim);
	const uint64_t of_row[PARTS] = {
		[PART_HEAD] = rows->head,
		[PART_TAIL] = padded - rows->head,
		[PART_SCALE] = rows->metric == SEARCH_DOT ? 0 : sizeof(*rows->scale),
		[PART_BIAS] = rows->metric == SEARCH_L2 ? sizeof(*rows->bias) : 0,
		[PART_BORN] = sizeof(*rows->born),
		[PART_DIED] = sizeof(*rows->died),
		[PART_TAGS] = sizeof(*rows->tags),
		[PART_ID] = sizeof(*rows->id),
		[PART_SUBJECT] = sizeof(*rows->subject),
	};

	return of_row[part] * SEARCH_TILE_ROWS;
}

uint64_t part_tile_bytes(const struct search_rows *rows)
{
	uint64_t bytes = 0;

	for (int part = 0; part < PARTS; part++)
		bytes += part_bytes(rows, (enum part)part);
	return bytes;
}

const uint8_t *part_data(const struct search_rows *rows, enum part part)
{
	const void *const data[PARTS] = {
		[PART_HEAD] = rows->head_tiles, [PART_TAIL] = rows->tail_tiles,
		[PART_SCALE] = rows->scale,	[PART_BIAS] = rows->bias,
		[PART_BORN] = rows->born,	[PART_DIED] = rows->died,
		[PART_TAGS] = rows->tags,	[PART_ID] = rows->id,
		[PART_SUBJECT] = rows->subject,
	};

	return data[part];
}

uint8_t *part_room(const struct search_rows *rows, enum part part)
{
	return (uint8_t *)(uintptr_t)part_data(rows, part);
}

/* ---- compared ------------------------------------------------------------------------------------ */
static bool sees(const struct search_query *query, uint64_t row, uint32_t born, uint32_t died)
{
	return row < query->rows && born <= query->epoch && query->epoch < died;
}

/* Values lie in groups of four, the rows of a tile side by side. */
static bool same_values(const uint8_t *a, const uint8_t *b, uint64_t tile_bytes)
{
	for (uint64_t at = 0; at < tile_bytes; at += SEARCH_TILE_ROWS * 4)
		if (memcmp(a + at, b + at, 4) != 0)
			return false;
	return true;
}

static bool same_part(const struct search_rows *host, uint64_t h, const struct search_rows *copy,
		      uint64_t c, enum part part)
{
	uint64_t tile = part_bytes(host, part), row = tile / SEARCH_TILE_ROWS;
	const uint8_t *a = part_data(host, part), *b = part_data(copy, part);

	if (part == PART_BORN || part == PART_DIED || !tile)
		return true;
	if (part != PART_HEAD && part != PART_TAIL)
		return !memcmp(a + h * row, b + c * row, row);
	return same_values(a + h / SEARCH_TILE_ROWS * tile + h % SEARCH_TILE_ROWS * 4,
			   b + c / SEARCH_TILE_ROWS * tile + c % SEARCH_TILE_ROWS * 4, tile);
}

static bool same_row(const struct search_rows *host, uint64_t h, const struct search_rows *copy,
		     uint64_t c, const struct search_query *query)
{
	uint32_t born = __atomic_load_n(&host->born[h], __ATOMIC_RELAXED);
	uint32_t died = __atomic_load_n(&host->died[h], __ATOMIC_RELAXED);
	bool here = sees(query, h, born, died);
	bool same = here == sees(query, h, copy->born[c], copy->died[c]);

	if (!here || !same)
		return same;
	/* It may have been deleted since, which the copy need not know yet. */
	if (copy->born[c] != born || (copy->died[c] != SEARCH_NEVER && copy->died[c] != died))
		return false;
	for (int part = 0; same && part < PARTS; part++)
		same = same_part(host, h, copy, c, (enum part)part);
	return same;
}

uint64_t part_rows_differ(const struct search_rows *host, uint64_t tile_begin, uint64_t tiles,
			  const struct search_rows *copy, const struct search_query *query,
			  uint64_t *first)
{
	uint64_t begin = tile_begin * SEARCH_TILE_ROWS, count = 0;

	for (uint64_t r = 0; r < tiles * SEARCH_TILE_ROWS; r++)
		if (!same_row(host, begin + r, copy, r, query) && !count++)
			*first = begin + r;
	return count;
}
