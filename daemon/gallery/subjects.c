/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names lie in one arena in units of 8 bytes, ended by a zero. The space of a name that went is
 * wiped and kept in a list by its size; its first four bytes are the link.
 */
#include "daemon/gallery/subjects.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#define UNIT	  8u
#define ARENA_MAX ((size_t)UNIT << 32)

int subjects_init(struct subjects *subjects)
{
	int err;

	memset(subjects, 0, sizeof(*subjects));
	pthread_mutex_init(&subjects->lock, NULL);
	subjects->free_head = SUBJECTS_NONE;
	subjects->arena_used = UNIT; /* offset 0 is no name */
	crypto_shorthash_keygen(subjects->hash_key);
	err = reserve_init(&subjects->entries, ROWS_MAX * sizeof(struct subject), false);
	if (!err)
		err = reserve_init(&subjects->arena, ARENA_MAX, false);
	if (!err)
		err = index_init(&subjects->names);
	if (err)
		subjects_free(subjects);
	else
		subjects->entry = (struct subject *)subjects->entries.base;
	return err;
}

void subjects_free(struct subjects *subjects)
{
	reserve_free(&subjects->entries);
	reserve_free(&subjects->arena);
	index_free(&subjects->names);
	pthread_mutex_destroy(&subjects->lock);
}

int subjects_room(struct subjects *subjects, uint64_t more)
{
	uint64_t longest = (GALLERY_SUBJECT_MAX / UNIT + 1) * UNIT;
	int err;

	if (more > ROWS_MAX)
		return -ENOMEM;
	err = reserve_grow(&subjects->entries, (subjects->high + more) * sizeof(struct subject));
	if (!err)
		err = reserve_grow(&subjects->arena, subjects->arena_used + more * longest);
	if (!err)
		err = index_room(&subjects->names, more, &subjects->lock);
	return err;
}

static uint32_t hash_name(const struct subjects *subjects, const char *name)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t h;

	crypto_shorthash(hash, (const uint8_t *)name, strlen(name), subjects->hash_key);
	memcpy(&h, hash, sizeof(h));
	return h;
}

const char *subjects_name(const struct subjects *subjects, uint32_t subject)
{
	return (const char *)subjects->arena.base + (size_t)subjects->entry[subject].name * UNIT;
}

struct same_name {
	const struct subjects *subjects;
	const char *name;
};

static bool same_name(const void *context, uint32_t subject)
{
	const struct same_name *same = context;

	return strcmp(subjects_name(same->subjects, subject), same->name) == 0;
}

uint32_t subjects_find(const struct subjects *subjects, const char *name)
{
	struct same_name same = {subjects, name};

	return index_find(&subjects->names, hash_name(subjects, name), same_name, &same);
}

static uint32_t put_name(struct subjects *subjects, const char *name)
{
	size_t length = strlen(name);
	uint32_t units = (uint32_t)(length / UNIT + 1);
	uint32_t at = subjects->free_name[units];
	uint8_t *to;

	if (at) {
		memcpy(&subjects->free_name[units], subjects->arena.base + (size_t)at * UNIT, 4);
	} else {
		at = (uint32_t)(subjects->arena_used / UNIT);
		subjects->arena_used += units * UNIT;
	}
	to = subjects->arena.base + (size_t)at * UNIT;
	memset(to, 0, units * UNIT);
	memcpy(to, name, length);
	return at;
}

static void wipe_name(struct subjects *subjects, uint32_t at)
{
	char *name = (char *)subjects->arena.base + (size_t)at * UNIT;
	uint32_t units = (uint32_t)(strlen(name) / UNIT + 1);

	sodium_memzero(name, units * UNIT);
	memcpy(name, &subjects->free_name[units], 4);
	subjects->free_name[units] = at;
}

static uint32_t add(struct subjects *subjects, const char *name)
{
	uint32_t subject = subjects->free_head;

	if (subject != SUBJECTS_NONE)
		subjects->free_head = subjects->entry[subject].head;
	else
		subject = subjects->high++;
	subjects->entry[subject] = (struct subject){put_name(subjects, name), ROWS_NONE, 0};
	index_insert(&subjects->names, hash_name(subjects, name), subject);
	return subject;
}

uint32_t subjects_get(struct subjects *subjects, const char *name)
{
	uint32_t subject = subjects_find(subjects, name);

	if (subject != SUBJECTS_NONE)
		return subject;
	pthread_mutex_lock(&subjects->lock);
	subject = add(subjects, name);
	pthread_mutex_unlock(&subjects->lock);
	return subject;
}

void subjects_drop_empty(struct subjects *subjects, uint32_t subject)
{
	struct subject *entry = &subjects->entry[subject];

	if (entry->count || entry->head != ROWS_NONE)
		return;
	pthread_mutex_lock(&subjects->lock);
	index_remove(&subjects->names, hash_name(subjects, subjects_name(subjects, subject)),
		     subject);
	wipe_name(subjects, entry->name);
	*entry = (struct subject){0, subjects->free_head, 0};
	subjects->free_head = subject;
	pthread_mutex_unlock(&subjects->lock);
}

void subjects_link(struct subjects *subjects, struct rows *rows, uint32_t row)
{
	struct subject *entry = &subjects->entry[rows->view.subject[row]];

	pthread_mutex_lock(&subjects->lock);
	rows->older[row] = entry->head;
	rows->newer[row] = ROWS_NONE;
	if (entry->head != ROWS_NONE)
		rows->newer[entry->head] = row;
	entry->head = row;
	pthread_mutex_unlock(&subjects->lock);
}

void subjects_unlink(struct subjects *subjects, struct rows *rows, uint32_t row)
{
	uint32_t older = rows->older[row], newer = rows->newer[row];

	pthread_mutex_lock(&subjects->lock);
	if (newer == ROWS_NONE)
		subjects->entry[rows->view.subject[row]].head = older;
	else
		__atomic_store_n(&rows->older[newer], older, __ATOMIC_RELEASE);
	if (older != ROWS_NONE)
		rows->newer[older] = newer;
	pthread_mutex_unlock(&subjects->lock);
}

void subjects_count(struct subjects *subjects, uint32_t subject, int more)
{
	struct subject *entry = &subjects->entry[subject];

	pthread_mutex_lock(&subjects->lock);
	subjects->live -= entry->count != 0;
	entry->count += (uint32_t)more;
	subjects->live += entry->count != 0;
	pthread_mutex_unlock(&subjects->lock);
}
