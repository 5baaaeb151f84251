/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to card*.c. */
#ifndef FACET_DAEMON_DEVICE_CARD_INTERNAL_H
#define FACET_DAEMON_DEVICE_CARD_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "boards/shell/kernels.h"
#include "boards/shell/ring.h"
#include "daemon/device/card.h"
#include "daemon/device/shell_move.h"

/* Rings and job blocks of a unit, in the card's arena. One job is in work at a time. */
struct card_unit {
	struct shell_entry *ring;
	struct shell_completion *done;
	uint8_t *job;
	uint64_t ring_at, done_at, job_at;
	uint32_t tail, vector;
	uint64_t irqs;
	bool ready;
};

/* A piece of a bank that is taken; a bank's pieces in the order of their place. */
struct card_piece {
	struct card_piece *next;
	uint64_t begin, end;
};

struct card_memory {
	struct shell_memory base;
	uint32_t bank;
	uint32_t generation; /* of the card when it was made: a reset may have lost it */
	struct card_piece piece;
	struct card_dma dma;
};

struct card {
	struct shell_port base;
	struct card_bus *bus;
	struct card_info info;
	pthread_mutex_t lock;
	struct card_dma arena;
	uint64_t sequence;
	uint32_t generation, unit_resets, resets;
	bool gone;
	struct card_unit unit[SHELL_UNITS_MAX];
	struct card_piece *taken[SHELL_BANKS_MAX];
	struct shell_mover mover;
};

static inline struct card *card_of(const struct shell_port *port)
{
	return (struct card *)port;
}

static inline uint32_t card_get(const struct card *card, uint32_t offset)
{
	return card->bus->ops->read(card->bus, offset);
}

static inline void card_set(const struct card *card, uint32_t offset, uint32_t value)
{
	card->bus->ops->write(card->bus, offset, value);
}

/* card_unit.c */
uint64_t card_arena_bytes(const struct card_info *info);
/* A reset of all, and everything set up anew. */
int card_start(struct card *card);
void card_stop(struct card *card);

/* card_call.c; with the lock held. */
void card_run_locked(struct shell_port *port, struct shell_call *calls, uint32_t count);
void card_run(struct shell_port *port, struct shell_call *calls, uint32_t count);

/* card_unit.c: one job. -EBUSY never: the unit is free. */
struct card_job {
	uint32_t unit;
	uint32_t generation;
	uint64_t sequence;
};
void card_post(struct card *card, const struct shell_entry *entry, const void *block,
	       struct card_job *job);
/* -ETIMEDOUT: it made no progress for so long, and the unit or all was reset; -ECANCELED: it went with a
 * reset for another's sake; -EIO: the unit stopped, or its completion makes no sense; -ENODEV. */
int card_wait(struct card *card, const struct card_job *job, uint32_t wait_ms,
	      struct shell_completion *completion);

/* card_memory.c */
int card_memory_create(struct shell_port *port, enum shell_place place, uint64_t bytes,
		       struct shell_memory **memory);
void card_memory_free(struct shell_port *port, struct shell_memory *memory);
int card_write(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
	       const void *data, uint64_t bytes);
int card_read(struct shell_port *port, struct shell_memory *memory, uint64_t offset, void *data,
	      uint64_t bytes);
/* Its contents did not outlive a reset. */
bool card_memory_lost(const struct card *card, const struct card_memory *memory);

#endif
