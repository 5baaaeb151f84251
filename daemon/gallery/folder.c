/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders of galleries. One is made under a name with a dot before it and renamed when it is
 * whole, and renamed before it is removed, so that a crash leaves no half of one.
 */
#include "daemon/gallery/internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define GONE ".gone-"
#define MADE ".new-"

bool gallery_name_ok(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (n < 1 || n > GALLERY_NAME_MAX || name[0] == '.' || name[0] == '_' || name[0] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static char *path_of(const char *root, const char *prefix, const char *name)
{
	char *path;

	return asprintf(&path, "%s/galleries/%s%s", root, prefix, name) < 0 ? NULL : path;
}

char *gallery_path(const char *root, const char *name)
{
	return path_of(root, "", name);
}

/* The names in ROOT/galleries, and that of the folder itself. */
static int sync_galleries(const char *root)
{
	char *path = path_of(root, "", "");
	int err = path ? store_sync_dir(path) : -ENOMEM;

	free(path);
	return err ? err : store_sync_dir(root);
}

/* Removes a folder of plain files. */
static int remove_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	return rmdir(path) ? -errno : 0;
}

int gallery_make_root(const char *root)
{
	char *above;
	int err;

	if (mkdir(root, 0700))
		return errno == EEXIST ? 0 : -errno;
	if (asprintf(&above, "%s/..", root) < 0)
		return -ENOMEM;
	err = store_sync_dir(above);
	free(above);
	return err;
}

static int make_parents(const char *root)
{
	char *galleries = path_of(root, "", "");
	int err = galleries ? gallery_make_root(root) : -ENOMEM;

	if (!err && mkdir(galleries, 0700) && errno != EEXIST)
		err = -errno;
	free(galleries);
	return err;
}

static bool spec_ok(const struct gallery_spec *spec)
{
	const struct gallery_space *space = &spec->space;

	return gallery_name_ok(space->name) && space->dim >= 1 && space->dim <= SEARCH_DIM_MAX &&
	       space->metric <= SEARCH_L2 && memchr(spec->model, '\0', sizeof(spec->model)) &&
	       (!spec->model[0] || gallery_name_ok(spec->model));
}

static int create(const struct gallery_config *config, const char *made, const char *path,
		  const struct gallery_spec *spec, char text[GALLERY_TEXT])
{
	struct record_head head = {.rotation = 0};
	int err;

	memcpy(head.spec.space.digest, spec->space.digest, sizeof(head.spec.space.digest));
	strcpy(head.spec.space.name, spec->space.name);
	strcpy(head.spec.model, spec->model);
	head.spec.space.dim = spec->space.dim;
	head.spec.space.metric = spec->space.metric;
	head.spec.keep_int8_only = spec->keep_int8_only;
	head.spec.no_host_copy = spec->no_host_copy;
	remove_folder(made); /* what a crash left */
	if (mkdir(made, 0700))
		err = -errno;
	else
		err = store_create(made, &head, config->key, text);
	if (!err && renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_NOREPLACE))
		err = -errno;
	if (!err)
		err = sync_galleries(config->root);
	if (err)
		remove_folder(made);
	return err;
}

int gallery_create(const struct gallery_config *config, const char *name,
		   const struct gallery_spec *spec, char text[GALLERY_TEXT])
{
	char *made = NULL, *path = NULL;
	int err;

	text[0] = '\0';
	if (!gallery_name_ok(name) || !spec_ok(spec)) {
		snprintf(text, GALLERY_TEXT,
			 "names are [a-z0-9][a-z0-9._-]*, at most %d bytes; dimensions 1 to %u",
			 GALLERY_NAME_MAX, SEARCH_DIM_MAX);
		return -EINVAL;
	}
	if (sodium_init() < 0)
		return -EIO;
	made = path_of(config->root, MADE, name);
	path = gallery_path(config->root, name);
	err = made && path ? make_parents(config->root) : -ENOMEM;
	if (!err && access(path, F_OK) == 0)
		err = -EEXIST;
	if (!err)
		err = create(config, made, path, spec, text);
	if (err == -EEXIST)
		snprintf(text, GALLERY_TEXT, "a gallery of this name exists");
	else if (err && !text[0])
		snprintf(text, GALLERY_TEXT, "cannot make the gallery: %s", strerror(-err));
	free(made);
	free(path);
	return err;
}

int gallery_remove(const struct gallery_config *config, const char *name)
{
	char *path, *gone;
	int err = 0;

	if (!gallery_name_ok(name))
		return -EINVAL;
	path = gallery_path(config->root, name);
	gone = path_of(config->root, GONE, name);
	if (!path || !gone)
		err = -ENOMEM;
	if (!err)
		remove_folder(gone);
	if (!err && rename(path, gone))
		err = -errno;
	if (!err)
		err = sync_galleries(config->root);
	if (!err)
		err = remove_folder(gone);
	free(path);
	free(gone);
	return err;
}

static int add_name(char ***names, size_t *count, const char *name)
{
	char **more = realloc(*names, (*count + 2) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	*names = more;
	more[*count] = strdup(name);
	if (!more[*count])
		return -ENOMEM;
	more[++*count] = NULL;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void finish_removal(const char *root, const char *name)
{
	char *path;

	if (strncmp(name, GONE, strlen(GONE)) && strncmp(name, MADE, strlen(MADE)))
		return;
	path = path_of(root, "", name);
	if (path)
		remove_folder(path);
	free(path);
}

int gallery_names(const struct gallery_config *config, char ***names)
{
	char *path = path_of(config->root, "", "");
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *entry;
	size_t count = 0;
	int err = 0;

	*names = calloc(1, sizeof(**names));
	if (!path || !*names)
		err = -ENOMEM;
	else if (!dir && errno != ENOENT)
		err = -errno;
	while (!err && dir && (entry = readdir(dir))) {
		finish_removal(config->root, entry->d_name);
		if (gallery_name_ok(entry->d_name))
			err = add_name(names, &count, entry->d_name);
	}
	if (dir)
		closedir(dir);
	free(path);
	if (err) {
		gallery_names_free(*names);
		*names = NULL;
		return err;
	}
	qsort(*names, count, sizeof(**names), by_name);
	return 0;
}

void gallery_names_free(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}
