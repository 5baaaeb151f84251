/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out: each call is made with its first, second, third ... allocation failing (the kernel's
 * fail-nth), until none of them does. It says ENOMEM or does its work, and nothing is left behind.
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/suite.h"

#define NTH_MAX 400

static int fd;

static void setup(void)
{
	fd = node_open();
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	close(fd);
}

/* ---- the kernel's knob ----------------------------------------------------------------------------------- */
static bool knob(const char *path, const char *value)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	bool done = file >= 0 && write(file, value, strlen(value)) > 0;

	if (file >= 0)
		close(file);
	return done;
}

static bool can_fail(void)
{
#define FAIL "/sys/kernel/debug/fail"
	return !access("/proc/self/fail-nth", W_OK) && knob(FAIL "slab/ignore-gfp-wait", "N") &&
	       knob(FAIL "_page_alloc/ignore-gfp-wait", "N") &&
	       knob(FAIL "_page_alloc/min-order", "0") && knob(FAIL "slab/verbose", "0") &&
	       knob(FAIL "_page_alloc/verbose", "0");
}

/* The call's result with its nth allocation failing; *failed: it had so many. */
static int with_nth(int nth, int (*call)(void), bool *failed)
{
	int file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), err;
	char text[16];
	ssize_t n;

	ck_assert_int_ge(file, 0);
	snprintf(text, sizeof(text), "%d", nth);
	ck_assert_int_gt(pwrite(file, text, strlen(text), 0), 0);
	err = call();
	n = pread(file, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	*failed = atoi(text) == 0;
	ck_assert_int_gt(pwrite(file, "0", 1, 0), 0);
	close(file);
	return err;
}

/* ---- calls --------------------------------------------------------------------------------------------------- */
static struct {
	uint32_t in, out, prog, ctx, sync, timeline;
} made;

static void make(void)
{
	made.in = node_bo(fd, NODE_BYTES, 0, 0);
	made.out = node_bo(fd, NODE_BYTES, DRM_FACET_BO_BANK, 0);
	made.prog = node_echo(fd, NODE_BYTES);
	made.ctx = node_ctx(fd, 0, 0);
	made.sync = node_syncobj(fd);
	made.timeline = node_syncobj(fd);
}

static int call_open(void)
{
	int other = node_open();

	if (other < 0)
		return ENOMEM;
	close(other);
	return 0;
}

static int create_bo(uint64_t size, uint32_t flags)
{
	struct drm_facet_bo_create c = {.size = size, .flags = flags};
	int err = node_call(fd, DRM_IOCTL_FACET_BO_CREATE, &c);

	if (!err)
		node_call(fd, DRM_IOCTL_GEM_CLOSE, &(struct drm_gem_close){.handle = c.handle});
	return err;
}

static int call_bo(void)
{
	return create_bo(3 * NODE_BYTES, 0);
}

static int call_bank_bo(void)
{
	return create_bo(NODE_BYTES, DRM_FACET_BO_BANK);
}

static int call_map(void)
{
	return node_call(fd, DRM_IOCTL_FACET_BO_MMAP_OFFSET,
			 &(struct drm_facet_bo_mmap_offset){.handle = made.in});
}

static int call_ctx(void)
{
	struct drm_facet_ctx_create c = {0};
	int err = node_call(fd, DRM_IOCTL_FACET_CTX_CREATE, &c);

	if (!err)
		node_call(fd, DRM_IOCTL_FACET_CTX_DESTROY,
			  &(struct drm_facet_ctx_destroy){.ctx = c.ctx});
	return err;
}

static int call_prog(void)
{
	static const struct shell_echo echo;
	struct drm_facet_prog_create c = {.op = SHELL_OP_ECHO,
					  .args_size = sizeof(echo),
					  .args = (uintptr_t)&echo,
					  .bytes = 64,
					  .operands = 2};
	int err = node_call(fd, DRM_IOCTL_FACET_PROG_CREATE, &c);

	if (!err)
		node_call(fd, DRM_IOCTL_FACET_PROG_DESTROY,
			  &(struct drm_facet_prog_destroy){.prog = c.prog});
	return err;
}

static int call_submit(void)
{
	struct drm_facet_operand operand[2] = {{.handle = made.out}, {.handle = made.in}};
	struct drm_facet_array operands = {(uintptr_t)operand, 2, sizeof(operand[0])};
	struct drm_facet_job job[2] = {{.prog = made.prog, .operands = operands},
				       {.prog = made.prog, .operands = operands}};
	struct drm_facet_sync sync[2] = {{.handle = made.sync, .flags = DRM_FACET_SYNC_SIGNAL},
					 {.handle = made.timeline,
					  .flags = DRM_FACET_SYNC_SIGNAL | DRM_FACET_SYNC_TIMELINE,
					  .point = 1}};
	struct drm_facet_submit s = {.ctx = made.ctx,
				     .jobs = {(uintptr_t)job, 2, sizeof(job[0])},
				     .syncs = {(uintptr_t)sync, 2, sizeof(sync[0])}};
	int err = node_call(fd, DRM_IOCTL_FACET_SUBMIT, &s);

	if (!err)
		node_wait(fd, made.sync, 10000);
	return err;
}

static int call_import(void)
{
	struct drm_prime_handle out = {.handle = made.in, .flags = O_RDWR | O_CLOEXEC}, in;
	int other = node_open(), err = other < 0 ? ENOMEM : 0;

	if (!err)
		err = node_call(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &out);
	if (!err) {
		in = (struct drm_prime_handle){.fd = out.fd};
		err = node_call(other, DRM_IOCTL_PRIME_FD_TO_HANDLE, &in);
		close(out.fd);
	}
	if (other >= 0)
		close(other);
	return err;
}

static int call_jobs(void)
{
	struct drm_facet_job_state states[4];
	struct drm_facet_ctx_get_jobs g = {
		.ctx = made.ctx, .first = 1, .jobs = {(uintptr_t)states, 4, sizeof(states[0])}};

	return node_call(fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &g);
}

static const struct {
	const char *name;
	int (*call)(void);
	bool needs; /* a refusal must be among the answers: a context has second ways to its memory */
} calls[] = {
	{"open", call_open, true},	 {"bo", call_bo, true},
	{"bank bo", call_bank_bo, true}, {"mmap offset", call_map, false},
	{"ctx", call_ctx, false},	 {"prog", call_prog, true},
	{"submit", call_submit, true},	 {"import", call_import, true},
	{"jobs", call_jobs, false},
};

START_TEST(each_allocation)
{
	int failures = 0, refused = 0, nth = 1, err;
	bool failed = true;

	make();
	for (; failed && nth <= NTH_MAX; nth++) {
		err = with_nth(nth, calls[_i].call, &failed);
		/* ENOSPC: shmem's word for no memory for an inode. */
		ck_assert_msg(!err || (failed && (err == ENOMEM || err == ENOSPC)),
			      "%s, allocation %d: %s", calls[_i].name, nth, strerror(err));
		failures += failed;
		refused += err != 0;
	}
	printf("%s: %d allocations, %d refusals\n", calls[_i].name, failures, refused);
	ck_assert_int_le(nth, NTH_MAX);
	if (calls[_i].needs)
		ck_assert_int_gt(refused, 0);
	ck_assert_int_eq(calls[_i].call(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scarce memory");
	TCase *tc = tcase_create("scarce");

	fd = node_open();
	if (fd < 0 || !can_fail()) {
		puts("no node of the driver, or no fault injection in this kernel");
		return 77;
	}
	close(fd);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, each_allocation, 0, sizeof(calls) / sizeof(calls[0]));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
