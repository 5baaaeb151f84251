/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The range is mapped without access and made writable piece by piece. All but the first 2 MiB ask
 * for huge pages: a scan wants them, and a small gallery should not pay 2 MiB for each array.
 */
#include "daemon/gallery/reserve.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/device/host_memory.h"

#define HUGE_PAGE  ((size_t)2 << 20)
#define LARGE_STEP ((size_t)32 << 20)

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

int reserve_init(struct reserve *reserve, size_t size, bool shared)
{
	size_t want = round_up(size, HUGE_PAGE);

	memset(reserve, 0, sizeof(*reserve));
	if (!shared)
		reserve->base = host_memory_reserve(want, HUGE_PAGE);
	else if (host_memory_map(want, HUGE_PAGE, &reserve->base))
		reserve->base = NULL;
	if (!reserve->base)
		return -ENOMEM;
	reserve->size = want;
	reserve->shared = shared;
	return 0;
}

void reserve_free(struct reserve *reserve)
{
	if (reserve->shared)
		host_memory_unmap(reserve->base);
	else if (reserve->base)
		munmap(reserve->base, reserve->size);
	memset(reserve, 0, sizeof(*reserve));
}

int reserve_grow(struct reserve *reserve, size_t bytes)
{
	size_t step = reserve->grown < LARGE_STEP ? HUGE_PAGE : LARGE_STEP;
	size_t to;

	if (bytes <= reserve->grown)
		return 0;
	if (bytes > reserve->size)
		return -ENOMEM;
	to = round_up(bytes, step);
	if (to > reserve->size)
		to = reserve->size;
	if (mprotect(reserve->base + reserve->grown, to - reserve->grown, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	if (to > HUGE_PAGE) {
		size_t from = reserve->grown > HUGE_PAGE ? reserve->grown : HUGE_PAGE;

		madvise(reserve->base + from, to - from, MADV_HUGEPAGE);
	}
	reserve->grown = to;
	return 0;
}

int reserve_shed(struct reserve *reserve, size_t from, size_t bytes)
{
	/* Of shared memory the pages themselves go, not only this view of them. */
	int advice = reserve->shared ? MADV_REMOVE : MADV_DONTNEED;

	return madvise(reserve->base + from, bytes, advice) ? -errno : 0;
}
