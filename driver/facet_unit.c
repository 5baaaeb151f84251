// SPDX-License-Identifier: GPL-2.0-only
/* Units: their rings, and jobs that go in and come out (docs/shell.md, "Rings"). */
#include <linux/dma-mapping.h>
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "facet_drv.h"
#include "facet_trace.h"

static u32 entries(const struct facet_device *facet)
{
	return 1u << min(facet->ring_log2, FACET_RING_LOG2);
}

static size_t unit_bytes(const struct facet_device *facet)
{
	return entries(facet) * (sizeof(struct shell_entry) + sizeof(struct shell_completion) +
				 (1u << facet->job_log2));
}

/* ---- rings ---- */

static void set64(const struct facet_unit *unit, u32 reg, u64 value)
{
	facet_unit_set(unit, reg, lower_32_bits(value));
	facet_unit_set(unit, reg + 4, upper_32_bits(value));
}

/* With the lock held. */
static void post(struct facet_unit *unit, struct facet_job *job)
{
	u32 slot = unit->tail & (entries(unit->facet) - 1);
	size_t block = (size_t)slot << unit->facet->job_log2;
	struct shell_entry *entry = &unit->ring[slot];

	job->sequence = ++unit->sequence;
	job->runs++;
	memcpy(unit->blocks + block, job->block, le32_to_cpu(job->entry.job_bytes));
	*entry = job->entry;
	entry->sequence = cpu_to_le64(job->sequence);
	entry->job = cpu_to_le64(unit->memory_at + (unit->blocks - (u8 *)unit->memory) + block);
	if (unit->head == unit->tail++) {
		unit->head_since = ktime_get();
		unit->moved_at = unit->head_since;
	}
	trace_facet_job_begin(unit, job);
	dma_wmb(); /* all of it before the doorbell */
	if (!facet_inject(&unit->facet->inject_doorbells))
		facet_unit_set(unit, SHELL_U_TAIL, unit->tail);
}

void facet_unit_post(struct facet_unit *unit, struct facet_job *job)
{
	unsigned long flags;

	spin_lock_irqsave(&unit->lock, flags);
	job->unit = unit;
	list_add_tail(&job->link, &unit->running);
	if (!unit->down)
		post(unit, job);
	spin_unlock_irqrestore(&unit->lock, flags);
	queue_delayed_work(unit->facet->wq, &unit->watch,
			   msecs_to_jiffies(unit->facet->patience->look));
}

void facet_unit_suspect(struct facet_unit *unit)
{
	mod_delayed_work(unit->facet->wq, &unit->watch, 0);
}

u32 facet_unit_queued(struct facet_unit *unit)
{
	unsigned long flags;
	u32 queued;

	spin_lock_irqsave(&unit->lock, flags);
	queued = unit->tail - unit->head;
	spin_unlock_irqrestore(&unit->lock, flags);
	return queued;
}

void facet_unit_start(struct facet_unit *unit)
{
	struct facet_device *facet = unit->facet;
	size_t ring = entries(facet) * sizeof(struct shell_entry);
	struct facet_job *job;
	unsigned long flags;

	spin_lock_irqsave(&unit->lock, flags);
	memset(unit->memory, 0, 2 * ring); /* sequence 0 is no job's */
	unit->tail = 0;
	unit->head = 0;
	unit->broken = false;
	set64(unit, SHELL_U_RING_LO, unit->memory_at);
	set64(unit, SHELL_U_DONE_LO, unit->memory_at + ring);
	facet_unit_set(unit, SHELL_U_RING_LOG2, ilog2(entries(facet)));
	facet_unit_set(unit, SHELL_U_VECTOR, unit->vector);
	facet_unit_set(unit, SHELL_U_MODERATION, 0);
	facet_unit_set(unit, SHELL_U_CONTROL, SHELL_CONTROL_ENABLE);
	unit->down = false;
	list_for_each_entry (job, &unit->running, link)
		post(unit, job);
	spin_unlock_irqrestore(&unit->lock, flags);
}

/* ---- coming out ---- */

static void account(struct facet_unit *unit, const struct facet_job *job)
{
	u64 ticks = le64_to_cpu(job->completion.end) - le64_to_cpu(job->completion.begin);

	unit->jobs++;
	if (le32_to_cpu(job->completion.status) == SHELL_OK)
		unit->in_vain = 0;
	unit->busy_ns += mul_u64_u32_div(ticks, NSEC_PER_SEC, unit->facet->time_hz);
	unit->head_since = ktime_get();
	unit->moved_at = unit->head_since;
}

/* The next job in turn, if the board is done with it. With the lock held. */
static struct facet_job *reap_one(struct facet_unit *unit)
{
	struct facet_job *job = list_first_entry_or_null(&unit->running, struct facet_job, link);
	struct shell_completion *done = &unit->done[unit->head & (entries(unit->facet) - 1)];
	u64 sequence;

	if (!job || unit->broken || unit->head == unit->tail)
		return NULL;
	sequence = le64_to_cpu(READ_ONCE(done->sequence));
	if (sequence != job->sequence) {
		/* An old one is stale, any other makes the board one that cannot be trusted. */
		if (sequence > job->sequence) {
			unit->broken = true;
			facet_unit_suspect(unit);
		}
		return NULL;
	}
	dma_rmb(); /* the sequence before the rest, and before what the job wrote */
	job->completion = *done;
	trace_facet_job_done(unit, job);
	list_del_init(&job->link);
	unit->head++;
	account(unit, job);
	return job;
}

u32 facet_unit_reap(struct facet_unit *unit)
{
	struct facet_job *job;
	unsigned long flags;
	u32 count = 0;

	for (;;) {
		spin_lock_irqsave(&unit->lock, flags);
		job = reap_one(unit);
		spin_unlock_irqrestore(&unit->lock, flags);
		if (!job)
			return count;
		facet_job_end(job, facet_job_error(job));
		count++;
	}
}

void facet_unit_flush(struct facet_unit *unit, int error)
{
	struct facet_job *job;
	unsigned long flags;

	for (;;) {
		spin_lock_irqsave(&unit->lock, flags);
		job = list_first_entry_or_null(&unit->running, struct facet_job, link);
		if (job)
			list_del_init(&job->link);
		spin_unlock_irqrestore(&unit->lock, flags);
		if (!job)
			return;
		facet_job_end(job, error);
	}
}

/* ---- making ---- */

static void sched_release(struct drm_device *drm, void *data)
{
	struct facet_unit *unit = data;

	drm_sched_fini(&unit->sched);
}

static int unit_init(struct facet_unit *unit)
{
	struct facet_device *facet = unit->facet;
	struct drm_sched_init_args args = {
		.ops = &facet_sched_ops,
		.credit_limit = min(FACET_RING_JOBS, entries(facet)),
		/* Its timer knows nothing of progress and of lost interrupts: facet_reset.c watches. */
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = unit->name,
		.dev = &facet->pdev->dev,
	};
	int err;

	spin_lock_init(&unit->lock);
	INIT_LIST_HEAD(&unit->running);
	INIT_DELAYED_WORK(&unit->watch, facet_watch);
	unit->down = true;
	unit->memory = dma_alloc_coherent(&facet->pdev->dev, unit_bytes(facet), &unit->memory_at,
					  GFP_KERNEL);
	if (!unit->memory)
		return -ENOMEM;
	unit->ring = unit->memory;
	unit->done = (void *)(unit->ring + entries(facet));
	unit->blocks = (void *)(unit->done + entries(facet));
	facet_compat_sched_args(&args);
	err = drm_sched_init(&unit->sched, &args);
	if (err)
		return err;
	/* Queues of open files point at it, so it goes with the last of them. */
	return drmm_add_action_or_reset(&facet->drm, sched_release, unit);
}

int facet_units_init(struct facet_device *facet)
{
	int err = 0;
	u32 i;

	for (i = 0; i < facet->units && !err; i++)
		err = unit_init(&facet->unit[i]);
	return err;
}

void facet_units_fini(struct facet_device *facet)
{
	u32 i;

	for (i = 0; i < facet->units; i++) {
		struct facet_unit *unit = &facet->unit[i];

		if (unit->memory)
			dma_free_coherent(&facet->pdev->dev, unit_bytes(facet), unit->memory,
					  unit->memory_at);
		unit->memory = NULL;
	}
}
