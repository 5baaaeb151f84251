/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual board in this process: a model of the Facet PCI shell (boards/virtual), driven through
 * its registers, rings and interrupts as a card would be. For who develops against a board without
 * one. config.select is a list of faults (docs/virtual-board.md).
 */
#include "daemon/device/card.h"

#include "boards/virtual/board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#define DMA_BASE   UINT64_C(0x100000000) /* bus addresses of the first piece */
#define DMA_STEP   UINT64_C(0x200000)
#define MSI_BASE   UINT64_C(0xfee00000)
#define CAP_MSIX   0x40u
#define BAR0_PLACE 0xe0000000u

struct virtual_bus {
	struct card_bus base;
	struct board *board;
	uint64_t next; /* bus address of the next piece of memory */
	int irq[SHELL_VECTORS_MAX];
};

static struct virtual_bus *bus_of(struct card_bus *bus)
{
	return (struct virtual_bus *)bus;
}

static uint32_t get(struct card_bus *bus, uint32_t offset)
{
	return (uint32_t)board_read(bus_of(bus)->board, BOARD_BAR_REGISTERS, offset, 4);
}

static void set(struct card_bus *bus, uint32_t offset, uint32_t value)
{
	board_write(bus_of(bus)->board, BOARD_BAR_REGISTERS, offset, 4, value);
}

static int config_read(struct card_bus *bus, uint32_t offset, uint32_t size, uint32_t *value)
{
	*value = board_pci_read(bus_of(bus)->board, offset, size);
	return 0;
}

static int dma_create(struct card_bus *base, uint64_t bytes, struct card_dma *dma)
{
	struct virtual_bus *bus = bus_of(base);
	uint64_t whole = (bytes + 4095) & ~UINT64_C(4095);
	void *memory =
		mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (memory == MAP_FAILED)
		return -ENOMEM;
	err = board_window_add(bus->board, bus->next, whole, memory);
	if (err) {
		munmap(memory, whole);
		return err;
	}
	*dma = (struct card_dma){.map = memory, .address = bus->next, .bytes = whole};
	bus->next += (whole + DMA_STEP) & ~(DMA_STEP - 1); /* with a hole behind it */
	return 0;
}

static void dma_free(struct card_bus *base, struct card_dma *dma)
{
	board_window_remove(bus_of(base)->board, dma->address);
	munmap(dma->map, dma->bytes);
}

static int irq_fd(struct card_bus *base, uint32_t vector)
{
	return vector < SHELL_VECTORS_MAX ? bus_of(base)->irq[vector] : -EINVAL;
}

/* A message: the vector is what was written into the table as its data. */
static void raised(void *user, uint64_t address, uint32_t data)
{
	struct virtual_bus *bus = user;

	if (address == MSI_BASE && data < SHELL_VECTORS_MAX)
		eventfd_write(bus->irq[data], 1);
}

/* What the firmware and the kernel do before a driver comes. */
static void plug_in(struct virtual_bus *bus)
{
	uint32_t vectors = board_config(bus->board)->vectors;

	board_pci_write(bus->board, PCI_BASE_ADDRESS_0, 4, BAR0_PLACE);
	board_pci_write(bus->board, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (uint32_t v = 0; v < vectors; v++) {
		board_write(bus->board, BOARD_BAR_MSIX, v * 16, 4, MSI_BASE);
		board_write(bus->board, BOARD_BAR_MSIX, v * 16 + 8, 4, v);
		board_write(bus->board, BOARD_BAR_MSIX, v * 16 + 12, 4, 0);
	}
	board_pci_write(bus->board, CAP_MSIX + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

static int bus_reset(struct card_bus *base)
{
	struct virtual_bus *bus = bus_of(base);

	board_bus_reset(bus->board);
	plug_in(bus);
	return 0;
}

static void bus_close(struct card_bus *base)
{
	struct virtual_bus *bus = bus_of(base);

	board_free(bus->board);
	for (uint32_t v = 0; v < SHELL_VECTORS_MAX; v++)
		if (bus->irq[v] > 0)
			close(bus->irq[v]);
	free(bus);
}

static const struct card_bus_ops bus_ops = {
	.read = get,
	.write = set,
	.config_read = config_read,
	.dma_create = dma_create,
	.dma_free = dma_free,
	.irq_fd = irq_fd,
	.reset = bus_reset,
	.close = bus_close,
};

int card_virtual_open(const struct board_config *config, const char *faults, struct card_bus **out,
		      char *text, size_t bytes)
{
	struct virtual_bus *bus = calloc(1, sizeof(*bus));
	struct board_front front = {raised, bus};
	int err = 0;

	if (!bus)
		return -ENOMEM;
	bus->base.ops = &bus_ops;
	bus->next = DMA_BASE;
	for (uint32_t v = 0; v < SHELL_VECTORS_MAX && !err; v++) {
		bus->irq[v] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		err = bus->irq[v] < 0 ? -errno : 0;
	}
	if (!err)
		err = board_create(config, &front, &bus->board);
	if (err)
		snprintf(text, bytes, "the virtual board: %s", strerror(-err));
	if (!err && faults)
		err = board_fault(bus->board, faults, text, bytes);
	if (err) {
		bus_close(&bus->base);
		return err;
	}
	plug_in(bus);
	*out = &bus->base;
	return 0;
}

struct board *card_virtual_board(struct card_bus *bus)
{
	return bus_of(bus)->board;
}
