/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers of the CPU device's worker: threads that share the slices of one job. One thread, the
 * owner, calls everything here; it works on slices too, as thread 0. Idle helpers sleep.
 */
#ifndef FACET_DAEMON_DEVICE_CPU_POOL_H
#define FACET_DAEMON_DEVICE_CPU_POOL_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#define CPU_POOL_THREADS_MAX 256u

struct cpu_pool;

/* Does the part [begin, end) of a job; thread is 0 .. threads - 1. 0 or a negative errno. */
typedef int cpu_pool_part(void *job, uint32_t thread, uint64_t begin, uint64_t end);

/* Helpers 1 .. threads - 1. With cpus (may be NULL) helper i is bound to the i-th of them, round. */
int cpu_pool_create(uint32_t threads, const cpu_set_t *cpus, struct cpu_pool **pool);
void cpu_pool_free(struct cpu_pool *pool);
uint32_t cpu_pool_threads(const struct cpu_pool *pool);

/* Cuts [0, total) into slices of about grain and runs them all; the first error, or 0. */
int cpu_pool_run(struct cpu_pool *pool, uint64_t total, uint64_t grain, cpu_pool_part *part,
		 void *job);

/* 64-byte aligned memory of each thread's own, at least this large until the next reserve. */
int cpu_pool_reserve(struct cpu_pool *pool, size_t bytes);
/* Gives it back where it is more than these bytes a thread. */
void cpu_pool_trim(struct cpu_pool *pool, size_t bytes);
void *cpu_pool_scratch(const struct cpu_pool *pool, uint32_t thread);

/* A thread of this room: signals blocked, bound to the i-th cpu, the kernels' float mode set. */
void cpu_thread_prepare(const cpu_set_t *cpus, uint32_t i);

#endif
