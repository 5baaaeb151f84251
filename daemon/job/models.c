/* SPDX-License-Identifier: Apache-2.0 */
/* The models the daemon has, by name: loaded from STATE/models/NAME.fct at start. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/job/model_place.h"
#include "daemon/job/models.h"

#define INFER_NS_GUESS 5000000u

struct model_entry *service_model_any(const struct service *service, const char *name)
{
	for (struct model_entry *e = service->models; e; e = e->next)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}

struct model_entry *service_model(const struct service *service, const char *name)
{
	struct model_entry *entry = service_model_any(service, name);

	return entry && !entry->hidden ? entry : NULL;
}

void job_hold_model(struct job *job, struct model_entry *entry)
{
	entry->refs++;
	job->model = entry;
}

static void model_entry_free(struct model_entry *entry)
{
	struct model_run_entry *run;

	if (entry->model)
		metrics_layers_drop(&entry->service->metrics, entry->name);
	while ((run = entry->free_runs)) {
		entry->free_runs = run->next;
		model_run_free(run->run);
		free(run);
	}
	if (entry->plan)
		model_plan_free(entry->plan);
	if (entry->model)
		model_free(entry->model);
	free(entry);
}

/* Frees one that was removed, once no job uses it. */
void model_entry_release(struct model_entry *entry)
{
	if (--entry->refs == 0 && entry->hidden)
		model_entry_free(entry);
}

struct model_entry *model_entry_create(struct service *service, const char *name)
{
	struct model_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->service = service;
	entry->hidden = true;
	entry->target.kind = &pass_infer;
	entry->target.units_max = 1;
	entry->target.unit_ns = INFER_NS_GUESS;
	entry->next = service->models;
	service->models = entry;
	return entry;
}

void model_entry_remove(struct model_entry *entry)
{
	struct model_entry **p = &entry->service->models;

	while (*p != entry)
		p = &(*p)->next;
	*p = entry->next;
	entry->hidden = true;
	entry->refs++;
	model_place_drop(entry);
	model_entry_release(entry);
}

/* ---- files ----------------------------------------------------------------------------------- */
int model_path(const struct service *service, const char *name, char *path, size_t bytes)
{
	int n = snprintf(path, bytes, "%s/models/%s.fct", service->state, name);

	return n < 0 || (size_t)n >= bytes ? -ENAMETOOLONG : 0;
}

int model_prepare(struct service *service, const void *file, size_t bytes, struct model **model,
		  struct model_plan **plan, char text[MODEL_TEXT])
{
	int err = model_load(file, bytes, model, text);

	if (err)
		return err;
	err = model_plan_create(*model, service->device, plan);
	if (!err)
		return 0;
	snprintf(text, MODEL_TEXT, "the device %s cannot run it: %s", service->caps.name,
		 strerror(-err));
	model_free(*model);
	*model = NULL;
	return err;
}

static int file_map(const char *path, void **data, size_t *bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > MODEL_FILE_MAX)
		err = -EINVAL;
	if (!err) {
		*bytes = (size_t)st.st_size;
		*data = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		if (*data == MAP_FAILED)
			err = -errno;
	}
	close(fd);
	return err;
}

struct model_loading {
	struct errand errand;
	struct service *service;
	struct model_entry *entry;
	int error;
	char text[MODEL_TEXT];
};

static void model_loading_work(struct errand *errand)
{
	struct model_loading *loading = errand->user;
	char path[4096];
	void *file = NULL;
	size_t bytes = 0;

	loading->error = model_path(loading->service, loading->entry->name, path, sizeof(path));
	if (!loading->error)
		loading->error = file_map(path, &file, &bytes);
	if (loading->error) {
		snprintf(loading->text, sizeof(loading->text), "%s", strerror(-loading->error));
		return;
	}
	loading->error = model_prepare(loading->service, file, bytes, &loading->entry->model,
				       &loading->entry->plan, loading->text);
	munmap(file, bytes);
}

static void model_loading_done(struct errand *errand)
{
	struct model_loading *loading = errand->user;
	struct service *service = loading->service;

	service->models_loading--;
	if (loading->error) {
		log_write(&service->log, LOG_LEVEL_ERROR, "model",
			  "name=%s state=failed text=\"%s\"", loading->entry->name, loading->text);
		model_entry_remove(loading->entry);
	} else {
		loading->entry->hidden = false;
		model_place_follow(loading->entry);
	}
	free(loading);
}

static void model_start(struct service *service, const char *file)
{
	struct model_loading *loading;
	char name[GALLERY_NAME_MAX + 1] = "";
	size_t n = strlen(file);

	if (n < 5 || n - 4 > GALLERY_NAME_MAX || strcmp(file + n - 4, ".fct"))
		return;
	memcpy(name, file, n - 4);
	if (!service_name_ok(name))
		return;
	loading = calloc(1, sizeof(*loading));
	if (!loading)
		return;
	loading->service = service;
	loading->entry = model_entry_create(service, name);
	if (!loading->entry) {
		free(loading);
		return;
	}
	loading->errand = (struct errand){
		.work = model_loading_work, .done = model_loading_done, .user = loading};
	service->models_loading++;
	errands_submit(service->errands, &loading->errand);
}

int models_start(struct service *service)
{
	char path[4096];
	struct dirent *entry;
	DIR *dir;
	int n = snprintf(path, sizeof(path), "%s/models", service->state);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		model_start(service, entry->d_name);
	closedir(dir);
	return 0;
}

void models_stop(struct service *service)
{
	while (service->models)
		model_entry_remove(service->models);
}
