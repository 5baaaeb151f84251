/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boards that come and go: unbound and pulled with jobs under way, refused since they talk nonsense,
 * found while memory is short, past all help, and interrupting without end.
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/suite.h"

#define DRIVER	  "/sys/bus/pci/drivers/facet/"
#define UNIT	  (UINT64_C(1) << 1)
#define NTH_FIRST 100
#define NTH_MAX	  900

static char address[32]; /* of the board on the bus */

static int write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (file < 0)
		return errno;
	if (write(file, text, strlen(text)) < 0)
		err = errno;
	close(file);
	return err;
}

static int of_board(const char *attribute, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, attribute);
	return write_file(path, text);
}

static bool find_board(void)
{
	glob_t found = {0};
	bool is = !glob(DRIVER "0*", 0, NULL, &found);

	if (is)
		snprintf(address, sizeof(address), "%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return is;
}

static void bind_board(void)
{
	ck_assert_int_eq(write_file(DRIVER "bind", address), 0);
}

static void unbind_board(void)
{
	ck_assert_int_eq(write_file(DRIVER "unbind", address), 0);
}

static void replug(void)
{
	ck_assert_int_eq(of_board("remove", "1"), 0);
	ck_assert_int_eq(write_file("/sys/bus/pci/rescan", "1"), 0);
}

/* ---- a client -------------------------------------------------------------------------------------------- */
struct client {
	int fd;
	uint32_t in, out, bank, prog, ctx, sync;
	uint8_t *from, *to;
};

static struct client client_open(uint32_t timeout_ms)
{
	struct client c = {.fd = node_open()};

	ck_assert_int_ge(c.fd, 0);
	c.in = node_bo(c.fd, NODE_BYTES, 0, 0);
	c.out = node_bo(c.fd, NODE_BYTES, 0, 0);
	c.bank = node_bo(c.fd, NODE_BYTES, DRM_FACET_BO_BANK, 0);
	c.from = node_map(c.fd, c.in, NODE_BYTES);
	c.to = node_map(c.fd, c.out, NODE_BYTES);
	c.prog = node_echo(c.fd, NODE_BYTES);
	c.ctx = node_ctx(c.fd, UNIT, timeout_ms);
	c.sync = node_syncobj(c.fd);
	return c;
}

static int client_submit(struct client *c, uint64_t *sequence)
{
	return node_submit_echo(c->fd, c->ctx, c->prog, c->out, c->in, c->sync, sequence);
}

static int client_run(struct client *c, uint8_t value)
{
	struct drm_facet_job_state state = {0};
	struct drm_facet_ctx_get_jobs get = {
		.ctx = c->ctx, .jobs = {(uint64_t)(uintptr_t)&state, 1, sizeof(state)}};
	uint64_t sequence;
	int err;

	memset(c->from, value, NODE_BYTES);
	err = client_submit(c, &sequence);
	if (!err)
		err = node_wait(c->fd, c->sync, 30000);
	get.first = sequence;
	if (!err)
		err = node_call(c->fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &get);
	if (err)
		return err;
	err = -state.error;
	node_sync(c->fd, c->out, DRM_FACET_FROM_DEVICE);
	if (!err)
		ck_assert(c->to[0] == value && !memcmp(c->to, c->to + 1, NODE_BYTES - 1));
	return err;
}

static void works(void)
{
	struct client c = client_open(0);

	ck_assert_int_eq(client_run(&c, 0x21), 0);
	close(c.fd);
}

/* All that a file of a board that is gone still answers. */
static void is_gone(struct client *c)
{
	struct drm_facet_dev_query query = {.type = DRM_FACET_QUERY_HEALTH};
	struct drm_facet_bo_create create = {.size = 4096};
	struct drm_facet_ctx_create ctx = {0};

	ck_assert_int_eq(client_submit(c, NULL), ENODEV);
	ck_assert_int_eq(node_call(c->fd, DRM_IOCTL_FACET_DEV_QUERY, &query), ENODEV);
	ck_assert_int_eq(node_call(c->fd, DRM_IOCTL_FACET_BO_CREATE, &create), ENODEV);
	ck_assert_int_eq(node_call(c->fd, DRM_IOCTL_FACET_CTX_CREATE, &ctx), ENODEV);
	c->to[0] = c->from[1]; /* its memory is still there */
}

/* ---- coming and going ---------------------------------------------------------------------------------------- */
/* The generic part of the kernel refuses calls after an unplug, so what became of jobs is not told. */
START_TEST(unbound_with_jobs)
{
	struct client c = client_open(0), idle = client_open(0);

	ck_assert(node_board("fault hang:unit=1,progress=1,count=1"));
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(client_submit(&c, NULL), 0);
	usleep(20000);
	ck_assert_int_eq(syscall(SYS_delete_module, "facet", O_NONBLOCK), -1);
	unbind_board();
	ck_assert_int_lt(node_open(), 0);
	is_gone(&c);
	is_gone(&idle);
	close(c.fd);
	node_board("clear");
	bind_board();
	works();
	is_gone(&idle); /* of the board that was */
	close(idle.fd);
	works();
}
END_TEST

/* Others hold its memory and its fences. */
START_TEST(unbound_and_shared)
{
	struct client c = client_open(0);
	struct drm_prime_handle memory = {.handle = c.in, .flags = O_RDWR | O_CLOEXEC};
	struct drm_syncobj_handle fence = {
		.handle = c.sync, .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};

	ck_assert_int_eq(client_run(&c, 3), 0);
	ck_assert_int_eq(node_call(c.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &memory), 0);
	ck_assert_int_eq(node_call(c.fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &fence), 0);
	unbind_board();
	close(c.fd);
	bind_board();
	works();
	close(memory.fd);
	close(fence.fd);
	works();
}
END_TEST

START_TEST(pulled_under_load)
{
	pid_t pid[2];
	int status;

	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			struct client c = client_open(0);
			int err;

			do
				err = client_run(&c, (uint8_t)i);
			while (!err);
			_exit(err == ENODEV ? 0 : err);
		}
	}
	usleep(100000);
	ck_assert(node_board("fault gone"));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(status, 0);
	}
	node_board("clear");
	replug();
	works();
}
END_TEST

/* ---- refused ----------------------------------------------------------------------------------------------------- */
/* Registers of the tables lie where the board says; the virtual one's are at these places. */
#define UNITS 0x1000
#define BANKS 0x3000

static const struct {
	uint32_t at, value;
	const char *word;
} nonsense[] = {
	{SHELL_R_MAGIC, 0x12345678, "MAGIC reads 0x12345678"},
	{SHELL_R_MAGIC, 0xffffffff, "MAGIC reads 0xffffffff"},
	{SHELL_R_VERSION, 2u << 16, "VERSION reads 0x20000"},
	{SHELL_R_DEMANDS, 0x80000000, "DEMANDS reads 0x80000000"},
	{SHELL_R_ADDRESS_BITS, 31, "ADDRESS_BITS reads 0x1f"},
	{SHELL_R_ADDRESS_BITS, 65, "ADDRESS_BITS reads 0x41"},
	{SHELL_R_TIME_HZ, 0, "TIME_HZ reads 0x0"},
	{SHELL_R_COUNTS, 0x04020200, "COUNTS reads 0x4020200"},
	{SHELL_R_COUNTS, 0x04020220, "COUNTS reads 0x4020220"},
	{SHELL_R_COUNTS, 0x04024103, "COUNTS reads 0x4024103"},
	{SHELL_R_COUNTS, 0x04210203, "COUNTS reads 0x4210203"},
	{SHELL_R_COUNTS, 0x00020203, "COUNTS reads 0x20203"},
	{SHELL_R_LIMITS, 0x060c1000, "LIMITS reads 0x60c1000"},
	{SHELL_R_LIMITS, 0x06190c06, "LIMITS reads"},
	{SHELL_R_UNIT_TABLE, 0x0ff00 | 0x100u << 20, "UNIT_TABLE reads"},
	{SHELL_R_BANK_TABLE, BANKS | 0x10u << 20, "BANK_TABLE reads"},
	{SHELL_R_SENSOR_TABLE, 0x0fffc | 0x40u << 20, "SENSOR_TABLE reads"},
	{UNITS + SHELL_U_OPS_LO, 0, "a unit's OPS reads 0x0"},
	{BANKS + SHELL_B_SIZE_LO, 100, "a bank's SIZE reads"},
};

/* Has the kernel said so since this file was opened? */
static bool said(int log, const char *word)
{
	char line[1024];
	ssize_t n;
	bool found = false;

	while ((n = read(log, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		found |= strstr(line, "refused: ") && strstr(line, word);
	}
	return found;
}

START_TEST(boards_that_talk_nonsense)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char command[80];

	ck_assert_int_ge(log, 0);
	lseek(log, 0, SEEK_END);
	unbind_board();
	snprintf(command, sizeof(command), "fault wrong-register:address=0x%x,value=0x%x",
		 nonsense[_i].at, nonsense[_i].value);
	ck_assert(node_board(command));
	ck_assert_int_ne(write_file(DRIVER "bind", address), 0);
	ck_assert_msg(said(log, nonsense[_i].word), "%s", nonsense[_i].word);
	ck_assert_int_lt(node_open(), 0);
	ck_assert(node_board("clear"));
	bind_board();
	works();
	close(log);
}
END_TEST

/* A unit of a kind that this driver does not know is left alone, and the others work. */
START_TEST(a_unit_of_the_future)
{
	char command[80];

	unbind_board();
	snprintf(command, sizeof(command), "fault wrong-register:address=0x%x,value=7",
		 UNITS + 0x200 + SHELL_U_KIND);
	ck_assert(node_board(command));
	bind_board();
	works();
	unbind_board();
	ck_assert(node_board("clear"));
	bind_board();
}
END_TEST

/* Each allocation of a probe fails once: it is refused or found, and found the next time. */
START_TEST(found_while_memory_is_short)
{
	/* The first are DRM's own (drm_dev_init), which in 6.12 follows a NULL pointer if they fail. */
	int refused = 0, nth = NTH_FIRST, left = 0, knob;

	if (access("/proc/self/fail-nth", W_OK) ||
	    write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N"))
		return;
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	unbind_board();
	for (; !left && nth < NTH_MAX; nth += 1 + nth / 40) {
		char text[16];
		ssize_t n;
		int err;

		knob = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
		snprintf(text, sizeof(text), "%d", nth);
		ck_assert_int_gt(pwrite(knob, text, strlen(text), 0), 0);
		err = write_file(DRIVER "bind", address);
		n = pread(knob, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		left = atoi(text);
		ck_assert_int_gt(pwrite(knob, "0", 1, 0), 0);
		close(knob);
		refused += err != 0;
		if (err)
			ck_assert_int_eq(write_file(DRIVER "bind", address), 0);
		unbind_board();
	}
	printf("allocations %d to %d tried, %d refusals\n", NTH_FIRST, nth, refused);
	bind_board();
	ck_assert_int_gt(refused, 3);
	ck_assert_int_gt(left, 0);
	works();
}
END_TEST

/* ---- past help ------------------------------------------------------------------------------------------------------- */
static void await_state(int fd, uint32_t state)
{
	for (int i = 0; i < 3000 && node_health(fd).state != state; i++)
		usleep(10000);
	ck_assert_uint_eq(node_health(fd).state, state);
}

/* A model may take its time over a reset; the driver waits less for what says that it is silicon. */
static void as_silicon(void)
{
	char command[80];

	unbind_board();
	snprintf(command, sizeof(command), "fault wrong-register:address=0x%x,value=%d",
		 SHELL_R_KIND, SHELL_KIND_SILICON);
	ck_assert(node_board(command));
	bind_board();
}

/* Resets of unit and device never end: that of the bus helps, and memory is lost. */
START_TEST(reset_by_the_bus)
{
	struct client c;
	uint32_t before;

	as_silicon();
	c = client_open(300);
	before = node_health(c.fd).generation;
	ck_assert(node_board("fault stuck-reset:count=2;hang:unit=1,count=1"));
	ck_assert_int_eq(client_run(&c, 1), ENODEV);
	ck_assert_uint_gt(node_health(c.fd).generation, before);
	ck_assert(node_board("clear"));
	close(c.fd);
	works();
	unbind_board();
	bind_board();
}
END_TEST

START_TEST(wedged)
{
	struct drm_facet_bo_create create = {.size = 4096};
	struct client c;

	as_silicon();
	c = client_open(300);
	ck_assert_int_eq(of_board("reset_method", "\n"), 0); /* the bus has none */
	ck_assert(node_board("fault stuck-reset:count=0;hang:unit=1,count=1"));
	ck_assert_int_eq(client_run(&c, 1), EIO);
	await_state(c.fd, DRM_FACET_HEALTH_WEDGED);
	ck_assert_int_eq(client_submit(&c, NULL), EIO);
	ck_assert_int_eq(node_call(c.fd, DRM_IOCTL_FACET_BO_CREATE, &create), EIO);
	close(c.fd);
	ck_assert(node_board("clear"));
	ck_assert(node_board("bus-reset"));
	replug();
	works();
}
END_TEST

START_TEST(storm)
{
	struct client c = client_open(0);
	uint64_t before = node_health(c.fd).storms;

	ck_assert_int_eq(write_file("/sys/module/facet/parameters/storm_limit", "100"), 0);
	ck_assert(node_board("fault storm:vector=2,us=100,count=0"));
	for (int i = 0; i < 200 && node_health(c.fd).storms == before; i++)
		ck_assert_int_eq(client_run(&c, (uint8_t)i), 0);
	ck_assert_uint_gt(node_health(c.fd).storms, before);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(client_run(&c, (uint8_t)i), 0);
	ck_assert(node_board("clear"));
	usleep(1300000); /* it is tried again, and calm */
	ck_assert_int_eq(write_file("/sys/module/facet/parameters/storm_limit", "20000"), 0);
	ck_assert_int_eq(client_run(&c, 5), 0);
	close(c.fd);
	works();
}
END_TEST

START_TEST(link_retrained)
{
	struct client c = client_open(0);

	ck_assert(node_board("fault narrow-link:lanes=1"));
	ck_assert_int_eq(client_run(&c, 1), 0);
	ck_assert(node_board("clear"));
	ck_assert_int_eq(client_run(&c, 1), 0);
	close(c.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boards that come and go");
	TCase *tc = tcase_create("life");

	if (!find_board()) {
		puts("no board of the driver");
		return 77;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, unbound_with_jobs);
	tcase_add_test(tc, unbound_and_shared);
	tcase_add_test(tc, pulled_under_load);
	tcase_add_loop_test(tc, boards_that_talk_nonsense, 0,
			    sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_test(tc, a_unit_of_the_future);
	tcase_add_test(tc, found_while_memory_is_short);
	tcase_add_test(tc, reset_by_the_bus);
	tcase_add_test(tc, wedged);
	tcase_add_test(tc, storm);
	tcase_add_test(tc, link_retrained);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
