/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void snapshots_init(struct snapshots *snapshots)
{
	memset(snapshots, 0, sizeof(*snapshots));
	pthread_mutex_init(&snapshots->lock, NULL);
}

void snapshots_free(struct snapshots *snapshots)
{
	free(snapshots->held);
	pthread_mutex_destroy(&snapshots->lock);
}

void snapshots_publish(struct snapshots *snapshots, uint32_t epoch, uint64_t rows)
{
	pthread_mutex_lock(&snapshots->lock);
	snapshots->generation++;
	snapshots->epoch = epoch;
	snapshots->rows = rows;
	pthread_mutex_unlock(&snapshots->lock);
}

uint64_t snapshots_stamp(struct snapshots *snapshots)
{
	uint64_t generation;

	pthread_mutex_lock(&snapshots->lock);
	generation = ++snapshots->generation;
	pthread_mutex_unlock(&snapshots->lock);
	return generation;
}

static struct snapshot_held *at(struct snapshots *snapshots, uint32_t i)
{
	return &snapshots->held[(snapshots->first + i) % snapshots->size];
}

static int grow(struct snapshots *snapshots)
{
	uint32_t size = snapshots->size ? snapshots->size * 2 : 64;
	struct snapshot_held *held = calloc(size, sizeof(*held));

	if (!held)
		return -ENOMEM;
	for (uint32_t i = 0; i < snapshots->count; i++)
		held[i] = *at(snapshots, i);
	free(snapshots->held);
	snapshots->held = held;
	snapshots->size = size;
	snapshots->first = 0;
	return 0;
}

/* The entry of the present generation. */
static struct snapshot_held *present(struct snapshots *snapshots)
{
	struct snapshot_held *held;

	if (snapshots->count) {
		held = at(snapshots, snapshots->count - 1);
		if (held->generation == snapshots->generation)
			return held;
	}
	if (snapshots->count == snapshots->size && grow(snapshots))
		return NULL;
	held = at(snapshots, snapshots->count++);
	*held = (struct snapshot_held){snapshots->generation, snapshots->epoch, 0};
	return held;
}

void snapshots_refuse(struct snapshots *snapshots, bool refuse)
{
	pthread_mutex_lock(&snapshots->lock);
	snapshots->refusing = refuse;
	pthread_mutex_unlock(&snapshots->lock);
}

int snapshots_hold(struct snapshots *snapshots, uint32_t *epoch, uint64_t *rows,
		   uint64_t *generation)
{
	struct snapshot_held *held = NULL;
	int err = -EAGAIN;

	pthread_mutex_lock(&snapshots->lock);
	if (!snapshots->refusing) {
		held = present(snapshots);
		err = held ? 0 : -ENOMEM;
	}
	if (held) {
		held->holders++;
		*epoch = held->epoch;
		*rows = snapshots->rows;
		*generation = held->generation;
	}
	pthread_mutex_unlock(&snapshots->lock);
	return err;
}

static struct snapshot_held *find(struct snapshots *snapshots, uint64_t generation)
{
	uint32_t low = 0, high = snapshots->count;

	while (low + 1 < high) {
		uint32_t middle = low + (high - low) / 2;

		if (at(snapshots, middle)->generation <= generation)
			low = middle;
		else
			high = middle;
	}
	assert(high && at(snapshots, low)->generation == generation);
	return at(snapshots, low);
}

bool snapshots_release(struct snapshots *snapshots, uint64_t generation)
{
	struct snapshot_held *held;
	bool oldest = false;

	pthread_mutex_lock(&snapshots->lock);
	held = find(snapshots, generation);
	assert(held->holders);
	held->holders--;
	while (snapshots->count && !at(snapshots, 0)->holders) {
		snapshots->first = (snapshots->first + 1) % snapshots->size;
		snapshots->count--;
		oldest = true;
	}
	pthread_mutex_unlock(&snapshots->lock);
	return oldest;
}

void snapshots_oldest(struct snapshots *snapshots, uint32_t *epoch, uint64_t *generation)
{
	pthread_mutex_lock(&snapshots->lock);
	*epoch = snapshots->count ? at(snapshots, 0)->epoch : snapshots->epoch;
	*generation = snapshots->count ? at(snapshots, 0)->generation : UINT64_MAX;
	pthread_mutex_unlock(&snapshots->lock);
}
