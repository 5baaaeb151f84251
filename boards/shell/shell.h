/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The Facet PCI shell, version 1: registers of BAR 0. docs/shell.md is the text to this header:
 * sequences, orders, what must hold when. Structures in memory are in ring.h, the ops and their
 * arguments in kernels.h.
 *
 * Registers are 32 bits wide at multiples of 4 and little-endian; any other access is refused
 * (reads ~0, changes nothing, counts in SHELL_ERR_COUNT). A 64-bit quantity is two of them, _LO
 * then _HI; one that moves is read HI, LO, HI until both HI agree. Registers not named here read 0
 * and ignore writes. RO, RW: as usual. W1C: writing 1 clears.
 */
#ifndef FACET_BOARDS_SHELL_SHELL_H
#define FACET_BOARDS_SHELL_SHELL_H

#include "types.h"

/* Made up: not assigned by the PCI-SIG to anyone that we know of, nor to us. */
#define SHELL_PCI_VENDOR 0xfac7
#define SHELL_PCI_DEVICE 0x0001
#define SHELL_PCI_CLASS	 0x120000 /* processing accelerator */
#define SHELL_PCI_BAR	 0
#define SHELL_BAR_BYTES	 0x10000 /* of BAR 0 at least; the MSI-X table lies elsewhere */

#define SHELL_MAGIC	    0x54454346u /* "FCET" */
#define SHELL_VERSION_MAJOR 1u
#define SHELL_VERSION_MINOR 0u
#define SHELL_GONE	    0xffffffffu /* what every register reads when the board is gone */

/* ---- identity, all RO but the last three --------------------------------------------------- */
#define SHELL_R_MAGIC	     0x000
#define SHELL_R_VERSION	     0x004 /* major << 16 | minor */
#define SHELL_R_KIND	     0x008 /* enum shell_kind */
#define SHELL_R_COUNTS	     0x00c /* units | banks << 8 | sensors << 16 | vectors << 24 */
#define SHELL_R_UNIT_TABLE   0x010 /* offset in bits 19:0, stride in bits 31:20 */
#define SHELL_R_BANK_TABLE   0x014
#define SHELL_R_SENSOR_TABLE 0x018
#define SHELL_R_LIMITS	     0x01c /* log2: ring | SG entries << 8 | job bytes << 16 | align << 24 */
#define SHELL_R_CAPS	     0x020 /* SHELL_CAP_*: what a driver may use */
#define SHELL_R_DEMANDS	     0x024 /* SHELL_DEMAND_*: what a driver must know */
#define SHELL_R_ADDRESS_BITS 0x028 /* of a host address that the board can drive, 32 .. 64 */
#define SHELL_R_IMAGE_DATE   0x02c /* seconds since 1970, 0: unknown */
#define SHELL_R_SERIAL_LO    0x030
#define SHELL_R_SERIAL_HI    0x034
#define SHELL_R_TIME_HZ	     0x038 /* of the counter below */
#define SHELL_R_IMAGE_HASH   0x040 /* 32 bytes, BLAKE2b-256 of the image file, first byte lowest */
#define SHELL_R_BOARD_NAME   0x060 /* 32 bytes, ASCII, padded with 0 */
#define SHELL_R_IMAGE_NAME   0x080 /* 32 bytes, ASCII, padded with 0 */
#define SHELL_R_TIME_LO	     0x0a0 /* counts from power-on, never set back */
#define SHELL_R_TIME_HI	     0x0a4
#define SHELL_R_FEATURES     0x0b0 /* RW: the caps the driver uses; bits not in CAPS stay 0 */
#define SHELL_R_SCRATCH	     0x0b4 /* RW, no effect, 0 after reset */

#define SHELL_UNITS_MAX	  31u
#define SHELL_BANKS_MAX	  64u
#define SHELL_SENSORS_MAX 32u
#define SHELL_VECTORS_MAX 32u

#define SHELL_COUNTS_UNITS(v)	((v)&0xffu)
#define SHELL_COUNTS_BANKS(v)	((v) >> 8 & 0xffu)
#define SHELL_COUNTS_SENSORS(v) ((v) >> 16 & 0xffu)
#define SHELL_COUNTS_VECTORS(v) ((v) >> 24 & 0xffu)

#define SHELL_TABLE_OFFSET(v) ((v)&0xfffffu)
#define SHELL_TABLE_STRIDE(v) ((v) >> 20 & 0xfffu)

#define SHELL_LIMITS_RING(v)  ((v)&0xffu)	  /* log2 of the most entries of a ring */
#define SHELL_LIMITS_SG(v)    ((v) >> 8 & 0xffu)  /* of the most SG entries of an operand */
#define SHELL_LIMITS_JOB(v)   ((v) >> 16 & 0xffu) /* of the most bytes of a job block */
#define SHELL_LIMITS_ALIGN(v) ((v) >> 24 & 0xffu) /* of the alignment of an address in a bank */

/* Which table of time limits fits: a model or a simulation is slower than silicon. */
enum shell_kind { SHELL_KIND_SILICON = 0, SHELL_KIND_BRINGUP = 1, SHELL_KIND_MODEL = 2 };

#define SHELL_CAP_UNIT_RESET  (1u << 0) /* units can be reset alone */
#define SHELL_CAP_MODERATION  (1u << 1) /* SHELL_U_MODERATION works */
#define SHELL_CAP_MEMORY_KEPT (1u << 2) /* banks keep their contents over a device reset */
#define SHELL_CAP_CHECKSUM    (1u << 3) /* conv2d and gemm write chk */
#define SHELL_CAP_HOST_DATA   (1u << 4) /* operands of compute ops may lie in host memory */
#define SHELL_CAP_ECC	      (1u << 5) /* bank error counters count */
#define SHELL_CAP_PROGRESS    (1u << 6) /* SHELL_U_PROGRESS moves while a job does */
#define SHELL_CAPS_KNOWN      0x7fu

/* Version 1.0 has none: a driver refuses a board that sets a bit it does not know. */
#define SHELL_DEMANDS_KNOWN 0u

/* ---- control ------------------------------------------------------------------------------- */
#define SHELL_R_CONTROL 0x100 /* RW, SHELL_CONTROL_* */
#define SHELL_R_STATUS	0x104 /* RO, SHELL_STATUS_* */
#define SHELL_R_RESETS	0x108 /* RO, device resets since power-on */
#define SHELL_R_LINK                                                                               \
	0x10c /* RO, generation | lanes << 8 | best generation << 16 | best lanes << 24 */
#define SHELL_R_INT_CAUSE  0x120 /* W1C, SHELL_INT_* */
#define SHELL_R_INT_MASK   0x124 /* RW, 1: raises no interrupt; all ones after reset */
#define SHELL_R_INT_TEST   0x128 /* WO, raises the MSI-X vector that is written */
#define SHELL_R_INT_VECTOR 0x12c /* RW, vector of SHELL_R_INT_CAUSE, 0 after reset */

#define SHELL_CONTROL_ENABLE  (1u << 0) /* units may run and the board may use the bus */
#define SHELL_CONTROL_RESET   (1u << 1) /* write 1; reads 1 until the reset is over */
#define SHELL_CONTROL_QUIESCE (1u << 2) /* finish the jobs begun, begin none */

/* Bit 31 is never set, here and in SHELL_U_STATUS, so that a board that is gone is not mistaken. */
#define SHELL_STATUS_READY (1u << 0) /* banks are calibrated; nothing works before */
#define SHELL_STATUS_QUIET (1u << 1) /* no job in work, nothing of the board's on the bus */
#define SHELL_STATUS_FAULT (1u << 2) /* only a device reset helps */
#define SHELL_STATUS_HOT   (1u << 3) /* a sensor is past its warning: slowed down */
#define SHELL_STATUS_STOPPED                                                                       \
	(1u << 4) /* a sensor was past its limit: no job is begun until reset */

#define SHELL_INT_ERROR	 (1u << 0) /* SHELL_R_ERR_* holds something new */
#define SHELL_INT_UNIT	 (1u << 1) /* a unit stopped: SHELL_U_STATUS */
#define SHELL_INT_SENSOR (1u << 2) /* a sensor crossed a limit, either way */
#define SHELL_INT_LINK	 (1u << 3) /* the link was retrained to another speed or width */
#define SHELL_INT_KNOWN	 0xfu

/* ---- errors: the first since the last ack is kept, later ones are counted ------------------- */
#define SHELL_R_ERR_COUNT   0x140 /* RO, all errors since power-on */
#define SHELL_R_ERR_CAUSE   0x144 /* RO, enum shell_error */
#define SHELL_R_ERR_UNIT    0x148 /* RO, 0xffffffff: none */
#define SHELL_R_ERR_INFO    0x14c /* RO, by cause */
#define SHELL_R_ERR_ADDR_LO 0x150 /* RO, bus or bank address, or register */
#define SHELL_R_ERR_ADDR_HI 0x154
#define SHELL_R_ERR_JOB_LO  0x158 /* RO, sequence of the job, 0: none */
#define SHELL_R_ERR_JOB_HI  0x15c
#define SHELL_R_ERR_ACK	    0x160 /* WO, any value: the next error may be kept */

enum shell_error {
	SHELL_ERROR_NONE = 0,
	SHELL_ERROR_ACCESS = 1, /* a register access that is not 32 bits aligned; info: its size */
	SHELL_ERROR_BUS_READ = 2,  /* the host did not answer a read */
	SHELL_ERROR_BUS_WRITE = 3, /* the host refused a write */
	SHELL_ERROR_RING =
		4, /* ring or completion registers make no sense; info: enum shell_stop */
	SHELL_ERROR_BANK = 5,	/* an access past a bank's end; info: bank */
	SHELL_ERROR_ECC = 6,	/* memory error that could not be corrected; info: bank */
	SHELL_ERROR_SENSOR = 7, /* past its limit; info: sensor */
	SHELL_ERROR_UNIT = 8,	/* a unit's own watchdog or assertion; info: its code */
	SHELL_ERROR_VECTOR = 9	/* an interrupt for a vector that does not exist; info: vector */
};

/* Totals since power-on, RO. */
#define SHELL_R_READ_BYTES_LO  0x180 /* from the host */
#define SHELL_R_READ_BYTES_HI  0x184
#define SHELL_R_WRITE_BYTES_LO 0x188 /* to the host */
#define SHELL_R_WRITE_BYTES_HI 0x18c

/* ---- units: at UNIT_TABLE.offset + unit * stride ---------------------------------------------- */
#define SHELL_U_VERSION	   0x00 /* RO, of its kernels: major << 16 | minor */
#define SHELL_U_KIND	   0x04 /* RO, enum shell_unit */
#define SHELL_U_OPS_LO	   0x08 /* RO, bit (1 << enum shell_op) */
#define SHELL_U_OPS_HI	   0x0c
#define SHELL_U_BANKS_LO   0x10 /* RO, bit (1 << bank) that it reaches */
#define SHELL_U_BANKS_HI   0x14
#define SHELL_U_CLOCK_KHZ  0x18 /* RO */
#define SHELL_U_MACS	   0x1c /* RO, int8 products a clock, 0: none */
#define SHELL_U_CONTROL	   0x20 /* RW, SHELL_CONTROL_* */
#define SHELL_U_STATUS	   0x24 /* RO, SHELL_USTATUS_* */
#define SHELL_U_STOP	   0x28 /* RO, enum shell_stop */
#define SHELL_U_RESETS	   0x2c /* RO, since power-on, of the unit or the device */
#define SHELL_U_RING_LO	   0x30 /* RW, bus address, 64-byte aligned */
#define SHELL_U_RING_HI	   0x34
#define SHELL_U_DONE_LO	   0x38 /* RW, bus address of the completion ring, 64-byte aligned */
#define SHELL_U_DONE_HI	   0x3c
#define SHELL_U_RING_LOG2  0x40 /* RW, entries of both rings, 1 .. SHELL_LIMITS_RING */
#define SHELL_U_TAIL	   0x44 /* RW, the doorbell: entries ever written, modulo 2^32 */
#define SHELL_U_HEAD	   0x48 /* RO, entries ever completed, modulo 2^32 */
#define SHELL_U_VECTOR	   0x4c /* RW, MSI-X vector; SHELL_VECTOR_NONE after reset */
#define SHELL_U_MODERATION 0x50 /* RW, completions 15:0, microseconds 31:16: whichever is first */
#define SHELL_U_PROGRESS   0x54 /* RO, moves while a job gets on; its value means nothing */
#define SHELL_U_LAST_LO	   0x58 /* RO, sequence of the job last completed, 0: none since reset */
#define SHELL_U_LAST_HI	   0x5c
#define SHELL_U_CURRENT_LO 0x60 /* RO, sequence of the job in work, 0: none */
#define SHELL_U_CURRENT_HI 0x64
#define SHELL_U_IRQS	   0x68 /* RO, interrupts raised since power-on */
#define SHELL_U_NAME	   0x70 /* RO, 16 bytes, ASCII, padded with 0 */
#define SHELL_UNIT_BYTES   0x80 /* of what is defined here; the stride is at least that */

#define SHELL_VECTOR_NONE 0xffffffffu

enum shell_unit { SHELL_UNIT_COMPUTE = 0, SHELL_UNIT_DMA = 1 };

#define SHELL_USTATUS_BUSY    (1u << 0) /* a job is in work */
#define SHELL_USTATUS_STOPPED (1u << 1) /* SHELL_U_STOP says why; only a reset helps */
#define SHELL_USTATUS_QUIET   (1u << 2) /* nothing in work, nothing of the unit's on the bus */

/* Why a unit stopped. A bad job does not stop it; a ring that cannot be trusted does. */
enum shell_stop {
	SHELL_STOP_NONE = 0,
	SHELL_STOP_RING_SIZE = 1,  /* RING_LOG2 is 0 or past the limit */
	SHELL_STOP_RING_ALIGN = 2, /* ring or completion ring is not 64-byte aligned */
	SHELL_STOP_TAIL = 3,	   /* TAIL is more than the ring's entries past HEAD */
	SHELL_STOP_FETCH = 4,	   /* an entry could not be read */
	SHELL_STOP_COMPLETE = 5,   /* a completion could not be written */
	SHELL_STOP_SEQUENCE = 6,   /* an entry whose sequence is not above the one before */
	SHELL_STOP_INTERNAL = 7	   /* the unit's own fault */
};

/* ---- banks: at BANK_TABLE.offset + bank * stride, all RO -------------------------------------- */
#define SHELL_B_KIND	  0x00 /* enum shell_bank */
#define SHELL_B_CHANNELS  0x04 /* memory channels that are interleaved in it */
#define SHELL_B_SIZE_LO	  0x08
#define SHELL_B_SIZE_HI	  0x0c
#define SHELL_B_RATE	  0x10 /* peak, in units of 2^20 bytes a second */
#define SHELL_B_STATUS	  0x14 /* SHELL_BSTATUS_* */
#define SHELL_B_CORRECTED 0x18 /* memory errors corrected since power-on */
#define SHELL_B_LOST	  0x1c /* memory errors not corrected */
#define SHELL_B_NAME	  0x20 /* 16 bytes, ASCII, padded with 0 */
#define SHELL_BANK_BYTES  0x30

enum shell_bank { SHELL_BANK_DDR = 0, SHELL_BANK_HBM = 1, SHELL_BANK_ONCHIP = 2 };

#define SHELL_BSTATUS_READY (1u << 0) /* calibrated */

/* ---- sensors: at SENSOR_TABLE.offset + sensor * stride, all RO -------------------------------- */
#define SHELL_S_KIND	   0x00 /* enum shell_sensor */
#define SHELL_S_STATUS	   0x04 /* SHELL_SSTATUS_* */
#define SHELL_S_VALUE	   0x08 /* int32 */
#define SHELL_S_LOW	   0x0c /* int32, alarm below it; INT32_MIN: none */
#define SHELL_S_WARN	   0x10 /* int32, STATUS_HOT at and above it; INT32_MAX: none */
#define SHELL_S_LIMIT	   0x14 /* int32, STATUS_STOPPED at and above it; INT32_MAX: none */
#define SHELL_S_NAME	   0x20 /* 16 bytes, ASCII, padded with 0 */
#define SHELL_SENSOR_BYTES 0x30

enum shell_sensor {
	SHELL_SENSOR_TEMPERATURE = 0, /* thousandths of a degree Celsius */
	SHELL_SENSOR_VOLTAGE = 1,     /* millivolts */
	SHELL_SENSOR_CURRENT = 2,     /* milliamperes */
	SHELL_SENSOR_POWER = 3,	      /* milliwatts */
	SHELL_SENSOR_FAN = 4	      /* turns a minute */
};

#define SHELL_SSTATUS_VALID (1u << 0)
#define SHELL_SSTATUS_LOW   (1u << 1)
#define SHELL_SSTATUS_WARN  (1u << 2)
#define SHELL_SSTATUS_LIMIT (1u << 3)

#endif
