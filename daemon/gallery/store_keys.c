/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency keys. A sealed value holds digest[16], u64 templates, subjects, epoch, u32 runs, and
 * the runs as pairs of u64. `order` says which key is the oldest; the last STORE_KEYS are kept.
 */
#include "daemon/gallery/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIXED	 44u
#define RUNS_MAX 65536u

/* What a key's value is bound to. */
static uint64_t number_of(const uint8_t key[GALLERY_KEY_BYTES])
{
	uint64_t half[2];

	memcpy(half, key, sizeof(half));
	return half[0] ^ half[1];
}

static int parse(const uint8_t *in, size_t n, struct store_answer *answer)
{
	if (n < FIXED)
		return -EBADMSG;
	memcpy(answer->digest, in, 16);
	memcpy(&answer->templates, in + 16, 24);
	memcpy(&answer->run_count, in + 40, 4);
	if (answer->run_count > RUNS_MAX || n != FIXED + answer->run_count * sizeof(*answer->runs))
		return -EBADMSG;
	answer->runs = NULL;
	if (!answer->run_count)
		return 0;
	answer->runs = malloc(n - FIXED);
	if (!answer->runs)
		return -ENOMEM;
	memcpy(answer->runs, in + FIXED, n - FIXED);
	return 0;
}

int store_answer_read(const struct seal *seal, const uint8_t key[GALLERY_KEY_BYTES],
		      const void *value, size_t size, uint8_t *scratch, struct store_answer *answer)
{
	const uint8_t *payload;
	size_t n;
	int err = seal_open(seal, SEAL_KEY, number_of(key), value, size, scratch, &payload, &n);

	return err ? err : parse(payload, n, answer);
}

int store_key_get(struct store_txn *txn, const uint8_t key_bytes[GALLERY_KEY_BYTES],
		  struct store_answer *answer)
{
	struct store *store = txn->store;
	MDB_val key = {GALLERY_KEY_BYTES, (void *)key_bytes}, value;
	uint8_t *scratch;
	int err = mdb_get(txn->txn, store->table[STORE_KEYS_TABLE], &key, &value);

	if (err)
		return store_error(err);
	scratch = malloc(value.mv_size + 1);
	if (!scratch)
		return -ENOMEM;
	err = store_answer_read(&store->seal, key_bytes, value.mv_data, value.mv_size, scratch,
				answer);
	free(scratch);
	return err;
}

static int put_answer(struct store_txn *txn, MDB_val *key, const struct store_answer *answer)
{
	struct store *store = txn->store;
	size_t head = seal_bytes(&store->seal);
	size_t runs = answer->run_count * sizeof(*answer->runs);
	MDB_val value = {head + FIXED + runs, NULL};
	uint8_t *payload;
	int err = mdb_put(txn->txn, store->table[STORE_KEYS_TABLE], key, &value, MDB_RESERVE);

	if (err)
		return store_error(err);
	payload = (uint8_t *)value.mv_data + head;
	memcpy(payload, answer->digest, 16);
	memcpy(payload + 16, &answer->templates, 24);
	memcpy(payload + 40, &answer->run_count, 4);
	if (runs)
		memcpy(payload + FIXED, answer->runs, runs);
	seal_close(&store->seal, SEAL_KEY, number_of(key->mv_data), value.mv_data, FIXED + runs);
	return 0;
}

static int forget_oldest(struct store_txn *txn)
{
	struct store *store = txn->store;
	MDB_val order = {8, &txn->state.first_key}, found;
	uint8_t oldest[GALLERY_KEY_BYTES];
	MDB_val key = {sizeof(oldest), oldest};
	int err = mdb_get(txn->txn, store->table[STORE_ORDER], &order, &found);

	if (err)
		return store_error(err);
	if (found.mv_size != sizeof(oldest))
		return -EBADMSG;
	memcpy(oldest, found.mv_data, sizeof(oldest));
	err = mdb_del(txn->txn, store->table[STORE_ORDER], &order, NULL);
	if (!err)
		err = mdb_del(txn->txn, store->table[STORE_KEYS_TABLE], &key, NULL);
	txn->state.first_key++;
	return store_error(err);
}

int store_key_put(struct store_txn *txn, const uint8_t key_bytes[GALLERY_KEY_BYTES],
		  const struct store_answer *answer)
{
	MDB_val key = {GALLERY_KEY_BYTES, (void *)key_bytes};
	MDB_val order = {8, &txn->state.next_key};
	int err = 0;

	if (txn->state.next_key - txn->state.first_key >= STORE_KEYS)
		err = forget_oldest(txn);
	if (!err)
		err = put_answer(txn, &key, answer);
	if (!err)
		err = store_error(mdb_put(txn->txn, txn->store->table[STORE_ORDER], &order, &key,
					  MDB_APPEND));
	txn->state.next_key++;
	return err;
}
