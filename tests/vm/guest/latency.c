/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An empty job through the driver, from submission until its fence is seen: how long, and how much of it
 * the model of the board takes for itself, by its own clock. No figure of any board.
 *
 *   latency [JOBS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/vm/guest/node.h"

#define WARM 50

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int smaller(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct client {
	int fd;
	uint32_t ctx, prog, sync;
};

/* An echo of nothing: both operands are absent. */
static int open_client(struct client *c)
{
	static const struct shell_echo echo;
	struct drm_facet_ctx_create ctx = {.units = 1 << 1};
	struct drm_syncobj_create sync = {0};
	struct drm_facet_prog_create prog = {.op = SHELL_OP_ECHO,
					     .args_size = sizeof(echo),
					     .args = (uintptr_t)&echo,
					     .operands = 2};

	c->fd = node_open();
	if (c->fd < 0 || node_call(c->fd, DRM_IOCTL_FACET_CTX_CREATE, &ctx) ||
	    node_call(c->fd, DRM_IOCTL_FACET_PROG_CREATE, &prog) ||
	    node_call(c->fd, DRM_IOCTL_SYNCOBJ_CREATE, &sync))
		return -1;
	c->ctx = ctx.ctx;
	c->prog = prog.prog;
	c->sync = sync.handle;
	return 0;
}

static int one(const struct client *c, uint64_t *ns, uint64_t *device_ns)
{
	struct drm_facet_operand none[2] = {0};
	struct drm_facet_job job = {.prog = c->prog,
				    .operands = {(uintptr_t)none, 2, sizeof(none[0])}};
	struct drm_facet_sync signal = {.handle = c->sync, .flags = DRM_FACET_SYNC_SIGNAL};
	struct drm_facet_submit submit = {.ctx = c->ctx,
					  .jobs = {(uintptr_t)&job, 1, sizeof(job)},
					  .syncs = {(uintptr_t)&signal, 1, sizeof(signal)}};
	struct drm_facet_job_state state = {0};
	struct drm_facet_ctx_get_jobs get = {.ctx = c->ctx,
					     .jobs = {(uintptr_t)&state, 1, sizeof(state)}};
	uint64_t begin = now();

	if (node_call(c->fd, DRM_IOCTL_FACET_SUBMIT, &submit) || node_wait(c->fd, c->sync, 10000))
		return -1;
	*ns = now() - begin;
	get.first = submit.first;
	if (node_call(c->fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &get) || state.error)
		return -1;
	*device_ns = state.device_ns;
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t jobs = argc > 1 ? (uint32_t)atoi(argv[1]) : 2000;
	uint64_t *whole = calloc(jobs, sizeof(*whole)), *device = calloc(jobs, sizeof(*device));
	struct client c;

	if (!jobs || !whole || !device || open_client(&c)) {
		puts("no node of the driver");
		return 77;
	}
	for (uint32_t i = 0; i < jobs + WARM; i++)
		if (one(&c, &whole[i < WARM ? 0 : i - WARM], &device[i < WARM ? 0 : i - WARM])) {
			puts("a job failed");
			return 1;
		}
	qsort(whole, jobs, sizeof(*whole), smaller);
	qsort(device, jobs, sizeof(*device), smaller);
	printf("MODEL, not a board: empty job, submit to wait, %u jobs: median %.1f us (best %.1f, "
	       "99 of 100 "
	       "under %.1f); of it the model by its own clock: median %.1f us\n",
	       jobs, (double)whole[jobs / 2] / 1e3, (double)whole[0] / 1e3,
	       (double)whole[jobs * 99ull / 100] / 1e3, (double)device[jobs / 2] / 1e3);
	close(c.fd);
	return 0;
}
