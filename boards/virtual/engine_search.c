/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search: rows above a query's limit, by kernels/cpu. Its lists hold one more than there is room for,
 * which is how too many show. The limit is never raised.
 */
#include "boards/virtual/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUT, QUERIES, PARAMETERS, HEAD, TAIL, SCALE, BIAS, BORN, DIED, TAGS };

#define CAPACITY_MAX (SEARCH_K_MAX - 1)

struct search {
	struct job *job;
	struct search_rows rows;
	struct search_query query[SEARCH_BATCH_MAX];
	struct search_list *list[SEARCH_BATCH_MAX];
	struct search_hit *hits;
	void *owned[8]; /* what the layout has and the job has not */
	uint32_t owns;
};

static uint64_t padded(const struct shell_search *a)
{
	return search_padded_dim(a->dim);
}

/* ---- checks ------------------------------------------------------------------------------------- */

static int check_args(struct job *job)
{
	const struct shell_search *a = &job->args.search;

	if (a->metric > SEARCH_L2 || !a->dim || a->dim > SEARCH_DIM_MAX || a->head < 4 ||
	    a->head % 4 || a->head > padded(a) || !a->count || a->count > SEARCH_BATCH_MAX ||
	    !a->tiles || a->tiles >= 1u << 28 || !a->capacity || a->reserved[0] || a->reserved[1])
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (a->capacity > CAPACITY_MAX)
		return task_fail(job, SHELL_UNSUPPORTED, SHELL_INDEX_NONE, 0);
	return 0;
}

/* Bytes of an operand; wanted: it must be there, or must not. */
static int check_part(struct job *job, uint32_t index, bool wanted, uint64_t elements,
		      uint32_t bytes)
{
	if (operand_present(job, index) != wanted)
		return task_fail(job, SHELL_BAD_OPERAND, index, 0);
	return wanted ? operand_length(job, index, elements, bytes) : 0;
}

static int check_operands(struct job *job)
{
	const struct shell_search *a = &job->args.search;
	uint64_t rows = (uint64_t)a->tiles * SEARCH_TILE_ROWS;
	uint64_t out = sizeof(struct shell_survivors) +
		       (uint64_t)a->capacity * sizeof(struct shell_survivor);
	bool born = operand_present(job, BORN);

	if (check_part(job, OUT, true, a->count * out, 1) ||
	    check_part(job, QUERIES, true, (uint64_t)a->count * a->dim, 1) ||
	    check_part(job, PARAMETERS, true, a->count * sizeof(struct shell_query), 1) ||
	    check_part(job, HEAD, true, rows * a->head, 1) ||
	    check_part(job, TAIL, a->head < padded(a), rows * (padded(a) - a->head), 1) ||
	    check_part(job, SCALE, a->metric != SEARCH_DOT, rows, 4) ||
	    check_part(job, BIAS, a->metric == SEARCH_L2, rows, 4) ||
	    check_part(job, BORN, born, rows, 4) || check_part(job, DIED, born, rows, 4))
		return -1;
	return operand_present(job, TAGS) ? operand_length(job, TAGS, rows, 8) : 0;
}

/* ---- the layout ---------------------------------------------------------------------------------- */

static void *own(struct search *s, uint64_t bytes)
{
	void *memory = engine_alloc(s->job, bytes);

	if (memory)
		s->owned[s->owns++] = memory;
	return memory;
}

/* Tiles as the kernels want them. */
static const uint8_t *tiles_at(struct search *s, uint32_t index)
{
	const struct view *view = &s->job->view[index];
	uint8_t *copy;

	if (!view->data || (uintptr_t)view->data % 64 == 0)
		return view->data;
	copy = own(s, view->bytes);
	return copy ? memcpy(copy, view->data, view->bytes) : NULL;
}

static int lay_out(struct search *s)
{
	const struct shell_search *a = &s->job->args.search;
	const struct view *view = s->job->view;
	uint64_t rows = (uint64_t)a->tiles * SEARCH_TILE_ROWS;
	uint64_t *id = own(s, rows * 8), *zeros = own(s, rows * 8);
	uint32_t *never = own(s, rows * 4);

	s->rows = (struct search_rows){.metric = (enum search_metric)a->metric,
				       .dim = a->dim,
				       .head = a->head,
				       .head_tiles = tiles_at(s, HEAD),
				       .tail_tiles = tiles_at(s, TAIL),
				       .scale = (const float *)view[SCALE].data,
				       .bias = (const float *)view[BIAS].data,
				       .id = id,
				       .tags = (const uint64_t *)view[TAGS].data,
				       .born = (const uint32_t *)view[BORN].data,
				       .died = (const uint32_t *)view[DIED].data,
				       .subject = (const uint32_t *)zeros};
	if (s->job->status != SHELL_OK)
		return -1;
	for (uint64_t r = 0; r < rows; r++)
		id[r] = r;
	memset(never, 0xff, rows * 4);
	if (!s->rows.born) {
		s->rows.born = (const uint32_t *)zeros;
		s->rows.died = never;
	}
	if (!s->rows.tags)
		s->rows.tags = zeros;
	return task_check(s->job, search_rows_check(&s->rows));
}

static int take_queries(struct search *s)
{
	const struct shell_search *a = &s->job->args.search;
	const struct shell_query *from = (const void *)s->job->view[PARAMETERS].data;
	const int8_t *x = (const int8_t *)s->job->view[QUERIES].data;
	uint64_t rows = (uint64_t)a->tiles * SEARCH_TILE_ROWS;

	for (uint32_t i = 0; i < a->count; i++) {
		if (from[i].reserved)
			return task_fail(s->job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
		s->query[i] = (struct search_query){
			.x = x + (size_t)i * a->dim,
			.q_mul = engine_float(from[i].q_mul),
			.limit = engine_float(from[i].limit),
			.k = a->capacity + 1,
			.epoch = from[i].epoch,
			.rows = from[i].rows < rows ? from[i].rows : rows,
			.tag_mask = from[i].tag_mask,
			.tag_value = from[i].tag_value,
		};
		if (task_check(s->job, search_query_check(&s->query[i], &s->rows)))
			return -1;
		s->list[i] = search_list_create(a->capacity + 1, false);
		if (!s->list[i])
			return task_fail(s->job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);
	}
	s->hits = malloc(((size_t)a->capacity + 1) * sizeof(*s->hits));
	return s->hits ? 0 : task_fail(s->job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);
}

/* ---- running ---------------------------------------------------------------------------------------- */

static int scan(struct search *s)
{
	const struct shell_search *a = &s->job->args.search;
	const struct cpu_kernels *kernels = s->job->board->kernels;
	void *scratch = engine_scratch(s->job, kernels->search_scratch_bytes(a->dim, a->count));
	uint64_t work = (uint64_t)a->tiles * SEARCH_TILE_ROWS * a->dim * a->count;
	uint64_t slice = engine_slice(a->tiles, work);

	if (!scratch)
		return -1;
	for (uint64_t t = 0; t < a->tiles; t += slice) {
		uint64_t end = t + slice < a->tiles ? t + slice : a->tiles;

		if (!task_alive(s->job) ||
		    task_check(s->job, kernels->search(&s->rows, t, end, s->query, a->count,
						       s->list, scratch)))
			return -1;
	}
	return 0;
}

static void answer(struct search *s, uint32_t i, uint8_t *to)
{
	const struct shell_search *a = &s->job->args.search;
	struct shell_survivors *head = (void *)to;
	struct shell_survivor *survivor = (void *)(head + 1);
	uint32_t found = search_list_sorted(s->list[i], s->hits);

	memcpy(&head->limit, &s->query[i].limit, 4);
	head->found = found;
	head->stored = found < a->capacity ? found : a->capacity;
	head->reserved = 0;
	for (uint32_t h = 0; h < head->stored; h++) {
		survivor[h].row = (uint32_t)s->hits[h].row;
		memcpy(&survivor[h].s, &s->hits[h].s, 4);
	}
	s->job->value += found;
}

static int run(struct search *s)
{
	const struct shell_search *a = &s->job->args.search;
	uint64_t bytes = sizeof(struct shell_survivors) +
			 (uint64_t)a->capacity * sizeof(struct shell_survivor);

	if (lay_out(s) || take_queries(s) || scan(s))
		return -1;
	for (uint32_t i = 0; i < a->count; i++)
		answer(s, i, s->job->view[OUT].data + i * bytes);
	return view_flush(s->job);
}

int engine_search(struct job *job)
{
	struct search *s;
	int err;

	if (check_args(job) || check_operands(job) || engine_open(job))
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return task_fail(job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);
	s->job = job;
	err = run(s);
	for (uint32_t i = 0; i < SEARCH_BATCH_MAX; i++)
		search_list_free(s->list[i]);
	for (uint32_t i = 0; i < s->owns; i++)
		free(s->owned[i]);
	free(s->hits);
	free(s);
	return err;
}
