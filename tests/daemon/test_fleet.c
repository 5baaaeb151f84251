/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler over several devices of unequal speed, simulated: each runs its batches one after the
 * other, on one clock that jumps from end to end. Every position of every job is watched: done once,
 * by a slice that succeeded, or the job has an error.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/sched.h"
#include "daemon/net/metrics.h"
#include "tests/suite.h"

#define SIM_DEVICES 4
#define SIM_JOBS    4096
#define SIM_POSNS   4096
#define SLICE_NS    UINT64_C(5000000)
#define MS	    UINT64_C(1000000)

/* ---- devices ----------------------------------------------------------------------------------- */
struct sim_device {
	struct device base;
	uint32_t index;
	uint64_t ps; /* a position of its passes really takes */
	uint64_t told_ps;
	uint64_t begin, end; /* it holds */
	bool later;
	struct device_batch *queue[8];
	uint32_t count;
	uint64_t free_ns; /* the one at the head ends then */
	int (*fails)(struct sim_device *device, struct slice *slice);
	uint64_t slices, positions, busy_ns;
	uint32_t most; /* batches it held at once */
};

static struct sim_device sim[SIM_DEVICES];
static struct fleet fleet;
static struct bell bell;
static struct sched *sched;
static uint64_t now_ns;

static uint64_t sim_clock(void *user)
{
	(void)user;
	return now_ns;
}

static uint64_t sim_cost(const struct sim_device *device, const struct slice *slice)
{
	return (slice->end - slice->begin) * device->ps / 1000;
}

static int sim_submit(struct device *base, struct device_batch *batch)
{
	struct sim_device *device = (struct sim_device *)base;

	ck_assert_uint_lt(device->count, 8);
	if (!device->count)
		device->free_ns = now_ns + sim_cost(device, batch->user);
	device->queue[device->count++] = batch;
	if (device->count > device->most)
		device->most = device->count;
	return 0;
}

static void sim_caps(const struct device *base, struct device_caps *caps)
{
	(void)base;
	*caps = (struct device_caps){.name = "sim"};
}

static const struct device_ops sim_ops = {.kind = "sim", .caps = sim_caps, .submit = sim_submit};

/* The next end of a batch; false: no device has one. */
static bool sim_step(void)
{
	struct sim_device *first = NULL;
	struct device_batch *batch;
	struct slice *slice;

	for (uint32_t d = 0; d < fleet.count; d++)
		if (sim[d].count && (!first || sim[d].free_ns < first->free_ns))
			first = &sim[d];
	if (!first)
		return false;
	now_ns = first->free_ns;
	batch = first->queue[0];
	slice = batch->user;
	memmove(first->queue, first->queue + 1, --first->count * sizeof(first->queue[0]));
	batch->device_ns = sim_cost(first, slice);
	batch->error = first->fails ? first->fails(first, slice) : 0;
	first->slices++;
	first->busy_ns += batch->device_ns;
	if (!batch->error)
		first->positions += (slice->end - slice->begin) * slice->count;
	if (first->count)
		first->free_ns = now_ns + sim_cost(first, first->queue[0]->user);
	batch->done(batch);
	ck_assert_uint_eq(bell_drain(&bell), 1);
	sched_run(sched);
	return true;
}

/* ---- jobs and kinds ----------------------------------------------------------------------------- */
struct sim_job {
	struct sched_job job;
	int error; /* 1: not yet */
	uint64_t ended_ns, first_ns;
	uint32_t times;
	uint32_t done; /* positions of its units */
	uint8_t seen[SIM_POSNS / 8];
};

static struct sim_job *jobs;
static uint32_t job_count, jobs_ended, passes;
static struct tenant tenants[3];
static struct sched_target targets[3];
static uint64_t pass_positions;
static uint64_t order_end; /* where the last slice of an ordered pass ended */

static void sim_begin(struct pass *pass)
{
	pass->end = pass_positions;
	pass->user = NULL;
	passes++;
}

static enum hold_state sim_holds(const struct sched_target *target, const struct pass *pass,
				 uint32_t device, uint32_t units, struct pass_hold *hold)
{
	uint64_t end = pass ? pass->end : pass_positions ? pass_positions : 1;

	(void)target;
	(void)units;
	hold->begin = sim[device].begin;
	hold->end = sim[device].end < end ? sim[device].end : end;
	hold->ps = sim[device].told_ps;
	if (hold->begin >= hold->end)
		return HOLD_NO;
	return sim[device].later ? HOLD_LATER : HOLD_NOW;
}

static int sim_slice(struct pass *pass, struct slice *slice)
{
	(void)pass;
	slice->batch.commands = &slice->command;
	slice->batch.count = 1;
	return 0;
}

static void sim_slice_done(struct pass *pass, struct slice *slice)
{
	uint64_t mean = 0;

	(void)pass;
	if (slice->batch.error)
		return;
	for (uint32_t i = 0; i < slice->count; i++) {
		struct sim_job *job = (struct sim_job *)slice->unit[i].job;

		if (job->job.units > 1)
			continue; /* positions are watched of jobs of one unit */
		for (uint64_t p = slice->begin; p < slice->end; p++) {
			ck_assert_msg(!(job->seen[p / 8] >> p % 8 & 1), "position %u twice",
				      (unsigned)p);
			job->seen[p / 8] |= (uint8_t)(1u << p % 8);
		}
		job->done += (uint32_t)(slice->end - slice->begin);
	}
	for (uint32_t d = 0; d < fleet.count; d++)
		mean += sim[d].ps / fleet.count;
	slice->cost_ns = (slice->end - slice->begin) * mean / 1000;
}

static const struct pass_kind kind = {
	.name = "sim",
	.begin = sim_begin,
	.holds = sim_holds,
	.slice = sim_slice,
	.slice_done = sim_slice_done,
};

static int order_slice(struct pass *pass, struct slice *slice)
{
	ck_assert_uint_eq(slice->begin, (uintptr_t)pass->user);
	pass->user = (void *)(uintptr_t)slice->end;
	order_end = slice->end;
	return sim_slice(pass, slice);
}

static const struct pass_kind ordered = {
	.name = "ordered",
	.ordered = true,
	.begin = sim_begin,
	.holds = sim_holds,
	.slice = order_slice,
};

static void job_ran(struct sched_job *job, int error)
{
	struct sim_job *t = (struct sim_job *)job;

	t->error = error;
	t->times++;
	t->ended_ns = now_ns;
	jobs_ended++;
	if (!error && job->units == 1 && job->target->kind == &kind)
		ck_assert_uint_eq(t->done, pass_positions);
}

static struct sim_job *job_give(uint32_t tenant, uint32_t target, enum sched_class class)
{
	struct sim_job *t = &jobs[job_count++];
	uint32_t retry = 0;

	ck_assert_uint_le(job_count, SIM_JOBS);
	memset(t, 0, sizeof(*t));
	t->error = 1;
	t->job = (struct sched_job){.tenant = &tenants[tenant],
				    .target = &targets[target],
				    .class = class,
				    .units = 1,
				    .ran = job_ran};
	ck_assert_int_eq(sched_submit(sched, &t->job, &retry), 0);
	return t;
}

static void start(uint32_t devices, const uint64_t *ps, uint64_t positions, uint64_t delay_ns)
{
	struct sched_config config = {.fleet = &fleet,
				      .bell = &bell,
				      .clock = sim_clock,
				      .queue = SIM_JOBS,
				      .in_flight = 2,
				      .delay_ns = delay_ns,
				      .slice_ns = SLICE_NS};
	static const char *const names[] = {"cpu", "board1", "board2", "board3"};

	now_ns = 1000 * MS;
	pass_positions = positions;
	jobs = calloc(SIM_JOBS, sizeof(*jobs));
	for (uint32_t d = 0; d < devices; d++) {
		sim[d] = (struct sim_device){.base = {&sim_ops},
					     .index = d,
					     .ps = ps[d],
					     .told_ps = ps[d],
					     .end = UINT64_MAX};
		fleet_opened(fleet_add(&fleet, names[d], "sim"), &sim[d].base);
	}
	for (uint32_t i = 0; i < 3; i++) {
		tenants[i] = (struct tenant){.weight = 1};
		targets[i] = (struct sched_target){.kind = &kind, .units_max = 1, .unit_ns = 1000};
	}
	ck_assert_int_eq(bell_init(&bell), 0);
	ck_assert_int_eq(sched_create(&config, &sched), 0);
}

static void finish(void)
{
	while (sim_step())
		;
	ck_assert_uint_eq(sched_waiting(sched), 0);
	ck_assert_uint_eq(sched_running(sched), 0);
	ck_assert_uint_eq(jobs_ended, job_count);
	for (uint32_t i = 0; i < job_count; i++)
		ck_assert_uint_eq(jobs[i].times, 1);
	for (uint32_t d = 0; d < fleet.count; d++) {
		ck_assert_uint_eq(fleet.device[d].in_flight, 0);
		ck_assert_uint_eq(fleet_backlog_ns(&fleet.device[d], now_ns), 0);
		ck_assert_uint_le(sim[d].most, 2);
	}
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_uint_eq(tenants[i].jobs, 0);
	sched_free(sched);
	bell_close(&bell);
}

static const uint64_t one[] = {5000 * 1000}; /* 5 us a position */
static const uint64_t unequal[] = {20000 * 1000, 5000 * 1000, 9000 * 1000};

/* ---- shares --------------------------------------------------------------------------------------- */
/* Unequal devices are done at about one time, in much less than the best one alone. */
START_TEST(test_unequal_devices_end_together)
{
	struct sim_job *t;
	uint64_t alone = 4000 * unequal[1] / 1000, best;
	double rate = 0;

	start(3, unequal, 4000, 0);
	for (int d = 0; d < 3; d++)
		rate += 1.0 / (double)unequal[d];
	best = (uint64_t)(4000 / rate / 1000);
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_lt(t->ended_ns - t->job.started_ns, best + 2 * MS);
	ck_assert_uint_lt(t->ended_ns - t->job.started_ns, alone * 7 / 10);
	ck_assert_uint_eq(t->job.devices, 7);
	for (int d = 0; d < 3; d++)
		ck_assert_uint_gt(sim[d].positions, 0);
}
END_TEST

/* Estimates that are wrong by a factor cost one slice, not a factor. */
START_TEST(test_wrong_estimates_are_caught_up_with)
{
	struct sim_job *t;

	start(2, unequal, 4000, 0);
	sim[0].told_ps = 2000 * 1000; /* says it is the faster one */
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	/* 16 ms at best; its last slice was cut for 5 ms and takes ten times that */
	ck_assert_uint_lt(t->ended_ns - t->job.started_ns, 16 * MS + 2 * 50 * MS);
	ck_assert_uint_gt(sim[1].positions, 1000);
}
END_TEST

/* What is too little to be shared runs whole on the one that is done first. */
START_TEST(test_small_passes_stay_whole)
{
	start(3, unequal, 60, 0); /* 0.3 ms on the fastest */
	for (int i = 0; i < 10; i++) {
		job_give(0, 0, SCHED_INTERACTIVE);
		sched_run(sched);
		ck_assert_uint_eq(sim[1].count, 1);
		while (sim_step())
			;
	}
	ck_assert_uint_eq(sim[1].slices, 10);
	ck_assert_uint_eq(sim[0].slices + sim[2].slices, 0);
	/* Many at once: the others help once the first is behind. */
	for (int i = 0; i < 60; i++)
		job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	ck_assert_uint_gt(sim[2].slices, 10);
	ck_assert_uint_gt(sim[0].slices, 2);
}
END_TEST

/* Ranges as they come: each position is searched once, by one that holds it. */
START_TEST(test_shards_and_copies)
{
	unsigned seed = 11 + (unsigned)_i;

	start(4, (uint64_t[]){20000000, 5000000, 9000000, 7000000}, 3000, 0);
	for (uint32_t d = 1; d < 4; d++) {
		sim[d].begin = (uint64_t)rand_r(&seed) % 3000;
		sim[d].end = sim[d].begin + (uint64_t)rand_r(&seed) % 3000;
	}
	for (int i = 0; i < 20; i++) {
		job_give((uint32_t)i % 3, (uint32_t)i % 3, SCHED_INTERACTIVE);
		sched_run(sched);
		for (int n = rand_r(&seed) % 6; n--;)
			sim_step();
	}
	finish();
	for (uint32_t i = 0; i < job_count; i++)
		ck_assert_int_eq(jobs[i].error, 0);
}
END_TEST

/* ---- fairness ------------------------------------------------------------------------------------- */
/* Keeps so many jobs of each tenant waiting for ms; the share of tenant 0 in what was done. */
static double share_of_first(const uint32_t waiting[2], uint32_t ms)
{
	uint64_t until = now_ns + ms * MS, done[2] = {0, 0};
	uint32_t counted = 0, alive[2] = {0, 0};

	while (now_ns < until) {
		for (uint32_t i = 0; i < 2; i++)
			for (; alive[i] < waiting[i]; alive[i]++)
				job_give(i, i, SCHED_INTERACTIVE);
		sched_run(sched);
		ck_assert(sim_step());
		alive[0] = alive[1] = 0;
		for (uint32_t i = counted; i < job_count; i++)
			if (jobs[i].error == 1)
				alive[jobs[i].job.tenant == &tenants[1]]++;
	}
	for (uint32_t i = 0; i < job_count; i++)
		if (jobs[i].error == 0)
			done[jobs[i].job.tenant == &tenants[1]]++;
	return (double)done[0] / (double)(done[0] + done[1]);
}

static const struct {
	uint32_t devices;
	const uint64_t *ps;
} beds[] = {{1, one}, {3, unequal}};

START_TEST(test_equal_tenants_share_evenly)
{
	double share;

	start(beds[_i].devices, beds[_i].ps, 1000, 0);
	share = share_of_first((uint32_t[]){40, 4}, 3000);
	ck_assert_msg(share > 0.49 && share < 0.51, "%.3f", share);
	finish();
}
END_TEST

START_TEST(test_weights_share_by_weight)
{
	double share;

	start(beds[_i].devices, beds[_i].ps, 1000, 0);
	tenants[0].weight = 3;
	share = share_of_first((uint32_t[]){20, 20}, 3000);
	ck_assert_msg(share > 0.735 && share < 0.765, "%.3f", share);
	finish();
}
END_TEST

/* Jobs too small to be parted: the luck of the device one gets must not decide who gets more. */
START_TEST(test_small_jobs_share_evenly)
{
	double share;

	start(3, unequal, 90, 0);
	share = share_of_first((uint32_t[]){40, 4}, 150);
	ck_assert_msg(share > 0.49 && share < 0.51, "%.3f", share);
	finish();
}
END_TEST

/* A batch tenant fills all devices; an interactive job waits two commands at most. */
START_TEST(test_interactive_waits_two_commands)
{
	struct sim_job *quick;
	unsigned seed = 5;

	start(beds[_i].devices, beds[_i].ps, 4000, 0);
	for (int i = 0; i < 200; i++)
		job_give(0, 0, SCHED_BATCH);
	sched_run(sched);
	for (int i = 0; i < 40; i++) {
		for (int n = 1 + rand_r(&seed) % 9; n--;)
			ck_assert(sim_step());
		quick = job_give(1, 1, SCHED_INTERACTIVE);
		sched_run(sched);
		while (quick->error == 1)
			ck_assert(sim_step());
		ck_assert_int_eq(quick->error, 0);
		ck_assert_uint_le(quick->job.started_ns - quick->job.queued_ns, 2 * SLICE_NS);
	}
	finish();
}
END_TEST

/* ---- failure -------------------------------------------------------------------------------------- */
static int fail_always(struct sim_device *device, struct slice *slice)
{
	(void)device;
	(void)slice;
	return -EIO;
}

static int fail_with;
static int fail_once(struct sim_device *device, struct slice *slice)
{
	(void)slice;
	device->fails = NULL;
	return fail_with;
}

static const int device_errors[] = {-EIO, -ENODEV, -ETIMEDOUT, -ECANCELED, -ENOMEM, -EINVAL};

START_TEST(test_a_failed_slice_is_repeated_elsewhere)
{
	struct sim_job *t;

	start(2, unequal, 2000, 0);
	fail_with = device_errors[_i];
	sim[1].fails = fail_once;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_eq(fleet.device[1].repeated, 1);
	ck_assert_uint_eq(fleet.device[1].failed, 1);
	if (fail_with == -ENODEV) {
		ck_assert(!fleet_works(&fleet.device[1]));
		ck_assert_str_eq(fleet_state_name(&fleet.device[1]), "lost");
		ck_assert_uint_le(sim[1].slices, 2); /* and what it had by then */
	} else {
		ck_assert(fleet_works(&fleet.device[1]));
	}
}
END_TEST

START_TEST(test_failing_twice_is_an_error_that_may_be_retried)
{
	struct sim_job *t;

	start(2, unequal, 2000, 0);
	sim[0].fails = sim[1].fails = fail_always;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, -EREMOTEIO);
}
END_TEST

/* Nobody else has those positions: no second try on the same device. */
START_TEST(test_nobody_else_holds_it)
{
	struct sim_job *t;

	start(2, unequal, 2000, 0);
	sim[0].end = 1000;
	sim[1].fails = fail_always;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, -EREMOTEIO);
	ck_assert_uint_le(sim[1].slices, 2);
}
END_TEST

/* A device that is away for good: who needs it hears so at once; who waits for it to be ready waits. */
START_TEST(test_what_nobody_can_take)
{
	struct sim_job *t;

	start(2, unequal, 2000, 0);
	sim[0].end = 0;
	fleet.device[1].drained = true;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	ck_assert_int_eq(t->error, -EREMOTEIO);
	fleet.device[1].drained = false;
	sim[1].later = true;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	ck_assert_int_eq(t->error, 1);
	sim[1].later = false;
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, 0);
}
END_TEST

/* ---- order ---------------------------------------------------------------------------------------- */
START_TEST(test_ordered_passes)
{
	struct sim_job *t;

	start(3, unequal, 3000, 0);
	targets[0].kind = &ordered;
	sim[1].end = 1000; /* the first third here, the rest there */
	sim[2].begin = 1000;
	sim[0].end = 0;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	finish();
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_eq(order_end, 3000);
	ck_assert_uint_eq(sim[1].positions, 1000);
	ck_assert_uint_eq(sim[2].positions, 2000);
}
END_TEST

START_TEST(test_ordered_passes_begin_again)
{
	struct sim_job *t;

	start(2, unequal, 3000, 0);
	targets[0].kind = &ordered;
	fail_with = -EIO;
	t = job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	ck_assert_uint_eq(sim[0].count, 0);
	sim_step();
	sim[1].fails = fail_once;
	finish();
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_eq(passes, 2); /* begin() twice */
	ck_assert_uint_eq(sim[0].positions, 3000);
	ck_assert_uint_eq(order_end, 3000);
}
END_TEST

/* ---- drain, deadlines, coalescing ------------------------------------------------------------------ */
/* ---- what a device counts itself ---- */
static uint64_t counted;

static void count_stats(const struct device *device, struct device_stats *stats)
{
	(void)device;
	*stats = (struct device_stats){.queued = 3, .direct_bytes = counted};
}

/* It begins anew when it is opened again; the daemon's counter goes on. */
START_TEST(test_counters_outlive_a_device)
{
	static const struct device_ops ops = {.caps = sim_caps, .stats = count_stats};
	struct metrics_device metrics = {0};
	struct fleet_device device = {.metrics = &metrics};
	struct device opened = {&ops};

	fleet_ask(&device); /* there is none */
	ck_assert_uint_eq(metrics.queued, 0);
	fleet_opened(&device, &opened);
	counted = 70;
	fleet_ask(&device);
	fleet_ask(&device);
	ck_assert_uint_eq(metrics.direct_bytes, 70);
	ck_assert_uint_eq(metrics.queued, 3);
	fleet_opened(&device, &opened);
	counted = 5;
	fleet_ask(&device);
	ck_assert_uint_eq(metrics.direct_bytes, 75);
}
END_TEST

START_TEST(test_drain_under_load)
{
	start(3, unequal, 2000, 0);
	for (int i = 0; i < 60; i++) {
		job_give((uint32_t)i % 3, (uint32_t)i % 3, SCHED_INTERACTIVE);
		sched_run(sched);
		sim_step();
		if (i == 20) {
			fleet.device[1].drained = true;
			ck_assert_str_eq(fleet_state_name(&fleet.device[1]), "draining");
			while (sim[1].count)
				sim_step();
			ck_assert_str_eq(fleet_state_name(&fleet.device[1]), "drained");
			sim[1].slices = 0;
		}
		if (i == 40) {
			ck_assert_uint_eq(sim[1].slices, 0);
			fleet.device[1].drained = false;
			sched_run(sched);
		}
	}
	finish();
	ck_assert_uint_gt(sim[1].slices, 0);
	for (uint32_t i = 0; i < job_count; i++)
		ck_assert_int_eq(jobs[i].error, 0);
}
END_TEST

START_TEST(test_a_pass_waits_no_longer_than_a_deadline_lets_it)
{
	struct sim_job *t;
	uint64_t begun;

	start(1, one, 1000, 100 * MS); /* a pass takes 5 ms */
	targets[0].units_max = 8;
	for (int i = 0; i < 6; i++) { /* so that it is known */
		job_give(0, 0, SCHED_INTERACTIVE);
		sched_run(sched);
		now_ns += 100 * MS;
		sched_run(sched);
		while (sim_step())
			;
	}
	begun = now_ns;
	job_give(0, 0, SCHED_INTERACTIVE);
	sched_run(sched);
	ck_assert_uint_eq(sched_wakeup(sched), begun + 100 * MS);
	t = job_give(0, 0, SCHED_INTERACTIVE);
	t->job.deadline_ns = begun + 30 * MS;
	sched_run(sched);
	ck_assert_uint_eq(sim[0].count, 0);
	ck_assert_uint_lt(sched_wakeup(sched), begun + 25 * MS);
	ck_assert_uint_gt(sched_wakeup(sched), begun + 20 * MS);
	now_ns = sched_wakeup(sched);
	sched_run(sched);
	ck_assert_uint_eq(((struct slice *)sim[0].queue[0]->user)->count, 2);
	finish();
	ck_assert_int_eq(t->error, 0);
	ck_assert_uint_le(t->ended_ns, begun + 30 * MS);
}
END_TEST

/* ---- anything ------------------------------------------------------------------------------------- */
static unsigned any_seed;
static int fail_sometimes(struct sim_device *device, struct slice *slice)
{
	(void)device;
	(void)slice;
	return rand_r(&any_seed) % 10 ? 0 : -EIO;
}

START_TEST(test_anything_may_happen)
{
	uint32_t served = 0;

	any_seed = 100 + (unsigned)_i;
	start(4, (uint64_t[]){20000000, 5000000, 9000000, 7000000}, 1500, 0);
	targets[1].units_max = targets[0].units_max = 8;
	targets[2].kind = &ordered;
	for (uint32_t d = 1; d < 4; d++)
		sim[d].fails = fail_sometimes;
	for (int step = 0; step < 3000; step++) {
		unsigned r = (unsigned)rand_r(&any_seed) % 16;
		uint32_t d = 1 + (uint32_t)rand_r(&any_seed) % 3;

		if (r < 4 && job_count < SIM_JOBS) {
			struct sim_job *t = job_give(r % 3, (uint32_t)rand_r(&any_seed) % 3,
						     (enum sched_class)(rand_r(&any_seed) % 2));

			if (rand_r(&any_seed) % 4 == 0)
				t->job.deadline_ns =
					now_ns + (uint64_t)rand_r(&any_seed) % (40 * MS);
		} else if (r == 4 && job_count) {
			struct sim_job *t = &jobs[(uint32_t)rand_r(&any_seed) % job_count];

			if (!t->times)
				sched_cancel(sched, &t->job, -ECANCELED);
		} else if (r == 5) {
			fleet.device[d].drained = !fleet.device[d].drained;
		} else if (r == 6) {
			sim[d].begin = (uint64_t)rand_r(&any_seed) % 1500;
			sim[d].end = sim[d].begin + (uint64_t)rand_r(&any_seed) % 1500;
		} else if (r == 7) {
			sched_expire(sched);
		} else {
			sim_step();
		}
		sched_run(sched);
	}
	finish();
	for (uint32_t i = 0; i < job_count; i++) {
		served += !jobs[i].error;
		ck_assert(!jobs[i].error || jobs[i].error == -ECANCELED ||
			  jobs[i].error == -ETIMEDOUT || jobs[i].error == -EREMOTEIO);
	}
	ck_assert_uint_gt(served, job_count / 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fleet");
	TCase *tcase = tcase_create("fleet");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, test_unequal_devices_end_together);
	tcase_add_test(tcase, test_wrong_estimates_are_caught_up_with);
	tcase_add_test(tcase, test_small_passes_stay_whole);
	tcase_add_loop_test(tcase, test_shards_and_copies, 0, 40);
	tcase_add_loop_test(tcase, test_equal_tenants_share_evenly, 0, 2);
	tcase_add_loop_test(tcase, test_weights_share_by_weight, 0, 2);
	tcase_add_test(tcase, test_small_jobs_share_evenly);
	tcase_add_loop_test(tcase, test_interactive_waits_two_commands, 0, 2);
	tcase_add_loop_test(tcase, test_a_failed_slice_is_repeated_elsewhere, 0, 6);
	tcase_add_test(tcase, test_failing_twice_is_an_error_that_may_be_retried);
	tcase_add_test(tcase, test_nobody_else_holds_it);
	tcase_add_test(tcase, test_what_nobody_can_take);
	tcase_add_test(tcase, test_ordered_passes);
	tcase_add_test(tcase, test_ordered_passes_begin_again);
	tcase_add_test(tcase, test_counters_outlive_a_device);
	tcase_add_test(tcase, test_drain_under_load);
	tcase_add_test(tcase, test_a_pass_waits_no_longer_than_a_deadline_lets_it);
	tcase_add_loop_test(tcase, test_anything_may_happen, 0, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
