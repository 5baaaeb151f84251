/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program may touch. The arguments of an op are looked at once, when a program is made: they
 * tell how many bytes each operand has, which may be absent and which are written. A submission only
 * compares that with the buffer objects it names.
 *
 * facet_validate.c calls nothing of the kernel, so tests and a fuzzer run it in userspace. What it
 * checks is in boards/shell/kernels.h and, for the shapes, in kernels/ops.h; ranges of data in
 * buffer objects (scales, weights) are the board's to check, which touches nothing but operands.
 */
#ifndef FACET_VALIDATE_H
#define FACET_VALIDATE_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#else
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
typedef uint8_t u8;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
#define le32_to_cpu(v) le32toh(v)
#define le64_to_cpu(v) le64toh(v)
#endif

#include "shell/kernels.h"
#include "shell/ring.h"

#define FACET_OPERANDS_MAX SHELL_OPERANDS_MAX
#define FACET_ARGS_MAX	   96u /* bytes of the longest arguments */

enum facet_presence {
	FACET_NEEDED,
	FACET_ABSENT,
	FACET_OPTIONAL,
	FACET_PAIRED, /* there if the operand before is */
};

struct facet_extent {
	u64 bytes;
	u8 presence;	    /* enum facet_presence */
	u8 align;	    /* of its first byte */
	bool written, read; /* what the board may do; some outputs are read back */
};

struct facet_extents {
	u32 op;
	u32 operands;
	u32 args_size;
	struct facet_extent operand[FACET_OPERANDS_MAX];
};

/*
 * 0, -EINVAL: arguments that the op refuses or another number of operands, -EOPNOTSUPP: no such op.
 * @bytes is the length of operands whose arguments do not tell it, else 0.
 */
int facet_validate(u32 op, const void *args, u32 args_size, u64 bytes, u32 operands,
		   struct facet_extents *extents);

#endif
