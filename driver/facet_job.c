// SPDX-License-Identifier: GPL-2.0-only
/* Jobs, from what a program and its operands say to the fence that tells the end. */
#include <linux/dma-fence.h>
#include <linux/module.h>
#include <drm/drm_drv.h>

#include "facet_drv.h"
#include "facet_trace.h"

#define ZERO_BYTES SZ_64M /* of one job: others get a turn between */

/* ---- fences ---- */

struct facet_fence {
	struct dma_fence base;
	spinlock_t lock; /* the fence's own */
	bool holds;	 /* a reference on the module */
};

static const char *fence_driver(struct dma_fence *fence)
{
	return "facet";
}

static const char *fence_timeline(struct dma_fence *fence)
{
	return "unit";
}

/* Fences outlive files, in sync_files that others hold. Those of the driver's own jobs go with it. */
static void fence_release(struct dma_fence *fence)
{
	bool holds = container_of(fence, struct facet_fence, base)->holds;

	dma_fence_free(fence);
	if (holds)
		module_put(THIS_MODULE);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver,
	.get_timeline_name = fence_timeline,
	.release = fence_release,
};

static struct dma_fence *fence_new(bool holds)
{
	struct facet_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence)
		return NULL;
	fence->holds = holds;
	if (holds)
		__module_get(THIS_MODULE);
	spin_lock_init(&fence->lock);
	dma_fence_init(&fence->base, &fence_ops, &fence->lock, dma_fence_context_alloc(1), 1);
	return &fence->base;
}

/* ---- making ---- */

struct facet_job *facet_job_new(struct facet_ctx *ctx, const struct facet_extents *extents,
				const void *args, u64 tag)
{
	struct facet_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	size_t operands = extents->operands * sizeof(struct shell_operand);
	size_t bytes = operands + extents->args_size;

	if (!job)
		return NULL;
	INIT_LIST_HEAD(&job->link);
	kref_get(&ctx->ref);
	job->ctx = ctx;
	job->generation = ctx->file ? ctx->file->generation : 0;
	job->tag = tag;
	job->operands = extents->operands;
	job->entry.op = cpu_to_le16(extents->op);
	job->entry.flags = cpu_to_le16(SHELL_ENTRY_INTERRUPT);
	job->entry.job_bytes = cpu_to_le32(bytes);
	job->entry.tag = cpu_to_le64(tag);
	job->entry.operands = cpu_to_le16(extents->operands);
	job->fence = fence_new(ctx->file);
	job->block = kzalloc(bytes, GFP_KERNEL);
	if (!job->fence || !job->block) {
		facet_job_free(job);
		return NULL;
	}
	memcpy(job->block + operands, args, extents->args_size);
	return job;
}

int facet_job_class(const struct facet_ctx *ctx, u32 op, u64 banks, bool host)
{
	const struct facet_device *facet = ctx->facet;
	u32 c;

	for (c = 0; c < facet->classes; c++) {
		const struct facet_class *class = &facet->class[c];
		bool reaches = class->kind == SHELL_UNIT_DMA || facet->caps & SHELL_CAP_HOST_DATA;

		if (ctx->classes >> c & 1 && class->ops >> op & 1 && !(banks & ~class->banks) &&
		    (!host || reaches))
			return c;
	}
	return -EOPNOTSUPP;
}

static struct shell_operand *operand_at(struct facet_job *job, u32 index)
{
	return (struct shell_operand *)job->block + index;
}

static void place_in_bank(struct shell_operand *o, const struct facet_piece *piece, u64 offset)
{
	o->space = cpu_to_le16(SHELL_SPACE_BANK);
	o->bank = cpu_to_le16(piece->bank);
	o->address = cpu_to_le64(piece->node.start + offset);
}

static void place_in_host(struct shell_operand *o, const struct facet_bo *bo, u64 offset)
{
	if (bo->tables) {
		o->space = cpu_to_le16(SHELL_SPACE_SG);
		o->entries = cpu_to_le32(bo->first_entries);
		o->address = cpu_to_le64(bo->address);
		o->offset = cpu_to_le64(offset);
	} else {
		o->space = cpu_to_le16(SHELL_SPACE_HOST);
		o->address = cpu_to_le64(bo->address + offset);
	}
}

void facet_job_operand(struct facet_job *job, u32 index, const struct facet_extent *extent,
		       struct drm_gem_object *obj, u64 offset)
{
	struct shell_operand *o = operand_at(job, index);
	struct facet_bo *bo = to_facet_bo(obj);
	u32 access =
		(extent->written ? SHELL_ACCESS_WRITE : 0) | (extent->read ? SHELL_ACCESS_READ : 0);

	job->operand[index].obj = obj;
	job->operand[index].written = extent->written;
	o->access = cpu_to_le16(access);
	o->length = cpu_to_le64(extent->bytes);
	if (bo->piece)
		place_in_bank(o, bo->piece, offset);
	else
		place_in_host(o, bo, offset);
}

int facet_job_init(struct facet_job *job)
{
	struct facet_ctx *ctx = job->ctx;
	int err = facet_compat_job_init(&job->base, &ctx->entity[job->class], ctx);

	job->scheduled = !err;
	return err;
}

struct dma_fence *facet_job_arm(struct facet_job *job, struct dma_fence *after)
{
	drm_sched_job_arm(&job->base);
	job->after = dma_fence_get(after);
	job->submitted = ktime_get();
	return dma_fence_get(&job->base.s_fence->finished);
}

void facet_job_free(struct facet_job *job)
{
	u32 i;

	if (job->scheduled)
		drm_sched_job_cleanup(&job->base);
	for (i = 0; i < job->operands; i++)
		if (job->operand[i].obj)
			drm_gem_object_put(job->operand[i].obj);
	dma_fence_put(job->after);
	dma_fence_put(job->fence);
	kfree(job->block);
	facet_ctx_put(job->ctx);
	kfree(job);
}

/* ---- the end ---- */

int facet_job_error(const struct facet_job *job)
{
	static const int errors[] = {
		[SHELL_OK] = 0,
		[SHELL_BAD_OP] = -EOPNOTSUPP,
		[SHELL_BAD_ARGS] = -EINVAL,
		[SHELL_BAD_WEIGHTS] = -EOVERFLOW,
		[SHELL_BAD_OPERAND] = -EINVAL,
		[SHELL_UNSUPPORTED] = -EOPNOTSUPP,
	};
	u32 status = le32_to_cpu(job->completion.status);

	if (status == SHELL_OK)
		return 0;
	return status < ARRAY_SIZE(errors) && errors[status] ? errors[status] : -EIO;
}

void facet_job_end(struct facet_job *job, int error)
{
	struct dma_fence *fence = dma_fence_get(job->fence);

	job->ended = true;
	trace_facet_job_end(job, error);
	facet_ctx_ended(job->ctx, job, error);
	if (error) {
		/* Schedulers before 6.6 do not hand the error on. */
		dma_fence_set_error(&job->base.s_fence->finished, error);
		dma_fence_set_error(fence, error);
	}
	dma_fence_signal(fence); /* the job may be freed from here on */
	dma_fence_put(fence);
}

/* ---- what the scheduler asks for ---- */

/* The order within a submission, also where other units do the next job. */
static struct dma_fence *sched_after(struct drm_sched_job *base, struct drm_sched_entity *entity)
{
	struct facet_job *job = to_facet_job(base);
	struct dma_fence *after = job->after;

	job->after = NULL;
	return after;
}

/* 0: the board may have it. */
static int admissible(const struct facet_job *job)
{
	if (job->ctx->file) {
		int err = facet_file_check(job->ctx->file);

		if (err)
			return err;
	}
	return facet_ctx_banned(job->ctx) ? -ECANCELED : 0;
}

static struct dma_fence *sched_run(struct drm_sched_job *base)
{
	struct facet_job *job = to_facet_job(base);
	struct facet_unit *unit = container_of(base->sched, struct facet_unit, sched);
	struct dma_fence *fence;
	int entered, err = -ENODEV;

	if (drm_dev_enter(&unit->facet->drm, &entered)) {
		err = admissible(job);
		if (!err) {
			fence = dma_fence_get(job->fence);
			facet_ctx_began(job->ctx, job,
					ktime_to_ns(ktime_sub(ktime_get(), job->submitted)));
			facet_unit_post(unit, job);
		}
		drm_dev_exit(entered);
	}
	if (!err)
		return fence;
	job->ended = true;
	trace_facet_job_end(job, err);
	facet_ctx_ended(job->ctx, job, err);
	return ERR_PTR(err);
}

/* One that was killed with its context never ran. */
static void sched_free(struct drm_sched_job *base)
{
	struct facet_job *job = to_facet_job(base);

	if (!job->ended)
		facet_ctx_ended(job->ctx, job, -ESRCH);
	facet_compat_job_over(base);
	facet_job_free(job);
}

const struct drm_sched_backend_ops facet_sched_ops = {
	FACET_SCHED_AFTER(sched_after),
	.run_job = sched_run,
	.free_job = sched_free,
};

/* ---- the driver's own ---- */

static int zero_range(struct facet_device *facet, const struct facet_piece *piece, u64 offset,
		      u64 bytes)
{
	static const struct shell_fill zeros = {0};
	struct facet_extents extents;
	struct dma_fence *finished;
	struct facet_job *job;
	struct shell_operand *o;
	int err = facet_validate(SHELL_OP_FILL, &zeros, sizeof(zeros), bytes, 1, &extents);

	if (err)
		return err;
	job = facet_job_new(facet->self, &extents, &zeros, 0);
	if (!job)
		return -ENOMEM;
	o = operand_at(job, 0);
	o->access = cpu_to_le16(SHELL_ACCESS_WRITE);
	o->length = cpu_to_le64(bytes);
	place_in_bank(o, piece, offset);
	err = facet_job_class(facet->self, SHELL_OP_FILL, BIT_ULL(piece->bank), false);
	if (err >= 0) {
		job->class = err;
		err = facet_job_init(job);
	}
	if (err) {
		facet_job_free(job);
		return err;
	}
	mutex_lock(&facet->self->submit);
	if (facet->self->dead) {
		mutex_unlock(&facet->self->submit);
		facet_job_free(job);
		return -ENODEV;
	}
	finished = facet_job_arm(job, NULL);
	drm_sched_entity_push_job(&job->base);
	mutex_unlock(&facet->self->submit);
	/* It ends: what hangs is reset. */
	dma_fence_wait(finished, false);
	err = finished->error;
	dma_fence_put(finished);
	return err;
}

int facet_job_zero(struct facet_device *facet, const struct facet_piece *piece, bool interruptible)
{
	u64 at, bytes = piece->node.size;
	int err = 0;

	for (at = 0; at < bytes && !err; at += ZERO_BYTES) {
		if (interruptible && signal_pending(current))
			return -ERESTARTSYS;
		err = zero_range(facet, piece, at, min_t(u64, bytes - at, ZERO_BYTES));
	}
	return err;
}
