/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a device is trusted. A pure state machine: it reads no clock, starts nothing and owns no
 * memory; whoever drives it tells it what happened and when, and does what it asks for.
 *
 *             failure                failures in window, mismatch
 *   ok ------------------> suspect ------------------------------> quarantined <--+
 *   ^ ^------------------------'    a mismatch at ok does it too        |          | test failed,
 *   |    a window without one                                           | back-off | mismatch
 *   |                                                                   v          |
 *   +-------------------------------------------------------------- recovering ----+
 *                    reset and self-test passed
 *
 *   -> dead   from any: the device is gone (-ENODEV), or it was quarantined too often
 *
 * Only ok and suspect devices get work. Each quarantine doubles the back-off until the device has
 * been ok for a whole probation. A dead device comes back when an operator enables it: it then has
 * to pass the self-test.
 *
 * Results come late: a command that began before a quarantine may end after it. So each is given
 * with the epoch that was current when it began; those of an older epoch change nothing.
 */
#ifndef FACET_DAEMON_JOB_HEALTH_H
#define FACET_DAEMON_JOB_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_FAILURES_MAX 32u

enum health_state {
	HEALTH_OK,
	HEALTH_SUSPECT,
	HEALTH_QUARANTINED,
	HEALTH_RECOVERING,
	HEALTH_DEAD,
	HEALTH_STATES
};

enum health_reason {
	HEALTH_FAILED,	     /* a command did: ok to suspect */
	HEALTH_FAILED_OFTEN, /* too many in the window: to quarantined */
	HEALTH_MISMATCH,     /* an answer was wrong: to quarantined */
	HEALTH_GONE,	     /* -ENODEV: to dead */
	HEALTH_QUIET,	     /* a window without a failure: to ok */
	HEALTH_TRIAL,	     /* the back-off is over: to recovering */
	HEALTH_TEST_PASSED,  /* to ok */
	HEALTH_TEST_FAILED,  /* to quarantined */
	HEALTH_TOO_OFTEN,    /* quarantined so often that it is given up: to dead */
	HEALTH_OPERATOR,     /* somebody wanted it */
	HEALTH_REASONS
};

struct health;
struct health_config {
	uint32_t failures;	 /* in the window that quarantine; 1 .. HEALTH_FAILURES_MAX */
	uint64_t window_ns;	 /* > 0 */
	uint64_t backoff_ns;	 /* of the first quarantine, > 0 */
	uint64_t backoff_max_ns; /* >= backoff_ns */
	uint64_t probation_ns;	 /* ok for so long: the back-off starts anew */
	uint32_t quarantines;	 /* within one probation that mean death; 0: never */
	/* After each change of state, from within the call that made it. May be NULL. */
	void (*changed)(const struct health *health, enum health_state from,
			enum health_reason reason);
	void *user;
};

/* Members are to be read, not written. */
struct health {
	struct health_config config;
	enum health_state state;
	enum health_reason reason;		   /* of the last change */
	uint64_t since_ns;			   /* of that change */
	uint32_t epoch;				   /* quarantines and deaths, ever */
	uint32_t level;				   /* quarantines since the last whole probation */
	uint64_t due_ns;			   /* quarantined: when to try again */
	uint64_t failed_ns[HEALTH_FAILURES_MAX];   /* the last ones, oldest first */
	uint32_t failed;			   /* of them */
	uint64_t calm_ns;			   /* the last failure, mismatch or recovery */
	uint64_t failures, mismatches, recoveries; /* ever */
};

/* 3 in a minute; 1 s, doubling up to 5 minutes; a probation of 10 minutes; 8 quarantines. */
extern const struct health_config health_config_default;

void health_init(struct health *health, const struct health_config *config, uint64_t now_ns);
/* A command ended: 0 or a negative errno. Those that say nothing about the device (-EINVAL, -ENOMEM,
 * -ECANCELED, -EAGAIN) count as nothing. */
void health_result(struct health *health, uint32_t epoch, int error, uint64_t now_ns);
/* An answer was found wrong, on both sides of a rerun where that is needed. */
void health_mismatch(struct health *health, uint32_t epoch, uint64_t now_ns);
/* Time passes. True: reset the device and run the self-test now, then say how it went. */
bool health_tick(struct health *health, uint64_t now_ns);
void health_tested(struct health *health, bool passed, uint64_t now_ns);
/* When health_tick() has something to do next, 0 for never. */
uint64_t health_wakeup(const struct health *health);
/* The operator's: quarantined from now on, no trial before enable; enabled again, by way of a trial
 * that health_tick() asks for at once. */
void health_disable(struct health *health, uint64_t now_ns);
void health_enable(struct health *health, uint64_t now_ns);

/* May it be given work? */
static inline bool health_usable(const struct health *health)
{
	return health->state == HEALTH_OK || health->state == HEALTH_SUSPECT;
}

/* ok, suspect, quarantined, recovering, dead */
const char *health_state_name(enum health_state state);
/* For the log, such as "failed often". */
const char *health_reason_name(enum health_reason reason);

#endif
