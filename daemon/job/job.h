/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job: one request of a client, from its frame to its reply. Control thread only.
 *
 * A job is taken from the service's store, its frame is decoded into its own arena, and everything
 * the request says stays there until the job ends; jobs are reused, so a steady load allocates
 * nothing. A handler works through stages: it calls one of job_schedule(), job_errand(),
 * job_gallery() with the step that comes next, or ends the job by job_reply() or job_fail().
 *
 * Whoever ends a job must not touch it afterwards. Functions that may end it return 0 when it goes
 * on and a negative number when it has ended.
 */
#ifndef FACET_DAEMON_JOB_JOB_H
#define FACET_DAEMON_JOB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/gallery/gallery.h"
#include "daemon/job/errand.h"
#include "daemon/job/sched.h"
#include "daemon/net/metrics.h"
#include "facet.pb-c.h"
#include "proto/wire.h"

struct conn;
struct gallery_entry;
struct job;
struct model_entry;
struct op;
struct service;

#define JOB_MAPPINGS_MAX  8
#define JOB_BULK_INLINE	  (64u << 10) /* larger results go by memfd */
#define JOB_MADE_RETRY_MS 1000	      /* a bound that only a deletion changes is reached */

enum job_stage { JOB_IDLE, JOB_SCHEDULED, JOB_AWAY };

typedef void (*job_step)(struct job *job);

/* Templates given by a client: one of f32 and s8, [count][dim]. */
struct job_probe {
	uint32_t count, dim;
	const float *f32;
	const int8_t *s8;
};

/* One query of a search. */
struct job_query {
	struct gallery_probe probe;
	struct search_query query;
	struct search_list *list; /* of the slices that have succeeded */
	bool begun;		  /* there was one */
	struct search_hit *hits;  /* after the search, best first */
	double *scores;		  /* of a re-rank, else NULL */
	uint32_t hit_count;
};

struct job_search {
	struct gallery_snapshot snapshot;
	bool held; /* the snapshot is */
	uint32_t k, list_k, count, reranked;
	bool by_subject, decided;
	float threshold;
	struct job_query *queries;
	struct job_query one; /* most searches have one */
};

struct job_infer {
	const uint8_t *data; /* [count][input bytes] */
	uint64_t item_bytes;
	uint8_t *outputs[16]; /* [count][output bytes] each */
	job_step then;
};

struct job {
	struct sched_job sched;
	struct service *service;
	struct conn *conn;	 /* NULL: the client has gone */
	struct job *next, *prev; /* of its connection */
	struct tenant *who;	 /* whose it is */
	struct tenant *tenant;	 /* whose quota it counts in; NULL before that */
	struct wire_arena *arena;
	size_t frame_bytes;
	Facet__Wire__Request *request;
	const struct op *op;
	const void *body; /* of the request */
	int fds[WIRE_FDS_MAX];
	uint32_t fd_count;
	uint64_t arrived_ns, queue_ns, wait_ns, device_ns;
	uint32_t devices; /* whose work is in the answer, a bit each */
	enum job_stage stage;
	int cancelled;		       /* -ECANCELED once the client asked for it or has gone */
	job_step step;		       /* what comes after this stage */
	struct gallery_entry *gallery; /* held */
	struct model_entry *model;     /* held */
	struct wire_mapping mapping[JOB_MAPPINGS_MAX];
	uint32_t mapping_count;
	uint64_t charged; /* bytes in the tenant's quota */
	enum sched_class class;
	uint32_t enrolling; /* templates that count in the gallery's enrolling */
	struct job_block *blocks;
	struct errand errand;
	job_step work; /* of the errand */
	struct bell_entry entry;
	struct gallery_request gr;
	int error; /* of an errand */
	char text[GALLERY_TEXT];
	void *user;			  /* the handler's */
	void (*cleanup)(struct job *job); /* the handler's, when the job ends; or NULL */
	struct job_probe probe, other;	  /* other: the second of a comparison */
	struct job_infer infer;
	struct job_search search;
};

static inline struct job *job_of(const struct sched_job *sched)
{
	return (struct job *)((char *)sched - offsetof(struct job, sched));
}

/* ---- the store ------------------------------------------------------------------------------- */
struct job *job_take(struct service *service); /* NULL: no memory */
void job_drop(struct job *job);		       /* one that never became a request */
void job_store_free(struct service *service);

/* ---- from the connection --------------------------------------------------------------------- */
/* The request is decoded, its descriptors are the job's: checks rights and quota, and handles it. */
void job_admit(struct job *job);
void job_cancel(struct job *job);
/* The client has gone. */
void job_orphan(struct job *job);

/* ---- stages ---------------------------------------------------------------------------------- */
/* As job_gallery() it ends a job that was cancelled or is late instead. */
void job_schedule(struct job *job, struct sched_target *target, uint32_t units, job_step step);
/* work runs on the errand thread and leaves its outcome in job->error and job->text */
void job_errand(struct job *job, job_step work, job_step step);
void job_errand_on(struct job *job, struct errands *errands, job_step work, job_step step);
/* job->gr is filled but for done and user; an error ends the job with the request's text */
void job_gallery(struct job *job, job_step step);

/* ---- the end --------------------------------------------------------------------------------- */
/* Sends it with id and timing, ends the job. Takes the descriptors. */
void job_reply(struct job *job, const Facet__Wire__Reply *reply, const int *fds, uint32_t count);
__attribute__((format(printf, 3, 4))) int job_fail(struct job *job, Facet__Wire__Code code,
						   const char *format, ...);
/* A bound of the tenant is reached: OVERLOADED, counted, with the bound's name. */
int job_over_quota(struct job *job, enum metrics_quota quota, uint32_t retry_ms);
/* As job_fail() with OVERLOADED or UNAVAILABLE and when to come back. */
__attribute__((format(printf, 4, 5))) int job_refuse(struct job *job, Facet__Wire__Code code,
						     uint32_t retry_ms, const char *format, ...);
/* The code that belongs to a negative errno; text may be NULL or empty. */
int job_fail_errno(struct job *job, int error, const char *text);

/* ---- memory and data --------------------------------------------------------------------------- */
/* Lives as long as the job; large pieces count in the tenant's quota. NULL: ends nothing. */
void *job_alloc(struct job *job, uint64_t bytes);
/* The same, and ends the job when there is none. */
void *job_need(struct job *job, uint64_t bytes);
/* Counts bytes in the tenant's quota until the job ends; OVERLOADED otherwise. */
int job_charge(struct job *job, uint64_t bytes);
/* The bytes of a bulk field, which do not change any more: exactly `bytes`, aligned to align (1, 4
 * or 8). what names the field in errors. */
int job_bulk(struct job *job, const Facet__Wire__Bulk *bulk, uint64_t bytes, uint32_t align,
	     const char *what, const void **data);

/* Descriptors gathered for a reply. */
struct job_out {
	int fds[WIRE_FDS_MAX];
	uint32_t count;
};
/* Makes a bulk field of a reply, inline or by memfd; the data stays until the reply is sent. */
int job_put(struct job *job, struct job_out *out, const void *data, uint64_t bytes,
	    Facet__Wire__Bulk **bulk);
void job_send(struct job *job, struct job_out *out, Facet__Wire__Reply *reply);

/* ---- probes ------------------------------------------------------------------------------------- */
/* Vectors or tensors of a request to templates in *probe, then `then`. With entry: they must be of
 * its space. expect: how many there must be, 0 for any. */
void job_probe(struct job *job, const Facet__Wire__Probe *message, struct gallery_entry *entry,
	       uint32_t expect, struct job_probe *probe, job_step then);
/* Runs count items of the job's model; outputs are in job->infer. */
void job_infer(struct job *job, const Facet__Wire__Tensors *tensors, job_step then);

#endif
