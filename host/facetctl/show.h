/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that several commands print. */
#ifndef FACET_FACETCTL_SHOW_H
#define FACET_FACETCTL_SHOW_H

#include "host/facetctl/ctl.h"

struct json_object *show_model(const struct facet_model_info *model, bool whole);
struct json_object *show_gallery(const struct facet_gallery_info *gallery, bool whole);
void show_thresholds(struct json_object *row, const struct facet_space *space);
/* Bytes as people say them: 1.5 GiB. */
void show_bytes(struct json_object *row, const char *key, uint64_t bytes, bool exact);

#endif
