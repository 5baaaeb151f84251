/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/device/rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 0x5a

static const char *kind(void)
{
	const char *named = getenv("FACET_TEST_DEVICE");

	return named && named[0] ? named : "cpu";
}

bool rig_is_cpu(void)
{
	return !strcmp(kind(), "cpu");
}

struct device *rig_open(uint32_t threads, uint32_t queue)
{
	char name[16], why[256] = "";
	const char *select = strchr(kind(), ':');
	const struct device_config config = {.threads = threads,
					     .queue = queue,
					     .select = select ? select + 1 : NULL,
					     .cache = getenv("FACET_TEST_CACHE"),
					     .isa = rig_is_cpu() ? NULL
								 : getenv("FACET_TEST_VARIANT"),
					     .libexec = getenv("BUILD") ? getenv("BUILD") : "build",
					     .why = why,
					     .why_bytes = sizeof(why)};
	struct device *device;
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(kind(), ":"), kind());
	err = device_open(name, &config, &device);
	ck_assert_msg(!err, "%s: error %d: %s", kind(), err, why);
	return device;
}

void rig_done(struct device_batch *batch)
{
	struct rig_wait *wait = batch->user;

	pthread_mutex_lock(&wait->lock);
	wait->count++;
	pthread_cond_broadcast(&wait->over);
	pthread_mutex_unlock(&wait->lock);
}

void rig_wait_for(struct rig_wait *wait, unsigned int count)
{
	pthread_mutex_lock(&wait->lock);
	while (wait->count < count)
		pthread_cond_wait(&wait->over, &wait->lock);
	pthread_mutex_unlock(&wait->lock);
}

int rig_run(struct device *device, const struct device_command *commands, uint32_t count,
	    uint32_t *error_index)
{
	struct rig_wait wait = RIG_WAIT;
	struct device_batch batch = {
		.commands = commands, .count = count, .done = rig_done, .user = &wait};

	ck_assert_int_eq(device->ops->submit(device, &batch), 0);
	rig_wait_for(&wait, 1);
	if (error_index)
		*error_index = batch.error_index;
	return batch.error;
}

uint32_t rig_random(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 16);
}

uint32_t rig_between(uint64_t *seed, uint32_t low, uint32_t high)
{
	return low + rig_random(seed) % (high - low + 1);
}

float rig_float(uint64_t *seed, float low, float high)
{
	return low + (high - low) * ((float)(rig_random(seed) % 65536) / 65536.0f);
}

void rig_memory_init(struct rig_memory *memory, struct device *device, uint64_t size)
{
	*memory = (struct rig_memory){.device = device, .size = size};
	ck_assert_int_eq(device->ops->buffer_create(device, size, &memory->buffer), 0);
	memory->base = device->ops->buffer_map(memory->buffer);
	memory->copied = !memory->base;
	if (memory->copied)
		memory->base = malloc(size);
	memory->in_span = calloc(1, size);
	memset(memory->base, GAP, size);
}

void rig_memory_free(struct rig_memory *memory)
{
	if (memory->copied)
		free(memory->base);
	memory->device->ops->buffer_free(memory->buffer);
	free(memory->in_span);
}

struct device_span rig_span(struct rig_memory *memory, uint64_t bytes, uint32_t align,
			    uint64_t *seed)
{
	struct device_caps caps;
	uint64_t at;

	memory->device->ops->caps(memory->device, &caps);
	/* The CPU takes any address; what a board asks for, it gets, but no more. */
	align = caps.reads_host_memory || caps.alignment < align ? align : caps.alignment;
	at = (memory->used + 256 + 2 * align) / (2 * align) * (2 * align) + align;

	ck_assert_uint_le(at + bytes, memory->size);
	memory->used = at + bytes;
	memset(memory->in_span + at, 1, bytes);
	for (uint64_t i = 0; i < bytes; i++)
		memory->base[at + i] = (uint8_t)rig_random(seed);
	return (struct device_span){memory->buffer, at, bytes};
}

void *rig_data(const struct rig_memory *memory, const struct device_span *span)
{
	return memory->base + span->offset;
}

bool rig_gaps_intact(const struct rig_memory *memory)
{
	for (uint64_t i = 0; i < memory->size; i++)
		if (!memory->in_span[i] && memory->base[i] != GAP)
			return false;
	return true;
}

int rig_run_in(struct rig_memory *memory, const struct device_command *commands, uint32_t count,
	       uint32_t *error_index)
{
	const struct device_ops *ops = memory->device->ops;
	int err;

	if (memory->copied)
		ck_assert_int_eq(ops->buffer_write(memory->buffer, 0, memory->base, memory->size),
				 0);
	err = rig_run(memory->device, commands, count, error_index);
	if (memory->copied)
		ck_assert_int_eq(ops->buffer_read(memory->buffer, 0, memory->base, memory->size),
				 0);
	return err;
}

struct device_rows *rig_rows(struct device *device, const struct search_rows *rows, uint64_t tiles)
{
	struct device_command load = {.op = DEVICE_LOAD};
	struct device_rows *copy;
	struct device_caps caps;

	device->ops->caps(device, &caps);
	if (caps.reads_host_memory)
		return NULL;
	ck_assert_int_eq(device->ops->rows_create(device, rows, 0, tiles, &copy), 0);
	load.load = (struct device_load){copy, 0, tiles};
	ck_assert_int_eq(rig_run(device, &load, 1, NULL), 0);
	return copy;
}
