/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/changes.h"

#include <string.h>

#include "kernels/ops.h"

#define BLOCK 1024u /* tiles */

static uint64_t tiles_of(uint64_t rows)
{
	return (rows + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS;
}

static uint64_t blocks_of(uint64_t rows)
{
	return (tiles_of(rows) + BLOCK - 1) / BLOCK;
}

int changes_init(struct changes *changes, uint64_t rows_max)
{
	int err;

	memset(changes, 0, sizeof(*changes));
	pthread_mutex_init(&changes->lock, NULL);
	changes->stamp = 1;
	err = reserve_init(&changes->part[0], tiles_of(rows_max) * sizeof(uint64_t), false);
	if (!err)
		err = reserve_init(&changes->part[1], blocks_of(rows_max) * sizeof(uint64_t),
				   false);
	changes->tile = (uint64_t *)changes->part[0].base;
	changes->block = (uint64_t *)changes->part[1].base;
	if (err)
		changes_free(changes);
	return err;
}

void changes_free(struct changes *changes)
{
	reserve_free(&changes->part[0]);
	reserve_free(&changes->part[1]);
	pthread_mutex_destroy(&changes->lock);
}

int changes_room(struct changes *changes, uint64_t rows)
{
	int err = reserve_grow(&changes->part[0], tiles_of(rows) * sizeof(uint64_t));

	return err ? err : reserve_grow(&changes->part[1], blocks_of(rows) * sizeof(uint64_t));
}

void changes_begin(struct changes *changes)
{
	pthread_mutex_lock(&changes->lock);
}

void changes_mark(struct changes *changes, uint32_t row)
{
	uint64_t tile = row / SEARCH_TILE_ROWS;

	__atomic_store_n(&changes->tile[tile], changes->stamp, __ATOMIC_RELAXED);
	__atomic_store_n(&changes->block[tile / BLOCK], changes->stamp, __ATOMIC_RELAXED);
	if (changes->tiles <= tile)
		changes->tiles = tile + 1;
}

void changes_end(struct changes *changes)
{
	pthread_mutex_unlock(&changes->lock);
}

uint64_t changes_moment(struct changes *changes, uint64_t *tiles)
{
	uint64_t stamp;

	pthread_mutex_lock(&changes->lock);
	stamp = changes->stamp++;
	if (*tiles < changes->tiles)
		*tiles = changes->tiles;
	pthread_mutex_unlock(&changes->lock);
	return stamp;
}

uint64_t changes_stamp(struct changes *changes)
{
	uint64_t stamp;

	pthread_mutex_lock(&changes->lock);
	stamp = changes->stamp;
	pthread_mutex_unlock(&changes->lock);
	return stamp;
}

static bool newer(const uint64_t *mark, uint64_t since)
{
	return !since || __atomic_load_n(mark, __ATOMIC_RELAXED) > since;
}

bool changes_next(const struct changes *changes, uint64_t since, uint64_t end, uint64_t most,
		  uint64_t *begin, uint64_t *tiles)
{
	uint64_t at = *begin, run = 0;

	while (at < end && !newer(&changes->tile[at], since)) {
		if (!newer(&changes->block[at / BLOCK], since))
			at = (at / BLOCK + 1) * BLOCK;
		else
			at++;
	}
	if (at >= end)
		return false;
	while (run < most && at + run < end && newer(&changes->tile[at + run], since))
		run++;
	*begin = at;
	*tiles = run;
	return true;
}
