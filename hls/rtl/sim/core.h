/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search core of hls/rtl, clock by clock, with a memory behind its port whose behaviour is stated.
 * The Verilog is translated by Verilator; nothing here computes what the core computes.
 */
#ifndef FACET_HLS_RTL_SIM_CORE_H
#define FACET_HLS_RTL_SIM_CORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CORE_CONTROL	0x00 /* bit 0 start, 1 done (reading clears it), 2 idle */
#define CORE_IRQ_GLOBAL 0x04
#define CORE_IRQ_ENABLE 0x08
#define CORE_IRQ_STATUS 0x0c /* writing 1 toggles */
#define CORE_QUERIES	0x10 /* 64 bits: 8 bytes from here */
#define CORE_TILES_AT	0x1c
#define CORE_RESULTS	0x28
#define CORE_DIM	0x34
#define CORE_TILES	0x3c
#define CORE_ROWS	0x44
#define CORE_K		0x4c
#define CORE_LIMIT	0x54 /* + 8 a query */
#define CORE_IDENTITY	0xa0
#define CORE_SHAPE	0xa4 /* queries | k << 8 | lines a burst << 16 | log2 of the buffer << 24 */
#define CORE_STATUS	0xc0
#define CORE_CLOCKS	0xc4 /* 64 bits */
#define CORE_STALLED	0xcc
#define CORE_STARVED	0xd0
#define CORE_PASSED	0xe0 /* + 4 a query */

#define CORE_IS	    0x46534331u
#define CORE_NO_ROW UINT32_MAX
#define CORE_NO_DOT INT32_MIN
#define CORE_DONE   0u
#define CORE_BAD    1u
#define CORE_FAILED 2u
#define CORE_LINE   64u /* bytes a clock */

struct core_memory {
	uint32_t latency;			/* clocks from a read to its first line, >= 1 */
	uint32_t rate_num, rate_den;		/* lines a clock that it delivers at best, <= 1 */
	uint32_t refresh_every, refresh_clocks; /* no line for so long, so often; 0: never */
	uint32_t refuse; /* of 256: at random not ready for an address, data, or with an answer */
	uint64_t seed;
	void *context;
	/* Of whole lines; nonzero: answered with an error. */
	int (*read)(void *context, uint64_t addr, void *to, size_t bytes);
	int (*write)(void *context, uint64_t addr, const void *from, size_t bytes);
};

struct core_counts {
	uint64_t clocks; /* since it was opened */
	uint64_t bursts, lines_read, lines_written;
	uint64_t in_flight_max; /* lines asked for and not delivered */
	uint64_t breaches;	/* of the bus's rules: see breach */
	const char *breach;	/* the first, or NULL */
};

struct core *core_open(const struct core_memory *memory); /* NULL: no memory */
void core_close(struct core *core);
void core_write(struct core *core, uint32_t offset, uint32_t value);
uint32_t core_read(struct core *core, uint32_t offset);
/* Clocks it until it raises its interrupt; -1 if that does not come within so many. */
int core_wait(struct core *core, uint64_t clocks_max);
void core_clock(struct core *core, uint64_t clocks);
struct core_counts core_counts(const struct core *core);

#ifdef __cplusplus
}
#endif
#endif
