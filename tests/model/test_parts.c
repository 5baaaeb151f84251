/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models on boards: whatever ranges of ops go to a board, the item comes to what the graph means; and
 * what a board does wrong is seen, by recomputing or by the sums of accumulators.
 */
#include "daemon/device/fault.h"
#include "tests/model/interpret.h"
#include "tests/model/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One model on the CPU and on a board, with an item in flight. */
struct bench {
	struct fct *fct;
	struct model *model;
	struct device *cpu, *board;
	struct model_plan *cpu_plan, *board_plan;
	struct model_arena *arena;
	struct model_run *run;
	void *values[FCT_TENSORS]; /* what each tensor should be */
	uint64_t turn;
};

static const struct board {
	const char *kind, *select, *fault;
} boards[] = {
	{"fault", "cpu", ""},
	{"virtual", NULL, NULL},
	{"opencl", NULL, NULL},
};

#define BOARDS (sizeof(boards) / sizeof(boards[0]))

static int board_open(const struct board *board, struct device **device)
{
	char why[300] = "";
	const struct device_config config = {
		.select = board->select,
		.fault = board->fault,
		.libexec = getenv("BUILD") ? getenv("BUILD") : "build",
		.why = why,
		.why_bytes = sizeof(why),
	};

	if (!strcmp(board->kind, "fault"))
		return device_fault.probe(&config, device);
	return device_open(board->kind, &config, device);
}

static void bench_item(struct bench *b)
{
	const struct model_info *info = model_info(b->model);

	rig_free(b->values);
	memset(b->values, 0, sizeof(b->values));
	rig_inputs(b->fct, info, b->values);
	interpret(b->fct, b->values);
	for (uint32_t i = 0; i < info->inputs; i++)
		ck_assert_int_eq(model_run_write(b->run, i, b->values[b->fct->inputs[i]]), 0);
}

static void bench_again(struct bench *b)
{
	for (uint32_t i = 0; i < model_info(b->model)->inputs; i++)
		ck_assert_int_eq(model_run_write(b->run, i, b->values[b->fct->inputs[i]]), 0);
}

static void bench_make(struct bench *b, struct device *board, uint64_t seed)
{
	memset(b, 0, sizeof(*b));
	b->fct = fct_everything(seed);
	if (seed % 2)
		fct_reuse(b->fct);
	b->model = rig_load(b->fct);
	b->cpu = rig_cpu(1);
	b->board = board;
	ck_assert_int_eq(model_plan_create(b->model, b->cpu, &b->cpu_plan), 0);
	ck_assert_int_eq(model_plan_create(b->model, board, &b->board_plan), 0);
	ck_assert_int_eq(model_arena_create(b->board_plan, &b->arena), 0);
	ck_assert_int_eq(model_run_create(b->cpu_plan, &b->run), 0);
	bench_item(b);
}

/* The board stays open. */
static void bench_free(struct bench *b)
{
	rig_free(b->values);
	model_run_free(b->run);
	model_arena_free(b->arena);
	model_plan_free(b->board_plan);
	model_plan_free(b->cpu_plan);
	model_free(b->model);
	b->cpu->ops->close(b->cpu);
	free(b->fct);
}

static bool outputs_right(const struct bench *b)
{
	const struct model_info *info = model_info(b->model);
	bool right = true;

	for (uint32_t i = 0; i < info->outputs; i++) {
		void *got = malloc(info->output[i].bytes);

		ck_assert_int_eq(model_run_read(b->run, i, got), 0);
		right &= !memcmp(got, b->values[b->fct->outputs[i]], info->output[i].bytes);
		free(got);
	}
	return right;
}

static void on_cpu(struct bench *b, uint32_t begin, uint32_t end)
{
	uint32_t count;
	const struct device_command *commands = model_run_commands(b->run, &count);

	ck_assert_int_eq(rig_run(b->cpu, commands + begin, end - begin), 0);
}

static struct model_part *on_board(struct bench *b, uint32_t begin, uint32_t end, bool aside,
				   uint64_t watch_every)
{
	const struct model_part_options options = {aside, watch_every, &b->turn};
	const struct device_command *commands;
	struct model_part *part;
	uint32_t count;

	ck_assert_int_eq(model_part_create(b->run, b->arena, begin, end, &options, &part), 0);
	commands = model_part_commands(part, &count);
	ck_assert_int_eq(rig_run(b->board, commands, count), 0);
	return part;
}

static uint32_t sums_wrong(const struct model_part *part)
{
	uint32_t wrong = 0, op;

	for (uint32_t i = 0; i < model_part_watched(part); i++)
		wrong += !model_part_sums_right(part, i, &op);
	return wrong;
}

/* Ranges of any length; those that the board takes go to it, some of them checked. */
static uint32_t any_cuts(struct bench *b)
{
	uint32_t ops = model_info(b->model)->ops, on = 0;

	for (uint32_t at = 0, end; at < ops; at = end) {
		uint32_t reach = model_plan_reach(b->board_plan, at);
		bool aside = fct_random(b->fct) % 3 == 0;
		struct model_part *part;

		end = at + 1 + fct_random(b->fct) % 6;
		end = end < ops ? end : ops;
		if (reach == at || fct_random(b->fct) % 4 == 0) {
			on_cpu(b, at, end);
			continue;
		}
		end = end < reach ? end : reach;
		part = on_board(b, at, end, aside, fct_random(b->fct) % 3);
		ck_assert_uint_eq(sums_wrong(part), 0);
		if (aside) {
			on_cpu(b, at, end);
			ck_assert_msg(model_part_same(part), "ops %u to %u differ", at, end);
		}
		model_part_free(part);
		on++;
	}
	ck_assert_msg(outputs_right(b), "an output is not what the graph means");
	return on;
}

START_TEST(test_any_cuts)
{
	struct device *board;
	struct bench b;
	uint32_t on = 0;
	int err = board_open(&boards[_i], &board);

	if (err && strcmp(boards[_i].kind, "opencl") == 0) {
		printf("  skip  parts on opencl: there is no OpenCL device (%s)\n", strerror(-err));
		return;
	}
	ck_assert_int_eq(err, 0);
	for (uint64_t seed = 1; seed <= 6; seed++) {
		bench_make(&b, board, seed);
		ck_assert_uint_le(model_plan_ops(b.board_plan), model_info(b.model)->ops);
		ck_assert_uint_gt(model_plan_ops(b.board_plan), model_info(b.model)->ops / 2);
		ck_assert_uint_gt(model_plan_bytes(b.board_plan), 0);
		for (int round = 0; round < 8; round++) {
			on += any_cuts(&b);
			bench_item(&b);
		}
		ck_assert_uint_gt(on, 8);
		bench_free(&b);
	}
	board->ops->close(board);
}
END_TEST

START_TEST(test_ranges_that_are_none)
{
	const struct model_part_options options = {0};
	struct model_part *part;
	struct device *board;
	struct bench b;
	uint32_t ops, hole;

	ck_assert_int_eq(board_open(&boards[1], &board), 0);
	bench_make(&b, board, 3);
	ops = model_info(b.model)->ops;
	hole = model_plan_reach(b.board_plan, 0);
	ck_assert_uint_lt(hole, ops); /* a float op, which no board does */
	ck_assert_int_eq(model_part_create(b.run, b.arena, 0, 0, &options, &part), -EINVAL);
	ck_assert_int_eq(model_part_create(b.run, b.arena, 0, hole + 1, &options, &part), -EINVAL);
	ck_assert_int_eq(model_part_create(b.run, b.arena, hole, hole + 1, &options, &part),
			 -EINVAL);
	ck_assert_int_eq(model_part_create(b.run, b.arena, ops, ops + 1, &options, &part), -EINVAL);
	bench_free(&b);
	board->ops->close(board);
}
END_TEST

/* ---- boards that are wrong --------------------------------------------------------------------------- */
static uint64_t injected(const struct device *board)
{
	struct fault_stats stats;
	uint64_t sum = 0;

	fault_stats(board, &stats);
	for (int i = 0; i < FAULT_KINDS; i++)
		sum += stats.injected[i];
	return sum;
}

/* An item through the board op by op, recomputed; the next op works on what the CPU has made. */
static uint32_t item_recomputed(struct bench *b)
{
	uint32_t ops = model_info(b->model)->ops, found = 0;

	for (uint32_t at = 0; at < ops; at++) {
		bool takes = model_plan_reach(b->board_plan, at) > at;
		struct model_part *part = takes ? on_board(b, at, at + 1, true, 0) : NULL;

		on_cpu(b, at, at + 1);
		found += part && !model_part_same(part);
		model_part_free(part);
	}
	return found;
}

static const char *const flips[] = {"flip-in", "flip-acc", "flip-out"};

static int rounds(int few, int many)
{
	return getenv("FACET_LONG") ? many : few;
}

/* An output that was flipped differs; a flipped input or accumulator may be rounded away. In no case
 * does an item come out wrong. */
START_TEST(test_flips_are_found_by_recomputing)
{
	struct device *board;
	struct bench b;
	uint64_t struck = 0, found = 0;
	char spec[80];
	int n = rounds(200, 3400);

	ck_assert_int_eq(board_open(&boards[0], &board), 0);
	bench_make(&b, board, 11);
	for (int round = 0; round < n; round++) {
		uint64_t before = injected(board);

		snprintf(spec, sizeof(spec), "%s:after=%d,limit=1,seed=%d", flips[_i], round % 3,
			 round);
		ck_assert_int_eq(fault_set(board, spec), 0);
		bench_again(&b);
		found += item_recomputed(&b);
		struck += injected(board) - before;
		ck_assert_msg(outputs_right(&b), "round %d: a wrong item", round);
	}
	printf("  %s: %llu struck, %llu differed, 0 wrong items\n", flips[_i],
	       (unsigned long long)struck, (unsigned long long)found);
	ck_assert_uint_eq(struck, (uint64_t)n);
	if (_i == 2)
		ck_assert_uint_eq(found, struck);
	else
		ck_assert_uint_gt(found, struck / 8);
	bench_free(&b);
	board->ops->close(board);
}
END_TEST

START_TEST(test_flipped_accumulators_are_found_by_their_sums)
{
	struct device *board;
	struct bench b;
	uint32_t found = 0;
	char spec[80];
	int n = rounds(200, 10000);

	ck_assert_int_eq(board_open(&boards[0], &board), 0);
	bench_make(&b, board, 12);
	for (int round = 0; round < n; round++) {
		uint64_t before = injected(board);
		struct model_part *part;
		uint32_t reach = model_plan_reach(b.board_plan, 0), wrong;

		snprintf(spec, sizeof(spec), "flip-acc:limit=1,after=%d,seed=%d", round % 2, round);
		ck_assert_int_eq(fault_set(board, spec), 0);
		bench_again(&b);
		part = on_board(&b, 0, reach, false, 1);
		ck_assert_uint_gt(model_part_watched(part), 1);
		wrong = sums_wrong(part);
		ck_assert_msg(wrong == injected(board) - before, "round %d: %u wrong sums", round,
			      wrong);
		found += wrong;
		model_part_free(part);
	}
	ck_assert_uint_eq(found, (uint32_t)n);
	bench_free(&b);
	board->ops->close(board);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("models on boards");
	TCase *tcase = tcase_create("parts");

	tcase_set_timeout(tcase, getenv("FACET_LONG") ? 3600 : 300);
	tcase_add_loop_test(tcase, test_any_cuts, 0, (int)BOARDS);
	tcase_add_test(tcase, test_ranges_that_are_none);
	tcase_add_loop_test(tcase, test_flips_are_found_by_recomputing, 0, 3);
	tcase_add_test(tcase, test_flipped_accumulators_are_found_by_their_sums);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
