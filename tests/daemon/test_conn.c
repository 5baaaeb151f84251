/* SPDX-License-Identifier: Apache-2.0 */
/* A connection and its owner's turns, with requests that are answered on the spot. */
#include <check.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/job/job.h"
#include "daemon/job/service.h"
#include "daemon/net/conn.h"
#include "tests/suite.h"

#define REQUESTS 300

static struct config config = {
	.send_bytes = 1000, .stall_seconds = 30, .in_flight = 1000, .mapped_bytes = 5000};
static struct service service = {.config = &config};
static struct conn *conn;
static struct wire *client;
static uint32_t watched;
static int epoll;
static bool listed; /* to be flushed at the end of the turn */

static void owner_watch(void *peer, uint32_t events)
{
	struct epoll_event event = {.events = events};

	(void)peer;
	watched = events;
	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_MOD, conn_fd(conn), &event), 0);
}

static void owner_dirty(void *peer)
{
	(void)peer;
	ck_assert_msg(!listed, "it is in the owner's list already");
	listed = true;
}

static const struct conn_owner owner = {
	.service = &service, .watch = owner_watch, .dirty = owner_dirty};

static void frame_send(Facet__Wire__ClientFrame__KindCase kind, uint64_t id)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Request request = FACET__WIRE__REQUEST__INIT;
	Facet__Wire__Hello hello = FACET__WIRE__HELLO__INIT;

	frame.kind_case = kind;
	hello.major = WIRE_MAJOR;
	request.id = id;
	if (kind == FACET__WIRE__CLIENT_FRAME__KIND_HELLO)
		frame.hello = &hello;
	else
		frame.request = &request; /* without a body: UNIMPLEMENTED */
	ck_assert_int_eq(wire_queue(client, &frame.base, NULL, 0), 0);
}

static bool reply_memory(void)
{
	static const uint8_t bulk[2000];
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	int fd = wire_memfd(bulk, sizeof(bulk));

	ck_assert_int_ge(fd, 0);
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_REPLY;
	frame.reply = &reply;
	frame.fds = 1;
	ck_assert_int_eq(conn_send(conn, &frame, &fd, 1), 0);
	listed = false;
	return conn_flush(conn);
}

static void start_with(unsigned requests)
{
	struct epoll_event event = {.events = EPOLLIN};
	int pair[2];

	log_init(&service.log, LOG_LEVEL_ERROR);
	ck_assert_int_eq(tenants_create(&config, getuid(), &service.tenants), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	client = wire_create(pair[1]);
	watched = EPOLLIN;
	conn = conn_create(pair[0], &owner, NULL, NULL);
	ck_assert_ptr_nonnull(conn);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, conn_fd(conn), &event), 0);
	frame_send(FACET__WIRE__CLIENT_FRAME__KIND_HELLO, 0);
	for (uint64_t i = 1; i <= requests; i++)
		frame_send(FACET__WIRE__CLIENT_FRAME__KIND_REQUEST, i);
	ck_assert_int_eq(wire_flush(client), 0);
}

static void start(void)
{
	start_with(REQUESTS);
}

static void stop(void)
{
	conn_free(conn);
	wire_free(client);
	close(epoll);
	job_store_free(&service);
	tenants_free(service.tenants);
}

static void ready(void)
{
	struct epoll_event event;

	if (epoll_wait(epoll, &event, 1, 0) == 1)
		ck_assert(conn_ready(conn, event.events));
}

static void flush(void)
{
	while (listed) {
		listed = false;
		ck_assert(conn_flush(conn));
	}
}

static unsigned answers(void)
{
	struct wire_frame frame;
	unsigned count = 0;

	ck_assert_int_ge(wire_fill(client), 0);
	while (wire_next(client, &frame) == 1)
		count++;
	return count;
}

/* What was read and not yet handled when too many replies waited is not forgotten. */
START_TEST(test_all_requests_are_answered)
{
	unsigned count = 0;

	start();
	for (int turn = 0; turn < 2 * REQUESTS; turn++) {
		ready();
		flush();
		count += answers();
	}
	ck_assert_uint_eq(count, 1 + REQUESTS);
	stop();
}
END_TEST

START_TEST(test_a_turn_flushes_once)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_REPLY;
	frame.reply = &reply;
	start();
	ready();
	ck_assert(listed);
	/* A job of it ends in the same turn. */
	ck_assert_int_eq(conn_send(conn, &frame, NULL, 0), 0);
	flush();
	stop();
}
END_TEST

/* Memory that is handed over counts, wherever it waits: here it has left for the socket. */
START_TEST(test_memory_of_replies_counts)
{
	struct epoll_event event;
	struct wire_frame frame;
	unsigned count = 0;
	int fd;

	start_with(20);
	ck_assert(reply_memory());
	ck_assert(!conn_unsent(conn));
	ck_assert_msg(!(watched & EPOLLIN), "it is read from although it does not read");
	ready();
	flush();
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0); /* nothing to do until it reads */
	ck_assert_int_gt(wire_fill(client), 0);
	ck_assert_int_eq(wire_next(client, &frame), 1);
	ck_assert_int_eq(wire_take_fds(client, &fd, 1), 0);
	close(fd);
	for (int turn = 0; turn < 40; turn++) {
		ready();
		flush();
		count += answers();
	}
	ck_assert_uint_eq(count, 1 + 20);
	stop();
}
END_TEST

START_TEST(test_who_leaves_memory_is_dropped)
{
	start_with(0);
	ready();
	flush();
	ck_assert(reply_memory());
	ck_assert(conn_check(conn, service_now() + 29000000000ull));
	ck_assert(!conn_check(conn, service_now() + 31000000000ull));
	stop();
}
END_TEST

START_TEST(test_memory_has_a_bound)
{
	start_with(0);
	ck_assert(reply_memory());
	ck_assert(reply_memory());
	ck_assert(!reply_memory());
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conn");
	TCase *tcase = tcase_create("conn");

	tcase_add_test(tcase, test_all_requests_are_answered);
	tcase_add_test(tcase, test_a_turn_flushes_once);
	tcase_add_test(tcase, test_memory_of_replies_counts);
	tcase_add_test(tcase, test_who_leaves_memory_is_dropped);
	tcase_add_test(tcase, test_memory_has_a_bound);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
