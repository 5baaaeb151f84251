/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics socket on an event loop that the test turns. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/net/scrape.h"
#include "tests/suite.h"

static char folder[] = "/tmp/facet-scrape-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static sd_event *event;
static struct scrape *scrape;

static void print(void *user, FILE *out)
{
	(void)user;
	fputs("facet_ready 1\n", out);
}

static void setup(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/metrics", folder);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_ge(sd_event_new(&event), 0);
	ck_assert_int_eq(scrape_start(event, fd, print, NULL, &scrape), 0);
}

static void teardown(void)
{
	scrape_stop(scrape);
	sd_event_unref(event);
	unlink(address.sun_path);
	rmdir(folder);
}

static int client_open(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Turns until nothing happens for so long; how many there were, at most 1000. */
static unsigned turns(uint64_t us)
{
	unsigned n = 0;

	while (n < 1000 && sd_event_run(event, us) > 0)
		n++;
	return n;
}

static void expect_text(int fd)
{
	char text[512] = "";

	ck_assert_int_gt(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), 0);
	ck_assert_ptr_nonnull(strstr(text, "facet_ready 1\n"));
	close(fd);
}

START_TEST(test_answers_with_and_without_a_request)
{
	int silent = client_open(), asks = client_open();

	ck_assert_int_eq(send(asks, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
	ck_assert_uint_lt(turns(500000), 20);
	expect_text(asks);
	expect_text(silent);
}
END_TEST

START_TEST(test_without_descriptors_it_waits)
{
	struct rlimit full, none;
	int fd = client_open();

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &full), 0);
	none = full;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_uint_lt(turns(100000), 10);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
	ck_assert_uint_lt(turns(1500000), 10);
	expect_text(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scrape");
	TCase *tcase = tcase_create("scrape");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_answers_with_and_without_a_request);
	tcase_add_test(tcase, test_without_descriptors_it_waits);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
