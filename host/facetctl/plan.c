/* SPDX-License-Identifier: Apache-2.0 */
/* plan: how many boards a gallery wants. Needs no daemon; every figure is the model's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/model/plan.h"
#include "host/facetctl/ctl.h"

struct input {
	struct ctl_input common;
	const struct plan_board *board;
	struct plan_wish wish;
};

/* "20ms", "0.5s", "800us" */
static double duration(struct argp_state *state, const char *text)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
	char *end;
	double value = strtod(text, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (end != text && !strcmp(end, units[i].unit) && value > 0 && value < 1e6)
			return value * units[i].seconds;
	argp_error(state, "--p99 %s: a duration above 0 with its unit: 800us, 20ms, 0.5s", text);
	return 0;
}

static const struct plan_board *board_named(struct argp_state *state, const char *name)
{
	const struct plan_board *board = plan_board_find(name);
	char known[128] = "";
	size_t n = 0;

	if (board)
		return board;
	for (size_t i = 0; plan_board_at(i) && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", plan_board_at(i)->name);
	argp_error(state, "--board %s: there are:%s", name, known);
	return NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'b':
		in->board = board_named(state, arg);
		return 0;
	case 'g':
		in->wish.gallery = ctl_count(state, "--gallery", arg, 1, 1ull << 40);
		return 0;
	case 'd':
		in->wish.dim = (uint32_t)ctl_count(state, "--dim", arg, 1, 1024);
		return 0;
	case 'k':
		in->wish.k = (uint32_t)ctl_count(state, "--top", arg, 1, 255);
		return 0;
	case 'r':
		in->wish.rate = (double)ctl_count(state, "--rate", arg, 1, 1000000000);
		return 0;
	case 'p':
		in->wish.p99 = duration(state, arg);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s'?", arg);
		return 0;
	case ARGP_KEY_END:
		if (!in->board || !in->wish.gallery)
			argp_error(state, "which --board and how large a --gallery?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_plan(struct ctl *ctl, const struct input *in, double mhz, const struct plan *p)
{
	struct json_object *row = output_row_new();

	output_text(row, "figures", "MODEL");
	output_text(row, "board", in->board->name);
	output_number(row, "MHz", mhz, 0);
	output_count(row, "boards", p->boards);
	output_number(row, "qps_at_most", p->rate_max, 0);
	output_number(row, "pass_ms", p->pass * 1e3, 3);
	output_number(row, "p50_ms", p->p50 * 1e3, 3);
	output_number(row, "p99_ms", p->p99 * 1e3, 3);
	output_number(row, "batch", p->batch, 1);
	output_count(row, "batch_max", p->batch_max);
	output_count(row, "banks", in->board->channels);
	output_number(row, "MiB_a_bank", p->rows_bytes / (1 << 20), 1);
	output_number(row, "bank_used", p->used, 3);
	output_number(row, "of_memory_rate", p->of_memory, 3);
	output_number(row, "watts_at_most", p->watts, 0);
	output_text(row, "bound", p->bound);
	output_row(ctl->out, row);
}

int cmd_plan(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"board", 'b', "NAME", 0, "u50, u55c or u280", 0},
		{"gallery", 'g', "ROWS", 0, "templates", 0},
		{"dim", 'd', "D", 0, "their dimension (512)", 0},
		{"top", 'k', "K", 0, "hits a query (10)", 0},
		{"rate", 'r', "QPS", 0, "queries a second (1)", 0},
		{"p99", 'p', "TIME", 0, "99 of 100 answers within 20ms, 0.5s, 800us", 0},
		{NULL, 0, NULL, 0, NULL, 0}};
	static const struct argp argp = {options,
					 parse,
					 NULL,
					 "How many boards does a gallery want? Each figure is a "
					 "model's (docs/planning.md); no card was measured.",
					 ctl_children,
					 NULL,
					 NULL};
	static const double clocks[] = {225, 300};
	struct input in = {.common.ctl = ctl, .wish = {.dim = 512, .k = 10, .rate = 1}};
	int status = CTL_OK;

	ctl_parse(ctl, &argp, argc, argv, &in);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct plan plan;
		int err = plan_make(in.board, clocks[i] * 1e6, &in.wish, &plan);

		if (err == -ERANGE) {
			fprintf(stderr,
				"facetctl: MODEL, %.0f MHz: no number of boards up to %u does it\n",
				clocks[i], PLAN_BOARDS_MAX);
			status = CTL_NO_MATCH;
		} else if (err) {
			status = ctl_error("%s", strerror(-err));
		} else {
			print_plan(ctl, &in, clocks[i], &plan);
		}
	}
	return ctl_end(ctl, false, status);
}
