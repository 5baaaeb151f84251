/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values -------------------------------------------------------------------------------- */
#define ROW(section, name, type, preset, min, max, at_start)                                       \
	{                                                                                          \
		section, #name, type, offsetof(struct config, name), preset, min, max, at_start    \
	}
#define KEY(...)   ROW(__VA_ARGS__, false)
#define START(...) ROW(__VA_ARGS__, true)

static const struct config_key keys[] = {
	START("daemon", socket, TYPE_PATH, 0, 0, 107),
	START("daemon", state, TYPE_PATH, 0, 0, 3000),
	START("daemon", metrics, TYPE_PATH, 0, 0, 107),
	KEY("daemon", log, TYPE_STRING, 0, 0, 16),
	START("daemon", group, TYPE_STRING, 0, 0, 64),
	START("daemon", key_file, TYPE_PATH, 0, 0, 3000),
	START("daemon", checker, TYPE_PATH, 0, 0, 3000),
	KEY("daemon", drain_seconds, TYPE_COUNT, 20, 0, 3600),
	START("daemon", purge_seconds, TYPE_COUNT, 86400, 1, 31536000),
	START("daemon", disk_reserve, TYPE_BYTES, 256ull << 20, 0, 1ull << 50),
	KEY("limits", connections, TYPE_COUNT, 1024, 1, 100000),
	KEY("limits", queue, TYPE_COUNT, 4096, 1, 1000000),
	KEY("limits", send_bytes, TYPE_BYTES, 4u << 20, 512u << 10, 1u << 30),
	KEY("limits", stall_seconds, TYPE_COUNT, 30, 1, 3600),
	KEY("limits", batch, TYPE_COUNT, 16, 1, 64),
	KEY("limits", delay_us, TYPE_COUNT, 0, 0, 1000000),
	KEY("limits", slice_us, TYPE_COUNT, 5000, 100, 1000000),
	KEY("limits", queries, TYPE_COUNT, 4096, 1, 65536),
	KEY("limits", vectors, TYPE_COUNT, 65536, 1, 1000000),
	KEY("limits", raw_macs, TYPE_COUNT, 200000000000ull, 1, 1ull << 50),
	KEY("limits", in_flight, TYPE_COUNT, 1024, 1, 1000000),
	KEY("limits", mapped_bytes, TYPE_BYTES, 1ull << 30, 1u << 20, 1ull << 46),
	KEY("limits", rate, TYPE_COUNT, 0, 0, 100000000),
	KEY("limits", tenant_queue, TYPE_COUNT, 1024, 1, 1000000),
	KEY("limits", gallery_quota, TYPE_COUNT, 0, 0, 1000000),
	KEY("limits", template_quota, TYPE_COUNT, 0, 0, 1ull << 40),
	KEY("limits", check_every, TYPE_COUNT, 10000, 0, 1ull << 40),
	KEY("limits", readback_every, TYPE_COUNT, 10000, 0, 1ull << 40),
	KEY("limits", checksum_every, TYPE_COUNT, 100, 0, 1ull << 40),
	START("device cpu", threads, TYPE_COUNT, 0, 0, 1024),
	{"device cpu", "queue", TYPE_COUNT, offsetof(struct config, device_queue), 0, 0, 65536,
	 true},
	START("device cpu", pin, TYPE_STRING, 0, 0, 255),
	START("device cpu", isa, TYPE_STRING, 0, 0, 32),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

int config_error(struct config_reader *reader, const char *format, ...)
{
	va_list args;
	int n;

	if (reader->error)
		return 0;
	reader->error = -EINVAL;
	n = snprintf(reader->text, CONFIG_TEXT, "%s:%d: ", reader->path, reader->line);
	if (n >= CONFIG_TEXT)
		return 0;
	va_start(args, format);
	vsnprintf(reader->text + n, CONFIG_TEXT - (size_t)n, format, args);
	va_end(args);
	return 0; /* what inih takes for an error */
}

bool config_number(const char *value, bool bytes, uint64_t *number)
{
	char *end;
	int shift = 0;
	const char *unit;

	if (!isdigit((unsigned char)value[0]))
		return false;
	errno = 0;
	*number = strtoull(value, &end, 10);
	if (errno)
		return false;
	if (bytes && *end && (unit = strchr("KMGT", *end))) {
		shift = 10 * (int)(unit - "KMGT" + 1);
		end++;
	}
	if (*end || *number > UINT64_MAX >> shift)
		return false;
	*number <<= shift;
	return true;
}

int config_set_number(struct config_reader *reader, const struct config_key *key, const char *value,
		      uint64_t *slot)
{
	bool bytes = key->type == TYPE_BYTES;
	uint64_t number;

	if (!config_number(value, bytes, &number))
		return config_error(reader, "%s = %.40s is not a number; write digits%s", key->name,
				    value, bytes ? ", then K, M, G or T if you like" : " only");
	if (number < key->min || number > key->max)
		return config_error(reader, "%s = %.40s is out of range; write %llu to %llu",
				    key->name, value, (unsigned long long)key->min,
				    (unsigned long long)key->max);
	*slot = number;
	return 1;
}

int config_set_string(struct config_reader *reader, const struct config_key *key, const char *value,
		      char **slot)
{
	if (!*value)
		return config_error(reader, "%s has no value; write one or leave the line out",
				    key->name);
	if (strlen(value) > key->max)
		return config_error(reader, "%s is too long; write at most %llu bytes", key->name,
				    (unsigned long long)key->max);
	if (key->type == TYPE_PATH && value[0] != '/')
		return config_error(reader, "%s = %.80s is not absolute; start it with /",
				    key->name, value);
	if (*slot)
		return config_error(reader, "%s is given twice; keep one", key->name);
	*slot = strdup(value);
	return *slot ? 1 : config_error(reader, "out of memory");
}

static int config_set(struct config_reader *reader, const struct config_key *key, const char *value)
{
	char *slot = (char *)reader->config + key->offset;

	if (key->type == TYPE_STRING || key->type == TYPE_PATH)
		return config_set_string(reader, key, value, (char **)slot);
	return config_set_number(reader, key, value, (uint64_t *)slot);
}

/* ---- the file ------------------------------------------------------------------------------ */
static int config_key(void *user, const char *section, const char *name, const char *value)
{
	struct config_reader *reader = user;
	bool known = false;

	if (reader->error)
		return 0;
	if (!strncmp(section, "tenant ", 7))
		return config_tenant_key(reader, section + 7, name, value);
	if (!strncmp(section, "device ", 7) && strcmp(section, "device cpu") != 0)
		return config_device_key(reader, section + 7, name, value);
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section))
			continue;
		known = true;
		if (!strcmp(keys[i].name, name))
			return config_set(reader, &keys[i], value);
	}
	if (known)
		return config_error(reader, "no key %.64s in [%.64s]; see facetd.conf.example",
				    name, section);
	return config_error(
		reader,
		"no section [%.64s]; there are [daemon], [limits], [device cpu], [device NAME], "
		"[tenant NAME]",
		section);
}

/* inih's line reader, so that errors can name the line. */
static char *config_line(char *line, int size, void *user)
{
	struct config_reader *reader = user;
	size_t n;

	if (reader->error || !fgets(line, size, reader->file))
		return NULL;
	reader->line++;
	n = strlen(line);
	if (n + 1 == (size_t)size && line[n - 1] != '\n')
		config_error(reader,
			     "the line is longer than %d bytes; split it (lists may be "
			     "given in several lines of the same key)",
			     size - 2);
	return line;
}

static void config_defaults(struct config *config)
{
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].type == TYPE_COUNT || keys[i].type == TYPE_BYTES)
			*(uint64_t *)((char *)config + keys[i].offset) = keys[i].preset;
}

static int config_read(struct config_reader *reader)
{
	int bad;

	reader->file = fopen(reader->path, "re");
	if (!reader->file) {
		int err = -errno;

		snprintf(reader->text, CONFIG_TEXT, "%s: %s; name a file that can be read",
			 reader->path, strerror(-err));
		return err;
	}
	bad = ini_parse_stream(config_line, reader, config_key, reader);
	fclose(reader->file);
	if (bad && !reader->error) {
		reader->line = bad > 0 ? bad : reader->line;
		config_error(reader, "not a line of the form key = value or [section]");
	}
	return reader->error;
}

int config_load(const char *path, struct config **out, char text[CONFIG_TEXT])
{
	struct config_reader reader = {.path = path, .text = text};
	int err = 0;

	text[0] = '\0';
	reader.config = calloc(1, sizeof(*reader.config));
	if (!reader.config) {
		snprintf(text, CONFIG_TEXT, "out of memory");
		return -ENOMEM;
	}
	config_defaults(reader.config);
	if (path)
		err = config_read(&reader);
	if (!err)
		err = config_finish_devices(&reader);
	if (!err)
		err = config_finish_tenants(&reader);
	if (err) {
		config_free(reader.config);
		return err;
	}
	*out = reader.config;
	return 0;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].type == TYPE_STRING || keys[i].type == TYPE_PATH)
			free(*(char **)((char *)config + keys[i].offset));
	config_free_devices(config);
	config_free_tenants(config);
	free(config);
}

/* ---- reload -------------------------------------------------------------------------------- */
static bool key_differs(const struct config_key *key, const struct config *a,
			const struct config *b)
{
	const void *x = (const char *)a + key->offset;
	const void *y = (const char *)b + key->offset;
	const char *s, *t;

	if (key->type == TYPE_COUNT || key->type == TYPE_BYTES)
		return *(const uint64_t *)x != *(const uint64_t *)y;
	s = *(char *const *)x;
	t = *(char *const *)y;
	return s && t ? strcmp(s, t) != 0 : s != t;
}

bool config_needs_start(const struct config *now, const struct config *next, char text[CONFIG_TEXT])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < KEYS; i++) {
		const struct config_key *key = &keys[i];
		bool device = !strcmp(key->section, "device cpu");

		if (!key->at_start || !key_differs(key, now, next))
			continue;
		snprintf(text + n, CONFIG_TEXT - n, "%s%s%s", n ? ", " : "",
			 device ? "[device cpu] " : "", key->name);
		n += strlen(text + n);
	}
	if (config_devices_differ(now, next)) {
		snprintf(text + n, CONFIG_TEXT - n, "%s[device NAME]", n ? ", " : "");
		n += strlen(text + n);
	}
	return n > 0;
}
