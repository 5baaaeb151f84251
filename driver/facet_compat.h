/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where kernels differ, and the only place that knows. facet_config.h says what the probes found.
 */
#ifndef FACET_COMPAT_H
#define FACET_COMPAT_H

#include <linux/eventfd.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <drm/gpu_scheduler.h>

#include "facet_config.h"

#ifdef FACET_HAVE_ACCEL
#include <drm/drm_accel.h>
#define FACET_NODE_FEATURE DRIVER_COMPUTE_ACCEL
#define FACET_NODE_OPEN	   accel_open
#else
#define FACET_NODE_FEATURE DRIVER_RENDER
#define FACET_NODE_OPEN	   drm_open
#endif

#ifdef FOP_UNSIGNED_OFFSET
#define FACET_FOP_FLAGS .fop_flags = FOP_UNSIGNED_OFFSET,
#else
#define FACET_FOP_FLAGS
#endif

static inline int facet_compat_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity,
					void *owner)
{
#if defined(FACET_HAVE_JOB_INIT_CLIENT)
	return drm_sched_job_init(job, entity, 1, owner, 0);
#elif defined(FACET_HAVE_JOB_INIT_CREDITS)
	return drm_sched_job_init(job, entity, 1, owner);
#else
	return drm_sched_job_init(job, entity, owner);
#endif
}

/*
 * Schedulers before 6.2 lose a reference on the fence of the job that ran before one that is killed with
 * its context. That fence must not keep the board's, and with it the driver: nobody asks it for that one
 * once the job is over.
 */
static inline void facet_compat_job_over(struct drm_sched_job *job)
{
#ifndef FACET_HAVE_PREPARE_JOB
	dma_fence_put(job->s_fence->parent);
	job->s_fence->parent = NULL;
#endif
}

static inline void facet_compat_sched_args(struct drm_sched_init_args *args)
{
#ifdef FACET_HAVE_SCHED_NUM_RQS
	args->num_rqs = DRM_SCHED_PRIORITY_COUNT;
#endif
}

/* The hook that names one more fence to wait for. */
#ifdef FACET_HAVE_PREPARE_JOB
#define FACET_SCHED_AFTER(fn) .prepare_job = fn
#else
#define FACET_SCHED_AFTER(fn) .dependency = fn
#endif

#ifdef FACET_HAVE_PRIORITY_LOW
#define FACET_SCHED_LOW DRM_SCHED_PRIORITY_LOW
#else
#define FACET_SCHED_LOW DRM_SCHED_PRIORITY_MIN
#endif

static inline void facet_compat_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef FACET_HAVE_EVENTFD_COUNT
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

#ifdef FACET_HAVE_GEM_PRIME_MMAP
#define FACET_PRIME                                                                                \
	.prime_handle_to_fd = drm_gem_prime_handle_to_fd,                                          \
	.prime_fd_to_handle = drm_gem_prime_fd_to_handle, .gem_prime_mmap = drm_gem_prime_mmap,
#else
#define FACET_PRIME
#endif

/* How much of what a file uses, for tools that read fdinfo. Older kernels print nothing themselves. */
#ifdef FACET_HAVE_SHOW_FDINFO
#define FACET_FDINFO_FOPS .show_fdinfo = drm_show_fdinfo,
#define FACET_FDINFO	  .show_fdinfo = facet_fdinfo,
#else
#define FACET_FDINFO_FOPS .show_fdinfo = facet_show_fdinfo,
#define FACET_FDINFO
#endif

#ifdef FACET_HAVE_DRIVER_DATE
#define FACET_DRIVER_DATE .date = "20261126",
#else
#define FACET_DRIVER_DATE
#endif

#endif
