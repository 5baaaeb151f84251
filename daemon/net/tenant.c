/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/tenant.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/rights.h"

#define SECOND_NS 1000000000ull

struct tenants {
	const struct config *config;
	struct tenant *all;
	struct tenant *local, *nobody;
	uid_t self;
};

static struct tenant *tenants_add(struct tenants *tenants, const char *name)
{
	struct tenant *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->weight = 1;
	t->next = tenants->all;
	tenants->all = t;
	return t;
}

static void tenant_rate(struct tenant *t, uint64_t rate)
{
	if (t->rate != rate)
		t->tokens = 0, t->refilled_ns = 0;
	t->rate = rate;
}

/* Of a built-in tenant: those of tenants that state none, but for what it makes. */
static void tenant_defaults(struct tenant *t, const struct config *config)
{
	t->in_flight_max = config->in_flight;
	t->mapped_max = config->mapped_bytes;
	t->queue_max = config->tenant_queue;
	t->gallery_quota = t->template_quota = 0;
	t->class = CONFIG_INTERACTIVE;
	t->classes = 1u << CONFIG_INTERACTIVE | 1u << CONFIG_BATCH;
	tenant_rate(t, config->rate);
}

static struct tenant *tenants_any(const struct tenants *tenants, const char *name)
{
	for (struct tenant *t = tenants->all; t; t = t->next)
		if (t != tenants->local && t != tenants->nobody && !strcmp(t->name, name))
			return t;
	return NULL;
}

static int tenants_adopt(struct tenants *tenants, const struct config_tenant *c)
{
	struct tenant *t = tenants_any(tenants, c->name);

	if (!t)
		t = tenants_add(tenants, c->name);
	if (!t)
		return -ENOMEM;
	t->config = c;
	t->weight = c->weight;
	t->in_flight_max = c->in_flight;
	t->mapped_max = c->mapped_bytes;
	t->queue_max = c->queue;
	t->gallery_quota = c->gallery_quota;
	t->template_quota = c->template_quota;
	t->class = c->class;
	t->classes = c->classes;
	tenant_rate(t, c->rate);
	return 0;
}

int tenants_reload(struct tenants *tenants, const struct config *config)
{
	int err;

	for (struct tenant *t = tenants->all; t; t = t->next)
		t->config = NULL;
	tenant_defaults(tenants->local, config);
	tenant_defaults(tenants->nobody, config);
	tenants->config = config;
	for (uint32_t i = 0; i < config->tenant_count; i++) {
		err = tenants_adopt(tenants, &config->tenants[i]);
		if (err)
			return err;
	}
	return 0;
}

static void tenant_free(struct tenant *tenant)
{
	metrics_tenant_clear(&tenant->metrics);
	free(tenant);
}

void tenants_sweep(struct tenants *tenants)
{
	struct tenant **p = &tenants->all;

	while (*p) {
		struct tenant *t = *p;

		if (t->config || t == tenants->local || t == tenants->nobody || t->in_flight ||
		    t->jobs || t->mapped) {
			p = &t->next;
			continue;
		}
		*p = t->next;
		tenant_free(t);
	}
}

int tenants_create(const struct config *config, uid_t self, struct tenants **out)
{
	struct tenants *tenants = calloc(1, sizeof(*tenants));
	int err;

	if (!tenants)
		return -ENOMEM;
	tenants->self = self;
	tenants->local = tenants_add(tenants, "local");
	tenants->nobody = tenants_add(tenants, "nobody");
	err = tenants->local && tenants->nobody ? tenants_reload(tenants, config) : -ENOMEM;
	if (err) {
		tenants_free(tenants);
		return err;
	}
	tenants->local->local = true;
	*out = tenants;
	return 0;
}

void tenants_free(struct tenants *tenants)
{
	struct tenant *next;

	if (!tenants)
		return;
	for (struct tenant *t = tenants->all; t; t = next) {
		next = t->next;
		tenant_free(t);
	}
	free(tenants);
}

struct tenant *tenants_named(const struct tenants *tenants, const char *name)
{
	struct tenant *t = tenants_any(tenants, name);

	return t && t->config ? t : NULL;
}

struct tenant *tenants_nobody(const struct tenants *tenants)
{
	return tenants->nobody;
}

void tenants_each(const struct tenants *tenants, void (*each)(void *user, struct tenant *tenant),
		  void *user)
{
	for (struct tenant *t = tenants->all; t; t = t->next)
		each(user, t);
}

static bool id_listed(const uint32_t *ids, uint32_t count, uint32_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool gids_listed(const struct config_tenant *c, const gid_t *gids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (id_listed(c->gids, c->gid_count, gids[i]))
			return true;
	return false;
}

struct tenant *tenants_find(const struct tenants *tenants, uid_t uid, const gid_t *gids,
			    uint32_t gid_count)
{
	const struct config *config = tenants->config;

	for (uint32_t i = 0; i < config->tenant_count; i++)
		if (id_listed(config->tenants[i].uids, config->tenants[i].uid_count, uid))
			return tenants_named(tenants, config->tenants[i].name);
	if (uid == 0 || uid == tenants->self)
		return tenants->local;
	for (uint32_t i = 0; i < config->tenant_count; i++)
		if (gids_listed(&config->tenants[i], gids, gid_count))
			return tenants_named(tenants, config->tenants[i].name);
	return tenants->nobody;
}

uint32_t tenant_rights(const struct tenant *tenant, const char *gallery)
{
	const struct config_tenant *c = tenant->config;
	uint32_t everywhere = 0;

	if (tenant->local)
		return RIGHT_ALL;
	if (!c)
		return 0;
	if (!gallery)
		return c->rights;
	for (uint32_t i = 0; i < c->grant_count; i++) {
		const struct config_grant *g = &c->grants[i];
		uint32_t rights = g->rights ? g->rights : c->rights;

		if (!strcmp(g->gallery, gallery))
			return rights;
		if (!strcmp(g->gallery, "*"))
			everywhere = rights;
	}
	return everywhere;
}

/* A bucket of one second's requests, kept in units of 1e-9 requests. */
static bool tenant_token(struct tenant *t, uint64_t now_ns, uint32_t *retry_ms)
{
	uint64_t full = t->rate * SECOND_NS;
	uint64_t passed = now_ns - t->refilled_ns;

	if (passed >= SECOND_NS || t->tokens + passed * t->rate >= full)
		t->tokens = full;
	else
		t->tokens += passed * t->rate;
	t->refilled_ns = now_ns;
	if (t->tokens < SECOND_NS) {
		*retry_ms = (uint32_t)((SECOND_NS - t->tokens) / t->rate / 1000000u) + 1;
		return false;
	}
	t->tokens -= SECOND_NS;
	return true;
}

int tenant_enter(struct tenant *tenant, uint64_t now_ns, uint32_t *retry_ms,
		 enum metrics_quota *quota)
{
	*quota = QUOTA_IN_FLIGHT;
	if (tenant->in_flight >= tenant->in_flight_max) {
		*retry_ms = 10;
		return -EDQUOT;
	}
	*quota = QUOTA_RATE;
	if (tenant->rate && !tenant_token(tenant, now_ns, retry_ms))
		return -EDQUOT;
	tenant->in_flight++;
	return 0;
}

void tenant_leave(struct tenant *tenant)
{
	assert(tenant->in_flight > 0);
	tenant->in_flight--;
}

int tenant_map(struct tenant *tenant, uint64_t bytes)
{
	if (bytes > tenant->mapped_max || tenant->mapped > tenant->mapped_max - bytes)
		return -EDQUOT;
	tenant->mapped += bytes;
	return 0;
}

void tenant_unmap(struct tenant *tenant, uint64_t bytes)
{
	assert(tenant->mapped >= bytes);
	tenant->mapped -= bytes;
}

int tenant_queue(const struct tenant *tenant)
{
	return tenant->jobs < tenant->queue_max ? 0 : -EDQUOT;
}
