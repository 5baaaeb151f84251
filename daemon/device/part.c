/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/part.h"

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
