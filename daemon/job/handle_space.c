/* SPDX-License-Identifier: Apache-2.0 */
/* space_thresholds: shows and sets the thresholds of a space. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "daemon/job/service.h"
#include "daemon/net/rights.h"

#define THRESHOLDS_MAX 64

struct space_setting {
	struct gallery_space space;
	struct gallery_threshold thresholds[THRESHOLDS_MAX];
	uint32_t count;
};

static void space_reply(struct job *job)
{
	const struct space_setting *setting = job->user;
	Facet__Wire__ThresholdsReply thresholds = FACET__WIRE__THRESHOLDS_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	if (job->error) {
		job_fail_errno(job, job->error, NULL);
		return;
	}
	thresholds.space = reply_space(job, setting->space.name, setting->space.digest,
				       setting->space.dim, setting->space.metric);
	if (!thresholds.space) {
		job_fail_errno(job, -ENOMEM, NULL);
		return;
	}
	reply.body_case = FACET__WIRE__REPLY__BODY_THRESHOLDS;
	reply.thresholds = &thresholds;
	job_reply(job, &reply, NULL, 0);
}

static void space_set_work(struct job *job)
{
	const struct space_setting *setting = job->user;

	job->error = gallery_catalog_set(job->service->catalog, setting->space.digest,
					 setting->thresholds, setting->count);
}

static int space_of_gallery(struct job *job, const char *name, struct gallery_space *space)
{
	struct gallery_entry *entry = service_gallery(job->service, name);

	if (!entry || !tenant_rights(job->tenant, name))
		return job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
				"no gallery of this name; see gallery list");
	job_hold_gallery(job, entry);
	if (!gallery_spec(entry->gallery))
		return job_not_ready(job, entry);
	*space = gallery_spec(entry->gallery)->space;
	return 0;
}

static int space_of_model(struct job *job, const char *name, struct gallery_space *space)
{
	struct model_entry *model = service_model(job->service, name);
	const struct model_info *info = model ? model_info(model->model) : NULL;

	if (!info || !info->is_template)
		return job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
				"no model of this name that makes templates; see model list");
	memset(space, 0, sizeof(*space));
	memcpy(space->name, name, strlen(name) + 1); /* a model's name is as long at most */
	memcpy(space->digest, info->space_digest, sizeof(space->digest));
	space->dim = info->dim;
	space->metric = SEARCH_COSINE;
	return 0;
}

static int space_thresholds(struct job *job, const Facet__Wire__SpaceThresholds *m,
			    struct space_setting *setting)
{
	if (m->n_thresholds > THRESHOLDS_MAX)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"%zu thresholds; send %d at most", m->n_thresholds, THRESHOLDS_MAX);
	for (size_t i = 0; i < m->n_thresholds; i++) {
		const Facet__Wire__Threshold *t = m->thresholds[i];

		if (!(t->fmr > 0 && t->fmr <= 1) || !isfinite(t->score) ||
		    (i && t->fmr <= m->thresholds[i - 1]->fmr))
			return job_fail(
				job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"threshold %zu: send rising rates in (0, 1] and finite scores", i);
		setting->thresholds[i] = (struct gallery_threshold){
			.fmr = t->fmr, .score = t->score, .impostor_pairs = t->impostor_pairs};
	}
	setting->count = (uint32_t)m->n_thresholds;
	return 0;
}

static bool space_is(const uint8_t a[32], const uint8_t b[32])
{
	return !memcmp(a, b, 32);
}

/* Thresholds decide for all who use the space, whoever names it: setting them takes the right on
 * each of its galleries, and on the models where one of these makes it. */
static int space_may_set(struct job *job, const uint8_t digest[32])
{
	if (job_need_right(job, RIGHT_ADMIN))
		return -1;
	for (const struct gallery_entry *e = job->service->galleries; e; e = e->next) {
		const struct gallery_spec *spec;

		if (tenant_rights(job->tenant, e->name) & RIGHT_ADMIN)
			continue;
		if (!gallery_entry_spec(e, &spec))
			return job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
					  "galleries are being checked; come back shortly");
		if (spec && space_is(spec->space.digest, digest))
			return job_fail(job, FACET__WIRE__CODE__PERMISSION_DENIED,
					"another gallery has this space, and setting thresholds "
					"needs the right admin on it; ask the operator");
	}
	if (tenant_rights(job->tenant, NULL) & RIGHT_ADMIN)
		return 0;
	for (const struct model_entry *e = job->service->models; e; e = e->next) {
		const struct model_info *info = e->hidden ? NULL : model_info(e->model);

		if (info && info->is_template && space_is(info->space_digest, digest))
			return job_fail(job, FACET__WIRE__CODE__PERMISSION_DENIED,
					"a model makes this space, and setting thresholds needs "
					"the right admin; ask the operator");
	}
	return 0;
}

void handle_space_thresholds(struct job *job)
{
	const Facet__Wire__SpaceThresholds *m = job->body;
	struct space_setting *setting = job_need(job, sizeof(*setting));

	if (!setting)
		return;
	memset(setting, 0, sizeof(*setting));
	if (*m->gallery ? space_of_gallery(job, m->gallery, &setting->space)
			: space_of_model(job, m->model, &setting->space))
		return;
	if (m->n_thresholds && space_may_set(job, setting->space.digest))
		return;
	if (space_thresholds(job, m, setting))
		return;
	job->user = setting;
	if (setting->count)
		job_errand(job, space_set_work, space_reply);
	else
		space_reply(job);
}
