/* SPDX-License-Identifier: Apache-2.0 */
/* Searches, checked: the same tiles again, from the host's rows, into lists of their own; and the
 * board's rows, read back. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/check.h"
#include "daemon/job/readback.h"

struct again {
	struct device_command command;
	struct search_list *lists[SEARCH_BATCH_MAX];
};

static void search_release(struct service *service, struct slice *slice, struct check_work *work)
{
	struct again *again = work->user;

	for (uint32_t i = 0; i < slice->count; i++)
		if (again->lists[i])
			list_give(service, again->lists[i], slice->queries[i].k,
				  slice->queries[i].by_subject);
	free(again);
}

static int search_recompute(struct service *service, struct slice *slice, struct check_work *work)
{
	struct again *again;

	if (slice->command.op != DEVICE_SEARCH || !slice->host || !check_due(service))
		return 0;
	again = calloc(1, sizeof(*again));
	if (!again)
		return -ENOMEM;
	work->user = again;
	for (uint32_t i = 0; i < slice->count; i++) {
		again->lists[i] =
			list_take(service, slice->queries[i].k, slice->queries[i].by_subject);
		if (!again->lists[i]) {
			search_release(service, slice, work);
			return -ENOMEM;
		}
	}
	/* Its jobs' snapshots keep what their queries see. */
	again->command = slice->command;
	again->command.search.resident = NULL;
	again->command.search.lists = again->lists;
	work->commands = &again->command;
	work->count = 1;
	work->expected_ns = slice->batch.device_ns;
	return 1;
}

/* 1: the same; 0: not; -ENOMEM. */
static int same_list(const struct search_list *a, const struct search_list *b, uint32_t k)
{
	struct search_hit *hits = calloc(2 * (size_t)k, sizeof(*hits));
	uint32_t n, same = 0;

	if (!hits)
		return -ENOMEM;
	n = search_list_sorted(a, hits);
	if (n == search_list_sorted(b, hits + k)) {
		same = 1;
		for (uint32_t i = 0; i < n && same; i++)
			same = hits[i].row == hits[k + i].row && hits[i].id == hits[k + i].id &&
			       hits[i].subject == hits[k + i].subject &&
			       !memcmp(&hits[i].s, &hits[k + i].s, sizeof(hits[i].s));
	}
	free(hits);
	return (int)same;
}

static int search_compare(const struct slice *slice, const struct check_work *work)
{
	const struct again *again = work->user;
	int same = 1;

	for (uint32_t i = 0; i < slice->count && same == 1; i++)
		same = same_list(slice->lists[i], again->lists[i], slice->queries[i].k);
	return same == 1 ? 0 : same == 0 ? -EBADMSG : same;
}

static bool search_rows(struct service *service, const struct slice *slice)
{
	return readback_possible(slice) && check_rows_due(service);
}

static void search_describe(const struct slice *slice, char *text, size_t bytes)
{
	snprintf(text, bytes, "tiles=%" PRIu64 "-%" PRIu64, slice->begin, slice->end);
}

const struct check_kind check_search = {
	.recompute = search_recompute,
	.compare = search_compare,
	.release = search_release,
	.rows = search_rows,
	.describe = search_describe,
};
