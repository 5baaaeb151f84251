/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search on a board: copies of rows in its memory, and scans that return survivors. Ids and
 * subjects never leave the host: a survivor is a row and a score, and the caller's list decides.
 *
 * A scan's answer has room for CAPACITY survivors a query. Scans begin small, while nothing bounds
 * what survives, and grow as the lists' limits rise; one that found too many is done again in halves.
 */
#include "daemon/device/shell.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY  4096u				/* survivors a query */
#define TILES_MIN (CAPACITY / SEARCH_TILE_ROWS) /* can never overflow */
#define TILES_MAX (1u << 20)
#define CALLS_MAX 8u

/* ---- copies ---- */

/* Until its first load no row is born: the whole of `born` is SEARCH_NEVER. */
static int fill_unborn(struct shell_device *shell, struct device_rows *copy)
{
	struct shell_memory *born = copy->part[PART_BORN];
	const struct shell_fill args = {.pattern = UINT64_MAX};
	struct shell_call call = {.operands = 1, .operand = {{born, 0, born->bytes}}};

	shell_call_op(&call, SHELL_OP_FILL, &args, sizeof(args));
	return shell_calls(shell, &call, 1);
}

int shell_rows_create(struct device *device, const struct search_rows *rows, uint64_t tile_begin,
		      uint64_t tile_end, struct device_rows **copy)
{
	struct shell_device *shell = shell_of(device);
	struct device_rows *made;
	int err = search_rows_check(rows);

	if (err || tile_begin >= tile_end || tile_end - tile_begin >= 1u << 28)
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->device = device;
	made->rows = rows;
	made->tile_begin = tile_begin;
	made->tile_end = tile_end;
	for (unsigned int p = 0; !err && p < PART_SHELL; p++) {
		uint64_t bytes = part_bytes(rows, p) * (tile_end - tile_begin);

		if (bytes)
			err = shell_memory_take(shell, bytes, &made->part[p]);
	}
	if (!err)
		err = fill_unborn(shell, made);
	if (err)
		shell_rows_free(made);
	else
		*copy = made;
	return err;
}

static void wipe(struct shell_device *shell, struct shell_memory *memory)
{
	const struct shell_fill args = {0};
	struct shell_call call = {.operands = 1, .operand = {{memory, 0, memory->bytes}}};

	shell_call_op(&call, SHELL_OP_FILL, &args, sizeof(args));
	shell_calls(shell, &call, 1); /* a board that is gone cannot be wiped */
}

void shell_rows_free(struct device_rows *copy)
{
	struct shell_device *shell;

	if (!copy)
		return;
	shell = shell_of(copy->device);
	for (unsigned int p = 0; p < PART_SHELL; p++) {
		if (copy->part[p])
			wipe(shell, copy->part[p]);
		shell_memory_give(shell, copy->part[p]);
	}
	free(copy);
}

static bool holds(const struct shell_device *shell, const struct device_rows *copy, uint64_t begin,
		  uint64_t end)
{
	return copy->device == &shell->base && begin >= copy->tile_begin && begin < end &&
	       end <= copy->tile_end;
}

int shell_run_load(struct shell_device *shell, const struct device_command *command)
{
	const struct device_load *p = &command->load;
	const struct device_rows *copy = p->to;
	uint64_t tiles = p->tile_end - p->tile_begin;
	int err = 0;

	if (!tiles)
		return 0;
	if (!holds(shell, copy, p->tile_begin, p->tile_end))
		return -EINVAL;
	for (int i = 0; !err && i < PARTS; i++) {
		enum part part = part_load_order[i];
		uint64_t bytes = part_bytes(copy->rows, part);

		if (bytes && part < PART_SHELL)
			err = shell->port->ops->write(
				shell->port, copy->part[part],
				(p->tile_begin - copy->tile_begin) * bytes,
				part_data(copy->rows, part) + p->tile_begin * bytes, tiles * bytes);
	}
	return err;
}

int shell_run_unload(struct shell_device *shell, const struct device_command *command)
{
	const struct device_unload *p = &command->unload;
	const struct device_rows *copy = p->from;
	uint64_t tiles = p->tile_end - p->tile_begin;
	int err = 0;

	if (!tiles)
		return 0;
	if (!holds(shell, copy, p->tile_begin, p->tile_end))
		return -EINVAL;
	for (enum part part = 0; !err && part < PARTS; part++) {
		uint64_t bytes = part_bytes(copy->rows, part);
		uint8_t *room = part_room(p->to, part);

		if (!bytes)
			continue;
		if (part < PART_SHELL)
			err = shell->port->ops->read(shell->port, copy->part[part],
						     (p->tile_begin - copy->tile_begin) * bytes,
						     room, tiles * bytes);
		else
			memcpy(room, part_data(copy->rows, part) + p->tile_begin * bytes,
			       tiles * bytes);
	}
	return err;
}

/* ---- scans ---- */

struct scan {
	struct shell_device *shell;
	const struct device_batch *batch;
	const struct device_search *p;
	const struct device_rows *copy;
	uint32_t padding; /* of a query's survivors in the answer */
};

/* One call of a round and what it works with. */
struct scan_call {
	struct shell_call call;
	uint64_t begin, end;
	const uint8_t *answer;
};

static uint64_t survivors_bytes(const struct scan *scan)
{
	return scan->p->count * (sizeof(struct shell_survivors) +
				 (uint64_t)CAPACITY * sizeof(struct shell_survivor));
}

static void write_queries(const struct scan *scan, uint64_t begin, struct shell_query *out)
{
	for (uint32_t i = 0; i < scan->p->count; i++) {
		const struct search_query *q = &scan->p->queries[i];
		uint64_t first = begin * SEARCH_TILE_ROWS;
		bool l2 = scan->p->rows->metric == SEARCH_L2;

		/* A list by subject holds k subjects, which says nothing of the k-th template. */
		out[i] = (struct shell_query){
			.q_mul = l2 ? shell_bits(q->q_mul) : 0,
			.limit = shell_bits(fmaxf(q->limit, search_list_limit(scan->p->lists[i]))),
			.k = q->by_subject ? 0 : q->k,
			.epoch = q->epoch,
			.rows = q->rows > first ? q->rows - first : 0,
			.tag_mask = q->tag_mask,
			.tag_value = q->tag_value,
		};
	}
}

static struct shell_extent rows_extent(const struct scan *scan, const struct scan_call *c,
				       enum part part)
{
	uint64_t bytes = part_bytes(scan->p->rows, part);

	if (!bytes)
		return (struct shell_extent){0};
	return (struct shell_extent){scan->copy->part[part],
				     (c->begin - scan->copy->tile_begin) * bytes,
				     (c->end - c->begin) * bytes};
}

static void fill_call(const struct scan *scan, struct scan_call *c)
{
	struct shell_device *shell = scan->shell;
	const struct search_rows *rows = scan->p->rows;
	struct shell_extent *operand = c->call.operand;
	uint32_t count = scan->p->count;
	struct shell_search args;
	int8_t *x;

	c->answer = shell_stage_take(shell, &shell->out, survivors_bytes(scan), &operand[0]);
	x = shell_stage_take(shell, &shell->in, (uint64_t)count * rows->dim, &operand[1]);
	for (uint32_t i = 0; i < count; i++)
		memcpy(x + (size_t)i * rows->dim, scan->p->queries[i].x, rows->dim);
	write_queries(scan, c->begin,
		      shell_stage_take(shell, &shell->in, count * sizeof(struct shell_query),
				       &operand[2]));
	for (unsigned int part = 0; part < PART_SHELL; part++)
		operand[3 + part] = rows_extent(scan, c, part);
	args = (struct shell_search){.metric = rows->metric,
				     .dim = rows->dim,
				     .head = rows->head,
				     .count = count,
				     .tiles = (uint32_t)(c->end - c->begin),
				     .capacity = CAPACITY};
	shell_call_op(&c->call, SHELL_OP_SEARCH, &args, sizeof(args));
	c->call.tag = scan->batch->trace;
	c->call.operands = 3 + PART_SHELL;
}

static const struct shell_survivors *answer_of(const struct scan_call *c, uint32_t query)
{
	return (const struct shell_survivors *)(c->answer +
						query * (sizeof(struct shell_survivors) +
							 (size_t)CAPACITY *
								 sizeof(struct shell_survivor)));
}

/* The board's word is not taken for where a row is, and may change while it is read. */
static int offer(const struct scan *scan, const struct scan_call *c, uint32_t query)
{
	const struct shell_survivors *answer = answer_of(c, query);
	const struct shell_survivor *survivor = (const void *)(answer + 1);
	uint64_t rows = (c->end - c->begin) * SEARCH_TILE_ROWS;
	uint32_t stored = __atomic_load_n(&answer->stored, __ATOMIC_RELAXED);

	if (stored > CAPACITY)
		return -EIO;
	for (uint32_t i = 0; i < stored; i++) {
		uint32_t row = __atomic_load_n(&survivor[i].row, __ATOMIC_RELAXED);
		struct search_hit hit;

		if (row >= rows)
			return -EIO;
		hit.row = c->begin * SEARCH_TILE_ROWS + row;
		memcpy(&hit.s, &survivor[i].s, sizeof(hit.s));
		if (isnan(hit.s) || hit.row >= scan->p->queries[query].rows)
			return -EIO;
		hit.id = scan->p->rows->id[hit.row];
		hit.subject = scan->p->rows->subject[hit.row];
		search_list_offer(scan->p->lists[query], &hit);
	}
	return 0;
}

/* The most that a query of the call found; -EIO for an answer that cannot be. */
static int64_t most_found(const struct scan *scan, const struct scan_call *c)
{
	uint64_t rows = (c->end - c->begin) * SEARCH_TILE_ROWS;
	uint32_t most = 0;

	for (uint32_t i = 0; i < scan->p->count; i++) {
		const struct shell_survivors *answer = answer_of(c, i);
		uint32_t found = __atomic_load_n(&answer->found, __ATOMIC_RELAXED);

		if (found > rows || answer->stored != (found < CAPACITY ? found : CAPACITY))
			return -EIO;
		if (found > most)
			most = found;
	}
	return most;
}

static int scan_room(const struct scan *scan, uint32_t calls)
{
	struct shell_device *shell = scan->shell;
	uint64_t in = scan->p->count * (scan->p->rows->dim + sizeof(struct shell_query));
	int err = shell_stage_room(shell, &shell->in, calls * in);

	return err ? err : shell_stage_room(shell, &shell->out, calls * survivors_bytes(scan));
}

/* Calls over [begin, end) in pieces of so many tiles, side by side; *end where they came to. */
static int scan_round(const struct scan *scan, struct scan_call *calls, uint64_t begin,
		      uint64_t *end, uint64_t tiles, uint32_t *count)
{
	struct shell_device *shell = scan->shell;
	struct shell_call run[CALLS_MAX];
	uint32_t most = shell->caps.units < CALLS_MAX ? shell->caps.units : CALLS_MAX;
	int err = scan_room(scan, most);

	if (err)
		return err;
	for (*count = 0; *count < most && begin < *end; (*count)++) {
		struct scan_call *c = &calls[*count];

		memset(c, 0, sizeof(*c));
		c->begin = begin;
		c->end = *end - begin > tiles ? begin + tiles : *end;
		begin = c->end;
		fill_call(scan, c);
		run[*count] = c->call;
	}
	*end = begin;
	err = shell_stage_push(shell, &shell->in);
	if (!err)
		err = shell_calls(shell, run, *count);
	return err ? err : shell_stage_pull(shell, &shell->out);
}

static int scan_tiles(const struct scan *scan, uint64_t begin, uint64_t end, uint64_t tiles);

/* Takes over what the calls of a round found; the most found by one. */
static int take_round(const struct scan *scan, struct scan_call *calls, uint32_t count,
		      uint64_t *again, uint32_t *agains, uint32_t *most)
{
	*agains = *most = 0;
	for (uint32_t i = 0; i < count; i++) {
		int64_t found = most_found(scan, &calls[i]);
		int err = 0;

		if (found < 0)
			return (int)found;
		if (found > *most)
			*most = (uint32_t)found;
		if (found > CAPACITY) {
			again[(*agains)++] = i;
			continue;
		}
		for (uint32_t q = 0; !err && q < scan->p->count; q++)
			err = offer(scan, &calls[i], q);
		if (err)
			return err;
	}
	return 0;
}

static uint64_t next_tiles(uint64_t tiles, uint32_t most)
{
	if (most > CAPACITY / 2)
		return tiles / 2 > TILES_MIN ? tiles / 2 : TILES_MIN;
	return most < CAPACITY / 8 && tiles < TILES_MAX ? tiles * 4 : tiles;
}

static int scan_tiles(const struct scan *scan, uint64_t begin, uint64_t end, uint64_t tiles)
{
	struct scan_call calls[CALLS_MAX];
	uint64_t again[CALLS_MAX];
	int err = 0;

	while (!err && begin < end) {
		uint32_t count, agains, most;
		uint64_t to = end;

		if (worker_cancelled(scan->batch))
			return -ECANCELED;
		err = scan_round(scan, calls, begin, &to, tiles, &count);
		if (!err)
			err = take_round(scan, calls, count, again, &agains, &most);
		/* Those that found too many, in pieces that cannot; they use the stage anew. */
		for (uint32_t i = 0; !err && i < agains; i++)
			err = scan_tiles(scan, calls[again[i]].begin, calls[again[i]].end,
					 TILES_MIN);
		begin = to;
		tiles = err ? tiles : next_tiles(tiles, most);
	}
	return err;
}

int shell_run_search(struct shell_device *shell, const struct device_batch *batch,
		     const struct device_command *command)
{
	const struct device_search *p = &command->search;
	const struct scan scan = {.shell = shell, .batch = batch, .p = p, .copy = p->resident};
	uint64_t end = command_last_tile(p);

	if (!p->resident || p->resident->device != &shell->base || p->resident->rows != p->rows ||
	    p->tile_begin < p->resident->tile_begin || p->tile_end > p->resident->tile_end)
		return -EINVAL;
	return scan_tiles(&scan, p->tile_begin, end, TILES_MIN);
}
