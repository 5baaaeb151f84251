/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG by libjpeg-turbo, whose slow integer DCT and fancy upsampling give the same bytes with and
 * without SIMD. Damage that the library would patch over with a warning is an error here.
 */
#include "host/face/image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

#define SCANS_MAX   100 /* a file can ask for any number of passes over all pixels */
#define EXIF_MARKER (JPEG_APP0 + 1)

struct reader {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf stop;
	int error;
	char *text;
	struct facet_face_image *image;
	int orientation;
	uint8_t *line; /* one row of CMYK */
};

static _Noreturn void stop(struct reader *reader, int error)
{
	reader->error = error;
	longjmp(reader->stop, 1);
}

static void on_error(j_common_ptr common)
{
	struct reader *reader = common->client_data;
	char why[JMSG_LENGTH_MAX];

	if (common->err->msg_code == JERR_OUT_OF_MEMORY) {
		face_fail(reader->text, -ENOMEM, "out of memory for the image");
		stop(reader, -ENOMEM);
	}
	common->err->format_message(common, why);
	face_fail(reader->text, -EBADMSG, "the JPEG is damaged or truncated (%.100s)", why);
	stop(reader, -EBADMSG);
}

static void on_message(j_common_ptr common, int level)
{
	int code = common->err->msg_code;

	if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER ||
			  code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC))
		on_error(common);
}

static void on_progress(j_common_ptr common)
{
	struct reader *reader = common->client_data;

	if (reader->jpeg.input_scan_number > SCANS_MAX) {
		face_fail(reader->text, -EBADMSG, "the JPEG has more than %d passes", SCANS_MAX);
		stop(reader, -EBADMSG);
	}
}

static int find_orientation(const struct reader *reader)
{
	int found = 0;

	for (jpeg_saved_marker_ptr m = reader->jpeg.marker_list; m && !found; m = m->next)
		if (m->marker == EXIF_MARKER)
			found = face_exif_orientation(m->data, m->data_length);
	return found;
}

/* Adobe's files hold inks inverted, as everybody expects by now. */
static void from_cmyk(const uint8_t *line, uint32_t width, bool inverted, uint8_t *rgb)
{
	for (uint32_t x = 0; x < width; x++, line += 4, rgb += 3)
		for (int c = 0; c < 3; c++) {
			uint32_t ink = inverted ? line[c] : 255u - line[c];
			uint32_t key = inverted ? line[3] : 255u - line[3];

			rgb[c] = (uint8_t)((ink * key + 127u) / 255u);
		}
}

static void read_rows(struct reader *reader)
{
	struct jpeg_decompress_struct *jpeg = &reader->jpeg;
	struct facet_face_image *image = reader->image;

	while (jpeg->output_scanline < jpeg->output_height) {
		uint8_t *row = image->rgb + (size_t)jpeg->output_scanline * image->width * 3;
		uint8_t *target = reader->line ? reader->line : row;

		jpeg_read_scanlines(jpeg, &target, 1);
		if (reader->line)
			from_cmyk(reader->line, image->width, jpeg->saw_Adobe_marker, row);
	}
}

static void read_image(struct reader *reader, const uint8_t *data, size_t bytes)
{
	struct jpeg_decompress_struct *jpeg = &reader->jpeg;
	int r;

	jpeg_create_decompress(jpeg);
	reader->progress.progress_monitor = on_progress;
	jpeg->progress = &reader->progress;
	jpeg_mem_src(jpeg, data, bytes);
	jpeg_save_markers(jpeg, EXIF_MARKER, 0xffff);
	jpeg_read_header(jpeg, TRUE);
	r = face_image_check(jpeg->image_width, jpeg->image_height, reader->text);
	if (r < 0)
		stop(reader, r);
	bool inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;

	jpeg->out_color_space = inks ? JCS_CMYK : JCS_RGB;
	jpeg->dct_method = JDCT_ISLOW;
	jpeg->do_fancy_upsampling = TRUE;
	reader->orientation = find_orientation(reader);
	r = facet_face_image_create(jpeg->image_width, jpeg->image_height, reader->image);
	if (r == 0 && inks && !(reader->line = malloc((size_t)jpeg->image_width * 4)))
		r = -ENOMEM;
	if (r < 0) {
		face_fail(reader->text, r, "out of memory for the image");
		stop(reader, r);
	}
	jpeg_start_decompress(jpeg);
	read_rows(reader);
	jpeg_finish_decompress(jpeg);
}

int face_jpeg_decode(const uint8_t *data, size_t bytes, struct facet_face_image *image,
		     int *orientation, char text[FACET_FACE_TEXT])
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return face_fail(text, -ENOMEM, "out of memory for the image");
	reader->text = text;
	reader->image = image;
	reader->jpeg.err = jpeg_std_error(&reader->errors);
	reader->jpeg.client_data = reader;
	reader->errors.error_exit = on_error;
	reader->errors.emit_message = on_message;
	if (setjmp(reader->stop) == 0)
		read_image(reader, data, bytes);
	r = reader->error;
	*orientation = reader->orientation;
	jpeg_destroy_decompress(&reader->jpeg);
	free(reader->line);
	free(reader);
	return r;
}
