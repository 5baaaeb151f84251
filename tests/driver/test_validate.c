/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's validator: extents worked out by hand, each field that can be wrong, kernels/ops.h as
 * an oracle over random arguments, and the virtual board as another: what the validator lets pass, and
 * only that, the board must accept, with exactly those lengths.
 */
#include "tests/driver/cases.h"
#include "boards/virtual/board.h"
#include "daemon/device/card.h"
#include "kernels/ops.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

union any_args {
	uint64_t align;
	uint32_t word[FACET_ARGS_MAX / 4];
	uint8_t byte[FACET_ARGS_MAX];
};

static int validate(const struct sound *s, const void *args, struct facet_extents *extents)
{
	return facet_validate(s->op, args, s->args_bytes, s->bytes, s->operands, extents);
}

static void refuse(const struct refusal *r, union any_args *args)
{
	const struct sound *s = sound_of(r->op);

	memset(args, 0, sizeof(*args));
	memcpy(args->byte, s->args, s->args_bytes);
	memcpy(args->byte + r->field, &r->value, sizeof(r->value));
}

/* ---- by hand ---- */

START_TEST(extents)
{
	const struct sound *s = &sound_cases[_i];
	struct facet_extents e;

	ck_assert_int_eq(validate(s, s->args, &e), 0);
	ck_assert_uint_eq(e.op, s->op);
	ck_assert_uint_eq(e.operands, s->operands);
	ck_assert_uint_eq(e.args_size, s->args_bytes);
	for (uint32_t i = 0; i < s->operands; i++) {
		bool optional = s->optional >> i & 1;

		if (s->length[i] == ABSENT) {
			ck_assert_uint_eq(e.operand[i].presence, FACET_ABSENT);
			ck_assert_uint_eq(e.operand[i].bytes, 0);
			continue;
		}
		ck_assert_msg(e.operand[i].bytes == s->length[i], "op %u operand %u: %llu", s->op,
			      i, (unsigned long long)e.operand[i].bytes);
		ck_assert_int_eq(e.operand[i].presence != FACET_NEEDED, optional);
		ck_assert(e.operand[i].align == 1 || e.operand[i].align == 4 ||
			  e.operand[i].align == 8);
	}
}
END_TEST

/* The op with the most operands, of which only the first is written. */
START_TEST(the_widest)
{
	struct shell_concat args = {.pixels = 3, .inputs = 16};
	struct facet_extents e;

	for (int i = 0; i < 16; i++)
		args.c[i] = 5;
	ck_assert_int_eq(facet_validate(SHELL_OP_CONCAT, &args, sizeof(args), 0, 33, &e), 0);
	ck_assert(e.operand[0].written && !e.operand[0].read);
	for (int i = 1; i < 33; i++)
		ck_assert_msg(!e.operand[i].written && e.operand[i].read, "operand %d", i);
}
END_TEST

START_TEST(what_is_written)
{
	static const uint64_t masks[SHELL_OPS] = {1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 3, 1};
	const struct sound *s = &sound_cases[_i];
	struct facet_extents e;

	ck_assert_int_eq(validate(s, s->args, &e), 0);
	for (uint32_t i = 0; i < s->operands; i++)
		ck_assert_int_eq(e.operand[i].written, masks[s->op] >> i & 1);
}
END_TEST

START_TEST(what_is_read)
{
	const struct shell_fill verify = {1, SHELL_FILL_VERIFY, 0};
	struct facet_extents e;

	for (size_t n = 0; n < sound_count; n++) {
		const struct sound *s = &sound_cases[n];

		ck_assert_int_eq(validate(s, s->args, &e), 0);
		for (uint32_t i = 0; i < s->operands; i++)
			ck_assert(e.operand[i].read ==
				  (!e.operand[i].written || (s->op == SHELL_OP_MEMTEST && !i)));
	}
	ck_assert_int_eq(facet_validate(SHELL_OP_FILL, &verify, sizeof(verify), 8, 1, &e), 0);
	ck_assert(e.operand[0].read && e.operand[0].written);
}
END_TEST

START_TEST(fields)
{
	const struct refusal *r = &refusals[_i];
	struct facet_extents e;
	union any_args args;

	refuse(r, &args);
	ck_assert_msg(validate(sound_of(r->op), args.byte, &e) == -EINVAL, "op %u, field at %u: %u",
		      r->op, r->field, r->value);
}
END_TEST

START_TEST(call_itself)
{
	const struct sound *s = &sound_cases[_i];
	uint8_t longer[FACET_ARGS_MAX + 8] = {0};
	struct facet_extents e;

	memcpy(longer, s->args, s->args_bytes);
	for (uint32_t size = 0; size <= FACET_ARGS_MAX + 8; size += 4)
		if (size != s->args_bytes)
			ck_assert_int_eq(
				facet_validate(s->op, longer, size, s->bytes, s->operands, &e),
				-EINVAL);
	for (uint32_t n = 0; n <= SHELL_OPERANDS_MAX + 1; n++)
		if (n != s->operands)
			ck_assert_int_eq(
				facet_validate(s->op, longer, s->args_bytes, s->bytes, n, &e),
				-EINVAL);
	ck_assert_int_eq(facet_validate(SHELL_OPS, longer, s->args_bytes, 0, 1, &e), -EOPNOTSUPP);
	ck_assert_int_eq(facet_validate(UINT32_MAX, longer, s->args_bytes, 0, 1, &e), -EOPNOTSUPP);
}
END_TEST

/* Lengths that the arguments tell are not told twice; those they do not tell must be. */
START_TEST(told_lengths)
{
	const struct sound *s = &sound_cases[_i];
	struct sound other = *s;
	struct facet_extents e;

	other.bytes = s->bytes ? 0 : 8;
	ck_assert_int_eq(validate(&other, s->args, &e), s->op == SHELL_OP_ECHO ? 0 : -EINVAL);
	if (s->op == SHELL_OP_MEMTEST) {
		other.bytes = s->bytes + 4; /* not whole words */
		ck_assert_int_eq(validate(&other, s->args, &e), -EINVAL);
	}
}
END_TEST

START_TEST(copies_that_wrap)
{
	static const struct shell_copy bad[] = {
		{1, UINT64_MAX, 2, 1},
		{1, 2, UINT64_MAX, 1},
		{UINT64_MAX, 2, UINT64_MAX, UINT64_MAX},
		{16, UINT64_C(1) << 60, 16, 16},
		{1, (UINT64_C(1) << 32) + 2, 1, UINT64_C(1) << 32},
	};
	struct facet_extents e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(facet_validate(SHELL_OP_COPY, &bad[i], sizeof(bad[i]), 0, 2, &e),
				 -EINVAL);
}
END_TEST

/* ---- against kernels/ops.h ---- */

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint32_t pick(uint64_t *seed)
{
	static const uint32_t edges[] = {
		0,	    1,		2,	    3,		4,	    5,		7,
		8,	    16,		33,	    64,		65,	    127,	128,
		256,	    1023,	1024,	    1025,	32768,	    65535,	65536,
		65537,	    1u << 28,	1u << 30,   0x7fffffff, 0x80000000, 0xffffff80, 0xffffff7f,
		UINT32_MAX, 0x3f800000, 0x0d800000, 0x0d7fffff, 0x5d800000, 0x5d800001, 0x7f800000,
		0xbf800000, 0xdd800000};

	return edges[next(seed) % (sizeof(edges) / sizeof(edges[0]))];
}

/* Few fields at a time, so that a good part is legal. */
static void shake(const struct sound *s, union any_args *args, uint64_t *seed)
{
	uint32_t changes = 1 + (uint32_t)(next(seed) % 4);

	memset(args, 0, sizeof(*args));
	memcpy(args->byte, s->args, s->args_bytes);
	while (changes--)
		args->word[next(seed) % (s->args_bytes / 4)] =
			next(seed) % 2 ? pick(seed) : (uint32_t)(next(seed) % 9);
}

/* What the oracle does not look at; where it lies by the headers. */
static bool reserved_zero(uint32_t op, const union any_args *args)
{
	static const uint32_t at[SHELL_OPS] = {
		[SHELL_OP_CONV2D] = offsetof(struct shell_conv2d, reserved),
		[SHELL_OP_GEMM] = offsetof(struct shell_gemm, reserved),
		[SHELL_OP_POOL2D] = offsetof(struct shell_pool2d, reserved),
		[SHELL_OP_ADD] = offsetof(struct shell_add, reserved),
		[SHELL_OP_CONCAT] = offsetof(struct shell_concat, reserved),
		[SHELL_OP_SEARCH] = offsetof(struct shell_search, reserved),
	};

	if (op == SHELL_OP_SEARCH && args->word[at[op] / 4 + 1])
		return false;
	return !at[op] || !args->word[at[op] / 4];
}

static bool legal(const struct sound *s, const union any_args *args)
{
	if (s->op == SHELL_OP_CONCAT && args->word[2] != (s->operands - 1) / 2)
		return false;
	return reserved_zero(s->op, args) && !oracle_check(s->op, args->byte);
}

START_TEST(oracle)
{
	uint64_t seed = 88172645463325252u + (uint64_t)_i;
	uint32_t good = 0;

	for (uint32_t round = 0; round < 400000; round++) {
		const struct sound *s = &sound_cases[next(&seed) % sound_count];
		struct facet_extents e;
		union any_args args;
		bool want;

		if (!oracle_knows(s->op))
			continue;
		shake(s, &args, &seed);
		want = legal(s, &args);
		good += want;
		ck_assert_msg(validate(s, args.byte, &e) == (want ? 0 : -EINVAL),
			      "op %u: the oracle says %s", s->op, want ? "legal" : "not legal");
	}
	ck_assert_uint_gt(good, 20000);
}
END_TEST

/* ---- against the board ---- */

static struct card *card;
static struct shell_memory *memory[SHELL_OPERANDS_MAX];

static void setup(void)
{
	struct board_config config;
	struct card_bus *bus;
	char text[256];

	board_config_preset(&config);
	config.bank[0].bytes = config.bank[1].bytes = 1 << 20;
	ck_assert_msg(!card_virtual_open(&config, NULL, &bus, text, sizeof(text)), "%s", text);
	ck_assert_msg(!card_open(bus, &card, text, sizeof(text)), "%s", text);
}

static void teardown(void)
{
	struct shell_port *port = card_port(card);

	for (uint32_t i = 0; i < SHELL_OPERANDS_MAX; i++)
		if (memory[i])
			port->ops->memory_free(port, memory[i]);
	memset(memory, 0, sizeof(memory));
	card_close(card);
}

/* Operands of the lengths that the validator found, zeroed, with room for one element more. */
static void call_of(const struct sound *s, const void *args, const struct facet_extents *e,
		    struct shell_call *call)
{
	struct shell_port *port = card_port(card);

	*call = (struct shell_call){.operands = s->operands};
	shell_call_op(call, s->op, args, s->args_bytes);
	for (uint32_t i = 0; i < s->operands; i++) {
		uint64_t bytes = e->operand[i].bytes;

		if (e->operand[i].presence == FACET_ABSENT)
			continue;
		if (s->op == SHELL_OP_MEMTEST && !i)
			ck_assert_int_eq(card_bank_memory(card, 0, bytes + 8, &memory[i]), 0);
		else if (!memory[i])
			ck_assert_int_eq(port->ops->memory_create(port, SHELL_PLACE_HOST, bytes + 8,
								  &memory[i]),
					 0);
		call->operand[i] = (struct shell_extent){memory[i], 0, bytes};
	}
}

static uint32_t unit_for(uint32_t op)
{
	return op <= SHELL_OP_FILL ? 0 : 1;
}

START_TEST(board_accepts)
{
	const struct sound *s = &sound_cases[_i];
	struct facet_extents e;
	struct shell_call call;

	ck_assert_int_eq(validate(s, s->args, &e), 0);
	call_of(s, s->args, &e, &call);
	card_call(card, unit_for(s->op), &call, 0);
	ck_assert_msg(call.error == 0, "op %u: status %u", s->op, call.status);
}
END_TEST

/* One element more or less, of each operand in turn. */
START_TEST(board_wants_these_lengths)
{
	const struct sound *s = &sound_cases[_i];
	struct facet_extents e;
	struct shell_call call;

	if (s->op == SHELL_OP_ECHO || s->op == SHELL_OP_FILL || s->op == SHELL_OP_MEMTEST)
		return; /* any length of their first operands is sound */
	ck_assert_int_eq(validate(s, s->args, &e), 0);
	call_of(s, s->args, &e, &call);
	for (uint32_t i = 0; i < s->operands; i++)
		for (int more = 0; more < 2 && call.operand[i].memory; more++) {
			call.operand[i].length =
				s->length[i] + (more ? (uint64_t)e.operand[i].align
						     : -(uint64_t)e.operand[i].align);
			card_call(card, unit_for(s->op), &call, 0);
			ck_assert_msg(call.status == SHELL_BAD_OPERAND, "op %u, operand %u: %u",
				      s->op, i, call.status);
			call.operand[i].length = s->length[i];
		}
}
END_TEST

START_TEST(board_refuses)
{
	for (size_t n = 0; n < refusal_count; n++) {
		const struct refusal *r = &refusals[n];
		const struct sound *s = sound_of(r->op);
		struct facet_extents e;
		struct shell_call call;
		union any_args args;

		if (r->op != (uint32_t)_i)
			continue;
		refuse(r, &args);
		ck_assert_int_eq(validate(s, s->args, &e), 0);
		call_of(s, args.byte, &e, &call);
		card_call(card, unit_for(s->op), &call, 0);
		ck_assert_msg(call.status == SHELL_BAD_ARGS || call.status == SHELL_BAD_ENTRY,
			      "op %u, field at %u: %u: status %u", r->op, r->field, r->value,
			      call.status);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("driver/validate");
	TCase *hand = tcase_create("by hand"), *ops = tcase_create("against kernels/ops.h");
	TCase *board = tcase_create("against the board");
	int count = (int)sound_count;

	tcase_add_loop_test(hand, extents, 0, count);
	tcase_add_test(hand, the_widest);
	tcase_add_loop_test(hand, what_is_written, 0, count);
	tcase_add_test(hand, what_is_read);
	tcase_add_loop_test(hand, fields, 0, (int)refusal_count);
	tcase_add_loop_test(hand, call_itself, 0, count);
	tcase_add_loop_test(hand, told_lengths, 0, count);
	tcase_add_test(hand, copies_that_wrap);
	tcase_add_loop_test(ops, oracle, 0, 4);
	tcase_set_timeout(ops, 60);
	tcase_add_checked_fixture(board, setup, teardown);
	tcase_add_loop_test(board, board_accepts, 0, count);
	tcase_add_loop_test(board, board_wants_these_lengths, 0, count);
	tcase_add_loop_test(board, board_refuses, 0, SHELL_OPS);
	suite_add_tcase(suite, hand);
	suite_add_tcase(suite, ops);
	suite_add_tcase(suite, board);
	return suite_run(suite);
}
