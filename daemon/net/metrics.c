/* SPDX-License-Identifier: Apache-2.0 */
/* Counting. */
#include "daemon/net/metrics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- tenants ----------------------------------------------------------------------------------- */
/* Without memory for it the series counts nothing: no request fails for want of a counter. */
static struct metrics_series *series_get(struct metrics_tenant *tenant, uint32_t op)
{
	struct metrics_series **slot = &tenant->op[op % METRICS_OPS];

	if (!*slot)
		*slot = calloc(1, sizeof(**slot));
	return *slot;
}

void metrics_request(struct metrics_tenant *tenant, uint32_t op, uint32_t code)
{
	struct metrics_series *series = series_get(tenant, op);

	if (series)
		series->codes[code % METRICS_CODES]++;
}

void metrics_histogram_add(struct metrics_histogram *h, uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000;
	uint32_t bucket = us <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(us - 1);

	h->bucket[bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS - 1]++;
	h->sum_ns += ns;
	h->count++;
}

void metrics_latency(struct metrics_tenant *tenant, uint32_t op, enum metrics_stage stage,
		     uint64_t ns)
{
	struct metrics_series *series = series_get(tenant, op);

	if (series)
		metrics_histogram_add(&series->stage[stage], ns);
}

void metrics_tenant_clear(struct metrics_tenant *tenant)
{
	for (uint32_t op = 0; op < METRICS_OPS; op++)
		free(tenant->op[op]);
	memset(tenant, 0, sizeof(*tenant));
}

/* ---- devices ----------------------------------------------------------------------------------- */
/* A label's value: what would have to be escaped there is replaced. */
static void name_set(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)from[i];

		to[i] = c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? '_' : (char)c;
	}
	to[n] = '\0';
}

struct metrics_device *metrics_device(struct metrics *metrics, const char *name, const char *kind)
{
	struct metrics_device *device = metrics->devices;
	uint32_t i = 0;

	while (i < metrics->device_count && strncmp(device[i].name, name, METRICS_NAME - 1))
		i++;
	if (i < metrics->device_count)
		return &device[i];
	if (i == METRICS_DEVICES)
		return &device[i - 1];
	metrics->device_count++;
	device[i].index = i;
	name_set(device[i].name, METRICS_NAME, i == METRICS_DEVICES - 1 ? "other" : name);
	name_set(device[i].kind, sizeof(device[i].kind), i == METRICS_DEVICES - 1 ? "other" : kind);
	return &device[i];
}

void metrics_slice(struct metrics_device *device, uint32_t units, uint64_t ns, int error)
{
	uint32_t size = units <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(units - 1);

	if (!device)
		return;
	device->slices++;
	device->units += units;
	device->busy_ns += ns;
	if (error == -ECANCELED)
		device->cancelled++;
	else if (error == -ETIMEDOUT)
		device->timeouts++;
	else if (error)
		device->failed++;
	device->slice_units[size < METRICS_UNITS_SIZES ? size : METRICS_UNITS_SIZES - 1]++;
	metrics_histogram_add(&device->slice, ns);
}

void metrics_share(struct metrics_tenant *tenant, const struct metrics_device *device, uint64_t ns)
{
	if (tenant && device)
		tenant->device_ns[device->index] += ns;
}

void metrics_batch(struct metrics *metrics, uint32_t queries)
{
	metrics->batch[queries <= METRICS_BATCH_MAX ? queries : METRICS_BATCH_MAX]++;
	metrics->passes++;
}

/* ---- layers ------------------------------------------------------------------------------------ */
static bool layer_is(const struct metrics_layer *l, const char *model, uint32_t layer)
{
	return l->layer == layer && !strncmp(l->model, model, METRICS_NAME - 1);
}

struct metrics_layer *metrics_layer(struct metrics *metrics, const char *model, uint32_t layer,
				    const char *op)
{
	struct metrics_layer *free_one = NULL;
	struct metrics_layer *other = &metrics->layers[METRICS_LAYERS - 1];

	for (uint32_t i = 0; i < metrics->layer_count; i++) {
		struct metrics_layer *l = &metrics->layers[i];

		if (layer_is(l, model, layer))
			return l;
		if (!l->model[0] && !free_one)
			free_one = l;
	}
	if (!free_one && metrics->layer_count < METRICS_LAYERS - 1)
		free_one = &metrics->layers[metrics->layer_count++];
	if (!free_one) {
		name_set(other->model, METRICS_NAME, "other");
		name_set(other->op, sizeof(other->op), "other");
		return other;
	}
	name_set(free_one->model, METRICS_NAME, model);
	name_set(free_one->op, sizeof(free_one->op), op);
	free_one->layer = layer;
	return free_one;
}

void metrics_layers_drop(struct metrics *metrics, const char *model)
{
	for (uint32_t i = 0; i < metrics->layer_count; i++) {
		struct metrics_layer *l = &metrics->layers[i];

		if (strncmp(l->model, model, METRICS_NAME - 1))
			continue;
		l->model[0] = '\0';
		l->checked = l->checks_ns = l->mismatches = 0;
	}
}
