/* SPDX-License-Identifier: GPL-2.0-only */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

void *probe(struct drm_driver *driver);
void *probe(struct drm_driver *driver)
{
	driver->show_fdinfo = NULL;
	return drm_show_fdinfo;
}
