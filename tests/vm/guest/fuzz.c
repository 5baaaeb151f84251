/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the driver made up at random, from several processes at once, some of them on one open file:
 * mostly sound, each with a chance of something wrong. What is judged is not here: the kernel's own
 * watchers see what breaks, and at the end the board has all its memory back and does a sound job.
 *
 *   fuzz [CALLS [SEED]]
 */
#include "tests/vm/guest/node.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/driver/cases.h"
#include "tests/suite.h"

#define PROCESSES   3
#define SLOTS	    12 /* of handles of a kind that are remembered */
#define JOBS	    6
#define BYTES_MAX   (1u << 20)
#define ROUND_CALLS 100000u
#define TEST_CALLS  (10u * ROUND_CALLS)

enum { KINDS = 5 };
enum kind { BO, CTX, PROG, SYNC, DMABUF };

/* What the operation was, and how often it was done and refused. */
struct count {
	uint64_t done, refused;
};

struct fuzz {
	uint64_t random;
	bool wrong; /* something about the next call is to be */
	int fd, shared;
	uint32_t handle[KINDS][SLOTS];
	uint32_t prog_case[SLOTS]; /* of handle[PROG] */
	uint8_t *scratch;	   /* two pages, and nothing after them */
};

static uint64_t next(struct fuzz *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

static uint32_t below(struct fuzz *f, uint32_t n)
{
	return (uint32_t)(next(f) >> 20) % n;
}

static bool chance(struct fuzz *f, uint32_t of)
{
	return !below(f, of);
}

/* A number that code stumbles over. */
static uint64_t odd(struct fuzz *f)
{
	static const uint64_t numbers[] = {0,	       1,
					   2,	       3,
					   4,	       7,
					   8,	       12,
					   63,	       64,
					   65,	       255,
					   256,	       4095,
					   4096,       4097,
					   65535,      1u << 20,
					   INT32_MAX,  UINT32_MAX,
					   1ull << 32, 1ull << 40,
					   1ull << 62, INT64_MAX,
					   1ull << 63, UINT64_MAX - 4095,
					   UINT64_MAX};

	return chance(f, 3) ? next(f) : numbers[below(f, sizeof(numbers) / sizeof(numbers[0]))];
}

/* The value; once in a while, in calls that are to be wrong, something else. */
#define MOSTLY(value) (f->wrong && chance(f, 12) ? (__typeof__(value))odd(f) : (value))

/* A handle, where there is one. */
static uint32_t some(struct fuzz *f, enum kind kind)
{
	uint32_t handle = 0;

	for (int tries = 0; tries < 8 && !handle; tries++)
		handle = f->handle[kind][below(f, SLOTS)];
	return handle;
}

static uint32_t *place(struct fuzz *f, enum kind kind)
{
	return &f->handle[kind][below(f, SLOTS)];
}

/* Memory that is there, or not, or not all of it. */
static uint64_t memory(struct fuzz *f, const void *sound, size_t bytes)
{
	if (!f->wrong || !chance(f, 12))
		return (uintptr_t)sound;
	if (bytes <= 8192 && chance(f, 2)) {
		memcpy(f->scratch + 8192 - bytes, sound, bytes);
		return (uintptr_t)f->scratch + 8192 - bytes + (chance(f, 2) ? 1 : 0);
	}
	return odd(f);
}

/* ---- calls ---------------------------------------------------------------------------------------------- */
static int do_query(struct fuzz *f)
{
	uint8_t answer[512] = {0};
	uint32_t size = MOSTLY(below(f, 300));
	struct drm_facet_dev_query q = {.type = MOSTLY(below(f, 8)),
					.index = MOSTLY(below(f, 3)),
					.size = size > sizeof(answer) ? 16 : size,
					.pad = MOSTLY(0u),
					.pointer = memory(f, answer, sizeof(answer))};

	return node_call(f->fd, DRM_IOCTL_FACET_DEV_QUERY, &q);
}

static void forget(struct fuzz *f, enum kind kind, uint32_t *at)
{
	if (!*at)
		return;
	if (kind == BO || kind == DMABUF) {
		struct drm_gem_close gone = {.handle = *at};

		node_call(f->fd, DRM_IOCTL_GEM_CLOSE, &gone);
	} else if (kind == CTX) {
		struct drm_facet_ctx_destroy gone = {.ctx = *at};

		node_call(f->fd, DRM_IOCTL_FACET_CTX_DESTROY, &gone);
	} else if (kind == PROG) {
		struct drm_facet_prog_destroy gone = {.prog = *at};

		node_call(f->fd, DRM_IOCTL_FACET_PROG_DESTROY, &gone);
	} else {
		struct drm_syncobj_destroy gone = {.handle = *at};

		node_call(f->fd, DRM_IOCTL_SYNCOBJ_DESTROY, &gone);
	}
	*at = 0;
}

static int do_bo_create(struct fuzz *f)
{
	bool bank = chance(f, 3);
	struct drm_facet_bo_create c = {
		.size = MOSTLY(1 + (uint64_t)below(f, chance(f, 3) ? BYTES_MAX : 4 * NODE_BYTES)),
		.flags = MOSTLY((bank ? DRM_FACET_BO_BANK : 0) |
				(chance(f, 8) ? DRM_FACET_BO_NO_MMAP : 0) |
				(chance(f, 8) ? DRM_FACET_BO_READONLY : 0)),
		.bank = MOSTLY(bank ? below(f, 2) : 0),
		.handle = MOSTLY(0u),
		.pad = MOSTLY(0u)};
	uint32_t *at = place(f, BO);
	int err;

	if (!(c.flags & DRM_FACET_BO_BANK) && c.size > 64 * (uint64_t)BYTES_MAX)
		c.size |= 1ull << 50; /* what the machine has not is not asked for, only nonsense */
	err = node_call(f->fd, DRM_IOCTL_FACET_BO_CREATE, &c);
	if (!err) {
		forget(f, BO, at);
		*at = c.handle;
	}
	return err;
}

static int do_bo_close(struct fuzz *f)
{
	uint32_t *at = place(f, BO);
	struct drm_gem_close c = {.handle = MOSTLY(*at), .pad = 0};
	int err = node_call(f->fd, DRM_IOCTL_GEM_CLOSE, &c);

	if (!err && c.handle == *at)
		*at = 0;
	return err;
}

static int do_bo_map(struct fuzz *f)
{
	struct drm_facet_bo_mmap_offset m = {.handle = MOSTLY(some(f, BO)), .pad = MOSTLY(0u)};
	int err = node_call(f->fd, DRM_IOCTL_FACET_BO_MMAP_OFFSET, &m);
	volatile uint8_t *at;

	if (err)
		return err;
	at = mmap(NULL, MOSTLY(4096u) & 0xfffff, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		  (off_t)(m.offset + (chance(f, 20) ? 4096 : 0)));
	if (at == MAP_FAILED)
		return errno;
	at[0] = at[4095];
	munmap((void *)at, 4096);
	return 0;
}

static int do_bo_sync(struct fuzz *f)
{
	struct drm_facet_bo_sync s = {.handle = MOSTLY(some(f, BO)),
				      .flags = MOSTLY(1 + below(f, 3)),
				      .offset = MOSTLY(0ull),
				      .length = MOSTLY(0ull)};

	return node_call(f->fd, DRM_IOCTL_FACET_BO_SYNC, &s);
}

static int do_bo_wait(struct fuzz *f)
{
	struct timespec now;
	struct drm_facet_bo_wait w = {.handle = MOSTLY(some(f, BO)), .flags = MOSTLY(below(f, 2))};

	clock_gettime(CLOCK_MONOTONIC, &now);
	w.timeout_ns = chance(f, 2) ? 0 : now.tv_sec * 1000000000ll + now.tv_nsec + 3000000;
	return node_call(f->fd, DRM_IOCTL_FACET_BO_WAIT, &w);
}

static int do_ctx_create(struct fuzz *f)
{
	struct drm_facet_ctx_create c = {.priority = MOSTLY(below(f, 3)),
					 .flags = MOSTLY(0u),
					 .units = MOSTLY((uint64_t)below(f, 8)),
					 .timeout_ms = MOSTLY(0u),
					 .ctx = MOSTLY(0u)};
	uint32_t *at = place(f, CTX);
	int err = node_call(f->fd, DRM_IOCTL_FACET_CTX_CREATE, &c);

	if (!err) {
		forget(f, CTX, at);
		*at = c.ctx;
	}
	return err;
}

static int do_ctx_destroy(struct fuzz *f)
{
	uint32_t *at = place(f, CTX);
	struct drm_facet_ctx_destroy c = {.ctx = MOSTLY(*at), .pad = MOSTLY(0u)};
	int err = node_call(f->fd, DRM_IOCTL_FACET_CTX_DESTROY, &c);

	if (!err && c.ctx == *at)
		*at = 0;
	return err;
}

static int do_prog_create(struct fuzz *f)
{
	uint32_t which = below(f, (uint32_t)sound_count), *at = place(f, PROG);
	const struct sound *sound = &sound_cases[which];
	uint32_t args[(FACET_ARGS_MAX + 3) / 4] = {0};
	struct drm_facet_prog_create c = {.op = MOSTLY(sound->op),
					  .args_size = MOSTLY(sound->args_bytes),
					  .bytes = MOSTLY(sound->bytes),
					  .operands = MOSTLY(sound->operands),
					  .flags = MOSTLY(0u),
					  .pad = MOSTLY(0u)};
	int err;

	memcpy(args, sound->args, sound->args_bytes);
	if (f->wrong && chance(f, 2))
		args[below(f, (sound->args_bytes + 3) / 4)] = (uint32_t)odd(f);
	c.args = memory(f, args, sizeof(args));
	err = node_call(f->fd, DRM_IOCTL_FACET_PROG_CREATE, &c);
	if (!err) {
		forget(f, PROG, at);
		*at = c.prog;
		f->prog_case[at - f->handle[PROG]] = which;
	}
	return err;
}

static int do_prog_destroy(struct fuzz *f)
{
	uint32_t *at = place(f, PROG);
	struct drm_facet_prog_destroy c = {.prog = MOSTLY(*at), .pad = MOSTLY(0u)};
	int err = node_call(f->fd, DRM_IOCTL_FACET_PROG_DESTROY, &c);

	if (!err && c.prog == *at)
		*at = 0;
	return err;
}

static int do_sync_create(struct fuzz *f)
{
	struct drm_syncobj_create c = {.flags = MOSTLY(below(f, 2))};
	uint32_t *at = place(f, SYNC);
	int err = node_call(f->fd, DRM_IOCTL_SYNCOBJ_CREATE, &c);

	if (!err) {
		forget(f, SYNC, at);
		*at = c.handle;
	}
	return err;
}

static void make_operands(struct fuzz *f, uint32_t slot, struct drm_facet_operand *operand)
{
	const struct sound *sound = &sound_cases[f->prog_case[slot]];

	for (uint32_t i = 0; i < sound->operands; i++) {
		bool absent =
			sound->length[i] == ABSENT || (sound->optional >> i & 1 && chance(f, 2));

		operand[i].handle = MOSTLY(absent ? 0 : some(f, BO));
		operand[i].pad = MOSTLY(0u);
		operand[i].offset = MOSTLY(absent ? 0 : 64ull * below(f, 3));
	}
}

static int do_submit(struct fuzz *f)
{
	static struct drm_facet_operand operand[JOBS][SHELL_OPERANDS_MAX];
	struct drm_facet_job job[JOBS] = {0};
	struct drm_facet_sync sync[3] = {0};
	uint32_t jobs = 1 + below(f, JOBS), syncs = below(f, 3);
	struct drm_facet_submit s = {.ctx = MOSTLY(some(f, CTX)), .flags = MOSTLY(0u)};

	memset(operand, 0, sizeof(operand));
	for (uint32_t i = 0; i < jobs; i++) {
		uint32_t slot = below(f, SLOTS);

		for (int tries = 0; tries < 8 && !f->handle[PROG][slot]; tries++)
			slot = below(f, SLOTS);
		make_operands(f, slot, operand[i]);
		job[i].prog = MOSTLY(f->handle[PROG][slot]);
		job[i].flags = MOSTLY(0u);
		job[i].tag = next(f);
		job[i].operands.count = MOSTLY(sound_cases[f->prog_case[slot]].operands);
		job[i].operands.stride = MOSTLY((uint32_t)sizeof(operand[i][0]));
		job[i].operands.pointer = memory(f, operand[i], sizeof(operand[i]));
	}
	for (uint32_t i = 0; i < syncs; i++) {
		bool timeline = chance(f, 3);

		sync[i].handle = MOSTLY(some(f, SYNC));
		sync[i].flags =
			MOSTLY((chance(f, 2) ? DRM_FACET_SYNC_WAIT : DRM_FACET_SYNC_SIGNAL) |
			       (timeline ? DRM_FACET_SYNC_TIMELINE : 0));
		sync[i].point = MOSTLY(timeline ? 1 + (uint64_t)below(f, 5) : 0);
	}
	s.jobs = (struct drm_facet_array){memory(f, job, sizeof(job)), MOSTLY(jobs),
					  MOSTLY((uint32_t)sizeof(job[0]))};
	s.syncs = (struct drm_facet_array){memory(f, sync, sizeof(sync)), MOSTLY(syncs),
					   MOSTLY((uint32_t)sizeof(sync[0]))};
	return node_call(f->fd, DRM_IOCTL_FACET_SUBMIT, &s);
}

static int do_state(struct fuzz *f)
{
	struct drm_facet_ctx_get_state s = {.ctx = MOSTLY(some(f, CTX)), .pad = MOSTLY(0u)};

	return node_call(f->fd, DRM_IOCTL_FACET_CTX_GET_STATE, &s);
}

static int do_stats(struct fuzz *f)
{
	struct drm_facet_ctx_stats stats = {0};
	struct drm_facet_ctx_get_stats s = {.ctx = MOSTLY(some(f, CTX)),
					    .size = below(f, sizeof(stats) + 1),
					    .pointer = memory(f, &stats, sizeof(stats))};

	return node_call(f->fd, DRM_IOCTL_FACET_CTX_GET_STATS, &s);
}

static int do_jobs(struct fuzz *f)
{
	struct drm_facet_job_state states[4] = {0};
	struct drm_facet_ctx_get_jobs g = {.ctx = MOSTLY(some(f, CTX)),
					   .pad = MOSTLY(0u),
					   .first = MOSTLY(1 + (uint64_t)below(f, 100)),
					   .jobs = {memory(f, states, sizeof(states)), below(f, 5),
						    MOSTLY((uint32_t)sizeof(states[0]))}};

	if (g.jobs.stride > sizeof(states[0]))
		g.jobs.count = 1; /* no more than there is room for */
	if (g.jobs.stride > sizeof(states))
		g.jobs.pointer = (uintptr_t)f->scratch + 8192;
	return node_call(f->fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &g);
}

static int do_event(struct fuzz *f)
{
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	bool take = chance(f, 2);
	struct drm_facet_event_fd e = {.fd = take ? -1 : MOSTLY(event),
				       .mask = take ? 0 : MOSTLY(1 + below(f, 63))};
	int err = node_call(f->fd, DRM_IOCTL_FACET_EVENT_FD, &e);

	close(event);
	return err;
}

static int do_prime(struct fuzz *f)
{
	struct drm_prime_handle p = {.handle = MOSTLY(some(f, BO)), .flags = O_RDWR | O_CLOEXEC};
	int err = node_call(f->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p);
	struct drm_prime_handle back = {.fd = p.fd};

	if (err)
		return err;
	err = node_call(chance(f, 2) ? f->fd : f->shared, DRM_IOCTL_PRIME_FD_TO_HANDLE, &back);
	close(p.fd);
	return err;
}

/* Any number, any size: what is no call of the driver's must be refused, and harm nobody. */
static int do_anything(struct fuzz *f)
{
	uint32_t nr = 0x40 + below(f, 18), size = below(f, 200);
	uint32_t *words = (uint32_t *)(f->scratch + 8192 - 256);

	for (int i = 0; i < 64; i++)
		words[i] = chance(f, 3) ? (uint32_t)odd(f) : 0;
	/* Answers would go to random places of this program. */
	if (nr - 0x40 == DRM_FACET_DEV_QUERY || nr - 0x40 == DRM_FACET_CTX_GET_STATS ||
	    nr - 0x40 == DRM_FACET_CTX_GET_JOBS || nr - 0x40 == DRM_FACET_BO_CREATE)
		memset(words, 0, 256);
	return node_call(f->fd, _IOC(below(f, 4), 'd', nr, size), words);
}

/* Something of each kind, so that what follows has a chance. */
static void furnish(struct fuzz *f)
{
	bool wrong = f->wrong;

	f->wrong = false;
	for (int i = 0; i < SLOTS; i++) {
		do_bo_create(f);
		do_prog_create(f);
		if (i % 3 == 0) {
			do_ctx_create(f);
			do_sync_create(f);
		}
	}
	f->wrong = wrong;
}

/* Another file, or the one that all processes share. */
static int do_reopen(struct fuzz *f)
{
	if (!chance(f, 20))
		return 0;
	if (f->fd != f->shared)
		close(f->fd);
	f->fd = chance(f, 3) ? f->shared : node_open();
	memset(f->handle, 0, sizeof(f->handle));
	if (f->fd < 0)
		f->fd = f->shared;
	if (f->fd != f->shared)
		furnish(f);
	/* Numbers of others' handles are easily guessed. */
	for (int k = 0; k < KINDS; k++)
		for (int i = 0; i < SLOTS; i++)
			if (f->fd == f->shared)
				f->handle[k][i] = 1 + below(f, 40);
	return 0;
}

static const struct operation {
	const char *name;
	int (*run)(struct fuzz *f);
	uint32_t weight;
} operations[] = {
	{"query", do_query, 4},
	{"bo-create", do_bo_create, 6},
	{"bo-close", do_bo_close, 3},
	{"bo-map", do_bo_map, 3},
	{"bo-sync", do_bo_sync, 2},
	{"bo-wait", do_bo_wait, 2},
	{"ctx-create", do_ctx_create, 2},
	{"ctx-destroy", do_ctx_destroy, 1},
	{"prog-create", do_prog_create, 6},
	{"prog-destroy", do_prog_destroy, 1},
	{"sync-create", do_sync_create, 2},
	{"submit", do_submit, 12},
	{"state", do_state, 2},
	{"stats", do_stats, 2},
	{"jobs", do_jobs, 2},
	{"event", do_event, 1},
	{"prime", do_prime, 1},
	{"anything", do_anything, 2},
	{"reopen", do_reopen, 1},
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static const struct operation *choose(struct fuzz *f)
{
	uint32_t total = 0, at;

	for (size_t i = 0; i < OPERATIONS; i++)
		total += operations[i].weight;
	at = below(f, total);
	for (size_t i = 0;; i++) {
		if (at < operations[i].weight)
			return &operations[i];
		at -= operations[i].weight;
	}
}

static struct count (*counts)[OPERATIONS]; /* of each process, shared with them */

static void run(int shared, uint64_t seed, uint64_t calls, struct count *mine)
{
	struct fuzz f = {
		.random = seed * 0x9e3779b97f4a7c15ull | 1, .fd = shared, .shared = shared};

	f.scratch = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(f.scratch + 8192, 4096);
	furnish(&f);
	for (uint64_t i = 0; i < calls; i++) {
		const struct operation *o = choose(&f);
		struct count *count = &mine[o - operations];

		f.wrong = chance(&f, 3);
		if (o->run(&f))
			count->refused++;
		else
			count->done++;
	}
}

/* ---- afterwards --------------------------------------------------------------------------------------------- */
/* Freed memory is wiped in the background. */
static bool memory_is_back(int fd)
{
	for (int tries = 0; tries < 100; tries++) {
		bool all = true;

		for (uint32_t i = 0; i < 2; i++) {
			struct drm_facet_bank bank = {0};
			struct drm_facet_dev_query q = {.type = DRM_FACET_QUERY_BANK,
							.index = i,
							.size = sizeof(bank),
							.pointer = (uintptr_t)&bank};

			node_call(fd, DRM_IOCTL_FACET_DEV_QUERY, &q);
			all &= bank.bytes && bank.bytes_free == bank.bytes && !bank.bytes_dirty;
		}
		if (all)
			return true;
		usleep(50000);
	}
	return false;
}

static bool works(int fd)
{
	uint32_t in = node_bo(fd, NODE_BYTES, 0, 0), out = node_bo(fd, NODE_BYTES, 0, 0);
	uint32_t sync = node_syncobj(fd);
	uint8_t *from = node_map(fd, in, NODE_BYTES), *to = node_map(fd, out, NODE_BYTES);

	memset(from, 0x5a, NODE_BYTES);
	if (node_submit_echo(fd, node_ctx(fd, 0, 0), node_echo(fd, NODE_BYTES), out, in, sync,
			     NULL) ||
	    node_wait(fd, sync, 10000))
		return false;
	node_sync(fd, out, DRM_FACET_FROM_DEVICE);
	return !memcmp(from, to, NODE_BYTES);
}

static void report(void)
{
	for (size_t o = 0; o < OPERATIONS; o++) {
		struct count sum = {0};

		for (int p = 0; p < PROCESSES; p++) {
			sum.done += counts[p][o].done;
			sum.refused += counts[p][o].refused;
		}
		printf("%-13s done %9llu refused %9llu\n", operations[o].name,
		       (unsigned long long)sum.done, (unsigned long long)sum.refused);
		/* A call that is always or never refused is not tested. */
		ck_assert_msg(operations[o].run == do_reopen || (sum.done && sum.refused), "%s",
			      operations[o].name);
	}
}

static uint64_t calls = 200000, seed = 1;

/* One file that all share, and one for all that each opens besides; after it all is as it was before. */
static void one_round(uint64_t number, uint64_t n)
{
	int shared = node_open(), status;
	pid_t pid[PROCESSES];

	ck_assert_int_ge(shared, 0);
	for (uint64_t p = 0; p < PROCESSES; p++) {
		pid[p] = fork();
		if (!pid[p]) {
			run(shared, (seed + number * 1000003) * PROCESSES + p, n / PROCESSES,
			    counts[p]);
			_exit(0);
		}
	}
	for (int p = 0; p < PROCESSES; p++) {
		ck_assert_int_eq(waitpid(pid[p], &status, 0), pid[p]);
		ck_assert_int_eq(status, 0);
	}
	close(shared);
	shared = node_open();
	ck_assert(memory_is_back(shared));
	ck_assert(works(shared));
	close(shared);
}

/* What is left open on the shared file only grows: it is closed once in a while. One test is ten rounds at
 * most: Check does not know of any that takes more than half an hour. */
START_TEST(at_random)
{
	const uint64_t from = (uint64_t)_i * TEST_CALLS;
	const uint64_t to = calls - from < TEST_CALLS ? calls : from + TEST_CALLS;

	for (uint64_t done = from; done < to; done += ROUND_CALLS)
		one_round(done / ROUND_CALLS, to - done < ROUND_CALLS ? to - done : ROUND_CALLS);
	printf("%llu calls\n", (unsigned long long)to);
	fflush(stdout);
}
END_TEST

START_TEST(all_kinds_both_ways)
{
	report();
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("calls at random");
	TCase *tc = tcase_create("fuzz");
	int fd = node_open();

	if (argc > 1)
		calls = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	if (fd < 0) {
		puts("no node of the driver");
		return 77;
	}
	close(fd);
	printf("%llu calls, seed %llu\n", (unsigned long long)calls, (unsigned long long)seed);
	tcase_set_timeout(tc, 0);
	counts = mmap(NULL, PROCESSES * sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return EXIT_FAILURE;
	tcase_add_loop_test(tc, at_random, 0, (int)((calls + TEST_CALLS - 1) / TEST_CALLS));
	tcase_add_test(tc, all_kinds_both_ways);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
