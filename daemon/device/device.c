/* SPDX-License-Identifier: Apache-2.0 */
/* The backends by name, and what they have in common. */
#include "daemon/device/fault.h"

#include <errno.h>
#include <string.h>

static const struct device_ops *const backends[] = {&device_cpu, &device_drm, &device_opencl,
						    &device_virtual, &device_fault};

static int open_wrapped(const struct device_ops *ops, const struct device_config *config,
			struct device **device)
{
	struct device *inner;
	int err = ops->probe(config, &inner);

	if (err)
		return err;
	err = fault_wrap(inner, config->fault, device);
	if (err)
		inner->ops->close(inner);
	return err;
}

int device_open(const char *kind, const struct device_config *config, struct device **device)
{
	static const struct device_config plain;

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(backends[i]->kind, kind))
			return config && config->fault && backends[i] != &device_fault
				       ? open_wrapped(backends[i], config, device)
				       : backends[i]->probe(config ? config : &plain, device);
	return -ENODEV;
}

static bool element_ok(uint32_t bytes)
{
	return bytes == 1 || bytes == 4;
}

/* Every factor is within 2^30, so each sum of six products stays within 2^63. */
uint64_t device_strided_elements(const struct device_strided *p, uint64_t in_elements)
{
	int64_t low, high;
	uint64_t n = 1;

	if (p->rank < 1 || p->rank > 6 || !element_ok(p->element_bytes) ||
	    p->offset > OP_ELEMENTS_MAX || in_elements > OP_ELEMENTS_MAX)
		return 0;
	low = high = (int64_t)p->offset;
	for (uint32_t i = 0; i < p->rank; i++) {
		int64_t step = p->stride[i], reach;

		if (p->extent[i] < 1 || p->extent[i] > OP_ELEMENTS_MAX / n ||
		    step < -(int64_t)OP_ELEMENTS_MAX || step > (int64_t)OP_ELEMENTS_MAX)
			return 0;
		n *= p->extent[i];
		reach = ((int64_t)p->extent[i] - 1) * step;
		*(reach < 0 ? &low : &high) += reach;
	}
	return low >= 0 && high < (int64_t)in_elements ? n : 0;
}

uint64_t device_join_elements(const struct device_join *p)
{
	uint64_t row = 0;

	if (p->inputs < 1 || p->inputs > DEVICE_INPUTS_MAX || !element_ok(p->element_bytes) ||
	    p->outer < 1)
		return 0;
	for (uint32_t i = 0; i < p->inputs; i++) {
		if (p->inner[i] < 1 || p->inner[i] > OP_ELEMENTS_MAX)
			return 0;
		row += p->inner[i];
	}
	return p->outer <= OP_ELEMENTS_MAX / row ? p->outer * row : 0;
}
