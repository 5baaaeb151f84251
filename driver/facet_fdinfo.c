// SPDX-License-Identifier: GPL-2.0-only
/* What an open file has used, as /proc/PID/fdinfo says it: the kernel's drm-usage-stats.rst. */
#include <drm/drm_print.h>

#include "facet_drv.h"

void facet_fdinfo(struct drm_printer *p, struct drm_file *drm_file)
{
	const struct facet_file *file = drm_file->driver_priv;

	drm_printf(p, "drm-engine-compute:\t%lld ns\n", atomic64_read(&file->compute_ns));
	drm_printf(p, "drm-engine-dma:\t%lld ns\n", atomic64_read(&file->dma_ns));
	drm_printf(p, "drm-total-bank:\t%lld KiB\n", atomic64_read(&file->bank_bytes) >> 10);
	drm_printf(p, "drm-total-host:\t%lld KiB\n", atomic64_read(&file->host_bytes) >> 10);
}

#ifndef FACET_HAVE_SHOW_FDINFO
/* What newer kernels print for every driver. */
void facet_show_fdinfo(struct seq_file *m, struct file *node)
{
	struct drm_file *drm_file = node->private_data;
	const struct facet_file *file = drm_file->driver_priv;
	struct drm_printer p = drm_seq_file_printer(m);

	drm_printf(&p, "drm-driver:\tfacet\ndrm-client-id:\t%llu\ndrm-pdev:\t%s\n", file->id,
		   pci_name(file->facet->pdev));
	facet_fdinfo(&p, drm_file);
}
#endif
