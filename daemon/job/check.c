/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

/* Of one product. */
struct sum {
	uint32_t op;
	bool right;
	uint64_t ns;
};

struct check {
	struct service *service;
	struct slice *slice;
	const struct check_kind *kind;
	struct check_work work;
	struct device_batch batch;
	struct bell_entry bell;
	struct errand errand;
	uint64_t begun_ns;
	uint32_t count;
	struct sum sums[];
};

static struct fleet_device *judge(const struct check *check)
{
	return &check->service->fleet.device[FLEET_CPU];
}

static void over(struct check *check, enum metrics_check how, int err)
{
	static const char *const names[] = {
		[CHECK_RECOMPUTED] = "recomputing", [CHECK_SUMS] = "checksum"};
	struct slice *slice = check->slice;
	struct metrics_device *metrics = slice->device->metrics;
	char text[120];

	metrics->checks[how]++;
	metrics->check_ns[how] += service_now() - check->begun_ns;
	if (err == -EBADMSG) {
		metrics->mismatches[how]++;
		check->kind->describe(slice, text, sizeof(text));
		log_write(&check->service->log, LOG_LEVEL_ERROR, "mismatch",
			  "device=%s trace=%016" PRIx64
			  " %s by=%s text=\"what it did was wrong; it is repeated elsewhere\"",
			  slice->device->name, slice->batch.trace, text, names[how]);
		if (slice->device->health)
			fleet_judge(slice->device, err, service_now());
	}
	free(check);
	sched_checked(slice, err);
}

/* ---- computed again ----------------------------------------------------------------------------- */
static void recomputed(struct bell_entry *bell)
{
	struct check *check = (struct check *)((char *)bell - offsetof(struct check, bell));
	/* What could not be checked is not let out: it is repeated elsewhere. */
	int err = check->batch.error ? -EIO : check->kind->compare(check->slice, &check->work);

	fleet_over(judge(check), service_now(), check->work.expected_ns, check->batch.device_ns,
		   check->batch.error);
	if (check->kind->release)
		check->kind->release(check->service, check->slice, &check->work);
	over(check, CHECK_RECOMPUTED, err);
}

static void recompute_done(struct device_batch *batch)
{
	struct check *check = batch->user;

	bell_push(&check->service->bell, &check->bell);
}

static void recompute(struct check *check)
{
	struct device *device = judge(check)->device;

	check->batch.commands = check->work.commands;
	check->batch.count = check->work.count;
	check->batch.trace = check->slice->batch.trace;
	check->batch.done = recompute_done;
	check->batch.user = check;
	check->bell.run = recomputed;
	fleet_begin(judge(check), check->begun_ns, check->work.expected_ns);
	if (device->ops->submit(device, &check->batch)) {
		check->batch.error = -EIO;
		bell_push(&check->service->bell, &check->bell);
	}
}

/* ---- by sums -------------------------------------------------------------------------------------- */
static void sums_work(struct errand *errand)
{
	struct check *check = errand->user;

	for (uint32_t i = 0; i < check->count; i++) {
		struct sum *sum = &check->sums[i];
		uint64_t begun = service_now();

		sum->right = check->kind->sum_right(check->slice, i, &sum->op);
		sum->ns = service_now() - begun;
	}
}

static void sums_done(struct errand *errand)
{
	struct check *check = errand->user;
	int err = 0;

	for (uint32_t i = 0; i < check->count; i++) {
		const struct sum *sum = &check->sums[i];

		if (check->kind->summed)
			check->kind->summed(check->service, check->slice, sum->op, sum->right,
					    sum->ns);
		if (!sum->right)
			err = -EBADMSG;
	}
	over(check, CHECK_SUMS, err);
}

/* ---- begun ------------------------------------------------------------------------------------------- */
static void give_up(struct bell_entry *bell)
{
	struct slice *slice = (struct slice *)((char *)bell - offsetof(struct slice, entry));

	sched_checked(slice, -EIO);
}

/* It is not let out unchecked: it is repeated elsewhere. */
static void refuse(struct service *service, struct slice *slice)
{
	slice->entry.run = give_up;
	bell_push(&service->bell, &slice->entry);
}

static void begin(struct service *service, struct slice *slice, struct check_work *work,
		  uint32_t sums)
{
	const struct check_kind *kind = slice->pass->target->kind->check;
	struct check *check = calloc(1, sizeof(*check) + sums * sizeof(check->sums[0]));

	if (!check) {
		if (!sums && kind->release)
			kind->release(service, slice, work);
		refuse(service, slice);
		return;
	}
	check->service = service;
	check->slice = slice;
	check->kind = kind;
	check->work = *work;
	check->count = sums;
	check->begun_ns = service_now();
	if (!sums) {
		recompute(check);
		return;
	}
	check->errand = (struct errand){.work = sums_work, .done = sums_done, .user = check};
	errands_submit(service->check_errands, &check->errand);
}

static bool each(uint64_t every, uint64_t *turn)
{
	return every && ++*turn % every == 0;
}

bool check_due(struct service *service)
{
	return each(service->config->check_every, &service->check_turn);
}

bool check_sums_due(struct service *service)
{
	return each(service->config->checksum_every, &service->sums_turn);
}

bool check_slice(void *user, struct slice *slice)
{
	const struct check_kind *kind = slice->pass->target->kind->check;
	struct service *service = user;
	struct check_work work = {0};
	uint32_t sums = 0;
	int due;

	/* The CPU is the judge. */
	if (!kind || !slice->device->board)
		return false;
	due = kind->recompute(service, slice, &work);
	if (due < 0) {
		refuse(service, slice);
		return true;
	}
	if (!due && kind->sums)
		sums = kind->sums(slice);
	if (!due && !sums)
		return false;
	begin(service, slice, &work, sums);
	return true;
}
