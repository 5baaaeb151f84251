/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants: who a peer is, what it may do, how much of it. Owned by the control thread.
 *
 * A tenant is a section of the configuration. It lives over reloads; one that left the file keeps its
 * jobs and has no rights, and is freed by tenants_sweep() once they have ended. Two are built in:
 * "local" (root and the daemon's own uid, where no section claims them; every right) and "nobody"
 * (everyone else; none).
 */
#ifndef FACET_DAEMON_NET_TENANT_H
#define FACET_DAEMON_NET_TENANT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/net/config.h"
#include "daemon/net/metrics.h"

struct tenant {
	char name[CONFIG_NAME_MAX + 1];
	const struct config_tenant *config; /* NULL: built in, or no longer in the file */
	bool local;
	/* quota: bounds and what is used */
	uint64_t in_flight_max, mapped_max, rate;
	uint64_t queue_max, gallery_quota, template_quota;
	enum config_class class; /* of a request that names none */
	uint32_t classes;	 /* bits: what a request may name */
	uint64_t in_flight, mapped;
	uint64_t tokens, refilled_ns; /* requests * 1e9 */
	/* the scheduler's: virtual time, jobs it holds, share */
	uint64_t vtime;
	uint64_t jobs;
	uint64_t weight;
	struct metrics_tenant metrics;
	struct tenant *next;
};

struct tenants;
int tenants_create(const struct config *config, uid_t self, struct tenants **tenants);
void tenants_free(struct tenants *tenants);
/* Adopts another configuration; the one before may be freed afterwards. */
int tenants_reload(struct tenants *tenants, const struct config *config);
/* Frees those that have left the file and have no jobs. No connection is theirs any more. */
void tenants_sweep(struct tenants *tenants);
/* A section that lists the uid wins over one that lists a group. */
struct tenant *tenants_find(const struct tenants *tenants, uid_t uid, const gid_t *gids,
			    uint32_t gid_count);

/* By its name in the file, which it has not left; NULL: there is none. */
struct tenant *tenants_named(const struct tenants *tenants, const char *name);
struct tenant *tenants_nobody(const struct tenants *tenants);
/* Calls each for every tenant there is. */
void tenants_each(const struct tenants *tenants, void (*each)(void *user, struct tenant *tenant),
		  void *user);

/* The rights on a gallery; with NULL those on the server and its models. */
uint32_t tenant_rights(const struct tenant *tenant, const char *gallery);
/* May one more request enter? 0 (counted until tenant_leave()), or -EDQUOT, when to come back, and
 * which bound it is. */
int tenant_enter(struct tenant *tenant, uint64_t now_ns, uint32_t *retry_ms,
		 enum metrics_quota *quota);
void tenant_leave(struct tenant *tenant);
/* Bytes a request maps; 0 or -EDQUOT. */
int tenant_map(struct tenant *tenant, uint64_t bytes);
void tenant_unmap(struct tenant *tenant, uint64_t bytes);
/* May one more job wait for a device? 0 or -EDQUOT. */
int tenant_queue(const struct tenant *tenant);

#endif
