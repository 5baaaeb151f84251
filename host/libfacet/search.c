/* SPDX-License-Identifier: Apache-2.0 */
/* 1:N: search, range search, identify. */
#include <string.h>
#include "host/libfacet/client.h"

struct search {
	Facet__Wire__Search wire;
	struct client_probe probe;
};

static int fill(struct facet *c, struct client_request *r, struct search *s, const char *gallery,
		const struct facet_probe *probe, uint32_t k,
		const struct facet_search_params *params)
{
	struct facet_search_params p;
	int err = client_params(c, &p, sizeof(p), params);

	if (err)
		return err;
	client_request_init(r, FACET__WIRE__REQUEST__BODY_SEARCH);
	facet__wire__search__init(&s->wire);
	r->wire.search = &s->wire;
	s->wire.gallery = (char *)gallery;
	s->wire.probe = &s->probe.probe;
	s->wire.k = k;
	s->wire.by_subject = p.by_subject;
	s->wire.tag_mask = p.tag_mask;
	s->wire.tag_value = p.tag_value;
	s->wire.has_threshold = p.has_threshold;
	s->wire.threshold = p.threshold;
	s->wire.fmr = p.fmr;
	s->wire.rerank = p.rerank;
	return client_probe_put(c, r, &s->probe, probe);
}

/* ---- the k best, into the caller's arrays: out scores, ids; arg n, k --------------------------- */
static void spread(struct client_call *call, const Facet__Wire__SearchReply *reply,
		   const float *scores, const uint8_t *ids)
{
	uint64_t n = call->arg[0], k = call->arg[1];
	float *to_scores = call->out[0];
	int64_t *to_ids = call->out[1];

	for (uint64_t i = 0; i < n; i++) {
		uint32_t count = reply->counts[i];

		for (uint64_t j = 0; j < k && to_scores; j++)
			to_scores[i * k + j] = j < count ? scores[j] : 0;
		for (uint64_t j = count; j < k; j++)
			to_ids[i * k + j] = -1;
		memcpy(to_ids + i * k, ids, count * sizeof(*to_ids));
		scores += count;
		ids += count * sizeof(*to_ids);
	}
}

/* The sum of counts, checked: at most k a query. */
static int hits_in(struct client_call *call, const Facet__Wire__SearchReply *reply, uint64_t *hits)
{
	*hits = 0;
	if (!reply || reply->queries != call->arg[0] || reply->n_counts != call->arg[0])
		return client_nonsense(call);
	for (size_t i = 0; i < reply->n_counts; i++) {
		if (reply->counts[i] > call->arg[1])
			return client_nonsense(call);
		*hits += reply->counts[i];
	}
	return 0;
}

static const Facet__Wire__SearchReply *search_reply(const struct client_reply *reply)
{
	return reply->body->body_case == FACET__WIRE__REPLY__BODY_SEARCH ? reply->body->search
									 : NULL;
}

static int finish_search(struct facet *c, struct client_call *call,
			 const struct client_reply *reply)
{
	const Facet__Wire__SearchReply *body = search_reply(reply);
	struct client_view scores = {0}, ids = {0};
	uint64_t hits;
	int err = hits_in(call, body, &hits);

	(void)c;
	if (!err)
		err = client_bulk_view(call, reply, body->scores, &scores);
	if (!err)
		err = client_bulk_view(call, reply, body->ids, &ids);
	if (!err && (scores.bytes != hits * sizeof(float) || ids.bytes != hits * sizeof(int64_t)))
		err = client_nonsense(call);
	if (!err)
		spread(call, body, scores.data, ids.data);
	client_bulk_release(&scores);
	client_bulk_release(&ids);
	return err;
}

int facet_submit_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim,
			const float *x, uint32_t k, const struct facet_search_params *params,
			float *scores, int64_t *ids, const struct facet_call *call, uint64_t *id)
{
	struct facet_probe probe = {
		.size = sizeof(probe), .type = FACET_F32, .count = n, .dim = dim, .data = x};
	struct client_request r;
	struct search s;
	int err = fill(c, &r, &s, gallery, &probe, k, params);

	if (err)
		return err;
	r.finish = finish_search;
	r.out[0] = scores;
	r.out[1] = ids;
	r.arg[0] = n;
	r.arg[1] = k;
	return client_submit(c, &r, call, id);
}

int facet_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim, const float *x,
		 uint32_t k, const struct facet_search_params *params, float *scores, int64_t *ids)
{
	uint64_t id = 0;
	int err = facet_submit_search(c, gallery, n, dim, x, k, params, scores, ids, NULL, &id);

	return client_sync(c, err, id);
}

/* ---- hits in a result: out hits; arg queries, k ------------------------------------------------- */
static int hits_fill(struct client_call *call, const struct client_reply *reply,
		     struct facet_hits *hits, uint64_t count)
{
	const Facet__Wire__SearchReply *body = reply->body->search;
	float *scores = client_result_add(hits, count, sizeof(*scores));
	int64_t *ids = client_result_add(hits, count, sizeof(*ids));
	uint64_t *lims = client_result_add(hits, body->n_counts + 1, sizeof(*lims));
	int err;

	if (!scores || !ids || !lims)
		return client_no_memory(call);
	for (size_t i = 0; i < body->n_counts; i++)
		lims[i + 1] = lims[i] + body->counts[i];
	err = client_bulk_copy(call, reply, body->scores, scores, count * sizeof(*scores));
	if (!err)
		err = client_bulk_copy(call, reply, body->ids, ids, count * sizeof(*ids));
	if (!err && body->n_subjects) {
		if (body->n_subjects != count)
			return client_nonsense(call);
		if (!client_texts_get(hits, body->subjects, count, &hits->subjects))
			return client_no_memory(call);
	}
	hits->queries = body->queries;
	hits->lims = lims;
	hits->scores = scores;
	hits->ids = ids;
	hits->decided = body->decided;
	hits->threshold = body->threshold;
	return err;
}

static int finish_hits(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	struct facet_hits *hits;
	uint64_t count;
	int err = hits_in(call, search_reply(reply), &count);

	(void)c;
	if (err)
		return err;
	hits = client_result_new(sizeof(*hits));
	err = hits ? hits_fill(call, reply, hits, count) : client_no_memory(call);
	if (err)
		facet_free(hits);
	else
		*(struct facet_hits **)call->out[0] = hits;
	return err;
}

static int submit_hits(struct facet *c, struct client_request *r, struct search *s, uint32_t k,
		       struct facet_hits **hits, const struct facet_call *call, uint64_t *id)
{
	*hits = NULL;
	r->finish = finish_hits;
	r->out[0] = hits;
	r->arg[0] = s->probe.count;
	r->arg[1] = k;
	return client_submit(c, r, call, id);
}

int facet_submit_range_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim,
			      const float *x, uint32_t limit,
			      const struct facet_search_params *params, struct facet_hits **hits,
			      const struct facet_call *call, uint64_t *id)
{
	struct facet_probe probe = {
		.size = sizeof(probe), .type = FACET_F32, .count = n, .dim = dim, .data = x};
	struct client_request r;
	struct search s;
	int err = fill(c, &r, &s, gallery, &probe, limit, params);

	if (err)
		return err;
	s.wire.range = true;
	return submit_hits(c, &r, &s, limit, hits, call, id);
}

int facet_range_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim,
		       const float *x, uint32_t limit, const struct facet_search_params *params,
		       struct facet_hits **hits)
{
	uint64_t id = 0;
	int err = facet_submit_range_search(c, gallery, n, dim, x, limit, params, hits, NULL, &id);

	return client_sync(c, err, id);
}

int facet_submit_identify(struct facet *c, const char *gallery, const struct facet_probe *probe,
			  uint32_t k, const struct facet_search_params *params,
			  struct facet_hits **hits, const struct facet_call *call, uint64_t *id)
{
	struct client_request r;
	struct search s;
	int err = fill(c, &r, &s, gallery, probe, k, params);

	if (err)
		return err;
	s.wire.names = true;
	return submit_hits(c, &r, &s, k, hits, call, id);
}

int facet_identify(struct facet *c, const char *gallery, const struct facet_probe *probe,
		   uint32_t k, const struct facet_search_params *params, struct facet_hits **hits)
{
	uint64_t id = 0;
	int err = facet_submit_identify(c, gallery, probe, k, params, hits, NULL, &id);

	return client_sync(c, err, id);
}
