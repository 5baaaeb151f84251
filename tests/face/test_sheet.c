/* SPDX-License-Identifier: Apache-2.0 */
/* The contact sheet is a PNG with what was given in the places where it belongs. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/face/font.h"
#include "tests/face/make.h"
#include "tests/suite.h"

static char text[FACET_FACE_TEXT];

static uint32_t count_colour(const struct facet_face_image *image, const uint8_t rgb[3])
{
	uint32_t count = 0;

	for (size_t i = 0; i < (size_t)image->width * image->height; i++)
		count += !memcmp(image->rgb + 3 * i, rgb, 3);
	return count;
}

static struct facet_face_image plain(uint32_t width, uint32_t height, const uint8_t rgb[3])
{
	struct facet_face_image image;

	ck_assert_int_eq(facet_face_image_create(width, height, &image), 0);
	for (size_t i = 0; i < (size_t)width * height; i++)
		memcpy(image.rgb + 3 * i, rgb, 3);
	return image;
}

START_TEST(sheet)
{
	static const uint8_t red[3] = {255, 0, 0}, blue[3] = {0, 0, 255}, good[3] = {46, 125, 80},
			     bad[3] = {186, 64, 48};
	char path[] = "/tmp/facet-sheet-XXXXXX";
	struct facet_face_image wide = plain(224, 112, red), high = plain(10, 20, blue), got;
	struct facet_face_sheet_row rows[3] = {
		{wide, high, "a probe",
		 "its match with a rather long text that needs more than a line", true, 0.5f},
		{wide, {0}, "", NULL, false, 7},
		{wide, high, "x", "y", true, -1},
	};

	close(mkstemp(path));
	ck_assert_int_eq(facet_face_sheet_write(path, "Title", rows, 3), 0);
	ck_assert_int_eq(facet_face_image_load(path, &got, text), 0);
	ck_assert_uint_eq(count_colour(&got, red), 3 * 112 * 56); /* proportions kept */
	ck_assert_uint_eq(count_colour(&got, blue), 2 * 56 * 112);
	ck_assert_uint_eq(count_colour(&got, good), 84 * 6); /* half a bar */
	ck_assert_uint_eq(count_colour(&got, bad), 168 * 6); /* a whole one, and no more */
	facet_face_image_free(&got);
	ck_assert_int_eq(facet_face_sheet_write(path, "Title", rows, 0), -EINVAL);
	ck_assert_int_eq(facet_face_sheet_write(path, "Title", rows, 1001), -EINVAL);
	ck_assert_int_eq(facet_face_sheet_write("/nonexistent/sheet.png", "Title", rows, 3),
			 -ENOENT);
	unlink(path);
	facet_face_image_free(&wide);
	facet_face_image_free(&high);
}
END_TEST

/* Each letter that can be told from the others must be drawn differently. */
START_TEST(letters)
{
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;-+_=/%()[]<>!?#*&@'\"~";
	static const uint8_t black[3] = {0, 0, 0}, white[3] = {255, 255, 255};
	uint64_t hash[sizeof(all)];

	for (size_t i = 0; i + 1 < sizeof(all); i++) {
		struct facet_face_image image = plain(8, 9, white);

		face_font_draw(&image, 1, 1, 6, 1, black, (const char[]){all[i], 'X', 0});
		for (uint32_t y = 0; y < 9; y++)
			for (uint32_t x = 0; x < 8; x++) /* only within its place */
				if (x < 1 || x > 5 || y < 1 || y > 7)
					ck_assert_int_eq(image.rgb[(y * 8 + x) * 3], 255);
		hash[i] = make_hash(image.rgb, 8 * 9 * 3);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(hash[i] != hash[j], "%c looks like %c", all[i], all[j]);
		facet_face_image_free(&image);
	}
}
END_TEST

START_TEST(clipped)
{
	static const uint8_t black[3] = {0, 0, 0}, white[3] = {255, 255, 255};
	struct facet_face_image image = plain(9, 5, white);

	face_font_draw(&image, 3, 1, 600, 3, black, "WWWW");
	face_font_draw(&image, 300, 100, 600, 1, black, "W");
	face_font_draw(&image, 0, 0, 5, 1, black, "W"); /* no room for one */
	ck_assert_uint_gt(count_colour(&image, black), 0);
	ck_assert_int_eq(image.rgb[0], 255);
	facet_face_image_free(&image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sheet");
	TCase *all = tcase_create("sheet");

	tcase_add_test(all, sheet);
	tcase_add_test(all, letters);
	tcase_add_test(all, clipped);
	suite_add_tcase(suite, all);
	return suite_run(suite);
}
