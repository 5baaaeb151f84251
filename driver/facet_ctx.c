// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: queues of one owner, and what became of the jobs that went through them. */
#include <linux/capability.h>

#include "facet_drv.h"

/* ---- making ---- */

static enum drm_sched_priority sched_priority(u32 priority)
{
	switch (priority) {
	case DRM_FACET_PRIORITY_HIGH:
		return DRM_SCHED_PRIORITY_HIGH;
	case DRM_FACET_PRIORITY_LOW:
		return FACET_SCHED_LOW;
	default:
		return DRM_SCHED_PRIORITY_NORMAL;
	}
}

/* One queue for each class of units of which the context may use some. */
static int entities(struct facet_ctx *ctx, u64 units, u32 priority)
{
	struct facet_device *facet = ctx->facet;
	u32 c, u, used = 0;
	int err = 0;

	for (c = 0; c < facet->classes && !err; c++) {
		u32 first = used;

		for (u = 0; u < facet->units; u++)
			if (facet->class[c].units & units & BIT_ULL(u))
				ctx->scheds[used++] = &facet->unit[u].sched;
		if (used == first)
			continue;
		err = drm_sched_entity_init(&ctx->entity[c], sched_priority(priority),
					    ctx->scheds + first, used - first, NULL);
		if (!err)
			ctx->classes |= BIT_ULL(c);
	}
	return err;
}

static void release_work(struct work_struct *work)
{
	struct facet_ctx *ctx = container_of(work, struct facet_ctx, release);
	struct drm_device *drm = ctx->file ? &ctx->facet->drm : NULL;

	if (ctx->file)
		facet_file_put(ctx->file);
	mutex_destroy(&ctx->submit);
	kvfree(ctx);
	drm_dev_put(drm); /* the driver's own goes with the device, and does not hold it */
}

/* The last reference may be a job's, let go by a scheduler; the device must not end there. */
static void release(struct kref *ref)
{
	struct facet_ctx *ctx = container_of(ref, struct facet_ctx, ref);

	queue_work(facet_put_wq, &ctx->release);
}

struct facet_ctx *facet_ctx_new(struct facet_device *facet, struct facet_file *file, u64 units,
				u32 priority, u32 timeout_ms)
{
	struct facet_ctx *ctx = kvzalloc(sizeof(*ctx), GFP_KERNEL);
	int err;

	if (!ctx)
		return ERR_PTR(-ENOMEM);
	kref_init(&ctx->ref);
	INIT_WORK(&ctx->release, release_work);
	mutex_init(&ctx->submit);
	spin_lock_init(&ctx->lock);
	ctx->facet = facet;
	ctx->timeout_ms = timeout_ms ? timeout_ms : facet->patience->job;
	ctx->next = 1;
	if (file) {
		drm_dev_get(&facet->drm);
		kref_get(&file->ref);
		ctx->file = file;
	}
	err = entities(ctx, units ? units : GENMASK_ULL(facet->units - 1, 0), priority);
	if (!err)
		return ctx;
	facet_ctx_kill(ctx);
	facet_ctx_put(ctx);
	return ERR_PTR(err);
}

struct facet_ctx *facet_ctx_get(struct facet_file *file, u32 handle)
{
	struct facet_ctx *ctx;

	xa_lock(&file->contexts);
	ctx = xa_load(&file->contexts, handle);
	if (ctx)
		kref_get(&ctx->ref);
	xa_unlock(&file->contexts);
	return ctx;
}

void facet_ctx_put(struct facet_ctx *ctx)
{
	kref_put(&ctx->ref, release);
}

void facet_ctx_kill(struct facet_ctx *ctx)
{
	u32 c;

	mutex_lock(&ctx->submit);
	ctx->dead = true;
	mutex_unlock(&ctx->submit);
	for (c = 0; c < ctx->facet->classes; c++)
		if (ctx->classes >> c & 1)
			drm_sched_entity_fini(&ctx->entity[c]);
	ctx->classes = 0;
}

void facet_ctxs_free(struct facet_file *file)
{
	struct facet_ctx *ctx;
	unsigned long handle;

	xa_for_each (&file->contexts, handle, ctx) {
		facet_ctx_kill(ctx);
		facet_ctx_put(ctx);
	}
	xa_destroy(&file->contexts);
}

/* ---- records of jobs ---- */

static struct drm_facet_job_state *record(struct facet_ctx *ctx, u64 number)
{
	return &ctx->kept[number % FACET_JOBS_KEPT];
}

int facet_ctx_room(struct facet_ctx *ctx, u32 jobs)
{
	unsigned long flags;
	int err = 0;
	u32 i;

	lockdep_assert_held(&ctx->submit);
	if (ctx->dead)
		return -ENOENT;
	spin_lock_irqsave(&ctx->lock, flags);
	if (ctx->banned)
		err = -ECANCELED;
	for (i = 0; i < jobs && !err; i++)
		if (record(ctx, ctx->next + i)->state == DRM_FACET_JOB_PENDING)
			err = -EBUSY;
	spin_unlock_irqrestore(&ctx->lock, flags);
	return err;
}

void facet_ctx_admit(struct facet_ctx *ctx, struct facet_job *job)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->lock, flags);
	job->number = ctx->next++;
	*record(ctx, job->number) = (struct drm_facet_job_state){
		.sequence = job->number,
		.tag = job->tag,
		.state = DRM_FACET_JOB_PENDING,
		.operand = SHELL_INDEX_NONE,
	};
	ctx->stats.submitted++;
	spin_unlock_irqrestore(&ctx->lock, flags);
}

void facet_ctx_began(struct facet_ctx *ctx, const struct facet_job *job, u64 queue_ns)
{
	unsigned long flags;

	if (!job->number)
		return;
	spin_lock_irqsave(&ctx->lock, flags);
	record(ctx, job->number)->queue_ns = queue_ns;
	ctx->stats.queue_ns += queue_ns;
	spin_unlock_irqrestore(&ctx->lock, flags);
}

static void count(struct drm_facet_ctx_stats *stats, int error)
{
	switch (error) {
	case 0:
		stats->completed++;
		break;
	case -ETIMEDOUT:
		stats->timed_out++;
		break;
	case -EIO:
		stats->faulted++;
		break;
	case -ECANCELED:
	case -ESRCH:
		stats->cancelled++;
		break;
	case -ENODEV:
		stats->lost++;
		break;
	default:
		stats->refused++;
	}
}

static u64 board_ns(const struct facet_job *job)
{
	u64 begin = le64_to_cpu(job->completion.begin), end = le64_to_cpu(job->completion.end);

	return end > begin ? mul_u64_u32_div(end - begin, NSEC_PER_SEC, job->ctx->facet->time_hz)
			   : 0;
}

/* Board's figures are in it only where the board gave some. */
static void fill(struct drm_facet_job_state *state, const struct facet_job *job, int error)
{
	state->state = DRM_FACET_JOB_DONE;
	state->error = error;
	state->unit = job->unit ? job->unit->index : 0xffff;
	if (!job->completion.sequence)
		return;
	state->status = le32_to_cpu(job->completion.status);
	state->operand = le16_to_cpu(job->completion.index);
	state->value = le64_to_cpu(job->completion.value);
	state->device_ns = board_ns(job);
}

static void note_error(struct facet_ctx *ctx, const struct drm_facet_job_state *state)
{
	ctx->state.error = state->error;
	ctx->state.status = state->status;
	ctx->state.unit = state->unit;
	ctx->state.sequence = state->sequence;
	ctx->state.tag = state->tag;
	if (state->error == -EIO)
		ctx->state.flags |= DRM_FACET_CTX_FAULT;
	if (state->error == -ENODEV)
		ctx->state.flags |= DRM_FACET_CTX_LOST;
}

static void charge(struct facet_file *file, const struct facet_job *job, u64 ns)
{
	if (!file || !job->unit)
		return;
	atomic64_add(ns, job->unit->kind == SHELL_UNIT_DMA ? &file->dma_ns : &file->compute_ns);
}

void facet_ctx_ended(struct facet_ctx *ctx, const struct facet_job *job, int error)
{
	struct drm_facet_job_state *state;
	unsigned long flags;

	if (!job->number)
		return;
	spin_lock_irqsave(&ctx->lock, flags);
	state = record(ctx, job->number);
	fill(state, job, error);
	if (error)
		note_error(ctx, state);
	count(&ctx->stats, error);
	ctx->stats.device_ns += state->device_ns;
	charge(ctx->file, job, state->device_ns);
	spin_unlock_irqrestore(&ctx->lock, flags);
}

void facet_ctx_repeated(struct facet_ctx *ctx)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->lock, flags);
	ctx->stats.repeated++;
	ctx->state.innocent++;
	ctx->state.flags |= DRM_FACET_CTX_INNOCENT;
	spin_unlock_irqrestore(&ctx->lock, flags);
}

void facet_ctx_blame(struct facet_ctx *ctx, bool ban)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->lock, flags);
	ctx->state.resets++;
	if (ban) {
		ctx->banned = true;
		ctx->state.flags |= DRM_FACET_CTX_TIMED_OUT | DRM_FACET_CTX_BANNED;
	}
	spin_unlock_irqrestore(&ctx->lock, flags);
}

bool facet_ctx_banned(struct facet_ctx *ctx)
{
	return READ_ONCE(ctx->banned);
}

/* ---- calls ---- */

static int ctx_check(const struct facet_device *facet, const struct drm_facet_ctx_create *args)
{
	if (args->flags || args->ctx || args->priority > DRM_FACET_PRIORITY_HIGH ||
	    args->units & ~GENMASK_ULL(facet->units - 1, 0) ||
	    args->timeout_ms > facet->patience->job_max)
		return -EINVAL;
	if (args->priority == DRM_FACET_PRIORITY_HIGH && !capable(CAP_SYS_NICE))
		return -EACCES;
	return 0;
}

int facet_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct facet_device *facet = to_facet(drm);
	struct facet_file *file = drm_file->driver_priv;
	struct drm_facet_ctx_create *args = data;
	struct facet_ctx *ctx;
	int err = facet_file_check(file);

	if (!err)
		err = ctx_check(facet, args);
	if (err)
		return err;
	if (atomic_inc_return(&file->context_count) > FACET_CONTEXTS) {
		err = -EBUSY;
		goto uncount;
	}
	ctx = facet_ctx_new(facet, file, args->units, args->priority, args->timeout_ms);
	if (IS_ERR(ctx)) {
		err = PTR_ERR(ctx);
		goto uncount;
	}
	err = xa_alloc(&file->contexts, &args->ctx, ctx, xa_limit_31b, GFP_KERNEL);
	if (!err)
		return 0;
	facet_ctx_kill(ctx);
	facet_ctx_put(ctx);
uncount:
	atomic_dec(&file->context_count);
	return err;
}

int facet_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct facet_file *file = drm_file->driver_priv;
	const struct drm_facet_ctx_destroy *args = data;
	struct facet_ctx *ctx;

	if (args->pad)
		return -EINVAL;
	ctx = xa_erase(&file->contexts, args->ctx);
	if (!ctx)
		return -ENOENT;
	facet_ctx_kill(ctx);
	facet_ctx_put(ctx);
	atomic_dec(&file->context_count);
	return 0;
}

int facet_ctx_get_state_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct facet_file *file = drm_file->driver_priv;
	struct drm_facet_ctx_get_state *args = data;
	struct facet_ctx *ctx = facet_ctx_get(file, args->ctx);
	u32 handle = args->ctx;

	if (!ctx)
		return -ENOENT;
	spin_lock_irq(&ctx->lock);
	*args = ctx->state;
	spin_unlock_irq(&ctx->lock);
	args->ctx = handle;
	if (facet_file_check(file) == -ENODEV)
		args->flags |= DRM_FACET_CTX_LOST;
	facet_ctx_put(ctx);
	return 0;
}

int facet_ctx_get_stats_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_facet_ctx_get_stats *args = data;
	struct facet_ctx *ctx = facet_ctx_get(drm_file->driver_priv, args->ctx);
	struct drm_facet_ctx_stats stats;

	if (!ctx)
		return -ENOENT;
	spin_lock_irq(&ctx->lock);
	stats = ctx->stats;
	spin_unlock_irq(&ctx->lock);
	facet_ctx_put(ctx);
	return facet_copy_out(args->pointer, &args->size, &stats, sizeof(stats));
}

static void look_up(struct facet_ctx *ctx, u64 number, struct drm_facet_job_state *state)
{
	spin_lock_irq(&ctx->lock);
	*state = *record(ctx, number);
	spin_unlock_irq(&ctx->lock);
	if (!number || state->sequence != number)
		*state = (struct drm_facet_job_state){.sequence = number,
						      .state = DRM_FACET_JOB_UNKNOWN};
}

int facet_ctx_get_jobs_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	const struct drm_facet_ctx_get_jobs *args = data;
	const struct drm_facet_array *out = &args->jobs;
	struct drm_facet_job_state state;
	struct facet_ctx *ctx;
	u32 i, size = sizeof(state);
	int err = 0;

	if (args->pad || out->count > FACET_JOBS_KEPT || (out->count && !out->stride) ||
	    out->stride % 8)
		return -EINVAL;
	ctx = facet_ctx_get(drm_file->driver_priv, args->ctx);
	if (!ctx)
		return -ENOENT;
	for (i = 0; i < out->count && !err; i++) {
		size = out->stride;
		look_up(ctx, args->first + i, &state);
		err = facet_copy_out(out->pointer + (u64)i * out->stride, &size, &state,
				     sizeof(state));
	}
	facet_ctx_put(ctx);
	return err;
}
