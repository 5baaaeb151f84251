/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/index.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE_FIRST 1024u

static uint64_t home(const struct index *index, uint32_t hash)
{
	return (uint64_t)hash * index->size >> 32;
}

static uint64_t after(const struct index *index, uint64_t slot)
{
	return slot + 1 == index->size ? 0 : slot + 1;
}

static int make(struct index *index, uint64_t size)
{
	size_t bytes = size * sizeof(struct index_slot);
	void *at;

	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		  -1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	madvise(at, bytes, MADV_HUGEPAGE);
	memset(at, 0xff, bytes); /* every value INDEX_NONE */
	*index = (struct index){.slots = at, .size = size};
	return 0;
}

int index_init(struct index *index)
{
	return make(index, SIZE_FIRST);
}

void index_free(struct index *index)
{
	if (index->slots)
		munmap(index->slots, index->size * sizeof(struct index_slot));
	memset(index, 0, sizeof(*index));
}

int index_room(struct index *index, uint64_t more, pthread_mutex_t *lock)
{
	uint64_t size = index->size;
	struct index bigger, old = *index;

	while ((index->used + more) * 4 > size * 3)
		size += size / 4;
	if (size == index->size)
		return 0;
	if (size > UINT32_MAX || make(&bigger, size))
		return -ENOMEM;
	for (uint64_t i = 0; i < old.size; i++)
		if (old.slots[i].value != INDEX_NONE)
			index_insert(&bigger, old.slots[i].hash, old.slots[i].value);
	if (lock)
		pthread_mutex_lock(lock);
	*index = bigger;
	if (lock)
		pthread_mutex_unlock(lock);
	index_free(&old);
	return 0;
}

uint32_t index_find(const struct index *index, uint32_t hash, index_same *same, const void *context)
{
	uint64_t i = home(index, hash);

	for (; index->slots[i].value != INDEX_NONE; i = after(index, i))
		if (index->slots[i].hash == hash && same(context, index->slots[i].value))
			return index->slots[i].value;
	return INDEX_NONE;
}

void index_prefetch(const struct index *index, uint32_t hash)
{
	__builtin_prefetch(&index->slots[home(index, hash)]);
}

void index_insert(struct index *index, uint32_t hash, uint32_t value)
{
	uint64_t i = home(index, hash);

	assert(index->used + 1 < index->size);
	while (index->slots[i].value != INDEX_NONE)
		i = after(index, i);
	index->slots[i] = (struct index_slot){hash, value};
	index->used++;
}

/* Entries behind the hole move into it unless that would put them before their home. */
static void close_hole(struct index *index, uint64_t hole)
{
	for (uint64_t i = after(index, hole); index->slots[i].value != INDEX_NONE;
	     i = after(index, i)) {
		uint64_t at = home(index, index->slots[i].hash);
		uint64_t from_home = (i + index->size - at) % index->size;
		uint64_t from_hole = (i + index->size - hole) % index->size;

		if (from_home < from_hole)
			continue;
		index->slots[hole] = index->slots[i];
		hole = i;
	}
	index->slots[hole] = (struct index_slot){UINT32_MAX, INDEX_NONE};
}

void index_remove(struct index *index, uint32_t hash, uint32_t value)
{
	uint64_t i = home(index, hash);

	while (index->slots[i].value != value) {
		assert(index->slots[i].value != INDEX_NONE);
		i = after(index, i);
	}
	close_hole(index, i);
	index->used--;
}
