/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/bell.h"

#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_init(struct bell *bell)
{
	atomic_init(&bell->newest, NULL);
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return bell->fd < 0 ? -errno : 0;
}

void bell_close(struct bell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

void bell_push(struct bell *bell, struct bell_entry *entry)
{
	struct bell_entry *newest = atomic_load_explicit(&bell->newest, memory_order_relaxed);

	do {
		entry->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&bell->newest, &newest, entry, memory_order_release, memory_order_relaxed));
	/* A full counter (EAGAIN) is readable already. */
	if (!newest)
		(void)!eventfd_write(bell->fd, 1);
}

unsigned bell_drain(struct bell *bell)
{
	struct bell_entry *entry;
	struct bell_entry *first = NULL;
	unsigned count = 0;

	if (!atomic_load_explicit(&bell->newest, memory_order_relaxed))
		return 0;
	entry = atomic_exchange_explicit(&bell->newest, NULL, memory_order_acquire);
	while (entry) {
		struct bell_entry *next = entry->next;

		entry->next = first;
		first = entry;
		entry = next;
	}
	while (first) {
		struct bell_entry *next = first->next;

		first->run(first); /* may free the entry */
		first = next;
		count++;
	}
	return count;
}
