/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment: one template a vector or tensor, durable when it is answered. */
#include "host/libfacet/client.h"

/* out ids, enrolled; arg count */
static int finish(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	const Facet__Wire__EnrolReply *body = reply->body->enrol;
	struct facet_enrolled enrolled;
	int err;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_ENROL)
		return client_nonsense(call);
	err = client_bulk_copy(call, reply, body->ids, call->out[0], call->arg[0] * 8);
	if (err)
		return err;
	enrolled = (struct facet_enrolled){.epoch = body->epoch, .replayed = body->replayed};
	client_answer(call->out[1], &enrolled, sizeof(enrolled));
	return 0;
}

int facet_submit_enrol(struct facet *c, const char *gallery, const struct facet_probe *probe,
		       const char *const *subjects, uint32_t subject_count,
		       const struct facet_enrol_params *params, uint64_t *ids,
		       struct facet_enrolled *enrolled, const struct facet_call *call, uint64_t *id)
{
	Facet__Wire__Enrol enrol = FACET__WIRE__ENROL__INIT;
	Facet__Wire__Bulk given, tags;
	uint8_t key[FACET_KEY_BYTES];
	struct facet_enrol_params p;
	struct client_request r;
	struct client_probe put;
	int err = client_params(c, &p, sizeof(p), params);

	client_request_init(&r, FACET__WIRE__REQUEST__BODY_ENROL);
	if (!err)
		err = client_probe_put(c, &r, &put, probe);
	if (err)
		return err;
	r.wire.enrol = &enrol;
	client_key(c, &r, p.key, key);
	enrol.gallery = (char *)gallery;
	enrol.probe = &put.probe;
	enrol.key = (ProtobufCBinaryData){sizeof(key), key};
	enrol.subjects = (char **)subjects;
	enrol.n_subjects = subject_count;
	enrol.sources = (char **)p.sources;
	enrol.n_sources = p.source_count;
	if (p.ids) {
		client_bulk_put(&r, &given, p.ids, 8ull * put.count);
		enrol.ids = &given;
	}
	if (p.tags) {
		client_bulk_put(&r, &tags, p.tags, 8ull * put.count);
		enrol.tags = &tags;
	}
	r.finish = finish;
	r.out[0] = ids;
	r.out[1] = enrolled;
	r.arg[0] = put.count;
	return client_submit(c, &r, call, id);
}

int facet_enrol(struct facet *c, const char *gallery, const struct facet_probe *probe,
		const char *const *subjects, uint32_t subject_count,
		const struct facet_enrol_params *params, uint64_t *ids,
		struct facet_enrolled *enrolled)
{
	uint64_t id = 0;
	int err = facet_submit_enrol(c, gallery, probe, subjects, subject_count, params, ids,
				     enrolled, NULL, &id);

	return client_sync(c, err, id);
}
