/* SPDX-License-Identifier: Apache-2.0 */
/* A split ring of virtio 1.2 (section 2.7) in the guest's memory, from the device's side. */
#ifndef FACET_BOARDS_VIRTUAL_FRONT_RING_H
#define FACET_BOARDS_VIRTUAL_FRONT_RING_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_REGIONS 8

struct region {
	uint64_t address, bytes;
	uint8_t *memory;
	void *map; /* as mmap() gave it */
	uint64_t map_bytes;
};

struct guest {
	struct region region[RING_REGIONS];
	uint32_t count;
};

/* The guest's bytes [address, address + bytes), NULL where they are not all there. */
void *guest_at(const struct guest *guest, uint64_t address, uint64_t bytes);

struct ring {
	uint32_t items;
	uint64_t desc_at, avail_at, used_at;
	struct vring_desc *desc; /* NULL: not set up */
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next; /* of avail */
};

/* Finds its parts in the guest's memory. -EFAULT. */
int ring_bind(struct ring *ring, const struct guest *guest);

/* A chain of buffers: what the device may read first, then what it may write. */
struct chain {
	uint16_t head;
	uint8_t *out[16]; /* to be written */
	uint32_t out_bytes[16], outs;
	uint8_t in[4096]; /* copied: the guest may change its own meanwhile */
	uint32_t in_bytes;
};

/* 1: there was one; 0: none; -EPROTO: it made no sense. */
int ring_take(struct ring *ring, const struct guest *guest, struct chain *chain);
/* Writes the answer and gives the chain back. True: the guest wants to be told. */
bool ring_give(struct ring *ring, const struct chain *chain, const void *answer, uint32_t bytes);

#endif
