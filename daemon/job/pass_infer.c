/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One item through a model, cut into ranges of its ops.
 *
 * What its tensors hold is in the host's memory whenever no slice of it runs (daemon/model/run.c), so
 * each range may go to another device: to the CPU as it is, to a board that takes these ops as a part
 * that brings along what it reads and takes back what is still wanted. A range goes where it is
 * expected to be done first, by what a unit of the model's work was measured to cost on each device,
 * its own transfers included. A board whose work runs on the CPU's processors only takes it from the
 * CPU by being faster: two queues for the same processors are none.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/job/check.h"
#include "daemon/job/model_place.h"
#include "daemon/job/service.h"

#define WORK_NS_GUESS 0.02 /* before anything was measured: 50 multiply-adds a nanosecond */
#define EXPLORE_PASSES                                                                             \
	256u /* of so many one tries boards that were slower: they may not be any more */

/* ---- the item ------------------------------------------------------------------------------------ */
static struct model_run_entry *run_take(struct model_entry *entry)
{
	struct model_run_entry *run = entry->free_runs;

	if (run) {
		entry->free_runs = run->next;
		return run;
	}
	run = calloc(1, sizeof(*run));
	if (run && model_run_create(entry->plan, &run->run)) {
		free(run);
		run = NULL;
	}
	return run;
}

static int run_fill(struct model_entry *entry, struct model_run *run, const struct job *job,
		    uint32_t index)
{
	const struct model_info *info = model_info(entry->model);
	const uint8_t *data = job->infer.data + index * job->infer.item_bytes;
	int err;

	for (uint32_t i = 0; i < info->inputs; i++) {
		err = model_run_write(run, i, data);
		if (err)
			return err;
		data += info->input[i].bytes;
	}
	return 0;
}

static void infer_begin(struct pass *pass)
{
	struct model_entry *entry = target_model(pass->target);
	struct model_run_entry *run = pass->user ? pass->user : run_take(entry);
	struct sched_job *sched = pass->unit[0].job;

	pass->user = run;
	if (!run || run_fill(entry, run->run, job_of(sched), pass->unit[0].index)) {
		sched->drop = -ENOMEM;
		return;
	}
	run->alone = false;
	pass->end = model_info(entry->model)->ops;
	pass->mode = ++entry->passes % EXPLORE_PASSES == 0;
}

static void infer_end(struct pass *pass)
{
	struct model_entry *entry = target_model(pass->target);
	const struct model_info *info = model_info(entry->model);
	struct model_run_entry *run = pass->user;

	if (!run)
		return;
	if (pass->count && !pass->unit[0].job->drop) {
		struct job *job = job_of(pass->unit[0].job);
		uint64_t index = pass->unit[0].index;

		for (uint32_t i = 0; i < info->outputs; i++)
			if (model_run_read(run->run, i,
					   job->infer.outputs[i] + index * info->output[i].bytes))
				pass->unit[0].job->drop = -EIO;
	}
	run->next = entry->free_runs;
	entry->free_runs = run;
}

/* ---- who takes what comes next ------------------------------------------------------------------- */
/* The range of ops that would be next, on one device. */
struct range {
	uint32_t device, begin, end;
	double ns; /* that it would take there */
};

static double cpu_work_ns(const struct model_entry *entry)
{
	return entry->cost.ns[FLEET_CPU] > 0 ? entry->cost.ns[FLEET_CPU] : WORK_NS_GUESS;
}

/* Of a board that was not measured, or is tried again: that it is the faster one. */
static double work_ns(const struct model_entry *entry, const struct pass *pass, uint32_t device)
{
	double hoped = cpu_work_ns(entry) / 2, ns = entry->cost.ns[device];

	if (device == FLEET_CPU)
		return cpu_work_ns(entry);
	return ns <= 0 || (pass && pass->mode && ns > hoped) ? hoped : ns;
}

/* As many ops as make one slice. */
static void range_cut(const struct model_entry *entry, const struct pass *pass, struct range *range)
{
	double ns = work_ns(entry, pass, range->device);
	double most = (double)entry->service->config->slice_us * 1000;
	uint32_t begin = range->begin, low = begin + 1, high = range->end;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if ((double)model_work(entry->model, begin, middle) * ns <= most)
			low = middle;
		else
			high = middle - 1;
	}
	range->end = low;
	range->ns = (double)model_work(entry->model, begin, low) * ns + 1;
}

static bool range_on(const struct model_entry *entry, const struct pass *pass, uint32_t device,
		     uint32_t begin, struct range *range)
{
	const struct model_plan *plan;

	*range = (struct range){device, begin, model_info(entry->model)->ops, 0};
	if (pass && pass->avoid >> device & 1)
		return false;
	if (device != FLEET_CPU) {
		plan = model_place_plan(entry, device);
		if (!plan || !fleet_works(&entry->service->fleet.device[device]))
			return false;
		range->end = model_plan_reach(plan, begin);
	}
	if (range->end <= begin)
		return false;
	range_cut(entry, pass, range);
	return true;
}

/* What is gained by giving the range to the board rather than to the CPU, a unit of work. */
static double range_gain(const struct model_entry *entry, const struct range *range)
{
	const struct fleet *fleet = &entry->service->fleet;
	const struct fleet_device *board = &fleet->device[range->device];
	double work = (double)model_work(entry->model, range->begin, range->end) + 1;
	double gain = work * cpu_work_ns(entry) - range->ns;
	uint64_t now = service_now();

	if (board->preferred)
		return INFINITY;
	if (!board->caps.shares_cpu)
		gain += (double)fleet_backlog_ns(&fleet->device[FLEET_CPU], now) -
			(double)fleet_backlog_ns(board, now);
	return gain / work;
}

/* False: no device can take what comes next. */
static bool infer_choose(const struct model_entry *entry, const struct pass *pass, uint32_t begin,
			 struct range *best)
{
	bool found = range_on(entry, pass, FLEET_CPU, begin, best);
	double most = found ? 0 : -INFINITY;

	for (uint32_t d = 1; d < entry->service->fleet.count; d++) {
		struct range range;
		double gain;

		if (!range_on(entry, pass, d, begin, &range))
			continue;
		gain = range_gain(entry, &range);
		if (gain <= most)
			continue; /* of preferred boards the first */
		most = gain;
		*best = range;
		found = true;
	}
	return found;
}

static enum hold_state infer_holds(const struct sched_target *target, const struct pass *pass,
				   uint32_t device, uint32_t units, struct pass_hold *hold)
{
	const struct model_entry *entry = target_model(target);
	const struct model_run_entry *run = pass ? pass->user : NULL;
	uint32_t begin = pass && pass->parts && !pass->restart ? (uint32_t)pass->part[0].begin : 0;
	struct range own, best;

	(void)units;
	if (!range_on(entry, pass, device, begin, &own))
		return HOLD_NO;
	hold->begin = own.begin;
	hold->end = own.end;
	hold->ps = (uint64_t)(own.ns * 1000 / (own.end - own.begin)) + 1;
	if ((run && run->alone) || (device != FLEET_CPU && model_place_full(entry, device)))
		return HOLD_LATER;
	return infer_choose(entry, pass, begin, &best) && best.device == device ? HOLD_NOW
										: HOLD_LATER;
}

/* ---- a slice --------------------------------------------------------------------------------------- */
static int part_slice(struct model_entry *entry, struct model_run_entry *run, struct slice *slice)
{
	struct service *service = entry->service;
	const struct model_part_options options = {
		.aside = check_due(service),
		.watch_every = service->config->checksum_every,
		.watch_turn = &service->sums_turn,
	};
	int err = -EAGAIN;

	slice->part = NULL;
	slice->arena = model_place_use(entry, slice->device->index);
	if (slice->arena)
		err = model_part_create(run->run, slice->arena, (uint32_t)slice->begin,
					(uint32_t)slice->end, &options, &slice->part);
	if (err)
		return err;
	run->alone = options.aside;
	slice->batch.commands = model_part_commands(slice->part, &slice->batch.count);
	return 0;
}

static int infer_slice(struct pass *pass, struct slice *slice)
{
	struct model_entry *entry = target_model(pass->target);
	struct model_run_entry *run = pass->user;
	uint32_t count;

	entry->service->metrics.slices++;
	slice->batch.trace = job_of(slice->unit[0].job)->request->trace;
	slice->part = NULL;
	slice->arena = NULL;
	if (!slice->device->caps.reads_host_memory)
		return part_slice(entry, run, slice);
	slice->batch.commands = model_run_commands(run->run, &count) + slice->begin;
	slice->batch.count = (uint32_t)(slice->end - slice->begin);
	return 0;
}

static void slice_measure(struct model_entry *entry, struct slice *slice)
{
	double work =
		(double)model_work(entry->model, (uint32_t)slice->begin, (uint32_t)slice->end) + 1;

	slice->cost_ns =
		cost_measure(&entry->cost, slice->device->index, work, slice->batch.device_ns);
}

static void part_done(struct model_entry *entry, struct slice *slice)
{
	struct metrics_device *metrics = slice->device->metrics;
	uint64_t up, down;

	if (slice->part) {
		model_part_moved(slice->part, &up, &down);
		metrics->up_bytes += up;
		metrics->down_bytes += down;
	}
	model_part_free(slice->part);
	slice->part = NULL;
	if (slice->arena)
		model_place_done(entry, slice->device->index, slice->arena, slice->batch.error);
	slice->arena = NULL;
}

static void infer_slice_done(struct pass *pass, struct slice *slice)
{
	struct model_entry *entry = target_model(pass->target);
	struct model_run_entry *run = pass->user;

	if (slice->part && model_part_is_aside(slice->part))
		run->alone = false;
	if (!slice->batch.error)
		slice_measure(entry, slice);
	if (slice->arena)
		part_done(entry, slice);
}

const struct pass_kind pass_infer = {
	.name = "infer",
	.ordered = true,
	.begin = infer_begin,
	.holds = infer_holds,
	.slice = infer_slice,
	.slice_done = infer_slice_done,
	.end = infer_end,
	.check = &check_infer,
};

/* ---- from a request's tensors ------------------------------------------------------------------ */
static void infer_ran(struct job *job)
{
	job->infer.then(job);
}

void job_infer(struct job *job, const Facet__Wire__Tensors *tensors, job_step then)
{
	const struct model_info *info = model_info(job->model->model);
	uint64_t item = 0;
	const void *data;

	for (uint32_t i = 0; i < info->inputs; i++)
		item += info->input[i].bytes;
	if (!tensors->count || tensors->count > job->service->config->queries) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "%u items; send 1 to %" PRIu64 " at once", tensors->count,
			 job->service->config->queries);
		return;
	}
	if (job_bulk(job, tensors->data, item * tensors->count, 1, "the tensors", &data))
		return;
	for (uint32_t i = 0; i < info->outputs; i++) {
		job->infer.outputs[i] = job_need(job, info->output[i].bytes * tensors->count);
		if (!job->infer.outputs[i])
			return;
	}
	job->infer.data = data;
	job->infer.item_bytes = item;
	job->infer.then = then;
	job_schedule(job, &job->model->target, tensors->count, infer_ran);
}
