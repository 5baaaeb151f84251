/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/photos.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define PHOTOS_MAX 10000000u

/* ---- folders -------------------------------------------------------------------------------- */
static bool is_photo(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot &&
	       (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png"));
}

static int add_photo(struct photos *photos, const char *dir, const char *name, const char *subject)
{
	struct photo *photo;

	if ((photos->count & (photos->count - 1)) == 0) { /* grows at each power of two */
		uint32_t room = photos->count ? 2 * photos->count : 1;
		struct photo *item = realloc(photos->item, room * sizeof(*item));

		if (!item)
			return -ENOMEM;
		photos->item = item;
	}
	photo = &photos->item[photos->count];
	if (asprintf(&photo->path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	photo->file = strrchr(photo->path, '/') + 1;
	photo->subject = subject;
	photos->count++;
	return 0;
}

static const char *add_folder(struct photos *photos, const char *name)
{
	char **folders = realloc(photos->folders, (photos->folder_count + 1ul) * sizeof(*folders));

	if (!folders)
		return NULL;
	photos->folders = folders;
	folders[photos->folder_count] = strdup(name);
	return folders[photos->folder_count] ? folders[photos->folder_count++] : NULL;
}

/* Photos of one folder; at the top also its sub-folders, each a subject. */
static int scan(struct photos *photos, const char *dir, const char *subject, bool top)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int error = 0;

	if (!d)
		return -errno;
	subject = add_folder(photos, subject);
	if (!subject)
		error = -ENOMEM;
	while (!error && (entry = readdir(d))) {
		char path[4096];
		struct stat st;

		if (entry->d_name[0] == '.' || photos->count >= PHOTOS_MAX)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >=
			    (int)sizeof(path) ||
		    stat(path, &st) != 0)
			continue;
		if (S_ISREG(st.st_mode) && is_photo(entry->d_name))
			error = add_photo(photos, dir, entry->d_name, subject);
		else if (top && S_ISDIR(st.st_mode))
			error = scan(photos, path, entry->d_name, false);
	}
	closedir(d);
	return error;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct photo *)a)->path, ((const struct photo *)b)->path);
}

int photos_list(const char *dir, struct photos *photos)
{
	char name[256];
	size_t length = strlen(dir);
	const char *base;
	int error;

	memset(photos, 0, sizeof(*photos));
	while (length > 1 && dir[length - 1] == '/')
		length--;
	for (base = dir + length; base > dir && base[-1] != '/'; base--)
		;
	snprintf(name, sizeof(name), "%.*s", (int)(dir + length - base), base);
	error = scan(photos, dir, name, true);
	if (!error && photos->count == 0) {
		photos_free(photos);
		return ctl_error("%s: no photos (.jpg, .jpeg, .png) in it or its folders", dir);
	}
	if (error) {
		photos_free(photos);
		return ctl_error("%s: %s", dir, strerror(-error));
	}
	qsort(photos->item, photos->count, sizeof(*photos->item), by_path);
	return CTL_OK;
}

void photos_free(struct photos *photos)
{
	for (uint32_t i = 0; i < photos->count; i++)
		free(photos->item[i].path);
	for (uint32_t i = 0; i < photos->folder_count; i++)
		free(photos->folders[i]);
	free(photos->item);
	free(photos->folders);
	memset(photos, 0, sizeof(*photos));
}

/* ---- options -------------------------------------------------------------------------------- */
error_t photo_option(struct photo_options *options, int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 0x200:
		options->detector = arg;
		return 0;
	case 0x201:
		options->landmark = arg;
		return 0;
	case 0x202:
		options->min_quality = ctl_real(state, "--min-quality", arg);
		if (options->min_quality < 0 || options->min_quality > 1)
			argp_error(state, "--min-quality %s: want 0..1", arg);
		return 0;
	case 0x203:
		if (strcmp(arg, "largest") == 0)
			options->choice = FACET_FACE_LARGEST;
		else if (strcmp(arg, "centre") == 0 || strcmp(arg, "center") == 0)
			options->choice = FACET_FACE_CENTRE;
		else
			argp_error(state, "--face %s: want largest or centre", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the pipeline --------------------------------------------------------------------------- */
int photo_finder_open(struct ctl *ctl, const struct photo_options *options,
		      struct photo_finder *finder)
{
	struct facet_params params = {.size = sizeof(params),
				      .software = "facetctl " FACET_VERSION};
	struct facet_face_options face = {.size = sizeof(face),
					  .detector = options->detector,
					  .landmark = options->landmark,
					  .min_quality = (float)options->min_quality};
	struct facet_face_engine engine;
	char text[FACET_FACE_TEXT] = "";

	memset(finder, 0, sizeof(*finder));
	finder->options = *options;
	if (facet_connect(ctl->socket, &params, &finder->c) != 0) {
		ctl_error("connect: %s", facet_error(finder->c)->text);
		photo_finder_close(finder);
		return CTL_ERROR;
	}
	if (facet_face_engine_client(finder->c, &engine) != 0 ||
	    facet_face_pipeline_create(&engine, &face, &finder->pipeline, text) != 0) {
		ctl_error("faces: %s", text);
		fputs("facetctl: photos need a detector and a landmark model in the daemon "
		      "(facetctl model create; --detector, --landmark name them)\n",
		      stderr);
		photo_finder_close(finder);
		return CTL_ERROR;
	}
	return CTL_OK;
}

void photo_finder_close(struct photo_finder *finder)
{
	facet_face_pipeline_free(finder->pipeline);
	facet_close(finder->c);
	memset(finder, 0, sizeof(*finder));
}

struct run {
	struct ctl *ctl;
	const struct photos *photos;
	enum facet_face_choice choice;
	uint32_t size, done, refused;
	const char *what;
	uint8_t *crop;
	photo_taken taken;
	void *context;
};

static int run_image(void *context, uint32_t i, struct facet_face_image *image,
		     char text[FACET_FACE_TEXT])
{
	struct run *run = context;

	if (ctl_interrupted()) {
		snprintf(text, FACET_FACE_TEXT, "interrupted");
		return -EINTR;
	}
	return facet_face_image_load(run->photos->item[i].path, image, text);
}

static const char *choice_text(int error)
{
	switch (error) {
	case -ENOENT:
		return "no face found";
	case -E2BIG:
		return "several faces; say --face largest to take the largest";
	default:
		return strerror(-error);
	}
}

static int run_found(void *context, uint32_t i, int status, struct facet_face_image *image,
		     struct facet_face_set *set, const char *text)
{
	struct run *run = context;
	const char *why = text;
	int error = status, face = -1;

	if (!error) {
		face = facet_face_choose(set, image, run->choice);
		if (face < 0) {
			error = face;
			why = set->count == 0 && set->refused
				      ? "its face is below the quality asked for"
				      : choice_text(face);
		}
	}
	if (!error) {
		error = facet_face_align(image, &set->face[face], run->size, run->crop);
		why = "cannot be aligned";
	}
	facet_face_set_free(set);
	output_progress(run->ctl->out, run->what, ++run->done, run->photos->count);
	if (ctl_interrupted())
		return -EINTR;
	if (error) {
		run->refused++;
		output_note(run->ctl->out, "%s: %s", run->photos->item[i].path, why);
		return 0;
	}
	return run->taken(run->context, i, run->crop) ? -ECANCELED : 0;
}

int photo_finder_run(struct ctl *ctl, struct photo_finder *finder, const struct photos *photos,
		     uint32_t size, const char *what, photo_taken taken, void *context,
		     uint32_t *refused)
{
	struct run run = {.ctl = ctl,
			  .photos = photos,
			  .choice = finder->options.choice,
			  .size = size,
			  .what = what,
			  .taken = taken,
			  .context = context};
	struct facet_face_batch batch = {.context = &run, .image = run_image, .found = run_found};
	int error;

	run.crop = malloc(3ul * size * size);
	if (!run.crop)
		return ctl_error("out of memory");
	error = facet_face_run(finder->pipeline, photos->count, &batch);
	free(run.crop);
	*refused = run.refused;
	if (error == -EINTR)
		return ctl_error("interrupted");
	if (error == -ECANCELED) /* taken() has said why */
		return CTL_ERROR;
	return error ? ctl_error("faces: %s", facet_error(finder->c)->text) : CTL_OK;
}

/* ---- models --------------------------------------------------------------------------------- */
uint32_t photo_crop_size(struct ctl *ctl, const char *model)
{
	struct facet_models *models;
	uint32_t size = 0;

	if (facet_model_list(ctl->c, model, &models) != 0) {
		ctl_failed(ctl, model);
		return 0;
	}
	if (models->count == 1 && models->items[0].space && models->items[0].input_count == 1 &&
	    models->items[0].inputs[0].rank == 3)
		size = models->items[0].inputs[0].shape[0];
	facet_free(models);
	if (size != FACET_FACE_ALIGN_SMALL && size != FACET_FACE_ALIGN_LARGE) {
		ctl_error(
			"%s: not a face recognition model (want an input of 112x112x3 or 150x150x3 "
			"and a template)",
			model);
		return 0;
	}
	return size;
}

int photo_gallery_model(struct ctl *ctl, const char *gallery, char *name)
{
	struct facet_galleries *galleries;

	if (facet_gallery_list(ctl->c, gallery, &galleries) != 0)
		return ctl_failed(ctl, gallery);
	name[0] = '\0';
	if (galleries->count == 1)
		snprintf(name, 65, "%s", galleries->items[0].model);
	else
		ctl_error("no gallery '%s' here", gallery);
	if (galleries->count == 1 && !name[0])
		ctl_error("%s is a gallery of bare vectors: use --vectors FILE", gallery);
	facet_free(galleries);
	return name[0] ? CTL_OK : CTL_ERROR;
}

int photo_only_model(struct ctl *ctl, char *name)
{
	struct facet_models *models;
	uint32_t found = 0;

	if (facet_model_list(ctl->c, NULL, &models) != 0)
		return ctl_failed(ctl, "models");
	for (uint32_t i = 0; i < models->count; i++)
		if (models->items[i].space && ++found == 1)
			snprintf(name, 65, "%s", models->items[i].name);
	facet_free(models);
	return found == 1 ? CTL_OK
			  : ctl_error("%u recognition models here; say which with --model", found);
}
