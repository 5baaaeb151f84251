/* SPDX-License-Identifier: Apache-2.0 */
/* For bring-up: memtest over the words of a bank, and burn. boards/shell/kernels.h defines both. */
#include "boards/virtual/internal.h"

#include <string.h>

enum { REGION, REPORT };

#define PASSES_MAX 65536u
#define ALIVE_MASK 0xffffu /* words between two looks up */

static uint64_t prbs(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

/* ---- memtest --------------------------------------------------------------------------------- */

struct memtest {
	struct job *job;
	struct bank *bank;
	uint64_t place, words;
	struct shell_memtest_report *report;
	struct shell_memtest_fault *fault;
	uint32_t report_max;
	uint64_t x; /* of PRBS */
};

static void put(struct memtest *m, uint64_t i, uint64_t value)
{
	bank_write(m->bank, m->place + i * 8, &value, 8);
}

static void expect(struct memtest *m, uint64_t i, uint64_t value)
{
	struct shell_memtest_report *report = m->report;
	uint64_t found;

	bank_read(m->bank, m->place + i * 8, &found, 8);
	report->words++;
	if (found == value)
		return;
	report->faults++;
	report->bits |= found ^ value;
	if (report->stored < m->report_max)
		m->fault[report->stored++] =
			(struct shell_memtest_fault){m->place + i * 8, value, found};
}

/* One way over all words: what a word must read, what is written then. */
struct element {
	bool down, reads, writes;
	uint64_t (*read)(const struct memtest *m, uint64_t i),
		(*write)(const struct memtest *m, uint64_t i);
};

static bool walk(struct memtest *m, const struct element *e)
{
	for (uint64_t n = 0; n < m->words; n++) {
		uint64_t i = e->down ? m->words - 1 - n : n;

		if (!(n & ALIVE_MASK) && !task_alive(m->job))
			return false;
		if (e->reads)
			expect(m, i, e->read(m, i));
		if (e->writes)
			put(m, i, e->write(m, i));
	}
	return true;
}

static uint64_t zero(const struct memtest *m, uint64_t i)
{
	(void)i;
	return m->job->args.memtest.seed;
}

static uint64_t one(const struct memtest *m, uint64_t i)
{
	return ~zero(m, i);
}

static uint64_t address(const struct memtest *m, uint64_t i)
{
	return m->place + i * 8;
}

static uint64_t not_address(const struct memtest *m, uint64_t i)
{
	return ~address(m, i);
}

static bool walk_all(struct memtest *m, const struct element *elements, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!walk(m, &elements[i]))
			return false;
	return true;
}

static bool march(struct memtest *m)
{
	static const struct element c[] = {
		{false, false, true, NULL, zero}, {false, true, true, zero, one},
		{false, true, true, one, zero},	  {true, true, true, zero, one},
		{true, true, true, one, zero},	  {false, true, false, zero, NULL}};

	return walk_all(m, c, sizeof(c) / sizeof(c[0]));
}

static bool by_address(struct memtest *m)
{
	static const struct element c[] = {{false, false, true, NULL, address},
					   {false, true, false, address, NULL},
					   {true, false, true, NULL, not_address},
					   {true, true, false, not_address, NULL}};

	return walk_all(m, c, sizeof(c) / sizeof(c[0]));
}

static uint64_t moving_bit(const struct memtest *m, uint64_t i)
{
	(void)i;
	return UINT64_C(1) << m->x;
}

static uint64_t moving_hole(const struct memtest *m, uint64_t i)
{
	return ~moving_bit(m, i);
}

static bool moving(struct memtest *m)
{
	static const struct element c[] = {{false, false, true, NULL, moving_bit},
					   {false, true, true, moving_bit, moving_hole},
					   {true, true, false, moving_hole, NULL}};

	for (m->x = 0; m->x < 64; m->x++)
		if (!walk_all(m, c, sizeof(c) / sizeof(c[0])))
			return false;
	return true;
}

static bool random_words(struct memtest *m)
{
	uint64_t begin = m->x;

	for (uint64_t i = 0; i < m->words; i++, m->x = prbs(m->x)) {
		if (!(i & ALIVE_MASK) && !task_alive(m->job))
			return false;
		put(m, i, m->x);
	}
	for (uint64_t i = 0, x = begin; i < m->words; i++, x = prbs(x)) {
		if (!(i & ALIVE_MASK) && !task_alive(m->job))
			return false;
		expect(m, i, x);
	}
	return true;
}

static bool read_only(struct memtest *m)
{
	static const struct element c[] = {{false, true, false, zero, NULL}};

	return walk_all(m, c, 1);
}

static bool (*const patterns[SHELL_MEMTEST_PATTERNS])(struct memtest *m) = {
	[SHELL_MEMTEST_MARCH] = march,	  [SHELL_MEMTEST_ADDRESS] = by_address,
	[SHELL_MEMTEST_MOVING] = moving,  [SHELL_MEMTEST_PRBS] = random_words,
	[SHELL_MEMTEST_READ] = read_only,
};

static int check_memtest(struct job *job)
{
	const struct shell_memtest *a = &job->args.memtest;
	const struct shell_operand *region = &job->operand[REGION];

	if (a->pattern >= SHELL_MEMTEST_PATTERNS || !a->passes || a->passes > PASSES_MAX ||
	    !a->report_max || a->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (region->space != SHELL_SPACE_BANK || region->length % 8 || region->address % 8)
		return task_fail(job, SHELL_BAD_OPERAND, REGION, region->address);
	return operand_length(job, REPORT,
			      sizeof(struct shell_memtest_report) +
				      (uint64_t)a->report_max * sizeof(struct shell_memtest_fault),
			      1);
}

int engine_memtest(struct job *job)
{
	const struct shell_memtest *a = &job->args.memtest;
	const struct shell_operand *region = &job->operand[REGION];
	struct memtest m = {.job = job, .report_max = a->report_max};

	if (check_memtest(job) || view_open(job, REPORT, true))
		return -1;
	m.bank = &job->board->bank[region->bank];
	m.place = region->address;
	m.words = region->length / 8;
	m.report = (void *)job->view[REPORT].data;
	m.fault = (void *)(m.report + 1);
	m.x = a->seed ? a->seed : 1;
	memset(m.report, 0, job->view[REPORT].bytes);
	for (uint32_t pass = 0; pass < a->passes; pass++)
		if (!patterns[a->pattern](&m))
			return -1;
	job->value = m.report->faults;
	return view_flush(job);
}

/* ---- burn ------------------------------------------------------------------------------------- */

static uint32_t burn_round(uint64_t seed)
{
	uint64_t x = seed ? seed : 1;
	uint32_t sum = 0;

	for (uint32_t i = 0; i < SHELL_BURN_ROUND; i++, x = prbs(x))
		sum += (uint32_t)((int32_t)(int8_t)x * (int8_t)(x >> 8));
	return sum;
}

int engine_burn(struct job *job)
{
	const struct shell_burn *a = &job->args.burn;
	struct shell_burn_report *report;
	uint64_t end;

	if (!a->milliseconds || a->milliseconds > 60000 || !a->duty || a->duty > 256 || a->reserved)
		return task_fail(job, SHELL_BAD_ARGS, SHELL_INDEX_NONE, 0);
	if (operand_length(job, 0, sizeof(*report), 1) || view_open(job, 0, true))
		return -1;
	report = (void *)job->view[0].data;
	memset(report, 0, sizeof(*report));
	end = board_clock_ns() + a->milliseconds * UINT64_C(1000000);
	do {
		uint32_t sum = burn_round(a->seed);
		struct fault hit;

		if (fault_strikes(job->board, FAULT_ACCUMULATOR, job->unit->index, &hit))
			sum ^= 1u << hit.bit % 32;
		if (!task_alive(job))
			return -1;
		report->rounds++;
		report->products += SHELL_BURN_ROUND;
		if (sum != a->expected)
			report->wrong++;
		if (sum != a->expected || !report->wrong)
			report->sum = sum;
	} while (board_clock_ns() < end);
	job->value = report->wrong;
	return view_flush(job);
}
