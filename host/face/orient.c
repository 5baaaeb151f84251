/* SPDX-License-Identifier: Apache-2.0 */
/* The EXIF orientation (Exif 2.32, tag 0x0112), read by libexif and applied. */
#include "host/face/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <libexif/exif-data.h>

int face_exif_orientation(const uint8_t *data, size_t bytes)
{
	int orientation = 0;
	ExifEntry *entry;
	ExifData *exif;

	if (bytes < 6 || memcmp(data, "Exif\0", 6) || !(exif = exif_data_new()))
		return 0;
	exif_data_unset_option(exif, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
	exif_data_load_data(exif, data, (unsigned int)bytes);
	entry = exif_data_get_entry(exif, EXIF_TAG_ORIENTATION);
	if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2)
		orientation = exif_get_short(entry->data, exif_data_get_byte_order(exif));
	exif_data_unref(exif);
	return orientation >= 1 && orientation <= 8 ? orientation : 0;
}

/* Where the pixel of the upright image comes from: the transposed one first, then mirrored. */
static const struct {
	bool transpose, mirror_x, mirror_y;
} turns[9] = {
	{false, false, false}, {false, false, false}, {false, true, false},
	{false, true, true},   {false, false, true},  {true, false, false},
	{true, false, true},   {true, true, true},    {true, true, false},
};

int face_image_orient(struct facet_face_image *image, int orientation)
{
	bool transpose = turns[orientation].transpose;
	uint32_t width = transpose ? image->height : image->width;
	uint32_t height = transpose ? image->width : image->height;
	struct facet_face_image out;
	uint8_t *to;
	int r;

	if (orientation <= 1)
		return 0;
	r = facet_face_image_create(width, height, &out);
	if (r < 0)
		return r;
	to = out.rgb;
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++, to += 3) {
			uint32_t from_x = transpose ? y : x, from_y = transpose ? x : y;

			if (turns[orientation].mirror_x)
				from_x = image->width - 1 - from_x;
			if (turns[orientation].mirror_y)
				from_y = image->height - 1 - from_y;
			memcpy(to, image->rgb + ((size_t)from_y * image->width + from_x) * 3, 3);
		}
	facet_face_image_free(image);
	*image = out;
	return 0;
}
