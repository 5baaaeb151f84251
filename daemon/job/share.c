/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes what. Devices that hold the same positions share them so that all end at one time: water
 * poured over what each has still to do. Estimates are the kind's; a wrong one costs at most one slice,
 * since the share is asked for anew for each.
 */
#include "daemon/job/sched_internal.h"

#define SHARE_NS_MIN UINT64_C(500000) /* a smaller share is not worth a command of its own */

struct sharer {
	double backlog_ns, ns; /* ns: one position */
	uint32_t device;
};

struct sharers {
	struct sharer by_backlog[FLEET_MAX];
	uint32_t count;
};

static enum hold_state hold_of(const struct sched *sched, const struct sched_target *target,
			       const struct pass *pass, uint32_t device, uint32_t units,
			       struct pass_hold *hold)
{
	*hold = (struct pass_hold){.begin = 0, .end = UINT64_MAX};
	if (!fleet_works(&sched->config.fleet->device[device]))
		return HOLD_NO;
	if (!target->kind->holds)
		return device == FLEET_CPU ? HOLD_NOW : HOLD_NO;
	return target->kind->holds(target, pass, device, units, hold);
}

static bool overlap(const struct pass_part *part, const struct pass_hold *hold, uint64_t *begin,
		    uint64_t *end)
{
	*begin = part->begin > hold->begin ? part->begin : hold->begin;
	*end = part->end < hold->end ? part->end : hold->end;
	return *begin < *end;
}

static void sharers_add(struct sharers *s, uint32_t device, uint64_t backlog_ns, uint64_t ps)
{
	struct sharer sharer = {(double)backlog_ns, (double)ps / 1000.0, device};
	uint32_t i = s->count++;

	for (; i && s->by_backlog[i - 1].backlog_ns > sharer.backlog_ns; i--)
		s->by_backlog[i] = s->by_backlog[i - 1];
	s->by_backlog[i] = sharer;
}

/* When all are done with so many positions. */
static double sharers_finish(const struct sharers *s, uint64_t positions)
{
	double rate = 0, work = (double)positions, finish = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		const struct sharer *sharer = &s->by_backlog[i];

		if (i && finish <= sharer->backlog_ns)
			break;
		rate += 1 / sharer->ns;
		work += sharer->backlog_ns / sharer->ns;
		finish = work / rate;
	}
	return finish;
}

/* Who would be done first if it did all of it alone; of equal ones the lowest. */
static uint32_t sharers_first(const struct sharers *s, uint64_t positions)
{
	const struct sharer *first = &s->by_backlog[0];
	double least = first->backlog_ns + first->ns * (double)positions;

	for (uint32_t i = 1; i < s->count; i++) {
		const struct sharer *sharer = &s->by_backlog[i];
		double ns = sharer->backlog_ns + sharer->ns * (double)positions;

		if (ns < least || (ns <= least && sharer->device < first->device)) {
			first = sharer;
			least = ns;
		}
	}
	return first->device;
}

/* Those who hold some of the part. */
static void sharers_find(const struct sched *sched, const struct sched_target *target,
			 const struct pass *pass, const struct pass_part *part, uint32_t units,
			 struct sharers *s)
{
	uint64_t now = sched_now(sched);

	s->count = 0;
	for (uint32_t d = 0; d < sched->config.fleet->count; d++) {
		struct pass_hold hold;
		uint64_t begin, end;

		if ((part->avoid >> d & 1) ||
		    hold_of(sched, target, pass, d, units, &hold) != HOLD_NOW || !hold.ps ||
		    !overlap(part, &hold, &begin, &end) ||
		    (target->kind->ordered && begin != part->begin))
			continue;
		sharers_add(s, d, fleet_backlog_ns(&sched->config.fleet->device[d], now), hold.ps);
	}
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* So many positions as one of several even slices. */
static uint64_t slice_of(const struct sched *sched, uint64_t positions, uint64_t ps)
{
	uint64_t most = ps ? sched->config.slice_ns * 1000 / ps : positions;

	if (most < 1)
		most = 1;
	return positions <= most ? positions : ceil_div(positions, ceil_div(positions, most));
}

/* Of the positions in share, which it could take, those it should take now. */
static bool share_among(const struct sched *sched, const struct sharers *s, bool ordered,
			uint32_t device, struct share *share)
{
	uint64_t positions = share->end - share->begin;
	double finish = sharers_finish(s, positions), left = 0, ns = 1;
	uint64_t want;

	for (uint32_t i = 0; i < s->count; i++) {
		if (s->by_backlog[i].device != device)
			continue;
		left = finish - s->by_backlog[i].backlog_ns;
		ns = s->by_backlog[i].ns;
	}
	share->finish_ns = (uint64_t)finish;
	if (ordered || left < SHARE_NS_MIN) {
		if (sharers_first(s, positions) != device)
			return false;
		want = positions;
	} else {
		want = (uint64_t)(left / ns) + 1;
		want = want < positions ? want : positions;
	}
	want = slice_of(sched, want, share->ps);
	/* Boards eat from the front, the CPU from the back: pieces stay whole. */
	if (device == FLEET_CPU && !ordered)
		share->begin = share->end - want;
	else
		share->end = share->begin + want;
	return true;
}

static bool share_of_part(const struct sched *sched, const struct sched_target *target,
			  const struct pass *pass, const struct pass_part *part, uint32_t device,
			  uint32_t units, struct share *share)
{
	struct pass_hold hold;
	struct sharers s;

	if ((part->avoid >> device & 1) ||
	    hold_of(sched, target, pass, device, units, &hold) != HOLD_NOW ||
	    !overlap(part, &hold, &share->begin, &share->end))
		return false;
	if (target->kind->ordered && share->begin != part->begin)
		return false;
	share->ps = hold.ps;
	share->finish_ns = 0;
	if (!hold.ps)
		return true;
	if (sched->config.fleet->count > 1) {
		struct pass_part mine = {share->begin, share->end, part->avoid};

		sharers_find(sched, target, pass, &mine, units, &s);
		if (s.count > 1)
			return share_among(sched, &s, target->kind->ordered, device, share);
	}
	share->finish_ns = (share->end - share->begin) * hold.ps / 1000;
	share->end = share->begin + slice_of(sched, share->end - share->begin, hold.ps);
	return true;
}

bool share_of_pass(const struct sched *sched, const struct pass *pass, uint32_t device,
		   struct share *share)
{
	bool ordered = pass->target->kind->ordered;
	uint32_t parts = ordered && pass->parts ? 1 : pass->parts;
	uint32_t units = pass_live(pass);
	bool found = false;

	if (!units || pass->restart || (ordered && pass->in_flight && pass->device != device))
		return false;
	for (uint32_t i = 0; i < parts; i++) {
		struct share of = {.part = i};

		if (!share_of_part(sched, pass->target, pass, &pass->part[i], device, units, &of))
			continue;
		/* The part that would be done last is begun first. */
		if (!found || of.finish_ns > share->finish_ns)
			*share = of;
		found = true;
	}
	return found;
}

/* All of the pass that would begin now, as far as any device says how much that is. */
static struct pass_part part_to_come(const struct sched *sched, const struct sched_target *target,
				     uint32_t units)
{
	struct pass_part part = {0};

	for (uint32_t d = 0; d < sched->config.fleet->count; d++) {
		struct pass_hold hold;

		if (hold_of(sched, target, NULL, d, units, &hold) != HOLD_NO && hold.end > part.end)
			part.end = hold.end;
	}
	return part;
}

bool share_of_target(const struct sched *sched, const struct sched_target *target, uint32_t device,
		     uint32_t units)
{
	struct pass_part part;
	struct share share;

	if (!target->kind->holds)
		return device == FLEET_CPU;
	part = part_to_come(sched, target, units);
	return share_of_part(sched, target, NULL, &part, device, units, &share);
}

static bool part_served(const struct sched *sched, const struct pass *pass,
			const struct pass_part *part)
{
	uint32_t units = pass_live(pass);

	for (uint32_t d = 0; d < sched->config.fleet->count; d++) {
		struct pass_hold hold;
		uint64_t begin, end;

		if (!(part->avoid >> d & 1) &&
		    hold_of(sched, pass->target, pass, d, units, &hold) != HOLD_NO &&
		    overlap(part, &hold, &begin, &end))
			return true;
	}
	return false;
}

bool pass_served(const struct sched *sched, const struct pass *pass)
{
	struct pass_part whole = {0, pass->end, pass->avoid};

	if (pass->restart)
		return part_served(sched, pass, &whole);
	for (uint32_t i = 0; i < pass->parts; i++)
		if (!part_served(sched, pass, &pass->part[i]))
			return false;
	return true;
}

bool target_served(const struct sched *sched, const struct sched_target *target)
{
	struct pass_hold hold;

	for (uint32_t d = 0; d < sched->config.fleet->count; d++)
		if (hold_of(sched, target, NULL, d, 1, &hold) != HOLD_NO)
			return true;
	return false;
}
