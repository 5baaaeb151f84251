// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes wrong. A unit that has jobs is looked at every now and then: jobs that were finished without
 * an interrupt are taken, and one that takes too long, makes no progress, or a unit that stopped, leads
 * up a ladder: reset of the unit, of the device, of the bus; then the board is wedged.
 *
 * A board that has reset itself is not enabled any more: nothing but a reset of the device helps, nor does
 * more than that where a unit's own has been in vain a few times.
 *
 * After a reset, who was in work on a unit that hung is guilty and ends; what others had on the ring is
 * innocent and runs again, in the same order. A unit that stopped by itself accuses nobody: its job runs
 * again too, a few times. Where board memory was lost every file of before gets ENODEV.
 */
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "facet_drv.h"
#include "facet_trace.h"

/* ---- who is it? ---- */

/* 0: nothing is wrong. */
static int judge(struct facet_unit *unit)
{
	const struct facet_patience *p = unit->facet->patience;
	u32 status = facet_unit_get(unit, SHELL_U_STATUS);
	u32 progress = facet_unit_get(unit, SHELL_U_PROGRESS);
	bool tells = unit->facet->caps & SHELL_CAP_PROGRESS;
	ktime_t now = ktime_get();
	const struct facet_job *job;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&unit->lock, flags);
	job = list_first_entry_or_null(&unit->running, struct facet_job, link);
	if (progress != unit->progress || !job)
		unit->moved_at = now;
	unit->progress = progress;
	if (status == SHELL_GONE)
		err = -ENODEV;
	else if (unit->broken || status & SHELL_USTATUS_STOPPED)
		err = -EIO;
	else if (job && ktime_ms_delta(now, unit->head_since) > job->ctx->timeout_ms)
		err = -ETIMEDOUT;
	else if (job && tells && ktime_ms_delta(now, unit->moved_at) > p->stall)
		err = -ETIMEDOUT;
	spin_unlock_irqrestore(&unit->lock, flags);
	return err;
}

/* False: it has reset itself. */
static bool is_enabled(const struct facet_device *facet)
{
	return facet_get(facet, SHELL_R_CONTROL) & SHELL_CONTROL_ENABLE;
}

/* ---- after a reset ---- */

/* What becomes of a job that was on the ring, 0: it runs again. */
static int fate(const struct facet_unit *unit, const struct facet_job *job, bool guilty, int error)
{
	if (job->ctx->file && job->generation != unit->facet->generation)
		return -ENODEV;
	if (guilty && error == -ETIMEDOUT)
		return error;
	if (facet_ctx_banned(job->ctx))
		return -ECANCELED;
	return job->runs > FACET_RERUNS ? -EIO : 0;
}

/* The next job that ends, off the list. */
static struct facet_job *take_doomed(struct facet_unit *unit, const struct facet_job *guilty,
				     int error, int *why)
{
	struct facet_job *job, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&unit->lock, flags);
	list_for_each_entry (job, &unit->running, link) {
		*why = fate(unit, job, job == guilty, error);
		if (*why) {
			list_del_init(&job->link);
			found = job;
			break;
		}
	}
	spin_unlock_irqrestore(&unit->lock, flags);
	return found;
}

static void sort_out(struct facet_unit *unit, int error)
{
	struct facet_job *job, *guilty = NULL;
	unsigned long flags;
	int why;

	facet_unit_reap(unit); /* completions are whole or never written */
	spin_lock_irqsave(&unit->lock, flags);
	unit->resets++;
	if (error)
		guilty = list_first_entry_or_null(&unit->running, struct facet_job, link);
	list_for_each_entry (job, &unit->running, link)
		if (job != guilty && job->runs)
			facet_ctx_repeated(job->ctx);
	spin_unlock_irqrestore(&unit->lock, flags);
	/* Only this work takes jobs off a unit that is down: it stays there. */
	if (guilty && guilty->ctx->file)
		facet_ctx_blame(guilty->ctx, error == -ETIMEDOUT);
	while ((job = take_doomed(unit, guilty, error, &why)))
		facet_job_end(job, why);
}

/* ---- the ladder ---- */

static void hold(struct facet_unit *unit)
{
	unsigned long flags;

	spin_lock_irqsave(&unit->lock, flags);
	unit->down = true;
	spin_unlock_irqrestore(&unit->lock, flags);
}

static int reset_unit(struct facet_unit *unit)
{
	if (!(unit->facet->caps & SHELL_CAP_UNIT_RESET))
		return -EOPNOTSUPP;
	facet_unit_set(unit, SHELL_U_CONTROL, SHELL_CONTROL_RESET);
	return facet_poll(unit->facet, unit->at + SHELL_U_CONTROL, SHELL_CONTROL_RESET, 0,
			  unit->facet->patience->reset);
}

static void memory_lost(struct facet_device *facet)
{
	WRITE_ONCE(facet->generation, facet->generation + 1);
	facet_banks_lost(facet);
	facet_event(facet, DRM_FACET_EVENT_MEMORY_LOST);
}

static int reset_bus(struct facet_device *facet)
{
	int err = pci_try_reset_function(facet->pdev);

	if (err)
		return err;
	pci_set_master(facet->pdev);
	return facet_reset_device(facet);
}

void facet_start_device(struct facet_device *facet)
{
	u32 i;

	for (i = 0; i < facet->units; i++)
		facet_unit_start(&facet->unit[i]);
	facet_set(facet, SHELL_R_CONTROL, SHELL_CONTROL_ENABLE);
}

static int reset_all(struct facet_device *facet, const struct facet_unit *accused, int error)
{
	bool lost = !(facet->caps & SHELL_CAP_MEMORY_KEPT);
	int err;
	u32 i;

	for (i = 0; i < facet->units; i++)
		hold(&facet->unit[i]);
	err = facet_reset_device(facet);
	trace_facet_reset(facet, -1, error, err);
	if (err && err != -ENODEV) {
		err = reset_bus(facet);
		trace_facet_reset(facet, -1, error, err);
		lost = true;
	}
	if (err)
		return err;
	atomic_inc(&facet->device_resets);
	if (lost)
		memory_lost(facet);
	for (i = 0; i < facet->units; i++)
		sort_out(&facet->unit[i], &facet->unit[i] == accused ? error : 0);
	facet_start_device(facet);
	return 0;
}

static void wedge(struct facet_device *facet)
{
	u32 i;

	drm_err(&facet->drm,
		"no reset helps: reload the driver or power the machine down and up\n");
	WRITE_ONCE(facet->state, DRM_FACET_HEALTH_WEDGED);
	for (i = 0; i < facet->units; i++) {
		hold(&facet->unit[i]);
		facet_unit_flush(&facet->unit[i], -EIO);
	}
	/* It may still use the bus: what it was given is not free before this. */
	pci_clear_master(facet->pdev);
	facet_event(facet, DRM_FACET_EVENT_WEDGED);
}

/* What a reset is for. -ECANCELED: somebody asked for it. */
static const char *reason(int error)
{
	return error == -ETIMEDOUT ? "a job takes too long"
	       : error == -EIO	   ? "it stopped"
				   : "a reset was asked for";
}

static bool vain(struct facet_unit *unit)
{
	unsigned long flags;
	bool is;

	spin_lock_irqsave(&unit->lock, flags);
	is = unit->in_vain++ >= FACET_IN_VAIN;
	if (is)
		unit->in_vain = 0;
	spin_unlock_irqrestore(&unit->lock, flags);
	return is;
}

/* @whole: the device at once. -ENODEV: it is gone. */
static int recover(struct facet_unit *unit, int error, bool whole)
{
	struct facet_device *facet = unit->facet;
	int fault = error == -ECANCELED ? 0 : error, err;

	drm_err(&facet->drm, "unit %s: %s; status %#x, stop %u\n", unit->name, reason(error),
		facet_unit_get(unit, SHELL_U_STATUS), facet_unit_get(unit, SHELL_U_STOP));
	facet_dump(facet, unit, error);
	hold(unit);
	whole |= vain(unit);
	err = whole ? -EOPNOTSUPP : reset_unit(unit);
	if (!whole)
		trace_facet_reset(facet, unit->index, error, err);
	if (!err) {
		atomic_inc(&facet->unit_resets);
		sort_out(unit, fault);
		facet_unit_start(unit);
	} else if (err != -ENODEV) {
		err = reset_all(facet, unit, fault);
	}
	if (err == -ENODEV)
		return err;
	if (err)
		wedge(facet);
	else
		facet_event(facet, DRM_FACET_EVENT_RESET);
	return 0;
}

/* ---- watching ---- */

static int look(struct facet_unit *unit)
{
	struct facet_device *facet = unit->facet;
	int err;

	if (READ_ONCE(facet->state) == DRM_FACET_HEALTH_WEDGED) {
		facet_unit_flush(unit, -EIO);
		return 0;
	}
	atomic64_add(facet_unit_reap(unit), &facet->lost);
	if (test_and_clear_bit(unit->index, &facet->force))
		return recover(unit, -ECANCELED, false);
	if (!unit->index && test_and_clear_bit(FACET_FORCE_DEVICE, &facet->force))
		return recover(unit, -ECANCELED, true);
	err = judge(unit);
	if (!err && !is_enabled(facet))
		err = -EIO;
	if (err && err != -ENODEV)
		err = recover(unit, err, !is_enabled(facet));
	return err;
}

void facet_watch(struct work_struct *work)
{
	struct facet_unit *unit = container_of(work, struct facet_unit, watch.work);
	struct facet_device *facet = unit->facet;
	int entered, err;

	if (!drm_dev_enter(&facet->drm, &entered))
		return;
	err = look(unit);
	if (!err && !list_empty_careful(&unit->running))
		queue_delayed_work(facet->wq, &unit->watch,
				   msecs_to_jiffies(facet->patience->look));
	drm_dev_exit(entered);
	if (err == -ENODEV)
		facet_lose(facet);
}

void facet_lose(struct facet_device *facet)
{
	u32 i;

	if (test_and_set_bit(0, &facet->unplugged))
		return;
	WRITE_ONCE(facet->state, DRM_FACET_HEALTH_GONE);
	drm_dev_unplug(&facet->drm);
	for (i = 0; i < facet->units; i++)
		facet_unit_flush(&facet->unit[i], -ENODEV);
	facet_event(facet, DRM_FACET_EVENT_GONE);
}

/* ---- what the board says by itself ---- */

static void report_error(struct facet_device *facet)
{
	drm_err_ratelimited(
		&facet->drm, "board error %u, unit %d, info %u, address %#llx, job %llu\n",
		facet_get(facet, SHELL_R_ERR_CAUSE), (int)facet_get(facet, SHELL_R_ERR_UNIT),
		facet_get(facet, SHELL_R_ERR_INFO), facet_get64(facet, SHELL_R_ERR_ADDR_LO),
		facet_get64(facet, SHELL_R_ERR_JOB_LO));
	facet_set(facet, SHELL_R_ERR_ACK, 1);
	facet_event(facet, DRM_FACET_EVENT_ERROR);
}

static void report_sensor(struct facet_device *facet)
{
	u32 status = facet_get(facet, SHELL_R_STATUS);
	bool hot = status & (SHELL_STATUS_HOT | SHELL_STATUS_STOPPED);
	u32 from = hot ? DRM_FACET_HEALTH_OK : DRM_FACET_HEALTH_HOT;

	cmpxchg(&facet->state, from, hot ? DRM_FACET_HEALTH_HOT : DRM_FACET_HEALTH_OK);
	facet_event(facet, DRM_FACET_EVENT_SENSOR);
}

void facet_causes(struct work_struct *work)
{
	struct facet_device *facet = container_of(work, struct facet_device, causes);
	u32 causes = atomic_xchg(&facet->cause_bits, 0), i;
	int entered;

	if (!drm_dev_enter(&facet->drm, &entered))
		return;
	if (causes & SHELL_INT_ERROR)
		report_error(facet);
	if (causes & SHELL_INT_SENSOR)
		report_sensor(facet);
	if (causes & SHELL_INT_LINK)
		drm_warn(&facet->drm, "the link is now %#x\n", facet_get(facet, SHELL_R_LINK));
	for (i = 0; causes & SHELL_INT_UNIT && i < facet->units; i++)
		facet_unit_suspect(&facet->unit[i]);
	drm_dev_exit(entered);
}
