/* SPDX-License-Identifier: Apache-2.0 */
/* Search, row by row: the definition. */
#include "kernels/ref/ref.h"

#include <errno.h>

static int32_t dot_product(const int8_t *x, const int8_t *y, uint32_t dim)
{
	int32_t sum = 0;

	for (uint32_t i = 0; i < dim; i++)
		sum += x[i] * y[i];
	return sum;
}

static float score(const struct search_rows *rows, const struct search_query *query, uint64_t r,
		   int32_t dot)
{
	switch (rows->metric) {
	case SEARCH_COSINE:
		return (float)dot * rows->scale[r];
	case SEARCH_L2:
		return (float)dot * rows->scale[r] * query->q_mul - rows->bias[r];
	default:
		return (float)dot;
	}
}

static bool counts(const struct search_rows *rows, const struct search_query *query, uint64_t r)
{
	return r < query->rows && rows->born[r] <= query->epoch && query->epoch < rows->died[r] &&
	       (rows->tags[r] & query->tag_mask) == query->tag_value;
}

static void search_row(const struct search_rows *rows, uint64_t r, const int8_t *x,
		       const struct search_query *query, struct search_list *list)
{
	struct search_hit hit;

	if (!counts(rows, query, r))
		return;
	hit.s = score(rows, query, r, dot_product(x, query->x, rows->dim));
	if (!(hit.s >= query->limit)) /* also a NaN */
		return;
	hit.subject = rows->subject[r];
	hit.id = rows->id[r];
	hit.row = r;
	search_list_offer(list, &hit);
}

static int check(const struct search_rows *rows, uint64_t row_begin, uint64_t row_end,
		 const struct search_query *queries, uint32_t count)
{
	int err = search_rows_check(rows);

	if (err)
		return err;
	if (count < 1 || count > SEARCH_BATCH_MAX || row_begin > row_end)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		err = search_query_check(&queries[i], rows);
		if (err)
			return err;
	}
	return 0;
}

int ref_search(const struct search_rows *rows, uint64_t row_begin, uint64_t row_end,
	       const struct search_query *queries, uint32_t count, struct search_list *const *lists)
{
	int8_t x[SEARCH_DIM_MAX];
	int err = check(rows, row_begin, row_end, queries, count);

	if (err)
		return err;
	for (uint64_t r = row_begin; r < row_end; r++) {
		search_get_row(rows, r, x);
		for (uint32_t i = 0; i < count; i++)
			search_row(rows, r, x, &queries[i], lists[i]);
	}
	return 0;
}
