/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the scheduler share: sched.c jobs, pass.c passes, share.c who takes what, slice.c
 * slices and the choice between all. */
#ifndef FACET_DAEMON_JOB_SCHED_INTERNAL_H
#define FACET_DAEMON_JOB_SCHED_INTERNAL_H

#include "daemon/job/sched.h"

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
	struct pass *passes; /* with slices to come or on devices, oldest last */
	struct pass *free_passes;
	struct slice *slices, *free_slices;
	struct sched_job *ended; /* not yet told */
	uint32_t waiting, running;
	uint64_t vclock;
	uint64_t deadline_min;	/* no waiting job has an earlier one; 0: none has one */
	uint64_t delayed_until; /* a pass waits for more units until then; 0: none does */
};

/* Smaller is sooner: class, then virtual finish time, then age. */
struct rank {
	enum sched_class class;
	uint64_t finish, age;
};

/* Positions a device would take of a part, and when all who can would be done with the part. */
struct share {
	uint32_t part;
	uint64_t begin, end;
	uint64_t ps;
	uint64_t finish_ns;
};

static inline uint64_t sched_now(const struct sched *sched)
{
	return sched->config.clock(sched->config.clock_user);
}

/* sched.c */
uint64_t sched_charge(struct tenant *tenant, uint64_t ns); /* the virtual time it was charged */
void sched_job_unlink(struct sched *sched, struct sched_job *job);
void sched_job_ended(struct sched *sched, struct sched_job *job);
void sched_job_drop(struct sched *sched, struct sched_job *job, int error);
void sched_correct(struct tenant *tenant, uint64_t charged, uint64_t measured);
/* Tells those who wait for the jobs that have ended. They may free the jobs' targets, so this comes
 * last, when no pass is being worked on. */
void sched_report(struct sched *sched);

/* pass.c */
struct pass *pass_start(struct sched *sched, struct sched_lane *lane);
/* Units of dropped jobs leave as soon as no slice holds them. */
void pass_reap(struct sched *sched, struct pass *pass);
/* Begins again or finishes what has nothing left to do; true: finished, the pass is gone. */
bool pass_settle(struct sched *sched, struct pass *pass);
uint32_t pass_live(const struct pass *pass); /* units that are not dropped */
struct rank pass_rank(const struct pass *pass);
struct rank lane_rank(const struct sched_lane *lane);
bool rank_before(struct rank a, struct rank b);
struct sched_lane *target_lane(const struct sched_target *target, const struct pass *pass,
			       struct rank *best);
void pass_take(struct pass *pass, const struct share *share);
void pass_give_back(struct pass *pass, const struct slice *slice);

/* share.c: false: nothing for this device now */
bool share_of_pass(const struct sched *sched, const struct pass *pass, uint32_t device,
		   struct share *share);
bool share_of_target(const struct sched *sched, const struct sched_target *target, uint32_t device,
		     uint32_t units);
/* Is there a device that could take some of each part, now or later? */
bool pass_served(const struct sched *sched, const struct pass *pass);
bool target_served(const struct sched *sched, const struct sched_target *target);

#endif
