/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that the board reads where it lies: its pages become a dma-buf (udmabuf) that the driver
 * takes in, and a unit of the board copies from there, instead of a copy by this machine's processors
 * into memory of the driver's. Kernels without udmabuf, and memory that is no memfd, go the other way.
 */
#include "daemon/device/drm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "daemon/device/host_memory.h"

#define DIRECT_LEAST (UINT64_C(64) << 10) /* less is copied sooner than its pages are looked up */
#define DIRECT_STEP  (UINT64_C(8) << 20)  /* udmabuf takes 64 MiB; searches wait for a step's end */

/* Pages [from, from + bytes) of a memfd as an object of the driver's. */
static int take_in(const struct drm_port *drm, int memory, uint64_t from, uint64_t bytes,
		   uint32_t *handle)
{
	struct udmabuf_create create = {.memfd = (uint32_t)memory,
					.flags = UDMABUF_FLAGS_CLOEXEC,
					.offset = from,
					.size = bytes};
	int buffer = ioctl(drm->udmabuf, UDMABUF_CREATE, &create), err = 0;

	if (buffer < 0)
		return -errno;
	if (drmPrimeFDToHandle(drm->fd, buffer, handle))
		err = -errno;
	close(buffer); /* the handle holds it */
	return err;
}

static int step(struct drm_port *drm, struct shell_extent to, int memory, uint64_t from)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), before = from % page;
	uint64_t pages = (before + to.length + page - 1) / page;
	struct drm_memory host = {.base = {SHELL_PLACE_HOST, pages * page, NULL}};
	struct drm_gem_close close = {0};
	int err = take_in(drm, memory, from - before, pages * page, &host.handle);

	if (err)
		return -EOPNOTSUPP;
	err = shell_move_copy(&drm->mover, to,
			      (struct shell_extent){&host.base, before, to.length});
	close.handle = host.handle;
	drmIoctl(drm->fd, DRM_IOCTL_GEM_CLOSE, &close);
	return err;
}

static int write_from(struct drm_port *drm, struct shell_extent to, int memory, uint64_t from)
{
	int err = 0;

	for (uint64_t done = 0; !err && done < to.length; done += DIRECT_STEP) {
		uint64_t left = to.length - done;
		struct shell_extent piece = {to.memory, to.offset + done,
					     left < DIRECT_STEP ? left : DIRECT_STEP};

		err = step(drm, piece, memory, from + done);
	}
	return err;
}

int drm_direct_write(struct drm_port *drm, struct shell_memory *memory, uint64_t offset,
		     const void *data, uint64_t bytes)
{
	uint64_t from;
	int fd, err;

	if (drm->udmabuf < 0 || bytes < DIRECT_LEAST || offset % drm->limits.align ||
	    !host_memory_find(data, bytes, &fd, &from) || from % drm->limits.align)
		return -EOPNOTSUPP;
	err = write_from(drm, (struct shell_extent){memory, offset, bytes}, fd, from);
	if (!err)
		drm->base.direct_bytes += bytes;
	return err;
}

/* ---- does it work? ---- */

static bool comes_back(struct drm_port *drm, struct shell_memory *memory, uint8_t *data)
{
	uint8_t back[4096];

	for (uint32_t i = 0; i < DIRECT_LEAST; i++)
		data[i] = (uint8_t)(i * 7 ^ i >> 8);
	if (drm_direct_write(drm, memory, 0, data, DIRECT_LEAST))
		return false;
	for (uint64_t at = 0; at < DIRECT_LEAST; at += sizeof(back))
		if (shell_move(&drm->mover, memory, at, back, NULL, sizeof(back)) ||
		    memcmp(back, data + at, sizeof(back)))
			return false;
	return true;
}

void drm_direct_open(struct drm_port *drm)
{
	struct shell_memory *memory;
	uint8_t *data;
	bool works = false;

	drm->udmabuf = -1;
	if (!host_memory_wanted() || host_memory_map(DIRECT_LEAST, DIRECT_LEAST, &data))
		return;
	drm->udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (!mprotect(data, DIRECT_LEAST, PROT_READ | PROT_WRITE) &&
	    !drm_memory_create(&drm->base, SHELL_PLACE_BOARD, DIRECT_LEAST, &memory)) {
		works = comes_back(drm, memory, data);
		drm_memory_free(&drm->base, memory);
	}
	host_memory_unmap(data);
	if (!works)
		drm_direct_close(drm);
	drm->base.direct_bytes = 0;
}

void drm_direct_close(struct drm_port *drm)
{
	if (drm->udmabuf >= 0)
		close(drm->udmabuf);
	drm->udmabuf = -1;
}
