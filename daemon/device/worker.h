/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of a device, and the batches that wait for it: what the backends have in common. A
 * backend says how one command runs; order, bounds, cancelling, counting and done() are here.
 */
#ifndef FACET_DAEMON_DEVICE_WORKER_H
#define FACET_DAEMON_DEVICE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include "daemon/device/device.h"

#define WORKER_QUEUE_DEFAULT 1024u

/* All on the worker thread; all but run may be NULL. */
struct worker_ops {
	void (*start)(struct device *device); /* before the first batch */
	int (*run)(struct device *device, const struct device_batch *batch, uint32_t index);
	/* Once a batch, after its last command or the one that failed: waits for what run() left in
	 * flight. Returns the batch's error: `error`, or where that is 0 its own, which it lays on a
	 * command by *index. */
	int (*finish)(struct device *device, const struct device_batch *batch, int error,
		      uint32_t *index);
};

struct worker {
	const struct worker_ops *ops;
	struct device *device;
	uint32_t queue_max;
	pthread_t thread;
	/* shared */
	_Alignas(64) _Atomic(struct device_batch *) newest; /* submitted, not yet seen; a stack */
	_Atomic uint32_t queued;			    /* submitted, not yet begun */
	_Atomic uint32_t asleep;			    /* the thread, on this word */
	_Atomic bool stop;
	/* written by the thread only */
	_Alignas(64) _Atomic uint64_t batches;
	_Atomic uint64_t commands, failed, cancelled, busy_ns;
};

/* queue: batches that may wait, 0 for the default. The worker lies at a multiple of 64. */
int worker_start(struct worker *worker, struct device *device, const struct worker_ops *ops,
		 uint32_t queue);
void worker_stop(struct worker *worker); /* nothing is in flight */

/* submit, cancel and stats of struct device_ops */
int worker_submit(struct worker *worker, struct device_batch *batch);
void worker_cancel(struct worker *worker, struct device_batch *batch);
void worker_stats(const struct worker *worker, struct device_stats *stats);

/* For run(): has the batch been cancelled meanwhile? */
static inline bool worker_cancelled(const struct device_batch *batch)
{
	return __atomic_load_n(&batch->cancelled, __ATOMIC_RELAXED);
}

#endif
