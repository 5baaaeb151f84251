/* SPDX-License-Identifier: Apache-2.0 */
/* A board behind facet.ko, as a shell port; internal to daemon/device. */
#ifndef FACET_DAEMON_DEVICE_DRM_H
#define FACET_DAEMON_DEVICE_DRM_H

#include <pthread.h>

#include "boards/shell/shell.h"
#include "daemon/device/shell_move.h"
#include "daemon/device/shell_port.h"
#include "driver/uapi/facet_drm.h"

#define DRM_PROGRAMS 512u /* kept of those made last */

struct drm_program {
	uint32_t handle; /* 0: this place is free */
	uint32_t op, operands, args_bytes;
	uint64_t bytes, used;
	uint8_t args[SHELL_CALL_ARGS];
};

struct drm_memory {
	struct shell_memory base;
	uint32_t handle;
};

/* A queue of its own for each unit, so that calls run side by side. */
struct drm_unit {
	uint32_t ctx; /* 0: to be made */
	uint32_t kind;
	uint64_t ops;
	uint32_t syncobj;
};

struct drm_port {
	struct shell_port base;
	int fd;
	char name[32], detail[96];
	struct drm_facet_device device;
	struct drm_facet_limits limits;
	uint64_t memory_bytes;
	uint32_t units;
	struct drm_unit unit[SHELL_PORT_UNITS];
	pthread_mutex_t lock; /* programs, units, mover */
	struct shell_mover mover;
	int udmabuf; /* -1: host memory is copied into the driver's first */
	uint64_t uses;
	struct drm_program program[DRM_PROGRAMS];
};

static inline struct drm_port *drm_port_of(const struct shell_port *port)
{
	return (struct drm_port *)port;
}

/* drm_node.c: an open node of the driver. select: a path, the serial number in hexadecimal or part of the
 * board's name; NULL: the first. -ENODEV: there is none. */
int drm_node_open(const char *select, int *fd);
int drm_query(int fd, uint32_t type, uint32_t index, void *data, uint32_t size);

/* drm_memory.c */
int drm_memory_create(struct shell_port *port, enum shell_place place, uint64_t bytes,
		      struct shell_memory **memory);
void drm_memory_free(struct shell_port *port, struct shell_memory *memory);
int drm_write(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
	      const void *data, uint64_t bytes);
int drm_read(struct shell_port *port, struct shell_memory *memory, uint64_t offset, void *data,
	     uint64_t bytes);

/* drm_direct.c */
void drm_direct_open(struct drm_port *drm); /* tries it out */
void drm_direct_close(struct drm_port *drm);
/* With the lock held. -EOPNOTSUPP: not this way; nothing is lost by another. */
int drm_direct_write(struct drm_port *drm, struct shell_memory *memory, uint64_t offset,
		     const void *data, uint64_t bytes);

/* drm_call.c */
void drm_run(struct shell_port *port, struct shell_call *calls, uint32_t count);
void drm_programs_free(struct drm_port *drm);
/* With the lock held. */
void drm_run_locked(struct shell_port *port, struct shell_call *calls, uint32_t count);

#endif
