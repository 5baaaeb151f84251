/* SPDX-License-Identifier: Apache-2.0 */
/* Inside libfacet-face: from the detector's anchors to boxes. */
#ifndef FACET_HOST_FACE_BOXES_H
#define FACET_HOST_FACE_BOXES_H

#include "host/face/face.h"

#define FACE_CANDIDATES 1024u /* the best anchors that are looked at */

struct face_found {
	float left, top, right, bottom; /* 0..1 of the image */
	float score;
	uint32_t anchor;
};

/*
 * Greedy non-maximum suppression: by score, then lower anchor; one that overlaps a better one kept
 * before by more than max_overlap (intersection over union) is dropped. scores [anchors][2]
 * (background, face), boxes [anchors][4] (corners, 0..1); an anchor with a value that is not finite,
 * or a box that is empty or beyond -1..2, is skipped. Returns how many are in kept, or -ENOMEM.
 */
int face_boxes_pick(const float *scores, const float *boxes, uint32_t anchors, float min_score,
		    float max_overlap, struct face_found *kept, uint32_t max);

#endif
