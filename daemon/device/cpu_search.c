/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search shared by the pool. Thread 0 offers to the caller's lists, each helper to lists of its
 * own, which are merged at the end: the order of hits is total, so the answer is that of one thread.
 */
#include "daemon/device/cpu.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Below this many bytes of rows a slice is not worth waking a helper for. */
#define SLICE_BYTES (UINT64_C(512) << 10)
/* Hits that helpers' lists may hold for one command, all queries together. */
#define SHARED_HITS_MAX (UINT64_C(4) * SEARCH_K_MAX)
/* Lists for more hits than this are not kept between searches. */
#define KEPT_K_MAX 4096u

struct job {
	struct cpu *cpu;
	const struct device_search *p;
	struct search_query queries[SEARCH_BATCH_MAX];
};

static int lists_prepare(struct cpu_search_lists *lists, const struct search_query *queries,
			 uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (lists->k[i] < queries[i].k) {
			search_list_free(lists->list[i]);
			lists->k[i] = 0;
			lists->list[i] = search_list_create(queries[i].k, queries[i].by_subject);
			if (!lists->list[i])
				return -ENOMEM;
			lists->k[i] = queries[i].k;
		}
		search_list_reset(lists->list[i], queries[i].k, queries[i].by_subject);
	}
	return 0;
}

/* Frees the lists made for more than k. */
static void lists_trim(struct cpu_search_lists *lists, uint32_t k)
{
	for (uint32_t i = 0; i < SEARCH_BATCH_MAX; i++) {
		if (lists->k[i] <= k)
			continue;
		search_list_free(lists->list[i]);
		lists->list[i] = NULL;
		lists->k[i] = 0;
	}
}

void cpu_search_lists_free(struct cpu_search_lists *lists)
{
	lists_trim(lists, 0);
}

static int part(void *argument, uint32_t thread, uint64_t begin, uint64_t end)
{
	struct job *job = argument;
	struct cpu *cpu = job->cpu;
	const struct device_search *p = job->p;

	return cpu->kernels->search(
		p->rows, p->tile_begin + begin, p->tile_begin + end, job->queries, p->count,
		thread ? cpu->lists[thread].list : p->lists, cpu_pool_scratch(cpu->pool, thread));
}

/* Copies the queries; what the lists hold from earlier tiles already bounds what may enter. */
static uint64_t copy_queries(struct job *job)
{
	const struct device_search *p = job->p;
	uint64_t hits = 0;

	for (uint32_t i = 0; i < p->count; i++) {
		job->queries[i] = p->queries[i];
		job->queries[i].limit = fmaxf(p->queries[i].limit, search_list_limit(p->lists[i]));
		hits += p->queries[i].k;
	}
	return hits;
}

static int run_shared(struct job *job, uint64_t tiles, uint64_t grain)
{
	const struct device_search *p = job->p;
	struct cpu *cpu = job->cpu;
	int err = 0;

	for (uint32_t t = 1; !err && t < cpu->threads; t++)
		err = lists_prepare(&cpu->lists[t], job->queries, p->count);
	if (!err)
		err = cpu_pool_run(cpu->pool, tiles, grain, part, job);
	for (uint32_t t = 1; !err && t < cpu->threads; t++)
		for (uint32_t i = 0; i < p->count; i++)
			search_list_merge(p->lists[i], cpu->lists[t].list[i]);
	for (uint32_t t = 1; t < cpu->threads; t++)
		lists_trim(&cpu->lists[t], KEPT_K_MAX);
	return err;
}

int cpu_run_search(struct cpu *cpu, const struct device_command *command)
{
	const struct device_search *p = &command->search;
	struct job job = {.cpu = cpu, .p = p};
	uint64_t tiles, grain, hits;
	int err;

	err = cpu_pool_reserve(cpu->pool,
			       cpu->kernels->search_scratch_bytes(p->rows->dim, p->count));
	if (err)
		return err;
	hits = copy_queries(&job);
	tiles = command_last_tile(p) - p->tile_begin;
	grain = SLICE_BYTES / (SEARCH_TILE_ROWS * search_padded_dim(p->rows->dim));
	if (cpu->threads == 1 || tiles < 2 * grain || hits * (cpu->threads - 1) > SHARED_HITS_MAX)
		return part(&job, 0, 0, tiles);
	return run_shared(&job, tiles, grain);
}
