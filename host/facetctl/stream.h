/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolling many vectors: chunks of a file, several on their way at once. A chunk that the daemon
 * puts off (OVERLOADED, UNAVAILABLE) is sent again with the same idempotency key, so that nothing
 * is enrolled twice.
 */
#ifndef FACET_FACETCTL_STREAM_H
#define FACET_FACETCTL_STREAM_H

#include "host/facetctl/ctl.h"
#include "host/facetctl/vectors.h"

#define STREAM_CHUNK	 1000u
#define STREAM_IN_FLIGHT 8u

/* labels: a subject a vector. CTL_OK or, after printing why, CTL_ERROR; *done counts what is
 * durable either way. */
int stream_enrol(struct ctl *ctl, const char *gallery, const struct vectors *vectors,
		 const char *const *labels, uint64_t *done);

#endif
