/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/floor.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "host/facetctl/load.h"

#define BYTES	    64u
#define RING	    8192u /* messages between the threads; more than may be in flight */
#define SAMPLES_MAX (1u << 20)

struct message {
	uint8_t bytes[BYTES];
};

struct floor {
	int socket, event, processor;
	_Atomic uint32_t to_worker, worked; /* messages handed over, and done */
	_Atomic uint32_t sleeping;
	struct message ring[RING];
};

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void *worker(void *context)
{
	struct floor *f = context;
	uint32_t done = 0;
	cpu_set_t set;

	if (f->processor >= 0) {
		CPU_ZERO(&set);
		CPU_SET((size_t)f->processor, &set);
		pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	for (;;) {
		uint32_t have = atomic_load(&f->to_worker);

		if (have == done) {
			atomic_store(&f->sleeping, 1);
			if (atomic_load(&f->to_worker) == done)
				futex(&f->to_worker, FUTEX_WAIT, done);
			atomic_store(&f->sleeping, 0);
			continue;
		}
		done = have; /* the work itself: nothing */
		atomic_store(&f->worked, done);
		if (eventfd_write(f->event, 1) != 0)
			return NULL;
	}
}

/* Reads what has come into the ring; 0 at the end of the stream. */
static int receive(struct floor *f, uint32_t *have, size_t *part)
{
	uint32_t at = *have % RING;
	ssize_t n = recv(f->socket, (uint8_t *)&f->ring[at] + *part, (RING - at) * BYTES - *part,
			 MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		return 0;
	if (n > 0) {
		*part += (size_t)n;
		*have += (uint32_t)(*part / BYTES);
		*part %= BYTES;
		atomic_store(&f->to_worker, *have);
		if (atomic_load(&f->sleeping))
			futex(&f->to_worker, FUTEX_WAKE, 1);
	}
	return 1;
}

static int reply(struct floor *f, uint32_t *sent)
{
	uint32_t ready = atomic_load(&f->worked);

	while (*sent != ready) {
		uint32_t at = *sent % RING, n = ready - *sent;

		if (n > RING - at)
			n = RING - at;
		if (send(f->socket, &f->ring[at], n * BYTES, MSG_NOSIGNAL) != (ssize_t)(n * BYTES))
			return 0;
		*sent += n;
	}
	return 1;
}

/* Waits for messages and for the worker, until the stream ends. */
static void serve_events(struct floor *f, int epoll)
{
	struct epoll_event events[2];
	uint32_t have = 0, sent = 0;
	size_t part = 0;
	bool alive = true;

	while (alive) {
		int n = epoll_wait(epoll, events, 2, -1);

		for (int i = 0; i < n && alive; i++) {
			eventfd_t value;

			if (events[i].data.fd == f->socket)
				alive = receive(f, &have, &part);
			else if (eventfd_read(f->event, &value) == 0)
				alive = reply(f, &sent);
		}
	}
}

/* The child: the control thread. What it holds goes with the process. */
static int serve(int socket, int processor)
{
	static struct floor f;
	struct epoll_event in = {.events = EPOLLIN, .data.fd = socket};
	struct epoll_event done = {.events = EPOLLIN};
	int epoll = epoll_create1(0);
	pthread_t thread;

	f.socket = socket;
	f.processor = processor;
	f.event = eventfd(0, EFD_NONBLOCK);
	done.data.fd = f.event;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &in) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, f.event, &done) != 0 ||
	    pthread_create(&thread, NULL, worker, &f) != 0)
		return 1;
	serve_events(&f, epoll);
	return 0;
}

/* ---- the client ------------------------------------------------------------------------------ */
struct client {
	int socket;
	uint32_t depth;
	double *since; /* [depth], in the order sent: answers come in order */
	float *latency;
	uint64_t sent, received;
};

static int post(struct client *c, uint32_t count)
{
	uint8_t message[BYTES * 64];
	double now = output_now();

	memset(message, 'f', sizeof(message));
	while (count) {
		uint32_t n = count < 64 ? count : 64;

		for (uint32_t i = 0; i < n; i++)
			c->since[(c->sent + i) % c->depth] = now;
		if (send(c->socket, message, n * BYTES, MSG_NOSIGNAL) != (ssize_t)(n * BYTES))
			return -EIO;
		c->sent += n;
		count -= n;
	}
	return 0;
}

static int drive(struct client *c, double seconds)
{
	uint8_t buffer[BYTES * 1024];
	double end = output_now() + seconds, now;
	size_t part = 0;
	int error = post(c, c->depth);

	while (!error && c->received < c->sent) {
		struct pollfd p = {c->socket, POLLIN, 0};
		ssize_t n;

		if (poll(&p, 1, 1000) <= 0)
			return -ETIMEDOUT;
		n = recv(c->socket, buffer, sizeof(buffer), 0);
		if (n <= 0)
			return -EIO;
		part += (size_t)n;
		now = output_now();
		uint32_t got = (uint32_t)(part / BYTES);
		part %= BYTES;
		for (uint32_t i = 0; i < got; i++, c->received++)
			if (c->received < SAMPLES_MAX)
				c->latency[c->received] =
					(float)(now - c->since[c->received % c->depth]);
		if (now < end)
			error = post(c, got);
	}
	return error;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int floor_run(uint32_t depth, double seconds, int processor, struct load_result *result)
{
	struct client c = {.depth = depth};
	int pair[2], error = 0;
	double start;
	pid_t child;

	if (depth > RING || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -EINVAL;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		_exit(serve(pair[1], processor));
	}
	close(pair[1]);
	c.socket = pair[0];
	c.since = calloc(depth, sizeof(*c.since));
	c.latency = calloc(SAMPLES_MAX, sizeof(*c.latency));
	if (child < 0 || !c.since || !c.latency)
		error = -ENOMEM;
	start = output_now();
	if (!error)
		error = drive(&c, seconds);
	if (!error) {
		uint64_t n = c.received < SAMPLES_MAX ? c.received : SAMPLES_MAX;

		*result =
			(struct load_result){.calls = c.received, .seconds = output_now() - start};
		qsort(c.latency, n, sizeof(*c.latency), by_value);
		result->p50_us = 1e6 * (double)c.latency[n / 2];
		result->p99_us = 1e6 * (double)c.latency[n * 99 / 100];
	}
	close(c.socket);
	if (child > 0)
		waitpid(child, NULL, 0);
	free(c.latency);
	free(c.since);
	return error;
}
