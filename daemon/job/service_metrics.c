/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's metrics as text: what is counted, and what is asked for when it is printed. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/job/service.h"
#include "daemon/net/rights.h"

#define ROWS_MAX (CONFIG_TENANTS_MAX + 2)

/* ---- galleries ------------------------------------------------------------------------------- */
struct gallery_gauge {
	const char *name, *type, *help;
	double (*value)(const struct gallery_status *status);
};

static double gauge_templates(const struct gallery_status *s)
{
	return (double)s->templates;
}

static double gauge_subjects(const struct gallery_status *s)
{
	return (double)s->subjects;
}

static double gauge_resident(const struct gallery_status *s)
{
	return (double)s->resident_bytes;
}

static double gauge_disk(const struct gallery_status *s)
{
	return (double)s->disk_bytes;
}

static double gauge_load(const struct gallery_status *s)
{
	return s->state == GALLERY_READY || s->state == GALLERY_READ_ONLY ? 1 : s->percent / 100.0;
}

static double gauge_commits(const struct gallery_status *s)
{
	return (double)s->commits;
}

static double gauge_fsync(const struct gallery_status *s)
{
	return (double)s->fsync_ns * 1e-9;
}

static const struct gallery_gauge gauges[] = {
	{"facet_gallery_templates", "gauge", "Live templates.", gauge_templates},
	{"facet_gallery_subjects", "gauge", "Subjects.", gauge_subjects},
	{"facet_gallery_resident_bytes", "gauge", "Memory of rows and maps.", gauge_resident},
	{"facet_gallery_disk_bytes", "gauge", "Bytes of its files.", gauge_disk},
	{"facet_gallery_load_ratio", "gauge", "How much of it is loaded.", gauge_load},
	{"facet_gallery_commits_total", "counter", "Group commits.", gauge_commits},
	{"facet_gallery_fsync_seconds_total", "counter", "Time in fsync.", gauge_fsync},
};

static void print_galleries(const struct service *service, const struct tenant *tenant, FILE *out)
{
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", gauges[i].name, gauges[i].help,
			gauges[i].name, gauges[i].type);
		for (const struct gallery_entry *e = service->galleries; e; e = e->next) {
			struct gallery_status status;

			if (e->hidden || !e->gallery || (tenant && !tenant_rights(tenant, e->name)))
				continue;
			gallery_status(e->gallery, &status);
			fprintf(out, "%s{gallery=\"%s\"} %.9g\n", gauges[i].name, e->name,
				gauges[i].value(&status));
		}
	}
}

/* ---- tenants --------------------------------------------------------------------------------- */
struct tenant_gauge {
	const char *name, *help;
	double (*value)(const struct tenant *tenant);
};

static double gauge_in_flight(const struct tenant *t)
{
	return (double)t->in_flight;
}

static double gauge_in_flight_max(const struct tenant *t)
{
	return (double)t->in_flight_max;
}

static double gauge_jobs(const struct tenant *t)
{
	return (double)t->jobs;
}

static double gauge_mapped(const struct tenant *t)
{
	return (double)t->mapped;
}

static double gauge_mapped_max(const struct tenant *t)
{
	return (double)t->mapped_max;
}

static double gauge_weight(const struct tenant *t)
{
	return (double)t->weight;
}

static const struct tenant_gauge tenant_gauges[] = {
	{"facet_tenant_in_flight", "Requests admitted and not yet answered.", gauge_in_flight},
	{"facet_tenant_in_flight_limit", "Requests there may be.", gauge_in_flight_max},
	{"facet_tenant_jobs", "Jobs that wait for a device or are on one.", gauge_jobs},
	{"facet_tenant_mapped_bytes", "Memory of its requests.", gauge_mapped},
	{"facet_tenant_mapped_limit_bytes", "Memory they may take.", gauge_mapped_max},
	{"facet_tenant_weight", "Its weight.", gauge_weight},
};

struct rows {
	const struct tenant *asks; /* NULL: everything is printed */
	uint32_t count;
	const struct tenant *tenant[ROWS_MAX];
	struct metrics_row row[ROWS_MAX];
};

/* A tenant sees itself; who may administer the server sees all. */
static void rows_add(void *user, struct tenant *tenant)
{
	struct rows *rows = user;

	if (rows->asks && rows->asks != tenant && !(tenant_rights(rows->asks, NULL) & RIGHT_ADMIN))
		return;
	if (rows->count == ROWS_MAX)
		return;
	rows->tenant[rows->count] = tenant;
	rows->row[rows->count++] = (struct metrics_row){tenant->name, &tenant->metrics};
}

static void print_tenants(const struct rows *rows, FILE *out)
{
	for (size_t i = 0; i < sizeof(tenant_gauges) / sizeof(tenant_gauges[0]); i++) {
		const struct tenant_gauge *g = &tenant_gauges[i];

		fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", g->name, g->help, g->name);
		for (uint32_t r = 0; r < rows->count; r++)
			fprintf(out, "%s{tenant=\"%s\"} %.15g\n", g->name, rows->tenant[r]->name,
				g->value(rows->tenant[r]));
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */
static void print_gauge(FILE *out, const char *name, const char *type, const char *help,
			double value)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.9g\n", name, help, name, type, name, value);
}

void service_print_metrics(struct service *service, const struct tenant *tenant, FILE *out)
{
	struct rows rows = {.asks = tenant};

	tenants_each(service->tenants, rows_add, &rows);
	for (uint32_t i = 0; i < service->fleet.count; i++)
		fleet_ask(&service->fleet.device[i]);
	metrics_print(&service->metrics, rows.row, rows.count, op_name, out);
	print_tenants(&rows, out);
	print_gauge(out, "facet_connections", "gauge", "Open connections.", service->connections);
	print_gauge(out, "facet_jobs", "gauge", "Requests admitted and not yet answered.",
		    service->jobs);
	print_gauge(out, "facet_queue_depth", "gauge", "Jobs that wait for a device.",
		    sched_waiting(service->sched));
	print_gauge(out, "facet_queue_limit", "gauge", "Jobs that may wait.",
		    (double)service->config->queue);
	print_gauge(out, "facet_ready", "gauge", "1 once all galleries are loaded.",
		    service_ready(service));
	print_galleries(service, tenant, out);
}
