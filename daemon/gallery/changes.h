/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tiles changed since when, for those who keep copies of rows on devices.
 *
 * Time is counted in stamps. The writer changes rows first and marks their tiles then, before it
 * publishes the epoch in which the change is seen; a moment (changes_moment) ends a stamp. So a copy
 * that takes over every tile with a mark above its last moment's stamp has all that was published
 * before this moment, and a tile that changes meanwhile has a later mark.
 */
#ifndef FACET_DAEMON_GALLERY_CHANGES_H
#define FACET_DAEMON_GALLERY_CHANGES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/gallery/reserve.h"

struct changes {
	pthread_mutex_t lock;
	uint64_t stamp; /* the present one, from 1 */
	uint64_t tiles; /* all that were ever marked are below */
	/* of the last change: a tile, and the newest of 1,024 tiles; 0: since loading none */
	uint64_t *tile, *block;
	struct reserve part[2];
};

int changes_init(struct changes *changes, uint64_t rows_max); /* -ENOMEM */
void changes_free(struct changes *changes);
int changes_room(struct changes *changes, uint64_t rows); /* -ENOMEM */
/* Between these two calls, by the writer; row may be any that there is room for. */
void changes_begin(struct changes *changes);
void changes_mark(struct changes *changes, uint32_t row);
void changes_end(struct changes *changes);
/*
 * Ends the stamp that is returned. *tiles, what is published: raised to what was marked by now. A copy
 * that takes over less would never hear of tiles that were marked with this stamp and published after
 * it: their marks are not above it.
 */
uint64_t changes_moment(struct changes *changes, uint64_t *tiles);
uint64_t changes_stamp(struct changes *changes);
/* The first run of tiles in [*begin, end) marked after since, at most `most` long; since 0: all. */
bool changes_next(const struct changes *changes, uint64_t since, uint64_t end, uint64_t most,
		  uint64_t *begin, uint64_t *tiles);

#endif
