/* SPDX-License-Identifier: Apache-2.0 */
/* A device under test, and waiting for what it does. */
#ifndef FACET_TESTS_DEVICE_RIG_H
#define FACET_TESTS_DEVICE_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include "daemon/device/device.h"

/* Of the kind that FACET_TEST_DEVICE names, as KIND or KIND:SELECT; of the CPU without it. */
struct device *rig_open(uint32_t threads, uint32_t queue);
bool rig_is_cpu(void);

/* Waits for a batch; rig_done is its done(). */
struct rig_wait {
	pthread_mutex_t lock;
	pthread_cond_t over;
	unsigned int count; /* of calls of done() */
};

#define RIG_WAIT                                                                                   \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                             \
	}
void rig_done(struct device_batch *batch);
void rig_wait_for(struct rig_wait *wait, unsigned int count);

/* Submits, waits, returns batch.error; error_index may be NULL. */
int rig_run(struct device *device, const struct device_command *commands, uint32_t count,
	    uint32_t *error_index);

/* A seeded generator. */
uint32_t rig_random(uint64_t *seed);
/* low .. high */
uint32_t rig_between(uint64_t *seed, uint32_t low, uint32_t high);
float rig_float(uint64_t *seed, float low, float high);

/*
 * Memory for operands: spans are cut from one buffer with gaps of a known pattern between them;
 * rig_gaps_intact() is false after a write outside the spans. Where the host has no view of a
 * buffer, base is a copy, which rig_run_in() sends before and fetches after.
 */
struct rig_memory {
	struct device *device;
	struct device_buffer *buffer;
	uint8_t *base;
	uint64_t used, size;
	uint8_t *in_span; /* [size] */
	bool copied;
};

void rig_memory_init(struct rig_memory *memory, struct device *device, uint64_t size);
void rig_memory_free(struct rig_memory *memory);
/* Bytes of random content; the span starts at a multiple of align, and not of twice that. */
struct device_span rig_span(struct rig_memory *memory, uint64_t bytes, uint32_t align,
			    uint64_t *seed);
void *rig_data(const struct rig_memory *memory, const struct device_span *span);
bool rig_gaps_intact(const struct rig_memory *memory);
int rig_run_in(struct rig_memory *memory, const struct device_command *commands, uint32_t count,
	       uint32_t *error_index);

/* The device's copy of tiles [0, tiles), loaded; NULL where it reads the host's. */
struct device_rows *rig_rows(struct device *device, const struct search_rows *rows, uint64_t tiles);

#endif
