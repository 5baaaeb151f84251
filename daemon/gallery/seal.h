/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protects a stored value: a checksum, or with a key authenticated encryption.
 *
 *   plain   u64 checksum | payload. 64 bits of folded 64 x 64-bit products (seal.c), keyed by the
 *           gallery's uuid, the table and the record's number: a value of another place or gallery
 *           does not pass. It is there against accidents, at several bytes a cycle; SipHash takes
 *           2.3 us for a template of 512 dimensions with its original, BLAKE2b more than all else
 *           of an enrolment, and a CRC has 32 bits.
 *   keyed   24-byte nonce | 16-byte tag | XChaCha20-Poly1305 of the payload, bound to the same
 *           place. Nonce: 16 random bytes drawn when the gallery is opened, then a u64 counter.
 */
#ifndef FACET_DAEMON_GALLERY_SEAL_H
#define FACET_DAEMON_GALLERY_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_BYTES_MAX 40u
#define SEAL_KEY_BYTES 32u

enum seal_table { SEAL_HEAD, SEAL_STATE, SEAL_ROW, SEAL_ORIGINAL, SEAL_KEY };

struct seal {
	uint8_t uuid[16];
	bool keyed;
	uint8_t key[SEAL_KEY_BYTES];
	uint8_t nonce[16];
	uint64_t counter;
};

/* key: 32 bytes or NULL */
void seal_init(struct seal *seal, const uint8_t uuid[16], const uint8_t *key);
void seal_clear(struct seal *seal);
size_t seal_bytes(const struct seal *seal); /* what a value has before its payload */
/* value holds seal_bytes() and then the payload of n bytes, which is encrypted in place. */
void seal_close(struct seal *seal, enum seal_table table, uint64_t number, uint8_t *value,
		size_t n);
/*
 * The payload of a value of size bytes: inside it, or in scratch (size bytes) when it had to be
 * decrypted. -EBADMSG: too short or not what was written there.
 */
int seal_open(const struct seal *seal, enum seal_table table, uint64_t number, const uint8_t *value,
	      size_t size, uint8_t *scratch, const uint8_t **payload, size_t *n);

#endif
