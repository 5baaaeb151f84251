/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back to the control thread: workers push entries, the control thread drains them.
 *
 * A push swaps the head of a stack; only the push onto an empty stack writes the eventfd, which is
 * meant to be watched edge-triggered and is never read. So a drain costs no system call, and a
 * burst of completions costs one.
 */
#ifndef FACET_DAEMON_JOB_BELL_H
#define FACET_DAEMON_JOB_BELL_H

#include <stdatomic.h>

struct bell_entry {
	struct bell_entry *next;
	void (*run)(struct bell_entry *entry); /* on the control thread */
};

struct bell {
	_Atomic(struct bell_entry *) newest;
	int fd;
};

int bell_init(struct bell *bell);
void bell_close(struct bell *bell);
/* Any thread. The entry belongs to the bell until it is run. */
void bell_push(struct bell *bell, struct bell_entry *entry);
/* The control thread. Runs what was pushed, in that order; returns how many. */
unsigned bell_drain(struct bell *bell);

#endif
