/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A range of a model's ops as one batch of a board: what they read goes up, they run, and what is
 * still wanted after them comes down, into the item's memory or beside it.
 *
 * All that goes up is alive when the part begins, and all that comes down when it ends, so neither
 * overlaps itself (graph.c), and each tensor has the place in the board's arena that it has in the
 * item's.
 */
#include "daemon/model/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/device/product.h"

struct model_arena {
	const struct model_plan *plan;
	struct device_buffer *buffer; /* the arena, then room for checksums */
};

/* A product whose sums are looked at: what it read, and what the board made of it. */
struct watched {
	uint32_t step;
	int8_t *x;
	uint32_t *chk, *expected;
};

/* What comes down when the part ends. */
struct result {
	uint64_t offset, bytes;
	uint8_t *at; /* in the item's memory, or aside */
};

struct model_part {
	const struct model_plan *plan;
	const struct model_run *run;
	struct model_arena *arena;
	uint32_t begin, end;
	bool aside;
	struct device_command *commands;
	struct watched *watched;
	struct result *results;
	uint32_t count, watched_count, result_count;
	uint64_t up, down;
	uint8_t *memory; /* of watched and aside, in pieces */
	uint64_t used;
};

/* ---- arenas ----------------------------------------------------------------------------------------- */
static uint64_t arena_bytes(const struct model_plan *plan)
{
	return plan_aligned(plan->model->info.arena_bytes);
}

uint64_t model_arena_bytes(const struct model_plan *plan)
{
	return arena_bytes(plan) + plan->sums_bytes;
}

int model_arena_create(const struct model_plan *plan, struct model_arena **arena)
{
	struct model_arena *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->plan = plan;
	err = plan->device->ops->buffer_create(plan->device, model_arena_bytes(plan), &a->buffer);
	if (err)
		free(a);
	else
		*arena = a;
	return err;
}

void model_arena_free(struct model_arena *arena)
{
	if (!arena)
		return;
	arena->plan->device->ops->buffer_free(arena->buffer);
	free(arena);
}

/* ---- what a part has to do ---------------------------------------------------------------------------- */
/* Each tensor that an op of the part reads and none before it in the part has written, once. */
struct reads {
	uint8_t *seen; /* [tensors] it is on the board */
	uint32_t *tensor, count;
};

static int reads_find(const struct model_part *part, struct reads *reads)
{
	const struct model *model = part->plan->model;

	reads->count = 0;
	reads->seen = calloc(model->tensor_count, 1);
	reads->tensor = calloc(model->tensor_count, sizeof(*reads->tensor));
	if (!reads->seen || !reads->tensor)
		return -ENOMEM;
	for (uint32_t i = part->begin; i < part->end; i++) {
		const struct model_step *step = &model->steps[i];

		for (uint32_t k = 0; k < DEVICE_INPUTS_MAX; k++) {
			if (!(step->in_arena >> k & 1) || reads->seen[step->input[k]])
				continue;
			reads->seen[step->input[k]] = 1;
			reads->tensor[reads->count++] = step->input[k];
		}
		reads->seen[step->output] = 1;
	}
	return 0;
}

static void reads_clear(struct reads *reads)
{
	free(reads->seen);
	free(reads->tensor);
}

static bool wanted_after(const struct model_part *part, uint32_t tensor)
{
	return part->plan->model->last[tensor] >= part->end;
}

/* ---- its memory: measured first, then given out -------------------------------------------------------- */
static uint64_t watched_bytes(const struct device_command *command)
{
	return plan_aligned(command->in[0].bytes) +
	       2 * plan_aligned(device_product_rows(command) * 4);
}

static void *piece(struct model_part *part, uint64_t bytes)
{
	void *at = part->memory + part->used;

	part->used += plan_aligned(bytes);
	return at;
}

static bool can_watch(const struct model_part *part, uint32_t step)
{
	return part->plan->sums[step] != NULL;
}

static int part_memory(struct model_part *part, const struct model_part_options *options,
		       const bool *watch)
{
	const struct model *model = part->plan->model;
	uint64_t bytes = PLAN_ALIGN;

	for (uint32_t i = part->begin; i < part->end; i++) {
		if (options->aside && wanted_after(part, model->steps[i].output))
			bytes += plan_aligned(model->tensors[model->steps[i].output].bytes);
		if (watch[i - part->begin])
			bytes += watched_bytes(&part->plan->commands[i]);
	}
	part->memory = aligned_alloc(PLAN_ALIGN, bytes);
	return part->memory ? 0 : -ENOMEM;
}

/* ---- its commands ---------------------------------------------------------------------------------------- */
static struct device_span arena_span(const struct model_part *part, uint64_t offset, uint64_t bytes)
{
	return (struct device_span){part->arena->buffer, offset, bytes};
}

static void add_download(struct model_part *part, uint64_t offset, uint64_t bytes, void *host)
{
	struct device_command *command = &part->commands[part->count++];

	memset(command, 0, sizeof(*command));
	command->op = DEVICE_DOWNLOAD;
	command->in[0] = arena_span(part, offset, bytes);
	command->host = host;
	part->down += bytes;
}

static void add_uploads(struct model_part *part, const struct reads *reads)
{
	for (uint32_t i = 0; i < reads->count; i++) {
		const struct model_tensor_place *tensor =
			&part->plan->model->tensors[reads->tensor[i]];
		struct device_command *command = &part->commands[part->count++];

		memset(command, 0, sizeof(*command));
		command->op = DEVICE_UPLOAD;
		command->out = arena_span(part, tensor->offset, tensor->bytes);
		command->host = part->run->memory + tensor->offset;
		part->up += tensor->bytes;
	}
}

/* What it read and its sums come down at once: the places are used again. */
static void add_watched(struct model_part *part, uint32_t step)
{
	struct device_command *command = &part->commands[part->count - 1];
	struct watched *watched = &part->watched[part->watched_count++];
	uint64_t bytes = device_product_rows(command) * 4, x_bytes = command->in[0].bytes;
	uint64_t x_offset = command->in[0].offset, at = arena_bytes(part->plan);

	watched->step = step;
	watched->x = piece(part, x_bytes);
	watched->chk = piece(part, bytes);
	watched->expected = piece(part, bytes);
	command->checksum = arena_span(part, at, bytes);
	add_download(part, x_offset, x_bytes, watched->x);
	add_download(part, at, bytes, watched->chk);
}

static void add_steps(struct model_part *part, const bool *watch)
{
	for (uint32_t i = part->begin; i < part->end; i++) {
		plan_bind(part->plan, i, part->arena->buffer, &part->commands[part->count++]);
		if (watch[i - part->begin])
			add_watched(part, i);
	}
}

static void add_results(struct model_part *part, bool aside)
{
	const struct model *model = part->plan->model;

	for (uint32_t i = part->begin; i < part->end; i++) {
		const struct model_tensor_place *tensor = &model->tensors[model->steps[i].output];
		struct result *result = &part->results[part->result_count];

		if (!wanted_after(part, model->steps[i].output))
			continue;
		result->offset = tensor->offset;
		result->bytes = tensor->bytes;
		result->at =
			aside ? piece(part, tensor->bytes) : part->run->memory + tensor->offset;
		add_download(part, tensor->offset, tensor->bytes, result->at);
		part->result_count++;
	}
}

static int part_build(struct model_part *part, const struct model_part_options *options,
		      const bool *watch, const struct reads *reads)
{
	uint32_t steps = part->end - part->begin;
	int err;

	part->commands = calloc(reads->count + (size_t)steps * 4, sizeof(*part->commands));
	part->watched = calloc(steps, sizeof(*part->watched));
	part->results = calloc(steps, sizeof(*part->results));
	if (!part->commands || !part->watched || !part->results)
		return -ENOMEM;
	err = part_memory(part, options, watch);
	if (err)
		return err;
	add_uploads(part, reads);
	add_steps(part, watch);
	add_results(part, options->aside);
	return 0;
}

/* Each watch_every-th product, counted over all parts. */
static bool *choose_watched(const struct model_part *part, const struct model_part_options *options)
{
	bool *watch = calloc(part->end - part->begin, sizeof(*watch));

	for (uint32_t i = part->begin; watch && i < part->end; i++)
		watch[i - part->begin] = options->watch_every && can_watch(part, i) &&
					 ++*options->watch_turn % options->watch_every == 0;
	return watch;
}

int model_part_create(const struct model_run *run, struct model_arena *arena, uint32_t begin,
		      uint32_t end, const struct model_part_options *options,
		      struct model_part **part)
{
	struct model_part *p;
	struct reads reads = {0};
	bool *watch = NULL;
	int err;

	if (begin >= end || end > arena->plan->model->step_count ||
	    run->plan->model != arena->plan->model || model_plan_reach(arena->plan, begin) < end)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct model_part){.plan = arena->plan,
				 .run = run,
				 .arena = arena,
				 .begin = begin,
				 .end = end,
				 .aside = options->aside};
	watch = choose_watched(p, options);
	err = watch ? reads_find(p, &reads) : -ENOMEM;
	if (!err)
		err = part_build(p, options, watch, &reads);
	reads_clear(&reads);
	free(watch);
	if (err)
		model_part_free(p);
	else
		*part = p;
	return err;
}

void model_part_free(struct model_part *part)
{
	if (!part)
		return;
	free(part->memory);
	free(part->results);
	free(part->watched);
	free(part->commands);
	free(part);
}

const struct device_command *model_part_commands(const struct model_part *part, uint32_t *count)
{
	*count = part->count;
	return part->commands;
}

void model_part_moved(const struct model_part *part, uint64_t *up, uint64_t *down)
{
	*up = part->up;
	*down = part->down;
}

bool model_part_is_aside(const struct model_part *part)
{
	return part->aside;
}

/* ---- is it right? ------------------------------------------------------------------------------------------ */
bool model_part_same(const struct model_part *part)
{
	for (uint32_t i = 0; i < part->result_count; i++) {
		const struct result *result = &part->results[i];

		if (memcmp(result->at, part->run->memory + result->offset, result->bytes))
			return false;
	}
	return true;
}

uint32_t model_part_watched(const struct model_part *part)
{
	return part->watched_count;
}

bool model_part_sums_right(const struct model_part *part, uint32_t i, uint32_t *step)
{
	const struct watched *watched = &part->watched[i];

	*step = watched->step;
	return device_product_sums_right(&part->plan->commands[watched->step],
					 part->plan->sums[watched->step], watched->x, watched->chk,
					 watched->expected);
}
