/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the gallery share. See gallery.h for the threads. */
#ifndef FACET_DAEMON_GALLERY_INTERNAL_H
#define FACET_DAEMON_GALLERY_INTERNAL_H

#include <pthread.h>
#include <stdio.h>
#include <sys/types.h>

#include "daemon/gallery/gallery.h"
#include "daemon/gallery/rows.h"
#include "daemon/gallery/snapshot.h"
#include "daemon/gallery/store.h"
#include "daemon/gallery/subjects.h"
#include "kernels/cpu/cpu.h"

#define GALLERY_QUEUE_MAX 1024u	 /* requests waiting for a thread */
#define GALLERY_BATCH_MAX 65536u /* templates of one request */
#define GALLERY_PAGE_MAX  4096u	 /* records of one page */
#define GALLERY_GROUP_MAX 32768u /* templates at which a commit takes no more requests */

/* Requests in order of arrival, for one thread. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* CLOCK_MONOTONIC */
	struct gallery_request *first, **last;
	uint32_t count;
	bool stop, nudged;
};

void queue_init(struct queue *queue);
void queue_free(struct queue *queue);
int queue_put(struct queue *queue, struct gallery_request *request); /* -EAGAIN */
void queue_stop(struct queue *queue);
void queue_nudge(struct queue *queue); /* lets queue_take() return */
/* All that wait, as a list; NULL after a nudge or timeout (ms, -1: none) or when stopped. */
struct gallery_request *queue_take(struct queue *queue, int timeout_ms, bool *stopped);

struct staged {
	struct gallery_request *request;
	uint32_t index; /* of the template in its request */
	uint32_t row;
	uint32_t subject;
	float step;
	uint64_t id;
};

/* The requests of one commit: all enrolments or all deletes. */
struct group {
	struct gallery_request *requests[GALLERY_QUEUE_MAX];
	struct store_answer answers[GALLERY_QUEUE_MAX];
	uint32_t request_count;
	struct staged *staged;
	int8_t *x; /* of enrolments: [staged][dim] */
	uint32_t count, room, x_room;
	struct store_txn txn;
};

struct row_list { /* dead rows, linked through rows.seq */
	uint32_t first, last;
};

/* Of a gallery without a host copy (values.c). */
struct values {
	/* the writer's own */
	struct reserve away; /* bool: the block's values are not in memory */
	uint64_t away_count, fetched, shed;
	/* atomic. The control thread's: its last order, odd: all is wanted in memory, even: copies on
	 * devices have what changed up to held. The writer's: the last order that it brought all in for.
	 * One number each, so that an answer to an older order is not taken for one to the last. */
	uint64_t held, order, here;
};

struct gallery {
	char name[GALLERY_NAME_MAX + 1];
	char *dir, *checker;
	int dir_fd; /* holds the lock of the folder */
	uint64_t disk_reserve;
	uint32_t purge_seconds;
	bool keyed;
	uint8_t key[SEAL_KEY_BYTES];
	void (*changed)(struct gallery *gallery, void *user);
	void *user;
	const struct cpu_kernels *cpu;

	pthread_mutex_t lock; /* the status */
	struct gallery_status status;
	bool spec_known, stopping;
	pid_t checker_pid;

	struct gallery_spec spec;
	struct store *store;
	struct rows rows;
	struct subjects subjects;
	struct snapshots snapshots;
	bool shaped; /* rows are there */
	bool loaded; /* subjects and the store as well */

	pthread_t writer, reader;
	struct queue writes, reads;

	/* the writer's own */
	struct group *group;
	uint32_t epoch;
	uint64_t templates;
	struct row_list dying, wiped, resting;
	uint64_t resting_stamp;
	struct gallery_request *unacknowledged, **unacknowledged_last;
	bool broken; /* a write failed in a way only a restart can judge */
	int64_t purge_retry;
	bool reclaim_wanted; /* atomic: a release must wake the writer */

	/* copies on devices, atomic */
	bool followed, copies_wanted;
	uint64_t copied; /* the stamp that all of them are past */
	struct values values;
};

/* status.c: the state and its text; any thread. */
void gallery_set_state(struct gallery *gallery, enum gallery_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
enum gallery_state gallery_get_state(struct gallery *gallery);
void gallery_set_percent(struct gallery *gallery, uint32_t percent);
void gallery_count(struct gallery *gallery); /* refreshes the sizes; the writer */

int gallery_fail(struct gallery_request *request, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* load.c, writer.c, reader.c */
int gallery_load(struct gallery *gallery);
void *gallery_writer(void *gallery);
void *gallery_reader(void *gallery);
/* 1:1; view: values come from there, NULL: from memory. Any thread. */
int verify_rows(const struct gallery *gallery, struct store_view *view,
		const struct gallery_snapshot *snapshot, const char *subject,
		const struct gallery_probe *probe, struct search_hit *best);
int gallery_rerank(struct gallery *gallery, struct gallery_request *request,
		   struct store_view *view);

/* enrol.c, delete.c: check what a request says of itself; prepare it into the group; write the group
 * into its transaction; then publish it or take it back. Errors are set in the request. */
struct group_ops {
	int (*check)(struct gallery *gallery, struct gallery_request *request);
	int (*prepare)(struct gallery *gallery, struct gallery_request *request,
		       struct store_answer *answer);
	int (*write)(struct gallery *gallery);
	void (*publish)(struct gallery *gallery);
	void (*take_back)(struct gallery *gallery, uint32_t from);
};
extern const struct group_ops enrol_ops, delete_ops;
int group_room(struct gallery *gallery, uint32_t more, bool vectors); /* -ENOMEM */

/* reclaim.c: dead rows are wiped when no snapshot sees them, used again when none can read them. */
void reclaim_add(struct gallery *gallery, uint32_t row);
void reclaim_run(struct gallery *gallery);
bool reclaim_pending(const struct gallery *gallery, uint32_t epoch); /* rows that died by then */
/* Epochs in memory are 32 bits: near their end they begin again, in a moment without snapshots. */
void epoch_rebase(struct gallery *gallery);

/* values.c, for the writer. The row's values are in memory from here to the end of its commit. */
int values_init(struct gallery *gallery); /* -ENOMEM */
void values_free(struct gallery *gallery);
int values_need(struct gallery *gallery, uint32_t row);
bool values_run(struct gallery *gallery); /* true: there is more to do */
uint64_t values_away_bytes(const struct gallery *gallery);

/* follow.c, for the writer */
void follow_tell(struct gallery *gallery);
bool follow_wiped(struct gallery *gallery, struct gallery_request *request);

/* paths: malloc'ed */
char *gallery_path(const char *root, const char *name);
bool gallery_name_ok(const char *name);
int gallery_make_root(const char *root); /* unless it is there */

#endif
