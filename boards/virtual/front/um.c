/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board in the PCI bus of User-Mode Linux: its messages (linux/virtio_pcidev.h) are accesses of config
 * space and BARs, and interrupts the other way. The board's memory windows are the guest's memory.
 */

#include <errno.h>
#include <linux/virtio_pcidev.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "boards/virtual/front/front.h"
#include "boards/virtual/front/pending.h"
#include "boards/virtual/front/vhost.h"

struct front {
	struct vhost *vhost;
	struct board *board;
	const char *path; /* of the socket, to be taken away */
	struct pending pending;
};

/* ---- interrupts ----------------------------------------------------------------------------------------- */
static void raised(void *user, uint64_t address, uint32_t data)
{
	struct front *um = user;

	pending_raise(&um->pending, (struct interrupt){address, data});
}

static int post(struct front *um, const struct interrupt *interrupt)
{
	struct {
		struct virtio_pcidev_msg head;
		uint32_t data;
	} message = {{.op = VIRTIO_PCIDEV_OP_MSI,
		      .size = sizeof(message.data),
		      .addr = interrupt->address},
		     interrupt->data};

	return vhost_post(um->vhost, &message, sizeof(message));
}

/* Those that find no room wait until the guest says that there is some. */
static int post_pending(void *user)
{
	struct front *um = user;
	struct interrupt next;
	int err = 0;

	while (um->vhost && !err && pending_take(&um->pending, &next)) {
		err = post(um, &next);
		if (err == -EAGAIN)
			pending_keep(&um->pending, next);
	}
	return err == -EAGAIN ? 0 : err;
}

/* ---- accesses --------------------------------------------------------------------------------------------- */
static bool sound_size(uint32_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static uint64_t config_read(struct front *um, uint64_t at, uint32_t size)
{
	uint32_t low;

	if (at >= BOARD_CONFIG_BYTES)
		return UINT64_MAX;
	if (size < 8)
		return board_pci_read(um->board, (uint32_t)at, size);
	low = board_pci_read(um->board, (uint32_t)at, 4);
	return low | (uint64_t)board_pci_read(um->board, (uint32_t)at + 4, 4) << 32;
}

static void config_write(struct front *um, uint64_t at, uint32_t size, uint64_t value)
{
	if (at >= BOARD_CONFIG_BYTES)
		return;
	board_pci_write(um->board, (uint32_t)at, size < 8 ? size : 4, (uint32_t)value);
	if (size == 8)
		board_pci_write(um->board, (uint32_t)at + 4, 4, (uint32_t)(value >> 32));
}

/* Blocks of a BAR are words. */
static uint32_t bar_read(struct front *um, const struct virtio_pcidev_msg *head, uint8_t *out)
{
	uint64_t value;

	if (sound_size(head->size)) {
		value = board_read(um->board, head->bar, head->addr, head->size);
		memcpy(out, &value, head->size);
		return head->size;
	}
	for (uint32_t i = 0; i + 4 <= head->size; i += 4) {
		value = board_read(um->board, head->bar, head->addr + i, 4);
		memcpy(out + i, &value, 4);
	}
	return head->size & ~3u;
}

static void bar_write(struct front *um, const struct virtio_pcidev_msg *head, const uint8_t *data)
{
	uint32_t step = sound_size(head->size) ? head->size : 4;

	for (uint32_t i = 0; i + step <= head->size; i += step) {
		uint64_t value = 0;

		memcpy(&value, data + i, step);
		board_write(um->board, head->bar, head->addr + i, step, value);
	}
}

/* In words where it can be, as memset_io() would. */
static void bar_fill(struct front *um, const struct virtio_pcidev_msg *head, uint8_t byte)
{
	uint32_t step = (head->addr | head->size) % 4 ? 1 : 4;

	if (head->size > board_bar_bytes(head->bar))
		return;
	for (uint32_t i = 0; i < head->size; i += step)
		board_write(um->board, head->bar, head->addr + i, step, byte * 0x01010101u);
}

static uint32_t requested(void *user, const uint8_t *in, uint32_t bytes, uint8_t *out,
			  uint32_t room)
{
	struct front *um = user;
	struct virtio_pcidev_msg head;
	const uint8_t *data = in + sizeof(head);
	uint64_t value = 0;

	memset(out, 0xff, room);
	if (bytes < sizeof(head))
		return room;
	memcpy(&head, in, sizeof(head));
	bytes -= sizeof(head);
	switch (head.op) {
	case VIRTIO_PCIDEV_OP_CFG_READ:
		if (!sound_size(head.size) || head.size > room)
			break;
		value = config_read(um, head.addr, head.size);
		memcpy(out, &value, head.size);
		break;
	case VIRTIO_PCIDEV_OP_CFG_WRITE:
		if (!sound_size(head.size) || head.size > bytes)
			break;
		memcpy(&value, data, head.size);
		config_write(um, head.addr, head.size, value);
		break;
	case VIRTIO_PCIDEV_OP_MMIO_READ:
		if (head.size <= room)
			bar_read(um, &head, out);
		break;
	case VIRTIO_PCIDEV_OP_MMIO_WRITE:
		if (head.size <= bytes)
			bar_write(um, &head, data);
		break;
	case VIRTIO_PCIDEV_OP_MMIO_MEMSET:
		if (bytes)
			bar_fill(um, &head, *data);
		break;
	default:
		break;
	}
	return room;
}

static int memory(void *user, uint64_t address, uint64_t bytes, void *at)
{
	struct front *um = user;

	if (bytes)
		return board_window_add(um->board, address, bytes, at);
	board_windows_clear(um->board);
	return 0;
}

/* ---- life --------------------------------------------------------------------------------------------------- */
static int create(struct front **um)
{
	struct front *made = calloc(1, sizeof(*made));
	int err = made ? pending_init(&made->pending) : -ENOMEM;

	if (err)
		free(made);
	else
		*um = made;
	return err;
}

static void disconnect(struct front *um)
{
	vhost_free(um->vhost);
	um->vhost = NULL;
	if (um->path)
		unlink(um->path);
	um->path = NULL;
}

static void um_free(struct front *um)
{
	if (!um)
		return;
	disconnect(um);
	pending_destroy(&um->pending);
	free(um);
}

static struct board_front board_front(struct front *um)
{
	return (struct board_front){raised, um};
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path)) {
		close(fd);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	unlink(path);
	umask(077);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* The guest's connection; a child that ends without one is not waited for. */
static int await(int listening, pid_t child)
{
	struct pollfd polled[2] = {{.fd = listening, .events = POLLIN},
				   {.fd = child > 0 ? pidfd_open(child, 0) : -1, .events = POLLIN}};
	int fd = -ECHILD;

	while (poll(polled, 2, -1) < 0 && errno == EINTR)
		continue;
	if (polled[0].revents)
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (polled[1].fd >= 0)
		close(polled[1].fd);
	return fd == -1 ? -errno : fd;
}

static int um_connect(struct front *um, struct board *board, const char *path, char **command,
		      int *child)
{
	const struct vhost_ops ops = {memory, requested, post_pending, um};
	int listening = listen_on(path), fd;

	*child = 0;
	if (listening < 0)
		return listening;
	um->board = board;
	um->path = path;
	fd = command ? front_start(command, (const int[2]){-1, -1}) : 0;
	if (fd >= 0) {
		*child = fd;
		fd = await(listening, *child);
	}
	close(listening);
	return fd < 0 ? fd : vhost_create(fd, &ops, &um->vhost);
}

static int serve(struct front *um, const char **why)
{
	struct pollfd polled[VHOST_FDS + 1];
	int fds[VHOST_FDS], err;

	vhost_fds(um->vhost, fds);
	for (int i = 0; i < VHOST_FDS; i++)
		polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	polled[VHOST_FDS] = (struct pollfd){.fd = um->pending.bell, .events = POLLIN};
	*why = "poll";
	if (poll(polled, VHOST_FDS + 1, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	/* Requests before messages: these may take rings away. */
	for (int i = VHOST_FDS - 1; i >= 0; i--) {
		err = polled[i].revents ? vhost_serve(um->vhost, i, why) : 0;
		if (err)
			return err;
	}
	*why = "a ring that makes no sense";
	if (!polled[VHOST_FDS].revents)
		return 0;
	pending_heard(&um->pending);
	return post_pending(um);
}

const struct front_kind front_um = {
	.name = "um",
	.create = create,
	.board_front = board_front,
	.free = um_free,
	.connect = um_connect,
	.disconnect = disconnect,
	.serve = serve,
};
