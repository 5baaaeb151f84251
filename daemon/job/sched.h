/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: from waiting jobs to bounded batches on devices, and back. Control thread only.
 *
 * A job is `units` pieces of work (queries, items) for a target (a gallery, a model ...). Units that
 * wait for one target are put together in a pass, of as many units as its kind takes. What a pass has
 * to do is positions [0, end) of its kind: tiles, commands, rows. It runs as slices, each a range of
 * positions as one device batch of about `slice_ns`, at most `in_flight` of them on a device at a time.
 * Which device may take which positions, and what one costs there, its kind says.
 *
 * Order. A device that has room gets the first of what it can take: the interactive class first,
 * within a class the smallest virtual finish time: a tenant's virtual time advances by the device
 * nanoseconds its units cost, divided by its weight. A unit is charged what it is expected to cost when
 * it joins a pass, and corrected when it leaves; a pass is charged to its units equally. A tenant that
 * was idle starts at the virtual clock: it neither saves credit nor owes. The choice is made anew for
 * each slice. There is one virtual clock for all devices; where several serve a target its kind says
 * what a slice counts (slice.cost_ns), so that the same work costs the same wherever it ran.
 *
 * Share. Devices that can take the same positions are given as much as lets them end together, by what
 * is measured of each and what each has still to do. A rest too small to be parted goes to whoever
 * would be done with it first; the others leave it.
 *
 * Failure. What a slice makes stays its own until it has succeeded, so one that fails leaves no trace.
 * Its positions go back to the pass, once, for another device; when they fail there too, or no other
 * can take them, its jobs end with -EREMOTEIO, which may be tried again.
 */
#ifndef FACET_DAEMON_JOB_SCHED_H
#define FACET_DAEMON_JOB_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/device/device.h"
#include "daemon/job/bell.h"
#include "daemon/job/fleet.h"
#include "daemon/net/tenant.h"

#define PASS_UNITS_MAX 256u
#define PASS_PARTS_MAX 96u

struct check_kind;
struct model_arena;
struct model_part;
struct raw_part;
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
	/* for the reply: when it was submitted and first put on a device, device time of its slices, and
	 * which devices (a bit each) made its answer */
	uint64_t queued_ns, started_ns, device_ns;
	uint32_t devices;
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

/* One batch on a device: positions [begin, end) of its pass. */
struct slice {
	struct device_batch batch;
	struct bell_entry entry;
	struct sched *sched;
	struct pass *pass;
	struct fleet_device *device;
	uint64_t begin, end;
	uint32_t avoid; /* devices (a bit each) on which these positions have failed */
	uint64_t expected_ns;
	uint64_t cost_ns; /* what it counts; batch.device_ns unless slice_done() says otherwise */
	uint32_t count;	  /* units in it */
	struct pass_unit unit[PASS_UNITS_MAX];
	struct device_command command; /* for kinds whose slice is one command */
	bool host;		       /* of a search: it may read the host's rows */
	struct search_query queries[SEARCH_BATCH_MAX];
	struct search_list *lists[SEARCH_BATCH_MAX];
	struct model_part *part;   /* of a model on a board */
	struct model_arena *arena; /* which it uses */
	struct raw_part *raw;	   /* of a raw kernel on a board */
	struct slice *next_free;
};

/* Positions that no slice has yet. */
struct pass_part {
	uint64_t begin, end;
	uint32_t avoid; /* devices on which they have failed */
};

struct pass {
	struct sched_target *target;
	enum sched_class class;
	uint32_t count;
	struct pass_unit unit[PASS_UNITS_MAX];
	uint64_t end; /* positions [0, end); begin() sets it, 1 before */
	struct pass_part part[PASS_PARTS_MAX];
	uint32_t parts;
	uint32_t in_flight;
	uint32_t device;       /* of an ordered pass: where its last slice went */
	uint32_t avoid;	       /* of an ordered pass: devices on which it has failed */
	bool restart;	       /* it is to begin again once no slice of it runs */
	void *user;	       /* the kind's */
	uint32_t epoch;	       /* the kind's: of a search, the newest that a unit sees */
	uint32_t mode, window; /* the kind's: of a search, who may take part (mode.h) */
	uint64_t begun_ns;
	uint64_t charge_ns; /* what a unit that joins is charged */
	uint64_t share_ns;  /* a unit, measured so far */
	struct pass *next, *prev;
};

/* Can the device take positions of a target's passes? */
enum hold_state {
	HOLD_NO,
	HOLD_LATER, /* it could, but for something that is under way */
	HOLD_NOW,
};

/* Which positions, and what one costs there in picoseconds; 0: all in one slice. */
struct pass_hold {
	uint64_t begin, end;
	uint64_t ps;
};

/* What a target's passes are made of. */
struct pass_kind {
	const char *name;
	/* Positions are taken in order, slices that run together are on one device, and where one fails
	 * the pass is repeated from its beginning, begin() included; else any part may run anywhere. */
	bool ordered;
	/* May the job share this pass? NULL: always. The pass has at least one unit. */
	bool (*fits)(const struct pass *pass, const struct sched_job *job);
	/* All units have joined. May be NULL. */
	void (*begin)(struct pass *pass);
	/* What the device can take of this pass with so many units, or with NULL of one that would
	 * begin now. hold is preset with all positions and ps 0. NULL: the CPU takes all. */
	enum hold_state (*holds)(const struct sched_target *target, const struct pass *pass,
				 uint32_t device, uint32_t units, struct pass_hold *hold);
	/* Fills batch.commands and batch.count for the slice's positions, units and device. An error
	 * ends the units, and the slice is not run: what it took must be given back. */
	int (*slice)(struct pass *pass, struct slice *slice);
	/* The slice ran. batch.error tells how: only with 0 may what it made reach its units, and
	 * before it returns nothing has. May be NULL. */
	void (*slice_done)(struct pass *pass, struct slice *slice);
	/* No slice runs or will; the units left in it have run. May be NULL. */
	void (*end)(struct pass *pass);
	/* How what boards did is checked (check.h). NULL: it is not. */
	const struct check_kind *check;
};

/* What jobs are for. Lives longer than they. */
struct sched_target {
	const struct pass_kind *kind;
	uint32_t units_max; /* of one pass, 1 .. PASS_UNITS_MAX */
	uint64_t unit_ns;   /* what a unit is expected to cost; measured */
	uint64_t pass_ns;   /* how long a pass takes; measured */
	/* the scheduler's own */
	uint64_t waiting; /* units */
	struct sched_lane *lanes;
	struct sched_target *next, *prev;
	bool listed;
};

struct sched_config {
	struct fleet *fleet;
	struct bell *bell;
	uint64_t (*clock)(void *user);
	void *clock_user;
	uint32_t queue;	    /* jobs that may wait */
	uint32_t in_flight; /* slices on one device */
	uint64_t delay_ns;  /* how long an unfilled pass may wait for more units */
	uint64_t slice_ns;  /* length of a slice */
	/* A slice succeeded: true if it is looked at first, sched_checked() then says how it was. NULL:
	 * none is. */
	bool (*check)(void *user, struct slice *slice);
	void *check_user;
};

int sched_create(const struct sched_config *config, struct sched **sched);
void sched_free(struct sched *sched); /* nothing waits or runs */
void sched_set_limits(struct sched *sched, uint32_t queue, uint64_t delay_ns, uint64_t slice_ns);

/* 0; -EAGAIN: the queue is full (retry_ms says when to come back); -ETIMEDOUT: too late already. */
int sched_submit(struct sched *sched, struct sched_job *job, uint32_t *retry_ms);
/* Drops a job that was submitted and has not yet run: ran(error) now, or once its slices end. */
void sched_cancel(struct sched *sched, struct sched_job *job, int error);
/* Gives devices work while they have room. To be called after submissions and completions, and when a
 * device may work again. */
void sched_run(struct sched *sched);
/* The slice that check() took over was right (0), or is to be taken as failed (-EBADMSG). Called on the
 * control thread from a bell entry, not from check(). */
void sched_checked(struct slice *slice, int error);
/* Drops waiting jobs whose deadline has passed. */
void sched_expire(struct sched *sched);
/* When sched_expire() or sched_run() should be called next without other cause, 0 for never. */
uint64_t sched_wakeup(const struct sched *sched);

uint32_t sched_waiting(const struct sched *sched);
uint32_t sched_running(const struct sched *sched); /* slices on devices */

#endif
