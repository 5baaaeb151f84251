/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/placement.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/device/part.h"
#include "daemon/job/boards.h"
#include "daemon/job/host_copy.h"

#define COPY_TILES_MIN	4096u /* 65,536 rows: small galleries grow in place */
#define SHARD_TILES_MIN 1024u
#define LOAD_TILES	1024u /* of one batch: 8 MiB of 512-D */
#define LOAD_RANGES	16u
#define LOAD_PS_GUESS	2000000u /* a tile, before any was loaded */

enum copy_state {
	COPY_REFUSED, /* the device has no room, or said no; asked again when something changes */
	COPY_MAKING,
	COPY_LIVE,
	COPY_FREEING,
};

struct copy {
	struct gallery_entry *entry;
	struct fleet_device *device;
	enum copy_state state;
	struct device_rows *rows;
	const struct search_rows *host;
	uint64_t tile_begin, tile_end;
	bool whole;
	bool drop;			  /* it is to go */
	bool loading;			  /* a batch of it is on the device */
	bool behind;			  /* something changed since the moment it is following */
	uint32_t users;			  /* slices */
	struct gallery_moment done, next; /* done.stamp 0: nothing is loaded */
	bool following;			  /* next is under way */
	uint64_t at;			  /* its next tile */
	uint64_t tile_ps;
	/* the batch, the errand */
	struct device_batch batch;
	struct device_command command[LOAD_RANGES];
	struct bell_entry bell;
	uint64_t batch_tiles, expected_ns;
	struct errand errand;
	int err;
};

static void copy_step(struct copy *copy);

/* ---- room ---------------------------------------------------------------------------------------- */
/* Tiles of this shape that the device has room for beside models and other copies. */
static uint64_t tiles_free(const struct service *service, const struct fleet_device *device,
			   const struct search_rows *rows)
{
	uint64_t room = device->caps.memory_bytes / 10 * 9, used = device->placed_bytes;

	for (const struct gallery_entry *e = service->galleries; e; e = e->next) {
		const struct copy *copy = e->copy[device->index];

		if (copy && copy->state != COPY_REFUSED)
			used += (copy->tile_end - copy->tile_begin) * part_tile_bytes(copy->host);
	}
	return used < room ? (room - used) / part_tile_bytes(rows) : 0;
}

/* Where the last shard of this gallery ends, 0 where that is its end. */
static uint64_t shard_begin(const struct gallery_entry *entry, uint64_t tiles)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < FLEET_MAX; i++) {
		const struct copy *copy = entry->copy[i];

		if (copy && copy->state != COPY_REFUSED && !copy->whole && copy->tile_end > end)
			end = copy->tile_end;
	}
	return end < tiles ? end : 0;
}

/* Whole, with something to grow by; else a shard. False: not even that. */
static bool copy_place(struct copy *copy, uint64_t tiles)
{
	uint64_t room = tiles_free(copy->entry->service, copy->device, copy->host);
	uint64_t want = tiles + tiles / 4;

	want = want < COPY_TILES_MIN ? COPY_TILES_MIN : want;
	copy->tile_begin = 0;
	copy->tile_end = want <= room ? want : room;
	copy->whole = tiles <= copy->tile_end;
	if (copy->whole)
		return true;
	copy->tile_begin = shard_begin(copy->entry, tiles);
	copy->tile_end = copy->tile_begin + room < tiles ? copy->tile_begin + room : tiles;
	return copy->tile_end - copy->tile_begin >= SHARD_TILES_MIN;
}

/* ---- how far the copies are ---------------------------------------------------------------------- */
/* A delete is answered when the slowest copy is past it. */
static void tell_gallery(struct gallery_entry *entry)
{
	uint64_t slowest = UINT64_MAX;
	bool any = false;

	for (uint32_t i = 0; i < FLEET_MAX; i++) {
		const struct copy *copy = entry->copy[i];

		if (!copy || copy->state == COPY_REFUSED || copy->state == COPY_MAKING)
			continue;
		any = true;
		if (copy->done.stamp < slowest)
			slowest = copy->done.stamp;
	}
	if (any)
		gallery_copied(entry->gallery, slowest);
	else if (entry->followed)
		gallery_follow(entry->gallery, false);
	entry->followed = entry->followed && any;
}

/* ---- the end of a copy ------------------------------------------------------------------------------ */
static void free_work(struct errand *errand)
{
	struct copy *copy = errand->user;

	copy->device->device->ops->rows_free(copy->rows);
}

static void copy_gone(struct copy *copy)
{
	struct gallery_entry *entry = copy->entry;
	struct fleet_device *device = copy->device;
	struct service *service = entry->service;

	entry->copy[device->index] = NULL;
	device->metrics->memory_bytes -=
		(copy->tile_end - copy->tile_begin) * part_tile_bytes(copy->host);
	free(copy);
	if (entry->gallery) {
		tell_gallery(entry);
		host_copy_follow(entry);
	}
	gallery_entry_release(entry);
	board_step(device);
	/* There is room now, perhaps for another gallery. */
	if (!service->draining)
		boards_fill(service);
}

static void free_done(struct errand *errand)
{
	copy_gone(errand->user);
}

static void copy_free(struct copy *copy)
{
	copy->state = COPY_FREEING;
	copy->errand = (struct errand){.work = free_work, .done = free_done, .user = copy};
	boards_errand(copy->entry->service, &copy->errand);
}

/* ---- following ---------------------------------------------------------------------------------------- */
static void loaded(struct bell_entry *bell)
{
	struct copy *copy = (struct copy *)((char *)bell - offsetof(struct copy, bell));
	uint64_t measured = copy->batch.device_ns * 1000 / (copy->batch_tiles + 1);

	copy->loading = false;
	fleet_over(copy->device, service_now(), copy->expected_ns, copy->batch.device_ns,
		   copy->batch.error);
	metrics_slice(copy->device->metrics, 0, copy->batch.device_ns, copy->batch.error);
	copy->tile_ps = (copy->tile_ps * 3 + measured) / 4;
	if (copy->batch.error)
		copy->drop = true; /* what it holds is not known any more */
	else
		copy->device->metrics->up_bytes += copy->batch_tiles * part_tile_bytes(copy->host);
	copy_step(copy);
}

static void load_done(struct device_batch *batch)
{
	struct copy *copy = batch->user;

	bell_push(&copy->entry->service->bell, &copy->bell);
}

/* The next ranges that changed; false: there are none. */
static bool copy_collect(struct copy *copy)
{
	uint64_t end = copy->next.tiles < copy->tile_end ? copy->next.tiles : copy->tile_end;
	uint64_t left = LOAD_TILES, tiles;
	uint32_t n = 0;

	while (n < LOAD_RANGES && left &&
	       gallery_changed_tiles(copy->entry->gallery, copy->done.stamp, end, left, &copy->at,
				     &tiles)) {
		copy->command[n++] = (struct device_command){
			.op = DEVICE_LOAD, .load = {copy->rows, copy->at, copy->at + tiles}};
		copy->at += tiles;
		left -= tiles;
	}
	copy->batch_tiles = LOAD_TILES - left;
	copy->batch.count = n;
	return n > 0;
}

static void copy_submit(struct copy *copy)
{
	struct device *device = copy->device->device;

	copy->batch.commands = copy->command;
	copy->batch.done = load_done;
	copy->batch.user = copy;
	copy->batch.error = 0;
	copy->batch.device_ns = 0;
	copy->batch.cancelled = false;
	copy->bell.run = loaded;
	copy->expected_ns = copy->batch_tiles * copy->tile_ps / 1000;
	copy->loading = true;
	fleet_begin(copy->device, service_now(), copy->expected_ns);
	if (device->ops->submit(device, &copy->batch)) {
		/* Its queue is full: not what a device does to us that we give two batches at most. */
		copy->batch.error = -EIO;
		bell_push(&copy->entry->service->bell, &copy->bell);
	}
}

/* From the beginning, or at another place, since it outgrew this one. */
static bool copy_anew(const struct copy *copy, const struct gallery_moment *now)
{
	return !copy->done.stamp || now->era != copy->done.era ||
	       (copy->whole && now->tiles > copy->tile_end);
}

static void copy_begin(struct copy *copy)
{
	gallery_moment(copy->entry->gallery, &copy->next);
	if (copy_anew(copy, &copy->next) && !host_copy_here(copy->entry))
		return; /* the host's rows come first */
	copy->following = true;
	copy->behind = false;
	copy->at = copy->tile_begin;
	if (copy->next.era != copy->done.era)
		copy->done.stamp = 0;
	/* It outgrew its place: another is made once this one is gone. */
	if (copy->whole && copy->next.tiles > copy->tile_end)
		copy->drop = true;
}

/* Whatever is to be done next, unless a batch or an errand of it is under way. */
static void copy_step_on(struct copy *copy)
{
	bool works = fleet_works(copy->device);

	if (copy->state != COPY_LIVE || copy->loading)
		return;
	if (!copy->drop && works && !copy->following && copy->behind)
		copy_begin(copy);
	if (copy->drop) {
		if (!copy->users)
			copy_free(copy);
		return;
	}
	if (!works || !copy->following)
		return;
	if (copy_collect(copy)) {
		copy_submit(copy);
		return;
	}
	copy->done = copy->next;
	copy->following = false;
	tell_gallery(copy->entry);
	copy_step_on(copy);
}

static void copy_step(struct copy *copy)
{
	struct gallery_entry *entry = copy->entry;

	entry->refs++; /* the copy may go, and its entry with it */
	copy_step_on(copy);
	host_copy_follow(entry);
	gallery_entry_release(entry);
}

/* ---- the beginning of a copy ----------------------------------------------------------------------- */
static void make_work(struct errand *errand)
{
	struct copy *copy = errand->user;
	struct device *device = copy->device->device;

	copy->err = device->ops->rows_create(device, copy->host, copy->tile_begin, copy->tile_end,
					     &copy->rows);
}

static void made(struct errand *errand)
{
	struct copy *copy = errand->user;
	struct service *service = copy->entry->service;

	if (copy->err) {
		log_write(&service->log, LOG_LEVEL_WARNING, "placement",
			  "gallery=%s device=%s text=\"no copy: %s\"", copy->entry->name,
			  copy->device->name, strerror(-copy->err));
		copy->state = COPY_REFUSED;
		copy->device->metrics->memory_bytes -=
			(copy->tile_end - copy->tile_begin) * part_tile_bytes(copy->host);
		copy->tile_end = copy->tile_begin;
		tell_gallery(copy->entry);
		if (copy->drop)
			copy_gone(copy);
		return;
	}
	copy->state = COPY_LIVE;
	copy->behind = true;
	tell_gallery(copy->entry);
	copy_step(copy);
}

static void copy_make(struct gallery_entry *entry, struct fleet_device *device)
{
	struct copy *copy = entry->copy[device->index];
	struct gallery_moment moment;

	if (!copy) {
		copy = calloc(1, sizeof(*copy));
		if (!copy)
			return;
		entry->copy[device->index] = copy;
		entry->refs++;
	}
	gallery_moment(entry->gallery, &moment);
	copy->entry = entry;
	copy->device = device;
	copy->host = moment.rows;
	copy->tile_ps = LOAD_PS_GUESS;
	copy->state = COPY_REFUSED;
	if (!copy_place(copy, moment.tiles)) {
		copy->tile_end = copy->tile_begin;
		return;
	}
	if (!entry->followed)
		gallery_follow(entry->gallery, true);
	entry->followed = true;
	copy->state = COPY_MAKING;
	device->metrics->moves++;
	device->metrics->memory_bytes +=
		(copy->tile_end - copy->tile_begin) * part_tile_bytes(copy->host);
	copy->errand = (struct errand){.work = make_work, .done = made, .user = copy};
	boards_errand(entry->service, &copy->errand);
}

/* ---- from outside ------------------------------------------------------------------------------------ */
/* One that reads the host's values in place has no copy where these go. */
static bool wants_copy(const struct gallery_entry *entry, const struct fleet_device *device)
{
	uint64_t ops = UINT64_C(1) << DEVICE_SEARCH | UINT64_C(1) << DEVICE_LOAD;

	if (device->caps.tiles_in_place && gallery_spec(entry->gallery)->no_host_copy)
		return false;
	return device->index != FLEET_CPU && fleet_works(device) &&
	       !device->caps.reads_host_memory && (device->caps.ops & ops) == ops;
}

void placement_follow(struct gallery_entry *entry)
{
	struct fleet *fleet = &entry->service->fleet;
	struct gallery_status status;

	if (fleet->count < 2 || entry->hidden || !entry->gallery)
		return;
	gallery_status(entry->gallery, &status);
	if (status.state != GALLERY_READY && status.state != GALLERY_READ_ONLY)
		return;
	for (uint32_t i = 1; i < fleet->count; i++) {
		struct copy *copy = entry->copy[i];

		if (copy && copy->state != COPY_REFUSED) {
			copy->behind = true;
			copy_step(copy);
		} else if (wants_copy(entry, &fleet->device[i])) {
			copy_make(entry, &fleet->device[i]);
		}
	}
}

void placement_follow_all(struct service *service)
{
	struct gallery_entry *next;

	for (struct gallery_entry *e = service->galleries; e; e = next) {
		next = e->next;
		placement_follow(e);
	}
}

static void copy_drop(struct copy *copy)
{
	copy->drop = true;
	if (copy->state == COPY_REFUSED)
		copy_gone(copy);
	else
		copy_step(copy);
}

void placement_drop(struct gallery_entry *entry)
{
	for (uint32_t i = 0; i < FLEET_MAX; i++)
		if (entry->copy[i])
			copy_drop(entry->copy[i]);
}

bool placement_clear(struct service *service, struct fleet_device *device)
{
	bool clear = true;

	for (struct gallery_entry *e = service->galleries; e; e = e->next) {
		struct copy *copy = e->copy[device->index];

		if (!copy || copy->state == COPY_REFUSED)
			continue;
		clear = false;
		copy->drop = true;
		copy_step(copy);
	}
	return clear;
}

bool placement_holds(const struct gallery_entry *entry, uint32_t device, uint32_t epoch,
		     uint32_t era, uint64_t *begin, uint64_t *end)
{
	const struct copy *copy = entry->copy[device];

	if (!copy || copy->state != COPY_LIVE || copy->drop || !copy->done.stamp ||
	    copy->done.era != era || copy->done.epoch < epoch)
		return false;
	*begin = copy->tile_begin;
	*end = copy->tile_end;
	return true;
}

bool placement_comes(const struct gallery_entry *entry, uint32_t device, uint32_t era,
		     uint64_t *begin, uint64_t *end)
{
	const struct copy *copy = entry->copy[device];

	if (!copy || copy->state != COPY_LIVE || copy->drop || !copy->done.stamp ||
	    copy->done.era != era)
		return false;
	*begin = copy->tile_begin;
	*end = copy->tile_end;
	return true;
}

/* The copy that reaches furthest of those that begin at or before this tile; NULL: none does. */
static const struct copy *copy_from(const struct gallery_entry *entry, uint64_t tile, uint32_t era)
{
	const struct copy *best = NULL;

	for (uint32_t i = 1; i < FLEET_MAX; i++) {
		const struct copy *copy = entry->copy[i];

		if (copy && copy->state == COPY_LIVE && !copy->drop && copy->done.stamp &&
		    copy->done.era == era && fleet_works(copy->device) &&
		    copy->tile_begin <= tile && copy->tile_end > tile &&
		    (!best || copy->tile_end > best->tile_end))
			best = copy;
	}
	return best;
}

bool placement_covers(const struct gallery_entry *entry, uint64_t *stamp)
{
	struct gallery_moment now;
	uint64_t at = 0;

	gallery_moment(entry->gallery, &now);
	*stamp = UINT64_MAX;
	while (at < now.tiles) {
		const struct copy *copy = copy_from(entry, at, now.era);

		if (!copy)
			return false;
		at = copy->tile_end;
	}
	/* What any of them still has to load must not go, whether it is needed to cover or not. */
	for (uint32_t i = 1; i < FLEET_MAX; i++) {
		const struct copy *copy = entry->copy[i];

		if (copy && copy->state == COPY_LIVE && copy->done.stamp < *stamp)
			*stamp = copy->done.stamp;
	}
	return at > 0;
}

bool placement_needs_host(const struct gallery_entry *entry)
{
	struct gallery_moment now;

	gallery_moment(entry->gallery, &now);
	for (uint32_t i = 1; i < FLEET_MAX; i++) {
		const struct copy *copy = entry->copy[i];

		if (copy && copy->state == COPY_LIVE && !copy->drop && copy_anew(copy, &now))
			return true;
	}
	return false;
}

bool placement_spares_cpu(const struct gallery_entry *entry, uint32_t epoch, uint32_t era,
			  uint64_t tiles)
{
	const struct fleet *fleet = &entry->service->fleet;
	uint64_t begin, end;

	for (uint32_t i = 1; i < fleet->count; i++) {
		const struct fleet_device *device = &fleet->device[i];

		if ((device->caps.shares_cpu || device->preferred) && fleet_works(device) &&
		    placement_holds(entry, i, epoch, era, &begin, &end) && !begin && end >= tiles)
			return true;
	}
	return false;
}

struct device_rows *placement_use(struct gallery_entry *entry, uint32_t device)
{
	struct copy *copy = entry->copy[device];

	assert(copy && copy->state == COPY_LIVE);
	copy->users++;
	return copy->rows;
}

/* What a reset took, or a lie told, is not searched again. */
void placement_done(struct gallery_entry *entry, uint32_t device, int error)
{
	struct copy *copy = entry->copy[device];

	copy->users--;
	copy->drop |= fleet_lost(error);
	if (copy->drop)
		copy_step(copy);
}

bool placement_info(const struct gallery_entry *entry, uint32_t device, struct placement_info *info)
{
	const struct copy *copy = entry->copy[device];

	if (!copy || (copy->state != COPY_LIVE && copy->state != COPY_MAKING))
		return false;
	*info = (struct placement_info){
		.tile_begin = copy->tile_begin,
		.tile_end = copy->tile_end,
		.covers = copy->done.stamp && !copy->following && !copy->behind,
		.loading = copy->following || copy->state == COPY_MAKING,
	};
	return true;
}
