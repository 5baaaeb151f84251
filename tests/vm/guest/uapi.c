/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the driver: what it refuses, field by field, and what it promises. */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/sync_file.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suite.h"

#define CALL(request, ...) node_call(fd, request, &(__VA_ARGS__))
#define AT(p)		   ((uint64_t)(uintptr_t)(p))

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

/* Memory of which the last byte is the last that can be read, and a byte further nothing. */
static uint8_t *edge(size_t bytes)
{
	uint8_t *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(two, MAP_FAILED);
	munmap(two + 4096, 4096);
	return two + 4096 - bytes;
}

/* One assertion: each costs a message to the runner. */
static bool all_are(const uint8_t *at, uint8_t value, uint64_t bytes)
{
	uint64_t i = 0;

	while (i < bytes && at[i] == value)
		i++;
	return i == bytes;
}

/* ---- queries ------------------------------------------------------------------------------------------- */
static int query(uint32_t type, uint32_t index, void *data, uint32_t *size)
{
	struct drm_facet_dev_query q = {
		.type = type, .index = index, .size = *size, .pointer = AT(data)};
	int err = node_call(fd, DRM_IOCTL_FACET_DEV_QUERY, &q);

	*size = q.size;
	return err;
}

static const struct {
	uint32_t type, bytes;
} queries[] = {
	{DRM_FACET_QUERY_DEVICE, sizeof(struct drm_facet_device)},
	{DRM_FACET_QUERY_LIMITS, sizeof(struct drm_facet_limits)},
	{DRM_FACET_QUERY_UNIT, sizeof(struct drm_facet_unit)},
	{DRM_FACET_QUERY_BANK, sizeof(struct drm_facet_bank)},
	{DRM_FACET_QUERY_SENSOR, sizeof(struct drm_facet_sensor)},
	{DRM_FACET_QUERY_TIME, sizeof(struct drm_facet_time)},
	{DRM_FACET_QUERY_HEALTH, sizeof(struct drm_facet_health)},
};

START_TEST(queries_of_all_sizes)
{
	uint32_t bytes = queries[_i].bytes, size = 0, type = queries[_i].type;
	uint8_t whole[512], part[512];

	ck_assert_int_eq(query(type, 0, NULL, &size), 0);
	ck_assert_uint_eq(size, bytes);
	memset(whole, 0xa5, sizeof(whole));
	size = sizeof(whole);
	ck_assert_int_eq(query(type, 0, whole, &size), 0);
	ck_assert_uint_eq(size, bytes);
	ck_assert(all_are(whole + bytes, 0, sizeof(whole) - bytes));
	memset(part, 0xa5, sizeof(part));
	size = 8;
	ck_assert_int_eq(query(type, 0, part, &size), 0);
	ck_assert_uint_eq(size, bytes);
	ck_assert_uint_eq(part[8], 0xa5);
	if (type != DRM_FACET_QUERY_TIME)
		ck_assert(!memcmp(part, whole, 8));
	size = bytes;
	ck_assert_int_eq(query(type, 0, edge(bytes), &size), 0);
	size = bytes;
	ck_assert_int_eq(query(type, 0, edge(bytes - 1), &size), EFAULT);
	size = bytes;
	ck_assert_int_eq(query(type, 1000, whole, &size), ENOENT);
}
END_TEST

START_TEST(queries_that_are_none)
{
	struct drm_facet_dev_query q = {.type = DRM_FACET_QUERY_HEALTH + 1};

	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_DEV_QUERY, q), EINVAL);
	q = (struct drm_facet_dev_query){.pad = 1};
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_DEV_QUERY, q), EINVAL);
}
END_TEST

START_TEST(what_the_board_is)
{
	struct drm_facet_device device;
	struct drm_facet_time a, b;
	uint32_t size = sizeof(device);

	ck_assert_int_eq(query(DRM_FACET_QUERY_DEVICE, 0, &device, &size), 0);
	ck_assert_uint_eq(device.shell_version >> 16, SHELL_VERSION_MAJOR);
	ck_assert_uint_eq(device.kind, SHELL_KIND_MODEL);
	ck_assert(device.units && device.banks && device.sensors);
	size = sizeof(a);
	ck_assert_int_eq(query(DRM_FACET_QUERY_TIME, 0, &a, &size), 0);
	usleep(20000);
	ck_assert_int_eq(query(DRM_FACET_QUERY_TIME, 0, &b, &size), 0);
	ck_assert(b.board_ticks > a.board_ticks && b.monotonic_ns > a.monotonic_ns && b.board_hz);
}
END_TEST

/* A structure that has grown: zeros are fine, anything else is not known here. */
START_TEST(grown_structures)
{
	struct {
		struct drm_facet_ctx_destroy destroy;
		uint64_t later;
	} grown = {{.ctx = node_ctx(fd, 0, 0)}, 1};
	unsigned long request = DRM_IOWR(DRM_COMMAND_BASE + DRM_FACET_CTX_DESTROY, grown);

	ck_assert_int_eq(node_call(fd, request, &grown), E2BIG);
	grown.later = 0;
	ck_assert_int_eq(node_call(fd, request, &grown), 0);
	ck_assert_int_eq(node_call(fd, DRM_IOWR(DRM_COMMAND_BASE + 0x20, grown), &grown), EINVAL);
}
END_TEST

/* ---- buffer objects ------------------------------------------------------------------------------------ */
static const struct {
	struct drm_facet_bo_create args;
	int err;
} no_bos[] = {
	{{.size = 0}, EINVAL},
	{{.size = UINT64_C(1) << 63}, EINVAL},
	{{.size = UINT64_MAX}, EINVAL},
	{{.size = 4096, .flags = 1u << 3}, EINVAL},
	{{.size = 4096, .bank = 1}, EINVAL},
	{{.size = 4096, .flags = DRM_FACET_BO_BANK, .bank = 64}, EINVAL},
	{{.size = 4096, .flags = DRM_FACET_BO_BANK, .bank = UINT32_MAX}, EINVAL},
	{{.size = UINT64_C(1) << 40, .flags = DRM_FACET_BO_BANK}, ENOSPC},
	{{.size = 4096, .pad = 1}, EINVAL},
	{{.size = 4096, .handle = 1}, EINVAL},
};

START_TEST(buffers_that_are_none)
{
	struct drm_facet_bo_create args = no_bos[_i].args;

	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_CREATE, args), no_bos[_i].err);
}
END_TEST

START_TEST(buffers_are_zero_and_rounded)
{
	static const uint64_t sizes[] = {1, 4095, 4096, 4097, 3 << 20};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t rounded = (sizes[i] + 4095) / 4096 * 4096;
		uint32_t handle = node_bo(fd, sizes[i], 0, 0);
		uint8_t *at = node_map(fd, handle, rounded);

		ck_assert(all_are(at, 0, rounded));
		memset(at, 0x5a, rounded);
		munmap(at, rounded);
		node_close_bo(fd, handle);
	}
}
END_TEST

START_TEST(buffer_calls_refuse)
{
	uint32_t host = node_bo(fd, 8192, 0, 0), bank = node_bo(fd, 8192, DRM_FACET_BO_BANK, 0);
	uint32_t unmapped = node_bo(fd, 4096, DRM_FACET_BO_NO_MMAP, 0);
	struct drm_prime_handle prime = {.handle = bank, .flags = O_CLOEXEC};

	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_MMAP_OFFSET,
			      (struct drm_facet_bo_mmap_offset){.handle = 99}),
			 ENOENT);
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_MMAP_OFFSET,
			      (struct drm_facet_bo_mmap_offset){.handle = host, .pad = 1}),
			 EINVAL);
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_MMAP_OFFSET,
			      (struct drm_facet_bo_mmap_offset){.handle = bank}),
			 EACCES);
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_MMAP_OFFSET,
			      (struct drm_facet_bo_mmap_offset){.handle = unmapped}),
			 EACCES);
#define SYNC(...) CALL(DRM_IOCTL_FACET_BO_SYNC, (struct drm_facet_bo_sync){__VA_ARGS__})
	ck_assert_int_eq(SYNC(.handle = host), EINVAL);
	ck_assert_int_eq(SYNC(.handle = host, .flags = 4), EINVAL);
	ck_assert_int_eq(SYNC(.handle = 99, .flags = 1), ENOENT);
	ck_assert_int_eq(SYNC(.handle = host, .flags = 1, .offset = 8193), EOVERFLOW);
	ck_assert_int_eq(SYNC(.handle = host, .flags = 1, .offset = 8192, .length = 1), EOVERFLOW);
	ck_assert_int_eq(SYNC(.handle = host, .flags = 1, .offset = 1, .length = UINT64_MAX),
			 EOVERFLOW);
	ck_assert_int_eq(SYNC(.handle = bank, .flags = 1), EOPNOTSUPP);
	ck_assert_int_eq(SYNC(.handle = host, .flags = 3, .offset = 8192), 0);
#define WAIT(...) CALL(DRM_IOCTL_FACET_BO_WAIT, (struct drm_facet_bo_wait){__VA_ARGS__})
	ck_assert_int_eq(WAIT(.handle = host, .flags = 2), EINVAL);
	ck_assert_int_eq(WAIT(.handle = 99), ENOENT);
	ck_assert_int_eq(WAIT(.handle = host), 0);
	ck_assert_int_eq(WAIT(.handle = bank, .flags = 1, .timeout_ns = INT64_MAX), 0);
	ck_assert_int_ne(CALL(DRM_IOCTL_PRIME_HANDLE_TO_FD, prime), 0); /* it stays at home */
}
END_TEST

/* All of a bank can be had once, not twice, and again after it was given back. */
START_TEST(a_bank_fills_up)
{
	struct drm_facet_bank bank;
	uint32_t size = sizeof(bank), handle[64], n = 0;
	struct drm_facet_bo_create args = {
		.size = 256 << 20, .flags = DRM_FACET_BO_BANK, .bank = 1};

	ck_assert_int_eq(query(DRM_FACET_QUERY_BANK, 1, &bank, &size), 0);
	while (n < 64 && !CALL(DRM_IOCTL_FACET_BO_CREATE, args)) {
		handle[n++] = args.handle;
		args.handle = 0;
	}
	ck_assert_uint_eq(n, bank.bytes / args.size);
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_CREATE, args), ENOSPC);
	node_close_bo(fd, handle[0]);
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_CREATE, args), 0);
	node_close_bo(fd, args.handle);
	while (n > 1)
		node_close_bo(fd, handle[--n]);
	for (int i = 0; i < 500; i++) { /* wiped in the background */
		ck_assert_int_eq(query(DRM_FACET_QUERY_BANK, 1, &bank, &size), 0);
		if (bank.bytes_free == bank.bytes)
			break;
		usleep(10000);
	}
	ck_assert_uint_eq(bank.bytes_free, bank.bytes);
	ck_assert_uint_eq(bank.bytes_dirty, 0);
}
END_TEST

/* A reset of the device leaves anything in board memory: not to be seen by who gets it. */
START_TEST(memory_after_a_loss)
{
	const uint64_t bytes = 1 << 20;
	struct drm_facet_health before = node_health(fd);
	glob_t found = {0};
	uint32_t host, bank, ctx;
	uint8_t *at;
	int file;

	ck_assert_int_eq(glob("/sys/kernel/debug/facet/*/inject/reset", 0, NULL, &found), 0);
	file = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
	globfree(&found);
	ck_assert_int_eq(write(file, "device", 6), 6);
	close(file);
	for (int i = 0; i < 500 && node_health(fd).generation == before.generation; i++)
		usleep(10000);
	close(fd);
	fd = node_open();
	host = node_bo(fd, bytes, 0, 0);
	at = node_map(fd, host, bytes);
	bank = node_bo(fd, bytes, DRM_FACET_BO_BANK, 0);
	memset(at, 0xee, bytes);
	ctx = node_ctx(fd, 0, 0);
	ck_assert_int_eq(node_submit_echo(fd, ctx, node_echo(fd, bytes), host, bank, 0, NULL), 0);
	ck_assert_int_eq(WAIT(.handle = host, .timeout_ns = INT64_MAX), 0);
	node_sync(fd, host, DRM_FACET_FROM_DEVICE);
	ck_assert(all_are(at, 0, bytes));
}
END_TEST

/* ---- contexts ---------------------------------------------------------------------------------------------- */
START_TEST(contexts_that_are_none)
{
	struct drm_facet_limits limits;
	uint32_t size = sizeof(limits);

	ck_assert_int_eq(query(DRM_FACET_QUERY_LIMITS, 0, &limits, &size), 0);
#define CTX(...) CALL(DRM_IOCTL_FACET_CTX_CREATE, (struct drm_facet_ctx_create){__VA_ARGS__})
	ck_assert_int_eq(CTX(.priority = 3), EINVAL);
	ck_assert_int_eq(CTX(.flags = 1), EINVAL);
	ck_assert_int_eq(CTX(.units = UINT64_C(1) << 40), EINVAL);
	ck_assert_int_eq(CTX(.timeout_ms = limits.timeout_max_ms + 1), EINVAL);
	ck_assert_int_eq(CTX(.ctx = 1), EINVAL);
	ck_assert_int_eq(CTX(.priority = DRM_FACET_PRIORITY_HIGH), 0); /* root may */
#define DESTROY(...) CALL(DRM_IOCTL_FACET_CTX_DESTROY, (struct drm_facet_ctx_destroy){__VA_ARGS__})
	ck_assert_int_eq(DESTROY(.ctx = 77), ENOENT);
	ck_assert_int_eq(DESTROY(.ctx = 0), ENOENT);
	ck_assert_int_eq(DESTROY(.ctx = 1, .pad = 1), EINVAL);
	ck_assert_int_eq(DESTROY(.ctx = 1), 0);
	ck_assert_int_eq(DESTROY(.ctx = 1), ENOENT);
	for (uint32_t i = 0; i < limits.contexts; i++)
		node_ctx(fd, 0, 0);
	ck_assert_int_eq(CTX(0), EBUSY);
}
END_TEST

/* ---- programs ----------------------------------------------------------------------------------------------- */
START_TEST(programs_that_are_none)
{
	static const struct shell_echo echo;
	static const struct shell_echo wrong = {1};
	struct drm_facet_limits limits;
	uint32_t size = sizeof(limits);
	uint8_t *last = edge(sizeof(echo));

	memset(last, 0, sizeof(echo));
#define PROG(...)                                                                                  \
	CALL(DRM_IOCTL_FACET_PROG_CREATE,                                                          \
	     (struct drm_facet_prog_create){.op = SHELL_OP_ECHO,                                   \
					    .args_size = sizeof(echo),                             \
					    .args = AT(&echo),                                     \
					    .operands = 2,                                         \
					    __VA_ARGS__})
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
	ck_assert_int_eq(PROG(.op = SHELL_OPS), EOPNOTSUPP);
	ck_assert_int_eq(PROG(.op = UINT32_MAX), EOPNOTSUPP);
	ck_assert_int_eq(PROG(.args_size = 7), EINVAL);
	ck_assert_int_eq(PROG(.args_size = 9), EINVAL);
	ck_assert_int_eq(PROG(.args_size = UINT32_MAX), EINVAL);
	ck_assert_int_eq(PROG(.args = 0), EFAULT);
	ck_assert_int_eq(PROG(.args = AT(last) + 1), EFAULT);
	ck_assert_int_eq(PROG(.args = AT(&wrong)), EINVAL);
	ck_assert_int_eq(PROG(.operands = 1), EINVAL);
	ck_assert_int_eq(PROG(.operands = 3), EINVAL);
	ck_assert_int_eq(PROG(.flags = 1), EINVAL);
	ck_assert_int_eq(PROG(.pad = 1), EINVAL);
	ck_assert_int_eq(PROG(.prog = 1), EINVAL);
	ck_assert_int_eq(PROG(.args = AT(last)), 0);
#pragma GCC diagnostic pop
#define UNPROG(...) CALL(DRM_IOCTL_FACET_PROG_DESTROY, (struct drm_facet_prog_destroy){__VA_ARGS__})
	ck_assert_int_eq(UNPROG(.prog = 77), ENOENT);
	ck_assert_int_eq(UNPROG(.prog = 1, .pad = 1), EINVAL);
	ck_assert_int_eq(UNPROG(.prog = 1), 0);
	ck_assert_int_eq(query(DRM_FACET_QUERY_LIMITS, 0, &limits, &size), 0);
	for (uint32_t i = 0; i < limits.programs; i++)
		node_echo(fd, 64);
	ck_assert_int_eq(PROG(.bytes = 64), EBUSY);
}
END_TEST

/* ---- submissions ---------------------------------------------------------------------------------------------- */
/* A sound submission, of which each test spoils one thing. */
struct call {
	struct drm_facet_submit submit;
	struct drm_facet_job job[2];
	struct drm_facet_operand operand[2][2];
	struct drm_facet_sync sync;
	uint32_t in, out, ctx, prog;
};

static void sound(struct call *c)
{
	memset(c, 0, sizeof(*c));
	c->in = node_bo(fd, NODE_BYTES, 0, 0);
	c->out = node_bo(fd, NODE_BYTES, 0, 0);
	c->ctx = node_ctx(fd, 0, 0);
	c->prog = node_echo(fd, NODE_BYTES);
	for (int i = 0; i < 2; i++) {
		c->operand[i][0].handle = c->out;
		c->operand[i][1].handle = c->in;
		c->job[i].prog = c->prog;
		c->job[i].operands =
			(struct drm_facet_array){AT(c->operand[i]), 2, sizeof(c->operand[i][0])};
	}
	c->sync.handle = node_syncobj(fd);
	c->sync.flags = DRM_FACET_SYNC_SIGNAL;
	c->submit.ctx = c->ctx;
	c->submit.jobs = (struct drm_facet_array){AT(c->job), 2, sizeof(c->job[0])};
	c->submit.syncs = (struct drm_facet_array){AT(&c->sync), 1, sizeof(c->sync)};
}

#define SPOILED(err_, what_, index_, spoil)                                                        \
	do {                                                                                       \
		struct call c;                                                                     \
		sound(&c);                                                                         \
		spoil;                                                                             \
		ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), err_);                    \
		ck_assert_uint_eq(c.submit.bad_what, what_);                                       \
		ck_assert_uint_eq(c.submit.bad_index, index_);                                     \
		close(fd);                                                                         \
		fd = node_open();                                                                  \
	} while (0)

START_TEST(submissions_that_are_none)
{
	const uint32_t none = DRM_FACET_BAD_NONE;

	SPOILED(EINVAL, none, 0, c.submit.flags = 1);
	SPOILED(ENOENT, none, 0, c.submit.ctx = 99);
	SPOILED(EINVAL, none, 0, c.submit.jobs.count = 0);
	SPOILED(EINVAL, none, 0, c.submit.jobs.count = 65);
	SPOILED(EINVAL, none, 0, c.submit.jobs.stride = 0);
	SPOILED(EINVAL, none, 0, c.submit.jobs.stride = 12);
	SPOILED(EINVAL, none, 0, c.submit.syncs.count = 65);
	SPOILED(EINVAL, none, 0, c.submit.syncs.stride = 0);
}
END_TEST

START_TEST(jobs_that_are_none)
{
	const uint32_t job = DRM_FACET_BAD_JOB;

	SPOILED(EFAULT, job, 0, c.submit.jobs.pointer = 8);
	SPOILED(EINVAL, job, 1, c.job[1].flags = 1);
	SPOILED(ENOENT, job, 1, c.job[1].prog = 99);
	SPOILED(EINVAL, job, 1, c.job[1].operands.count = 1);
	SPOILED(EINVAL, job, 1, c.job[1].operands.count = 3);
	SPOILED(EINVAL, job, 1, c.job[1].operands.stride = 0);
	SPOILED(EFAULT, job, 1, c.job[1].operands.pointer = 8);
	SPOILED(ENOENT, job, 1, c.operand[1][0].handle = 99);
	SPOILED(EINVAL, job, 1, c.operand[1][1].pad = 1);
	SPOILED(EINVAL, job, 1, c.operand[1][1].handle = 0);
	SPOILED(EINVAL, job, 1, (c.operand[1][1].handle = 0, c.operand[1][1].offset = 1));
	SPOILED(EOVERFLOW, job, 1, c.operand[1][1].offset = 1);
	SPOILED(EOVERFLOW, job, 1, c.operand[1][0].offset = UINT64_MAX);
	SPOILED(EOVERFLOW, job, 1, c.operand[1][0].offset = NODE_BYTES + 1);
	SPOILED(EACCES, job, 1,
		c.operand[1][0].handle = node_bo(fd, NODE_BYTES, DRM_FACET_BO_READONLY, 0));
	SPOILED(E2BIG, job, 0,
		(c.submit.jobs.stride = 48, c.submit.jobs.count = 1, c.job[1].prog = 1));
}
END_TEST

START_TEST(syncs_that_are_none)
{
	const uint32_t sync = DRM_FACET_BAD_SYNC;

	SPOILED(EFAULT, sync, 0, c.submit.syncs.pointer = 8);
	SPOILED(ENOENT, sync, 0, c.sync.handle = 99);
	SPOILED(EINVAL, sync, 0, c.sync.flags = 0);
	SPOILED(EINVAL, sync, 0, c.sync.flags = 3);
	SPOILED(EINVAL, sync, 0, c.sync.flags = 8 | DRM_FACET_SYNC_SIGNAL);
	SPOILED(EINVAL, sync, 0, c.sync.point = 1);
	SPOILED(EINVAL, sync, 0, c.sync.flags = DRM_FACET_SYNC_SIGNAL | DRM_FACET_SYNC_TIMELINE);
	SPOILED(EINVAL, sync, 0, c.sync.flags = DRM_FACET_SYNC_WAIT); /* nothing to wait for */
}
END_TEST

/* All or none: a bad second job keeps the first from running. */
START_TEST(all_or_none)
{
	struct call c;
	uint8_t *in, *out;
	struct drm_facet_job_state state;

	sound(&c);
	in = node_map(fd, c.in, NODE_BYTES);
	out = node_map(fd, c.out, NODE_BYTES);
	memset(in, 7, NODE_BYTES);
	node_sync(fd, c.in, DRM_FACET_TO_DEVICE);
	c.job[1].flags = 1;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), EINVAL);
	usleep(50000);
	ck_assert_uint_eq(out[0], 0);
	state = node_state(fd, c.ctx, 1);
	ck_assert_uint_eq(state.state, DRM_FACET_JOB_UNKNOWN);
	c.job[1].flags = 0;
	c.job[1].tag = 0xfeed;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), 0);
	ck_assert_uint_eq(c.submit.first, 1);
	ck_assert_int_eq(node_wait(fd, c.sync.handle, 5000), 0);
	node_sync(fd, c.out, DRM_FACET_FROM_DEVICE);
	ck_assert(!memcmp(in, out, NODE_BYTES));
	state = node_state(fd, c.ctx, 2);
	ck_assert_uint_eq(state.state, DRM_FACET_JOB_DONE);
	ck_assert_int_eq(state.error, 0);
	ck_assert_uint_eq(state.tag, 0xfeed);
	ck_assert_uint_eq(node_state(fd, c.ctx, 3).state, DRM_FACET_JOB_UNKNOWN);
}
END_TEST

/* One buffer object is what jobs of many contexts read and what they write. */
START_TEST(one_buffer_for_all)
{
	uint32_t bo = node_bo(fd, 2 * NODE_BYTES, 0, 0), prog = node_echo(fd, NODE_BYTES);

	ck_assert(node_board("fault slow:us=20000,count=4"));
	for (int i = 0; i < 40; i++) {
		struct drm_facet_operand operand[2] = {{.handle = bo},
						       {.handle = bo, .offset = NODE_BYTES}};
		struct drm_facet_job job = {.prog = prog,
					    .operands = {AT(operand), 2, sizeof(operand[0])}};
		struct drm_facet_submit submit = {.ctx = node_ctx(fd, 1u << i % 3, 0),
						  .jobs = {AT(&job), 1, sizeof(job)}};

		ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, submit), 0);
	}
	ck_assert(node_board("clear"));
	ck_assert_int_eq(WAIT(.handle = bo, .timeout_ns = INT64_MAX, .flags = 1), 0);
}
END_TEST

/* Chains over buffers in host memory of many runs and in a bank, by implicit order alone. */
START_TEST(order_by_what_is_read_and_written)
{
	const uint64_t bytes = 3 << 20;
	uint32_t a = node_bo(fd, bytes, 0, 0), d = node_bo(fd, bytes, 0, 0);
	uint32_t b = node_bo(fd, bytes, DRM_FACET_BO_BANK, 0);
	uint32_t b2 = node_bo(fd, bytes, DRM_FACET_BO_BANK, 1);
	uint32_t prog = node_echo(fd, bytes);
	uint32_t ctx[2] = {node_ctx(fd, 1 << 0, 0),
			   node_ctx(fd, 1 << 1, 0)}; /* units that differ */
	uint32_t *from = node_map(fd, a, bytes), *to = node_map(fd, d, bytes);

	/* The first job of a chain is the last to be done, if nobody waits for it. */
	ck_assert(node_board("fault slow:unit=0,us=20000,count=0"));
	for (uint32_t round = 1; round < 6; round++) {
		for (uint32_t i = 0; i < bytes / 4; i++)
			from[i] = i * 2654435761u + round;
		ck_assert_int_eq(node_submit_echo(fd, ctx[0], prog, b, a, 0, NULL), 0);
		ck_assert_int_eq(node_submit_echo(fd, ctx[1], prog, b2, b, 0, NULL), 0);
		ck_assert_int_eq(node_submit_echo(fd, ctx[round % 2], prog, d, b2, 0, NULL), 0);
		ck_assert_int_eq(WAIT(.handle = d, .timeout_ns = INT64_MAX), 0);
		node_sync(fd, d, DRM_FACET_FROM_DEVICE);
		ck_assert(!memcmp(from, to, bytes));
		ck_assert_int_eq(WAIT(.handle = a, .flags = DRM_FACET_WAIT_IDLE), 0);
	}
	ck_assert(node_board("clear"));
}
END_TEST

/* A piece of board memory that another had is zeros to the next. */
START_TEST(board_memory_is_wiped)
{
	const uint64_t bytes = 1 << 20;
	uint32_t host = node_bo(fd, bytes, 0, 0), prog = node_echo(fd, bytes),
		 ctx = node_ctx(fd, 0, 0);
	uint8_t *at = node_map(fd, host, bytes);

	for (int round = 0; round < 4; round++) {
		uint32_t bank = node_bo(fd, bytes, DRM_FACET_BO_BANK, 0);

		memset(at, 0xee, bytes);
		ck_assert_int_eq(node_submit_echo(fd, ctx, prog, host, bank, 0, NULL), 0);
		ck_assert_int_eq(WAIT(.handle = host, .timeout_ns = INT64_MAX), 0);
		node_sync(fd, host, DRM_FACET_FROM_DEVICE);
		ck_assert(all_are(at, 0, bytes));
		memset(at, 0xee, bytes);
		ck_assert_int_eq(node_submit_echo(fd, ctx, prog, bank, host, 0, NULL), 0);
		ck_assert_int_eq(WAIT(.handle = bank, .timeout_ns = INT64_MAX, .flags = 1), 0);
		node_close_bo(fd, bank);
	}
}
END_TEST

START_TEST(timelines_and_sync_files)
{
	struct call c;
	struct drm_syncobj_handle file = {.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};
	struct pollfd polled;
	uint32_t other = node_syncobj(fd);

	sound(&c);
	c.sync.handle = other;
	c.sync.flags = DRM_FACET_SYNC_SIGNAL | DRM_FACET_SYNC_TIMELINE;
	for (c.sync.point = 1; c.sync.point < 4; c.sync.point++)
		ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), 0);
	c.sync.flags = DRM_FACET_SYNC_WAIT | DRM_FACET_SYNC_TIMELINE;
	c.sync.point = 7; /* which is not there, though others are */
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), EINVAL);
	c.sync.point = 3;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), 0);
	c.sync =
		(struct drm_facet_sync){.handle = node_syncobj(fd), .flags = DRM_FACET_SYNC_SIGNAL};
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), 0);
	file.handle = c.sync.handle;
	ck_assert_int_eq(CALL(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, file), 0);
	polled = (struct pollfd){.fd = file.fd, .events = POLLIN};
	ck_assert_int_eq(poll(&polled, 1, 5000), 1);
	close(file.fd);
	ck_assert_uint_eq(node_state(fd, c.ctx, 10).error, 0);
}
END_TEST

/* A sync_file tells that the job failed, too. */
START_TEST(fences_of_failed_jobs)
{
	struct drm_syncobj_handle file = {.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE};
	struct sync_file_info info = {0};
	struct call c;

	sound(&c);
	ck_assert(node_board("fault fail:count=1"));
	c.submit.jobs.count = 1;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), 0);
	ck_assert_int_eq(node_wait(fd, c.sync.handle, 10000), 0);
	ck_assert_int_eq(node_state(fd, c.ctx, 1).error, -EIO);
	file.handle = c.sync.handle;
	ck_assert_int_eq(CALL(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, file), 0);
	ck_assert_int_eq(ioctl(file.fd, SYNC_IOC_FILE_INFO, &info), 0);
	ck_assert_int_eq(info.status, -EIO);
	close(file.fd);
	ck_assert(node_board("clear"));
}
END_TEST

START_TEST(memory_shared_by_descriptor)
{
	struct drm_prime_handle prime = {.flags = O_CLOEXEC | O_RDWR};
	uint32_t a = node_bo(fd, NODE_BYTES, 0, 0), out, prog, ctx, in;
	int second = node_open();
	uint8_t *from = node_map(fd, a, NODE_BYTES), *to;

	memset(from, 0x3c, NODE_BYTES);
	prime.handle = a;
	ck_assert_int_eq(CALL(DRM_IOCTL_PRIME_HANDLE_TO_FD, prime), 0);
	ck_assert_int_eq(node_call(second, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime), 0);
	in = prime.handle;
	close(prime.fd);
	out = node_bo(second, NODE_BYTES, 0, 0);
	to = node_map(second, out, NODE_BYTES);
	prog = node_echo(second, NODE_BYTES);
	ctx = node_ctx(second, 0, 0);
	close(fd); /* its memory lives on with the other's handle */
	munmap(from, NODE_BYTES);
	fd = second;
	ck_assert_int_eq(node_submit_echo(fd, ctx, prog, out, in, 0, NULL), 0);
	ck_assert_int_eq(WAIT(.handle = out, .timeout_ns = INT64_MAX), 0);
	node_sync(fd, out, DRM_FACET_FROM_DEVICE);
	ck_assert(all_are(to, 0x3c, NODE_BYTES));
}
END_TEST

/* Memory of another driver's, scattered page by page: what a client has in a memfd. A table holds 256 runs. */
static const uint32_t page_counts[] = {1, 2, 255, 256, 257, 510, 511, 512, 513, 600};

START_TEST(memory_of_others)
{
	const uint32_t pages = page_counts[_i];
	struct udmabuf_create_list *list = calloc(1, sizeof(*list) + pages * sizeof(list->list[0]));
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memory = memfd_create("facet", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	struct drm_prime_handle prime = {0};
	uint32_t out = node_bo(fd, pages * 4096, 0, 0), prog, ctx;
	uint8_t *to = node_map(fd, out, pages * 4096), *from;

	ck_assert_int_ge(device, 0);
	ck_assert_int_eq(ftruncate(memory, pages * 4096), 0);
	ck_assert_int_eq(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	from = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	for (uint32_t i = 0; i < pages * 4096; i++)
		from[i] = (uint8_t)(i >> 12 ^ i);
	list->count = pages;
	for (uint32_t i = 0; i < pages; i++) /* from the last to the first: no two are one run */
		list->list[i] = (struct udmabuf_create_item){(uint32_t)memory, 0,
							     (pages - 1 - i) * 4096ull, 4096};
	prime.fd = ioctl(device, UDMABUF_CREATE_LIST, list);
	ck_assert_int_ge(prime.fd, 0);
	ck_assert_int_eq(CALL(DRM_IOCTL_PRIME_FD_TO_HANDLE, prime), 0);
	prog = node_echo(fd, pages * 4096);
	ctx = node_ctx(fd, 0, 0);
	ck_assert_int_eq(node_submit_echo(fd, ctx, prog, out, prime.handle, 0, NULL), 0);
	ck_assert_int_eq(WAIT(.handle = out, .timeout_ns = INT64_MAX), 0);
	node_sync(fd, out, DRM_FACET_FROM_DEVICE);
	for (uint32_t i = 0; i < pages; i++)
		ck_assert(!memcmp(to + i * 4096, from + (pages - 1 - i) * 4096, 4096));
	/* A mapping of it is its owner's to give. */
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_BO_MMAP_OFFSET,
			      (struct drm_facet_bo_mmap_offset){.handle = prime.handle}),
			 EACCES);
	close(prime.fd);
	close(memory);
	close(device);
	free(list);
}
END_TEST

/* 100,000 submissions without waiting: some are told to come later, all that were taken are done. */
START_TEST(submitting_without_waiting)
{
	struct drm_facet_ctx_stats stats;
	struct drm_facet_ctx_get_stats get = {.size = sizeof(stats), .pointer = AT(&stats)};
	struct call c;
	uint64_t taken = 0, refused = 0;
	const uint64_t want = getenv("FACET_LONG") ? 100000 : 5000;

	sound(&c);
	c.submit.jobs.count = 1;
	c.submit.syncs.count = 0;
	/* On a board that is slow, so that the bound is reached. */
	ck_assert(node_board("fault slow:us=2000,count=200"));
	while (taken + refused < want) {
		int err = CALL(DRM_IOCTL_FACET_SUBMIT, c.submit);

		if (err && err != EBUSY)
			ck_abort_msg("error %d", err);
		taken += !err;
		refused += err != 0;
	}
	ck_assert_int_eq(WAIT(.handle = c.out, .timeout_ns = INT64_MAX, .flags = 1), 0);
	get.ctx = c.ctx;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_CTX_GET_STATS, get), 0);
	ck_assert_uint_eq(get.size, sizeof(stats));
	ck_assert_uint_eq(stats.submitted, taken);
	ck_assert_uint_eq(stats.completed, taken);
	ck_assert(refused && taken);
	ck_assert(node_board("clear"));
}
END_TEST

/* A client that is killed between any two calls leaves nothing behind, and others are not disturbed. */
START_TEST(killed_at_any_point)
{
	uint32_t resets = node_health(fd).device_resets;

	for (int round = 0; round < 12; round++) {
		pid_t pid = fork();

		if (!pid) {
			struct call c;

			close(fd);
			fd = node_open();
			sound(&c);
			for (;;)
				CALL(DRM_IOCTL_FACET_SUBMIT, c.submit);
		}
		usleep(1000u << round % 6);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	ck_assert_uint_eq(node_health(fd).device_resets, resets);
}
END_TEST

START_TEST(jobs_of_a_destroyed_context)
{
	struct call c;

	sound(&c);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), 0);
	ck_assert_int_eq(DESTROY(.ctx = c.ctx), 0);
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_SUBMIT, c.submit), ENOENT);
	ck_assert_int_eq(node_wait(fd, c.sync.handle, 5000), 0);
	ck_assert_int_eq(WAIT(.handle = c.out, .timeout_ns = INT64_MAX, .flags = 1), 0);
}
END_TEST

START_TEST(states_and_stats_refuse)
{
	struct drm_facet_ctx_get_jobs get = {.ctx = node_ctx(fd, 0, 0)};

	ck_assert_int_eq(
		CALL(DRM_IOCTL_FACET_CTX_GET_STATE, (struct drm_facet_ctx_get_state){.ctx = 99}),
		ENOENT);
	ck_assert_int_eq(
		CALL(DRM_IOCTL_FACET_CTX_GET_STATS, (struct drm_facet_ctx_get_stats){.ctx = 99}),
		ENOENT);
	ck_assert_int_eq(
		CALL(DRM_IOCTL_FACET_CTX_GET_JOBS, (struct drm_facet_ctx_get_jobs){.ctx = 99}),
		ENOENT);
	get.pad = 1;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_CTX_GET_JOBS, get), EINVAL);
	get.pad = 0;
	get.jobs = (struct drm_facet_array){8, 1, sizeof(struct drm_facet_job_state)};
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_CTX_GET_JOBS, get), EFAULT);
	get.jobs.count = 100000;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_CTX_GET_JOBS, get), EINVAL);
	get.jobs = (struct drm_facet_array){8, 1, 0};
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_CTX_GET_JOBS, get), EINVAL);
	get.jobs.stride = 12;
	ck_assert_int_eq(CALL(DRM_IOCTL_FACET_CTX_GET_JOBS, get), EINVAL);
}
END_TEST

START_TEST(events)
{
	int event = eventfd(0, EFD_NONBLOCK);

#define EVENT(...) CALL(DRM_IOCTL_FACET_EVENT_FD, (struct drm_facet_event_fd){__VA_ARGS__})
	ck_assert_int_eq(EVENT(.fd = event, .mask = 1u << 6), EINVAL);
	ck_assert_int_eq(EVENT(.fd = event, .mask = 0), EINVAL);
	ck_assert_int_eq(EVENT(.fd = -1, .mask = 1), EINVAL);
	ck_assert_int_eq(EVENT(.fd = -2, .mask = 1), EINVAL);
	ck_assert_int_eq(EVENT(.fd = fd, .mask = 1), EINVAL); /* no eventfd */
	ck_assert_int_eq(EVENT(.fd = 9999, .mask = 1), EBADF);
	ck_assert_int_eq(EVENT(.fd = event, .mask = DRM_FACET_EVENTS), 0);
	ck_assert_int_eq(EVENT(.fd = event, .mask = 1), 0);
	ck_assert_int_eq(EVENT(.fd = -1, .mask = 0), 0);
	close(event);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uapi");
	TCase *tc = tcase_create("uapi");

	fd = node_open();
	if (fd < 0) {
		puts("no node of the driver");
		return 77;
	}
	close(fd);
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, queries_of_all_sizes, 0, sizeof(queries) / sizeof(queries[0]));
	tcase_add_test(tc, queries_that_are_none);
	tcase_add_test(tc, what_the_board_is);
	tcase_add_test(tc, grown_structures);
	tcase_add_loop_test(tc, buffers_that_are_none, 0, sizeof(no_bos) / sizeof(no_bos[0]));
	tcase_add_test(tc, buffers_are_zero_and_rounded);
	tcase_add_test(tc, buffer_calls_refuse);
	tcase_add_test(tc, memory_after_a_loss);
	tcase_add_test(tc, a_bank_fills_up);
	tcase_add_test(tc, contexts_that_are_none);
	tcase_add_test(tc, programs_that_are_none);
	tcase_add_test(tc, submissions_that_are_none);
	tcase_add_test(tc, jobs_that_are_none);
	tcase_add_test(tc, syncs_that_are_none);
	tcase_add_test(tc, all_or_none);
	tcase_add_test(tc, one_buffer_for_all);
	tcase_add_test(tc, order_by_what_is_read_and_written);
	tcase_add_test(tc, board_memory_is_wiped);
	tcase_add_test(tc, timelines_and_sync_files);
	tcase_add_test(tc, fences_of_failed_jobs);
	tcase_add_test(tc, memory_shared_by_descriptor);
	if (!access("/dev/udmabuf", W_OK))
		tcase_add_loop_test(tc, memory_of_others, 0,
				    sizeof(page_counts) / sizeof(page_counts[0]));
	tcase_add_test(tc, submitting_without_waiting);
	tcase_add_test(tc, killed_at_any_point);
	tcase_add_test(tc, jobs_of_a_destroyed_context);
	tcase_add_test(tc, states_and_stats_refuse);
	tcase_add_test(tc, events);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
