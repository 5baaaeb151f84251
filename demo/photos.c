/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Photos of the demo: every face of group photos cut out through libfacet-face, edits that make a
 * probe another picture than the enrolled one, and the contact sheet.
 */
#include "demo/demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "host/face/face.h"
#include "host/libfacet/facet.h"

#define MARGIN	       0.45f /* of the face's box, kept around it */
#define QUALITY	       0.3f  /* smaller and softer faces say little */
#define ROWS_MAX       200
#define LINE_MAX_BYTES 4096

/* ---- cut ----------------------------------------------------------------------------------------- */

struct cut {
	const char *out;
	char **photos;
	uint32_t faces;
	int error;
};

static int load_photo(void *context, uint32_t i, struct facet_face_image *image,
		      char text[FACET_FACE_TEXT])
{
	const struct cut *cut = context;

	return facet_face_image_load(cut->photos[i], image, text);
}

/* OUT/PHOTO-NUMBER/PHOTO-NUMBER.png: a folder, so a subject, a face. */
static int write_face(const struct cut *cut, const char *photo, uint32_t number,
		      const struct facet_face_image *image, const struct facet_face *face)
{
	float x = MARGIN * (face->right - face->left), y = MARGIN * (face->bottom - face->top);
	struct facet_face_box box = {(int32_t)(face->left - x), (int32_t)(face->top - y),
				     (int32_t)(face->right + x), (int32_t)(face->bottom + y)};
	const char *base = strrchr(photo, '/') ? strrchr(photo, '/') + 1 : photo;
	int stem = (int)strcspn(base, ".");
	char folder[LINE_MAX_BYTES], path[2 * LINE_MAX_BYTES];
	struct facet_face_image crop;
	int r;

	snprintf(folder, sizeof(folder), "%s/%.*s-%u", cut->out, stem, base, number);
	snprintf(path, sizeof(path), "%s/%.*s-%u.png", folder, stem, base, number);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = facet_face_image_crop(image, box, &crop);
	if (r < 0)
		return r;
	r = facet_face_image_write_png(&crop, path);
	facet_face_image_free(&crop);
	return r;
}

static int take_photo(void *context, uint32_t i, int status, struct facet_face_image *image,
		      struct facet_face_set *set, const char *text)
{
	struct cut *cut = context;

	if (status < 0)
		demo_fail("%s: %s", cut->photos[i], text);
	for (uint32_t f = 0; f < set->count && status == 0; f++) {
		status = write_face(cut, cut->photos[i], f + 1, image, &set->face[f]);
		if (status < 0)
			demo_fail("%s: %s", cut->out, strerror(-status));
	}
	cut->faces += set->count;
	facet_face_set_free(set);
	return status;
}

static int cut_all(struct facet_face_pipeline *pipeline, struct cut *cut, uint32_t count)
{
	struct facet_face_batch batch = {cut, load_photo, take_photo};
	int r = facet_face_run(pipeline, count, &batch);

	printf("%u faces in %u photos\n", cut->faces, count);
	return r < 0 || !cut->faces ? 2 : 0;
}

int demo_cut(int argc, char **argv)
{
	struct facet_face_options options = {.size = sizeof(options), .min_quality = QUALITY};
	struct facet_face_pipeline *pipeline = NULL;
	struct facet_face_engine engine = {0};
	char text[FACET_FACE_TEXT] = "";
	struct cut cut = {0};
	struct facet *c;
	int r = 2;

	if (argc < 3)
		return demo_fail("cut wants OUT PHOTO...");
	cut.out = argv[1];
	cut.photos = argv + 2;
	if (facet_connect(NULL, NULL, &c) < 0)
		demo_fail("%s", facet_error(c)->text);
	else if (facet_face_engine_client(c, &engine) < 0)
		demo_fail("out of memory");
	else if (facet_face_pipeline_create(&engine, &options, &pipeline, text) < 0)
		demo_fail("%s", text);
	else
		r = cut_all(pipeline, &cut, (uint32_t)argc - 2);
	if (!pipeline && engine.close)
		engine.close(engine.context);
	facet_face_pipeline_free(pipeline);
	facet_close(c);
	return r;
}

/* ---- edit ---------------------------------------------------------------------------------------- */

static int flip(const struct facet_face_image *in, struct facet_face_image *out)
{
	return facet_face_image_flip(in, out);
}

/* By as much as makes a face of any size about as soft: a sixtieth of the picture. */
static int blur(const struct facet_face_image *in, struct facet_face_image *out)
{
	return facet_face_image_blur(in, in->width / 120 + 1, out);
}

int demo_edit(int argc, char **argv)
{
	struct facet_face_image in, out = {0};
	char text[FACET_FACE_TEXT];
	int r;

	if (argc != 4 || (strcmp(argv[1], "flip") && strcmp(argv[1], "blur")))
		return demo_fail("edit wants flip or blur, IN and OUT.png");
	if (facet_face_image_load(argv[2], &in, text) < 0)
		return demo_fail("%s: %s", argv[2], text);
	r = argv[1][0] == 'f' ? flip(&in, &out) : blur(&in, &out);
	if (r == 0)
		r = facet_face_image_write_png(&out, argv[3]);
	facet_face_image_free(&in);
	facet_face_image_free(&out);
	return r < 0 ? demo_fail("%s: %s", argv[3], strerror(-r)) : 0;
}

/* ---- sheet --------------------------------------------------------------------------------------- */

/* A row a line: probe, match (may be empty), text, text, score, 1 if good; between them tabs. */
static int read_row(char *line, struct facet_face_sheet_row *row)
{
	char *field[6], text[FACET_FACE_TEXT];

	line[strcspn(line, "\n")] = 0;
	for (int i = 0; i < 6; i++) {
		field[i] = strsep(&line, "\t");
		if (!field[i])
			return demo_fail("a row of the sheet has only %d fields", i);
	}
	if (facet_face_image_load(field[0], &row->probe, text) < 0)
		return demo_fail("%s: %s", field[0], text);
	if (*field[1] && facet_face_image_load(field[1], &row->match, text) < 0)
		return demo_fail("%s: %s", field[1], text);
	row->probe_text = strdup(field[2]);
	row->match_text = strdup(field[3]);
	row->score = strtof(field[4], NULL);
	row->good = *field[5] == '1';
	return 0;
}

int demo_sheet(int argc, char **argv)
{
	static struct facet_face_sheet_row rows[ROWS_MAX];
	char line[LINE_MAX_BYTES];
	uint32_t count = 0;
	int r = 0;

	if (argc != 3)
		return demo_fail("sheet wants OUT.png and TITLE");
	while (r == 0 && count < ROWS_MAX && fgets(line, sizeof(line), stdin))
		r = read_row(line, &rows[count++]);
	if (r == 0) {
		r = facet_face_sheet_write(argv[1], argv[2], rows, count);
		if (r < 0)
			r = demo_fail("%s: %s", argv[1], strerror(-r));
	}
	for (uint32_t i = 0; i < count; i++) {
		facet_face_image_free(&rows[i].probe);
		facet_face_image_free(&rows[i].match);
		free((char *)rows[i].probe_text);
		free((char *)rows[i].match_text);
	}
	return r;
}
