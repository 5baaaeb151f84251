/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/record.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

#define HEAD_HASH_BYTES 32u
#define HALF_EXPONENT	14 /* the largest |x| is scaled into [2^13, 2^14) */

static const char head_magic[8] = "FacetGal";

enum { KEEP_INT8_ONLY = 1, NO_HOST_COPY = 2 }; /* bits of a flag of the head */

struct packer {
	uint8_t *at;
};

static void put(struct packer *packer, const void *data, size_t n)
{
	if (n)
		memcpy(packer->at, data, n);
	packer->at += n;
}

struct unpacker {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static void get(struct unpacker *unpacker, void *data, size_t n)
{
	if (unpacker->left < n) {
		unpacker->bad = true;
		memset(data, 0, n);
		return;
	}
	memcpy(data, unpacker->at, n);
	unpacker->at += n;
	unpacker->left -= n;
}

size_t record_bytes(const struct record *record)
{
	return RECORD_FIXED + record->subject_bytes + record->source_bytes + record->dim;
}

void record_write(const struct record *record, uint8_t *out)
{
	struct packer packer = {out};
	uint16_t dim = (uint16_t)record->dim;
	uint8_t subject_bytes = (uint8_t)record->subject_bytes;
	uint8_t source_bytes = (uint8_t)record->source_bytes;

	put(&packer, &record->id, 8);
	put(&packer, &record->tags, 8);
	put(&packer, &record->epoch, 8);
	put(&packer, &record->step, 4);
	put(&packer, &record->rotation, 4);
	put(&packer, &dim, 2);
	put(&packer, &subject_bytes, 1);
	put(&packer, &source_bytes, 1);
	put(&packer, &record->flags, 4);
	put(&packer, "\0\0\0", 4);
	put(&packer, record->subject, subject_bytes);
	put(&packer, record->source, source_bytes);
	put(&packer, record->x, dim);
}

int record_read(const uint8_t *in, size_t n, struct record *record)
{
	struct unpacker unpacker = {in, n, false};
	uint16_t dim;
	uint8_t subject_bytes, source_bytes;
	uint32_t reserved;

	get(&unpacker, &record->id, 8);
	get(&unpacker, &record->tags, 8);
	get(&unpacker, &record->epoch, 8);
	get(&unpacker, &record->step, 4);
	get(&unpacker, &record->rotation, 4);
	get(&unpacker, &dim, 2);
	get(&unpacker, &subject_bytes, 1);
	get(&unpacker, &source_bytes, 1);
	get(&unpacker, &record->flags, 4);
	get(&unpacker, &reserved, 4);
	if (unpacker.bad || unpacker.left != (size_t)dim + subject_bytes + source_bytes)
		return -EBADMSG;
	if (!subject_bytes || subject_bytes > GALLERY_SUBJECT_MAX ||
	    source_bytes > GALLERY_SOURCE_MAX || !(record->step > 0.0f) || !isfinite(record->step))
		return -EBADMSG;
	record->dim = dim;
	record->subject_bytes = subject_bytes;
	record->source_bytes = source_bytes;
	record->subject = (const char *)unpacker.at;
	record->source = record->subject + subject_bytes;
	record->x = (const int8_t *)record->source + source_bytes;
	return 0;
}

size_t record_original_bytes(uint32_t dim)
{
	return 4 + 2 * (size_t)dim;
}

/* Where float16 has its full precision, or nearly, for all that matters of a vector. */
static bool fits_half(float max)
{
	return max >= 0x1p-6f && max < 0x1p15f;
}

void record_original_write(const struct cpu_kernels *cpu, const float *x, uint32_t dim, float step,
			   uint8_t *out)
{
	float scaled[SEARCH_DIM_MAX];
	int32_t exponent = 0;
	double factor;

	if (!fits_half(step * 127.0f)) {
		frexp(step * 127.0, &exponent);
		exponent -= HALF_EXPONENT;
		factor = ldexp(1.0, -exponent);
		for (uint32_t i = 0; i < dim; i++)
			scaled[i] = (float)(x[i] * factor);
		x = scaled;
	}
	memcpy(out, &exponent, 4);
	cpu->to_half(x, dim, (uint16_t *)(void *)(out + 4)); /* values lie at even addresses */
}

int record_original_read(const struct cpu_kernels *cpu, const uint8_t *in, size_t n, uint32_t dim,
			 float *x)
{
	uint16_t half[SEARCH_DIM_MAX];
	int32_t exponent;
	double factor;

	if (n != record_original_bytes(dim))
		return -EBADMSG;
	memcpy(&exponent, in, 4);
	memcpy(half, in + 4, 2 * (size_t)dim);
	cpu->from_half(half, dim, x);
	if (!exponent)
		return 0;
	factor = ldexp(1.0, exponent);
	for (uint32_t i = 0; i < dim; i++)
		x[i] = (float)(x[i] * factor);
	return 0;
}

static void hash_head(const uint8_t *in, uint8_t hash[HEAD_HASH_BYTES])
{
	crypto_generichash(hash, HEAD_HASH_BYTES, in, RECORD_HEAD_BYTES - HEAD_HASH_BYTES, NULL, 0);
}

void record_head_write(const struct record_head *head, uint8_t out[RECORD_HEAD_BYTES])
{
	struct packer packer = {out};
	const struct gallery_space *space = &head->spec.space;
	const struct gallery_spec *spec = &head->spec;
	uint8_t flags[3] = {head->keyed,
			    (uint8_t)(spec->keep_int8_only * KEEP_INT8_ONLY |
				      spec->no_host_copy * NO_HOST_COPY),
			    (uint8_t)space->metric};

	_Static_assert(sizeof(head_magic) + 4 + 16 + 16 + 4 + 3 + 4 + 32 +
				       2 * (GALLERY_NAME_MAX + 1) <=
			       RECORD_HEAD_BYTES - HEAD_HASH_BYTES,
		       "the head fits");
	memset(out, 0, RECORD_HEAD_BYTES);
	put(&packer, head_magic, sizeof(head_magic));
	put(&packer, &head->format, 4);
	put(&packer, head->uuid, 16);
	put(&packer, head->key_check, 16);
	put(&packer, &head->rotation, 4);
	put(&packer, flags, sizeof(flags));
	put(&packer, &space->dim, 4);
	put(&packer, space->digest, 32);
	put(&packer, space->name, sizeof(space->name));
	put(&packer, head->spec.model, sizeof(head->spec.model));
	hash_head(out, out + RECORD_HEAD_BYTES - HEAD_HASH_BYTES);
}

static bool head_ok(const struct record_head *head, const uint8_t flags[3])
{
	const struct gallery_space *space = &head->spec.space;

	return flags[0] <= 1 && flags[1] <= (KEEP_INT8_ONLY | NO_HOST_COPY) &&
	       (head->format > RECORD_FORMAT_FIRST || !head->spec.no_host_copy) &&
	       flags[2] <= SEARCH_L2 && space->dim >= 1 && space->dim <= SEARCH_DIM_MAX &&
	       !space->name[GALLERY_NAME_MAX] && !head->spec.model[GALLERY_NAME_MAX];
}

int record_head_read(const uint8_t *in, size_t n, struct record_head *head)
{
	struct unpacker unpacker = {in, n, false};
	struct gallery_space *space = &head->spec.space;
	uint8_t hash[HEAD_HASH_BYTES], flags[3];
	char magic[sizeof(head_magic)];

	if (n != RECORD_HEAD_BYTES)
		return -EBADMSG;
	hash_head(in, hash);
	if (memcmp(hash, in + RECORD_HEAD_BYTES - HEAD_HASH_BYTES, sizeof(hash)))
		return -EBADMSG;
	get(&unpacker, magic, sizeof(magic));
	get(&unpacker, &head->format, 4);
	get(&unpacker, head->uuid, 16);
	get(&unpacker, head->key_check, 16);
	get(&unpacker, &head->rotation, 4);
	get(&unpacker, flags, sizeof(flags));
	get(&unpacker, &space->dim, 4);
	get(&unpacker, space->digest, 32);
	get(&unpacker, space->name, sizeof(space->name));
	get(&unpacker, head->spec.model, sizeof(head->spec.model));
	if (memcmp(magic, head_magic, sizeof(magic)))
		return -EBADMSG;
	if (head->format > RECORD_FORMAT)
		return -EPROTO;
	if (head->format < 1)
		return -EBADMSG;
	head->keyed = flags[0];
	head->spec.keep_int8_only = flags[1] & KEEP_INT8_ONLY;
	head->spec.no_host_copy = flags[1] & NO_HOST_COPY;
	space->metric = (enum search_metric)flags[2];
	return head_ok(head, flags) ? 0 : -EBADMSG;
}

void record_key_check(const uint8_t *key, const uint8_t uuid[16], uint8_t check[16])
{
	crypto_generichash(check, 16, uuid, 16, key, 32);
}

void record_state_write(const struct record_state *state, uint8_t out[RECORD_STATE_BYTES])
{
	memcpy(out, state, RECORD_STATE_BYTES);
	_Static_assert(sizeof(*state) == RECORD_STATE_BYTES, "seven u64");
}

int record_state_read(const uint8_t *in, size_t n, struct record_state *state)
{
	if (n != RECORD_STATE_BYTES)
		return -EBADMSG;
	memcpy(state, in, n);
	return 0;
}

/* Bytes of the well-formed UTF-8 character at text that is no control character; 0: none. */
static size_t character(const uint8_t *text)
{
	uint32_t c = text[0], least;
	size_t n;

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	if (c >= 0xc2 && c <= 0xdf)
		n = 2, c &= 0x1f, least = 0xa0; /* not the C1 controls */
	else if (c >= 0xe0 && c <= 0xef)
		n = 3, c &= 0x0f, least = 0x800;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4, c &= 0x07, least = 0x10000;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	return c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

bool record_text_ok(const char *text, size_t max, bool may_be_empty)
{
	size_t length = 0;

	if (!text)
		return false;
	while (text[length]) {
		size_t n = character((const uint8_t *)text + length);

		length += n;
		if (!n || length > max)
			return false;
	}
	return length || may_be_empty;
}
