/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack without locks: pushing swaps the head, taking empties it whole, so no element is ever
 * popped alone and there is no ABA. Only the push onto an empty stack writes the eventfd.
 */
#include "daemon/device/device.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct device_completions {
	_Atomic(struct device_batch *) newest;
	int fd;
};

int device_completions_create(struct device_completions **completions)
{
	struct device_completions *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0) {
		int err = -errno;

		free(c);
		return err;
	}
	*completions = c;
	return 0;
}

void device_completions_free(struct device_completions *completions)
{
	if (!completions)
		return;
	close(completions->fd);
	free(completions);
}

int device_completions_fd(const struct device_completions *completions)
{
	return completions->fd;
}

void device_completions_push(struct device_completions *completions, struct device_batch *batch)
{
	struct device_batch *newest =
		atomic_load_explicit(&completions->newest, memory_order_relaxed);

	do {
		batch->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&completions->newest, &newest, batch, memory_order_release, memory_order_relaxed));
	/* A full counter (EAGAIN) is readable already. */
	if (!newest)
		(void)!eventfd_write(completions->fd, 1);
}

struct device_batch *device_completions_take(struct device_completions *completions)
{
	struct device_batch *batch =
		atomic_exchange_explicit(&completions->newest, NULL, memory_order_acquire);
	struct device_batch *first = NULL;

	while (batch) {
		struct device_batch *next = batch->next;

		batch->next = first;
		first = batch;
		batch = next;
	}
	return first;
}
