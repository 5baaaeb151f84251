/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the readers of the configuration's sections. */
#ifndef FACET_DAEMON_NET_CONFIG_INTERNAL_H
#define FACET_DAEMON_NET_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/net/config.h"

struct config_reader {
	const char *path;
	FILE *file;
	int line;
	struct config *config;
	char *text;
	int error;
};

enum config_type { TYPE_STRING, TYPE_PATH, TYPE_COUNT, TYPE_BYTES };

struct config_key {
	const char *section, *name;
	enum config_type type;
	size_t offset;
	uint64_t preset, min, max; /* of strings: max is their length */
	bool at_start;		   /* a reload does not change it */
};

/* The first mistake, with file and line. Always 0, which inih takes for an error. */
__attribute__((format(printf, 2, 3))) int config_error(struct config_reader *reader,
						       const char *format, ...);
/* Digits, then for bytes one of K M G T. */
bool config_number(const char *value, bool bytes, uint64_t *number);
/* A value into its place: 1, or 0 after an error. */
int config_set_number(struct config_reader *reader, const struct config_key *key, const char *value,
		      uint64_t *slot);
int config_set_string(struct config_reader *reader, const struct config_key *key, const char *value,
		      char **slot);

/* Names of tenants and devices. */
bool config_name_ok(const char *name);

/* ---- [device NAME] ------------------------------------------------------------------------------- */
int config_device_key(struct config_reader *reader, const char *device, const char *name,
		      const char *value);
int config_finish_devices(struct config_reader *reader);
void config_free_devices(struct config *config);
bool config_devices_differ(const struct config *now, const struct config *next);

/* ---- [tenant NAME] ------------------------------------------------------------------------------- */
int config_tenant_key(struct config_reader *reader, const char *tenant, const char *name,
		      const char *value);
/* The file is read. What a tenant does not state comes from [limits]; what it must state is asked
 * for. */
int config_finish_tenants(struct config_reader *reader);
void config_free_tenants(struct config *config);

#endif
