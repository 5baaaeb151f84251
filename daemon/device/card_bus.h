/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a card on a bus offers to a process that drives it without a kernel driver: registers, its
 * configuration space, memory that it can reach, interrupts. For bring-up, and for the virtual board.
 */
#ifndef FACET_DAEMON_DEVICE_CARD_BUS_H
#define FACET_DAEMON_DEVICE_CARD_BUS_H

#include <stddef.h>
#include <stdint.h>

struct card_bus;

/* Host memory that the card reaches at a run of bus addresses. */
struct card_dma {
	void *map;
	uint64_t address, bytes;
};

struct card_bus_ops {
	/* Of BAR 0, 32 bits each. A card that is gone reads as ones. */
	uint32_t (*read)(struct card_bus *bus, uint32_t offset);
	void (*write)(struct card_bus *bus, uint32_t offset, uint32_t value);
	/* size: 1, 2 or 4. */
	int (*config_read)(struct card_bus *bus, uint32_t offset, uint32_t size, uint32_t *value);
	int (*dma_create)(struct card_bus *bus, uint64_t bytes, struct card_dma *dma);
	void (*dma_free)(struct card_bus *bus, struct card_dma *dma);
	/* An eventfd that counts interrupts of a vector; the bus's own. -errno: there is none. */
	int (*irq_fd)(struct card_bus *bus, uint32_t vector);
	/* As power-on. -EOPNOTSUPP: from here it cannot be done. */
	int (*reset)(struct card_bus *bus);
	void (*close)(struct card_bus *bus);
};

struct card_bus {
	const struct card_bus_ops *ops;
};

/* The virtual board in this process, with faults of its own (NULL: none); text says what is wrong. */
struct board;
struct board_config;
int card_virtual_open(const struct board_config *config, const char *faults, struct card_bus **bus,
		      char *text, size_t bytes);
struct board *card_virtual_board(struct card_bus *bus);

#endif
