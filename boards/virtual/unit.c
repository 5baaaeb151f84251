/* SPDX-License-Identifier: Apache-2.0 */
/* A unit: its thread, its rings, its registers, and when it interrupts. */
#include "boards/virtual/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES sizeof(struct shell_entry)

static uint64_t get64(const uint32_t *lo)
{
	return lo[0] | (uint64_t)lo[1] << 32;
}

static void put64(uint32_t *lo, uint64_t value)
{
	lo[0] = (uint32_t)value;
	lo[1] = (uint32_t)(value >> 32);
}

/* ---- interrupts ------------------------------------------------------------------------------- */

/* One more completion asks for an interrupt; is it sent now? board.lock is held. */
static bool due(struct unit *unit)
{
	uint32_t limit = unit->r[SHELL_U_MODERATION / 4] & 0xffff,
		 us = unit->r[SHELL_U_MODERATION / 4] >> 16;

	if (!limit && !us)
		return true;
	unit->held++;
	if (limit && unit->held >= limit) {
		unit->held = 0;
		return true;
	}
	if (us && unit->held == 1) {
		unit->held_until = board_clock_ns() + us * UINT64_C(1000);
		pthread_cond_signal(&unit->board->wake);
	}
	return false;
}

/* Sends the unit's interrupt, unless a fault has it otherwise. No lock is held. */
static void interrupt(struct unit *unit, uint32_t vector)
{
	struct board *board = unit->board;
	struct fault hit;

	if (vector == SHELL_VECTOR_NONE || fault_hit(board, FAULT_LOST_IRQ, unit->index, NULL))
		return;
	unit->irqs++;
	if (!fault_hit(board, FAULT_LATE_IRQ, unit->index, &hit)) {
		irq_raise(board, vector, unit->index);
		return;
	}
	pthread_mutex_lock(&board->lock);
	unit->late_until = board_clock_ns() + hit.us * 1000;
	pthread_cond_signal(&board->wake);
	pthread_mutex_unlock(&board->lock);
}

uint64_t unit_timers(struct unit *unit, uint64_t now)
{
	uint64_t next = UINT64_MAX, *const timers[] = {&unit->held_until, &unit->late_until};

	for (int i = 0; i < 2; i++) {
		if (!*timers[i])
			continue;
		if (*timers[i] > now) {
			next = *timers[i] < next ? *timers[i] : next;
			continue;
		}
		*timers[i] = 0;
		if (timers[i] == &unit->held_until) {
			if (!unit->held)
				continue;
			unit->held = 0;
			unit->irqs++;
		}
		if (unit->r[SHELL_U_VECTOR / 4] != SHELL_VECTOR_NONE)
			irq_want(unit->board, unit->r[SHELL_U_VECTOR / 4]);
	}
	return next;
}

/* ---- the ring --------------------------------------------------------------------------------- */

static void stop(struct unit *unit, enum shell_stop why, enum shell_error cause, uint64_t address)
{
	struct board *board = unit->board;

	pthread_mutex_lock(&board->lock);
	unit->r[SHELL_U_STOP / 4] = why;
	unit->r[SHELL_U_STATUS / 4] |= SHELL_USTATUS_STOPPED;
	registers_error(board, cause, unit->index, why, address, unit->sequence);
	registers_cause(board, SHELL_INT_UNIT);
	pthread_mutex_unlock(&board->lock);
}

static enum shell_stop check_ring(const struct unit *unit)
{
	uint32_t log2 = unit->r[SHELL_U_RING_LOG2 / 4];

	if (log2 < 1 || log2 > unit->board->config.ring_log2)
		return SHELL_STOP_RING_SIZE;
	if (unit->r[SHELL_U_RING_LO / 4] % SHELL_RING_ALIGN ||
	    unit->r[SHELL_U_DONE_LO / 4] % SHELL_RING_ALIGN)
		return SHELL_STOP_RING_ALIGN;
	if (unit->r[SHELL_U_TAIL / 4] - unit->r[SHELL_U_HEAD / 4] > 1u << log2)
		return SHELL_STOP_TAIL;
	return SHELL_STOP_NONE;
}

static uint64_t slot(const struct unit *unit, uint32_t ring)
{
	uint32_t mask = (1u << unit->r[SHELL_U_RING_LOG2 / 4]) - 1;

	return get64(unit->r + ring / 4) + (unit->r[SHELL_U_HEAD / 4] & mask) * ENTRY_BYTES;
}

static bool fetch(struct unit *unit, struct shell_entry *entry, uint64_t from)
{
	uint64_t bad;

	if (fault_hit(unit->board, FAULT_UNIT_STOP, unit->index, NULL)) {
		stop(unit, SHELL_STOP_INTERNAL, SHELL_ERROR_UNIT, 0);
		return false;
	}
	if (bus_read(unit->board, unit->index, from, entry, sizeof(*entry), &bad)) {
		stop(unit, SHELL_STOP_FETCH, SHELL_ERROR_BUS_READ, bad);
		return false;
	}
	if (entry->sequence <= unit->sequence) {
		stop(unit, SHELL_STOP_SEQUENCE, SHELL_ERROR_RING, from);
		return false;
	}
	unit->sequence = entry->sequence;
	return true;
}

/* Writes the completion, its sequence last. */
static bool write_completion(struct unit *unit, struct shell_completion *done, uint64_t to)
{
	struct board *board = unit->board;
	uint64_t sequence = done->sequence, bad;
	struct fault hit;

	if (fault_hit(board, FAULT_LOST_COMPLETION, unit->index, NULL))
		return true;
	if (fault_hit(board, FAULT_WRONG_SEQUENCE, unit->index, &hit))
		sequence += hit.value ? hit.value : 1;
	if (bus_write(board, unit->index, to, done, offsetof(struct shell_completion, sequence),
		      &bad) ||
	    bus_store64(board, unit->index, to + offsetof(struct shell_completion, sequence),
			sequence, &bad)) {
		stop(unit, SHELL_STOP_COMPLETE, SHELL_ERROR_BUS_WRITE, bad);
		return false;
	}
	return true;
}

static void complete(struct unit *unit, const struct job *job, uint64_t begin, uint64_t to)
{
	struct board *board = unit->board;
	struct shell_completion done = {
		.status = job->status,
		.index = job->index,
		.value = job->value,
		.address = job->address,
		.begin = begin,
		.end = board_time(board),
		.tag = job->entry.tag,
		.sequence = job->entry.sequence,
	};
	bool raise = job->entry.flags & SHELL_ENTRY_INTERRUPT;
	uint32_t vector;

	if (!write_completion(unit, &done, to))
		return;
	board->jobs++;
	board->failed += job->status != SHELL_OK;
	board->busy_ns += done.end - begin;
	pthread_mutex_lock(&board->lock);
	unit->r[SHELL_U_HEAD / 4]++;
	put64(unit->r + SHELL_U_LAST_LO / 4, done.sequence);
	raise = raise && due(unit);
	vector = unit->r[SHELL_U_VECTOR / 4];
	pthread_mutex_unlock(&board->lock);
	if (raise)
		interrupt(unit, vector);
}

static void run_entry(struct unit *unit, uint64_t from, uint64_t to)
{
	struct board *board = unit->board;
	struct job job = {.board = board, .unit = unit, .index = SHELL_INDEX_NONE};
	uint64_t begin = board_time(board);

	if (!fetch(unit, &job.entry, from))
		return;
	pthread_mutex_lock(&board->lock);
	put64(unit->r + SHELL_U_CURRENT_LO / 4, job.entry.sequence);
	pthread_mutex_unlock(&board->lock);
	if (task_run(&job))
		complete(unit, &job, begin, to);
}

/* One entry, with board.lock held on entry and return. */
static void step(struct unit *unit)
{
	struct board *board = unit->board;
	enum shell_stop why = check_ring(unit);
	uint64_t from = slot(unit, SHELL_U_RING_LO), to = slot(unit, SHELL_U_DONE_LO);

	unit->r[SHELL_U_STATUS / 4] |= SHELL_USTATUS_BUSY;
	pthread_mutex_unlock(&board->lock);
	if (why)
		stop(unit, why, SHELL_ERROR_RING, from);
	else
		run_entry(unit, from, to);
	pthread_mutex_lock(&board->lock);
	put64(unit->r + SHELL_U_CURRENT_LO / 4, 0);
	unit->r[SHELL_U_STATUS / 4] &= ~SHELL_USTATUS_BUSY;
}

/* ---- the thread ------------------------------------------------------------------------------- */

static bool runnable(const struct unit *unit)
{
	uint32_t control = unit->r[SHELL_U_CONTROL / 4];

	return board_may_run(unit->board) && (control & SHELL_CONTROL_ENABLE) &&
	       !(control & SHELL_CONTROL_QUIESCE) &&
	       !(unit->r[SHELL_U_STATUS / 4] & SHELL_USTATUS_STOPPED) &&
	       unit->r[SHELL_U_TAIL / 4] != unit->r[SHELL_U_HEAD / 4];
}

static void clear(struct unit *unit)
{
	static const uint32_t zeroed[] = {
		SHELL_U_CONTROL,    SHELL_U_STATUS,	SHELL_U_STOP,	   SHELL_U_RING_LO,
		SHELL_U_RING_HI,    SHELL_U_DONE_LO,	SHELL_U_DONE_HI,   SHELL_U_RING_LOG2,
		SHELL_U_TAIL,	    SHELL_U_HEAD,	SHELL_U_LAST_LO,   SHELL_U_LAST_HI,
		SHELL_U_CURRENT_LO, SHELL_U_CURRENT_HI, SHELL_U_MODERATION};

	for (size_t i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++)
		unit->r[zeroed[i] / 4] = 0;
	unit->r[SHELL_U_VECTOR / 4] = SHELL_VECTOR_NONE;
	unit->r[SHELL_U_RESETS / 4]++;
	unit->sequence = 0;
	unit->held = 0;
	unit->held_until = unit->late_until = 0;
	unit->reset = false;
	pthread_cond_signal(&unit->board->wake);
}

static void *unit_thread(void *argument)
{
	struct unit *unit = argument;
	struct board *board = unit->board;

	cpu_float_mode();
	pthread_mutex_lock(&board->lock);
	while (!board->quit) {
		if (unit->reset && !unit->stuck && !board->resetting)
			unit->stuck = fault_hit(board, FAULT_STUCK_RESET, unit->index, NULL);
		if (unit->reset && !unit->stuck)
			clear(unit);
		else if (!unit->reset && runnable(unit))
			step(unit);
		else
			pthread_cond_wait(&unit->wake, &board->lock);
	}
	pthread_mutex_unlock(&board->lock);
	return NULL;
}

int unit_start(struct board *board, uint32_t index)
{
	struct unit *unit = &board->unit[index];
	char name[16];
	int err;

	unit->board = board;
	unit->index = index;
	pthread_cond_init(&unit->wake, NULL);
	err = pthread_create(&unit->thread, NULL, unit_thread, unit);
	if (err) {
		pthread_cond_destroy(&unit->wake);
		return -err;
	}
	unit->started = true;
	snprintf(name, sizeof(name), "unit-%.10s", board->config.unit[index].name);
	pthread_setname_np(unit->thread, name);
	return 0;
}

void unit_join(struct unit *unit)
{
	if (!unit->started)
		return;
	pthread_join(unit->thread, NULL);
	pthread_cond_destroy(&unit->wake);
	free(unit->scratch);
}

/* ---- registers -------------------------------------------------------------------------------- */

void unit_kick(struct unit *unit)
{
	pthread_cond_signal(&unit->wake);
}

bool unit_quiet(const struct unit *unit)
{
	return !(unit->r[SHELL_U_STATUS / 4] & SHELL_USTATUS_BUSY) && !unit->reset;
}

void unit_reset(struct unit *unit)
{
	unit->reset = true;
	if (unit->board->resetting)
		unit->stuck = false;
	pthread_cond_signal(&unit->wake);
}

uint32_t unit_read(struct unit *unit, uint32_t offset)
{
	switch (offset) {
	case SHELL_U_CONTROL:
		return unit->reset ? SHELL_CONTROL_RESET : unit->r[offset / 4];
	case SHELL_U_STATUS:
		return unit->r[offset / 4] | (unit_quiet(unit) ? SHELL_USTATUS_QUIET : 0);
	case SHELL_U_PROGRESS:
		return unit->progress;
	case SHELL_U_IRQS:
		return unit->irqs;
	default:
		return unit->r[offset / 4];
	}
}

static void write_control(struct unit *unit, uint32_t value)
{
	if (!(value & SHELL_CONTROL_RESET))
		unit->r[SHELL_U_CONTROL / 4] =
			value & (SHELL_CONTROL_ENABLE | SHELL_CONTROL_QUIESCE);
	else if (unit->board->config.caps & SHELL_CAP_UNIT_RESET)
		unit_reset(unit);
	unit_kick(unit);
}

void unit_write(struct unit *unit, uint32_t offset, uint32_t value)
{
	static const struct {
		uint32_t offset;
		bool while_enabled;
	} plain[] = {
		{SHELL_U_RING_LO, false}, {SHELL_U_RING_HI, false},   {SHELL_U_DONE_LO, false},
		{SHELL_U_DONE_HI, false}, {SHELL_U_RING_LOG2, false}, {SHELL_U_TAIL, true},
		{SHELL_U_VECTOR, true},
	};
	bool enabled = unit->r[SHELL_U_CONTROL / 4] & SHELL_CONTROL_ENABLE;

	if (unit->reset)
		return;
	if (offset == SHELL_U_CONTROL)
		write_control(unit, value);
	if (offset == SHELL_U_MODERATION && (unit->board->config.caps & SHELL_CAP_MODERATION))
		unit->r[offset / 4] = value;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (plain[i].offset == offset && (plain[i].while_enabled || !enabled))
			unit->r[offset / 4] = value;
	unit_kick(unit);
}
