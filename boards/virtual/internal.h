/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the model. Threads: one a unit, one for the board's own timers (service), and whoever calls
 * board_*(). Locks: board.lock for registers and the state of units; bus.lock around each access of
 * host memory; irq.lock for the MSI-X table; faults.lock. board.lock may be held when one of the
 * others is taken, no other nesting happens, and board_front.raise is called with none held.
 */
#ifndef FACET_BOARDS_VIRTUAL_INTERNAL_H
#define FACET_BOARDS_VIRTUAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "boards/shell/kernels.h"
#include "boards/shell/ring.h"
#include "boards/virtual/board.h"
#include "kernels/cpu/cpu.h"

uint64_t board_clock_ns(void);

/* ---- host memory (bus.c) ---- */
struct bus_window {
	uint64_t address, bytes;
	uint8_t *memory;
};

struct bus {
	pthread_rwlock_t lock;
	struct bus_window window[BOARD_WINDOWS];
	atomic_bool master; /* the command register allows it, and the board is there */
	_Atomic uint64_t read_bytes, write_bytes;
	_Atomic uint64_t rate; /* bytes a second, 0: as fast as it goes */
};

void bus_init(struct bus *bus);
void bus_free(struct bus *bus);
/* 0, or -EFAULT with the first address that is not there; unit: whose access it is, for faults. */
int bus_read(struct board *board, uint32_t unit, uint64_t address, void *to, uint64_t bytes,
	     uint64_t *bad);
int bus_write(struct board *board, uint32_t unit, uint64_t address, const void *from,
	      uint64_t bytes, uint64_t *bad);
/* 8 bytes at a multiple of 8, after all that was written before. */
int bus_store64(struct board *board, uint32_t unit, uint64_t address, uint64_t value,
		uint64_t *bad);

/* ---- board memory (bank.c) ---- */
struct bank_cell {
	uint64_t address; /* of the word of 8 bytes */
	uint32_t bit;
	bool coupled;
	uint32_t stuck; /* not coupled: the value it always has */
	uint64_t with;	/* coupled: when this bit of that word rises, the cell is inverted */
	uint32_t with_bit;
};

#define BANK_CELLS 64

struct bank {
	uint8_t *memory;
	uint64_t bytes;
	pthread_mutex_t lock; /* around faulty accesses */
	atomic_bool faulty;
	uint32_t cells;
	struct bank_cell cell[BANK_CELLS];
	uint64_t stuck_lines, stuck_values; /* address bits */
};

int bank_init(struct bank *bank, uint64_t bytes, bool poison);
void bank_free(struct bank *bank);
/* After losing its contents. */
void bank_forget(struct bank *bank, bool poison);
/* Within the bank; as the faulty memory has it. */
void bank_read(struct bank *bank, uint64_t at, void *to, uint64_t bytes);
void bank_write(struct bank *bank, uint64_t at, const void *from, uint64_t bytes);

/* ---- config space and interrupts (pci.c, irq.c) ---- */
struct pci {
	uint8_t config[BOARD_CONFIG_BYTES], mask[BOARD_CONFIG_BYTES]; /* mask: writable bits */
};

void pci_init(struct board *board);
void pci_reset(struct board *board);
void pci_link(struct board *board, uint32_t generation, uint32_t lanes);

struct irq {
	pthread_mutex_t lock, raising;
	uint32_t vectors;
	bool enabled, masked;
	uint32_t table[SHELL_VECTORS_MAX][4]; /* as the MSI-X table: address, address, data, mask */
	uint32_t pending;		      /* the pending bits */
	atomic_uint wanted;		      /* bits to be raised by the service thread */
	_Atomic uint64_t raised, dropped;
};

void irq_init(struct irq *irq, uint32_t vectors);
void irq_reset(struct irq *irq);
/* Control of MSI-X in config space changed. */
void irq_control(struct board *board, bool enabled, bool masked);
uint64_t irq_table_read(struct irq *irq, uint64_t offset, unsigned int size);
void irq_table_write(struct board *board, uint64_t offset, unsigned int size, uint64_t value);
/* From a thread of the board, no lock held; unit for faults. */
void irq_raise(struct board *board, uint32_t vector, uint32_t unit);
/* From anywhere: the service thread does it. board.lock may be held. */
void irq_want(struct board *board, uint32_t vector);
void irq_serve(struct board *board);

/* ---- faults (fault.c) ---- */
enum fault_kind {
	FAULT_HANG,
	FAULT_SLOW,
	FAULT_FAIL,
	FAULT_LOST_IRQ,
	FAULT_LATE_IRQ,
	FAULT_SPURIOUS_IRQ,
	FAULT_STORM,
	FAULT_WRONG_SEQUENCE,
	FAULT_LOST_COMPLETION,
	FAULT_DMA_OUTSIDE,
	FAULT_BUS_ERROR,
	FAULT_GONE,
	FAULT_SELF_RESET,
	FAULT_STUCK_RESET,
	FAULT_UNIT_STOP,
	FAULT_FLIP,
	FAULT_ECC,
	FAULT_SLOW_LINK,
	FAULT_NARROW_LINK,
	FAULT_BAD_CELL,
	FAULT_STUCK_LINE,
	FAULT_HOT,
	FAULT_WRONG_IMAGE,
	FAULT_WRONG_REGISTER,
	FAULT_KINDS
};

#define BOARD_LIES 8u /* registers that read as something else */
#define FAULT_ANY  UINT32_MAX

struct fault {
	bool armed;
	enum fault_kind kind;
	uint32_t unit;		      /* FAULT_ANY */
	uint64_t after, every, count; /* passes by, then each n-th, so often (0: for ever) */
	uint64_t seen, injected;
	/* by kind */
	uint64_t us, bank, address, bit, value, with, with_bit, lanes, generation, rate, vector;
	uint64_t where, progress, status;
	char sensor[BOARD_LABEL_BYTES];
};

enum fault_where { FAULT_OUTPUT, FAULT_INPUT, FAULT_ACCUMULATOR, FAULT_RESIDENT };

#define FAULTS_MAX 64

struct faults {
	pthread_mutex_t lock;
	atomic_uint armed[FAULT_KINDS];
	_Atomic uint64_t injected[FAULT_KINDS];
	struct fault fault[FAULTS_MAX];
};

/* Does this happen now? Counts it; hit, if not NULL, is a copy of the fault. */
bool fault_hit(struct board *board, enum fault_kind kind, uint32_t unit, struct fault *hit);
/* As fault_hit, for FAULT_FLIP of one kind of data. */
bool fault_strikes(struct board *board, enum fault_where where, uint32_t unit, struct fault *hit);
/* Flips bit `bit` (modulo what there is) of a buffer. */
void fault_flip_bit(void *data, uint64_t bytes, uint64_t bit);
void fault_init(struct faults *faults);

/* ---- units (unit.c) ---- */
struct unit {
	struct board *board;
	uint32_t index;
	uint32_t *r; /* its registers, in board.page */
	pthread_t thread;
	pthread_cond_t wake;
	bool started;
	atomic_bool reset; /* asked for, not yet done */
	bool stuck;	   /* a reset that only a reset of the device ends */
	uint64_t sequence; /* of the last entry that was read */
	uint32_t held;	   /* completions that have not raised an interrupt yet */
	uint64_t held_until;
	uint64_t late_until; /* an interrupt that is late */
	atomic_uint progress, irqs;
	uint8_t *scratch; /* of the kernels */
	size_t scratch_bytes;
};

int unit_start(struct board *board, uint32_t index);
void unit_join(struct unit *unit);
/* These with board.lock held. */
void unit_kick(struct unit *unit);
void unit_write(struct unit *unit, uint32_t offset, uint32_t value);
uint32_t unit_read(struct unit *unit, uint32_t offset);
void unit_reset(struct unit *unit);
bool unit_quiet(const struct unit *unit);
/* Interrupts that are due; the time of the next one, or UINT64_MAX. */
uint64_t unit_timers(struct unit *unit, uint64_t now);

/* ---- a job (job.c, operand.c) ---- */
struct cursor {
	struct job *job;
	uint32_t index; /* of the operand */
	uint64_t left;	/* of the operand */
	uint64_t at;	/* bus address or place in the bank */
	uint64_t run;	/* bytes left of this run of bus addresses */
	uint64_t skip;	/* of the scattered memory, before the operand */
	uint64_t table; /* bus address of the next SG entry */
	uint32_t table_left;
	uint64_t entries; /* read so far */
};

/* An operand in memory that kernels can use. */
struct view {
	uint8_t *data; /* NULL: absent */
	uint64_t bytes;
	void *owned;  /* a copy, to be freed */
	bool written; /* an output */
	bool unflip;  /* an input with a bit flipped for the time of this job */
	uint64_t bit;
};

struct job {
	struct board *board;
	struct unit *unit;
	struct shell_entry entry;
	struct shell_operand operand[SHELL_OPERANDS_MAX];
	struct view view[SHELL_OPERANDS_MAX];
	union {
		uint8_t bytes[128];
		struct shell_copy copy;
		struct shell_fill fill;
		struct shell_search search;
		struct shell_conv2d conv2d;
		struct shell_gemm gemm;
		struct shell_pool2d pool2d;
		struct shell_add add;
		struct shell_table table;
		struct shell_concat concat;
		struct shell_memtest memtest;
		struct shell_burn burn;
	} args;
	uint32_t operands;
	/* results */
	enum shell_status status;
	uint16_t index;
	uint64_t address, value;
};

/* Runs the entry from the ring; false: dropped, since the unit was reset or the board is gone. */
bool task_run(struct job *job);
/* May it go on? Counts progress. Engines ask every few milliseconds. */
bool task_alive(struct job *job);
/* Sets the status; -1. */
int task_fail(struct job *job, enum shell_status status, uint32_t index, uint64_t address);
/* As an op's check: 0, or task_fail for -EINVAL and -EOVERFLOW. */
int task_check(struct job *job, int error);

/* Operands as such: space, bank, access, alignment. */
int operand_check(struct job *job, uint32_t index, bool written);
/* The length is what the arguments say; 4-byte elements lie at multiples of 4. */
int operand_length(struct job *job, uint32_t index, uint64_t elements, uint32_t element_bytes);
bool operand_present(const struct job *job, uint32_t index);
/* No output lies over another operand. */
int operand_overlaps(struct job *job, uint64_t outputs);

void cursor_init(struct cursor *cursor, struct job *job, uint32_t index);
int cursor_read(struct cursor *cursor, void *to, uint64_t bytes);
int cursor_write(struct cursor *cursor, const void *from, uint64_t bytes);
int cursor_skip(struct cursor *cursor, uint64_t bytes);

/* Fetches inputs and makes room for outputs, once all checks have passed; writes outputs. */
int view_open(struct job *job, uint32_t index, bool written);
int view_flush(struct job *job);
void view_close(struct job *job);

/* ---- what runs a job (engine*.c): checks all arguments and lengths, then computes ---- */
struct engine {
	uint32_t args_bytes, operands_min, operands_max;
	uint64_t outputs; /* a bit each */
};

const struct engine *engine_of(uint32_t op);
int engine_run(struct job *job);
/* Opens all operands. */
int engine_open(struct job *job);
/* Room for a kernel, 64-byte aligned, kept by the unit; NULL after task_fail. */
void *engine_scratch(struct job *job, size_t bytes);
/* Zeroed memory of the job's own, 64-byte aligned, freed by the caller; NULL after task_fail. */
void *engine_alloc(struct job *job, uint64_t bytes);
float engine_float(uint32_t bits);
#define ENGINE_SLICE_WORK (UINT64_C(1) << 24) /* products, or bytes */
uint64_t engine_slice(uint64_t rows, uint64_t work);

int engine_echo(struct job *job);
int engine_copy(struct job *job);
int engine_fill(struct job *job);
int engine_search(struct job *job);
int engine_conv2d(struct job *job);
int engine_gemm(struct job *job);
int engine_pool2d(struct job *job);
int engine_add(struct job *job);
int engine_table(struct job *job);
int engine_concat(struct job *job);
int engine_memtest(struct job *job);
int engine_burn(struct job *job);

/* ---- the board ---- */
struct board {
	struct board_config config;
	struct board_front front;
	const struct cpu_kernels *kernels;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* of the service thread */
	pthread_t service;
	bool service_started;
	bool quit;
	uint32_t page[SHELL_BAR_BYTES / 4]; /* registers by offset */
	bool resetting, stuck, power_cycle; /* a reset of the device is under way */
	atomic_bool gone, stopped, hot;
	uint64_t time_zero;
	struct fault storm;
	struct {
		uint32_t offset, value;
	} lie[BOARD_LIES];
	uint32_t lies;
	uint64_t storm_next;
	struct pci pci;
	struct irq irq;
	struct bus bus;
	struct faults faults;
	struct bank bank[SHELL_BANKS_MAX];
	struct unit unit[SHELL_UNITS_MAX];
	_Atomic uint64_t jobs, failed, busy_ns, register_reads, register_writes;
};

static inline uint32_t *board_reg(struct board *board, uint32_t offset)
{
	return &board->page[offset / 4];
}

uint64_t board_time(const struct board *board);

/* registers.c; with board.lock held */
void registers_init(struct board *board); /* what never changes */
void registers_reset(struct board *board);
void registers_cause(struct board *board, uint32_t bits);
bool board_may_run(const struct board *board);
/* Keeps the first error; takes board.lock. */
void board_error(struct board *board, enum shell_error cause, uint32_t unit, uint32_t info,
		 uint64_t address, uint64_t sequence);
void registers_error(struct board *board, enum shell_error cause, uint32_t unit, uint32_t info,
		     uint64_t address, uint64_t sequence);
void registers_sensor(struct board *board, uint32_t sensor, int32_t value);
bool registers_past_limit(const struct board *board, uint32_t sensor);

/* board.c; with board.lock held: asks for a reset of the device */
void board_reset(struct board *board);
void board_power_cycle(struct board *board);

#endif
