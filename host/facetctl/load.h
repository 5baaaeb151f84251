/* SPDX-License-Identifier: Apache-2.0 */
/* Load on the daemon: clients (connections) of one thread, each keeping some calls in flight. */
#ifndef FACET_FACETCTL_LOAD_H
#define FACET_FACETCTL_LOAD_H

#include "host/facetctl/ctl.h"

struct load {
	struct ctl *ctl;
	uint32_t clients, depth; /* calls in flight of each client */
	double seconds;
	/* Submits one call of client c on connection f; slot (0 .. clients * depth - 1) is where it may
	 * keep its results. The call's user pointer is the library's business: pass call on. */
	int (*submit)(void *context, struct facet *f, uint32_t slot, const struct facet_call *call);
	void *context;
};

struct load_result {
	uint64_t calls, failed;
	double seconds;
	double p50_us, p99_us; /* from submission to completion */
	double device_us;      /* mean device time a call, as the daemon states it */
};

/* CTL_OK, or CTL_ERROR after printing why. Failed calls that may be retried are counted; any other
 * failure ends it. */
int load_run(const struct load *load, struct load_result *result);

/* Numbers that look random and are the same everywhere. */
uint64_t load_random(uint64_t *state);
/* count unit vectors around seeded centres, several to a centre: identity-like. */
void load_vectors(uint64_t seed, uint64_t first, uint32_t count, uint32_t dim, float *x);

/* A gallery of rows such vectors named by the process, made and deleted by these two. */
int load_gallery(struct ctl *ctl, char name[65], uint64_t rows, uint32_t dim, bool originals);
void load_gallery_delete(struct ctl *ctl, const char *name);

#endif
