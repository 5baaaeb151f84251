/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a stream of bytes and descriptors into the codec, as a peer may send them. The input
 * is a list of pieces: a byte of length, a byte whose low bits are the number of descriptors that
 * ride on it, the bytes. Nothing may leak.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "facet.pb-c.h"
#include "proto/internal.h"

static void send_piece(int fd, const uint8_t *data, size_t bytes, uint32_t count)
{
	char control[CMSG_SPACE(32 * sizeof(int))] = {0};
	struct iovec iov = {(void *)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (count) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int)); /* all of them descriptor 0 */
	}
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

/* False when the connection is over. */
static bool take_frames(struct wire *wire, struct wire_arena *arena)
{
	struct wire_frame frame;
	ProtobufCMessage *message;
	int fds[WIRE_FDS_MAX], err = wire_fill(wire);

	if (err < 0)
		return false;
	while ((err = wire_next(wire, &frame)) == 1) {
		Facet__Wire__ClientFrame *f;

		wire_arena_reset(arena);
		if (wire_decode(&facet__wire__client_frame__descriptor, frame.data, frame.length,
				arena, &message))
			return false;
		f = (Facet__Wire__ClientFrame *)message;
		if (f->fds > WIRE_FDS_MAX || wire_take_fds(wire, fds, f->fds))
			return false;
		wire_fds_close(fds, f->fds);
	}
	return !err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct wire_arena *arena;
	struct wire *wire;
	int pair[2], before = dup(0), after;
	bool good = true;

	close(before);
	if (!arena)
		arena = wire_arena_create();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || !(wire = wire_create(pair[1])))
		abort();
	while (good && bytes > 2) {
		size_t n = data[0] < bytes - 2 ? data[0] : bytes - 2;

		if (n)
			send_piece(pair[0], data + 2, n, data[1] % 24);
		data += n + 2;
		bytes -= n + 2;
		good = take_frames(wire, arena);
	}
	wire_free(wire);
	close(pair[0]);
	after = dup(0);
	close(after);
	if (after != before)
		abort();
	return 0;
}
