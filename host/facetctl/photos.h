/* SPDX-License-Identifier: Apache-2.0 */
/* Photos of a folder, and the aligned faces in them. */
#ifndef FACET_FACETCTL_PHOTOS_H
#define FACET_FACETCTL_PHOTOS_H

#include "host/face/face.h"
#include "host/facetctl/ctl.h"

struct photo {
	char *path;
	const char *file;    /* path from its last slash on */
	const char *subject; /* name of the folder it lies in */
};

struct photos {
	struct photo *item; /* by path */
	uint32_t count;
	char **folders; /* names that subjects point to */
	uint32_t folder_count;
};

/* DIR/SUBJECT/PHOTO, and photos right in DIR (their subject is DIR's own name). Files named .jpg,
 * .jpeg or .png. 0, or CTL_ERROR after printing why. */
int photos_list(const char *dir, struct photos *photos);
void photos_free(struct photos *photos);

/* The options that all commands on photos take. */
struct photo_options {
	const char *detector, *landmark; /* models in the daemon */
	double min_quality;
	enum facet_face_choice choice; /* of the photo's faces */
};
#define PHOTO_KEYS                                                                                 \
	{"detector", 0x200, "MODEL", 0, "finds faces (detect)", 1},                                \
		{"landmark", 0x201, "MODEL", 0, "finds eyes, nose and mouth (landmark)", 1},       \
		{"min-quality", 0x202, "Q", 0, "refuse faces below this quality, 0..1", 1},        \
	{                                                                                          \
		"face", 0x203, "WHICH", 0,                                                         \
			"of several faces in a photo take the largest or the centre one", 1        \
	}
/* 0 when the key was one of these. */
error_t photo_option(struct photo_options *options, int key, char *arg, struct argp_state *state);

/* A pipeline over a connection of its own. */
struct photo_finder {
	struct facet *c;
	struct facet_face_pipeline *pipeline;
	struct photo_options options;
};
int photo_finder_open(struct ctl *ctl, const struct photo_options *options,
		      struct photo_finder *finder);
void photo_finder_close(struct photo_finder *finder);

/*
 * Goes through the photos with several on their way. For each with a face that options.choice
 * accepts, taken() gets its aligned crop (size x size RGB), in any order; a nonzero return ends it.
 * Refused photos are named on stderr. Returns CTL_OK or CTL_ERROR.
 */
typedef int (*photo_taken)(void *context, uint32_t photo, const uint8_t *crop);
int photo_finder_run(struct ctl *ctl, struct photo_finder *finder, const struct photos *photos,
		     uint32_t size, const char *what, photo_taken taken, void *context,
		     uint32_t *refused);

/* Side of the crop a recognition model takes; 0 after printing why it takes none. */
uint32_t photo_crop_size(struct ctl *ctl, const char *model);
/* The model a gallery was made for, copied to name[65]; CTL_ERROR for one of bare vectors. */
int photo_gallery_model(struct ctl *ctl, const char *gallery, char *name);
/* The daemon's one recognition model, for lines that name none, copied to name[65]; CTL_ERROR when
 * there is none or are several. */
int photo_only_model(struct ctl *ctl, char *name);

#endif
