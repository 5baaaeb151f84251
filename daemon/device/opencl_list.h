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

/*
 * Opens and tests the device that is meant in a helper process, and tells the variant of kernels that
 * was fastest there. Errors as above, and those of opening, in words in why.
 */
int opencl_try(const struct device_config *config, char *variant, size_t variant_bytes, char *why,
	       size_t why_bytes);

/* What the helper prints; the lines in which it speaks. */
#define OPENCL_SAYS_DEVICE                                                                         \
	"device" /* platform, name, version, driver, kind, units, memory, lacks */
#define OPENCL_SAYS_STAGE   "stage"   /* what it is about to do */
#define OPENCL_SAYS_VARIANT "variant" /* all is well, and this is the fastest */
#define OPENCL_SAYS_FAILED  "failed"  /* errno, in words */

#endif
