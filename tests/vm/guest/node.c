/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int node_call(int fd, unsigned long request, void *args)
{
	int got;

	do
		got = ioctl(fd, request, args);
	while (got < 0 && errno == EINTR);
	return got < 0 ? errno : 0;
}

static bool ours(int fd)
{
	char name[16] = "";
	struct drm_version version = {.name = name, .name_len = sizeof(name) - 1};

	return !node_call(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "facet");
}

int node_open(void)
{
	glob_t found = {0};
	int fd = -1;

	glob("/dev/accel/accel*", 0, NULL, &found);
	glob("/dev/dri/renderD*", GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && fd < 0; i++) {
		fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
		if (fd >= 0 && !ours(fd)) {
			close(fd);
			fd = -1;
		}
	}
	globfree(&found);
	return fd;
}

uint32_t node_bo(int fd, uint64_t bytes, uint32_t flags, uint32_t bank)
{
	struct drm_facet_bo_create create = {.size = bytes, .flags = flags, .bank = bank};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_BO_CREATE, &create), 0);
	ck_assert_uint_ne(create.handle, 0);
	ck_assert(create.size >= bytes && create.size % 4096 == 0);
	return create.handle;
}

void node_close_bo(int fd, uint32_t handle)
{
	struct drm_gem_close close_bo = {.handle = handle};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_GEM_CLOSE, &close_bo), 0);
}

void *node_map(int fd, uint32_t handle, uint64_t bytes)
{
	struct drm_facet_bo_mmap_offset offset = {.handle = handle};
	void *at;

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_BO_MMAP_OFFSET, &offset), 0);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset.offset);
	ck_assert_ptr_ne(at, MAP_FAILED);
	return at;
}

uint32_t node_ctx(int fd, uint64_t units, uint32_t timeout_ms)
{
	struct drm_facet_ctx_create create = {.units = units, .timeout_ms = timeout_ms};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_CTX_CREATE, &create), 0);
	return create.ctx;
}

uint32_t node_echo(int fd, uint64_t bytes)
{
	static const struct shell_echo echo;
	struct drm_facet_prog_create create = {.op = SHELL_OP_ECHO,
					       .args_size = sizeof(echo),
					       .args = (uint64_t)(uintptr_t)&echo,
					       .bytes = bytes,
					       .operands = 2};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_PROG_CREATE, &create), 0);
	return create.prog;
}

uint32_t node_syncobj(int fd)
{
	struct drm_syncobj_create create = {0};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create), 0);
	return create.handle;
}

int node_wait(int fd, uint32_t syncobj, uint64_t timeout_ms)
{
	struct timespec now;
	struct drm_syncobj_wait wait = {.handles = (uint64_t)(uintptr_t)&syncobj,
					.count_handles = 1};

	clock_gettime(CLOCK_MONOTONIC, &now);
	wait.timeout_nsec =
		(int64_t)now.tv_sec * 1000000000 + now.tv_nsec + (int64_t)timeout_ms * 1000000;
	return node_call(fd, DRM_IOCTL_SYNCOBJ_WAIT, &wait);
}

void node_sync(int fd, uint32_t handle, uint32_t flags)
{
	struct drm_facet_bo_sync sync = {.handle = handle, .flags = flags};

	node_call(fd, DRM_IOCTL_FACET_BO_SYNC, &sync);
}

int node_submit_echo(int fd, uint32_t ctx, uint32_t prog, uint32_t out, uint32_t in,
		     uint32_t syncobj, uint64_t *sequence)
{
	struct drm_facet_operand operand[2] = {{.handle = out}, {.handle = in}};
	struct drm_facet_job job = {
		.prog = prog, .operands = {(uint64_t)(uintptr_t)operand, 2, sizeof(operand[0])}};
	struct drm_facet_sync sync = {.handle = syncobj, .flags = DRM_FACET_SYNC_SIGNAL};
	struct drm_facet_submit submit = {
		.ctx = ctx,
		.jobs = {(uint64_t)(uintptr_t)&job, 1, sizeof(job)},
		.syncs = {(uint64_t)(uintptr_t)&sync, syncobj ? 1 : 0, sizeof(sync)},
	};
	int err;

	node_sync(fd, in, DRM_FACET_TO_DEVICE);
	node_sync(fd, out, DRM_FACET_TO_DEVICE);
	err = node_call(fd, DRM_IOCTL_FACET_SUBMIT, &submit);
	if (sequence)
		*sequence = submit.first;
	return err;
}

struct drm_facet_job_state node_state(int fd, uint32_t ctx, uint64_t sequence)
{
	struct drm_facet_job_state state = {0};
	struct drm_facet_ctx_get_jobs get = {
		.ctx = ctx,
		.first = sequence,
		.jobs = {(uint64_t)(uintptr_t)&state, 1, sizeof(state)}};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &get), 0);
	return state;
}

struct drm_facet_health node_health(int fd)
{
	struct drm_facet_health health = {0};
	struct drm_facet_dev_query query = {.type = DRM_FACET_QUERY_HEALTH,
					    .size = sizeof(health),
					    .pointer = (uint64_t)(uintptr_t)&health};

	ck_assert_int_eq(node_call(fd, DRM_IOCTL_FACET_DEV_QUERY, &query), 0);
	return health;
}

bool node_board(const char *command)
{
	const char *folder = getenv("FACET_RUN");
	char path[200], answer[200], word[16] = "";
	FILE *file;

	ck_assert_ptr_nonnull(folder);
	snprintf(path, sizeof(path), "%s/board/command", folder);
	snprintf(answer, sizeof(answer), "%s/board/answer", folder);
	unlink(answer);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "%s\n", command);
	fclose(file);
	for (int i = 0; i < 2000 && access(answer, R_OK); i++)
		usleep(5000);
	file = fopen(answer, "r");
	ck_assert_msg(file != NULL, "the board does not answer");
	if (fscanf(file, "%15s", word) != 1)
		word[0] = '\0';
	fclose(file);
	return !strcmp(word, "ok");
}
