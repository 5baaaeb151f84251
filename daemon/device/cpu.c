/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU as a device: a worker thread that takes batches from a queue, and the pool that shares
 * the large commands.
 *
 * The queue is a stack of submitted batches that the worker empties whole and reverses: submitting
 * is one compare-and-swap, one wake covers all that is submitted until the worker sleeps again.
 */
#include "daemon/device/cpu.h"
#include "daemon/device/futex.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_DEFAULT 1024u

/* ---- the worker ---- */

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

static void run_commands(struct cpu *cpu, struct device_batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->count && !batch->error; i++) {
		if (__atomic_load_n(&batch->cancelled, __ATOMIC_RELAXED))
			batch->error = -ECANCELED;
		else
			batch->error = cpu_run(cpu, &batch->commands[i]);
		if (batch->error)
			batch->error_index = i;
	}
	count(&cpu->commands, batch->error ? i - 1 : i);
}

/* Runs a batch that began at the given time, hands it back; the time when it was over. */
static uint64_t run_batch(struct cpu *cpu, struct device_batch *batch, uint64_t begin)
{
	uint64_t end;

	atomic_fetch_sub_explicit(&cpu->queued, 1, memory_order_relaxed);
	run_commands(cpu, batch);
	end = clock_ns();
	batch->device_ns = end - begin;
	count(&cpu->batches, 1);
	count(&cpu->busy_ns, end - begin);
	if (batch->error)
		count(batch->error == -ECANCELED ? &cpu->cancelled : &cpu->failed, 1);
	batch->done(batch); /* it may be gone now */
	return end;
}

static struct device_batch *take_all(struct cpu *cpu)
{
	struct device_batch *batch = atomic_exchange(&cpu->newest, NULL), *first = NULL;

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
static void sleep_until_work(struct cpu *cpu)
{
	atomic_store(&cpu->asleep, 1);
	if (!atomic_load(&cpu->newest) && !atomic_load(&cpu->stop))
		futex_wait(&cpu->asleep, 1);
	atomic_store(&cpu->asleep, 0);
}

static void wake_worker(struct cpu *cpu)
{
	if (atomic_load(&cpu->asleep) && atomic_exchange(&cpu->asleep, 0))
		futex_wake(&cpu->asleep, 1);
}

static void *worker(void *argument)
{
	struct cpu *cpu = argument;
	struct device_batch *batch;

	cpu_thread_prepare(cpu->pinned ? &cpu->pin : NULL, 0);
	for (;;) {
		batch = take_all(cpu);
		if (batch) {
			uint64_t now = clock_ns();

			while (batch) {
				struct device_batch *next = batch->next;

				now = run_batch(cpu, batch, now);
				batch = next;
			}
		} else if (atomic_load(&cpu->stop)) {
			return NULL;
		} else {
			sleep_until_work(cpu);
		}
	}
}

/* ---- what others call ---- */

static int submit(struct device *device, struct device_batch *batch)
{
	struct cpu *cpu = cpu_of(device);
	struct device_batch *newest;

	assert(!atomic_load(&cpu->stop));
	if (atomic_fetch_add_explicit(&cpu->queued, 1, memory_order_relaxed) >= cpu->queue_max) {
		atomic_fetch_sub_explicit(&cpu->queued, 1, memory_order_relaxed);
		return -EAGAIN;
	}
	batch->error = 0;
	batch->error_index = 0;
	batch->device_ns = 0;
	batch->cancelled = false;
	newest = atomic_load_explicit(&cpu->newest, memory_order_relaxed);
	do {
		batch->next = newest;
	} while (!atomic_compare_exchange_weak(&cpu->newest, &newest, batch));
	wake_worker(cpu);
	return 0;
}

static void cancel(struct device *device, struct device_batch *batch)
{
	(void)device;
	__atomic_store_n(&batch->cancelled, true, __ATOMIC_RELAXED);
}

/* Nothing on a processor can be stuck that a reset would free. */
static int reset(struct device *device)
{
	(void)device;
	return 0;
}

static void caps(const struct device *device, struct device_caps *caps)
{
	const struct cpu *cpu = cpu_of(device);

	*caps = (struct device_caps){
		.name = "cpu0",
		.ops = ((UINT64_C(1) << DEVICE_OPS) - 1) & ~(UINT64_C(1) << DEVICE_LOAD),
		.memory_bytes = cpu->memory_max,
		.alignment = 64,
		.batch_max = SEARCH_BATCH_MAX,
		.reads_host_memory = true,
		.shares_cpu = true,
	};
	snprintf(caps->detail, sizeof(caps->detail), "%s, %u thread%s", cpu->kernels->name,
		 cpu->threads, cpu->threads == 1 ? "" : "s");
}

static void stats(const struct device *device, struct device_stats *stats)
{
	const struct cpu *cpu = cpu_of(device);

	stats->batches = atomic_load_explicit(&cpu->batches, memory_order_relaxed);
	stats->commands = atomic_load_explicit(&cpu->commands, memory_order_relaxed);
	stats->failed = atomic_load_explicit(&cpu->failed, memory_order_relaxed);
	stats->cancelled = atomic_load_explicit(&cpu->cancelled, memory_order_relaxed);
	stats->busy_ns = atomic_load_explicit(&cpu->busy_ns, memory_order_relaxed);
	stats->queued = atomic_load_explicit(&cpu->queued, memory_order_relaxed);
}

static void release(struct cpu *cpu)
{
	cpu_pool_free(cpu->pool);
	for (uint32_t i = 0; cpu->lists && i < cpu->threads; i++)
		cpu_search_lists_free(&cpu->lists[i]);
	free(cpu->lists);
	free(cpu);
}

static void close_cpu(struct device *device)
{
	struct cpu *cpu = cpu_of(device);

	assert(atomic_load(&cpu->queued) == 0);
	atomic_store(&cpu->stop, true);
	wake_worker(cpu);
	pthread_join(cpu->worker, NULL);
	release(cpu);
}

/* ---- opening ---- */

/* A list such as "0", "0-3" or "0,2-3"; false if it is anything else or names no cpu. */
static bool parse_cpus(const char *text, cpu_set_t *cpus)
{
	CPU_ZERO(cpus);
	for (;;) {
		unsigned int first, last;
		int used = 0;

		if (*text < '0' || *text > '9' || sscanf(text, "%u%n", &first, &used) != 1)
			return false;
		text += used;
		last = first;
		if (*text == '-') {
			if (text[1] < '0' || text[1] > '9' ||
			    sscanf(text + 1, "%u%n", &last, &used) != 1)
				return false;
			text += used + 1;
		}
		if (last < first || last >= CPU_SETSIZE)
			return false;
		for (unsigned int cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, cpus);
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
	}
}

static int configure(struct cpu *cpu, const struct device_config *config)
{
	cpu_set_t usable;

	CPU_ZERO(&usable);
	if (sched_getaffinity(0, sizeof(usable), &usable))
		CPU_SET(0, &usable);
	if (config->pin) {
		if (!parse_cpus(config->pin, &cpu->pin))
			return -EINVAL;
		CPU_AND(&cpu->pin, &cpu->pin, &usable);
		if (!CPU_COUNT(&cpu->pin))
			return -EINVAL;
		cpu->pinned = true;
	}
	cpu->threads = config->threads;
	if (!cpu->threads)
		cpu->threads = (uint32_t)CPU_COUNT(cpu->pinned ? &cpu->pin : &usable);
	if (cpu->threads > CPU_POOL_THREADS_MAX)
		return -EINVAL;
	cpu->queue_max = config->queue ? config->queue : QUEUE_DEFAULT;
	cpu->memory_max = config->memory;
	if (!cpu->memory_max)
		cpu->memory_max =
			(uint64_t)sysconf(_SC_PHYS_PAGES) / 2 * (uint64_t)sysconf(_SC_PAGESIZE);
	cpu->kernels = cpu_kernels_get(config->isa);
	return cpu->kernels ? 0 : -ENODEV;
}

static int probe(const struct device_config *config, struct device **device)
{
	struct cpu *cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~(size_t)63);
	int err;

	if (!cpu)
		return -ENOMEM;
	memset(cpu, 0, sizeof(*cpu));
	cpu->base.ops = &device_cpu;
	err = configure(cpu, config);
	if (err)
		goto fail;
	err = -ENOMEM;
	cpu->lists = calloc(cpu->threads, sizeof(*cpu->lists));
	if (!cpu->lists)
		goto fail;
	err = cpu_pool_create(cpu->threads, cpu->pinned ? &cpu->pin : NULL, &cpu->pool);
	if (err)
		goto fail;
	err = -pthread_create(&cpu->worker, NULL, worker, cpu);
	if (err)
		goto fail;
	*device = &cpu->base;
	return 0;
fail:
	release(cpu);
	return err;
}

const struct device_ops device_cpu = {
	.kind = "cpu",
	.probe = probe,
	.caps = caps,
	.buffer_create = cpu_buffer_create,
	.buffer_import = cpu_buffer_import,
	.buffer_map = cpu_buffer_map,
	.buffer_write = cpu_buffer_write,
	.buffer_read = cpu_buffer_read,
	.buffer_free = cpu_buffer_free,
	.weights_conv2d = cpu_weights_conv2d,
	.weights_gemm = cpu_weights_gemm,
	.weights_free = cpu_weights_free,
	.submit = submit,
	.cancel = cancel,
	.reset = reset,
	.stats = stats,
	.close = close_cpu,
};
