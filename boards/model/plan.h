/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many boards a gallery wants. All of it is a model: boards by their vendor's figures, searches by
 * the cycle model, each of a board's memory channels with a core of its own.
 */
#ifndef FACET_BOARDS_PLAN_H
#define FACET_BOARDS_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define PLAN_BOARDS_MAX 1024u

struct plan_board {
	const char *name;
	uint32_t channels;    /* that hold rows; the others hold all else */
	double channel_bytes; /* memory of one */
	double channel_rate;  /* bytes a second of one, refresh not yet taken off */
	double card_rate; /* bytes a second of all of them within the card's power; 0: not limited */
	double watts;	  /* the card's limit */
	uint32_t
		queries; /* in one pass: as many as the multipliers allow, 32 a query and channel */
};

struct plan_wish {
	uint64_t gallery;
	uint32_t dim, k;
	double rate; /* queries a second */
	double p99;  /* seconds; 0: any */
};

struct plan {
	uint32_t boards, batch_max;
	double batch;	   /* queries of a mean pass */
	double rows_bytes; /* of rows in one channel */
	double used;	   /* share of that channel */
	double pass;	   /* seconds */
	double rate_max;   /* queries a second when every pass is full */
	double p50, p99;   /* seconds, at the wished rate */
	double watts;	   /* all boards at their limits */
	double of_memory;  /* bytes a second that are read, of what memory could */
	const char *bound;
};

const struct plan_board *plan_board_at(size_t i);	    /* NULL: past the last */
const struct plan_board *plan_board_find(const char *name); /* NULL: unknown */

/* 0; -EINVAL: a wish out of range; -ERANGE: no number of boards up to PLAN_BOARDS_MAX does it. Each
 * board holds a part of the gallery and answers each query. */
int plan_make(const struct plan_board *board, double clock_hz, const struct plan_wish *wish,
	      struct plan *plan);

#endif
