/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One item through a model, cut into ranges of its commands.
 *
 * A plan is for one device, the CPU, so infer_holds() gives it all commands. Positions of an ordered
 * pass may lie on several devices one after the other: a plan that does is told here by its ranges.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/job/service.h"

static struct job *unit_job(const struct sched_job *sched)
{
	return (struct job *)((char *)sched - offsetof(struct job, sched));
}

static struct model_entry *target_model(const struct sched_target *target)
{
	return (struct model_entry *)((char *)target - offsetof(struct model_entry, target));
}

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
	uint32_t count;

	pass->user = run;
	if (!run || run_fill(entry, run->run, unit_job(sched), pass->unit[0].index)) {
		sched->drop = -ENOMEM;
		return;
	}
	model_run_commands(run->run, &count);
	pass->end = count;
}

static enum hold_state infer_holds(const struct sched_target *target, const struct pass *pass,
				   uint32_t device, uint32_t units, struct pass_hold *hold)
{
	(void)units;
	if (device != FLEET_CPU)
		return HOLD_NO;
	if (pass)
		hold->ps = target->unit_ns * 1000 / (pass->end ? pass->end : 1) + 1;
	return HOLD_NOW;
}

static int infer_slice(struct pass *pass, struct slice *slice)
{
	struct model_entry *entry = target_model(pass->target);
	struct model_run_entry *run = pass->user;
	uint32_t count;

	slice->batch.commands = model_run_commands(run->run, &count) + slice->begin;
	slice->batch.count = (uint32_t)(slice->end - slice->begin);
	entry->service->metrics.slices++;
	return 0;
}

static void infer_end(struct pass *pass)
{
	struct model_entry *entry = target_model(pass->target);
	const struct model_info *info = model_info(entry->model);
	struct model_run_entry *run = pass->user;

	if (!run)
		return;
	if (pass->count && !pass->unit[0].job->drop) {
		struct job *job = unit_job(pass->unit[0].job);
		uint64_t index = pass->unit[0].index;

		for (uint32_t i = 0; i < info->outputs; i++)
			if (model_run_read(run->run, i,
					   job->infer.outputs[i] + index * info->output[i].bytes))
				pass->unit[0].job->drop = -EIO;
	}
	run->next = entry->free_runs;
	entry->free_runs = run;
}

const struct pass_kind pass_infer = {
	.name = "infer",
	.ordered = true,
	.begin = infer_begin,
	.holds = infer_holds,
	.slice = infer_slice,
	.end = infer_end,
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
