/* SPDX-License-Identifier: Apache-2.0 */
/* Images and files for the tests, made on the spot. */
#ifndef FACET_TESTS_FACE_MAKE_H
#define FACET_TESTS_FACE_MAKE_H

#include <stddef.h>
#include <stdint.h>
#include "host/face/face.h"

struct blob {
	uint8_t *data;
	size_t bytes;
};

uint64_t make_random(uint64_t *state); /* SplitMix64 */

/* Smooth where noise is 0; each pixel then gets up to that much of it. */
struct facet_face_image make_image(uint32_t width, uint32_t height, uint32_t noise, uint64_t seed);

/* components 1 grey, 3 RGB, 4 CMYK (as given, with Adobe's marker); exif: an orientation or 0. */
struct blob make_jpeg(const uint8_t *pixels, uint32_t width, uint32_t height, int components,
		      int progressive, int exif);

/* type is a PNG_COLOR_TYPE; rows hold pixels of that type and depth. Palette: 256 given colours. */
struct png_kind {
	int type, depth, interlaced, exif;
	const uint8_t *palette; /* [256][3] */
	const uint8_t *alpha;	/* [256], of the palette */
};
struct blob make_png(const uint8_t *rows, uint32_t width, uint32_t height, struct png_kind kind);
/* Writes extents and their checksum into a PNG's header. */
void make_png_extents(struct blob *png, uint32_t width, uint32_t height);

uint64_t make_hash(const void *data, size_t bytes); /* FNV-1a */

#endif
