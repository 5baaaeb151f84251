/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/readback.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/device/command.h"
#include "daemon/device/part.h"

#define STEP_BYTES (UINT64_C(4) << 20) /* read back at a time */

struct readback {
	struct service *service;
	struct slice *slice;
	void (*over)(void *user, int err);
	void *user;
	uint64_t at, tiles, end; /* of the slice: those of this step, where they end */
	uint64_t step;		 /* tiles of a step */
	uint64_t tile_ps;	 /* as the last one took */
	uint64_t wrong, first;	 /* rows, the first of them */
	struct search_rows room;
	void *memory;
	struct device_command command;
	struct device_batch batch;
	uint64_t expected_ns;
	struct bell_entry bell;
	struct errand errand;
};

static void step(struct readback *readback);

static const struct device_search *search_of(const struct readback *readback)
{
	return &readback->slice->command.search;
}

static void end(struct readback *readback, int err)
{
	void (*over)(void *user, int err) = readback->over;
	void *user = readback->user;

	if (readback->wrong) {
		err = -EBADMSG;
		log_write(&readback->service->log, LOG_LEVEL_ERROR, "readback",
			  "device=%s trace=%016" PRIx64 " rows=%" PRIu64 " first=%" PRIu64
			  " text=\"its copy of these rows is not what it was given\"",
			  readback->slice->device->name, readback->slice->batch.trace,
			  readback->wrong, readback->first);
	}
	free(readback->memory);
	free(readback);
	over(user, err);
}

/* ---- compared, on a thread of its own ------------------------------------------------------------ */
static void compare(struct errand *errand)
{
	struct readback *readback = errand->user;
	const struct device_search *s = search_of(readback);
	uint64_t most = 0, first = 0;

	/* What two queries see is mostly the same. */
	for (uint32_t i = 0; i < s->count; i++) {
		const struct search_query *q = &s->queries[i];
		uint64_t wrong;

		if (i && q->epoch == q[-1].epoch && q->rows == q[-1].rows)
			continue;
		wrong = part_rows_differ(s->rows, readback->at, readback->tiles, &readback->room, q,
					 &first);
		most = wrong > most ? wrong : most;
	}
	if (most && !readback->wrong)
		readback->first = first;
	readback->wrong += most;
}

static void compared(struct errand *errand)
{
	struct readback *readback = errand->user;

	readback->at += readback->tiles;
	if (readback->at < readback->end)
		step(readback);
	else
		end(readback, 0);
}

/* ---- read ------------------------------------------------------------------------------------------ */
static void read_over(struct bell_entry *bell)
{
	struct readback *readback =
		(struct readback *)((char *)bell - offsetof(struct readback, bell));
	struct fleet_device *device = readback->slice->device;
	int err = readback->batch.error;

	fleet_over(device, service_now(), readback->expected_ns, readback->batch.device_ns, err);
	if (err) {
		end(readback, fleet_lost(err) ? err : -EIO);
		return;
	}
	device->metrics->down_bytes += readback->tiles * part_tile_bytes(search_of(readback)->rows);
	readback->tile_ps = readback->batch.device_ns * 1000 / readback->tiles;
	readback->errand = (struct errand){.work = compare, .done = compared, .user = readback};
	errands_submit(readback->service->check_errands, &readback->errand);
}

static void read_done(struct device_batch *batch)
{
	struct readback *readback = batch->user;

	bell_push(&readback->service->bell, &readback->bell);
}

static void step(struct readback *readback)
{
	struct fleet_device *device = readback->slice->device;
	uint64_t left = readback->end - readback->at;

	readback->tiles = left < readback->step ? left : readback->step;
	readback->command = (struct device_command){
		.op = DEVICE_UNLOAD,
		.unload = {search_of(readback)->resident, readback->at,
			   readback->at + readback->tiles, &readback->room},
	};
	readback->batch = (struct device_batch){.commands = &readback->command,
						.count = 1,
						.trace = readback->slice->batch.trace,
						.done = read_done,
						.user = readback};
	readback->expected_ns = readback->tiles * readback->tile_ps / 1000;
	fleet_begin(device, service_now(), readback->expected_ns);
	/* It may have been quarantined between two steps: what is on it still is ours to read. */
	if (device->device->ops->submit(device->device, &readback->batch)) {
		readback->batch.error = -EIO;
		bell_push(&readback->service->bell, &readback->bell);
	}
}

/* ---- begun ------------------------------------------------------------------------------------------- */
/* Room for so many tiles, laid out as the rows are. */
static int room_make(struct readback *readback, uint64_t tiles)
{
	const struct search_rows *rows = search_of(readback)->rows;
	uint8_t *part[PARTS] = {0}, *at;

	/* A tile of any part is a multiple of 64 bytes. */
	readback->memory = at = aligned_alloc(64, tiles * part_tile_bytes(rows));
	if (!at)
		return -ENOMEM;
	for (int i = 0; i < PARTS; i++) {
		part[i] = at;
		at += tiles * part_bytes(rows, (enum part)i);
	}
	readback->room = *rows;
	readback->room.head_tiles = part[PART_HEAD];
	readback->room.tail_tiles = part[PART_TAIL];
	readback->room.scale = (const void *)part[PART_SCALE];
	readback->room.bias = (const void *)part[PART_BIAS];
	readback->room.born = (const void *)part[PART_BORN];
	readback->room.died = (const void *)part[PART_DIED];
	readback->room.tags = (const void *)part[PART_TAGS];
	readback->room.id = (const void *)part[PART_ID];
	readback->room.subject = (const void *)part[PART_SUBJECT];
	return 0;
}

bool readback_possible(const struct slice *slice)
{
	const struct device_search *s = &slice->command.search;

	return slice->command.op == DEVICE_SEARCH && s->resident && slice->host &&
	       slice->device->caps.ops >> DEVICE_UNLOAD & 1 && command_last_tile(s) > s->tile_begin;
}

int readback_begin(struct service *service, struct slice *slice, void (*over)(void *user, int err),
		   void *user)
{
	struct readback *readback = calloc(1, sizeof(*readback));
	uint64_t tiles;

	if (!readback)
		return -ENOMEM;
	readback->service = service;
	readback->slice = slice;
	readback->over = over;
	readback->user = user;
	readback->bell.run = read_over;
	readback->at = search_of(readback)->tile_begin;
	readback->end = command_last_tile(search_of(readback));
	tiles = STEP_BYTES / part_tile_bytes(search_of(readback)->rows);
	readback->step =
		tiles < readback->end - readback->at ? tiles : readback->end - readback->at;
	if (room_make(readback, readback->step)) {
		free(readback);
		return -ENOMEM;
	}
	step(readback);
	return 0;
}
