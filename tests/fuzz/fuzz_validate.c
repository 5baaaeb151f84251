/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a program as a client of the driver makes it. Byte 0: op; 1: operands; 2: how the size
 * differs; 3..10: bytes; the rest: arguments. What is let pass must be within bounds and, where
 * kernels/ops.h defines the op, legal there.
 */
#include <stdlib.h>

#include "tests/driver/cases.h"

#define BYTES_MAX (UINT64_C(1) << 63)

static void check(const struct facet_extents *e, uint64_t told)
{
	if (e->operands > FACET_OPERANDS_MAX || e->args_size > FACET_ARGS_MAX)
		abort();
	for (uint32_t i = 0; i < e->operands; i++) {
		const struct facet_extent *o = &e->operand[i];

		if ((o->presence == FACET_ABSENT) != !o->bytes)
			abort();
		if (o->presence != FACET_ABSENT && o->align != 1 && o->align != 4 && o->align != 8)
			abort();
		if (e->op != SHELL_OP_COPY && o->bytes > BYTES_MAX && o->bytes != told)
			abort();
	}
	for (uint32_t i = e->operands; i < FACET_OPERANDS_MAX; i++)
		if (e->operand[i].bytes || e->operand[i].written)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct facet_extents e;
	uint64_t args[FACET_ARGS_MAX / 8 + 1] = {0}, told;
	const struct sound *s;
	uint32_t size;

	if (bytes < 11 || bytes > 11 + FACET_ARGS_MAX)
		return 0;
	memcpy(&told, data + 3, sizeof(told));
	memcpy(args, data + 11, bytes - 11);
	s = sound_of(data[0]);
	size = s ? s->args_bytes + data[2] % 2 * 4 : data[2];
	if (facet_validate(data[0], args, size, told, data[1], &e))
		return 0;
	check(&e, told);
	if (oracle_knows(data[0]) && oracle_check(data[0], args))
		abort();
	return 0;
}
