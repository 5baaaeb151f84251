/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that a board may read where it lies: ranges of this process that are memfds, which the kernel
 * lets drivers take in page by page (udmabuf). Who holds large data for boards maps it here; a backend
 * looks up what it is to move.
 */
#ifndef FACET_DAEMON_DEVICE_HOST_MEMORY_H
#define FACET_DAEMON_DEVICE_HOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Is it worth it? No until a board that could read it is configured: anonymous memory has huge pages where
 * shared memory often has none (/sys/kernel/mm/transparent_hugepage/shmem_enabled).
 */
void host_memory_want(void);
bool host_memory_wanted(void);

/* Addresses without access at a multiple of align, in no core dump; nothing is behind them. NULL: none left.
 * munmap() gives them back. */
uint8_t *host_memory_reserve(size_t bytes, size_t align);

/* A range without access, to be opened by mprotect(); zero, and in no core dump. -ENOMEM. */
int host_memory_map(size_t bytes, size_t align, uint8_t **at);
void host_memory_unmap(uint8_t *at); /* the whole range */

/* The memfd below [at, at + bytes), and where in it; false: there is none. It stays as long as the range. */
bool host_memory_find(const void *at, size_t bytes, int *fd, uint64_t *offset);

#endif
