// SPDX-License-Identifier: GPL-2.0-only
/*
 * SUBMIT: all jobs or none. Everything that can fail is done first; from the moment the first job is
 * pushed nothing fails any more.
 */
#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <drm/drm_drv.h>
#include <drm/drm_gem.h>

#include "facet_drv.h"

struct sync {
	u32 flags;
	u64 point;
	struct dma_fence *wait;
	struct drm_syncobj *signal;
	struct dma_fence_chain *chain;
};

struct submit {
	struct drm_file *drm_file;
	struct facet_file *file;
	struct facet_ctx *ctx;
	struct drm_facet_submit *args;
	u32 jobs, syncs, objects;
	struct facet_job **job;
	struct sync *sync;
	struct drm_gem_object **object; /* one for each dma_resv */
};

static int blame(struct submit *s, u32 what, u32 index, int err)
{
	if (err) {
		s->args->bad_what = what;
		s->args->bad_index = index;
	}
	return err;
}

/* ---- elements of arrays ---- */

static int array_check(const struct drm_facet_array *array, u32 max)
{
	if (array->count > max || (array->count && !array->stride) || array->stride % 8)
		return -EINVAL;
	return 0;
}

static int array_get(const struct drm_facet_array *array, u32 index, void *to, size_t size)
{
	const void __user *from = u64_to_user_ptr(array->pointer + (u64)index * array->stride);

	return copy_struct_from_user(to, size, from, array->stride);
}

/* ---- operands ---- */

static int operand_check(const struct facet_extent *extent, struct drm_gem_object *obj, u64 offset)
{
	const struct facet_bo *bo = to_facet_bo(obj);
	const struct facet_device *facet = to_facet(obj->dev);
	u32 align = bo->piece ? 1u << facet->align_log2 : extent->align;

	if (offset > obj->size || extent->bytes > obj->size - offset)
		return -EOVERFLOW;
	if (extent->written && bo->flags & DRM_FACET_BO_READONLY)
		return -EACCES;
	return align && offset % align ? -EINVAL : 0;
}

static bool must_be_there(const struct facet_extent *extent, bool before)
{
	return extent->presence == FACET_NEEDED || (extent->presence == FACET_PAIRED && before);
}

static bool may_be_there(const struct facet_extent *extent, bool before)
{
	return extent->presence == FACET_OPTIONAL || must_be_there(extent, before);
}

static int operand_add(struct submit *s, struct facet_job *job, const struct facet_extents *extents,
		       const struct drm_facet_array *array, u32 i)
{
	const struct facet_extent *extent = &extents->operand[i];
	bool before = i && job->operand[i - 1].obj;
	struct drm_facet_operand operand;
	struct drm_gem_object *obj;
	int err = array_get(array, i, &operand, sizeof(operand));

	if (err)
		return err;
	if (operand.pad || (!operand.handle && operand.offset))
		return -EINVAL;
	if (!operand.handle)
		return must_be_there(extent, before) ? -EINVAL : 0;
	if (!may_be_there(extent, before))
		return -EINVAL;
	obj = drm_gem_object_lookup(s->drm_file, operand.handle);
	if (!obj)
		return -ENOENT;
	err = operand_check(extent, obj, operand.offset);
	if (err)
		drm_gem_object_put(obj);
	else
		facet_job_operand(job, i, extent, obj, operand.offset);
	return err;
}

static int choose_class(struct facet_job *job, u32 op)
{
	bool host = false;
	u64 banks = 0;
	u32 i;
	int class;

	for (i = 0; i < job->operands; i++) {
		const struct facet_bo *bo;

		if (!job->operand[i].obj)
			continue;
		bo = to_facet_bo(job->operand[i].obj);
		if (bo->piece)
			banks |= BIT_ULL(bo->piece->bank);
		else
			host = true;
	}
	class = facet_job_class(job->ctx, op, banks, host);
	if (class < 0)
		return class;
	job->class = class;
	return 0;
}

/* ---- jobs ---- */

static int job_make(struct submit *s, const struct drm_facet_job *in, struct facet_prog *prog,
		    struct facet_job **out)
{
	struct facet_job *job;
	u32 i;
	int err = 0;

	if (in->flags || in->operands.count != prog->extents.operands)
		return -EINVAL;
	job = facet_job_new(s->ctx, &prog->extents, prog->args, in->tag);
	if (!job)
		return -ENOMEM;
	*out = job;
	for (i = 0; i < prog->extents.operands && !err; i++)
		err = operand_add(s, job, &prog->extents, &in->operands, i);
	if (!err)
		err = choose_class(job, prog->extents.op);
	return err ? err : facet_job_init(job);
}

static int job_get(struct submit *s, u32 i)
{
	struct drm_facet_job in;
	struct facet_prog *prog;
	int err = array_get(&s->args->jobs, i, &in, sizeof(in));

	if (!err)
		err = array_check(&in.operands, FACET_OPERANDS_MAX);
	if (err)
		return err;
	prog = facet_prog_get(s->file, in.prog);
	if (!prog)
		return -ENOENT;
	err = job_make(s, &in, prog, &s->job[i]);
	facet_prog_put(prog);
	return err;
}

static int jobs_get(struct submit *s)
{
	u32 i;
	int err = 0;

	for (i = 0; i < s->jobs && !err; i++)
		err = blame(s, DRM_FACET_BAD_JOB, i, job_get(s, i));
	return err;
}

/* ---- syncs ---- */

static int sync_wait(struct submit *s, const struct drm_facet_sync *in, struct sync *sync)
{
	struct dma_fence *fence;
	int err = drm_syncobj_find_fence(s->drm_file, in->handle, in->point, 0, &fence);

	if (err)
		return err; /* and fence may be what is not ours any more */
	sync->wait = fence;
	/* The others follow the first job. */
	return drm_sched_job_add_dependency(&s->job[0]->base, dma_fence_get(fence));
}

static int sync_signal(struct submit *s, const struct drm_facet_sync *in, struct sync *sync)
{
	sync->signal = drm_syncobj_find(s->drm_file, in->handle);
	if (!sync->signal)
		return -ENOENT;
	if (!(in->flags & DRM_FACET_SYNC_TIMELINE))
		return 0;
	sync->chain = dma_fence_chain_alloc();
	return sync->chain ? 0 : -ENOMEM;
}

static int sync_get(struct submit *s, u32 i)
{
	const u32 known = DRM_FACET_SYNC_WAIT | DRM_FACET_SYNC_SIGNAL | DRM_FACET_SYNC_TIMELINE;
	struct sync *sync = &s->sync[i];
	struct drm_facet_sync in;
	u32 way;
	int err = array_get(&s->args->syncs, i, &in, sizeof(in));

	if (err)
		return err;
	way = in.flags & (DRM_FACET_SYNC_WAIT | DRM_FACET_SYNC_SIGNAL);
	if (in.flags & ~known || !way || way == (DRM_FACET_SYNC_WAIT | DRM_FACET_SYNC_SIGNAL))
		return -EINVAL;
	if (in.flags & DRM_FACET_SYNC_TIMELINE ? way == DRM_FACET_SYNC_SIGNAL && !in.point
					       : in.point != 0)
		return -EINVAL;
	sync->flags = in.flags;
	sync->point = in.point;
	return way == DRM_FACET_SYNC_WAIT ? sync_wait(s, &in, sync) : sync_signal(s, &in, sync);
}

static int syncs_get(struct submit *s)
{
	u32 i;
	int err = 0;

	for (i = 0; i < s->syncs && !err; i++)
		err = blame(s, DRM_FACET_BAD_SYNC, i, sync_get(s, i));
	return err;
}

static void syncs_signal(struct submit *s, struct dma_fence *fence)
{
	u32 i;

	for (i = 0; i < s->syncs; i++) {
		struct sync *sync = &s->sync[i];

		if (!sync->signal)
			continue;
		if (sync->chain) {
			drm_syncobj_add_point(sync->signal, sync->chain, fence, sync->point);
			sync->chain = NULL;
		} else {
			drm_syncobj_replace_fence(sync->signal, fence);
		}
	}
}

/* ---- objects ---- */

static void object_note(struct submit *s, struct drm_gem_object *obj)
{
	u32 i;

	for (i = 0; i < s->objects; i++)
		if (s->object[i]->resv == obj->resv)
			return;
	/* Jobs may end, and be freed with what they hold, before the locks are let go. */
	drm_gem_object_get(obj);
	s->object[s->objects++] = obj;
}

static int objects_note(struct submit *s)
{
	u32 i, k, count = 0;

	for (i = 0; i < s->jobs; i++)
		count += s->job[i]->operands;
	s->object = kvcalloc(count + 1, sizeof(*s->object), GFP_KERNEL);
	if (!s->object)
		return -ENOMEM;
	for (i = 0; i < s->jobs; i++)
		for (k = 0; k < s->job[i]->operands; k++)
			if (s->job[i]->operand[k].obj)
				object_note(s, s->job[i]->operand[k].obj);
	return 0;
}

static int implicit(struct submit *s)
{
	u32 i, k;
	int err = 0;

	/* A job may write one part of an object and read another: two fences. */
	for (i = 0; i < s->objects && !err; i++)
		err = dma_resv_reserve_fences(s->object[i]->resv, 2 * s->jobs);
	for (i = 0; i < s->jobs; i++)
		for (k = 0; k < s->job[i]->operands && !err; k++)
			if (s->job[i]->operand[k].obj)
				err = drm_sched_job_add_implicit_dependencies(
					&s->job[i]->base, s->job[i]->operand[k].obj,
					s->job[i]->operand[k].written);
	return err;
}

/* ---- the moment ---- */

static void publish(struct facet_job *job, struct dma_fence *finished)
{
	u32 k;

	for (k = 0; k < job->operands; k++)
		if (job->operand[k].obj)
			dma_resv_add_fence(job->operand[k].obj->resv, finished,
					   job->operand[k].written ? DMA_RESV_USAGE_WRITE
								   : DMA_RESV_USAGE_READ);
}

static void push(struct submit *s)
{
	struct dma_fence *after = NULL, *finished;
	u32 i;

	for (i = 0; i < s->jobs; i++)
		facet_ctx_admit(s->ctx, s->job[i]);
	s->args->first = s->job[0]->number;
	for (i = 0; i < s->jobs; i++) {
		struct facet_job *job = s->job[i];

		finished = facet_job_arm(job, after);
		publish(job, finished);
		dma_fence_put(after);
		after = finished;
		s->job[i] = NULL; /* the scheduler's from here on */
		drm_sched_entity_push_job(&job->base);
	}
	syncs_signal(s, after);
	dma_fence_put(after);
}

static int commit(struct submit *s)
{
	struct ww_acquire_ctx ticket;
	int err;

	mutex_lock(&s->ctx->submit);
	err = facet_ctx_room(s->ctx, s->jobs);
	if (!err)
		err = drm_gem_lock_reservations(s->object, s->objects, &ticket);
	if (err)
		goto unlock;
	err = implicit(s);
	if (!err)
		push(s);
	drm_gem_unlock_reservations(s->object, s->objects, &ticket);
unlock:
	mutex_unlock(&s->ctx->submit);
	return err;
}

/* ---- the call ---- */

static void submit_clear(struct submit *s)
{
	u32 i;

	for (i = 0; s->job && i < s->jobs; i++)
		if (s->job[i])
			facet_job_free(s->job[i]);
	for (i = 0; s->sync && i < s->syncs; i++) {
		dma_fence_put(s->sync[i].wait);
		if (s->sync[i].signal)
			drm_syncobj_put(s->sync[i].signal);
		dma_fence_chain_free(s->sync[i].chain);
	}
	for (i = 0; i < s->objects; i++)
		drm_gem_object_put(s->object[i]);
	kvfree(s->object);
	kfree(s->sync);
	kfree(s->job);
	if (s->ctx)
		facet_ctx_put(s->ctx);
}

static int submit_run(struct submit *s)
{
	int err;

	s->job = kcalloc(s->jobs, sizeof(*s->job), GFP_KERNEL);
	s->sync = kcalloc(s->syncs + 1, sizeof(*s->sync), GFP_KERNEL);
	if (!s->job || !s->sync)
		return -ENOMEM;
	err = jobs_get(s);
	if (!err)
		err = syncs_get(s);
	if (!err)
		err = objects_note(s);
	return err ? err : commit(s);
}

int facet_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_facet_submit *args = data;
	struct submit s = {.drm_file = drm_file, .file = drm_file->driver_priv, .args = args};
	int err = facet_file_check(s.file);

	args->bad_what = DRM_FACET_BAD_NONE;
	args->bad_index = 0;
	if (err)
		return err;
	if (args->flags || !args->jobs.count || array_check(&args->jobs, FACET_JOBS_SUBMIT) ||
	    array_check(&args->syncs, FACET_SYNCS_SUBMIT))
		return -EINVAL;
	s.ctx = facet_ctx_get(s.file, args->ctx);
	if (!s.ctx)
		return -ENOENT;
	s.jobs = args->jobs.count;
	s.syncs = args->syncs.count;
	err = submit_run(&s);
	submit_clear(&s);
	return err;
}
