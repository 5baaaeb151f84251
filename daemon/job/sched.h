/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: from waiting jobs to bounded batches on a device, and back. Control thread only.
 *
 * A job is `units` pieces of work (queries, items) for a target (a gallery, a model ...). Units that
 * wait for one target are put together in a pass, of as many units as its kind takes. A pass runs as
 * slices: one device batch of about 5 ms each, at most `in_flight` of them on the device at a time.
 *
 * Order. The interactive class first. Within a class the smallest virtual finish time: a tenant's
 * virtual time advances by the device nanoseconds its units cost, divided by its weight. A unit is
 * charged what it is expected to cost when it joins a pass, and corrected when it leaves; a pass is
 * charged to its units equally. A tenant that was idle starts at the virtual clock: it neither
 * saves credit nor owes. The choice is made anew for each slice.
 */
#ifndef FACET_DAEMON_JOB_SCHED_H
#define FACET_DAEMON_JOB_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/device/device.h"
#include "daemon/job/bell.h"
#include "daemon/net/tenant.h"

#define PASS_UNITS_MAX 256u

struct sched;
struct sched_lane;
struct sched_target;
struct pass;

enum sched_class { SCHED_INTERACTIVE, SCHED_BATCH, SCHED_CLASSES };

/* The scheduler's part of a job. */
struct sched_job {
	struct tenant *tenant;
	enum sched_class class;
	struct sched_target *target;
	uint32_t units;	      /* >= 1 */
	uint64_t deadline_ns; /* 0: none */
	/* Once, when no unit of it waits or runs: 0, or the reason it was dropped. May submit again,
	 * and free the target if no other job is for it. */
	void (*ran)(struct sched_job *job, int error);
	/* for the reply: when it was submitted and first put on the device, device time of its slices */
	uint64_t queued_ns, started_ns, device_ns;
	/* the scheduler's own */
	struct sched_job *next, *prev;
	struct sched_lane *lane;
	uint32_t taken, running, in_flight;
	int drop;
};

struct pass_unit {
	struct sched_job *job;
	uint32_t index;	  /* of the job's units */
	uint64_t charged; /* virtual time, when it joined */
};

/* One batch on the device. */
struct slice {
	struct device_batch batch;
	struct bell_entry entry;
	struct sched *sched;
	struct pass *pass;
	uint32_t count; /* units in it */
	struct pass_unit unit[PASS_UNITS_MAX];
	struct device_command command; /* for kinds whose slice is one command */
	struct search_query queries[SEARCH_BATCH_MAX];
	struct search_list *lists[SEARCH_BATCH_MAX];
	uint64_t extent; /* the kind's: how much of the pass it covers */
	struct slice *next_free;
};

struct pass {
	struct sched_target *target;
	enum sched_class class;
	uint32_t count;
	struct pass_unit unit[PASS_UNITS_MAX];
	uint64_t position, end; /* the kind's: what is cut into slices */
	uint32_t in_flight;
	bool exhausted;	    /* the kind has no more slices */
	void *user;	    /* the kind's */
	uint64_t charge_ns; /* what a unit that joins is charged */
	uint64_t share_ns;  /* a unit, measured so far */
	struct pass *next, *prev;
};

/* What a target's passes are made of. */
struct pass_kind {
	const char *name;
	/* May the job share this pass? NULL: always. The pass has at least one unit. */
	bool (*fits)(const struct pass *pass, const struct sched_job *job);
	/* All units have joined. May be NULL. */
	void (*begin)(struct pass *pass);
	/* Fills batch.commands, batch.count and extent for the units in the slice, and sets
	 * pass->exhausted with the last one; false: there is none. */
	bool (*slice)(struct pass *pass, struct slice *slice);
	/* The slice ran (batch.error tells how). May be NULL. */
	void (*slice_done)(struct pass *pass, struct slice *slice);
	/* No slice runs or will; the units left in it have run. May be NULL. */
	void (*end)(struct pass *pass);
};

/* What jobs are for. Lives longer than they. */
struct sched_target {
	const struct pass_kind *kind;
	uint32_t units_max; /* of one pass, 1 .. PASS_UNITS_MAX */
	uint64_t unit_ns;   /* what a unit is expected to cost; measured */
	/* the scheduler's own */
	uint64_t waiting; /* units */
	struct sched_lane *lanes;
	struct sched_target *next, *prev;
	bool listed;
};

struct sched_config {
	struct device *device;
	struct bell *bell;
	uint64_t (*clock)(void *user);
	void *clock_user;
	uint32_t queue;	    /* jobs that may wait */
	uint32_t in_flight; /* slices on the device */
	uint64_t delay_ns;  /* how long an unfilled pass may wait for more units */
	/* of the device; NULL: nothing is counted */
	struct metrics_device *metrics;
};

int sched_create(const struct sched_config *config, struct sched **sched);
void sched_free(struct sched *sched); /* nothing waits or runs */
void sched_set_limits(struct sched *sched, uint32_t queue, uint64_t delay_ns);

/* 0; -EAGAIN: the queue is full (retry_ms says when to come back); -ETIMEDOUT: too late already. */
int sched_submit(struct sched *sched, struct sched_job *job, uint32_t *retry_ms);
/* Drops a job that was submitted and has not yet run: ran(error) now, or once its slices end. */
void sched_cancel(struct sched *sched, struct sched_job *job, int error);
/* Gives the device work while it has room. To be called after submissions and completions. */
void sched_run(struct sched *sched);
/* Drops waiting jobs whose deadline has passed. */
void sched_expire(struct sched *sched);
/* When sched_expire() or sched_run() should be called next without other cause, 0 for never. */
uint64_t sched_wakeup(const struct sched *sched);

uint32_t sched_waiting(const struct sched *sched);
uint32_t sched_running(const struct sched *sched); /* slices on the device */

#endif
