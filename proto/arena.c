/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of one decoded frame: address space for WIRE_MEMORY_MAX is reserved once, pages appear
 * as they are touched, and a reset gives back only what an unusually large frame needed.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "proto/internal.h"

#define ARENA_ALIGN 16u
#define ARENA_KEEP  (256u << 10) /* bytes that stay resident over a reset */

struct wire_arena {
	uint8_t *base;
	size_t used, peak;
	ProtobufCAllocator allocator;
};

static void *arena_alloc(void *data, size_t bytes)
{
	return wire_arena_alloc(data, bytes);
}

static void arena_no_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

struct wire_arena *wire_arena_create(void)
{
	struct wire_arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return NULL;
	arena->base = mmap(NULL, WIRE_MEMORY_MAX, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->base == MAP_FAILED) {
		free(arena);
		return NULL;
	}
	/* Templates and images pass through here; they have no place in a core dump. */
	madvise(arena->base, WIRE_MEMORY_MAX, MADV_DONTDUMP);
	arena->allocator = (ProtobufCAllocator){arena_alloc, arena_no_free, arena};
	return arena;
}

void wire_arena_free(struct wire_arena *arena)
{
	if (!arena)
		return;
	munmap(arena->base, WIRE_MEMORY_MAX);
	free(arena);
}

void wire_arena_reset(struct wire_arena *arena)
{
	if (arena->used > arena->peak)
		arena->peak = arena->used;
	if (arena->peak > ARENA_KEEP) {
		madvise(arena->base + ARENA_KEEP, WIRE_MEMORY_MAX - ARENA_KEEP, MADV_DONTNEED);
		arena->peak = 0;
	}
	arena->used = 0;
}

void *wire_arena_alloc(struct wire_arena *arena, size_t bytes)
{
	void *pointer = arena->base + arena->used;

	assert(arena->used % ARENA_ALIGN == 0);
	if (bytes > WIRE_MEMORY_MAX - arena->used)
		return NULL;
	arena->used += (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	return pointer;
}

size_t wire_arena_used(const struct wire_arena *arena)
{
	return arena->used;
}

ProtobufCAllocator *wire_arena_allocator(struct wire_arena *arena)
{
	return &arena->allocator;
}

int wire_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
		struct wire_arena *arena, ProtobufCMessage **message)
{
	int err = wire_prescan(type, data, length);

	if (err)
		return err;
	*message = protobuf_c_message_unpack(type, &arena->allocator, length, data);
	return *message ? 0 : -EBADMSG;
}
