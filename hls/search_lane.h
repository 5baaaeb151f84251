/* SPDX-License-Identifier: Apache-2.0 */
/* One port of search: from the lines of a tile to scores. Internal to hls/. */
#ifndef FACET_HLS_SEARCH_LANE_H
#define FACET_HLS_SEARCH_LANE_H

#include <math.h>
#include "hls/search.h"

/* A tile on the chip, decoded; [group][dimension][row], so that one clock takes one group. */
struct search_tile {
	bool present; /* the last ports may have fewer tiles */
	int16_t value[SEARCH_GROUPS_MAX][4][SEARCH_TILE_ROWS];
	float scale[SEARCH_TILE_ROWS], bias[SEARCH_TILE_ROWS];
};

/* What the multipliers made of it, with what scores need besides. */
struct search_products {
	bool present;
	int32_t dot[SEARCH_TURNS][HLS_QUERIES][SEARCH_TILE_ROWS];
	float scale[SEARCH_TILE_ROWS], bias[SEARCH_TILE_ROWS];
};

struct search_scores {
	uint32_t passes[HLS_QUERIES]; /* a bit a row */
	float s[HLS_QUERIES][SEARCH_TILE_ROWS];
};

void search_lane_read(const struct search_state *s, uint32_t port, uint32_t round,
		      const struct hls_line *head, const struct hls_line *tail,
		      const struct search_columns *columns, struct search_tile *tile);
void search_lane_multiply(const struct search_state *s, const struct search_tile *tile,
			  struct search_products *products);
/* One turn of queries against their limits; false: none passed. */
bool search_lane_score(const struct search_state *s, uint32_t turn,
		       const struct search_products *products, struct search_scores *scores);

#endif
