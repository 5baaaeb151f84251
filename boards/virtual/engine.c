/* SPDX-License-Identifier: Apache-2.0 */
/* The ops by number, and what all engines share. */
#include "boards/virtual/internal.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_KEPT ((size_t)16 << 20)

static const struct {
	int (*run)(struct job *job);
} runs[SHELL_OPS] = {
	[SHELL_OP_ECHO] = {engine_echo},       [SHELL_OP_COPY] = {engine_copy},
	[SHELL_OP_FILL] = {engine_fill},       [SHELL_OP_SEARCH] = {engine_search},
	[SHELL_OP_CONV2D] = {engine_conv2d},   [SHELL_OP_GEMM] = {engine_gemm},
	[SHELL_OP_POOL2D] = {engine_pool2d},   [SHELL_OP_ADD] = {engine_add},
	[SHELL_OP_TABLE] = {engine_table},     [SHELL_OP_CONCAT] = {engine_concat},
	[SHELL_OP_MEMTEST] = {engine_memtest}, [SHELL_OP_BURN] = {engine_burn},
};

#define ROW(name, arguments, least, most, outputs)                                                 \
	[SHELL_OP_##name] = {sizeof(arguments), least, most, outputs},
static const struct engine shapes[SHELL_OPS] = {SHELL_OP_TABLE_OF(ROW)};

#define FITS(name, arguments, least, most, outputs)                                                \
	_Static_assert(sizeof(arguments) <= sizeof(((struct job *)0)->args) &&                     \
			       (most) <= SHELL_OPERANDS_MAX,                                       \
		       "a job holds them");
SHELL_OP_TABLE_OF(FITS)

const struct engine *engine_of(uint32_t op)
{
	return &shapes[op];
}

int engine_run(struct job *job)
{
	return runs[job->entry.op].run(job);
}

void *engine_alloc(struct job *job, uint64_t bytes)
{
	void *memory = NULL;

	if (bytes <= UINT64_C(1) << 32)
		memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (!memory) {
		task_fail(job, SHELL_INTERNAL, SHELL_INDEX_NONE, 0);
		return NULL;
	}
	memset(memory, 0, bytes);
	return memory;
}

void *engine_scratch(struct job *job, size_t bytes)
{
	struct unit *unit = job->unit;

	if (unit->scratch && (bytes > unit->scratch_bytes || unit->scratch_bytes > SCRATCH_KEPT)) {
		free(unit->scratch);
		unit->scratch = NULL;
	}
	if (!unit->scratch) {
		unit->scratch = engine_alloc(job, bytes ? bytes : 64);
		unit->scratch_bytes = unit->scratch ? (bytes ? bytes : 64) : 0;
	}
	return unit->scratch;
}

float engine_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

int engine_open(struct job *job)
{
	uint64_t outputs = engine_of(job->entry.op)->outputs;

	for (uint32_t i = 0; i < job->operands; i++)
		if (view_open(job, i, outputs >> i & 1))
			return -1;
	return task_alive(job) ? 0 : -1;
}

/* Rows of one slice, so that a unit looks up every few milliseconds. */
uint64_t engine_slice(uint64_t rows, uint64_t work)
{
	uint64_t slices = work / ENGINE_SLICE_WORK + 1;

	return (rows + slices - 1) / slices;
}
