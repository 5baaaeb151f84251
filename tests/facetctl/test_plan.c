/* SPDX-License-Identifier: Apache-2.0 */
/* Plans against bounds that need no model: bytes over rates, and what more boards must do. */
#include "boards/model/plan.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>

static const double clocks[] = {225e6, 300e6};

static struct plan planned(const char *name, double hz, uint64_t gallery, double rate, double p99)
{
	struct plan_wish wish = {gallery, 512, 10, rate, p99};
	struct plan plan;

	ck_assert_int_eq(plan_make(plan_board_find(name), hz, &wish, &plan), 0);
	return plan;
}

/* 1 M rows of 512 bytes: the board's memory can give no more than its rate, and most of that is got. */
START_TEST(a_million_rows)
{
	struct plan u55c = planned("u55c", clocks[_i], 1000000, 1, 0);
	struct plan u280 = planned("u280", clocks[_i], 1000000, 1, 0);
	struct plan u50 = planned("u50", clocks[_i], 1000000, 1, 0);
	double hbm = 512e6 / (30 * 14.375e9), limited = 512e6 / (316e9 * 30 / 32);

	ck_assert_uint_eq(u55c.boards, 1);
	ck_assert_double_gt(u55c.pass, hbm);
	ck_assert_double_lt(u55c.pass, hbm / 0.85);
	ck_assert_double_ge(u55c.rate_max, 6000);
	ck_assert_double_ge(u280.rate_max, 6000);
	ck_assert_double_gt(u50.pass, limited);
	ck_assert_double_lt(u50.pass, limited / 0.85);
	ck_assert_double_ge(u50.rate_max, 2000);
	ck_assert_str_eq(u50.bound, "power");
	printf("MODEL %.0f MHz: u55c %.0f q/s, u50 %.0f q/s\n", clocks[_i] / 1e6, u55c.rate_max,
	       u50.rate_max);
}
END_TEST

/* A board that is nearly idle answers in one pass; a busier one within more. */
START_TEST(waiting)
{
	struct plan idle = planned("u55c", clocks[_i], 1000000, 1, 0);
	struct plan busy = planned("u55c", clocks[_i], 1000000, 3000, 0);

	ck_assert_double_eq_tol(idle.p50, idle.pass, 1e-9);
	ck_assert_double_eq_tol(idle.batch, 1, 0.01);
	ck_assert_double_gt(busy.p50, busy.pass);
	ck_assert_double_lt(busy.p99, 3 * busy.pass);
	/* What comes is what passes take: never more than a pass, at most that share of the time. */
	ck_assert_double_gt(busy.batch, 3000 * busy.pass * 0.97);
	ck_assert_double_le(busy.batch, 8);
}
END_TEST

/* Boards for memory alone, for rate, for latency; one fewer would not do. */
START_TEST(boards_needed)
{
	double room = 0.95 * 30 * 512 * (1 << 20) / (512 + 20);
	struct plan memory = planned("u55c", clocks[_i], 50000000, 1, 0);
	struct plan more, fast;

	ck_assert_uint_eq(memory.boards, (uint32_t)(50000000 / room) + 1);
	ck_assert_double_le(memory.used, 0.95);
	/* 50 M rows over two boards' 60 channels are 52,084 tiles in each, 532 bytes a row. */
	ck_assert_double_eq_tol(memory.rows_bytes, 52084.0 * 16 * 532, 0.5);
	more = planned("u55c", clocks[_i], 50000000, 2000, 0);
	ck_assert_uint_gt(more.boards, memory.boards);
	ck_assert_double_ge(more.rate_max, 2000);
	/* In passes of 8, each over all 25.6 GB: memory of so many boards at the very least. */
	ck_assert_uint_ge(more.boards, (uint32_t)(2000 / 8.0 * 25.6e9 / (30 * 14.375e9)) + 1);
	fast = planned("u55c", clocks[_i], 50000000, 2000, 8e-3);
	ck_assert_uint_gt(fast.boards, more.boards);
	ck_assert_double_le(fast.p99, 8e-3);
	ck_assert_double_eq_tol(fast.watts, 150.0 * fast.boards, 1e-6);
}
END_TEST

START_TEST(what_cannot_be)
{
	const struct plan_board *board = plan_board_find("u55c");
	struct plan_wish good = {1000, 512, 10, 1, 0}, wish;
	struct plan plan;

	ck_assert_ptr_null(plan_board_find("u9"));
#define REFUSED(field, value, error)                                                               \
	wish = good;                                                                               \
	wish.field = value;                                                                        \
	ck_assert_int_eq(plan_make(board, 300e6, &wish, &plan), error)
	REFUSED(gallery, 0, -EINVAL);
	REFUSED(dim, 1025, -EINVAL);
	REFUSED(k, 0, -EINVAL);
	REFUSED(rate, 0, -EINVAL);
	REFUSED(p99, -1, -EINVAL);
	REFUSED(p99, 1e-6, -ERANGE);
	REFUSED(rate, 1e9, -ERANGE);
	REFUSED(gallery, 1ull << 40, -ERANGE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tc = tcase_create("plan");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_million_rows, 0, 2);
	tcase_add_loop_test(tc, waiting, 0, 2);
	tcase_add_loop_test(tc, boards_needed, 0, 2);
	tcase_add_test(tc, what_cannot_be);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
