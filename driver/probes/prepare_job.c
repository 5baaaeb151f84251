/* SPDX-License-Identifier: GPL-2.0-only */
#include <drm/gpu_scheduler.h>

void *probe(struct drm_sched_backend_ops *ops);
void *probe(struct drm_sched_backend_ops *ops)
{
	return ops->prepare_job;
}
