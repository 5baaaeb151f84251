/* SPDX-License-Identifier: Apache-2.0 */
/* verify: one probe against a subject's templates. compare: probes against each other. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "daemon/job/host_copy.h"
#include "daemon/job/search.h"
#include "daemon/net/rights.h"

/* ---- verify ---------------------------------------------------------------------------------- */
static bool passes(enum search_metric metric, float score, float threshold)
{
	return metric == SEARCH_L2 ? score <= threshold : score >= threshold;
}

static void verify_reply(struct job *job, const struct search_hit *best)
{
	struct gallery *gallery = job->gallery->gallery;
	const struct job_search *s = &job->search;
	Facet__Wire__VerifyReply verify = FACET__WIRE__VERIFY_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;

	verify.score = gallery_score(gallery, &s->one.probe, best->s);
	verify.id = best->id;
	verify.decided = s->decided;
	verify.threshold = s->threshold;
	verify.match = s->decided &&
		       passes(gallery_spec(gallery)->space.metric, verify.score, s->threshold);
	reply.body_case = FACET__WIRE__REPLY__BODY_VERIFY;
	reply.verify = &verify;
	job_reply(job, &reply, NULL, 0);
}

static void verified(struct job *job)
{
	verify_reply(job, job->gr.hits);
}

/* The values are not in memory: the store's. */
static void verify_by_store(struct job *job, const char *subject)
{
	struct search_hit *best = job_need(job, sizeof(*best));

	if (!best)
		return;
	memset(&job->gr, 0, sizeof(job->gr));
	job->gr.kind = GALLERY_VERIFY;
	job->gr.query = &job->search.one.probe;
	job->gr.snapshot = &job->search.snapshot;
	job->gr.hits = best;
	if (strlen(subject) >= sizeof(job->gr.subject)) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND, "no such subject in the gallery");
		return;
	}
	strcpy(job->gr.subject, subject);
	job_gallery(job, verified);
}

static void verify_probed(struct job *job)
{
	const Facet__Wire__Verify *m = job->body;
	struct gallery *gallery = job->gallery->gallery;
	struct job_search *s = &job->search;
	struct search_hit best;
	int err = job->probe.s8 ? gallery_probe_s8(gallery, job->probe.s8, &s->one.probe)
				: gallery_probe_f32(gallery, job->probe.f32, &s->one.probe);

	if (err == -EINVAL) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "the probe has a NaN, an infinity or only zeros; send finite vectors");
		return;
	}
	if (!err && !host_copy_here(job->gallery)) {
		verify_by_store(job, m->subject);
		return;
	}
	if (!err)
		err = gallery_verify(gallery, &s->snapshot, m->subject, &s->one.probe, &best);
	if (err) {
		job_fail_errno(job, err,
			       err == -ENOENT ? "no such subject in the gallery; enrol it first"
					      : NULL);
		return;
	}
	verify_reply(job, &best);
}

void handle_verify(struct job *job)
{
	const Facet__Wire__Verify *m = job->body;
	struct job_search *s = &job->search;

	/* A verify by vectors tells as much of a template as a search by vectors. */
	if (!m->probe || m->probe->kind_case != FACET__WIRE__PROBE__KIND_TENSORS)
		if (search_right(job, m->probe))
			return;
	if (search_snapshot(job) || search_threshold(job, m->has_threshold, m->threshold, m->fmr,
						     &s->threshold, &s->decided))
		return;
	job_probe(job, m->probe, job->gallery, 1, &job->probe, verify_probed);
}

/* ---- compare --------------------------------------------------------------------------------- */
/* The int8 form of one probe, as a gallery would search it. */
struct compare_row {
	int8_t q[SEARCH_DIM_MAX];
	float step, scale;
	double norm2;
};

static int compare_row(const struct job_probe *probe, uint32_t index, struct compare_row *row)
{
	size_t at = (size_t)index * probe->dim;
	uint64_t sum = 0;
	int err = 0;

	row->step = 1;
	if (probe->s8)
		memcpy(row->q, probe->s8 + at, probe->dim);
	else
		err = op_quantize_row(probe->f32 + at, probe->dim, row->q, &row->step);
	if (err)
		return err;
	for (uint32_t i = 0; i < probe->dim; i++)
		sum += (uint64_t)(row->q[i] * row->q[i]);
	if (!sum)
		return -EINVAL;
	row->scale = op_cosine_scale(row->q, probe->dim);
	row->norm2 = (double)sum * row->step * row->step;
	return 0;
}

static float compare_score(const struct compare_row *a, const struct compare_row *b, uint32_t dim,
			   enum search_metric metric)
{
	int32_t dot = 0;

	for (uint32_t i = 0; i < dim; i++)
		dot += a->q[i] * b->q[i];
	if (metric == SEARCH_COSINE)
		return (float)dot * b->scale * a->scale;
	if (metric == SEARCH_DOT)
		return (float)dot * b->step * a->step;
	return (float)(a->norm2 + b->norm2 - 2.0 * dot * a->step * b->step);
}

static void compare_work(struct job *job)
{
	const Facet__Wire__Compare *m = job->body;
	float *scores = job->user;
	struct compare_row a, b;

	for (uint32_t i = 0; i < job->probe.count && !job->error; i++) {
		job->error = compare_row(&job->probe, i, &a);
		if (!job->error)
			job->error = compare_row(&job->other, i, &b);
		if (!job->error)
			scores[i] = compare_score(&a, &b, job->probe.dim,
						  (enum search_metric)m->metric);
	}
}

static void compare_done(struct job *job)
{
	const Facet__Wire__Compare *m = job->body;
	Facet__Wire__CompareReply compare = FACET__WIRE__COMPARE_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	float threshold = m->threshold;
	bool decided = m->has_threshold;

	if (job->error) {
		job_fail_errno(job, job->error,
			       "a probe has a NaN, an infinity or only zeros; send finite vectors");
		return;
	}
	if (!decided && m->fmr > 0) {
		/* The model that made the templates names the space. */
		decided =
			job->model &&
			service_threshold(job->service, model_info(job->model->model)->space_digest,
					  m->fmr, &threshold);
		if (!decided) {
			job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
				 "no threshold for a false-match rate of %g; calibrate the space "
				 "with "
				 "facetctl evaluate, or give a threshold",
				 m->fmr);
			return;
		}
	}
	compare.scores = job->user;
	compare.n_scores = job->probe.count;
	compare.decided = decided;
	compare.threshold = decided ? threshold : 0;
	reply.body_case = FACET__WIRE__REPLY__BODY_COMPARE;
	reply.compare = &compare;
	job_reply(job, &reply, NULL, 0);
}

static void compare_probed_b(struct job *job)
{
	if (job->other.dim != job->probe.dim) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "a has dimension %u and b %u; compare templates of one space",
			 job->probe.dim, job->other.dim);
		return;
	}
	job->user = job_need(job, job->probe.count * sizeof(float));
	if (job->user)
		job_errand(job, compare_work, compare_done);
}

static void compare_probed_a(struct job *job)
{
	const Facet__Wire__Compare *m = job->body;

	job_probe(job, m->b, NULL, job->probe.count, &job->other, compare_probed_b);
}

static const Facet__Wire__Tensors *compare_tensors(const Facet__Wire__Probe *probe)
{
	return probe && probe->kind_case == FACET__WIRE__PROBE__KIND_TENSORS ? probe->tensors
									     : NULL;
}

/* A template made here may be compared with one of its own space; with given vectors, which tell
 * what it is, only by who may have it in hand (see infer). */
static int compare_allowed(struct job *job, const Facet__Wire__Compare *m)
{
	const Facet__Wire__Tensors *a = compare_tensors(m->a);
	const Facet__Wire__Tensors *b = compare_tensors(m->b);
	const struct model_entry *of_a, *of_b;

	if (!a != !b)
		return job_need_right(job, RIGHT_SEARCH_VECTOR | RIGHT_RAW_KERNEL | RIGHT_ADMIN);
	of_a = a ? service_model(job->service, a->model) : NULL;
	of_b = b ? service_model(job->service, b->model) : NULL;
	if (!of_a || !of_b ||
	    !memcmp(model_info(of_a->model)->space_digest, model_info(of_b->model)->space_digest,
		    32))
		return 0;
	return job_fail(job, FACET__WIRE__CODE__FAILED_PRECONDITION,
			"the two models are of different spaces; compare templates of one space");
}

void handle_compare(struct job *job)
{
	const Facet__Wire__Compare *m = job->body;

	if ((unsigned)m->metric > SEARCH_L2) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "metric %d; use COSINE, DOT or L2", (int)m->metric);
		return;
	}
	if (isnan(m->threshold) || !(m->fmr >= 0 && m->fmr <= 1)) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "threshold or fmr is not a number in range; fmr is 0 to 1");
		return;
	}
	if (m->a && m->a->kind_case == FACET__WIRE__PROBE__KIND_VECTORS &&
	    m->a->vectors->count > 32768) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "%u pairs; send 32,768 at once at most", m->a->vectors->count);
		return;
	}
	if (compare_allowed(job, m))
		return;
	job_probe(job, m->a, NULL, 0, &job->probe, compare_probed_a);
}
