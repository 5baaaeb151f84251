/* SPDX-License-Identifier: Apache-2.0 */
/* Inside libfacet-face: text in pixels. */
#ifndef FACET_HOST_FACE_FONT_H
#define FACET_HOST_FACE_FONT_H

#include "host/face/face.h"

#define FACE_FONT_WIDTH	 6u /* of a letter with its gap, pixels */
#define FACE_FONT_HEIGHT 7u

/* Draws as many letters as fit into width pixels; clipped to the image. */
void face_font_draw(struct facet_face_image *image, uint32_t x, uint32_t y, uint32_t width,
		    uint32_t scale, const uint8_t rgb[3], const char *text);

#endif
