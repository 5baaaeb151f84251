/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of the daemon, numbered. The CPU is number 0 and always there; boards come and go, each
 * in the place it was given at start. Control thread only.
 *
 * Whether a device may get work, and what a failure on it means for that, is asked and told here and
 * nowhere else: fleet_works() and fleet_over().
 */
#ifndef FACET_DAEMON_JOB_FLEET_H
#define FACET_DAEMON_JOB_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/device/device.h"

#define FLEET_MAX  16u
#define FLEET_NAME 64
#define FLEET_TEXT 200
#define FLEET_CPU  0u

enum fleet_state {
	FLEET_OPENING, /* being looked for; gets no work yet */
	FLEET_OPEN,
	FLEET_ABSENT, /* could not be opened: text says why */
	FLEET_LOST,   /* it was there and is gone, or a reset failed */
	FLEET_RESETTING,
	FLEET_CLOSING,
	FLEET_REMOVED, /* closed on request */
};

struct metrics_device;
struct health;
struct board;

struct fleet_device {
	char name[FLEET_NAME + 1];
	char kind[16];
	uint32_t index;
	struct device *device; /* NULL unless it was opened */
	struct device_caps caps;
	enum fleet_state state;
	bool drained;	/* on request: no new work */
	bool preferred; /* whatever it was measured to cost */
	char text[FLEET_TEXT];
	/* batches of this daemon on it: slices of passes and loads of galleries */
	uint32_t in_flight;
	uint64_t expected_ns;		/* that they will take, those not yet over */
	uint64_t busy_since_ns;		/* the oldest of them was begun */
	struct metrics_device *metrics; /* NULL: nothing is counted */
	struct health *health;		/* NULL: it is trusted, as the CPU is */
	struct board *board;		/* NULL: the CPU (boards.h) */
	uint32_t placed; /* plans of models and operands of raw kernels on it, or on their way */
	uint64_t placed_bytes; /* that those take */
	/* totals */
	uint64_t slices, failed, repeated, busy_ns;
	struct device_stats asked; /* of the open device, as it said last */
};

struct fleet {
	struct fleet_device device[FLEET_MAX];
	uint32_t count;
};

/* A place for a device of this name; NULL: there are FLEET_MAX. */
struct fleet_device *fleet_add(struct fleet *fleet, const char *name, const char *kind);
struct fleet_device *fleet_find(struct fleet *fleet, const char *name);
/* The device was opened. */
void fleet_opened(struct fleet_device *device, struct device *opened);
/* Into its metrics what it counts itself; before it is closed, too. */
void fleet_ask(struct fleet_device *device);
const char *fleet_state_name(const struct fleet_device *device);

/* May it get work? */
bool fleet_works(const struct fleet_device *device);
/* A batch was given to it, that is expected to take so long. */
void fleet_begin(struct fleet_device *device, uint64_t now_ns, uint64_t expected_ns);
/* That batch is over: error as in device_batch, or -EBADMSG for an answer that was found wrong. */
void fleet_over(struct fleet_device *device, uint64_t now_ns, uint64_t expected_ns,
		uint64_t device_ns, int error);
/* What an end means for the device's health, where that is not fleet_over()'s to say: an answer that was
 * checked later. */
void fleet_judge(struct fleet_device *device, int error, uint64_t now_ns);
/* Did a batch that ended so lose or spoil what lies on the device, so that it must be made anew? */
bool fleet_lost(int error);
/* How long a batch given to it now would wait. */
uint64_t fleet_backlog_ns(const struct fleet_device *device, uint64_t now_ns);

#endif
