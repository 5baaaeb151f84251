/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/cost.h"

uint64_t cost_measure(struct cost *cost, uint32_t device, double work, uint64_t device_ns)
{
	double measured = (double)device_ns / work;
	double *ns = &cost->ns[device];

	*ns = *ns > 0 ? (*ns * 3 + measured) / 4 : measured;
	cost->devices |= UINT32_C(1) << device;
	if (!(cost->devices & (cost->devices - 1))) {
		cost->mean_ns = *ns;
		return device_ns;
	}
	cost->mean_ns = (cost->mean_ns * 15 + measured) / 16;
	return (uint64_t)(work * cost->mean_ns);
}
