/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gallery on disk: one LMDB environment, every commit synced. Tables:
 *
 *   meta       "head", "state"
 *   rows       u64 sequence -> sealed record; appended, never changed, removed by a delete
 *   originals  the same key -> sealed float16 form, unless the gallery keeps int8 only
 *   keys       16-byte idempotency key -> the answer given; the last STORE_KEYS of them
 *   order      u64 number of a key -> that key
 *
 * One thread writes; it alone grows the map and swaps the file, for which it excludes readers.
 */
#ifndef FACET_DAEMON_GALLERY_STORE_H
#define FACET_DAEMON_GALLERY_STORE_H

#include <lmdb.h>
#include <pthread.h>

#include "daemon/gallery/record.h"
#include "daemon/gallery/seal.h"

#define STORE_KEYS  65536u     /* idempotency keys remembered */
#define STORE_AGAIN (-ENOBUFS) /* the map was full: store_abort(), store_grow(), write it again */

enum store_table {
	STORE_META,
	STORE_ROWS,
	STORE_ORIGINALS,
	STORE_KEYS_TABLE,
	STORE_ORDER,
	STORE_TABLES
};

struct store {
	char *dir;
	MDB_env *env; /* NULL once it could not be opened again: all answers are -EIO */
	MDB_dbi table[STORE_TABLES];
	struct record_head head;
	struct record_state state; /* as committed */
	struct seal seal;
	pthread_rwlock_t lock; /* readers hold it; the writer takes it to grow or to swap */
	const struct cpu_kernels *cpu;
};

struct store_txn {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *rows, *originals;
	struct record_state state; /* written by store_commit() */
};

/* Makes the environment in an empty directory; fills head's uuid, format and key check. */
int store_create(const char *dir, struct record_head *head, const uint8_t *key,
		 char text[GALLERY_TEXT]);
int store_open(const char *dir, const uint8_t *key, struct store **store, char text[GALLERY_TEXT]);
void store_close(struct store *store);

/* The writer's. */
int store_grow(struct store *store, uint64_t bytes); /* room for bytes more, at least a doubling */
bool store_tight(struct store *store, uint64_t bytes);
int store_begin(struct store *store, struct store_txn *txn);
int store_put(struct store_txn *txn, uint64_t seq, struct record *record, const float *original);
int store_delete(struct store_txn *txn, uint64_t seq);
int store_commit(struct store_txn *txn);
void store_abort(struct store_txn *txn);
/* Writes a compact copy and puts it in the place of the file: nothing deleted is left in it. */
int store_compact(struct store *store, char text[GALLERY_TEXT]);

/* Anyone's, one thread a view. */
struct store_view {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *cursor;
	uint8_t scratch[RECORD_VALUE_MAX]; /* what the record points into, if it was encrypted */
};

int store_view_begin(struct store *store, struct store_view *view);
void store_view_end(struct store_view *view);
/* The record at seq, or with `next` the first at or after *seq, which is set. -ENOENT: none. What
 * the record points at lasts until the next call or the end of the view. */
int store_get(struct store_view *view, uint64_t *seq, bool next, struct record *record);
/* The original, or row * step where there is none. */
int store_original(struct store_view *view, uint64_t seq, const struct record *record, float *x);
uint64_t store_count(struct store_view *view); /* records */
uint64_t store_disk_bytes(struct store *store);

/* Idempotency keys (keys.c): a run of numbers that were given out, and the answer. */
struct store_run {
	uint64_t first, count;
};

struct store_answer {
	uint8_t digest[16]; /* of the request: a key used for another one is refused */
	uint64_t templates, subjects, epoch;
	uint32_t run_count;
	struct store_run *runs; /* free() it */
};

/* A key's sealed value, scratch of its size. -EBADMSG */
int store_answer_read(const struct seal *seal, const uint8_t key[GALLERY_KEY_BYTES],
		      const void *value, size_t size, uint8_t *scratch,
		      struct store_answer *answer);
int store_key_get(struct store_txn *txn, const uint8_t key[GALLERY_KEY_BYTES],
		  struct store_answer *answer); /* -ENOENT */
int store_key_put(struct store_txn *txn, const uint8_t key[GALLERY_KEY_BYTES],
		  const struct store_answer *answer);

int store_sync_dir(const char *dir); /* what is in the folder is found after a power loss */
int store_error(int mdb_error);	     /* a negative errno; STORE_AGAIN for a full map */

#endif
