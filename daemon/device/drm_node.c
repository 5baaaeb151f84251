/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the driver's nodes. They are known by the driver's name, not by number: an accel node
 * where the kernel has that class, a render node elsewhere.
 */
#include "daemon/device/drm.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

static bool ours(int fd)
{
	drmVersion *version = drmGetVersion(fd);
	bool is = version && !strcmp(version->name, "facet") && version->version_major == 1;

	drmFreeVersion(version);
	return is;
}

int drm_query(int fd, uint32_t type, uint32_t index, void *data, uint32_t size)
{
	struct drm_facet_dev_query query = {
		.type = type, .index = index, .size = size, .pointer = (uint64_t)(uintptr_t)data};

	memset(data, 0, size);
	return drmIoctl(fd, DRM_IOCTL_FACET_DEV_QUERY, &query) ? -errno : 0;
}

static bool selected(int fd, const char *path, const char *select)
{
	struct drm_facet_device device;
	char name[sizeof(device.board_name) + 1] = "", serial[20];

	if (!select || !strcmp(select, path))
		return true;
	if (drm_query(fd, DRM_FACET_QUERY_DEVICE, 0, &device, sizeof(device)))
		return false;
	memcpy(name, device.board_name, sizeof(device.board_name));
	snprintf(serial, sizeof(serial), "%016" PRIx64, (uint64_t)device.serial);
	return !strcmp(select, serial) || strstr(name, select);
}

static int try(const char *path, const char *select, int *fd)
{
	int node = open(path, O_RDWR | O_CLOEXEC);

	if (node < 0)
		return -errno;
	if (ours(node) && selected(node, path, select)) {
		*fd = node;
		return 0;
	}
	close(node);
	return -ENODEV;
}

/* A node that may not be opened matters more than one that is not ours. */
int drm_node_open(const char *select, int *fd)
{
	glob_t found = {0};
	int err = -ENODEV;

	glob("/dev/accel/accel*", 0, NULL, &found);
	glob("/dev/dri/renderD*", GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int tried = try(found.gl_pathv[i], select, fd);

		if (!tried || tried == -EACCES || tried == -EPERM)
			err = tried;
		if (!tried)
			break;
	}
	globfree(&found);
	return err;
}
