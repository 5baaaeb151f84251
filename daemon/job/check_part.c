/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth of models on boards. A part that is to be recomputed left its results beside the item's
 * memory: the CPU runs the same ops in that memory, and the bytes are compared. Of other parts the
 * products that brought sums of their accumulators are compared with the sums of what they read, on a
 * thread of its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/job/check_part.h"

/* Of one watched product. */
struct sum {
	uint32_t op;
	bool right;
	uint64_t ns;
};

struct part_check {
	struct service *service;
	struct slice *slice;
	struct errand errand;
	struct device_batch batch;
	struct bell_entry bell;
	uint64_t begun_ns, expected_ns;
	uint32_t count;
	struct sum sums[];
};

static struct model_entry *check_model(const struct part_check *check)
{
	const struct sched_target *target = check->slice->pass->target;

	return (struct model_entry *)((char *)target - offsetof(struct model_entry, target));
}

static struct fleet_device *judge(const struct part_check *check)
{
	return &check->service->fleet.device[FLEET_CPU];
}

static void over(struct part_check *check, enum metrics_check kind, int err)
{
	struct slice *slice = check->slice;
	struct metrics_device *metrics = slice->device->metrics;

	metrics->checks[kind]++;
	metrics->check_ns[kind] += service_now() - check->begun_ns;
	if (err == -EBADMSG) {
		metrics->mismatches[kind]++;
		log_write(&check->service->log, LOG_LEVEL_ERROR, "mismatch",
			  "device=%s trace=%016" PRIx64 " model=%s ops=%" PRIu64 "-%" PRIu64
			  " by=%s text=\"its work on a model was wrong; it is repeated elsewhere\"",
			  slice->device->name, slice->batch.trace, check_model(check)->name,
			  slice->begin, slice->end,
			  kind == CHECK_SUMS ? "checksum" : "recomputing");
		if (slice->device->health)
			fleet_judge(slice->device, err, service_now());
	}
	free(check);
	sched_checked(slice, err);
}

/* ---- computed again ----------------------------------------------------------------------------- */
static void recomputed(struct bell_entry *bell)
{
	struct part_check *check =
		(struct part_check *)((char *)bell - offsetof(struct part_check, bell));
	int err = -EIO; /* what could not be checked is not let out */

	fleet_over(judge(check), service_now(), check->expected_ns, check->batch.device_ns,
		   check->batch.error);
	if (!check->batch.error)
		err = model_part_same(check->slice->part) ? 0 : -EBADMSG;
	over(check, CHECK_RECOMPUTED, err);
}

static void recompute_done(struct device_batch *batch)
{
	struct part_check *check = batch->user;

	bell_push(&check->service->bell, &check->bell);
}

static void recompute(struct part_check *check)
{
	const struct slice *slice = check->slice;
	const struct model_entry *entry = check_model(check);
	const struct model_run_entry *run = slice->pass->user;
	struct device *device = judge(check)->device;
	uint32_t count;

	check->batch.commands = model_run_commands(run->run, &count) + slice->begin;
	check->batch.count = (uint32_t)(slice->end - slice->begin);
	check->batch.trace = slice->batch.trace;
	check->batch.done = recompute_done;
	check->batch.user = check;
	check->bell.run = recomputed;
	check->expected_ns = (uint64_t)(entry->ns[FLEET_CPU] *
					(double)model_work(entry->model, (uint32_t)slice->begin,
							   (uint32_t)slice->end));
	fleet_begin(judge(check), check->begun_ns, check->expected_ns);
	if (device->ops->submit(device, &check->batch)) {
		check->batch.error = -EIO;
		bell_push(&check->service->bell, &check->bell);
	}
}

/* ---- by sums --------------------------------------------------------------------------------------- */
static void sums_work(struct errand *errand)
{
	struct part_check *check = errand->user;

	for (uint32_t i = 0; i < check->count; i++) {
		uint64_t begun = service_now();

		check->sums[i].right =
			model_part_sums_right(check->slice->part, i, &check->sums[i].op);
		check->sums[i].ns = service_now() - begun;
	}
}

static void sums_done(struct errand *errand)
{
	struct part_check *check = errand->user;
	const struct model_entry *entry = check_model(check);
	int err = 0;

	for (uint32_t i = 0; i < check->count; i++) {
		const struct sum *sum = &check->sums[i];
		struct metrics_layer *layer = metrics_layer(
			&check->service->metrics, entry->name, sum->op,
			model_op(entry->model, sum->op) == DEVICE_GEMM ? "gemm" : "conv2d");

		layer->checked++;
		layer->checks_ns += sum->ns;
		layer->mismatches += !sum->right;
		if (!sum->right)
			err = -EBADMSG;
	}
	over(check, CHECK_SUMS, err);
}

/* ---- begun -------------------------------------------------------------------------------------------- */
static void give_up(struct bell_entry *bell)
{
	struct slice *slice = (struct slice *)((char *)bell - offsetof(struct slice, entry));

	sched_checked(slice, -EIO);
}

bool check_part(struct service *service, struct slice *slice)
{
	bool aside = model_part_is_aside(slice->part);
	uint32_t count = aside ? 0 : model_part_watched(slice->part);
	struct part_check *check;

	if (!aside && !count)
		return false;
	check = calloc(1, sizeof(*check) + count * sizeof(check->sums[0]));
	if (!check) {
		slice->entry.run = give_up;
		bell_push(&service->bell, &slice->entry);
		return true;
	}
	check->service = service;
	check->slice = slice;
	check->count = count;
	check->begun_ns = service_now();
	if (aside) {
		recompute(check);
	} else {
		check->errand =
			(struct errand){.work = sums_work, .done = sums_done, .user = check};
		errands_submit(service->check_errands, &check->errand);
	}
	return true;
}
