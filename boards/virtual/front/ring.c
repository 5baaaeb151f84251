/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/virtual/front/ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

void *guest_at(const struct guest *guest, uint64_t address, uint64_t bytes)
{
	for (uint32_t i = 0; i < guest->count; i++) {
		const struct region *region = &guest->region[i];
		uint64_t offset = address - region->address;

		if (address >= region->address && offset <= region->bytes &&
		    bytes <= region->bytes - offset)
			return region->memory + offset;
	}
	return NULL;
}

int ring_bind(struct ring *ring, const struct guest *guest)
{
	uint32_t n = ring->items;

	ring->desc = guest_at(guest, ring->desc_at, n * sizeof(*ring->desc));
	ring->avail = guest_at(guest, ring->avail_at, sizeof(*ring->avail) + n * 2);
	ring->used = guest_at(guest, ring->used_at,
			      sizeof(*ring->used) + n * sizeof(ring->used->ring[0]));
	if (!n || !ring->desc || !ring->avail || !ring->used || ring->desc_at % 16 ||
	    ring->avail_at % 2 || ring->used_at % 4) {
		ring->desc = NULL;
		return -EFAULT;
	}
	return 0;
}

static int chain_in(struct chain *chain, const uint8_t *from, uint32_t bytes)
{
	if (chain->outs || bytes > sizeof(chain->in) - chain->in_bytes)
		return -EPROTO;
	memcpy(chain->in + chain->in_bytes, from, bytes);
	chain->in_bytes += bytes;
	return 0;
}

static int chain_out(struct chain *chain, uint8_t *to, uint32_t bytes)
{
	if (chain->outs == sizeof(chain->out) / sizeof(chain->out[0]))
		return -EPROTO;
	chain->out[chain->outs] = to;
	chain->out_bytes[chain->outs++] = bytes;
	return 0;
}

static int chain_walk(const struct ring *ring, const struct guest *guest, struct chain *chain)
{
	uint32_t index = chain->head;

	for (uint32_t steps = 0; steps < ring->items && index < ring->items; steps++) {
		struct vring_desc desc = *(volatile struct vring_desc *)&ring->desc[index];
		uint8_t *at = guest_at(guest, desc.addr, desc.len);
		int err;

		if (!at || desc.flags & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE))
			return -EPROTO;
		err = desc.flags & VRING_DESC_F_WRITE ? chain_out(chain, at, desc.len)
						      : chain_in(chain, at, desc.len);
		if (err)
			return err;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 1;
		index = desc.next;
	}
	return -EPROTO;
}

int ring_take(struct ring *ring, const struct guest *guest, struct chain *chain)
{
	uint16_t there;

	if (!ring->desc)
		return 0;
	there = *(volatile uint16_t *)&ring->avail->idx;
	if (there == ring->next)
		return 0;
	if ((uint16_t)(there - ring->next) > ring->items)
		return -EPROTO;
	atomic_thread_fence(memory_order_acquire);
	chain->head = *(volatile uint16_t *)&ring->avail->ring[ring->next % ring->items];
	chain->outs = chain->in_bytes = 0;
	ring->next++;
	return chain_walk(ring, guest, chain);
}

bool ring_give(struct ring *ring, const struct chain *chain, const void *answer, uint32_t bytes)
{
	struct vring_used_elem *used = &ring->used->ring[ring->used->idx % ring->items];
	uint32_t done = 0;

	for (uint32_t i = 0; i < chain->outs && done < bytes; i++) {
		uint32_t n =
			bytes - done < chain->out_bytes[i] ? bytes - done : chain->out_bytes[i];

		memcpy(chain->out[i], (const uint8_t *)answer + done, n);
		done += n;
	}
	used->id = chain->head;
	used->len = done;
	atomic_thread_fence(memory_order_release);
	*(volatile uint16_t *)&ring->used->idx = (uint16_t)(ring->used->idx + 1);
	atomic_thread_fence(memory_order_seq_cst);
	return !(*(volatile uint16_t *)&ring->avail->flags & VRING_AVAIL_F_NO_INTERRUPT);
}
