/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual board and the driver of the shell in userspace, against each other: what a card says it
 * is, jobs, interrupts, resets, memory tests, and each fault of the board: what the caller sees, and
 * that the card works again.
 */
#include "boards/virtual/board.h"
#include "daemon/device/card.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 500u

static struct card *card;
static struct board *board;
static char text[256];

static void open_with(const struct board_config *config, const char *faults)
{
	struct card_bus *bus;

	ck_assert_msg(!card_virtual_open(config, faults, &bus, text, sizeof(text)), "%s", text);
	board = card_virtual_board(bus);
	ck_assert_msg(!card_open(bus, &card, text, sizeof(text)), "%s", text);
}

static void setup(void)
{
	struct board_config config;

	board_config_preset(&config);
	config.bank[0].bytes = config.bank[1].bytes = 1 << 20;
	open_with(&config, NULL);
}

static void teardown(void)
{
	card_close(card);
}

static void fault(const char *spec)
{
	ck_assert_msg(!board_fault(board, spec, text, sizeof(text)), "%s: %s", spec, text);
}

/* A copy through the card's memory on that unit, and whether its bytes came. */
static int copy_once(uint32_t unit, struct shell_call *call)
{
	struct shell_port *port = card_port(card);
	struct shell_memory *host, *bank;
	uint8_t want[4096], got[4096];
	const struct shell_copy args = {sizeof(want), 1, sizeof(want), sizeof(want)};
	int err;

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i * 31 + unit);
	ck_assert_int_eq(port->ops->memory_create(port, SHELL_PLACE_HOST, sizeof(want), &host), 0);
	ck_assert_int_eq(card_bank_memory(card, 0, sizeof(want), &bank), 0);
	memcpy(host->map, want, sizeof(want));
	*call = (struct shell_call){.operands = 2,
				    .operand = {{bank, 0, sizeof(want)}, {host, 0, sizeof(want)}},
				    .tag = 7};
	shell_call_op(call, SHELL_OP_COPY, &args, sizeof(args));
	card_call(card, unit, call, WAIT_MS);
	err = call->error;
	if (!err) {
		call->operand[0].memory = host;
		call->operand[1].memory = bank;
		memset(host->map, 0, sizeof(want));
		card_call(card, unit, call, WAIT_MS);
		memcpy(got, host->map, sizeof(got));
		err = call->error ? call->error : memcmp(want, got, sizeof(want)) ? -EBADMSG : 0;
	}
	port->ops->memory_free(port, bank);
	port->ops->memory_free(port, host);
	return err;
}

static int copies(void)
{
	struct shell_call call;

	return copy_once(0, &call);
}

/* ---- identity ----------------------------------------------------------------------------------- */

START_TEST(what_it_says_it_is)
{
	const struct card_info *info = card_info(card);

	ck_assert_str_eq(info->board, "Facet virtual board");
	ck_assert_str_eq(info->image, "virtual-1");
	ck_assert_uint_eq(info->units, 3);
	ck_assert_uint_eq(info->banks, 2);
	ck_assert_uint_eq(info->sensors, 2);
	ck_assert_str_eq(info->unit[0].name, "dma0");
	ck_assert_int_eq(info->unit[0].kind, SHELL_UNIT_DMA);
	ck_assert_str_eq(info->sensor[0].name, "die");
	ck_assert_int_eq(info->sensor[0].limit, 100000);
}
END_TEST

/* Registers of a made-up card: those of a sound one, but for one. */
struct liar {
	struct card_bus base;
	struct card_bus *honest;
	uint32_t offset, value;
};

static uint32_t lie(struct card_bus *bus, uint32_t offset)
{
	struct liar *liar = (struct liar *)bus;

	return offset == liar->offset ? liar->value : liar->honest->ops->read(liar->honest, offset);
}

static const struct {
	uint32_t offset, value;
	const char *names;
} lies[] = {
	{SHELL_R_MAGIC, 0x12345678, "MAGIC"},
	{SHELL_R_VERSION, 2 << 16, "VERSION"},
	{SHELL_R_DEMANDS, 1, "DEMANDS"},
	{SHELL_R_COUNTS, 0, "COUNTS"},
	{SHELL_R_COUNTS, 32 | 1 << 24, "COUNTS"},
	{SHELL_R_COUNTS, 1 | 65 << 8 | 1 << 24, "COUNTS"},
	{SHELL_R_COUNTS, 1 | 33 << 16 | 1 << 24, "COUNTS"},
	{SHELL_R_COUNTS, 1, "COUNTS"},
	{SHELL_R_LIMITS, 0x060c1000, "LIMITS"},
	{SHELL_R_LIMITS, 0x060c0308, "LIMITS"},
	{SHELL_R_LIMITS, 0x060a1008, "LIMITS"},
	{SHELL_R_LIMITS, 0x010c1008, "LIMITS"},
	{SHELL_R_ADDRESS_BITS, 31, "ADDRESS_BITS"},
	{SHELL_R_TIME_HZ, 0, "TIME_HZ"},
	{SHELL_R_UNIT_TABLE, 0x10000001, "UNIT_TABLE"},
	{SHELL_R_UNIT_TABLE, 0x04001000, "UNIT_TABLE"},
	{SHELL_R_BANK_TABLE, 0x100fff00, "BANK_TABLE"},
	{SHELL_R_SENSOR_TABLE, 0, "SENSOR_TABLE"},
};

START_TEST(nonsense_is_refused_by_register_and_value)
{
	static const struct card_bus_ops ops = {.read = lie};
	struct liar liar = {{&ops}, card_bus_of(card), lies[_i].offset, lies[_i].value};
	struct card_info info;

	ck_assert_int_eq(card_info_read(&liar.base, &info, text, sizeof(text)), -EPROTO);
	ck_assert_msg(strstr(text, lies[_i].names) == text, "%s: %s", lies[_i].names, text);
	liar.offset = SHELL_R_MAGIC;
	liar.value = SHELL_GONE;
	ck_assert_int_eq(card_info_read(&liar.base, &info, text, sizeof(text)), -ENODEV);
}
END_TEST

/* ---- jobs --------------------------------------------------------------------------------------- */

START_TEST(jobs_of_every_unit)
{
	struct shell_call call;

	for (uint32_t round = 0; round < 40; round++)
		for (uint32_t unit = 0; unit < 3; unit++) {
			ck_assert_int_eq(copy_once(unit, &call), 0);
			ck_assert_uint_gt(call.device_ns, 0);
		}
	for (uint32_t unit = 0; unit < 3; unit++)
		ck_assert_uint_ge(card_irqs(card, unit), 80);
}
END_TEST

START_TEST(wrong_jobs_have_a_status_and_the_unit_goes_on)
{
	struct shell_port *port = card_port(card);
	struct shell_memory *bank;
	const struct shell_fill args = {.flags = 2};
	struct shell_call call = {.operands = 1};

	ck_assert_int_eq(card_bank_memory(card, 1, 4096, &bank), 0);
	call.operand[0] = (struct shell_extent){bank, 0, 4096};
	shell_call_op(&call, SHELL_OP_FILL, &args, sizeof(args));
	card_call(card, 0, &call, WAIT_MS);
	ck_assert_int_eq(call.error, -EINVAL);
	ck_assert_uint_eq(call.status, SHELL_BAD_ARGS);
	shell_call_op(&call, SHELL_OP_GEMM, &args, sizeof(args));
	card_call(card, 0, &call, WAIT_MS);
	ck_assert_uint_eq(call.status, SHELL_BAD_OP);
	call.operand[0].length = 8192; /* past what was taken */
	card_call(card, 0, &call, WAIT_MS);
	ck_assert_int_eq(call.error, -EINVAL);
	ck_assert_int_eq(copies(), 0);
	port->ops->memory_free(port, bank);
}
END_TEST

START_TEST(banks_are_given_out_once)
{
	struct shell_port *port = card_port(card);
	struct shell_memory *a, *b, *all, *none;

	ck_assert_int_eq(card_bank_memory(card, 0, 1000, &a), 0);
	ck_assert_int_eq(card_bank_memory(card, 0, 1000, &b), 0);
	ck_assert_uint_ge(card_memory_place(b), card_memory_place(a) + 1000);
	ck_assert_int_eq(card_bank_memory(card, 0, 1 << 20, &none), -ENOSPC);
	port->ops->memory_free(port, a);
	port->ops->memory_free(port, b);
	ck_assert_int_eq(card_bank_memory(card, 0, 0, &all), 0);
	ck_assert_uint_eq(all->bytes, 1 << 20);
	ck_assert_int_eq(card_bank_memory(card, 0, 64, &none), -ENOSPC);
	ck_assert_int_eq(card_bank_memory(card, 2, 64, &none), -EINVAL);
	port->ops->memory_free(port, all);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------------- */

/* What a copy sees while the fault is there; afterwards, cleared, the card works. */
static const struct {
	const char *spec;
	int sees;
	uint32_t unit_resets, resets;
} faults[] = {
	{"hang:count=1", -ETIMEDOUT, 1, 0},
	{"fail:count=1,status=13", -EIO, 0, 0},
	{"fail:count=1,status=10", -EIO, 0, 0},
	{"lost-irq:count=1", 0, 0, 0},
	{"late-irq:us=50000,count=1", 0, 0, 0},
	{"slow:us=3000,count=1", 0, 0, 0},
	{"wrong-sequence:count=1,value=5", -EIO, 1, 0},
	{"lost-completion:count=1", -ETIMEDOUT, 1, 0},
	{"bus-error:count=1,after=1", -EIO, 0, 0},
	{"unit-stop:count=1", -EIO, 1, 0},
	{"flip:where=output,bit=77,count=1", -EBADMSG, 0, 0},
	{"storm:vector=1,us=50", 0, 0, 0},
	{"spurious-irq:vector=0", 0, 0, 0},
	{"slow-link:rate=50000000", 0, 0, 0},
	{"narrow-link:lanes=4", 0, 0, 0},
};

START_TEST(each_fault_and_after_it)
{
	uint32_t unit_resets, resets;
	int sees;

	fault(faults[_i].spec);
	sees = copies();
	ck_assert_msg(sees == faults[_i].sees, "%s: %d", faults[_i].spec, sees);
	ck_assert_int_eq(board_fault_clear(board, "all"), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_msg(copies() == 0, "%s: the card does not work again", faults[_i].spec);
	card_resets(card, &unit_resets, &resets);
	ck_assert_uint_eq(unit_resets, faults[_i].unit_resets);
	ck_assert_uint_eq(resets, faults[_i].resets);
}
END_TEST

START_TEST(a_card_that_is_pulled)
{
	struct shell_call call;

	fault("gone");
	ck_assert_int_eq(copy_once(0, &call), -ENODEV);
	ck_assert_int_eq(copy_once(1, &call), -ENODEV);
}
END_TEST

/* A reset of all loses what is in the banks; what was made before says so. */
START_TEST(a_reset_loses_memory)
{
	struct shell_port *port = card_port(card);
	struct shell_memory *bank;
	uint8_t byte = 9;

	ck_assert_int_eq(port->ops->memory_create(port, SHELL_PLACE_BOARD, 4096, &bank), 0);
	ck_assert_int_eq(port->ops->write(port, bank, 5, &byte, 1), 0);
	ck_assert_int_eq(port->ops->reset(port), 0);
	ck_assert_int_eq(port->ops->read(port, bank, 5, &byte, 1), -ESTALE);
	port->ops->memory_free(port, bank);
	ck_assert_int_eq(copies(), 0);
}
END_TEST

START_TEST(too_hot_is_refused_until_it_is_cool)
{
	struct shell_call call;

	fault("hot");
	/* A board that stopped itself begins no job. */
	ck_assert_int_eq(copy_once(0, &call), -ETIMEDOUT);
	ck_assert_int_eq(board_fault_clear(board, "hot"), 0);
	ck_assert_int_eq(card_port(card)->ops->reset(card_port(card)), 0);
	ck_assert_int_eq(copies(), 0);
}
END_TEST

/* ---- memory tests ------------------------------------------------------------------------------------ */

static struct shell_memtest_report memtest(enum shell_memtest_pattern pattern,
					   struct shell_memtest_fault *first)
{
	struct shell_port *port = card_port(card);
	const struct shell_memtest args = {
		.pattern = pattern, .passes = 1, .seed = 0x5555, .report_max = 4};
	uint64_t bytes = sizeof(struct shell_memtest_report) + 4 * sizeof(*first);
	struct shell_call call = {.operands = 2};
	struct shell_memory *region, *report;
	struct shell_memtest_report out;

	ck_assert_int_eq(card_bank_memory(card, 0, 1 << 16, &region), 0);
	ck_assert_int_eq(port->ops->memory_create(port, SHELL_PLACE_HOST, bytes, &report), 0);
	call.operand[0] = (struct shell_extent){region, 0, region->bytes};
	call.operand[1] = (struct shell_extent){report, 0, bytes};
	shell_call_op(&call, SHELL_OP_MEMTEST, &args, sizeof(args));
	card_call(card, 1, &call, 5000);
	ck_assert_int_eq(call.error, 0);
	memcpy(&out, report->map, sizeof(out));
	memcpy(first, (uint8_t *)report->map + sizeof(out), sizeof(*first));
	ck_assert_uint_eq(call.value, out.faults);
	port->ops->memory_free(port, region);
	port->ops->memory_free(port, report);
	return out;
}

START_TEST(sound_memory_has_no_faults)
{
	struct shell_memtest_fault first;

	for (int p = 0; p < SHELL_MEMTEST_READ; p++)
		ck_assert_uint_eq(memtest((enum shell_memtest_pattern)p, &first).faults, 0);
}
END_TEST

START_TEST(bad_cells_are_found_where_they_are)
{
	struct shell_memtest_report report;
	struct shell_memtest_fault first;

	fault("bad-cell:bank=0,address=4096,bit=13,value=1");
	for (int p = 0; p < SHELL_MEMTEST_READ; p++) {
		if (p == SHELL_MEMTEST_ADDRESS || p == SHELL_MEMTEST_PRBS)
			continue; /* what these write there may have the bit set anyway */
		report = memtest((enum shell_memtest_pattern)p, &first);
		ck_assert_msg(report.faults > 0, "pattern %d", p);
		ck_assert_uint_eq(first.address, 4096);
		ck_assert_uint_eq(report.bits, 1 << 13);
	}
	ck_assert_int_eq(board_fault_clear(board, "bad-cell"), 0);
	ck_assert_uint_eq(memtest(SHELL_MEMTEST_MARCH, &first).faults, 0);
}
END_TEST

START_TEST(a_stuck_address_line_is_found)
{
	struct shell_memtest_fault first;

	fault("stuck-line:bank=0,bit=9,value=0");
	ck_assert_uint_gt(memtest(SHELL_MEMTEST_ADDRESS, &first).faults, 0);
	ck_assert_uint_eq((first.expected ^ first.found) & ~UINT64_C(512), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("card");
	TCase *tc = tcase_create("card");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_it_says_it_is);
	tcase_add_loop_test(tc, nonsense_is_refused_by_register_and_value, 0,
			    sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(tc, jobs_of_every_unit);
	tcase_add_test(tc, wrong_jobs_have_a_status_and_the_unit_goes_on);
	tcase_add_test(tc, banks_are_given_out_once);
	tcase_add_loop_test(tc, each_fault_and_after_it, 0, sizeof(faults) / sizeof(faults[0]));
	tcase_add_test(tc, a_card_that_is_pulled);
	tcase_add_test(tc, a_reset_loses_memory);
	tcase_add_test(tc, too_hot_is_refused_until_it_is_cool);
	tcase_add_test(tc, sound_memory_has_no_faults);
	tcase_add_test(tc, bad_cells_are_found_where_they_are);
	tcase_add_test(tc, a_stuck_address_line_is_found);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
