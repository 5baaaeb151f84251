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

/* A file of vectors and one of their subjects, a line each. */
struct stream_file {
	struct vectors vectors;
	const char **labels;
	char *block; /* what labels point into */
};

/* CTL_OK, or CTL_ERROR after printing why; then there is nothing to close. */
int stream_open(const char *vectors, const char *labels, struct stream_file *file);
void stream_close(struct stream_file *file);
/* CTL_OK or, after printing why, CTL_ERROR; *done counts what is durable either way. With --dry-run
 * nothing is sent. */
int stream_enrol(struct ctl *ctl, const char *gallery, const struct stream_file *file,
		 uint64_t *done);

#endif
