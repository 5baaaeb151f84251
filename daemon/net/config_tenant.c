/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's tenants: who they are, what they may do, how much of it. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/config_internal.h"
#include "daemon/net/rights.h"

#define SOCKET_PATH_MAX 107
#define SOCKET_MODE	0660
#define UNSTATED	UINT64_MAX

bool config_name_ok(const char *name)
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
	if (!strcmp(name, "local") || !strcmp(name, "nobody")) {
		config_error(reader, "tenant %s is built in; use another name", name);
		return NULL;
	}
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
	t->mode = SOCKET_MODE;
	/* filled from [limits] at the end */
	t->in_flight = t->mapped_bytes = t->rate = UNSTATED;
	t->queue = t->gallery_quota = t->template_quota = UNSTATED;
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
	enum config_class class;
} class_names[] = {
	{"interactive", CONFIG_INTERACTIVE},
	{"batch", CONFIG_BATCH},
};

static int config_classes(struct config_reader *reader, struct config_tenant *t, const char *word)
{
	for (size_t i = 0; i < sizeof(class_names) / sizeof(class_names[0]); i++) {
		if (strcmp(class_names[i].name, word))
			continue;
		t->classes |= 1u << class_names[i].class;
		return 1;
	}
	return config_error(reader, "no class %.40s; write interactive, batch", word);
}

static int config_class(struct config_reader *reader, struct config_tenant *t, const char *word)
{
	uint32_t classes = t->classes;
	int ok;

	t->classes = 0;
	ok = config_classes(reader, t, word);
	t->class = t->classes == 1u << CONFIG_BATCH ? CONFIG_BATCH : CONFIG_INTERACTIVE;
	t->classes = classes;
	return ok;
}

/* Permissions of a socket, as chmod takes them. */
static int config_mode(struct config_reader *reader, struct config_tenant *t, const char *word)
{
	char *end;
	unsigned long mode = strtoul(word, &end, 8);

	if (*end || !isdigit((unsigned char)word[0]) || mode > 0777)
		return config_error(reader, "mode = %.40s is none; write octal digits such as 0660",
				    word);
	t->mode = (uint32_t)mode;
	return 1;
}

static const struct {
	const char *name;
	int (*item)(struct config_reader *, struct config_tenant *, const char *);
} tenant_lists[] = {
	{"uids", config_uid},	       {"gids", config_gid},	{"rights", config_tenant_right},
	{"galleries", config_gallery}, {"class", config_class}, {"classes", config_classes},
	{"mode", config_mode},
};

static const struct config_key tenant_strings[] = {
	{"tenant", "socket", TYPE_PATH, offsetof(struct config_tenant, socket), 0, 0,
	 SOCKET_PATH_MAX, false},
	{"tenant", "group", TYPE_STRING, offsetof(struct config_tenant, group), 0, 0, 64, false},
};

static const struct config_key tenant_numbers[] = {
	{"tenant", "weight", TYPE_COUNT, offsetof(struct config_tenant, weight), 1, 1, 1000, false},
	{"tenant", "in_flight", TYPE_COUNT, offsetof(struct config_tenant, in_flight), 0, 1,
	 1000000, false},
	{"tenant", "mapped_bytes", TYPE_BYTES, offsetof(struct config_tenant, mapped_bytes), 0,
	 1u << 20, 1ull << 46, false},
	{"tenant", "rate", TYPE_COUNT, offsetof(struct config_tenant, rate), 0, 0, 100000000,
	 false},
	{"tenant", "queue", TYPE_COUNT, offsetof(struct config_tenant, queue), 0, 1, 1000000,
	 false},
	{"tenant", "gallery_quota", TYPE_COUNT, offsetof(struct config_tenant, gallery_quota), 0, 0,
	 1000000, false},
	{"tenant", "template_quota", TYPE_COUNT, offsetof(struct config_tenant, template_quota), 0,
	 0, 1ull << 40, false},
};

int config_tenant_key(struct config_reader *reader, const char *tenant, const char *name,
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
	for (size_t i = 0; i < sizeof(tenant_strings) / sizeof(tenant_strings[0]); i++)
		if (!strcmp(tenant_strings[i].name, name))
			return config_set_string(reader, &tenant_strings[i], value,
						 (char **)((char *)t + tenant_strings[i].offset));
	if (!strncmp(name, "gallery.", 8))
		return config_grant(reader, t, name + 8, value);
	return config_error(reader,
			    "no key %.64s in [tenant]; it has uids, gids, socket, mode, group, "
			    "rights, galleries, gallery.NAME, weight, class, classes, in_flight, "
			    "mapped_bytes, rate, queue, gallery_quota, template_quota",
			    name);
}

/* ---- the end of the file ----------------------------------------------------------------------- */
static void tenant_limits(struct config_tenant *t, const struct config *config)
{
	const struct {
		uint64_t *stated, limit;
	} limits[] = {
		{&t->in_flight, config->in_flight},
		{&t->mapped_bytes, config->mapped_bytes},
		{&t->rate, config->rate},
		{&t->queue, config->tenant_queue},
		{&t->gallery_quota, config->gallery_quota},
		{&t->template_quota, config->template_quota},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (*limits[i].stated == UNSTATED)
			*limits[i].stated = limits[i].limit;
	if (!t->classes)
		t->classes = 1u << CONFIG_INTERACTIVE;
	t->classes |= 1u << CONFIG_BATCH; /* who asks for it asks for less */
}

/* The other tenant that listens there, or NULL. */
static const struct config_tenant *same_socket(const struct config *config,
					       const struct config_tenant *t)
{
	for (const struct config_tenant *other = config->tenants; other < t; other++)
		if (t->socket && other->socket && !strcmp(t->socket, other->socket))
			return other;
	return NULL;
}

int config_finish_tenants(struct config_reader *reader)
{
	struct config *config = reader->config;

	for (uint32_t i = 0; i < config->tenant_count && !reader->error; i++) {
		struct config_tenant *t = &config->tenants[i];
		const struct config_tenant *other = same_socket(config, t);

		tenant_limits(t, config);
		if (!t->uid_count && !t->gid_count && !t->socket)
			config_error(
				reader,
				"[tenant %s] has neither uids, gids nor a socket; say who it is",
				t->name);
		else if (other)
			config_error(reader,
				     "[tenant %s] and [tenant %s] have the same socket; give each "
				     "its own",
				     other->name, t->name);
		else if (!t->socket && t->group)
			config_error(reader,
				     "[tenant %s] has a group, but no socket; add one, or "
				     "write gids",
				     t->name);
		else if (!(t->classes & 1u << t->class))
			config_error(reader,
				     "[tenant %s] may not use its own class; add it to classes",
				     t->name);
	}
	return reader->error;
}

void config_free_tenants(struct config *config)
{
	for (uint32_t i = 0; i < config->tenant_count; i++) {
		free(config->tenants[i].uids);
		free(config->tenants[i].gids);
		free(config->tenants[i].grants);
		free(config->tenants[i].socket);
		free(config->tenants[i].group);
	}
	free(config->tenants);
}
