/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libfacet-face: from a photo's bytes to the input tensors of a recognition network.
 *
 *   decode -> detector -> boxes -> landmark network -> five points -> aligned crop (the tensor)
 *
 * The networks run elsewhere, behind struct facet_face_engine: over a connection to facetd they are
 * pipelined inference jobs; a test or the compiler brings an engine of its own. The library
 * decodes, resizes and warps in integers, so a photo gives the same tensors on every host. The crop
 * goes to the daemon as the tensor of enrol, verify or identify: no template leaves the daemon.
 *
 * Pixels are 8 bit RGB, rows from the top, without gaps. Boxes are bounded by edges of pixels, the
 * image's first edge being 0; points are places of pixels, whose centres are whole numbers, as the
 * landmark and recognition networks were trained. Functions return 0 or a negative errno;
 * where there is a text parameter it then holds one line that says what to do about it.
 * A pipeline belongs to one thread at a time; everything else is free of state.
 */
#ifndef FACET_HOST_FACE_FACE_H
#define FACET_HOST_FACE_FACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FACET_FACE_TEXT	     200
#define FACET_FACE_LANDMARKS 68u
#define FACET_FACE_POINTS    5u
#define FACET_FACE_MAX_PIXELS                                                                      \
	(64u << 20) /* of an image; checked before its memory is asked for   \
					   */
#define FACET_FACE_MAX_SIDE 30000u
#define FACET_FACE_MAX_FILE (256u << 20) /* bytes */
#define FACET_FACE_OUTPUTS  4u

/* ---- images ------------------------------------------------------------------------------------
 */

struct facet_face_image {
	uint8_t *rgb; /* [height][width][3], from malloc() */
	uint32_t width, height;
};

/*
 * JPEG or PNG, told by its first bytes; grey, palette, CMYK, alpha (over black) and 16 bit become
 * 8 bit RGB, and the EXIF orientation is applied. A truncated or corrupt file is an error, never
 * half an image: -EINVAL not such a file, -EFBIG over the bounds above, -EBADMSG damaged, -ENOMEM;
 * load also gives what open() and read() give.
 */
int facet_face_image_load(const char *path, struct facet_face_image *image,
			  char text[FACET_FACE_TEXT]);
int facet_face_image_decode(const void *data, size_t bytes, struct facet_face_image *image,
			    char text[FACET_FACE_TEXT]);
/* Zeroed pixels. -EINVAL for an empty image, -EFBIG over the bounds. */
int facet_face_image_create(uint32_t width, uint32_t height, struct facet_face_image *image);
int facet_face_image_write_png(const struct facet_face_image *image, const char *path);
void facet_face_image_free(struct facet_face_image *image); /* and empties it */

/*
 * Stretches the box (pixels; it may reach out of the image, whose edge is then repeated) to
 * width x height: first averaged over whole blocks of floor(source / target) pixels where that is 2
 * or more, then bilinear. channels 3 gives RGB; 1 gives (4899 R + 9617 G + 1868 B + 2^13) >> 14.
 * out: [height][width][channels]. -EINVAL for an empty box, one over 2 * FACET_FACE_MAX_SIDE, or a
 * target of 0 or over 4,096; -ENOMEM.
 */
struct facet_face_box {
	int32_t left, top, right, bottom; /* right and bottom are outside of it */
};
int facet_face_image_resize(const struct facet_face_image *image, struct facet_face_box box,
			    uint32_t width, uint32_t height, uint32_t channels, uint8_t *out);

/* Edits, each into a new image. */
int facet_face_image_flip(const struct facet_face_image *in, struct facet_face_image *out);
int facet_face_image_blur(
	const struct facet_face_image *in, uint32_t radius,
	struct facet_face_image *out); /* mean of (2 radius + 1)^2, edge repeated */
int facet_face_image_crop(const struct facet_face_image *in, struct facet_face_box box,
			  struct facet_face_image *out); /* the part of the box inside the image */

/* ---- faces -------------------------------------------------------------------------------------
 */

struct facet_face_point {
	float x, y;
};

struct facet_face {
	float left, top, right, bottom; /* may reach out of the image */
	float score;			/* the detector's, 0..1 */
	/* the usual 68: jaw 0-16, brows -26, nose -35, eyes -47, mouth -67; left is the image's */
	struct facet_face_point landmark[FACET_FACE_LANDMARKS];
	struct facet_face_point point[FACET_FACE_POINTS]; /* eyes, nose, corners of the mouth */
	/*
	 * quality = score * min(sharpness, size, pose), all 0..1:
	 *   sharpness = v / (v + 60), v the variance of the 4-neighbour Laplacian of the 112x112
	 * grey crop size = min(1, d / 35.24), d the distance of the eyes in pixels (35.24: no
	 * enlargement) pose = (1 - yaw) * (1 - pitch), yaw = |l - r| / (l + r), l and r the nose's
	 * distances from the eyes along the line between them, pitch = min(1, |h - 0.49| / 0.49), h
	 * the nose's place between the eyes (0) and the mouth (1)
	 */
	float quality, sharpness, size, pose;
};

struct facet_face_set {
	struct facet_face *face; /* best score first */
	uint32_t count;
	uint32_t refused; /* found, but below min_quality or min_side */
};
void facet_face_set_free(struct facet_face_set *set);

enum facet_face_choice { FACET_FACE_ONLY, FACET_FACE_LARGEST, FACET_FACE_CENTRE };
/*
 * Which face a photo is about: its only one (-ENOENT without any, -E2BIG with several), the
 * largest, or the one nearest to the centre. Index >= 0 or negative errno.
 */
int facet_face_choose(const struct facet_face_set *set, const struct facet_face_image *image,
		      enum facet_face_choice choice);

/*
 * The aligned crop, size x size RGB: least-squares similarity of the points to the network's own
 * places, coefficients rounded to 16.16, bilinear in integers, black outside of the image.
 * 112: five points of the MobileFaceNets; 150: the five of the dlib ResNet, padding 0.25.
 * -EINVAL for another size or for points that all fall together; -ENOMEM.
 */
#define FACET_FACE_ALIGN_SMALL 112u
#define FACET_FACE_ALIGN_LARGE 150u
int facet_face_align(const struct facet_face_image *image, const struct facet_face *face,
		     uint32_t size, uint8_t *out);

struct facet_probe;
/*
 * Crops of all the faces as one probe of input tensors, for facet_enrol(), facet_verify() and
 * facet_identify(): the daemon embeds and searches in one job. size as above, of the gallery's
 * model. *tensors holds the pixels of the probe; free() it after the call.
 */
int facet_face_probe(const struct facet_face_image *image, const struct facet_face *faces,
		     uint32_t count, uint32_t size, struct facet_probe *probe, uint8_t **tensors);

/* ---- the networks' side ------------------------------------------------------------------------
 */

/* One u8 input [height][width][channels], float outputs of floats[i] values in rows of columns[i].
 */
struct facet_face_network {
	uint32_t width, height, channels;
	uint32_t outputs, floats[FACET_FACE_OUTPUTS], columns[FACET_FACE_OUTPUTS];
};

struct facet_face_done {
	void *tag;
	int status;				 /* 0 or negative errno, then with text */
	const float *output[FACET_FACE_OUTPUTS]; /* [count][floats]; until the next call of next */
	char text[FACET_FACE_TEXT];
};

struct facet_face_engine {
	void *context;
	int (*describe)(void *context, const char *model, struct facet_face_network *network,
			char text[FACET_FACE_TEXT]);
	/* input: [count] tensors, valid until the job is done. Never waits for a job. */
	int (*submit)(void *context, const char *model, const uint8_t *input, uint32_t count,
		      void *tag, char text[FACET_FACE_TEXT]);
	/* Waits for a job, in any order. An error of its own means that no job will be done
	 * anymore. */
	int (*next)(void *context, struct facet_face_done *done);
	void (*close)(void *context);
};

struct facet;
/*
 * Jobs of a connection, which the engine borrows: as long as a photo is on its way it must be used
 * for nothing else. A job that the daemon is too busy for is given again when it says.
 */
int facet_face_engine_client(struct facet *client, struct facet_face_engine *engine);

/* ---- the pipeline ------------------------------------------------------------------------------
 */

struct facet_face_options {
	size_t size;	      /* of this struct */
	const char *detector; /* model names; "detect" and "landmark" if NULL */
	const char *landmark;
	float min_score;    /* 0: 0.6 */
	float max_overlap;  /* intersection over union of two faces; 0: 0.4 */
	float min_quality;  /* 0: none is refused */
	uint32_t min_side;  /* pixels of the box's shorter side; 0: 16 */
	uint32_t max_faces; /* a photo, the best ones; 0: 64 */
	uint32_t in_flight; /* photos; 0: 8 */
};

struct facet_face_pipeline;
/* Asks the engine for both networks; -EINVAL if they have not the shape of such networks. */
int facet_face_pipeline_create(const struct facet_face_engine *engine,
			       const struct facet_face_options *options,
			       struct facet_face_pipeline **pipeline, char text[FACET_FACE_TEXT]);
void facet_face_pipeline_free(struct facet_face_pipeline *pipeline); /* closes the engine */

int facet_face_find(struct facet_face_pipeline *pipeline, const struct facet_face_image *image,
		    struct facet_face_set *set, char text[FACET_FACE_TEXT]);

/*
 * Many photos with in_flight of them on their way. image() gives photo i; found() takes the result,
 * in any order, owns the faces (facet_face_set_free), and may keep the image by emptying it. A
 * photo that fails (status < 0, one line in text) does not stop the others; a negative return of
 * found() does, and is returned once no job is on its way.
 */
struct facet_face_batch {
	void *context;
	int (*image)(void *context, uint32_t i, struct facet_face_image *image,
		     char text[FACET_FACE_TEXT]);
	int (*found)(void *context, uint32_t i, int status, struct facet_face_image *image,
		     struct facet_face_set *set, const char *text);
};
int facet_face_run(struct facet_face_pipeline *pipeline, uint32_t count,
		   const struct facet_face_batch *batch);

/* ---- contact sheet -----------------------------------------------------------------------------
 */

/* A row: a probe, its best match, and a line of text under each. match.rgb may be NULL. */
struct facet_face_sheet_row {
	struct facet_face_image probe, match; /* borrowed */
	const char *probe_text, *match_text;  /* printable ASCII; the rest is drawn as a box */
	bool good;			      /* colour of the score's bar */
	float score;			      /* 0..1, its length */
};
/* Two columns of rows, thumbnails of 112 pixels, as PNG. -EINVAL without rows or with over 1,000.
 */
int facet_face_sheet_write(const char *path, const char *title,
			   const struct facet_face_sheet_row *row, uint32_t rows);

#ifdef __cplusplus
}
#endif
#endif
