/* SPDX-License-Identifier: Apache-2.0 */
/* Who a card is: read whole, and refused where a driver must (docs/shell.md, "Identity"). */
#include "daemon/device/card.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TABLE_END SHELL_BAR_BYTES

struct reader {
	struct card_bus *bus;
	char *text;
	size_t bytes;
	int err;
};

static uint32_t get(const struct reader *r, uint32_t offset)
{
	return r->bus->ops->read(r->bus, offset);
}

static uint64_t get64(const struct reader *r, uint32_t offset)
{
	return get(r, offset) | (uint64_t)get(r, offset + 4) << 32;
}

/* Printable, whatever the card says. */
static void get_name(const struct reader *r, uint32_t offset, char *name, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t word = get(r, offset + (uint32_t)i);

		for (size_t b = 0; b < 4; b++) {
			char c = (char)(word >> 8 * b);

			name[i + b] = (char)(c == 0 || (c >= ' ' && c <= '~') ? c : '?');
		}
	}
	name[bytes] = 0;
}

__attribute__((format(printf, 2, 3))) static void refuse(struct reader *r, const char *format, ...)
{
	va_list args;

	if (r->err)
		return;
	va_start(args, format);
	vsnprintf(r->text, r->bytes, format, args);
	va_end(args);
	r->err = -EPROTO;
}

static void refuse_if(struct reader *r, int bad, const char *reg, uint64_t value, const char *why)
{
	if (bad)
		refuse(r, "%s reads 0x%" PRIx64 ": %s", reg, value, why);
}

static void read_counts(struct reader *r, struct card_info *info)
{
	uint32_t v = get(r, SHELL_R_COUNTS);

	info->units = SHELL_COUNTS_UNITS(v);
	info->banks = SHELL_COUNTS_BANKS(v);
	info->sensors = SHELL_COUNTS_SENSORS(v);
	info->vectors = SHELL_COUNTS_VECTORS(v);
	refuse_if(r, !info->units || info->units > SHELL_UNITS_MAX, "COUNTS", v, "1 to 31 units");
	refuse_if(r, info->banks > SHELL_BANKS_MAX, "COUNTS", v, "64 banks at most");
	refuse_if(r, info->sensors > SHELL_SENSORS_MAX, "COUNTS", v, "32 sensors at most");
	refuse_if(r, !info->vectors || info->vectors > SHELL_VECTORS_MAX, "COUNTS", v,
		  "1 to 32 vectors");
}

static void read_limits(struct reader *r, struct card_info *info)
{
	uint32_t v = get(r, SHELL_R_LIMITS);

	info->ring_log2 = SHELL_LIMITS_RING(v);
	info->sg_log2 = SHELL_LIMITS_SG(v);
	info->job_log2 = SHELL_LIMITS_JOB(v);
	info->align_log2 = SHELL_LIMITS_ALIGN(v);
	refuse_if(r, info->ring_log2 < 1 || info->ring_log2 > 16, "LIMITS", v,
		  "ring log2 is outside 1..16");
	refuse_if(r, info->sg_log2 < 4 || info->sg_log2 > 24, "LIMITS", v,
		  "SG log2 is outside 4..24");
	refuse_if(r, info->job_log2 < 11 || info->job_log2 > 16, "LIMITS", v,
		  "job log2 is outside 11..16");
	refuse_if(r, info->align_log2 < 2 || info->align_log2 > 12, "LIMITS", v,
		  "align log2 is outside 2..12");
}

static void read_table(struct reader *r, uint32_t reg, const char *name, uint32_t count,
		       uint32_t entry, uint32_t *at, uint32_t *stride)
{
	uint32_t v = get(r, reg);

	*at = SHELL_TABLE_OFFSET(v);
	*stride = SHELL_TABLE_STRIDE(v);
	refuse_if(r,
		  count && (*stride < entry || *stride % 4 || *at % 4 ||
			    (uint64_t)*at + (uint64_t)count * *stride > TABLE_END),
		  name, v, "the table leaves the BAR, or its entries are too small");
}

static void read_units(struct reader *r, struct card_info *info)
{
	for (uint32_t i = 0; i < info->units; i++) {
		struct card_unit_info *unit = &info->unit[i];
		uint32_t at = info->unit_at + i * info->unit_stride;

		get_name(r, at + SHELL_U_NAME, unit->name, 16);
		unit->kind = get(r, at + SHELL_U_KIND);
		unit->ops = get64(r, at + SHELL_U_OPS_LO);
		unit->banks = get64(r, at + SHELL_U_BANKS_LO);
		unit->version = get(r, at + SHELL_U_VERSION);
		unit->clock_khz = get(r, at + SHELL_U_CLOCK_KHZ);
		unit->macs = get(r, at + SHELL_U_MACS);
		refuse_if(r, !unit->ops, "a unit's OPS", unit->ops, "no op at all");
	}
}

static void read_banks(struct reader *r, struct card_info *info)
{
	for (uint32_t i = 0; i < info->banks; i++) {
		struct card_bank_info *bank = &info->bank[i];
		uint32_t at = info->bank_at + i * info->bank_stride;

		get_name(r, at + SHELL_B_NAME, bank->name, 16);
		bank->kind = get(r, at + SHELL_B_KIND);
		bank->bytes = get64(r, at + SHELL_B_SIZE_LO);
		bank->channels = get(r, at + SHELL_B_CHANNELS);
		bank->rate_mib = get(r, at + SHELL_B_RATE);
		refuse_if(r, !bank->bytes || bank->bytes % 4096 || bank->bytes > UINT64_C(1) << 48,
			  "a bank's SIZE", bank->bytes, "not a size of memory");
	}
}

static void read_sensors(struct reader *r, struct card_info *info)
{
	for (uint32_t i = 0; i < info->sensors; i++) {
		struct card_sensor_info *sensor = &info->sensor[i];
		uint32_t at = info->sensor_at + i * info->sensor_stride;

		get_name(r, at + SHELL_S_NAME, sensor->name, 16);
		sensor->kind = get(r, at + SHELL_S_KIND);
		sensor->low = (int32_t)get(r, at + SHELL_S_LOW);
		sensor->warn = (int32_t)get(r, at + SHELL_S_WARN);
		sensor->limit = (int32_t)get(r, at + SHELL_S_LIMIT);
	}
}

static void read_identity(struct reader *r, struct card_info *info)
{
	uint32_t demands = get(r, SHELL_R_DEMANDS);

	info->version = get(r, SHELL_R_VERSION);
	refuse_if(r, info->version >> 16 != SHELL_VERSION_MAJOR, "VERSION", info->version,
		  "this program knows major 1");
	refuse_if(r, demands & ~SHELL_DEMANDS_KNOWN, "DEMANDS", demands,
		  "demands what this program does not know");
	info->kind = get(r, SHELL_R_KIND);
	info->caps = get(r, SHELL_R_CAPS) & SHELL_CAPS_KNOWN;
	info->address_bits = get(r, SHELL_R_ADDRESS_BITS);
	refuse_if(r, info->address_bits < 32 || info->address_bits > 64, "ADDRESS_BITS",
		  info->address_bits, "outside 32..64");
	info->image_date = get(r, SHELL_R_IMAGE_DATE);
	info->serial = get64(r, SHELL_R_SERIAL_LO);
	info->time_hz = get(r, SHELL_R_TIME_HZ);
	refuse_if(r, !info->time_hz, "TIME_HZ", 0, "the clock stands still");
	get_name(r, SHELL_R_BOARD_NAME, info->board, 32);
	get_name(r, SHELL_R_IMAGE_NAME, info->image, 32);
	for (uint32_t i = 0; i < 32; i += 4) {
		uint32_t word = get(r, SHELL_R_IMAGE_HASH + i);

		memcpy(info->hash + i, &word, 4);
	}
}

int card_info_read(struct card_bus *bus, struct card_info *info, char *text, size_t bytes)
{
	struct reader r = {.bus = bus, .text = text, .bytes = bytes};
	uint32_t magic = get(&r, SHELL_R_MAGIC);

	memset(info, 0, sizeof(*info));
	if (magic == SHELL_GONE) {
		snprintf(text, bytes, "MAGIC reads as ones: no card answers");
		return -ENODEV;
	}
	refuse_if(&r, magic != SHELL_MAGIC, "MAGIC", magic, "not the Facet shell");
	if (r.err)
		return r.err;
	read_identity(&r, info);
	read_counts(&r, info);
	read_limits(&r, info);
	if (r.err)
		return r.err;
	read_table(&r, SHELL_R_UNIT_TABLE, "UNIT_TABLE", info->units, SHELL_UNIT_BYTES,
		   &info->unit_at, &info->unit_stride);
	read_table(&r, SHELL_R_BANK_TABLE, "BANK_TABLE", info->banks, SHELL_BANK_BYTES,
		   &info->bank_at, &info->bank_stride);
	read_table(&r, SHELL_R_SENSOR_TABLE, "SENSOR_TABLE", info->sensors, SHELL_SENSOR_BYTES,
		   &info->sensor_at, &info->sensor_stride);
	if (r.err)
		return r.err;
	read_units(&r, info);
	read_banks(&r, info);
	read_sensors(&r, info);
	return r.err;
}
