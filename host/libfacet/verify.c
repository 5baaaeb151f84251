/* SPDX-License-Identifier: Apache-2.0 */
/* 1:1: a probe against a subject, or probes against each other. */
#include <string.h>
#include "host/libfacet/client.h"

/* out verdict */
static int finish_verify(struct facet *c, struct client_call *call,
			 const struct client_reply *reply)
{
	const Facet__Wire__VerifyReply *body = reply->body->verify;
	struct facet_verdict verdict;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_VERIFY)
		return client_nonsense(call);
	verdict = (struct facet_verdict){.score = body->score,
					 .id = body->id,
					 .decided = body->decided,
					 .match = body->match,
					 .threshold = body->threshold};
	client_answer(call->out[0], &verdict, sizeof(verdict));
	return 0;
}

int facet_submit_verify(struct facet *c, const char *gallery, const char *subject,
			const struct facet_probe *probe, const struct facet_verify_params *params,
			struct facet_verdict *verdict, const struct facet_call *call, uint64_t *id)
{
	Facet__Wire__Verify verify = FACET__WIRE__VERIFY__INIT;
	struct facet_verify_params p;
	struct client_request r;
	struct client_probe put;
	int err = client_params(c, &p, sizeof(p), params);

	client_request_init(&r, FACET__WIRE__REQUEST__BODY_VERIFY);
	if (!err)
		err = client_probe_put(c, &r, &put, probe);
	if (err)
		return err;
	r.wire.verify = &verify;
	verify.gallery = (char *)gallery;
	verify.subject = (char *)subject;
	verify.probe = &put.probe;
	verify.has_threshold = p.has_threshold;
	verify.threshold = p.threshold;
	verify.fmr = p.fmr;
	r.finish = finish_verify;
	r.out[0] = verdict;
	return client_submit(c, &r, call, id);
}

int facet_verify(struct facet *c, const char *gallery, const char *subject,
		 const struct facet_probe *probe, const struct facet_verify_params *params,
		 struct facet_verdict *verdict)
{
	uint64_t id = 0;
	int err = facet_submit_verify(c, gallery, subject, probe, params, verdict, NULL, &id);

	return client_sync(c, err, id);
}

/* out scores, verdict; arg count, is L2 */
static int finish_compare(struct facet *c, struct client_call *call,
			  const struct client_reply *reply)
{
	const Facet__Wire__CompareReply *body = reply->body->compare;
	struct facet_verdict verdict;
	float first;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_COMPARE ||
	    body->n_scores != call->arg[0])
		return client_nonsense(call);
	first = body->scores[0];
	if (call->out[0])
		memcpy(call->out[0], body->scores, body->n_scores * sizeof(float));
	verdict = (struct facet_verdict){
		.score = first, .decided = body->decided, .threshold = body->threshold};
	verdict.match = body->decided &&
			(call->arg[1] ? first <= body->threshold : first >= body->threshold);
	client_answer(call->out[1], &verdict, sizeof(verdict));
	return 0;
}

int facet_submit_compare(struct facet *c, const struct facet_probe *a, const struct facet_probe *b,
			 const struct facet_verify_params *params, float *scores,
			 struct facet_verdict *verdict, const struct facet_call *call, uint64_t *id)
{
	Facet__Wire__Compare compare = FACET__WIRE__COMPARE__INIT;
	struct facet_verify_params p;
	struct client_probe put_a = {0}, put_b = {0};
	struct client_request r;
	int err = client_params(c, &p, sizeof(p), params);

	client_request_init(&r, FACET__WIRE__REQUEST__BODY_COMPARE);
	if (!err)
		err = client_probe_put(c, &r, &put_a, a);
	if (!err)
		err = client_probe_put(c, &r, &put_b, b);
	if (!err && put_a.count != put_b.count)
		err = client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				  "the two probes differ in count");
	if (err)
		return client_request_drop(&r, err);
	r.wire.compare = &compare;
	compare.a = &put_a.probe;
	compare.b = &put_b.probe;
	compare.metric = (Facet__Wire__Metric)p.metric;
	compare.has_threshold = p.has_threshold;
	compare.threshold = p.threshold;
	compare.fmr = p.fmr;
	r.finish = finish_compare;
	r.out[0] = scores;
	r.out[1] = verdict;
	r.arg[0] = put_a.count;
	r.arg[1] = p.metric == FACET_L2;
	return client_submit(c, &r, call, id);
}

int facet_compare(struct facet *c, const struct facet_probe *a, const struct facet_probe *b,
		  const struct facet_verify_params *params, float *scores,
		  struct facet_verdict *verdict)
{
	uint64_t id = 0;
	int err = facet_submit_compare(c, a, b, params, scores, verdict, NULL, &id);

	return client_sync(c, err, id);
}
