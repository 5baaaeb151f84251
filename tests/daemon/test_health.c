/* SPDX-License-Identifier: Apache-2.0 */
/* The health of a device: each change of state, and long random lives against a second opinion. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/health.h"
#include "tests/suite.h"

#define S UINT64_C(1000000000)

static const struct health_config config = {
	.failures = 3,
	.window_ns = 60 * S,
	.backoff_ns = S,
	.backoff_max_ns = 300 * S,
	.probation_ns = 600 * S,
	.quarantines = 8,
};

static struct {
	unsigned int count;
	enum health_state from, to;
	enum health_reason reason;
} last;

static void changed(const struct health *h, enum health_state from, enum health_reason reason)
{
	last.count++;
	last.from = from;
	last.to = h->state;
	last.reason = reason;
	ck_assert_int_eq(h->reason, reason);
}

static struct health h;

static void start(void)
{
	struct health_config c = config;

	c.changed = changed;
	memset(&last, 0, sizeof(last));
	health_init(&h, &c, 1000 * S);
	ck_assert_int_eq(h.state, HEALTH_OK);
	ck_assert(health_usable(&h));
	ck_assert_uint_eq(last.count, 0);
}

/* ---- each state with each thing that can happen ------------------------------------------------- */
enum happening {
	GOOD,
	EIO_,
	TIMEOUT,
	LAST_FAILURE, /* the one that fills the window */
	INVALID,
	NOMEM,
	CANCELED,
	NODEV,
	MISMATCH,
	OLD_FAILURE,
	OLD_MISMATCH,
	TICK,	  /* nothing is due */
	TICK_DUE, /* at health_wakeup() */
	PASSED,
	NOT_PASSED,
	DISABLE,
	ENABLE,
	HAPPENINGS
};

static const char *const happening_names[HAPPENINGS] = {
	"good",	    "eio",	   "timeout",	  "last failure", "invalid", "nomem",
	"canceled", "nodev",	   "mismatch",	  "old failure",  "old lie", "tick",
	"tick due", "test passed", "test failed", "disable",	  "enable",
};

static void get_to(enum health_state state)
{
	start();
	switch (state) {
	case HEALTH_SUSPECT:
		health_result(&h, h.epoch, -EIO, 1000 * S);
		break;
	case HEALTH_QUARANTINED:
		health_mismatch(&h, h.epoch, 1000 * S);
		break;
	case HEALTH_RECOVERING:
		health_mismatch(&h, h.epoch, 999 * S);
		ck_assert(health_tick(&h, 1000 * S));
		break;
	case HEALTH_DEAD:
		health_result(&h, h.epoch, -ENODEV, 1000 * S);
		break;
	default:
		break;
	}
	ck_assert_int_eq(h.state, state);
}

static void happen(enum happening what)
{
	static const int errors[HAPPENINGS] = {
		[EIO_] = -EIO,	     [TIMEOUT] = -ETIMEDOUT, [LAST_FAILURE] = -EIO,
		[INVALID] = -EINVAL, [NOMEM] = -ENOMEM,	     [CANCELED] = -ECANCELED,
		[NODEV] = -ENODEV,   [OLD_FAILURE] = -EIO,
	};
	uint64_t now = 1000 * S + 5;

	if (what == LAST_FAILURE)
		while (health_usable(&h) && h.failed < 2)
			health_result(&h, h.epoch, -EIO, now);
	if (what == MISMATCH || what == OLD_MISMATCH)
		health_mismatch(&h, h.epoch - (what == OLD_MISMATCH), now);
	else if (what == TICK || what == TICK_DUE)
		health_tick(&h, what == TICK || !health_wakeup(&h) ? now : health_wakeup(&h));
	else if (what == PASSED || what == NOT_PASSED)
		health_tested(&h, what == PASSED, now);
	else if (what == DISABLE)
		health_disable(&h, now);
	else if (what == ENABLE)
		health_enable(&h, now);
	else
		health_result(&h, h.epoch - (what == OLD_FAILURE), errors[what], now);
}

START_TEST(every_state_with_everything_that_can_happen)
{
	enum {
		O = HEALTH_OK,
		U = HEALTH_SUSPECT,
		Q = HEALTH_QUARANTINED,
		R = HEALTH_RECOVERING,
		D = HEALTH_DEAD
	};
	static const int want[HEALTH_STATES][HAPPENINGS] = {
		/*  good eio time last inv nom can nodev mism oldf oldm tick due pass fail dis ena */
		[O] = {O, U, U, Q, O, O, O, D, Q, O, O, O, O, O, O, Q, O},
		[U] = {U, U, U, Q, U, U, U, D, Q, U, U, U, O, U, U, Q, U},
		[Q] = {Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, Q, R, Q, Q, Q, Q},
		[R] = {R, R, R, R, R, R, R, R, R, R, R, R, R, O, Q, Q, R},
		[D] = {D, D, D, D, D, D, D, D, D, D, D, D, D, D, D, Q, Q},
	};

	for (int state = 0; state < HEALTH_STATES; state++) {
		for (int what = 0; what < HAPPENINGS; what++) {
			unsigned int before;

			get_to((enum health_state)state);
			before = last.count;
			happen((enum happening)what);
			ck_assert_msg((int)h.state == want[state][what], "%s, %s: %s, not %s",
				      health_state_name((enum health_state)state),
				      happening_names[what], health_state_name(h.state),
				      health_state_name((enum health_state)want[state][what]));
			ck_assert_int_eq(h.state, last.count ? last.to : HEALTH_OK);
			if (last.count > before)
				ck_assert_int_eq(last.to, h.state);
			else
				ck_assert_int_eq(h.state, state);
			ck_assert_int_eq(health_usable(&h), (int)h.state == O || (int)h.state == U);
		}
	}
}
END_TEST

/* ---- times and counts ---------------------------------------------------------------------------- */
START_TEST(failures_count_within_the_window)
{
	start();
	health_result(&h, 0, -EIO, 1000 * S);
	ck_assert_int_eq(last.reason, HEALTH_FAILED);
	health_result(&h, 0, -EIO, 1001 * S);
	/* The first has just left. */
	health_result(&h, 0, -ETIMEDOUT, 1060 * S);
	ck_assert_int_eq(h.state, HEALTH_SUSPECT);
	ck_assert_uint_eq(h.failed, 2);
	health_result(&h, 0, -EIO, 1061 * S - 1);
	ck_assert_int_eq(h.state, HEALTH_QUARANTINED);
	ck_assert_int_eq(last.reason, HEALTH_FAILED_OFTEN);
	ck_assert_uint_eq(h.failures, 4);
	ck_assert_uint_eq(h.epoch, 1);
}
END_TEST

START_TEST(a_quiet_window_makes_it_ok)
{
	start();
	health_result(&h, 0, -EIO, 1000 * S);
	health_result(&h, 0, -EIO, 1020 * S);
	ck_assert_uint_eq(health_wakeup(&h), 1080 * S);
	ck_assert(!health_tick(&h, 1080 * S - 1));
	ck_assert_int_eq(h.state, HEALTH_SUSPECT);
	ck_assert(!health_tick(&h, 1080 * S));
	ck_assert_int_eq(h.state, HEALTH_OK);
	ck_assert_int_eq(last.reason, HEALTH_QUIET);
	ck_assert_uint_eq(health_wakeup(&h), 0);
}
END_TEST

START_TEST(the_back_off_doubles_up_to_its_maximum_then_death)
{
	static const uint64_t want[] = {1, 2, 4, 8, 10, 10};
	struct health_config c = config;
	uint64_t now = 1000 * S;

	start();
	c.changed = changed;
	c.backoff_max_ns = 10 * S;
	c.quarantines = 6;
	health_init(&h, &c, now);
	health_mismatch(&h, 0, now);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_int_eq(h.state, HEALTH_QUARANTINED);
		ck_assert_uint_eq(health_wakeup(&h), now + want[i] * S);
		ck_assert(!health_tick(&h, health_wakeup(&h) - 1));
		now = health_wakeup(&h);
		ck_assert(health_tick(&h, now));
		ck_assert(!health_tick(&h, now));
		now += S / 10;
		health_tested(&h, false, now);
	}
	ck_assert_int_eq(h.state, HEALTH_DEAD);
	ck_assert_int_eq(last.reason, HEALTH_TOO_OFTEN);
	ck_assert_uint_eq(health_wakeup(&h), 0);
	ck_assert_uint_eq(h.epoch, 7);
}
END_TEST

START_TEST(never_dead_where_quarantines_is_0)
{
	struct health_config c = config;
	uint64_t now = 1000 * S;

	c.quarantines = 0;
	health_init(&h, &c, now);
	health_mismatch(&h, 0, now);
	for (int i = 0; i < 200; i++) {
		now = health_wakeup(&h);
		ck_assert(health_tick(&h, now));
		health_tested(&h, false, now);
		ck_assert_uint_le(health_wakeup(&h) - now, 300 * S);
	}
	ck_assert_int_eq(h.state, HEALTH_QUARANTINED);
	ck_assert_uint_eq(health_wakeup(&h) - now, 300 * S);
}
END_TEST

START_TEST(a_probation_forgets_the_back_off)
{
	start();
	health_mismatch(&h, 0, 1000 * S);
	ck_assert(health_tick(&h, 1001 * S));
	health_tested(&h, true, 1002 * S);
	ck_assert_int_eq(last.reason, HEALTH_TEST_PASSED);
	ck_assert_uint_eq(h.recoveries, 1);
	/* Again within the probation: twice as long. */
	health_mismatch(&h, h.epoch, 1602 * S - 1);
	ck_assert_uint_eq(health_wakeup(&h), 1604 * S - 1);
	ck_assert(health_tick(&h, 1604 * S));
	health_tested(&h, true, 1605 * S);
	/* A whole one: as if for the first time. */
	health_mismatch(&h, h.epoch, 2205 * S);
	ck_assert_uint_eq(health_wakeup(&h), 2206 * S);
	ck_assert_uint_eq(h.level, 1);
}
END_TEST

/* A command of before the quarantine that ends after the recovery says nothing about the device now. */
START_TEST(late_results_change_nothing)
{
	start();
	health_mismatch(&h, 0, 1000 * S);
	ck_assert(health_tick(&h, 1001 * S));
	health_mismatch(&h, 0, 1001 * S);
	health_tested(&h, true, 1002 * S);
	for (int i = 0; i < 10; i++) {
		health_result(&h, 0, -EIO, 1003 * S);
		health_result(&h, 0, -ENODEV, 1003 * S);
		health_mismatch(&h, 0, 1003 * S);
	}
	ck_assert_int_eq(h.state, HEALTH_OK);
	ck_assert_uint_eq(h.mismatches, 12); /* counted all the same */
}
END_TEST

START_TEST(the_operator_has_the_last_word)
{
	start();
	health_disable(&h, 1000 * S);
	ck_assert_uint_eq(health_wakeup(&h), 0);
	ck_assert(!health_tick(&h, 5000 * S));
	health_enable(&h, 5000 * S);
	ck_assert(health_tick(&h, 5000 * S));
	/* Disabled while the test runs: its outcome does not bring it back. */
	health_disable(&h, 5001 * S);
	health_tested(&h, true, 5002 * S);
	ck_assert_int_eq(h.state, HEALTH_QUARANTINED);
	health_result(&h, h.epoch, -ENODEV, 5003 * S);
	ck_assert_int_eq(h.state, HEALTH_QUARANTINED);
	health_enable(&h, 5004 * S);
	ck_assert(health_tick(&h, 5004 * S));
	health_tested(&h, true, 5005 * S);
	ck_assert_int_eq(h.state, HEALTH_OK);
	health_result(&h, h.epoch, -ENODEV, 5006 * S);
	health_enable(&h, 5007 * S);
	ck_assert(health_tick(&h, 5007 * S));
}
END_TEST

START_TEST(each_name_is_there)
{
	for (int i = 0; i < HEALTH_STATES; i++)
		ck_assert_ptr_nonnull(health_state_name((enum health_state)i));
	for (int i = 0; i < HEALTH_REASONS; i++)
		ck_assert_ptr_nonnull(health_reason_name((enum health_reason)i));
}
END_TEST

/* ---- a second opinion ------------------------------------------------------------------------------ */
/* The same rules told over the whole history instead of a state: slow, plain. */
struct opinion {
	uint64_t failed[4096];
	uint32_t failures, level;
	uint64_t calm, due;
	int state;
};

static void opinion_quarantine(struct opinion *o, uint64_t now)
{
	uint64_t wait = 1;

	o->failures = 0;
	if (++o->level > 8) {
		o->state = HEALTH_DEAD;
		return;
	}
	for (uint32_t i = 1; i < o->level; i++)
		wait = wait * 2 > 300 ? 300 : wait * 2;
	o->due = now + wait * S;
	o->state = HEALTH_QUARANTINED;
}

static void opinion_time(struct opinion *o, uint64_t now)
{
	if (o->state <= HEALTH_SUSPECT && now - o->calm >= 600 * S)
		o->level = 0;
}

static uint32_t opinion_recent(const struct opinion *o, uint64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->failures; i++)
		n += now - o->failed[i] < 60 * S;
	return n;
}

static void opinion_failure(struct opinion *o, uint64_t now)
{
	if (o->state > HEALTH_SUSPECT)
		return;
	opinion_time(o, now);
	o->calm = now;
	o->failed[o->failures++] = now;
	if (opinion_recent(o, now) >= 3)
		opinion_quarantine(o, now);
	else if (o->state == HEALTH_OK)
		o->state = HEALTH_SUSPECT;
}

static void opinion_tick(struct opinion *o, uint64_t now)
{
	opinion_time(o, now);
	if (o->state == HEALTH_SUSPECT && !opinion_recent(o, now))
		o->state = HEALTH_OK;
	if (o->state == HEALTH_QUARANTINED && now >= o->due)
		o->state = HEALTH_RECOVERING;
}

static uint64_t random_next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void live(uint64_t seed, unsigned int seen[HEALTH_STATES])
{
	struct opinion o = {.calm = 1000 * S};
	uint64_t now = 1000 * S, odds = random_next(&seed) % 30;

	health_init(&h, &config, now);
	for (int i = 0; i < 400 && o.failures < 4000; i++) {
		uint64_t what = random_next(&seed) % 40;

		now += random_next(&seed) % (30 * S) * (random_next(&seed) % 40 ? 1 : 40);
		if (what < odds) {
			health_result(&h, h.epoch, what % 2 ? -EIO : -ETIMEDOUT, now);
			opinion_failure(&o, now);
		} else if (what == 38) {
			health_mismatch(&h, h.epoch, now);
			if (o.state <= HEALTH_SUSPECT) {
				opinion_time(&o, now);
				o.calm = now;
				opinion_quarantine(&o, now);
			}
		} else if (o.state == HEALTH_RECOVERING && what % 2) {
			bool passed = what % 4 == 1;

			health_tested(&h, passed, now);
			o.calm = now;
			if (passed)
				o.state = HEALTH_OK;
			else
				opinion_quarantine(&o, now);
		} else {
			health_tick(&h, now);
			opinion_tick(&o, now);
		}
		ck_assert_msg((int)h.state == o.state, "step %d: %s, not %s", i,
			      health_state_name(h.state),
			      health_state_name((enum health_state)o.state));
		ck_assert_uint_eq(h.level, o.level);
		seen[h.state]++;
	}
}

START_TEST(random_lives)
{
	unsigned int seen[HEALTH_STATES] = {0};

	for (uint64_t seed = 0; seed < 3000; seed++)
		live(seed, seen);
	for (int i = 0; i < HEALTH_STATES; i++)
		ck_assert_uint_gt(seen[i], 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("health");
	TCase *tc = tcase_create("health");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_state_with_everything_that_can_happen);
	tcase_add_test(tc, failures_count_within_the_window);
	tcase_add_test(tc, a_quiet_window_makes_it_ok);
	tcase_add_test(tc, the_back_off_doubles_up_to_its_maximum_then_death);
	tcase_add_test(tc, never_dead_where_quarantines_is_0);
	tcase_add_test(tc, a_probation_forgets_the_back_off);
	tcase_add_test(tc, late_results_change_nothing);
	tcase_add_test(tc, the_operator_has_the_last_word);
	tcase_add_test(tc, each_name_is_there);
	tcase_add_test(tc, random_lives);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
