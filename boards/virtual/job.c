/* SPDX-License-Identifier: Apache-2.0 */
/* One job, from its entry to its status: the checks that come before any op, and faults of jobs. */
#include "boards/virtual/internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int task_fail(struct job *job, enum shell_status status, uint32_t index, uint64_t address)
{
	if (job->status != SHELL_OK)
		return -1;
	job->status = status;
	job->index = (uint16_t)index;
	job->address = address;
	return -1;
}

int task_check(struct job *job, int error)
{
	if (!error)
		return 0;
	return task_fail(job, error == -EOVERFLOW ? SHELL_BAD_WEIGHTS : SHELL_BAD_ARGS,
			 SHELL_INDEX_NONE, 0);
}

bool task_alive(struct job *job)
{
	struct board *board = job->board;

	job->unit->progress++;
	if (board->stopped)
		task_fail(job, SHELL_THERMAL, SHELL_INDEX_NONE, 0);
	return !job->unit->reset && !board->gone && !board->stopped;
}

static void pause_ms(unsigned int ms)
{
	const struct timespec time = {0, (long)ms * 1000000};

	nanosleep(&time, NULL);
}

/* ---- checks ----------------------------------------------------------------------------------- */

static int check_entry(struct job *job)
{
	const struct shell_entry *entry = &job->entry;

	if (entry->flags & ~SHELL_ENTRY_FLAGS || entry->reserved0 || entry->reserved1 ||
	    entry->reserved2[0] || entry->reserved2[1] || entry->reserved2[2] ||
	    entry->job % SHELL_RING_ALIGN)
		return task_fail(job, SHELL_BAD_ENTRY, SHELL_INDEX_NONE, 0);
	if (entry->op >= SHELL_OPS ||
	    !(job->board->config.unit[job->unit->index].ops >> entry->op & 1))
		return task_fail(job, SHELL_BAD_OP, SHELL_INDEX_NONE, 0);
	return 0;
}

static int fetch_block(struct job *job, const struct engine *engine)
{
	const struct shell_entry *entry = &job->entry;
	uint64_t operands = entry->operands * sizeof(job->operand[0]), bad;

	if (entry->operands < engine->operands_min || entry->operands > engine->operands_max ||
	    entry->job_bytes != operands + engine->args_bytes)
		return task_fail(job, SHELL_BAD_ENTRY, SHELL_INDEX_NONE, 0);
	if (bus_read(job->board, job->unit->index, entry->job, job->operand, operands, &bad) ||
	    bus_read(job->board, job->unit->index, entry->job + operands, &job->args,
		     engine->args_bytes, &bad)) {
		board_error(job->board, SHELL_ERROR_BUS_READ, job->unit->index, 0, bad,
			    entry->sequence);
		return task_fail(job, SHELL_BUS_READ, SHELL_INDEX_NONE, bad);
	}
	job->operands = entry->operands;
	for (uint32_t i = 0; i < job->operands; i++)
		if (operand_check(job, i, engine->outputs >> i & 1))
			return -1;
	return operand_overlaps(job, engine->outputs);
}

/* ---- faults ----------------------------------------------------------------------------------- */

/* Until the unit is reset. */
static void hang(struct job *job, bool progress)
{
	while (!job->unit->reset && !job->board->gone && !job->board->stopped) {
		job->unit->progress += progress;
		pause_ms(1);
	}
}

static void suffer(struct job *job)
{
	struct board *board = job->board;
	uint32_t unit = job->unit->index;
	struct fault hit;

	if (fault_hit(board, FAULT_SELF_RESET, unit, NULL)) {
		pthread_mutex_lock(&board->lock);
		board_reset(board);
		pthread_mutex_unlock(&board->lock);
	}
	if (fault_hit(board, FAULT_HANG, unit, &hit))
		hang(job, hit.progress);
	if (fault_hit(board, FAULT_SLOW, unit, &hit))
		for (uint64_t ms = 0; ms < hit.us / 1000 && task_alive(job); ms++)
			pause_ms(1);
	if (fault_hit(board, FAULT_FAIL, unit, &hit))
		task_fail(job, (enum shell_status)hit.status, SHELL_INDEX_NONE, 0);
}

bool task_run(struct job *job)
{
	const struct engine *engine;

	job->status = SHELL_OK;
	if (!check_entry(job)) {
		engine = engine_of(job->entry.op);
		if (!fetch_block(job, engine)) {
			suffer(job);
			if (job->status == SHELL_OK && task_alive(job))
				engine_run(job);
			view_close(job);
		}
	}
	if (job->board->stopped)
		task_fail(job, SHELL_THERMAL, SHELL_INDEX_NONE, 0);
	return !job->unit->reset && !job->board->gone;
}
