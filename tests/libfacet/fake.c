/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/libfacet/fake.h"

static void send_frame(struct fake *f, Facet__Wire__ServerFrame *frame, const int *fds,
		       uint32_t count)
{
	ck_assert_int_eq(wire_queue(f->wire, &frame->base, fds, count), 0);
}

void fake_reply_fds(struct fake *f, Facet__Wire__Reply *reply, uint64_t id, const int *fds,
		    uint32_t count, uint32_t say)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;

	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_REPLY;
	frame.reply = reply;
	frame.fds = say;
	reply->id = id;
	send_frame(f, &frame, fds, count);
}

void fake_reply(struct fake *f, Facet__Wire__Reply *reply, uint64_t id)
{
	fake_reply_fds(f, reply, id, NULL, 0, 0);
}

void fake_error(struct fake *f, uint64_t id, Facet__Wire__Code code, const char *text)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Error error = FACET__WIRE__ERROR__INIT;

	error.code = code;
	error.text = (char *)text;
	error.retryable = code == FACET__WIRE__CODE__OVERLOADED;
	error.retry_after_ms = error.retryable ? 25 : 0;
	reply.error = &error;
	fake_reply(f, &reply, id);
}

int fake_echo(struct fake *f, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Timing timing = FACET__WIRE__TIMING__INIT;

	(void)fds;
	(void)n;
	ck_assert_int_eq(r->body_case, FACET__WIRE__REQUEST__BODY_ECHO);
	timing.device = "cpu0";
	timing.queue_ns = 5;
	timing.wait_ns = 7;
	reply.timing = &timing;
	reply.body_case = FACET__WIRE__REPLY__BODY_ECHO;
	reply.echo = r->echo;
	fake_reply(f, &reply, r->id);
	return 0;
}

static void hello(struct fake *f)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Hello h = FACET__WIRE__HELLO__INIT;

	if (f->fatal) {
		frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_FATAL;
		frame.fatal = (Facet__Wire__Error *)f->fatal;
		send_frame(f, &frame, NULL, 0);
		return;
	}
	if (!f->major)
		return;
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_HELLO;
	frame.hello = &h;
	h.major = f->major;
	h.instance = (uint64_t)f->connections;
	send_frame(f, &frame, NULL, 0);
}

static int on_frame(struct fake *f, const Facet__Wire__ClientFrame *frame)
{
	int fds[WIRE_FDS_MAX], verdict = 0;

	if (wire_take_fds(f->wire, fds, frame->fds))
		return -1;
	if (frame->kind_case == FACET__WIRE__CLIENT_FRAME__KIND_HELLO) {
		hello(f);
		verdict = f->fatal != NULL;
	} else if (frame->kind_case == FACET__WIRE__CLIENT_FRAME__KIND_CANCEL) {
		f->cancelled = frame->cancel->id;
		f->cancels++;
	} else {
		f->requests++;
		verdict = (f->handler ? f->handler : fake_echo)(f, frame->request, fds, frame->fds);
	}
	for (uint32_t i = 0; i < frame->fds; i++)
		close(fds[i]);
	return verdict;
}

/* False when the connection is over. */
static bool serve(struct fake *f)
{
	struct wire_frame data;
	ProtobufCMessage *message;
	int verdict = 0;

	if (wire_fill(f->wire) < 0)
		return false;
	while (!verdict && wire_next(f->wire, &data) == 1) {
		wire_arena_reset(f->arena);
		ck_assert_int_eq(wire_decode(&facet__wire__client_frame__descriptor, data.data,
					     data.length, f->arena, &message),
				 0);
		verdict = on_frame(f, (Facet__Wire__ClientFrame *)message);
	}
	if (verdict >= 0)
		wire_flush(f->wire);
	return !verdict;
}

static void *run(void *arg)
{
	struct fake *f = arg;

	for (;;) {
		struct pollfd pfd[2] = {
			{.fd = f->quit[0], .events = POLLIN},
			{.fd = f->wire ? wire_fd(f->wire) : f->listener, .events = POLLIN}};

		if (f->wire && wire_pending(f->wire))
			pfd[1].events |= POLLOUT;
		poll(pfd, 2, -1);
		if (pfd[0].revents)
			break;
		if (!f->wire) {
			f->wire = wire_create(accept(f->listener, NULL, NULL));
			f->connections++;
		} else if (!serve(f)) {
			wire_free(f->wire);
			f->wire = NULL;
		}
	}
	wire_free(f->wire);
	f->wire = NULL;
	return NULL;
}

static void bind_path(struct fake *f)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(a.sun_path, f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(f->listener, 8), 0);
	ck_assert_int_eq(pipe(f->quit), 0);
}

struct fake *fake_start(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/facet-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	f->arena = wire_arena_create();
	f->major = WIRE_MAJOR;
	bind_path(f);
	return f;
}

void fake_run(struct fake *f)
{
	ck_assert_int_eq(pthread_create(&f->thread, NULL, run, f), 0);
}

void fake_pause(struct fake *f)
{
	ck_assert_int_eq(write(f->quit[1], "q", 1), 1);
	pthread_join(f->thread, NULL);
	close(f->quit[0]);
	close(f->quit[1]);
	close(f->listener);
	unlink(f->path);
}

void fake_resume(struct fake *f)
{
	bind_path(f);
	fake_run(f);
}

void fake_stop(struct fake *f)
{
	fake_pause(f);
	rmdir(f->dir);
	wire_arena_free(f->arena);
	free(f);
}
