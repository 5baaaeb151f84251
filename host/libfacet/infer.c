/* SPDX-License-Identifier: Apache-2.0 */
/* A model's outputs; and the echo. */
#include <string.h>
#include "host/libfacet/client.h"

static int output_fill(struct client_call *call, const struct client_reply *reply,
		       struct facet_outputs *outputs, struct facet_output *item,
		       const Facet__Wire__Bulk *bulk)
{
	struct client_view view;
	int err = client_bulk_view(call, reply, bulk, &view);
	void *data;

	if (err)
		return err;
	data = client_result_add(outputs, view.bytes, 1);
	if (data && view.bytes)
		memcpy(data, view.data, view.bytes);
	*item = (struct facet_output){data, view.bytes};
	client_bulk_release(&view);
	return data ? 0 : client_no_memory(call);
}

/* out outputs */
static int finish_infer(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	const Facet__Wire__InferReply *body = reply->body->infer;
	struct facet_outputs *outputs;
	struct facet_output *items;
	int err = 0;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_INFER)
		return client_nonsense(call);
	outputs = client_result_new(sizeof(*outputs));
	if (!outputs)
		return client_no_memory(call);
	items = client_result_add(outputs, body->n_outputs, sizeof(*items));
	if (!items)
		err = client_no_memory(call);
	for (size_t i = 0; i < body->n_outputs && !err; i++)
		err = output_fill(call, reply, outputs, &items[i], body->outputs[i]);
	outputs->count = (uint32_t)body->n_outputs;
	outputs->items = items;
	if (err)
		facet_free(outputs);
	else
		*(struct facet_outputs **)call->out[0] = outputs;
	return err;
}

int facet_submit_infer(struct facet *c, const char *model, uint32_t count, const void *data,
		       size_t bytes, struct facet_outputs **outputs, const struct facet_call *call,
		       uint64_t *id)
{
	Facet__Wire__Infer infer = FACET__WIRE__INFER__INIT;
	Facet__Wire__Tensors tensors = FACET__WIRE__TENSORS__INIT;
	Facet__Wire__Bulk bulk;
	struct client_request r;

	*outputs = NULL;
	if (!count || !data || !bytes || bytes % count)
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "%zu bytes are not %u whole inputs", bytes, count);
	client_request_init(&r, FACET__WIRE__REQUEST__BODY_INFER);
	client_bulk_put(&r, &bulk, data, bytes);
	r.wire.infer = &infer;
	infer.tensors = &tensors;
	tensors.model = (char *)model;
	tensors.count = count;
	tensors.data = &bulk;
	r.finish = finish_infer;
	r.out[0] = outputs;
	return client_submit(c, &r, call, id);
}

int facet_infer(struct facet *c, const char *model, uint32_t count, const void *data, size_t bytes,
		struct facet_outputs **outputs)
{
	uint64_t id = 0;
	int err = facet_submit_infer(c, model, count, data, bytes, outputs, NULL, &id);

	return client_sync(c, err, id);
}

/* out reply; arg bytes */
static int finish_ping(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	const Facet__Wire__Echo *body = reply->body->echo;

	(void)c;
	if (reply->body->body_case != FACET__WIRE__REPLY__BODY_ECHO ||
	    body->payload.len != call->arg[0])
		return client_nonsense(call);
	if (call->out[0] && body->payload.len)
		memcpy(call->out[0], body->payload.data, body->payload.len);
	return 0;
}

int facet_submit_ping(struct facet *c, const void *payload, size_t bytes, void *reply,
		      const struct facet_call *call, uint64_t *id)
{
	Facet__Wire__Echo echo = FACET__WIRE__ECHO__INIT;
	struct client_request r;

	client_request_init(&r, FACET__WIRE__REQUEST__BODY_ECHO);
	r.wire.echo = &echo;
	echo.payload = (ProtobufCBinaryData){bytes, (uint8_t *)payload};
	r.finish = finish_ping;
	r.out[0] = reply;
	r.arg[0] = bytes;
	return client_submit(c, &r, call, id);
}

int facet_ping(struct facet *c, const void *payload, size_t bytes, void *reply)
{
	uint64_t id = 0;
	int err = facet_submit_ping(c, payload, bytes, reply, NULL, &id);

	return client_sync(c, err, id);
}
