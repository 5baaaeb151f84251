/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler against a device that runs nothing: the test completes each batch with the cost it
 * likes, on a clock it moves itself.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/sched.h"
#include "tests/suite.h"

#define JOBS	 512
#define SLICE_NS 1000u

/* ---- a device and a kind ------------------------------------------------------------------------ */
static struct device_batch *fake_queue[16];
static unsigned fake_count, fake_submitted;
static int fake_refuse;

static int fake_submit(struct device *device, struct device_batch *batch)
{
	(void)device;
	if (fake_refuse)
		return fake_refuse;
	fake_queue[fake_count++] = batch;
	fake_submitted++;
	return 0;
}

static void fake_caps(const struct device *device, struct device_caps *caps)
{
	(void)device;
	*caps = (struct device_caps){.name = "fake", .reads_host_memory = true};
}

static const struct device_ops fake_ops = {
	.kind = "fake", .caps = fake_caps, .submit = fake_submit};
static struct device fake_device = {&fake_ops};
static struct fleet fleet;
static uint64_t now_ns;
static struct bell bell;
static struct sched *sched;

static uint64_t fake_clock(void *user)
{
	(void)user;
	return now_ns;
}

/* Completes the oldest batch, the way a worker and the control thread would. */
static void fake_complete(int error, uint64_t ns)
{
	struct device_batch *batch = fake_queue[0];

	ck_assert_uint_gt(fake_count, 0);
	memmove(fake_queue, fake_queue + 1, --fake_count * sizeof(fake_queue[0]));
	now_ns += ns;
	batch->error = error;
	batch->device_ns = ns;
	batch->done(batch);
	ck_assert_uint_eq(bell_drain(&bell), 1);
}

static uint64_t slices_a_pass;
static unsigned ended;
static uint32_t last_units[64];
static unsigned passes;

static void kind_begin(struct pass *pass)
{
	pass->end = slices_a_pass;
	last_units[passes++ % 64] = pass->count;
}

/* A position is a slice: it costs as much as one may. */
static enum hold_state kind_holds(const struct sched_target *to, const struct pass *pass,
				  uint32_t device, uint32_t units, struct pass_hold *hold)
{
	(void)to;
	(void)units;
	hold->end = pass ? pass->end : slices_a_pass ? slices_a_pass : 1;
	hold->ps = SLICE_NS * 1000;
	return device == FLEET_CPU ? HOLD_NOW : HOLD_NO;
}

static int kind_slice(struct pass *pass, struct slice *slice)
{
	(void)pass;
	slice->batch.commands = &slice->command;
	slice->batch.count = 1;
	return 0;
}

static void kind_end(struct pass *pass)
{
	(void)pass;
	ended++;
}

static bool kind_fits(const struct pass *pass, const struct sched_job *job)
{
	return pass->unit[0].job->deadline_ns % 2 == job->deadline_ns % 2;
}

static const struct pass_kind kind = {.name = "test",
				      .begin = kind_begin,
				      .holds = kind_holds,
				      .slice = kind_slice,
				      .end = kind_end};
static const struct pass_kind picky = {.name = "picky",
				       .fits = kind_fits,
				       .begin = kind_begin,
				       .holds = kind_holds,
				       .slice = kind_slice};

/* ---- jobs --------------------------------------------------------------------------------------- */
struct test_job {
	struct sched_job job;
	int error; /* 1: not yet ran */
	unsigned order, times;
};

static struct test_job jobs[JOBS];
static unsigned job_count, ran_count;
static struct tenant a, b;
static struct sched_target target, other;

static void job_ran(struct sched_job *job, int error)
{
	struct test_job *t = (struct test_job *)job;

	t->error = error;
	t->order = ++ran_count;
	t->times++;
}

static struct test_job *job_make(struct tenant *tenant, struct sched_target *to, uint32_t units)
{
	struct test_job *t = &jobs[job_count++];

	memset(t, 0, sizeof(*t));
	t->job.tenant = tenant;
	t->job.target = to;
	t->job.units = units;
	t->job.ran = job_ran;
	t->error = 1;
	return t;
}

static struct test_job *job_give(struct tenant *tenant, struct sched_target *to, uint32_t units)
{
	struct test_job *t = job_make(tenant, to, units);
	uint32_t retry = 0;

	ck_assert_int_eq(sched_submit(sched, &t->job, &retry), 0);
	return t;
}

static void start_with(uint32_t queue, uint32_t in_flight, uint64_t delay_ns)
{
	struct sched_config config = {.fleet = &fleet,
				      .bell = &bell,
				      .clock = fake_clock,
				      .queue = queue,
				      .in_flight = in_flight,
				      .delay_ns = delay_ns,
				      .slice_ns = SLICE_NS};

	fleet_opened(fleet_add(&fleet, "cpu", "fake"), &fake_device);
	now_ns = 1000000;
	slices_a_pass = 1;
	a = (struct tenant){.weight = 1};
	b = (struct tenant){.weight = 1};
	target = (struct sched_target){.kind = &kind, .units_max = 4, .unit_ns = SLICE_NS};
	other = (struct sched_target){.kind = &kind, .units_max = 4, .unit_ns = SLICE_NS};
	ck_assert_int_eq(bell_init(&bell), 0);
	ck_assert_int_eq(sched_create(&config, &sched), 0);
}

static void start(void)
{
	start_with(100, 2, 0);
}

static void finish(void)
{
	while (fake_count) {
		fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	ck_assert_uint_eq(sched_waiting(sched), 0);
	ck_assert_uint_eq(sched_running(sched), 0);
	for (unsigned i = 0; i < job_count; i++)
		ck_assert_uint_le(jobs[i].times, 1);
	ck_assert_uint_eq(a.jobs + b.jobs, 0);
	sched_free(sched);
	bell_close(&bell);
}

/* ---- tests -------------------------------------------------------------------------------------- */
START_TEST(test_jobs_of_a_target_share_a_pass)
{
	start();
	for (int i = 0; i < 6; i++)
		job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_uint_eq(fake_count, 2);
	ck_assert_uint_eq(last_units[0], 4);
	ck_assert_uint_eq(last_units[1], 2);
	fake_complete(0, SLICE_NS);
	ck_assert_uint_eq(ran_count, 4);
	ck_assert_int_eq(jobs[0].error, 0);
	ck_assert_int_eq(jobs[4].error, 1);
	ck_assert_uint_eq(jobs[0].job.device_ns, SLICE_NS);
	finish();
	ck_assert_uint_eq(ran_count, 6);
	ck_assert_uint_eq(ended, 2);
}
END_TEST

START_TEST(test_a_large_job_takes_several_passes)
{
	struct test_job *t;

	start();
	t = job_give(&a, &target, 10);
	sched_run(sched);
	ck_assert_uint_eq(fake_count, 2);
	ck_assert_uint_eq(sched_waiting(sched), 1);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(t->error, 1);
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_eq(t->times, 1);
	ck_assert_uint_eq(passes, 3);
}
END_TEST

START_TEST(test_two_slices_keep_the_device_busy)
{
	start();
	slices_a_pass = 5;
	job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_uint_eq(fake_count, 2);
	fake_complete(0, SLICE_NS);
	sched_run(sched);
	ck_assert_uint_eq(fake_count, 2);
	ck_assert_uint_eq(fake_submitted, 3);
	finish();
	ck_assert_uint_eq(fake_submitted, 5);
	ck_assert_int_eq(jobs[0].error, 0);
}
END_TEST

START_TEST(test_interactive_overtakes_between_slices)
{
	struct test_job *slow, *fast;

	start_with(100, 1, 0);
	slices_a_pass = 4;
	slow = job_make(&a, &target, 1);
	slow->job.class = SCHED_BATCH;
	ck_assert_int_eq(sched_submit(sched, &slow->job, &(uint32_t){0}), 0);
	sched_run(sched);
	slices_a_pass = 1;
	fast = job_give(&a, &other, 1);
	fake_complete(0, SLICE_NS);
	sched_run(sched);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(fast->error, 0);
	ck_assert_int_eq(slow->error, 1);
	sched_run(sched);
	finish();
	ck_assert_int_eq(slow->error, 0);
}
END_TEST

/* Two tenants that always have work get the same device time, whatever their jobs cost. */
START_TEST(test_tenants_share_device_time)
{
	uint64_t used[2] = {0, 0};

	start_with(400, 1, 0);
	target.units_max = other.units_max = 1;
	for (int i = 0; i < 150; i++) {
		job_give(&a, &target, 1);
		job_give(&b, &other, 1);
	}
	sched_run(sched);
	for (int i = 0; i < 160; i++) {
		const struct slice *slice = fake_queue[0]->user;
		bool mine = slice->unit[0].job->tenant == &a;
		uint64_t ns = mine ? 9000 : 3000;

		used[mine] += ns;
		fake_complete(0, ns);
		sched_run(sched);
	}
	ck_assert_uint_le(used[0] > used[1] ? used[0] - used[1] : used[1] - used[0], 30000);
	while (sched_waiting(sched)) {
		fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	finish();
}
END_TEST

START_TEST(test_weight_multiplies_the_share)
{
	unsigned served[2] = {0, 0};

	start_with(400, 1, 0);
	target.units_max = other.units_max = 1;
	b.weight = 3;
	for (int i = 0; i < 100; i++) {
		job_give(&a, &target, 1);
		job_give(&b, &other, 1);
	}
	sched_run(sched);
	for (int i = 0; i < 80; i++) {
		const struct slice *slice = fake_queue[0]->user;

		served[slice->unit[0].job->tenant == &b]++;
		fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	ck_assert_uint_ge(served[1], 57);
	ck_assert_uint_le(served[1], 63);
	while (sched_waiting(sched)) {
		fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	finish();
}
END_TEST

/* A reload in the midst of a pass: its charge is taken back as it was made. */
START_TEST(test_a_weight_may_change_under_a_pass)
{
	start_with(400, 1, 0);
	b.weight = 100;
	job_give(&b, &target, 1);
	sched_run(sched);
	ck_assert_uint_eq(b.vtime, SLICE_NS / 100);
	b.weight = 1;
	fake_complete(0, SLICE_NS / 2);
	ck_assert_uint_eq(b.vtime, SLICE_NS / 2);
	finish();
}
END_TEST

START_TEST(test_idle_tenants_save_no_credit)
{
	start_with(400, 1, 0);
	target.units_max = other.units_max = 1;
	for (int i = 0; i < 50; i++) {
		job_give(&a, &target, 1);
		sched_run(sched);
		fake_complete(0, 100 * SLICE_NS);
	}
	/* b comes only now: it must not have 50 passes in advance. */
	for (int i = 0; i < 20; i++) {
		job_give(&a, &target, 1);
		job_give(&b, &other, 1);
	}
	sched_run(sched);
	unsigned of_a = 0;

	for (int i = 0; i < 20; i++) {
		const struct slice *slice = fake_queue[0]->user;

		of_a += slice->unit[0].job->tenant == &a;
		fake_complete(0, 100 * SLICE_NS);
		sched_run(sched);
	}
	ck_assert_uint_ge(of_a, 8);
	ck_assert_uint_le(of_a, 12);
	while (sched_waiting(sched)) {
		fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	finish();
}
END_TEST

START_TEST(test_a_full_queue_says_when_to_come_back)
{
	struct test_job *t;
	uint32_t retry = 0;

	start_with(3, 2, 0);
	for (int i = 0; i < 3; i++)
		job_give(&a, &target, 1);
	t = job_make(&a, &target, 1);
	ck_assert_int_eq(sched_submit(sched, &t->job, &retry), -EAGAIN);
	ck_assert_uint_ge(retry, 1);
	ck_assert_uint_eq(t->times, 0);
	sched_run(sched);
	finish();
	ck_assert_uint_eq(ran_count, 3);
}
END_TEST

START_TEST(test_late_jobs_are_dropped_before_dispatch)
{
	struct test_job *t, *late;

	start();
	late = job_make(&a, &target, 1);
	late->job.deadline_ns = now_ns;
	ck_assert_int_eq(sched_submit(sched, &late->job, &(uint32_t){0}), -ETIMEDOUT);
	t = job_make(&a, &target, 1);
	t->job.deadline_ns = now_ns + 10;
	ck_assert_int_eq(sched_submit(sched, &t->job, &(uint32_t){0}), 0);
	ck_assert_uint_eq(sched_wakeup(sched), now_ns + 10);
	now_ns += 9;
	sched_expire(sched);
	ck_assert_int_eq(t->error, 1);
	now_ns += 1;
	sched_expire(sched);
	ck_assert_int_eq(t->error, -ETIMEDOUT);
	ck_assert_uint_eq(sched_wakeup(sched), 0);
	sched_run(sched);
	ck_assert_uint_eq(fake_submitted, 0);
	finish();
}
END_TEST

START_TEST(test_late_jobs_are_dropped_between_slices)
{
	struct test_job *t, *stays;

	start_with(100, 1, 0);
	slices_a_pass = 4;
	t = job_make(&a, &target, 1);
	t->job.deadline_ns = now_ns + SLICE_NS;
	ck_assert_int_eq(sched_submit(sched, &t->job, &(uint32_t){0}), 0);
	stays = job_give(&a, &target, 1);
	sched_run(sched);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(t->error, -ETIMEDOUT);
	sched_run(sched);
	ck_assert_uint_eq(((struct slice *)fake_queue[0]->user)->count, 1);
	finish();
	ck_assert_int_eq(stays->error, 0);
	ck_assert_uint_eq(fake_submitted, 4);
}
END_TEST

START_TEST(test_cancel_at_each_stage)
{
	struct test_job *waits, *runs, *partly;

	start_with(100, 1, 0);
	slices_a_pass = 3;
	runs = job_give(&a, &target, 1);
	sched_run(sched);
	waits = job_give(&a, &target, 1);
	sched_cancel(sched, &waits->job, -ECANCELED);
	ck_assert_int_eq(waits->error, -ECANCELED);
	sched_cancel(sched, &runs->job, -ECANCELED);
	ck_assert_int_eq(runs->error, 1); /* the device still has it */
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(runs->error, -ECANCELED);
	sched_run(sched);
	ck_assert_uint_eq(fake_count, 0); /* nobody wants the rest of the pass */
	partly = job_give(&a, &target, 6);
	sched_run(sched);
	ck_assert_uint_eq(sched_waiting(sched), 1);
	sched_cancel(sched, &partly->job, -ECANCELED);
	ck_assert_uint_eq(sched_waiting(sched), 0);
	ck_assert_int_eq(partly->error, 1);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(partly->error, -ECANCELED);
	ck_assert_uint_eq(partly->times, 1);
	finish();
}
END_TEST

START_TEST(test_a_cancelled_query_leaves_its_batch_alone)
{
	struct test_job *gone, *stays;

	start_with(100, 1, 0);
	slices_a_pass = 3;
	gone = job_give(&a, &target, 1);
	stays = job_give(&b, &target, 1);
	sched_run(sched);
	sched_cancel(sched, &gone->job, -ECANCELED);
	fake_complete(0, SLICE_NS);
	sched_run(sched);
	ck_assert_ptr_eq(((struct slice *)fake_queue[0]->user)->unit[0].job, &stays->job);
	finish();
	ck_assert_int_eq(stays->error, 0);
	ck_assert_uint_eq(stays->job.device_ns, 3 * SLICE_NS);
}
END_TEST

/* Two slices of a pass on the device: who is dropped stays until both have ended, and is in no more. */
START_TEST(test_a_dropped_job_stays_while_slices_hold_it)
{
	struct test_job *gone, *stays;

	start();
	slices_a_pass = 4;
	gone = job_give(&a, &target, 1);
	stays = job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_uint_eq(fake_count, 2);
	sched_cancel(sched, &gone->job, -ECANCELED);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(gone->error, 1);
	sched_run(sched);
	ck_assert_uint_eq(((struct slice *)fake_queue[1]->user)->count, 1);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(gone->error, -ECANCELED);
	sched_run(sched);
	finish();
	ck_assert_int_eq(stays->error, 0);
}
END_TEST

/* What a unit cost above its estimate is owed, at once and not only by later estimates. */
/* Whoever hears that a job has ended may free its target. */
static void job_ran_frees(struct sched_job *job, int error)
{
	memset(job->target, 0xff, sizeof(*job->target));
	job_ran(job, error);
}

START_TEST(test_a_target_may_go_with_its_last_job)
{
	struct test_job *gone;

	start_with(100, 1, 0);
	slices_a_pass = 2;
	gone = job_give(&a, &target, 1);
	gone->job.ran = job_ran_frees;
	sched_run(sched);
	sched_cancel(sched, &gone->job, -ECANCELED);
	fake_complete(0, SLICE_NS);
	ck_assert_int_eq(gone->error, -ECANCELED);
	ck_assert_uint_eq(ended, 1);

	gone = job_make(&a, &other, 1);
	gone->job.ran = job_ran_frees;
	gone->job.deadline_ns = now_ns + 10;
	ck_assert_int_eq(sched_submit(sched, &gone->job, NULL), 0);
	now_ns += 10;
	sched_run(sched);
	ck_assert_int_eq(gone->error, -ETIMEDOUT);
	ck_assert_uint_eq(ended, 2);
	finish();
}
END_TEST

START_TEST(test_an_underestimate_is_paid_back)
{
	unsigned of_b = 0;

	start_with(400, 1, 0);
	target.units_max = other.units_max = 1;
	other.unit_ns = 4 * SLICE_NS;
	for (int i = 0; i < 20; i++) {
		job_give(&a, &target, 1);
		job_give(&b, &other, 1);
	}
	sched_run(sched);
	ck_assert_ptr_eq(((struct slice *)fake_queue[0]->user)->unit[0].job->tenant, &a);
	fake_complete(0, 50 * SLICE_NS);
	sched_run(sched);
	for (int i = 0; i < 12; i++) {
		of_b += ((struct slice *)fake_queue[0]->user)->unit[0].job->tenant == &b;
		fake_complete(0, 4 * SLICE_NS);
		sched_run(sched);
	}
	ck_assert_uint_ge(of_b, 11);
	while (sched_waiting(sched)) {
		fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	finish();
}
END_TEST

START_TEST(test_a_failed_slice_fails_its_jobs_only)
{
	struct test_job *bad, *good;

	start_with(100, 1, 0);
	slices_a_pass = 3;
	bad = job_give(&a, &target, 1);
	good = job_give(&a, &other, 1);
	sched_run(sched);
	const struct slice *slice = fake_queue[0]->user;
	struct test_job *first = (struct test_job *)slice->unit[0].job;

	fake_complete(-EIO, SLICE_NS);
	sched_run(sched);
	finish();
	ck_assert_int_eq(first->error, -EREMOTEIO);
	ck_assert_int_eq((first == bad ? good : bad)->error, 0);
}
END_TEST

START_TEST(test_a_device_that_refuses_fails_the_jobs)
{
	start();
	fake_refuse = -EAGAIN;
	job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_int_eq(jobs[0].error, -EAGAIN);
	fake_refuse = 0;
	finish();
}
END_TEST

START_TEST(test_an_empty_pass_needs_no_device)
{
	start();
	slices_a_pass = 0;
	job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_int_eq(jobs[0].error, 0);
	ck_assert_uint_eq(fake_submitted, 0);
	finish();
}
END_TEST

START_TEST(test_jobs_that_do_not_fit_wait_for_the_next_pass)
{
	start_with(100, 1, 0);
	target.kind = &picky;
	for (uint64_t i = 0; i < 4; i++) {
		struct test_job *t = job_make(i % 2 ? &a : &b, &target, 1);

		t->job.deadline_ns = now_ns + 1000000 + i % 2;
		ck_assert_int_eq(sched_submit(sched, &t->job, &(uint32_t){0}), 0);
	}
	sched_run(sched);
	ck_assert_uint_eq(last_units[0], 2);
	finish();
	ck_assert_uint_eq(passes, 2);
	ck_assert_uint_eq(ran_count, 4);
}
END_TEST

START_TEST(test_a_pass_waits_for_more_units_if_told_to)
{
	start_with(100, 2, 500);
	job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_uint_eq(fake_submitted, 0);
	ck_assert_uint_eq(sched_wakeup(sched), now_ns + 500);
	for (int i = 0; i < 3; i++)
		job_give(&a, &target, 1);
	sched_run(sched);
	ck_assert_uint_eq(fake_submitted, 1); /* full: no need to wait */
	fake_complete(0, SLICE_NS);
	job_give(&a, &target, 1);
	now_ns += 500;
	sched_run(sched);
	ck_assert_uint_eq(fake_submitted, 2);
	finish();
}
END_TEST

/* Random submissions, cancels, failures: every job ends exactly once. */
START_TEST(test_every_job_ends_once)
{
	unsigned seed = 7 + (unsigned)_i;

	start_with(64, 2, 0);
	for (int step = 0; step < 2000; step++) {
		unsigned r = (unsigned)rand_r(&seed) % 8;

		if (r < 3 && job_count < JOBS) {
			struct test_job *t = job_make(r & 1 ? &a : &b, r == 2 ? &other : &target,
						      1 + (unsigned)rand_r(&seed) % 9);

			slices_a_pass = (unsigned)rand_r(&seed) % 4;
			t->job.class = (enum sched_class)(rand_r(&seed) % 2);
			t->job.deadline_ns =
				rand_r(&seed) % 4 ? 0 : now_ns + (unsigned)rand_r(&seed) % 20000;
			if (sched_submit(sched, &t->job, &(uint32_t){0}))
				t->error = 0, t->times = 1; /* never entered */
		} else if (r == 3 && job_count) {
			struct test_job *t = &jobs[(unsigned)rand_r(&seed) % job_count];

			if (!t->times)
				sched_cancel(sched, &t->job, -ECANCELED);
		} else if (r == 4) {
			sched_expire(sched);
		} else if (fake_count) {
			fake_complete(rand_r(&seed) % 16 ? 0 : -EIO, SLICE_NS);
		}
		sched_run(sched);
	}
	while (fake_count || sched_waiting(sched)) {
		if (fake_count)
			fake_complete(0, SLICE_NS);
		sched_run(sched);
	}
	for (unsigned i = 0; i < job_count; i++)
		ck_assert_msg(jobs[i].times == 1, "seed %d: job %u ended %u times", 7 + _i, i,
			      jobs[i].times);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sched");
	TCase *tcase = tcase_create("sched");

	tcase_add_test(tcase, test_jobs_of_a_target_share_a_pass);
	tcase_add_test(tcase, test_a_large_job_takes_several_passes);
	tcase_add_test(tcase, test_two_slices_keep_the_device_busy);
	tcase_add_test(tcase, test_interactive_overtakes_between_slices);
	tcase_add_test(tcase, test_tenants_share_device_time);
	tcase_add_test(tcase, test_weight_multiplies_the_share);
	tcase_add_test(tcase, test_a_weight_may_change_under_a_pass);
	tcase_add_test(tcase, test_idle_tenants_save_no_credit);
	tcase_add_test(tcase, test_a_full_queue_says_when_to_come_back);
	tcase_add_test(tcase, test_late_jobs_are_dropped_before_dispatch);
	tcase_add_test(tcase, test_late_jobs_are_dropped_between_slices);
	tcase_add_test(tcase, test_cancel_at_each_stage);
	tcase_add_test(tcase, test_a_cancelled_query_leaves_its_batch_alone);
	tcase_add_test(tcase, test_a_dropped_job_stays_while_slices_hold_it);
	tcase_add_test(tcase, test_a_target_may_go_with_its_last_job);
	tcase_add_test(tcase, test_an_underestimate_is_paid_back);
	tcase_add_test(tcase, test_a_failed_slice_fails_its_jobs_only);
	tcase_add_test(tcase, test_a_device_that_refuses_fails_the_jobs);
	tcase_add_test(tcase, test_an_empty_pass_needs_no_device);
	tcase_add_test(tcase, test_jobs_that_do_not_fit_wait_for_the_next_pass);
	tcase_add_test(tcase, test_a_pass_waits_for_more_units_if_told_to);
	tcase_add_loop_test(tcase, test_every_job_ends_once, 0, 20);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
