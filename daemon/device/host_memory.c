/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct range {
	struct range *next;
	uint8_t *at;
	size_t bytes;
	int fd;
};

static atomic_bool wanted;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct range *ranges;

void host_memory_want(void)
{
	wanted = true;
}

bool host_memory_wanted(void)
{
	return wanted;
}

/* Written by nobody but us, and never made smaller: what the kernel asks of memory it is to pin. */
static int create(size_t bytes)
{
	int fd = memfd_create("facet", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		close(fd);
		return -1;
	}
	return fd;
}

uint8_t *host_memory_reserve(size_t bytes, size_t align)
{
	uint8_t *all = mmap(NULL, bytes + align, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at;

	if (all == MAP_FAILED)
		return NULL;
	at = (uint8_t *)(((uintptr_t)all + align - 1) / align * align);
	if (at > all)
		munmap(all, (size_t)(at - all));
	munmap(at + bytes, align - (size_t)(at - all));
	madvise(at, bytes, MADV_DONTDUMP);
	return at;
}

static uint8_t *map(int fd, size_t bytes, size_t align)
{
	uint8_t *at = host_memory_reserve(bytes, align);

	if (at && mmap(at, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
			  MAP_FAILED) {
		munmap(at, bytes);
		return NULL;
	}
	if (at)
		madvise(at, bytes, MADV_DONTDUMP);
	return at;
}

int host_memory_map(size_t bytes, size_t align, uint8_t **at)
{
	struct range *range = calloc(1, sizeof(*range));

	if (!range)
		return -ENOMEM;
	range->bytes = bytes;
	range->fd = create(bytes);
	range->at = range->fd < 0 ? NULL : map(range->fd, bytes, align);
	if (!range->at) {
		if (range->fd >= 0)
			close(range->fd);
		free(range);
		return -ENOMEM;
	}
	*at = range->at;
	pthread_rwlock_wrlock(&lock);
	range->next = ranges;
	ranges = range;
	pthread_rwlock_unlock(&lock);
	return 0;
}

static struct range *take(const uint8_t *at)
{
	struct range **link = &ranges, *range;

	pthread_rwlock_wrlock(&lock);
	while (*link && (*link)->at != at)
		link = &(*link)->next;
	range = *link;
	if (range)
		*link = range->next;
	pthread_rwlock_unlock(&lock);
	return range;
}

void host_memory_unmap(uint8_t *at)
{
	struct range *range = at ? take(at) : NULL;

	if (!range)
		return;
	munmap(range->at, range->bytes);
	close(range->fd);
	free(range);
}

bool host_memory_find(const void *at, size_t bytes, int *fd, uint64_t *offset)
{
	const uint8_t *from = at;
	bool found = false;

	pthread_rwlock_rdlock(&lock);
	for (const struct range *r = ranges; r && !found; r = r->next) {
		found = from >= r->at && (size_t)(from - r->at) <= r->bytes &&
			bytes <= r->bytes - (size_t)(from - r->at);
		if (found) {
			*fd = r->fd;
			*offset = (uint64_t)(from - r->at);
		}
	}
	pthread_rwlock_unlock(&lock);
	return found;
}
