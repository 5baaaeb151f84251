/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way to a board that speaks the shell contract (boards/shell): memory on it and calls of its ops.
 * The kernel driver is one (drm.c); a card that is driven from userspace, for bring-up, another.
 * shell.c makes a device of any of them. A port may be used by several threads.
 */
#ifndef FACET_DAEMON_DEVICE_SHELL_PORT_H
#define FACET_DAEMON_DEVICE_SHELL_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "boards/shell/kernels.h"
#include "boards/shell/ring.h"

#define SHELL_PORT_UNITS 31u

struct shell_port_caps {
	char name[32], detail[96];
	uint64_t ops;	       /* bit (1 << shell_op) that some compute unit has */
	uint64_t memory_bytes; /* of all banks */
	uint32_t units;	       /* calls that may run side by side */
	uint32_t alignment;    /* of an operand in a bank */
	uint32_t job_bytes;    /* the most of a job block */
	bool host_data;	       /* operands may lie in the host's memory */
	bool checksums;
	bool shares_cpu; /* the board is a process of this machine */
};

enum shell_place { SHELL_PLACE_BOARD, SHELL_PLACE_HOST };

/* The beginning of every port's memory. */
struct shell_memory {
	enum shell_place place;
	uint64_t bytes;
	void *map; /* SHELL_PLACE_HOST: the host's view */
};

struct shell_extent {
	struct shell_memory *memory; /* NULL: the operand is absent */
	uint64_t offset, length;
};

#define SHELL_CALL_ARGS 160u /* the most an op has */

struct shell_call {
	enum shell_op op;
	uint32_t args_bytes, operands;
	_Alignas(8) uint8_t args[SHELL_CALL_ARGS];
	struct shell_extent operand[SHELL_OPERANDS_MAX];
	uint64_t tag; /* the trace */
	/* results */
	int error; /* 0, -EINVAL, -EOVERFLOW, -EIO, -ETIMEDOUT, -ECANCELED, -ENODEV, -ENOMEM, -ESTALE */
	uint32_t status; /* enum shell_status, where the board answered */
	uint64_t value;
	uint64_t device_ns; /* by the board's clock */
};

/* What the call is to do; the arguments are copied. */
void shell_call_op(struct shell_call *call, enum shell_op op, const void *args, uint32_t bytes);

/* Bit i: operand i of the op is written. */
uint64_t shell_op_writes(enum shell_op op);

struct shell_port;
struct shell_port_ops {
	void (*caps)(const struct shell_port *port, struct shell_port_caps *caps);
	/* Zeroed. -ENOSPC: no bank has so much in one piece. */
	int (*memory_create)(struct shell_port *port, enum shell_place place, uint64_t bytes,
			     struct shell_memory **memory);
	void (*memory_free)(struct shell_port *port, struct shell_memory *memory);
	/* Between the caller and board memory; within its bounds. */
	int (*write)(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
		     const void *data, uint64_t bytes);
	int (*read)(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
		    void *data, uint64_t bytes);
	/* Runs calls that do not depend on each other and waits for all; sets each one's results. */
	void (*run)(struct shell_port *port, struct shell_call *calls, uint32_t count);
	int (*reset)(struct shell_port *port);
	void (*close)(struct shell_port *port);
};

struct shell_port {
	const struct shell_port_ops *ops;
	_Atomic uint64_t
		direct_bytes; /* written to board memory without a copy by the host's processors */
};

#endif
