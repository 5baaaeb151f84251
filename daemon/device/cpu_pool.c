/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/cpu_pool.h"
#include "daemon/device/futex.h"
#include "kernels/cpu/cpu.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#define SLICES_MAX 0xffffu
#define LINE	   64

/*
 * The ticket is generation << 32 | slices << 16 | next. A slice is taken by raising next with a
 * compare-and-swap of the whole word, so a helper that slept through a job cannot take a slice of
 * it, and the job's fields cannot change under one that has taken a slice: the owner publishes a
 * new job only after all slices of the old one are done.
 */
struct cpu_pool {
	uint32_t threads;
	const cpu_set_t *cpus; /* while the helpers start */
	pthread_t *helpers;
	void **scratch;
	size_t scratch_bytes;

	uint32_t generation;
	uint64_t total, slice;
	cpu_pool_part *part;
	void *job;

	_Alignas(LINE) _Atomic uint64_t ticket;
	_Alignas(LINE) _Atomic uint32_t left; /* slices not done; the owner sleeps on it */
	_Atomic uint32_t waiting;	      /* the owner does */
	_Atomic int error;
	_Alignas(LINE) _Atomic uint32_t epoch; /* changes with each job; helpers sleep on it */
	_Atomic uint32_t asleep;
	_Atomic bool stop;
};

struct start {
	struct cpu_pool *pool;
	uint32_t thread;
	_Atomic uint32_t started;
};

static uint64_t ticket_make(uint32_t generation, uint32_t slices)
{
	return (uint64_t)generation << 32 | (uint64_t)slices << 16;
}

/* Takes the next slice of the current job; false when there is none left. */
static bool take(struct cpu_pool *pool, uint32_t *slice)
{
	uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);

	do {
		*slice = ticket & SLICES_MAX;
		if (*slice >= (ticket >> 16 & SLICES_MAX))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->ticket, &ticket, ticket + 1, memory_order_acquire, memory_order_acquire));
	return true;
}

static void finish_slice(struct cpu_pool *pool, int err)
{
	int none = 0;

	if (err)
		atomic_compare_exchange_strong(&pool->error, &none, err);
	if (atomic_fetch_sub(&pool->left, 1) == 1 && atomic_exchange(&pool->waiting, 0))
		futex_wake(&pool->left, 1);
}

static void work(struct cpu_pool *pool, uint32_t thread)
{
	uint32_t slice;

	while (take(pool, &slice)) {
		uint64_t begin = slice * pool->slice;
		uint64_t end = begin + pool->slice;

		if (end > pool->total)
			end = pool->total;
		finish_slice(pool, pool->part(pool->job, thread, begin, end));
	}
}

static void *helper(void *argument)
{
	struct start *start = argument;
	struct cpu_pool *pool = start->pool;
	uint32_t thread = start->thread;

	cpu_thread_prepare(pool->cpus, thread);
	atomic_store(&start->started, 1);
	futex_wake(&start->started, 1);
	for (;;) {
		uint32_t epoch = atomic_load(&pool->epoch);

		if (atomic_load(&pool->stop))
			return NULL;
		work(pool, thread);
		atomic_fetch_add(&pool->asleep, 1);
		futex_wait(&pool->epoch, epoch);
		atomic_fetch_sub(&pool->asleep, 1);
	}
}

int cpu_pool_run(struct cpu_pool *pool, uint64_t total, uint64_t grain, cpu_pool_part *part,
		 void *job)
{
	uint64_t slice = grain, slices;
	uint32_t left;

	if (slice < total / SLICES_MAX + 1)
		slice = total / SLICES_MAX + 1;
	slices = (total + slice - 1) / slice;
	if (pool->threads == 1 || slices <= 1)
		return part(job, 0, 0, total);
	pool->total = total;
	pool->slice = slice;
	pool->part = part;
	pool->job = job;
	atomic_store_explicit(&pool->error, 0, memory_order_relaxed);
	atomic_store_explicit(&pool->waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&pool->left, (uint32_t)slices, memory_order_relaxed);
	atomic_store_explicit(&pool->ticket, ticket_make(++pool->generation, (uint32_t)slices),
			      memory_order_release);
	atomic_fetch_add(&pool->epoch, 1);
	if (atomic_load(&pool->asleep))
		futex_wake(&pool->epoch, slices - 1 < pool->threads ? (int)slices - 1 : INT_MAX);
	work(pool, 0);
	while ((left = atomic_load(&pool->left))) {
		atomic_store(&pool->waiting, 1);
		futex_wait(&pool->left, left);
	}
	return atomic_load(&pool->error);
}

/* ---- threads and their memory ---- */

void cpu_thread_prepare(const cpu_set_t *cpus, uint32_t i)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	cpu_float_mode();
	if (!cpus)
		return;
	i %= (uint32_t)CPU_COUNT(cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;

		if (!CPU_ISSET(cpu, cpus) || i--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		/* A cpu that went offline since costs speed, not correctness. */
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static int start_helper(struct cpu_pool *pool, uint32_t thread)
{
	struct start start = {.pool = pool, .thread = thread};
	int err = pthread_create(&pool->helpers[thread], NULL, helper, &start);

	if (err)
		return -err;
	while (!atomic_load(&start.started))
		futex_wait(&start.started, 0);
	return 0;
}

int cpu_pool_create(uint32_t threads, const cpu_set_t *cpus, struct cpu_pool **pool)
{
	struct cpu_pool *p = aligned_alloc(LINE, sizeof(*p));
	int err = -ENOMEM;

	if (!p)
		return err;
	*p = (struct cpu_pool){.threads = 1, .cpus = cpus};
	p->helpers = calloc(threads, sizeof(*p->helpers));
	p->scratch = calloc(threads, sizeof(*p->scratch));
	if (!p->helpers || !p->scratch)
		goto fail;
	for (; p->threads < threads; p->threads++) {
		err = start_helper(p, p->threads);
		if (err)
			goto fail;
	}
	p->cpus = NULL;
	*pool = p;
	return 0;
fail:
	cpu_pool_free(p);
	return err;
}

void cpu_pool_free(struct cpu_pool *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->stop, true);
	atomic_fetch_add(&pool->epoch, 1);
	futex_wake(&pool->epoch, INT_MAX);
	for (uint32_t i = 1; i < pool->threads; i++)
		pthread_join(pool->helpers[i], NULL);
	for (uint32_t i = 0; pool->scratch && i < pool->threads; i++)
		free(pool->scratch[i]);
	free(pool->scratch);
	free(pool->helpers);
	free(pool);
}

uint32_t cpu_pool_threads(const struct cpu_pool *pool)
{
	return pool->threads;
}

int cpu_pool_reserve(struct cpu_pool *pool, size_t bytes)
{
	if (bytes <= pool->scratch_bytes)
		return 0;
	if (bytes > SIZE_MAX - LINE)
		return -ENOMEM;
	bytes = (bytes + LINE - 1) & ~(size_t)(LINE - 1);
	pool->scratch_bytes = 0;
	for (uint32_t i = 0; i < pool->threads; i++) {
		free(pool->scratch[i]);
		pool->scratch[i] = aligned_alloc(LINE, bytes);
		if (!pool->scratch[i])
			return -ENOMEM;
	}
	pool->scratch_bytes = bytes;
	return 0;
}

void cpu_pool_trim(struct cpu_pool *pool, size_t bytes)
{
	if (pool->scratch_bytes <= bytes)
		return;
	for (uint32_t i = 0; i < pool->threads; i++) {
		free(pool->scratch[i]);
		pool->scratch[i] = NULL;
	}
	pool->scratch_bytes = 0;
}

void *cpu_pool_scratch(const struct cpu_pool *pool, uint32_t thread)
{
	return pool->scratch[thread];
}
