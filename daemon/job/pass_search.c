/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pass over a gallery: the queries that waited for it, cut into ranges of tiles. Each query keeps
 * its own k, tags, limit and epoch. A slice offers to lists of its own, which are merged into the
 * queries' when it has succeeded: the order of hits is total, so the answer is the same bytes for any
 * cut, device and order of ends. Lists are reused; a gallery measures what its tiles cost, device by
 * device.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "daemon/job/check.h"
#include "daemon/job/host_copy.h"
#include "daemon/job/placement.h"
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
static struct gallery_entry *target_gallery(const struct sched_target *target)
{
	return (struct gallery_entry *)((char *)target - offsetof(struct gallery_entry, target));
}

/* Rows are one array for all of the pass, and their epochs compare. */
static bool search_fits(const struct pass *pass, const struct sched_job *sched)
{
	const struct gallery_snapshot *a = &job_of(pass->unit[0].job)->search.snapshot;
	const struct gallery_snapshot *b = &job_of(sched)->search.snapshot;

	return a->rows == b->rows && a->era == b->era;
}

/* The way that is tried or was measured best; a board that is preferred spares the CPU, whatever was. */
static enum mode mode_now(const struct gallery_entry *entry)
{
	const struct fleet *fleet = &entry->service->fleet;

	for (uint32_t i = 1; i < fleet->count; i++)
		if (fleet->device[i].preferred)
			return MODE_BOARD;
	return entry->modes.mode;
}

static void search_begin(struct pass *pass)
{
	struct gallery_entry *entry = target_gallery(pass->target);

	metrics_batch(&entry->service->metrics, pass->count);
	pass->end = 0;
	pass->epoch = 0;
	for (uint32_t i = 0; i < pass->count; i++) {
		const struct gallery_snapshot *s = &job_of(pass->unit[i].job)->search.snapshot;
		uint64_t tiles = (s->row_count + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS;

		if (tiles > pass->end)
			pass->end = tiles;
		if (s->epoch > pass->epoch)
			pass->epoch = s->epoch;
	}
	entry->tiles = pass->end;
	pass->mode = mode_now(entry);
	pass->window = modes_begin(&entry->modes, service_now());
}

static void search_end(struct pass *pass)
{
	struct gallery_entry *entry = target_gallery(pass->target);

	/* A tile costs a read, and something for each query. */
	modes_end(&entry->modes, pass->window, (double)pass->end * (4 + pass->count),
		  service_now());
}

static uint32_t count_class(uint32_t count)
{
	return count <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(count - 1);
}

/* What a tile costs on the device for so many queries; before it was measured, as on the CPU. */
static uint64_t tile_ps(const struct gallery_entry *entry, uint32_t device, uint32_t units)
{
	const struct cost *cost = &entry->cost[count_class(units)];
	double ns = cost->ns[device] > 0 ? cost->ns[device] : cost->ns[FLEET_CPU];

	return ns > 0 ? (uint64_t)(ns * 1000) + 1 : (uint64_t)TILE_PS_GUESS * units;
}

static uint32_t pass_era(const struct gallery_entry *entry, const struct pass *pass)
{
	return pass ? job_of(pass->unit[0].job)->search.snapshot.era : entry->newest_era;
}

/* The mode leaves the device out: a board on the CPU's processors, or the CPU while another has it all. */
static bool spared(const struct gallery_entry *entry, const struct pass *pass, uint32_t device,
		   uint64_t tiles)
{
	enum mode mode = pass ? (enum mode)pass->mode : mode_now(entry);

	if (mode == MODE_BOTH)
		return false;
	if (mode == MODE_CPU)
		return device != FLEET_CPU && entry->service->fleet.device[device].caps.shares_cpu;
	return device == FLEET_CPU &&
	       placement_spares_cpu(entry, pass ? pass->epoch : entry->newest_epoch,
				    pass_era(entry, pass), tiles);
}

static enum hold_state search_holds(const struct sched_target *target, const struct pass *pass,
				    uint32_t device, uint32_t units, struct pass_hold *hold)
{
	const struct gallery_entry *entry = target_gallery(target);
	uint64_t end = pass ? pass->end : entry->tiles;

	bool here = host_copy_here(entry);

	hold->end = end ? end : 1;
	if (here && spared(entry, pass, device, hold->end))
		return HOLD_NO;
	if (entry->service->fleet.device[device].caps.reads_host_memory) {
		if (!here)
			return HOLD_NO;
	} else {
		uint32_t epoch = pass ? pass->epoch : entry->newest_epoch;
		uint32_t era = pass_era(entry, pass);

		/* Where nobody else can, it is waited for. */
		if (!placement_holds(entry, device, epoch, era, &hold->begin, &hold->end))
			return !here && placement_comes(entry, device, era, &hold->begin,
							&hold->end)
				       ? HOLD_LATER
				       : HOLD_NO;
	}
	hold->ps = tile_ps(entry, device, units);
	return HOLD_NOW;
}

/* ---- a slice --------------------------------------------------------------------------------- */
static struct job_query *unit_query(const struct pass_unit *unit)
{
	return &job_of(unit->job)->search.queries[unit->index];
}

static void slice_give_lists(struct service *service, struct slice *slice, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		list_give(service, slice->lists[i], slice->queries[i].k,
			  slice->queries[i].by_subject);
}

/* Each query with a list of its own, and no limit lower than what its job's list already asks. */
static int slice_take_lists(struct service *service, struct slice *slice)
{
	for (uint32_t i = 0; i < slice->count; i++) {
		const struct job_query *query = unit_query(&slice->unit[i]);

		slice->queries[i] = query->query;
		slice->queries[i].limit = fmaxf(query->query.limit, search_list_limit(query->list));
		slice->lists[i] = list_take(service, query->query.k, query->query.by_subject);
		if (!slice->lists[i]) {
			slice_give_lists(service, slice, i);
			return -ENOMEM;
		}
	}
	return 0;
}

static bool on_board(const struct slice *slice)
{
	return !slice->device->caps.reads_host_memory;
}

static int search_slice(struct pass *pass, struct slice *slice)
{
	struct gallery_entry *entry = target_gallery(pass->target);
	struct service *service = entry->service;
	int err = slice_take_lists(service, slice);

	if (err) {
		slice->lists[0] = NULL;
		return err;
	}
	/* All of it: what was there before was another pass'. */
	slice->command = (struct device_command){
		.op = DEVICE_SEARCH,
		.search =
			{
				.rows = job_of(slice->unit[0].job)->search.snapshot.rows,
				.resident = on_board(slice)
						    ? placement_use(entry, slice->device->index)
						    : NULL,
				.tile_begin = slice->begin,
				.tile_end = slice->end,
				.queries = slice->queries,
				.count = slice->count,
				.lists = slice->lists,
			},
	};
	slice->host = host_copy_use(entry);
	slice->batch.commands = &slice->command;
	slice->batch.count = 1;
	slice->batch.trace = job_of(slice->unit[0].job)->request->trace;
	service->metrics.slices++;
	return 0;
}

/* The first slice's list becomes the query's; nothing is copied where there is only one. */
static void slice_merge(struct slice *slice)
{
	for (uint32_t i = 0; i < slice->count; i++) {
		struct job_query *query = unit_query(&slice->unit[i]);
		struct search_list *own = slice->lists[i];

		if (query->begun) {
			search_list_merge(query->list, own);
			continue;
		}
		slice->lists[i] = query->list;
		query->list = own;
		query->begun = true;
	}
}

static void search_slice_done(struct pass *pass, struct slice *slice)
{
	struct gallery_entry *entry = target_gallery(pass->target);

	if (!slice->lists[0])
		return;
	/* Whoever failed does not get it again: the CPU must be free to take it. */
	if (slice->batch.error)
		pass->mode = MODE_BOTH;
	if (slice->host)
		host_copy_done(entry);
	if (on_board(slice))
		placement_done(entry, slice->device->index, slice->batch.error);
	if (!slice->batch.error) {
		slice_merge(slice);
		slice->cost_ns =
			cost_measure(&entry->cost[count_class(slice->count)], slice->device->index,
				     (double)(slice->end - slice->begin), slice->batch.device_ns);
	}
	slice_give_lists(entry->service, slice, slice->count);
	slice->lists[0] = NULL;
}

const struct pass_kind pass_search = {
	.name = "search",
	.fits = search_fits,
	.begin = search_begin,
	.holds = search_holds,
	.slice = search_slice,
	.slice_done = search_slice_done,
	.end = search_end,
	.check = &check_search,
};
