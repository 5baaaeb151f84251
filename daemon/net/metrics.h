/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and histograms of the daemon, and their Prometheus text. Written by the control thread
 * only. Ops are numbered by the request's field in facet.proto, codes as facet.proto has them.
 */
#ifndef FACET_DAEMON_NET_METRICS_H
#define FACET_DAEMON_NET_METRICS_H

#include <stdint.h>
#include <stdio.h>

#define METRICS_OPS	  32
#define METRICS_CODES	  16
#define METRICS_BUCKETS	  26 /* up to 1 us, 2 us, 4 us ... 16.8 s, more */
#define METRICS_BATCH_MAX 64

enum metrics_stage { STAGE_QUEUE, STAGE_DEVICE, STAGE_TOTAL, STAGES };

enum metrics_drop {
	DROP_PROTOCOL, /* not a legal frame or message, wrong descriptors */
	DROP_VERSION,  /* another major version */
	DROP_STALLED,  /* did not read its replies */
	DROP_GREETING, /* no hello in time */
	DROP_CROWD,    /* too many connections */
	DROPS
};

struct metrics_histogram {
	uint64_t bucket[METRICS_BUCKETS];
	uint64_t sum_ns, count;
};

struct metrics {
	uint64_t requests[METRICS_OPS][METRICS_CODES];
	struct metrics_histogram stages[METRICS_OPS][STAGES];
	uint64_t dropped[DROPS];
	uint64_t accepted;
	uint64_t batch[METRICS_BATCH_MAX + 1]; /* searches: passes by their number of queries */
	uint64_t passes, slices;
};

void metrics_request(struct metrics *metrics, uint32_t op, uint32_t code);
void metrics_latency(struct metrics *metrics, uint32_t op, enum metrics_stage stage, uint64_t ns);
void metrics_batch(struct metrics *metrics, uint32_t queries);
/* op_name gives the label of an op, NULL for numbers that are none. */
void metrics_print(const struct metrics *metrics, const char *(*op_name)(uint32_t op), FILE *out);

#endif
