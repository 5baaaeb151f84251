/* SPDX-License-Identifier: Apache-2.0 */
/* A contact sheet: each probe beside its best match, with names and a bar for the score. */
#include "host/face/font.h"
#include "host/face/image.h"

#include <errno.h>
#include <string.h>

#define THUMB	    112u
#define MARGIN	    12u
#define TEXT_WIDTH  168u
#define COLUMNS	    2u
#define ROWS_MAX    1000u
#define BAR_HEIGHT  6u
#define CELL_WIDTH  (2 * THUMB + TEXT_WIDTH + 4 * MARGIN)
#define CELL_HEIGHT (THUMB + MARGIN)
#define HEAD_HEIGHT (FACE_FONT_HEIGHT * 2 + 2 * MARGIN)

static const uint8_t paper[3] = {250, 250, 247}, ink[3] = {32, 34, 38}, pale[3] = {222, 222, 216},
		     good[3] = {46, 125, 80}, bad[3] = {186, 64, 48};

static void fill(struct facet_face_image *sheet, uint32_t x, uint32_t y, uint32_t width,
		 uint32_t height, const uint8_t rgb[3])
{
	for (uint32_t v = y; v < y + height; v++)
		for (uint32_t u = x; u < x + width; u++)
			memcpy(sheet->rgb + ((size_t)v * sheet->width + u) * 3, rgb, 3);
}

/* The whole image in a square, its proportions kept. */
static int draw_thumb(struct facet_face_image *sheet, uint32_t x, uint32_t y,
		      const struct facet_face_image *image)
{
	uint8_t pixels[THUMB * THUMB * 3];
	uint32_t longer, width, height;
	int r;

	fill(sheet, x, y, THUMB, THUMB, pale);
	if (!image->rgb)
		return 0;
	longer = image->width > image->height ? image->width : image->height;
	width = (uint32_t)((uint64_t)image->width * THUMB / longer);
	height = (uint32_t)((uint64_t)image->height * THUMB / longer);
	width = width ? width : 1;
	height = height ? height : 1;
	r = facet_face_image_resize(
		image, (struct facet_face_box){0, 0, (int32_t)image->width, (int32_t)image->height},
		width, height, 3, pixels);
	if (r < 0)
		return r;
	x += (THUMB - width) / 2;
	y += (THUMB - height) / 2;
	for (uint32_t v = 0; v < height; v++)
		memcpy(sheet->rgb + ((size_t)(y + v) * sheet->width + x) * 3,
		       pixels + (size_t)v * width * 3, (size_t)width * 3);
	return 0;
}

/* Text over up to four lines, cut at words where that is possible. */
static void draw_text(struct facet_face_image *sheet, uint32_t x, uint32_t y, const char *text)
{
	uint32_t room = TEXT_WIDTH / FACE_FONT_WIDTH;

	for (int line = 0; *text && line < 4; line++, y += FACE_FONT_HEIGHT + 4) {
		char piece[TEXT_WIDTH / FACE_FONT_WIDTH + 1];
		size_t n = strnlen(text, room), cut = n;

		if (text[n]) {
			while (cut && text[cut] != ' ')
				cut--;
			n = cut ? cut : n;
		}
		memcpy(piece, text, n);
		piece[n] = 0;
		face_font_draw(sheet, x, y, TEXT_WIDTH, 1, ink, piece);
		text += n;
		text += *text == ' ';
	}
}

static int draw_row(struct facet_face_image *sheet, uint32_t x, uint32_t y,
		    const struct facet_face_sheet_row *row)
{
	uint32_t text_x = x + 2 * THUMB + 2 * MARGIN, length;
	float score = row->score > 1 ? 1 : row->score > 0 ? row->score : 0;
	int r = draw_thumb(sheet, x, y, &row->probe);

	if (r == 0)
		r = draw_thumb(sheet, x + THUMB + MARGIN, y, &row->match);
	if (r < 0)
		return r;
	draw_text(sheet, text_x, y, row->probe_text ? row->probe_text : "");
	draw_text(sheet, text_x, y + THUMB / 2 - 4, row->match_text ? row->match_text : "");
	length = (uint32_t)(score * TEXT_WIDTH);
	fill(sheet, text_x, y + THUMB - BAR_HEIGHT, TEXT_WIDTH, BAR_HEIGHT, pale);
	fill(sheet, text_x, y + THUMB - BAR_HEIGHT, length, BAR_HEIGHT, row->good ? good : bad);
	return 0;
}

int facet_face_sheet_write(const char *path, const char *title,
			   const struct facet_face_sheet_row *row, uint32_t rows)
{
	struct facet_face_image sheet;
	uint32_t lines = (rows + COLUMNS - 1) / COLUMNS;
	int r;

	if (!rows || rows > ROWS_MAX)
		return -EINVAL;
	if (lines * CELL_HEIGHT + HEAD_HEIGHT > FACET_FACE_MAX_SIDE)
		return -EFBIG;
	r = facet_face_image_create(COLUMNS * CELL_WIDTH, HEAD_HEIGHT + lines * CELL_HEIGHT,
				    &sheet);
	if (r < 0)
		return r;
	fill(&sheet, 0, 0, sheet.width, sheet.height, paper);
	face_font_draw(&sheet, MARGIN, MARGIN, sheet.width - 2 * MARGIN, 2, ink, title);
	for (uint32_t i = 0; i < rows && r == 0; i++)
		r = draw_row(&sheet, MARGIN + i % COLUMNS * CELL_WIDTH,
			     HEAD_HEIGHT + i / COLUMNS * CELL_HEIGHT, &row[i]);
	if (r == 0)
		r = facet_face_image_write_png(&sheet, path);
	facet_face_image_free(&sheet);
	return r;
}
