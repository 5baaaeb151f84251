/* SPDX-License-Identifier: Apache-2.0 */
/* Galleries: create, list, delete. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/job/placement.h"
#include "daemon/job/service.h"
#include "daemon/net/rights.h"

/* ---- create ---------------------------------------------------------------------------------- */
struct gallery_making {
	struct gallery_entry *entry;
	struct gallery_spec spec;
};

static void gallery_create_work(struct job *job)
{
	struct gallery_making *making = job->user;
	struct gallery_config *config = &job->service->galleries_config;
	struct gallery_catalog *catalog = job->service->catalog;
	const char *name = making->entry->name;

	/* First whose it is: an entry without its gallery does no harm. */
	job->error = gallery_catalog_set_owner(catalog, name, making->entry->owner);
	if (!job->error)
		job->error = gallery_create(config, name, &making->spec, job->text);
	if (!job->error)
		job->error = gallery_open(config, name, &making->entry->gallery);
	if (job->error)
		gallery_catalog_set_owner(catalog, name, "");
}

static void gallery_created(struct job *job)
{
	struct gallery_making *making = job->user;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	making->entry->making = NULL;
	reply.body_case = FACET__WIRE__REPLY__BODY_GALLERY_CREATE;
	reply.gallery_create = reply_gallery(job, making->entry);
	if (!reply.gallery_create)
		job_fail_errno(job, -ENOMEM, NULL);
	else
		job_reply(job, &reply, NULL, 0);
}

/* It is on disk; the reply waits until it is loaded and can be used. */
static void gallery_opened(struct job *job)
{
	struct gallery_making *making = job->user;
	struct service *service = job->service;

	if (job->error) {
		gallery_entry_remove(making->entry);
		job_fail_errno(job, job->error, job->text);
		return;
	}
	log_write(&service->log, LOG_LEVEL_INFO, "gallery", "name=%s state=created",
		  making->entry->name);
	making->entry->hidden = false;
	making->entry->waiter = job;
	job->step = gallery_created;
	if (!atomic_exchange(&service->changed_pushed, true))
		bell_push(&service->bell, &service->changed);
}

static int space_of_model(struct job *job, const char *name, struct gallery_spec *spec)
{
	struct model_entry *model = service_model(job->service, name);
	const struct model_info *info;

	if (!model)
		return job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
				"no model of this name; see model list");
	info = model_info(model->model);
	if (!info->is_template)
		return job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
				"the model makes no templates; name one that does");
	snprintf(spec->model, sizeof(spec->model), "%s", name);
	snprintf(spec->space.name, sizeof(spec->space.name), "%s", name);
	memcpy(spec->space.digest, info->space_digest, sizeof(spec->space.digest));
	spec->space.dim = info->dim;
	spec->space.metric = SEARCH_COSINE;
	return 0;
}

/* Bare vectors: the space is its name, dimension and metric. */
static void space_digest(struct gallery_space *space)
{
	crypto_generichash_state state;
	uint8_t numbers[5] = {(uint8_t)space->dim, (uint8_t)(space->dim >> 8),
			      (uint8_t)(space->dim >> 16), (uint8_t)(space->dim >> 24),
			      (uint8_t)space->metric};

	crypto_generichash_init(&state, NULL, 0, sizeof(space->digest));
	crypto_generichash_update(&state, (const uint8_t *)"facet vectors", 13);
	crypto_generichash_update(&state, numbers, sizeof(numbers));
	crypto_generichash_update(&state, (const uint8_t *)space->name, strlen(space->name));
	crypto_generichash_final(&state, space->digest, sizeof(space->digest));
}

static int space_of_vectors(struct job *job, const Facet__Wire__Space *message,
			    struct gallery_spec *spec)
{
	if (!message)
		return job_fail(
			job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			"neither model nor space; name the model, or the space of bare vectors");
	if (!message->dim || message->dim > SEARCH_DIM_MAX)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"dimension %u; a space has 1 to %u", message->dim, SEARCH_DIM_MAX);
	if ((unsigned)message->metric > SEARCH_L2)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"metric %d; use COSINE, DOT or L2", (int)message->metric);
	if (!service_name_ok(message->name))
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"not a name for a space; use 1 to %d of a-z 0-9 . _ -",
				GALLERY_NAME_MAX);
	snprintf(spec->space.name, sizeof(spec->space.name), "%s", message->name);
	spec->space.dim = message->dim;
	spec->space.metric = (enum search_metric)message->metric;
	if (message->digest.len == 0)
		space_digest(&spec->space);
	else if (message->digest.len == sizeof(spec->space.digest))
		memcpy(spec->space.digest, message->digest.data, sizeof(spec->space.digest));
	else
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"a space's digest has 32 bytes; send these or none");
	return 0;
}

static int gallery_create_allowed(struct job *job, const char *name)
{
	const struct tenant *tenant = job->tenant;
	uint64_t templates;

	if (!service_name_ok(name))
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"not a name for a gallery; use 1 to %d of a-z 0-9 . _ -",
				GALLERY_NAME_MAX);
	if (!(tenant_rights(job->tenant, name) & RIGHT_ADMIN))
		return job_fail(
			job, FACET__WIRE__CODE__PERMISSION_DENIED,
			"gallery_create needs the right admin on this name; ask the operator");
	if (service_gallery_any(job->service, name))
		return job_fail(
			job, FACET__WIRE__CODE__ALREADY_EXISTS,
			"a gallery of this name exists; delete it first or choose another name");
	if (tenant->gallery_quota &&
	    service_made(job->service, tenant->name, &templates) >= tenant->gallery_quota)
		return job_over_quota(job, QUOTA_GALLERIES, JOB_MADE_RETRY_MS);
	return 0;
}

void handle_gallery_create(struct job *job)
{
	const Facet__Wire__GalleryCreate *g = job->body;
	struct gallery_making *making;

	if (gallery_create_allowed(job, g->name))
		return;
	making = job_need(job, sizeof(*making));
	if (!making)
		return;
	memset(making, 0, sizeof(*making));
	making->spec.keep_int8_only = g->keep_int8_only;
	making->spec.no_host_copy = g->no_host_copy;
	if (*g->model ? space_of_model(job, g->model, &making->spec)
		      : space_of_vectors(job, g->space, &making->spec))
		return;
	making->entry = gallery_entry_create(job->service, g->name);
	if (!making->entry) {
		job_fail_errno(job, -ENOMEM, NULL);
		return;
	}
	snprintf(making->entry->owner, sizeof(making->entry->owner), "%s", job->tenant->name);
	making->entry->hidden = true;
	making->entry->making = &making->spec;
	job->user = making;
	job_errand(job, gallery_create_work, gallery_opened);
}

/* ---- list ------------------------------------------------------------------------------------ */
void handle_gallery_list(struct job *job)
{
	const Facet__Wire__GalleryList *g = job->body;
	Facet__Wire__GalleryListReply list = FACET__WIRE__GALLERY_LIST_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	size_t count = 0;

	for (struct gallery_entry *e = job->service->galleries; e; e = e->next)
		count++;
	list.galleries = job_need(job, (count + 1) * sizeof(*list.galleries));
	if (!list.galleries)
		return;
	for (struct gallery_entry *e = job->service->galleries; e; e = e->next) {
		if (e->hidden || !e->gallery || !tenant_rights(job->tenant, e->name) ||
		    (*g->name && strcmp(g->name, e->name)))
			continue;
		list.galleries[list.n_galleries] = reply_gallery(job, e);
		if (!list.galleries[list.n_galleries++]) {
			job_fail_errno(job, -ENOMEM, NULL);
			return;
		}
	}
	if (*g->name && !list.n_galleries) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
			 "no gallery of this name; see gallery list");
		return;
	}
	reply.body_case = FACET__WIRE__REPLY__BODY_GALLERY_LIST;
	reply.gallery_list = &list;
	job_reply(job, &reply, NULL, 0);
}

/* ---- delete ---------------------------------------------------------------------------------- */
static void gallery_delete_reply(struct job *job, const struct gallery_status *status)
{
	Facet__Wire__DeleteReply deleted = FACET__WIRE__DELETE_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	deleted.templates = status->templates;
	deleted.subjects = status->subjects;
	deleted.epoch = status->epoch;
	reply.body_case = FACET__WIRE__REPLY__BODY_DELETED;
	reply.deleted = &deleted;
	job_reply(job, &reply, NULL, 0);
}

static void gallery_delete_work(struct job *job)
{
	struct gallery_entry *entry = job->gallery;

	gallery_close(entry->gallery);
	entry->gallery = NULL;
	job->error = gallery_remove(&job->service->galleries_config, entry->name);
	if (!job->error)
		gallery_catalog_set_owner(job->service->catalog, entry->name, "");
}

static void gallery_deleted(struct job *job)
{
	struct gallery_entry *entry = job->gallery;
	struct gallery_status status = *(struct gallery_status *)job->user;

	log_write(&job->service->log, LOG_LEVEL_INFO, "gallery", "name=%s state=deleted",
		  entry->name);
	job->gallery = NULL;
	gallery_entry_remove(entry);
	if (job->error)
		job_fail_errno(job, job->error, "its files could not all be removed; see the log");
	else
		gallery_delete_reply(job, &status);
}

/* No other job holds it any more. */
static void gallery_delete_alone(struct job *job)
{
	job_errand(job, gallery_delete_work, gallery_deleted);
}

void handle_gallery_delete(struct job *job)
{
	const Facet__Wire__GalleryDelete *g = job->body;
	struct gallery_entry *entry = job->gallery;
	struct gallery_status *status = job_need(job, sizeof(*status));

	if (!status)
		return;
	gallery_status(entry->gallery, status);
	if (g->dry_run) {
		gallery_delete_reply(job, status);
		return;
	}
	if (entry->waiter) {
		job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
			   "the gallery is being made; come back shortly");
		return;
	}
	job->user = status;
	entry->hidden = true;
	placement_drop(entry);
	job->stage = JOB_AWAY;
	if (entry->refs == 1) {
		gallery_delete_alone(job);
		return;
	}
	entry->waiter = job;
	job->step = gallery_delete_alone;
}
