/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over an encoded message before anything is unpacked. protobuf-c recurses into nested
 * messages, allocates for every element and every unknown field, and merges a message field that
 * comes twice; so depth, elements and memory are bounded here, with a stack of fixed size, and a
 * message field that comes twice is refused (no encoder writes one). Strings must be UTF-8 without
 * a NUL, so that what C sees is what was sent.
 *
 * The predicted memory is what protobuf_c_message_unpack() 1.3 to 1.5 asks of its allocator, each
 * piece rounded up to the arena's 16 bytes.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "proto/internal.h"

#define PRESCAN_FIELDS_MAX 64u /* fields of one message type: `seen` has a bit each */
#define SLAB_FIRST	   16u /* protobuf-c notes members in slabs of 16 (on its stack), 32, 64... */
#define SLAB_MEMBER	   40u /* bytes noted a member, rounded up */

enum { VARINT = 0, FIXED64 = 1, PREFIXED = 2, FIXED32 = 5 };

struct level {
	const ProtobufCMessageDescriptor *type;
	const uint8_t *end;
	uint64_t seen;
	uint32_t members, unknown, slab; /* slab: members that fit what is allocated so far */
};

struct scan {
	const uint8_t *at;
	uint32_t depth;
	uint64_t elements, memory;
	struct level level[WIRE_DEPTH_MAX];
};

static uint64_t rounded(uint64_t bytes)
{
	return (bytes + 15) & ~(uint64_t)15;
}

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	const uint8_t *p = *at;
	unsigned shift = 0;

	*value = 0;
	while (p < end && shift < 70) {
		*value |= (uint64_t)(*p & 0x7f) << shift;
		shift += 7;
		if (!(*p++ & 0x80)) {
			*at = p;
			return true;
		}
	}
	return false;
}

static int field_index(const ProtobufCMessageDescriptor *type, uint32_t tag)
{
	for (unsigned i = 0; i < type->n_field_ranges; i++) {
		const ProtobufCIntRange *range = &type->field_ranges[i];
		uint32_t first = (uint32_t)range->start_value;
		uint32_t count = range[1].orig_index - range->orig_index;

		if (tag >= first && tag - first < count)
			return (int)(range->orig_index + (tag - first));
	}
	return -1;
}

/* Bytes of one element in memory, and on the wire when packed (0: a varint, UINT32_MAX: never; of
 * packed booleans protobuf-c counts the bytes). */
static const struct {
	uint32_t memory, packed;
} element_of[] = {
	[PROTOBUF_C_TYPE_INT32] = {4, 0},
	[PROTOBUF_C_TYPE_SINT32] = {4, 0},
	[PROTOBUF_C_TYPE_SFIXED32] = {4, 4},
	[PROTOBUF_C_TYPE_INT64] = {8, 0},
	[PROTOBUF_C_TYPE_SINT64] = {8, 0},
	[PROTOBUF_C_TYPE_SFIXED64] = {8, 8},
	[PROTOBUF_C_TYPE_UINT32] = {4, 0},
	[PROTOBUF_C_TYPE_FIXED32] = {4, 4},
	[PROTOBUF_C_TYPE_UINT64] = {8, 0},
	[PROTOBUF_C_TYPE_FIXED64] = {8, 8},
	[PROTOBUF_C_TYPE_FLOAT] = {4, 4},
	[PROTOBUF_C_TYPE_DOUBLE] = {8, 8},
	[PROTOBUF_C_TYPE_BOOL] = {sizeof(protobuf_c_boolean), 1},
	[PROTOBUF_C_TYPE_ENUM] = {4, 0},
	[PROTOBUF_C_TYPE_STRING] = {sizeof(char *), UINT32_MAX},
	[PROTOBUF_C_TYPE_BYTES] = {sizeof(ProtobufCBinaryData), UINT32_MAX},
	[PROTOBUF_C_TYPE_MESSAGE] = {sizeof(void *), UINT32_MAX},
};

/* The length of a well-formed UTF-8 sequence at p, 0 for anything else. RFC 3629, table of 4. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t first, last, low, high, tail;
	} row[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
		{0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2},
		{0xee, 0xef, 0x80, 0xbf, 2}, {0xf0, 0xf0, 0x90, 0xbf, 3},
		{0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (p[0] < row[i].first || p[0] > row[i].last)
			continue;
		if (left <= row[i].tail || p[1] < row[i].low || p[1] > row[i].high)
			return 0;
		for (size_t t = 2; t <= row[i].tail; t++)
			if ((p[t] & 0xc0) != 0x80)
				return 0;
		return row[i].tail + 1u;
	}
	return 0;
}

static bool is_text(const uint8_t *p, size_t length)
{
	while (length) {
		size_t step = *p && *p < 0x80 ? 1 : utf8_sequence(p, length);

		if (!step)
			return false;
		p += step;
		length -= step;
	}
	return true;
}

static bool packed_elements(ProtobufCType type, const uint8_t *p, size_t length, uint64_t *count)
{
	uint32_t size = element_of[type].packed;

	if (size) {
		*count = length / size;
		return length % size == 0;
	}
	*count = 0;
	for (size_t i = 0; i < length; i++)
		*count += !(p[i] & 0x80);
	return length == 0 || !(p[length - 1] & 0x80);
}

static bool push(struct scan *scan, const ProtobufCMessageDescriptor *type, const uint8_t *end)
{
	if (scan->depth == WIRE_DEPTH_MAX)
		return false;
	assert(type->n_fields <= PRESCAN_FIELDS_MAX);
	scan->level[scan->depth++] = (struct level){.type = type, .end = end, .slab = SLAB_FIRST};
	scan->memory += rounded(type->sizeof_message);
	return true;
}

static void note_member(struct scan *scan, struct level *level)
{
	if (level->members++ == level->slab) {
		scan->memory += rounded((uint64_t)(level->slab + SLAB_FIRST) * SLAB_MEMBER);
		level->slab = 2 * level->slab + SLAB_FIRST;
	}
}

/* protobuf-c keeps a copy of each, and one table with an entry each. */
static void note_unknown(struct scan *scan, struct level *level, size_t bytes)
{
	if (level->unknown++ == 0)
		scan->memory += rounded(1);
	scan->memory += sizeof(ProtobufCMessageUnknownField) + rounded(bytes);
	scan->elements++;
}

/* The array of a field is one piece, however its elements are spread over the message. */
static void note_elements(struct scan *scan, struct level *level, int index, uint64_t count)
{
	ProtobufCType type = level->type->fields[index].type;
	uint64_t bit = 1ull << index;

	scan->elements += count;
	scan->memory += count * element_of[type].memory + (level->seen & bit ? 0 : 15);
	level->seen |= bit;
}

static bool scan_prefixed(struct scan *scan, struct level *level, int index, uint64_t length)
{
	const ProtobufCFieldDescriptor *field = &level->type->fields[index];
	bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
	uint64_t count = 1, bit = 1ull << index;

	if (element_of[field->type].packed != UINT32_MAX) {
		if (!repeated || !packed_elements(field->type, scan->at, length, &count))
			return false;
		note_elements(scan, level, index, count);
		scan->at += length;
		return true;
	}
	if (repeated)
		note_elements(scan, level, index, 1);
	if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		if (!repeated && (level->seen & bit))
			return false;
		level->seen |= bit;
		return push(scan, field->descriptor, scan->at + length);
	}
	if (field->type == PROTOBUF_C_TYPE_STRING && !is_text(scan->at, length))
		return false;
	scan->memory += rounded(length + 1);
	scan->at += length;
	return true;
}

static bool skip_scalar(struct scan *scan, const uint8_t *end, unsigned wire_type)
{
	size_t size = wire_type == FIXED64 ? 8 : 4;
	uint64_t value;

	if (wire_type == VARINT)
		return read_varint(&scan->at, end, &value);
	if (wire_type != FIXED64 && wire_type != FIXED32)
		return false;
	if ((size_t)(end - scan->at) < size)
		return false;
	scan->at += size;
	return true;
}

static bool scan_member(struct scan *scan, struct level *level)
{
	const uint8_t *start = scan->at;
	const ProtobufCFieldDescriptor *field;
	uint64_t key, length;
	int index;

	if (!read_varint(&scan->at, level->end, &key) || key >> 32 || key < 8)
		return false;
	note_member(scan, level);
	index = field_index(level->type, (uint32_t)(key >> 3));
	if ((key & 7) != PREFIXED) {
		if (!skip_scalar(scan, level->end, key & 7))
			return false;
		if (index < 0) {
			note_unknown(scan, level, (size_t)(scan->at - start));
			return true;
		}
		field = &level->type->fields[index];
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			note_elements(scan, level, index, 1);
		return element_of[field->type].packed != UINT32_MAX;
	}
	if (!read_varint(&scan->at, level->end, &length) ||
	    length > (size_t)(level->end - scan->at))
		return false;
	if (index >= 0)
		return scan_prefixed(scan, level, index, length);
	scan->at += length;
	note_unknown(scan, level, (size_t)(scan->at - start));
	return true;
}

int wire_prescan_memory(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length,
			uint64_t *memory)
{
	struct scan scan = {.at = data};

	if (!push(&scan, type, data + length))
		return -EBADMSG;
	while (scan.depth) {
		struct level *level = &scan.level[scan.depth - 1];

		if (scan.at == level->end)
			scan.depth--;
		else if (!scan_member(&scan, level))
			return -EBADMSG;
		if (scan.elements > WIRE_ELEMENTS_MAX || scan.memory > WIRE_MEMORY_MAX)
			return -EBADMSG;
	}
	*memory = scan.memory;
	return 0;
}

int wire_prescan(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length)
{
	uint64_t memory;

	return wire_prescan_memory(type, data, length, &memory);
}
