/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: sections of `key = value` (docs/facetd.conf.example has every key).
 * A section or key that is not known is an error, as is a value out of its range: the text names
 * file, line and remedy, and the caller keeps what it had.
 */
#ifndef FACET_DAEMON_NET_CONFIG_H
#define FACET_DAEMON_NET_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_TEXT	   400
#define CONFIG_NAME_MAX	   64
#define CONFIG_LIST_MAX	   1024
#define CONFIG_TENANTS_MAX 256
#define CONFIG_DEVICES_MAX 15 /* beside the CPU */

#define CONFIG_DEVICE_KINDS "opencl, drm or virtual"

struct config_grant {
	char gallery[CONFIG_NAME_MAX + 1]; /* "*" for every gallery */
	uint32_t rights;		   /* 0: the tenant's own */
};

enum config_class { CONFIG_INTERACTIVE, CONFIG_BATCH };

struct config_tenant {
	char name[CONFIG_NAME_MAX + 1];
	char *socket, *group; /* its own; NULL: none, the daemon's group */
	uint32_t mode;	      /* of the socket */
	uint32_t *uids, *gids;
	uint32_t uid_count, gid_count;
	uint32_t rights;
	struct config_grant *grants;
	uint32_t grant_count;
	uint64_t weight;
	enum config_class class;		/* of a request that names none */
	uint32_t classes;			/* bits: what a request may name */
	uint64_t in_flight, mapped_bytes, rate; /* rate: requests a second, 0 for no bound */
	uint64_t queue;				/* jobs that may wait or run */
	uint64_t gallery_quota, template_quota; /* galleries it made, templates in those; 0: any */
};

/* A device beside the CPU; NULL or 0: not stated. device.h says what each means. */
struct config_device {
	char name[CONFIG_NAME_MAX + 1];
	char *kind, *select, *image, *variant, *fault;
	uint64_t memory, queue, timeout_ms;
	uint64_t prefer; /* 1: what it can do goes to it, whatever was measured */
};

struct config {
	/* [daemon] */
	char *socket, *state, *metrics, *log, *group, *key_file, *checker;
	uint64_t drain_seconds;
	uint64_t purge_seconds, disk_reserve;
	/* [limits] */
	uint64_t connections, queue, send_bytes, stall_seconds;
	uint64_t batch, delay_us, slice_us;
	uint64_t queries, vectors, raw_macs;
	uint64_t in_flight, mapped_bytes, rate; /* of a tenant that states none */
	uint64_t tenant_queue, gallery_quota, template_quota;
	/* Of so many, on boards, one is looked at; 0: none. */
	uint64_t check_every;	 /* commands: recomputed */
	uint64_t readback_every; /* searches: the rows they went by, read back */
	uint64_t checksum_every; /* products: by the sums of their accumulators */
	/* [device cpu] */
	uint64_t threads, device_queue;
	char *pin, *isa;
	/* [device NAME] */
	struct config_device devices[CONFIG_DEVICES_MAX];
	uint32_t device_count;
	/* [tenant NAME] */
	struct config_tenant *tenants;
	uint32_t tenant_count;
};

/* A device's own copy of what is said of it, for one that outlives the configuration. -ENOMEM. */
int config_device_copy(const struct config_device *from, struct config_device *to);
void config_device_clear(struct config_device *device);

/* NULL path: the defaults. 0, or -EINVAL, -ENOENT, -ENOMEM ... with one line in text. */
int config_load(const char *path, struct config **config, char text[CONFIG_TEXT]);
void config_free(struct config *config);
/* True with their names in text where keys differ that only a start takes up. */
bool config_needs_start(const struct config *now, const struct config *next,
			char text[CONFIG_TEXT]);

#endif
