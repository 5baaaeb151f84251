/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search, as boards/shell/kernels.h has it. Tiles come through HLS_CHANNELS ports: of T tiles, port n
 * takes those from n * share on, where share = ceil(T / HLS_CHANNELS), and its pointers are at its
 * first tile, in whichever memory that is. A round is one tile of each port.
 *
 * A tile is read once, decoded, and multiplied with HLS_QUERIES queries in each clock of 64 bytes;
 * with more queries it stays and is multiplied again. Scores meet the limits of their queries; what
 * passes (little) is checked against high-water mark, epochs and tags, goes through the query's
 * k-queue, which raises the limit, and is written out.
 *
 * Arguments have been checked by whoever rang.
 */
#ifndef FACET_HLS_SEARCH_H
#define FACET_HLS_SEARCH_H

#include "hls/board.h"

#define SEARCH_GROUPS_MAX (SEARCH_DIM_MAX / 4)
#define SEARCH_TURNS	  (SEARCH_BATCH_MAX / HLS_QUERIES) /* of HLS_QUERIES queries */

/* Arrays of rows; any may be absent as the shell says. */
struct search_columns {
	const float *scale, *bias;
	const uint32_t *born, *died;
	const uint64_t *tags;
};

struct search_filter {
	uint64_t rows, tag_mask, tag_value;
	uint32_t epoch, k;
};

/* What one search holds on the chip. */
struct search_state {
	uint32_t metric, count, capacity, tiles, share;
	uint32_t head_groups, groups; /* of 4 dimensions: in the head, in all */
	int8_t x[SEARCH_TURNS][SEARCH_GROUPS_MAX][4][HLS_QUERIES];
	float q_mul[SEARCH_BATCH_MAX];
	struct search_filter filter[SEARCH_BATCH_MAX];
	float limit[SEARCH_BATCH_MAX];
	float queue[SEARCH_BATCH_MAX][HLS_K]; /* best first */
	uint32_t held[SEARCH_BATCH_MAX];
	uint32_t found[SEARCH_BATCH_MAX];
};

#define SEARCH_PORT(n) , const struct hls_line *head##n, const struct hls_line *tail##n

/* args, parameters and survivors are the structures of the shell, as words. */
void search_open(struct search_state *s, const uint32_t *args, const int8_t *queries,
		 const uint32_t *parameters);
/* Rounds [begin, end), end <= s->share. */
void search_rounds(struct search_state *s, uint32_t begin, uint32_t end, uint32_t *survivors,
		   const struct search_columns *columns HLS_EACH(SEARCH_PORT));
/* Writes the heads of the survivors; returns the sum of found. */
uint64_t search_close(const struct search_state *s, uint32_t *survivors);

/* The kernel. value: 8 bytes. */
void facet_search(const uint32_t *args, uint64_t *value, uint32_t *survivors, const int8_t *queries,
		  const uint32_t *parameters, const float *scale, const float *bias,
		  const uint32_t *born, const uint32_t *died,
		  const uint64_t *tags HLS_EACH(SEARCH_PORT));

#endif
