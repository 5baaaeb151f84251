/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon holds: devices, scheduler, galleries, models, tenants, counters. One a process, made
 * by main.c. Control thread only, but for what its members say.
 */
#ifndef FACET_DAEMON_JOB_SERVICE_H
#define FACET_DAEMON_JOB_SERVICE_H

#include <stdatomic.h>

#include "daemon/device/device.h"
#include "daemon/gallery/gallery.h"
#include "daemon/job/cost.h"
#include "daemon/job/errand.h"
#include "daemon/job/fleet.h"
#include "daemon/job/job.h"
#include "daemon/job/mode.h"
#include "daemon/job/sched.h"
#include "daemon/model/model.h"
#include "daemon/net/config.h"
#include "daemon/net/log.h"
#include "daemon/net/metrics.h"
#include "daemon/net/tenant.h"

#define SERVICE_LISTS_MAX  256 /* spare lists of a size */
#define SERVICE_LIST_SIZES 11

struct copy;
struct model_place;

/* The host's values of a gallery's rows (host_copy.h): in memory; still read by some who began before;
 * gone, copies on devices have them; being read again. */
enum host_copy { HOST_HERE, HOST_LEAVING, HOST_AWAY, HOST_COMING };

struct gallery_entry {
	char name[GALLERY_NAME_MAX + 1];
	struct service *service;
	struct gallery *gallery; /* NULL while it is being made */
	struct sched_target target;
	struct cost cost[7];		   /* of a tile for 1, 2, 4 .. 64 queries */
	uint64_t tiles;			   /* of the last pass */
	char owner[CONFIG_NAME_MAX + 1];   /* the tenant that made it; "" where nobody knows */
	uint64_t enrolling;		   /* templates of jobs that are under way */
	uint32_t refs;			   /* jobs */
	bool hidden;			   /* being made or deleted: not found by name */
	struct copy *copy[FLEET_MAX];	   /* on devices (placement.h) */
	bool followed;			   /* there are some */
	enum host_copy host;		   /* of the values of its rows (host_copy.h) */
	uint32_t host_users;		   /* slices that may read them */
	struct modes modes;		   /* where one shares the processors */
	uint32_t newest_epoch, newest_era; /* of the snapshots that searches were given */
	struct job *waiter;		   /* its create or delete */
	const struct gallery_spec *making; /* of its create, until that is answered */
	struct gallery_entry *next;
};

struct model_run_entry {
	struct model_run *run;
	bool alone; /* a part of it is being recomputed: nothing else of it runs */
	struct model_run_entry *next;
};

struct model_entry {
	char name[GALLERY_NAME_MAX + 1];
	struct service *service;
	struct model *model;
	struct model_plan *plan;
	struct sched_target target;
	struct model_run_entry *free_runs;
	struct model_place *place[FLEET_MAX]; /* on boards (model_place.h) */
	struct cost cost;		      /* of a unit of model_work() */
	uint64_t passes;
	uint32_t refs;
	bool hidden;
	struct model_entry *next;
};

static inline struct model_entry *target_model(const struct sched_target *target)
{
	return (struct model_entry *)((char *)target - offsetof(struct model_entry, target));
}

struct service_lists {
	struct search_list *list[SERVICE_LISTS_MAX];
	uint32_t count;
};

struct service {
	const struct config *config;
	const char *state;
	struct log log;
	struct metrics metrics;
	struct tenants *tenants;
	struct bell bell;
	struct errands *errands;
	struct errands *board_errands, *check_errands; /* NULL without boards */
	char libexec[256], cache[256]; /* of helpers, of programs built for devices */
	struct fleet fleet;
	struct device *device; /* the CPU's, with its caps */
	struct device_caps caps;
	struct sched *sched;
	uint64_t check_turn; /* commands on boards that could have been recomputed */
	uint64_t rows_turn;  /* searches on boards whose rows could have been read back */
	uint64_t sums_turn;  /* products on boards that could have been checked by their sums */
	struct gallery_config galleries_config;
	struct gallery_catalog *catalog; /* errand thread writes, control thread reads */
	struct gallery_entry *galleries;
	struct model_entry *models;
	uint32_t models_loading;
	struct sched_target echo, raw;
	struct cost raw_cost[2];	/* a multiply-add of gemm, conv2d */
	double raw_setup_ns[FLEET_MAX]; /* of a board, for a byte of operands */
	uint64_t raw_turn;
	struct job *free_jobs;
	uint32_t jobs;					   /* admitted and not yet ended */
	struct service_lists lists[2][SERVICE_LIST_SIZES]; /* by subject, log2 of k */
	struct bell_entry changed;			   /* some gallery's state has */
	atomic_bool changed_pushed;
	uint64_t instance, started_ns;
	uint32_t connections;
	bool draining;
};

/* state is the state directory, checker the path of the gallery checker; text says what is wrong. */
int service_start(struct service *service, const struct config *config, const char *state,
		  const char *checker, const uint8_t *key, char text[CONFIG_TEXT]);
/* Nothing is in flight. */
void service_stop(struct service *service);
void service_reload(struct service *service, const struct config *config);
bool service_ready(const struct service *service);
/* Of all galleries and models, for STATUS: how far loading has come. */
uint32_t service_percent(const struct service *service);
/* For a tenant: itself, unless it may administer the server, and the galleries it has a right on.
 * NULL: all. */
void service_print_metrics(struct service *service, const struct tenant *tenant, FILE *out);
uint64_t service_now(void); /* CLOCK_MONOTONIC, ns */
const char *op_name(uint32_t op);

/* ---- galleries ---------------------------------------------------------------------------------- */
int galleries_start(struct service *service, char text[CONFIG_TEXT]);
void galleries_stop(struct service *service);
struct gallery_entry *service_gallery(const struct service *service, const char *name);
/* Also one that is being made or deleted. */
struct gallery_entry *service_gallery_any(const struct service *service, const char *name);
struct gallery_entry *gallery_entry_create(struct service *service, const char *name);
void gallery_entry_remove(struct gallery_entry *entry);
/* How many galleries the tenant has made, and the templates in them with those under way. */
uint64_t service_made(const struct service *service, const char *tenant, uint64_t *templates);
void job_hold_gallery(struct job *job, struct gallery_entry *entry);
void gallery_entry_release(struct gallery_entry *entry);
/* What a gallery is for, also while it is being made; NULL if it has failed or is being deleted.
 * False: it is not known yet. */
bool gallery_entry_spec(const struct gallery_entry *entry, const struct gallery_spec **spec);
bool service_name_ok(const char *name);
/* Threshold of a space for a false-match rate; false: it has none for it. */
bool service_threshold(struct service *service, const uint8_t digest[32], double fmr,
		       float *threshold);

/* ---- models ------------------------------------------------------------------------------------- */
int models_start(struct service *service);
void models_stop(struct service *service);
struct model_entry *service_model(const struct service *service, const char *name);
void job_hold_model(struct job *job, struct model_entry *entry);
void model_entry_release(struct model_entry *entry);

/* ---- kinds of passes ------------------------------------------------------------------------------ */
extern const struct pass_kind pass_echo, pass_search, pass_infer, pass_raw;
struct search_list *list_take(struct service *service, uint32_t k, bool by_subject);
void list_give(struct service *service, struct search_list *list, uint32_t k, bool by_subject);

/* ---- ops -------------------------------------------------------------------------------------------- */
struct op {
	const char *name;
	int gallery_at; /* offset of the gallery's name in the body, -1 without one */
	uint32_t right; /* needed on that gallery, or on the server; 0: any right at all */
	void (*handle)(struct job *job);
};
/* NULL: no such request. */
const struct op *op_find(uint32_t body_case);

void handle_echo(struct job *job);
void handle_info(struct job *job);
void handle_model_create(struct job *job);
void handle_model_list(struct job *job);
void handle_model_delete(struct job *job);
void handle_gallery_create(struct job *job);
void handle_gallery_list(struct job *job);
void handle_gallery_delete(struct job *job);
void handle_enrol(struct job *job);
void handle_search(struct job *job);
void handle_verify(struct job *job);
void handle_compare(struct job *job);
void handle_infer(struct job *job);
void handle_gemm(struct job *job);
void handle_conv2d(struct job *job);
void handle_subject_list(struct job *job);
void handle_subject_show(struct job *job);
void handle_subject_delete(struct job *job);
void handle_template_delete(struct job *job);
void handle_export(struct job *job);
void handle_space_thresholds(struct job *job);
void handle_device_list(struct job *job);
void handle_device_change(struct job *job);

/* Frees what a search holds; called for each job that ends. */
void search_clear(struct job *job);
/* Ends the job with UNAVAILABLE and percent, or what else keeps the gallery from work. */
int job_not_ready(struct job *job, const struct gallery_entry *entry);
/* Needs one of these rights on the job's gallery (or the server), beyond the op's own. */
int job_need_right(struct job *job, uint32_t rights);
/* Messages of a reply, in the job's memory; NULL without memory. */
Facet__Wire__GalleryInfo *reply_gallery(struct job *job, const struct gallery_entry *entry);
Facet__Wire__DeviceInfo *reply_device(struct job *job, const struct fleet_device *device);
Facet__Wire__ModelInfo *reply_model(struct job *job, const struct model_entry *entry);
Facet__Wire__Space *reply_space(struct job *job, const char *name, const uint8_t digest[32],
				uint32_t dim, enum search_metric metric);

#endif
