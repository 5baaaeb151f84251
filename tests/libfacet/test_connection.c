/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a daemon that is absent, slow, wrong, or restarts. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "host/libfacet/facet.h"
#include "tests/libfacet/fake.h"
#include "tests/suite.h"

static struct fake *f;
static struct facet *c;

static void setup(void)
{
	f = fake_start();
}

static void teardown(void)
{
	facet_close(c);
	c = NULL;
	fake_stop(f);
}

static void up(int (*handler)(struct fake *, const Facet__Wire__Request *, const int *, uint32_t))
{
	struct facet_params p = {.size = sizeof(p), .reconnect_ms = 2000, .in_flight = 256};

	f->handler = handler;
	fake_run(f);
	ck_assert_int_eq(facet_connect(f->path, &p, &c), 0);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void expect(int result, int code, const char *word)
{
	ck_assert_msg(result == -code, "%d (%s) instead of %d", result, facet_error(c)->text,
		      -code);
	ck_assert_int_eq(facet_error(c)->code, code);
	ck_assert_msg(strstr(facet_error(c)->text, word) != NULL, "%s", facet_error(c)->text);
}

/* ---- connecting ---------------------------------------------------------------------------------- */
START_TEST(no_daemon)
{
	fake_run(f);
	fake_pause(f);
	expect(facet_connect(f->path, NULL, &c), FACET_EUNAVAILABLE, "no facetd at");
	expect(facet_ping(c, NULL, 0, NULL), FACET_EUNAVAILABLE, "no facetd at");
	fake_resume(f);
}
END_TEST

START_TEST(path_too_long)
{
	char path[300];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	expect(facet_connect(path, NULL, &c), FACET_EINVALID_ARGUMENT, "longer than 107");
	fake_run(f);
}
END_TEST

START_TEST(path_from_environment)
{
	fake_run(f);
	setenv("FACET_SOCKET", f->path, 1);
	ck_assert_int_eq(facet_connect(NULL, NULL, &c), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
}
END_TEST

/* Without a socket of the system's, a user finds the daemon he started himself. */
START_TEST(path_of_a_users_own_daemon)
{
	char folder[96], link[128];
	bool root = geteuid() == 0;

	fake_run(f);
	if (!access(FACET_SOCKET_DEFAULT, F_OK))
		return;
	snprintf(folder, sizeof(folder), "%s/facet", f->dir);
	snprintf(link, sizeof(link), "%s/facet.sock", folder);
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	ck_assert_int_eq(symlink(f->path, link), 0);
	unsetenv("FACET_SOCKET");
	setenv("XDG_RUNTIME_DIR", f->dir, 1);
	if (root) {
		expect(facet_connect(NULL, NULL, &c), FACET_EUNAVAILABLE, FACET_SOCKET_DEFAULT);
		facet_close(c);
		/* Another user, but one whom no folder on the way keeps out. */
		ck_assert(!prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP));
		ck_assert(!seteuid(65534));
	}
	ck_assert_msg(!facet_connect(NULL, NULL, &c), "%s", facet_error(c)->text);
	ck_assert(!root || !seteuid(0));
	unlink(link);
	rmdir(folder);
}
END_TEST

START_TEST(other_version)
{
	f->major = WIRE_MAJOR + 1;
	fake_run(f);
	expect(facet_connect(f->path, NULL, &c), FACET_EFAILED_PRECONDITION, "version 2");
	expect(facet_ping(c, NULL, 0, NULL), FACET_EFAILED_PRECONDITION, "version 2");
}
END_TEST

START_TEST(refused_at_the_door)
{
	Facet__Wire__Error e = FACET__WIRE__ERROR__INIT;

	e.code = FACET__WIRE__CODE__PERMISSION_DENIED;
	e.text = "ask the operator";
	f->fatal = &e;
	fake_run(f);
	expect(facet_connect(f->path, NULL, &c), FACET_EPERMISSION_DENIED, "ask the operator");
}
END_TEST

START_TEST(silent_daemon)
{
	struct facet_params p = {.size = sizeof(p), .timeout_ms = 100};
	uint64_t start = now_ms();

	f->major = 0;
	fake_run(f);
	expect(facet_connect(f->path, &p, &c), FACET_EUNAVAILABLE, "does not answer");
	ck_assert_uint_ge(now_ms() - start, 99);
	ck_assert_uint_lt(now_ms() - start, 2000);
}
END_TEST

START_TEST(bad_params)
{
	struct {
		struct facet_params p;
		uint64_t later;
	} big = {.p = {.size = sizeof(big)}};
	struct facet_params p = {0};

	fake_run(f);
	expect(facet_connect(f->path, &p, &c), FACET_EINVALID_ARGUMENT, "size");
	facet_close(c);
	p = (struct facet_params){.size = sizeof(p), .in_flight = 65537};
	expect(facet_connect(f->path, &p, &c), FACET_EINVALID_ARGUMENT, "in_flight");
	facet_close(c);
	big.later = 1;
	expect(facet_connect(f->path, &big.p, &c), FACET_EINVALID_ARGUMENT, "update libfacet");
	facet_close(c);
	big.later = 0;
	ck_assert_int_eq(facet_connect(f->path, &big.p, &c), 0);
	facet_close(c);
	/* an older caller's struct */
	p.size = sizeof(size_t);
	ck_assert_int_eq(facet_connect(f->path, &p, &c), 0);
	ck_assert_str_eq(facet_error(NULL)->text, "out of memory");
}
END_TEST

/* ---- calls ----------------------------------------------------------------------------------------- */
START_TEST(echo)
{
	char out[100] = "", big[100000], back[100000];

	up(NULL);
	ck_assert_int_eq(facet_ping(c, "hello", 6, out), 0);
	ck_assert_str_eq(out, "hello");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 17 >> 3);
	ck_assert_int_eq(facet_ping(c, big, sizeof(big), back), 0);
	ck_assert_int_eq(memcmp(big, back, sizeof(big)), 0);
	ck_assert_int_eq(facet_ping(c, NULL, 0, NULL), 0);
	ck_assert_uint_eq(facet_in_flight(c), 0);
}
END_TEST

static int fail_them(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	static const Facet__Wire__Code codes[] = {FACET__WIRE__CODE__NOT_FOUND,
						  FACET__WIRE__CODE__OVERLOADED,
						  FACET__WIRE__CODE__OK, (Facet__Wire__Code)77};

	(void)fds;
	(void)n;
	fake_error(fake, r->id, codes[fake->step], fake->step == 3 ? "" : "do this");
	fake->step++;
	return 0;
}

START_TEST(errors)
{
	up(fail_them);
	expect(facet_ping(c, NULL, 0, NULL), FACET_ENOT_FOUND, "do this");
	ck_assert(!facet_error(c)->retryable);
	expect(facet_ping(c, NULL, 0, NULL), FACET_EOVERLOADED, "do this");
	ck_assert(facet_error(c)->retryable);
	ck_assert_uint_eq(facet_error(c)->retry_after_ms, 25);
	expect(facet_ping(c, NULL, 0, NULL), FACET_EINTERNAL, "do this");
	expect(facet_ping(c, NULL, 0, NULL), FACET_EINTERNAL, "internal error");
	ck_assert_str_eq(facet_code_name(-FACET_ENOT_FOUND), "not found");
	ck_assert_str_eq(facet_code_name(99), "unknown code");
	ck_assert_str_eq(facet_code_name(INT32_MIN), "unknown code");
}
END_TEST

/* Answers once ten have come, the last first. */
static int backwards(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Echo body = FACET__WIRE__ECHO__INIT;
	uint8_t byte;

	(void)fds;
	(void)n;
	fake->ids[fake->step++] = r->id;
	if (fake->step < 10)
		return 0;
	while (fake->step) {
		byte = (uint8_t)fake->step;
		reply.body_case = FACET__WIRE__REPLY__BODY_ECHO;
		reply.echo = &body;
		body.payload = (ProtobufCBinaryData){1, &byte};
		fake_reply(fake, &reply, fake->ids[--fake->step]);
	}
	return 0;
}

START_TEST(asynchronous)
{
	struct facet_call how = {.size = sizeof(how), .timeout_ns = 5000000000u, .tag = 3};
	struct facet_completion done = {.size = sizeof(done)};
	uint8_t replies[200] = {0};
	int seen = 0, got[200] = {0};
	uint64_t id, ids[200];

	up(backwards);
	for (int i = 0; i < 200; i++) {
		how.user = &got[i];
		ck_assert_int_eq(facet_submit_ping(c, "x", 1, &replies[i], &how, &ids[i]), 0);
	}
	ck_assert_uint_eq(facet_in_flight(c), 200);
	ck_assert_int_eq(facet_next(c, &done), 0);
	ck_assert_int_eq(facet_process(c), 0);
	while (seen < 200) {
		struct pollfd pfd = {.fd = facet_fd(c), .events = POLLIN};

		while (facet_next(c, &done) == 1) {
			int i = (int)((int *)done.user - got);

			ck_assert_int_eq(done.result, 0);
			ck_assert_uint_eq(done.id, ids[i]);
			ck_assert_int_eq(replies[i], i % 10 + 1);
			ck_assert_int_eq(got[i]++, 0);
			seen++;
		}
		if (seen < 200) {
			ck_assert_int_eq(poll(&pfd, 1, 5000), 1);
			ck_assert_int_eq(facet_process(c), 0);
		}
	}
	/* What was fetched is gone. */
	ck_assert_int_eq(facet_wait(c, ids[0], &done), -FACET_ENOT_FOUND);
	ck_assert_int_eq(facet_wait(c, 0, &done), -FACET_ENOT_FOUND);
	ck_assert_int_eq(facet_cancel(c, ids[0]), -FACET_ENOT_FOUND);
	/* The tenth of these is waited for; the nine before it are left to be taken. */
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(facet_submit_ping(c, "x", 1, NULL, NULL, &id), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_uint_eq(facet_in_flight(c), 9);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(facet_wait(c, 0, &done), 0);
	ck_assert_uint_eq(facet_in_flight(c), 0);
}
END_TEST

static int silence(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	(void)fds;
	(void)n;
	fake->ids[fake->step++ & 255] = r->id;
	return 0;
}

START_TEST(bounded_in_flight)
{
	uint64_t id;

	up(silence);
	for (int i = 0; i < 256; i++)
		ck_assert_int_eq(facet_submit_ping(c, "x", 1, NULL, NULL, &id), 0);
	expect(facet_submit_ping(c, "x", 1, NULL, NULL, &id), FACET_EOVERLOADED, "256 calls");
}
END_TEST

/* The first request is answered only after the second has come, too late for its deadline. */
static int late(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	if (fake->step++ == 0) {
		ck_assert_uint_gt(r->deadline_ns, 0);
		fake->ids[0] = r->id;
		return 0;
	}
	if (fake->ids[0]) {
		Facet__Wire__Request first = *r;

		first.id = fake->ids[0];
		fake->ids[0] = 0;
		fake_echo(fake, &first, fds, n);
	}
	return fake_echo(fake, r, fds, n);
}

START_TEST(deadline)
{
	struct facet_call how = {.size = sizeof(how), .timeout_ns = 60000000};
	uint64_t start = now_ms();
	char reply = 0;

	up(late);
	ck_assert_int_eq(facet_defaults(c, &how), 0);
	expect(facet_ping(c, "a", 1, &reply), FACET_EDEADLINE_EXCEEDED, "deadline");
	ck_assert_uint_ge(now_ms() - start, 59);
	ck_assert_int_eq(facet_defaults(c, NULL), 0);
	ck_assert_int_eq(facet_ping(c, "b", 1, NULL), 0);
	ck_assert_int_eq(facet_ping(c, "c", 1, NULL), 0);
	ck_assert_int_eq(reply, 0); /* nothing is written after the completion */
	ck_assert_int_eq(f->cancels, 1);
	ck_assert_int_eq(f->connections, 1);
}
END_TEST

START_TEST(deadline_by_poll)
{
	struct facet_call how = {.size = sizeof(how), .timeout_ns = 60000000};
	struct facet_completion done = {.size = sizeof(done)};
	struct pollfd pfd = {.events = POLLIN};
	uint64_t id;

	up(silence);
	pfd.fd = facet_fd(c);
	ck_assert_int_eq(facet_submit_ping(c, "a", 1, NULL, &how, &id), 0);
	ck_assert_int_eq(facet_process(c), 0);
	while (!facet_next(c, &done)) {
		ck_assert_int_eq(poll(&pfd, 1, 3000), 1);
		ck_assert_int_eq(facet_process(c), 0);
	}
	ck_assert_int_eq(done.result, -FACET_EDEADLINE_EXCEEDED);
	ck_assert_int_eq(poll(&pfd, 1, 30), 0); /* and is not readable for ever */
}
END_TEST

/* The daemon would drop the connection, and with it all calls in flight. */
START_TEST(what_no_frame_may_hold)
{
	static uint64_t ids[WIRE_ELEMENTS_MAX + 1];

	up(NULL);
	expect(facet_subject_delete(c, "g", "caf\xe9", NULL, NULL), FACET_EINVALID_ARGUMENT,
	       "UTF-8");
	expect(facet_template_delete(c, "g", ids, WIRE_ELEMENTS_MAX + 1, NULL, NULL),
	       FACET_EINVALID_ARGUMENT, "65536");
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(f->connections, 1);
}
END_TEST

static int cancelled_second(struct fake *fake, const Facet__Wire__Request *r, const int *fds,
			    uint32_t n)
{
	if (fake->step++ == 0) {
		fake->ids[0] = r->id;
		return 0;
	}
	fake_error(fake, fake->ids[0], FACET__WIRE__CODE__CANCELLED, "cancelled");
	return fake_echo(fake, r, fds, n);
}

START_TEST(where_the_time_went)
{
	struct facet_completion done = {.size = sizeof(done)};
	uint64_t id;

	up(NULL);
	ck_assert_int_eq(facet_submit_ping(c, "a", 1, NULL, NULL, &id), 0);
	ck_assert_int_eq(facet_wait(c, id, &done), 0);
	ck_assert_uint_eq(done.timing.queue_ns, 5);
	ck_assert_uint_eq(done.timing.wait_ns, 7);
	ck_assert_str_eq(done.timing.device, "cpu0");
}
END_TEST

START_TEST(cancel)
{
	struct facet_completion done = {.size = sizeof(done)};
	uint64_t id;

	up(cancelled_second);
	ck_assert_int_eq(facet_submit_ping(c, "a", 1, NULL, NULL, &id), 0);
	ck_assert_int_eq(facet_cancel(c, id), 0);
	ck_assert_int_eq(facet_ping(c, "b", 1, NULL), 0);
	ck_assert_int_eq(f->cancels, 1);
	ck_assert_uint_eq(f->cancelled, id);
	ck_assert_int_eq(facet_wait(c, id, &done), 0);
	ck_assert_int_eq(done.result, -FACET_ECANCELLED);
}
END_TEST

/* ---- restarts -------------------------------------------------------------------------------------- */
/* Drops the client at the first two requests, answers from then on. */
static int die_first(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	if (fake->connections < 3)
		return -1;
	return fake_echo(fake, r, fds, n);
}

START_TEST(replayed)
{
	char out[3] = "";

	up(die_first);
	ck_assert_int_eq(facet_ping(c, "ab", 2, out), 0);
	ck_assert_str_eq(out, "ab");
	ck_assert_int_eq(f->connections, 3);
	ck_assert_int_eq(f->requests, 3);
}
END_TEST

static int die_always(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	(void)r;
	(void)fds;
	(void)n;
	fake->step++;
	return -1;
}

START_TEST(replayed_not_for_ever)
{
	up(die_always);
	expect(facet_ping(c, "ab", 2, NULL), FACET_EABORTED, "may or may not");
	ck_assert_int_eq(f->requests, 4);
}
END_TEST

/* Says nothing to "a", and at the first "b" has gone. */
static int die_at_b(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	if (r->echo->payload.data[0] == 'a')
		return 0;
	return fake->connections < 2 ? -1 : fake_echo(fake, r, fds, n);
}

START_TEST(cancelled_not_replayed)
{
	struct facet_completion done = {.size = sizeof(done)};
	uint64_t id;

	up(die_at_b);
	ck_assert_int_eq(facet_submit_ping(c, "a", 1, NULL, NULL, &id), 0);
	ck_assert_int_eq(facet_cancel(c, id), 0);
	ck_assert_int_eq(facet_ping(c, "b", 1, NULL), 0);
	ck_assert_int_eq(f->requests, 3);
	ck_assert_int_eq(facet_wait(c, id, &done), 0);
	ck_assert_int_eq(done.result, -FACET_EABORTED);
}
END_TEST

START_TEST(not_replayed)
{
	struct facet_gallery_params p = {.size = sizeof(p), .dim = 4};

	up(die_always);
	expect(facet_gallery_create(c, "g", &p), FACET_EABORTED, "may or may not");
	expect(facet_gallery_delete(c, "g", NULL, NULL), FACET_EABORTED, "may or may not");
	expect(facet_model_delete(c, "m", false), FACET_EABORTED, "may or may not");
	expect(facet_model_create_memory(c, "m", "x", 1, NULL), FACET_EABORTED, "may or may not");
	ck_assert_int_eq(f->requests, 4);
}
END_TEST

/* Enrolment comes again with the same key, and with its descriptors. */
static int enrol_twice(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__EnrolReply body = FACET__WIRE__ENROL_REPLY__INIT;
	Facet__Wire__Bulk ids = FACET__WIRE__BULK__INIT;
	const Facet__Wire__Bulk *data = r->enrol->probe->vectors->data;
	struct wire_mapping mapping;
	const char *reason;
	static uint64_t list[200];

	ck_assert_uint_eq(r->enrol->key.len, 16);
	ck_assert(data->in_fd);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(wire_map(fds[0], data->offset, data->length, 1 << 30, &mapping, &reason),
			 0);
	ck_assert_uint_eq(mapping.bytes, 200 * 512 * 4);
	ck_assert(((const float *)mapping.data)[199 * 512] == 199);
	wire_unmap(&mapping);
	if (fake->step++ == 0) {
		memcpy(fake->key, r->enrol->key.data, 16);
		return -1;
	}
	ck_assert_int_eq(memcmp(fake->key, r->enrol->key.data, 16), 0);
	ids.data = (ProtobufCBinaryData){sizeof(list), (uint8_t *)list};
	body.ids = &ids;
	body.replayed = true;
	reply.body_case = FACET__WIRE__REPLY__BODY_ENROL;
	reply.enrol = &body;
	fake_reply(fake, &reply, r->id);
	return 0;
}

START_TEST(enrolment_keeps_its_key)
{
	struct facet_enrolled enrolled = {.size = sizeof(enrolled)};
	static float x[200 * 512];
	struct facet_probe probe = {.size = sizeof(probe), .count = 200, .dim = 512, .data = x};
	const char *subject = "one";

	for (int i = 0; i < 200; i++)
		x[i * 512] = (float)i;
	up(enrol_twice);
	ck_assert_int_eq(facet_enrol(c, "g", &probe, &subject, 1, NULL, NULL, &enrolled), 0);
	ck_assert(enrolled.replayed);
	ck_assert_int_eq(f->requests, 2);
}
END_TEST

/* Sent, and then no daemon comes back: it may have happened. */
START_TEST(enrolment_is_given_up)
{
	struct facet_params p = {.size = sizeof(p), .no_reconnect = true};
	float x[4] = {1};
	struct facet_probe probe = {.size = sizeof(probe), .count = 1, .dim = 4, .data = x};
	const char *subject = "one";

	f->handler = die_always;
	fake_run(f);
	ck_assert_int_eq(facet_connect(f->path, &p, &c), 0);
	expect(facet_enrol(c, "g", &probe, &subject, 1, NULL, NULL, NULL), FACET_EABORTED,
	       "with the same key");
	ck_assert(!facet_error(c)->retryable);
	/* This one never went out. */
	expect(facet_enrol(c, "g", &probe, &subject, 1, NULL, NULL, NULL), FACET_EUNAVAILABLE, "");
}
END_TEST

/* Nor does it when the library looks for one in vain. */
START_TEST(enrolment_is_given_up_later)
{
	struct facet_params p = {.size = sizeof(p), .reconnect_ms = 150};
	struct facet_completion done = {.size = sizeof(done)};
	float x[4] = {1};
	struct facet_probe probe = {.size = sizeof(probe), .count = 1, .dim = 4, .data = x};
	const char *subject = "one";
	uint64_t id;

	f->handler = silence;
	fake_run(f);
	ck_assert_int_eq(facet_connect(f->path, &p, &c), 0);
	ck_assert_int_eq(
		facet_submit_enrol(c, "g", &probe, &subject, 1, NULL, NULL, NULL, NULL, &id), 0);
	while (!f->requests)
		facet_process(c);
	fake_pause(f);
	ck_assert_int_eq(facet_wait(c, id, &done), 0);
	ck_assert_int_eq(done.result, -FACET_EABORTED);
	fake_resume(f);
}
END_TEST

START_TEST(gone_then_back)
{
	struct facet_params p = {.size = sizeof(p), .reconnect_ms = 150};
	struct facet_completion done = {.size = sizeof(done)};
	uint64_t id, start;

	fake_run(f);
	ck_assert_int_eq(facet_connect(f->path, &p, &c), 0);
	fake_pause(f);
	start = now_ms();
	expect(facet_ping(c, "x", 1, NULL), FACET_EUNAVAILABLE, "no facetd at");
	ck_assert_uint_ge(now_ms() - start, 149);
	ck_assert_int_lt(facet_process(c), 0);
	ck_assert_int_eq(facet_submit_ping(c, "x", 1, NULL, NULL, &id), 0); /* looks again */
	fake_resume(f);
	ck_assert_int_eq(facet_wait(c, id, &done), 0);
	ck_assert_int_eq(done.result, 0);
	/* Cancelled while there is no daemon: at once. */
	fake_pause(f);
	facet_process(c);
	ck_assert_int_eq(facet_submit_ping(c, "x", 1, NULL, NULL, &id), 0);
	ck_assert_int_eq(facet_cancel(c, id), 0);
	ck_assert_int_eq(facet_wait(c, id, &done), 0);
	ck_assert_int_eq(done.result, -FACET_ECANCELLED);
	fake_resume(f);
}
END_TEST

START_TEST(no_reconnect)
{
	struct facet_params p = {.size = sizeof(p), .no_reconnect = true};

	f->handler = die_always;
	fake_run(f);
	ck_assert_int_eq(facet_connect(f->path, &p, &c), 0);
	expect(facet_ping(c, "x", 1, NULL), FACET_EUNAVAILABLE, "closed the connection");
	expect(facet_ping(c, "x", 1, NULL), FACET_EUNAVAILABLE, "closed the connection");
	ck_assert_int_eq(f->connections, 1);
}
END_TEST

/* ---- a daemon that lies ------------------------------------------------------------------------------ */
static int lies(struct fake *fake, const Facet__Wire__Request *r, const int *fds, uint32_t n)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Hello h = FACET__WIRE__HELLO__INIT;
	int null = 0;

	if (fake->connections > 1)
		return fake_echo(fake, r, fds, n);
	reply.body_case = FACET__WIRE__REPLY__BODY_ECHO;
	reply.echo = r->echo;
	switch (fake->step) {
	case 0: /* an id that was never given */
		fake_reply(fake, &reply, r->id + 1);
		break;
	case 1:
		fake_reply(fake, &reply, 0);
		break;
	case 2: /* descriptors that did not come */
		fake_reply_fds(fake, &reply, r->id, NULL, 0, 1);
		break;
	case 3: /* descriptors not counted */
		null = dup(2);
		fake_reply_fds(fake, &reply, r->id + 1, &null, 1, 0);
		break;
	case 4: /* more than there may be */
		fake_reply_fds(fake, &reply, r->id, NULL, 0, UINT32_MAX);
		break;
	case 5: /* not a message */
		wire_queue_packed(fake->wire, "\x1a\x05", 2, NULL, 0);
		break;
	case 6: /* Hello again */
		frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_HELLO;
		frame.hello = &h;
		h.major = 1;
		wire_queue(fake->wire, &frame.base, NULL, 0);
		break;
	case 7: /* a length of 4 GiB */
		ck_assert_int_eq(write(wire_fd(fake->wire), "\xff\xff\xff\xff", 4), 4);
		break;
	default: /* cut off in the middle */
		ck_assert_int_eq(write(wire_fd(fake->wire), "\x09\x00\x00\x00\x1a", 5), 5);
		return 1;
	}
	return 0;
}

/* Each ends the connection; the call is made again on a new one. */
START_TEST(wrong_frames)
{
	f->step = _i;
	up(lies);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(f->connections, 2);
}
END_TEST

static int answer_twice(struct fake *fake, const Facet__Wire__Request *r, const int *fds,
			uint32_t n)
{
	fake_echo(fake, r, fds, n);
	return fake->connections == 1 ? fake_echo(fake, r, fds, n) : 0;
}

START_TEST(answered_twice)
{
	up(answer_twice);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(f->connections, 2);
}
END_TEST

/* A kind of frame that a later daemon may send is passed over. */
static int unknown_first(struct fake *fake, const Facet__Wire__Request *r, const int *fds,
			 uint32_t n)
{
	wire_queue_packed(fake->wire, "\xa2\x06\x02hi", 5, NULL, 0);
	return fake_echo(fake, r, fds, n);
}

START_TEST(unknown_frame)
{
	up(unknown_first);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(f->connections, 1);
}
END_TEST

/* ---- fork -------------------------------------------------------------------------------------------- */
START_TEST(forked)
{
	struct facet_completion done = {.size = sizeof(done)};
	int status;
	pid_t pid;

	up(NULL);
	ck_assert_int_ge(facet_fd(c), 0);
	pid = fork();
	if (!pid) {
		bool good = facet_ping(c, "x", 1, NULL) == -FACET_EFAILED_PRECONDITION &&
			    facet_process(c) == -FACET_EFAILED_PRECONDITION &&
			    facet_wait(c, 0, &done) == -FACET_EFAILED_PRECONDITION &&
			    facet_fd(c) == -FACET_EFAILED_PRECONDITION;

		facet_close(c);
		_exit(good ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(facet_ping(c, "x", 1, NULL), 0);
	ck_assert_int_eq(f->connections, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection");
	TCase *tc = tcase_create("connection");

	tcase_set_timeout(tc, 5);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, no_daemon);
	tcase_add_test(tc, path_too_long);
	tcase_add_test(tc, path_from_environment);
	tcase_add_test(tc, path_of_a_users_own_daemon);
	tcase_add_test(tc, other_version);
	tcase_add_test(tc, refused_at_the_door);
	tcase_add_test(tc, silent_daemon);
	tcase_add_test(tc, bad_params);
	tcase_add_test(tc, echo);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, asynchronous);
	tcase_add_test(tc, bounded_in_flight);
	tcase_add_test(tc, deadline);
	tcase_add_test(tc, deadline_by_poll);
	tcase_add_test(tc, what_no_frame_may_hold);
	tcase_add_test(tc, where_the_time_went);
	tcase_add_test(tc, cancel);
	tcase_add_test(tc, replayed);
	tcase_add_test(tc, replayed_not_for_ever);
	tcase_add_test(tc, cancelled_not_replayed);
	tcase_add_test(tc, not_replayed);
	tcase_add_test(tc, enrolment_keeps_its_key);
	tcase_add_test(tc, enrolment_is_given_up);
	tcase_add_test(tc, enrolment_is_given_up_later);
	tcase_add_test(tc, gone_then_back);
	tcase_add_test(tc, no_reconnect);
	tcase_add_loop_test(tc, wrong_frames, 0, 9);
	tcase_add_test(tc, answered_twice);
	tcase_add_test(tc, unknown_frame);
	tcase_add_test(tc, forked);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
