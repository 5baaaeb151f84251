/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire's one codec, shared by daemon and client: frames in and out of a non-blocking Unix
 * stream socket, descriptors that ride on them, and decoding into an arena.
 *
 * Reading: wire_fill() moves what the socket has into the connection's buffer; wire_next() yields
 * one frame at a time, with its descriptors. A frame's bytes stay valid until the next wire_fill().
 * Writing: wire_queue() packs a message behind those that wait; wire_flush() writes as much as the
 * socket takes, many frames a system call.
 *
 * Errors (negative errno), after which the connection is of no use:
 *   -EMSGSIZE  a frame longer than WIRE_FRAME_MAX, or empty
 *   -EPROTO    descriptors that no frame counts, too few for the count, or truncated (MSG_CTRUNC)
 *   -EBADMSG   not a legal message: depth, elements or predicted memory over the bound
 *   -ECONNRESET the peer has gone
 */
#ifndef FACET_PROTO_WIRE_H
#define FACET_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

#define WIRE_MAJOR	  1u
#define WIRE_MINOR	  0u
#define WIRE_FRAME_MAX	  (256u * 1024)
#define WIRE_FDS_MAX	  16u	     /* of one frame */
#define WIRE_DEPTH_MAX	  8u	     /* nested messages */
#define WIRE_ELEMENTS_MAX 65536u     /* repeated elements of one frame */
#define WIRE_MEMORY_MAX	  (4u << 20) /* what unpacking one frame may allocate */

/* ---- memory of one decoded frame: bump allocation, reset between frames ------------------------ */
struct wire_arena;
struct wire_arena *wire_arena_create(void);
void wire_arena_free(struct wire_arena *arena);
void wire_arena_reset(struct wire_arena *arena);
void *wire_arena_alloc(struct wire_arena *arena, size_t bytes); /* NULL over WIRE_MEMORY_MAX */
ProtobufCAllocator *wire_arena_allocator(struct wire_arena *arena);

/* Walks a message against its descriptor without recursion; 0, -EBADMSG. Run by wire_decode(). */
int wire_prescan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length);
/* Pre-scan, then unpack into the arena. The message needs no free; the arena is reset instead. */
int wire_decode(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
		struct wire_arena *arena, ProtobufCMessage **message);

/* ---- one connection ------------------------------------------------------------------------ */
struct wire;
struct wire *wire_create(int fd);  /* takes the socket, makes it non-blocking */
void wire_free(struct wire *wire); /* closes it and every descriptor not taken */
int wire_fd(const struct wire *wire);

/* Bytes read, 0 when the socket is empty for now (or a whole frame has not been fetched with
 * wire_next() yet and the buffer is full), -ECONNRESET at the end, other errors as above. */
int wire_fill(struct wire *wire);

struct wire_frame {
	const uint8_t *data;
	size_t length;
};

/* 1 and a frame, 0 when none is complete. */
int wire_next(struct wire *wire, struct wire_frame *frame);
/* After decoding: hands over the count descriptors of this frame; exactly as many must have come
 * with its bytes. They belong to the caller. */
int wire_take_fds(struct wire *wire, int *fds, uint32_t count);

/* Packs behind what waits; takes the count descriptors (closes them once sent, or on error).
 * -EMSGSIZE for a message over WIRE_FRAME_MAX and -ENOMEM leave the connection as it was. */
int wire_queue(struct wire *wire, const ProtobufCMessage *message, const int *fds, uint32_t count);
/* The same for a message that is packed already. */
int wire_queue_packed(struct wire *wire, const void *data, size_t length, const int *fds,
		      uint32_t count);
/* 0 when all is written, 1 when something still waits for POLLOUT. */
int wire_flush(struct wire *wire);
size_t wire_pending(const struct wire *wire); /* bytes not yet written */

/* ---- sealed memory --------------------------------------------------------------------------
 * A client's bulk data: a memfd on tmpfs, SHRINK and GROW sealed, no holes in the range.
 */
struct wire_mapping {
	void *base; /* of the mapping, page aligned */
	size_t length;
	const uint8_t *data; /* the range asked for */
	size_t bytes;
};

/* -EINVAL not such a memfd (reason names what is wrong), -EFBIG range past its end or over limit */
int wire_map(int fd, uint64_t offset, uint64_t bytes, uint64_t limit, struct wire_mapping *mapping,
	     const char **reason);
void wire_unmap(struct wire_mapping *mapping);
/* A memfd holding a copy of the bytes, all seals set; the descriptor or a negative errno. */
int wire_memfd(const void *data, size_t bytes);
/* The same without the copy: maps it for writing; wire_memfd_seal() unmaps and seals it. */
int wire_memfd_create(size_t bytes, void **data);
int wire_memfd_seal(int fd, void *data, size_t bytes);

#endif
