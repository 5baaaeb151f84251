// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts say "look", never how much there is. More than a board can have reasons for are not
 * taken: the vector is switched off and polled for a while, so that a storm costs a thousandth of a
 * processor and no job.
 *
 * The end of a job is seen in memory. Causes are read from the board: vector 0 has a thread, so that no
 * interrupt waits for the bus.
 */
#include <linux/interrupt.h>
#include <linux/moduleparam.h>
#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "facet_drv.h"

#define WINDOW_MS 100
#define POLL_MS	  1
#define CALM_MS	  1000 /* polled for so long, then tried again */

static uint storm_limit = 20000;
module_param(storm_limit, uint, 0644);
MODULE_PARM_DESC(storm_limit,
		 "Interrupts of one vector in 100 ms above which it is polled instead");

/* What vector @index may be about. True: there was something. */
static bool look(struct facet_device *facet, u32 index)
{
	bool found = false;
	u32 i, cause;

	for (i = 0; i < facet->units; i++)
		if (facet->unit[i].vector == index && facet_unit_reap(&facet->unit[i]))
			found = true;
	if (index)
		return found;
	cause = facet_get(facet, SHELL_R_INT_CAUSE);
	if (cause == SHELL_GONE || !(cause & SHELL_INT_KNOWN))
		return found;
	facet_set(facet, SHELL_R_INT_CAUSE, cause);
	atomic_or(cause, &facet->cause_bits);
	queue_work(facet->wq, &facet->causes);
	return true;
}

/* Too many in this window? */
static bool storms(struct facet_vector *vector)
{
	unsigned long flags;
	bool storm;

	spin_lock_irqsave(&vector->lock, flags);
	if (time_after(jiffies, vector->window_end)) {
		vector->window_end = jiffies + msecs_to_jiffies(WINDOW_MS);
		vector->in_window = 0;
	}
	storm = ++vector->in_window > READ_ONCE(storm_limit) && !vector->polled;
	if (storm)
		vector->polled = true;
	spin_unlock_irqrestore(&vector->lock, flags);
	return storm;
}

static irqreturn_t handle(int irq, void *data)
{
	struct facet_vector *vector = data;
	struct facet_device *facet = vector->facet;
	int entered;

	if (!drm_dev_enter(&facet->drm, &entered))
		return IRQ_HANDLED;
	if (facet_inject(&facet->inject_interrupts))
		goto out;
	atomic64_inc(&facet->interrupts);
	if (!look(facet, vector->index))
		atomic64_inc(&facet->spurious);
	if (storms(vector)) {
		disable_irq_nosync(irq);
		atomic64_inc(&facet->storms);
		vector->poll_end = jiffies + msecs_to_jiffies(CALM_MS);
		schedule_delayed_work(&vector->poll, msecs_to_jiffies(POLL_MS));
	}
out:
	drm_dev_exit(entered);
	return IRQ_HANDLED;
}

static void poll(struct work_struct *work)
{
	struct facet_vector *vector = container_of(work, struct facet_vector, poll.work);
	struct facet_device *facet = vector->facet;
	bool calm = time_after(jiffies, vector->poll_end);
	int entered;

	if (!drm_dev_enter(&facet->drm, &entered))
		return;
	if (calm) {
		spin_lock_irq(&vector->lock);
		vector->polled = false;
		vector->in_window = 0;
		spin_unlock_irq(&vector->lock);
		enable_irq(vector->irq);
	}
	look(facet, vector->index); /* after it was switched on: nothing falls between */
	if (!calm)
		schedule_delayed_work(&vector->poll, msecs_to_jiffies(POLL_MS));
	drm_dev_exit(entered);
}

static int vector_init(struct facet_device *facet, u32 index)
{
	struct facet_vector *vector = &facet->vector[index];
	int irq = pci_irq_vector(facet->pdev, index), err;

	if (irq < 0)
		return irq;
	vector->facet = facet;
	vector->index = index;
	spin_lock_init(&vector->lock);
	INIT_DELAYED_WORK(&vector->poll, poll);
	err = index ? request_irq(irq, handle, 0, "facet", vector)
		    : request_threaded_irq(irq, NULL, handle, IRQF_ONESHOT, "facet", vector);
	if (!err)
		vector->irq = irq;
	return err;
}

int facet_irqs_init(struct facet_device *facet)
{
	u32 want = min(facet->vectors, 1 + facet->units), i;
	int got = pci_alloc_irq_vectors(facet->pdev, 1, want, PCI_IRQ_MSIX), err = 0;

	if (got < 0)
		return got;
	facet->vectors = got;
	for (i = 0; i < facet->units; i++)
		facet->unit[i].vector = (1 + i) % facet->vectors;
	for (i = 0; i < facet->vectors && !err; i++)
		err = vector_init(facet, i);
	return err;
}

/* After the unplug: handlers do nothing any more, but one may be polled. */
void facet_irqs_fini(struct facet_device *facet)
{
	u32 i;

	for (i = 0; i < facet->vectors; i++) {
		struct facet_vector *vector = &facet->vector[i];

		if (!vector->irq)
			continue;
		cancel_delayed_work_sync(&vector->poll);
		free_irq(vector->irq, vector);
		cancel_delayed_work_sync(&vector->poll); /* one that ran meanwhile */
		vector->irq = 0;
	}
	pci_free_irq_vectors(facet->pdev);
}
