/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon counts (docs/metrics.md lists it), and its Prometheus text. Ops are numbered by the
 * request's field in facet.proto, codes as facet.proto has them. Labels come from the configuration
 * (tenants, devices), from tables (ops, codes, causes) and from loaded models (layers), never from
 * what a client sends, and each table has a bound: what is over it counts as "other".
 *
 * Of tenants: one struct metrics_tenant each, written by the control thread only.
 * Of devices and layers: the counters are atomic, any thread may add to them; what makes an entry
 * and the histograms are the control thread's. An entry stays where it is as long as the daemon
 * lives, so that whoever counts in it keeps the pointer.
 */
#ifndef FACET_DAEMON_NET_METRICS_H
#define FACET_DAEMON_NET_METRICS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_OPS	    64
#define METRICS_CODES	    16
#define METRICS_BUCKETS	    26 /* up to 1 us, 2 us, 4 us ... 16.8 s, more */
#define METRICS_BATCH_MAX   64
#define METRICS_UNITS_SIZES 9	/* 1, 2, 4 .. 256 units */
#define METRICS_DEVICES	    33	/* the last one is "other" */
#define METRICS_LAYERS	    257 /* the last one is "other" */
#define METRICS_NAME	    65

/* Of a request. queue: until its first command is given to a device; wait: after that, between its
 * commands and behind those of others; device: on a device; total: from its frame to its reply. */
enum metrics_stage { STAGE_QUEUE, STAGE_WAIT, STAGE_DEVICE, STAGE_TOTAL, STAGES };

enum metrics_drop {
	DROP_PROTOCOL, /* not a legal frame or message, wrong descriptors */
	DROP_VERSION,  /* another major version */
	DROP_STALLED,  /* did not read its replies */
	DROP_GREETING, /* no hello in time */
	DROP_CROWD,    /* too many connections */
	DROP_TENANT,   /* came by the socket of a tenant that has left the configuration */
	DROPS
};

/* Why a request was refused before it could wait. */
enum metrics_quota {
	QUOTA_IN_FLIGHT,
	QUOTA_RATE,
	QUOTA_MAPPED,
	QUOTA_QUEUE,	 /* the tenant's part of it */
	QUOTA_GALLERIES, /* that the tenant made */
	QUOTA_TEMPLATES, /* in those */
	QUOTA_COMMON,	 /* the queue of all is full */
	QUOTAS
};

/* How bulk data came or went. */
enum metrics_bytes {
	BYTES_IN_FRAME,	 /* in the message itself */
	BYTES_IN_MAPPED, /* in sealed memory, used where it lies */
	BYTES_IN_COPIED, /* in memory that the client can still write: copied first */
	BYTES_OUT_FRAME,
	BYTES_OUT_MEMFD, /* written once, into memory that the client maps */
	BYTES_KINDS
};

struct metrics_histogram {
	uint64_t bucket[METRICS_BUCKETS];
	uint64_t sum_ns, count;
};

/* ---- of a tenant ------------------------------------------------------------------------------- */
/* Of one op of a tenant. */
struct metrics_series {
	uint64_t codes[METRICS_CODES];
	struct metrics_histogram stage[STAGES];
};

struct metrics_tenant {
	struct metrics_series *op[METRICS_OPS]; /* NULL: no such request yet */
	uint64_t refused[QUOTAS];
	uint64_t bytes[BYTES_KINDS];
	uint64_t device_ns[METRICS_DEVICES]; /* as it is charged: its part of each pass */
};

/* ---- of a device ------------------------------------------------------------------------------- */
enum metrics_state {
	METRICS_OK,
	METRICS_SUSPECT,
	METRICS_QUARANTINED,
	METRICS_RECOVERING,
	METRICS_DEAD,
	METRICS_DRAINING,
	METRICS_REMOVED,
	METRICS_STATES
};

/* How a result is checked: the command run again on the CPU, the rows it went by read back, or the sums
 * of its accumulators. */
enum metrics_check { CHECK_RECOMPUTED, CHECK_ROWS, CHECK_SUMS, CHECKS };

struct metrics_device {
	char name[METRICS_NAME], kind[16];
	uint32_t index;		/* among the devices */
	_Atomic uint32_t state; /* enum metrics_state */
	/* batches on it */
	_Atomic uint64_t slices, units, busy_ns;
	_Atomic uint64_t failed, timeouts, cancelled;
	_Atomic uint64_t resets;
	_Atomic uint64_t repeats;   /* commands that failed here and were repeated elsewhere */
	_Atomic uint64_t fallbacks; /* commands that belong here and went to another device */
	_Atomic uint64_t moves;	    /* galleries and shards moved away or back */
	_Atomic uint64_t faults;    /* made on purpose */
	/* truth */
	_Atomic uint64_t checks[CHECKS], mismatches[CHECKS], check_ns[CHECKS];
	/* data between this machine's memory and its own; in_place: used where it lies; direct: of
	 * those up, read by the device itself where they lay */
	_Atomic uint64_t up_bytes, down_bytes, in_place_bytes, direct_bytes;
	/* as they are now */
	_Atomic uint64_t queued, memory_bytes, memory_limit;
	/* the control thread's */
	struct metrics_histogram slice;
	uint64_t slice_units[METRICS_UNITS_SIZES]; /* up to 1, 2, 4 .. 256 units */
};

/* ---- of a layer -------------------------------------------------------------------------------- */
/* A layer (command) of a model whose accumulators can be checked by their sums. */
struct metrics_layer {
	char model[METRICS_NAME], op[16];
	uint32_t layer;
	_Atomic uint64_t checked, checks_ns; /* runs that were checked, and what that took */
	_Atomic uint64_t mismatches;
};

/* ---- all --------------------------------------------------------------------------------------- */
struct metrics {
	uint64_t dropped[DROPS];
	uint64_t accepted;
	uint64_t batch[METRICS_BATCH_MAX + 1]; /* searches: passes by their number of queries */
	uint64_t passes, slices;
	uint32_t device_count, layer_count;
	struct metrics_device devices[METRICS_DEVICES];
	struct metrics_layer layers[METRICS_LAYERS];
};

/* The entry of that name, made when it is new. Never NULL. */
struct metrics_device *metrics_device(struct metrics *metrics, const char *name, const char *kind);
struct metrics_layer *metrics_layer(struct metrics *metrics, const char *model, uint32_t layer,
				    const char *op);
/* The model is gone: its entries are for others to have. Nobody counts in them any more. */
void metrics_layers_drop(struct metrics *metrics, const char *model);

/* A batch of that many units took so long on the device, and ended with this device_batch error.
 * device may be NULL. */
void metrics_slice(struct metrics_device *device, uint32_t units, uint64_t ns, int error);
/* The tenant's part of a batch. Either may be NULL. */
void metrics_share(struct metrics_tenant *tenant, const struct metrics_device *device, uint64_t ns);
/* A search pass of so many queries. */
void metrics_batch(struct metrics *metrics, uint32_t queries);

void metrics_request(struct metrics_tenant *tenant, uint32_t op, uint32_t code);
void metrics_latency(struct metrics_tenant *tenant, uint32_t op, enum metrics_stage stage,
		     uint64_t ns);
void metrics_histogram_add(struct metrics_histogram *histogram, uint64_t ns);
void metrics_tenant_clear(struct metrics_tenant *tenant);

/* ---- the text ---------------------------------------------------------------------------------- */
struct metrics_row {
	const char *tenant;
	const struct metrics_tenant *metrics;
};

/* rows: the tenants to print. op_name gives the label of an op, NULL for numbers that are none. */
void metrics_print(const struct metrics *metrics, const struct metrics_row *rows, uint32_t count,
		   const char *(*op_name)(uint32_t op), FILE *out);
const char *metrics_state_name(enum metrics_state state);
const char *metrics_quota_name(enum metrics_quota quota);

#endif
