/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front end: what carries the accesses of one kind of virtual machine to the board, and the board's
 * interrupts back. One thread serves; the board's own threads only raise.
 */
#ifndef FACET_BOARDS_VIRTUAL_FRONT_FRONT_H
#define FACET_BOARDS_VIRTUAL_FRONT_FRONT_H

#include "boards/virtual/board.h"

struct front;

struct front_kind {
	const char *name;
	/* For board_create(): where its interrupts go. */
	int (*create)(struct front **front);
	struct board_front (*board_front)(struct front *front);
	/* After the board: its threads raise interrupts as long as it lives. */
	void (*free)(struct front *front);
	/*
	 * Starts the machine that `command` is (NULL: it comes by itself) and waits for it; *child is its
	 * process, 0 without one. `path` is the socket's, where this kind has one. A negative errno.
	 */
	int (*connect)(struct front *front, struct board *board, const char *path, char **command,
		       int *child);
	/* The guest's memory is the board's no more. */
	void (*disconnect)(struct front *front);
	/* Waits for the guest and for interrupts, and serves them. A negative errno: the guest is gone,
	 * *why says how. */
	int (*serve)(struct front *front, const char **why);
};

extern const struct front_kind front_um, front_qemu;

/* The command in a process that ends with this one; `keep` (-1: none) stay open there. Its pid, or a
 * negative errno. */
int front_start(char **command, const int keep[2]);

#endif
