/* SPDX-License-Identifier: Apache-2.0 */
/* Raw kernels: a pass is one client's gemm or conv2d, cut by rows. */
#include <stddef.h>

#include "daemon/job/check.h"
#include "daemon/job/raw.h"

#define RAW_NS_GUESS 0.05 /* a multiply-add; only the size of slices depends on it */

static void raw_begin(struct pass *pass)
{
	pass->end = raw_of(pass->unit[0].job)->rows;
}

static uint64_t row_ps(const struct service *service, const struct raw_job *raw, uint32_t device)
{
	double ns = service->raw_cost[raw->conv].ns[device];

	if (ns <= 0)
		ns = RAW_NS_GUESS;
	return (uint64_t)((double)raw->macs / raw->rows * ns * 1000) + 1;
}

/* The CPU can always; a board, where the job has been put on it. */
static enum hold_state raw_holds(const struct sched_target *target, const struct pass *pass,
				 uint32_t device, uint32_t units, struct pass_hold *hold)
{
	const struct service *service =
		(const struct service *)((const char *)target - offsetof(struct service, raw));
	const struct raw_job *raw;
	bool placed;

	(void)units;
	if (!pass || !pass->count)
		return device == FLEET_CPU ? HOLD_NOW : HOLD_NO;
	raw = raw_of(pass->unit[0].job);
	placed = raw->place && raw_place_usable(raw->place);
	hold->ps = row_ps(service, raw, device);
	if (device == FLEET_CPU)
		return placed && raw_place_alone(raw->place) ? HOLD_LATER : HOLD_NOW;
	return placed && raw_place_device(raw->place) == device ? HOLD_NOW : HOLD_NO;
}

/* ---- slices ------------------------------------------------------------------------------------------- */
void raw_command(const struct raw_job *raw, uint64_t n, struct device_command *command)
{
	*command = raw->command;
	if (raw->conv)
		command->conv2d.n = (uint32_t)n;
	else
		command->gemm.m = (uint32_t)n;
}

/* The part of an operand that rows [begin, begin + n) of `rows` cover. */
static struct device_span raw_span(struct device_buffer *buffer, uint64_t bytes, uint64_t rows,
				   uint64_t begin, uint64_t n)
{
	if (!buffer)
		return (struct device_span){0};
	return (struct device_span){buffer, bytes / rows * begin, bytes / rows * n};
}

static void cpu_command(const struct raw_job *raw, const struct slice *slice,
			struct device_command *c)
{
	uint64_t begin = slice->begin, n = slice->end - slice->begin;

	raw_command(raw, n, c);
	c->weights = raw->weights;
	c->in[0] = raw_span(raw->in, raw->x_bytes, raw->rows, begin, n);
	c->in[1] = raw_span(raw->extra, raw->r_bytes, raw->rows, begin, n);
	c->out = raw_span(raw->out, raw->y_bytes, raw->rows, begin, n);
}

static int raw_slice(struct pass *pass, struct slice *slice)
{
	struct sched_job *sched = pass->unit[0].job;
	struct job *job = job_of(sched);

	job->service->metrics.slices++;
	slice->raw = NULL;
	slice->batch.trace = job->request->trace;
	/* Of a board's slice too: it is what would check it. */
	cpu_command(raw_of(sched), slice, &slice->command);
	if (slice->device->index != FLEET_CPU)
		return raw_part_create(job->service, raw_of(sched), slice);
	slice->batch.commands = &slice->command;
	slice->batch.count = 1;
	return 0;
}

static void raw_slice_done(struct pass *pass, struct slice *slice)
{
	struct service *service =
		(struct service *)((char *)pass->target - offsetof(struct service, raw));
	struct raw_job *raw = raw_of(slice->unit[0].job);
	double work = (double)raw->macs / raw->rows * (double)(slice->end - slice->begin);

	if (!slice->batch.error)
		slice->cost_ns = cost_measure(&service->raw_cost[raw->conv], slice->device->index,
					      work, slice->batch.device_ns);
	if (slice->device->index != FLEET_CPU)
		raw_part_done(raw, slice);
}

const struct pass_kind pass_raw = {
	.name = "raw",
	.begin = raw_begin,
	.holds = raw_holds,
	.slice = raw_slice,
	.slice_done = raw_slice_done,
	.check = &check_raw,
};
