/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping on a 32-bit word. Spurious returns happen: callers look at the word again. */
#ifndef FACET_DAEMON_DEVICE_FUTEX_H
#define FACET_DAEMON_DEVICE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleeps unless the word has changed from the value. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

#endif
