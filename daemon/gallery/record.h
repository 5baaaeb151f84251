/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payloads of a gallery's tables, little-endian, packed, in the order given here.
 *
 *   head      struct head below: written once
 *   state     u64 epoch, next sequence, next number, first key, next key, purge due (seconds of
 *             the real-time clock by which deleted records must have left the file, 0: none), and
 *             the number of the LMDB transaction that wrote it: a meta page that a flipped bit
 *             made the newest, or the oldest, is known by it
 *   row       u64 id, tags, epoch; f32 step; u32 rotation; u16 dim; u8 subject bytes, source bytes;
 *             u32 flags (1: an original exists); subject; source; int8 row[dim]
 *   original  i32 exponent; u16 float16[dim]: x = half * 2^exponent, unrotated
 *   key       see keys.c
 *
 * A payload that does not have exactly the length its header says is refused.
 */
#ifndef FACET_DAEMON_GALLERY_RECORD_H
#define FACET_DAEMON_GALLERY_RECORD_H

#include "daemon/gallery/gallery.h"

#define RECORD_FORMAT_FIRST 1u
#define RECORD_FORMAT	    2u /* format_version: 2 has galleries without a host copy */
#define RECORD_ORIGINAL	    1u /* flag */
#define RECORD_FIXED	    44u
#define RECORD_MAX	    (RECORD_FIXED + GALLERY_SUBJECT_MAX + GALLERY_SOURCE_MAX + SEARCH_DIM_MAX)
#define RECORD_VALUE_MAX    4096u /* any sealed row or original */
#define RECORD_HEAD_BYTES   256u

struct record {
	uint64_t id, tags, epoch;
	float step;
	uint32_t rotation, flags;
	uint32_t dim;
	uint32_t subject_bytes, source_bytes;
	const char *subject, *source; /* not ended by a zero when read */
	const int8_t *x;
};

struct record_head {
	uint32_t format;
	uint8_t uuid[16];
	bool keyed;
	uint8_t key_check[16]; /* of the key, with the uuid */
	uint32_t rotation;     /* 0: identity */
	struct gallery_spec spec;
};

struct record_state {
	uint64_t epoch, next_seq, next_id, first_key, next_key, purge_due, txn;
};

#define RECORD_STATE_BYTES 56u

size_t record_bytes(const struct record *record);
void record_write(const struct record *record, uint8_t *out);
int record_read(const uint8_t *in, size_t n, struct record *record); /* -EBADMSG */

/* The float16 form of an original and back. */
size_t record_original_bytes(uint32_t dim);
struct cpu_kernels;
/* step: that of op_quantize_row(). */
void record_original_write(const struct cpu_kernels *cpu, const float *x, uint32_t dim, float step,
			   uint8_t *out);
int record_original_read(const struct cpu_kernels *cpu, const uint8_t *in, size_t n, uint32_t dim,
			 float *x);

/* The head carries its own BLAKE2b, since it names what the others are sealed with. -EPROTO: of a
 * newer format (text says so); -EBADMSG. */
void record_head_write(const struct record_head *head, uint8_t out[RECORD_HEAD_BYTES]);
int record_head_read(const uint8_t *in, size_t n, struct record_head *head);
void record_key_check(const uint8_t *key, const uint8_t uuid[16], uint8_t check[16]);

void record_state_write(const struct record_state *state, uint8_t out[RECORD_STATE_BYTES]);
int record_state_read(const uint8_t *in, size_t n, struct record_state *state);

/* Names and other text from outside: well-formed UTF-8, no control characters, at most max bytes. */
bool record_text_ok(const char *text, size_t max, bool may_be_empty);

#endif
