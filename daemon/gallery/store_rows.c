/* SPDX-License-Identifier: Apache-2.0 */
/* Records and originals: written, removed, read. */
#include "daemon/gallery/store.h"

#include <errno.h>
#include <string.h>

static int put_row(struct store_txn *txn, MDB_val *key, uint64_t seq, const struct record *record)
{
	struct seal *seal = &txn->store->seal;
	size_t head = seal_bytes(seal), n = record_bytes(record);
	MDB_val value = {head + n, NULL};
	int err = mdb_cursor_put(txn->rows, key, &value, MDB_APPEND | MDB_RESERVE);

	if (err)
		return store_error(err);
	record_write(record, (uint8_t *)value.mv_data + head);
	seal_close(seal, SEAL_ROW, seq, value.mv_data, n);
	return 0;
}

static int put_original(struct store_txn *txn, MDB_val *key, uint64_t seq,
			const struct record *record, const float *x)
{
	struct seal *seal = &txn->store->seal;
	size_t head = seal_bytes(seal), n = record_original_bytes(record->dim);
	MDB_val value = {head + n, NULL};
	int err = mdb_cursor_put(txn->originals, key, &value, MDB_APPEND | MDB_RESERVE);

	if (err)
		return store_error(err);
	record_original_write(txn->store->cpu, x, record->dim, record->step,
			      (uint8_t *)value.mv_data + head);
	seal_close(seal, SEAL_ORIGINAL, seq, value.mv_data, n);
	return 0;
}

int store_put(struct store_txn *txn, uint64_t seq, struct record *record, const float *original)
{
	MDB_val key = {sizeof(seq), &seq};
	int err;

	record->flags = original ? RECORD_ORIGINAL : 0;
	err = put_row(txn, &key, seq, record);
	if (!err && original)
		err = put_original(txn, &key, seq, record, original);
	return err;
}

static int delete_at(MDB_cursor *cursor, uint64_t seq)
{
	MDB_val key = {sizeof(seq), &seq}, value;
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET);

	return store_error(err ? err : mdb_cursor_del(cursor, 0));
}

int store_delete(struct store_txn *txn, uint64_t seq)
{
	int err = delete_at(txn->rows, seq);

	if (err)
		return err;
	err = delete_at(txn->originals, seq);
	return err == -ENOENT ? 0 : err;
}

int store_view_begin(struct store *store, struct store_view *view)
{
	int err;

	view->store = store;
	view->txn = NULL;
	view->cursor = NULL;
	pthread_rwlock_rdlock(&store->lock);
	err = store->env ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn) : EIO;
	if (!err)
		err = mdb_cursor_open(view->txn, store->table[STORE_ROWS], &view->cursor);
	if (err)
		store_view_end(view);
	return store_error(err);
}

void store_view_end(struct store_view *view)
{
	if (view->cursor)
		mdb_cursor_close(view->cursor);
	if (view->txn)
		mdb_txn_abort(view->txn);
	pthread_rwlock_unlock(&view->store->lock);
}

int store_get(struct store_view *view, uint64_t *seq, bool next, struct record *record)
{
	struct store *store = view->store;
	MDB_val key = {sizeof(*seq), seq}, value;
	const uint8_t *payload;
	size_t n;
	int err = mdb_cursor_get(view->cursor, &key, &value, next ? MDB_SET_RANGE : MDB_SET_KEY);

	if (err)
		return store_error(err);
	if (key.mv_size != sizeof(*seq) || value.mv_size > sizeof(view->scratch))
		return -EBADMSG;
	memcpy(seq, key.mv_data, sizeof(*seq));
	err = seal_open(&store->seal, SEAL_ROW, *seq, value.mv_data, value.mv_size, view->scratch,
			&payload, &n);
	if (!err)
		err = record_read(payload, n, record);
	return !err && record->dim != store->head.spec.space.dim ? -EBADMSG : err;
}

int store_original(struct store_view *view, uint64_t seq, const struct record *record, float *x)
{
	struct store *store = view->store;
	MDB_val key = {sizeof(seq), &seq}, value;
	uint8_t scratch[RECORD_VALUE_MAX];
	const uint8_t *payload;
	size_t n;
	int err;

	if (!(record->flags & RECORD_ORIGINAL)) {
		for (uint32_t i = 0; i < record->dim; i++)
			x[i] = record->x[i] * record->step;
		return 0;
	}
	err = mdb_get(view->txn, store->table[STORE_ORIGINALS], &key, &value);
	if (err)
		return err == MDB_NOTFOUND ? -EBADMSG : store_error(err);
	if (value.mv_size > sizeof(scratch))
		return -EBADMSG;
	err = seal_open(&store->seal, SEAL_ORIGINAL, seq, value.mv_data, value.mv_size, scratch,
			&payload, &n);
	return err ? err : record_original_read(store->cpu, payload, n, record->dim, x);
}

uint64_t store_count(struct store_view *view)
{
	MDB_stat stat;

	if (mdb_stat(view->txn, view->store->table[STORE_ROWS], &stat))
		return 0;
	return stat.ms_entries;
}
