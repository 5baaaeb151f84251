/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subjects of a gallery in memory: names, and the chain of each one's rows (rows.h: older,
 * newer). Only the writer changes them, and holds the lock while it does; others hold it to look.
 * A chain may be followed without the lock while a snapshot is held: a row's `older` is kept until
 * no such snapshot is left.
 */
#ifndef FACET_DAEMON_GALLERY_SUBJECTS_H
#define FACET_DAEMON_GALLERY_SUBJECTS_H

#include "daemon/gallery/gallery.h"
#include "daemon/gallery/rows.h"

#define SUBJECTS_SIZES (GALLERY_SUBJECT_MAX / 8 + 2)
#define SUBJECTS_NONE  UINT32_MAX

struct subject {
	uint32_t name;	/* offset / 8 */
	uint32_t head;	/* newest row, or ROWS_NONE; of a free entry: the next free one */
	uint32_t count; /* live templates, those being enrolled included */
};

struct subjects {
	pthread_mutex_t lock;
	struct subject *entry;
	uint32_t high, free_head;
	uint64_t live; /* subjects with templates */
	struct index names;
	uint64_t arena_used;
	uint32_t free_name[SUBJECTS_SIZES]; /* by size in units of 8 bytes; 0: none */
	uint8_t hash_key[16];
	struct reserve entries, arena;
};

int subjects_init(struct subjects *subjects);
void subjects_free(struct subjects *subjects);
int subjects_room(struct subjects *subjects, uint64_t more); /* for subjects_add(); -ENOMEM */
/* Lock held, or called by the writer. SUBJECTS_NONE: absent. */
uint32_t subjects_find(const struct subjects *subjects, const char *name);
const char *subjects_name(const struct subjects *subjects, uint32_t subject);
/* The writer's; they take the lock. */
uint32_t subjects_get(struct subjects *subjects,
		      const char *name); /* finds or adds; room was made */
void subjects_drop_empty(struct subjects *subjects, uint32_t subject); /* if it has no rows */
void subjects_link(struct subjects *subjects, struct rows *rows, uint32_t row);
void subjects_unlink(struct subjects *subjects, struct rows *rows, uint32_t row);
void subjects_count(struct subjects *subjects, uint32_t subject, int more);

#endif
