/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one page that needs nothing else: a table, and a plot of each test that has one. */
#include "boards/bringup/report.h"

#include <math.h>
#include <string.h>

#define WIDE 560.0
#define HIGH 200.0
#define LEFT 70.0
#define LOW  30.0

static const char style[] =
	"body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;"
	"color:#1b1f24;background:#fff}h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}"
	"table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35em .6em;"
	"border-bottom:1px solid #d8dee4;vertical-align:top}td:nth-child(odd):not(:last-child),"
	"td:nth-child(4){white-space:nowrap}.passed{color:#1a7f37}.failed{color:"
	"#cf222e;font-weight:600}.other{color:#6e7781}.next{color:#57606a;font-size:.92em}"
	"svg text{font:11px sans-serif;fill:#57606a}code{font-size:.95em}";

static const char *class_of(enum bringup_verdict verdict)
{
	return verdict == BRINGUP_PASSED   ? "passed"
	       : verdict == BRINGUP_FAILED ? "failed"
					   : "other";
}

static void row(const struct bringup_result *r, FILE *out)
{
	fprintf(out, "<tr><td><code>%s</code><td>%s<td class=%s>%s<td>%.2f s<td>", r->test->id,
		r->test->what, class_of(r->verdict), bringup_verdict_name(r->verdict), r->seconds);
	report_escaped(r->text, out);
	if (r->verdict == BRINGUP_FAILED) {
		fputs("<div class=next>Next: ", out);
		report_escaped(r->next, out);
		fputs("</div>", out);
	}
	fputs("\n", out);
}

/* ---- plots: x by powers where it spans more than a hundredfold ------------------------------------ */

struct axis {
	double low, high;
	bool powers;
};

static struct axis axis_of(const struct bringup_result *r, bool x)
{
	struct axis a = {INFINITY, -INFINITY, false};

	for (uint32_t i = 0; i < r->points; i++) {
		double v = x ? r->point[i].x : r->point[i].y;

		a.low = v < a.low ? v : a.low;
		a.high = v > a.high ? v : a.high;
	}
	a.powers = x && a.low > 0 && a.high > 100 * a.low;
	if (!a.powers)
		a.low = 0;
	if (a.high <= a.low)
		a.high = a.low + 1;
	return a;
}

static double place(const struct axis *a, double v, double span)
{
	if (a->powers)
		return log(v / a->low) / log(a->high / a->low) * span;
	return (v - a->low) / (a->high - a->low) * span;
}

static void label(double v, char *text, size_t bytes)
{
	if (v >= 1 << 20 && fmod(v, 1 << 20) == 0)
		snprintf(text, bytes, "%.0fM", v / (1 << 20));
	else if (v >= 1024 && fmod(v, 1024) == 0)
		snprintf(text, bytes, "%.0fK", v / 1024);
	else
		snprintf(text, bytes, "%.4g", v);
}

static void plot(const struct bringup_result *r, FILE *out)
{
	struct axis x = axis_of(r, true), y = axis_of(r, false);
	bool line = strncmp(r->plot, "place", 5) != 0;
	char low[24], high[24];

	fprintf(out, "<h2>%s: %s</h2>\n<svg viewBox=\"0 0 %.0f %.0f\" width=%.0f role=img>",
		r->test->id, r->plot, WIDE + LEFT + 40, HIGH + LOW + 20, WIDE + LEFT + 40);
	fprintf(out, "<path d=\"M%.0f 10V%.0fH%.0f\" fill=none stroke=#8c959f />", LEFT, HIGH + 10,
		LEFT + WIDE);
	if (line)
		fputs("<polyline fill=none stroke=#0969da stroke-width=2 points=\"", out);
	for (uint32_t i = 0; i < r->points; i++) {
		double px = LEFT + place(&x, r->point[i].x, WIDE);
		double py = HIGH + 10 - place(&y, r->point[i].y, HIGH);

		if (line)
			fprintf(out, "%.1f,%.1f ", px, py);
		else
			fprintf(out, "<circle cx=%.1f cy=%.1f r=4 fill=#cf222e />", px, py);
	}
	if (line)
		fputs("\"/>", out);
	label(x.low, low, sizeof(low));
	label(x.high, high, sizeof(high));
	fprintf(out, "<text x=%.0f y=%.0f>%s</text><text x=%.0f y=%.0f text-anchor=end>%s</text>",
		LEFT, HIGH + LOW, low, LEFT + WIDE, HIGH + LOW, high);
	label(y.high, high, sizeof(high));
	fprintf(out,
		"<text x=%.0f y=20 text-anchor=end>%s</text><text x=%.0f y=%.0f "
		"text-anchor=end>0</text></svg>\n",
		LEFT - 8, high, LEFT - 8, HIGH + 10);
}

void report_html(const struct bringup_report *report, FILE *out)
{
	const struct card_info *info = &report->bringup->info;

	fprintf(out, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
		     "content=\"width=device-width\"><title>Bring-up of ");
	report_escaped(report->target, out);
	fprintf(out, "</title><style>%s</style>\n<h1>Bring-up of ", style);
	report_escaped(report->target, out);
	fputs("</h1>\n<p>", out);
	report_escaped(info->board, out);
	fputs(", image <code>", out);
	report_escaped(info->image, out);
	fprintf(out, "</code>, serial <code>%016llx</code>. ", (unsigned long long)info->serial);
	if (info->kind == SHELL_KIND_MODEL)
		fputs("<strong>This is a MODEL of a board: its figures say nothing about any "
		      "card.</strong> ",
		      out);
	report_summary(report, out);
	if (report->baseline) {
		fputs(". Compared with ", out);
		report_escaped(report->baseline, out);
	}
	fputs(".</p>\n<table><tr><th>id<th>test<th>verdict<th>time<th>what was seen\n", out);
	for (uint32_t i = 0; i < bringup_count; i++)
		row(&report->results[i], out);
	fputs("</table>\n", out);
	for (uint32_t i = 0; i < bringup_count; i++)
		if (report->results[i].plot && report->results[i].points)
			plot(&report->results[i], out);
	fputs("</html>\n", out);
}
