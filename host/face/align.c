/* SPDX-License-Identifier: Apache-2.0 */
/* Faces brought to the place where a recognition network expects them. */
#include "host/face/align.h"
#include "host/face/image.h"
#include "host/libfacet/facet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COORDINATE_MAX 1e6 /* pixels; keeps 16.16 within 63 bits */

int face_similarity_fit(const struct facet_face_point *from, const struct facet_face_point *to,
			uint32_t count, struct face_similarity *fit)
{
	double fx = 0, fy = 0, gx = 0, gy = 0, along = 0, across = 0, spread = 0;

	for (uint32_t i = 0; i < count; i++) {
		fx += from[i].x;
		fy += from[i].y;
		gx += to[i].x;
		gy += to[i].y;
	}
	fx /= count;
	fy /= count;
	gx /= count;
	gy /= count;
	for (uint32_t i = 0; i < count; i++) {
		double px = from[i].x - fx, py = from[i].y - fy;
		double qx = to[i].x - gx, qy = to[i].y - gy;

		along += px * qx + py * qy;
		across += px * qy - py * qx;
		spread += px * px + py * py;
	}
	if (!isfinite(spread) || !isfinite(along) || !isfinite(across) || spread < 1e-6)
		return -EINVAL;
	fit->a = along / spread;
	fit->b = across / spread;
	fit->tx = gx - (fit->a * fx - fit->b * fy);
	fit->ty = gy - (fit->b * fx + fit->a * fy);
	return 0;
}

int face_similarity_invert(const struct face_similarity *in, struct face_similarity *out)
{
	double scale = in->a * in->a + in->b * in->b;

	if (!(scale > 1e-12) || !isfinite(scale))
		return -EINVAL;
	out->a = in->a / scale;
	out->b = -in->b / scale;
	out->tx = -(out->a * in->tx - out->b * in->ty);
	out->ty = -(out->b * in->tx + out->a * in->ty);
	return 0;
}

static int64_t fixed(double v)
{
	return (int64_t)floor(v * 65536.0 + 0.5);
}

/* A block's colour, or black where there is none. */
static const uint8_t *block_at(const struct face_blocks *blocks, int64_t x, int64_t y)
{
	static const uint8_t black[3];

	if (x < blocks->left || y < blocks->top || x >= blocks->right || y >= blocks->bottom)
		return black;
	return blocks->rgb + (size_t)(y - blocks->top) * blocks->stride +
	       (size_t)(x - blocks->left) * 3;
}

static void warp_blocks(const struct face_blocks *blocks, const struct face_similarity *map,
			uint32_t size, uint8_t *out)
{
	int64_t a = fixed(map->a), b = fixed(map->b), tx = fixed(map->tx), ty = fixed(map->ty);

	for (int64_t v = 0; v < size; v++)
		for (int64_t u = 0; u < size; u++, out += 3) {
			int64_t x = a * u - b * v + tx, y = b * u + a * v + ty;
			const uint8_t *p = block_at(blocks, x >> 16, y >> 16);
			const uint8_t *q = block_at(blocks, (x >> 16) + 1, y >> 16);
			const uint8_t *r = block_at(blocks, x >> 16, (y >> 16) + 1);
			const uint8_t *s = block_at(blocks, (x >> 16) + 1, (y >> 16) + 1);

			for (int c = 0; c < 3; c++)
				out[c] = face_lerp(p[c], q[c], r[c], s[c], (uint32_t)(x & 0xffff),
						   (uint32_t)(y & 0xffff));
		}
}

/* The box of pixels that the warped square reads. */
static struct facet_face_box find_reach(const struct face_similarity *map, uint32_t size)
{
	double low_x = INFINITY, low_y = INFINITY, high_x = -INFINITY, high_y = -INFINITY;

	for (int corner = 0; corner < 4; corner++) {
		double u = corner & 1 ? size : 0, v = corner & 2 ? size : 0;
		double x = map->a * u - map->b * v + map->tx, y = map->b * u + map->a * v + map->ty;

		low_x = x < low_x ? x : low_x;
		low_y = y < low_y ? y : low_y;
		high_x = x > high_x ? x : high_x;
		high_y = y > high_y ? y : high_y;
	}
	return (struct facet_face_box){(int32_t)floor(low_x) - 1, (int32_t)floor(low_y) - 1,
				       (int32_t)floor(high_x) + 2, (int32_t)floor(high_y) + 2};
}

static bool within(double v, double bound)
{
	return v >= -bound && v <= bound; /* not of a NaN */
}

int face_warp(const struct facet_face_image *image, const struct face_similarity *map,
	      uint32_t size, uint8_t *out)
{
	double scale = sqrt(map->a * map->a + map->b * map->b);
	struct face_similarity m = *map;
	struct face_blocks blocks;
	uint32_t f;
	int r;

	if (!image->rgb || !size || size > 1024 || !within(scale, 1e4) ||
	    !within(map->tx, COORDINATE_MAX) || !within(map->ty, COORDINATE_MAX))
		return -EINVAL;
	f = scale >= 2 ? (uint32_t)floor(scale) : 1;
	r = face_blocks_make(image, find_reach(map, size), f, f, &blocks);
	if (r < 0)
		return r;
	if (f > 1) { /* from the centres of pixels to those of blocks */
		m.a = m.a / f;
		m.b = m.b / f;
		m.tx = (m.tx + 0.5) / f - 0.5;
		m.ty = (m.ty + 0.5) / f - 0.5;
	}
	warp_blocks(&blocks, &m, size, out);
	face_blocks_free(&blocks);
	return 0;
}

/* ---- where the networks want their points -------------------------------------------------------- */

/*
 * 112: the places the MobileFaceNets were trained with. 150: dlib's mean places of the outer and
 * inner corners of the eyes and the base of the nose, (padding + p) / (2 padding + 1) * 150 with
 * padding 0.25.
 */
#define CHIP(x, y)                                                                                 \
	{                                                                                          \
		(float)((0.25 + (x)) / 1.5 * 150.0), (float)((0.25 + (y)) / 1.5 * 150.0)           \
	}

static const struct target {
	uint32_t size;
	bool corners; /* landmarks 36, 39, 42, 45, 33; otherwise the face's five points */
	struct facet_face_point point[FACET_FACE_POINTS];
} targets[] = {
	{FACET_FACE_ALIGN_SMALL,
	 false,
	 {{38.29f, 51.70f},
	  {73.53f, 51.50f},
	  {56.03f, 71.74f},
	  {41.55f, 92.37f},
	  {70.73f, 92.20f}}},
	{FACET_FACE_ALIGN_LARGE,
	 true,
	 {CHIP(0.1205750620789, 0.2137274526848), CHIP(0.3340850613712, 0.2290642403242),
	  CHIP(0.6460604764104, 0.2289674387677), CHIP(0.8595674595992, 0.2134981538014),
	  CHIP(0.4901123135679, 0.6277975316475)}},
};

void face_points_from_landmarks(struct facet_face *face)
{
	static const uint8_t members[FACET_FACE_POINTS][4] = {{37, 38, 40, 41},
							      {43, 44, 46, 47},
							      {30, 30, 30, 30},
							      {48, 60, 48, 60},
							      {54, 64, 54, 64}};

	for (uint32_t i = 0; i < FACET_FACE_POINTS; i++) {
		double x = 0, y = 0;

		for (int j = 0; j < 4; j++) {
			x += face->landmark[members[i][j]].x;
			y += face->landmark[members[i][j]].y;
		}
		face->point[i] = (struct facet_face_point){(float)(x / 4), (float)(y / 4)};
	}
}

int facet_face_align(const struct facet_face_image *image, const struct facet_face *face,
		     uint32_t size, uint8_t *out)
{
	static const uint8_t corners[FACET_FACE_POINTS] = {36, 39, 42, 45, 33};
	struct facet_face_point from[FACET_FACE_POINTS];
	struct face_similarity fit, map;
	int r = -EINVAL;

	for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
		if (targets[t].size != size)
			continue;
		memcpy(from, face->point, sizeof(from));
		for (uint32_t i = 0; targets[t].corners && i < FACET_FACE_POINTS; i++)
			from[i] = face->landmark[corners[i]];
		r = face_similarity_fit(from, targets[t].point, FACET_FACE_POINTS, &fit);
		if (r == 0)
			r = face_similarity_invert(&fit, &map);
		if (r == 0)
			r = face_warp(image, &map, size, out);
	}
	return r;
}

int facet_face_probe(const struct facet_face_image *image, const struct facet_face *faces,
		     uint32_t count, uint32_t size, struct facet_probe *probe, uint8_t **tensors)
{
	size_t bytes = (size_t)size * size * 3;
	uint8_t *pixels;
	int r = 0;

	*tensors = NULL;
	if (!count || (size != FACET_FACE_ALIGN_SMALL && size != FACET_FACE_ALIGN_LARGE))
		return -EINVAL;
	pixels = calloc(count, bytes);
	if (!pixels)
		return -ENOMEM;
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = facet_face_align(image, &faces[i], size, pixels + i * bytes);
	if (r < 0) {
		free(pixels);
		return r;
	}
	*tensors = pixels;
	*probe = (struct facet_probe){.size = sizeof(*probe),
				      .kind = FACET_TENSORS,
				      .type = FACET_U8,
				      .count = count,
				      .dim = (uint32_t)bytes,
				      .data = pixels};
	return 0;
}
