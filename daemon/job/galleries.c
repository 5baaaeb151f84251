/* SPDX-License-Identifier: Apache-2.0 */
/* The galleries the daemon has open, by name. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/host_copy.h"
#include "daemon/job/placement.h"
#include "daemon/job/service.h"

#define SEARCH_NS_GUESS 1000000u /* a query, before any was measured */
#define THRESHOLDS_MAX	64

bool service_name_ok(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(name);

	return n >= 1 && n <= GALLERY_NAME_MAX && strchr(first, name[0]) && strspn(name, rest) == n;
}

struct gallery_entry *service_gallery_any(const struct service *service, const char *name)
{
	for (struct gallery_entry *e = service->galleries; e; e = e->next)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}

struct gallery_entry *service_gallery(const struct service *service, const char *name)
{
	struct gallery_entry *entry = service_gallery_any(service, name);

	return entry && !entry->hidden ? entry : NULL;
}

struct gallery_entry *gallery_entry_create(struct service *service, const char *name)
{
	struct gallery_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->service = service;
	entry->target.kind = &pass_search;
	entry->target.units_max = (uint32_t)service->config->batch;
	entry->target.unit_ns = SEARCH_NS_GUESS;
	entry->next = service->galleries;
	service->galleries = entry;
	return entry;
}

void gallery_entry_remove(struct gallery_entry *entry)
{
	struct gallery_entry **p = &entry->service->galleries;

	assert(!entry->target.listed);
	while (*p != entry)
		p = &(*p)->next;
	*p = entry->next;
	free(entry);
}

uint64_t service_made(const struct service *service, const char *tenant, uint64_t *templates)
{
	uint64_t count = 0;

	*templates = 0;
	for (const struct gallery_entry *e = service->galleries; e; e = e->next) {
		struct gallery_status status = {0};

		if (strcmp(e->owner, tenant))
			continue;
		count++;
		if (e->gallery && !e->hidden)
			gallery_status(e->gallery, &status);
		*templates += status.templates + e->enrolling;
	}
	return count;
}

void job_hold_gallery(struct job *job, struct gallery_entry *entry)
{
	entry->refs++;
	job->gallery = entry;
}

void gallery_entry_release(struct gallery_entry *entry)
{
	struct job *waiter = entry->waiter;

	/* A delete holds one itself and goes on once it is the last. */
	if (--entry->refs == 1 && waiter && entry->hidden) {
		entry->waiter = NULL;
		waiter->step(waiter);
	}
}

bool gallery_entry_spec(const struct gallery_entry *entry, const struct gallery_spec **spec)
{
	struct gallery_status status;

	*spec = entry->making;
	if (*spec || entry->hidden || !entry->gallery)
		return true;
	*spec = gallery_spec(entry->gallery);
	if (*spec)
		return true;
	gallery_status(entry->gallery, &status);
	return status.state == GALLERY_FAILED;
}

bool service_threshold(struct service *service, const uint8_t digest[32], double fmr,
		       float *threshold)
{
	struct gallery_threshold list[THRESHOLDS_MAX];
	int count = gallery_catalog_get(service->catalog, digest, list, THRESHOLDS_MAX);
	bool found = false;

	/* Rising rates: the last that does not exceed what was asked for. */
	for (int i = 0; i < count; i++) {
		if (list[i].fmr <= fmr * (1 + 1e-9)) {
			*threshold = list[i].score;
			found = true;
		}
	}
	return found;
}

/* ---- readiness ------------------------------------------------------------------------------- */
int job_not_ready(struct job *job, const struct gallery_entry *entry)
{
	struct gallery_status status;

	gallery_status(entry->gallery, &status);
	if (status.state == GALLERY_FAILED)
		return job_fail(job, FACET__WIRE__CODE__DATA_LOSS, "the gallery failed: %s",
				status.text);
	return job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
			  "the gallery is %s, %u %% done; come back shortly",
			  status.state == GALLERY_CHECKING ? "being checked" : "loading",
			  status.percent);
}

/* Any thread. */
static void galleries_changed(struct gallery *gallery, void *user)
{
	struct service *service = user;

	(void)gallery;
	if (!atomic_exchange(&service->changed_pushed, true))
		bell_push(&service->bell, &service->changed);
}

static bool status_settled(const struct gallery_status *status)
{
	return status->state == GALLERY_READY || status->state == GALLERY_READ_ONLY ||
	       status->state == GALLERY_FAILED;
}

/* On the control thread: creates that wait for their gallery go on. */
static void galleries_changed_run(struct bell_entry *bell)
{
	struct service *service =
		(struct service *)((char *)bell - offsetof(struct service, changed));
	struct gallery_entry *next;

	atomic_store(&service->changed_pushed, false);
	for (struct gallery_entry *e = service->galleries; e; e = next) {
		struct gallery_status status;
		struct job *waiter = e->waiter;

		next = e->next;
		placement_follow(e);
		host_copy_follow(e);
		if (e->hidden || !e->gallery || !waiter)
			continue;
		gallery_status(e->gallery, &status);
		if (!status_settled(&status))
			continue;
		e->waiter = NULL;
		waiter->step(waiter);
	}
}

/* ---- start and stop ---------------------------------------------------------------------------- */
static void galleries_open(struct service *service, const char *name)
{
	struct gallery_entry *entry = gallery_entry_create(service, name);
	int err = entry ? gallery_catalog_owner(service->catalog, name, entry->owner) : -ENOMEM;

	if (err && entry) /* it serves all the same, and counts for nobody */
		log_write(&service->log, LOG_LEVEL_WARNING, "gallery", "name=%s text=\"owner: %s\"",
			  name, strerror(-err));
	if (entry)
		err = gallery_open(&service->galleries_config, name, &entry->gallery);
	if (!err)
		return;
	log_write(&service->log, LOG_LEVEL_ERROR, "gallery", "name=%s state=failed text=\"%s\"",
		  name, strerror(-err));
	if (entry)
		gallery_entry_remove(entry);
}

int galleries_start(struct service *service, char text[CONFIG_TEXT])
{
	char **names;
	int err;

	service->changed.run = galleries_changed_run;
	service->galleries_config.changed = galleries_changed;
	service->galleries_config.user = service;
	err = gallery_catalog_open(service->state, &service->catalog);
	if (err) {
		snprintf(text, CONFIG_TEXT, "%.200s: the catalog of spaces: %s", service->state,
			 strerror(-err));
		return err;
	}
	err = gallery_names(&service->galleries_config, &names);
	if (err) {
		snprintf(text, CONFIG_TEXT, "%.200s: the list of galleries: %s", service->state,
			 strerror(-err));
		return err;
	}
	for (char **name = names; *name; name++)
		galleries_open(service, *name);
	gallery_names_free(names);
	return 0;
}

void galleries_stop(struct service *service)
{
	struct gallery_entry *entry;

	while ((entry = service->galleries)) {
		if (entry->gallery)
			gallery_close(entry->gallery);
		gallery_entry_remove(entry);
	}
	if (service->catalog)
		gallery_catalog_close(service->catalog);
	service->catalog = NULL;
}
