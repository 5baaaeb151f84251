/* SPDX-License-Identifier: Apache-2.0 */
/* Store, admission, stages and end of jobs. */
#include "daemon/job/job.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/service.h"
#include "daemon/net/conn.h"
#include "daemon/net/rights.h"

#define ARENA_KEEP    (16u << 10) /* frames over this give their arena back */
#define ALLOC_CHARGED (64u << 10)

struct job_block {
	struct job_block *next;
	uint64_t size; /* keeps the data aligned to 16 */
};

/* ---- the store ------------------------------------------------------------------------------- */
struct job *job_take(struct service *service)
{
	struct job *job = service->free_jobs;

	if (job)
		service->free_jobs = job->next;
	else
		job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->next = NULL;
	job->service = service;
	if (!job->arena)
		job->arena = wire_arena_create();
	if (!job->arena) {
		job->next = service->free_jobs;
		service->free_jobs = job;
		return NULL;
	}
	return job;
}

static void job_clear(struct job *job)
{
	struct job_block *block;

	for (uint32_t i = 0; i < job->mapping_count; i++)
		wire_unmap(&job->mapping[i]);
	for (uint32_t i = 0; i < job->fd_count; i++)
		if (job->fds[i] >= 0)
			close(job->fds[i]);
	while ((block = job->blocks)) {
		job->blocks = block->next;
		explicit_bzero(block + 1, block->size);
		free(block);
	}
	job->mapping_count = job->fd_count = 0;
}

void job_drop(struct job *job)
{
	struct service *service = job->service;

	job_clear(job);
	if (job->frame_bytes > ARENA_KEEP) {
		wire_arena_free(job->arena);
		job->arena = NULL;
	} else {
		wire_arena_reset(job->arena);
	}
	job->frame_bytes = 0;
	job->next = service->free_jobs;
	service->free_jobs = job;
}

void job_store_free(struct service *service)
{
	struct job *job;

	while ((job = service->free_jobs)) {
		service->free_jobs = job->next;
		wire_arena_free(job->arena);
		free(job);
	}
}

/* ---- the end --------------------------------------------------------------------------------- */
/* Of those whose work is in the answer, with commas between. */
static char *job_devices(const struct job *job, char names[FLEET_MAX * (FLEET_NAME + 1)])
{
	const struct fleet *fleet = &job->service->fleet;
	size_t n = 0;

	for (uint32_t i = 0; i < fleet->count; i++)
		if (job->devices >> i & 1)
			n += (size_t)sprintf(names + n, "%s%s", n ? "," : "",
					     fleet->device[i].name);
	return names;
}

static void job_log(struct job *job, Facet__Wire__Code code, uint64_t total_ns, const char *text)
{
	struct service *service = job->service;
	char names[FLEET_MAX * (FLEET_NAME + 1)] = "";
	enum log_level level =
		code == FACET__WIRE__CODE__INTERNAL ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG;

	if (level > service->log.level || !log_admit(&service->log, service_now()))
		return;
	log_write(&service->log, level, "request",
		  "op=%s tenant=%s tag=%" PRIu64 " trace=%016" PRIx64 " code=%d devices=%s"
		  " queue_ns=%" PRIu64 " wait_ns=%" PRIu64 " device_ns=%" PRIu64
		  " total_ns=%" PRIu64 "%s%s%s",
		  job->op ? job->op->name : "none", job->tenant ? job->tenant->name : "-",
		  job->request->tag, job->request->trace, (int)code,
		  job->devices ? job_devices(job, names) : "-", job->queue_ns, job->wait_ns,
		  job->device_ns, total_ns, level == LOG_LEVEL_ERROR ? " text=\"" : "",
		  level == LOG_LEVEL_ERROR ? text : "", level == LOG_LEVEL_ERROR ? "\"" : "");
}

static void job_count(struct job *job, Facet__Wire__Code code, uint64_t total_ns)
{
	struct metrics_tenant *metrics = &job->who->metrics;
	uint32_t op = job->request->body_case;

	metrics_request(metrics, op, code);
	metrics_latency(metrics, op, STAGE_TOTAL, total_ns);
	if (job->device_ns) {
		metrics_latency(metrics, op, STAGE_QUEUE, job->queue_ns);
		metrics_latency(metrics, op, STAGE_WAIT, job->wait_ns);
		metrics_latency(metrics, op, STAGE_DEVICE, job->device_ns);
	}
}

static void job_end(struct job *job)
{
	struct service *service = job->service;
	uint64_t charged = job->charged;

	if (job->cleanup)
		job->cleanup(job);
	search_clear(job);
	if (job->conn)
		conn_detach(job->conn, job);
	if (job->gallery) {
		job->gallery->enrolling -= job->enrolling;
		gallery_entry_release(job->gallery);
	}
	if (job->model)
		model_entry_release(job->model);
	if (job->tenant) {
		tenant_unmap(job->tenant, charged);
		tenant_leave(job->tenant);
	}
	job->conn = NULL;
	job->gallery = NULL;
	job->model = NULL;
	job->tenant = NULL;
	job->charged = 0;
	job->enrolling = 0;
	service->jobs--;
	job_drop(job);
}

static void fds_close(const int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		close(fds[i]);
}

/* What was asked for does not fit a frame: say so instead. */
static void job_too_large(struct job *job)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Error error = FACET__WIRE__ERROR__INIT;

	error.code = FACET__WIRE__CODE__INVALID_ARGUMENT;
	error.text = (char *)"the reply does not fit a frame; ask for less at once";
	reply.id = job->request->id;
	reply.error = &error;
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_REPLY;
	frame.reply = &reply;
	conn_send(job->conn, &frame, NULL, 0);
}

void job_reply(struct job *job, const Facet__Wire__Reply *reply, const int *fds, uint32_t count)
{
	Facet__Wire__ServerFrame frame = FACET__WIRE__SERVER_FRAME__INIT;
	Facet__Wire__Reply full = *reply;
	Facet__Wire__Timing timing = FACET__WIRE__TIMING__INIT;
	char names[FLEET_MAX * (FLEET_NAME + 1)];
	Facet__Wire__Code code = reply->error ? reply->error->code : FACET__WIRE__CODE__OK;

	timing.queue_ns = job->queue_ns;
	timing.wait_ns = job->wait_ns;
	timing.device_ns = job->device_ns;
	timing.total_ns = service_now() - job->arrived_ns;
	if (job->devices)
		timing.device = job_devices(job, names);
	full.id = job->request->id;
	full.timing = &timing;
	job_count(job, code, timing.total_ns);
	job_log(job, code, timing.total_ns, reply->error ? reply->error->text : "");
	frame.fds = count;
	frame.kind_case = FACET__WIRE__SERVER_FRAME__KIND_REPLY;
	frame.reply = &full;
	if (!job->conn)
		fds_close(fds, count);
	else if (conn_send(job->conn, &frame, fds, count))
		job_too_large(job);
	job_end(job);
}

static int job_fail_args(struct job *job, Facet__Wire__Code code, bool retryable, uint32_t retry_ms,
			 const char *format, va_list args)
{
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Error error = FACET__WIRE__ERROR__INIT;
	char text[400];

	vsnprintf(text, sizeof(text), format, args);
	error.code = code;
	error.retryable = retryable;
	error.retry_after_ms = retry_ms;
	error.text = text;
	reply.error = &error;
	job_reply(job, &reply, NULL, 0);
	return -1;
}

int job_fail(struct job *job, Facet__Wire__Code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	job_fail_args(job, code, false, 0, format, args);
	va_end(args);
	return -1;
}

int job_refuse(struct job *job, Facet__Wire__Code code, uint32_t retry_ms, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	job_fail_args(job, code, true, retry_ms, format, args);
	va_end(args);
	return -1;
}

/* What to do about it, by the bound. */
static const char *const quota_remedies[QUOTAS] = {
	[QUOTA_IN_FLIGHT] = "come back later",
	[QUOTA_RATE] = "come back later",
	[QUOTA_MAPPED] = "send less at once",
	[QUOTA_QUEUE] = "come back later",
	[QUOTA_GALLERIES] = "delete one, or ask the operator",
	[QUOTA_TEMPLATES] = "delete some, or ask the operator",
	[QUOTA_COMMON] = "come back later",
};

static int quota_refuse(struct job *job, const char *tenant, enum metrics_quota quota,
			uint32_t retry_ms)
{
	job->who->metrics.refused[quota]++;
	return job_refuse(job, FACET__WIRE__CODE__OVERLOADED, retry_ms,
			  "the quota of tenant %s is reached (%s); %s", tenant,
			  metrics_quota_name(quota), quota_remedies[quota]);
}

int job_over_quota(struct job *job, enum metrics_quota quota, uint32_t retry_ms)
{
	return quota_refuse(job, job->who->name, quota, retry_ms);
}

static const struct {
	int error;
	Facet__Wire__Code code;
	bool retryable;
	const char *text;
} errno_codes[] = {
	{-EINVAL, FACET__WIRE__CODE__INVALID_ARGUMENT, false, "a parameter is out of range"},
	{-EOVERFLOW, FACET__WIRE__CODE__INVALID_ARGUMENT, false,
	 "an accumulator could overflow with these weights; scale them down"},
	{-EFBIG, FACET__WIRE__CODE__INVALID_ARGUMENT, false, "too large"},
	{-ENOENT, FACET__WIRE__CODE__NOT_FOUND, false, "there is no such thing"},
	{-EEXIST, FACET__WIRE__CODE__ALREADY_EXISTS, false, "it exists already"},
	{-EROFS, FACET__WIRE__CODE__FAILED_PRECONDITION, false, "the gallery is read-only"},
	{-ENOSPC, FACET__WIRE__CODE__FAILED_PRECONDITION, false,
	 "the disk is full; free some space"},
	{-EAGAIN, FACET__WIRE__CODE__OVERLOADED, true, "a queue is full; come back later"},
	{-EDQUOT, FACET__WIRE__CODE__OVERLOADED, true, "a quota is reached; come back later"},
	{-ENOMEM, FACET__WIRE__CODE__OVERLOADED, true, "out of memory; come back later"},
	{-ETIMEDOUT, FACET__WIRE__CODE__DEADLINE_EXCEEDED, false, "its deadline has passed"},
	{-ECANCELED, FACET__WIRE__CODE__CANCELLED, false, "cancelled by the client"},
	{-EUCLEAN, FACET__WIRE__CODE__DATA_LOSS, false, "stored data is damaged"},
	{-EREMOTEIO, FACET__WIRE__CODE__UNAVAILABLE, true,
	 "the devices that could do it failed or are away; try again"},
	{-ENOTSUP, FACET__WIRE__CODE__UNIMPLEMENTED, false, "the device cannot do this"},
};

int job_fail_errno(struct job *job, int error, const char *text)
{
	for (size_t i = 0; i < sizeof(errno_codes) / sizeof(errno_codes[0]); i++) {
		if (errno_codes[i].error != error)
			continue;
		if (!text || !*text)
			text = errno_codes[i].text;
		if (errno_codes[i].retryable)
			return job_refuse(job, errno_codes[i].code, 10, "%s", text);
		return job_fail(job, errno_codes[i].code, "%s", text);
	}
	if (text && *text)
		return job_fail(job, FACET__WIRE__CODE__INTERNAL, "%s", text);
	return job_fail(job, FACET__WIRE__CODE__INTERNAL, "%s; see the daemon's log",
			strerror(-error));
}

/* Ends a job that should not go on: cancelled, without its client, or late. */
static int job_lapsed(struct job *job)
{
	uint64_t deadline_ns = job->request->deadline_ns;

	if (job->cancelled)
		return job_fail_errno(job, job->cancelled, NULL);
	if (deadline_ns && deadline_ns <= service_now())
		return job_fail_errno(job, -ETIMEDOUT, NULL);
	return 0;
}

/* ---- admission ------------------------------------------------------------------------------- */
int job_need_right(struct job *job, uint32_t rights)
{
	uint32_t has = tenant_rights(job->tenant, job->gallery ? job->gallery->name : NULL);

	if (has & rights)
		return 0;
	return job_fail(job, FACET__WIRE__CODE__PERMISSION_DENIED,
			"%s needs the right %s here; ask the operator", job->op->name,
			right_name(rights));
}

/* A gallery the tenant has no right on answers as one that does not exist. */
static int job_admit_gallery(struct job *job)
{
	const char *name = *(char *const *)((const char *)job->body + job->op->gallery_at);
	struct gallery_entry *entry = service_gallery(job->service, name);
	uint32_t has = entry ? tenant_rights(job->tenant, name) : 0;

	if (!has)
		return job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
				"no gallery of this name; see gallery list");
	job_hold_gallery(job, entry);
	return job->op->right ? job_need_right(job, job->op->right) : 0;
}

static bool tenant_known(const struct tenant *tenant)
{
	return tenant->local || tenant->config;
}

static int job_admit_server(struct job *job)
{
	if (!tenant_known(job->tenant))
		return job_fail(job, FACET__WIRE__CODE__PERMISSION_DENIED,
				"this user has no rights here; ask the operator to add a [tenant]");
	return job->op->right ? job_need_right(job, job->op->right) : 0;
}

/* The class it runs in: its own wish within what the tenant may ask for. */
static int job_class(struct job *job)
{
	static const enum config_class wishes[] = {
		[FACET__WIRE__CLASS__BATCH] = CONFIG_BATCH,
		[FACET__WIRE__CLASS__INTERACTIVE] = CONFIG_INTERACTIVE,
	};
	const struct tenant *tenant = job->tenant;
	uint32_t wish = (uint32_t)job->request->class_;
	enum config_class class = tenant->class;

	if (wish >= sizeof(wishes) / sizeof(wishes[0]))
		return job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT,
				"class %u; use CLASS_DEFAULT, BATCH or INTERACTIVE", wish);
	if (wish != FACET__WIRE__CLASS__CLASS_DEFAULT)
		class = wishes[wish];
	if (!(tenant->classes & 1u << class))
		return job_fail(
			job, FACET__WIRE__CODE__PERMISSION_DENIED,
			"tenant %s may not ask for the class %s; leave the class out, or ask "
			"the operator",
			tenant->name, class == CONFIG_BATCH ? "batch" : "interactive");
	job->class = class == CONFIG_BATCH ? SCHED_BATCH : SCHED_INTERACTIVE;
	return 0;
}

static int job_enter(struct job *job)
{
	struct service *service = job->service;
	struct tenant *tenant = job->tenant;
	enum metrics_quota quota;
	uint32_t retry_ms = 0;

	job->who = tenant;
	job->tenant = NULL;
	if (!job->op)
		return job_fail(job, FACET__WIRE__CODE__UNIMPLEMENTED,
				"this daemon does not know the request; compare versions");
	if (service->draining && job->request->body_case != FACET__WIRE__REQUEST__BODY_INFO)
		return job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 1000,
				  "the daemon is draining; come back after its restart");
	if (job_lapsed(job))
		return -1;
	if (tenant_enter(tenant, job->arrived_ns, &retry_ms, &quota))
		return job_over_quota(job, quota, retry_ms);
	job->tenant = tenant;
	if (job_class(job))
		return -1;
	return job->op->gallery_at >= 0 ? job_admit_gallery(job) : job_admit_server(job);
}

void job_admit(struct job *job)
{
	job->op = op_find(job->request->body_case);
	job->body = job->request->echo; /* all bodies share this place */
	job->queue_ns = job->wait_ns = job->device_ns = 0;
	job->devices = 0;
	job->stage = JOB_IDLE;
	job->cancelled = 0;
	job->error = 0;
	job->text[0] = '\0';
	job->user = NULL;
	job->cleanup = NULL;
	job->service->jobs++;
	if (job_enter(job) == 0)
		job->op->handle(job);
}

void job_cancel(struct job *job)
{
	if (!job->cancelled)
		job->cancelled = -ECANCELED;
	if (job->stage == JOB_SCHEDULED)
		sched_cancel(job->service->sched, &job->sched, -ECANCELED);
}

void job_orphan(struct job *job)
{
	job->conn = NULL;
	job_cancel(job);
}

/* ---- stages ---------------------------------------------------------------------------------- */
static void job_ran(struct sched_job *sched, int error)
{
	struct job *job = job_of(sched);

	job->stage = JOB_IDLE;
	if (sched->started_ns) {
		uint64_t since_ns = service_now() - sched->started_ns;

		job->queue_ns += sched->started_ns - sched->queued_ns;
		job->wait_ns += since_ns > sched->device_ns ? since_ns - sched->device_ns : 0;
	}
	job->device_ns += sched->device_ns;
	job->devices |= sched->devices;
	if (error)
		job_fail_errno(job, error, NULL);
	else
		job->step(job);
}

void job_schedule(struct job *job, struct sched_target *target, uint32_t units, job_step step)
{
	uint32_t retry_ms = 10;
	int err;

	if (job_lapsed(job))
		return;
	if (tenant_queue(job->tenant)) {
		job_over_quota(job, QUOTA_QUEUE, retry_ms);
		return;
	}
	job->step = step;
	job->sched.tenant = job->tenant;
	job->sched.class = job->class;
	job->sched.target = target;
	job->sched.units = units;
	job->sched.deadline_ns = job->request->deadline_ns;
	job->sched.ran = job_ran;
	job->stage = JOB_SCHEDULED;
	err = sched_submit(job->service->sched, &job->sched, &retry_ms);
	if (!err)
		return;
	job->stage = JOB_IDLE;
	if (err == -EAGAIN) {
		job->who->metrics.refused[QUOTA_COMMON]++;
		job_refuse(job, FACET__WIRE__CODE__OVERLOADED, retry_ms,
			   "the queue is full; come back later");
	} else
		job_fail_errno(job, err, NULL);
}

static struct job *job_of_errand(struct errand *errand)
{
	return (struct job *)((char *)errand - offsetof(struct job, errand));
}

static void job_errand_work(struct errand *errand)
{
	struct job *job = job_of_errand(errand);

	job->work(job);
}

static void job_errand_done(struct errand *errand)
{
	struct job *job = job_of_errand(errand);

	job->stage = JOB_IDLE;
	job->step(job);
}

void job_errand_on(struct job *job, struct errands *errands, job_step work, job_step step)
{
	job->stage = JOB_AWAY;
	job->work = work;
	job->step = step;
	job->errand.work = job_errand_work;
	job->errand.done = job_errand_done;
	errands_submit(errands, &job->errand);
}

void job_errand(struct job *job, job_step work, job_step step)
{
	job_errand_on(job, job->service->errands, work, step);
}

static void job_gallery_back(struct bell_entry *entry)
{
	struct job *job = (struct job *)((char *)entry - offsetof(struct job, entry));

	job->stage = JOB_IDLE;
	if (job->gr.error == -EDQUOT)
		quota_refuse(job, job->gallery->owner, QUOTA_TEMPLATES, JOB_MADE_RETRY_MS);
	else if (job->gr.error)
		job_fail_errno(job, job->gr.error, job->gr.text);
	else
		job->step(job);
}

/* On a thread of the gallery. */
static void job_gallery_done(struct gallery_request *request)
{
	struct job *job = request->user;

	bell_push(&job->service->bell, &job->entry);
}

static bool job_gallery_usable(const struct job *job)
{
	struct gallery_status status;

	gallery_status(job->gallery->gallery, &status);
	return status.state == GALLERY_READY || status.state == GALLERY_READ_ONLY;
}

void job_gallery(struct job *job, job_step step)
{
	int err;

	if (job_lapsed(job))
		return;
	if (!job_gallery_usable(job)) {
		job_not_ready(job, job->gallery);
		return;
	}
	job->stage = JOB_AWAY;
	job->step = step;
	job->entry.run = job_gallery_back;
	job->gr.done = job_gallery_done;
	job->gr.user = job;
	job->gr.error = 0;
	job->gr.text[0] = '\0';
	err = gallery_submit(job->gallery->gallery, &job->gr);
	if (!err)
		return;
	job->stage = JOB_IDLE;
	if (err == -EAGAIN)
		job_refuse(job, FACET__WIRE__CODE__OVERLOADED, 5,
			   "the gallery's queue is full; come back later");
	else
		job_fail_errno(job, err, job->gr.text);
}

/* ---- memory ---------------------------------------------------------------------------------- */
int job_charge(struct job *job, uint64_t bytes)
{
	if (!tenant_map(job->tenant, bytes)) {
		job->charged += bytes;
		return 0;
	}
	return job_over_quota(job, QUOTA_MAPPED, 100);
}

void *job_alloc(struct job *job, uint64_t bytes)
{
	struct job_block *block;
	void *small;

	if (bytes <= ALLOC_CHARGED) {
		small = wire_arena_alloc(job->arena, bytes ? bytes : 1);
		if (small)
			return small;
	}
	if (bytes > SIZE_MAX - sizeof(*block) || tenant_map(job->tenant, bytes))
		return NULL;
	block = malloc(sizeof(*block) + bytes);
	if (!block) {
		tenant_unmap(job->tenant, bytes);
		return NULL;
	}
	job->charged += bytes;
	block->size = bytes;
	block->next = job->blocks;
	job->blocks = block;
	return block + 1;
}

void *job_need(struct job *job, uint64_t bytes)
{
	void *memory = job_alloc(job, bytes);

	if (memory)
		return memory;
	job->who->metrics.refused[QUOTA_MAPPED]++;
	job_refuse(job, FACET__WIRE__CODE__OVERLOADED, 100,
		   "%" PRIu64 " bytes are not to be had (quota mapped_bytes of tenant %s); "
		   "send less at once",
		   bytes, job->tenant->name);
	return NULL;
}
