/* SPDX-License-Identifier: Apache-2.0 */
/* Inside libfacet-face: similarities between point sets, and warping by them. */
#ifndef FACET_HOST_FACE_ALIGN_H
#define FACET_HOST_FACE_ALIGN_H

#include "host/face/face.h"

/* x' = a x - b y + tx, y' = b x + a y + ty */
struct face_similarity {
	double a, b, tx, ty;
};

/*
 * The similarity that brings `from` closest to `to` (least sum of squares; Umeyama 1991 without
 * reflections, in two dimensions a closed form). Double precision, in a fixed order of operations.
 * -EINVAL where points fall together or are not finite.
 */
int face_similarity_fit(const struct facet_face_point *from, const struct facet_face_point *to,
			uint32_t count, struct face_similarity *fit);
int face_similarity_invert(const struct face_similarity *in, struct face_similarity *out);

/* size x size pixels: out(u, v) = image(map(u, v)); black outside. -EINVAL, -ENOMEM. */
int face_warp(const struct facet_face_image *image, const struct face_similarity *map,
	      uint32_t size, uint8_t *out);

/* The five points of the 68. */
void face_points_from_landmarks(struct facet_face *face);

/* Sets quality and its parts from score, points and image; -EINVAL, -ENOMEM. */
int face_quality_measure(const struct facet_face_image *image, struct facet_face *face);
/* Of a grey image, the variance of |4 p - neighbours| over the inner pixels, floor. */
uint32_t face_laplacian_variance(const uint8_t *grey, uint32_t width, uint32_t height);

#endif
