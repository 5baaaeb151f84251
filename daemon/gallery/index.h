/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from 32-bit hashes to 32-bit numbers; what a number stands for is the caller's.
 * 8 bytes a slot, linear probing, three quarters full at most; slots lie in the order of their
 * hashes, so growing by a quarter is one sequential pass.
 */
#ifndef FACET_DAEMON_GALLERY_INDEX_H
#define FACET_DAEMON_GALLERY_INDEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_slot {
	uint32_t hash;
	uint32_t value; /* INDEX_NONE: empty */
};

struct index {
	struct index_slot *slots;
	uint64_t size, used;
};

typedef bool index_same(const void *context, uint32_t value);

int index_init(struct index *index);
void index_free(struct index *index);
/* Room for more entries. Readers hold the lock, if there is one, while they look. -ENOMEM */
int index_room(struct index *index, uint64_t more, pthread_mutex_t *lock);
uint32_t index_find(const struct index *index, uint32_t hash, index_same *same,
		    const void *context); /* INDEX_NONE: absent */
void index_prefetch(const struct index *index, uint32_t hash);
void index_insert(struct index *index, uint32_t hash, uint32_t value); /* room was made */
void index_remove(struct index *index, uint32_t hash, uint32_t value); /* it is there */

#endif
