/* SPDX-License-Identifier: Apache-2.0 */
/* A short test of a device before it gets work: a product and a search, against kernels/ref. */
#ifndef FACET_DAEMON_DEVICE_SELFTEST_H
#define FACET_DAEMON_DEVICE_SELFTEST_H

#include <stddef.h>

#include "daemon/device/device.h"

/* Blocks. 0, or after writing what failed to why the device's error, -EBADMSG for wrong bytes. What the
 * device does not offer is not tested. */
int selftest(struct device *device, char *why, size_t bytes);

#endif
