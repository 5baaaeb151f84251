/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays that the rows of a search lie in, each a part that a device has its own copy of. */
#ifndef FACET_DAEMON_DEVICE_PART_H
#define FACET_DAEMON_DEVICE_PART_H

#include "kernels/ops.h"

/* Those that a board is given first, in the order of the shell's operands. */
enum part {
	PART_HEAD,
	PART_TAIL,
	PART_SCALE,
	PART_BIAS,
	PART_BORN,
	PART_DIED,
	PART_TAGS,
	PART_SHELL, /* how many of them */
	PART_ID = PART_SHELL,
	PART_SUBJECT,
	PARTS
};

/* In which they are loaded: `born` last, for until it is there no search counts what came before. */
extern const enum part part_load_order[PARTS];

/* Bytes a tile has in a part; 0: the metric or the layout has no such part. */
uint64_t part_bytes(const struct search_rows *rows, enum part part);
/* Of all parts. */
uint64_t part_tile_bytes(const struct search_rows *rows);
/* The host's own. */
const uint8_t *part_data(const struct search_rows *rows, enum part part);
/* The same of rows that are the caller's to write. */
uint8_t *part_room(const struct search_rows *rows, enum part part);

/*
 * How many rows the query sees in the host's tiles from tile_begin on and not alike in a copy of them,
 * whose tile 0 that is; or sees in the copy only. *first is the first such row, of the host's. What
 * the query does not see may be anything: the host may be writing it.
 */
uint64_t part_rows_differ(const struct search_rows *host, uint64_t tile_begin, uint64_t tiles,
			  const struct search_rows *copy, const struct search_query *query,
			  uint64_t *first);

#endif
