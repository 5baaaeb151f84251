/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual board: a model of the Facet PCI shell (docs/shell.md) as a library. It has what a card
 * has: a config space, BARs, an MSI-X table, memory of its own, units that run on threads of their
 * own and reach the host's memory only through the windows they were given. A front end carries the
 * accesses of a guest to it and its interrupts back.
 *
 * Everything a guest says is checked: nothing it writes makes the model touch memory outside the
 * windows and banks, allocate without bound, or stop.
 */
#ifndef FACET_BOARDS_VIRTUAL_BOARD_H
#define FACET_BOARDS_VIRTUAL_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "boards/shell/shell.h"

#define BOARD_NAME_BYTES  32
#define BOARD_LABEL_BYTES 16
#define BOARD_HASH_BYTES  32

struct board_unit_config {
	char name[BOARD_LABEL_BYTES];
	enum shell_unit kind;
	uint64_t ops, banks; /* masks; 0 banks: all */
	uint32_t clock_khz, macs;
};

struct board_bank_config {
	char name[BOARD_LABEL_BYTES];
	enum shell_bank kind;
	uint64_t bytes;
	uint32_t channels, rate_mib;
};

struct board_sensor_config {
	char name[BOARD_LABEL_BYTES];
	enum shell_sensor kind;
	int32_t value, low, warn, limit;
};

struct board_config {
	char name[BOARD_NAME_BYTES], image[BOARD_NAME_BYTES];
	uint8_t hash[BOARD_HASH_BYTES];
	uint64_t serial;
	uint32_t image_date;
	enum shell_kind kind;
	uint32_t caps; /* SHELL_CAP_* */
	uint32_t ring_log2, sg_log2, align_log2, vectors;
	uint32_t link_generation, link_lanes;
	uint64_t operand_max; /* bytes of one operand that has to be copied */
	bool poison;	      /* banks begin, and end a reset that loses them, with a pattern */
	const char *isa;      /* of kernels/cpu, NULL: the best */
	uint32_t units, banks, sensors;
	struct board_unit_config unit[SHELL_UNITS_MAX];
	struct board_bank_config bank[SHELL_BANKS_MAX];
	struct board_sensor_config sensor[SHELL_SENSORS_MAX];
};

/* A DMA unit, two compute units, two banks of 1 GiB, two sensors. */
void board_config_preset(struct board_config *config);

/* Where interrupts go: a message written to an address, as MSI-X has it. Called from the board's
 * threads, one at a time, never while one of its locks is held. */
struct board_front {
	void (*raise)(void *user, uint64_t address, uint32_t data);
	void *user;
};

struct board;

/* front may be NULL. -EINVAL: the configuration is not possible. */
int board_create(const struct board_config *config, const struct board_front *front,
		 struct board **board);
void board_free(struct board *board);
const struct board_config *board_config(const struct board *board);

/* ---- what the bus does to the board ---- */
#define BOARD_BAR_REGISTERS  0
#define BOARD_BAR_MSIX	     2
#define BOARD_BAR_MSIX_BYTES 0x1000u
#define BOARD_CONFIG_BYTES   256u

/* Sizes are 1, 2, 4 or 8 bytes; what is out of bounds reads as ones. */
uint64_t board_read(struct board *board, unsigned int bar, uint64_t offset, unsigned int size);
void board_write(struct board *board, unsigned int bar, uint64_t offset, unsigned int size,
		 uint64_t value);
uint32_t board_pci_read(struct board *board, uint32_t offset, unsigned int size);
void board_pci_write(struct board *board, uint32_t offset, unsigned int size, uint32_t value);
/* Where a BAR was placed, 0 while it is not. */
uint64_t board_bar_address(struct board *board, unsigned int bar);
uint64_t board_bar_bytes(unsigned int bar); /* 0: there is no such BAR */
/* A reset of the bus or of the function: the board is as after power-on. */
void board_bus_reset(struct board *board);

/* ---- what the board may reach of the host ---- */
#define BOARD_WINDOWS 64
/* Bus addresses [address, address + bytes) are this memory. -EINVAL: they overlap others or wrap;
 * -ENOSPC. Removing waits until no access is under way. */
int board_window_add(struct board *board, uint64_t address, uint64_t bytes, void *memory);
void board_window_remove(struct board *board, uint64_t address);
void board_windows_clear(struct board *board);

/* ---- faults and figures: docs/virtual-board.md, "Faults" ---- */

/* One or more faults, "name:key=value,...;name". -EINVAL, after writing why to text. */
int board_fault(struct board *board, const char *spec, char *text, size_t bytes);
/* NULL or "all": every one. -ENOENT: no fault of that name is there. */
int board_fault_clear(struct board *board, const char *name);
/* How often a fault of this name was injected since the board was made; -1: no such name. */
int64_t board_fault_count(struct board *board, const char *name);
/* Name of fault i, NULL past the last, and a line on what it does. */
const char *board_fault_name(unsigned int i, const char **what);
int board_sensor_set(struct board *board, const char *name, int32_t value);

struct board_figures {
	uint64_t jobs, failed, interrupts,
		dropped; /* dropped: masked for good, or no such vector */
	uint64_t read_bytes, write_bytes, register_reads, register_writes, busy_ns;
	uint32_t resets;
};
void board_figures(struct board *board, struct board_figures *figures);

#endif
