/* SPDX-License-Identifier: Apache-2.0 */
/* Image edits: mirrored, blurred and cut, as probes that are not the enrolled photo. */
#include "host/face/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RADIUS_MAX 500u

int facet_face_image_flip(const struct facet_face_image *in, struct facet_face_image *out)
{
	int r = facet_face_image_create(in->width, in->height, out);

	if (r < 0)
		return r;
	for (uint32_t y = 0; y < in->height; y++) {
		const uint8_t *from = in->rgb + (size_t)y * in->width * 3;
		uint8_t *to = out->rgb + (size_t)(y + 1) * in->width * 3;

		for (uint32_t x = 0; x < in->width; x++, from += 3)
			memcpy(to -= 3, from, 3);
	}
	return 0;
}

static uint32_t clamp(int64_t at, uint32_t count)
{
	return at < 0 ? 0 : at >= count ? count - 1 : (uint32_t)at;
}

static void add_row(const struct facet_face_image *in, int64_t y, uint32_t sign, uint32_t *column)
{
	const uint8_t *row = in->rgb + (size_t)clamp(y, in->height) * in->width * 3;

	for (size_t i = 0; i < (size_t)in->width * 3; i++)
		column[i] += sign * row[i];
}

/* A row of the result from the sums of its columns; sums fit: 1001^2 * 255 < 2^32. */
static void blur_row(const uint32_t *column, uint32_t width, uint32_t radius, uint8_t *out)
{
	uint32_t side = 2 * radius + 1, area = side * side;

	for (uint32_t c = 0; c < 3; c++) {
		uint32_t sum = 0;

		for (int64_t x = -(int64_t)radius; x <= (int64_t)radius; x++)
			sum += column[clamp(x, width) * 3 + c];
		for (int64_t x = 0; x < width; x++) {
			out[x * 3 + c] = (uint8_t)((sum + area / 2) / area);
			sum -= column[clamp(x - radius, width) * 3 + c];
			sum += column[clamp(x + radius + 1, width) * 3 + c];
		}
	}
}

int facet_face_image_blur(const struct facet_face_image *in, uint32_t radius,
			  struct facet_face_image *out)
{
	uint32_t *column;
	int r;

	if (radius > RADIUS_MAX)
		return -EINVAL;
	r = facet_face_image_create(in->width, in->height, out);
	if (r < 0)
		return r;
	column = calloc((size_t)in->width * 3, sizeof(*column));
	if (!column) {
		facet_face_image_free(out);
		return -ENOMEM;
	}
	for (int64_t y = -(int64_t)radius; y <= (int64_t)radius; y++)
		add_row(in, y, 1, column);
	for (int64_t y = 0; y < in->height; y++) {
		blur_row(column, in->width, radius, out->rgb + (size_t)y * in->width * 3);
		add_row(in, y - radius, (uint32_t)-1, column);
		add_row(in, y + radius + 1, 1, column);
	}
	free(column);
	return 0;
}

int facet_face_image_crop(const struct facet_face_image *in, struct facet_face_box box,
			  struct facet_face_image *out)
{
	int64_t left = box.left > 0 ? box.left : 0, top = box.top > 0 ? box.top : 0;
	int64_t right = box.right < (int64_t)in->width ? box.right : (int64_t)in->width;
	int64_t bottom = box.bottom < (int64_t)in->height ? box.bottom : (int64_t)in->height;
	int r;

	if (left >= right || top >= bottom)
		return -EINVAL;
	r = facet_face_image_create((uint32_t)(right - left), (uint32_t)(bottom - top), out);
	if (r < 0)
		return r;
	for (int64_t y = top; y < bottom; y++)
		memcpy(out->rgb + (size_t)(y - top) * out->width * 3,
		       in->rgb + ((size_t)y * in->width + (size_t)left) * 3,
		       (size_t)out->width * 3);
	return 0;
}
