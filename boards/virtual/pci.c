/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config space of a type 0 function: two memory BARs, MSI-X, and a PCI Express capability whose link
 * status is the model's own and whose function-level reset works.
 */
#include "boards/virtual/internal.h"

#include <linux/pci_regs.h>
#include <string.h>

#define CAP_MSIX    0x40
#define CAP_EXPRESS 0x60
#define PENDING_AT  0x800

static const struct {
	unsigned int bar;
	uint32_t bytes;
} bars[] = {{BOARD_BAR_REGISTERS, SHELL_BAR_BYTES}, {BOARD_BAR_MSIX, BOARD_BAR_MSIX_BYTES}};

static void put(uint8_t *at, uint32_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get(const uint8_t *at, unsigned int bytes)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint32_t)at[i] << 8 * i;
	return value;
}

static void init_express(struct pci *pci)
{
	uint8_t *cap = pci->config + CAP_EXPRESS, *mask = pci->mask + CAP_EXPRESS;

	cap[0] = PCI_CAP_ID_EXP;
	put(cap + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4, 2);
	put(cap + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR | 1, 4);
	put(mask + PCI_EXP_DEVCTL, 0x7fff, 2);
	put(mask + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES, 2);
	put(mask + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS, 2);
}

void pci_init(struct board *board)
{
	struct pci *pci = &board->pci;
	uint8_t *config = pci->config, *mask = pci->mask;

	put(config + PCI_VENDOR_ID, SHELL_PCI_VENDOR, 2);
	put(config + PCI_DEVICE_ID, SHELL_PCI_DEVICE, 2);
	put(config + PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
	put(config + PCI_CLASS_REVISION, SHELL_PCI_CLASS << 8 | SHELL_VERSION_MAJOR, 4);
	put(config + PCI_SUBSYSTEM_VENDOR_ID, SHELL_PCI_VENDOR, 2);
	put(config + PCI_SUBSYSTEM_ID, board->config.kind, 2);
	config[PCI_CAPABILITY_LIST] = CAP_MSIX;
	config[CAP_MSIX] = PCI_CAP_ID_MSIX;
	config[CAP_MSIX + 1] = CAP_EXPRESS;
	put(config + CAP_MSIX + PCI_MSIX_FLAGS, board->config.vectors - 1, 2);
	put(config + CAP_MSIX + PCI_MSIX_TABLE, BOARD_BAR_MSIX, 4);
	put(config + CAP_MSIX + PCI_MSIX_PBA, PENDING_AT | BOARD_BAR_MSIX, 4);
	put(mask + PCI_COMMAND,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		    PCI_COMMAND_INTX_DISABLE,
	    2);
	put(mask + CAP_MSIX + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	mask[PCI_CACHE_LINE_SIZE] = mask[PCI_INTERRUPT_LINE] = 0xff;
	for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++)
		put(mask + PCI_BASE_ADDRESS_0 + 4 * bars[i].bar, ~(bars[i].bytes - 1), 4);
	init_express(pci);
	pci_link(board, board->config.link_generation, board->config.link_lanes);
}

void pci_link(struct board *board, uint32_t generation, uint32_t lanes)
{
	const struct board_config *config = &board->config;
	uint8_t *cap = board->pci.config + CAP_EXPRESS;

	put(cap + PCI_EXP_LNKCAP, config->link_generation | config->link_lanes << 4, 4);
	put(cap + PCI_EXP_LNKSTA, generation | lanes << 4, 2);
	put(cap + PCI_EXP_LNKCAP2, ((1u << config->link_generation) - 1) << 1, 4);
}

static void commit(struct board *board)
{
	const uint8_t *config = board->pci.config;
	uint32_t flags = get(config + CAP_MSIX + PCI_MSIX_FLAGS, 2);

	board->bus.master = (get(config + PCI_COMMAND, 2) & PCI_COMMAND_MASTER) && !board->gone;
	irq_control(board, flags & PCI_MSIX_FLAGS_ENABLE, flags & PCI_MSIX_FLAGS_MASKALL);
}

/* All that can be written is 0 after a reset. board.lock is held. */
void pci_reset(struct board *board)
{
	struct pci *pci = &board->pci;

	for (unsigned int i = 0; i < BOARD_CONFIG_BYTES; i++)
		pci->config[i] &= ~pci->mask[i];
	irq_reset(&board->irq);
	commit(board);
}

static bool access_ok(uint32_t offset, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && offset % size == 0 &&
	       offset + size <= BOARD_CONFIG_BYTES;
}

uint32_t board_pci_read(struct board *board, uint32_t offset, unsigned int size)
{
	uint32_t value = 0;

	if (board->gone)
		return SHELL_GONE;
	if (!access_ok(offset, size))
		return 0; /* as an extended space that is not there */
	pthread_mutex_lock(&board->lock);
	value = get(board->pci.config + offset, size);
	pthread_mutex_unlock(&board->lock);
	return value;
}

void board_pci_write(struct board *board, uint32_t offset, unsigned int size, uint32_t value)
{
	struct pci *pci = &board->pci;
	const uint32_t control = CAP_EXPRESS + PCI_EXP_DEVCTL;

	if (board->gone || !access_ok(offset, size))
		return;
	pthread_mutex_lock(&board->lock);
	for (uint32_t i = 0; i < size; i++) {
		uint8_t mask = pci->mask[offset + i], byte = (uint8_t)(value >> 8 * i);

		pci->config[offset + i] = (pci->config[offset + i] & ~mask) | (byte & mask);
	}
	/* The bit that asks for a function-level reset reads as 0, so it is not among mask. */
	if (offset <= control && control + 2 <= offset + size &&
	    (value >> 8 * (control - offset) & PCI_EXP_DEVCTL_BCR_FLR))
		board_power_cycle(board);
	else
		commit(board);
	pthread_mutex_unlock(&board->lock);
}

uint64_t board_bar_bytes(unsigned int bar)
{
	for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++)
		if (bars[i].bar == bar)
			return bars[i].bytes;
	return 0;
}

uint64_t board_bar_address(struct board *board, unsigned int bar)
{
	uint64_t address = 0;

	pthread_mutex_lock(&board->lock);
	if (board_bar_bytes(bar) && (get(board->pci.config + PCI_COMMAND, 2) & PCI_COMMAND_MEMORY))
		address = get(board->pci.config + PCI_BASE_ADDRESS_0 + 4 * bar, 4);
	pthread_mutex_unlock(&board->lock);
	return address;
}
