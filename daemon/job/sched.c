/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/sched_internal.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- virtual time ---------------------------------------------------------------------------- */
uint64_t sched_charge(struct tenant *tenant, uint64_t ns)
{
	uint64_t charged = ns / tenant->weight;

	tenant->vtime += charged;
	return charged;
}

/* Takes back what was charged, whatever the weight was then. */
void sched_correct(struct tenant *tenant, uint64_t charged, uint64_t measured)
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

void sched_job_unlink(struct sched *sched, struct sched_job *job)
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

void sched_job_ended(struct sched *sched, struct sched_job *job)
{
	assert(!job->lane && !job->running);
	job->next = sched->ended;
	sched->ended = job;
}

void sched_report(struct sched *sched)
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
	uint64_t now = sched_now(sched);
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
	job->devices = 0;
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

void sched_job_drop(struct sched *sched, struct sched_job *job, int error)
{
	if (!job->drop)
		job->drop = error;
	if (job->lane)
		sched_job_unlink(sched, job);
	if (!job->running)
		sched_job_ended(sched, job);
}

void sched_cancel(struct sched *sched, struct sched_job *job, int error)
{
	sched_job_drop(sched, job, error);
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
	uint64_t now = sched_now(sched);
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
			sched_job_drop(sched, job, -ETIMEDOUT);
	} while (job);
	sched->deadline_min = sched_earliest(sched);
	sched_report(sched);
}

/* ---- the whole --------------------------------------------------------------------------------- */
int sched_create(const struct sched_config *config, struct sched **out)
{
	struct sched *sched = calloc(1, sizeof(*sched));
	uint32_t slices = config->in_flight * FLEET_MAX;

	if (!sched)
		return -ENOMEM;
	sched->config = *config;
	sched->slices = calloc(slices, sizeof(*sched->slices));
	if (!sched->slices) {
		free(sched);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < slices; i++) {
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

void sched_set_limits(struct sched *sched, uint32_t queue, uint64_t delay_ns, uint64_t slice_ns)
{
	sched->config.queue = queue;
	sched->config.delay_ns = delay_ns;
	sched->config.slice_ns = slice_ns;
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
