/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's node, called as a program that trusts nobody's library would. */
#ifndef FACET_TESTS_VM_GUEST_NODE_H
#define FACET_TESTS_VM_GUEST_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boards/shell/kernels.h"
#include "boards/shell/shell.h"
#include "driver/uapi/facet_drm.h"

#define NODE_BYTES 8192u /* of the buffers that jobs of these tests echo */

/* Another file of the node; -1: there is none. */
int node_open(void);
/* 0 or the positive errno. */
int node_call(int fd, unsigned long request, void *args);

uint32_t node_bo(int fd, uint64_t bytes, uint32_t flags, uint32_t bank); /* handle; asserts */
void node_close_bo(int fd, uint32_t handle);
/* Mapped, of its rounded size. */
void *node_map(int fd, uint32_t handle, uint64_t bytes);
uint32_t node_ctx(int fd, uint64_t units, uint32_t timeout_ms);
uint32_t node_echo(int fd, uint64_t bytes); /* a program: out = in */
uint32_t node_syncobj(int fd);
/* 0, or ETIME. */
int node_wait(int fd, uint32_t syncobj, uint64_t timeout_ms);

/* Bytes go over to the board, or come back (DRM_FACET_TO_DEVICE, _FROM_DEVICE). Nothing for a bank's. */
void node_sync(int fd, uint32_t handle, uint32_t flags);

/* Hands both buffers over, then: out = in by one job; its syncobj, if not 0, is signalled. 0 or errno; *sequence is the job's number. */
int node_submit_echo(int fd, uint32_t ctx, uint32_t prog, uint32_t out, uint32_t in,
		     uint32_t syncobj, uint64_t *sequence);
struct drm_facet_job_state node_state(int fd, uint32_t ctx, uint64_t sequence);
struct drm_facet_health node_health(int fd);

/* A command for the board (facet-board --help), through the folder that guest and host share. False: it
 * was refused. */
bool node_board(const char *command);

#endif
