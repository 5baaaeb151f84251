/* SPDX-License-Identifier: Apache-2.0 */
/* Models: create from a sealed memfd, list, delete. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/model_place.h"
#include "daemon/job/models.h"

/* ---- create ---------------------------------------------------------------------------------- */
struct model_making {
	struct model_entry *entry; /* hidden, so that the name is taken */
	const void *file;
	uint64_t bytes;
	struct model *model;
	struct model_plan *plan;
};

static int write_all(int fd, const uint8_t *data, uint64_t bytes)
{
	while (bytes) {
		ssize_t n = write(fd, data, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		bytes -= (uint64_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int directory_sync(const struct service *service)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/models", service->state);
	int fd, err;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* The whole file or none of it: a temporary one, synced, then renamed, then the folder synced. */
static int model_store(const struct service *service, const char *name, const void *data,
		       uint64_t bytes)
{
	char path[4096], temporary[4096];
	int fd, err;

	err = model_path(service, name, path, sizeof(path));
	if (err)
		return err;
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, data, bytes);
	close(fd);
	if (!err && rename(temporary, path) < 0)
		err = -errno;
	if (err)
		unlink(temporary);
	else
		err = directory_sync(service);
	return err;
}

static void model_create_work(struct job *job)
{
	const Facet__Wire__ModelCreate *m = job->body;
	struct model_making *making = job->user;

	job->error = model_prepare(job->service, making->file, making->bytes, &making->model,
				   &making->plan, job->text);
	if (job->error)
		return;
	job->error = model_store(job->service, m->name, making->file, making->bytes);
	if (!job->error)
		return;
	model_plan_free(making->plan);
	model_free(making->model);
}

static void model_created(struct job *job)
{
	const Facet__Wire__ModelCreate *m = job->body;
	struct model_making *making = job->user;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	if (job->error) {
		model_entry_remove(making->entry);
		job_fail_errno(job, job->error, job->text);
		return;
	}
	making->entry->model = making->model;
	making->entry->plan = making->plan;
	making->entry->hidden = false;
	model_place_follow(making->entry);
	log_write(&job->service->log, LOG_LEVEL_INFO, "model", "name=%s state=created", m->name);
	reply.body_case = FACET__WIRE__REPLY__BODY_MODEL_CREATE;
	reply.model_create = reply_model(job, making->entry);
	if (!reply.model_create)
		job_fail_errno(job, -ENOMEM, NULL);
	else
		job_reply(job, &reply, NULL, 0);
}

void handle_model_create(struct job *job)
{
	const Facet__Wire__ModelCreate *m = job->body;
	Facet__Wire__Bulk bulk = FACET__WIRE__BULK__INIT;
	struct model_making *making;
	const void *file;

	if (!service_name_ok(m->name)) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "not a name for a model; use 1 to %d of a-z 0-9 . _ -", GALLERY_NAME_MAX);
		return;
	}
	if (service_model_any(job->service, m->name)) {
		job_fail(job, FACET__WIRE__CODE__ALREADY_EXISTS,
			 "a model of this name exists; delete it first or choose another name");
		return;
	}
	if (!m->length || m->length > MODEL_FILE_MAX) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "a model of %" PRIu64 " bytes; they have 1 to %" PRIu64, m->length,
			 (uint64_t)MODEL_FILE_MAX);
		return;
	}
	bulk.in_fd = true;
	bulk.fd = m->fd;
	bulk.length = m->length;
	making = job_need(job, sizeof(*making));
	if (!making || job_bulk(job, &bulk, m->length, 1, "the model", &file))
		return;
	*making = (struct model_making){.file = file, .bytes = m->length};
	making->entry = model_entry_create(job->service, m->name);
	if (!making->entry) {
		job_fail_errno(job, -ENOMEM, NULL);
		return;
	}
	job->user = making;
	job_errand(job, model_create_work, model_created);
}

/* ---- list ------------------------------------------------------------------------------------ */
void handle_model_list(struct job *job)
{
	const Facet__Wire__ModelList *m = job->body;
	Facet__Wire__ModelListReply list = FACET__WIRE__MODEL_LIST_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	size_t count = 0;

	for (struct model_entry *e = job->service->models; e; e = e->next)
		count++;
	list.models = job_need(job, (count + 1) * sizeof(*list.models));
	if (!list.models)
		return;
	for (struct model_entry *e = job->service->models; e; e = e->next) {
		if (e->hidden || (*m->name && strcmp(m->name, e->name)))
			continue;
		list.models[list.n_models] = reply_model(job, e);
		if (!list.models[list.n_models++]) {
			job_fail_errno(job, -ENOMEM, NULL);
			return;
		}
	}
	if (*m->name && !list.n_models) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
			 "no model of this name; see model list");
		return;
	}
	reply.body_case = FACET__WIRE__REPLY__BODY_MODEL_LIST;
	reply.model_list = &list;
	job_reply(job, &reply, NULL, 0);
}

/* ---- delete ---------------------------------------------------------------------------------- */
static void model_delete_work(struct job *job)
{
	const Facet__Wire__ModelDelete *m = job->body;
	char path[4096];

	job->error = model_path(job->service, m->name, path, sizeof(path));
	if (!job->error && unlink(path) < 0 && errno != ENOENT)
		job->error = -errno;
	if (!job->error)
		job->error = directory_sync(job->service);
}

static void model_deleted(struct job *job)
{
	const Facet__Wire__ModelDelete *m = job->body;
	Facet__Wire__DeleteReply deleted = FACET__WIRE__DELETE_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	if (job->error) {
		job_fail_errno(job, job->error, NULL);
		return;
	}
	if (!m->dry_run)
		log_write(&job->service->log, LOG_LEVEL_INFO, "model", "name=%s state=deleted",
			  m->name);
	reply.body_case = FACET__WIRE__REPLY__BODY_DELETED;
	reply.deleted = &deleted;
	job_reply(job, &reply, NULL, 0);
}

/* Fails the job where a gallery uses the model, or may turn out to. */
static int model_unused(struct job *job, const char *name)
{
	bool known = true;

	for (const struct gallery_entry *e = job->service->galleries; e; e = e->next) {
		const struct gallery_spec *spec;

		if (!gallery_entry_spec(e, &spec))
			known = false;
		else if (spec && !strcmp(spec->model, name))
			/* One he has no right on stays unnamed. */
			return job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
					"gallery %s uses the model; delete it first",
					tenant_rights(job->tenant, e->name) ? e->name
									    : "of another tenant");
	}
	if (known)
		return 0;
	return job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
			  "galleries that may use the model are being checked; come back shortly");
}

void handle_model_delete(struct job *job)
{
	const Facet__Wire__ModelDelete *m = job->body;
	struct model_entry *entry = service_model(job->service, m->name);

	if (!entry) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
			 "no model of this name; see model list");
		return;
	}
	if (model_unused(job, m->name))
		return;
	if (m->dry_run) {
		model_deleted(job);
		return;
	}
	model_entry_remove(entry);
	job_errand(job, model_delete_work, model_deleted);
}
