/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the codec, and its tests, know of each other. */
#ifndef FACET_PROTO_INTERNAL_H
#define FACET_PROTO_INTERNAL_H

#include "proto/wire.h"

/* wire_prescan(), with the memory it predicts that unpacking will take from an arena. */
int wire_prescan_memory(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
			uint64_t *memory);
size_t wire_arena_used(const struct wire_arena *arena);

#define WIRE_HEADER 4u /* bytes of a frame's length */

/* Descriptors that came with, or go with, certain bytes of the stream. Positions count from the
 * connection's start. */
struct wire_rights {
	uint64_t from, to; /* in: their frame starts in [from, to). out: from is its first byte */
	uint32_t count;
	int fd[WIRE_FDS_MAX];
};

struct wire_rights_queue {
	struct wire_rights *item;
	uint32_t head, tail, size;
};

struct wire_buffer {
	uint8_t *data;
	size_t head, tail, size; /* what is held lies in [head, tail) */
	uint64_t position;	 /* of head in the stream */
	struct wire_rights_queue rights;
};

struct wire {
	int fd;
	struct wire_buffer in, out;
	uint64_t frame; /* position of the frame wire_next() gave last */
};

/* Room for bytes behind the tail, moving or growing what is held; false without memory. */
bool wire_buffer_reserve(struct wire_buffer *buffer, size_t bytes);
void wire_buffer_drop(struct wire_buffer *buffer, size_t bytes); /* from the head */
void wire_buffer_free(struct wire_buffer *buffer);

struct wire_rights *wire_rights_first(const struct wire_rights_queue *queue); /* or NULL */
struct wire_rights *wire_rights_add(struct wire_rights_queue *queue);	      /* NULL: no memory */
void wire_rights_pop(struct wire_rights_queue *queue);
void wire_fds_close(const int *fds, uint32_t count);

#endif
