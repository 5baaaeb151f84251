/* SPDX-License-Identifier: Apache-2.0 */
/* Echo, copy and fill: bytes from one place to another, of any length, through a small buffer. */
#include "boards/virtual/internal.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER (UINT64_C(1) << 20)

enum { OUT, IN };

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Flips a bit of what is about to be written, if that is asked for. */
static void spoil(struct job *job, void *data, uint64_t bytes)
{
	struct fault hit;

	if (fault_strikes(job->board, FAULT_OUTPUT, job->unit->index, &hit))
		fault_flip_bit(data, bytes, hit.bit);
}

static int move_bytes(struct job *job, struct cursor *out, struct cursor *in, uint8_t *buffer,
		      uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += BUFFER) {
		uint64_t n = least(bytes - at, BUFFER);

		if (!task_alive(job) || cursor_read(in, buffer, n))
			return -1;
		spoil(job, buffer, n);
		if (cursor_write(out, buffer, n))
			return -1;
	}
	return 0;
}

static int move_rows(struct job *job, const struct shell_copy *args, uint8_t *buffer)
{
	struct cursor out, in;

	cursor_init(&out, job, OUT);
	cursor_init(&in, job, IN);
	if (args->out_stride == args->row_bytes && args->in_stride == args->row_bytes)
		return move_bytes(job, &out, &in, buffer, job->operand[OUT].length);
	for (uint64_t row = 0; row < args->rows; row++) {
		if (row && (cursor_skip(&out, args->out_stride - args->row_bytes) ||
			    cursor_skip(&in, args->in_stride - args->row_bytes)))
			return -1;
		if (move_bytes(job, &out, &in, buffer, args->row_bytes))
			return -1;
	}
	return 0;
}

static int run_rows(struct job *job, const struct shell_copy *args)
{
	uint8_t *buffer = malloc(BUFFER);
	int err;

	if (!buffer)
		return task_fail(job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);
	err = move_rows(job, args, buffer);
	free(buffer);
	return err;
}

/* (rows - 1) * stride + row_bytes is the operand's length. */
static int check_rows(struct job *job, uint32_t index, uint64_t stride)
{
	const struct shell_copy *args = &job->args.copy;
	uint64_t bytes;

	if (stride < args->row_bytes)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (__builtin_mul_overflow(args->rows - 1, stride, &bytes) ||
	    __builtin_add_overflow(bytes, args->row_bytes, &bytes))
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	return operand_length(job, index, bytes, 1);
}

int engine_copy(struct job *job)
{
	const struct shell_copy *args = &job->args.copy;

	if (!args->rows || !args->row_bytes)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (check_rows(job, OUT, args->out_stride) || check_rows(job, IN, args->in_stride))
		return -1;
	return run_rows(job, args);
}

int engine_echo(struct job *job)
{
	uint64_t bytes = job->operand[IN].length;
	const struct shell_copy args = {bytes, 1, bytes, bytes};

	if (job->args.bytes[0] || memcmp(job->args.bytes, job->args.bytes + 1, 7))
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (operand_length(job, OUT, bytes, 1))
		return -1;
	return bytes ? run_rows(job, &args) : 0;
}

/* ---- fill ------------------------------------------------------------------------------------- */

static int fill_bytes(struct job *job, uint8_t *buffer)
{
	uint64_t bytes = job->operand[OUT].length;
	struct cursor out;

	cursor_init(&out, job, OUT);
	for (uint64_t at = 0; at < bytes; at += BUFFER)
		if (!task_alive(job) || cursor_write(&out, buffer, least(bytes - at, BUFFER)))
			return -1;
	return 0;
}

static int count_different(struct job *job, const uint8_t *pattern)
{
	uint64_t bytes = job->operand[OUT].length;
	uint8_t *found = malloc(BUFFER);
	struct cursor in;
	int err = found ? 0 : task_fail(job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);

	cursor_init(&in, job, OUT);
	for (uint64_t at = 0; at < bytes && !err; at += BUFFER) {
		uint64_t n = least(bytes - at, BUFFER);

		err = !task_alive(job) || cursor_read(&in, found, n) ? -1 : 0;
		for (uint64_t i = 0; i < n && !err; i++)
			job->value += found[i] != pattern[i];
	}
	free(found);
	return err;
}

int engine_fill(struct job *job)
{
	const struct shell_fill *args = &job->args.fill;
	bool verify = args->flags & SHELL_FILL_VERIFY;
	uint8_t *pattern;
	int err;

	if (args->flags & ~SHELL_FILL_VERIFY || args->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (!operand_present(job, OUT) ||
	    (verify && !(job->operand[OUT].access & SHELL_ACCESS_READ)))
		return task_fail(job, SHELL_BAD_OPERAND, OUT, job->operand[OUT].address);
	pattern = malloc(BUFFER);
	if (!pattern)
		return task_fail(job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);
	for (uint64_t i = 0; i < BUFFER; i += 8)
		memcpy(pattern + i, &args->pattern, 8);
	err = fill_bytes(job, pattern);
	if (!err && verify)
		err = count_different(job, pattern);
	free(pattern);
	return err;
}
