/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of vhost-user, as far as a device with two split rings needs it: ring 0 brings
 * requests and takes their answers, ring 1 takes messages to the guest. The guest's memory is mapped and
 * handed on; everything it says is checked. One thread.
 */
#ifndef FACET_BOARDS_VIRTUAL_FRONT_VHOST_H
#define FACET_BOARDS_VIRTUAL_FRONT_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#define VHOST_RINGS	 2
#define VHOST_MESSAGE	 4096 /* bytes of a request, and of its answer */
#define VHOST_RING_ITEMS 1024

struct vhost;

struct vhost_ops {
	/* A piece of the guest's memory, more than what was told before; NULL and 0 bytes: all of it is
	 * gone. A negative errno: it cannot be. */
	int (*memory)(void *user, uint64_t address, uint64_t bytes, void *memory);
	/* A request; the answer's length, at most `room`. */
	uint32_t (*request)(void *user, const uint8_t *in, uint32_t bytes, uint8_t *out,
			    uint32_t room);
	/* There is room on ring 1 again. A negative errno ends it. */
	int (*room)(void *user);
	void *user;
};

/* fd is a connected socket, and the vhost's from then on. */
int vhost_create(int fd, const struct vhost_ops *ops, struct vhost **vhost);
void vhost_free(struct vhost *vhost);

#define VHOST_FDS (1 + VHOST_RINGS)
/* What to poll() for reading; -1 where there is nothing yet. */
void vhost_fds(const struct vhost *vhost, int fds[VHOST_FDS]);
/* fds[i] can be read. A negative errno: the guest is gone, or made no sense (*why says what). */
int vhost_serve(struct vhost *vhost, int i, const char **why);

/* A message to the guest on ring 1: -EAGAIN while it has given no buffer. */
int vhost_post(struct vhost *vhost, const void *message, uint32_t bytes);

#endif
