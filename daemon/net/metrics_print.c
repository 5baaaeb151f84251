/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text, version 0.0.4: each family once, with its HELP and TYPE, its samples together. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "daemon/net/metrics.h"

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
	"unknown_too",
};

static const char *const stage_names[STAGES] = {"queue", "wait", "device", "total"};
static const char *const drop_names[DROPS] = {"protocol", "version", "stalled",
					      "greeting", "crowd",   "tenant"};
static const char *const quota_names[QUOTAS] = {"in_flight",   "rate",		"mapped_bytes",
						"queue",       "gallery_quota", "template_quota",
						"common_queue"};
static const char *const state_names[METRICS_STATES] = {
	"ok", "suspect", "quarantined", "recovering", "dead", "draining", "removed"};
static const char *const check_names[CHECKS] = {"recomputed", "readback", "sums"};
static const struct {
	const char *direction, *path;
} bytes_names[BYTES_KINDS] = {
	{"in", "frame"}, {"in", "mapped"}, {"in", "copied"}, {"out", "frame"}, {"out", "memfd"},
};

const char *metrics_state_name(enum metrics_state state)
{
	return state < METRICS_STATES ? state_names[state] : "unknown";
}

const char *metrics_quota_name(enum metrics_quota quota)
{
	return quota_names[quota];
}

struct printer {
	const struct metrics *metrics;
	const struct metrics_row *rows;
	uint32_t count;
	const char *(*op_name)(uint32_t op);
	FILE *out;
};

static void family(const struct printer *p, const char *name, const char *type, const char *help)
{
	fprintf(p->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Cumulative buckets, sum and count of one histogram; labels ends with a comma. */
static void histogram(const struct printer *p, const char *name, const char *labels,
		      const struct metrics_histogram *h)
{
	int n = (int)strlen(labels) - 1; /* without the comma */
	uint64_t sum = 0;

	for (uint32_t b = 0; b + 1 < METRICS_BUCKETS; b++) {
		sum += h->bucket[b];
		fprintf(p->out, "%s_bucket{%sle=\"%.6f\"} %" PRIu64 "\n", name, labels,
			(double)(1ull << b) * 1e-6, sum);
	}
	fprintf(p->out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, h->count);
	fprintf(p->out, "%s_sum{%.*s} %.9f\n%s_count{%.*s} %" PRIu64 "\n", name, n, labels,
		(double)h->sum_ns * 1e-9, name, n, labels, h->count);
}

/* Of numbers whose bucket i holds those up to 2^i; labels may be "" here. */
static void sizes(const struct printer *p, const char *name, const char *labels,
		  const uint64_t *bucket, uint32_t buckets, uint64_t sum)
{
	uint64_t count = 0;
	int n = (int)strlen(labels);
	const char *open = n ? "{" : "", *close = n ? "}" : "";

	for (uint32_t b = 0; b < buckets; b++) {
		count += bucket[b];
		fprintf(p->out, "%s_bucket{%sle=\"%u\"} %" PRIu64 "\n", name, labels, 1u << b,
			count);
	}
	fprintf(p->out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, count);
	n = n ? n - 1 : 0; /* without the comma */
	fprintf(p->out, "%s_sum%s%.*s%s %" PRIu64 "\n%s_count%s%.*s%s %" PRIu64 "\n", name, open, n,
		labels, close, sum, name, open, n, labels, close, count);
}

/* ---- tenants ----------------------------------------------------------------------------------- */
static void print_requests(const struct printer *p)
{
	family(p, "facet_requests_total", "counter", "Requests answered, by tenant, op and code.");
	for (uint32_t i = 0; i < p->count; i++) {
		for (uint32_t op = 0; op < METRICS_OPS; op++) {
			const struct metrics_series *s = p->rows[i].metrics->op[op];

			for (uint32_t code = 0; s && p->op_name(op) && code < METRICS_CODES; code++)
				if (s->codes[code])
					fprintf(p->out,
						"facet_requests_total{tenant=\"%s\",op=\"%s\","
						"code=\"%s\"} %" PRIu64 "\n",
						p->rows[i].tenant, p->op_name(op), code_names[code],
						s->codes[code]);
		}
	}
}

static uint64_t errors_of(const struct metrics_tenant *tenant, uint32_t code)
{
	uint64_t sum = 0;

	for (uint32_t op = 0; op < METRICS_OPS; op++)
		if (tenant->op[op])
			sum += tenant->op[op]->codes[code];
	return sum;
}

static void print_errors(const struct printer *p)
{
	family(p, "facet_errors_total", "counter",
	       "Requests refused or failed, by tenant and cause.");
	for (uint32_t i = 0; i < p->count; i++) {
		for (uint32_t code = 1; code < METRICS_CODES; code++) {
			uint64_t sum = errors_of(p->rows[i].metrics, code);

			if (sum)
				fprintf(p->out,
					"facet_errors_total{tenant=\"%s\",cause=\"%s\"} %" PRIu64
					"\n",
					p->rows[i].tenant, code_names[code], sum);
		}
	}
}

static void print_refused(const struct printer *p)
{
	family(p, "facet_refused_total", "counter",
	       "Requests refused with OVERLOADED, by the bound that was reached.");
	for (uint32_t i = 0; i < p->count; i++)
		for (uint32_t q = 0; q < QUOTAS; q++)
			if (p->rows[i].metrics->refused[q])
				fprintf(p->out,
					"facet_refused_total{tenant=\"%s\",quota=\"%s\"} %" PRIu64
					"\n",
					p->rows[i].tenant, quota_names[q],
					p->rows[i].metrics->refused[q]);
}

static void print_latency(const struct printer *p)
{
	char labels[256];

	family(p, "facet_latency_seconds", "histogram",
	       "Time a request spent, by tenant, op and stage.");
	for (uint32_t i = 0; i < p->count; i++) {
		for (uint32_t op = 0; op < METRICS_OPS; op++) {
			const struct metrics_series *s = p->rows[i].metrics->op[op];

			for (uint32_t stage = 0; s && p->op_name(op) && stage < STAGES; stage++) {
				if (!s->stage[stage].count)
					continue;
				snprintf(labels, sizeof(labels),
					 "tenant=\"%s\",op=\"%s\",stage=\"%s\",", p->rows[i].tenant,
					 p->op_name(op), stage_names[stage]);
				histogram(p, "facet_latency_seconds", labels, &s->stage[stage]);
			}
		}
	}
}

static void print_bytes(const struct printer *p)
{
	family(p, "facet_bulk_bytes_total", "counter",
	       "Bytes of vectors, tensors and results, by how they came or went.");
	for (uint32_t i = 0; i < p->count; i++)
		for (uint32_t b = 0; b < BYTES_KINDS; b++)
			if (p->rows[i].metrics->bytes[b])
				fprintf(p->out,
					"facet_bulk_bytes_total{tenant=\"%s\",direction=\"%s\","
					"path=\"%s\"} %" PRIu64 "\n",
					p->rows[i].tenant, bytes_names[b].direction,
					bytes_names[b].path, p->rows[i].metrics->bytes[b]);
}

static void print_shares(const struct printer *p)
{
	const struct metrics *m = p->metrics;

	family(p, "facet_tenant_device_seconds_total", "counter",
	       "Device time as it is charged to tenants.");
	for (uint32_t i = 0; i < p->count; i++)
		for (uint32_t d = 0; d < m->device_count; d++)
			if (p->rows[i].metrics->device_ns[d])
				fprintf(p->out,
					"facet_tenant_device_seconds_total{tenant=\"%s\","
					"device=\"%s\"} %.9f\n",
					p->rows[i].tenant, m->devices[d].name,
					(double)p->rows[i].metrics->device_ns[d] * 1e-9);
}

/* ---- devices and layers ------------------------------------------------------------------------ */
struct field {
	const char *name, *type, *help;
	size_t offset;
	bool ns; /* printed in seconds */
};

static uint64_t field_value(const void *entry, const struct field *field)
{
	return *(const _Atomic uint64_t *)((const char *)entry + field->offset);
}

static void field_print(FILE *out, const struct field *field, const char *labels, uint64_t value)
{
	if (field->ns)
		fprintf(out, "%s{%s} %.9f\n", field->name, labels, (double)value * 1e-9);
	else
		fprintf(out, "%s{%s} %" PRIu64 "\n", field->name, labels, value);
}

#define DEVICE(name, type, member, ns, help)                                                       \
	{                                                                                          \
		"facet_device_" name, type, help, offsetof(struct metrics_device, member), ns      \
	}

static const struct field device_fields[] = {
	DEVICE("slices_total", "counter", slices, false, "Bounded batches that ran on it."),
	DEVICE("units_total", "counter", units, false, "Queries and items in them."),
	DEVICE("busy_seconds_total", "counter", busy_ns, true, "Time it worked."),
	DEVICE("failed_total", "counter", failed, false, "Batches that failed."),
	DEVICE("timeouts_total", "counter", timeouts, false, "Batches that hung."),
	DEVICE("cancelled_total", "counter", cancelled, false, "Batches that were cancelled."),
	DEVICE("resets_total", "counter", resets, false, "Resets."),
	DEVICE("repeats_total", "counter", repeats, false,
	       "Batches that failed there and were repeated on another device."),
	DEVICE("fallbacks_total", "counter", fallbacks, false,
	       "Batches that belong there and went to another device."),
	DEVICE("moves_total", "counter", moves, false, "Galleries and shards moved away or back."),
	DEVICE("faults_total", "counter", faults, false,
	       "Faults made on purpose, where it is configured to."),
	DEVICE("queued", "gauge", queued, false, "Batches that wait for it."),
	DEVICE("memory_bytes", "gauge", memory_bytes, false, "Bytes of its memory in use."),
	DEVICE("memory_limit_bytes", "gauge", memory_limit, false, "Bytes there may be in use."),
};

static const struct {
	const char *direction;
	size_t offset;
} device_bytes[] = {
	{"up", offsetof(struct metrics_device, up_bytes)},
	{"down", offsetof(struct metrics_device, down_bytes)},
	{"in_place", offsetof(struct metrics_device, in_place_bytes)},
	{"direct", offsetof(struct metrics_device, direct_bytes)},
};

#define CHECK(name, member, ns, help)                                                              \
	{                                                                                          \
		name, "counter", help, offsetof(struct metrics_device, member), ns                 \
	}

/* A value for each way of checking. */
static const struct field check_fields[] = {
	CHECK("facet_checks_total", checks, false, "Results checked, by device and method."),
	CHECK("facet_mismatches_total", mismatches, false,
	      "Results that were wrong, by device and method."),
	CHECK("facet_check_seconds_total", check_ns, true, "Time that checking took."),
};

#define LAYER(name, member, ns, help)                                                              \
	{                                                                                          \
		"facet_layer_" name, "counter", help, offsetof(struct metrics_layer, member), ns   \
	}

static const struct field layer_fields[] = {
	LAYER("checked_total", checked, false, "Runs of a layer that carried check sums."),
	LAYER("check_seconds_total", checks_ns, true, "What the check sums of a layer took."),
	LAYER("mismatches_total", mismatches, false, "Runs of a layer whose sums were wrong."),
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void print_states(const struct printer *p)
{
	family(p, "facet_device_state", "gauge", "1 for the state the device is in.");
	for (uint32_t d = 0; d < p->metrics->device_count; d++)
		for (uint32_t s = 0; s < METRICS_STATES; s++)
			fprintf(p->out, "facet_device_state{device=\"%s\",state=\"%s\"} %d\n",
				p->metrics->devices[d].name, state_names[s],
				p->metrics->devices[d].state == s);
}

static void print_device_fields(const struct printer *p)
{
	char labels[128];

	for (size_t f = 0; f < COUNT(device_fields); f++) {
		family(p, device_fields[f].name, device_fields[f].type, device_fields[f].help);
		for (uint32_t d = 0; d < p->metrics->device_count; d++) {
			const struct metrics_device *device = &p->metrics->devices[d];

			snprintf(labels, sizeof(labels), "device=\"%s\"", device->name);
			field_print(p->out, &device_fields[f], labels,
				    field_value(device, &device_fields[f]));
		}
	}
}

static void print_device_bytes(const struct printer *p)
{
	family(p, "facet_device_bytes_total", "counter",
	       "Bytes copied to and from it, and those it used where they lie; direct: of "
	       "those that went up, what the device fetched by itself.");
	for (uint32_t d = 0; d < p->metrics->device_count; d++) {
		const struct metrics_device *device = &p->metrics->devices[d];

		for (size_t i = 0; i < COUNT(device_bytes); i++)
			fprintf(p->out,
				"facet_device_bytes_total{device=\"%s\",direction=\"%s\"} %" PRIu64
				"\n",
				device->name, device_bytes[i].direction,
				*(const _Atomic uint64_t *)((const char *)device +
							    device_bytes[i].offset));
	}
}

static void print_checks(const struct printer *p)
{
	char labels[128];

	for (size_t f = 0; f < COUNT(check_fields); f++) {
		family(p, check_fields[f].name, check_fields[f].type, check_fields[f].help);
		for (uint32_t d = 0; d < p->metrics->device_count; d++) {
			const struct metrics_device *device = &p->metrics->devices[d];

			for (uint32_t c = 0; c < CHECKS; c++) {
				struct field field = check_fields[f];

				field.offset += c * sizeof(uint64_t);
				snprintf(labels, sizeof(labels), "device=\"%s\",method=\"%s\"",
					 device->name, check_names[c]);
				field_print(p->out, &field, labels, field_value(device, &field));
			}
		}
	}
}

static void print_slices(const struct printer *p)
{
	char labels[128];

	family(p, "facet_slice_seconds", "histogram", "Length of the batches on a device.");
	for (uint32_t d = 0; d < p->metrics->device_count; d++) {
		snprintf(labels, sizeof(labels), "device=\"%s\",", p->metrics->devices[d].name);
		histogram(p, "facet_slice_seconds", labels, &p->metrics->devices[d].slice);
	}
	family(p, "facet_slice_units", "histogram", "Queries or items of the batches on a device.");
	for (uint32_t d = 0; d < p->metrics->device_count; d++) {
		snprintf(labels, sizeof(labels), "device=\"%s\",", p->metrics->devices[d].name);
		sizes(p, "facet_slice_units", labels, p->metrics->devices[d].slice_units,
		      METRICS_UNITS_SIZES, p->metrics->devices[d].units);
	}
}

static void print_layer(const struct printer *p, const struct field *field,
			const struct metrics_layer *layer)
{
	char labels[160];

	if (!layer->model[0])
		return;
	snprintf(labels, sizeof(labels), "model=\"%.64s\",layer=\"%u\",op=\"%.31s\"", layer->model,
		 layer->layer, layer->op);
	field_print(p->out, field, labels, field_value(layer, field));
}

static void print_layers(const struct printer *p)
{
	const struct metrics *m = p->metrics;

	for (size_t f = 0; f < COUNT(layer_fields); f++) {
		family(p, layer_fields[f].name, layer_fields[f].type, layer_fields[f].help);
		for (uint32_t i = 0; i < m->layer_count; i++)
			print_layer(p, &layer_fields[f], &m->layers[i]);
		print_layer(p, &layer_fields[f], &m->layers[METRICS_LAYERS - 1]);
	}
}

/* ---- the rest ---------------------------------------------------------------------------------- */
static void print_batches(const struct printer *p)
{
	const struct metrics *m = p->metrics;
	uint64_t bucket[7] = {0};
	uint64_t sum = 0;

	for (uint32_t n = 0; n <= METRICS_BATCH_MAX; n++) {
		bucket[n <= 1 ? 0 : 32 - __builtin_clz(n - 1)] += m->batch[n];
		sum += m->batch[n] * n;
	}
	family(p, "facet_batch_queries", "histogram", "Queries of a search pass.");
	sizes(p, "facet_batch_queries", "", bucket, 7, sum);
}

static void print_peers(const struct printer *p)
{
	family(p, "facet_peers_dropped_total", "counter",
	       "Connections closed by the daemon, by cause.");
	for (uint32_t i = 0; i < DROPS; i++)
		fprintf(p->out, "facet_peers_dropped_total{cause=\"%s\"} %" PRIu64 "\n",
			drop_names[i], p->metrics->dropped[i]);
	family(p, "facet_connections_total", "counter", "Connections accepted.");
	fprintf(p->out, "facet_connections_total %" PRIu64 "\n", p->metrics->accepted);
}

void metrics_print(const struct metrics *metrics, const struct metrics_row *rows, uint32_t count,
		   const char *(*op_name)(uint32_t op), FILE *out)
{
	const struct printer p = {metrics, rows, count, op_name, out};

	print_requests(&p);
	print_errors(&p);
	print_refused(&p);
	print_latency(&p);
	print_bytes(&p);
	print_shares(&p);
	print_states(&p);
	print_device_fields(&p);
	print_device_bytes(&p);
	print_checks(&p);
	print_slices(&p);
	print_layers(&p);
	print_batches(&p);
	print_peers(&p);
}
