/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HASH_BYTES  crypto_shorthash_BYTES

struct place {
	uint8_t uuid[16];
	uint64_t table, number;
};

void seal_init(struct seal *seal, const uint8_t uuid[16], const uint8_t *key)
{
	memset(seal, 0, sizeof(*seal));
	memcpy(seal->uuid, uuid, sizeof(seal->uuid));
	randombytes_buf(seal->nonce, sizeof(seal->nonce));
	seal->keyed = key != NULL;
	if (key)
		memcpy(seal->key, key, sizeof(seal->key));
}

void seal_clear(struct seal *seal)
{
	sodium_memzero(seal, sizeof(*seal));
}

size_t seal_bytes(const struct seal *seal)
{
	return seal->keyed ? NONCE_BYTES + TAG_BYTES : HASH_BYTES;
}

static struct place place_of(const struct seal *seal, enum seal_table table, uint64_t number)
{
	struct place place = {.table = table, .number = number};

	memcpy(place.uuid, seal->uuid, sizeof(place.uuid));
	return place;
}

static void hash_payload(const struct seal *seal, enum seal_table table, uint64_t number,
			 const uint8_t *payload, size_t n, uint8_t hash[HASH_BYTES])
{
	uint64_t key[2];

	_Static_assert(sizeof(key) == crypto_shorthash_KEYBYTES, "key size");
	memcpy(key, seal->uuid, sizeof(key));
	key[0] ^= number;
	key[1] ^= table;
	crypto_shorthash(hash, payload, n, (const uint8_t *)key);
}

void seal_close(struct seal *seal, enum seal_table table, uint64_t number, uint8_t *value, size_t n)
{
	uint8_t *payload = value + seal_bytes(seal);
	struct place place = place_of(seal, table, number);

	if (!seal->keyed) {
		hash_payload(seal, table, number, payload, n, value);
		return;
	}
	memcpy(value, seal->nonce, sizeof(seal->nonce));
	memcpy(value + sizeof(seal->nonce), &seal->counter, sizeof(seal->counter));
	seal->counter++;
	crypto_aead_xchacha20poly1305_ietf_encrypt_detached(payload, value + NONCE_BYTES, NULL,
							    payload, n, (const uint8_t *)&place,
							    sizeof(place), NULL, value, seal->key);
}

int seal_open(const struct seal *seal, enum seal_table table, uint64_t number, const uint8_t *value,
	      size_t size, uint8_t *scratch, const uint8_t **payload, size_t *n)
{
	struct place place = place_of(seal, table, number);
	size_t head = seal_bytes(seal);
	uint8_t hash[HASH_BYTES];

	if (size < head)
		return -EBADMSG;
	*n = size - head;
	*payload = value + head;
	if (!seal->keyed) {
		hash_payload(seal, table, number, *payload, *n, hash);
		return memcmp(hash, value, sizeof(hash)) ? -EBADMSG : 0;
	}
	if (crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
		    scratch, NULL, *payload, *n, value + NONCE_BYTES, (const uint8_t *)&place,
		    sizeof(place), value, seal->key))
		return -EBADMSG;
	*payload = scratch;
	return 0;
}
