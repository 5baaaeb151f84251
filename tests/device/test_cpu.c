/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU device's queue: order, bounds, cancelling, many threads, opening and closing. */
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct device_command echo = {.op = DEVICE_ECHO};

/* ---- a gate: a batch whose done() holds the worker until it is opened ---- */

struct gate {
	struct device_batch batch;
	sem_t reached, open;
};

static void gate_done(struct device_batch *batch)
{
	struct gate *gate = batch->user;

	sem_post(&gate->reached);
	sem_wait(&gate->open);
}

static void gate_close(struct gate *gate, struct device *device)
{
	*gate = (struct gate){.batch = {.commands = &echo, .count = 1, .done = gate_done}};
	gate->batch.user = gate;
	sem_init(&gate->reached, 0, 0);
	sem_init(&gate->open, 0, 0);
	ck_assert_int_eq(device->ops->submit(device, &gate->batch), 0);
	sem_wait(&gate->reached);
}

/* ---- order ---- */

struct ordered {
	struct device_batch batch;
	uint32_t *next, number;
	struct rig_wait *wait;
	bool in_order;
};

static void ordered_done(struct device_batch *batch)
{
	struct ordered *o = batch->user;
	struct device_batch done = {.user = o->wait};

	o->in_order = (*o->next)++ == o->number;
	rig_done(&done);
}

START_TEST(batches_run_in_order)
{
	enum { COUNT = 500 };
	struct device *device = rig_open(2, 0);
	struct ordered *all = calloc(COUNT, sizeof(*all));
	struct rig_wait wait = RIG_WAIT;
	uint32_t next = 0;
	struct gate gate;

	gate_close(&gate, device);
	for (uint32_t i = 0; i < COUNT; i++) {
		all[i] = (struct ordered){.batch = {.commands = &echo,
						    .count = i % 2,
						    .done = ordered_done,
						    .user = &all[i]},
					  .next = &next,
					  .number = i,
					  .wait = &wait};
		ck_assert_int_eq(device->ops->submit(device, &all[i].batch), 0);
		if (i == COUNT / 2)
			sem_post(&gate.open);
	}
	rig_wait_for(&wait, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		ck_assert_msg(all[i].in_order, "batch %u was not in its turn", i);
	device->ops->close(device);
	free(all);
}
END_TEST

START_TEST(a_wrong_command_ends_its_batch_only)
{
	struct device *device = rig_open(1, 0);
	struct device_command commands[5] = {echo, echo, echo, echo, echo};
	struct device_stats stats;
	struct rig_memory memory;
	uint64_t seed = 4;
	uint32_t at;
	uint8_t *out;

	rig_memory_init(&memory, device, 1 << 16);
	for (int i = 0; i < 5; i++) {
		commands[i].in[0] = rig_span(&memory, 64, 1, &seed);
		commands[i].out = rig_span(&memory, 64, 1, &seed);
	}
	out = rig_data(&memory, &commands[4].out);
	commands[3].in[0].bytes = 65;
	ck_assert_int_eq(rig_run(device, commands, 5, &at), -EINVAL);
	ck_assert_uint_eq(at, 3);
	ck_assert_mem_eq(rig_data(&memory, &commands[2].out), rig_data(&memory, &commands[2].in[0]),
			 64);
	ck_assert_mem_ne(out, rig_data(&memory, &commands[4].in[0]), 64);
	commands[3].in[0].bytes = 64;
	ck_assert_int_eq(rig_run(device, commands, 5, &at), 0);
	ck_assert_mem_eq(out, rig_data(&memory, &commands[4].in[0]), 64);
	device->ops->stats(device, &stats);
	ck_assert_uint_eq(stats.batches, 2);
	ck_assert_uint_eq(stats.commands, 8);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_uint_eq(stats.cancelled, 0);
	ck_assert_uint_eq(stats.queued, 0);
	rig_memory_free(&memory);
	device->ops->close(device);
}
END_TEST

/* ---- the queue's bound ---- */

START_TEST(a_full_queue_says_so)
{
	struct device *device = rig_open(1, 4);
	struct rig_wait wait = RIG_WAIT;
	struct device_batch batches[5];
	struct device_stats stats;
	struct gate gate;

	for (int round = 0; round < 3; round++) {
		gate_close(&gate, device);
		for (int i = 0; i < 5; i++) {
			batches[i] = (struct device_batch){
				.commands = &echo, .count = 1, .done = rig_done, .user = &wait};
			ck_assert_int_eq(device->ops->submit(device, &batches[i]),
					 i < 4 ? 0 : -EAGAIN);
		}
		device->ops->stats(device, &stats);
		ck_assert_uint_eq(stats.queued, 4);
		sem_post(&gate.open);
		rig_wait_for(&wait, 4 * (unsigned int)(round + 1));
		usleep(1000);
		ck_assert_uint_eq(wait.count, 4 * (unsigned int)(round + 1));
	}
	device->ops->close(device);
}
END_TEST

/* ---- cancelling ---- */

START_TEST(cancelled_before_it_began)
{
	struct device *device = rig_open(1, 0);
	struct rig_wait wait = RIG_WAIT;
	struct device_batch batches[3];
	struct device_command copy = echo;
	struct device_stats stats;
	uint8_t bytes[128] = {1};
	struct gate gate;

	copy.op = DEVICE_COPY;
	ck_assert_int_eq(device->ops->buffer_import(device, bytes, 128, &copy.in[0].buffer), 0);
	copy.in[0].bytes = copy.out.bytes = copy.out.offset = 64;
	copy.out.buffer = copy.in[0].buffer;
	gate_close(&gate, device);
	for (int i = 0; i < 3; i++) {
		batches[i] = (struct device_batch){.commands = i == 1 ? &copy : &echo,
						   .count = 1,
						   .done = rig_done,
						   .user = &wait};
		ck_assert_int_eq(device->ops->submit(device, &batches[i]), 0);
	}
	device->ops->cancel(device, &batches[1]);
	sem_post(&gate.open);
	rig_wait_for(&wait, 3);
	ck_assert_int_eq(batches[0].error, 0);
	ck_assert_int_eq(batches[1].error, -ECANCELED);
	ck_assert_int_eq(batches[2].error, 0);
	ck_assert_int_eq(bytes[64], 0);
	device->ops->stats(device, &stats);
	ck_assert_uint_eq(stats.cancelled, 1);
	ck_assert_uint_eq(stats.failed, 0);
	/* Submitted again it runs. */
	ck_assert_int_eq(device->ops->submit(device, &batches[1]), 0);
	rig_wait_for(&wait, 4);
	ck_assert_int_eq(batches[1].error, 0);
	ck_assert_int_eq(bytes[64], 1);
	device->ops->buffer_free(copy.in[0].buffer);
	device->ops->close(device);
}
END_TEST

START_TEST(cancelled_while_it_runs)
{
	enum { COUNT = 400, BYTES = 8 << 20 };
	struct device *device = rig_open(1, 0);
	struct device_command *commands = calloc(COUNT, sizeof(*commands));
	struct rig_wait wait = RIG_WAIT;
	struct device_batch batch = {
		.commands = commands, .count = COUNT, .done = rig_done, .user = &wait};
	struct device_buffer *buffer;

	ck_assert_int_eq(device->ops->buffer_create(device, 2 * BYTES, &buffer), 0);
	for (int i = 0; i < COUNT; i++) {
		commands[i].op = DEVICE_COPY;
		commands[i].in[0] = (struct device_span){buffer, 0, BYTES};
		commands[i].out = (struct device_span){buffer, BYTES, BYTES};
	}
	ck_assert_int_eq(device->ops->submit(device, &batch), 0);
	/* A copy takes a millisecond or two, so it is at one of the first hundred. */
	usleep(20000);
	device->ops->cancel(device, &batch);
	rig_wait_for(&wait, 1);
	ck_assert_int_eq(batch.error, -ECANCELED);
	ck_assert_uint_gt(batch.error_index, 0);
	ck_assert_uint_lt(batch.error_index, COUNT - 1);
	ck_assert_uint_gt(batch.device_ns, 0);
	device->ops->buffer_free(buffer);
	device->ops->close(device);
	free(commands);
}
END_TEST

/* ---- many threads ---- */

struct submitter {
	struct device *device;
	pthread_t thread;
	uint32_t count, done, wrong, refused;
	uint64_t seed;
};

struct submitted {
	struct device_batch batch;
	struct submitter *owner;
	struct rig_wait *wait;
	uint32_t number;
};

/* On the worker thread, so counts need no lock; each submitter's come in its order. */
static void submitted_done(struct device_batch *batch)
{
	struct submitted *s = batch->user;
	struct rig_wait *wait = s->wait;
	bool last = s->number + 1 == s->owner->count;

	s->owner->wrong += s->owner->done++ != s->number || batch->error;
	free(s);
	if (last)
		rig_done(&(struct device_batch){.user = wait});
}

static void *submit_many(void *argument)
{
	struct submitter *me = argument;
	struct rig_wait wait = RIG_WAIT;

	for (uint32_t i = 0; i < me->count; i++) {
		struct submitted *s = calloc(1, sizeof(*s));

		s->batch = (struct device_batch){
			.commands = &echo, .count = 1, .done = submitted_done, .user = s};
		s->owner = me;
		s->wait = &wait;
		s->number = i;
		while (me->device->ops->submit(me->device, &s->batch) == -EAGAIN) {
			me->refused++;
			sched_yield();
		}
		if (rig_random(&me->seed) % 1024 == 0)
			usleep(50);
	}
	rig_wait_for(&wait, 1);
	return NULL;
}

START_TEST(many_submitters)
{
	enum { THREADS = 6, EACH = 20000 };
	struct device *device = rig_open(2, 64);
	struct submitter submitters[THREADS] = {0};
	struct device_stats stats;
	uint64_t counted = 0;

	for (int i = 0; i < THREADS; i++) {
		submitters[i].device = device;
		submitters[i].count = EACH;
		submitters[i].seed = (uint64_t)i;
		pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(submitters[i].thread, NULL);
		ck_assert_uint_eq(submitters[i].wrong, 0);
		counted += submitters[i].done;
	}
	ck_assert_uint_eq(counted, THREADS * EACH);
	device->ops->stats(device, &stats);
	ck_assert_uint_eq(stats.batches, THREADS * EACH);
	ck_assert_uint_eq(stats.queued, 0);
	device->ops->close(device);
}
END_TEST

/* done() may submit: a chain of batches, each sent by the one before. */
struct chain {
	struct device *device;
	struct device_batch batch;
	struct rig_wait wait;
	uint32_t left;
};

static void chain_done(struct device_batch *batch)
{
	struct chain *chain = batch->user;

	if (chain->left-- && !chain->device->ops->submit(chain->device, batch))
		return;
	rig_done(&(struct device_batch){.user = &chain->wait});
}

START_TEST(done_may_submit)
{
	struct chain chain = {.device = rig_open(1, 1), .wait = RIG_WAIT, .left = 20000};
	struct device_stats stats;

	chain.batch = (struct device_batch){
		.commands = &echo, .count = 1, .done = chain_done, .user = &chain};
	ck_assert_int_eq(chain.device->ops->submit(chain.device, &chain.batch), 0);
	rig_wait_for(&chain.wait, 1);
	chain.device->ops->stats(chain.device, &stats);
	ck_assert_uint_eq(stats.batches, 20001);
	chain.device->ops->close(chain.device);
}
END_TEST

/* One at a time with the worker asleep in between: no wake may be lost. */
START_TEST(no_wake_is_lost)
{
	struct device *device = rig_open(1, 0);
	uint64_t seed = 12;

	for (int i = 0; i < 20000; i++) {
		ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
		for (uint32_t spin = rig_random(&seed) % 200; spin; spin--)
			__asm__ volatile("");
	}
	device->ops->close(device);
}
END_TEST

/* With nothing to do, no thread of the device uses the processor. */
START_TEST(idle_threads_sleep)
{
	struct device *device = rig_open((uint32_t)_i, 0);
	struct timespec before, after;
	int64_t used_ns;

	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
	usleep(20000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	usleep(100000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	used_ns = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	ck_assert_int_lt(used_ns, 5000000);
	device->ops->close(device);
}
END_TEST

/* ---- opening and closing ---- */

START_TEST(opened_and_closed_idle)
{
	for (uint32_t i = 0; i < 200; i++) {
		struct device *device = rig_open(i % 4 + 1, 0);

		if (i % 3)
			ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
		ck_assert_int_eq(device->ops->reset(device), 0);
		device->ops->close(device);
	}
}
END_TEST

static int try_open(const struct device_config *config)
{
	struct device *device;
	int err = device_open("cpu", config, &device);

	if (!err)
		device->ops->close(device);
	return err;
}

START_TEST(configurations)
{
	static const char *const wrong[] = {"",	       "x",    "0-", "-1",  "1-0",
					    "0,",      ",0",   "0 ", "0;1", "99999999999",
					    "0-99999", "1023", "+0", "0x0"};
	struct device *device;
	struct device_caps caps;

	ck_assert_int_eq(device_open("abacus", NULL, &device), -ENODEV);
	ck_assert_int_eq(device_open("cpu", NULL, &device), 0);
	device->ops->close(device);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(try_open(&(struct device_config){.pin = wrong[i]}) == -EINVAL,
			      "pinning to \"%s\" was accepted", wrong[i]);
	ck_assert_int_eq(try_open(&(struct device_config){.pin = "0"}), 0);
	ck_assert_int_eq(try_open(&(struct device_config){.pin = "0,0-0,0", .threads = 3}), 0);
	ck_assert_int_eq(try_open(&(struct device_config){.isa = "mmx"}), -ENODEV);
	ck_assert_int_eq(try_open(&(struct device_config){.threads = 100000}), -EINVAL);
	ck_assert_int_eq(device_open("cpu",
				     &(struct device_config){.isa = "portable", .threads = 3},
				     &device),
			 0);
	device->ops->caps(device, &caps);
	ck_assert_str_eq(caps.name, "cpu0");
	ck_assert_str_eq(caps.detail, "portable, 3 threads");
	ck_assert_uint_eq(caps.ops,
			  ((1u << DEVICE_OPS) - 1) & ~(1u << DEVICE_LOAD | 1u << DEVICE_UNLOAD));
	ck_assert_uint_eq(caps.batch_max, SEARCH_BATCH_MAX);
	ck_assert(caps.reads_host_memory);
	device->ops->close(device);
}
END_TEST

/* The worker's processor is the one it was pinned to, and its signals are blocked. */
struct where {
	int cpu;
	bool blocked;
	struct rig_wait wait;
};

static void where_done(struct device_batch *batch)
{
	struct where *where = batch->user;
	sigset_t mask;

	where->cpu = sched_getcpu();
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	where->blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP);
	rig_done(&(struct device_batch){.user = &where->wait});
}

START_TEST(the_worker_is_pinned)
{
	cpu_set_t usable;
	int last = 0;
	char pin[16];
	struct where where = {.wait = RIG_WAIT};
	struct device_batch batch = {
		.commands = &echo, .count = 1, .done = where_done, .user = &where};
	struct device *device;

	sched_getaffinity(0, sizeof(usable), &usable);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &usable))
			last = i;
	snprintf(pin, sizeof(pin), "%d", last);
	ck_assert_int_eq(device_open("cpu", &(struct device_config){.pin = pin}, &device), 0);
	ck_assert_int_eq(device->ops->submit(device, &batch), 0);
	rig_wait_for(&where.wait, 1);
	ck_assert_int_eq(where.cpu, last);
	ck_assert(where.blocked);
	device->ops->close(device);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device cpu");
	TCase *tc = tcase_create("queue");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, batches_run_in_order);
	tcase_add_test(tc, a_wrong_command_ends_its_batch_only);
	tcase_add_test(tc, a_full_queue_says_so);
	tcase_add_test(tc, cancelled_before_it_began);
	tcase_add_test(tc, cancelled_while_it_runs);
	tcase_add_test(tc, many_submitters);
	tcase_add_test(tc, done_may_submit);
	tcase_add_test(tc, no_wake_is_lost);
	tcase_add_loop_test(tc, idle_threads_sleep, 1, 4);
	tcase_add_test(tc, opened_and_closed_idle);
	tcase_add_test(tc, configurations);
	tcase_add_test(tc, the_worker_is_pinned);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
