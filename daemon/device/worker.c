/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue is a stack of submitted batches that the thread empties whole and reverses: submitting
 * is one compare-and-swap, one wake covers all that is submitted until the thread sleeps again.
 */
#include "daemon/device/worker.h"
#include "daemon/device/futex.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Counters have one writer, so a load and a store do; readers see whole values. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static void run_commands(struct worker *worker, struct device_batch *batch)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < batch->count && !err; i++) {
		err = worker_cancelled(batch) ? -ECANCELED
					      : worker->ops->run(worker->device, batch, i);
		if (err)
			batch->error_index = i;
	}
	if (worker->ops->finish)
		err = worker->ops->finish(worker->device, batch, err, &batch->error_index);
	batch->error = err;
	count(&worker->commands, err ? batch->error_index : i);
}

/* Runs a batch that began at the given time, hands it back; the time when it was over. */
static uint64_t run_batch(struct worker *worker, struct device_batch *batch, uint64_t begin)
{
	uint64_t end;

	atomic_fetch_sub_explicit(&worker->queued, 1, memory_order_relaxed);
	run_commands(worker, batch);
	end = clock_ns();
	batch->device_ns = end - begin;
	count(&worker->batches, 1);
	count(&worker->busy_ns, end - begin);
	if (batch->error)
		count(batch->error == -ECANCELED ? &worker->cancelled : &worker->failed, 1);
	batch->done(batch); /* it may be gone now */
	return end;
}

static struct device_batch *take_all(struct worker *worker)
{
	struct device_batch *batch = atomic_exchange(&worker->newest, NULL), *first = NULL;

	while (batch) {
		struct device_batch *next = batch->next;

		batch->next = first;
		first = batch;
		batch = next;
	}
	return first;
}

/*
 * Sleeps until something is submitted or the device closes. asleep is set before the queue is
 * looked at once more, and a submitter pushes before it looks at asleep: one of them sees the other.
 */
static void sleep_until_work(struct worker *worker)
{
	atomic_store(&worker->asleep, 1);
	if (!atomic_load(&worker->newest) && !atomic_load(&worker->stop))
		futex_wait(&worker->asleep, 1);
	atomic_store(&worker->asleep, 0);
}

static void wake(struct worker *worker)
{
	if (atomic_load(&worker->asleep) && atomic_exchange(&worker->asleep, 0))
		futex_wake(&worker->asleep, 1);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct device_batch *batch;

	if (worker->ops->start)
		worker->ops->start(worker->device);
	for (;;) {
		batch = take_all(worker);
		if (batch) {
			uint64_t now = clock_ns();

			while (batch) {
				struct device_batch *next = batch->next;

				now = run_batch(worker, batch, now);
				batch = next;
			}
		} else if (atomic_load(&worker->stop)) {
			return NULL;
		} else {
			sleep_until_work(worker);
		}
	}
}

int worker_start(struct worker *worker, struct device *device, const struct worker_ops *ops,
		 uint32_t queue)
{
	memset(worker, 0, sizeof(*worker));
	worker->ops = ops;
	worker->device = device;
	worker->queue_max = queue ? queue : WORKER_QUEUE_DEFAULT;
	return -pthread_create(&worker->thread, NULL, work, worker);
}

void worker_stop(struct worker *worker)
{
	assert(atomic_load(&worker->queued) == 0);
	atomic_store(&worker->stop, true);
	wake(worker);
	pthread_join(worker->thread, NULL);
}

int worker_submit(struct worker *worker, struct device_batch *batch)
{
	struct device_batch *newest;

	assert(!atomic_load(&worker->stop));
	if (atomic_fetch_add_explicit(&worker->queued, 1, memory_order_relaxed) >=
	    worker->queue_max) {
		atomic_fetch_sub_explicit(&worker->queued, 1, memory_order_relaxed);
		return -EAGAIN;
	}
	batch->error = 0;
	batch->error_index = 0;
	batch->device_ns = 0;
	batch->cancelled = false;
	newest = atomic_load_explicit(&worker->newest, memory_order_relaxed);
	do {
		batch->next = newest;
	} while (!atomic_compare_exchange_weak(&worker->newest, &newest, batch));
	wake(worker);
	return 0;
}

void worker_cancel(struct worker *worker, struct device_batch *batch)
{
	(void)worker;
	__atomic_store_n(&batch->cancelled, true, __ATOMIC_RELAXED);
}

void worker_stats(const struct worker *worker, struct device_stats *stats)
{
	stats->batches = atomic_load_explicit(&worker->batches, memory_order_relaxed);
	stats->commands = atomic_load_explicit(&worker->commands, memory_order_relaxed);
	stats->failed = atomic_load_explicit(&worker->failed, memory_order_relaxed);
	stats->cancelled = atomic_load_explicit(&worker->cancelled, memory_order_relaxed);
	stats->busy_ns = atomic_load_explicit(&worker->busy_ns, memory_order_relaxed);
	stats->queued = atomic_load_explicit(&worker->queued, memory_order_relaxed);
}
