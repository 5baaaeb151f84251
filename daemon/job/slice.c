/* SPDX-License-Identifier: Apache-2.0 */
/* Slices: which pass a device works on next, the batch it gets, and what becomes of it. */
#include "daemon/job/sched_internal.h"

#include <errno.h>
#include <stddef.h>

#include "daemon/net/metrics.h"

/* ---- choice ---------------------------------------------------------------------------------- */
/* Until when the pass may wait: no longer than the earliest deadline of its jobs lets it. */
static uint64_t target_ripens(const struct sched *sched, const struct sched_target *target,
			      const struct sched_job *oldest)
{
	uint64_t ripe = oldest->queued_ns + sched->config.delay_ns;
	uint64_t takes = target->pass_ns + target->pass_ns / 4; /* with something in hand */

	for (const struct sched_lane *lane = target->lanes; lane; lane = lane->next) {
		for (const struct sched_job *job = lane->head; job; job = job->next) {
			uint64_t latest = job->deadline_ns > takes ? job->deadline_ns - takes : 0;

			if (job->deadline_ns && latest < ripe)
				ripe = latest;
		}
	}
	return ripe;
}

/* Is the target worth a pass now, or does it wait for more units? */
static bool target_ripe(struct sched *sched, const struct sched_target *target,
			const struct sched_job *oldest, uint64_t now)
{
	uint64_t ripe;

	if (!sched->config.delay_ns || target->waiting >= target->units_max)
		return true;
	ripe = target_ripens(sched, target, oldest);
	if (ripe <= now)
		return true;
	if (!sched->delayed_until || ripe < sched->delayed_until)
		sched->delayed_until = ripe;
	return false;
}

static struct sched_lane *sched_lane(struct sched *sched, uint32_t device, struct rank *best)
{
	uint64_t now = sched_now(sched);
	struct sched_lane *found = NULL;

	for (struct sched_target *t = sched->targets; t; t = t->next) {
		uint32_t units = t->waiting < t->units_max ? (uint32_t)t->waiting : t->units_max;
		struct rank rank;
		struct sched_lane *lane = target_lane(t, NULL, &rank);

		if ((found && !rank_before(rank, *best)) || !target_ripe(sched, t, lane->head, now))
			continue;
		if (!share_of_target(sched, t, device, units))
			continue;
		found = lane;
		*best = rank;
	}
	return found;
}

/* A pass whose units have all been dropped is over as soon as no slice holds them. */
static struct pass *sched_idle_pass(struct sched *sched)
{
	for (struct pass *pass = sched->passes; pass; pass = pass->next) {
		if (pass->in_flight || pass_live(pass))
			continue;
		pass_reap(sched, pass);
		if (!pass->count)
			return pass;
	}
	return NULL;
}

static struct pass *sched_pass(struct sched *sched, uint32_t device, struct rank *best,
			       struct share *share)
{
	struct pass *found = NULL;

	for (struct pass *pass = sched->passes; pass; pass = pass->next) {
		struct rank rank = pass_rank(pass);
		struct share of;

		if ((found && !rank_before(rank, *best)) || !pass->parts || !pass_live(pass) ||
		    !share_of_pass(sched, pass, device, &of))
			continue;
		found = pass;
		*best = rank;
		*share = of;
	}
	return found;
}

/* ---- the end of a slice ---------------------------------------------------------------------- */
/* What is the device's fault is one error for all, which a client may try again. */
static int slice_error(int error)
{
	static const int of_device[] = {-EIO, -ENODEV, -ETIMEDOUT, -ECANCELED, -EBADMSG, -ESTALE};

	for (size_t i = 0; i < sizeof(of_device) / sizeof(of_device[0]); i++)
		if (of_device[i] == error)
			return -EREMOTEIO;
	return error;
}

/* Failed on one device: the positions are for another, if any can take them and none has tried. */
static bool slice_again(struct sched *sched, struct slice *slice)
{
	struct pass *pass = slice->pass;
	uint32_t bit = UINT32_C(1) << slice->device->index;

	if (slice->avoid & ~bit)
		return false;
	pass_give_back(pass, slice);
	return pass_served(sched, pass);
}

static void slice_failed(struct sched *sched, struct slice *slice)
{
	int error = slice_error(slice->batch.error);

	if (slice_again(sched, slice)) {
		slice->device->repeated++;
		if (slice->device->metrics)
			slice->device->metrics->repeats++;
		return;
	}
	for (uint32_t i = 0; i < slice->count; i++) {
		struct sched_job *job = slice->unit[i].job;

		if (job->drop)
			continue;
		job->drop = error;
		if (job->lane)
			sched_job_unlink(sched, job);
	}
}

static void slice_count(const struct slice *slice)
{
	struct metrics_device *metrics = slice->device->metrics;
	uint64_t ns = slice->batch.device_ns;

	if (!metrics)
		return;
	metrics_slice(metrics, slice->count, ns, slice->batch.error);
	for (uint32_t i = 0; i < slice->count; i++)
		metrics_share(&slice->unit[i].job->tenant->metrics, metrics, ns / slice->count);
}

static void slice_end(struct slice *slice)
{
	struct sched *sched = slice->sched;
	struct pass *pass = slice->pass;
	const struct pass_kind *kind = pass->target->kind;
	int error = slice->batch.error;

	sched->running--;
	pass->in_flight--;
	slice->cost_ns = slice->batch.device_ns;
	slice_count(slice);
	if (kind->slice_done)
		kind->slice_done(pass, slice);
	pass->share_ns += slice->cost_ns / slice->count;
	for (uint32_t i = 0; i < slice->count; i++) {
		struct sched_job *job = slice->unit[i].job;

		job->in_flight--;
		job->device_ns += slice->batch.device_ns;
		if (!error)
			job->devices |= UINT32_C(1) << slice->device->index;
	}
	if (error)
		slice_failed(sched, slice);
	slice->next_free = sched->free_slices;
	sched->free_slices = slice;
	pass_reap(sched, pass);
	pass_settle(sched, pass);
}

static void slice_over(struct slice *slice, int error)
{
	fleet_over(slice->device, sched_now(slice->sched), slice->expected_ns,
		   slice->batch.device_ns, error);
}

static void slice_completed(struct bell_entry *entry)
{
	struct slice *slice = (struct slice *)((char *)entry - offsetof(struct slice, entry));
	const struct sched_config *config = &slice->sched->config;

	slice_over(slice, slice->batch.error);
	if (!slice->batch.error && config->check && config->check(config->check_user, slice))
		return;
	slice_end(slice);
	sched_report(slice->sched);
}

void sched_checked(struct slice *slice, int error)
{
	slice->batch.error = error;
	slice_end(slice);
	sched_report(slice->sched);
}

static void slice_done(struct device_batch *batch)
{
	struct slice *slice = batch->user;

	bell_push(slice->sched->config.bell, &slice->entry);
}

/* ---- a slice to a device ------------------------------------------------------------------------ */
static void slice_submit(struct sched *sched, struct slice *slice)
{
	uint64_t now = sched_now(sched);
	struct device *device = slice->device->device;
	int err;

	for (uint32_t i = 0; i < slice->count; i++)
		if (!slice->unit[i].job->started_ns)
			slice->unit[i].job->started_ns = now;
	slice->batch.done = slice_done;
	slice->batch.user = slice;
	slice->batch.error = 0;
	slice->batch.device_ns = 0;
	slice->batch.cancelled = false;
	slice->entry.run = slice_completed;
	fleet_begin(slice->device, now, slice->expected_ns);
	err = device->ops->submit(device, &slice->batch);
	if (err) {
		slice->batch.error = err;
		slice_over(slice, err);
		slice_end(slice);
	}
}

/* The units of the pass that are still wanted. */
static void slice_fill(struct slice *slice, struct pass *pass, const struct share *share)
{
	slice->pass = pass;
	slice->begin = share->begin;
	slice->end = share->end;
	slice->avoid = pass->part[share->part].avoid;
	slice->expected_ns = (share->end - share->begin) * share->ps / 1000;
	slice->count = 0;
	for (uint32_t i = 0; i < pass->count; i++)
		if (!pass->unit[i].job->drop)
			slice->unit[slice->count++] = pass->unit[i];
}

static void pass_advance(struct sched *sched, struct pass *pass, struct fleet_device *device,
			 const struct share *share)
{
	struct slice *slice = sched->free_slices;
	int err;

	sched->free_slices = slice->next_free;
	slice->device = device;
	slice_fill(slice, pass, share);
	pass_take(pass, share);
	pass->device = device->index;
	pass->in_flight++;
	sched->running++;
	for (uint32_t i = 0; i < slice->count; i++)
		slice->unit[i].job->in_flight++;
	err = pass->target->kind->slice(pass, slice);
	if (!err) {
		slice_submit(sched, slice);
		return;
	}
	/* Not the device's fault, and no other can do better. */
	slice->batch.error = err;
	slice->batch.device_ns = 0;
	slice->avoid = UINT32_MAX;
	slice_end(slice);
}

/* Gives the device one slice, or gets on with what stands in the way of one; false: it has its fill,
 * or there is nothing for it. */
static bool sched_give(struct sched *sched, struct fleet_device *device)
{
	struct rank of_pass, of_lane;
	struct share share;
	struct sched_lane *lane;
	struct pass *pass;

	if (!fleet_works(device) || device->in_flight >= sched->config.in_flight ||
	    !sched->free_slices)
		return false;
	pass = sched_pass(sched, device->index, &of_pass, &share);
	lane = sched_lane(sched, device->index, &of_lane);
	if (lane && (!pass || rank_before(of_lane, of_pass))) {
		pass = pass_start(sched, lane);
		if (!pass || pass_settle(sched, pass))
			return pass != NULL;
	} else if (!pass) {
		return false;
	}
	pass_reap(sched, pass);
	if (!pass_settle(sched, pass) && share_of_pass(sched, pass, device->index, &share))
		pass_advance(sched, pass, device, &share);
	return true;
}

/* ---- what no device can take --------------------------------------------------------------------- */
static void pass_strand(struct sched *sched, struct pass *pass)
{
	for (uint32_t i = 0; i < pass->count; i++)
		if (!pass->unit[i].job->drop)
			pass->unit[i].job->drop = -EREMOTEIO;
	pass_reap(sched, pass);
}

/* Jobs that nobody will ever take end, and so do passes whose jobs have. True if there was one. */
static bool sched_sweep(struct sched *sched)
{
	struct pass *idle = sched_idle_pass(sched);

	if (idle)
		return pass_settle(sched, idle);
	for (struct pass *pass = sched->passes; pass; pass = pass->next)
		if (!pass->in_flight && pass_live(pass) && !pass_served(sched, pass)) {
			pass_strand(sched, pass);
			return true;
		}
	for (struct sched_target *t = sched->targets; t; t = t->next)
		if (!target_served(sched, t)) {
			sched_job_drop(sched, t->lanes->head, -EREMOTEIO);
			return true;
		}
	return false;
}

void sched_run(struct sched *sched)
{
	bool more = true;

	while (more) {
		more = false;
		sched->delayed_until = 0;
		while (sched_sweep(sched))
			more = true;
		/* Boards first: the CPU has other things to do. */
		for (uint32_t i = sched->config.fleet->count; i--;)
			more |= sched_give(sched, &sched->config.fleet->device[i]);
		sched_report(sched);
	}
}
