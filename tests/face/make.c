/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/face/make.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <png.h>

uint64_t make_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

struct facet_face_image make_image(uint32_t width, uint32_t height, uint32_t noise, uint64_t seed)
{
	struct facet_face_image image = {malloc((size_t)width * height * 3), width, height};
	uint8_t *p = image.rgb;

	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			for (uint32_t c = 0; c < 3; c++) {
				/* integers only: the golden hashes depend on it */
				uint32_t wave =
					(x * (3 + c) * 256 / width + y * (5 - c) * 256 / height) %
					512;
				int32_t v = wave < 256 ? (int32_t)wave : 511 - (int32_t)wave;

				if (noise)
					v += (int32_t)(make_random(&seed) % (2 * noise + 1)) -
					     (int32_t)noise;
				*p++ = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
			}
	return image;
}

/* ---- JPEG ---------------------------------------------------------------------------------------- */

static void write_exif(struct jpeg_compress_struct *jpeg, int orientation)
{
	uint8_t block[] = {'E',
			   'x',
			   'i',
			   'f',
			   0,
			   0, /* TIFF, little-endian: */
			   'I',
			   'I',
			   42,
			   0,
			   8,
			   0,
			   0,
			   0, /* first directory at 8, */
			   1,
			   0,
			   0x12,
			   1,
			   3,
			   0,
			   1,
			   0,
			   0,
			   0, /* one entry, a short: */
			   (uint8_t)orientation,
			   0,
			   0,
			   0,
			   0,
			   0,
			   0,
			   0};

	jpeg_write_marker(jpeg, JPEG_APP0 + 1, block, sizeof(block));
}

struct blob make_jpeg(const uint8_t *pixels, uint32_t width, uint32_t height, int components,
		      int progressive, int exif)
{
	static const J_COLOR_SPACE spaces[] = {[1] = JCS_GRAYSCALE, [3] = JCS_RGB, [4] = JCS_CMYK};
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr errors;
	unsigned char *data = NULL;
	unsigned long bytes = 0;

	jpeg.err = jpeg_std_error(&errors);
	jpeg_create_compress(&jpeg);
	jpeg_mem_dest(&jpeg, &data, &bytes);
	jpeg.image_width = width;
	jpeg.image_height = height;
	jpeg.input_components = components;
	jpeg.in_color_space = spaces[components];
	jpeg_set_defaults(&jpeg);
	jpeg_set_quality(&jpeg, 95, TRUE);
	if (progressive)
		jpeg_simple_progression(&jpeg);
	jpeg_start_compress(&jpeg, TRUE);
	if (exif)
		write_exif(&jpeg, exif);
	while (jpeg.next_scanline < height) {
		uint8_t *row =
			(uint8_t *)pixels + (size_t)jpeg.next_scanline * width * (size_t)components;

		jpeg_write_scanlines(&jpeg, &row, 1);
	}
	jpeg_finish_compress(&jpeg);
	jpeg_destroy_compress(&jpeg);
	return (struct blob){data, bytes};
}

/* ---- PNG ----------------------------------------------------------------------------------------- */

static void on_write(png_structp png, png_bytep data, size_t bytes)
{
	struct blob *blob = png_get_io_ptr(png);

	blob->data = realloc(blob->data, blob->bytes + bytes);
	memcpy(blob->data + blob->bytes, data, bytes);
	blob->bytes += bytes;
}

static void on_flush(png_structp png)
{
	(void)png;
}

static void write_extras(png_structp png, png_infop info, struct png_kind kind)
{
	if (kind.palette)
		png_set_PLTE(png, info, (png_const_colorp)(const void *)kind.palette, 256);
	if (kind.alpha)
		png_set_tRNS(png, info, kind.alpha, 256, NULL);
	if (kind.exif) {
		uint8_t block[] = {'M', 'M', 0, 42,   0, 0, 0, 8, /* TIFF, big-endian */
				   0,	1,   1, 0x12, 0, 3, 0, 0, 0, 1, 0, (uint8_t)kind.exif,
				   0,	0,   0, 0,    0, 0};

		png_set_eXIf_1(png, info, sizeof(block), block);
	}
}

struct blob make_png(const uint8_t *rows, uint32_t width, uint32_t height, struct png_kind kind)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);
	png_bytep *lines = malloc(height * sizeof(*lines));
	struct blob blob = {0};
	size_t bytes;

	png_set_write_fn(png, &blob, on_write, on_flush);
	png_set_IHDR(png, info, width, height, kind.depth, kind.type,
		     kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	write_extras(png, info, kind);
	bytes = png_get_rowbytes(png, info);
	for (uint32_t y = 0; y < height; y++)
		lines[y] = (uint8_t *)rows + y * bytes;
	png_write_info(png, info);
	png_write_image(png, lines);
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	free(lines);
	return blob;
}

static uint32_t crc(const uint8_t *data, size_t bytes)
{
	uint32_t c = 0xffffffffu;

	for (size_t i = 0; i < bytes; i++) {
		c ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
	}
	return ~c;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void make_png_extents(struct blob *png, uint32_t width, uint32_t height)
{
	put_be32(png->data + 16, width);
	put_be32(png->data + 20, height);
	put_be32(png->data + 29, crc(png->data + 12, 17));
}

uint64_t make_hash(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}
