/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU as a device: a worker, and the pool that shares the large commands. */
#include "daemon/device/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the worker ---- */

static void start(struct device *device)
{
	struct cpu *cpu = cpu_of(device);

	cpu_thread_prepare(cpu->pinned ? &cpu->pin : NULL, 0);
}

static int run(struct device *device, const struct device_batch *batch, uint32_t index)
{
	return cpu_run(cpu_of(device), &batch->commands[index]);
}

static const struct worker_ops worker_ops = {.start = start, .run = run};

/* ---- what others call ---- */

static int submit(struct device *device, struct device_batch *batch)
{
	return worker_submit(&cpu_of(device)->worker, batch);
}

static void cancel(struct device *device, struct device_batch *batch)
{
	worker_cancel(&cpu_of(device)->worker, batch);
}

static void stats(const struct device *device, struct device_stats *stats)
{
	worker_stats(&((const struct cpu *)device)->worker, stats);
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
		.ops = ((UINT64_C(1) << DEVICE_OPS) - 1) &
		       ~(UINT64_C(1) << DEVICE_LOAD | UINT64_C(1) << DEVICE_UNLOAD),
		.memory_bytes = cpu->memory_max,
		.alignment = 64,
		.batch_max = SEARCH_BATCH_MAX,
		.reads_host_memory = true,
		.shares_cpu = true,
	};
	snprintf(caps->detail, sizeof(caps->detail), "%s, %u thread%s", cpu->kernels->name,
		 cpu->threads, cpu->threads == 1 ? "" : "s");
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

	worker_stop(&cpu->worker);
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
	err = worker_start(&cpu->worker, &cpu->base, &worker_ops, config->queue);
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
