/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's metrics as values that can be asked for; two of them give rates. */
#ifndef FACET_FACETCTL_SCRAPE_H
#define FACET_FACETCTL_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>

struct scrape;
/* Of Prometheus text; lines that are none are left out. NULL: no memory. */
struct scrape *scrape_parse(const char *text);
void scrape_free(struct scrape *scrape);

/* The sum of all samples of that name that have these labels: pairs of name and value, NULL ends. */
double scrape_sum(const struct scrape *scrape, const char *name, const char *const *labels);
/* The value of a label in the n-th sample of that name, counted over different values; NULL past the
 * last. */
const char *scrape_label(const struct scrape *scrape, const char *name, const char *label,
			 size_t n);
/* Seconds below which this share of a histogram's samples lies that came between two scrapes; 0: none
 * came. name is without _bucket; before may be NULL. */
double scrape_quantile(const struct scrape *now, const struct scrape *before, const char *name,
		       const char *const *labels, double share);

#endif
