/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls as jobs of the driver. A program (an op with its arguments, checked by the kernel once) is
 * kept for the next call that is the same but for its operands: a network's layers, a gallery's scan.
 */
#include "daemon/device/drm.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <xf86drm.h>

#define CALLS_MAX    32u
#define WAIT_MORE_NS UINT64_C(10000000000) /* beyond what the kernel grants a job */

/* ---- programs ---- */

/* Length of the operands that the arguments do not tell. */
static uint64_t untold_bytes(const struct shell_call *call)
{
	return call->op == SHELL_OP_ECHO || call->op == SHELL_OP_FILL ||
			       call->op == SHELL_OP_MEMTEST
		       ? call->operand[0].length
		       : 0;
}

static bool same(const struct drm_program *program, const struct shell_call *call)
{
	return program->handle && program->op == (uint32_t)call->op &&
	       program->operands == call->operands && program->args_bytes == call->args_bytes &&
	       program->bytes == untold_bytes(call) &&
	       !memcmp(program->args, call->args, call->args_bytes);
}

static void program_destroy(struct drm_port *drm, struct drm_program *program)
{
	struct drm_facet_prog_destroy destroy = {.prog = program->handle};

	if (program->handle)
		drmIoctl(drm->fd, DRM_IOCTL_FACET_PROG_DESTROY, &destroy);
	program->handle = 0;
}

static int program_create(struct drm_port *drm, struct drm_program *program,
			  const struct shell_call *call)
{
	struct drm_facet_prog_create create = {
		.op = call->op,
		.args_size = call->args_bytes,
		.args = (uint64_t)(uintptr_t)call->args,
		.bytes = untold_bytes(call),
		.operands = call->operands,
	};

	program_destroy(drm, program);
	if (drmIoctl(drm->fd, DRM_IOCTL_FACET_PROG_CREATE, &create))
		return -errno;
	program->handle = create.prog;
	program->op = create.op;
	program->operands = create.operands;
	program->args_bytes = create.args_size;
	program->bytes = create.bytes;
	memcpy(program->args, call->args, call->args_bytes);
	return 0;
}

/* The one that fits, else a new one in place of the one that was used longest ago. */
static int program_get(struct drm_port *drm, const struct shell_call *call, uint32_t *handle)
{
	uint32_t kept = drm->limits.programs < DRM_PROGRAMS ? drm->limits.programs : DRM_PROGRAMS;
	struct drm_program *oldest = &drm->program[0];
	int err = 0;

	for (uint32_t i = 0; i < kept; i++) {
		struct drm_program *program = &drm->program[i];

		if (same(program, call)) {
			oldest = program;
			break;
		}
		if (program->used < oldest->used)
			oldest = program;
	}
	if (!same(oldest, call))
		err = program_create(drm, oldest, call);
	if (err)
		return err;
	oldest->used = ++drm->uses;
	*handle = oldest->handle;
	return 0;
}

void drm_programs_free(struct drm_port *drm)
{
	for (uint32_t i = 0; i < DRM_PROGRAMS; i++)
		program_destroy(drm, &drm->program[i]);
}

/* ---- units ---- */

static int unit_prepare(struct drm_port *drm, uint32_t index)
{
	struct drm_unit *unit = &drm->unit[index];
	struct drm_facet_ctx_create create = {.units = UINT64_C(1) << index};

	if (!unit->syncobj && drmSyncobjCreate(drm->fd, 0, &unit->syncobj))
		return -errno;
	if (unit->ctx)
		return 0;
	if (drmIoctl(drm->fd, DRM_IOCTL_FACET_CTX_CREATE, &create))
		return -errno;
	unit->ctx = create.ctx;
	return 0;
}

/* One that is banned takes no more jobs; the next call makes another. */
static void unit_retire(struct drm_port *drm, struct drm_unit *unit)
{
	struct drm_facet_ctx_destroy destroy = {.ctx = unit->ctx};

	if (unit->ctx)
		drmIoctl(drm->fd, DRM_IOCTL_FACET_CTX_DESTROY, &destroy);
	unit->ctx = 0;
}

/* The n-th unit that has the op, counted round; a copy goes to a DMA unit where there is one. */
static int unit_choose(const struct drm_port *drm, enum shell_op op, uint32_t n)
{
	uint32_t fit[SHELL_PORT_UNITS], count = 0;

	for (int dma = op == SHELL_OP_COPY; dma >= 0 && !count; dma--)
		for (uint32_t i = 0; i < drm->units; i++)
			if (drm->unit[i].ops >> op & 1 &&
			    (!dma || drm->unit[i].kind == SHELL_UNIT_DMA))
				fit[count++] = i;
	return count ? (int)fit[n % count] : -1;
}

/* ---- jobs ---- */

struct pending {
	uint32_t unit;
	uint64_t sequence;
};

static void fill_operands(const struct shell_call *call, struct drm_facet_operand *operands)
{
	for (uint32_t i = 0; i < call->operands; i++) {
		const struct drm_memory *m = (const struct drm_memory *)call->operand[i].memory;

		operands[i] = (struct drm_facet_operand){0};
		if (m) {
			operands[i].handle = m->handle;
			operands[i].offset = call->operand[i].offset;
		}
	}
}

/* Host memory goes over to the board before a job, all of it, and what the job wrote comes back: where caches
 * are coherent that is nothing, elsewhere bytes are moved. */
static int hand_over(struct drm_port *drm, const struct shell_call *call, uint64_t mask,
		     uint32_t flags)
{
	for (uint32_t i = 0; i < call->operands; i++) {
		const struct shell_extent *operand = &call->operand[i];
		const struct drm_memory *m = (const struct drm_memory *)operand->memory;
		struct drm_facet_bo_sync sync = {.flags = flags};

		if (!m || m->base.place == SHELL_PLACE_BOARD || !operand->length ||
		    !(mask >> i & 1))
			continue;
		sync.handle = m->handle;
		sync.offset = operand->offset;
		sync.length = operand->length;
		if (drmIoctl(drm->fd, DRM_IOCTL_FACET_BO_SYNC, &sync))
			return -errno;
	}
	return 0;
}

/* The fence of a unit's syncobj is that of the job submitted last: one call in flight a unit. */
static int call_submit(struct drm_port *drm, const struct shell_call *call, uint32_t index,
		       uint64_t *sequence)
{
	struct drm_unit *unit = &drm->unit[index];
	struct drm_facet_operand operands[SHELL_OPERANDS_MAX];
	struct drm_facet_job job = {
		.tag = call->tag,
		.operands = {(uint64_t)(uintptr_t)operands, call->operands, sizeof(operands[0])}};
	struct drm_facet_sync sync = {.flags = DRM_FACET_SYNC_SIGNAL};
	struct drm_facet_submit submit = {
		.jobs = {(uint64_t)(uintptr_t)&job, 1, sizeof(job)},
		.syncs = {(uint64_t)(uintptr_t)&sync, 1, sizeof(sync)},
	};
	int err = unit_prepare(drm, index);

	if (!err)
		err = program_get(drm, call, &job.prog);
	if (!err)
		err = hand_over(drm, call, UINT64_MAX, DRM_FACET_TO_DEVICE);
	if (err)
		return err;
	fill_operands(call, operands);
	sync.handle = unit->syncobj;
	submit.ctx = unit->ctx;
	if (drmIoctl(drm->fd, DRM_IOCTL_FACET_SUBMIT, &submit))
		return -errno;
	*sequence = submit.first;
	return 0;
}

static int64_t wait_until(const struct drm_port *drm)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec +
	       (int64_t)drm->limits.timeout_max_ms * 1000000 + (int64_t)WAIT_MORE_NS;
}

/* A job that the board could not do may be done elsewhere. */
static int error_of(const struct drm_facet_job_state *state)
{
	switch (state->error) {
	case 0:
	case -EINVAL:
	case -EOVERFLOW:
	case -ETIMEDOUT:
	case -ECANCELED:
	case -ENODEV:
	case -ENOMEM:
		return state->error;
	default:
		return -EIO;
	}
}

/* How the job ended: fences do not tell it on every kernel, the driver's own record does. */
static void call_finish(struct drm_port *drm, struct shell_call *call,
			const struct pending *pending)
{
	struct drm_unit *unit = &drm->unit[pending->unit];
	struct drm_facet_job_state state = {0};
	struct drm_facet_ctx_get_jobs get = {
		.ctx = unit->ctx,
		.first = pending->sequence,
		.jobs = {(uint64_t)(uintptr_t)&state, 1, sizeof(state)},
	};

	if (drmSyncobjWait(drm->fd, &unit->syncobj, 1, wait_until(drm), 0, NULL))
		call->error = errno == ETIME ? -ETIMEDOUT : -errno;
	else if (drmIoctl(drm->fd, DRM_IOCTL_FACET_CTX_GET_JOBS, &get))
		call->error = -errno;
	else if (state.state != DRM_FACET_JOB_DONE)
		call->error = -EIO;
	else
		call->error = error_of(&state);
	if (!call->error)
		call->error =
			hand_over(drm, call, shell_op_writes(call->op), DRM_FACET_FROM_DEVICE);
	call->status = state.status;
	call->value = state.value;
	call->device_ns = state.device_ns;
	if (call->error == -ETIMEDOUT || call->error == -ECANCELED)
		unit_retire(drm, unit);
}

/* A round of calls on units that differ; how many they were. */
static uint32_t run_round(struct drm_port *drm, struct shell_call *calls, uint32_t count)
{
	struct pending pending[CALLS_MAX];
	uint64_t taken = 0;
	uint32_t n;

	for (n = 0; n < count && n < CALLS_MAX; n++) {
		int unit = unit_choose(drm, calls[n].op, n);

		if (unit >= 0 && taken >> unit & 1)
			break;
		calls[n].status = 0;
		calls[n].value = 0;
		calls[n].error = unit < 0 ? -EOPNOTSUPP
					  : call_submit(drm, &calls[n], (uint32_t)unit,
							&pending[n].sequence);
		if (calls[n].error)
			continue;
		pending[n].unit = (uint32_t)unit;
		taken |= UINT64_C(1) << unit;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!calls[i].error)
			call_finish(drm, &calls[i], &pending[i]);
	return n;
}

void drm_run_locked(struct shell_port *port, struct shell_call *calls, uint32_t count)
{
	struct drm_port *drm = drm_port_of(port);

	while (count) {
		uint32_t n = run_round(drm, calls, count);

		calls += n;
		count -= n;
	}
}

void drm_run(struct shell_port *port, struct shell_call *calls, uint32_t count)
{
	struct drm_port *drm = drm_port_of(port);

	pthread_mutex_lock(&drm->lock);
	drm_run_locked(port, calls, count);
	pthread_mutex_unlock(&drm->lock);
}
