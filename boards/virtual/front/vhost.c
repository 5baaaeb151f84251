/* SPDX-License-Identifier: Apache-2.0 */
/* The messages are those of QEMU's docs/interop/vhost-user.rst; only what User-Mode Linux sends. */
#include "boards/virtual/front/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boards/virtual/front/ring.h"

#define FEATURE_VERSION_1   (UINT64_C(1) << 32)
#define FEATURE_PROTOCOL    (UINT64_C(1) << 30)
#define PROTOCOL_REPLY_ACK  (UINT64_C(1) << 3)
#define PROTOCOL_BACKEND_FD (UINT64_C(1) << 5) /* virt-pci wants it, and gets nothing through it */
#define FLAG_VERSION	    1u
#define FLAG_REPLY	    4u
#define FLAG_NEED_REPLY	    8u
#define FEATURES	    (FEATURE_VERSION_1 | FEATURE_PROTOCOL)
#define PROTOCOL_FEATURES   (PROTOCOL_REPLY_ACK | PROTOCOL_BACKEND_FD)
#define INDEX_MASK	    0xffu
#define INDEX_NO_FD	    0x100u
#define GUEST_MAX	    (UINT64_C(1) << 36)

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
	SET_BACKEND_FD = 21,
	REQUESTS
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t integer;
		struct {
			uint32_t index, number;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} __attribute__((packed)) address;
		struct {
			uint32_t count, pad;
			struct {
				uint64_t guest, bytes, user, offset;
			} region[RING_REGIONS];
		} memory;
	};
} __attribute__((packed));

#define HEADER offsetof(struct message, integer)

struct vhost {
	int fd;
	struct vhost_ops ops;
	struct guest guest;
	struct ring ring[VHOST_RINGS];
	int kick[VHOST_RINGS], call[VHOST_RINGS];
	int back; /* for requests of ours, of which there are none; its end is taken for ours */
	int fds[RING_REGIONS], fd_count; /* that came with the message */
	struct message message;
	struct chain chain;
	uint8_t answer[VHOST_MESSAGE];
};

int vhost_create(int fd, const struct vhost_ops *ops, struct vhost **vhost)
{
	struct vhost *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->fd = fd;
	v->ops = *ops;
	v->back = -1;
	for (int i = 0; i < VHOST_RINGS; i++)
		v->kick[i] = v->call[i] = -1;
	*vhost = v;
	return 0;
}

static void guest_clear(struct vhost *v)
{
	v->ops.memory(v->ops.user, 0, 0, NULL);
	for (uint32_t i = 0; i < v->guest.count; i++)
		munmap(v->guest.region[i].map, v->guest.region[i].map_bytes);
	v->guest.count = 0;
	for (int i = 0; i < VHOST_RINGS; i++)
		v->ring[i].desc = NULL;
}

static void fd_replace(int *fd, int by)
{
	if (*fd >= 0)
		close(*fd);
	*fd = by;
}

/* Nobody who gave us a descriptor makes us wait at it. */
static void fd_never_waits(int fd)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void vhost_free(struct vhost *vhost)
{
	if (!vhost)
		return;
	guest_clear(vhost);
	for (int i = 0; i < VHOST_RINGS; i++) {
		fd_replace(&vhost->kick[i], -1);
		fd_replace(&vhost->call[i], -1);
	}
	fd_replace(&vhost->back, -1);
	close(vhost->fd);
	free(vhost);
}

void vhost_fds(const struct vhost *vhost, int fds[VHOST_FDS])
{
	fds[0] = vhost->fd;
	for (int i = 0; i < VHOST_RINGS; i++)
		fds[1 + i] = vhost->kick[i];
}

/* ---- messages --------------------------------------------------------------------------------------- */
/* The descriptor that came, taken; -1 without one. */
static int fd_take(struct vhost *v)
{
	int fd = v->fd_count ? v->fds[0] : -1;

	if (v->fd_count)
		v->fds[0] = -1;
	return fd;
}

static int read_all(int fd, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = read(fd, (uint8_t *)to + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		done += (size_t)n;
	}
	return 0;
}

static void fds_keep(struct vhost *v, struct msghdr *header)
{
	v->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (v->fd_count < RING_REGIONS)
				v->fds[v->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

/* Descriptors come with the header's first byte. */
static int receive(struct vhost *v, const char **why)
{
	char control[CMSG_SPACE(RING_REGIONS * sizeof(int))];
	struct iovec part = {&v->message, HEADER};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(v->fd, &header, MSG_CMSG_CLOEXEC);
	int err = 0;

	v->fd_count = 0;
	if (n <= 0)
		return n ? -errno : -ECONNRESET;
	fds_keep(v, &header);
	if ((size_t)n < HEADER)
		err = read_all(v->fd, (uint8_t *)&v->message + n, HEADER - (size_t)n);
	if (!err && v->message.size > sizeof(v->message) - HEADER) {
		*why = "a message that is too long";
		return -EPROTO;
	}
	memset((uint8_t *)&v->message + HEADER, 0, sizeof(v->message) - HEADER);
	return err ? err : read_all(v->fd, (uint8_t *)&v->message + HEADER, v->message.size);
}

static void fds_drop(struct vhost *v)
{
	for (int i = 0; i < v->fd_count; i++)
		if (v->fds[i] >= 0)
			close(v->fds[i]);
	v->fd_count = 0;
}

static int reply(struct vhost *v, uint64_t value)
{
	struct message *m = &v->message;

	m->flags = FLAG_VERSION | FLAG_REPLY;
	m->size = sizeof(m->integer);
	m->integer = value;
	return send(v->fd, m, HEADER + m->size, MSG_NOSIGNAL) == (ssize_t)(HEADER + m->size)
		       ? 0
		       : -EPIPE;
}

/* Pages past the end of a file would end this process when they are touched. */
static bool file_holds(int fd, uint64_t bytes)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size >= 0 && (uint64_t)st.st_size >= bytes;
}

static int region_map(struct vhost *v, uint32_t i)
{
	struct region *region = &v->guest.region[v->guest.count];
	uint64_t offset = v->message.memory.region[i].offset;
	uint64_t bytes = v->message.memory.region[i].bytes;

	*region = (struct region){.address = v->message.memory.region[i].guest, .bytes = bytes};
	if (!bytes || bytes > GUEST_MAX || offset > GUEST_MAX || region->address + bytes < bytes)
		return -EINVAL;
	if (!file_holds(v->fds[i], offset + bytes))
		return -EINVAL;
	region->map_bytes = offset + bytes;
	region->map =
		mmap(NULL, region->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fds[i], 0);
	if (region->map == MAP_FAILED)
		return -errno;
	region->memory = (uint8_t *)region->map + offset;
	v->guest.count++;
	return v->ops.memory(v->ops.user, region->address, bytes, region->memory);
}

static int set_memory(struct vhost *v)
{
	uint32_t count = v->message.memory.count;
	int err = 0;

	guest_clear(v);
	if (count > RING_REGIONS || (int)count != v->fd_count)
		return -EINVAL;
	for (uint32_t i = 0; i < count && !err; i++)
		err = region_map(v, i);
	return err;
}

static int set_items(struct vhost *v, struct ring *ring, int index)
{
	uint32_t n = v->message.state.number;

	(void)index;
	if (!n || n > VHOST_RING_ITEMS || n & (n - 1))
		return -EINVAL;
	ring->items = n;
	ring->desc = NULL;
	return 0;
}

static int set_base(struct vhost *v, struct ring *ring, int index)
{
	(void)index;
	ring->next = (uint16_t)v->message.state.number;
	return 0;
}

static int set_address(struct vhost *v, struct ring *ring, int index)
{
	(void)index;
	ring->desc_at = v->message.address.desc;
	ring->avail_at = v->message.address.avail;
	ring->used_at = v->message.address.used;
	return ring_bind(ring, &v->guest);
}

static int set_kick(struct vhost *v, struct ring *ring, int index)
{
	(void)ring;
	fd_replace(&v->kick[index], v->message.integer & INDEX_NO_FD ? -1 : fd_take(v));
	fd_never_waits(v->kick[index]);
	return 0;
}

static int set_call(struct vhost *v, struct ring *ring, int index)
{
	(void)ring;
	fd_replace(&v->call[index], v->message.integer & INDEX_NO_FD ? -1 : fd_take(v));
	fd_never_waits(v->call[index]);
	return 0;
}

static int accept_all(struct vhost *v, struct ring *ring, int index)
{
	(void)v;
	(void)ring;
	(void)index;
	return 0;
}

/* Of a ring, whose number begins the message. */
static int (*const of_ring[REQUESTS])(struct vhost *v, struct ring *ring, int index) = {
	[SET_VRING_NUM] = set_items,	 [SET_VRING_BASE] = set_base,
	[SET_VRING_ADDR] = set_address,	 [SET_VRING_KICK] = set_kick,
	[SET_VRING_CALL] = set_call,	 [SET_VRING_ERR] = accept_all,
	[SET_VRING_ENABLE] = accept_all,
};

static int act(struct vhost *v, uint32_t request)
{
	uint32_t index = v->message.state.index & INDEX_MASK;

	switch (request) {
	case SET_FEATURES:
	case SET_OWNER:
	case SET_PROTOCOL_FEATURES:
		return 0;
	case SET_BACKEND_FD:
		fd_replace(&v->back, fd_take(v));
		return 0;
	case SET_MEM_TABLE:
		return set_memory(v);
	default:
		if (request >= REQUESTS || !of_ring[request] || index >= VHOST_RINGS)
			return -EOPNOTSUPP;
		return of_ring[request](v, &v->ring[index], (int)index);
	}
}

static int get_base(struct vhost *v)
{
	uint32_t index = v->message.state.index & INDEX_MASK;
	struct ring *ring = &v->ring[index % VHOST_RINGS];

	ring->desc = NULL; /* the guest takes it back */
	return reply(v, (uint64_t)ring->next << 32 | index);
}

static int message(struct vhost *v, const char **why)
{
	bool wanted;
	int err = receive(v, why);

	if (err)
		goto out;
	wanted = v->message.flags & FLAG_NEED_REPLY;
	if (v->message.request == GET_FEATURES)
		err = reply(v, FEATURES);
	else if (v->message.request == GET_PROTOCOL_FEATURES)
		err = reply(v, PROTOCOL_FEATURES);
	else if (v->message.request == GET_VRING_BASE)
		err = get_base(v);
	else {
		err = act(v, v->message.request);
		if (err)
			*why = "a message that is not understood";
		if (wanted)
			err = reply(v, err != 0);
	}
out:
	fds_drop(v);
	return err;
}

/* ---- rings ---------------------------------------------------------------------------------------------- */
static void tell(const struct vhost *v, int index)
{
	uint64_t one = 1;
	ssize_t n = v->call[index] < 0 ? 0 : write(v->call[index], &one, sizeof(one));

	(void)n; /* a full pipe is read already */
}

/*
 * As many as were announced, though the ring may show one more: virt-pci waits for an answer from the
 * announcement on, and loses one that comes sooner (it then waits until it gives up).
 */
static int requests(struct vhost *v, uint64_t announced, const char **why)
{
	bool want = false;
	int got = 0;

	while (announced-- && (got = ring_take(&v->ring[0], &v->guest, &v->chain)) > 0) {
		uint32_t room = 0, n;

		for (uint32_t i = 0; i < v->chain.outs; i++)
			room += v->chain.out_bytes[i];
		room = room > sizeof(v->answer) ? sizeof(v->answer) : room;
		n = v->ops.request(v->ops.user, v->chain.in, v->chain.in_bytes, v->answer, room);
		want |= ring_give(&v->ring[0], &v->chain, v->answer, n);
	}
	if (got < 0)
		*why = "a ring that makes no sense";
	if (want)
		tell(v, 0);
	return got < 0 ? got : 0;
}

int vhost_post(struct vhost *v, const void *message, uint32_t bytes)
{
	int got = ring_take(&v->ring[1], &v->guest, &v->chain);

	if (got <= 0)
		return got ? got : -EAGAIN;
	if (ring_give(&v->ring[1], &v->chain, message, bytes))
		tell(v, 1);
	return 0;
}

int vhost_serve(struct vhost *v, int i, const char **why)
{
	uint64_t count = 0;
	ssize_t n;

	*why = "the guest is gone";
	if (!i)
		return message(v, why);
	n = read(v->kick[i - 1], &count, sizeof(count));
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		fd_replace(&v->kick[i - 1], -1);
	if (i == 1)
		return requests(v, n == sizeof(count) ? count : 0, why);
	*why = "a ring that makes no sense";
	return v->ops.room(v->ops.user);
}
