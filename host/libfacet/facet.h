/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libfacet: a client of facetd.
 *
 *	struct facet *c;
 *	if (facet_connect(NULL, NULL, &c))
 *		errx(2, "%s", facet_error(c)->text);
 *	facet_search(c, "staff", n, 128, x, 5, NULL, scores, ids);
 *	facet_close(c);
 *
 * Every function that returns int returns 0, or a negative code: -FACET_ENOT_FOUND and so on. The
 * code, whether trying again makes sense, after how long, and one line of text that says what to do
 * are in facet_error(c) until the next call fails.
 *
 * Structs that the caller fills, and structs that he offers to be filled, begin with their size:
 * struct facet_search_params p = {.size = sizeof(p)}; all other members may stay zero, which asks
 * for the default. Where a pointer to params or to a result may be NULL, the text says so.
 * Results that the library makes (struct facet_hits and so on) are one block: facet_free() them.
 * They may grow at their end in later versions.
 *
 * Vectors, tensors and matrices are row-major without gaps. Input data is copied when a call is
 * submitted; more than about 128 KiB goes to the daemon by sealed shared memory. Names are UTF-8.
 *
 * Asynchronously: each hot call has a facet_submit_ twin, which queues it and returns its id
 * (unless id is NULL). The places for results given there must stay valid until the call's
 * completion has been returned by facet_next() or facet_wait(); they are written before that, never
 * after. After submitting, call
 * facet_process(): it sends all in one go, and receives; then take completions with facet_next()
 * until it returns 0, then poll facet_fd() for POLLIN, and so on. Both kinds of call mix on one
 * connection; a synchronous one may leave completions of others to be taken.
 *
 * Threads: a connection may be used by one thread at a time; different connections are independent.
 * The library has no threads and touches no signal. Fork: the child must not use the connections of
 * its parent (calls fail with FACET_EFAILED_PRECONDITION), except to facet_close() them, which
 * leaves the parent's untouched.
 *
 * Restart of the daemon: the connection is made again by itself. Calls that may be repeated without
 * harm (searches, comparisons, inference, raw kernels, lists, setting thresholds; enrolment and
 * deletion through their idempotency key, which the library makes when the caller gives none) are
 * sent again; all others complete with FACET_EABORTED: they may or may not have happened. So does an
 * enrolment or deletion that was sent, when no daemon comes back to send it to again; repeated with
 * the same key it happens once.
 */
#ifndef FACET_H
#define FACET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FACET_SOCKET_DEFAULT "/run/facet/facet.sock"
#define FACET_TEXT_MAX	     256
#define FACET_KEY_BYTES	     16
#define FACET_DIGEST_BYTES   32

/* ---- errors -------------------------------------------------------------------------------- */
enum facet_code {
	FACET_OK = 0,
	FACET_ECANCELLED = 1,
	FACET_EINVALID_ARGUMENT = 2,
	FACET_ENOT_FOUND = 3, /* also what a caller without a right on the object gets */
	FACET_EALREADY_EXISTS = 4,
	FACET_EPERMISSION_DENIED = 5,
	FACET_EDEADLINE_EXCEEDED = 6,
	FACET_EOVERLOADED = 7, /* a bound or quota is reached; see retry_after_ms */
	FACET_EFAILED_PRECONDITION = 8,
	FACET_EABORTED = 9,	 /* it may or may not have happened */
	FACET_EUNAVAILABLE = 10, /* no daemon, loading, draining */
	FACET_EDATA_LOSS = 11,
	FACET_EUNIMPLEMENTED = 12,
	FACET_EINTERNAL = 13,
};

struct facet_error {
	int code; /* enum facet_code, positive */
	bool retryable;
	uint32_t retry_after_ms;
	char text[FACET_TEXT_MAX]; /* one line */
};

/* "not found"; takes either sign. */
const char *facet_code_name(int code);

/* ---- connections --------------------------------------------------------------------------- */
struct facet;

struct facet_params {
	size_t size;
	const char *software;  /* for the daemon's log; NULL: "libfacet VERSION" */
	uint32_t timeout_ms;   /* for connecting; 0: 5,000 */
	uint32_t reconnect_ms; /* how long a lost daemon is looked for; 0: 10,000 */
	uint32_t in_flight;    /* calls at once, at most 65,536; 0: 1,024 */
	bool no_reconnect;     /* a lost connection stays lost */
};

/* path NULL: $FACET_SOCKET, else FACET_SOCKET_DEFAULT; where that is absent and the caller is not
 * root, $XDG_RUNTIME_DIR/facet/facet.sock. On an error *c can still be asked for facet_error() and
 * must be closed (it is NULL only without memory, which both accept). */
int facet_connect(const char *path, const struct facet_params *params, struct facet **c);
void facet_close(struct facet *c); /* calls in flight are dropped without a completion */
const struct facet_error *facet_error(const struct facet *c);

/* How a call is made: for facet_submit_ given with each, for the others see facet_defaults().
 * FACET_CLASS_DEFAULT is what the daemon has for the tenant: interactive, where its configuration says
 * nothing else. A class the tenant may not ask for fails with FACET_EPERMISSION_DENIED. */
enum facet_class { FACET_CLASS_DEFAULT = 0, FACET_BATCH = 1, FACET_INTERACTIVE = 2 };

struct facet_call {
	size_t size;
	uint64_t timeout_ns;	 /* from submission; 0: none */
	uint64_t tag;		 /* the caller's own number, in the daemon's logs and metrics */
	uint64_t trace;		 /* trace id */
	enum facet_class class_; /* who goes first */
	void *user;		 /* returned with the completion */
};

/* From now on for all calls without a struct facet_call of their own. */
int facet_defaults(struct facet *c, const struct facet_call *call);

/* ---- asynchronous use ------------------------------------------------------------------------ */
/* Where a call's time went in the daemon, in nanoseconds. */
struct facet_timing {
	uint64_t queue_ns;  /* until it was its turn */
	uint64_t wait_ns;   /* handed to devices that were busy with others */
	uint64_t device_ns; /* on devices, side by side or one after the other */
	uint64_t total_ns;  /* from its arrival to its answer */
	char device[256];   /* those that answered, with commas between, as far as there is room */
};

struct facet_completion {
	size_t size;
	uint64_t id;
	void *user;
	int result; /* 0 or a negative code; what then follows says why */
	struct facet_error error;
	struct facet_timing timing;
};

/* Readable when facet_process() has something to do; the same for the connection's life. */
int facet_fd(struct facet *c);
/* Sends, receives, reconnects and times out without blocking. An error means that the connection
 * is lost for good; completions are still to be had. */
int facet_process(struct facet *c);
/* 1 and a completion, 0 when none is there. Makes no system call. */
int facet_next(struct facet *c, struct facet_completion *completion);
/* Blocks until call id (0: any) is complete and returns its completion. FACET_ENOT_FOUND: there is
 * no such call in flight. */
int facet_wait(struct facet *c, uint64_t id, struct facet_completion *completion);
/* Asks the daemon to drop a call. It still completes: with FACET_ECANCELLED or its result. */
int facet_cancel(struct facet *c, uint64_t id);
/* Calls submitted whose completion has not been returned yet. */
uint32_t facet_in_flight(const struct facet *c);

/* Any result made by the library; NULL is fine. */
void facet_free(void *result);

/* ---- the daemon ------------------------------------------------------------------------------ */
/* Echo through admission, queue, scheduler and device worker. reply has room for bytes; NULL: the
 * reply is only compared in length. */
int facet_ping(struct facet *c, const void *payload, size_t bytes, void *reply);
int facet_submit_ping(struct facet *c, const void *payload, size_t bytes, void *reply,
		      const struct facet_call *call, uint64_t *id);

enum facet_type { FACET_F32 = 0, FACET_S8 = 1, FACET_U8 = 2, FACET_S32 = 3 };
enum facet_metric { FACET_COSINE = 0, FACET_DOT = 1, FACET_L2 = 2 };

struct facet_threshold {
	double fmr; /* the false-match rate it was calibrated for */
	float score;
	uint64_t impostor_pairs;
};

/* What makes templates comparable. */
struct facet_space {
	const char *name; /* a model's, or the caller's for bare vectors */
	uint8_t digest[FACET_DIGEST_BYTES];
	uint32_t dim;
	enum facet_metric metric;
	uint32_t threshold_count;
	const struct facet_threshold *thresholds;
};

struct facet_tensor_info {
	const char *name;
	enum facet_type type;
	uint32_t rank;
	const uint32_t *shape;
	uint64_t elements; /* of one item */
};

struct facet_model_info {
	const char *name;
	uint8_t digest[FACET_DIGEST_BYTES]; /* of the .fct */
	const struct facet_space *space;    /* NULL unless the model makes templates */
	uint32_t input_count, output_count;
	const struct facet_tensor_info *inputs, *outputs;
	uint64_t macs, weight_bytes;
	uint32_t ops;
	float cosine_to_float; /* centred, over the calibration photos; 0: not measured */
};

struct facet_models {
	uint32_t count;
	const struct facet_model_info *items;
};

struct facet_gallery_info {
	const char *name;
	const char *model; /* "" for bare vectors */
	const struct facet_space *space;
	const char *state; /* checking, loading, ready, read-only, failed */
	uint32_t percent;  /* while it checks or loads */
	const char *text;  /* why it failed or is read-only */
	uint64_t templates, subjects, epoch, resident_bytes, disk_bytes;
	bool keep_int8_only;
	const char *host; /* ""; without a host copy: here, leaving, away, coming */
};

struct facet_galleries {
	uint32_t count;
	const struct facet_gallery_info *items;
};

struct facet_device_info {
	const char *name, *kind, *health, *detail;
	uint64_t jobs, busy_ns;
	uint32_t queued;
};

struct facet_info {
	const char *version;
	uint64_t instance; /* changes with every start of the daemon */
	uint64_t uptime_ns;
	bool ready; /* every gallery is loaded and it is not draining */
	bool draining;
	uint32_t connections, queued, queue_limit;
	uint32_t device_count, gallery_count, model_count;
	const struct facet_device_info *devices;
	const struct facet_gallery_info *galleries;
	const struct facet_model_info *models;
	const char *metrics; /* Prometheus text */
};

enum facet_info_what { /* bits; the scalars always come */
		       FACET_INFO_DEVICES = 1,
		       FACET_INFO_GALLERIES = 2,
		       FACET_INFO_MODELS = 4,
		       FACET_INFO_METRICS = 8,
};

int facet_info(struct facet *c, uint32_t what, struct facet_info **info);

/* ---- devices: the right admin ---------------------------------------------------------------- */
struct facet_device_copy { /* of a gallery's rows, on the device */
	const char *gallery;
	uint64_t row_begin, row_end; /* with room to grow */
	bool current;		     /* it has all that is published */
};

struct facet_device_model { /* on the device */
	const char *model;
	uint32_t ops, of; /* it takes so many of the model's ops; the CPU does the others */
	uint64_t bytes;
};

struct facet_device {
	const char *name, *kind;
	const char *
		state; /* ok, suspect, quarantined, recovering, dead, opening, absent, lost, drained ... */
	const char *hardware, *detail;
	const char *text; /* why it is not ok */
	bool works;	  /* it may get work */
	uint64_t batches, failed, repeated, resets, busy_ns;
	uint64_t memory_bytes, memory_used; /* used: by copies of galleries and models */
	uint64_t checks, mismatches;	    /* answers checked by the CPU, and found wrong */
	uint64_t bytes_up, bytes_down;	    /* to its memory, and back */
	uint64_t bytes_direct;		    /* of those up: read by the device where they lay */
	uint32_t queued, copy_count, model_count;
	const struct facet_device_copy *copies;
	const struct facet_device_model *models;
};

struct facet_devices {
	uint32_t count;
	const struct facet_device *items;
};

enum facet_device_action {
	FACET_DEVICE_DRAIN,  /* no new work, its copies of galleries go */
	FACET_DEVICE_ENABLE, /* work again; one that is absent, lost or removed is opened again */
	FACET_DEVICE_RESET,
	FACET_DEVICE_REMOVE, /* drain and close */
};

int facet_device_list(struct facet *c, const char *name, /* NULL: all */
		      struct facet_devices **devices);
/* Starts it; the state tells how far it is. device may be NULL. */
int facet_device_change(struct facet *c, const char *name, enum facet_device_action action,
			struct facet_devices **device);

/* ---- models ---------------------------------------------------------------------------------- */
/* info may be NULL in both. */
int facet_model_create(struct facet *c, const char *name, const char *path,
		       struct facet_models **info);
int facet_model_create_memory(struct facet *c, const char *name, const void *data, size_t bytes,
			      struct facet_models **info);
int facet_model_list(struct facet *c, const char *name,
		     struct facet_models **models); /* NULL: all */
int facet_model_delete(struct facet *c, const char *name, bool dry_run);

/* ---- galleries ------------------------------------------------------------------------------- */
struct facet_gallery_params {
	size_t size;
	const char *model; /* the space is this model's; or, for bare vectors: */
	const char *space; /* a name the caller gives; NULL: the gallery's name */
	uint32_t dim;
	enum facet_metric metric;
	bool keep_int8_only; /* no float16 originals */
	uint64_t options;    /* FACET_GALLERY_... */
};

/* Its rows' values leave the host's memory once devices have all of them. Then only these search it,
 * and when they are lost a search gets UNAVAILABLE until the values were read from the disk again. */
#define FACET_GALLERY_NO_HOST_COPY UINT64_C(1)

int facet_gallery_create(struct facet *c, const char *name,
			 const struct facet_gallery_params *params);
int facet_gallery_list(struct facet *c, const char *name, /* NULL: all */
		       struct facet_galleries **galleries);

struct facet_deleted {
	size_t size;
	uint64_t templates, subjects; /* what went, or with dry_run what would go */
	uint64_t epoch;
	bool replayed; /* this is the answer to an earlier call of the same key */
};

struct facet_delete_params {
	size_t size;
	bool dry_run;
	const uint8_t *key; /* idempotency key of FACET_KEY_BYTES; NULL: the library makes one */
};

/* params and deleted may be NULL in these three. */
int facet_gallery_delete(struct facet *c, const char *name,
			 const struct facet_delete_params *params, struct facet_deleted *deleted);
int facet_subject_delete(struct facet *c, const char *gallery, const char *subject,
			 const struct facet_delete_params *params, struct facet_deleted *deleted);
int facet_template_delete(struct facet *c, const char *gallery, const uint64_t *ids, uint32_t count,
			  const struct facet_delete_params *params, struct facet_deleted *deleted);

/* Stores thresholds into the space of a gallery or a model (give one, NULL for the other); with
 * count 0 only reads. space may be NULL. */
int facet_thresholds(struct facet *c, const char *gallery, const char *model,
		     const struct facet_threshold *set, uint32_t count, struct facet_space **space);

/* ---- what is compared -------------------------------------------------------------------------
 */
enum facet_probe_kind { FACET_VECTORS = 0, FACET_TENSORS = 1 };

/* count vectors of dim elements (F32 or S8), or count inputs of a model, each dim elements of type;
 * a model with several inputs takes them one behind the other (type U8, dim their bytes). */
struct facet_probe {
	size_t size;
	enum facet_probe_kind kind;
	enum facet_type type;
	uint32_t count, dim;
	const void *data;  /* [count][dim] */
	const char *model; /* of tensors; NULL: the gallery's own */
};

/* ---- enrolment ---------------------------------------------------------------------------------
 */
struct facet_enrol_params {
	size_t size;
	const uint64_t *ids;	    /* [count], below 2^63; NULL: the daemon numbers them */
	const uint64_t *tags;	    /* [count]; NULL: 0 */
	const char *const *sources; /* source_count of them: count, or 1 for all, or 0 */
	uint32_t source_count;
	const uint8_t *key; /* as above */
};

struct facet_enrolled {
	size_t size;
	uint64_t epoch;
	bool replayed;
};

/* One template a vector or tensor; subjects has count entries, or 1 for all. Durable on return.
 * params, ids ([count]) and enrolled may be NULL. */
int facet_enrol(struct facet *c, const char *gallery, const struct facet_probe *probe,
		const char *const *subjects, uint32_t subject_count,
		const struct facet_enrol_params *params, uint64_t *ids,
		struct facet_enrolled *enrolled);
int facet_submit_enrol(struct facet *c, const char *gallery, const struct facet_probe *probe,
		       const char *const *subjects, uint32_t subject_count,
		       const struct facet_enrol_params *params, uint64_t *ids,
		       struct facet_enrolled *enrolled, const struct facet_call *call,
		       uint64_t *id);

/* ---- search ------------------------------------------------------------------------------------
 */
struct facet_search_params {
	size_t size;
	bool by_subject;	      /* one hit a subject, its best template */
	uint64_t tag_mask, tag_value; /* only templates with (tags & mask) == value */
	bool has_threshold;
	float threshold; /* only hits of at least this score (L2: at most this distance) */
	double fmr;	 /* > 0: the space's threshold for this false-match rate */
	uint32_t rerank; /* this many (>= k) re-scored by the originals; 0: none */
};

/* The k best of each of n float vectors: scores[n][k] and ids[n][k], best first; ids are -1 (and
 * scores 0) past the last hit. params may be NULL. */
int facet_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim, const float *x,
		 uint32_t k, const struct facet_search_params *params, float *scores, int64_t *ids);
int facet_submit_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim,
			const float *x, uint32_t k, const struct facet_search_params *params,
			float *scores, int64_t *ids, const struct facet_call *call, uint64_t *id);

struct facet_hits {
	uint32_t queries;
	const uint64_t
		*lims;	     /* [queries + 1]: the hits of query i are lims[i] .. lims[i + 1] - 1 */
	const float *scores; /* best first */
	const int64_t *ids;
	const char *const *subjects; /* NULL unless asked for */
	bool decided; /* a threshold applied: a hit is a match. Otherwise hits are candidates. */
	float threshold;
};

/* Every hit of at least the threshold (params must give it or fmr), at most limit a query. */
int facet_range_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim,
		       const float *x, uint32_t limit, const struct facet_search_params *params,
		       struct facet_hits **hits);
int facet_submit_range_search(struct facet *c, const char *gallery, uint32_t n, uint32_t dim,
			      const float *x, uint32_t limit,
			      const struct facet_search_params *params, struct facet_hits **hits,
			      const struct facet_call *call, uint64_t *id);

/* 1:N, from vectors or tensors, with the subjects' names: who is it? params may be NULL. */
int facet_identify(struct facet *c, const char *gallery, const struct facet_probe *probe,
		   uint32_t k, const struct facet_search_params *params, struct facet_hits **hits);
int facet_submit_identify(struct facet *c, const char *gallery, const struct facet_probe *probe,
			  uint32_t k, const struct facet_search_params *params,
			  struct facet_hits **hits, const struct facet_call *call, uint64_t *id);

/* ---- 1:1 ----------------------------------------------------------------------------------------
 */
struct facet_verify_params {
	size_t size;
	bool has_threshold;
	float threshold;
	double fmr;
	enum facet_metric metric; /* facet_compare() of vectors only */
};

struct facet_verdict {
	size_t size;
	float score;
	uint64_t id;  /* the subject's best template */
	bool decided; /* there was a threshold */
	bool match;
	float threshold;
};

/* Is it this subject? The probe has count 1. params may be NULL. */
int facet_verify(struct facet *c, const char *gallery, const char *subject,
		 const struct facet_probe *probe, const struct facet_verify_params *params,
		 struct facet_verdict *verdict);
int facet_submit_verify(struct facet *c, const char *gallery, const char *subject,
			const struct facet_probe *probe, const struct facet_verify_params *params,
			struct facet_verdict *verdict, const struct facet_call *call, uint64_t *id);

/* scores[i] of a[i] and b[i], which have the same count. verdict (may be NULL) gets decided and
 * threshold; score and match are those of the first pair. */
int facet_compare(struct facet *c, const struct facet_probe *a, const struct facet_probe *b,
		  const struct facet_verify_params *params, float *scores,
		  struct facet_verdict *verdict);
int facet_submit_compare(struct facet *c, const struct facet_probe *a, const struct facet_probe *b,
			 const struct facet_verify_params *params, float *scores,
			 struct facet_verdict *verdict, const struct facet_call *call,
			 uint64_t *id);

/* ---- inference ----------------------------------------------------------------------------------
 */
struct facet_output {
	const void *data; /* [count] times the output tensor, 16-byte aligned */
	size_t bytes;
};

struct facet_outputs {
	uint32_t count;
	const struct facet_output *items;
};

/* count inputs of bytes bytes in all. */
int facet_infer(struct facet *c, const char *model, uint32_t count, const void *data, size_t bytes,
		struct facet_outputs **outputs);
int facet_submit_infer(struct facet *c, const char *model, uint32_t count, const void *data,
		       size_t bytes, struct facet_outputs **outputs, const struct facet_call *call,
		       uint64_t *id);

/* ---- raw kernels
 * --------------------------------------------------------------------------------- acc = bias +
 * sum of products, then t = (float)acc * (acc < 0 ? s_neg[c] : s_pos[c]) [+ (float)(r - z_r) * s_r]
 *   y = (int)rne(min(max(t, lo - z), hi - z)) + z
 * in IEEE single, ties to even; FACET_OUT_F32 stores t, FACET_OUT_S32 stores acc. A bias has the
 * input's zero point folded in; a padded tap reads z_x. docs/arithmetic.md has all of it.
 */
enum facet_out { FACET_OUT_S8 = 0, FACET_OUT_F32 = 1, FACET_OUT_S32 = 2 };

struct facet_requant {
	const float *s_pos, *s_neg; /* [channels]; NULL with FACET_OUT_S32 */
	float s_r;
	int32_t z_r, z, lo, hi;
};

/* y[m][n] = sum over k of a[m][k] * b[n][k] */
struct facet_gemm {
	size_t size;
	uint32_t m, n, k;
	enum facet_out out;
	struct facet_requant q;
	const int8_t *a, *b;
	const int32_t *bias;	/* [n] or NULL */
	const int8_t *residual; /* [m][n] or NULL */
};

/* NHWC; weights [oc][kh][kw][c / groups]; y is [n][oh][ow][oc]. */
struct facet_conv2d {
	size_t size;
	uint32_t n, h, w, c;
	uint32_t oc, kh, kw, groups;
	uint32_t stride_h, stride_w, dilation_h, dilation_w;
	uint32_t pad_top, pad_left, pad_bottom, pad_right;
	int32_t z_x;
	enum facet_out out;
	struct facet_requant q;
	const int8_t *x, *weights;
	const int32_t *bias;	/* [oc] or NULL */
	const int8_t *residual; /* [n][oh][ow][oc] or NULL */
};

size_t facet_gemm_bytes(const struct facet_gemm *p); /* of y; 0 for nonsense */
size_t facet_conv2d_bytes(const struct facet_conv2d *p);

/* y has room for that many bytes. */
int facet_gemm_s8(struct facet *c, const struct facet_gemm *p, void *y);
int facet_submit_gemm_s8(struct facet *c, const struct facet_gemm *p, void *y,
			 const struct facet_call *call, uint64_t *id);
int facet_conv2d_s8(struct facet *c, const struct facet_conv2d *p, void *y);
int facet_submit_conv2d_s8(struct facet *c, const struct facet_conv2d *p, void *y,
			   const struct facet_call *call, uint64_t *id);

/* ---- subjects and templates
 * ----------------------------------------------------------------------- */
struct facet_template_info {
	uint64_t id, tags, epoch;
	const char *source;
};

struct facet_subject {
	const char *subject;
	uint32_t templates;
	uint32_t item_count; /* 0 in a list */
	const struct facet_template_info *items;
};

struct facet_subjects {
	uint32_t count;
	const struct facet_subject *items;
	uint64_t cursor; /* where the next page starts */
	bool more;
};

/* A page from cursor on (0: the start), of at most limit (0: as many as fit). */
int facet_subject_list(struct facet *c, const char *gallery, uint64_t cursor, uint32_t limit,
		       struct facet_subjects **subjects);
/* One subject with its templates. */
int facet_subject_show(struct facet *c, const char *gallery, const char *subject,
		       struct facet_subjects **subjects);

struct facet_page {
	uint32_t count, dim;
	enum facet_type type; /* F32: the originals; S8: rows, where originals are not kept */
	const void *vectors;  /* [count][dim] */
	const struct facet_template_info *items; /* [count] */
	const char *const *subjects;		 /* [count] */
	uint64_t cursor;
	bool more;
};

/* A page of records, in the order of enrolment. */
int facet_export(struct facet *c, const char *gallery, uint64_t cursor, uint32_t limit,
		 struct facet_page **page);

#ifdef __cplusplus
}
#endif

#endif
