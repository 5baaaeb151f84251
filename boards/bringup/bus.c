/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest rungs: config space, link, registers, sensors; nothing here needs a driver or DMA. */
#include "boards/bringup/bringup.h"

#include <linux/pci_regs.h>
#include <string.h>

static uint32_t config(struct bringup *b, uint32_t offset, uint32_t size)
{
	uint32_t value = UINT32_MAX;

	b->bus->ops->config_read(b->bus, offset, size, &value);
	return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static uint32_t reg(struct bringup *b, uint32_t offset)
{
	return b->bus->ops->read(b->bus, offset);
}

/* 0: there is none. A list that goes in circles ends. */
static uint32_t capability(struct bringup *b, uint8_t id)
{
	uint32_t at = config(b, PCI_CAPABILITY_LIST, 1) & 0xfc;

	for (int i = 0; i < 48 && at; i++) {
		if (config(b, at, 1) == id)
			return at;
		at = config(b, at + 1, 1) & 0xfc;
	}
	return 0;
}

void bringup_config(struct bringup *b, struct bringup_result *r)
{
	uint32_t vendor = config(b, PCI_VENDOR_ID, 2), device = config(b, PCI_DEVICE_ID, 2);
	uint32_t class = config(b, PCI_CLASS_REVISION, 4) >> 8,
		 bar = config(b, PCI_BASE_ADDRESS_0, 4);
	uint32_t msix = capability(b, PCI_CAP_ID_MSIX);

	if (vendor == 0xffff)
		bringup_fail(r, "no card answers: the vendor id reads as ones");
	else if (vendor != SHELL_PCI_VENDOR || device != SHELL_PCI_DEVICE)
		bringup_fail(r, "ids are %04x:%04x, not %04x:%04x", vendor, device,
			     SHELL_PCI_VENDOR, SHELL_PCI_DEVICE);
	else if (class != SHELL_PCI_CLASS)
		bringup_fail(r, "class is %06x, not %06x", class, SHELL_PCI_CLASS);
	else if (!(bar & ~0xfu))
		bringup_fail(r, "BAR 0 has no address: the firmware gave it none");
	else if (!msix || !capability(b, PCI_CAP_ID_EXP))
		bringup_fail(r, "the %s capability is missing", msix ? "PCI Express" : "MSI-X");
	else
		bringup_note(r, "%04x:%04x, BAR 0 at 0x%x, %u vectors", vendor, device, bar & ~0xfu,
			     (config(b, msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1);
}

void bringup_link(struct bringup *b, struct bringup_result *r)
{
	uint32_t cap = capability(b, PCI_CAP_ID_EXP);
	uint32_t best = cap ? config(b, cap + PCI_EXP_LNKCAP, 4) : 0;
	uint32_t now = cap ? config(b, cap + PCI_EXP_LNKSTA, 2) : 0;
	uint32_t lanes = (now & PCI_EXP_LNKSTA_NLW) >> 4,
		 best_lanes = (best & PCI_EXP_LNKCAP_MLW) >> 4;
	uint32_t speed = now & PCI_EXP_LNKSTA_CLS, best_speed = best & PCI_EXP_LNKCAP_SLS;

	if (!cap || !best_lanes) {
		bringup_cannot(r, "it has no PCI Express link");
		return;
	}
	if (lanes < best_lanes)
		bringup_fail(r, "x%u of x%u lanes", lanes, best_lanes);
	else if (speed < best_speed)
		bringup_fail(r, "generation %u of %u", speed, best_speed);
	bringup_note(r, "generation %u, x%u", speed, lanes);
	bringup_measure(r, "lanes", lanes, "", true);
	bringup_measure(r, "generation", speed, "", true);
}

void bringup_identity(struct bringup *b, struct bringup_result *r)
{
	char text[BRINGUP_TEXT] = "";

	if (card_info_read(b->bus, &b->info, text, sizeof(text)))
		bringup_fail(r, "%s", text);
	bringup_note(r, "%s, image %s, serial %016llx: %u units, %u banks, %u sensors",
		     b->info.board, b->info.image, (unsigned long long)b->info.serial,
		     b->info.units, b->info.banks, b->info.sensors);
}

void bringup_scratch(struct bringup *b, struct bringup_result *r)
{
	for (uint32_t i = 0; i < 64 + 2; i++) {
		uint32_t pattern = i < 32    ? 1u << i
				   : i < 64  ? ~(1u << (i - 32))
				   : i == 64 ? 0
					     : ~0u;
		uint32_t found;

		if (pattern == SHELL_GONE)
			pattern = 0x5a5a5a5a;
		b->bus->ops->write(b->bus, SHELL_R_SCRATCH, pattern);
		found = reg(b, SHELL_R_SCRATCH);
		if (found != pattern)
			bringup_fail(r, "SCRATCH was written 0x%08x and reads 0x%08x", pattern,
				     found);
	}
}

void bringup_image(struct bringup *b, struct bringup_result *r)
{
	if (!b->image_known)
		bringup_cannot(r, "nobody says which image is expected (--image)");
	else if (memcmp(b->image, b->info.hash, sizeof(b->image)) != 0)
		bringup_fail(r, "image %s begins %02x%02x%02x%02x, not %02x%02x%02x%02x",
			     b->info.image, b->info.hash[0], b->info.hash[1], b->info.hash[2],
			     b->info.hash[3], b->image[0], b->image[1], b->image[2], b->image[3]);
}

void bringup_sensors(struct bringup *b, struct bringup_result *r)
{
	for (uint32_t i = 0; i < b->info.sensors; i++) {
		const struct card_sensor_info *sensor = &b->info.sensor[i];
		uint32_t at = b->info.sensor_at + i * b->info.sensor_stride;
		uint32_t status = reg(b, at + SHELL_S_STATUS);
		int32_t value = (int32_t)reg(b, at + SHELL_S_VALUE);

		if (!(status & SHELL_SSTATUS_VALID))
			bringup_fail(r, "%s gives no value", sensor->name);
		else if (sensor->kind == SHELL_SENSOR_TEMPERATURE &&
			 (value < -100000 || value > 300000))
			bringup_fail(r, "%s reads %d: no temperature is that", sensor->name, value);
		else if (value >= sensor->warn)
			bringup_fail(r, "%s is at %.1f, its warning is %.1f", sensor->name,
				     value / 1e3, sensor->warn / 1e3);
		else if (value < sensor->low)
			bringup_fail(r, "%s is at %.1f, below %.1f", sensor->name, value / 1e3,
				     sensor->low / 1e3);
		bringup_measure(r, sensor->name, value / 1e3,
				sensor->kind == SHELL_SENSOR_TEMPERATURE ? "C" : "W/V/A", false);
	}
	if (reg(b, SHELL_R_STATUS) & SHELL_STATUS_STOPPED)
		bringup_fail(r, "the card has stopped itself: a sensor was past its limit");
}

void bringup_start(struct bringup *b, struct bringup_result *r)
{
	char text[BRINGUP_TEXT] = "";
	struct card_bus *bus = b->bus;

	b->bus = NULL; /* the card's from now on */
	if (card_open(bus, &b->card, text, sizeof(text)))
		bringup_fail(r, "%s", text);
	else
		b->bus = card_bus_of(b->card);
}
