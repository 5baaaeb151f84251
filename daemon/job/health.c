/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/health.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

const struct health_config health_config_default = {
	.failures = 3,
	.window_ns = 60 * SECOND,
	.backoff_ns = SECOND,
	.backoff_max_ns = 300 * SECOND,
	.probation_ns = 600 * SECOND,
	.quarantines = 8,
};

const char *health_state_name(enum health_state state)
{
	static const char *const names[HEALTH_STATES] = {
		[HEALTH_OK] = "ok",
		[HEALTH_SUSPECT] = "suspect",
		[HEALTH_QUARANTINED] = "quarantined",
		[HEALTH_RECOVERING] = "recovering",
		[HEALTH_DEAD] = "dead",
	};

	return names[state];
}

const char *health_reason_name(enum health_reason reason)
{
	static const char *const names[HEALTH_REASONS] = {
		[HEALTH_FAILED] = "a command failed",
		[HEALTH_FAILED_OFTEN] = "commands failed often",
		[HEALTH_MISMATCH] = "a wrong answer",
		[HEALTH_GONE] = "the device is gone",
		[HEALTH_QUIET] = "no failure for a while",
		[HEALTH_TRIAL] = "on trial",
		[HEALTH_TEST_PASSED] = "self-test passed",
		[HEALTH_TEST_FAILED] = "self-test failed",
		[HEALTH_TOO_OFTEN] = "quarantined too often",
		[HEALTH_OPERATOR] = "asked by the operator",
	};

	return names[reason];
}

/* ---- changes of state ---- */

static void change(struct health *h, enum health_state to, enum health_reason reason,
		   uint64_t now_ns)
{
	enum health_state from = h->state;

	h->state = to;
	h->reason = reason;
	h->since_ns = now_ns;
	if (h->config.changed)
		h->config.changed(h, from, reason);
}

static void die(struct health *h, enum health_reason reason, uint64_t now_ns)
{
	h->epoch++;
	h->due_ns = 0;
	h->failed = 0;
	change(h, HEALTH_DEAD, reason, now_ns);
}

static uint64_t backoff(const struct health *h)
{
	uint32_t doubled = h->level - 1; /* the first one is as configured */

	if (doubled >= 63 || h->config.backoff_ns > h->config.backoff_max_ns >> doubled)
		return h->config.backoff_max_ns;
	return h->config.backoff_ns << doubled;
}

static void quarantine(struct health *h, enum health_reason reason, uint64_t now_ns)
{
	h->level++;
	if (h->config.quarantines && h->level > h->config.quarantines) {
		die(h, HEALTH_TOO_OFTEN, now_ns);
		return;
	}
	h->epoch++;
	h->failed = 0;
	h->due_ns = now_ns + backoff(h);
	change(h, HEALTH_QUARANTINED, reason, now_ns);
}

/* ---- what happened ---- */

static bool is_failure(int error)
{
	return error == -EIO || error == -ETIMEDOUT;
}

/* Forgets failures that have left the window. */
static void window_trim(struct health *h, uint64_t now_ns)
{
	uint32_t gone = 0;

	while (gone < h->failed && now_ns - h->failed_ns[gone] >= h->config.window_ns)
		gone++;
	h->failed -= gone;
	memmove(h->failed_ns, h->failed_ns + gone, h->failed * sizeof(h->failed_ns[0]));
}

static void probation_check(struct health *h, uint64_t now_ns)
{
	if (now_ns - h->calm_ns >= h->config.probation_ns)
		h->level = 0;
}

static void failure(struct health *h, uint64_t now_ns)
{
	h->failures++;
	h->calm_ns = now_ns;
	window_trim(h, now_ns);
	h->failed_ns[h->failed++] = now_ns;
	if (h->failed >= h->config.failures)
		quarantine(h, HEALTH_FAILED_OFTEN, now_ns);
	else if (h->state == HEALTH_OK)
		change(h, HEALTH_SUSPECT, HEALTH_FAILED, now_ns);
}

void health_init(struct health *health, const struct health_config *config, uint64_t now_ns)
{
	assert(config->failures >= 1 && config->failures <= HEALTH_FAILURES_MAX);
	assert(config->window_ns && config->backoff_ns &&
	       config->backoff_max_ns >= config->backoff_ns);
	*health = (struct health){
		.config = *config,
		.reason = HEALTH_OPERATOR,
		.since_ns = now_ns,
		.calm_ns = now_ns,
	};
}

void health_result(struct health *health, uint32_t epoch, int error, uint64_t now_ns)
{
	if (epoch != health->epoch || !health_usable(health))
		return;
	probation_check(health, now_ns);
	if (error == -ENODEV)
		die(health, HEALTH_GONE, now_ns);
	else if (is_failure(error))
		failure(health, now_ns);
}

void health_mismatch(struct health *health, uint32_t epoch, uint64_t now_ns)
{
	health->mismatches++;
	if (epoch != health->epoch || !health_usable(health))
		return;
	probation_check(health, now_ns);
	health->calm_ns = now_ns;
	quarantine(health, HEALTH_MISMATCH, now_ns);
}

bool health_tick(struct health *health, uint64_t now_ns)
{
	if (health_usable(health)) {
		probation_check(health, now_ns);
		window_trim(health, now_ns);
		if (health->state == HEALTH_SUSPECT && !health->failed)
			change(health, HEALTH_OK, HEALTH_QUIET, now_ns);
	}
	if (health->state != HEALTH_QUARANTINED || !health->due_ns || now_ns < health->due_ns)
		return false;
	health->due_ns = 0;
	change(health, HEALTH_RECOVERING, HEALTH_TRIAL, now_ns);
	return true;
}

void health_tested(struct health *health, bool passed, uint64_t now_ns)
{
	if (health->state != HEALTH_RECOVERING)
		return; /* disabled meanwhile */
	health->calm_ns = now_ns;
	if (!passed) {
		quarantine(health, HEALTH_TEST_FAILED, now_ns);
		return;
	}
	health->recoveries++;
	change(health, HEALTH_OK, HEALTH_TEST_PASSED, now_ns);
}

uint64_t health_wakeup(const struct health *health)
{
	if (health->state == HEALTH_QUARANTINED)
		return health->due_ns;
	if (health->state == HEALTH_SUSPECT)
		return health->failed_ns[health->failed - 1] + health->config.window_ns;
	return 0;
}

/* ---- the operator ---- */

void health_disable(struct health *health, uint64_t now_ns)
{
	health->epoch++;
	health->failed = 0;
	health->due_ns = 0;
	change(health, HEALTH_QUARANTINED, HEALTH_OPERATOR, now_ns);
}

void health_enable(struct health *health, uint64_t now_ns)
{
	if (health_usable(health) || health->state == HEALTH_RECOVERING)
		return;
	health->level = 0;
	health->due_ns = now_ns ? now_ns : 1;
	change(health, HEALTH_QUARANTINED, HEALTH_OPERATOR, now_ns);
}
