/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/sched.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Jobs of one tenant and class that wait for one target, oldest first. */
struct sched_lane {
	struct tenant *tenant;
	enum sched_class class;
	struct sched_target *target;
	struct sched_job *head, *tail;
	struct sched_lane *next;
};

struct sched {
	struct sched_config config;
	struct sched_target *targets; /* with jobs that wait */
	struct sched_lane *free_lanes;
	struct pass *passes; /* with slices to come, oldest last */
	struct pass *free_passes;
	struct slice *slices, *free_slices;
	struct sched_job *ended; /* not yet told */
	uint32_t waiting, running;
	uint64_t vclock;
	uint64_t deadline_min;	/* no waiting job has an earlier one; 0: none has one */
	uint64_t delayed_until; /* a pass waits for more units until then; 0: none does */
};

#define SMOOTH 4 /* weight of the past in unit_ns */

/* ---- virtual time ---------------------------------------------------------------------------- */
/* The virtual time it was charged. */
static uint64_t tenant_charge(struct tenant *tenant, uint64_t ns)
{
	uint64_t charged = ns / tenant->weight;

	tenant->vtime += charged;
	return charged;
}

/* Takes back what was charged, whatever the weight was then. */
static void tenant_correct(struct tenant *tenant, uint64_t charged, uint64_t measured)
{
	assert(tenant->vtime >= charged);
	tenant->vtime -= charged;
	tenant->vtime += measured / tenant->weight;
}

static void tenant_activate(struct sched *sched, struct tenant *tenant)
{
	if (tenant->jobs++ == 0 && tenant->vtime < sched->vclock)
		tenant->vtime = sched->vclock;
}

/* ---- lanes ----------------------------------------------------------------------------------- */
static struct sched_lane *lane_get(struct sched *sched, struct sched_job *job)
{
	struct sched_target *target = job->target;
	struct sched_lane *lane;

	for (lane = target->lanes; lane; lane = lane->next)
		if (lane->tenant == job->tenant && lane->class == job->class)
			return lane;
	lane = sched->free_lanes;
	if (lane)
		sched->free_lanes = lane->next;
	else
		lane = malloc(sizeof(*lane));
	if (!lane)
		return NULL;
	*lane = (struct sched_lane){.tenant = job->tenant, .class = job->class, .target = target};
	lane->next = target->lanes;
	target->lanes = lane;
	return lane;
}

static void lane_put(struct sched *sched, struct sched_lane *lane)
{
	struct sched_lane **p = &lane->target->lanes;

	while (*p != lane)
		p = &(*p)->next;
	*p = lane->next;
	lane->next = sched->free_lanes;
	sched->free_lanes = lane;
}

static void target_list(struct sched *sched, struct sched_target *target)
{
	if (target->listed)
		return;
	target->listed = true;
	target->prev = NULL;
	target->next = sched->targets;
	if (target->next)
		target->next->prev = target;
	sched->targets = target;
}

static void target_unlist(struct sched *sched, struct sched_target *target)
{
	if (target->prev)
		target->prev->next = target->next;
	else
		sched->targets = target->next;
	if (target->next)
		target->next->prev = target->prev;
	target->listed = false;
}

static void job_unlink(struct sched *sched, struct sched_job *job)
{
	struct sched_lane *lane = job->lane;
	struct sched_target *target = job->target;

	if (job->prev)
		job->prev->next = job->next;
	else
		lane->head = job->next;
	if (job->next)
		job->next->prev = job->prev;
	else
		lane->tail = job->prev;
	target->waiting -= job->units - job->taken;
	job->lane = NULL;
	sched->waiting--;
	if (!lane->head)
		lane_put(sched, lane);
	if (!target->lanes)
		target_unlist(sched, target);
}

static void job_ended(struct sched *sched, struct sched_job *job)
{
	assert(!job->lane && !job->running);
	job->next = sched->ended;
	sched->ended = job;
}

/* Tells those who wait for the jobs that have ended. They may free the jobs' targets, so this comes
 * last, when no pass is being worked on. */
static void sched_report(struct sched *sched)
{
	struct sched_job *job;

	while ((job = sched->ended)) {
		sched->ended = job->next;
		job->tenant->jobs--;
		job->ran(job, job->drop);
	}
}

/* ---- submit and cancel ------------------------------------------------------------------------ */
static uint32_t sched_retry_ms(const struct sched *sched)
{
	uint64_t ns = 0;

	for (const struct sched_target *t = sched->targets; t; t = t->next)
		ns += t->waiting * t->unit_ns;
	ns /= 1000000;
	return ns < 1 ? 1 : ns > 1000 ? 1000 : (uint32_t)ns;
}

int sched_submit(struct sched *sched, struct sched_job *job, uint32_t *retry_ms)
{
	uint64_t now = sched->config.clock(sched->config.clock_user);
	struct sched_lane *lane;

	assert(job->units > 0);
	if (job->deadline_ns && job->deadline_ns <= now)
		return -ETIMEDOUT;
	if (sched->waiting >= sched->config.queue) {
		*retry_ms = sched_retry_ms(sched);
		return -EAGAIN;
	}
	lane = lane_get(sched, job);
	if (!lane)
		return -ENOMEM;
	tenant_activate(sched, job->tenant);
	job->queued_ns = now;
	job->started_ns = job->device_ns = 0;
	job->taken = job->running = job->in_flight = 0;
	job->drop = 0;
	job->lane = lane;
	job->next = NULL;
	job->prev = lane->tail;
	if (lane->tail)
		lane->tail->next = job;
	else
		lane->head = job;
	lane->tail = job;
	job->target->waiting += job->units;
	target_list(sched, job->target);
	sched->waiting++;
	if (job->deadline_ns && (!sched->deadline_min || job->deadline_ns < sched->deadline_min))
		sched->deadline_min = job->deadline_ns;
	return 0;
}

static void job_drop(struct sched *sched, struct sched_job *job, int error)
{
	if (!job->drop)
		job->drop = error;
	if (job->lane)
		job_unlink(sched, job);
	if (!job->running)
		job_ended(sched, job);
}

void sched_cancel(struct sched *sched, struct sched_job *job, int error)
{
	job_drop(sched, job, error);
	sched_report(sched);
}

static struct sched_job *lane_expired(const struct sched_target *target, uint64_t now)
{
	for (const struct sched_lane *lane = target->lanes; lane; lane = lane->next)
		for (struct sched_job *job = lane->head; job; job = job->next)
			if (job->deadline_ns && job->deadline_ns <= now)
				return job;
	return NULL;
}

static uint64_t sched_earliest(const struct sched *sched)
{
	uint64_t min = 0;

	for (const struct sched_target *t = sched->targets; t; t = t->next)
		for (const struct sched_lane *lane = t->lanes; lane; lane = lane->next)
			for (const struct sched_job *j = lane->head; j; j = j->next)
				if (j->deadline_ns && (!min || j->deadline_ns < min))
					min = j->deadline_ns;
	return min;
}

void sched_expire(struct sched *sched)
{
	uint64_t now = sched->config.clock(sched->config.clock_user);
	struct sched_target *target;
	struct sched_job *job;

	if (!sched->deadline_min || now < sched->deadline_min)
		return;
	/* A drop may unlist lane and target, so each starts over. */
	do {
		job = NULL;
		for (target = sched->targets; target && !job; target = target->next)
			job = lane_expired(target, now);
		if (job)
			job_drop(sched, job, -ETIMEDOUT);
	} while (job);
	sched->deadline_min = sched_earliest(sched);
	sched_report(sched);
}

/* ---- passes ---------------------------------------------------------------------------------- */
static void pass_list(struct sched *sched, struct pass *pass)
{
	pass->prev = NULL;
	pass->next = sched->passes;
	if (pass->next)
		pass->next->prev = pass;
	sched->passes = pass;
}

static void pass_unlist(struct sched *sched, struct pass *pass)
{
	if (pass->prev)
		pass->prev->next = pass->next;
	else
		sched->passes = pass->next;
	if (pass->next)
		pass->next->prev = pass->prev;
}

/* The unit has left its pass: what it really cost, and the job's end if it was the last. */
static void unit_leave(struct sched *sched, struct pass *pass, struct pass_unit unit)
{
	struct sched_job *job = unit.job;

	tenant_correct(job->tenant, unit.charged, pass->share_ns);
	job->running--;
	if (!job->running && !job->lane)
		job_ended(sched, job);
}

/* Units of dropped jobs leave as soon as no slice holds them. */
static void pass_reap(struct sched *sched, struct pass *pass)
{
	uint64_t now = sched->config.clock(sched->config.clock_user);

	for (uint32_t i = 0; i < pass->count;) {
		struct pass_unit unit = pass->unit[i];
		struct sched_job *job = unit.job;

		if (!job->drop && job->deadline_ns && job->deadline_ns <= now)
			job->drop = -ETIMEDOUT;
		if (job->drop && job->lane)
			job_unlink(sched, job);
		if (!job->drop || job->in_flight) {
			i++;
			continue;
		}
		pass->unit[i] = pass->unit[--pass->count];
		unit_leave(sched, pass, unit);
	}
}

static void pass_finish(struct sched *sched, struct pass *pass)
{
	struct sched_target *target = pass->target;

	pass_unlist(sched, pass);
	if (target->kind->end)
		target->kind->end(pass);
	if (pass->share_ns)
		target->unit_ns = (target->unit_ns * (SMOOTH - 1) + pass->share_ns) / SMOOTH;
	while (pass->count)
		unit_leave(sched, pass, pass->unit[--pass->count]);
	pass->next = sched->free_passes;
	sched->free_passes = pass;
}

/* Finishes the pass if nothing of it is left to do. */
static bool pass_settle(struct sched *sched, struct pass *pass)
{
	if (pass->in_flight || (pass->count && !pass->exhausted))
		return false;
	pass_finish(sched, pass);
	return true;
}

/* ---- choice ---------------------------------------------------------------------------------- */
/* Smaller is sooner: class, then virtual finish time, then age. */
struct rank {
	enum sched_class class;
	uint64_t finish, age;
};

static bool rank_before(struct rank a, struct rank b)
{
	if (a.class != b.class)
		return a.class < b.class;
	if (a.finish != b.finish)
		return a.finish < b.finish;
	return a.age < b.age;
}

static struct rank lane_rank(const struct sched_lane *lane)
{
	return (struct rank){lane->class,
			     lane->tenant->vtime + lane->target->unit_ns / lane->tenant->weight,
			     lane->head->queued_ns};
}

static struct rank pass_rank(const struct pass *pass)
{
	struct rank rank = {pass->class, UINT64_MAX, 0};

	for (uint32_t i = 0; i < pass->count; i++)
		if (pass->unit[i].job->tenant->vtime < rank.finish)
			rank.finish = pass->unit[i].job->tenant->vtime;
	return rank;
}

/* Is the target worth a pass now, or does it wait for more units? */
static bool target_ripe(struct sched *sched, const struct sched_target *target,
			const struct sched_job *oldest, uint64_t now)
{
	uint64_t ripe;

	if (!sched->config.delay_ns || target->waiting >= target->units_max)
		return true;
	ripe = oldest->queued_ns + sched->config.delay_ns;
	if (ripe <= now)
		return true;
	if (!sched->delayed_until || ripe < sched->delayed_until)
		sched->delayed_until = ripe;
	return false;
}

static struct sched_lane *target_lane(const struct sched_target *target, const struct pass *pass,
				      struct rank *best)
{
	struct sched_lane *found = NULL;

	for (struct sched_lane *lane = target->lanes; lane; lane = lane->next) {
		struct rank rank = lane_rank(lane);

		if (pass && pass->count && target->kind->fits &&
		    !target->kind->fits(pass, lane->head))
			continue;
		if (!found || rank_before(rank, *best)) {
			found = lane;
			*best = rank;
		}
	}
	return found;
}

static struct sched_lane *sched_lane(struct sched *sched, struct rank *best)
{
	uint64_t now = sched->config.clock(sched->config.clock_user);
	struct sched_lane *found = NULL;

	sched->delayed_until = 0;
	for (struct sched_target *t = sched->targets; t; t = t->next) {
		struct rank rank;
		struct sched_lane *lane = target_lane(t, NULL, &rank);

		if (!target_ripe(sched, t, lane->head, now))
			continue;
		if (!found || rank_before(rank, *best)) {
			found = lane;
			*best = rank;
		}
	}
	return found;
}

static struct pass *sched_pass(struct sched *sched, struct rank *best)
{
	struct pass *found = NULL;

	for (struct pass *pass = sched->passes; pass; pass = pass->next) {
		struct rank rank;

		if (pass->exhausted)
			continue;
		rank = pass_rank(pass);
		if (!found || rank_before(rank, *best)) {
			found = pass;
			*best = rank;
		}
	}
	return found;
}

/* ---- filling a pass ---------------------------------------------------------------------------- */
static void pass_take(struct sched *sched, struct pass *pass, struct sched_job *job)
{
	pass->unit[pass->count++] =
		(struct pass_unit){job, job->taken, tenant_charge(job->tenant, pass->charge_ns)};
	job->running++;
	if (job->taken + 1 == job->units) {
		job_unlink(sched, job); /* counts the last unit out of waiting */
		job->taken++;
	} else {
		job->taken++;
		job->target->waiting--;
	}
}

static void pass_fill(struct sched *sched, struct pass *pass)
{
	struct sched_target *target = pass->target;
	uint64_t now = sched->config.clock(sched->config.clock_user);

	while (pass->count < target->units_max && target->lanes) {
		struct rank rank;
		struct sched_lane *lane = target_lane(target, pass, &rank);
		struct sched_job *job = lane ? lane->head : NULL;

		if (!job)
			break;
		if (job->deadline_ns && job->deadline_ns <= now) {
			job_drop(sched, job, -ETIMEDOUT);
			continue;
		}
		pass_take(sched, pass, job);
	}
}

static struct pass *pass_start(struct sched *sched, struct sched_lane *lane)
{
	struct sched_target *target = lane->target;
	struct pass *pass = sched->free_passes;

	if (pass)
		sched->free_passes = pass->next;
	else
		pass = malloc(sizeof(*pass));
	if (!pass)
		return NULL;
	if (lane->tenant->vtime > sched->vclock)
		sched->vclock = lane->tenant->vtime;
	pass->target = target;
	pass->class = lane->class;
	pass->count = pass->in_flight = 0;
	pass->position = pass->end = 0;
	pass->exhausted = false;
	pass->user = NULL;
	pass->charge_ns = target->unit_ns;
	pass->share_ns = 0;
	pass_fill(sched, pass);
	pass_list(sched, pass);
	if (target->kind->begin && pass->count)
		target->kind->begin(pass);
	return pass;
}

/* ---- slices ---------------------------------------------------------------------------------- */
static void slice_end(struct slice *slice)
{
	struct sched *sched = slice->sched;
	struct pass *pass = slice->pass;
	const struct pass_kind *kind = pass->target->kind;

	sched->running--;
	pass->in_flight--;
	pass->share_ns += slice->batch.device_ns / slice->count;
	metrics_slice(sched->config.metrics, slice->count, slice->batch.device_ns,
		      slice->batch.error);
	if (kind->slice_done)
		kind->slice_done(pass, slice);
	for (uint32_t i = 0; i < slice->count; i++) {
		struct sched_job *job = slice->unit[i].job;

		job->in_flight--;
		job->device_ns += slice->batch.device_ns;
		metrics_share(&job->tenant->metrics, sched->config.metrics,
			      slice->batch.device_ns / slice->count);
		if (slice->batch.error && !job->drop) {
			job->drop = slice->batch.error;
			if (job->lane)
				job_unlink(sched, job);
		}
	}
	slice->next_free = sched->free_slices;
	sched->free_slices = slice;
	pass_reap(sched, pass);
	pass_settle(sched, pass);
}

static void slice_completed(struct bell_entry *entry)
{
	struct slice *slice = (struct slice *)((char *)entry - offsetof(struct slice, entry));

	slice_end(slice);
	sched_report(slice->sched);
}

static void slice_done(struct device_batch *batch)
{
	struct slice *slice = batch->user;

	bell_push(slice->sched->config.bell, &slice->entry);
}

static void slice_submit(struct sched *sched, struct pass *pass, struct slice *slice)
{
	uint64_t now = sched->config.clock(sched->config.clock_user);
	struct device *device = sched->config.device;
	int err;

	sched->free_slices = slice->next_free;
	sched->running++;
	pass->in_flight++;
	for (uint32_t i = 0; i < slice->count; i++) {
		struct sched_job *job = slice->unit[i].job;

		job->in_flight++;
		if (!job->started_ns)
			job->started_ns = now;
	}
	slice->batch.done = slice_done;
	slice->batch.user = slice;
	slice->batch.error = 0;
	slice->batch.device_ns = 0;
	slice->batch.cancelled = false;
	slice->entry.run = slice_completed;
	err = device->ops->submit(device, &slice->batch);
	if (err) {
		slice->batch.error = err;
		slice_end(slice);
	}
}

/* Cuts the pass's next slice and submits it, or finishes the pass. False: all its units were dropped,
 * but slices of other passes still hold their jobs. */
static bool pass_advance(struct sched *sched, struct pass *pass)
{
	struct slice *slice = sched->free_slices;

	pass_reap(sched, pass);
	slice->pass = pass;
	slice->count = 0;
	for (uint32_t i = 0; i < pass->count; i++)
		if (!pass->unit[i].job->drop)
			slice->unit[slice->count++] = pass->unit[i];
	if (pass->count && !slice->count)
		return false;
	if (slice->count && pass->target->kind->slice(pass, slice)) {
		slice_submit(sched, pass, slice);
		return true;
	}
	pass->exhausted = true;
	pass_settle(sched, pass);
	return true;
}

void sched_run(struct sched *sched)
{
	bool more = true;

	while (more && sched->free_slices) {
		struct rank of_pass;
		struct rank of_lane;
		struct pass *pass = sched_pass(sched, &of_pass);
		struct sched_lane *lane = sched_lane(sched, &of_lane);

		if (lane && (!pass || rank_before(of_lane, of_pass)))
			pass = pass_start(sched, lane);
		more = pass && pass_advance(sched, pass);
		sched_report(sched);
	}
}

/* ---- the whole --------------------------------------------------------------------------------- */
int sched_create(const struct sched_config *config, struct sched **out)
{
	struct sched *sched = calloc(1, sizeof(*sched));

	if (!sched)
		return -ENOMEM;
	sched->config = *config;
	sched->slices = calloc(config->in_flight, sizeof(*sched->slices));
	if (!sched->slices) {
		free(sched);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < config->in_flight; i++) {
		sched->slices[i].sched = sched;
		sched->slices[i].next_free = sched->free_slices;
		sched->free_slices = &sched->slices[i];
	}
	*out = sched;
	return 0;
}

void sched_free(struct sched *sched)
{
	struct sched_lane *lane;
	struct pass *pass;

	if (!sched)
		return;
	assert(!sched->running && !sched->waiting);
	while ((lane = sched->free_lanes)) {
		sched->free_lanes = lane->next;
		free(lane);
	}
	while ((pass = sched->free_passes)) {
		sched->free_passes = pass->next;
		free(pass);
	}
	free(sched->slices);
	free(sched);
}

void sched_set_limits(struct sched *sched, uint32_t queue, uint64_t delay_ns)
{
	sched->config.queue = queue;
	sched->config.delay_ns = delay_ns;
}

uint64_t sched_wakeup(const struct sched *sched)
{
	if (!sched->deadline_min || !sched->delayed_until)
		return sched->deadline_min + sched->delayed_until;
	return sched->deadline_min < sched->delayed_until ? sched->deadline_min
							  : sched->delayed_until;
}

uint32_t sched_waiting(const struct sched *sched)
{
	return sched->waiting;
}

uint32_t sched_running(const struct sched *sched)
{
	return sched->running;
}
