/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: frames and descriptors in and out of the socket.
 *
 * Which descriptors belong to which frame. The kernel hands over the descriptors of one sendmsg()
 * with its first byte, and ends a recvmsg() at the end of the stretch they came with; it does put
 * plain bytes sent earlier before them. So one recvmsg() brings at most one set, and its frame
 * starts somewhere in the bytes of that read. A frame that counts descriptors takes the oldest set,
 * which must have come in the read that brought the frame's first byte, with exactly that count; a
 * set that no frame starting in its read took is an error as soon as that stretch is consumed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proto/internal.h"

#define READ_LEAST (8u << 10) /* room offered to the socket */

struct wire *wire_create(int fd)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int flags = fcntl(fd, F_GETFL);

	if (!wire || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		free(wire);
		return NULL;
	}
	wire->fd = fd;
	return wire;
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	close(wire->fd);
	wire_buffer_free(&wire->in);
	wire_buffer_free(&wire->out);
	free(wire);
}

int wire_fd(const struct wire *wire)
{
	return wire->fd;
}

static uint32_t get_length(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_length(uint8_t *p, uint32_t length)
{
	for (unsigned i = 0; i < WIRE_HEADER; i++)
		p[i] = (uint8_t)(length >> 8 * i);
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* Bytes the first frame in the buffer has in all, 0 when its length is not there yet. */
static int first_frame(const struct wire_buffer *in, size_t *bytes)
{
	uint32_t length;

	*bytes = 0;
	if (in->tail - in->head < WIRE_HEADER)
		return 0;
	length = get_length(in->data + in->head);
	if (!length || length > WIRE_FRAME_MAX)
		return -EMSGSIZE;
	*bytes = WIRE_HEADER + (size_t)length;
	return 0;
}

/* Notes the descriptors of one read, which brought the bytes [from, to) of the stream. */
static int note_rights(struct wire *wire, struct msghdr *msg, uint64_t from, uint64_t to)
{
	int err = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		uint32_t count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		int fds[WIRE_FDS_MAX + 2];
		struct wire_rights *rights = NULL;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		assert(count <= WIRE_FDS_MAX + 2);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		if (count > WIRE_FDS_MAX)
			err = -EPROTO;
		if (!err)
			rights = wire_rights_add(&wire->in.rights);
		if (!rights) {
			wire_fds_close(fds, count);
			err = err ? err : -ENOMEM;
			continue;
		}
		*rights = (struct wire_rights){.from = from, .to = to, .count = count};
		memcpy(rights->fd, fds, count * sizeof(int));
	}
	return err;
}

int wire_fill(struct wire *wire)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
	} control;
	struct wire_buffer *in = &wire->in;
	size_t frame, held = in->tail - in->head;
	struct msghdr msg = {.msg_control = &control, .msg_controllen = sizeof(control)};
	struct iovec iov;
	uint64_t from;
	ssize_t got;
	int err = first_frame(in, &frame);

	if (err)
		return err;
	if (held >= WIRE_HEADER + WIRE_FRAME_MAX)
		return 0; /* the reader is behind; wire_next() makes room */
	if (!wire_buffer_reserve(in, frame > held + READ_LEAST ? frame - held : READ_LEAST))
		return -ENOMEM;
	iov = (struct iovec){in->data + in->tail, in->size - in->tail};
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	do {
		got = recvmsg(wire->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	from = in->position + held;
	err = note_rights(wire, &msg, from, from + (size_t)got);
	if (err)
		return err;
	in->tail += (size_t)got;
	return got ? (int)got : -ECONNRESET;
}

int wire_next(struct wire *wire, struct wire_frame *frame)
{
	struct wire_buffer *in = &wire->in;
	const struct wire_rights *rights = wire_rights_first(&in->rights);
	size_t bytes;
	int err;

	if (rights && rights->to <= in->position)
		return -EPROTO;
	err = first_frame(in, &bytes);
	if (err || !bytes || in->tail - in->head < bytes)
		return err;
	frame->data = in->data + in->head + WIRE_HEADER;
	frame->length = bytes - WIRE_HEADER;
	wire->frame = in->position;
	/* Not wire_buffer_drop(): the bytes stay where they are until the next fill. */
	in->head += bytes;
	in->position += bytes;
	return 1;
}

int wire_take_fds(struct wire *wire, int *fds, uint32_t count)
{
	struct wire_rights *rights = wire_rights_first(&wire->in.rights);

	if (!count)
		return 0;
	if (!rights || rights->count != count || wire->frame < rights->from)
		return -EPROTO;
	memcpy(fds, rights->fd, count * sizeof(*fds));
	wire_rights_pop(&wire->in.rights);
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* Room for a frame of that length behind what waits, its header written; NULL and an error. */
static uint8_t *frame_begin(struct wire *wire, size_t length, const int *fds, uint32_t count,
			    int *err)
{
	struct wire_buffer *out = &wire->out;
	struct wire_rights *rights = NULL;

	assert(count <= WIRE_FDS_MAX);
	*err = -EMSGSIZE;
	if (!length || length > WIRE_FRAME_MAX)
		return NULL;
	*err = -ENOMEM;
	if (!wire_buffer_reserve(out, WIRE_HEADER + length))
		return NULL;
	if (count) {
		rights = wire_rights_add(&out->rights);
		if (!rights)
			return NULL;
		rights->from = out->position + (out->tail - out->head);
		rights->count = count;
		memcpy(rights->fd, fds, count * sizeof(*fds));
	}
	*err = 0;
	put_length(out->data + out->tail, (uint32_t)length);
	out->tail += WIRE_HEADER + length;
	return out->data + out->tail - length;
}

int wire_queue(struct wire *wire, const ProtobufCMessage *message, const int *fds, uint32_t count)
{
	int err;
	uint8_t *at =
		frame_begin(wire, protobuf_c_message_get_packed_size(message), fds, count, &err);

	if (!at) {
		wire_fds_close(fds, count);
		return err;
	}
	protobuf_c_message_pack(message, at);
	return 0;
}

int wire_queue_packed(struct wire *wire, const void *data, size_t length, const int *fds,
		      uint32_t count)
{
	int err;
	uint8_t *at = frame_begin(wire, length, fds, count, &err);

	if (!at) {
		wire_fds_close(fds, count);
		return err;
	}
	memcpy(at, data, length);
	return 0;
}

/* Writes up to the next frame with descriptors; those of the first byte go along. */
static ssize_t send_some(struct wire *wire)
{
	struct wire_buffer *out = &wire->out;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {out->data + out->head, out->tail - out->head};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct wire_rights *rights = wire_rights_first(&out->rights), *next = rights;
	ssize_t sent;

	if (rights && rights->from == out->position) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(rights->count * sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), rights->fd, rights->count * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(rights->count * sizeof(int));
		next = rights + 1 < out->rights.item + out->rights.tail ? rights + 1 : NULL;
	}
	if (next && next->from - out->position < iov.iov_len)
		iov.iov_len = (size_t)(next->from - out->position);
	sent = sendmsg(wire->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0 && msg.msg_control) {
		wire_fds_close(rights->fd, rights->count);
		wire_rights_pop(&out->rights);
	}
	return sent;
}

int wire_flush(struct wire *wire)
{
	struct wire_buffer *out = &wire->out;

	while (out->head < out->tail) {
		ssize_t sent = send_some(wire);

		if (sent >= 0)
			wire_buffer_drop(out, (size_t)sent);
		else if (errno == EAGAIN)
			return 1;
		else if (errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
	}
	return 0;
}

size_t wire_pending(const struct wire *wire)
{
	return wire->out.tail - wire->out.head;
}
