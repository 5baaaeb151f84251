/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that wraps another and does what broken boards do, on purpose and counted.
 *
 * It shows itself as a board: it never reads host memory, so rows of a search are its own copy, and
 * imported memory is read once a batch and written back at its end. A flipped bit is therefore a
 * flip in what the device sees, never in the memory of a client or in the host's rows.
 *
 * What it does is a text:
 *
 *   SPEC  = [FAULT {";" FAULT}]         nothing: it does what the inner device does; a space parts
 *                                       faults too
 *   FAULT = KIND [":" KEY "=" VALUE {"," KEY "=" VALUE}]
 *
 *   KIND       what happens                                                counted by default on
 *   fail       the batch ends with -EIO at the command                     all ops
 *   gone       -ENODEV, and so does all else from then on                  all ops
 *   delay      the command takes `ms` longer                               all ops
 *   hang       the command never ends: -ETIMEDOUT after reset(), or after
 *              `ms`; what was queued behind it ends with -ECANCELED        all ops
 *   flip-in    bits of an input (a query of a search) before the command   ops that compute
 *   flip-rows  bits of the device's copy of rows, before the search; they
 *              stay flipped until these tiles are loaded again             search
 *   flip-acc   bits of an accumulator, between the sum of products and the
 *              requantisation                                              conv2d, gemm
 *   flip-out   bits of the output (a hit of a search) after the command    ops that compute
 *
 *   KEY        value
 *   every      each Nth command of those that count; 1 unless there is a rate
 *   rate       a share of them at random: 0.001 or 1/1000
 *   after      the first N are spared
 *   limit      at most N times
 *   ops        names joined by "+": echo search conv2d gemm pool2d add table concat dequantize
 *              float strided join copy upload download load unload, or all, compute
 *   seed       of the random choices
 *   bits       flipped at a time, 1 .. 64, of one operand; 1
 *   ms         of a delay (10) or a hang (0: until reset)
 */
#ifndef FACET_DAEMON_DEVICE_FAULT_H
#define FACET_DAEMON_DEVICE_FAULT_H

#include "daemon/device/device.h"

enum fault_kind {
	FAULT_FAIL,
	FAULT_GONE,
	FAULT_DELAY,
	FAULT_HANG,
	FAULT_FLIP_IN,
	FAULT_FLIP_ROWS,
	FAULT_FLIP_ACC,
	FAULT_FLIP_OUT,
	FAULT_KINDS
};

struct fault_stats {
	uint64_t commands;		/* that were looked at */
	uint64_t injected[FAULT_KINDS]; /* times it really happened */
};

/* 0: *out is the device, which closes inner. -EINVAL: not a spec, and inner is left as it is. */
int fault_wrap(struct device *inner, const char *spec, struct device **out);
/* From the next command on; brings back a device that was gone. NULL is the empty spec. */
int fault_set(struct device *device, const char *spec);
/* Any thread. */
void fault_stats(const struct device *device, struct fault_stats *stats);
const char *fault_kind_name(enum fault_kind kind);

/* probe: wraps the device of kind config->select ("cpu" for NULL), with config->fault. */
extern const struct device_ops device_fault;

#endif
