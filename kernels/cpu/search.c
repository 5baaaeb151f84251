/* SPDX-License-Identifier: Apache-2.0 */
/* What the instruction sets share: a call's checks and state, and the way of a hit to its list. */
#include "kernels/cpu/search.h"

#include <assert.h>
#include <errno.h>

#define TILES_MAX (UINT64_C(1) << 48) /* keeps tile * 16 * dim within 64 bits */

size_t cpu_search_scratch_bytes(uint32_t dim, uint32_t queries)
{
	size_t packed = ((size_t)queries + 3) / 4 * 4; /* one of them packs four at a time */

	return sizeof(struct cpu_search) + 2 * (size_t)search_padded_dim(dim) * packed;
}

static int check(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
		 const struct search_query *queries, uint32_t count)
{
	int err = search_rows_check(rows);

	if (err)
		return err;
	if (count < 1 || count > SEARCH_BATCH_MAX || tile_begin > tile_end || tile_end > TILES_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		err = search_query_check(&queries[i], rows);
		if (err)
			return err;
	}
	return 0;
}

static void update_limit(struct cpu_search *call, uint32_t query)
{
	float held = search_list_limit(call->lists[query]);
	bool by_list = held >= call->queries[query].limit;

	call->limit[query] = by_list ? held : call->queries[query].limit;
	call->limit_id[query] = by_list ? search_list_limit_id(call->lists[query]) : UINT64_MAX;
}

static int32_t sum_of(const int8_t *x, uint32_t dim)
{
	int32_t sum = 0;

	for (uint32_t i = 0; i < dim; i++)
		sum += x[i];
	return sum;
}

int cpu_search_begin(struct cpu_search *call, const struct search_rows *rows, uint64_t tile_begin,
		     uint64_t tile_end, const struct search_query *queries, uint32_t count,
		     struct search_list *const *lists)
{
	int err = check(rows, tile_begin, tile_end, queries, count);

	if (err)
		return err;
	assert((uintptr_t)call % _Alignof(struct cpu_search) == 0);
	call->rows = rows;
	call->queries = queries;
	call->lists = lists;
	call->count = count;
	call->scale = rows->metric == SEARCH_DOT ? NULL : rows->scale;
	call->bias = rows->metric == SEARCH_L2 ? rows->bias : NULL;
	call->groups = search_padded_dim(rows->dim) / 4;
	call->head_groups = rows->head / 4;
	for (uint32_t i = 0; i < count; i++) {
		call->start[i] = -128 * sum_of(queries[i].x, rows->dim);
		call->q_mul[i] = queries[i].q_mul;
		update_limit(call, i);
	}
	return 0;
}

const uint8_t *cpu_search_line(const struct cpu_search *call, uint64_t tile, uint32_t group)
{
	uint32_t tail_groups = call->groups - call->head_groups;

	if (group < call->head_groups)
		return call->rows->head_tiles + (tile * call->head_groups + group) * 64;
	return call->rows->tail_tiles + (tile * tail_groups + group - call->head_groups) * 64;
}

void cpu_search_offer(struct cpu_search *call, uint32_t query, uint64_t row, float s)
{
	struct search_hit hit = {
		.s = s,
		.subject = call->rows->subject[row],
		.id = call->rows->id[row],
		.row = row,
	};

	search_list_offer(call->lists[query], &hit);
	update_limit(call, query);
}

/* Rows are born and die while a search runs, hence the atomic reads. */
static bool counts(const struct search_rows *rows, const struct search_query *query, uint64_t row)
{
	return __atomic_load_n(&rows->born[row], __ATOMIC_RELAXED) <= query->epoch &&
	       query->epoch < __atomic_load_n(&rows->died[row], __ATOMIC_RELAXED) &&
	       (rows->tags[row] & query->tag_mask) == query->tag_value;
}

static float score(const struct cpu_search *call, uint32_t query, uint64_t row, int32_t dot)
{
	float s = (float)dot;

	if (call->scale)
		s = s * call->scale[row];
	if (call->bias)
		s = s * call->q_mul[query] - call->bias[row];
	return s;
}

void cpu_search_tile(struct cpu_search *call, uint32_t query, uint64_t tile, const int32_t *dots)
{
	const struct search_query *q = &call->queries[query];

	for (uint32_t i = 0; i < SEARCH_TILE_ROWS; i++) {
		uint64_t row = tile * SEARCH_TILE_ROWS + i;
		float s;

		if (row >= q->rows)
			return;
		s = score(call, query, row, dots[i]);
		if (s >= call->limit[query] && counts(call->rows, q, row))
			cpu_search_offer(call, query, row, s);
	}
}
