/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/model_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/boards.h"

#define PLACE_ARENAS 4u

enum place_state {
	PLACE_REFUSED, /* no op is for it, or the device said no; asked again when something changes */
	PLACE_MAKING,
	PLACE_LIVE,
	PLACE_FREEING,
};

struct model_place {
	struct model_entry *entry;
	struct fleet_device *device;
	enum place_state state;
	struct model_plan *plan;
	struct model_arena *arena[PLACE_ARENAS]; /* the first `idle` are not in use */
	uint32_t arenas, idle;
	uint64_t bytes;
	bool drop; /* it is to go */
	struct errand errand;
	int err;
};

/* ---- on the errand thread ----------------------------------------------------------------------- */
static void place_release(struct model_place *place)
{
	for (uint32_t i = 0; i < place->arenas; i++)
		model_arena_free(place->arena[i]);
	model_plan_free(place->plan);
	place->arenas = 0;
	place->plan = NULL;
}

/* One arena is enough to work. */
static void make_work(struct errand *errand)
{
	struct model_place *place = errand->user;

	place->err = model_plan_create(place->entry->model, place->device->device, &place->plan);
	if (place->err)
		return;
	while (place->arenas < PLACE_ARENAS && !place->err) {
		place->err = model_arena_create(place->plan, &place->arena[place->arenas]);
		place->arenas += !place->err;
	}
	if (place->arenas)
		place->err = 0;
	else
		place_release(place);
}

static void free_work(struct errand *errand)
{
	place_release(errand->user);
}

/* ---- the end of a place ---------------------------------------------------------------------------- */
static void place_count(struct model_place *place, bool there)
{
	struct fleet_device *device = place->device;

	if (there)
		place->bytes = model_plan_bytes(place->plan) +
			       place->arenas * model_arena_bytes(place->plan);
	device->placed -= !there;
	device->placed_bytes += there ? place->bytes : -place->bytes;
	device->metrics->memory_bytes += there ? place->bytes : -place->bytes;
}

static void place_gone(struct model_place *place)
{
	struct model_entry *entry = place->entry;
	struct fleet_device *device = place->device;
	struct service *service = entry->service;

	entry->place[device->index] = NULL;
	free(place);
	model_entry_release(entry);
	board_step(device);
	if (!service->draining)
		boards_fill(service);
}

static void free_done(struct errand *errand)
{
	struct model_place *place = errand->user;

	place_count(place, false);
	place_gone(place);
}

static void place_step(struct model_place *place)
{
	if (!place->drop || place->state != PLACE_LIVE || place->idle != place->arenas)
		return;
	place->state = PLACE_FREEING;
	place->errand = (struct errand){.work = free_work, .done = free_done, .user = place};
	boards_errand(place->entry->service, &place->errand);
}

/* ---- the beginning -------------------------------------------------------------------------------------- */
static void made(struct errand *errand)
{
	struct model_place *place = errand->user;
	struct service *service = place->entry->service;

	if (!place->err) {
		place->state = PLACE_LIVE;
		place->idle = place->arenas;
		place_count(place, true);
		log_write(&service->log, LOG_LEVEL_INFO, "placement",
			  "model=%s device=%s text=\"%u of its %u ops\"", place->entry->name,
			  place->device->name, model_plan_ops(place->plan),
			  model_info(place->entry->model)->ops);
		place_step(place);
		return;
	}
	if (place->err != -EOPNOTSUPP)
		log_write(&service->log, LOG_LEVEL_WARNING, "placement",
			  "model=%s device=%s text=\"not placed: %s\"", place->entry->name,
			  place->device->name, strerror(-place->err));
	place->state = PLACE_REFUSED;
	place->device->placed--;
	if (place->drop)
		place_gone(place);
}

static void place_make(struct model_entry *entry, struct fleet_device *device)
{
	struct model_place *place = entry->place[device->index];

	if (!place) {
		place = calloc(1, sizeof(*place));
		if (!place)
			return;
		entry->place[device->index] = place;
		entry->refs++;
	}
	place->entry = entry;
	place->device = device;
	place->state = PLACE_MAKING;
	device->placed++;
	place->errand = (struct errand){.work = make_work, .done = made, .user = place};
	boards_errand(entry->service, &place->errand);
}

/* ---- from outside ------------------------------------------------------------------------------------ */
void model_place_follow(struct model_entry *entry)
{
	struct fleet *fleet = &entry->service->fleet;

	if (entry->hidden || !entry->model)
		return;
	for (uint32_t i = 1; i < fleet->count; i++) {
		const struct model_place *place = entry->place[i];
		struct fleet_device *device = &fleet->device[i];

		if (fleet_works(device) && !device->caps.reads_host_memory &&
		    (!place || (place->state == PLACE_REFUSED && place->err != -EOPNOTSUPP)))
			place_make(entry, device);
	}
}

void model_place_follow_all(struct service *service)
{
	for (struct model_entry *e = service->models; e; e = e->next)
		model_place_follow(e);
}

static void place_drop(struct model_place *place)
{
	place->drop = true;
	if (place->state == PLACE_REFUSED)
		place_gone(place);
	else
		place_step(place);
}

void model_place_drop(struct model_entry *entry)
{
	for (uint32_t i = 0; i < FLEET_MAX; i++)
		if (entry->place[i])
			place_drop(entry->place[i]);
}

bool model_place_clear(struct service *service, struct fleet_device *device)
{
	for (struct model_entry *e = service->models; e; e = e->next) {
		struct model_place *place = e->place[device->index];

		if (!place)
			continue;
		place->drop = place->state != PLACE_REFUSED;
		place->err = place->drop ? place->err : 0; /* what opens next may say otherwise */
		place_step(place);
	}
	return !device->placed; /* also by models that were deleted, and raw kernels */
}

const struct model_plan *model_place_plan(const struct model_entry *entry, uint32_t device)
{
	const struct model_place *place = entry->place[device];

	return place && place->state == PLACE_LIVE && !place->drop ? place->plan : NULL;
}

bool model_place_full(const struct model_entry *entry, uint32_t device)
{
	return !entry->place[device] || !entry->place[device]->idle;
}

struct model_arena *model_place_use(struct model_entry *entry, uint32_t device)
{
	struct model_place *place = entry->place[device];

	return place && place->idle ? place->arena[--place->idle] : NULL;
}

/* What a reset took, or a lie told, is made anew. */
void model_place_done(struct model_entry *entry, uint32_t device, struct model_arena *arena,
		      int error)
{
	struct model_place *place = entry->place[device];

	place->arena[place->idle++] = arena;
	place->drop |= fleet_lost(error);
	place_step(place);
}

bool model_place_info(const struct model_entry *entry, uint32_t device, uint32_t *ops,
		      uint64_t *bytes)
{
	const struct model_plan *plan = model_place_plan(entry, device);

	if (!plan)
		return false;
	*ops = model_plan_ops(plan);
	*bytes = entry->place[device]->bytes;
	return true;
}
