/* SPDX-License-Identifier: Apache-2.0 */
/* The detection error trade-off as a picture: FNMR over FMR, both axes logarithmic. */
#ifndef FACET_FACETCTL_PLOT_H
#define FACET_FACETCTL_PLOT_H

#include <stdint.h>
#include "host/facetctl/roc.h"

struct plot_curve {
	const char *name;
	const struct roc *roc;
};

/* At most four curves; a PNG of 640 x 480. Negative errno. */
int plot_det(const char *path, const struct plot_curve *curves, uint32_t count);

#endif
