/* SPDX-License-Identifier: Apache-2.0 */
/* PNG by libpng, read and written. */
#include "host/face/image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <png.h>

#define CHUNK_MAX (8u << 20) /* of a text or profile, which is thrown away */
#define EXIF_MAX  (1u << 16)

struct reader {
	const uint8_t *data;
	size_t bytes, at;
	char *text;
	int error;
	struct facet_face_image *image;
	png_bytep *rows;
	int orientation;
};

static _Noreturn void on_error(png_structp png, const char *why)
{
	struct reader *reader = png_get_error_ptr(png);

	if (!reader->error)
		reader->error = face_fail(reader->text, -EBADMSG,
					  "the PNG is damaged or truncated (%.100s)", why);
	png_longjmp(png, 1);
}

static void on_warning(png_structp png, const char *why)
{
	(void)png;
	(void)why;
}

static void on_read(png_structp png, png_bytep out, size_t bytes)
{
	struct reader *reader = png_get_io_ptr(png);

	if (bytes > reader->bytes - reader->at)
		png_error(png, "the file ends early");
	memcpy(out, reader->data + reader->at, bytes);
	reader->at += bytes;
}

static int find_orientation(png_structp png, png_infop info)
{
	uint8_t block[6 + EXIF_MAX] = "Exif\0";
	png_bytep exif = NULL;
	png_uint_32 bytes = 0;

	if (!png_get_eXIf_1(png, info, &bytes, &exif) || bytes > EXIF_MAX)
		return 0;
	memcpy(block + 6, exif, bytes);
	return face_exif_orientation(block, 6 + bytes);
}

/* Everything becomes 8 bit RGB, what is transparent black. */
static void ask_rgb(png_structp png, png_infop info)
{
	png_color_16 black = {0};

	png_set_expand(png);
	png_set_scale_16(png);
	png_set_gray_to_rgb(png);
	png_set_background(png, &black, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
	png_set_interlace_handling(png);
	png_read_update_info(png, info);
	if (png_get_rowbytes(png, info) != 3 * (size_t)png_get_image_width(png, info))
		png_error(png, "of an unknown kind");
}

static void read_image(struct reader *reader, png_structp png, png_infop info)
{
	struct facet_face_image *image = reader->image;
	uint32_t width, height;

	png_set_read_fn(png, reader, on_read);
	png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* ours follow, with a better text */
	png_set_chunk_malloc_max(png, CHUNK_MAX);
	png_read_info(png, info);
	width = png_get_image_width(png, info);
	height = png_get_image_height(png, info);
	reader->error = face_image_check(width, height, reader->text);
	if (reader->error)
		png_error(png, "size");
	ask_rgb(png, info);
	reader->rows = malloc(height * sizeof(*reader->rows));
	if (!reader->rows || facet_face_image_create(width, height, image) < 0) {
		reader->error = face_fail(reader->text, -ENOMEM, "out of memory for the image");
		png_error(png, "memory");
	}
	for (uint32_t y = 0; y < height; y++)
		reader->rows[y] = image->rgb + (size_t)y * width * 3;
	png_read_image(png, reader->rows);
	png_read_end(png, info);
	reader->orientation = find_orientation(png, info);
}

int face_png_decode(const uint8_t *data, size_t bytes, struct facet_face_image *image,
		    int *orientation, char text[FACET_FACE_TEXT])
{
	struct reader *reader = calloc(1, sizeof(*reader));
	png_structp png = NULL;
	png_infop info = NULL;
	int r = -ENOMEM;

	if (!reader)
		return face_fail(text, -ENOMEM, "out of memory for the image");
	*reader = (struct reader){.data = data, .bytes = bytes, .text = text, .image = image};
	png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning);
	info = png ? png_create_info_struct(png) : NULL;
	if (!info) {
		face_fail(text, r, "out of memory for the image");
		goto out;
	}
	if (setjmp(png_jmpbuf(png)) == 0)
		read_image(reader, png, info);
	r = reader->error;
	*orientation = reader->orientation;
out:
	png_destroy_read_struct(&png, &info, NULL);
	free(reader->rows);
	free(reader);
	return r;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static _Noreturn void on_write_error(png_structp png, const char *why)
{
	(void)why;
	png_longjmp(png, 1);
}

static void write_image(png_structp png, png_infop info, FILE *file,
			const struct facet_face_image *image)
{
	png_init_io(png, file);
	png_set_IHDR(png, info, image->width, image->height, 8, PNG_COLOR_TYPE_RGB,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (uint32_t y = 0; y < image->height; y++)
		png_write_row(png, image->rgb + (size_t)y * image->width * 3);
	png_write_end(png, info);
}

int facet_face_image_write_png(const struct facet_face_image *image, const char *path)
{
	png_structp png;
	png_infop info = NULL;
	FILE *file;
	volatile int r = -EIO;

	if (!image->rgb)
		return -EINVAL;
	file = fopen(path, "wbe");
	if (!file)
		return -errno;
	png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_write_error, on_warning);
	info = png ? png_create_info_struct(png) : NULL;
	if (!info) {
		r = -ENOMEM;
	} else if (setjmp(png_jmpbuf(png)) == 0) {
		write_image(png, info, file, image);
		r = 0;
	}
	png_destroy_write_struct(&png, &info);
	if (fclose(file) != 0 && r == 0)
		r = -EIO;
	return r;
}
