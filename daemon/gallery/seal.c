/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HASH_BYTES  8u

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

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word(const uint8_t *at)
{
	uint64_t x;

	memcpy(&x, at, sizeof(x));
	return x;
}

/* Odd constants: the fractions of the square roots of 2, 3, 5 and 7. */
static const uint64_t root[4] = {
	UINT64_C(0x6a09e667f3bcc909),
	UINT64_C(0xbb67ae8584caa73b),
	UINT64_C(0x3c6ef372fe94f82b),
	UINT64_C(0xa54ff53a5f1d36f1),
};

/*
 * Two lanes take 16 bytes each in turn: lane = fold(lane ^ first word, root ^ second word); the
 * rest is padded with zeros; the length goes into the last step.
 */
static void hash_payload(const struct seal *seal, enum seal_table table, uint64_t number,
			 const uint8_t *payload, size_t n, uint8_t hash[HASH_BYTES])
{
	uint64_t a = fold(word(seal->uuid) ^ root[0], number ^ root[1]);
	uint64_t b = fold(word(seal->uuid + 8) ^ root[2], (a + table) ^ root[3]);
	uint8_t rest[32] = {0};
	size_t i = 0;

	a ^= root[2];
	for (; n - i >= 32; i += 32) {
		a = fold(a ^ word(payload + i), root[0] ^ word(payload + i + 8));
		b = fold(b ^ word(payload + i + 16), root[1] ^ word(payload + i + 24));
	}
	memcpy(rest, payload + i, n - i);
	a = fold(a ^ word(rest), root[0] ^ word(rest + 8));
	b = fold(b ^ word(rest + 16), root[1] ^ word(rest + 24));
	a = fold(a ^ root[3], b ^ n) ^ b;
	memcpy(hash, &a, HASH_BYTES);
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
