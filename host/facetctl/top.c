/* SPDX-License-Identifier: Apache-2.0 */
/* top: devices, tenants and requests, as rates, refreshed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/facetctl/ctl.h"
#include "host/facetctl/scrape.h"

struct input {
	struct ctl_input common;
	double interval;
	uint32_t count; /* of refreshes, 0: until interrupted */
};

struct moment {
	struct scrape *scrape;
	double at;
	char version[32];
	uint64_t uptime_ns;
	uint32_t connections, queued, queue_limit;
};

/* Two of them, and what lies between. */
struct view {
	const struct moment *now, *before;
	double seconds;
};

static double rate(const struct view *v, const char *name, const char *const *labels)
{
	double change = scrape_sum(v->now->scrape, name, labels) -
			scrape_sum(v->before->scrape, name, labels);

	return change > 0 ? change / v->seconds : 0;
}

static double value(const struct view *v, const char *name, const char *const *labels)
{
	return scrape_sum(v->now->scrape, name, labels);
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- rows ---------------------------------------------------------------------------------------- */
static const char *device_state(const struct view *v, const char *device)
{
	const char *state;

	for (size_t i = 0; (state = scrape_label(v->now->scrape, "facet_device_state", "state", i));
	     i++)
		if (value(v, "facet_device_state", LABELS("device", device, "state", state)) > 0)
			return state;
	return "?";
}

static struct json_object *device_row(const struct view *v, const char *name)
{
	const char *const *of = LABELS("device", name);
	struct json_object *row = output_row_new();

	output_text(row, "device", name);
	output_text(row, "state", device_state(v, name));
	output_number(row, "batches_per_s", rate(v, "facet_device_slices_total", of), 0);
	output_number(row, "units_per_s", rate(v, "facet_device_units_total", of), 0);
	output_number(row, "busy_percent", 100 * rate(v, "facet_device_busy_seconds_total", of), 1);
	output_count(row, "failed", (int64_t)value(v, "facet_device_failed_total", of));
	output_count(row, "repeated", (int64_t)value(v, "facet_device_repeats_total", of));
	output_count(row, "wrong", (int64_t)value(v, "facet_mismatches_total", of));
	return row;
}

static struct json_object *tenant_row(const struct view *v, const char *name)
{
	const char *const *of = LABELS("tenant", name);
	struct json_object *row = output_row_new();

	output_text(row, "tenant", name);
	output_count(row, "weight", (int64_t)value(v, "facet_tenant_weight", of));
	output_number(row, "requests_per_s", rate(v, "facet_requests_total", of), 0);
	output_number(row, "device_percent", 100 * rate(v, "facet_tenant_device_seconds_total", of),
		      1);
	output_count(row, "in_flight", (int64_t)value(v, "facet_tenant_in_flight", of));
	output_count(row, "jobs", (int64_t)value(v, "facet_tenant_jobs", of));
	return row;
}

static struct json_object *op_row(const struct view *v, const char *name)
{
	const char *const *total = LABELS("op", name, "stage", "total");
	double all = rate(v, "facet_requests_total", LABELS("op", name));
	double well = rate(v, "facet_requests_total", LABELS("op", name, "code", "ok"));
	struct json_object *row = output_row_new();

	output_text(row, "op", name);
	output_number(row, "requests_per_s", all, 0);
	output_number(row, "errors_per_s", all - well, 1);
	output_number(row, "p50_ms",
		      1e3 * scrape_quantile(v->now->scrape, v->before->scrape,
					    "facet_latency_seconds", total, 0.5),
		      3);
	output_number(row, "p99_ms",
		      1e3 * scrape_quantile(v->now->scrape, v->before->scrape,
					    "facet_latency_seconds", total, 0.99),
		      3);
	return row;
}

static const struct section {
	const char *key, *metric, *label;
	struct json_object *(*row)(const struct view *v, const char *name);
} sections[] = {
	{"devices", "facet_device_slices_total", "device", device_row},
	{"tenants", "facet_tenant_weight", "tenant", tenant_row},
	{"requests", "facet_requests_total", "op", op_row},
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

static struct json_object *section_rows(const struct view *v, const struct section *section)
{
	struct json_object *rows = json_object_new_array();
	const char *name;

	for (size_t i = 0;
	     (name = scrape_label(v->now->scrape, section->metric, section->label, i)); i++)
		json_object_array_add(rows, section->row(v, name));
	return rows;
}

/* ---- printing ------------------------------------------------------------------------------------ */
static void print_table(struct json_object *rows)
{
	size_t n = json_object_array_length(rows);

	for (size_t i = 0; i < n; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (i == 0) {
			json_object_object_foreach(row, head, unused)
			{
				(void)unused;
				printf("%-15s ", head);
			}
			putchar('\n');
		}
		json_object_object_foreach(row, key, cell)
		{
			(void)key;
			printf("%-15.15s ", json_object_get_string(cell));
		}
		putchar('\n');
	}
	putchar('\n');
}

static void print_screen(const struct view *v, bool clear)
{
	const struct moment *m = v->now;

	if (clear)
		fputs("\033[H\033[J", stdout);
	printf("facetd %s, up %.0f s, %u connections, %u of %u queued\n\n", m->version,
	       (double)m->uptime_ns / 1e9, m->connections, m->queued, m->queue_limit);
	for (size_t i = 0; i < SECTIONS; i++) {
		struct json_object *rows = section_rows(v, &sections[i]);

		print_table(rows);
		json_object_put(rows);
	}
	fflush(stdout);
}

static void print_object(struct ctl *ctl, const struct view *v)
{
	struct json_object *row = output_row_new();

	output_number(row, "seconds", v->seconds, 3);
	output_count(row, "connections", v->now->connections);
	output_count(row, "queued", v->now->queued);
	for (size_t i = 0; i < SECTIONS; i++)
		json_object_object_add(row, sections[i].key, section_rows(v, &sections[i]));
	output_row(ctl->out, row);
}

/* ---- its course ---------------------------------------------------------------------------------- */
static int look(struct ctl *ctl, struct moment *m)
{
	struct facet_info *info;

	if (facet_info(ctl->c, FACET_INFO_METRICS, &info) != 0)
		return ctl_failed(ctl, "top");
	m->at = output_now();
	snprintf(m->version, sizeof(m->version), "%s", info->version);
	m->uptime_ns = info->uptime_ns;
	m->connections = info->connections;
	m->queued = info->queued;
	m->queue_limit = info->queue_limit;
	m->scrape = info->metrics[0] ? scrape_parse(info->metrics) : NULL;
	facet_free(info);
	return m->scrape ? CTL_OK
			 : ctl_error("top: the metrics are too long for a reply; read them on the "
				     "metrics socket");
}

static void wait_for(double seconds)
{
	double end = output_now() + seconds;

	while (output_now() < end && !ctl_interrupted())
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static int top(struct ctl *ctl, void *input)
{
	const struct input *in = input;
	struct moment moments[2] = {{0}};
	int status = look(ctl, &moments[0]);

	for (uint32_t i = 1; status == CTL_OK && (!in->count || i <= in->count); i++) {
		struct moment *now = &moments[i % 2], *before = &moments[(i + 1) % 2];
		struct view view = {now, before, 0};

		wait_for(in->interval);
		if (ctl_interrupted())
			break;
		scrape_free(now->scrape);
		now->scrape = NULL;
		status = look(ctl, now);
		if (status != CTL_OK)
			break;
		view.seconds = now->at - before->at;
		if (ctl->format == OUTPUT_TABLE)
			print_screen(&view, in->count != 1 && isatty(1));
		else
			print_object(ctl, &view);
	}
	scrape_free(moments[0].scrape);
	scrape_free(moments[1].scrape);
	return status;
}

enum { KEY_ONCE = 1000, KEY_COUNT };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'i':
		in->interval = ctl_real(state, "--interval", arg);
		if (!(in->interval >= 0.1 && in->interval <= 3600))
			argp_error(state, "--interval: 0.1 to 3600 seconds");
		return 0;
	case KEY_ONCE:
		in->count = 1;
		return 0;
	case KEY_COUNT:
		in->count = (uint32_t)ctl_count(state, "--count", arg, 1, 1000000);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_top(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"interval", 'i', "SECONDS", 0, "between refreshes (1)", 0},
		{"count", KEY_COUNT, "N", 0, "so many refreshes, then end", 0},
		{"once", KEY_ONCE, NULL, 0, "one, over one interval, without clearing the screen",
		 0},
		{NULL, 0, NULL, 0, NULL, 0}};
	static const struct argp argp = {options,
					 parse,
					 "",
					 "Devices, tenants and requests as they are now, "
					 "refreshed. Tenants without the right "
					 "admin see themselves.",
					 ctl_children,
					 NULL,
					 NULL};
	struct input in = {.common = {ctl}, .interval = 1};

	ctl_parse(ctl, &argp, argc, argv, &in);
	if (ctl->format == OUTPUT_JSON && in.count != 1)
		ctl->format = OUTPUT_JSONL; /* one document would never end */
	return ctl_run(ctl, in.count == 1, top, &in);
}
