/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes stretched to a network's input: block means, then bilinear, in integers. */
#include "host/face/image.h"

#include <errno.h>
#include <stdlib.h>

#define TARGET_MAX 4096u

static int32_t clamp(int64_t v, int32_t low, int32_t high)
{
	return v < low ? low : v > high ? high : (int32_t)v;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The mean of block (bx, by), halves up. */
static void mean_block(const struct facet_face_image *image, uint32_t bx, uint32_t by, uint32_t fx,
		       uint32_t fy, uint8_t *out)
{
	uint32_t left = bx * fx, right = smaller(left + fx, image->width);
	uint32_t top = by * fy, bottom = smaller(top + fy, image->height);
	uint64_t sum[3] = {0}, count = (uint64_t)(right - left) * (bottom - top);

	for (uint32_t y = top; y < bottom; y++) {
		const uint8_t *p = image->rgb + ((size_t)y * image->width + left) * 3;

		for (uint32_t x = left; x < right; x++, p += 3) {
			sum[0] += p[0];
			sum[1] += p[1];
			sum[2] += p[2];
		}
	}
	for (int c = 0; c < 3; c++)
		out[c] = (uint8_t)((sum[c] + count / 2) / count);
}

int face_blocks_make(const struct facet_face_image *image, struct facet_face_box box, uint32_t fx,
		     uint32_t fy, struct face_blocks *blocks)
{
	int32_t across = (int32_t)((image->width + fx - 1) / fx);
	int32_t down = (int32_t)((image->height + fy - 1) / fy);
	uint8_t *out;

	/* One block more on each side, for the neighbours that bilinear sampling touches. */
	blocks->left = clamp(box.left / (int32_t)fx - 1, 0, across - 1);
	blocks->top = clamp(box.top / (int32_t)fy - 1, 0, down - 1);
	blocks->right = clamp((box.right - 1) / (int32_t)fx + 2, blocks->left + 1, across);
	blocks->bottom = clamp((box.bottom - 1) / (int32_t)fy + 2, blocks->top + 1, down);
	blocks->owned = NULL;
	if (fx == 1 && fy == 1) {
		blocks->stride = (size_t)image->width * 3;
		blocks->rgb = image->rgb + (size_t)blocks->top * blocks->stride +
			      (size_t)blocks->left * 3;
		return 0;
	}
	blocks->stride = (size_t)(blocks->right - blocks->left) * 3;
	out = malloc(blocks->stride * (size_t)(blocks->bottom - blocks->top));
	if (!out)
		return -ENOMEM;
	blocks->rgb = blocks->owned = out;
	for (int32_t y = blocks->top; y < blocks->bottom; y++)
		for (int32_t x = blocks->left; x < blocks->right; x++, out += 3)
			mean_block(image, (uint32_t)x, (uint32_t)y, fx, fy, out);
	return 0;
}

void face_blocks_free(struct face_blocks *blocks)
{
	free(blocks->owned);
}

/* Where an output column or row reads: two neighbours, as offsets into the blocks, and a fraction. */
struct tap {
	uint32_t first, second, fraction;
};

static void make_taps(struct tap *tap, uint32_t count, int32_t low, int32_t high, uint32_t f,
		      int32_t first, int32_t end)
{
	for (uint32_t i = 0; i < count; i++) {
		/* The middle of the target's pixel, in blocks of f pixels, 16.16. Division goes
		 * towards zero, but what lies left of the image reads its edge anyway. */
		int64_t twice = 2ll * low * count + (2ll * i + 1) * ((int64_t)high - low);
		int64_t at = twice * 65536 / (2ll * count * f) - 32768;

		tap[i].first = (uint32_t)(clamp(at >> 16, first, end - 1) - first);
		tap[i].second = (uint32_t)(clamp((at >> 16) + 1, first, end - 1) - first);
		tap[i].fraction = (uint32_t)(at & 0xffff);
	}
}

static void sample_row(const struct face_blocks *blocks, const struct tap *across, struct tap down,
		       uint32_t width, uint32_t channels, uint8_t *out)
{
	const uint8_t *upper = blocks->rgb + down.first * blocks->stride;
	const uint8_t *lower = blocks->rgb + down.second * blocks->stride;

	for (uint32_t x = 0; x < width; x++, out += channels) {
		size_t a = (size_t)across[x].first * 3, b = (size_t)across[x].second * 3;
		uint8_t rgb[3];

		for (int c = 0; c < 3; c++)
			rgb[c] = face_lerp(upper[a + c], upper[b + c], lower[a + c], lower[b + c],
					   across[x].fraction, down.fraction);
		if (channels == 1) {
			out[0] = face_grey(rgb);
			continue;
		}
		out[0] = rgb[0];
		out[1] = rgb[1];
		out[2] = rgb[2];
	}
}

/* Bounds that keep every product above within 63 bits. */
static bool box_fits(struct facet_face_box box)
{
	int32_t bound = 2 * (int32_t)FACET_FACE_MAX_SIDE;

	return box.left < box.right && box.top < box.bottom && box.left >= -bound &&
	       box.top >= -bound && box.right <= bound && box.bottom <= bound;
}

static uint32_t shrink(int32_t low, int32_t high, uint32_t target)
{
	uint32_t f = (uint32_t)(high - low) / target;

	return f ? f : 1;
}

int facet_face_image_resize(const struct facet_face_image *image, struct facet_face_box box,
			    uint32_t width, uint32_t height, uint32_t channels, uint8_t *out)
{
	struct face_blocks blocks;
	struct tap *across, *down;
	uint32_t fx, fy;
	int r;

	if (!image->rgb || !box_fits(box) || !width || !height || width > TARGET_MAX ||
	    height > TARGET_MAX || (channels != 1 && channels != 3))
		return -EINVAL;
	fx = shrink(box.left, box.right, width);
	fy = shrink(box.top, box.bottom, height);
	across = malloc(((size_t)width + height) * sizeof(*across));
	if (!across)
		return -ENOMEM;
	down = across + width;
	r = face_blocks_make(image, box, fx, fy, &blocks);
	if (r < 0)
		goto out;
	make_taps(across, width, box.left, box.right, fx, blocks.left, blocks.right);
	make_taps(down, height, box.top, box.bottom, fy, blocks.top, blocks.bottom);
	for (uint32_t y = 0; y < height; y++)
		sample_row(&blocks, across, down[y], width, channels,
			   out + (size_t)y * width * channels);
	face_blocks_free(&blocks);
out:
	free(across);
	return r;
}
