/* SPDX-License-Identifier: Apache-2.0 */
/* Sound arguments of each op, and what makes them wrong, field by field. */
#ifndef FACET_TESTS_DRIVER_CASES_H
#define FACET_TESTS_DRIVER_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "driver/facet_validate.h"

#define ABSENT UINT64_MAX

/* Worked out by hand from boards/shell/kernels.h. */
struct sound {
	uint32_t op, args_bytes, operands;
	const void *args;
	uint64_t bytes;
	uint64_t length[SHELL_OPERANDS_MAX]; /* ABSENT: must be absent */
	uint64_t optional;		     /* mask of operands that may be absent as well */
};

extern const struct sound sound_cases[];
extern const size_t sound_count;

/* A 32-bit field of the first sound case of that op set to a value that is refused. */
struct refusal {
	uint32_t op, field, value;
};

extern const struct refusal refusals[];
extern const size_t refusal_count;

const struct sound *sound_of(uint32_t op);

/*
 * What kernels/ops.h says of these arguments: 0 or -EINVAL. Only for ops that are defined there
 * (oracle_knows); reserved fields and operand counts are not its business.
 */
int oracle_knows(uint32_t op);
int oracle_check(uint32_t op, const void *args);

#endif
