/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: which units are in one, what of its positions is still to be given out, and its end. */
#include "daemon/job/sched_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#define SMOOTH 4 /* weight of the past in unit_ns and pass_ns */

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

	sched_correct(job->tenant, unit.charged, pass->share_ns);
	job->running--;
	if (!job->running && !job->lane)
		sched_job_ended(sched, job);
}

void pass_reap(struct sched *sched, struct pass *pass)
{
	uint64_t now = sched_now(sched);

	for (uint32_t i = 0; i < pass->count;) {
		struct pass_unit unit = pass->unit[i];
		struct sched_job *job = unit.job;

		if (!job->drop && job->deadline_ns && job->deadline_ns <= now)
			job->drop = -ETIMEDOUT;
		if (job->drop && job->lane)
			sched_job_unlink(sched, job);
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
	uint64_t now = sched_now(sched);

	pass_unlist(sched, pass);
	if (target->kind->end)
		target->kind->end(pass);
	if (pass->share_ns) {
		target->unit_ns = (target->unit_ns * (SMOOTH - 1) + pass->share_ns) / SMOOTH;
		target->pass_ns =
			target->pass_ns
				? (target->pass_ns * (SMOOTH - 1) + now - pass->begun_ns) / SMOOTH
				: now - pass->begun_ns;
	}
	while (pass->count)
		unit_leave(sched, pass, pass->unit[--pass->count]);
	pass->next = sched->free_passes;
	sched->free_passes = pass;
}

static void pass_restart(struct pass *pass)
{
	const struct pass_kind *kind = pass->target->kind;

	pass->restart = false;
	pass->parts = 0;
	if (kind->begin)
		kind->begin(pass);
	if (pass->end)
		pass->part[pass->parts++] = (struct pass_part){0, pass->end, pass->avoid};
}

bool pass_settle(struct sched *sched, struct pass *pass)
{
	if (pass->in_flight)
		return false;
	if (pass->count && pass->restart)
		pass_restart(pass);
	if (pass->count && pass->parts)
		return false;
	pass_finish(sched, pass);
	return true;
}

uint32_t pass_live(const struct pass *pass)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < pass->count; i++)
		live += !pass->unit[i].job->drop;
	return live;
}

/* ---- parts ----------------------------------------------------------------------------------- */
static void pass_part_remove(struct pass *pass, uint32_t i)
{
	memmove(&pass->part[i], &pass->part[i + 1], (--pass->parts - i) * sizeof(pass->part[0]));
}

void pass_take(struct pass *pass, const struct share *share)
{
	struct pass_part *part = &pass->part[share->part];
	struct pass_part rest = {share->end, part->end, part->avoid};

	assert(part->begin <= share->begin && share->begin < share->end && share->end <= part->end);
	part->end = share->begin;
	if (part->begin == part->end && rest.begin < rest.end)
		*part = rest;
	else if (part->begin == part->end)
		pass_part_remove(pass, share->part);
	else if (rest.begin < rest.end)
		pass->part[pass->parts++] = rest;
}

void pass_give_back(struct pass *pass, const struct slice *slice)
{
	uint32_t avoid = slice->avoid | UINT32_C(1) << slice->device->index;

	if (pass->target->kind->ordered) {
		pass->restart = true;
		pass->avoid = avoid;
		return;
	}
	assert(pass->parts < PASS_PARTS_MAX);
	pass->part[pass->parts++] = (struct pass_part){slice->begin, slice->end, avoid};
}

/* ---- ranks ---------------------------------------------------------------------------------- */
bool rank_before(struct rank a, struct rank b)
{
	if (a.class != b.class)
		return a.class < b.class;
	if (a.finish != b.finish)
		return a.finish < b.finish;
	return a.age < b.age;
}

struct rank lane_rank(const struct sched_lane *lane)
{
	return (struct rank){lane->class,
			     lane->tenant->vtime + lane->target->unit_ns / lane->tenant->weight,
			     lane->head->queued_ns};
}

struct rank pass_rank(const struct pass *pass)
{
	struct rank rank = {pass->class, UINT64_MAX, 0};

	for (uint32_t i = 0; i < pass->count; i++)
		if (pass->unit[i].job->tenant->vtime < rank.finish)
			rank.finish = pass->unit[i].job->tenant->vtime;
	return rank;
}

struct sched_lane *target_lane(const struct sched_target *target, const struct pass *pass,
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

/* ---- filling a pass ---------------------------------------------------------------------------- */
static void pass_join(struct sched *sched, struct pass *pass, struct sched_job *job)
{
	pass->unit[pass->count++] =
		(struct pass_unit){job, job->taken, sched_charge(job->tenant, pass->charge_ns)};
	job->running++;
	if (job->taken + 1 == job->units) {
		sched_job_unlink(sched, job); /* counts the last unit out of waiting */
		job->taken++;
	} else {
		job->taken++;
		job->target->waiting--;
	}
}

static void pass_fill(struct sched *sched, struct pass *pass)
{
	struct sched_target *target = pass->target;
	uint64_t now = sched_now(sched);

	while (pass->count < target->units_max && target->lanes) {
		struct rank rank;
		struct sched_lane *lane = target_lane(target, pass, &rank);
		struct sched_job *job = lane ? lane->head : NULL;

		if (!job)
			break;
		if (job->deadline_ns && job->deadline_ns <= now) {
			sched_job_drop(sched, job, -ETIMEDOUT);
			continue;
		}
		pass_join(sched, pass, job);
	}
}

struct pass *pass_start(struct sched *sched, struct sched_lane *lane)
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
	pass->count = pass->in_flight = pass->parts = pass->avoid = 0;
	pass->end = 1;
	pass->restart = false;
	pass->user = NULL;
	pass->begun_ns = sched_now(sched);
	pass->charge_ns = target->unit_ns;
	pass->share_ns = 0;
	pass_fill(sched, pass);
	pass_list(sched, pass);
	if (pass->count)
		pass_restart(pass);
	return pass;
}
