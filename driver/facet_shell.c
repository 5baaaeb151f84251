// SPDX-License-Identifier: GPL-2.0-only
/* The board's own registers: who it is, and its reset (docs/shell.md, "Identity", "Control"). */
#include <linux/delay.h>
#include <linux/ctype.h>
#include <drm/drm_print.h>

#include "facet_drv.h"

u64 facet_get64(const struct facet_device *facet, u32 reg)
{
	u32 low = facet_get(facet, reg);

	return low | (u64)facet_get(facet, reg + 4) << 32;
}

u64 facet_get_time(const struct facet_device *facet)
{
	u32 high, low, again = facet_get(facet, SHELL_R_TIME_HI);
	u32 tries = 4; /* a sound board needs two */

	do {
		high = again;
		low = facet_get(facet, SHELL_R_TIME_LO);
		again = facet_get(facet, SHELL_R_TIME_HI);
	} while (again != high && --tries);
	return (u64)high << 32 | low;
}

bool facet_gone(struct facet_device *facet)
{
	return facet_get(facet, SHELL_R_MAGIC) == SHELL_GONE;
}

int facet_poll(const struct facet_device *facet, u32 reg, u32 mask, u32 want, u32 limit_ms)
{
	ktime_t until = ktime_add_ms(ktime_get(), limit_ms);
	bool late = false;

	for (;;) {
		u32 value = facet_get(facet, reg);

		if (value == SHELL_GONE)
			return -ENODEV;
		if ((value & mask) == want)
			return 0;
		if (late)
			return -ETIMEDOUT;
		usleep_range(50, 200);
		late = ktime_after(ktime_get(), until);
	}
}

/* ---- identity ---- */

static int refuse(struct facet_device *facet, const char *name, u64 value, const char *why)
{
	drm_err(&facet->drm, "refused: %s reads 0x%llx: %s\n", name, value, why);
	return -EPROTO;
}

void facet_get_name(const struct facet_device *facet, u32 reg, char *name, u32 bytes)
{
	u32 i, b;

	for (i = 0; i < bytes; i += 4) {
		u32 word = facet_get(facet, reg + i);

		for (b = 0; b < 4; b++) {
			char c = word >> 8 * b;

			name[i + b] = !c || (isascii(c) && isprint(c)) ? c : '?';
		}
	}
	name[bytes] = 0;
}

static int identify_board(struct facet_device *facet)
{
	u32 magic = facet_get(facet, SHELL_R_MAGIC), demands, i;

	if (magic != SHELL_MAGIC)
		return refuse(facet, "MAGIC", magic, "not the Facet shell");
	facet->version = facet_get(facet, SHELL_R_VERSION);
	if (facet->version >> 16 != SHELL_VERSION_MAJOR)
		return refuse(facet, "VERSION", facet->version, "this driver knows major 1");
	demands = facet_get(facet, SHELL_R_DEMANDS);
	if (demands & ~SHELL_DEMANDS_KNOWN)
		return refuse(facet, "DEMANDS", demands, "a bit that this driver does not know");
	facet->kind = facet_get(facet, SHELL_R_KIND);
	facet->caps = facet_get(facet, SHELL_R_CAPS) & SHELL_CAPS_KNOWN;
	facet->address_bits = facet_get(facet, SHELL_R_ADDRESS_BITS);
	if (facet->address_bits < 32 || facet->address_bits > 64)
		return refuse(facet, "ADDRESS_BITS", facet->address_bits, "outside 32..64");
	facet->time_hz = facet_get(facet, SHELL_R_TIME_HZ);
	if (!facet->time_hz)
		return refuse(facet, "TIME_HZ", 0, "the clock stands still");
	facet->image_date = facet_get(facet, SHELL_R_IMAGE_DATE);
	facet->serial = facet_get64(facet, SHELL_R_SERIAL_LO);
	facet->link = facet_get(facet, SHELL_R_LINK);
	for (i = 0; i < sizeof(facet->image_hash); i += 4) {
		__le32 word = cpu_to_le32(facet_get(facet, SHELL_R_IMAGE_HASH + i));

		memcpy(facet->image_hash + i, &word, 4);
	}
	facet_get_name(facet, SHELL_R_BOARD_NAME, facet->board_name, 32);
	facet_get_name(facet, SHELL_R_IMAGE_NAME, facet->image_name, 32);
	return 0;
}

static int identify_counts(struct facet_device *facet)
{
	u32 counts = facet_get(facet, SHELL_R_COUNTS), limits = facet_get(facet, SHELL_R_LIMITS);

	facet->units = SHELL_COUNTS_UNITS(counts);
	facet->banks = SHELL_COUNTS_BANKS(counts);
	facet->sensors = SHELL_COUNTS_SENSORS(counts);
	facet->vectors = SHELL_COUNTS_VECTORS(counts);
	if (!facet->units || facet->units > SHELL_UNITS_MAX || facet->banks > SHELL_BANKS_MAX ||
	    facet->sensors > SHELL_SENSORS_MAX || !facet->vectors ||
	    facet->vectors > SHELL_VECTORS_MAX)
		return refuse(facet, "COUNTS", counts,
			      "1 to 31 units, 64 banks, 32 sensors, 1 to 32 vectors");
	facet->ring_log2 = SHELL_LIMITS_RING(limits);
	facet->sg_log2 = SHELL_LIMITS_SG(limits);
	facet->job_log2 = SHELL_LIMITS_JOB(limits);
	facet->align_log2 = SHELL_LIMITS_ALIGN(limits);
	if (facet->ring_log2 < 1 || facet->ring_log2 > 16 || facet->sg_log2 < 4 ||
	    facet->sg_log2 > 24 || facet->job_log2 < 11 || facet->job_log2 > 16 ||
	    facet->align_log2 < 2 || facet->align_log2 > 12)
		return refuse(facet, "LIMITS", limits, "log2 outside 1..16, 4..24, 11..16, 2..12");
	return 0;
}

static int read_table(struct facet_device *facet, u32 reg, const char *name, u32 count, u32 entry,
		      u32 *at, u32 *stride)
{
	u32 value = facet_get(facet, reg);

	*at = SHELL_TABLE_OFFSET(value);
	*stride = SHELL_TABLE_STRIDE(value);
	if (!count)
		return 0;
	if (*stride < entry || *stride % 4 || *at % 4 || *at + count * *stride > SHELL_BAR_BYTES)
		return refuse(facet, name, value, "leaves the BAR, or its entries are too small");
	return 0;
}

static int identify_units(struct facet_device *facet)
{
	u32 at, stride, i;
	int err = read_table(facet, SHELL_R_UNIT_TABLE, "UNIT_TABLE", facet->units,
			     SHELL_UNIT_BYTES, &at, &stride);

	for (i = 0; i < facet->units && !err; i++) {
		struct facet_unit *unit = &facet->unit[i];

		unit->facet = facet;
		unit->index = i;
		unit->at = at + i * stride;
		unit->version = facet_unit_get(unit, SHELL_U_VERSION);
		unit->kind = facet_unit_get(unit, SHELL_U_KIND);
		unit->ops = facet_get64(facet, unit->at + SHELL_U_OPS_LO);
		unit->banks = facet_get64(facet, unit->at + SHELL_U_BANKS_LO);
		unit->clock_khz = facet_unit_get(unit, SHELL_U_CLOCK_KHZ);
		unit->macs = facet_unit_get(unit, SHELL_U_MACS);
		facet_get_name(facet, unit->at + SHELL_U_NAME, unit->name, 16);
		if (!unit->ops)
			err = refuse(facet, "a unit's OPS", 0, "no op at all");
	}
	return err;
}

static int identify_banks(struct facet_device *facet)
{
	u32 at, stride, i;
	int err = read_table(facet, SHELL_R_BANK_TABLE, "BANK_TABLE", facet->banks,
			     SHELL_BANK_BYTES, &at, &stride);

	for (i = 0; i < facet->banks && !err; i++) {
		struct facet_bank *bank = &facet->bank[i];

		bank->at = at + i * stride;
		bank->kind = facet_get(facet, bank->at + SHELL_B_KIND);
		bank->channels = facet_get(facet, bank->at + SHELL_B_CHANNELS);
		bank->rate = facet_get(facet, bank->at + SHELL_B_RATE);
		bank->bytes = facet_get64(facet, bank->at + SHELL_B_SIZE_LO);
		facet_get_name(facet, bank->at + SHELL_B_NAME, bank->name, 16);
		if (!bank->bytes || bank->bytes % 4096 || bank->bytes > 1ull << 48)
			err = refuse(facet, "a bank's SIZE", bank->bytes, "not a size of memory");
	}
	return err;
}

/* Same sort, same ops, same banks: one class. Units of a kind that is not known are left alone. */
static void classify(struct facet_device *facet)
{
	u32 i, c;

	for (i = 0; i < facet->units; i++) {
		struct facet_unit *unit = &facet->unit[i];

		for (c = 0; c < facet->classes; c++)
			if (facet->class[c].kind == unit->kind &&
			    facet->class[c].ops == unit->ops &&
			    facet->class[c].banks == unit->banks)
				break;
		if (c == facet->classes) {
			facet->class[c].kind = unit->kind;
			facet->class[c].ops = unit->kind <= SHELL_UNIT_DMA ? unit->ops : 0;
			facet->class[c].banks = unit->banks;
			facet->classes++;
		}
		facet->class[c].units |= BIT_ULL(i);
		unit->class = c;
	}
}

int facet_identify(struct facet_device *facet)
{
	int err = identify_board(facet);

	if (!err)
		err = identify_counts(facet);
	if (!err)
		err = identify_units(facet);
	if (!err)
		err = identify_banks(facet);
	if (!err)
		err = read_table(facet, SHELL_R_SENSOR_TABLE, "SENSOR_TABLE", facet->sensors,
				 SHELL_SENSOR_BYTES, &facet->sensor_at, &facet->sensor_stride);
	if (!err)
		classify(facet);
	return err;
}

/* ---- reset ---- */

int facet_reset_device(struct facet_device *facet)
{
	const struct facet_patience *p = facet->patience;
	int err =
		facet_poll(facet, SHELL_R_STATUS, SHELL_STATUS_READY, SHELL_STATUS_READY, p->ready);

	if (err)
		return err;
	facet_set(facet, SHELL_R_CONTROL, SHELL_CONTROL_RESET);
	err = facet_poll(facet, SHELL_R_CONTROL, SHELL_CONTROL_RESET, 0, p->reset);
	if (!err)
		err = facet_poll(facet, SHELL_R_STATUS, SHELL_STATUS_READY, SHELL_STATUS_READY,
				 p->ready);
	if (err)
		return err;
	facet_set(facet, SHELL_R_FEATURES, facet->caps);
	facet_set(facet, SHELL_R_INT_VECTOR, 0);
	facet_set(facet, SHELL_R_INT_CAUSE, SHELL_INT_KNOWN);
	facet_set(facet, SHELL_R_INT_MASK, ~SHELL_INT_KNOWN);
	return 0;
}
