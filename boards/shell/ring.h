/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The Facet PCI shell: what lies in host memory. A unit has two rings of the same number of
 * entries: the driver writes jobs into one, the board completions into the other, entry i of the
 * one answering entry i of the other. docs/shell.md, "Rings", has the order of all writes.
 *
 * Reserved fields and unknown flags are zero, or the job is refused.
 */
#ifndef FACET_BOARDS_SHELL_RING_H
#define FACET_BOARDS_SHELL_RING_H

#include "types.h"

#define SHELL_RING_ALIGN 64u

/* ---- a job --------------------------------------------------------------------------------- */
struct shell_entry {
	shell_le64 sequence;  /* > 0, rising along the ring; comes back in the completion */
	shell_le16 op;	      /* enum shell_op */
	shell_le16 flags;     /* SHELL_ENTRY_* */
	shell_le32 job_bytes; /* of the job block: its operands and the op's arguments */
	shell_le64 job;	      /* bus address of the job block, 64-byte aligned, not scattered */
	shell_le64 tag;	      /* the user's, for traces and counters; no meaning to the board */
	shell_le16 operands;
	shell_le16 reserved0;
	shell_le32 reserved1;
	shell_le64 reserved2[3];
};

SHELL_SIZE(struct shell_entry, 64);
SHELL_AT(struct shell_entry, job, 16);
SHELL_AT(struct shell_entry, operands, 32);

#define SHELL_ENTRY_INTERRUPT (1u << 0) /* raise the unit's vector when done */
#define SHELL_ENTRY_FLAGS     1u

/*
 * A job block is struct shell_operand [operands], then the op's arguments (kernels.h). Both are
 * read before anything of the job is written.
 */
struct shell_operand {
	shell_le16 space;  /* enum shell_space */
	shell_le16 bank;   /* SHELL_SPACE_BANK, else 0 */
	shell_le16 access; /* SHELL_ACCESS_*: what the board may do there */
	shell_le16 reserved;
	shell_le32 entries; /* of the first table (SHELL_SPACE_SG), else 0 */
	shell_le32 reserved1;
	shell_le64
		address; /* bus address, bus address of the first SG table, or place in the bank */
	shell_le64 offset; /* SHELL_SPACE_SG: where in the scattered memory it starts, else 0 */
	shell_le64 length; /* bytes: exactly what the op's arguments say */
	shell_le64 reserved2;
};

SHELL_SIZE(struct shell_operand, 48);
SHELL_AT(struct shell_operand, address, 16);
SHELL_AT(struct shell_operand, length, 32);

enum shell_space {
	SHELL_SPACE_NONE = 0, /* absent: all other fields 0 */
	SHELL_SPACE_HOST = 1, /* one run of bus addresses */
	SHELL_SPACE_SG = 2,   /* a list of them */
	SHELL_SPACE_BANK = 3
};

#define SHELL_ACCESS_READ  (1u << 0)
#define SHELL_ACCESS_WRITE (1u << 1)

/*
 * A table of a scatter-gather list: runs of bus addresses, or the place of the next table. A link is
 * the last entry of its table. Tables are 16-byte aligned; runs have any alignment.
 */
struct shell_sg {
	shell_le64 address;
	shell_le32 length; /* bytes > 0; a link: entries > 0 of the next table */
	shell_le32 flags;  /* SHELL_SG_* */
};

SHELL_SIZE(struct shell_sg, 16);

#define SHELL_SG_LINK  (1u << 0)
#define SHELL_SG_FLAGS 1u

#define SHELL_OPERANDS_MAX 33u

/* ---- a completion --------------------------------------------------------------------------- */
struct shell_completion {
	shell_le32 status; /* enum shell_status */
	shell_le16 index;  /* of the operand at fault, or SHELL_INDEX_NONE */
	shell_le16 reserved;
	shell_le64 value;   /* the op's own result, kernels.h */
	shell_le64 address; /* bus or bank address at fault, else 0 */
	shell_le64 begin;   /* SHELL_R_TIME when the job was begun */
	shell_le64 end;	    /* and when its last write was done */
	shell_le64 tag;	    /* of the entry */
	shell_le64 reserved1;
	shell_le64 sequence; /* of the entry; written last, after all else */
};

SHELL_SIZE(struct shell_completion, 64);
SHELL_AT(struct shell_completion, sequence, 56);

#define SHELL_INDEX_NONE 0xffffu

/* How a job ended. The unit goes on with the next one in each case. */
enum shell_status {
	SHELL_OK = 0,
	SHELL_BAD_ENTRY = 1,	/* flags, reserved fields, job_bytes or operands make no sense */
	SHELL_BAD_OP = 2,	/* not an op of this unit */
	SHELL_BAD_ARGS = 3,	/* the op refuses its arguments (kernels/ops.h: -EINVAL) */
	SHELL_BAD_WEIGHTS = 4,	/* an accumulator could leave int32 (-EOVERFLOW) */
	SHELL_BAD_OPERAND = 5,	/* space, bank, access, length, alignment or an overlap */
	SHELL_BAD_SG = 6,	/* a table that is malformed, too long, or ends too early */
	SHELL_BUS_READ = 7,	/* host memory could not be read */
	SHELL_BUS_WRITE = 8,	/* host memory could not be written */
	SHELL_BANK_RANGE = 9,	/* past a bank's end */
	SHELL_BANK_ECC = 10,	/* a memory error that could not be corrected */
	SHELL_UNSUPPORTED = 11, /* legal, but more than this unit can: run it elsewhere */
	SHELL_THERMAL = 12,	/* broken off because the board was too hot */
	SHELL_INTERNAL = 13,	/* the unit's own fault; another try may help */
	SHELL_STATUSES
};

#endif
