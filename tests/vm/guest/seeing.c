/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator and a developer see of the driver: sensors, what a file uses, the trace, the dump of a
 * reset, and faults on command.
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/suite.h"

#define DEBUG "/sys/kernel/debug/"
#define TRACE DEBUG "tracing/"
#define UNIT  (UINT64_C(1) << 1)

static int fd;
static uint32_t in, out, prog, sync_done;
static uint8_t *from, *to;

/* Echoes of many sizes need no more than this. */
static void setup(void)
{
	fd = node_open();
	ck_assert_int_ge(fd, 0);
	in = node_bo(fd, NODE_BYTES, 0, 0);
	out = node_bo(fd, NODE_BYTES, 0, 0);
	from = node_map(fd, in, NODE_BYTES);
	to = node_map(fd, out, NODE_BYTES);
	prog = node_echo(fd, NODE_BYTES);
	sync_done = node_syncobj(fd);
}

static void teardown(void)
{
	node_board("clear");
	close(fd);
}

/* The first file of this name, read whole. Its length, or -errno. */
static int read_file(const char *pattern, char *text, size_t bytes)
{
	glob_t found = {0};
	int file = -1, n = -ENOENT;

	if (!glob(pattern, 0, NULL, &found))
		file = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	globfree(&found);
	if (file >= 0) {
		size_t got = 0;

		for (;;) {
			ssize_t more = read(file, text + got, bytes - 1 - got);

			if (more <= 0) {
				n = more ? -errno : (int)got;
				break;
			}
			got += (size_t)more;
		}
		close(file);
	}
	text[n > 0 ? n : 0] = '\0';
	return n;
}

static int write_file(const char *pattern, const char *text)
{
	glob_t found = {0};
	int file = -1, err = ENOENT;

	if (!glob(pattern, 0, NULL, &found)) {
		file = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
		err = file < 0 ? errno : 0;
	}
	globfree(&found);
	if (file < 0)
		return err;
	err = write(file, text, strlen(text)) < 0 ? errno : 0;
	close(file);
	return err;
}

static long number_in(const char *pattern)
{
	char text[64];

	ck_assert_msg(read_file(pattern, text, sizeof(text)) > 0, "%s", pattern);
	return strtol(text, NULL, 10);
}

static uint64_t submit(uint32_t ctx)
{
	uint64_t sequence;

	ck_assert_int_eq(node_submit_echo(fd, ctx, prog, out, in, sync_done, &sequence), 0);
	return sequence;
}

static int run(uint32_t ctx)
{
	uint64_t sequence = submit(ctx);

	ck_assert_int_eq(node_wait(fd, sync_done, 30000), 0);
	return -node_state(fd, ctx, sequence).error;
}

/* ---- sensors -------------------------------------------------------------------------------------------- */
START_TEST(sensors)
{
#define HWMON "/sys/class/hwmon/hwmon*/"
	char text[64];

	ck_assert_int_gt(read_file(HWMON "name", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "facet\n");
	read_file(HWMON "temp1_label", text, sizeof(text));
	ck_assert_str_eq(text, "die\n");
	ck_assert_int_eq(number_in(HWMON "temp1_input"), 45000);
	ck_assert_int_eq(number_in(HWMON "temp1_max"), 90000);
	ck_assert_int_eq(number_in(HWMON "temp1_crit"), 100000);
	ck_assert_int_eq(number_in(HWMON "temp1_alarm"), 0);
	ck_assert_int_eq(read_file(HWMON "temp1_min", text, sizeof(text)), -ENOENT);
	read_file(HWMON "power1_label", text, sizeof(text));
	ck_assert_str_eq(text, "power\n");
	ck_assert_int_eq(number_in(HWMON "power1_input"), 25000000);
	ck_assert(node_board("sensor die 95000"));
	ck_assert_int_eq(number_in(HWMON "temp1_input"), 95000);
	ck_assert_int_eq(number_in(HWMON "temp1_alarm"), 1);
	/* It crosses a limit: the driver says so too. */
	for (int i = 0; i < 100 && node_health(fd).state != DRM_FACET_HEALTH_HOT; i++)
		usleep(10000);
	ck_assert_uint_eq(node_health(fd).state, DRM_FACET_HEALTH_HOT);
	ck_assert_uint_ge(node_health(fd).events[3], 1);
	ck_assert(node_board("sensor die 45000"));
	for (int i = 0; i < 100 && node_health(fd).state != DRM_FACET_HEALTH_OK; i++)
		usleep(10000);
	ck_assert_uint_eq(node_health(fd).state, DRM_FACET_HEALTH_OK);
	ck_assert_int_eq(number_in(HWMON "temp1_alarm"), 0);
}
END_TEST

/* ---- what a file uses -------------------------------------------------------------------------------------- */
static uint64_t used(const char *key)
{
	char text[2048], path[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ck_assert_int_gt(read_file(path, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "drm-driver:\tfacet\n"));
	ck_assert_ptr_nonnull(strstr(text, "drm-client-id:\t"));
	at = strstr(text, key);
	ck_assert_msg(at != NULL, "%s", key);
	return strtoull(at + strlen(key) + 1, NULL, 10);
}

START_TEST(use_of_a_file)
{
	uint32_t ctx = node_ctx(fd, UNIT, 0), bank;
	uint64_t before = used("drm-engine-compute:");

	ck_assert_uint_eq(used("drm-total-host:"), 2 * NODE_BYTES / 1024);
	ck_assert_uint_eq(used("drm-total-bank:"), 0);
	bank = node_bo(fd, 1 << 20, DRM_FACET_BO_BANK, 0);
	ck_assert_uint_eq(used("drm-total-bank:"), 1024);
	node_close_bo(fd, bank);
	ck_assert_uint_eq(used("drm-total-bank:"), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(run(ctx), 0);
	ck_assert_uint_gt(used("drm-engine-compute:"), before);
	ck_assert_uint_eq(used("drm-engine-dma:"), 0);
}
END_TEST

/* ---- the trace ------------------------------------------------------------------------------------------------ */
START_TEST(trace_of_a_job)
{
	static char text[65536];
	uint32_t ctx = node_ctx(fd, UNIT, 0);

	ck_assert_int_eq(write_file(TRACE "trace", "\n"), 0);
	ck_assert_int_eq(write_file(TRACE "events/facet/enable", "1"), 0);
	ck_assert_int_eq(run(ctx), 0);
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "1"), 0);
	for (uint32_t was = node_health(fd).unit_resets, i = 0;
	     i < 100 && node_health(fd).unit_resets == was; i++)
		usleep(10000);
	ck_assert_int_eq(write_file(TRACE "events/facet/enable", "0"), 0);
	ck_assert_int_gt(read_file(TRACE "trace", text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "facet_job_begin: "));
	ck_assert_ptr_nonnull(strstr(text, "facet_job_done: "));
	ck_assert_ptr_nonnull(strstr(text, "unit=1 "));
	ck_assert_ptr_nonnull(strstr(text, "facet_job_end: number=1 error=0 status=0"));
	ck_assert_ptr_nonnull(strstr(text, "facet_reset: "));
}
END_TEST

/* ---- faults on command, and the dump of a reset ------------------------------------------------------------------ */
static void no_dump(void)
{
	write_file("/sys/class/devcoredump/devcd*/data", "0"); /* read, or dropped */
}

START_TEST(lost_interrupts)
{
	uint32_t ctx = node_ctx(fd, UNIT, 0);
	uint64_t before = node_health(fd).interrupts_lost;

	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/interrupts", "1"), 0);
	ck_assert_int_eq(run(ctx), 0);
	ck_assert_uint_gt(node_health(fd).interrupts_lost, before);
	ck_assert_int_eq(number_in(DEBUG "facet/*/inject/interrupts"), 0);
}
END_TEST

START_TEST(a_lost_doorbell_is_a_hang)
{
	static char text[65536];
	uint32_t ctx = node_ctx(fd, UNIT, 300), other = node_ctx(fd, UNIT, 0);
	struct drm_facet_ctx_get_state state = {.ctx = ctx};
	uint32_t resets = node_health(fd).unit_resets;

	no_dump();
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/doorbells", "1"), 0);
	ck_assert_int_eq(run(ctx), ETIMEDOUT);
	ck_assert_uint_eq(node_health(fd).unit_resets, resets + 1);
	ck_assert_int_eq(node_submit_echo(fd, ctx, prog, out, in, 0, NULL), ECANCELED);
	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_CTX_GET_STATE, &state), 0);
	ck_assert_uint_eq(state.flags, DRM_FACET_CTX_TIMED_OUT | DRM_FACET_CTX_BANNED);
	ck_assert_uint_eq(state.resets, 1);
	ck_assert_int_eq(state.error, -ETIMEDOUT);
	ck_assert_int_eq(run(other), 0);
	ck_assert_int_gt(read_file("/sys/class/devcoredump/devcd*/data", text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "facet dump 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "reason -110\n"));
	ck_assert_ptr_nonnull(strstr(text, "(accused)"));
	ck_assert_ptr_nonnull(strstr(text, " op 0 tag "));
	ck_assert_ptr_nonnull(strstr(text, "PROGRESS"));
	no_dump();
}
END_TEST

/* An eventfd for resets: told of them, and not of what it did not ask for. */
START_TEST(events)
{
	int asked = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK),
	    second = node_open();
	struct drm_facet_event_fd reset = {.fd = asked, .mask = DRM_FACET_EVENT_RESET};
	struct drm_facet_event_fd error = {.fd = other, .mask = DRM_FACET_EVENT_SENSOR};
	struct pollfd polled = {.fd = asked, .events = POLLIN};
	uint64_t count;

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_EVENT_FD, &reset), 0);
	ck_assert_int_eq(node_call(second, DRM_IOCTL_FACET_EVENT_FD, &error), 0);
	ck_assert_int_eq(poll(&polled, 1, 0), 0);
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "1"), 0);
	ck_assert_int_eq(poll(&polled, 1, 10000), 1);
	ck_assert_int_eq(read(asked, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 1);
	ck_assert_int_lt(read(other, &count, sizeof(count)), 0);
	close(second);
	close(asked);
	close(other);
}
END_TEST

START_TEST(resets_on_command)
{
	struct drm_facet_health before = node_health(fd), after;
	uint32_t ctx = node_ctx(fd, UNIT, 0);
	char text[1024];

	ck_assert_int_gt(read_file(DEBUG "facet/*/units", text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "1 compute0 kind "));
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "3"), EINVAL);
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "-1"), EINVAL);
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "nonsense"), EINVAL);
	/* Under load: the job is nobody's fault and runs again. */
	ck_assert(node_board("fault slow:unit=1,us=200000,count=1"));
	memset(from, 7, NODE_BYTES);
	submit(ctx);
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "1\n"), 0);
	ck_assert_int_eq(node_wait(fd, sync_done, 30000), 0);
	ck_assert_int_eq(node_state(fd, ctx, 1).error, 0);
	node_sync(fd, out, DRM_FACET_FROM_DEVICE);
	ck_assert(to[0] == 7 && to[NODE_BYTES - 1] == 7);
	ck_assert_uint_gt(node_health(fd).unit_resets, before.unit_resets);
	/* Memory is lost with the device: this file is of before. */
	ck_assert_int_eq(write_file(DEBUG "facet/*/inject/reset", "device"), 0);
	for (int i = 0; i < 500 && node_health(fd).device_resets == before.device_resets; i++)
		usleep(10000);
	after = node_health(fd);
	ck_assert_uint_eq(after.device_resets, before.device_resets + 1);
	ck_assert_uint_eq(after.generation, before.generation + 1);
	ck_assert_int_eq(node_submit_echo(fd, ctx, prog, out, in, 0, NULL), ENODEV);
	close(fd);
	setup();
	ck_assert_int_eq(run(node_ctx(fd, UNIT, 0)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("what is to be seen");
	TCase *tc = tcase_create("seeing");

	fd = node_open();
	if (fd < 0) {
		puts("no node of the driver");
		return 77;
	}
	close(fd);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sensors);
	tcase_add_test(tc, use_of_a_file);
	tcase_add_test(tc, trace_of_a_job);
	tcase_add_test(tc, lost_interrupts);
	tcase_add_test(tc, a_lost_doorbell_is_a_hang);
	tcase_add_test(tc, events);
	tcase_add_test(tc, resets_on_command);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
