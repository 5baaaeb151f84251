/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who still looks at what. The writer publishes (epoch, rows); a snapshot holds the pair of its
 * time. Generations number the publications and the reclaims, so the writer can ask whether a
 * snapshot from before some moment is still held.
 */
#ifndef FACET_DAEMON_GALLERY_SNAPSHOT_H
#define FACET_DAEMON_GALLERY_SNAPSHOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct snapshot_held {
	uint64_t generation;
	uint32_t epoch;
	uint32_t holders;
};

struct snapshots {
	pthread_mutex_t lock;
	uint64_t generation;
	uint32_t epoch;
	uint32_t era; /* changes when epochs begin again */
	uint64_t rows;
	struct snapshot_held *held; /* a ring, oldest first; its first entry has holders */
	uint32_t first, count, size;
	bool refusing; /* no new ones, until those that are held have ended */
};

void snapshots_init(struct snapshots *snapshots);
void snapshots_free(struct snapshots *snapshots); /* none is held */
void snapshots_publish(struct snapshots *snapshots, uint32_t epoch, uint64_t rows);
uint64_t snapshots_stamp(struct snapshots *snapshots); /* a moment: later snapshots are newer */
void snapshots_refuse(struct snapshots *snapshots, bool refuse);
/* -ENOMEM; -EAGAIN while they are refused */
int snapshots_hold(struct snapshots *snapshots, uint32_t *epoch, uint64_t *rows,
		   uint64_t *generation);
/* True if it was the oldest one that let go. */
bool snapshots_release(struct snapshots *snapshots, uint64_t generation);
/* The oldest epoch a snapshot held now or taken later can have, and the oldest generation. */
void snapshots_oldest(struct snapshots *snapshots, uint32_t *epoch, uint64_t *generation);

#endif
