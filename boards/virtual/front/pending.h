/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts on their way from the board's threads to the one thread that speaks with the guest. One
 * that has not got there yet is not kept twice: it is an edge, and says "look".
 */
#ifndef FACET_BOARDS_VIRTUAL_FRONT_PENDING_H
#define FACET_BOARDS_VIRTUAL_FRONT_PENDING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PENDING_MAX 64 /* that differ; a board has fewer vectors */

struct interrupt {
	uint64_t address;
	uint32_t data;
};

struct pending {
	int bell; /* an eventfd, to poll() */
	pthread_mutex_t lock;
	struct interrupt interrupt[PENDING_MAX];
	uint32_t count;
};

int pending_init(struct pending *pending);
void pending_destroy(struct pending *pending);
/* Rings the bell. From any thread. */
void pending_raise(struct pending *pending, struct interrupt interrupt);
/* One that could not be sent now, without ringing. */
void pending_keep(struct pending *pending, struct interrupt interrupt);
/* Taken before it is sent: one that comes meanwhile is another. False: there is none. */
bool pending_take(struct pending *pending, struct interrupt *interrupt);
/* The bell is silent again. */
void pending_heard(struct pending *pending);

#endif
