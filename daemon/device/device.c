/* SPDX-License-Identifier: Apache-2.0 */
/* The backends by name. */
#include "daemon/device/device.h"

#include <errno.h>
#include <string.h>

static const struct device_ops *const backends[] = {&device_cpu};

int device_open(const char *kind, const struct device_config *config, struct device **device)
{
	static const struct device_config plain;

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(backends[i]->kind, kind))
			return backends[i]->probe(config ? config : &plain, device);
	return -ENODEV;
}
