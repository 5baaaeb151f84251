/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of what a process asked of its disk. A stream of these, each followed by `bytes` bytes:
 *
 *   WRITE   data written at offset; it is issued here, and may be on the disk, in part or not at all
 *   WRITTEN an O_DSYNC write at offset has returned
 *   SIZE    ftruncate to offset
 *   SYNC    an fsync or fdatasync has returned: all issued before it is on the disk
 *   RENAME  this file took the name data.mdb
 *   SYNCDIR an fsync of a folder has returned
 *   NOTE    a note of the driver: struct power_note
 */
#ifndef FACET_TESTS_GALLERY_POWER_H
#define FACET_TESTS_GALLERY_POWER_H

#include <stdint.h>

enum power_kind {
	POWER_WRITE,
	POWER_WRITTEN,
	POWER_SIZE,
	POWER_SYNC,
	POWER_RENAME,
	POWER_SYNCDIR,
	POWER_NOTE
};

struct power_record {
	uint32_t kind, bytes;
	uint64_t file, offset; /* file: its inode */
};

/* What the driver knows of the template `id` from here on. */
enum power_fact { POWER_ENROLLED, POWER_DELETING, POWER_DELETED };

struct power_note {
	uint64_t id;
	uint32_t fact, reserved;
};

/* In the preload library; the driver finds it with dlsym(). */
typedef void power_note_fn(const struct power_note *notes, uint32_t count);

#endif
