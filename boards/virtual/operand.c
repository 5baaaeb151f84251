/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands: whether they make sense, and their bytes. A cursor walks an operand once from its first
 * byte to its last, over whatever it is made of; a view is an operand as memory, in place where it
 * lies in a sound bank, else a copy of bounded size.
 */
#include "boards/virtual/internal.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK (UINT64_C(1) << 20)

bool operand_present(const struct job *job, uint32_t index)
{
	return job->operand[index].space != SHELL_SPACE_NONE;
}

static int bad(struct job *job, uint32_t index)
{
	return task_fail(job, SHELL_BAD_OPERAND, index, job->operand[index].address);
}

/* ---- checks ----------------------------------------------------------------------------------- */

static bool all_zero(const void *data, size_t bytes)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < bytes; i++)
		if (byte[i])
			return false;
	return true;
}

static bool may_use_host(const struct job *job)
{
	return job->board->config.unit[job->unit->index].kind == SHELL_UNIT_DMA ||
	       (job->board->config.caps & SHELL_CAP_HOST_DATA);
}

static int check_scattered(struct job *job, uint32_t index)
{
	const struct shell_operand *o = &job->operand[index];

	if (o->bank || !may_use_host(job) || o->offset + o->length < o->offset)
		return bad(job, index);
	if (!o->entries || o->address % sizeof(struct shell_sg) ||
	    o->entries > 1u << job->board->config.sg_log2)
		return task_fail(job, SHELL_BAD_SG, index, o->address);
	return 0;
}

static int check_in_bank(struct job *job, uint32_t index)
{
	const struct shell_operand *o = &job->operand[index];
	const struct board *board = job->board;

	if (o->entries || o->offset || o->bank >= board->config.banks ||
	    !(board->config.unit[job->unit->index].banks >> o->bank & 1) ||
	    o->address % (1u << board->config.align_log2))
		return bad(job, index);
	if (o->address > board->bank[o->bank].bytes ||
	    o->length > board->bank[o->bank].bytes - o->address) {
		board_error(job->board, SHELL_ERROR_BANK, job->unit->index, o->bank, o->address,
			    job->entry.sequence);
		return task_fail(job, SHELL_BANK_RANGE, index, o->address);
	}
	return 0;
}

int operand_check(struct job *job, uint32_t index, bool written)
{
	const struct shell_operand *o = &job->operand[index];
	uint16_t need = written ? SHELL_ACCESS_WRITE : SHELL_ACCESS_READ;

	if (o->space == SHELL_SPACE_NONE)
		return all_zero(o, sizeof(*o)) ? 0 : bad(job, index);
	if (o->access & ~(SHELL_ACCESS_READ | SHELL_ACCESS_WRITE) || !(o->access & need) ||
	    o->reserved || o->reserved1 || o->reserved2 || !o->length ||
	    o->address + o->length < o->address)
		return bad(job, index);
	if (o->space == SHELL_SPACE_BANK)
		return check_in_bank(job, index);
	if (o->space == SHELL_SPACE_SG)
		return check_scattered(job, index);
	if (o->space != SHELL_SPACE_HOST || o->bank || o->entries || o->offset ||
	    !may_use_host(job))
		return bad(job, index);
	return 0;
}

int operand_length(struct job *job, uint32_t index, uint64_t elements, uint32_t element_bytes)
{
	const struct shell_operand *o = &job->operand[index];
	uint64_t bytes;

	if (__builtin_mul_overflow(elements, element_bytes, &bytes) || o->length != bytes ||
	    (o->space == SHELL_SPACE_HOST && o->address % element_bytes) ||
	    o->offset % element_bytes)
		return bad(job, index);
	return 0;
}

static bool same_run(const struct shell_operand *a, const struct shell_operand *b)
{
	return a->space == b->space && a->bank == b->bank &&
	       (a->space == SHELL_SPACE_BANK || a->space == SHELL_SPACE_HOST) &&
	       a->address < b->address + b->length && b->address < a->address + a->length;
}

int operand_overlaps(struct job *job, uint64_t outputs)
{
	for (uint32_t i = 0; i < job->operands; i++) {
		if (!(outputs >> i & 1))
			continue;
		for (uint32_t j = 0; j < job->operands; j++)
			if (i != j && same_run(&job->operand[i], &job->operand[j]))
				return bad(job, i);
	}
	return 0;
}

/* ---- cursors ---------------------------------------------------------------------------------- */

void cursor_init(struct cursor *cursor, struct job *job, uint32_t index)
{
	const struct shell_operand *o = &job->operand[index];

	*cursor = (struct cursor){.job = job, .index = index, .left = o->length};
	if (o->space == SHELL_SPACE_SG) {
		cursor->table = o->address;
		cursor->table_left = o->entries;
		cursor->skip = o->offset;
	} else {
		cursor->at = o->address;
		cursor->run = o->length;
	}
}

static int bus_failed(struct cursor *cursor, bool write, uint64_t address)
{
	struct job *job = cursor->job;

	board_error(job->board, write ? SHELL_ERROR_BUS_WRITE : SHELL_ERROR_BUS_READ,
		    job->unit->index, 0, address, job->entry.sequence);
	return task_fail(job, write ? SHELL_BUS_WRITE : SHELL_BUS_READ, cursor->index, address);
}

static bool entry_ok(const struct cursor *cursor, const struct shell_sg *entry)
{
	if (entry->flags & ~SHELL_SG_FLAGS || !entry->length)
		return false;
	if (entry->flags & SHELL_SG_LINK)
		return cursor->table_left == 0 && entry->address % sizeof(*entry) == 0;
	return entry->address + entry->length > entry->address;
}

/* Takes one entry of the scatter-gather list: a run, or on to the next table. */
static int next_entry(struct cursor *cursor)
{
	struct job *job = cursor->job;
	struct shell_sg entry;
	uint64_t address = 0;

	if (!cursor->table_left || cursor->entries++ >> job->board->config.sg_log2)
		return task_fail(job, SHELL_BAD_SG, cursor->index, cursor->table);
	if (bus_read(job->board, job->unit->index, cursor->table, &entry, sizeof(entry), &address))
		return bus_failed(cursor, false, address);
	cursor->table_left--;
	if (!entry_ok(cursor, &entry))
		return task_fail(job, SHELL_BAD_SG, cursor->index, cursor->table);
	cursor->table += sizeof(entry);
	if (entry.flags & SHELL_SG_LINK) {
		cursor->table = entry.address;
		cursor->table_left = entry.length;
	} else if (cursor->skip >= entry.length) {
		cursor->skip -= entry.length;
	} else {
		cursor->at = entry.address + cursor->skip;
		cursor->run = entry.length - cursor->skip;
		cursor->skip = 0;
	}
	return 0;
}

static int move(struct cursor *cursor, uint8_t *data, uint64_t bytes, bool write)
{
	struct job *job = cursor->job;
	const struct shell_operand *o = &job->operand[cursor->index];
	uint32_t unit = job->unit->index;
	uint64_t address = cursor->at;
	int err = 0;

	if (o->space == SHELL_SPACE_BANK && write)
		bank_write(&job->board->bank[o->bank], cursor->at, data, bytes);
	else if (o->space == SHELL_SPACE_BANK)
		bank_read(&job->board->bank[o->bank], cursor->at, data, bytes);
	else
		err = write ? bus_write(job->board, unit, cursor->at, data, bytes, &address)
			    : bus_read(job->board, unit, cursor->at, data, bytes, &address);
	return err ? bus_failed(cursor, write, address) : 0;
}

/* data NULL: only moves on. Engines never ask for more than there is left. */
static int walk(struct cursor *cursor, uint8_t *data, uint64_t bytes, bool write)
{
	if (bytes > cursor->left)
		return task_fail(cursor->job, SHELL_INTERNAL, cursor->index, 0);
	cursor->left -= bytes;
	while (bytes) {
		uint64_t n = bytes < cursor->run ? bytes : cursor->run;

		if (!n) {
			if (next_entry(cursor))
				return -1;
			continue;
		}
		if (data && move(cursor, data, n, write))
			return -1;
		cursor->at += n;
		cursor->run -= n;
		data = data ? data + n : NULL;
		bytes -= n;
	}
	return 0;
}

int cursor_read(struct cursor *cursor, void *to, uint64_t bytes)
{
	return walk(cursor, to, bytes, false);
}

int cursor_write(struct cursor *cursor, const void *from, uint64_t bytes)
{
	return walk(cursor, (uint8_t *)from, bytes, true);
}

int cursor_skip(struct cursor *cursor, uint64_t bytes)
{
	return walk(cursor, NULL, bytes, false);
}

/* ---- views ------------------------------------------------------------------------------------ */

static int copy_in(struct job *job, uint32_t index, uint8_t *to, uint64_t bytes)
{
	struct cursor cursor;

	cursor_init(&cursor, job, index);
	for (uint64_t at = 0; at < bytes; at += CHUNK)
		if (!task_alive(job) ||
		    cursor_read(&cursor, to + at, bytes - at < CHUNK ? bytes - at : CHUNK))
			return -1;
	return 0;
}

static int memory_error(struct job *job, uint32_t index)
{
	const struct shell_operand *o = &job->operand[index];
	struct fault hit;

	if (o->space != SHELL_SPACE_BANK ||
	    !fault_hit(job->board, FAULT_ECC, job->unit->index, &hit))
		return 0;
	board_error(job->board, SHELL_ERROR_ECC, job->unit->index, o->bank, o->address,
		    job->entry.sequence);
	return task_fail(job, SHELL_BANK_ECC, index, o->address);
}

static void flip_input(struct job *job, struct view *view)
{
	struct fault hit;

	if (!fault_strikes(job->board, FAULT_INPUT, job->unit->index, &hit))
		return;
	fault_flip_bit(view->data, view->bytes, hit.bit);
	view->unflip = !view->owned; /* what is resident is whole again after the job */
	view->bit = hit.bit;
}

int view_open(struct job *job, uint32_t index, bool written)
{
	const struct shell_operand *o = &job->operand[index];
	struct view *view = &job->view[index];
	struct bank *bank = o->space == SHELL_SPACE_BANK ? &job->board->bank[o->bank] : NULL;

	if (o->space == SHELL_SPACE_NONE)
		return 0;
	view->bytes = o->length;
	view->written = written;
	if (bank && !bank->faulty) {
		view->data = bank->memory + o->address;
	} else {
		if (o->length > job->board->config.operand_max)
			return task_fail(job, SHELL_UNSUPPORTED, index, 0);
		view->owned = engine_alloc(job, o->length);
		view->data = view->owned;
		if (!view->data || (!written && copy_in(job, index, view->data, o->length)))
			return -1;
	}
	if (!written)
		flip_input(job, view);
	return memory_error(job, index);
}

int view_flush(struct job *job)
{
	struct fault hit;

	if (!task_alive(job))
		return -1;
	for (uint32_t i = 0; i < job->operands; i++) {
		struct view *view = &job->view[i];
		struct cursor cursor;

		if (!view->data || !view->written)
			continue;
		if (fault_strikes(job->board, FAULT_OUTPUT, job->unit->index, &hit))
			fault_flip_bit(view->data, view->bytes, hit.bit);
		if (!view->owned)
			continue;
		cursor_init(&cursor, job, i);
		for (uint64_t at = 0; at < view->bytes; at += CHUNK)
			if (!task_alive(job) ||
			    cursor_write(&cursor, view->data + at,
					 view->bytes - at < CHUNK ? view->bytes - at : CHUNK))
				return -1;
	}
	return 0;
}

void view_close(struct job *job)
{
	for (uint32_t i = 0; i < job->operands; i++) {
		struct view *view = &job->view[i];

		if (view->unflip && view->data)
			fault_flip_bit(view->data, view->bytes, view->bit);
		free(view->owned);
		view->owned = NULL;
		view->data = NULL;
	}
}
