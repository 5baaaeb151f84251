/* SPDX-License-Identifier: Apache-2.0 */
/* ping, ready, info, monitor: the daemon itself. */
#include "host/facetctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct input {
	struct ctl_input common;
	const char *gallery;
	uint32_t count;
};

static error_t parse_gallery(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		CTL_INIT(state);
		return 0;
	case 'n':
		in->count = (uint32_t)ctl_count(state, "-n", arg, 1, 1000000);
		return 0;
	case ARGP_KEY_ARG:
		if (in->gallery)
			return ARGP_ERR_UNKNOWN;
		in->gallery = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- ping ----------------------------------------------------------------------------------- */
static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int ping(struct ctl *ctl, void *input)
{
	uint32_t count = ((struct input *)input)->count;
	double *took = calloc(count, sizeof(*took));
	uint8_t payload[64] = "facet";
	struct json_object *row;
	uint32_t done = 0;

	if (!took)
		return ctl_error("out of memory");
	for (; done < count && !ctl_interrupted(); done++) {
		double start = output_now();

		if (facet_ping(ctl->c, payload, sizeof(payload), NULL) != 0) {
			free(took);
			return ctl_failed(ctl, "ping");
		}
		took[done] = output_now() - start;
	}
	qsort(took, done, sizeof(*took), by_value);
	row = output_row_new();
	output_count(row, "echoes", done);
	output_number(row, "min_us", done ? took[0] * 1e6 : 0, 1);
	output_number(row, "p50_us", done ? took[done / 2] * 1e6 : 0, 1);
	output_number(row, "p99_us", done ? took[(uint64_t)done * 99 / 100] * 1e6 : 0, 1);
	output_row(ctl->out, row);
	free(took);
	return CTL_OK;
}

int cmd_ping(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {{"count", 'n', "N", 0, "echoes (10)", 0}, {0}};
	static const struct argp argp = {
		options,      parse_gallery,
		"",	      "Echo 64 bytes through admission, queue, scheduler and device.",
		ctl_children, NULL,
		NULL};
	struct input in = {.common = {ctl}, .count = 10};

	ctl_parse(ctl, &argp, argc, argv, &in);
	return ctl_run(ctl, true, ping, &in);
}

/* ---- ready ---------------------------------------------------------------------------------- */
static int ready(struct ctl *ctl, void *input)
{
	const char *gallery = ((struct input *)input)->gallery;
	struct facet_info *info;
	struct json_object *row;
	bool is_ready, found = !gallery;

	if (facet_info(ctl->c, FACET_INFO_GALLERIES, &info) != 0)
		return ctl_failed(ctl, "ready");
	is_ready = gallery ? false : info->ready;
	for (uint32_t i = 0; gallery && i < info->gallery_count; i++) {
		const struct facet_gallery_info *g = &info->galleries[i];

		if (strcmp(g->name, gallery) != 0)
			continue;
		found = true;
		is_ready = !info->draining &&
			   (!strcmp(g->state, "ready") || !strcmp(g->state, "read-only"));
	}
	row = output_row_new();
	output_text(row, "what", gallery ? gallery : "facetd");
	output_flag(row, "ready", is_ready);
	output_row(ctl->out, row);
	facet_free(info);
	if (!found)
		return ctl_error("no gallery '%s' here", gallery);
	return is_ready ? CTL_OK : CTL_NO_MATCH;
}

int cmd_ready(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse_gallery,
		"[GALLERY]",
		"Exit 0 when the daemon (or one gallery) serves, 1 while it loads or drains.",
		ctl_children,
		NULL,
		NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	return ctl_run(ctl, true, ready, &in);
}

/* ---- info ----------------------------------------------------------------------------------- */
static int info_show(struct ctl *ctl, void *input)
{
	struct json_object *row = output_row_new();
	struct facet_info *info;
	char text[64];

	(void)input;
	if (facet_info(ctl->c, FACET_INFO_DEVICES | FACET_INFO_GALLERIES | FACET_INFO_MODELS,
		       &info) != 0) {
		json_object_put(row);
		return ctl_failed(ctl, "info");
	}
	output_text(row, "version", info->version);
	output_number(row, "uptime_s", (double)info->uptime_ns / 1e9, 1);
	output_flag(row, "ready", info->ready);
	output_flag(row, "draining", info->draining);
	output_count(row, "connections", info->connections);
	snprintf(text, sizeof(text), "%u of %u", info->queued, info->queue_limit);
	output_text(row, "queued", text);
	for (uint32_t i = 0; i < info->device_count; i++) {
		const struct facet_device_info *d = &info->devices[i];
		char line[256];

		snprintf(line, sizeof(line), "%s, %s, %s; %" PRIu64 " jobs, %.1f s busy", d->kind,
			 d->health, d->detail, d->jobs, (double)d->busy_ns / 1e9);
		output_text(row, d->name, line);
	}
	output_count(row, "galleries", info->gallery_count);
	output_count(row, "models", info->model_count);
	output_row(ctl->out, row);
	facet_free(info);
	return CTL_OK;
}

int cmd_info(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,	      parse_gallery,
		"",	      "The daemon: version, devices, queues, galleries, models.",
		ctl_children, NULL,
		NULL};
	struct input in = {.common = {ctl}};

	ctl_parse(ctl, &argp, argc, argv, &in);
	return ctl_run(ctl, true, info_show, &in);
}

/* ---- monitor -------------------------------------------------------------------------------- */
/* One line a second: what changed since the last. */
static int monitor_line(struct ctl *ctl, uint64_t *jobs, uint64_t *busy, bool first)
{
	struct facet_info *info;
	struct json_object *row;
	uint64_t all_jobs = 0, all_busy = 0, templates = 0;

	if (facet_info(ctl->c, FACET_INFO_DEVICES | FACET_INFO_GALLERIES, &info) != 0)
		return ctl_failed(ctl, "monitor");
	for (uint32_t i = 0; i < info->device_count; i++) {
		all_jobs += info->devices[i].jobs;
		all_busy += info->devices[i].busy_ns;
	}
	for (uint32_t i = 0; i < info->gallery_count; i++)
		templates += info->galleries[i].templates;
	if (!first && ctl->format == OUTPUT_TABLE) {
		printf("%12" PRIu64 " %9.1f %8u %12u %14" PRIu64 "\n", all_jobs - *jobs,
		       (double)(all_busy - *busy) / 1e7, info->queued, info->connections,
		       templates);
		fflush(stdout);
	} else if (!first) {
		row = output_row_new();
		output_count(row, "jobs_per_s", (int64_t)(all_jobs - *jobs));
		output_number(row, "busy_percent", (double)(all_busy - *busy) / 1e7, 1);
		output_count(row, "queued", info->queued);
		output_count(row, "connections", info->connections);
		output_count(row, "templates", (int64_t)templates);
		output_row(ctl->out, row);
	}
	*jobs = all_jobs;
	*busy = all_busy;
	facet_free(info);
	return CTL_OK;
}

static int monitor(struct ctl *ctl, void *input)
{
	uint32_t count = ((struct input *)input)->count;
	uint64_t jobs = 0, busy = 0;
	int status = CTL_OK;

	if (ctl->format == OUTPUT_TABLE)
		puts("device_jobs/s    busy_%   queued  connections      templates");
	for (uint32_t i = 0; status == CTL_OK && !ctl_interrupted(); i++) {
		status = monitor_line(ctl, &jobs, &busy, i == 0);
		if (count && i == count)
			break;
		if (status == CTL_OK)
			nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
	return status;
}

int cmd_monitor(struct ctl *ctl, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"count", 'n', "N", 0, "lines, then end (until Ctrl-C)", 0}, {0}};
	static const struct argp argp = {
		options,      parse_gallery,
		"",	      "A line a second: device jobs, busy share, queue, clients.",
		ctl_children, NULL,
		NULL};
	struct input in = {.common = {ctl}, .count = 0};

	ctl_parse(ctl, &argp, argc, argv, &in);
	return ctl_run(ctl, false, monitor, &in);
}
