/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/face/face.h"
#include "host/face/font.h"

#define WIDTH	640
#define HEIGHT	480
#define LEFT	70
#define RIGHT	20
#define TOP	30
#define BOTTOM	50
#define DECADES 5   /* 1e-5 .. 1 */
#define STEPS	200 /* points of a curve */

static const uint8_t colours[4][3] = {{200, 40, 40}, {40, 80, 200}, {30, 140, 60}, {120, 60, 160}};
static const uint8_t grey[3] = {210, 210, 210}, black[3] = {0, 0, 0};

static void dot(struct facet_face_image *image, int x, int y, const uint8_t rgb[3])
{
	if (x >= 0 && y >= 0 && x < WIDTH && y < HEIGHT)
		memcpy(image->rgb + 3 * ((size_t)y * WIDTH + (size_t)x), rgb, 3);
}

static void line(struct facet_face_image *image, int x0, int y0, int x1, int y1,
		 const uint8_t rgb[3])
{
	int steps = abs(x1 - x0) > abs(y1 - y0) ? abs(x1 - x0) : abs(y1 - y0);

	for (int i = 0; i <= steps; i++)
		dot(image, x0 + (steps ? (x1 - x0) * i / steps : 0),
		    y0 + (steps ? (y1 - y0) * i / steps : 0), rgb);
}

static void label(struct facet_face_image *image, int x, int y, const char *text,
		  const uint8_t rgb[3])
{
	face_font_draw(image, (uint32_t)x, (uint32_t)y, WIDTH - (uint32_t)x, 1, rgb, text);
}

/* A rate's place along an axis of length pixels: 1e-5 at 0, 1 at the end. */
static int along(double rate, int length)
{
	double decade = rate > 1e-5 ? log10(rate) + DECADES : 0;

	return (int)lrint(decade / DECADES * length);
}

static int x_of(double far)
{
	return LEFT + along(far, WIDTH - LEFT - RIGHT);
}

static int y_of(double fnmr)
{
	return HEIGHT - BOTTOM - along(fnmr, HEIGHT - TOP - BOTTOM);
}

static void axes(struct facet_face_image *image)
{
	for (int d = 0; d <= DECADES; d++) {
		double rate = pow(10, d - DECADES);
		char text[16];

		snprintf(text, sizeof(text), "%g", rate);
		line(image, x_of(rate), TOP, x_of(rate), HEIGHT - BOTTOM, grey);
		line(image, LEFT, y_of(rate), WIDTH - RIGHT, y_of(rate), grey);
		label(image, x_of(rate) - 12, HEIGHT - BOTTOM + 8, text, black);
		label(image, 24, y_of(rate) - 4, text, black);
	}
	line(image, LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, black);
	line(image, LEFT, TOP, LEFT, HEIGHT - BOTTOM, black);
	label(image, WIDTH / 2 - 90, HEIGHT - 20, "false-match rate (FAR)", black);
	label(image, 8, 10, "false-non-match rate (1 - TAR)", black);
}

static void curve(struct facet_face_image *image, const struct plot_curve *plot,
		  const uint8_t rgb[3])
{
	int px = -1, py = -1;

	for (int i = 0; i <= STEPS; i++) {
		struct roc_point point;

		roc_at(plot->roc, pow(10, (double)DECADES * i / STEPS - DECADES), &point);
		if (point.far * (double)roc_impostors(plot->roc) < 1)
			continue;
		int x = x_of(point.far), y = y_of(1 - point.tar);
		if (px >= 0) {
			line(image, px, py, x, y, rgb);
			line(image, px, py + 1, x, y + 1, rgb);
		}
		px = x;
		py = y;
	}
}

int plot_det(const char *path, const struct plot_curve *curves, uint32_t count)
{
	struct facet_face_image image;
	int error;

	if (count > 4)
		return -EINVAL;
	error = facet_face_image_create(WIDTH, HEIGHT, &image);
	if (error)
		return error;
	memset(image.rgb, 255, 3ul * WIDTH * HEIGHT);
	axes(&image);
	for (uint32_t i = 0; i < count; i++) {
		curve(&image, &curves[i], colours[i]);
		label(&image, WIDTH - 120, TOP + 10 + 16 * (int)i, curves[i].name, colours[i]);
	}
	error = facet_face_image_write_png(&image, path);
	facet_face_image_free(&image);
	return error;
}
