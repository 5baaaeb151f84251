/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/config.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/rights.h"

struct config_reader {
	const char *path;
	FILE *file;
	int line;
	struct config *config;
	char *text;
	int error;
};

/* ---- values -------------------------------------------------------------------------------- */
enum config_type { TYPE_STRING, TYPE_PATH, TYPE_COUNT, TYPE_BYTES };

struct config_key {
	const char *section, *name;
	enum config_type type;
	size_t offset;
	uint64_t preset, min, max;
	bool at_start; /* a reload does not change it */
};

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
	START("device cpu", threads, TYPE_COUNT, 0, 0, 1024),
	{"device cpu", "queue", TYPE_COUNT, offsetof(struct config, device_queue), 0, 0, 65536,
	 true},
	START("device cpu", pin, TYPE_STRING, 0, 0, 255),
	START("device cpu", isa, TYPE_STRING, 0, 0, 32),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

__attribute__((format(printf, 2, 3))) static int config_error(struct config_reader *reader,
							      const char *format, ...)
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

/* Digits, then for bytes one of K M G T. */
static bool config_number(const char *value, bool bytes, uint64_t *number)
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

static int config_set_number(struct config_reader *reader, const struct config_key *key,
			     const char *value, uint64_t *slot)
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

static int config_set_string(struct config_reader *reader, const struct config_key *key,
			     const char *value, char **slot)
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

/* ---- tenants ------------------------------------------------------------------------------- */
static bool config_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > CONFIG_NAME_MAX || !islower((unsigned char)name[0]))
		if (n == 0 || n > CONFIG_NAME_MAX || !isdigit((unsigned char)name[0]))
			return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static struct config_tenant *config_tenant(struct config_reader *reader, const char *name)
{
	struct config *config = reader->config;
	struct config_tenant *t;

	for (uint32_t i = 0; i < config->tenant_count; i++)
		if (!strcmp(config->tenants[i].name, name))
			return &config->tenants[i];
	if (!config_name_ok(name)) {
		config_error(reader, "tenant %.70s: use at most 64 of a-z 0-9 . _ -", name);
		return NULL;
	}
	if (config->tenant_count == CONFIG_TENANTS_MAX) {
		config_error(reader, "more than %d tenants; join some", CONFIG_TENANTS_MAX);
		return NULL;
	}
	t = realloc(config->tenants, (config->tenant_count + 1) * sizeof(*t));
	if (!t) {
		config_error(reader, "out of memory");
		return NULL;
	}
	config->tenants = t;
	t += config->tenant_count++;
	memset(t, 0, sizeof(*t));
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->weight = 1;
	t->in_flight = t->mapped_bytes = t->rate = UINT64_MAX; /* filled from [limits] at the end */
	return t;
}

/* Calls item for each of a list's words (commas or spaces between); 1, or 0 after an error. */
static int config_words(struct config_reader *reader, const char *value,
			int (*item)(struct config_reader *, struct config_tenant *, const char *),
			struct config_tenant *tenant)
{
	char *copy = strdup(value);
	char *save = NULL;
	int ok = 1;

	if (!copy)
		return config_error(reader, "out of memory");
	for (char *w = strtok_r(copy, ", \t", &save); w && ok; w = strtok_r(NULL, ", \t", &save))
		ok = item(reader, tenant, w);
	free(copy);
	return ok;
}

static int config_add_id(struct config_reader *reader, uint32_t **list, uint32_t *count,
			 uint32_t id)
{
	uint32_t *grown;

	if (*count == CONFIG_LIST_MAX)
		return config_error(reader, "more than %d entries; use a group", CONFIG_LIST_MAX);
	grown = realloc(*list, (*count + 1) * sizeof(**list));
	if (!grown)
		return config_error(reader, "out of memory");
	*list = grown;
	grown[(*count)++] = id;
	return 1;
}

static int config_uid(struct config_reader *reader, struct config_tenant *t, const char *word)
{
	uint64_t id;
	struct passwd *user;

	if (!config_number(word, false, &id)) {
		user = getpwnam(word);
		if (!user)
			return config_error(reader, "no user %.64s; write its name or number",
					    word);
		id = user->pw_uid;
	}
	if (id >= UINT32_MAX)
		return config_error(reader, "uid %.40s is out of range", word);
	return config_add_id(reader, &t->uids, &t->uid_count, (uint32_t)id);
}

static int config_gid(struct config_reader *reader, struct config_tenant *t, const char *word)
{
	uint64_t id;
	struct group *group;

	if (!config_number(word, false, &id)) {
		group = getgrnam(word);
		if (!group)
			return config_error(reader, "no group %.64s; write its name or number",
					    word);
		id = group->gr_gid;
	}
	if (id >= UINT32_MAX)
		return config_error(reader, "gid %.40s is out of range", word);
	return config_add_id(reader, &t->gids, &t->gid_count, (uint32_t)id);
}

static int config_right(struct config_reader *reader, uint32_t *rights, const char *word)
{
	uint32_t right = right_parse(word);

	if (!right)
		return config_error(reader,
				    "no right %.40s; write search-image, search-vector, verify, "
				    "enrol, delete, export, raw-kernel, admin or all",
				    word);
	*rights |= right;
	return 1;
}

static int config_tenant_right(struct config_reader *reader, struct config_tenant *t,
			       const char *word)
{
	return config_right(reader, &t->rights, word);
}

static int config_gallery(struct config_reader *reader, struct config_tenant *t, const char *word)
{
	struct config_grant *grants;

	if (strcmp(word, "*") && !config_name_ok(word))
		return config_error(reader, "gallery %.70s: use at most 64 of a-z 0-9 . _ -, or *",
				    word);
	if (t->grant_count == CONFIG_LIST_MAX)
		return config_error(reader, "more than %d galleries; use *", CONFIG_LIST_MAX);
	grants = realloc(t->grants, (t->grant_count + 1) * sizeof(*grants));
	if (!grants)
		return config_error(reader, "out of memory");
	t->grants = grants;
	grants += t->grant_count++;
	memset(grants, 0, sizeof(*grants));
	snprintf(grants->gallery, sizeof(grants->gallery), "%s", word);
	return 1;
}

/* The words are rights of the grant made last. */
static int config_grant_right(struct config_reader *reader, struct config_tenant *t,
			      const char *word)
{
	return config_right(reader, &t->grants[t->grant_count - 1].rights, word);
}

static int config_grant(struct config_reader *reader, struct config_tenant *t, const char *gallery,
			const char *value)
{
	if (!config_gallery(reader, t, gallery))
		return 0;
	if (!config_words(reader, value, config_grant_right, t))
		return 0;
	if (!t->grants[t->grant_count - 1].rights)
		return config_error(reader, "gallery.%.64s has no rights; name some", gallery);
	return 1;
}

static const struct {
	const char *name;
	int (*item)(struct config_reader *, struct config_tenant *, const char *);
} tenant_lists[] = {
	{"uids", config_uid},
	{"gids", config_gid},
	{"rights", config_tenant_right},
	{"galleries", config_gallery},
};

static const struct config_key tenant_numbers[] = {
	{"tenant", "weight", TYPE_COUNT, offsetof(struct config_tenant, weight), 1, 1, 1000, false},
	{"tenant", "in_flight", TYPE_COUNT, offsetof(struct config_tenant, in_flight), 0, 1,
	 1000000, false},
	{"tenant", "mapped_bytes", TYPE_BYTES, offsetof(struct config_tenant, mapped_bytes), 0,
	 1u << 20, 1ull << 46, false},
	{"tenant", "rate", TYPE_COUNT, offsetof(struct config_tenant, rate), 0, 0, 100000000,
	 false},
};

static int config_tenant_key(struct config_reader *reader, const char *tenant, const char *name,
			     const char *value)
{
	struct config_tenant *t = config_tenant(reader, tenant);

	if (!t)
		return 0;
	for (size_t i = 0; i < sizeof(tenant_lists) / sizeof(tenant_lists[0]); i++)
		if (!strcmp(tenant_lists[i].name, name))
			return config_words(reader, value, tenant_lists[i].item, t);
	for (size_t i = 0; i < sizeof(tenant_numbers) / sizeof(tenant_numbers[0]); i++)
		if (!strcmp(tenant_numbers[i].name, name))
			return config_set_number(
				reader, &tenant_numbers[i], value,
				(uint64_t *)((char *)t + tenant_numbers[i].offset));
	if (!strncmp(name, "gallery.", 8))
		return config_grant(reader, t, name + 8, value);
	return config_error(reader,
			    "no key %.64s in [tenant]; it has uids, gids, rights, galleries, "
			    "gallery.NAME, weight, in_flight, mapped_bytes, rate",
			    name);
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
		"no section [%.64s]; there are [daemon], [limits], [device cpu], [tenant NAME]",
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

/* What a tenant does not state comes from [limits]; what it must state is asked for. */
static int config_finish(struct config_reader *reader)
{
	struct config *config = reader->config;

	for (uint32_t i = 0; i < config->tenant_count; i++) {
		struct config_tenant *t = &config->tenants[i];

		if (!t->uid_count && !t->gid_count)
			return config_error(reader,
					    "[tenant %s] has neither uids nor gids; say who it is",
					    t->name),
			       -EINVAL;
		if (t->in_flight == UINT64_MAX)
			t->in_flight = config->in_flight;
		if (t->mapped_bytes == UINT64_MAX)
			t->mapped_bytes = config->mapped_bytes;
		if (t->rate == UINT64_MAX)
			t->rate = config->rate;
	}
	return 0;
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
		err = config_finish(&reader);
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
	for (uint32_t i = 0; i < config->tenant_count; i++) {
		free(config->tenants[i].uids);
		free(config->tenants[i].gids);
		free(config->tenants[i].grants);
	}
	free(config->tenants);
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
	return n > 0;
}
