/* SPDX-License-Identifier: Apache-2.0 */
/* search (identify): snapshot, queries, pass, re-rank, reply. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "daemon/job/host_copy.h"
#include "daemon/job/search.h"
#include "daemon/net/rights.h"

#define SEARCH_HITS_MAX (1u << 20) /* of one request: queries x k */

void search_clear(struct job *job)
{
	struct job_search *s = &job->search;

	for (uint32_t i = 0; s->queries && i < s->count; i++)
		if (s->queries[i].list)
			list_give(job->service, s->queries[i].list, s->list_k, s->by_subject);
	if (s->held)
		gallery_release(job->gallery->gallery, &s->snapshot);
	s->queries = NULL;
	s->one.list = NULL;
	s->held = false;
	s->count = 0;
}

/* ---- the reply ------------------------------------------------------------------------------- */
struct search_flat {
	uint32_t *counts;
	float *scores;
	uint64_t *ids;
	char **subjects;
	size_t hits;
};

static float hit_score(const struct job *job, const struct job_query *query, uint32_t hit)
{
	if (query->scores)
		return (float)query->scores[hit];
	return gallery_score(job->gallery->gallery, &query->probe, query->hits[hit].s);
}

static int search_flat(struct job *job, struct search_flat *flat)
{
	const struct job_search *s = &job->search;
	uint64_t total = 0;

	for (uint32_t i = 0; i < s->count; i++)
		total += s->queries[i].hit_count;
	flat->counts = job_need(job, s->count * sizeof(*flat->counts));
	if (!flat->counts)
		return -1;
	flat->scores = job_need(job, total * sizeof(*flat->scores));
	if (!flat->scores)
		return -1;
	flat->ids = job_need(job, total * sizeof(*flat->ids));
	if (!flat->ids)
		return -1;
	flat->subjects = job_need(job, total * sizeof(*flat->subjects));
	if (!flat->subjects)
		return -1;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct job_query *q = &s->queries[i];

		flat->counts[i] = q->hit_count;
		for (uint32_t h = 0; h < q->hit_count; h++, flat->hits++) {
			flat->scores[flat->hits] = hit_score(job, q, h);
			flat->ids[flat->hits] = q->hits[h].id;
			flat->subjects[flat->hits] =
				(char *)gallery_subject(job->gallery->gallery, q->hits[h].subject);
		}
	}
	return 0;
}

/* Names lie in the frame itself, so there is a bound to how many fit. */
static bool names_fit(const struct search_flat *flat)
{
	size_t bytes = 0;

	for (size_t i = 0; i < flat->hits; i++)
		bytes += strlen(flat->subjects[i]) + 4;
	return bytes + (2 * JOB_BULK_INLINE) + 4096 < WIRE_FRAME_MAX;
}

static void search_reply(struct job *job)
{
	const Facet__Wire__Search *m = job->body;
	const struct job_search *s = &job->search;
	Facet__Wire__SearchReply search = FACET__WIRE__SEARCH_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	struct search_flat flat = {.hits = 0};
	struct job_out out = {.count = 0};

	if (search_flat(job, &flat))
		return;
	if (m->names && !names_fit(&flat)) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "the names of %zu hits do not fit a frame; ask for fewer, or for ids only",
			 flat.hits);
		return;
	}
	if (job_put(job, &out, flat.scores, flat.hits * sizeof(float), &search.scores) ||
	    job_put(job, &out, flat.ids, flat.hits * sizeof(uint64_t), &search.ids))
		return;
	search.queries = s->count;
	search.counts = flat.counts;
	search.n_counts = s->count;
	search.subjects = flat.subjects;
	search.n_subjects = m->names ? flat.hits : 0;
	search.decided = s->decided;
	search.threshold = s->threshold;
	reply.body_case = FACET__WIRE__REPLY__BODY_SEARCH;
	reply.search = &search;
	job_send(job, &out, &reply);
}

/* ---- re-rank ----------------------------------------------------------------------------------- */
static void search_rerank(struct job *job);

/* Keeps the first k, and of these what passes the threshold on the re-ranked score. */
static void search_reranked(struct job *job)
{
	struct job_search *s = &job->search;
	struct job_query *q = &s->queries[s->reranked++];
	bool distance = gallery_spec(job->gallery->gallery)->space.metric == SEARCH_L2;
	uint32_t live = job->gr.record_count; /* the others were deleted meanwhile, and come last */
	uint32_t kept = 0;

	while (kept < live && kept < q->hit_count && kept < s->k) {
		float score = (float)q->scores[kept];

		if (s->decided && (distance ? score > s->threshold : score < s->threshold))
			break;
		kept++;
	}
	q->hit_count = kept;
	search_rerank(job);
}

static void search_rerank(struct job *job)
{
	struct job_search *s = &job->search;
	struct job_query *q;
	double *scores;

	while (s->reranked < s->count && !s->queries[s->reranked].hit_count)
		s->reranked++;
	if (s->reranked == s->count) {
		search_reply(job);
		return;
	}
	q = &s->queries[s->reranked];
	scores = job_need(job, q->hit_count * sizeof(*scores));
	if (!scores)
		return;
	q->scores = scores;
	memset(&job->gr, 0, sizeof(job->gr));
	job->gr.kind = GALLERY_RERANK;
	job->gr.count = q->hit_count;
	job->gr.probe = job->probe.f32 + (size_t)s->reranked * job->probe.dim;
	job->gr.hits = q->hits;
	job->gr.scores = q->scores;
	job_gallery(job, search_reranked);
}

static void search_ran(struct job *job)
{
	const Facet__Wire__Search *m = job->body;
	struct job_search *s = &job->search;

	for (uint32_t i = 0; i < s->count; i++) {
		struct job_query *q = &s->queries[i];
		struct search_hit *hits = job_need(job, s->list_k * sizeof(*hits));

		if (!hits)
			return;
		q->hits = hits;
		q->hit_count = search_list_sorted(q->list, q->hits);
	}
	if (m->rerank)
		search_rerank(job);
	else
		search_reply(job);
}

/* ---- queries ----------------------------------------------------------------------------------- */
/* A re-rank needs the probes in float. */
static int search_float_probes(struct job *job)
{
	size_t n = (size_t)job->probe.count * job->probe.dim;
	float *f32;

	if (job->probe.f32)
		return 0;
	f32 = job_need(job, n * sizeof(*f32));
	if (!f32)
		return -1;
	for (size_t i = 0; i < n; i++)
		f32[i] = job->probe.s8[i];
	job->probe.f32 = f32;
	return 0;
}

static int search_query(struct job *job, uint32_t index)
{
	const Facet__Wire__Search *m = job->body;
	struct gallery *gallery = job->gallery->gallery;
	struct job_search *s = &job->search;
	struct job_query *q = &s->queries[index];
	size_t at = (size_t)index * job->probe.dim;
	int err = job->probe.s8 ? gallery_probe_s8(gallery, job->probe.s8 + at, &q->probe)
				: gallery_probe_f32(gallery, job->probe.f32 + at, &q->probe);

	if (err == -EINVAL)
		return job_fail(
			job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			"probe %u has a NaN, an infinity or only zeros; send finite vectors",
			index);
	if (err)
		return job_fail_errno(job, err, NULL);
	memset(&q->query, 0, sizeof(q->query));
	gallery_query(gallery, &q->probe, &s->snapshot, &q->query);
	q->query.k = s->list_k;
	q->query.by_subject = s->by_subject;
	q->query.tag_mask = m->tag_mask;
	q->query.tag_value = m->tag_value;
	/* With a re-rank the threshold is for its scores, not for these. */
	q->query.limit = s->decided && !m->rerank ? gallery_limit(gallery, &q->probe, s->threshold)
						  : -INFINITY;
	q->list = list_take(job->service, s->list_k, s->by_subject);
	return q->list ? 0 : job_fail_errno(job, -ENOMEM, NULL);
}

static int search_queries(struct job *job)
{
	struct job_search *s = &job->search;
	uint64_t lists = (uint64_t)job->probe.count * s->list_k * 2 * sizeof(struct search_hit);

	s->queries = &s->one;
	if (job->probe.count > 1)
		s->queries = job_need(job, job->probe.count * sizeof(*s->queries));
	if (!s->queries)
		return -1;
	for (uint32_t i = 0; i < job->probe.count; i++) {
		s->queries[i].list = NULL;
		s->queries[i].begun = false;
		s->queries[i].hits = NULL;
		s->queries[i].scores = NULL;
		s->queries[i].hit_count = 0;
	}
	s->count = job->probe.count;
	if (lists > JOB_BULK_INLINE && job_charge(job, lists))
		return -1;
	for (uint32_t i = 0; i < s->count; i++)
		if (search_query(job, i))
			return -1;
	return 0;
}

static void search_probed(struct job *job)
{
	const Facet__Wire__Search *m = job->body;
	struct job_search *s = &job->search;

	if ((uint64_t)job->probe.count * s->list_k > SEARCH_HITS_MAX) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
			 "%u queries of k %u; queries times k may be %u at most", job->probe.count,
			 s->list_k, SEARCH_HITS_MAX);
		return;
	}
	if ((m->rerank && search_float_probes(job)) || search_queries(job))
		return;
	s->reranked = 0;
	job_schedule(job, &job->gallery->target, s->count, search_ran);
}

/* ---- parameters -------------------------------------------------------------------------------- */
int search_threshold(struct job *job, bool has, float threshold, double fmr, float *value,
		     bool *decided)
{
	const struct gallery_spec *spec = gallery_spec(job->gallery->gallery);

	*decided = has || fmr > 0;
	*value = has ? threshold : 0;
	if (isnan(threshold) || isnan(fmr) || fmr < 0 || fmr > 1)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"threshold or fmr is not a number in range; fmr is 0 to 1");
	if (has || !*decided)
		return 0;
	if (service_threshold(job->service, spec->space.digest, fmr, value))
		return 0;
	return job_fail(
		job, FACET__WIRE__CODE__FAILED_PRECONDITION,
		"the space has no threshold for a false-match rate of %g; calibrate it with "
		"facetctl evaluate, or give a threshold",
		fmr);
}

static int search_parameters(struct job *job, const Facet__Wire__Search *m)
{
	struct job_search *s = &job->search;

	if (!m->k || m->k > SEARCH_K_MAX)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT, "k is %u; send 1 to %u",
				m->k, SEARCH_K_MAX);
	if (m->rerank && (m->rerank < m->k || m->rerank > SEARCH_K_MAX))
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"rerank is %u; send 0, or from k to %u", m->rerank, SEARCH_K_MAX);
	if (search_threshold(job, m->has_threshold, m->threshold, m->fmr, &s->threshold,
			     &s->decided))
		return -1;
	if (m->range && !s->decided)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"a range search needs a threshold or an fmr; send one");
	s->k = m->k;
	s->list_k = m->rerank ? m->rerank : m->k;
	s->by_subject = m->by_subject;
	return 0;
}

int search_snapshot(struct job *job)
{
	struct job_search *s = &job->search;
	int err = gallery_snapshot(job->gallery->gallery, &s->snapshot);

	if (err == -EAGAIN || err == -EIO)
		return job_not_ready(job, job->gallery);
	if (err)
		return job_fail_errno(job, err, NULL);
	s->held = true;
	job->gallery->newest_epoch = s->snapshot.epoch;
	job->gallery->newest_era = s->snapshot.era;
	return 0;
}

int search_right(struct job *job, const Facet__Wire__Probe *probe)
{
	if (!probe || probe->kind_case == FACET__WIRE__PROBE__KIND__NOT_SET)
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"no probe; send vectors or tensors");
	return job_need_right(job, probe->kind_case == FACET__WIRE__PROBE__KIND_VECTORS
					   ? RIGHT_SEARCH_VECTOR
					   : RIGHT_SEARCH_IMAGE);
}

void handle_search(struct job *job)
{
	const Facet__Wire__Search *m = job->body;

	/* The snapshot is taken here: a search sees the gallery as it was when it was admitted. */
	if (search_right(job, m->probe) || search_snapshot(job) || search_parameters(job, m))
		return;
	if (host_copy_lost(job->gallery)) {
		host_copy_refuse(job, job->gallery);
		return;
	}
	job_probe(job, m->probe, job->gallery, 0, &job->probe, search_probed);
}
