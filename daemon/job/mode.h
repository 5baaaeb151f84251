/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that work on the same processors as the CPU take from it what they give: together they may
 * be slower than one alone. So a gallery on such a device is searched by both, by the CPU or by the
 * device, whichever was measured to be fastest; now and then another way is tried again. Pure: it
 * reads no clock and owns no memory.
 */
#ifndef FACET_DAEMON_JOB_MODE_H
#define FACET_DAEMON_JOB_MODE_H

#include <stdint.h>

enum mode { MODE_BOTH, MODE_CPU, MODE_BOARD, MODE_COUNT };

#define MODE_PASSES  16u /* of a window, which has one mode */
#define MODE_TRIES   4u	 /* of one that tries another than the best, which may be far slower */
#define MODE_WINDOWS 64u /* of the best mode, between two that try another */

/* All zero at first. */
struct modes {
	enum mode mode; /* of the present window */
	uint32_t window;
	double cost[MODE_COUNT]; /* nanoseconds a unit of work, smoothed; 0: not known */
	/* the window's */
	uint32_t passes, active;
	uint64_t since_ns, busy_ns; /* since: when the first of those active began */
	double work;
	/* the search for the best */
	uint32_t windows; /* of the best, since another was tried */
	enum mode tried;  /* the last that was tried for its own sake */
};

/* A pass begins, in the present mode; its window is to be given to modes_end(). */
uint32_t modes_begin(struct modes *modes, uint64_t now_ns);
/* It has done so much work, 0: it was broken off. */
void modes_end(struct modes *modes, uint32_t window, double work, uint64_t now_ns);

#endif
