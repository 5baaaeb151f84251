/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: made, opened, grown, compacted. */
#include "daemon/gallery/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/cpu/cpu.h"

#ifndef STORE_ENV_FLAGS
#define STORE_ENV_FLAGS 0 /* a test builds this file with MDB_NOSYNC, and must then fail */
#endif

#define MAP_FIRST ((uint64_t)64 << 20)
#define COPY_NAME "data.mdb.new"

static const struct {
	const char *name;
	unsigned int flags;
} tables[STORE_TABLES] = {
	[STORE_META] = {"meta", 0},
	[STORE_ROWS] = {"rows", MDB_INTEGERKEY},
	[STORE_ORIGINALS] = {"originals", MDB_INTEGERKEY},
	[STORE_KEYS_TABLE] = {"keys", 0},
	[STORE_ORDER] = {"order", MDB_INTEGERKEY},
};

int store_error(int mdb_error)
{
	switch (mdb_error) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return STORE_AGAIN;
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	case MDB_PANIC:
		return -EIO;
	case MDB_KEYEXIST:
		return -EEXIST;
	default:
		return mdb_error > 0 ? -mdb_error : -EBADMSG;
	}
}

int store_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

/* map: bytes of address space wanted at least; the file may want more. */
static int open_env(struct store *store, uint64_t map)
{
	int err = mdb_env_create(&store->env);

	if (err) {
		store->env = NULL;
		return store_error(err);
	}
	mdb_env_set_maxdbs(store->env, STORE_TABLES);
	mdb_env_set_maxreaders(store->env, 16);
	if (map)
		mdb_env_set_mapsize(store->env, map);
	err = mdb_env_open(store->env, store->dir, MDB_NOTLS | STORE_ENV_FLAGS, 0600);
	return store_error(err);
}

static void close_env(struct store *store)
{
	if (store->env)
		mdb_env_close(store->env);
	store->env = NULL;
}

static int open_tables(struct store *store, unsigned int flags)
{
	MDB_txn *txn;
	int err = mdb_txn_begin(store->env, NULL, flags ? 0 : MDB_RDONLY, &txn);

	if (err)
		return store_error(err);
	for (int i = 0; i < STORE_TABLES && !err; i++)
		err = mdb_dbi_open(txn, tables[i].name, tables[i].flags | flags, &store->table[i]);
	if (err)
		mdb_txn_abort(txn);
	else
		err = mdb_txn_commit(txn);
	return store_error(err);
}

static int put_meta(struct store *store, MDB_txn *txn, const char *name, const void *data, size_t n)
{
	MDB_val key = {strlen(name), (void *)name};
	MDB_val value = {n, (void *)data};

	return store_error(mdb_put(txn, store->table[STORE_META], &key, &value, 0));
}

static int get_meta(struct store *store, MDB_txn *txn, const char *name, MDB_val *value)
{
	MDB_val key = {strlen(name), (void *)name};

	return store_error(mdb_get(txn, store->table[STORE_META], &key, value));
}

static int put_state(struct store *store, MDB_txn *txn, struct record_state *state)
{
	uint8_t value[SEAL_BYTES_MAX + RECORD_STATE_BYTES];
	size_t head = seal_bytes(&store->seal);

	state->txn = mdb_txn_id(txn);
	record_state_write(state, value + head);
	seal_close(&store->seal, SEAL_STATE, 0, value, RECORD_STATE_BYTES);
	return put_meta(store, txn, "state", value, head + RECORD_STATE_BYTES);
}

static int get_state(struct store *store, MDB_txn *txn)
{
	uint8_t scratch[SEAL_BYTES_MAX + RECORD_STATE_BYTES];
	const uint8_t *payload;
	MDB_val value;
	size_t n;
	int err = get_meta(store, txn, "state", &value);

	if (err)
		return err;
	if (value.mv_size > sizeof(scratch))
		return -EBADMSG;
	err = seal_open(&store->seal, SEAL_STATE, 0, value.mv_data, value.mv_size, scratch,
			&payload, &n);
	return err ? err : record_state_read(payload, n, &store->state);
}

static int put_first(struct store *store)
{
	uint8_t head[RECORD_HEAD_BYTES];
	MDB_txn *txn;
	int err = store_error(mdb_txn_begin(store->env, NULL, 0, &txn));

	if (err)
		return err;
	record_head_write(&store->head, head);
	store->state = (struct record_state){.next_seq = 1, .next_id = 1};
	err = put_meta(store, txn, "head", head, sizeof(head));
	if (!err)
		err = put_state(store, txn, &store->state);
	if (err) {
		mdb_txn_abort(txn);
		return err;
	}
	return store_error(mdb_txn_commit(txn));
}

static struct store *store_new(const char *dir)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	pthread_rwlock_init(&store->lock, NULL);
	store->cpu = cpu_kernels_get(NULL);
	store->dir = strdup(dir);
	if (store->dir && store->cpu)
		return store;
	store_close(store);
	return NULL;
}

int store_create(const char *dir, struct record_head *head, const uint8_t *key,
		 char text[GALLERY_TEXT])
{
	struct store *store = store_new(dir);
	int err;

	if (!store)
		return -ENOMEM;
	head->format = head->spec.no_host_copy ? RECORD_FORMAT : RECORD_FORMAT_FIRST;
	randombytes_buf(head->uuid, sizeof(head->uuid));
	head->keyed = key != NULL;
	if (key)
		record_key_check(key, head->uuid, head->key_check);
	store->head = *head;
	seal_init(&store->seal, head->uuid, key);
	err = open_env(store, MAP_FIRST);
	if (!err)
		err = open_tables(store, MDB_CREATE);
	if (!err)
		err = put_first(store);
	if (!err)
		err = store_sync_dir(dir);
	if (err)
		snprintf(text, GALLERY_TEXT, "cannot make the gallery's files: %s", strerror(-err));
	store_close(store);
	return err;
}

static int check_key(const struct record_head *head, const uint8_t *key, char text[GALLERY_TEXT])
{
	uint8_t check[sizeof(head->key_check)];

	if (head->keyed && !key) {
		snprintf(text, GALLERY_TEXT, "the gallery is encrypted: configure its key");
		return -EACCES;
	}
	if (!head->keyed && key) {
		snprintf(text, GALLERY_TEXT,
			 "the gallery is not encrypted, but a key is configured: export it, "
			 "create it anew with the key, import it");
		return -EACCES;
	}
	if (!key)
		return 0;
	record_key_check(key, head->uuid, check);
	if (sodium_memcmp(check, head->key_check, sizeof(check)) == 0)
		return 0;
	snprintf(text, GALLERY_TEXT, "the configured key is not the one of this gallery");
	return -EACCES;
}

static int get_head(struct store *store, MDB_txn *txn, const uint8_t *key, char text[GALLERY_TEXT])
{
	MDB_val value;
	int err = get_meta(store, txn, "head", &value);

	if (!err)
		err = record_head_read(value.mv_data, value.mv_size, &store->head);
	if (err == -EPROTO)
		snprintf(text, GALLERY_TEXT,
			 "format_version %u is newer than this facetd knows (%u): update facetd",
			 store->head.format, RECORD_FORMAT);
	if (err)
		return err;
	err = check_key(&store->head, key, text);
	if (!err)
		seal_init(&store->seal, store->head.uuid, key);
	return err;
}

static int get_first(struct store *store, const uint8_t *key, char text[GALLERY_TEXT])
{
	MDB_txn *txn;
	int err = store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn));

	if (err)
		return err;
	err = get_head(store, txn, key, text);
	if (!err)
		err = get_state(store, txn);
	mdb_txn_abort(txn);
	return err;
}

static void remove_copy(const struct store *store)
{
	char *path;

	if (asprintf(&path, "%s/" COPY_NAME, store->dir) < 0)
		return;
	unlink(path);
	free(path);
}

int store_open(const char *dir, const uint8_t *key, struct store **store_out,
	       char text[GALLERY_TEXT])
{
	struct store *store = store_new(dir);
	int err;

	if (!store)
		return -ENOMEM;
	text[0] = '\0';
	remove_copy(store);
	err = open_env(store, MAP_FIRST);
	if (!err)
		err = open_tables(store, 0);
	if (!err)
		err = get_first(store, key, text);
	if (!err) {
		*store_out = store;
		return 0;
	}
	if (!text[0])
		snprintf(text, GALLERY_TEXT, "the files do not open (%s): restore a copy",
			 strerror(-err));
	store_close(store);
	return err;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	close_env(store);
	seal_clear(&store->seal);
	pthread_rwlock_destroy(&store->lock);
	free(store->dir);
	free(store);
}

static uint64_t map_used(struct store *store, uint64_t *map)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(store->env, &info);
	mdb_env_stat(store->env, &stat);
	*map = info.me_mapsize;
	return (info.me_last_pgno + 1) * stat.ms_psize;
}

bool store_tight(struct store *store, uint64_t bytes)
{
	uint64_t map, used = map_used(store, &map);

	return used + bytes > map - map / 8;
}

int store_grow(struct store *store, uint64_t bytes)
{
	uint64_t map, used = map_used(store, &map);
	int err;

	do
		map *= 2;
	while (used + bytes > map / 2);
	pthread_rwlock_wrlock(&store->lock);
	err = mdb_env_set_mapsize(store->env, map);
	if (err)
		close_env(store); /* it may have no map at all now */
	pthread_rwlock_unlock(&store->lock);
	return err ? -EIO : 0;
}

uint64_t store_disk_bytes(struct store *store)
{
	struct stat st;
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(store->env, &fd) || fstat(fd, &st))
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

int store_begin(struct store *store, struct store_txn *txn)
{
	int err;

	*txn = (struct store_txn){.store = store, .state = store->state};
	err = store->env ? mdb_txn_begin(store->env, NULL, 0, &txn->txn) : EIO;
	if (err)
		return store_error(err);
	err = mdb_cursor_open(txn->txn, store->table[STORE_ROWS], &txn->rows);
	if (!err)
		err = mdb_cursor_open(txn->txn, store->table[STORE_ORIGINALS], &txn->originals);
	if (err)
		store_abort(txn);
	return store_error(err);
}

static void close_cursors(struct store_txn *txn)
{
	if (txn->rows)
		mdb_cursor_close(txn->rows);
	if (txn->originals)
		mdb_cursor_close(txn->originals);
	txn->rows = txn->originals = NULL;
}

int store_commit(struct store_txn *txn)
{
	struct store *store = txn->store;
	int err = put_state(store, txn->txn, &txn->state);

	close_cursors(txn);
	if (err)
		mdb_txn_abort(txn->txn);
	else
		err = store_error(mdb_txn_commit(txn->txn));
	txn->txn = NULL;
	if (!err)
		store->state = txn->state;
	return err;
}

void store_abort(struct store_txn *txn)
{
	close_cursors(txn);
	if (txn->txn)
		mdb_txn_abort(txn->txn);
	txn->txn = NULL;
}

static int copy_to(struct store *store, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = store_error(mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT));
	if (!err && fsync(fd))
		err = -errno;
	close(fd);
	return err;
}

/*
 * The environment is closed from here to the rename: the readers wait. Once the name is moved only
 * a synced folder says which file will be found after a power loss: without it, as without a file
 * that opens, -EIO, and nothing may be acknowledged any more.
 */
static int swap(struct store *store, const char *from, const char *to)
{
	uint64_t map;
	int err = 0;

	pthread_rwlock_wrlock(&store->lock);
	map_used(store, &map);
	close_env(store);
	if (rename(from, to))
		err = -errno;
	else if (store_sync_dir(store->dir))
		err = -EIO;
	if (open_env(store, map) || open_tables(store, 0)) {
		close_env(store);
		err = -EIO;
	}
	pthread_rwlock_unlock(&store->lock);
	return err;
}

int store_compact(struct store *store, char text[GALLERY_TEXT])
{
	char *from = NULL, *to = NULL;
	int err = -ENOMEM;

	if (asprintf(&from, "%s/" COPY_NAME, store->dir) < 0)
		from = NULL;
	if (asprintf(&to, "%s/data.mdb", store->dir) < 0)
		to = NULL;
	if (from && to)
		err = copy_to(store, from);
	if (!err)
		err = swap(store, from, to);
	if (err) {
		snprintf(text, GALLERY_TEXT, "compaction failed: %s", strerror(-err));
		remove_copy(store);
	}
	free(from);
	free(to);
	return err;
}
