/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board in the PCI bus of QEMU: its device x-pci-proxy-dev hands config and BAR accesses, and the
 * guest's memory, to another process (QEMU's docs/devel/multi-process.rst; the messages as in its
 * include/hw/remote/mpqemu-link.h, declared anew here). An interrupt is the write that MSI-X is, made
 * through QEMU's test socket ("writel ADDRESS DATA", answered "OK"), since the device's own way knows
 * only the old interrupt lines. Never waited for here: QEMU may be waiting for us.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boards/virtual/front/front.h"
#include "boards/virtual/front/pending.h"

#define REGIONS	   8
#define WRITES_MAX 16 /* interrupts not answered yet */

enum command {
	SYNC_SYSMEM = 0,
	RET = 1,
	CFG_WRITE = 2,
	CFG_READ = 3,
	BAR_WRITE = 4,
	BAR_READ = 5,
	SET_IRQFD = 6,
	DEVICE_RESET = 7
};

struct head {
	int32_t command;
	uint32_t pad;
	uint64_t bytes;
};

union body {
	uint64_t value;
	struct {
		uint32_t address, value;
		int32_t bytes;
	} config;
	struct {
		uint64_t address, value;
		uint32_t bytes;
		uint8_t memory;
	} bar;
	struct {
		uint64_t address[REGIONS], bytes[REGIONS], offset[REGIONS];
	} memory;
	uint8_t all[512];
};

/* A piece of the guest's memory, mapped. */
struct piece {
	uint64_t address, bytes, offset;
	dev_t device;
	ino_t inode;
	void *map;
};

struct front {
	struct board *board;
	struct pending pending;
	int link, test; /* sockets */
	uint32_t unanswered;
	struct piece piece[REGIONS];
	uint32_t pieces;
};

/* ---- interrupts ----------------------------------------------------------------------------------------- */
static void raised(void *user, uint64_t address, uint32_t data)
{
	struct front *q = user;

	pending_raise(&q->pending, (struct interrupt){address, data});
}

static int send_pending(struct front *q)
{
	struct interrupt next;
	char line[64];

	while (q->unanswered < WRITES_MAX && pending_take(&q->pending, &next)) {
		int n = snprintf(line, sizeof(line), "writel 0x%" PRIx64 " 0x%" PRIx32 "\n",
				 next.address, next.data);

		if (send(q->test, line, (size_t)n, MSG_NOSIGNAL) != n)
			return -ECONNRESET;
		q->unanswered++;
	}
	return 0;
}

/* A line an answer. */
static int hear(struct front *q)
{
	char text[512];
	ssize_t n = recv(q->test, text, sizeof(text), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -ECONNRESET;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\n' && q->unanswered)
			q->unanswered--;
	return send_pending(q);
}

/* ---- the guest's memory --------------------------------------------------------------------------------------- */
static void unmap_all(struct front *q)
{
	board_windows_clear(q->board);
	for (uint32_t i = 0; i < q->pieces; i++)
		munmap(q->piece[i].map, q->piece[i].bytes);
	q->pieces = 0;
}

static int describe(const union body *body, int i, int fd, struct piece *piece)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*piece = (struct piece){.address = body->memory.address[i],
				.bytes = body->memory.bytes[i],
				.offset = body->memory.offset[i],
				.device = st.st_dev,
				.inode = st.st_ino};
	if (!piece->bytes || (uint64_t)st.st_size < piece->offset ||
	    piece->bytes > (uint64_t)st.st_size - piece->offset)
		return -EPROTO;
	return 0;
}

static bool same(const struct piece *a, const struct piece *b)
{
	return a->address == b->address && a->bytes == b->bytes && a->offset == b->offset &&
	       a->device == b->device && a->inode == b->inode;
}

static int map_piece(struct front *q, struct piece piece, int fd)
{
	int err;

	piece.map = mmap(NULL, piece.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 (off_t)piece.offset);
	if (piece.map == MAP_FAILED)
		return -errno;
	err = board_window_add(q->board, piece.address, piece.bytes, piece.map);
	if (err)
		munmap(piece.map, piece.bytes);
	else
		q->piece[q->pieces++] = piece;
	return err;
}

/* QEMU tells all of it whenever something about addresses changes; mostly this has not. */
static int take_memory(struct front *q, const union body *body, const int *fds, int count)
{
	struct piece piece[REGIONS];
	bool changed = (uint32_t)count != q->pieces;
	int err = 0;

	for (int i = 0; i < count && !err; i++) {
		err = describe(body, i, fds[i], &piece[i]);
		changed |= !changed && !same(&piece[i], &q->piece[i]);
	}
	if (err || !changed)
		return err;
	unmap_all(q);
	for (int i = 0; i < count && !err; i++)
		err = map_piece(q, piece[i], fds[i]);
	return err;
}

/* ---- accesses ------------------------------------------------------------------------------------------------------ */
static bool sound_size(uint32_t bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* Which BAR holds the address, -1: none. */
static int bar_at(struct front *q, uint64_t address, uint32_t bytes, uint64_t *offset)
{
	for (int bar = 0; bar < 6; bar++) {
		uint64_t size = board_bar_bytes((unsigned int)bar);
		uint64_t base = size ? board_bar_address(q->board, (unsigned int)bar) : 0;

		if (base && address >= base && address - base < size &&
		    bytes <= size - (address - base)) {
			*offset = address - base;
			return bar;
		}
	}
	return -1;
}

static uint64_t bar_access(struct front *q, const union body *body, bool write)
{
	uint64_t offset;
	uint32_t bytes = body->bar.bytes;
	int bar = sound_size(bytes) ? bar_at(q, body->bar.address, bytes, &offset) : -1;

	if (bar < 0)
		return UINT64_MAX;
	if (!write)
		return board_read(q->board, (unsigned int)bar, offset, bytes);
	board_write(q->board, (unsigned int)bar, offset, bytes, body->bar.value);
	return 0;
}

static uint64_t config_access(struct front *q, const union body *body, bool write)
{
	uint32_t at = body->config.address, bytes = (uint32_t)body->config.bytes;

	if (!sound_size(bytes) || bytes > 4 || at >= BOARD_CONFIG_BYTES)
		return UINT32_MAX >> (bytes && bytes < 4 ? 32 - 8 * bytes : 0);
	if (!write)
		return board_pci_read(q->board, at, bytes);
	board_pci_write(q->board, at, bytes, body->config.value);
	return 0;
}

/* ---- messages --------------------------------------------------------------------------------------------------------- */
static int answer(struct front *q, uint64_t value)
{
	struct {
		struct head head;
		uint64_t value;
	} message = {{.command = RET, .bytes = sizeof(value)}, value};

	return send(q->link, &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message)
		       ? 0
		       : -ECONNRESET;
}

static int receive(int fd, void *to, size_t bytes)
{
	/* Of nothing it would wait for something. */
	return !bytes || recv(fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes ? 0 : -ECONNRESET;
}

/* The head comes with the descriptors. */
static int receive_head(struct front *q, struct head *head, int *fds, int *count)
{
	union {
		char bytes[CMSG_SPACE(REGIONS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec to = {head, sizeof(*head)};
	struct msghdr message = {.msg_iov = &to,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(q->link, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);

	*count = 0;
	if (n != sizeof(*head))
		return n < 0 && errno == EINTR ? -EINTR : -ECONNRESET;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		*count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)*count * sizeof(int));
	}
	return 0;
}

static int obey(struct front *q, int command, const union body *body, const int *fds, int count)
{
	switch (command) {
	case SYNC_SYSMEM:
		return take_memory(q, body, fds, count);
	case CFG_WRITE:
	case CFG_READ:
		return answer(q, config_access(q, body, command == CFG_WRITE));
	case BAR_WRITE:
	case BAR_READ:
		return answer(q, bar_access(q, body, command == BAR_WRITE));
	case DEVICE_RESET:
		board_bus_reset(q->board);
		return answer(q, 0);
	default: /* SET_IRQFD: of interrupt lines, which the board has not */
		return 0;
	}
}

static int message(struct front *q, const char **why)
{
	union body body = {0};
	struct head head = {0};
	int fds[REGIONS], count, err = receive_head(q, &head, fds, &count);

	if (err)
		return err == -EINTR ? 0 : err;
	*why = "a message of QEMU that makes no sense";
	err = head.bytes > sizeof(body) ? -EPROTO : receive(q->link, &body, head.bytes);
	if (!err)
		err = obey(q, head.command, &body, fds, count);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	return err;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */
static int create(struct front **front)
{
	struct front *q = calloc(1, sizeof(*q));
	int err = q ? pending_init(&q->pending) : -ENOMEM;

	if (err) {
		free(q);
		return err;
	}
	q->link = q->test = -1;
	*front = q;
	return 0;
}

static void disconnect(struct front *q)
{
	if (q->board)
		unmap_all(q);
	if (q->link >= 0)
		close(q->link);
	if (q->test >= 0)
		close(q->test);
	q->link = q->test = -1;
	q->board = NULL;
}

static void qemu_free(struct front *q)
{
	if (!q)
		return;
	disconnect(q);
	pending_destroy(&q->pending);
	free(q);
}

static struct board_front board_front(struct front *q)
{
	return (struct board_front){raised, q};
}

/* What makes the board a device of QEMU. */
struct added {
	char test[48], link[48];
};

static char **with_device(char **command, int link, int test, struct added *added)
{
	char *const more[] = {"-chardev",
			      added->test,
			      "-object",
			      "qtest,id=facet-irq-port,"
			      "chardev=facet-irq,log=/dev/null",
			      "-device",
			      added->link};
	size_t n = 0, m = sizeof(more) / sizeof(more[0]);
	char **all;

	snprintf(added->test, sizeof(added->test), "socket,id=facet-irq,fd=%d", test);
	snprintf(added->link, sizeof(added->link), "x-pci-proxy-dev,id=facet,fd=%d", link);
	while (command[n])
		n++;
	all = calloc(n + m + 1, sizeof(*all));
	if (!all)
		return NULL;
	memcpy(all, command, n * sizeof(*all));
	memcpy(all + n, more, sizeof(more));
	return all;
}

static int qemu_connect(struct front *q, struct board *board, const char *path, char **command,
			int *child)
{
	int link[2], test[2], pid = -ENOMEM;
	struct added added;
	char **all;

	(void)path;
	*child = 0;
	q->board = board;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link))
		return -errno;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, test)) {
		close(link[0]);
		close(link[1]);
		return -errno;
	}
	q->link = link[0];
	q->test = test[0];
	all = with_device(command, link[1], test[1], &added);
	if (all)
		pid = front_start(all, (const int[2]){link[1], test[1]});
	close(link[1]);
	close(test[1]);
	free(all);
	if (pid < 0)
		return pid;
	*child = pid;
	return 0;
}

static int serve(struct front *q, const char **why)
{
	struct pollfd polled[3] = {{.fd = q->link, .events = POLLIN},
				   {.fd = q->test, .events = POLLIN},
				   {.fd = q->pending.bell, .events = POLLIN}};
	int err = 0;

	*why = "poll";
	if (poll(polled, 3, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (polled[0].revents)
		err = message(q, why);
	if (!err && polled[1].revents)
		err = hear(q);
	if (err || !polled[2].revents)
		return err;
	pending_heard(&q->pending);
	return send_pending(q);
}

const struct front_kind front_qemu = {
	.name = "qemu",
	.create = create,
	.board_front = board_front,
	.free = qemu_free,
	.connect = qemu_connect,
	.disconnect = disconnect,
	.serve = serve,
};
