/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pre-scan against protobuf-c itself: messages are written by a generator that knows only the
 * descriptors, valid or damaged, and unpacked with an allocator that counts. Whatever the pre-scan
 * lets through allocates no more than predicted; whatever is valid and within bounds gets through.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "facet.pb-c.h"
#include "model.pb-c.h"
#include "proto/internal.h"
#include "tests/suite.h"

#define BYTES_MAX (WIRE_FRAME_MAX)

static uint8_t bytes[BYTES_MAX + 64];
static size_t length;

static void put(uint8_t byte)
{
	if (length == sizeof(bytes)) /* no ck_assert: each writes to a file */
		abort();
	bytes[length++] = byte;
}

static void put_varint(uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		put((uint8_t)(value | 0x80));
	put((uint8_t)value);
}

static void put_key(uint32_t id, unsigned wire_type)
{
	put_varint((uint64_t)id << 3 | wire_type);
}

/* ---- a type of our own: node { node only = 1; repeated node many = 2; repeated uint32 n = 3;
 * string s = 4; bytes b = 5; repeated string t = 6; float f = 7 } ------------------------------ */
struct node {
	ProtobufCMessage base;
	struct node *only;
	size_t n_many;
	struct node **many;
	size_t n_n;
	uint32_t *n;
	char *s;
	ProtobufCBinaryData b;
	size_t n_t;
	char **t;
	float f;
};

static const ProtobufCMessageDescriptor node_type;

static void node_init(ProtobufCMessage *message)
{
	memset(message, 0, sizeof(struct node));
	message->descriptor = &node_type;
}

#define FIELD(nr, field_label, field_type, quantifier, member, sub)                                \
	{                                                                                          \
		.name = #member, .id = nr, .label = PROTOBUF_C_LABEL_##field_label,                \
		.type = PROTOBUF_C_TYPE_##field_type, .quantifier_offset = quantifier,             \
		.offset = offsetof(struct node, member), .descriptor = sub                         \
	}

static const ProtobufCFieldDescriptor node_fields[] = {
	FIELD(1, NONE, MESSAGE, 0, only, &node_type),
	FIELD(2, REPEATED, MESSAGE, offsetof(struct node, n_many), many, &node_type),
	FIELD(3, REPEATED, UINT32, offsetof(struct node, n_n), n, NULL),
	FIELD(4, NONE, STRING, 0, s, NULL),
	FIELD(5, NONE, BYTES, 0, b, NULL),
	FIELD(6, REPEATED, STRING, offsetof(struct node, n_t), t, NULL),
	FIELD(7, NONE, FLOAT, 0, f, NULL),
};
static const unsigned node_names[] = {4, 6, 1, 2, 0, 3, 5};
static const ProtobufCIntRange node_ranges[] = {{1, 0}, {0, 7}};
static const ProtobufCMessageDescriptor node_type = {
	.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.name = "node",
	.short_name = "node",
	.c_name = "node",
	.package_name = "",
	.sizeof_message = sizeof(struct node),
	.n_fields = 7,
	.fields = node_fields,
	.fields_sorted_by_name = node_names,
	.n_field_ranges = 1,
	.field_ranges = node_ranges,
	.message_init = node_init,
};

/* ---- what unpacking takes -------------------------------------------------------------------- */
static uint64_t taken;

static void *count_alloc(void *data, size_t size)
{
	(void)data;
	taken += (size + 15) & ~(size_t)15;
	return malloc(size);
}

static void count_free(void *data, void *pointer)
{
	(void)data;
	free(pointer);
}

static ProtobufCAllocator counting = {count_alloc, count_free, NULL};

/* Unpacks what the pre-scan lets through; true if it did. */
static bool agree(const ProtobufCMessageDescriptor *type, bool *unpacked)
{
	uint8_t *exact = malloc(length ? length : 1); /* so that a sanitizer sees an overrun */
	ProtobufCMessage *message;
	uint64_t predicted;
	int err;

	memcpy(exact, bytes, length);
	err = wire_prescan_memory(type, exact, length, &predicted);
	ck_assert(err == 0 || err == -EBADMSG);
	*unpacked = false;
	if (!err) {
		ck_assert_uint_le(predicted, WIRE_MEMORY_MAX);
		taken = 0;
		message = protobuf_c_message_unpack(type, &counting, length, exact);
		*unpacked = message != NULL;
		ck_assert_msg(taken <= predicted, "%s of %zu bytes: took %lu, predicted %lu",
			      type->name, length, taken, predicted);
		/* and is not absurdly far off */
		if (message)
			ck_assert_uint_le(predicted, 3 * taken + 64 * length + 256);
		if (message)
			protobuf_c_message_free_unpacked(message, &counting);
	}
	free(exact);
	return !err;
}

/* ---- a generator of messages ------------------------------------------------------------------ */
static unsigned seed;

static uint32_t below(uint32_t n)
{
	return (uint32_t)rand_r(&seed) % n;
}

static void put_message(const ProtobufCMessageDescriptor *type, int depth, int *budget);

static void put_value(ProtobufCType type)
{
	static const uint8_t size[] = {
		[PROTOBUF_C_TYPE_SFIXED32] = 4, [PROTOBUF_C_TYPE_FIXED32] = 4,
		[PROTOBUF_C_TYPE_FLOAT] = 4,	[PROTOBUF_C_TYPE_SFIXED64] = 8,
		[PROTOBUF_C_TYPE_FIXED64] = 8,	[PROTOBUF_C_TYPE_DOUBLE] = 8,
		[PROTOBUF_C_TYPE_MESSAGE] = 0,
	};

	if (!size[type])
		put_varint((uint64_t)below(1000) << below(40));
	for (int i = 0; i < size[type]; i++)
		put((uint8_t)below(256));
}

static unsigned wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 5;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 1;
	default:
		return 0;
	}
}

static void put_prefixed(uint32_t id, void (*body)(const void *, int, int *), const void *arg,
			 int depth, int *budget)
{
	size_t start, n;

	put_key(id, 2);
	start = length;
	body(arg, depth, budget);
	n = length - start;
	length += 10; /* room for the prefix that goes before it */
	memmove(bytes + start + 10, bytes + start, n);
	length = start;
	put_varint(n);
	memmove(bytes + length, bytes + start + 10, n);
	length += n;
}

static void body_message(const void *arg, int depth, int *budget)
{
	put_message(arg, depth, budget);
}

static void body_text(const void *arg, int depth, int *budget)
{
	static const char *const words[] = {"",
					    "a",
					    "staff",
					    "Z\xc3\xbcrich",
					    "\xf0\x9f\x98\x80",
					    "a rather longer name than the others have"};

	(void)arg;
	(void)depth;
	(void)budget;
	for (const char *p = words[below(6)]; *p; p++)
		put((uint8_t)*p);
}

static void body_packed(const void *arg, int depth, int *budget)
{
	(void)depth;
	(void)budget;
	for (uint32_t n = below(20); n; n--)
		put_value(*(const ProtobufCType *)arg);
}

static void put_field(const ProtobufCFieldDescriptor *field, int depth, int *budget)
{
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		put_prefixed(field->id, body_message, field->descriptor, depth + 1, budget);
	else if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES)
		put_prefixed(field->id, body_text, NULL, depth + 1, budget);
	else if (field->label == PROTOBUF_C_LABEL_REPEATED && below(2))
		put_prefixed(field->id, body_packed, &field->type, depth + 1, budget);
	else {
		put_key(field->id, wire_type_of(field->type));
		put_value(field->type);
	}
}

static void put_message(const ProtobufCMessageDescriptor *type, int depth, int *budget)
{
	uint32_t n = below(12);
	uint64_t seen = 0;

	while (n-- && (*budget)-- > 0 && length < 4000) {
		uint32_t i = below(type->n_fields + 1);
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (i == type->n_fields) { /* unknown */
			put_key(1000 + below(5), 2);
			put(3);
			put(1), put(2), put(3);
			continue;
		}
		if (field->type == PROTOBUF_C_TYPE_MESSAGE && (depth >= 6 || (seen >> i & 1)) &&
		    field->label != PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth >= 6)
			continue;
		seen |= 1ull << i;
		for (uint32_t k = field->label == PROTOBUF_C_LABEL_REPEATED ? below(40) : 1; k; k--)
			put_field(field, depth, budget);
	}
}

static const ProtobufCMessageDescriptor *const types[] = {
	&facet__wire__client_frame__descriptor, &facet__wire__server_frame__descriptor,
	&facet__model__graph__descriptor, &node_type};

START_TEST(random_messages)
{
	const ProtobufCMessageDescriptor *type = types[_i];
	int through = 0, damaged_through = 0;

	for (unsigned round = 0; round < 2000; round++) {
		int budget = 300;
		bool unpacked;

		seed = round * 4u + (unsigned)_i + 1;
		length = 0;
		put_message(type, 0, &budget);
		ck_assert_msg(agree(type, &unpacked), "seed %u refused", round);
		ck_assert_msg(unpacked, "seed %u not unpacked", round);
		through++;
		for (int k = 0; k < 6 && length; k++) { /* damage grows */
			size_t at = below((uint32_t)length);

			if (below(4))
				bytes[at] = (uint8_t)below(256);
			else
				length = at;
			damaged_through += agree(type, &unpacked);
		}
	}
	ck_assert_int_gt(through, 1000);
	ck_assert_int_gt(damaged_through, 1000);
}
END_TEST

START_TEST(random_bytes)
{
	for (unsigned round = 0; round < 50000; round++) {
		bool unpacked;

		seed = round + 77;
		length = below(40);
		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)below(below(4) ? 32 : 256);
		agree(types[_i], &unpacked);
	}
}
END_TEST

/* ---- each bound by itself ---------------------------------------------------------------------- */
static int scan_node(void)
{
	return wire_prescan(&node_type, bytes, length);
}

/* levels messages inside each other, the outermost included */
static void nest(unsigned levels)
{
	length = 0;
	for (unsigned inner = levels - 1; inner; inner--) {
		put_key(1, 2);
		put((uint8_t)(2 * (inner - 1)));
	}
}

START_TEST(depth)
{
	nest(WIRE_DEPTH_MAX);
	ck_assert_int_eq(scan_node(), 0);
	nest(WIRE_DEPTH_MAX + 1);
	ck_assert_int_eq(scan_node(), -EBADMSG);
}
END_TEST

START_TEST(elements)
{
	for (int over = 0; over < 2; over++) {
		length = 0;
		put_key(3, 2);
		put_varint(WIRE_ELEMENTS_MAX + (unsigned)over);
		for (unsigned i = 0; i < WIRE_ELEMENTS_MAX + (unsigned)over; i++)
			put(1);
		ck_assert_int_eq(scan_node(), over ? -EBADMSG : 0);
	}
}
END_TEST

/* Many small members cost far more memory than bytes: empty submessages, empty strings, unknowns */
START_TEST(memory)
{
	static const uint8_t member[][2] = {{2 << 3 | 2, 0}, {6 << 3 | 2, 0}, {9 << 3, 0}};
	unsigned low = 1, high = WIRE_FRAME_MAX / 2;
	bool unpacked;

	/* Where it starts to refuse, protobuf-c would not be far from the bound. */
	while (low + 1 < high) {
		unsigned middle = (low + high) / 2;

		for (length = 0; length < 2 * middle;)
			put(member[_i][length & 1]);
		if (agree(&node_type, &unpacked))
			low = middle;
		else
			high = middle;
	}
	ck_assert_uint_lt(high, WIRE_FRAME_MAX / 2 - 1);
	ck_assert_uint_gt(taken, WIRE_MEMORY_MAX / 4);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *what, *bytes;
		size_t length;
	} row[] = {
		{"message twice", "\x0a\x00\x0a\x00", 4},
		{"key of tag 0", "\x02\x00", 2},
		{"key over 32 bits", "\xff\xff\xff\xff\x7f", 5},
		{"group", "\x0b\x0c", 2},
		{"endless varint", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13},
		{"cut varint", "\x18\x80", 2},
		{"cut fixed32", "\x3d\x01\x02\x03", 4},
		{"cut fixed64", "\x49\x01\x02\x03", 4},
		{"length past the end",
		 "\x22\x05"
		 "abcd",
		 6},
		{"length of 2^63", "\x22\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},
		{"inner length past the outer",
		 "\x0a\x02\x22\x05"
		 "abcde",
		 9},
		{"scalar for a message", "\x08\x01", 2},
		{"scalar for a string", "\x20\x01", 2},
		{"packed singular", "\x3a\x04\x00\x00\x00\x00", 6},
		{"packed cut varint", "\x1a\x02\x01\x80", 4},
		{"NUL in a string",
		 "\x22\x03"
		 "a\x00"
		 "b",
		 5},
		{"lone continuation", "\x22\x01\x80", 3},
		{"overlong", "\x22\x02\xc0\xaf", 4},
		{"surrogate", "\x22\x03\xed\xa0\x80", 5},
		{"past U+10FFFF", "\x22\x04\xf4\x90\x80\x80", 6},
		{"cut sequence", "\x22\x02\xe2\x82", 4},
		{"cut sequence before more", "\x22\x02\xe2\x82\x22\x01\xac", 7},
	};

	length = row[_i].length;
	memcpy(bytes, row[_i].bytes, length);
	ck_assert_msg(scan_node() == -EBADMSG, "%s", row[_i].what);
}
END_TEST

/* What is unusual but legal. */
START_TEST(accepted)
{
	static const struct {
		const char *what, *bytes;
		size_t length;
	} row[] = {
		{"nothing", "", 0},
		{"string twice",
		 "\x22\x01"
		 "a\x22\x01"
		 "b",
		 6},
		{"empty packed", "\x1a\x00", 2},
		{"unpacked", "\x18\x01\x18\x02", 4},
		{"unknown", "\x7d\x01\x02\x03\x04\x79\x01\x02\x03\x04\x05\x06\x07\x08", 14},
		{"NUL in bytes", "\x2a\x01\x00", 3},
		{"longest varint", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
		{"U+10FFFF", "\x22\x04\xf4\x8f\xbf\xbf", 6},
		{"repeated message", "\x12\x00\x12\x00", 4},
	};
	bool unpacked;

	length = row[_i].length;
	memcpy(bytes, row[_i].bytes, length);
	ck_assert_msg(agree(&node_type, &unpacked), "%s", row[_i].what);
	ck_assert_msg(unpacked, "%s", row[_i].what);
}
END_TEST

START_TEST(arena)
{
	struct wire_arena *a = wire_arena_create();
	uint8_t *p = wire_arena_alloc(a, 1), *q = wire_arena_alloc(a, 17);
	ProtobufCMessage *message;

	ck_assert_uint_eq((uintptr_t)q - (uintptr_t)p, 16);
	ck_assert_uint_eq(wire_arena_used(a), 48);
	ck_assert_ptr_null(wire_arena_alloc(a, WIRE_MEMORY_MAX - 47));
	ck_assert_ptr_null(wire_arena_alloc(a, SIZE_MAX));
	ck_assert_ptr_nonnull(wire_arena_alloc(a, WIRE_MEMORY_MAX - 48));
	ck_assert_ptr_null(wire_arena_alloc(a, 1));
	p[WIRE_MEMORY_MAX - 1] = 1;
	wire_arena_reset(a);
	ck_assert_ptr_eq(wire_arena_alloc(a, WIRE_MEMORY_MAX), p);
	ck_assert_uint_eq(p[WIRE_MEMORY_MAX - 1], 0); /* the peak was given back */
	wire_arena_reset(a);
	for (int i = 0; i < 1000; i++) {
		wire_arena_reset(a);
		ck_assert_int_eq(
			wire_decode(&node_type, (const uint8_t *)"\x22\x02hi", 4, a, &message), 0);
		ck_assert_str_eq(((struct node *)message)->s, "hi");
	}
	ck_assert_int_eq(wire_decode(&node_type, (const uint8_t *)"\x22\x02h", 3, a, &message),
			 -EBADMSG);
	/* legal for the pre-scan, not for protobuf-c: a float that came as a varint */
	ck_assert_int_eq(wire_decode(&node_type, (const uint8_t *)"\x38\x02", 2, a, &message),
			 -EBADMSG);
	wire_arena_free(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("prescan");
	TCase *tc = tcase_create("prescan");

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, random_messages, 0, 4);
	tcase_add_loop_test(tc, random_bytes, 0, 4);
	tcase_add_test(tc, depth);
	tcase_add_test(tc, elements);
	tcase_add_loop_test(tc, memory, 0, 3);
	tcase_add_loop_test(tc, refused, 0, 22);
	tcase_add_loop_test(tc, accepted, 0, 9);
	tcase_add_test(tc, arena);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
