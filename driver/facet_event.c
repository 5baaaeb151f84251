// SPDX-License-Identifier: GPL-2.0-only
/* Events: counted for all, and told to files that asked by an eventfd. */
#include <linux/eventfd.h>

#include "facet_drv.h"

void facet_event(struct facet_device *facet, u32 event)
{
	struct facet_file *file;
	unsigned long flags;

	atomic64_inc(&facet->events[ilog2(event)]);
	spin_lock_irqsave(&facet->files_lock, flags);
	list_for_each_entry (file, &facet->files, link)
		if (file->event && file->event_mask & event)
			facet_compat_eventfd_signal(file->event);
	spin_unlock_irqrestore(&facet->files_lock, flags);
}

static void replace(struct facet_file *file, struct eventfd_ctx *event, u32 mask)
{
	struct eventfd_ctx *old;

	spin_lock_irq(&file->facet->files_lock);
	old = file->event;
	file->event = event;
	file->event_mask = mask;
	spin_unlock_irq(&file->facet->files_lock);
	if (old)
		eventfd_ctx_put(old);
}

void facet_event_close(struct facet_file *file)
{
	replace(file, NULL, 0);
}

int facet_event_fd_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	const struct drm_facet_event_fd *args = data;
	struct eventfd_ctx *event = NULL;
	bool takes = args->fd >= 0;

	if (args->mask & ~DRM_FACET_EVENTS || args->fd < -1 || takes != !!args->mask)
		return -EINVAL;
	if (takes) {
		event = eventfd_ctx_fdget(args->fd);
		if (IS_ERR(event))
			return PTR_ERR(event);
	}
	replace(drm_file->driver_priv, event, args->mask);
	return 0;
}
