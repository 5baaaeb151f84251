/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ROOT/catalog, an LMDB environment of two tables. thresholds: a space's digest -> BLAKE2b-128 |
 * entries. owners: a gallery's name -> BLAKE2b-128 of both names | the tenant's name.
 */
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/gallery/internal.h"

#define THRESHOLDS_MAX 64u
#define HASH_BYTES     16u
#define ENTRY_BYTES    24u /* f64 fmr, f64 score, u64 pairs */
#define MAP_BYTES      ((size_t)256 << 20)

struct gallery_catalog {
	MDB_env *env;
	MDB_dbi table, owners;
};

static int open_tables(struct gallery_catalog *catalog)
{
	MDB_txn *txn;
	int err = mdb_txn_begin(catalog->env, NULL, 0, &txn);

	if (err)
		return err;
	err = mdb_dbi_open(txn, "thresholds", MDB_CREATE, &catalog->table);
	if (!err)
		err = mdb_dbi_open(txn, "owners", MDB_CREATE, &catalog->owners);
	if (err) {
		mdb_txn_abort(txn);
		return err;
	}
	return mdb_txn_commit(txn);
}

static int open_env(struct gallery_catalog *catalog, const char *path)
{
	int err = mdb_env_create(&catalog->env);

	if (err)
		return err;
	mdb_env_set_maxdbs(catalog->env, 2);
	mdb_env_set_mapsize(catalog->env, MAP_BYTES);
	err = mdb_env_open(catalog->env, path, MDB_NOTLS, 0600);
	return err ? err : open_tables(catalog);
}

int gallery_catalog_open(const char *root, struct gallery_catalog **out)
{
	struct gallery_catalog *catalog = calloc(1, sizeof(*catalog));
	char *path = NULL;
	int err = 0;

	if (!catalog || asprintf(&path, "%s/catalog", root) < 0) {
		free(catalog);
		return -ENOMEM;
	}
	if (sodium_init() < 0)
		err = -EIO;
	else
		err = gallery_make_root(root);
	if (!err && mkdir(path, 0700) && errno != EEXIST)
		err = -errno;
	if (!err)
		err = store_error(open_env(catalog, path));
	if (!err)
		err = store_sync_dir(path);
	if (!err)
		err = store_sync_dir(root);
	free(path);
	if (err)
		gallery_catalog_close(catalog);
	else
		*out = catalog;
	return err;
}

void gallery_catalog_close(struct gallery_catalog *catalog)
{
	if (!catalog)
		return;
	if (catalog->env)
		mdb_env_close(catalog->env);
	free(catalog);
}

static bool valid(const struct gallery_threshold *thresholds, uint32_t count)
{
	if (count > THRESHOLDS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (!(thresholds[i].fmr >= 0.0 && thresholds[i].fmr <= 1.0) ||
		    !isfinite(thresholds[i].score))
			return false;
		if (i && thresholds[i].fmr <= thresholds[i - 1].fmr)
			return false;
	}
	return true;
}

static size_t pack(const uint8_t digest[32], const struct gallery_threshold *thresholds,
		   uint32_t count, uint8_t *out)
{
	uint8_t *at = out + HASH_BYTES;

	for (uint32_t i = 0; i < count; i++, at += ENTRY_BYTES) {
		double score = thresholds[i].score;

		memcpy(at, &thresholds[i].fmr, 8);
		memcpy(at + 8, &score, 8);
		memcpy(at + 16, &thresholds[i].impostor_pairs, 8);
	}
	crypto_generichash(out, HASH_BYTES, out + HASH_BYTES, count * ENTRY_BYTES, digest, 32);
	return HASH_BYTES + count * ENTRY_BYTES;
}

int gallery_catalog_set(struct gallery_catalog *catalog, const uint8_t digest[32],
			const struct gallery_threshold *thresholds, uint32_t count)
{
	uint8_t packed[HASH_BYTES + THRESHOLDS_MAX * ENTRY_BYTES];
	MDB_val key = {32, (void *)digest}, value = {0, packed};
	MDB_txn *txn;
	int err;

	if (!valid(thresholds, count))
		return -EINVAL;
	value.mv_size = pack(digest, thresholds, count, packed);
	err = mdb_txn_begin(catalog->env, NULL, 0, &txn);
	if (err)
		return store_error(err);
	err = mdb_put(txn, catalog->table, &key, &value, 0);
	if (err)
		mdb_txn_abort(txn);
	else
		err = mdb_txn_commit(txn);
	return err == MDB_MAP_FULL ? -ENOSPC : store_error(err);
}

static int unpack(const uint8_t digest[32], const MDB_val *value,
		  struct gallery_threshold *thresholds, uint32_t max)
{
	const uint8_t *at = (const uint8_t *)value->mv_data + HASH_BYTES;
	uint8_t hash[HASH_BYTES];
	size_t bytes = value->mv_size - HASH_BYTES;
	uint32_t count = (uint32_t)(bytes / ENTRY_BYTES);

	if (value->mv_size < HASH_BYTES || bytes % ENTRY_BYTES || count > THRESHOLDS_MAX)
		return -EBADMSG;
	crypto_generichash(hash, HASH_BYTES, at, bytes, digest, 32);
	if (memcmp(hash, value->mv_data, HASH_BYTES))
		return -EBADMSG;
	for (uint32_t i = 0; i < count && i < max; i++, at += ENTRY_BYTES) {
		double score;

		memcpy(&thresholds[i].fmr, at, 8);
		memcpy(&score, at + 8, 8);
		memcpy(&thresholds[i].impostor_pairs, at + 16, 8);
		thresholds[i].score = (float)score;
	}
	return (int)(count < max ? count : max);
}

int gallery_catalog_get(struct gallery_catalog *catalog, const uint8_t digest[32],
			struct gallery_threshold *thresholds, uint32_t max)
{
	MDB_val key = {32, (void *)digest}, value;
	MDB_txn *txn;
	int err = mdb_txn_begin(catalog->env, NULL, MDB_RDONLY, &txn);

	if (err)
		return store_error(err);
	err = mdb_get(txn, catalog->table, &key, &value);
	if (err)
		err = err == MDB_NOTFOUND ? 0 : store_error(err);
	else
		err = unpack(digest, &value, thresholds, max);
	mdb_txn_abort(txn);
	return err;
}

/* ---- owners ---------------------------------------------------------------------------------- */
/* The sum covers the key too: an entry that got under another name is none. */
static void owner_sum(const char *gallery, const char *owner, size_t bytes, uint8_t sum[HASH_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)gallery, strlen(gallery) + 1);
	crypto_generichash_update(&state, (const uint8_t *)owner, bytes);
	crypto_generichash_final(&state, sum, HASH_BYTES);
}

int gallery_catalog_set_owner(struct gallery_catalog *catalog, const char *gallery,
			      const char *owner)
{
	uint8_t packed[HASH_BYTES + GALLERY_NAME_MAX];
	size_t bytes = strnlen(owner, GALLERY_NAME_MAX);
	MDB_val key = {strlen(gallery), (void *)gallery}, value = {HASH_BYTES + bytes, packed};
	MDB_txn *txn;
	int err = mdb_txn_begin(catalog->env, NULL, 0, &txn);

	if (err)
		return store_error(err);
	owner_sum(gallery, owner, bytes, packed);
	memcpy(packed + HASH_BYTES, owner, bytes);
	err = bytes ? mdb_put(txn, catalog->owners, &key, &value, 0)
		    : mdb_del(txn, catalog->owners, &key, NULL);
	if (err == MDB_NOTFOUND)
		err = 0;
	if (err)
		mdb_txn_abort(txn);
	else
		err = mdb_txn_commit(txn);
	return err == MDB_MAP_FULL ? -ENOSPC : store_error(err);
}

static int owner_unpack(const char *gallery, const MDB_val *value, char owner[GALLERY_NAME_MAX + 1])
{
	const char *name = (const char *)value->mv_data + HASH_BYTES;
	uint8_t sum[HASH_BYTES];
	size_t bytes = value->mv_size - HASH_BYTES;

	if (value->mv_size <= HASH_BYTES || bytes > GALLERY_NAME_MAX || memchr(name, 0, bytes))
		return -EBADMSG;
	owner_sum(gallery, name, bytes, sum);
	if (memcmp(sum, value->mv_data, HASH_BYTES))
		return -EBADMSG;
	memcpy(owner, name, bytes);
	owner[bytes] = '\0';
	return 0;
}

int gallery_catalog_owner(struct gallery_catalog *catalog, const char *gallery,
			  char owner[GALLERY_NAME_MAX + 1])
{
	MDB_val key = {strlen(gallery), (void *)gallery}, value;
	MDB_txn *txn;
	int err = mdb_txn_begin(catalog->env, NULL, MDB_RDONLY, &txn);

	owner[0] = '\0';
	if (err)
		return store_error(err);
	err = mdb_get(txn, catalog->owners, &key, &value);
	if (err)
		err = err == MDB_NOTFOUND ? 0 : store_error(err);
	else
		err = owner_unpack(gallery, &value, owner);
	mdb_txn_abort(txn);
	return err;
}
