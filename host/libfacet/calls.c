/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls from submission to completion. An id is a serial number above the slot of its call, so an
 * answer finds its call at once, and a late or invented answer finds none.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/libfacet/client.h"

#define SLOT_BITS   16
#define PACKED_KEEP (16u << 10) /* bytes a free call keeps for the next */

/* ---- slots --------------------------------------------------------------------------------------- */
static struct client_call *call_take(struct facet *c)
{
	struct client_call *call;
	uint32_t slot;

	if (c->free_count) {
		slot = c->free_slots[--c->free_count];
	} else {
		if (c->call_slots == c->params.in_flight)
			return NULL;
		call = calloc(1, sizeof(*call));
		if (!call)
			return NULL;
		slot = call->slot = c->call_slots++;
		c->calls[slot] = call;
	}
	call = c->calls[slot];
	c->call_count++;
	call->state = CALL_PENDING;
	call->id = ++c->serial << SLOT_BITS | slot;
	call->sent = call->owed = false;
	call->replays = 0;
	call->result = 0;
	return call;
}

static void call_drop_request(struct client_call *call)
{
	for (uint32_t i = 0; i < call->fd_count; i++)
		close(call->fds[i]);
	call->fd_count = 0;
	if (call->packed_room > PACKED_KEEP) {
		free(call->packed);
		call->packed = NULL;
		call->packed_room = 0;
	}
}

void client_call_free(struct facet *c, struct client_call *call)
{
	call_drop_request(call);
	call->state = CALL_FREE;
	call->id = 0;
	c->free_slots[c->free_count++] = call->slot;
}

struct client_call *client_call_find(struct facet *c, uint64_t id)
{
	uint32_t slot = (uint32_t)(id & ((1u << SLOT_BITS) - 1));

	if (slot >= c->call_slots || !id || c->calls[slot]->id != id)
		return NULL;
	return c->calls[slot];
}

void client_calls_free(struct facet *c)
{
	for (uint32_t i = 0; i < c->call_slots; i++) {
		call_drop_request(c->calls[i]);
		free(c->calls[i]->packed);
		free(c->calls[i]);
	}
	free(c->calls);
	free(c->free_slots);
}

/* ---- the list of those done ---------------------------------------------------------------------- */
static void done_append(struct facet *c, struct client_call *call)
{
	call->next = CLIENT_NONE;
	call->prev = c->done_last;
	if (c->done_last == CLIENT_NONE)
		c->done_first = call->slot;
	else
		c->calls[c->done_last]->next = call->slot;
	c->done_last = call->slot;
}

static void done_remove(struct facet *c, struct client_call *call)
{
	if (call->prev == CLIENT_NONE)
		c->done_first = call->next;
	else
		c->calls[call->prev]->next = call->next;
	if (call->next == CLIENT_NONE)
		c->done_last = call->prev;
	else
		c->calls[call->next]->prev = call->prev;
}

void client_call_complete(struct facet *c, struct client_call *call, int result)
{
	assert(call->state == CALL_PENDING);
	call->state = CALL_DONE;
	call->result = result;
	if (!result)
		call->error = (struct facet_error){0};
	call_drop_request(call);
	done_append(c, call);
}

static void timing_get(struct facet_timing *to, const Facet__Wire__Timing *from)
{
	memset(to, 0, sizeof(*to));
	if (!from)
		return;
	to->queue_ns = from->queue_ns;
	to->wait_ns = from->wait_ns;
	to->device_ns = from->device_ns;
	to->total_ns = from->total_ns;
	snprintf(to->device, sizeof(to->device), "%s", from->device);
}

void client_call_answer(struct facet *c, struct client_call *call, const struct client_reply *reply)
{
	int result;

	call->owed = false;
	if (call->state == CALL_ABANDONED)
		client_call_free(c, call);
	if (call->state != CALL_PENDING)
		return;
	timing_get(&call->timing, reply->body->timing);
	if (reply->body->error)
		result = client_fail_wire(&call->error, reply->body->error);
	else
		result = call->finish(c, call, reply);
	client_call_complete(c, call, result);
}

/* ---- submission ---------------------------------------------------------------------------------- */
void client_request_init(struct client_request *r, int body_case)
{
	facet__wire__request__init(&r->wire);
	r->wire.body_case = (Facet__Wire__Request__BodyCase)body_case;
	r->fd_count = 0;
	r->inlined = 0;
	r->err = 0;
	r->once = r->keyed = false;
	memset(r->out, 0, sizeof(r->out));
	memset(r->arg, 0, sizeof(r->arg));
}

static bool call_pack(struct client_call *call, struct client_request *r)
{
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	size_t bytes;

	frame.fds = r->fd_count;
	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_REQUEST;
	frame.request = &r->wire;
	bytes = facet__wire__client_frame__get_packed_size(&frame);
	if (bytes > call->packed_room) {
		free(call->packed);
		call->packed_room = bytes < 512 ? 512 : bytes;
		call->packed = malloc(call->packed_room);
		if (!call->packed) {
			call->packed_room = 0;
			return false;
		}
	}
	call->packed_bytes = facet__wire__client_frame__pack(&frame, call->packed);
	return true;
}

int client_call_send(struct facet *c, struct client_call *call)
{
	int fds[WIRE_FDS_MAX];
	uint32_t count = 0;
	int err;

	for (; count < call->fd_count; count++) {
		fds[count] = fcntl(call->fds[count], F_DUPFD_CLOEXEC, 0);
		if (fds[count] < 0)
			goto fail;
	}
	err = wire_queue_packed(c->wire, call->packed, call->packed_bytes, fds, count);
	if (err)
		return err;
	call->sent = call->owed = true;
	return 0;
fail:
	err = -errno;
	while (count)
		close(fds[--count]);
	return err;
}

static void note_deadline(struct facet *c, uint64_t deadline)
{
	if (deadline && (!c->next_deadline || deadline < c->next_deadline))
		c->next_deadline = deadline;
}

/* What the daemon would refuse by dropping the connection, and with it every call in flight. */
static int call_check(struct facet *c, const struct client_call *call)
{
	if (call->packed_bytes > WIRE_FRAME_MAX)
		return client_fail(
			&c->error, FACET_EINVALID_ARGUMENT,
			"the call's names and numbers take %zu bytes, more than %u; split it",
			call->packed_bytes, WIRE_FRAME_MAX);
	if (wire_prescan(&facet__wire__client_frame__descriptor, call->packed, call->packed_bytes))
		return client_fail(&c->error, FACET_EINVALID_ARGUMENT,
				   "a name is not UTF-8, or the call has more than %u names and "
				   "numbers; split it",
				   WIRE_ELEMENTS_MAX);
	return 0;
}

static int submit_checked(struct facet *c, struct client_request *r, const struct facet_call *how,
			  uint64_t *id)
{
	struct client_call *call = call_take(c);
	int err;

	if (!call)
		return client_fail(&c->error, FACET_EOVERLOADED,
				   "%u calls are in flight; take completions first, or raise "
				   "in_flight",
				   c->call_count);
	call->user = how->user;
	call->finish = r->finish;
	call->once = r->once;
	call->keyed = r->keyed;
	call->deadline = how->timeout_ns ? client_now() + how->timeout_ns : 0;
	memcpy(call->out, r->out, sizeof(r->out));
	memcpy(call->arg, r->arg, sizeof(r->arg));
	r->wire.id = call->id;
	r->wire.deadline_ns = call->deadline;
	r->wire.tag = how->tag;
	r->wire.trace = how->trace;
	r->wire.class_ = (Facet__Wire__Class)how->class_;
	if (!call_pack(call, r)) {
		err = client_fail(&c->error, FACET_EUNAVAILABLE, "out of memory");
		goto fail;
	}
	err = call_check(c, call);
	if (err)
		goto fail;
	memcpy(call->fds, r->fds, r->fd_count * sizeof(int));
	call->fd_count = r->fd_count;
	r->fd_count = 0;
	if (c->state == CLIENT_UP && client_call_send(c, call)) {
		err = client_fail(&c->error, FACET_EUNAVAILABLE,
				  "out of memory or file descriptors");
		goto fail;
	}
	note_deadline(c, call->deadline);
	if (id)
		*id = call->id;
	return 0;
fail:
	c->call_count--;
	client_call_free(c, call);
	return err;
}

int client_request_drop(struct client_request *r, int err)
{
	while (r->fd_count)
		close(r->fds[--r->fd_count]);
	return err;
}

int client_submit(struct facet *c, struct client_request *r, const struct facet_call *how,
		  uint64_t *id)
{
	struct facet_call local;
	int err = client_check(c);

	if (!err && how)
		err = client_params(c, &local, sizeof(local), how);
	if (!err && r->err)
		err = client_fail(&c->error, -r->err,
				  r->err == -FACET_EUNAVAILABLE
					  ? "no memory for the call's bulk data"
					  : "the call's bulk data is too large");
	if (!err && c->state == CLIENT_LOST) {
		client_look(c);
		if (c->state == CLIENT_LOST) {
			c->error = c->lost;
			err = -c->error.code;
		}
	}
	if (!err)
		err = submit_checked(c, r, how ? &local : &c->defaults, id);
	return client_request_drop(r, err);
}

int client_sync(struct facet *c, int err, uint64_t id)
{
	struct facet_completion done = {.size = sizeof(done)};

	if (!err)
		err = facet_wait(c, id, &done);
	return err ? err : done.result;
}

int client_call(struct facet *c, struct client_request *r)
{
	uint64_t id = 0;
	int err = client_submit(c, r, NULL, &id);

	return client_sync(c, err, id);
}

/* ---- completion ---------------------------------------------------------------------------------- */
static void fetch(struct facet *c, struct client_call *call, struct facet_completion *completion)
{
	struct facet_completion done = {.id = call->id,
					.user = call->user,
					.result = call->result,
					.error = call->error,
					.timing = call->timing};

	client_answer(completion, &done, sizeof(done));
	if (call->result)
		c->error = call->error;
	done_remove(c, call);
	c->call_count--;
	if (call->owed)
		call->state = CALL_ABANDONED;
	else
		client_call_free(c, call);
}

int facet_next(struct facet *c, struct facet_completion *completion)
{
	if (c->done_first == CLIENT_NONE)
		return 0;
	fetch(c, c->calls[c->done_first], completion);
	return 1;
}

/* The call that facet_wait() is waiting for, once it is done. */
static struct client_call *waited_for(struct facet *c, uint64_t id)
{
	struct client_call *call = client_call_find(c, id);

	if (!id && c->done_first != CLIENT_NONE)
		call = c->calls[c->done_first];
	return call && call->state == CALL_DONE ? call : NULL;
}

int facet_wait(struct facet *c, uint64_t id, struct facet_completion *completion)
{
	struct client_call *call = client_call_find(c, id);
	int err = client_check(c);

	if (err)
		return err;
	if (id ? !call || call->state == CALL_ABANDONED : !c->call_count)
		return client_fail(&c->error, FACET_ENOT_FOUND, "no such call is in flight");
	while (!(call = waited_for(c, id))) {
		/* An error of the connection completes what waits for it. */
		client_turn(c);
		if (!waited_for(c, id))
			client_block(c, 0);
	}
	fetch(c, call, completion);
	return 0;
}

int facet_cancel(struct facet *c, uint64_t id)
{
	struct client_call *call = client_call_find(c, id);
	Facet__Wire__ClientFrame frame = FACET__WIRE__CLIENT_FRAME__INIT;
	Facet__Wire__Cancel cancel = FACET__WIRE__CANCEL__INIT;
	int err = client_check(c);

	if (err)
		return err;
	if (!call || call->state == CALL_ABANDONED)
		return client_fail(&c->error, FACET_ENOT_FOUND, "no such call is in flight");
	if (call->state == CALL_DONE)
		return 0;
	if (!call->owed) { /* the daemon has not seen it */
		client_call_complete(c, call,
				     client_fail(&call->error, FACET_ECANCELLED, "cancelled"));
		return 0;
	}
	frame.kind_case = FACET__WIRE__CLIENT_FRAME__KIND_CANCEL;
	frame.cancel = &cancel;
	cancel.id = id;
	if (wire_queue(c->wire, &frame.base, NULL, 0))
		return client_fail(&c->error, FACET_EUNAVAILABLE, "out of memory");
	call->once = true; /* nobody wants it again, should the connection be lost */
	return 0;
}

uint32_t facet_in_flight(const struct facet *c)
{
	return c->call_count;
}

void client_calls_expire(struct facet *c, uint64_t now)
{
	if (!c->next_deadline || now < c->next_deadline)
		return;
	c->next_deadline = 0;
	for (uint32_t i = 0; i < c->call_slots; i++) {
		struct client_call *call = c->calls[i];

		if (call->state != CALL_PENDING || !call->deadline)
			continue;
		if (now < call->deadline) {
			note_deadline(c, call->deadline);
			continue;
		}
		if (call->owed)
			facet_cancel(c, call->id);
		client_call_complete(c, call,
				     client_fail(&call->error, FACET_EDEADLINE_EXCEEDED,
						 "no answer before the call's deadline"));
	}
}

/* ---- restarts ------------------------------------------------------------------------------------ */
/* It was sent, and what became of it nobody knows. */
static void call_abort(struct facet *c, struct client_call *call)
{
	int result = client_fail(&call->error, FACET_EABORTED,
				 "the connection was lost; the call may or may not have happened%s",
				 call->keyed ? ": repeat it with the same key" : "");

	client_call_complete(c, call, result);
}

void client_calls_lost(struct facet *c)
{
	for (uint32_t i = 0; i < c->call_slots; i++) {
		struct client_call *call = c->calls[i];

		call->owed = false;
		if (call->state == CALL_ABANDONED)
			client_call_free(c, call);
		if (call->state != CALL_PENDING || !call->sent)
			continue;
		if (!call->once && call->replays++ < CLIENT_REPLAYS_MAX) {
			call->sent = false;
			continue;
		}
		call_abort(c, call);
	}
}

void client_calls_give_up(struct facet *c)
{
	for (uint32_t i = 0; i < c->call_slots; i++) {
		struct client_call *call = c->calls[i];

		if (call->state != CALL_PENDING)
			continue;
		if (call->keyed && call->replays) {
			call_abort(c, call);
			continue;
		}
		call->error = c->lost;
		client_call_complete(c, call, -c->lost.code);
	}
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = (*(struct client_call *const *)a)->id,
		 y = (*(struct client_call *const *)b)->id;

	return x < y ? -1 : x > y;
}

int client_calls_resend(struct facet *c)
{
	struct client_call **order = malloc((c->call_slots + 1) * sizeof(struct client_call *));
	uint32_t n = 0;
	int err = 0;

	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->call_slots; i++)
		if (c->calls[i]->state == CALL_PENDING && !c->calls[i]->sent)
			order[n++] = c->calls[i];
	qsort(order, n, sizeof(struct client_call *), by_id);
	for (uint32_t i = 0; i < n && !err; i++)
		err = client_call_send(c, order[i]);
	free(order);
	return err;
}
