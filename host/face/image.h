/* SPDX-License-Identifier: Apache-2.0 */
/* Inside libfacet-face: what the decoders share, and the sampling of pixels in integers. */
#ifndef FACET_HOST_FACE_IMAGE_H
#define FACET_HOST_FACE_IMAGE_H

#include "host/face/face.h"

/* Writes one line and returns the error. */
int face_fail(char text[FACET_FACE_TEXT], int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Checks extents of a header: 0, or -EINVAL, -EFBIG with a text. */
int face_image_check(uint64_t width, uint64_t height, char text[FACET_FACE_TEXT]);

/* orientation: of EXIF, 1..8; 0 where the file has none. */
int face_jpeg_decode(const uint8_t *data, size_t bytes, struct facet_face_image *image,
		     int *orientation, char text[FACET_FACE_TEXT]);
int face_png_decode(const uint8_t *data, size_t bytes, struct facet_face_image *image,
		    int *orientation, char text[FACET_FACE_TEXT]);

/* Of an EXIF block that begins "Exif\0\0"; 0 if it is none or says nothing. */
int face_exif_orientation(const uint8_t *data, size_t bytes);
/* Turns the image upright, in place of the one given. */
int face_image_orient(struct facet_face_image *image, int orientation);

/*
 * A part of an image averaged over blocks of fx x fy pixels. Blocks are counted from the image's
 * corner; one cut by the image's right or lower edge is the mean of the pixels it has.
 */
struct face_blocks {
	const uint8_t *rgb; /* of block (left, top), rows of `stride` bytes */
	uint8_t *owned;	    /* to be freed; NULL where blocks are pixels */
	size_t stride;
	int32_t left, top; /* the part there is */
	int32_t right, bottom;
};

/* The blocks that cover the box (pixels, at least one of them inside the image). */
int face_blocks_make(const struct facet_face_image *image, struct facet_face_box box, uint32_t fx,
		     uint32_t fy, struct face_blocks *blocks);
void face_blocks_free(struct face_blocks *blocks);

/* Rounded mean of four values by a position's 16 bit fractions. */
static inline uint8_t face_lerp(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t fx,
				uint32_t fy)
{
	uint64_t upper = (uint64_t)a * (65536u - fx) + (uint64_t)b * fx;
	uint64_t lower = (uint64_t)c * (65536u - fx) + (uint64_t)d * fx;

	return (uint8_t)((upper * (65536u - fy) + lower * fy + (1ull << 31)) >> 32);
}

static inline uint8_t face_grey(const uint8_t rgb[3])
{
	return (uint8_t)((4899u * rgb[0] + 9617u * rgb[1] + 1868u * rgb[2] + 8192u) >> 14);
}

#endif
