/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job/mode.h"

#include <stdbool.h>

static enum mode best_of(const struct modes *modes)
{
	enum mode best = MODE_BOTH;

	for (enum mode m = MODE_CPU; m < MODE_COUNT; m++)
		if (modes->cost[m] < modes->cost[best])
			best = m;
	return best;
}

static uint32_t window_passes(const struct modes *modes)
{
	bool known = modes->cost[modes->mode] > 0;

	return known && modes->mode == best_of(modes) ? MODE_PASSES : MODE_TRIES;
}

/* Those that are not known come first, each of the others in its turn. */
static enum mode next_mode(struct modes *modes)
{
	enum mode best;

	for (enum mode m = MODE_BOTH; m < MODE_COUNT; m++)
		if (modes->cost[m] <= 0)
			return m;
	best = best_of(modes);
	if (++modes->windows < MODE_WINDOWS)
		return best;
	modes->windows = 0;
	do {
		modes->tried = (modes->tried + 1) % MODE_COUNT;
	} while (modes->tried == best);
	return modes->tried;
}

static void window_over(struct modes *modes)
{
	double cost = (double)modes->busy_ns / modes->work;
	double *smooth = &modes->cost[modes->mode];

	*smooth = *smooth > 0 ? (*smooth + cost) / 2 : cost;
	modes->mode = next_mode(modes);
	modes->window++;
	modes->passes = 0;
	modes->busy_ns = 0;
	modes->work = 0;
}

uint32_t modes_begin(struct modes *modes, uint64_t now_ns)
{
	if (!modes->active++)
		modes->since_ns = now_ns;
	return modes->window;
}

void modes_end(struct modes *modes, uint32_t window, double work, uint64_t now_ns)
{
	modes->busy_ns += now_ns - modes->since_ns;
	modes->since_ns = now_ns;
	modes->active--;
	if (window != modes->window || work <= 0)
		return;
	modes->work += work;
	if (++modes->passes >= window_passes(modes))
		window_over(modes);
}
