/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card with the Facet shell, driven from this process: docs/shell.md as a driver sees it, without
 * a kernel's help and so without its protection. It is a shell port, and more for bring-up: its
 * registers, and memory at a stated place.
 */
#ifndef FACET_DAEMON_DEVICE_CARD_H
#define FACET_DAEMON_DEVICE_CARD_H

#include "boards/shell/shell.h"
#include "daemon/device/card_bus.h"
#include "daemon/device/device.h"
#include "daemon/device/shell_port.h"

struct card;

struct card_unit_info {
	char name[17];
	enum shell_unit kind;
	uint64_t ops, banks;
	uint32_t version, clock_khz, macs;
};

struct card_bank_info {
	char name[17];
	enum shell_bank kind;
	uint64_t bytes;
	uint32_t channels, rate_mib;
};

struct card_sensor_info {
	char name[17];
	enum shell_sensor kind;
	int32_t low, warn, limit;
};

struct card_info {
	char board[33], image[33];
	uint8_t hash[32];
	uint64_t serial, time_hz;
	uint32_t version, kind, caps, image_date, address_bits;
	uint32_t ring_log2, sg_log2, job_log2, align_log2, vectors;
	uint32_t units, banks, sensors;
	uint32_t unit_at, unit_stride, bank_at, bank_stride, sensor_at, sensor_stride;
	struct card_unit_info unit[SHELL_UNITS_MAX];
	struct card_bank_info bank[SHELL_BANKS_MAX];
	struct card_sensor_info sensor[SHELL_SENSORS_MAX];
};

/* Reads who the card is and writes nothing to it. -EPROTO, after writing register and value to text: one
 * that a driver must refuse; -ENODEV: it is gone. */
int card_info_read(struct card_bus *bus, struct card_info *info, char *text, size_t bytes);

/* Resets and starts it; the bus is the card's from now on, and closed here on an error. */
int card_open(struct card_bus *bus, struct card **card, char *text, size_t bytes);
void card_close(struct card *card);
struct shell_port *card_port(struct card *card);
struct card_bus *card_bus_of(struct card *card);
const struct card_info *card_info(const struct card *card);

/* Memory of one bank, as much as is free in one piece where bytes is 0; not zeroed. */
int card_bank_memory(struct card *card, uint32_t bank, uint64_t bytes,
		     struct shell_memory **memory);
/* Where it lies in its bank. */
uint64_t card_memory_place(const struct shell_memory *memory);

/* One call on that unit. wait_ms: 0: by the card's kind. Results are in call. */
void card_call(struct card *card, uint32_t unit, struct shell_call *call, uint32_t wait_ms);

/* Interrupts of the unit's vector since the card was opened. */
uint64_t card_irqs(struct card *card, uint32_t unit);
/* Resets done since it was opened: of units, and of all. */
void card_resets(const struct card *card, uint32_t *units, uint32_t *all);

/* A device of a bus that is open; the bus is the device's, and closed here on an error. */
int card_device(struct card_bus *bus, const struct device_config *config, struct device **device,
		char *text, size_t bytes);

#endif
