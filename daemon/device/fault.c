/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault device: its queue, its worker, and the faults that need no data. The worker gives the
 * inner device one command at a time and waits for it, so that a fault strikes a command exactly.
 */
#include "daemon/device/fault_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_DEFAULT 1024u

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the inner device ---- */

static void inner_done(struct device_batch *batch)
{
	struct fault *fault = batch->user;

	sem_post(&fault->inner_done);
}

int fault_inner(struct fault *fault, const struct device_command *command)
{
	struct device_batch batch = {
		.commands = command, .count = 1, .done = inner_done, .user = fault};
	int err = fault->inner->ops->submit(fault->inner, &batch);

	if (err)
		return -EIO; /* its queue is full of others' batches */
	while (sem_wait(&fault->inner_done) && errno == EINTR)
		;
	return batch.error;
}

/* ---- what happens ---- */

void fault_count(struct fault *fault, struct fault_rule *rule)
{
	rule->injected++;
	atomic_fetch_add_explicit(&fault->injected[rule->kind], 1, memory_order_relaxed);
}

void fault_flip(struct fault *fault, struct fault_rule *rule, void *data, uint64_t bytes)
{
	if (!bytes)
		return;
	for (uint32_t i = 0; i < rule->bits; i++) {
		uint64_t bit = fault_random(rule) % (bytes * 8);

		((uint8_t *)data)[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	fault_count(fault, rule);
}

/* Of each kind the first rule that strikes; all rules count the command. */
static void strikes_find(struct fault_rules *rules, enum device_op op,
			 struct fault_strikes *strikes)
{
	*strikes = (struct fault_strikes){0};
	for (uint32_t i = 0; i < rules->count; i++) {
		struct fault_rule *rule = &rules->rule[i];

		if (fault_rule_strikes(rule, op) && !strikes->rule[rule->kind])
			strikes->rule[rule->kind] = rule;
	}
}

/* Until a reset, or for ms where that is not 0. */
static void wait_reset(struct fault *fault, uint64_t resets, uint32_t ms)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&fault->lock);
	while (fault->resets == resets && !fault->stop && err != ETIMEDOUT)
		err = ms ? pthread_cond_timedwait(&fault->changed, &fault->lock, &until)
			 : pthread_cond_wait(&fault->changed, &fault->lock);
	pthread_mutex_unlock(&fault->lock);
}

static void delay(uint32_t ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* Ends with -ECANCELED what waits, for a device that was reset for another's sake. */
static void queue_lose(struct fault *fault)
{
	pthread_mutex_lock(&fault->lock);
	for (struct device_batch *b = fault->head; b; b = b->next)
		__atomic_store_n(&b->cancelled, true, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&fault->lock);
}

static int strike_whole(struct fault *fault, const struct fault_strikes *strikes, uint64_t resets)
{
	struct fault_rule *hang = strikes->rule[FAULT_HANG];

	if (strikes->rule[FAULT_DELAY]) {
		fault_count(fault, strikes->rule[FAULT_DELAY]);
		delay(strikes->rule[FAULT_DELAY]->ms);
	}
	if (strikes->rule[FAULT_GONE]) {
		fault_count(fault, strikes->rule[FAULT_GONE]);
		pthread_mutex_lock(&fault->lock);
		fault->gone = true;
		pthread_mutex_unlock(&fault->lock);
		return -ENODEV;
	}
	if (hang) {
		fault_count(fault, hang);
		wait_reset(fault, resets, hang->ms);
		queue_lose(fault);
		return -ETIMEDOUT;
	}
	if (strikes->rule[FAULT_FAIL]) {
		fault_count(fault, strikes->rule[FAULT_FAIL]);
		return -EIO;
	}
	return 0;
}

/* Takes new rules, if there are some; -ENODEV for a device that is gone. */
static int begin_command(struct fault *fault, uint64_t *resets)
{
	bool gone;

	pthread_mutex_lock(&fault->lock);
	if (fault->changed_rules)
		fault->rules = fault->next;
	fault->changed_rules = false;
	gone = fault->gone;
	*resets = fault->resets;
	pthread_mutex_unlock(&fault->lock);
	return gone ? -ENODEV : 0;
}

static int run_command(struct fault *fault, const struct device_command *command)
{
	struct fault_strikes strikes;
	uint64_t resets;
	int err = begin_command(fault, &resets);

	if (err)
		return err;
	if ((unsigned int)command->op >= DEVICE_OPS)
		return -EINVAL;
	atomic_fetch_add_explicit(&fault->looked_at, 1, memory_order_relaxed);
	strikes_find(&fault->rules, command->op, &strikes);
	err = strike_whole(fault, &strikes, resets);
	return err ? err : fault_run(fault, command, &strikes);
}

/* ---- the worker ---- */

static void run_commands(struct fault *fault, struct device_batch *batch)
{
	uint32_t i;
	int err = fault_stage_in(fault, batch);

	if (err)
		batch->error = err;
	for (i = 0; i < batch->count && !batch->error; i++) {
		if (__atomic_load_n(&batch->cancelled, __ATOMIC_RELAXED))
			batch->error = -ECANCELED;
		else
			batch->error = run_command(fault, &batch->commands[i]);
		if (batch->error)
			batch->error_index = i;
	}
	if (batch->error && i)
		i--;
	atomic_fetch_add(&fault->commands, i);
	err = fault_stage_out(fault, batch, i);
	if (!batch->error)
		batch->error = err;
}

static void run_batch(struct fault *fault, struct device_batch *batch)
{
	uint64_t begin = clock_ns(), ns;

	run_commands(fault, batch);
	ns = clock_ns() - begin;
	batch->device_ns = ns;
	atomic_fetch_add(&fault->batches, 1);
	atomic_fetch_add(&fault->busy_ns, ns);
	if (batch->error)
		atomic_fetch_add(batch->error == -ECANCELED ? &fault->cancelled : &fault->failed,
				 1);
	batch->done(batch); /* it may be gone now */
}

/* NULL: the device closes. */
static struct device_batch *next_batch(struct fault *fault)
{
	struct device_batch *batch;

	pthread_mutex_lock(&fault->lock);
	while (!fault->head && !fault->stop)
		pthread_cond_wait(&fault->changed, &fault->lock);
	batch = fault->head;
	if (batch) {
		fault->head = batch->next;
		if (!fault->head)
			fault->tail = &fault->head;
		fault->queued--;
	}
	pthread_mutex_unlock(&fault->lock);
	return batch;
}

static void *worker(void *argument)
{
	struct fault *fault = argument;
	struct device_batch *batch;

	while ((batch = next_batch(fault)))
		run_batch(fault, batch);
	return NULL;
}

/* ---- what others call ---- */

static int submit(struct device *device, struct device_batch *batch)
{
	struct fault *fault = fault_of(device);
	int err = 0;

	batch->error = 0;
	batch->error_index = 0;
	batch->device_ns = 0;
	batch->cancelled = false;
	batch->next = NULL;
	pthread_mutex_lock(&fault->lock);
	assert(!fault->stop);
	if (fault->queued >= fault->queue_max) {
		err = -EAGAIN;
	} else {
		*fault->tail = batch;
		fault->tail = &batch->next;
		fault->queued++;
		pthread_cond_broadcast(&fault->changed);
	}
	pthread_mutex_unlock(&fault->lock);
	return err;
}

static void cancel(struct device *device, struct device_batch *batch)
{
	(void)device;
	__atomic_store_n(&batch->cancelled, true, __ATOMIC_RELAXED);
}

static int reset(struct device *device)
{
	struct fault *fault = fault_of(device);
	bool gone;

	pthread_mutex_lock(&fault->lock);
	gone = fault->gone;
	fault->resets++;
	pthread_cond_broadcast(&fault->changed);
	pthread_mutex_unlock(&fault->lock);
	return gone ? -ENODEV : fault->inner->ops->reset(fault->inner);
}

static void caps(const struct device *device, struct device_caps *caps)
{
	*caps = fault_of(device)->caps;
}

static void stats(const struct device *device, struct device_stats *stats)
{
	struct fault *fault = fault_of(device);

	*stats = (struct device_stats){
		.batches = atomic_load(&fault->batches),
		.commands = atomic_load(&fault->commands),
		.failed = atomic_load(&fault->failed),
		.cancelled = atomic_load(&fault->cancelled),
		.busy_ns = atomic_load(&fault->busy_ns),
	};
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		stats->faults += atomic_load(&fault->injected[kind]);
	pthread_mutex_lock(&fault->lock);
	stats->queued = fault->queued;
	pthread_mutex_unlock(&fault->lock);
}

int fault_set(struct device *device, const char *spec)
{
	struct fault *fault = fault_of(device);
	struct fault_rules rules;
	int err = fault_rules_parse(spec, &rules);

	if (err)
		return err;
	pthread_mutex_lock(&fault->lock);
	fault->next = rules;
	fault->changed_rules = true;
	fault->gone = false;
	pthread_mutex_unlock(&fault->lock);
	return 0;
}

void fault_stats(const struct device *device, struct fault_stats *stats)
{
	const struct fault *fault = fault_of(device);

	stats->commands = atomic_load_explicit(&fault->looked_at, memory_order_relaxed);
	for (int i = 0; i < FAULT_KINDS; i++)
		stats->injected[i] =
			atomic_load_explicit(&fault->injected[i], memory_order_relaxed);
}

static void close_fault(struct device *device)
{
	struct fault *fault = fault_of(device);

	pthread_mutex_lock(&fault->lock);
	assert(!fault->head);
	fault->stop = true;
	pthread_cond_broadcast(&fault->changed);
	pthread_mutex_unlock(&fault->lock);
	pthread_join(fault->worker, NULL);
	fault->inner->ops->close(fault->inner);
	pthread_cond_destroy(&fault->changed);
	pthread_mutex_destroy(&fault->lock);
	sem_destroy(&fault->inner_done);
	free(fault);
}

/* ---- opening ---- */

/* A board: it has its own memory, and checksums even where the inner device has none. */
static void make_caps(struct fault *fault, const char *spec)
{
	struct device_caps inner;

	fault->inner->ops->caps(fault->inner, &inner);
	fault->inner_host = inner.reads_host_memory;
	fault->inner_checksums = inner.checksums;
	fault->caps = inner;
	fault->caps.reads_host_memory = false;
	fault->caps.checksums = true;
	fault->caps.priority = inner.priority + 1;
	if (inner.ops >> DEVICE_SEARCH & 1)
		fault->caps.ops |= UINT64_C(1) << DEVICE_LOAD | UINT64_C(1) << DEVICE_UNLOAD;
	snprintf(fault->caps.name, sizeof(fault->caps.name), "fault-%.24s", inner.name);
	snprintf(fault->caps.detail, sizeof(fault->caps.detail), "%.40s, faults: %.40s",
		 inner.detail, spec && *spec ? spec : "none");
}

static int prepare(struct fault *fault)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&fault->lock, NULL);
	pthread_cond_init(&fault->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	sem_init(&fault->inner_done, 0, 0);
	fault->tail = &fault->head;
	return -pthread_create(&fault->worker, NULL, worker, fault);
}

int fault_wrap(struct device *inner, const char *spec, struct device **out)
{
	struct fault *fault = calloc(1, sizeof(*fault));
	int err;

	if (!fault)
		return -ENOMEM;
	err = fault_rules_parse(spec, &fault->rules);
	if (err)
		goto fail;
	fault->base.ops = &device_fault;
	fault->inner = inner;
	fault->queue_max = QUEUE_DEFAULT;
	make_caps(fault, spec);
	err = prepare(fault);
	if (err)
		goto fail;
	*out = &fault->base;
	return 0;
fail:
	free(fault);
	return err;
}

static int probe(const struct device_config *config, struct device **device)
{
	struct device_config of_inner = *config;
	struct device *inner;
	int err;

	of_inner.fault = NULL;
	of_inner.select = NULL;
	err = device_open(config->select ? config->select : "cpu", &of_inner, &inner);
	if (err)
		return err;
	err = fault_wrap(inner, config->fault, device);
	if (err)
		inner->ops->close(inner);
	return err;
}

const struct device_ops device_fault = {
	.kind = "fault",
	.probe = probe,
	.caps = caps,
	.buffer_create = fault_buffer_create,
	.buffer_import = fault_buffer_import,
	.buffer_map = fault_buffer_map,
	.buffer_write = fault_buffer_write,
	.buffer_read = fault_buffer_read,
	.buffer_free = fault_buffer_free,
	.rows_create = fault_rows_create,
	.rows_free = fault_rows_free,
	.weights_conv2d = fault_weights_conv2d,
	.weights_gemm = fault_weights_gemm,
	.weights_free = fault_weights_free,
	.submit = submit,
	.cancel = cancel,
	.reset = reset,
	.stats = stats,
	.close = close_fault,
};
