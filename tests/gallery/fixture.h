/* SPDX-License-Identifier: Apache-2.0 */
/* A gallery in a folder of its own, and requests that wait for their answer. */
#ifndef FACET_TESTS_GALLERY_FIXTURE_H
#define FACET_TESTS_GALLERY_FIXTURE_H

#include <check.h>

#include "daemon/gallery/gallery.h"

/* main() of a test program. With arguments the program is the checker that its galleries spawn, so
 * that a program is whole by itself. */
int fixture_main(int argc, char **argv, Suite *(*suite)(void));

struct fixture {
	char root[64];
	char checker[256];
	struct gallery_config config;
	struct gallery_spec spec;
	struct gallery *gallery;
};

/* A new root; no gallery yet. The spec is "bare", cosine, of this dimension. */
void fixture_init(struct fixture *fixture, uint32_t dim, enum search_metric metric);
void fixture_create(struct fixture *fixture);		  /* "staff", opened and ready */
enum gallery_state fixture_open(struct fixture *fixture); /* opens and waits for the outcome */
void fixture_close(struct fixture *fixture);
void fixture_free(struct fixture *fixture); /* closes, removes the root */

/* Submits and waits; returns request->error. */
int fixture_run(struct fixture *fixture, struct gallery_request *request);
/* done callback and its wait, for requests in flight. */
struct fixture_wait;
struct fixture_wait *fixture_wait_new(void);
void fixture_submit(struct fixture *fixture, struct gallery_request *request,
		    struct fixture_wait *wait);
void fixture_wait(struct fixture_wait *wait, uint32_t count); /* until so many were done */
bool fixture_wait_over(struct fixture_wait *wait);	      /* one was done */
void fixture_wait_free(struct fixture_wait *wait);

/* Enrols count vectors of seed under one subject; ids in and out (0: number it). */
int fixture_enrol(struct fixture *fixture, const char *subject, const float *vectors,
		  uint32_t count, uint64_t *ids);
int fixture_delete(struct fixture *fixture, uint64_t id);
/* The vector number i of a seed: reproducible, near unit length. */
void fixture_vector(uint32_t seed, uint64_t i, uint32_t dim, float *x);
/* The k best by the definition of search (ref_search), hits best first; returns their number. */
uint32_t fixture_search(struct fixture *fixture, const float *x, uint32_t k,
			struct search_hit *hits);
bool fixture_has(struct fixture *fixture, uint64_t id); /* a search over all finds the id */
void fixture_data_path(const struct fixture *fixture, char path[256]);

#endif
