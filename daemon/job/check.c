/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/check.h"
#include "daemon/job/check_part.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct check {
	struct service *service;
	struct slice *slice;
	struct device_batch batch;
	struct device_command command;
	struct bell_entry bell;
	uint64_t begun_ns, expected_ns;
	struct search_list *lists[SEARCH_BATCH_MAX];
};

static struct fleet_device *judge(const struct check *check)
{
	return &check->service->fleet.device[FLEET_CPU];
}

static void check_free(struct check *check)
{
	for (uint32_t i = 0; i < check->slice->count; i++)
		if (check->lists[i])
			list_give(check->service, check->lists[i], check->slice->queries[i].k,
				  check->slice->queries[i].by_subject);
	free(check);
}

/* ---- the comparison ------------------------------------------------------------------------------- */
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

static int compare(const struct check *check)
{
	const struct slice *slice = check->slice;
	int same = 1;

	for (uint32_t i = 0; i < slice->count && same == 1; i++)
		same = same_list(slice->lists[i], check->lists[i], slice->queries[i].k);
	return same == 1 ? 0 : same == 0 ? -EBADMSG : same;
}

/* ---- its course ------------------------------------------------------------------------------------- */
static void check_over(struct bell_entry *bell)
{
	struct check *check = (struct check *)((char *)bell - offsetof(struct check, bell));
	struct slice *slice = check->slice;
	struct metrics_device *metrics = slice->device->metrics;
	/* What could not be checked is not let out: it is repeated elsewhere. */
	int err = check->batch.error ? -EIO : compare(check);

	fleet_over(judge(check), service_now(), check->expected_ns, check->batch.device_ns,
		   check->batch.error);
	metrics->checks[CHECK_RECOMPUTED]++;
	metrics->check_ns[CHECK_RECOMPUTED] += service_now() - check->begun_ns;
	if (err == -EBADMSG) {
		metrics->mismatches[CHECK_RECOMPUTED]++;
		log_write(&check->service->log, LOG_LEVEL_ERROR, "mismatch",
			  "device=%s trace=%016" PRIx64 " tiles=%" PRIu64 "-%" PRIu64
			  " text=\"its answer to a search was wrong; it is repeated elsewhere\"",
			  slice->device->name, slice->batch.trace, slice->begin, slice->end);
		if (slice->device->health)
			fleet_judge(slice->device, err, service_now());
	}
	check_free(check);
	sched_checked(slice, err);
}

static void check_done(struct device_batch *batch)
{
	struct check *check = batch->user;

	bell_push(&check->service->bell, &check->bell);
}

static struct check *check_create(struct service *service, struct slice *slice)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return NULL;
	check->service = service;
	check->slice = slice;
	for (uint32_t i = 0; i < slice->count; i++) {
		check->lists[i] =
			list_take(service, slice->queries[i].k, slice->queries[i].by_subject);
		if (!check->lists[i]) {
			check_free(check);
			return NULL;
		}
	}
	return check;
}

/* The same slice, on the host's rows: its jobs' snapshots keep what their queries see. */
static void check_submit(struct check *check)
{
	struct device *device = judge(check)->device;

	check->command = check->slice->command;
	check->command.search.resident = NULL;
	check->command.search.lists = check->lists;
	check->batch.commands = &check->command;
	check->batch.count = 1;
	check->batch.trace = check->slice->batch.trace;
	check->batch.done = check_done;
	check->batch.user = check;
	check->bell.run = check_over;
	check->begun_ns = service_now();
	check->expected_ns = check->slice->batch.device_ns;
	fleet_begin(judge(check), check->begun_ns, check->expected_ns);
	if (device->ops->submit(device, &check->batch)) {
		check->batch.error = -EIO;
		bell_push(&check->service->bell, &check->bell);
	}
}

static void give_up(struct bell_entry *bell)
{
	struct slice *slice = (struct slice *)((char *)bell - offsetof(struct slice, entry));

	sched_checked(slice, -EIO);
}

bool check_due(struct service *service)
{
	uint64_t every = service->config->check_every;

	return every && ++service->check_turn % every == 0;
}

bool check_slice(void *user, struct slice *slice)
{
	struct service *service = user;
	const struct pass_kind *kind = slice->pass->target->kind;
	struct check *check;

	/* The CPU is the judge; what has no copy on a board was not computed by one. */
	if (!slice->device->board)
		return false;
	if (kind == &pass_infer)
		return slice->part && check_part(service, slice);
	if (kind != &pass_search || !check_due(service))
		return false;
	check = check_create(service, slice);
	if (check) {
		check_submit(check);
	} else {
		slice->entry.run = give_up;
		bell_push(&service->bell, &slice->entry);
	}
	return true;
}
