/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: every kind of file there is, and every way to be none. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/face/make.h"
#include "tests/suite.h"

#define W 96u
#define H 64u

static char text[FACET_FACE_TEXT];

static void expect_near(const struct facet_face_image *a, const struct facet_face_image *b,
			int most)
{
	ck_assert_uint_eq(a->width, b->width);
	ck_assert_uint_eq(a->height, b->height);
	for (size_t i = 0; i < (size_t)a->width * a->height * 3; i++)
		ck_assert_msg(abs(a->rgb[i] - b->rgb[i]) <= most, "value %zu: %d, not %d", i,
			      a->rgb[i], b->rgb[i]);
}

static void expect_error(const uint8_t *data, size_t bytes, int error)
{
	struct facet_face_image image = {0};
	int r;

	text[0] = 0;
	r = facet_face_image_decode(data, bytes, &image, text);
	ck_assert_msg(r == error, "%zu bytes: %d, not %d (%s)", bytes, r, error, text);
	ck_assert_ptr_null(image.rgb);
	ck_assert_uint_gt(strlen(text), 10);
	ck_assert_ptr_null(strchr(text, '\n'));
}

static struct facet_face_image decode(struct blob blob)
{
	struct facet_face_image image;
	int r = facet_face_image_decode(blob.data, blob.bytes, &image, text);

	ck_assert_msg(r == 0, "%d: %s", r, text);
	free(blob.data);
	return image;
}

/* ---- JPEG ---------------------------------------------------------------------------------------- */

START_TEST(jpeg_colours)
{
	struct facet_face_image want = make_image(W, H, 0, 1), got;

	got = decode(make_jpeg(want.rgb, W, H, 3, _i, 0));
	expect_near(&got, &want, 24); /* the chroma is subsampled */
	facet_face_image_free(&got);
	facet_face_image_free(&want);
}
END_TEST

START_TEST(jpeg_grey)
{
	struct facet_face_image want = make_image(W, H, 0, 1), got;
	uint8_t *grey = malloc(W * H);

	for (size_t i = 0; i < W * H; i++) {
		grey[i] = want.rgb[3 * i];
		memset(want.rgb + 3 * i, grey[i], 3);
	}
	got = decode(make_jpeg(grey, W, H, 1, 0, 0));
	expect_near(&got, &want, 6);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
	free(grey);
}
END_TEST

/* Inks as Adobe stores them: 255 is no ink. Red without key is full M and Y: 0. */
START_TEST(jpeg_cmyk)
{
	static const uint8_t inks[4][4] = {
		{255, 0, 0, 255}, {0, 255, 255, 255}, {255, 255, 255, 128}, {255, 255, 255, 255}};
	static const uint8_t colours[4][3] = {
		{255, 0, 0}, {0, 255, 255}, {128, 128, 128}, {255, 255, 255}};
	struct facet_face_image got;
	uint8_t pixels[16 * 16 * 4];

	for (size_t i = 0; i < 16 * 16; i++)
		memcpy(pixels + 4 * i, inks[_i], 4);
	got = decode(make_jpeg(pixels, 16, 16, 4, 0, 0));
	for (size_t i = 0; i < 16 * 16 * 3; i++)
		ck_assert_int_le(abs(got.rgb[i] - colours[_i][i % 3]), 3);
	facet_face_image_free(&got);
}
END_TEST

/* Without Adobe's marker 0 is no ink. */
START_TEST(jpeg_cmyk_plain)
{
	struct facet_face_image got;
	uint8_t pixels[16 * 16 * 4] = {0};
	struct blob blob = make_jpeg(pixels, 16, 16, 4, 0, 0);
	size_t at = 2;

	ck_assert(blob.data[at] == 0xff && blob.data[at + 1] == 0xee); /* APP14 */
	blob.data[at + 1] = 0xed; /* some other application's */
	got = decode(blob);
	for (size_t i = 0; i < 16 * 16 * 3; i++)
		ck_assert_int_ge(got.rgb[i], 252);
	facet_face_image_free(&got);
}
END_TEST

START_TEST(jpeg_truncated)
{
	struct facet_face_image image = make_image(W, H, 20, 2);
	struct blob blob = make_jpeg(image.rgb, W, H, 3, _i, 0);

	for (size_t cut = 3; cut < blob.bytes; cut += cut < 700 ? 1 : 37) {
		uint8_t *copy = malloc(cut); /* exact, so that a sanitizer sees a read beyond */

		memcpy(copy, blob.data, cut);
		expect_error(copy, cut, -EBADMSG);
		free(copy);
	}
	expect_error(blob.data, blob.bytes - 2, -EBADMSG); /* only its end marker */
	facet_face_image_free(&image);
	free(blob.data);
}
END_TEST

/* The extents lie behind the SOF0 marker: precision, height, width. */
static void set_jpeg_extents(struct blob *blob, uint32_t width, uint32_t height)
{
	for (size_t i = 0; i + 9 < blob->bytes; i++)
		if (blob->data[i] == 0xff && blob->data[i + 1] == 0xc0) {
			blob->data[i + 5] = (uint8_t)(height >> 8);
			blob->data[i + 6] = (uint8_t)height;
			blob->data[i + 7] = (uint8_t)(width >> 8);
			blob->data[i + 8] = (uint8_t)width;
			return;
		}
	ck_abort_msg("no SOF0");
}

static const struct {
	uint32_t width, height;
	int error;
} extents[] = {
	{60000, 60000, -EFBIG}, {30001, 1, -EFBIG},   {1, 30001, -EFBIG}, {30000, 2236, -EBADMSG},
	{30000, 2237, -EFBIG},	{8193, 8192, -EFBIG}, {0, 10, -EBADMSG},  {10, 0, -EBADMSG},
};

START_TEST(jpeg_extents)
{
	struct facet_face_image image = make_image(W, H, 0, 2);
	struct blob blob = make_jpeg(image.rgb, W, H, 3, 0, 0);

	set_jpeg_extents(&blob, extents[_i].width, extents[_i].height);
	expect_error(blob.data, blob.bytes, extents[_i].error);
	if (extents[_i].error == -EFBIG)
		ck_assert_ptr_nonnull(strstr(text, "megapixels"));
	facet_face_image_free(&image);
	free(blob.data);
}
END_TEST

/* ---- PNG ----------------------------------------------------------------------------------------- */

START_TEST(png_rgb)
{
	struct facet_face_image want = make_image(W, H, 255, 3), got;

	got = decode(make_png(
		want.rgb, W, H,
		(struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8, .interlaced = _i}));
	expect_near(&got, &want, 0);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
}
END_TEST

static uint8_t rounded(double v)
{
	return (uint8_t)(v + 0.5);
}

START_TEST(png_rgba)
{
	struct facet_face_image want = make_image(W, H, 255, 4), got;
	uint8_t *rows = malloc(W * H * 4);
	uint64_t seed = 5;

	for (size_t i = 0; i < W * H; i++) {
		memcpy(rows + 4 * i, want.rgb + 3 * i, 3);
		rows[4 * i + 3] = (uint8_t)make_random(&seed);
		for (int c = 0; c < 3; c++)
			want.rgb[3 * i + c] = rounded(rows[4 * i + c] * rows[4 * i + 3] / 255.0);
	}
	got = decode(make_png(
		rows, W, H,
		(struct png_kind){.type = PNG_COLOR_TYPE_RGB_ALPHA, .depth = 8, .interlaced = _i}));
	expect_near(&got, &want, 1);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
	free(rows);
}
END_TEST

START_TEST(png_deep)
{
	struct facet_face_image want = make_image(W, H, 0, 4), got;
	uint8_t *rows = malloc(W * H * 6);
	uint64_t seed = 6;

	for (size_t i = 0; i < W * H * 3; i++) {
		uint32_t v = (uint32_t)make_random(&seed) & 0xffff;

		rows[2 * i] = (uint8_t)(v >> 8);
		rows[2 * i + 1] = (uint8_t)v;
		want.rgb[i] = rounded(v * 255.0 / 65535.0);
	}
	got = decode(
		make_png(rows, W, H, (struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 16}));
	expect_near(&got, &want, 0);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
	free(rows);
}
END_TEST

START_TEST(png_palette)
{
	struct facet_face_image want = make_image(W, H, 0, 4), got;
	uint8_t palette[256][3], alpha[256], *rows = malloc(W * H);
	uint64_t seed = 7;

	for (int i = 0; i < 256; i++) {
		for (int c = 0; c < 3; c++)
			palette[i][c] = (uint8_t)make_random(&seed);
		alpha[i] = _i ? (uint8_t)make_random(&seed) : 255;
	}
	for (size_t i = 0; i < W * H; i++) {
		rows[i] = (uint8_t)make_random(&seed);
		for (int c = 0; c < 3; c++)
			want.rgb[3 * i + c] = rounded(palette[rows[i]][c] * alpha[rows[i]] / 255.0);
	}
	got = decode(make_png(rows, W, H,
			      (struct png_kind){.type = PNG_COLOR_TYPE_PALETTE,
						.depth = 8,
						.palette = palette[0],
						.alpha = _i ? alpha : NULL}));
	expect_near(&got, &want, _i ? 1 : 0);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
	free(rows);
}
END_TEST

START_TEST(png_grey_bit)
{
	struct facet_face_image want = make_image(16, 2, 0, 4), got;
	uint8_t rows[4] = {0xa5, 0x0f, 0x80, 0x01};

	for (int i = 0; i < 32; i++)
		memset(want.rgb + 3 * i, rows[i / 8] >> (7 - i % 8) & 1 ? 255 : 0, 3);
	got = decode(
		make_png(rows, 16, 2, (struct png_kind){.type = PNG_COLOR_TYPE_GRAY, .depth = 1}));
	expect_near(&got, &want, 0);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
}
END_TEST

START_TEST(png_truncated)
{
	struct facet_face_image image = make_image(20, 20, 255, 8);
	struct blob blob = make_png(
		image.rgb, 20, 20,
		(struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8, .interlaced = _i});

	for (size_t cut = 8; cut < blob.bytes; cut++) {
		uint8_t *copy = malloc(cut);

		memcpy(copy, blob.data, cut);
		expect_error(copy, cut, -EBADMSG);
		free(copy);
	}
	facet_face_image_free(&image);
	free(blob.data);
}
END_TEST

START_TEST(png_extents)
{
	struct facet_face_image image = make_image(W, H, 0, 2);
	struct blob blob = make_png(image.rgb, W, H,
				    (struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8});

	make_png_extents(&blob, extents[_i].width, extents[_i].height);
	expect_error(blob.data, blob.bytes, extents[_i].error);
	facet_face_image_free(&image);
	free(blob.data);
}
END_TEST

/* The bound is checked before memory is asked for: a header alone must not cost its pixels. */
START_TEST(no_memory_for_a_header)
{
	struct facet_face_image image = make_image(W, H, 0, 2);
	struct blob blob = make_png(image.rgb, W, H,
				    (struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8});
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	make_png_extents(&blob, 60000, 60000);
	expect_error(blob.data, blob.bytes, -EFBIG);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 16 << 10);
	facet_face_image_free(&image);
	free(blob.data);
}
END_TEST

/* ---- both ---------------------------------------------------------------------------------------- */

/* Exif 2.32: which side of what is seen the stored first row and first column are. */
static void place_upright(const struct facet_face_image *stored, int orientation,
			  struct facet_face_image *seen)
{
	static const struct {
		int swapped, row_far, column_far;
	} sides[] = {{0, 0, 0}, {0, 0, 0}, {0, 0, 1}, {0, 1, 1}, {0, 1, 0},
		     {1, 0, 0}, {1, 1, 0}, {1, 1, 1}, {1, 0, 1}};
	uint32_t w = stored->width, h = stored->height;

	*seen = make_image(sides[orientation].swapped ? h : w, sides[orientation].swapped ? w : h,
			   0, 0);
	for (uint32_t row = 0; row < h; row++)
		for (uint32_t column = 0; column < w; column++) {
			uint32_t r = sides[orientation].row_far ? h - 1 - row : row;
			uint32_t c = sides[orientation].column_far ? w - 1 - column : column;
			uint32_t x = sides[orientation].swapped ? r : c,
				 y = sides[orientation].swapped ? c : r;

			memcpy(seen->rgb + (y * seen->width + x) * 3,
			       stored->rgb + (row * w + column) * 3, 3);
		}
}

START_TEST(orientation)
{
	struct facet_face_image stored = make_image(17, 11, 255, 9), seen, got;

	place_upright(&stored, _i, &seen);
	got = decode(
		make_png(stored.rgb, 17, 11,
			 (struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8, .exif = _i}));
	expect_near(&got, &seen, 0);
	facet_face_image_free(&got);
	facet_face_image_free(&seen);
	facet_face_image_free(&stored);
	stored = make_image(W, H, 0, 9);
	place_upright(&stored, _i, &seen);
	got = decode(make_jpeg(stored.rgb, W, H, 3, 0, _i));
	expect_near(&got, &seen, 24);
	facet_face_image_free(&got);
	facet_face_image_free(&seen);
	facet_face_image_free(&stored);
}
END_TEST

START_TEST(orientation_nonsense)
{
	struct facet_face_image want = make_image(17, 11, 255, 9), got;

	got = decode(
		make_png(want.rgb, 17, 11,
			 (struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8, .exif = 9}));
	expect_near(&got, &want, 0);
	facet_face_image_free(&got);
	facet_face_image_free(&want);
}
END_TEST

START_TEST(neither)
{
	static const char gif[] = "GIF89a a photo of the past";

	expect_error((const uint8_t *)gif, sizeof(gif), -EINVAL);
	expect_error((const uint8_t *)gif, 0, -EINVAL);
	expect_error((const uint8_t *)"\xff\xd8", 2, -EINVAL);
}
END_TEST

/* Damage anywhere: an error or an image within the bounds, never a crash. */
START_TEST(damaged)
{
	struct facet_face_image image = make_image(48, 40, 30, 10);
	struct blob blob =
		_i ? make_jpeg(image.rgb, 48, 40, 3, _i == 2, 6)
		   : make_png(image.rgb, 48, 40,
			      (struct png_kind){.type = PNG_COLOR_TYPE_RGB, .depth = 8, .exif = 6});
	uint64_t seed = 11 + (uint64_t)_i;

	for (int round = 0; round < 1500; round++) {
		size_t at = make_random(&seed) % blob.bytes;
		uint8_t was = blob.data[at];
		struct facet_face_image got;

		blob.data[at] = (uint8_t)make_random(&seed);
		if (facet_face_image_decode(blob.data, blob.bytes, &got, text) == 0) {
			ck_assert_uint_le((uint64_t)got.width * got.height, FACET_FACE_MAX_PIXELS);
			facet_face_image_free(&got);
		}
		blob.data[at] = was;
	}
	facet_face_image_free(&image);
	free(blob.data);
}
END_TEST

START_TEST(files)
{
	char folder[] = "/tmp/facet-image-XXXXXX", path[64];
	struct facet_face_image want = make_image(31, 7, 255, 12), got;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	ck_assert_int_eq(facet_face_image_load(path, &got, text), -ENOENT);
	ck_assert_int_eq(facet_face_image_load(folder, &got, text), -EINVAL);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(facet_face_image_load(path, &got, text), -EINVAL);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_eq(facet_face_image_load(path, &got, text), -EINVAL);
	ck_assert_int_eq(ftruncate(fd, (off_t)FACET_FACE_MAX_FILE + 1), 0);
	ck_assert_int_eq(facet_face_image_load(path, &got, text), -EFBIG);
	close(fd);
	ck_assert_int_eq(facet_face_image_write_png(&want, path), 0);
	ck_assert_int_eq(facet_face_image_load(path, &got, text), 0);
	expect_near(&got, &want, 0);
	facet_face_image_free(&got);
	unlink(path);
	rmdir(folder);
	ck_assert_int_eq(facet_face_image_write_png(&want, path), -ENOENT);
	facet_face_image_free(&want);
	ck_assert_int_eq(facet_face_image_create(0, 5, &got), -EINVAL);
	ck_assert_int_eq(facet_face_image_create(30001, 5, &got), -EFBIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *jpeg = tcase_create("jpeg"), *png = tcase_create("png"),
	      *both = tcase_create("both");
	int count = sizeof(extents) / sizeof(extents[0]);

	tcase_add_loop_test(jpeg, jpeg_colours, 0, 2);
	tcase_add_test(jpeg, jpeg_grey);
	tcase_add_loop_test(jpeg, jpeg_cmyk, 0, 4);
	tcase_add_test(jpeg, jpeg_cmyk_plain);
	tcase_add_loop_test(jpeg, jpeg_truncated, 0, 2);
	tcase_add_loop_test(jpeg, jpeg_extents, 0, count);
	tcase_add_loop_test(png, png_rgb, 0, 2);
	tcase_add_loop_test(png, png_rgba, 0, 2);
	tcase_add_test(png, png_deep);
	tcase_add_loop_test(png, png_palette, 0, 2);
	tcase_add_test(png, png_grey_bit);
	tcase_add_loop_test(png, png_truncated, 0, 2);
	tcase_add_loop_test(png, png_extents, 0, count);
	tcase_add_test(png, no_memory_for_a_header);
	tcase_add_loop_test(both, orientation, 1, 9);
	tcase_add_test(both, orientation_nonsense);
	tcase_add_test(both, neither);
	tcase_add_loop_test(both, damaged, 0, 3);
	tcase_add_test(both, files);
	suite_add_tcase(suite, jpeg);
	suite_add_tcase(suite, png);
	suite_add_tcase(suite, both);
	return suite_run(suite);
}
