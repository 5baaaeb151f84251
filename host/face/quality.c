/* SPDX-License-Identifier: Apache-2.0 */
/* How fit a face is for recognition; the formula is in face.h. */
#include "host/face/align.h"
#include "host/face/image.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define SHARP_HALF  60.0  /* variance that counts as half sharp */
#define EYES_APART  35.24 /* of the 112 pixel crop */
#define NOSE_HEIGHT 0.49  /* of a face that looks straight ahead */

uint32_t face_laplacian_variance(const uint8_t *grey, uint32_t width, uint32_t height)
{
	int64_t sum = 0, squares = 0, count = (int64_t)(width - 2) * (height - 2);

	if (width < 3 || height < 3)
		return 0;
	for (uint32_t y = 1; y + 1 < height; y++)
		for (uint32_t x = 1; x + 1 < width; x++) {
			const uint8_t *p = grey + (size_t)y * width + x;
			int32_t l = 4 * p[0] - p[-1] - p[1] - *(p - width) - p[width];

			sum += l;
			squares += (int64_t)l * l;
		}
	return (uint32_t)((squares * count - sum * sum) / (count * count));
}

static float bounded(double v)
{
	return v > 1 ? 1.0f : v > 0 ? (float)v : 0.0f;
}

static double part_of(double a, double b)
{
	return a + b > 0 ? fabs(a - b) / (a + b) : 1;
}

/* 1 straight ahead, towards 0 in profile, by where the nose lies between eyes and mouth. */
static float measure_pose(const struct facet_face_point *p, double apart)
{
	double ux = (p[1].x - p[0].x) / apart, uy = (p[1].y - p[0].y) / apart;
	double mx = (p[3].x + p[4].x) / 2.0 - (p[0].x + p[1].x) / 2.0;
	double my = (p[3].y + p[4].y) / 2.0 - (p[0].y + p[1].y) / 2.0;
	double nx = p[2].x - (p[0].x + p[1].x) / 2.0, ny = p[2].y - (p[0].y + p[1].y) / 2.0;
	double along = (p[2].x - p[0].x) * ux + (p[2].y - p[0].y) * uy;
	double mouth = my * ux - mx * uy, nose = ny * ux - nx * uy;
	double left = along > 0 ? along : 0, right = apart - along > 0 ? apart - along : 0;
	double pitch = mouth > 0 ? fabs(nose / mouth - NOSE_HEIGHT) / NOSE_HEIGHT : 1;

	return bounded((1 - part_of(left, right)) * (1 - (pitch < 1 ? pitch : 1)));
}

int face_quality_measure(const struct facet_face_image *image, struct facet_face *face)
{
	uint32_t side = FACET_FACE_ALIGN_SMALL, variance;
	double dx = (double)face->point[1].x - face->point[0].x;
	double dy = (double)face->point[1].y - face->point[0].y;
	double apart = sqrt(dx * dx + dy * dy);
	uint8_t *crop = malloc((size_t)side * side * 3);
	float least;
	int r;

	if (!crop)
		return -ENOMEM;
	r = facet_face_align(image, face, side, crop);
	if (r < 0)
		goto out;
	for (size_t i = 0; i < (size_t)side * side; i++)
		crop[i] = face_grey(crop + 3 * i);
	variance = face_laplacian_variance(crop, side, side);
	face->sharpness = bounded(variance / (variance + SHARP_HALF));
	face->size = bounded(apart / EYES_APART);
	face->pose = apart > 0 ? measure_pose(face->point, apart) : 0;
	least = face->sharpness < face->size ? face->sharpness : face->size;
	least = face->pose < least ? face->pose : least;
	face->quality = face->score * least;
out:
	free(crop);
	return r;
}
