/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Truth: what boards do, a sample of it or all, is computed again by the CPU and compared byte by byte
 * before it reaches a request; the rows of searches are read back; of products the sums of the
 * accumulators are compared, on a thread of their own. A slice that was wrong fails, its device is quarantined and what is on it goes, and
 * the slice is repeated elsewhere. Control thread only.
 */
#ifndef FACET_DAEMON_JOB_CHECK_H
#define FACET_DAEMON_JOB_CHECK_H

#include "daemon/job/service.h"

/* What the CPU is to run again. */
struct check_work {
	const struct device_command *commands;
	uint32_t count;
	uint64_t expected_ns;
	void *user; /* the kind's */
};

/* How slices of one kind of pass are checked. */
struct check_kind {
	/* Is the slice one to recompute, and how? 1: yes; 0: no; -ENOMEM. */
	int (*recompute)(struct service *service, struct slice *slice, struct check_work *work);
	/* The CPU has run it: 0, -EBADMSG or -ENOMEM. */
	int (*compare)(const struct slice *slice, const struct check_work *work);
	/* Gives back what recompute() took; NULL: nothing. */
	void (*release)(struct service *service, struct slice *slice, struct check_work *work);
	/* Are the rows it went by to be read back (readback.h)? NULL: never. */
	bool (*rows)(struct service *service, const struct slice *slice);
	/* How many products brought the sums of their accumulators, and are those of product i right?
	 * op tells which it is. The second on any thread. NULL: none ever. */
	uint32_t (*sums)(const struct slice *slice);
	bool (*sum_right)(const struct slice *slice, uint32_t i, uint32_t *op);
	/* One was looked at, for so long. May be NULL. */
	void (*summed)(struct service *service, const struct slice *slice, uint32_t op, bool right,
		       uint64_t ns);
	/* For the log: which work was wrong. */
	void (*describe)(const struct slice *slice, char *text, size_t bytes);
};

extern const struct check_kind check_search, check_infer, check_raw;

/* sched_config.check, for user = the service: [limits] check_every, readback_every and checksum_every
 * say how often. */
bool check_slice(void *user, struct slice *slice);
/* Another command on a board: is it one that is recomputed? */
bool check_due(struct service *service);
/* Another search on a board: is it one whose rows are read back? */
bool check_rows_due(struct service *service);
/* Another product on a board: is it one whose sums are looked at? */
bool check_sums_due(struct service *service);

#endif
