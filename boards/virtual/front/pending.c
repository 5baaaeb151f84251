/* SPDX-License-Identifier: Apache-2.0 */
#include "boards/virtual/front/pending.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int pending_init(struct pending *pending)
{
	*pending = (struct pending){.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (pending->bell < 0)
		return -errno;
	pthread_mutex_init(&pending->lock, NULL);
	return 0;
}

void pending_destroy(struct pending *pending)
{
	close(pending->bell);
	pthread_mutex_destroy(&pending->lock);
}

void pending_keep(struct pending *pending, struct interrupt interrupt)
{
	uint32_t i = 0;

	pthread_mutex_lock(&pending->lock);
	while (i < pending->count && (pending->interrupt[i].address != interrupt.address ||
				      pending->interrupt[i].data != interrupt.data))
		i++;
	if (i == pending->count && pending->count < PENDING_MAX)
		pending->interrupt[pending->count++] = interrupt;
	pthread_mutex_unlock(&pending->lock);
}

void pending_raise(struct pending *pending, struct interrupt interrupt)
{
	uint64_t one = 1;
	ssize_t n;

	pending_keep(pending, interrupt);
	n = write(pending->bell, &one, sizeof(one));
	(void)n; /* full: it rings already */
}

bool pending_take(struct pending *pending, struct interrupt *interrupt)
{
	bool is_one;

	pthread_mutex_lock(&pending->lock);
	is_one = pending->count > 0;
	if (is_one) {
		*interrupt = pending->interrupt[0];
		memmove(pending->interrupt, pending->interrupt + 1,
			--pending->count * sizeof(pending->interrupt[0]));
	}
	pthread_mutex_unlock(&pending->lock);
	return is_one;
}

void pending_heard(struct pending *pending)
{
	uint64_t count;
	ssize_t n = read(pending->bell, &count, sizeof(count));

	(void)n; /* nothing: it was silent */
}
