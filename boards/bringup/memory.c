/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the banks: address lines from the host, the rest by the card's own MEMTEST. */
#include "boards/bringup/bringup.h"

#include <inttypes.h>
#include <string.h>

#define REPORT_MAX 16u
#define LINE_BYTES 64u

/* Of each bank so much is tested by the run; 0: all. */
static uint64_t extent(const struct bringup *b)
{
	static const uint64_t bytes[] = {1 << 20, 64 << 20, 0};

	return bytes[b->run];
}

/* ---- address lines: each place that differs in one line from place 0 has its own address --------- */

static int line(struct bringup *b, struct shell_memory *bank, uint64_t place, uint8_t *data,
		bool write)
{
	struct shell_port *port = card_port(b->card);

	return write ? port->ops->write(port, bank, place, data, LINE_BYTES)
		     : port->ops->read(port, bank, place, data, LINE_BYTES);
}

static void mark(uint64_t place, uint8_t data[LINE_BYTES])
{
	for (uint32_t i = 0; i < LINE_BYTES; i += 8)
		memcpy(data + i, &(uint64_t){place * 0x9e3779b97f4a7c15u + 1}, 8);
}

static bool belongs_elsewhere(const struct shell_memory *bank, uint64_t place,
			      const uint8_t found[LINE_BYTES])
{
	uint8_t other[LINE_BYTES];

	for (uint64_t at = 0; at + LINE_BYTES <= bank->bytes; at = at ? at * 2 : LINE_BYTES) {
		mark(at, other);
		if (at != place && !memcmp(other, found, LINE_BYTES))
			return true;
	}
	return false;
}

static void check_lines(struct bringup *b, uint32_t index, struct shell_memory *bank,
			struct bringup_result *r)
{
	uint8_t want[LINE_BYTES], found[LINE_BYTES];
	int err = 0;

	for (int pass = 0; pass < 2 && !err; pass++)
		for (uint64_t place = 0; place + LINE_BYTES <= bank->bytes && !err;
		     place = place ? place * 2 : LINE_BYTES) {
			mark(place, want);
			memcpy(found, want, LINE_BYTES);
			err = line(b, bank, place, found, pass == 0);
			/* Other bits are a cell's doing, which is not asked here. */
			if (!err && belongs_elsewhere(bank, place, found))
				bringup_fail(r,
					     "%s: at 0x%" PRIx64
					     " is what belongs elsewhere: an address line",
					     b->info.bank[index].name, place);
		}
	if (err)
		bringup_fail(r, "%s: a copy failed: %s", b->info.bank[index].name, strerror(-err));
}

void bringup_lines(struct bringup *b, struct bringup_result *r)
{
	for (uint32_t i = 0; i < b->info.banks; i++) {
		struct shell_memory *bank;

		if (card_bank_memory(b->card, i, 0, &bank)) {
			bringup_cannot(r, "%s is not free", b->info.bank[i].name);
			return;
		}
		check_lines(b, i, bank, r);
		card_port(b->card)->ops->memory_free(card_port(b->card), bank);
	}
}

/* ---- MEMTEST ---------------------------------------------------------------------------------------- */

static int unit_for(const struct bringup *b, uint32_t bank)
{
	for (uint32_t i = 0; i < b->info.units; i++)
		if (b->info.unit[i].ops >> SHELL_OP_MEMTEST & 1 &&
		    b->info.unit[i].banks >> bank & 1)
			return (int)i;
	return -1;
}

static void judge(struct bringup *b, uint32_t bank, const struct shell_memtest_report *report,
		  struct bringup_result *r)
{
	const struct shell_memtest_fault *fault = (const void *)(report + 1);

	r->plot = "place, bits that were wrong";
	for (uint32_t i = 0; i < report->stored && i < REPORT_MAX; i++)
		bringup_plot(r, (double)fault[i].address,
			     __builtin_popcountll(fault[i].expected ^ fault[i].found));
	bringup_fail(r,
		     "%s: %" PRIu64 " words read wrong, first at 0x%" PRIx64 ": %016" PRIx64
		     " instead of %016" PRIx64 "; bits 0x%" PRIx64,
		     b->info.bank[bank].name, (uint64_t)report->faults, (uint64_t)fault->address,
		     (uint64_t)fault->found, (uint64_t)fault->expected, (uint64_t)report->bits);
}

static void memtest(struct bringup *b, uint32_t bank, enum shell_memtest_pattern pattern,
		    struct bringup_result *r)
{
	struct shell_port *port = card_port(b->card);
	uint64_t bytes = sizeof(struct shell_memtest_report) +
			 REPORT_MAX * sizeof(struct shell_memtest_fault);
	uint64_t size = extent(b) && extent(b) < b->info.bank[bank].bytes ? extent(b) : 0;
	const struct shell_memtest args = {.pattern = pattern,
					   .passes = 1,
					   .seed = 0x0123456789abcdef,
					   .report_max = REPORT_MAX};
	struct shell_call call = {.operands = 2};
	struct shell_memory *region, *report;
	int unit = unit_for(b, bank);

	if (unit < 0) {
		bringup_cannot(r, "no unit tests %s", b->info.bank[bank].name);
		return;
	}
	if (port->ops->memory_create(port, SHELL_PLACE_HOST, bytes, &report))
		return bringup_cannot(r, "no memory for its report");
	if (card_bank_memory(b->card, bank, size, &region)) {
		port->ops->memory_free(port, report);
		return bringup_cannot(r, "%s is not free", b->info.bank[bank].name);
	}
	call.operand[0] = (struct shell_extent){region, 0, region->bytes & ~UINT64_C(7)};
	call.operand[1] = (struct shell_extent){report, 0, bytes};
	shell_call_op(&call, SHELL_OP_MEMTEST, &args, sizeof(args));
	card_call(b->card, (uint32_t)unit, &call, 0);
	if (call.error)
		bringup_fail(r, "%s: the test failed: %s", b->info.bank[bank].name,
			     strerror(-call.error));
	else if (call.value)
		judge(b, bank, report->map, r);
	port->ops->memory_free(port, region);
	port->ops->memory_free(port, report);
}

static void all_banks(struct bringup *b, enum shell_memtest_pattern pattern,
		      struct bringup_result *r)
{
	for (uint32_t i = 0; i < b->info.banks; i++)
		memtest(b, i, pattern, r);
	if (b->run != BRINGUP_LONG)
		bringup_note(r, "%llu MiB of each bank", (unsigned long long)(extent(b) >> 20));
}

void bringup_march(struct bringup *b, struct bringup_result *r)
{
	all_banks(b, SHELL_MEMTEST_MARCH, r);
}

void bringup_moving(struct bringup *b, struct bringup_result *r)
{
	all_banks(b, SHELL_MEMTEST_MOVING, r);
}

void bringup_prbs(struct bringup *b, struct bringup_result *r)
{
	all_banks(b, SHELL_MEMTEST_PRBS, r);
}
