/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's copy of rows, in segments that fit one allocation each. A processor's device reads
 * the tiles where the gallery has them; what tells which rows count is a copy everywhere.
 */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <stdlib.h>

#define SEGMENT_TILES_MAX (UINT64_C(1) << 26) /* rows of a segment are counted in 32 bits */
#define SEGMENTS_MAX	  4096u

static bool is_tiles(enum part part)
{
	return part == PART_HEAD || part == PART_TAIL;
}

static uint64_t segment_tiles(const struct opencl *cl, const struct search_rows *rows)
{
	uint64_t most = SEGMENT_TILES_MAX;

	for (enum part part = 0; part < PARTS; part++) {
		uint64_t bytes = part_bytes(rows, part);

		if (bytes && cl->buffer_max / bytes < most)
			most = cl->buffer_max / bytes;
	}
	return most;
}

static int segment_fill(struct opencl *cl, struct device_rows *copy, struct opencl_segment *segment)
{
	uint64_t tiles = segment->end - segment->begin;
	int err = 0;

	for (enum part part = 0; !err && part < PARTS; part++) {
		uint64_t bytes = part_bytes(copy->rows, part);
		const uint8_t *host = NULL;

		if (copy->in_place && is_tiles(part))
			host = part_data(copy->rows, part) + segment->begin * bytes;
		if (bytes)
			err = opencl_memory(cl, CL_MEM_READ_WRITE, tiles * bytes,
					    (void *)(uintptr_t)host, &segment->part[part],
					    &copy->charged);
	}
	/* Until its first load no row is born. */
	if (!err)
		err = opencl_fill(cl, cl->session->io, segment->part[PART_BORN], 0,
				  tiles * part_bytes(copy->rows, PART_BORN), SEARCH_NEVER);
	return err;
}

static int segments_make(struct opencl *cl, struct device_rows *copy)
{
	uint64_t step = segment_tiles(cl, copy->rows), tiles = copy->end - copy->begin;
	int err = 0;

	if (!step || (tiles + step - 1) / step > SEGMENTS_MAX)
		return -ENOMEM;
	copy->count = (uint32_t)((tiles + step - 1) / step);
	copy->segment = calloc(copy->count, sizeof(*copy->segment));
	if (!copy->segment)
		return -ENOMEM;
	for (uint32_t i = 0; !err && i < copy->count; i++) {
		struct opencl_segment *segment = &copy->segment[i];

		segment->begin = copy->begin + i * step;
		segment->end =
			copy->end - segment->begin > step ? segment->begin + step : copy->end;
		err = segment_fill(cl, copy, segment);
	}
	return err ? err : opencl_finish_io(cl);
}

int opencl_rows_create(struct device *device, const struct search_rows *rows, uint64_t tile_begin,
		       uint64_t tile_end, struct device_rows **copy)
{
	struct opencl *cl = opencl_of(device);
	struct device_rows *made;
	int err;

	if (search_rows_check(rows) || tile_begin >= tile_end || tile_end > COMMAND_TILES_MAX)
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->device = device;
	made->rows = rows;
	made->begin = tile_begin;
	made->end = tile_end;
	made->metric = rows->metric;
	made->dim = rows->dim;
	made->head = rows->head;
	made->in_place = cl->on_cpu;
	pthread_rwlock_rdlock(&cl->use);
	made->generation = cl->generation;
	err = atomic_load(&cl->lost) ? -ENODEV : segments_make(cl, made);
	pthread_rwlock_unlock(&cl->use);
	if (err)
		opencl_rows_free(made);
	else
		*copy = made;
	return err;
}

static void segment_free(struct opencl *cl, struct device_rows *copy,
			 struct opencl_segment *segment)
{
	uint64_t tiles = segment->end - segment->begin;

	for (enum part part = 0; part < PARTS; part++)
		if (segment->part[part] && !(copy->in_place && is_tiles(part)))
			opencl_fill(cl, cl->session->io, segment->part[part], 0,
				    tiles * part_bytes(copy->rows, part), 0);
	opencl_finish_io(cl);
	for (enum part part = 0; part < PARTS; part++)
		if (segment->part[part])
			clReleaseMemObject(segment->part[part]);
}

void opencl_rows_free(struct device_rows *copy)
{
	struct opencl *cl;

	if (!copy)
		return;
	cl = opencl_of(copy->device);
	pthread_rwlock_rdlock(&cl->use);
	/* The rows may go when this returns; a session that was lost may still be reading them. */
	if (copy->in_place && atomic_load(&cl->lost))
		clFinish(cl->session->queue);
	for (uint32_t i = 0; copy->segment && i < copy->count; i++)
		if (!atomic_load(&cl->lost) && copy->generation == cl->generation)
			segment_free(cl, copy, &copy->segment[i]);
	pthread_rwlock_unlock(&cl->use);
	opencl_uncharge(cl, copy->charged);
	free(copy->segment);
	free(copy);
}

/* ---- loading and reading back ---- */

/* Of the tiles [begin, end) in the segment; from there where to is NULL, else into it. */
static int move_segment(struct opencl *cl, const struct device_rows *copy,
			const struct opencl_segment *segment, uint64_t begin, uint64_t end,
			const struct device_unload *to)
{
	int err = 0;

	for (int i = 0; !err && i < PARTS; i++) {
		enum part part = part_load_order[i];
		uint64_t bytes = part_bytes(copy->rows, part);
		uint64_t at = (begin - segment->begin) * bytes;

		if (!bytes)
			continue;
		if (to)
			err = opencl_get(cl, cl->session->queue, segment->part[part], at,
					 part_room(to->to, part) + (begin - to->tile_begin) * bytes,
					 (end - begin) * bytes, cl->deadline);
		else if (!(copy->in_place && is_tiles(part)))
			err = opencl_put(cl, cl->session->queue, segment->part[part], at,
					 part_data(copy->rows, part) + begin * bytes,
					 (end - begin) * bytes, cl->deadline);
	}
	return err;
}

static int move_tiles(struct opencl *cl, const struct device_rows *copy, uint64_t tile_begin,
		      uint64_t tile_end, const struct device_unload *to)
{
	int err = 0;

	if (copy->device != &cl->base || tile_begin < copy->begin || tile_end > copy->end)
		return -EINVAL;
	if (copy->generation != cl->generation)
		return -ESTALE;
	for (uint32_t i = 0; !err && i < copy->count; i++) {
		const struct opencl_segment *segment = &copy->segment[i];
		uint64_t begin = tile_begin > segment->begin ? tile_begin : segment->begin;
		uint64_t end = tile_end < segment->end ? tile_end : segment->end;

		if (begin < end)
			err = move_segment(cl, copy, segment, begin, end, to);
	}
	return err;
}

int opencl_run_load(struct opencl *cl, const struct device_command *command)
{
	const struct device_load *p = &command->load;

	return move_tiles(cl, p->to, p->tile_begin, p->tile_end, NULL);
}

int opencl_run_unload(struct opencl *cl, const struct device_command *command)
{
	const struct device_unload *p = &command->unload;

	return move_tiles(cl, p->from, p->tile_begin, p->tile_end, p);
}
