/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/conn.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/job/job.h"
#include "daemon/job/service.h"

#define CONN_READS	 8    /* of one turn; then others have theirs */
#define CONN_READ_FULL	 8192 /* a shorter read has emptied the socket */
#define CONN_GROUPS	 256
#define CONN_GREETING_NS 10000000000ull
#define CONN_BURST	 4 /* times send_bytes: no client gets more memory than that */

struct conn {
	const struct conn_owner *owner;
	struct service *service;
	void *peer;
	struct wire *wire;
	struct tenant *tenant;
	char via[CONFIG_NAME_MAX + 1]; /* the tenant by whose socket it came, or "" */
	struct job *jobs;
	uint32_t events;
	bool greeted, dirty, over;
	uint64_t opened_ns;
	uint64_t stalled_ns; /* since when more than send_bytes wait; 0: they do not */
	uint64_t memory;     /* bytes in descriptors of replies that the client may not have yet */
};

/* ---- who it is --------------------------------------------------------------------------------- */
static bool conn_fatal(struct conn *conn, enum metrics_drop cause, Facet__Wire__Code code,
		       const char *text);

static void conn_identify_via(struct conn *conn)
{
	const struct tenants *tenants = conn->service->tenants;
	struct tenant *tenant = tenants_named(tenants, conn->via);

	if (tenant && tenant->config->socket) {
		conn->tenant = tenant;
		return;
	}
	/* Never by its uid: behind this socket that says nothing. */
	conn->tenant = tenants_nobody(tenants);
	conn_fatal(conn, DROP_TENANT, FACET__WIRE__CODE__PERMISSION_DENIED,
		   "the tenant of this socket has left the configuration; ask the operator");
}

void conn_identify(struct conn *conn)
{
	struct ucred cred = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	gid_t gids[CONN_GROUPS + 1];
	socklen_t bytes = sizeof(cred);
	socklen_t group_bytes = CONN_GROUPS * sizeof(gid_t);
	uint32_t count = 0;

	if (conn->via[0]) {
		conn_identify_via(conn);
		return;
	}
	if (getsockopt(wire_fd(conn->wire), SOL_SOCKET, SO_PEERCRED, &cred, &bytes) == 0) {
		if (getsockopt(wire_fd(conn->wire), SOL_SOCKET, SO_PEERGROUPS, gids,
			       &group_bytes) == 0)
			count = group_bytes / sizeof(gid_t);
		gids[count++] = cred.gid;
	}
	conn->tenant = tenants_find(conn->service->tenants, cred.uid, gids, count);
}

/* ---- sending ----------------------------------------------------------------------------------- */
static void conn_over(struct conn *conn, enum metrics_drop cause)
{
	if (!conn->over)
		conn->service->metrics.dropped[cause]++;
	conn->over = true;
}

static void conn_watch(struct conn *conn)
{
	uint32_t events = conn->stalled_ns ? 0 : EPOLLIN;

	if (wire_pending(conn->wire))
		events |= EPOLLOUT;
	else if (conn->stalled_ns)
		events |= EPOLLOUT | EPOLLET; /* whenever the client has read something */
	if (events != conn->events)
		conn->owner->watch(conn->peer, events);
	conn->events = events;
}

static void conn_dirty(struct conn *conn)
{
	if (!conn->dirty)
		conn->owner->dirty(conn->peer);
	conn->dirty = true;
}

static uint64_t fds_bytes(const int *fds, uint32_t count)
{
	uint64_t bytes = 0;
	struct stat st;

	for (uint32_t i = 0; i < count; i++)
		if (fstat(fds[i], &st) == 0 && st.st_size > 0)
			bytes += (uint64_t)st.st_size;
	return bytes;
}

/* What a descriptor holds stays until the client has read the frame it came with. */
static void conn_forget(struct conn *conn)
{
	int unread = 0;

	if (conn->memory && !wire_pending(conn->wire) &&
	    ioctl(wire_fd(conn->wire), SIOCOUTQ, &unread) == 0 && !unread)
		conn->memory = 0;
}

/* More waits for the client than it may leave unread. */
static bool conn_clogged(const struct conn *conn)
{
	return wire_pending(conn->wire) + conn->memory > conn->service->config->send_bytes;
}

int conn_send(struct conn *conn, const Facet__Wire__ServerFrame *frame, const int *fds,
	      uint32_t count)
{
	uint64_t bound = conn->service->config->send_bytes * CONN_BURST;
	uint64_t memory = fds_bytes(fds, count);
	int err = wire_queue(conn->wire, &frame->base, fds, count);

	if (err == -EMSGSIZE)
		return err;
	conn->memory += memory;
	if (err < 0 || conn->memory > conn->tenant->mapped_max) {
		conn_over(conn, DROP_STALLED);
	} else if (wire_pending(conn->wire) > bound && wire_flush(conn->wire) >= 0 &&
		   wire_pending(conn->wire) > bound) {
		conn_over(conn, DROP_STALLED);
	}
	conn_dirty(conn);
	return 0;
}

static bool conn_fatal(struct conn *conn, enum metrics_drop cause, Facet__Wire__Code code,
		       const char *text)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Error error = FACET__WIRE__ERROR__INIT;

	error.code = code;
	error.text = (char *)text;
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_FATAL;
	frame.fatal = &error;
	conn_over(conn, cause);
	if (wire_queue(conn->wire, &frame.base, NULL, 0) >= 0)
		wire_flush(conn->wire);
	return false;
}

/* ---- frames ------------------------------------------------------------------------------------ */
static bool conn_hello(struct conn *conn, struct job *job, const Facet__Wire__ClientFrame *frame)
{
	Facet__Wire__ServerFrame answer = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Hello hello = FACET__WIRE__HELLO__INIT;
	bool again = conn->greeted;

	if (frame->hello->major != WIRE_MAJOR) {
		job_drop(job);
		return conn_fatal(conn, DROP_VERSION, FACET__WIRE__CODE__UNIMPLEMENTED,
				  "this daemon speaks version 1 of the wire; use a client of it");
	}
	job_drop(job);
	if (again)
		return conn_fatal(conn, DROP_PROTOCOL, FACET__WIRE__CODE__INVALID_ARGUMENT,
				  "a second hello; send one, first");
	conn->greeted = true;
	hello.major = WIRE_MAJOR;
	hello.minor = WIRE_MINOR;
	hello.software = (char *)"facetd " FACET_VERSION;
	hello.instance = conn->service->instance;
	hello.max_frame = WIRE_FRAME_MAX;
	answer.kind_case = FACET__WIRE__SERVER_FRAME__KIND_HELLO;
	answer.hello = &hello;
	conn_send(conn, &answer, NULL, 0);
	return true;
}

static bool conn_request(struct conn *conn, struct job *job, const Facet__Wire__ClientFrame *frame)
{
	job->request = frame->request;
	job->tenant = conn->tenant;
	job->arrived_ns = service_now();
	conn_attach(conn, job);
	job_admit(job);
	return true;
}

static bool conn_cancel(struct conn *conn, struct job *job, const Facet__Wire__ClientFrame *frame)
{
	uint64_t id = frame->cancel->id;

	job_drop(job);
	for (struct job *j = conn->jobs; j; j = j->next) {
		if (j->request->id == id) {
			job_cancel(j);
			break;
		}
	}
	return true;
}

static bool conn_unknown(struct conn *conn, struct job *job, const Facet__Wire__ClientFrame *frame)
{
	(void)frame;
	job_drop(job);
	return conn_fatal(conn, DROP_PROTOCOL, FACET__WIRE__CODE__INVALID_ARGUMENT,
			  "a frame of no known kind; compare versions");
}

static bool (*const conn_kinds[])(struct conn *, struct job *, const Facet__Wire__ClientFrame *) = {
	[FACET__WIRE__CLIENT_FRAME__KIND__NOT_SET] = conn_unknown,
	[FACET__WIRE__CLIENT_FRAME__KIND_HELLO] = conn_hello,
	[FACET__WIRE__CLIENT_FRAME__KIND_REQUEST] = conn_request,
	[FACET__WIRE__CLIENT_FRAME__KIND_CANCEL] = conn_cancel,
};

static bool conn_wire_error(struct conn *conn, int err)
{
	if (err == -EMSGSIZE)
		return conn_fatal(conn, DROP_PROTOCOL, FACET__WIRE__CODE__INVALID_ARGUMENT,
				  "a frame of no bytes or over 262,144; send bulk data by memfd");
	if (err == -EPROTO)
		return conn_fatal(conn, DROP_PROTOCOL, FACET__WIRE__CODE__INVALID_ARGUMENT,
				  "descriptors and their count in the frame differ, or over 16");
	if (err == -EBADMSG)
		return conn_fatal(conn, DROP_PROTOCOL, FACET__WIRE__CODE__INVALID_ARGUMENT,
				  "not a legal message: malformed, too deep or too large");
	conn->over = true;
	return false;
}

static bool conn_frame(struct conn *conn, const struct wire_frame *bytes)
{
	struct job *job = job_take(conn->service);
	ProtobufCMessage *message = NULL;
	const Facet__Wire__ClientFrame *frame;
	int err;

	if (!job)
		return conn_fatal(conn, DROP_CROWD, FACET__WIRE__CODE__OVERLOADED, "out of memory");
	job->frame_bytes = bytes->length;
	err = wire_decode(&facet__wire__client_frame__descriptor, bytes->data, bytes->length,
			  job->arena, &message);
	frame = (const Facet__Wire__ClientFrame *)message;
	if (!err && frame->fds > WIRE_FDS_MAX)
		err = -EPROTO;
	if (!err)
		err = wire_take_fds(conn->wire, job->fds, frame->fds);
	if (err) {
		job_drop(job);
		return conn_wire_error(conn, err);
	}
	job->fd_count = frame->fds;
	if (!conn->greeted && frame->kind_case != FACET__WIRE__CLIENT_FRAME__KIND_HELLO) {
		job_drop(job);
		return conn_fatal(conn, DROP_PROTOCOL, FACET__WIRE__CODE__INVALID_ARGUMENT,
				  "hello goes first");
	}
	return conn_kinds[frame->kind_case](conn, job, frame);
}

/* Frames that are complete, while the client reads its replies. */
static bool conn_frames(struct conn *conn)
{
	struct wire_frame frame;
	int n = 0;

	while (!conn->over && !conn_clogged(conn) && (n = wire_next(conn->wire, &frame)) > 0)
		if (!conn_frame(conn, &frame))
			return false;
	return n < 0 ? conn_wire_error(conn, n) : !conn->over;
}

bool conn_flush(struct conn *conn)
{
	conn->dirty = false;
	if (conn->over || wire_flush(conn->wire) < 0)
		return false;
	conn_forget(conn);
	if (!conn_clogged(conn))
		conn->stalled_ns = 0;
	else if (!conn->stalled_ns)
		conn->stalled_ns = service_now();
	conn_watch(conn);
	/* Those that were read before too many replies waited: no event would tell of them. */
	return conn_frames(conn);
}

bool conn_ready(struct conn *conn, uint32_t events)
{
	int got = CONN_READ_FULL;

	if (events & EPOLLOUT)
		conn_dirty(conn);
	if (conn->stalled_ns)
		return !(events & (EPOLLERR | EPOLLHUP));
	for (int i = 0; i < CONN_READS && got >= CONN_READ_FULL; i++) {
		got = wire_fill(conn->wire);
		if (got < 0)
			return conn_wire_error(conn, got);
		if (!conn_frames(conn))
			return false;
		if (conn_clogged(conn))
			break;
	}
	return true;
}

bool conn_unsent(const struct conn *conn)
{
	return wire_pending(conn->wire) > 0;
}

bool conn_check(struct conn *conn, uint64_t now_ns)
{
	uint64_t limit = conn->service->config->stall_seconds * 1000000000ull;

	if (!conn->greeted && now_ns - conn->opened_ns > CONN_GREETING_NS)
		return conn_fatal(conn, DROP_GREETING, FACET__WIRE__CODE__DEADLINE_EXCEEDED,
				  "no hello within 10 seconds");
	if (conn->stalled_ns && now_ns - conn->stalled_ns > limit) {
		conn_over(conn, DROP_STALLED);
		return false;
	}
	return !conn->over;
}

/* ---- jobs -------------------------------------------------------------------------------------- */
void conn_attach(struct conn *conn, struct job *job)
{
	job->conn = conn;
	job->prev = NULL;
	job->next = conn->jobs;
	if (job->next)
		job->next->prev = job;
	conn->jobs = job;
}

void conn_detach(struct conn *conn, struct job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		conn->jobs = job->next;
	if (job->next)
		job->next->prev = job->prev;
}

/* ---- the whole --------------------------------------------------------------------------------- */
struct conn *conn_create(int fd, const struct conn_owner *owner, void *peer, const char *tenant)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn)
		conn->wire = wire_create(fd);
	if (!conn || !conn->wire) {
		free(conn);
		close(fd);
		return NULL;
	}
	conn->owner = owner;
	conn->service = owner->service;
	conn->peer = peer;
	conn->events = EPOLLIN;
	if (tenant)
		snprintf(conn->via, sizeof(conn->via), "%s", tenant);
	conn->opened_ns = service_now();
	conn->service->connections++;
	conn->service->metrics.accepted++;
	conn_identify(conn);
	return conn;
}

void conn_free(struct conn *conn)
{
	struct job *job;

	conn->service->connections--;
	while ((job = conn->jobs)) {
		conn->jobs = job->next;
		job_orphan(job);
	}
	wire_free(conn->wire);
	free(conn);
}

int conn_fd(const struct conn *conn)
{
	return wire_fd(conn->wire);
}
