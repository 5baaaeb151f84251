/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/job/readback.h"

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
	enum metrics_check how;
	bool rows; /* are to be read back, too */
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

static void read_back(struct check *check);

static void mismatch(struct check *check)
{
	static const char *const names[CHECKS] = {[CHECK_RECOMPUTED] = "recomputing",
						  [CHECK_ROWS] = "reading back",
						  [CHECK_SUMS] = "checksum"};
	struct slice *slice = check->slice;
	char text[120];

	slice->device->metrics->mismatches[check->how]++;
	check->kind->describe(slice, text, sizeof(text));
	log_write(&check->service->log, LOG_LEVEL_ERROR, "mismatch",
		  "device=%s trace=%016" PRIx64
		  " %s by=\"%s\" text=\"what it did was wrong; it is repeated elsewhere\"",
		  slice->device->name, slice->batch.trace, text, names[check->how]);
	if (slice->device->health)
		fleet_judge(slice->device, -EBADMSG, service_now());
}

static void over(struct check *check, int err)
{
	struct slice *slice = check->slice;
	struct metrics_device *metrics = slice->device->metrics;

	metrics->checks[check->how]++;
	metrics->check_ns[check->how] += service_now() - check->begun_ns;
	if (!err && check->rows) {
		read_back(check);
		return;
	}
	if (err == -EBADMSG)
		mismatch(check);
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
	over(check, err);
}

static void recompute_done(struct device_batch *batch)
{
	struct check *check = batch->user;

	bell_push(&check->service->bell, &check->bell);
}

static void recompute(struct check *check)
{
	struct device *device = judge(check)->device;

	check->how = CHECK_RECOMPUTED;
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

/* ---- read back ------------------------------------------------------------------------------------ */
static void rows_over(void *user, int err)
{
	over(user, err);
}

static void rows_refused(struct bell_entry *bell)
{
	over((struct check *)((char *)bell - offsetof(struct check, bell)), -EIO);
}

static void read_back(struct check *check)
{
	check->how = CHECK_ROWS;
	check->rows = false;
	check->begun_ns = service_now();
	if (readback_begin(check->service, check->slice, rows_over, check)) {
		check->bell.run = rows_refused;
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
	over(check, err);
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

static void sums_begin(struct check *check)
{
	check->how = CHECK_SUMS;
	check->errand = (struct errand){.work = sums_work, .done = sums_done, .user = check};
	errands_submit(check->service->check_errands, &check->errand);
}

/* The ways in which a slice is checked. */
struct ways {
	struct check_work work; /* commands: to be computed again */
	bool rows;
	uint32_t sums;
};

static void begin(struct service *service, struct slice *slice, struct ways *ways)
{
	const struct check_kind *kind = slice->pass->target->kind->check;
	struct check *check = calloc(1, sizeof(*check) + ways->sums * sizeof(check->sums[0]));

	if (!check) {
		if (ways->work.commands && kind->release)
			kind->release(service, slice, &ways->work);
		refuse(service, slice);
		return;
	}
	check->service = service;
	check->slice = slice;
	check->kind = kind;
	check->work = ways->work;
	check->rows = ways->rows;
	check->count = ways->sums;
	check->begun_ns = service_now();
	if (ways->work.commands)
		recompute(check);
	else if (ways->rows)
		read_back(check);
	else
		sums_begin(check);
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

bool check_rows_due(struct service *service)
{
	return each(service->config->readback_every, &service->rows_turn);
}

bool check_slice(void *user, struct slice *slice)
{
	const struct check_kind *kind = slice->pass->target->kind->check;
	struct service *service = user;
	struct ways ways = {0};
	int due;

	/* The CPU is the judge. */
	if (!kind || !slice->device->board)
		return false;
	due = kind->recompute(service, slice, &ways.work);
	if (due < 0) {
		refuse(service, slice);
		return true;
	}
	ways.rows = kind->rows && kind->rows(service, slice);
	if (!due && kind->sums)
		ways.sums = kind->sums(slice);
	if (!due && !ways.rows && !ways.sums)
		return false;
	begin(service, slice, &ways);
	return true;
}
