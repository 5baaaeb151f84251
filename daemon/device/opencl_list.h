/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenCL devices of this machine, as a helper process sees them. */
#ifndef FACET_DAEMON_DEVICE_OPENCL_LIST_H
#define FACET_DAEMON_DEVICE_OPENCL_LIST_H

#include "daemon/device/device.h"

struct opencl_listed {
	char platform[64], name[64], version[64], driver[64];
	char kind[16]; /* cpu, gpu, accelerator, other */
	uint32_t units;
	uint64_t memory_bytes;
	bool usable;	/* none of what this backend asks for is missing */
	char lacks[64]; /* what is */
};

/*
 * Their number (at most max are written), or a negative errno: -ENOENT: no helper; -ETIMEDOUT: it
 * hung; -EIO: it crashed, a driver was not survived; -EPROTO: it talks nonsense. why, if not NULL,
 * is told in words. Blocks for a second or two.
 */
int opencl_list(const struct device_config *config, struct opencl_listed *list, uint32_t max,
		char *why, size_t why_bytes);

#endif
