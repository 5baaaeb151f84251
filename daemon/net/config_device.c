/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's devices beside the CPU: which they are, what they may take. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/config_internal.h"

static const struct config_key strings[] = {
	{"device", "kind", TYPE_STRING, offsetof(struct config_device, kind), 0, 0, 15, true},
	{"device", "select", TYPE_STRING, offsetof(struct config_device, select), 0, 0, 255, true},
	{"device", "image", TYPE_PATH, offsetof(struct config_device, image), 0, 0, 3000, true},
	{"device", "variant", TYPE_STRING, offsetof(struct config_device, variant), 0, 0, 31, true},
	{"device", "fault", TYPE_STRING, offsetof(struct config_device, fault), 0, 0, 1000, true},
};

static const struct config_key numbers[] = {
	{"device", "memory", TYPE_BYTES, offsetof(struct config_device, memory), 0, 1u << 20,
	 1ull << 46, true},
	{"device", "queue", TYPE_COUNT, offsetof(struct config_device, queue), 0, 4, 65536, true},
	{"device", "timeout_ms", TYPE_COUNT, offsetof(struct config_device, timeout_ms), 0, 1,
	 3600000, true},
	{"device", "prefer", TYPE_COUNT, offsetof(struct config_device, prefer), 0, 0, 1, true},
};

#define STRINGS (sizeof(strings) / sizeof(strings[0]))
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static struct config_device *config_device(struct config_reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct config_device *d;

	for (uint32_t i = 0; i < config->device_count; i++)
		if (!strcmp(config->devices[i].name, name))
			return &config->devices[i];
	if (!config_name_ok(name)) {
		config_error(reader, "device %.70s: use at most 64 of a-z 0-9 . _ -", name);
		return NULL;
	}
	if (config->device_count == CONFIG_DEVICES_MAX) {
		config_error(reader, "more than %d devices beside the cpu", CONFIG_DEVICES_MAX);
		return NULL;
	}
	d = &config->devices[config->device_count++];
	snprintf(d->name, sizeof(d->name), "%s", name);
	return d;
}

int config_device_key(struct config_reader *reader, const char *device, const char *name,
		      const char *value)
{
	struct config_device *d = config_device(reader, device);

	if (!d)
		return 0;
	for (size_t i = 0; i < STRINGS; i++)
		if (!strcmp(strings[i].name, name))
			return config_set_string(reader, &strings[i], value,
						 (char **)((char *)d + strings[i].offset));
	for (size_t i = 0; i < NUMBERS; i++)
		if (!strcmp(numbers[i].name, name))
			return config_set_number(reader, &numbers[i], value,
						 (uint64_t *)((char *)d + numbers[i].offset));
	return config_error(reader,
			    "no key %.64s in [device %.64s]; it has kind, select, image, variant, "
			    "memory, queue, timeout_ms, prefer, fault",
			    name, device);
}

int config_finish_devices(struct config_reader *reader)
{
	struct config *config = reader->config;

	for (uint32_t i = 0; i < config->device_count && !reader->error; i++) {
		const struct config_device *d = &config->devices[i];

		if (!d->kind)
			config_error(reader, "[device %s] has no kind; write %s", d->name,
				     CONFIG_DEVICE_KINDS);
		else if (!strcmp(d->kind, "cpu"))
			config_error(reader, "[device %s]: the cpu is there once, as [device cpu]",
				     d->name);
	}
	return reader->error;
}

static char **string_of(const struct config_device *device, size_t i)
{
	return (char **)((char *)device + strings[i].offset);
}

int config_device_copy(const struct config_device *from, struct config_device *to)
{
	*to = *from;
	for (size_t i = 0; i < STRINGS; i++)
		*string_of(to, i) = NULL;
	for (size_t i = 0; i < STRINGS; i++) {
		if (!*string_of(from, i))
			continue;
		*string_of(to, i) = strdup(*string_of(from, i));
		if (!*string_of(to, i)) {
			config_device_clear(to);
			return -ENOMEM;
		}
	}
	return 0;
}

void config_device_clear(struct config_device *device)
{
	for (size_t i = 0; i < STRINGS; i++) {
		free(*string_of(device, i));
		*string_of(device, i) = NULL;
	}
}

void config_free_devices(struct config *config)
{
	for (uint32_t i = 0; i < config->device_count; i++)
		config_device_clear(&config->devices[i]);
}

/* ---- reload -------------------------------------------------------------------------------- */
static bool same_device(const struct config_device *a, const struct config_device *b)
{
	if (strcmp(a->name, b->name) != 0)
		return false;
	for (size_t i = 0; i < STRINGS; i++) {
		const char *s = *(char *const *)((const char *)a + strings[i].offset);
		const char *t = *(char *const *)((const char *)b + strings[i].offset);

		if (s && t ? strcmp(s, t) != 0 : s != t)
			return false;
	}
	return a->memory == b->memory && a->queue == b->queue && a->timeout_ms == b->timeout_ms &&
	       a->prefer == b->prefer;
}

bool config_devices_differ(const struct config *now, const struct config *next)
{
	bool differ = now->device_count != next->device_count;

	for (uint32_t i = 0; !differ && i < now->device_count; i++)
		differ = !same_device(&now->devices[i], &next->devices[i]);
	return differ;
}
