/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling against its definition evaluated in floating point, and against recorded bytes: a photo
 * must give the same tensor on every host and with every compiler.
 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "host/face/align.h"
#include "host/face/image.h"
#include "tests/face/make.h"
#include "tests/suite.h"

/* ---- the definition, in double ------------------------------------------------------------------- */

/* Mean of a block, rounded as it is stored; blocks beyond the image: the edge's, or black. */
static double block(const struct facet_face_image *image, int64_t bx, int64_t by, int64_t fx,
		    int64_t fy, int c, int repeat)
{
	int64_t across = (image->width + fx - 1) / fx, down = (image->height + fy - 1) / fy;
	double sum = 0, count = 0;

	if (!repeat && (bx < 0 || by < 0 || bx >= across || by >= down))
		return 0;
	bx = bx < 0 ? 0 : bx >= across ? across - 1 : bx;
	by = by < 0 ? 0 : by >= down ? down - 1 : by;
	for (int64_t y = by * fy; y < (by + 1) * fy && y < image->height; y++)
		for (int64_t x = bx * fx; x < (bx + 1) * fx && x < image->width; x++, count++)
			sum += image->rgb[((size_t)y * image->width + (size_t)x) * 3 + (size_t)c];
	return floor(sum / count + 0.5);
}

static double sample(const struct facet_face_image *image, double x, double y, int64_t fx,
		     int64_t fy, int c, int repeat)
{
	int64_t bx = (int64_t)floor(x), by = (int64_t)floor(y);
	double u = x - floor(x), v = y - floor(y);

	return (block(image, bx, by, fx, fy, c, repeat) * (1 - u) +
		block(image, bx + 1, by, fx, fy, c, repeat) * u) *
		       (1 - v) +
	       (block(image, bx, by + 1, fx, fy, c, repeat) * (1 - u) +
		block(image, bx + 1, by + 1, fx, fy, c, repeat) * u) *
		       v;
}

/* ---- resize -------------------------------------------------------------------------------------- */

static const struct resize_case {
	uint32_t width, height;
	struct facet_face_box box;
	uint32_t to_width, to_height, channels;
	uint64_t hash;
} resizes[] = {
	{250, 250, {0, 0, 250, 250}, 320, 240, 3, 0xc8597a9c7e7841a1},
	{640, 480, {0, 0, 640, 480}, 320, 240, 3, 0x2431f8f1760211bb},
	{1003, 777, {0, 0, 1003, 777}, 320, 240, 3, 0x61459a44c3c1b154},
	{33, 17, {0, 0, 33, 17}, 320, 240, 3, 0xa123c8045454c484},
	{1, 1, {0, 0, 1, 1}, 7, 5, 3, 0xff0377e1732b483f},
	{300, 200, {40, 30, 139, 151}, 64, 64, 1, 0xb57320c345ee276e},
	{300, 200, {-60, -20, 90, 130}, 64, 64, 1, 0xef3e358182228048},
	{300, 200, {250, 150, 420, 320}, 64, 64, 1, 0x7c23172e19ddfc39},
	{300, 200, {299, 199, 300, 200}, 64, 64, 1, 0xab7566ab011fb16d},
	{300, 200, {-500, -500, -300, -300}, 16, 16, 3, 0x10ac1c75d3f2cc25},
	{301, 199, {-7, 3, 303, 197}, 41, 23, 3, 0xc973196b4811fb15},
	{300, 200, {100, 50, 130, 90}, 64, 64, 1, 0xd6ebc1a4045f7b4d},
};

START_TEST(resize)
{
	const struct resize_case *k = &resizes[_i];
	struct facet_face_image image = make_image(k->width, k->height, 90, 20 + (uint64_t)_i);
	size_t bytes = (size_t)k->to_width * k->to_height * k->channels;
	uint8_t *out = malloc(bytes), *p = out;
	double w = k->box.right - k->box.left, h = k->box.bottom - k->box.top;
	int64_t fx = (int64_t)(w / k->to_width), fy = (int64_t)(h / k->to_height);

	fx = fx ? fx : 1;
	fy = fy ? fy : 1;
	ck_assert_int_eq(facet_face_image_resize(&image, k->box, k->to_width, k->to_height,
						 k->channels, out),
			 0);
	for (uint32_t v = 0; v < k->to_height; v++)
		for (uint32_t u = 0; u < k->to_width; u++, p += k->channels) {
			double x = (k->box.left + (u + 0.5) * w / k->to_width) / (double)fx - 0.5;
			double y = (k->box.top + (v + 0.5) * h / k->to_height) / (double)fy - 0.5;
			double want[3];

			for (int c = 0; c < 3; c++)
				want[c] = sample(&image, x, y, fx, fy, c, 1);
			if (k->channels == 1)
				want[0] = 0.299 * want[0] + 0.587 * want[1] + 0.114 * want[2];
			for (uint32_t c = 0; c < k->channels; c++)
				ck_assert_msg(fabs(p[c] - want[c]) <=
						      (k->channels == 1 ? 1.0 : 0.52),
					      "(%u, %u) %u: %d, not %g", u, v, c, p[c], want[c]);
		}
	ck_assert_msg(make_hash(out, bytes) == k->hash, "case %d: bytes changed, now 0x%llx", _i,
		      (unsigned long long)make_hash(out, bytes));
	free(out);
	facet_face_image_free(&image);
}
END_TEST

/* What can be said without any arithmetic. */
START_TEST(resize_exact)
{
	struct facet_face_image image = make_image(40, 30, 120, 40);
	uint8_t out[80 * 60 * 3];

	ck_assert_int_eq(facet_face_image_resize(&image, (struct facet_face_box){0, 0, 40, 30}, 40,
						 30, 3, out),
			 0);
	ck_assert_mem_eq(out, image.rgb, 40 * 30 * 3);
	ck_assert_int_eq(facet_face_image_resize(&image, (struct facet_face_box){10, 5, 30, 20}, 20,
						 15, 3, out),
			 0);
	for (int y = 0; y < 15; y++)
		ck_assert_mem_eq(out + y * 60, image.rgb + ((y + 5) * 40 + 10) * 3, 60);
	for (size_t i = 0; i < 40 * 30; i++)
		memcpy(image.rgb + 3 * i, (const uint8_t[]){7, 200, 255}, 3);
	ck_assert_int_eq(facet_face_image_resize(&image, (struct facet_face_box){-9, 3, 31, 40}, 80,
						 60, 3, out),
			 0);
	for (size_t i = 0; i < sizeof(out); i++)
		ck_assert_int_eq(out[i], ((const uint8_t[]){7, 200, 255})[i % 3]);
	facet_face_image_free(&image);
}
END_TEST

START_TEST(resize_refused)
{
	struct facet_face_image image = make_image(4, 4, 0, 1), none = {0};
	struct facet_face_box whole = {0, 0, 4, 4};
	uint8_t out[64];

	ck_assert_int_eq(facet_face_image_resize(&none, whole, 2, 2, 3, out), -EINVAL);
	ck_assert_int_eq(facet_face_image_resize(&image, whole, 0, 2, 3, out), -EINVAL);
	ck_assert_int_eq(facet_face_image_resize(&image, whole, 2, 4097, 3, out), -EINVAL);
	ck_assert_int_eq(facet_face_image_resize(&image, whole, 2, 2, 2, out), -EINVAL);
	ck_assert_int_eq(
		facet_face_image_resize(&image, (struct facet_face_box){2, 0, 2, 4}, 2, 2, 3, out),
		-EINVAL);
	ck_assert_int_eq(
		facet_face_image_resize(&image, (struct facet_face_box){0, 3, 2, 1}, 2, 2, 3, out),
		-EINVAL);
	ck_assert_int_eq(
		facet_face_image_resize(&image, (struct facet_face_box){INT32_MIN, 0, INT32_MAX, 4},
					2, 2, 3, out),
		-EINVAL);
	facet_face_image_free(&image);
}
END_TEST

/* ---- warp ---------------------------------------------------------------------------------------- */

static const struct warp_case {
	struct face_similarity map;
	uint32_t size;
	uint64_t hash;
} warps[] = {
	{{1, 0, 0, 0}, 112, 0xebac4408cf416c4c},
	{{0.83, 0.11, 20.25, 30.75}, 112, 0x2fe1df024e3b8969},
	{{0.31, -0.2, 77.7, 88.8}, 112, 0xdee0f89133d3a1a8},
	{{1.7, 0.6, -40.5, -60.25}, 112, 0x447e4eb911caf217},
	{{-0.9, 0.4, 150, 100}, 112, 0xf3909311c9141347},
	{{2.5, 0.3, 3, 5}, 112, 0x695118f87836b275},
	{{3.01, -4.2, 60, 400}, 112, 0x3f1d2f2f4c8cc1eb},
	{{1.2, 0, 500, 0}, 50, 0x7d1912a634113d95},
	{{0.5, 0.5, 299, 199}, 150, 0xac6538e71136fbf3},
};

static double to_fixed(double v)
{
	return floor(v * 65536 + 0.5) / 65536;
}

START_TEST(warp)
{
	const struct warp_case *k = &warps[_i];
	struct facet_face_image image = make_image(300, 200, 90, 60 + (uint64_t)_i);
	size_t bytes = (size_t)k->size * k->size * 3;
	uint8_t *out = malloc(bytes), *p = out;
	int64_t f = (int64_t)hypot(k->map.a, k->map.b);

	f = f > 1 ? f : 1;
	/* from the centres of pixels to those of blocks, in 16.16 */
	double a = to_fixed(k->map.a / f), tx = to_fixed((k->map.tx + 0.5) / f - 0.5);
	double b = to_fixed(k->map.b / f), ty = to_fixed((k->map.ty + 0.5) / f - 0.5);

	ck_assert_int_eq(face_warp(&image, &k->map, k->size, out), 0);
	for (uint32_t v = 0; v < k->size; v++)
		for (uint32_t u = 0; u < k->size; u++, p += 3) {
			double x = a * u - b * v + tx, y = b * u + a * v + ty;

			for (int c = 0; c < 3; c++) {
				double want = sample(&image, x, y, f, f, c, 0);

				ck_assert_msg(fabs(p[c] - want) <= 0.52, "(%u, %u) %d: %d, not %g",
					      u, v, c, p[c], want);
			}
		}
	ck_assert_msg(make_hash(out, bytes) == k->hash, "case %d: bytes changed, now 0x%llx", _i,
		      (unsigned long long)make_hash(out, bytes));
	free(out);
	facet_face_image_free(&image);
}
END_TEST

START_TEST(warp_refused)
{
	static const struct face_similarity bad[] = {{NAN, 0, 0, 0}, {INFINITY, 0, 0, 0},
						     {1, 0, NAN, 0}, {1, 0, 0, INFINITY},
						     {1e5, 0, 0, 0}, {1, 0, -2e6, 0}};
	struct facet_face_image image = make_image(4, 4, 0, 1), none = {0};
	uint8_t out[12];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(face_warp(&image, &bad[i], 2, out), -EINVAL);
	ck_assert_int_eq(face_warp(&none, &warps[0].map, 2, out), -EINVAL);
	ck_assert_int_eq(face_warp(&image, &warps[0].map, 0, out), -EINVAL);
	facet_face_image_free(&image);
}
END_TEST

/* ---- similarities -------------------------------------------------------------------------------- */

static double error_of(const struct face_similarity *s, const struct facet_face_point *p,
		       const struct facet_face_point *q, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += pow(s->a * p[i].x - s->b * p[i].y + s->tx - q[i].x, 2) +
		       pow(s->b * p[i].x + s->a * p[i].y + s->ty - q[i].y, 2);
	return sum;
}

/*
 * The least squares problem's normal equations in (a, b, tx, ty), solved by elimination: another way
 * to the same minimum.
 */
static struct face_similarity solve(const struct facet_face_point *p,
				    const struct facet_face_point *q, int n)
{
	double m[4][5] = {{0}};

	for (int i = 0; i < n; i++) {
		double rows[2][5] = {{p[i].x, -p[i].y, 1, 0, q[i].x},
				     {p[i].y, p[i].x, 0, 1, q[i].y}};

		for (int e = 0; e < 2; e++)
			for (int r = 0; r < 4; r++)
				for (int c = 0; c < 5; c++)
					m[r][c] += rows[e][r] * rows[e][c];
	}
	for (int k = 0; k < 4; k++) {
		int pivot = k;

		for (int r = k; r < 4; r++)
			pivot = fabs(m[r][k]) > fabs(m[pivot][k]) ? r : pivot;
		for (int c = 0; c < 5; c++) {
			double t = m[k][c];

			m[k][c] = m[pivot][c];
			m[pivot][c] = t;
		}
		for (int r = 0; r < 4; r++)
			for (int c = 4; r != k && c >= k; c--)
				m[r][c] -= m[k][c] * m[r][k] / m[k][k];
	}
	return (struct face_similarity){m[0][4] / m[0][0], m[1][4] / m[1][1], m[2][4] / m[2][2],
					m[3][4] / m[3][3]};
}

START_TEST(similarity)
{
	uint64_t seed = 100;

	for (int round = 0; round < 2000; round++) {
		struct facet_face_point p[5], q[5];
		struct face_similarity got, want, back;
		int n = 2 + (int)(make_random(&seed) % 4);

		for (int i = 0; i < n; i++) {
			p[i] = (struct facet_face_point){
				(float)(make_random(&seed) % 30000) / 10.0f,
				(float)(make_random(&seed) % 30000) / 10.0f};
			q[i] = (struct facet_face_point){(float)(make_random(&seed) % 1120) / 10.0f,
							 (float)(make_random(&seed) % 1120) /
								 10.0f};
		}
		if (hypot(p[0].x - p[1].x, p[0].y - p[1].y) < 20)
			continue;
		ck_assert_int_eq(face_similarity_fit(p, q, (uint32_t)n, &got), 0);
		want = solve(p, q, n);
		ck_assert_double_le(fabs(got.a - want.a) + fabs(got.b - want.b), 1e-7);
		ck_assert_double_le(error_of(&got, p, q, n), error_of(&want, p, q, n) + 1e-6);
		if (hypot(got.a, got.b) < 1e-4)
			continue;
		ck_assert_int_eq(face_similarity_invert(&got, &back), 0);
		for (int i = 0; i < n; i++) {
			double x = got.a * p[i].x - got.b * p[i].y + got.tx;
			double y = got.b * p[i].x + got.a * p[i].y + got.ty;

			ck_assert_double_le(fabs(back.a * x - back.b * y + back.tx - p[i].x), 1e-5);
			ck_assert_double_le(fabs(back.b * x + back.a * y + back.ty - p[i].y), 1e-5);
		}
	}
}
END_TEST

START_TEST(similarity_refused)
{
	struct facet_face_point same[2] = {{5, 5}, {5, 5}}, good[2] = {{0, 0}, {1, 0}},
				bad[2] = {{NAN, 0}, {1, 0}};
	struct face_similarity fit, back, zero = {0};

	ck_assert_int_eq(face_similarity_fit(same, good, 2, &fit), -EINVAL);
	ck_assert_int_eq(face_similarity_fit(bad, good, 2, &fit), -EINVAL);
	ck_assert_int_eq(face_similarity_fit(good, bad, 2, &fit), -EINVAL);
	ck_assert_int_eq(face_similarity_invert(&zero, &back), -EINVAL);
}
END_TEST

/* A face whose points are those that the network wants, enlarged: the crop is the image reduced. */
static struct facet_face ideal_face(uint32_t size, float scale)
{
	static const float small[5][2] = {{38.29f, 51.70f},
					  {73.53f, 51.50f},
					  {56.03f, 71.74f},
					  {41.55f, 92.37f},
					  {70.73f, 92.20f}};
	static const float large[5][2] = {{0.1205750620789f, 0.2137274526848f},
					  {0.3340850613712f, 0.2290642403242f},
					  {0.6460604764104f, 0.2289674387677f},
					  {0.8595674595992f, 0.2134981538014f},
					  {0.4901123135679f, 0.6277975316475f}};
	static const int corner[5] = {36, 39, 42, 45, 33};
	struct facet_face face = {.score = 1};

	for (int i = 0; i < 5; i++) {
		face.point[i] = (struct facet_face_point){small[i][0] * scale, small[i][1] * scale};
		if (size == 150)
			face.landmark[corner[i]] = (struct facet_face_point){
				(25 + 100 * large[i][0]) * scale, (25 + 100 * large[i][1]) * scale};
	}
	return face;
}

START_TEST(align_identity)
{
	uint32_t size = _i ? 150 : 112;
	struct facet_face_image image = make_image(160, 160, 0, 1);
	struct facet_face face = ideal_face(size, 1);
	uint8_t *out = malloc(size * size * 3);

	ck_assert_int_eq(facet_face_align(&image, &face, size, out), 0);
	for (uint32_t y = 0; y < size; y++)
		for (uint32_t x = 0; x < size * 3; x++)
			ck_assert_int_le(abs(out[y * size * 3 + x] - image.rgb[y * 160 * 3 + x]),
					 1);
	ck_assert_int_eq(facet_face_align(&image, &face, 128, out), -EINVAL);
	memset(face.point, 0, sizeof(face.point));
	memset(face.landmark, 0, sizeof(face.landmark));
	ck_assert_int_eq(facet_face_align(&image, &face, size, out), -EINVAL);
	free(out);
	facet_face_image_free(&image);
}
END_TEST

START_TEST(points)
{
	struct facet_face face;

	for (int i = 0; i < 68; i++)
		face.landmark[i] = (struct facet_face_point){(float)i, (float)(i * i)};
	face_points_from_landmarks(&face);
	ck_assert_float_eq(face.point[0].x, (37 + 38 + 40 + 41) / 4.0f);
	ck_assert_float_eq(face.point[1].x, (43 + 44 + 46 + 47) / 4.0f);
	ck_assert_float_eq(face.point[1].y, (43 * 43 + 44 * 44 + 46 * 46 + 47 * 47) / 4.0f);
	ck_assert_float_eq(face.point[2].y, 900);
	ck_assert_float_eq(face.point[3].x, 54);
	ck_assert_float_eq(face.point[4].x, 59);
}
END_TEST

/* ---- quality ------------------------------------------------------------------------------------- */

START_TEST(laplacian)
{
	struct facet_face_image image = make_image(30, 20, 128, 77);
	double sum = 0, squares = 0, n = 28 * 18;
	uint8_t grey[30 * 20];

	for (int i = 0; i < 30 * 20; i++)
		grey[i] = image.rgb[3 * i];
	for (int y = 1; y < 19; y++)
		for (int x = 1; x < 29; x++) {
			double l = 4.0 * grey[y * 30 + x] - grey[y * 30 + x - 1] -
				   grey[y * 30 + x + 1] - grey[(y - 1) * 30 + x] -
				   grey[(y + 1) * 30 + x];

			sum += l;
			squares += l * l;
		}
	ck_assert_uint_eq(face_laplacian_variance(grey, 30, 20),
			  (uint32_t)(squares / n - sum / n * (sum / n)));
	memset(grey, 9, sizeof(grey));
	ck_assert_uint_eq(face_laplacian_variance(grey, 30, 20), 0);
	ck_assert_uint_eq(face_laplacian_variance(grey, 2, 20), 0);
	facet_face_image_free(&image);
}
END_TEST

START_TEST(quality)
{
	struct facet_face_image image = make_image(256, 256, 60, 78), soft;
	struct facet_face face = ideal_face(112, 2), turned, blurred, tiny = ideal_face(112, 0.25f);

	ck_assert_int_eq(face_quality_measure(&image, &face), 0);
	ck_assert_float_ge(face.pose, 0.9f);
	ck_assert_float_eq(face.size, 1);
	ck_assert_float_ge(face.sharpness, 0.9f);
	ck_assert_float_ge(face.quality, 0.9f);
	turned = face;
	turned.point[2].x += 25;
	turned.score = 0.5f;
	ck_assert_int_eq(face_quality_measure(&image, &turned), 0);
	ck_assert_float_le(turned.pose, 0.7f);
	ck_assert_float_eq(turned.quality, 0.5f * turned.pose);
	blurred = face;
	ck_assert_int_eq(facet_face_image_blur(&image, 8, &soft), 0);
	ck_assert_int_eq(face_quality_measure(&soft, &blurred), 0);
	ck_assert_float_le(blurred.quality, 0.3f);
	ck_assert_int_eq(face_quality_measure(&image, &tiny), 0);
	ck_assert_float_le(tiny.quality, 0.26f);
	facet_face_image_free(&soft);
	facet_face_image_free(&image);
}
END_TEST

/* ---- edits --------------------------------------------------------------------------------------- */

START_TEST(edits)
{
	struct facet_face_image in = make_image(23, 11, 128, 30), out, twice;
	int radius = _i;

	ck_assert_int_eq(facet_face_image_blur(&in, (uint32_t)radius, &out), 0);
	for (int y = 0; y < 11; y++)
		for (int x = 0; x < 23; x++)
			for (int c = 0; c < 3; c++) {
				double sum = 0, n = (2 * radius + 1) * (2 * radius + 1);

				for (int v = y - radius; v <= y + radius; v++)
					for (int u = x - radius; u <= x + radius; u++)
						sum += block(&in, u, v, 1, 1, c, 1);
				ck_assert_int_eq(out.rgb[(y * 23 + x) * 3 + c],
						 (int)floor(sum / n + 0.5));
			}
	facet_face_image_free(&out);
	ck_assert_int_eq(facet_face_image_flip(&in, &out), 0);
	ck_assert_mem_eq(out.rgb, in.rgb + 22 * 3, 3);
	ck_assert_int_eq(facet_face_image_flip(&out, &twice), 0);
	ck_assert_mem_eq(twice.rgb, in.rgb, 23 * 11 * 3);
	facet_face_image_free(&out);
	facet_face_image_free(&twice);
	ck_assert_int_eq(facet_face_image_crop(&in, (struct facet_face_box){20, -5, 40, 2}, &out),
			 0);
	ck_assert_uint_eq(out.width, 3);
	ck_assert_uint_eq(out.height, 2);
	ck_assert_mem_eq(out.rgb + 9, in.rgb + (23 + 20) * 3, 9);
	facet_face_image_free(&out);
	ck_assert_int_eq(facet_face_image_crop(&in, (struct facet_face_box){23, 0, 40, 2}, &out),
			 -EINVAL);
	ck_assert_int_eq(facet_face_image_blur(&in, 501, &out), -EINVAL);
	facet_face_image_free(&in);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pixels");
	TCase *pixels = tcase_create("pixels"), *faces = tcase_create("faces");

	tcase_add_loop_test(pixels, resize, 0, sizeof(resizes) / sizeof(resizes[0]));
	tcase_add_test(pixels, resize_exact);
	tcase_add_test(pixels, resize_refused);
	tcase_add_loop_test(pixels, warp, 0, sizeof(warps) / sizeof(warps[0]));
	tcase_add_test(pixels, warp_refused);
	tcase_add_loop_test(pixels, edits, 0, 5);
	tcase_add_test(faces, similarity);
	tcase_add_test(faces, similarity_refused);
	tcase_add_loop_test(faces, align_identity, 0, 2);
	tcase_add_test(faces, points);
	tcase_add_test(faces, laplacian);
	tcase_add_test(faces, quality);
	suite_add_tcase(suite, pixels);
	suite_add_tcase(suite, faces);
	return suite_run(suite);
}
