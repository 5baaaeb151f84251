/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/virtual/front/um.h"

#include <errno.h>
#include <linux/virtio_pcidev.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "boards/virtual/front/vhost.h"

#define PENDING_MAX 64 /* interrupts that differ; a board has fewer vectors */

struct interrupt {
	uint64_t address;
	uint32_t data;
};

struct um {
	struct vhost *vhost;
	struct board *board;
	int bell;
	pthread_mutex_t lock; /* of what follows: the board's threads raise */
	struct interrupt pending[PENDING_MAX];
	uint32_t count;
};

/* ---- interrupts ----------------------------------------------------------------------------------------- */
/* One that has not reached the guest yet is not kept twice: it is an edge, and says "look". */
static void keep(struct um *um, struct interrupt interrupt)
{
	uint32_t i = 0;

	pthread_mutex_lock(&um->lock);
	while (i < um->count && (um->pending[i].address != interrupt.address ||
				 um->pending[i].data != interrupt.data))
		i++;
	if (i == um->count && um->count < PENDING_MAX)
		um->pending[um->count++] = interrupt;
	pthread_mutex_unlock(&um->lock);
}

/* Taken before it is sent: one that comes meanwhile is another. */
static bool take(struct um *um, struct interrupt *interrupt)
{
	bool is_one;

	pthread_mutex_lock(&um->lock);
	is_one = um->count > 0;
	if (is_one) {
		*interrupt = um->pending[0];
		memmove(um->pending, um->pending + 1, --um->count * sizeof(um->pending[0]));
	}
	pthread_mutex_unlock(&um->lock);
	return is_one;
}

static void raised(void *user, uint64_t address, uint32_t data)
{
	struct um *um = user;
	uint64_t one = 1;
	ssize_t n;

	keep(um, (struct interrupt){address, data});
	n = write(um->bell, &one, sizeof(one));
	(void)n; /* full: it rings already */
}

static int post(struct um *um, const struct interrupt *interrupt)
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
	struct um *um = user;
	struct interrupt next;
	int err = 0;

	while (um->vhost && !err && take(um, &next)) {
		err = post(um, &next);
		if (err == -EAGAIN)
			keep(um, next);
	}
	return err == -EAGAIN ? 0 : err;
}

/* ---- accesses --------------------------------------------------------------------------------------------- */
static bool sound_size(uint32_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static uint64_t config_read(struct um *um, uint64_t at, uint32_t size)
{
	uint32_t low;

	if (at >= BOARD_CONFIG_BYTES)
		return UINT64_MAX;
	if (size < 8)
		return board_pci_read(um->board, (uint32_t)at, size);
	low = board_pci_read(um->board, (uint32_t)at, 4);
	return low | (uint64_t)board_pci_read(um->board, (uint32_t)at + 4, 4) << 32;
}

static void config_write(struct um *um, uint64_t at, uint32_t size, uint64_t value)
{
	if (at >= BOARD_CONFIG_BYTES)
		return;
	board_pci_write(um->board, (uint32_t)at, size < 8 ? size : 4, (uint32_t)value);
	if (size == 8)
		board_pci_write(um->board, (uint32_t)at + 4, 4, (uint32_t)(value >> 32));
}

/* Blocks of a BAR are words. */
static uint32_t bar_read(struct um *um, const struct virtio_pcidev_msg *head, uint8_t *out)
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

static void bar_write(struct um *um, const struct virtio_pcidev_msg *head, const uint8_t *data)
{
	uint32_t step = sound_size(head->size) ? head->size : 4;

	for (uint32_t i = 0; i + step <= head->size; i += step) {
		uint64_t value = 0;

		memcpy(&value, data + i, step);
		board_write(um->board, head->bar, head->addr + i, step, value);
	}
}

/* In words where it can be, as memset_io() would. */
static void bar_fill(struct um *um, const struct virtio_pcidev_msg *head, uint8_t byte)
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
	struct um *um = user;
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
	struct um *um = user;

	if (bytes)
		return board_window_add(um->board, address, bytes, at);
	board_windows_clear(um->board);
	return 0;
}

/* ---- life --------------------------------------------------------------------------------------------------- */
int um_create(struct um **um)
{
	struct um *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (made->bell < 0) {
		free(made);
		return -errno;
	}
	pthread_mutex_init(&made->lock, NULL);
	*um = made;
	return 0;
}

void um_free(struct um *um)
{
	if (!um)
		return;
	um_disconnect(um);
	close(um->bell);
	pthread_mutex_destroy(&um->lock);
	free(um);
}

struct board_front um_front(struct um *um)
{
	return (struct board_front){raised, um};
}

void um_board(struct um *um, struct board *board)
{
	um->board = board;
}

int um_connect(struct um *um, int fd)
{
	const struct vhost_ops ops = {memory, requested, post_pending, um};

	um_disconnect(um);
	return vhost_create(fd, &ops, &um->vhost);
}

void um_disconnect(struct um *um)
{
	vhost_free(um->vhost);
	um->vhost = NULL;
}

int um_serve(struct um *um, int extra, const char **why)
{
	struct pollfd polled[VHOST_FDS + 2];
	int fds[VHOST_FDS], err;
	uint64_t count;

	vhost_fds(um->vhost, fds);
	for (int i = 0; i < VHOST_FDS; i++)
		polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	polled[VHOST_FDS] = (struct pollfd){.fd = um->bell, .events = POLLIN};
	polled[VHOST_FDS + 1] = (struct pollfd){.fd = extra, .events = POLLIN};
	*why = "poll";
	if (poll(polled, VHOST_FDS + 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	/* Requests before messages: these may take rings away. */
	for (int i = VHOST_FDS - 1; i >= 0; i--) {
		err = polled[i].revents ? vhost_serve(um->vhost, i, why) : 0;
		if (err)
			return err;
	}
	*why = "a ring that makes no sense";
	err = polled[VHOST_FDS].revents && read(um->bell, &count, sizeof(count)) > 0
		      ? post_pending(um)
		      : 0;
	if (err)
		return err;
	return polled[VHOST_FDS + 1].revents ? 1 : 0;
}
