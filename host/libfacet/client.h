/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of libfacet know of each other.
 *
 * A call is made in three steps: a struct client_request is filled on the stack, client_submit()
 * packs it into a struct client_call (which keeps the bytes until the answer, to send them again
 * after a restart of the daemon), and the call's finish function turns the reply into results.
 */
#ifndef FACET_HOST_LIBFACET_CLIENT_H
#define FACET_HOST_LIBFACET_CLIENT_H

#include "facet.pb-c.h"
#include "host/libfacet/facet.h"
#include "proto/wire.h"

#define CLIENT_INLINE_MAX  (128u << 10) /* bulk bytes in one frame; more goes by memfd */
#define CLIENT_REPLAYS_MAX 3u
#define CLIENT_NONE	   UINT32_MAX
#define CLIENT_OUTS	   3

struct client_call;

/* A reply, while it is worked on. */
struct client_reply {
	const Facet__Wire__Reply *body;
	const int *fds;
	uint32_t fd_count;
};

/* 0, or a negative code after client_fail(). */
typedef int (*client_finish)(struct facet *c, struct client_call *call,
			     const struct client_reply *reply);

struct client_request {
	Facet__Wire__Request wire;
	int fds[WIRE_FDS_MAX];
	uint32_t fd_count;
	size_t inlined;
	int err;    /* of filling: the first code that client_request_...() met */
	bool once;  /* may not be repeated */
	bool keyed; /* changes something; may be repeated with the same key only */
	client_finish finish;
	void *out[CLIENT_OUTS];
	uint64_t arg[CLIENT_OUTS];
};

enum client_call_state {
	CALL_FREE,
	CALL_PENDING,	/* no answer yet */
	CALL_DONE,	/* completion not fetched yet */
	CALL_ABANDONED, /* completion fetched, but the daemon's answer is still owed */
};

struct client_call {
	enum client_call_state state;
	bool once, keyed, sent, owed; /* owed: the daemon has yet to answer */
	uint32_t slot, replays;
	uint32_t next, prev; /* in the list of those done */
	uint64_t id, deadline;
	void *user;
	client_finish finish;
	void *out[CLIENT_OUTS];
	uint64_t arg[CLIENT_OUTS];
	uint8_t *packed;
	size_t packed_bytes, packed_room;
	int fds[WIRE_FDS_MAX];
	uint32_t fd_count;
	int result;
	struct facet_error error;
	struct facet_timing timing;
};

enum client_state {
	CLIENT_DOWN,	 /* looking for the daemon until give_up */
	CLIENT_GREETING, /* connected, its Hello not seen yet */
	CLIENT_UP,
	CLIENT_LOST, /* given up: the next call starts looking again, unless for good */
};

struct facet {
	enum client_state state;
	bool for_good;
	uint8_t *forked; /* a page that reads zero in a child */
	char *path, *software;
	struct facet_params params;
	struct facet_call defaults;
	struct facet_error error, lost; /* lost: why the connection is */
	struct wire *wire;
	struct wire_arena *arena;
	uint64_t instance;
	uint64_t retry_at, give_up, greet_by, backoff;
	int epoll, timer; /* -1 until facet_fd() is asked for */
	uint64_t timer_at;
	bool want_out;
	/* calls */
	struct client_call **calls;	 /* [call_slots] */
	uint32_t call_slots, call_count; /* count: neither free nor abandoned */
	uint32_t *free_slots, free_count;
	uint32_t done_first, done_last;
	uint64_t serial, next_deadline; /* no deadline of a pending call is before it; 0: none */
	uint64_t nonce, keys;		/* idempotency keys */
};

uint64_t client_now(void); /* CLOCK_MONOTONIC, ns */

/* ---- errors ---- */
/* Fills an error and returns -code. */
__attribute__((format(printf, 3, 4))) int client_fail(struct facet_error *error, int code,
						      const char *format, ...);
int client_fail_wire(struct facet_error *error, const Facet__Wire__Error *from);
/* The finish functions' answer to a reply that is not what was asked for. */
int client_nonsense(struct client_call *call);

/* ---- params: copies known members, refuses unknown ones that are not zero ---- */
int client_params(struct facet *c, void *to, size_t size, const void *from);
/* The other way, for results: as much of from as to has room for. */
void client_answer(void *to, const void *from, size_t size);

/* ---- calls.c ---- */
void client_request_init(struct client_request *r, int body_case);
/* Closes what a request that will not be submitted has opened; returns err. */
int client_request_drop(struct client_request *r, int err);
int client_submit(struct facet *c, struct client_request *r, const struct facet_call *how,
		  uint64_t *id);
/* Submits and waits. */
int client_call(struct facet *c, struct client_request *r);
/* After facet_submit_...() returned err: waits for id. */
int client_sync(struct facet *c, int err, uint64_t id);
void client_call_complete(struct facet *c, struct client_call *call, int result);
void client_call_answer(struct facet *c, struct client_call *call,
			const struct client_reply *reply);
struct client_call *client_call_find(struct facet *c, uint64_t id);
int client_call_send(struct facet *c, struct client_call *call);
void client_call_free(struct facet *c, struct client_call *call);
void client_calls_lost(struct facet *c); /* the connection broke: which may be repeated? */
void client_calls_give_up(struct facet *c);
int client_calls_resend(struct facet *c);
void client_calls_expire(struct facet *c, uint64_t now);
void client_calls_free(struct facet *c);

/* ---- connection.c ---- */
int client_check(struct facet *c);		   /* usable in this process? */
void client_look(struct facet *c);		   /* after giving up: look for the daemon again */
int client_turn(struct facet *c);		   /* facet_process() without the checks */
int client_block(struct facet *c, uint64_t until); /* sleeps until something can be done */
/* The idempotency key of a request that has one. */
void client_key(struct facet *c, struct client_request *r, const uint8_t *given,
		uint8_t key[FACET_KEY_BYTES]);

/* ---- bulk.c ---- */
/* Points at the data, which must stay until client_submit(), or copies it into a memfd. */
void client_bulk_put(struct client_request *r, Facet__Wire__Bulk *bulk, const void *data,
		     uint64_t bytes);
struct client_view {
	const void *data;
	size_t bytes;
	struct wire_mapping mapping;
};
/* What a reply's bulk holds; a missing one is empty. Release in any case. */
int client_bulk_view(struct client_call *call, const struct client_reply *reply,
		     const Facet__Wire__Bulk *bulk, struct client_view *view);
void client_bulk_release(struct client_view *view);
/* Copies exactly that many bytes; to may be NULL (then only the length is checked). */
int client_bulk_copy(struct client_call *call, const struct client_reply *reply,
		     const Facet__Wire__Bulk *bulk, void *to, uint64_t bytes);

/* ---- probe.c ---- */
struct client_probe {
	Facet__Wire__Probe probe;
	Facet__Wire__Vectors vectors;
	Facet__Wire__Tensors tensors;
	Facet__Wire__Bulk data;
	uint32_t count;
};
int client_probe_put(struct facet *c, struct client_request *r, struct client_probe *to,
		     const struct facet_probe *from);

/* ---- result.c: results of one block each, zeroed, 16-byte aligned ---- */
void *client_result_new(size_t bytes);
void *client_result_add(void *result, uint64_t count, size_t size);
const char *client_result_text(void *result, const char *text);

/* ---- describe.c: from the wire's descriptions to the public structs; false without memory ---- */
bool client_space_get(void *result, const Facet__Wire__Space *from,
		      const struct facet_space **space);
bool client_models_get(void *result, Facet__Wire__ModelInfo *const *from, size_t count,
		       const struct facet_model_info **models);
bool client_galleries_get(void *result, Facet__Wire__GalleryInfo *const *from, size_t count,
			  const struct facet_gallery_info **galleries);
bool client_templates_get(void *result, Facet__Wire__TemplateInfo *const *from, size_t count,
			  const struct facet_template_info **templates);
bool client_texts_get(void *result, char *const *from, size_t count, const char *const **texts);
int client_no_memory(struct client_call *call);

#endif
