/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/net/metrics.h"

#include <inttypes.h>

static const char *const code_names[METRICS_CODES] = {
	"ok",
	"cancelled",
	"invalid_argument",
	"not_found",
	"already_exists",
	"permission_denied",
	"deadline_exceeded",
	"overloaded",
	"failed_precondition",
	"aborted",
	"unavailable",
	"data_loss",
	"unimplemented",
	"internal",
	"unknown",
	"unknown",
};

static const char *const stage_names[STAGES] = {"queue", "device", "total"};
static const char *const drop_names[DROPS] = {"protocol", "version", "stalled", "greeting",
					      "crowd"};

void metrics_request(struct metrics *metrics, uint32_t op, uint32_t code)
{
	metrics->requests[op % METRICS_OPS][code % METRICS_CODES]++;
}

void metrics_latency(struct metrics *metrics, uint32_t op, enum metrics_stage stage, uint64_t ns)
{
	struct metrics_histogram *h = &metrics->stages[op % METRICS_OPS][stage];
	uint64_t us = (ns + 999) / 1000;
	uint32_t bucket = us <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(us - 1);

	h->bucket[bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS - 1]++;
	h->sum_ns += ns;
	h->count++;
}

void metrics_batch(struct metrics *metrics, uint32_t queries)
{
	metrics->batch[queries <= METRICS_BATCH_MAX ? queries : METRICS_BATCH_MAX]++;
	metrics->passes++;
}

static void print_requests(const struct metrics *m, const char *(*op_name)(uint32_t), FILE *out)
{
	fprintf(out, "# HELP facet_requests_total Requests answered, by op and code.\n"
		     "# TYPE facet_requests_total counter\n");
	for (uint32_t op = 0; op < METRICS_OPS; op++)
		for (uint32_t code = 0; code < METRICS_CODES; code++)
			if (m->requests[op][code] && op_name(op))
				fprintf(out,
					"facet_requests_total{op=\"%s\",code=\"%s\"} %" PRIu64 "\n",
					op_name(op), code_names[code], m->requests[op][code]);
}

static void print_errors(const struct metrics *m, FILE *out)
{
	fprintf(out, "# HELP facet_errors_total Requests refused or failed, by cause.\n"
		     "# TYPE facet_errors_total counter\n");
	for (uint32_t code = 1; code < METRICS_CODES; code++) {
		uint64_t sum = 0;

		for (uint32_t op = 0; op < METRICS_OPS; op++)
			sum += m->requests[op][code];
		if (sum)
			fprintf(out, "facet_errors_total{cause=\"%s\"} %" PRIu64 "\n",
				code_names[code], sum);
	}
}

static void print_histogram(const struct metrics_histogram *h, const char *op, const char *stage,
			    FILE *out)
{
	uint64_t sum = 0;

	for (uint32_t b = 0; b + 1 < METRICS_BUCKETS; b++) {
		sum += h->bucket[b];
		fprintf(out,
			"facet_latency_seconds_bucket{op=\"%s\",stage=\"%s\",le=\"%.6f\"} %" PRIu64
			"\n",
			op, stage, (double)(1ull << b) * 1e-6, sum);
	}
	fprintf(out,
		"facet_latency_seconds_bucket{op=\"%s\",stage=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
		"facet_latency_seconds_sum{op=\"%s\",stage=\"%s\"} %.9f\n"
		"facet_latency_seconds_count{op=\"%s\",stage=\"%s\"} %" PRIu64 "\n",
		op, stage, h->count, op, stage, (double)h->sum_ns * 1e-9, op, stage, h->count);
}

static void print_latency(const struct metrics *m, const char *(*op_name)(uint32_t), FILE *out)
{
	fprintf(out, "# HELP facet_latency_seconds Time a request spent, by op and stage.\n"
		     "# TYPE facet_latency_seconds histogram\n");
	for (uint32_t op = 0; op < METRICS_OPS; op++)
		for (uint32_t stage = 0; stage < STAGES; stage++)
			if (m->stages[op][stage].count && op_name(op))
				print_histogram(&m->stages[op][stage], op_name(op),
						stage_names[stage], out);
}

static void print_batches(const struct metrics *m, FILE *out)
{
	uint64_t count = 0;
	uint64_t sum = 0;

	fprintf(out, "# HELP facet_batch_queries Queries of a search pass.\n"
		     "# TYPE facet_batch_queries histogram\n");
	for (uint32_t n = 0; n <= METRICS_BATCH_MAX; n++) {
		count += m->batch[n];
		sum += m->batch[n] * n;
		if (n && (n & (n - 1)) == 0)
			fprintf(out, "facet_batch_queries_bucket{le=\"%u\"} %" PRIu64 "\n", n,
				count);
	}
	fprintf(out,
		"facet_batch_queries_bucket{le=\"+Inf\"} %" PRIu64
		"\nfacet_batch_queries_sum %" PRIu64 "\nfacet_batch_queries_count %" PRIu64 "\n",
		count, sum, count);
}

void metrics_print(const struct metrics *metrics, const char *(*op_name)(uint32_t op), FILE *out)
{
	print_requests(metrics, op_name, out);
	print_errors(metrics, out);
	print_latency(metrics, op_name, out);
	print_batches(metrics, out);
	fprintf(out,
		"# HELP facet_peers_dropped_total Connections closed by the daemon, by cause.\n"
		"# TYPE facet_peers_dropped_total counter\n");
	for (uint32_t i = 0; i < DROPS; i++)
		fprintf(out, "facet_peers_dropped_total{cause=\"%s\"} %" PRIu64 "\n", drop_names[i],
			metrics->dropped[i]);
	fprintf(out,
		"# HELP facet_connections_total Connections accepted.\n"
		"# TYPE facet_connections_total counter\n"
		"facet_connections_total %" PRIu64 "\n"
		"# HELP facet_device_slices_total Bounded commands given to the device.\n"
		"# TYPE facet_device_slices_total counter\n"
		"facet_device_slices_total %" PRIu64 "\n",
		metrics->accepted, metrics->slices);
}
