/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection: looking for the daemon, greeting, frames in and out, losing it and finding it
 * again. One socket at a time; a poll of it, or of facet_fd(), covers everything.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "host/libfacet/client.h"

#define MS		1000000ull
#define BACKOFF_FIRST	(5 * MS)
#define BACKOFF_LONGEST (500 * MS)
#define READS_A_TURN	16
#define READ_MORE	8192 /* a read of at least this may have left something */

uint64_t client_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int client_check(struct facet *c)
{
	if (*c->forked)
		return 0;
	return client_fail(&c->error, FACET_EFAILED_PRECONDITION,
			   "this connection belongs to the parent process; connect after fork()");
}

void client_key(struct facet *c, struct client_request *r, const uint8_t *given,
		uint8_t key[FACET_KEY_BYTES])
{
	uint64_t made[2] = {c->nonce, ++c->keys};

	r->keyed = true;
	memcpy(key, given ? (const void *)given : made, FACET_KEY_BYTES);
}

/* ---- losing it ----------------------------------------------------------------------------------- */
static void give_up(struct facet *c)
{
	c->state = CLIENT_LOST;
	client_calls_give_up(c);
}

void client_look(struct facet *c)
{
	uint64_t now = client_now();

	if (c->for_good || c->params.no_reconnect)
		return;
	c->state = CLIENT_DOWN;
	c->retry_at = now;
	c->backoff = BACKOFF_FIRST;
	c->give_up = now + c->params.reconnect_ms * MS;
}

/* c->lost says why. */
static void drop(struct facet *c)
{
	bool was_up = c->state == CLIENT_UP;

	/* Closing alone would not do: a child may hold the socket too. */
	if (c->wire && c->epoll >= 0)
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, wire_fd(c->wire), NULL);
	wire_free(c->wire);
	c->wire = NULL;
	c->want_out = false;
	if (c->for_good || c->params.no_reconnect) {
		client_calls_lost(c);
		give_up(c);
		return;
	}
	if (was_up) {
		client_look(c);
		client_calls_lost(c);
		return;
	}
	c->state = CLIENT_DOWN;
	c->retry_at = client_now() + c->backoff;
	c->backoff = c->backoff * 2 < BACKOFF_LONGEST ? c->backoff * 2 : BACKOFF_LONGEST;
}

static void drop_errno(struct facet *c, int err)
{
	if (err == -ECONNRESET)
		client_fail(&c->lost, FACET_EUNAVAILABLE,
			    "facetd closed the connection; is it running?");
	else
		client_fail(&c->lost, FACET_EINTERNAL, "facetd's side of the connection broke: %s",
			    strerror(-err));
	drop(c);
}

/* ---- finding it ---------------------------------------------------------------------------------- */
static int open_socket(struct facet *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err;

	strcpy(address.sun_path, c->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void watch(struct facet *c)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (c->epoll >= 0)
		epoll_ctl(c->epoll, EPOLL_CTL_ADD, wire_fd(c->wire), &event);
}

static int say_hello(struct facet *c)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Hello hello = FACET__WIRE__HELLO__INIT;

	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_HELLO;
	frame.hello = &hello;
	hello.major = WIRE_MAJOR;
	hello.minor = WIRE_MINOR;
	hello.software = c->software;
	return wire_queue(c->wire, &frame.base, NULL, 0);
}

static void connect_again(struct facet *c, uint64_t now)
{
	int fd = open_socket(c), err = fd;

	if (fd >= 0) {
		c->wire = wire_create(fd);
		err = c->wire ? say_hello(c) : -ENOMEM;
		if (!c->wire)
			close(fd);
	}
	if (err < 0) {
		client_fail(&c->lost, FACET_EUNAVAILABLE,
			    "no facetd at %s (%s): start it, or give its socket with FACET_SOCKET",
			    c->path, strerror(-err));
		drop(c);
		return;
	}
	watch(c);
	c->state = CLIENT_GREETING;
	c->greet_by = now + c->params.timeout_ms * MS;
}

/* ---- what the daemon says ------------------------------------------------------------------------ */
static int on_hello(struct facet *c, const Facet__Wire__Hello *hello)
{
	if (c->state != CLIENT_GREETING)
		return -EBADMSG;
	if (hello->major != WIRE_MAJOR) {
		client_fail(&c->lost, FACET_EFAILED_PRECONDITION,
			    "facetd speaks version %u of the wire, this libfacet %u: update one",
			    hello->major, WIRE_MAJOR);
		c->for_good = true;
		drop(c);
		return 0;
	}
	c->instance = hello->instance;
	c->state = CLIENT_UP;
	return client_calls_resend(c);
}

static int on_fatal(struct facet *c, const Facet__Wire__Error *error)
{
	client_fail_wire(&c->lost, error);
	c->for_good = !error->retryable;
	drop(c);
	return 0;
}

static int on_reply(struct facet *c, const Facet__Wire__Reply *body, const int *fds, uint32_t count)
{
	struct client_reply reply = {body, fds, count};
	struct client_call *call = client_call_find(c, body->id);

	if (c->state != CLIENT_UP || !call || !call->owed)
		return -EBADMSG;
	client_call_answer(c, call, &reply);
	return 0;
}

static int on_frame(struct facet *c, const struct wire_frame *data)
{
	Facet__Wire__ServerFrame *frame;
	ProtobufCMessage *message;
	int fds[WIRE_FDS_MAX], err;

	wire_arena_reset(c->arena);
	err = wire_decode(&facet__wire__server_frame__descriptor, data->data, data->length,
			  c->arena, &message);
	if (err)
		return err;
	frame = (Facet__Wire__ServerFrame *)message;
	if (frame->fds > WIRE_FDS_MAX)
		return -EPROTO;
	err = wire_take_fds(c->wire, fds, frame->fds);
	if (err)
		return err;
	if (frame->kind_case == FACET__WIRE__SERVER_FRAME__KIND_HELLO)
		err = on_hello(c, frame->hello);
	else if (frame->kind_case == FACET__WIRE__SERVER_FRAME__KIND_FATAL)
		err = on_fatal(c, frame->fatal);
	else if (frame->kind_case == FACET__WIRE__SERVER_FRAME__KIND_REPLY)
		err = on_reply(c, frame->reply, fds, frame->fds);
	/* A kind of a later minor version is passed over. */
	for (uint32_t i = 0; i < frame->fds; i++)
		close(fds[i]);
	return err;
}

static void receive(struct facet *c)
{
	struct wire_frame frame;
	int got = READ_MORE, err = 0;

	for (int i = 0; i < READS_A_TURN && got >= READ_MORE; i++) {
		got = wire_fill(c->wire);
		while (c->wire && (err = wire_next(c->wire, &frame)) == 1) {
			err = on_frame(c, &frame);
			if (err)
				break;
		}
		if (!c->wire)
			return;
		if (err || got < 0) {
			drop_errno(c, err ? err : got);
			return;
		}
	}
}

/* What is queued goes out; what the daemon said before it closed the socket is still heard. */
static void transmit(struct facet *c)
{
	int err = wire_flush(c->wire);

	receive(c);
	if (err < 0 && c->wire)
		drop_errno(c, err);
}

/* ---- a turn -------------------------------------------------------------------------------------- */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static uint64_t next_event(const struct facet *c)
{
	uint64_t at = c->next_deadline;

	if (c->state == CLIENT_DOWN)
		at = earlier(at, c->retry_at < c->give_up ? c->retry_at : c->give_up);
	if (c->state == CLIENT_GREETING)
		at = earlier(at, c->greet_by);
	return at;
}

/* Keeps the set behind facet_fd() true. */
static void arm(struct facet *c)
{
	uint64_t at = next_event(c), now = client_now();
	struct itimerspec when = {
		.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
	bool want_out = c->wire && wire_pending(c->wire);
	bool fired = c->timer_at && c->timer_at <= now;

	/* A timer that fires too early does no harm; so one call in thousands sets it. */
	if (fired || (at && (!c->timer_at || at < c->timer_at))) {
		timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &when, NULL);
		c->timer_at = at;
	}
	if (c->wire && want_out != c->want_out) {
		struct epoll_event event = {.events = EPOLLIN | (want_out ? EPOLLOUT : 0)};

		epoll_ctl(c->epoll, EPOLL_CTL_MOD, wire_fd(c->wire), &event);
		c->want_out = want_out;
	}
}

int client_turn(struct facet *c)
{
	uint64_t now = 0;

	if (c->state == CLIENT_UP || c->state == CLIENT_GREETING)
		transmit(c);
	if (c->state != CLIENT_UP || c->next_deadline)
		now = client_now();
	if (c->state == CLIENT_GREETING && now >= c->greet_by) {
		client_fail(&c->lost, FACET_EUNAVAILABLE, "facetd at %s does not answer", c->path);
		drop(c);
	}
	if (c->state == CLIENT_DOWN && now >= c->give_up)
		give_up(c);
	if (c->state == CLIENT_DOWN && now >= c->retry_at) {
		connect_again(c, now);
		if (c->state == CLIENT_GREETING)
			transmit(c);
	}
	client_calls_expire(c, now);
	/* What was sent again, or cancelled, just now. */
	if (c->wire && wire_pending(c->wire) && wire_flush(c->wire) < 0)
		drop_errno(c, -ECONNRESET);
	if (c->epoll >= 0)
		arm(c);
	if (c->state != CLIENT_LOST)
		return 0;
	c->error = c->lost;
	return -c->error.code;
}

int client_block(struct facet *c, uint64_t until)
{
	struct pollfd pfd = {.fd = c->wire ? wire_fd(c->wire) : -1, .events = POLLIN};
	uint64_t at = earlier(until, next_event(c)), now = at ? client_now() : 0, left;
	struct timespec wait;

	if (c->wire && wire_pending(c->wire))
		pfd.events |= POLLOUT;
	left = at > now ? at - now : 0;
	wait = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	return ppoll(&pfd, 1, at ? &wait : NULL, NULL);
}

int facet_process(struct facet *c)
{
	int err = client_check(c);

	return err ? err : client_turn(c);
}

int facet_fd(struct facet *c)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (client_check(c))
		return -c->error.code;
	if (c->epoll >= 0)
		return c->epoll;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->epoll < 0 || c->timer < 0 ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->timer, &event) < 0) {
		client_fail(&c->error, FACET_EUNAVAILABLE, "no file descriptor: %s",
			    strerror(errno));
		close(c->epoll);
		close(c->timer);
		c->epoll = c->timer = -1;
		return -c->error.code;
	}
	if (c->wire)
		watch(c);
	c->want_out = false;
	c->timer_at = 0;
	arm(c);
	return c->epoll;
}

/* ---- a connection's life ------------------------------------------------------------------------- */
static bool allocate(struct facet *c, const char *path)
{
	c->forked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->forked == MAP_FAILED) {
		c->forked = NULL;
		return false;
	}
	madvise(c->forked, 4096, MADV_WIPEONFORK);
	*c->forked = 1;
	c->path = strdup(path);
	c->software = strdup(c->params.software ? c->params.software : "libfacet " FACET_VERSION);
	c->params.software = NULL;
	c->arena = wire_arena_create();
	c->calls = calloc(c->params.in_flight, sizeof(struct client_call *));
	c->free_slots = calloc(c->params.in_flight, sizeof(*c->free_slots));
	return c->path && c->software && c->arena && c->calls && c->free_slots;
}

static int set_params(struct facet *c, const struct facet_params *params)
{
	int err = client_params(c, &c->params, sizeof(c->params), params);

	if (err)
		return err;
	c->params.timeout_ms = c->params.timeout_ms ? c->params.timeout_ms : 5000;
	c->params.reconnect_ms = c->params.reconnect_ms ? c->params.reconnect_ms : 10000;
	c->params.in_flight = c->params.in_flight ? c->params.in_flight : 1024;
	if (c->params.in_flight > 65536)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "in_flight is at most 65536");
	return 0;
}

/* The first connection: no looking around, an answer now. */
static int connect_first(struct facet *c)
{
	uint64_t now = client_now(), until = now + c->params.timeout_ms * MS;

	c->state = CLIENT_DOWN;
	c->give_up = until;
	c->backoff = BACKOFF_FIRST;
	connect_again(c, now);
	while (c->state == CLIENT_GREETING) {
		client_turn(c);
		if (c->state == CLIENT_GREETING)
			client_block(c, until);
	}
	if (c->state == CLIENT_UP)
		return 0;
	c->state = CLIENT_LOST;
	c->for_good = true;
	c->error = c->lost;
	return -c->error.code;
}

/* A daemon that a user has started himself listens in his own folder. */
static const char *default_path(char *own, size_t room)
{
	const char *given = getenv("FACET_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");

	if (given && *given)
		return given;
	if (!geteuid() || !runtime || *runtime != '/' || !access(FACET_SOCKET_DEFAULT, F_OK))
		return FACET_SOCKET_DEFAULT;
	snprintf(own, room, "%s/facet/facet.sock", runtime);
	return own;
}

int facet_connect(const char *path, const struct facet_params *params, struct facet **out)
{
	struct facet *c = calloc(1, sizeof(*c));
	char own[256];
	int err;

	*out = c;
	if (!c)
		return -FACET_EUNAVAILABLE;
	c->epoll = c->timer = -1;
	c->done_first = c->done_last = CLIENT_NONE;
	c->state = CLIENT_LOST;
	c->for_good = true;
	err = set_params(c, params);
	if (err)
		return err;
	if (!path || !*path)
		path = default_path(own, sizeof(own));
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "the socket's path is longer than 107 bytes");
	if (!allocate(c, path) || getrandom(&c->nonce, sizeof(c->nonce), 0) != sizeof(c->nonce))
		return client_fail(&c->error, FACET_EUNAVAILABLE, "out of memory");
	client_params(c, &c->defaults, sizeof(c->defaults), NULL);
	c->for_good = false;
	return connect_first(c);
}

int facet_defaults(struct facet *c, const struct facet_call *call)
{
	return client_params(c, &c->defaults, sizeof(c->defaults), call);
}

void facet_close(struct facet *c)
{
	if (!c)
		return;
	wire_free(c->wire); /* in a child too: the parent has its own descriptor */
	if (c->epoll >= 0)
		close(c->epoll);
	if (c->timer >= 0)
		close(c->timer);
	client_calls_free(c);
	wire_arena_free(c->arena);
	if (c->forked)
		munmap(c->forked, 4096);
	free(c->path);
	free(c->software);
	free(c);
}
