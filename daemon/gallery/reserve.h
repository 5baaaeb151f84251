/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A range of addresses that grows in place, so that pointers into it stay valid while others read.
 * Nothing of it appears in a core dump. New bytes are zero.
 *
 * Shared: boards may read it where it lies (daemon/device/host_memory.h); else it is anonymous.
 */
#ifndef FACET_DAEMON_GALLERY_RESERVE_H
#define FACET_DAEMON_GALLERY_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reserve {
	uint8_t *base; /* aligned to 2 MiB */
	size_t size;   /* bytes reserved */
	size_t grown;  /* bytes that may be used */
	bool shared;
};

int reserve_init(struct reserve *reserve, size_t size, bool shared); /* -ENOMEM */
void reserve_free(struct reserve *reserve);
int reserve_grow(struct reserve *reserve, size_t bytes); /* [0, bytes) may be used; -ENOMEM */
/* The memory of whole pages in [from, from + bytes) goes; they read as zero. */
int reserve_shed(struct reserve *reserve, size_t from, size_t bytes);

#endif
