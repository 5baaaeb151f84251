/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gallery: int8 templates of one space, durable in LMDB, searched from memory.
 *
 * Threads. Each open gallery owns one writer thread (load, enrol, delete, compaction: group commit)
 * and one reader thread (export, subject pages, re-rank: anything that touches the disk to read).
 * gallery_submit() hands a request to them and returns; request->done is called on that thread.
 * The functions under "in memory" may be called from one other thread (the control thread) at any
 * time; they take no lock that a writer holds across a system call.
 *
 * Durability. done() of an enrol or delete with error 0 means: on disk, synced, and visible to
 * every snapshot taken from now on. kill -9 or power loss at any moment loses nothing acknowledged.
 * done() of a delete also waits until no snapshot is held that still saw the templates, and they are
 * wiped from the rows: so no search ends with one after its delete was acknowledged, and a snapshot
 * must not be held for long.
 *
 * Disk. ROOT/galleries/NAME/ holds one LMDB environment (docs/operations.md, "Files"). A spawned
 * checker walks it before the daemon opens it.
 */
#ifndef FACET_DAEMON_GALLERY_GALLERY_H
#define FACET_DAEMON_GALLERY_GALLERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernels/ops.h"

#define GALLERY_NAME_MAX    64	/* [a-z0-9][a-z0-9._-]*, bytes */
#define GALLERY_SUBJECT_MAX 128 /* bytes of UTF-8, no control characters */
#define GALLERY_SOURCE_MAX  128
#define GALLERY_TEXT	    200
#define GALLERY_KEY_BYTES   16
#define GALLERY_ID_MAX	    INT64_MAX

struct gallery_space {
	char name[GALLERY_NAME_MAX + 1];
	uint8_t digest[32];
	uint32_t dim;
	enum search_metric metric;
};

struct gallery_spec {
	struct gallery_space space;
	char model[GALLERY_NAME_MAX + 1]; /* "" for bare vectors */
	bool keep_int8_only;
	bool no_host_copy; /* the host's values go once copies on devices have them */
};

enum gallery_state {
	GALLERY_CHECKING,
	GALLERY_LOADING,
	GALLERY_READY,
	GALLERY_READ_ONLY, /* searched, not written: the disk is low (text) */
	GALLERY_FAILED,	   /* text says what and what to do */
};

struct gallery_status {
	enum gallery_state state;
	uint32_t percent;
	char text[GALLERY_TEXT];
	uint64_t templates, subjects, epoch;
	uint64_t resident_bytes, disk_bytes;
	uint64_t commits, fsync_ns; /* totals, for the metrics */
};

struct gallery;

/* Options of the process, the same for all galleries. */
struct gallery_config {
	const char *root;	/* the state directory */
	const char *checker;	/* path of facet-gallery-check */
	uint64_t disk_reserve;	/* read-only below this many free bytes; 0 = 256 MiB */
	uint32_t purge_seconds; /* deleted records leave the file within; 0 = 86,400 */
	const uint8_t *key;	/* 32 bytes: encryption at rest; NULL for none */
	void (*changed)(struct gallery *gallery, void *user); /* a state changed; any thread */
	void *user;
};

int gallery_create(const struct gallery_config *config, const char *name,
		   const struct gallery_spec *spec, char text[GALLERY_TEXT]);
/* Names of the galleries on disk, NULL-terminated; gallery_names_free(). */
int gallery_names(const struct gallery_config *config, char ***names);
void gallery_names_free(char **names);
/* Starts checking and loading; returns at once. A gallery that fails stays, in GALLERY_FAILED. */
int gallery_open(const struct gallery_config *config, const char *name, struct gallery **gallery);
/* Ends its threads after the requests they hold. No snapshot is held any more. */
void gallery_close(struct gallery *gallery);
/* The gallery is closed. Removes its files. */
int gallery_remove(const struct gallery_config *config, const char *name);

const char *gallery_name(const struct gallery *gallery);
const struct gallery_spec *gallery_spec(const struct gallery *gallery); /* NULL until checked */
void gallery_status(const struct gallery *gallery, struct gallery_status *status);

/* ---- in memory ----------------------------------------------------------------------------------
 * A snapshot fixes what a search sees: rows, an epoch and a high-water mark. While it is held no
 * slot it can see is reused. Release it when the search has ended.
 */
struct gallery_snapshot {
	const struct search_rows *rows;
	uint32_t epoch;
	uint32_t era;	     /* epochs of different eras do not compare */
	uint64_t row_count;  /* high-water mark */
	uint64_t generation; /* private */
};

int gallery_snapshot(struct gallery *gallery,
		     struct gallery_snapshot *snapshot); /* -EAGAIN not ready, or not this moment */
void gallery_release(struct gallery *gallery, struct gallery_snapshot *snapshot);

/* A query ready to be searched. The float probe is kept for re-rank by the caller. */
struct gallery_probe {
	int8_t x[SEARCH_DIM_MAX]; /* rotated, quantized, in layout order */
	float q_scale;		  /* reply = score(s) by metric: see gallery_score() */
	float q_norm2;		  /* L2: |q|^2 * step^2 */
};

/* Rotates and quantizes. -EINVAL: NaN, infinite or zero vector. int8 probes count as step 1. */
int gallery_probe_f32(const struct gallery *gallery, const float *x, struct gallery_probe *probe);
int gallery_probe_s8(const struct gallery *gallery, const int8_t *x, struct gallery_probe *probe);
/* The score users see (cosine, dot, squared distance) of an s, and the smallest s that passes a
 * threshold on it, exactly. */
float gallery_score(const struct gallery *gallery, const struct gallery_probe *probe, float s);
float gallery_limit(const struct gallery *gallery, const struct gallery_probe *probe,
		    float threshold);
/* Fills x, q_mul, epoch, rows of a query (k, limit, tags, by_subject are the caller's). */
void gallery_query(const struct gallery *gallery, const struct gallery_probe *probe,
		   const struct gallery_snapshot *snapshot, struct search_query *query);

/* The name behind a hit's subject index, valid while the snapshot is held. */
const char *gallery_subject(const struct gallery *gallery, uint32_t subject);
/* 1:1: the best of the subject's live templates. -ENOENT: no such subject. */
int gallery_verify(const struct gallery *gallery, const struct gallery_snapshot *snapshot,
		   const char *subject, const struct gallery_probe *probe, struct search_hit *best);

/* ---- requests -------------------------------------------------------------------------------- */
enum gallery_kind {
	GALLERY_ENROL,
	GALLERY_DELETE_TEMPLATES,
	GALLERY_DELETE_SUBJECT,
	GALLERY_SUBJECTS, /* a page of subjects */
	GALLERY_SUBJECT,  /* one subject's templates */
	GALLERY_EXPORT,	  /* a page of records */
	GALLERY_RERANK,	  /* scores of hits by the originals */
	GALLERY_VERIFY,	  /* 1:1, by the store's values */
	GALLERY_COMPACT,
};

struct gallery_record {
	uint64_t id, tags, epoch;
	char subject[GALLERY_SUBJECT_MAX + 1];
	char source[GALLERY_SOURCE_MAX + 1];
};

struct gallery_request {
	enum gallery_kind kind;
	void (*done)(struct gallery_request *request);
	void *user;

	/* enrol: count vectors, [count][dim]; subjects and sources have count entries or 1 (or 0
	 * sources). All of it stays alive until done. */
	uint32_t count;
	const float *f32; /* one of these two */
	const int8_t *s8;
	const char *const *subjects;
	uint32_t subject_count;
	const char *const *sources;
	uint32_t source_count;
	const uint64_t *tags; /* or NULL */
	uint64_t *ids;	      /* enrol: in (0 = number it) and out, never NULL; delete: in */
	bool has_key;
	uint8_t key[GALLERY_KEY_BYTES]; /* enrol and deletes: a replay gives the first answer */
	bool dry_run;			/* deletes: count only */
	/* enrol: no more templates than this may be added (-EDQUOT); a replay adds none */
	bool limited;
	uint64_t room;

	/* delete subject, subject */
	char subject[GALLERY_SUBJECT_MAX + 1];

	/* pages: from cursor on, at most limit; records and vectors are the reader's, freed by
	 * gallery_request_clear() */
	uint64_t cursor;
	uint32_t limit;

	/* rerank: the float probe and count hits in, scores (double dot of unit originals, cosine; dot;
	 * squared distance for L2) out, hits then in order of score. record_count of them still
	 * exist; those deleted meanwhile come last and have the score NaN. */
	const float *probe;
	struct search_hit *hits;
	double *scores;

	/* verify: the subject, and these; the best is hits[0], as by gallery_verify() */
	const struct gallery_probe *query;
	const struct gallery_snapshot *snapshot;

	/* results */
	int error; /* -EINVAL, -EDQUOT, -EEXIST (duplicate id), -ENOENT, -EROFS, -ENOSPC, -EIO, -ENOMEM, -EAGAIN */
	char text[GALLERY_TEXT];
	uint64_t templates, subjects_out, epoch;
	bool replayed, more;
	struct gallery_record *records;
	uint32_t *subject_templates; /* GALLERY_SUBJECTS: templates of each */
	uint32_t record_count;
	float *vectors; /* export: [record_count][dim], originals, or rows * step */
	size_t vector_bytes;

	struct gallery_request *next; /* the gallery's own */
	uint64_t wiped;
};

int gallery_submit(struct gallery *gallery,
		   struct gallery_request *request); /* -EAGAIN: queue full */
void gallery_request_clear(struct gallery_request *request);

/* ---- copies of the rows on devices ----------------------------------------------------------------
 * A copy takes over all tiles that changed since its last moment; then it serves every snapshot whose
 * epoch is at most the new moment's, of the same era. changes.h says why. A delete is not answered
 * before all copies are past the wiping of its rows: gallery_copied() tells how far the slowest is.
 */
struct gallery_moment {
	const struct search_rows *rows;
	uint64_t stamp;
	uint32_t epoch, era;
	uint64_t tiles;
};

/* While followed, config.changed is called after each commit and each wiping too. The gallery is
 * usable. Off: no copy is left. */
void gallery_follow(struct gallery *gallery, bool on);
void gallery_moment(struct gallery *gallery, struct gallery_moment *moment);
/* The first run of tiles in [*begin, end) that changed after the stamp, at most `most`; stamp 0: all
 * count as changed. False: there is none. */
bool gallery_changed_tiles(const struct gallery *gallery, uint64_t since, uint64_t end,
			   uint64_t most, uint64_t *begin, uint64_t *tiles);
/* Every copy has what changed up to this stamp; UINT64_MAX: there are none. */
void gallery_copied(struct gallery *gallery, uint64_t stamp);

/*
 * Of a gallery without a host copy. shed: copies on devices together have everything that changed up
 * to the stamp, and nothing reads the host's values from now on, but DEVICE_LOAD of tiles that changed
 * later. fetch: all of them are to be in memory again; config.changed is called when gallery_here().
 */
void gallery_shed(struct gallery *gallery, uint64_t stamp);
void gallery_fetch(struct gallery *gallery);
bool gallery_here(const struct gallery *gallery); /* since the last fetch */

/* ---- ROOT/catalog: thresholds of spaces by false-match rate, and who made a gallery; durable ----- */
struct gallery_threshold {
	double fmr;
	float score;
	uint64_t impostor_pairs;
};

struct gallery_catalog;
int gallery_catalog_open(const char *root, struct gallery_catalog **catalog);
void gallery_catalog_close(struct gallery_catalog *catalog);
/* Replaces all thresholds of the space; count <= 64, rising fmr. Synced when it returns. */
int gallery_catalog_set(struct gallery_catalog *catalog, const uint8_t digest[32],
			const struct gallery_threshold *thresholds, uint32_t count);
/* Number written to thresholds (<= max), 0 if the space has none. */
int gallery_catalog_get(struct gallery_catalog *catalog, const uint8_t digest[32],
			struct gallery_threshold *thresholds, uint32_t max);
/* The tenant that made a gallery. "" takes the entry away; without one the owner is "". Synced. */
int gallery_catalog_set_owner(struct gallery_catalog *catalog, const char *gallery,
			      const char *owner);
int gallery_catalog_owner(struct gallery_catalog *catalog, const char *gallery,
			  char owner[GALLERY_NAME_MAX + 1]);

#endif
