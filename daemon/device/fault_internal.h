/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the fault device. */
#ifndef FACET_DAEMON_DEVICE_FAULT_INTERNAL_H
#define FACET_DAEMON_DEVICE_FAULT_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include "daemon/device/fault_spec.h"

struct fault {
	struct device base;
	struct device *inner;
	struct device_caps caps; /* as it shows itself */
	bool inner_host;	 /* the inner device reads host memory */
	bool inner_checksums;
	pthread_t worker;
	sem_t inner_done;

	pthread_mutex_t lock;		   /* of the queue and what follows */
	pthread_cond_t changed;		   /* any of it has */
	struct device_batch *head, **tail; /* not yet begun */
	uint32_t queued, queue_max;
	uint64_t resets; /* begun so far */
	bool stop, gone;
	bool changed_rules; /* next is to be taken */
	struct fault_rules next;
	struct fault_rules rules; /* the worker's */

	_Atomic uint64_t batches, commands, failed, cancelled, busy_ns;
	_Atomic uint64_t looked_at, injected[FAULT_KINDS];
};

/* What strikes one command: a rule a kind, or NULL. */
struct fault_strikes {
	struct fault_rule *rule[FAULT_KINDS];
};

struct device_buffer {
	struct device *device;
	struct device_buffer *inner;
	uint8_t *host; /* imported: the caller's memory */
	uint64_t bytes;
};

struct device_weights {
	struct device *device;
	struct device_weights *inner;
	struct device_weights *sums; /* the same with accumulators as output, for fault_product() */
};

struct device_rows {
	struct device *device;
	const struct search_rows *host;
	struct search_rows shadow; /* what this board holds; zero: no row is born */
	uint64_t tile_begin, tile_end;
	void *map[9];
	size_t mapped[9];
	struct device_rows *inner; /* NULL where the inner device reads host memory: the shadow */
};

static inline struct fault *fault_of(const struct device *device)
{
	return (struct fault *)device;
}

/* Runs a command of the inner device to its end; the worker only. */
int fault_inner(struct fault *fault, const struct device_command *command);
void fault_count(struct fault *fault, struct fault_rule *rule);
/* Flips bits of memory that belongs to the device; of nothing if there are no bytes. */
void fault_flip(struct fault *fault, struct fault_rule *rule, void *data, uint64_t bytes);

/* ---- fault_memory.c ---- */
int fault_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer);
int fault_buffer_import(struct device *device, void *memory, uint64_t bytes,
			struct device_buffer **buffer);
void *fault_buffer_map(struct device_buffer *buffer);
int fault_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
		       uint64_t bytes);
int fault_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes);
void fault_buffer_free(struct device_buffer *buffer);
int fault_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
			 const int32_t *bias, struct device_weights **weights);
int fault_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
		       const int32_t *bias, struct device_weights **weights);
void fault_weights_free(struct device_weights *weights);
int fault_rows_create(struct device *device, const struct search_rows *rows, uint64_t tile_begin,
		      uint64_t tile_end, struct device_rows **copy);
void fault_rows_free(struct device_rows *copy);
/* Copies tiles of the host's rows into the shadow. */
int fault_rows_load(struct device_rows *copy, uint64_t tile_begin, uint64_t tile_end);
/* And out of it. */
int fault_rows_unload(const struct device_rows *copy, uint64_t tile_begin, uint64_t tile_end,
		      const struct search_rows *to);

/* ---- fault_run.c: one command, with what strikes it; the worker only ---- */
int fault_run(struct fault *fault, const struct device_command *command,
	      const struct fault_strikes *strikes);
/* Imported memory into the device before a batch; what commands [0, count) wrote back after it. */
int fault_stage_in(struct fault *fault, const struct device_batch *batch);
int fault_stage_out(struct fault *fault, const struct device_batch *batch, uint32_t count);
/* The spans' buffers become those of the inner device; -EINVAL for another's. */
int fault_translate(struct fault *fault, const struct device_command *command,
		    struct device_command *inner);

/* ---- fault_search.c ---- */
int fault_search(struct fault *fault, const struct device_command *command,
		 const struct fault_strikes *strikes);
int fault_load(struct fault *fault, const struct device_command *command);
int fault_unload(struct fault *fault, const struct device_command *command);

/* ---- fault_product.c: a conv2d or gemm by way of its accumulators ---- */
int fault_product(struct fault *fault, const struct device_command *command,
		  struct fault_rule *flip);

#endif
