/* SPDX-License-Identifier: Apache-2.0 */
/* Buffer objects. */
#include "daemon/device/drm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xf86drm.h>

static void bo_close(int fd, uint32_t handle)
{
	struct drm_gem_close close = {.handle = handle};

	drmIoctl(fd, DRM_IOCTL_GEM_CLOSE, &close);
}

static int bo_create(int fd, uint64_t bytes, uint32_t flags, uint32_t bank, uint32_t *handle)
{
	struct drm_facet_bo_create create = {.size = bytes, .flags = flags, .bank = bank};

	if (drmIoctl(fd, DRM_IOCTL_FACET_BO_CREATE, &create))
		return -errno;
	*handle = create.handle;
	return 0;
}

static int bo_map(int fd, uint32_t handle, uint64_t bytes, void **map)
{
	struct drm_facet_bo_mmap_offset at = {.handle = handle};

	if (drmIoctl(fd, DRM_IOCTL_FACET_BO_MMAP_OFFSET, &at))
		return -errno;
	*map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at.offset);
	return *map == MAP_FAILED ? -errno : 0;
}

/* In the bank with the most room, else in any that still has it in one piece. */
static int bank_create(struct drm_port *drm, uint64_t bytes, uint32_t *handle)
{
	uint64_t most = 0;
	uint32_t best = 0;
	int err = -ENOSPC;

	for (uint32_t b = 0; b < drm->device.banks; b++) {
		struct drm_facet_bank bank;

		if (!drm_query(drm->fd, DRM_FACET_QUERY_BANK, b, &bank, sizeof(bank)) &&
		    bank.bytes_free + bank.bytes_dirty > most) {
			most = bank.bytes_free + bank.bytes_dirty;
			best = b;
		}
	}
	for (uint32_t i = 0; err == -ENOSPC && i < drm->device.banks; i++)
		err = bo_create(drm->fd, bytes, DRM_FACET_BO_BANK, (best + i) % drm->device.banks,
				handle);
	return err;
}

int drm_memory_create(struct shell_port *port, enum shell_place place, uint64_t bytes,
		      struct shell_memory **memory)
{
	struct drm_port *drm = drm_port_of(port);
	struct drm_memory *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->base.place = place;
	m->base.bytes = bytes;
	if (place == SHELL_PLACE_BOARD) {
		err = bank_create(drm, bytes, &m->handle);
	} else {
		err = bo_create(drm->fd, bytes, 0, 0, &m->handle);
		if (!err) {
			err = bo_map(drm->fd, m->handle, bytes, &m->base.map);
			if (err) {
				m->base.map = NULL;
				bo_close(drm->fd, m->handle);
			}
		}
	}
	if (err)
		free(m);
	else
		*memory = &m->base;
	return err;
}

void drm_memory_free(struct shell_port *port, struct shell_memory *memory)
{
	struct drm_memory *m = (struct drm_memory *)memory;

	if (m->base.map)
		munmap(m->base.map, m->base.bytes);
	bo_close(drm_port_of(port)->fd, m->handle);
	free(m);
}

/* ---- moving ---- */

int drm_write(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
	      const void *data, uint64_t bytes)
{
	struct drm_port *drm = drm_port_of(port);
	int err;

	pthread_mutex_lock(&drm->lock);
	err = drm_direct_write(drm, memory, offset, data, bytes);
	if (err == -EOPNOTSUPP)
		err = shell_move(&drm->mover, memory, offset, NULL, data, bytes);
	pthread_mutex_unlock(&drm->lock);
	return err;
}

int drm_read(struct shell_port *port, struct shell_memory *memory, uint64_t offset, void *data,
	     uint64_t bytes)
{
	struct drm_port *drm = drm_port_of(port);
	int err;

	pthread_mutex_lock(&drm->lock);
	err = shell_move(&drm->mover, memory, offset, data, NULL, bytes);
	pthread_mutex_unlock(&drm->lock);
	return err;
}
