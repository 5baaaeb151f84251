/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, submitting, closing, resetting and unplugging, all at once, for so many seconds. Calls may fail
 * with ENODEV and its like at any time; what must not happen is what the kernel's watchers would tell, a
 * process that never ends, or a wrong byte. Its interesting place is a machine with several processors.
 *
 *   races [SECONDS]
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/suite.h"

#define DRIVER	   "/sys/bus/pci/drivers/facet/"
#define SUBMITTERS 3
#define BOS	   3

static struct tally {
	_Atomic uint64_t files, jobs, wrong, unit_resets, device_resets, unplugs;
} * tally;

static time_t until;
static char address[32];

static bool over(void)
{
	return time(NULL) >= until;
}

static int write_file(const char *pattern, const char *text)
{
	glob_t found = {0};
	int file = -1, err = -1;

	if (!glob(pattern, 0, NULL, &found))
		file = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
	globfree(&found);
	if (file < 0)
		return -1;
	err = write(file, text, strlen(text)) < 0 ? -1 : 0;
	close(file);
	return err;
}

/* ---- submitters: asserting nothing, since each call may find the board gone ------------------------------- */
struct file {
	int fd;
	uint32_t bo[BOS], prog, ctx, sync;
	uint8_t *map[BOS];
};

static int furnish(struct file *f)
{
	static const struct shell_echo echo;
	struct drm_facet_ctx_create ctx = {0};
	struct drm_syncobj_create sync = {0};
	struct drm_facet_prog_create prog = {.op = SHELL_OP_ECHO,
					     .args_size = sizeof(echo),
					     .args = (uintptr_t)&echo,
					     .bytes = NODE_BYTES,
					     .operands = 2};
	int err = 0;

	for (int i = 0; i < BOS && !err; i++) {
		struct drm_facet_bo_create bo = {.size = NODE_BYTES,
						 .flags = i == 2 ? DRM_FACET_BO_BANK : 0};

		err = node_call(f->fd, DRM_IOCTL_FACET_BO_CREATE, &bo);
		f->bo[i] = bo.handle;
		if (!err && i < 2) {
			struct drm_facet_bo_mmap_offset at = {.handle = bo.handle};

			err = node_call(f->fd, DRM_IOCTL_FACET_BO_MMAP_OFFSET, &at);
			f->map[i] = err ? NULL
					: mmap(NULL, NODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
					       f->fd, (off_t)at.offset);
			if (f->map[i] == MAP_FAILED)
				f->map[i] = NULL;
			err = f->map[i] ? err : ENODEV;
		}
	}
	if (!err)
		err = node_call(f->fd, DRM_IOCTL_FACET_CTX_CREATE, &ctx);
	if (!err)
		err = node_call(f->fd, DRM_IOCTL_FACET_PROG_CREATE, &prog);
	if (!err)
		err = node_call(f->fd, DRM_IOCTL_SYNCOBJ_CREATE, &sync);
	f->ctx = ctx.ctx;
	f->prog = prog.prog;
	f->sync = sync.handle;
	return err;
}

/* There and back through the bank; waits for one in three. */
static int job(struct file *f, uint8_t value)
{
	struct drm_facet_job_state state = {0};
	struct drm_facet_ctx_get_jobs get = {.ctx = f->ctx,
					     .jobs = {(uintptr_t)&state, 1, sizeof(state)}};
	uint64_t sequence;
	int err;

	if (value % 3 == 0)
		memset(f->map[1], value, NODE_BYTES);
	err = node_submit_echo(f->fd, f->ctx, f->prog, f->bo[2], f->bo[1], 0, &sequence);
	if (!err)
		err = node_submit_echo(f->fd, f->ctx, f->prog, f->bo[0], f->bo[2], f->sync,
				       &sequence);
	if (err || value % 3)
		return err;
	err = node_wait(f->fd, f->sync, 60000);
	get.first = sequence;
	if (!err)
		err = node_call(f->fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &get);
	if (err || state.error)
		return err ? err : -state.error;
	node_sync(f->fd, f->bo[0], DRM_FACET_FROM_DEVICE);
	tally->jobs++;
	if (f->map[0][0] != value || memcmp(f->map[0], f->map[0] + 1, NODE_BYTES - 1))
		tally->wrong++;
	return 0;
}

static void submitter(uint32_t seed)
{
	while (!over()) {
		struct file f = {.fd = node_open()};
		uint32_t jobs = 1 + seed % 40;
		uint8_t value = (uint8_t)seed;

		seed = seed * 1664525 + 1013904223;
		if (f.fd < 0) {
			usleep(2000);
			continue;
		}
		tally->files++;
		if (!furnish(&f))
			while (jobs-- && !job(&f, value++))
				continue;
		for (int i = 0; i < 2; i++)
			if (f.map[i])
				munmap(f.map[i], NODE_BYTES);
		close(f.fd); /* with jobs under way */
	}
}

/* ---- who disturbs ---------------------------------------------------------------------------------------------- */
static void resetter(void)
{
	static const char *const what[] = {"0", "1", "2", "1", "device"};

	for (uint32_t i = 0; !over(); i++) {
		uint32_t n = i * 7 % 5;

		usleep(30000);
		if (write_file("/sys/kernel/debug/facet/*/inject/reset", what[n]))
			continue;
		*(n == 4 ? &tally->device_resets : &tally->unit_resets) += 1;
	}
}

static void unplugger(void)
{
	while (!over()) {
		usleep(700000);
		if (write_file(DRIVER "unbind", address))
			continue;
		tally->unplugs++;
		usleep(20000);
		write_file(DRIVER "bind", address);
	}
}

static pid_t start(int role)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (role < SUBMITTERS)
		submitter((uint32_t)role * 77777 + 1);
	else if (role == SUBMITTERS)
		resetter();
	else
		unplugger();
	_exit(0);
}

/* Where a process that does not end is. */
static void tell_stuck(pid_t pid)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stack", (int)pid);
	file = fopen(path, "r");
	printf("process %d does not end:\n", (int)pid);
	while (file && fgets(line, sizeof(line), file))
		printf("  %s", line);
	if (file)
		fclose(file);
	fflush(stdout);
}

/* Its status, or -1 for one that is not over a minute after all should be. */
static int await(pid_t pid)
{
	int status = -1;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (time(NULL) > until + 60) {
			tell_stuck(pid);
			kill(pid, SIGKILL);
			return -1;
		}
		usleep(10000);
	}
	return status;
}

static int seconds = 20;

START_TEST(all_at_once)
{
	pid_t pid[SUBMITTERS + 2];
	int fd, bad = 0;

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	until = time(NULL) + seconds;
	for (int i = 0; i < SUBMITTERS + 2; i++)
		pid[i] = start(i);
	for (int i = 0; i < SUBMITTERS + 2; i++)
		bad |= await(pid[i]);
	ck_assert_int_eq(bad, 0);
	printf("%d s: files %llu, jobs that were looked at %llu, wrong %llu; resets of units %llu, "
	       "of the "
	       "device %llu; unplugged %llu times\n",
	       seconds, (unsigned long long)tally->files, (unsigned long long)tally->jobs,
	       (unsigned long long)tally->wrong, (unsigned long long)tally->unit_resets,
	       (unsigned long long)tally->device_resets, (unsigned long long)tally->unplugs);
	ck_assert_uint_eq(tally->wrong, 0);
	ck_assert_uint_gt(tally->jobs, 0);
	ck_assert_uint_gt(tally->unit_resets, 0);
	ck_assert_uint_gt(tally->device_resets, 0);
	ck_assert_uint_gt(tally->unplugs, 0);
	write_file(DRIVER "bind", address);
	fd = node_open();
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(node_health(fd).state, DRM_FACET_HEALTH_OK);
	close(fd);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("races");
	TCase *tc = tcase_create("races");
	glob_t found = {0};

	if (glob(DRIVER "0*", 0, NULL, &found)) {
		puts("no board of the driver");
		return 77;
	}
	snprintf(address, sizeof(address), "%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	if (argc > 1)
		seconds = atoi(argv[1]);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, all_at_once);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
