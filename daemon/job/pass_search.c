/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pass over a gallery: the queries that waited for it, cut into ranges of tiles. Each query keeps
 * its own k, tags, limit and epoch. Lists are reused; a gallery measures what its tiles cost.
 */
#include <assert.h>
#include <stddef.h>

#include "daemon/job/service.h"

#define TILE_PS_GUESS 20000u /* a tile of 16 x 512 B and few queries, before any was measured */

/* ---- lists ----------------------------------------------------------------------------------- */
static uint32_t list_size(uint32_t k)
{
	uint32_t size = 0;

	while (size < SERVICE_LIST_SIZES && (1u << size) < k)
		size++;
	return size;
}

struct search_list *list_take(struct service *service, uint32_t k, bool by_subject)
{
	uint32_t size = list_size(k);
	struct search_list *list;

	if (size == SERVICE_LIST_SIZES)
		return search_list_create(k, by_subject);
	if (service->lists[by_subject][size].count) {
		list = service->lists[by_subject][size]
			       .list[--service->lists[by_subject][size].count];
		search_list_reset(list, k, by_subject);
		return list;
	}
	list = search_list_create(1u << size, by_subject);
	if (list)
		search_list_reset(list, k, by_subject);
	return list;
}

void list_give(struct service *service, struct search_list *list, uint32_t k, bool by_subject)
{
	uint32_t size = list_size(k);

	if (size == SERVICE_LIST_SIZES ||
	    service->lists[by_subject][size].count == SERVICE_LISTS_MAX)
		search_list_free(list);
	else
		service->lists[by_subject][size].list[service->lists[by_subject][size].count++] =
			list;
}

/* ---- the pass -------------------------------------------------------------------------------- */
static struct job *unit_job(const struct sched_job *sched)
{
	return (struct job *)((char *)sched - offsetof(struct job, sched));
}

static struct gallery_entry *target_gallery(const struct sched_target *target)
{
	return (struct gallery_entry *)((char *)target - offsetof(struct gallery_entry, target));
}

/* Rows are one array for all of the pass; the gallery may have moved them between two snapshots. */
static bool search_fits(const struct pass *pass, const struct sched_job *sched)
{
	return unit_job(pass->unit[0].job)->search.snapshot.rows ==
	       unit_job(sched)->search.snapshot.rows;
}

static void search_begin(struct pass *pass)
{
	struct service *service = target_gallery(pass->target)->service;

	metrics_batch(&service->metrics, pass->count);
	for (uint32_t i = 0; i < pass->count; i++) {
		const struct gallery_snapshot *s = &unit_job(pass->unit[i].job)->search.snapshot;
		uint64_t tiles = (s->row_count + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS;

		if (tiles > pass->end)
			pass->end = tiles;
	}
}

static uint32_t count_class(uint32_t count)
{
	return count <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(count - 1);
}

/* Tiles that take about the configured slice. */
static uint64_t search_extent(const struct pass *pass, const struct slice *slice)
{
	struct gallery_entry *entry = target_gallery(pass->target);
	uint64_t ps = entry->tile_ps[count_class(slice->count)];
	uint64_t tiles = entry->service->config->slice_us * 1000000u /
			 (ps ? ps : TILE_PS_GUESS * slice->count);
	uint64_t left = pass->end - pass->position;

	if (tiles < 1)
		tiles = 1;
	/* Even slices: no short rest at the end. */
	return left <= tiles ? left : left / ((left + tiles - 1) / tiles) + 1;
}

static bool search_slice(struct pass *pass, struct slice *slice)
{
	struct device_search *search = &slice->command.search;

	if (pass->position >= pass->end)
		return false;
	slice->extent = search_extent(pass, slice);
	for (uint32_t i = 0; i < slice->count; i++) {
		struct job *job = unit_job(slice->unit[i].job);
		struct job_query *query = &job->search.queries[slice->unit[i].index];

		slice->queries[i] = query->query;
		slice->lists[i] = query->list;
	}
	slice->command.op = DEVICE_SEARCH;
	*search = (struct device_search){
		.rows = unit_job(slice->unit[0].job)->search.snapshot.rows,
		.tile_begin = pass->position,
		.tile_end = pass->position + slice->extent,
		.queries = slice->queries,
		.count = slice->count,
		.lists = slice->lists,
	};
	pass->position += slice->extent;
	pass->exhausted = pass->position == pass->end;
	slice->batch.commands = &slice->command;
	slice->batch.count = 1;
	target_gallery(pass->target)->service->metrics.slices++;
	return true;
}

static void search_slice_done(struct pass *pass, struct slice *slice)
{
	uint64_t *ps = &target_gallery(pass->target)->tile_ps[count_class(slice->count)];
	uint64_t measured;

	if (slice->batch.error || !slice->extent)
		return;
	measured = slice->batch.device_ns * 1000u / slice->extent + 1;
	*ps = *ps ? (*ps * 3 + measured) / 4 : measured;
}

const struct pass_kind pass_search = {
	.name = "search",
	.fits = search_fits,
	.begin = search_begin,
	.slice = search_slice,
	.slice_done = search_slice_done,
};
