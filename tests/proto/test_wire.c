/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and descriptors over a socket pair: what the peer may do, and must not. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "facet.pb-c.h"
#include "proto/wire.h"
#include "tests/suite.h"

static int peer = -1;
static struct wire *wire;

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[0];
	wire = wire_create(pair[1]);
	ck_assert_ptr_nonnull(wire);
}

static void teardown(void)
{
	wire_free(wire);
	if (peer >= 0)
		close(peer);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Raw sending: count descriptors with the first of the bytes. */
static void send_raw(const void *data, size_t bytes, const int *fds, size_t count)
{
	char control[CMSG_SPACE(32 * sizeof(int))] = {0};
	struct iovec iov = {(void *)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(peer, &msg, 0), (ssize_t)bytes);
}

static size_t frame_of(uint8_t *out, const void *data, uint32_t length)
{
	out[0] = (uint8_t)length;
	out[1] = (uint8_t)(length >> 8);
	out[2] = (uint8_t)(length >> 16);
	out[3] = (uint8_t)(length >> 24);
	memcpy(out + 4, data, length);
	return length + 4;
}

static void expect_frame(const void *data, size_t length)
{
	struct wire_frame frame;

	ck_assert_int_eq(wire_next(wire, &frame), 1);
	ck_assert_uint_eq(frame.length, length);
	ck_assert_int_eq(memcmp(frame.data, data, length), 0);
}

static void expect_none(void)
{
	struct wire_frame frame;

	ck_assert_int_eq(wire_next(wire, &frame), 0);
}

/* Three frames cut in two at every byte, and sent a byte at a time. */
START_TEST(split_everywhere)
{
	uint8_t bytes[64];
	size_t n = frame_of(bytes, "a", 1);
	struct wire_frame frame;

	n += frame_of(bytes + n, "hello world", 11);
	n += frame_of(bytes + n, "xyz", 3);
	for (size_t cut = 1; cut < n; cut++) {
		int seen = 0;

		send_raw(bytes, cut, NULL, 0);
		ck_assert_int_eq(wire_fill(wire), (int)cut);
		while (wire_next(wire, &frame) == 1)
			seen++;
		send_raw(bytes + cut, n - cut, NULL, 0);
		ck_assert_int_eq(wire_fill(wire), (int)(n - cut));
		while (wire_next(wire, &frame) == 1)
			seen++;
		ck_assert_int_eq(seen, 3);
		ck_assert_int_eq(frame.length, 3);
		ck_assert_int_eq(memcmp(frame.data, "xyz", 3), 0);
	}
	for (size_t i = 0; i < n; i++) {
		send_raw(bytes + i, 1, NULL, 0);
		ck_assert_int_eq(wire_fill(wire), 1);
		if (i == 4)
			expect_frame("a", 1);
		else if (i == 19)
			expect_frame("hello world", 11);
		else if (i == n - 1)
			expect_frame("xyz", 3);
		expect_none();
	}
	ck_assert_int_eq(wire_fill(wire), 0);
}
END_TEST

START_TEST(length_bounds)
{
	static uint8_t bytes[4] = {0, 0, 0, 0};
	static const uint32_t bad[] = {0, WIRE_FRAME_MAX + 1, 0x80000000u, UINT32_MAX};
	struct wire_frame frame;

	bytes[0] = (uint8_t)bad[_i];
	bytes[1] = (uint8_t)(bad[_i] >> 8);
	bytes[2] = (uint8_t)(bad[_i] >> 16);
	bytes[3] = (uint8_t)(bad[_i] >> 24);
	send_raw(bytes, 4, NULL, 0);
	ck_assert_int_eq(wire_fill(wire), 4);
	ck_assert_int_eq(wire_next(wire, &frame), -EMSGSIZE);
	ck_assert_int_eq(wire_fill(wire), -EMSGSIZE);
}
END_TEST

/* The longest frame, in whatever pieces the socket makes of it, then another. */
START_TEST(longest_frame)
{
	uint8_t *bytes = malloc(2 * (WIRE_FRAME_MAX + 4)), *body = malloc(WIRE_FRAME_MAX);
	struct wire_frame frame;
	size_t n, sent = 0;
	int got = 0;

	for (uint32_t i = 0; i < WIRE_FRAME_MAX; i++)
		body[i] = (uint8_t)(i * 7 + i / 251);
	n = frame_of(bytes, body, WIRE_FRAME_MAX);
	n += frame_of(bytes + n, body, WIRE_FRAME_MAX);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (got < 2) {
		ssize_t s = sent < n ? send(peer, bytes + sent, n - sent, 0) : 0;
		int err;

		sent += s > 0 ? (size_t)s : 0;
		ck_assert_int_ge(wire_fill(wire), 0);
		while ((err = wire_next(wire, &frame)) == 1) {
			ck_assert_uint_eq(frame.length, WIRE_FRAME_MAX);
			ck_assert_int_eq(memcmp(frame.data, body, WIRE_FRAME_MAX), 0);
			got++;
		}
		ck_assert_int_eq(err, 0);
	}
	free(bytes);
	free(body);
}
END_TEST

START_TEST(end_of_stream)
{
	uint8_t bytes[16];
	size_t n = frame_of(bytes, "last", 4);

	send_raw(bytes, n, NULL, 0);
	close(peer);
	peer = -1;
	ck_assert_int_gt(wire_fill(wire), 0);
	expect_frame("last", 4);
	ck_assert_int_eq(wire_fill(wire), -ECONNRESET);
}
END_TEST

/* Frames with and without descriptors, sent one by one but read at once as far as the kernel
 * allows: each gets its own. */
START_TEST(fds_find_their_frame)
{
	int pipes[3][2], fds[2], before = open_fds();
	struct stat want, have;
	uint8_t bytes[16];

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pipe2(pipes[i], O_CLOEXEC), 0);
	send_raw(bytes, frame_of(bytes, "0", 1), NULL, 0);
	send_raw(bytes, frame_of(bytes, "1", 1), pipes[0], 1);
	send_raw(bytes, frame_of(bytes, "2", 1), NULL, 0);
	send_raw(bytes, frame_of(bytes, "3", 1), pipes[1], 2);
	send_raw(bytes, frame_of(bytes, "4", 1), pipes[2], 1);
	for (char c = '0', k = 0; c < '5'; c++) {
		static const uint32_t counts[] = {0, 1, 0, 2, 1};
		static const int from[] = {0, 0, 0, 1, 2};
		struct wire_frame frame;

		while (wire_next(wire, &frame) == 0) {
			ck_assert_int_gt(wire_fill(wire), 0);
			ck_assert_int_lt(k++, 20);
		}
		ck_assert_int_eq(frame.data[0], c);
		ck_assert_int_eq(wire_take_fds(wire, fds, counts[c - '0']), 0);
		for (uint32_t i = 0; i < counts[c - '0']; i++) {
			ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
			fstat(fds[i], &have);
			fstat(pipes[from[c - '0']][i], &want);
			ck_assert_uint_eq(have.st_ino, want.st_ino);
			close(fds[i]);
		}
	}
	expect_none();
	for (int i = 0; i < 3; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	ck_assert_int_eq(open_fds(), before);
}
END_TEST

/* A frame with descriptors cut at every byte: they come with the first one. */
START_TEST(fds_of_a_split_frame)
{
	uint8_t bytes[16];
	size_t n = frame_of(bytes, "body", 4);

	for (size_t cut = 1; cut < n; cut++) {
		int p[2], fds[2];

		ck_assert_int_eq(pipe(p), 0);
		send_raw(bytes, cut, p, 2);
		ck_assert_int_eq(wire_fill(wire), (int)cut);
		expect_none();
		send_raw(bytes + cut, n - cut, NULL, 0);
		ck_assert_int_gt(wire_fill(wire), 0);
		expect_frame("body", 4);
		ck_assert_int_eq(wire_take_fds(wire, fds, 2), 0);
		for (int i = 0; i < 2; i++) {
			close(fds[i]);
			close(p[i]);
		}
		expect_none();
	}
}
END_TEST

/* What came, what the frame counts, in which read: everything but the same is -EPROTO. */
START_TEST(fd_miscounts)
{
	static const struct {
		uint32_t came, counted;
	} row[] = {{1, 2}, {2, 1}, {0, 1}, {1, 16}, {16, 15}};
	int before = open_fds(), p[2], fds[WIRE_FDS_MAX], sent[WIRE_FDS_MAX];
	uint8_t bytes[16];

	ck_assert_int_eq(pipe(p), 0);
	for (uint32_t i = 0; i < WIRE_FDS_MAX; i++)
		sent[i] = p[i & 1];
	send_raw(bytes, frame_of(bytes, "x", 1), sent, row[_i].came);
	ck_assert_int_gt(wire_fill(wire), 0);
	expect_frame("x", 1);
	ck_assert_int_eq(wire_take_fds(wire, fds, row[_i].counted), -EPROTO);
	wire_free(wire);
	wire = NULL;
	close(p[0]);
	close(p[1]);
	ck_assert_int_eq(open_fds(), before - 1);
}
END_TEST

START_TEST(leftover_fds)
{
	int p[2], fds[1];
	struct wire_frame frame;
	uint8_t bytes[16];

	ck_assert_int_eq(pipe(p), 0);
	send_raw(bytes, frame_of(bytes, "x", 1), p, 1);
	ck_assert_int_gt(wire_fill(wire), 0);
	expect_frame("x", 1);
	ck_assert_int_eq(wire_take_fds(wire, fds, 0), 0);
	ck_assert_int_eq(wire_next(wire, &frame), -EPROTO);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* Descriptors that come in the middle of a frame belong to none. */
START_TEST(fds_inside_a_frame)
{
	int p[2], fds[1];
	uint8_t bytes[16];
	size_t n = frame_of(bytes, "body", 4);

	ck_assert_int_eq(pipe(p), 0);
	send_raw(bytes, 3, NULL, 0);
	ck_assert_int_gt(wire_fill(wire), 0);
	send_raw(bytes + 3, n - 3, p, 1);
	ck_assert_int_gt(wire_fill(wire), 0);
	expect_frame("body", 4);
	ck_assert_int_eq(wire_take_fds(wire, fds, 1), -EPROTO);
	close(p[0]);
	close(p[1]);
}
END_TEST

/* A set that came earlier cannot be saved up for a later frame. */
START_TEST(fds_taken_late)
{
	int p[2], fds[1];
	struct wire_frame frame;
	uint8_t bytes[16];

	ck_assert_int_eq(pipe(p), 0);
	send_raw(bytes, frame_of(bytes, "x", 1), p, 1);
	ck_assert_int_gt(wire_fill(wire), 0);
	expect_frame("x", 1);
	send_raw(bytes, frame_of(bytes, "y", 1), NULL, 0);
	ck_assert_int_gt(wire_fill(wire), 0);
	ck_assert_int_eq(wire_next(wire, &frame), -EPROTO);
	ck_assert_int_eq(wire_take_fds(wire, fds, 1), 0); /* still x's own */
	close(fds[0]);
	expect_frame("y", 1);
	ck_assert_int_eq(wire_take_fds(wire, fds, 1), -EPROTO);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(too_many_fds)
{
	int before = open_fds(), p[2], sent[WIRE_FDS_MAX + 8];
	uint8_t bytes[16];

	ck_assert_int_eq(pipe(p), 0);
	for (uint32_t i = 0; i < WIRE_FDS_MAX + 8; i++)
		sent[i] = p[0];
	send_raw(bytes, frame_of(bytes, "x", 1), sent, WIRE_FDS_MAX + (_i ? 8 : 1));
	ck_assert_int_eq(wire_fill(wire), -EPROTO);
	close(p[0]);
	close(p[1]);
	ck_assert_int_eq(open_fds(), before);
}
END_TEST

/* Full circle: queued messages with descriptors, through a small socket, into another wire. */
START_TEST(queue_and_flush)
{
	struct wire *other = wire_create(peer);
	int small = 4096, sent = 0, got = 0;
	static uint8_t payload[3000];

	peer = -1;
	setsockopt(wire_fd(wire), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (got < 400) {
		struct wire_frame frame;
		int err, fds[3];

		for (; sent < 400 && wire_pending(wire) < 50000; sent++) {
			Facet__Wire__ClientFrame f = FACET__WIRE__CLIENT_FRAME__INIT;
			Facet__Wire__Request r = FACET__WIRE__REQUEST__INIT;
			Facet__Wire__Echo e = FACET__WIRE__ECHO__INIT;
			int mine[3];

			f.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_REQUEST;
			f.request = &r;
			f.fds = (uint32_t)sent % 4;
			r.id = (uint64_t)sent;
			r.body_case = FACET__WIRE__REQUEST__BODY_ECHO;
			r.echo = &e;
			e.payload = (ProtobufCBinaryData){(size_t)(sent * 37 % 3000), payload};
			for (uint32_t i = 0; i < f.fds; i++)
				mine[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			ck_assert_int_eq(wire_queue(wire, &f.base, mine, f.fds), 0);
		}
		ck_assert_int_ge(wire_flush(wire), 0);
		ck_assert_int_ge(wire_fill(other), 0);
		while ((err = wire_next(other, &frame)) == 1) {
			Facet__Wire__ClientFrame *f =
				facet__wire__client_frame__unpack(NULL, frame.length, frame.data);

			ck_assert_ptr_nonnull(f);
			ck_assert_uint_eq(f->request->id, (uint64_t)got);
			ck_assert_uint_eq(f->fds, (uint32_t)got % 4);
			ck_assert_int_eq(wire_take_fds(other, fds, f->fds), 0);
			for (uint32_t i = 0; i < f->fds; i++)
				close(fds[i]);
			facet__wire__client_frame__free_unpacked(f, NULL);
			got++;
		}
		ck_assert_int_eq(err, 0);
	}
	ck_assert_uint_eq(wire_pending(wire), 0);
	wire_free(other);
	ck_assert_int_eq(wire_flush(wire), 0);
}
END_TEST

START_TEST(queue_too_long)
{
	static uint8_t payload[WIRE_FRAME_MAX];
	Facet__Wire__Echo e = FACET__WIRE__ECHO__INIT;
	int before = open_fds(), fd = open("/dev/null", O_RDONLY);

	e.payload = (ProtobufCBinaryData){sizeof(payload), payload};
	ck_assert_int_eq(wire_queue(wire, &e.base, &fd, 1), -EMSGSIZE);
	ck_assert_int_eq(open_fds(), before);
	ck_assert_uint_eq(wire_pending(wire), 0);
	e.payload.len = 0;
	ck_assert_int_eq(wire_queue(wire, &e.base, NULL, 0), -EMSGSIZE); /* no empty frames */
	e.payload.len = sizeof(payload) - 4; /* a tag and a length of three bytes */
	ck_assert_int_eq(wire_queue(wire, &e.base, NULL, 0), 0);
	ck_assert_uint_eq(wire_pending(wire), WIRE_FRAME_MAX + 4);
}
END_TEST

START_TEST(flush_to_nobody)
{
	ck_assert_int_eq(wire_queue_packed(wire, "abc", 3, NULL, 0), 0);
	close(peer);
	peer = -1;
	ck_assert_int_eq(wire_flush(wire), -ECONNRESET);
}
END_TEST

/* Descriptors queued but never sent are closed with the connection. */
START_TEST(free_closes_all)
{
	int before = open_fds(), fd = open("/dev/null", O_RDONLY);

	ck_assert_int_eq(wire_queue_packed(wire, "abc", 3, &fd, 1), 0);
	wire_free(wire);
	wire = NULL;
	ck_assert_int_eq(open_fds(), before - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tc = tcase_create("frames");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, split_everywhere);
	tcase_add_loop_test(tc, length_bounds, 0, 4);
	tcase_add_test(tc, longest_frame);
	tcase_add_test(tc, end_of_stream);
	tcase_add_test(tc, fds_find_their_frame);
	tcase_add_test(tc, fds_of_a_split_frame);
	tcase_add_loop_test(tc, fd_miscounts, 0, 5);
	tcase_add_test(tc, leftover_fds);
	tcase_add_test(tc, fds_inside_a_frame);
	tcase_add_test(tc, fds_taken_late);
	tcase_add_loop_test(tc, too_many_fds, 0, 2);
	tcase_add_test(tc, queue_and_flush);
	tcase_add_test(tc, queue_too_long);
	tcase_add_test(tc, flush_to_nobody);
	tcase_add_test(tc, free_closes_all);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
