/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A board that goes wrong under load from two clients on one unit: each job is right or has an error
 * that is its own, a client whose context was not banned loses nothing, and the board works afterwards.
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suite.h"

#define ROUNDS	   60
#define TIMEOUT_MS 700
#define UNIT	   (UINT64_C(1) << 1)

/* What a client has seen. */
struct seen {
	uint32_t right, wrong, timed_out, cancelled, failed, other;
};

static const struct fault {
	const char *command;
	bool ends_jobs;	 /* some job may end with an error */
	bool unit_reset; /* a reset is due */
	bool device_reset;
} faults[] = {
	{"fault hang:unit=1,count=1", true, true, false},
	{"fault hang:unit=1,count=1,progress=1", true, true, false},
	{"fault lost-completion:unit=1,count=1", true, true, false},
	{"fault lost-irq:unit=1,count=3", false, false, false},
	{"fault late-irq:unit=1,us=30000,count=3", false, false, false},
	{"fault spurious-irq:unit=1,count=20", false, false, false},
	{"fault storm:unit=1,count=1", false, false, false},
	{"fault wrong-sequence:unit=1,count=1", true, true, false},
	{"fault unit-stop:unit=1,count=1", true, true, false},
	{"fault fail:unit=1,status=13,count=2", true, false, false},
	{"fault ecc:unit=1,count=1", true, false, false},
	{"fault slow:unit=1,us=20000,count=10", false, false, false},
	{"fault stuck-reset:count=1;hang:unit=1,count=1", true, false, true},
};

static void one(int fd, uint32_t ctx, uint32_t prog, const uint32_t bo[2], uint32_t sync,
		struct seen *seen, uint8_t *in, const uint8_t *out, uint8_t value)
{
	uint64_t sequence;
	int err;

	memset(in, value, NODE_BYTES);
	err = node_submit_echo(fd, ctx, prog, bo[0], bo[1], sync, &sequence);
	if (!err && node_wait(fd, sync, 20000))
		err = ETIME;
	if (!err)
		err = -node_state(fd, ctx, sequence).error;
	node_sync(fd, bo[0], DRM_FACET_FROM_DEVICE);
	if (!err)
		*(memcmp(in, out, NODE_BYTES) ? &seen->wrong : &seen->right) += 1;
	else
		*(err == ETIMEDOUT   ? &seen->timed_out
		  : err == ECANCELED ? &seen->cancelled
		  : err == EIO	     ? &seen->failed
				     : &seen->other) += 1;
}

/* A banned context is made anew, as a client would. */
static struct seen client(uint8_t first)
{
	int fd = node_open();
	uint32_t bo[2] = {node_bo(fd, NODE_BYTES, 0, 0), node_bo(fd, NODE_BYTES, 0, 0)};
	uint32_t prog = node_echo(fd, NODE_BYTES), sync = node_syncobj(fd);
	uint32_t ctx = node_ctx(fd, UNIT, TIMEOUT_MS);
	uint8_t *out = node_map(fd, bo[0], NODE_BYTES), *in = node_map(fd, bo[1], NODE_BYTES);
	struct seen seen = {0};

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t bad = seen.timed_out + seen.cancelled;

		one(fd, ctx, prog, bo, sync, &seen, in, out, (uint8_t)(first + 2 * i));
		if (seen.timed_out + seen.cancelled != bad)
			ctx = node_ctx(fd, UNIT, TIMEOUT_MS);
	}
	close(fd);
	return seen;
}

static int client_start(uint8_t first, int *from)
{
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		struct seen seen = client(first);

		_exit(write(ends[1], &seen, sizeof(seen)) != sizeof(seen));
	}
	close(ends[1]);
	*from = ends[0];
	return pid;
}

static struct seen client_end(pid_t pid, int from)
{
	struct seen seen = {0};
	int status;

	ck_assert_int_eq(read(from, &seen, sizeof(seen)), sizeof(seen));
	close(from);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	return seen;
}

START_TEST(under_load)
{
	const struct fault *fault = &faults[_i];
	int fd = node_open(), from[2];
	struct drm_facet_health before, after;
	struct seen seen[2], later;
	pid_t pid[2];

	ck_assert_int_ge(fd, 0);
	before = node_health(fd);
	for (int i = 0; i < 2; i++)
		pid[i] = client_start((uint8_t)i, &from[i]);
	usleep(20000);
	ck_assert_msg(node_board(fault->command), "%s", fault->command);
	for (int i = 0; i < 2; i++)
		seen[i] = client_end(pid[i], from[i]);
	node_board("clear");
	after = node_health(fd);
	for (int i = 0; i < 2; i++)
		printf("%s: right %u wrong %u timed out %u cancelled %u failed %u other %u\n",
		       fault->command, seen[i].right, seen[i].wrong, seen[i].timed_out,
		       seen[i].cancelled, seen[i].failed, seen[i].other);
	printf("  resets %u + %u, interrupts lost %llu, storms %llu\n",
	       after.unit_resets - before.unit_resets, after.device_resets - before.device_resets,
	       (unsigned long long)(after.interrupts_lost - before.interrupts_lost),
	       (unsigned long long)(after.storms - before.storms));
	ck_assert_uint_eq(seen[0].wrong + seen[1].wrong, 0);
	ck_assert_uint_le(seen[0].timed_out + seen[1].timed_out, 1);
	if (!fault->ends_jobs)
		ck_assert_uint_eq(seen[0].right + seen[1].right, 2 * ROUNDS);
	if (!fault->device_reset)
		ck_assert_uint_eq(seen[0].other + seen[1].other, 0);
	if (fault->unit_reset)
		ck_assert_uint_gt(after.unit_resets, before.unit_resets);
	if (fault->device_reset)
		ck_assert_uint_gt(after.device_resets, before.device_resets);
	close(fd);
	later = client(9);
	ck_assert_uint_eq(later.right, ROUNDS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults of the board");
	TCase *tc = tcase_create("faults");
	int fd = node_open();

	if (fd < 0) {
		puts("no node of the driver");
		return 77;
	}
	close(fd);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, under_load, 0, sizeof(faults) / sizeof(faults[0]));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
