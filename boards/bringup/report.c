/* SPDX-License-Identifier: Apache-2.0 */
/* What a run found, as text, JSON, JUnit and TAP; report_html.c makes the page. */
#include "boards/bringup/report.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *file;
	void (*print)(const struct bringup_report *report, FILE *out);
} formats[BRINGUP_FORMATS] = {
	[BRINGUP_AS_TEXT] = {"text", "report.txt", report_text},
	[BRINGUP_AS_JSON] = {"json", "report.json", report_json},
	[BRINGUP_AS_JUNIT] = {"junit", "report.xml", report_junit},
	[BRINGUP_AS_TAP] = {"tap", "report.tap", report_tap},
	[BRINGUP_AS_HTML] = {"html", "report.html", report_html},
};

int bringup_format_named(const char *name)
{
	for (int i = 0; i < BRINGUP_FORMATS; i++)
		if (!strcmp(formats[i].name, name))
			return i;
	return -1;
}

const char *bringup_format_file(enum bringup_format format)
{
	return formats[format].file;
}

void bringup_print(const struct bringup_report *report, enum bringup_format format, FILE *out)
{
	formats[format].print(report, out);
}

static uint32_t count(const struct bringup_report *report, enum bringup_verdict verdict)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < bringup_count; i++)
		n += report->results[i].verdict == verdict;
	return n;
}

bool bringup_failed(const struct bringup_report *report)
{
	return count(report, BRINGUP_FAILED) > 0;
}

void report_summary(const struct bringup_report *report, FILE *out)
{
	fprintf(out, "%u passed, %u failed, %u could not run, %u not run, %.1f s",
		count(report, BRINGUP_PASSED), count(report, BRINGUP_FAILED),
		count(report, BRINGUP_COULD_NOT_RUN), count(report, BRINGUP_NOT_RUN),
		report->seconds);
}

/* ---- text ------------------------------------------------------------------------------------------ */

void report_text(const struct bringup_report *report, FILE *out)
{
	for (uint32_t i = 0; i < bringup_count; i++) {
		const struct bringup_result *r = &report->results[i];

		fprintf(out, "%-7s %-11s %-14s %6.2f s  %s\n", r->test->id, r->test->name,
			bringup_verdict_name(r->verdict), r->seconds, r->text);
		if (r->verdict == BRINGUP_FAILED)
			fprintf(out, "        next: %s\n", r->next);
	}
	fprintf(out, "%s: ", report->target);
	report_summary(report, out);
	fputc('\n', out);
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

static struct json_object *figures_of(const struct bringup_result *r)
{
	struct json_object *figures = json_object_new_array();

	for (uint32_t i = 0; i < r->figures; i++) {
		struct json_object *f = json_object_new_object();

		json_object_object_add(f, "name", json_object_new_string(r->figure[i].name));
		json_object_object_add(f, "value", json_object_new_double(r->figure[i].value));
		json_object_object_add(f, "unit", json_object_new_string(r->figure[i].unit));
		json_object_array_add(figures, f);
	}
	return figures;
}

static struct json_object *points_of(const struct bringup_result *r)
{
	struct json_object *points = json_object_new_array();

	for (uint32_t i = 0; i < r->points; i++) {
		struct json_object *p = json_object_new_array();

		json_object_array_add(p, json_object_new_double(r->point[i].x));
		json_object_array_add(p, json_object_new_double(r->point[i].y));
		json_object_array_add(points, p);
	}
	return points;
}

static struct json_object *result_of(const struct bringup_result *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_string(r->test->id));
	json_object_object_add(o, "test", json_object_new_string(r->test->name));
	json_object_object_add(o, "what", json_object_new_string(r->test->what));
	json_object_object_add(o, "verdict",
			       json_object_new_string(bringup_verdict_name(r->verdict)));
	json_object_object_add(o, "text", json_object_new_string(r->text));
	if (r->next)
		json_object_object_add(o, "next", json_object_new_string(r->next));
	json_object_object_add(o, "seconds", json_object_new_double(r->seconds));
	json_object_object_add(o, "figures", figures_of(r));
	if (r->plot)
		json_object_object_add(o, "plot", json_object_new_string(r->plot));
	if (r->points)
		json_object_object_add(o, "points", points_of(r));
	return o;
}

void report_json(const struct bringup_report *report, FILE *out)
{
	struct json_object *all = json_object_new_object(), *results = json_object_new_array();
	const struct card_info *info = &report->bringup->info;

	json_object_object_add(all, "target", json_object_new_string(report->target));
	json_object_object_add(all, "board", json_object_new_string(info->board));
	json_object_object_add(all, "image", json_object_new_string(info->image));
	json_object_object_add(all, "model",
			       json_object_new_boolean(info->kind == SHELL_KIND_MODEL));
	json_object_object_add(all, "seconds", json_object_new_double(report->seconds));
	json_object_object_add(all, "failed", json_object_new_boolean(bringup_failed(report)));
	for (uint32_t i = 0; i < bringup_count; i++)
		json_object_array_add(results, result_of(&report->results[i]));
	json_object_object_add(all, "results", results);
	fputs(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY), out);
	fputc('\n', out);
	json_object_put(all);
}

/* ---- JUnit and TAP ----------------------------------------------------------------------------------- */

void report_escaped(const char *text, FILE *out)
{
	for (; *text; text++) {
		const char *as = *text == '<'	? "&lt;"
				 : *text == '>' ? "&gt;"
				 : *text == '&' ? "&amp;"
				 : *text == '"' ? "&quot;"
						: NULL;

		if (as)
			fputs(as, out);
		else
			fputc(*text, out);
	}
}

void report_junit(const struct bringup_report *report, FILE *out)
{
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"bringup\" "
		"tests=\"%u\" "
		"failures=\"%u\" skipped=\"%u\" time=\"%.3f\">\n",
		bringup_count, count(report, BRINGUP_FAILED),
		count(report, BRINGUP_COULD_NOT_RUN) + count(report, BRINGUP_NOT_RUN),
		report->seconds);
	for (uint32_t i = 0; i < bringup_count; i++) {
		const struct bringup_result *r = &report->results[i];
		const char *tag = r->verdict == BRINGUP_FAILED	 ? "failure"
				  : r->verdict != BRINGUP_PASSED ? "skipped"
								 : NULL;

		fprintf(out, "  <testcase classname=\"%s\" name=\"%s\" time=\"%.3f\">", r->test->id,
			r->test->name, r->seconds);
		if (tag) {
			fprintf(out, "<%s message=\"", tag);
			report_escaped(r->text, out);
			fputs("\"/>", out);
		}
		fputs("</testcase>\n", out);
	}
	fputs("</testsuite>\n", out);
}

void report_tap(const struct bringup_report *report, FILE *out)
{
	fprintf(out, "TAP version 13\n1..%u\n", bringup_count);
	for (uint32_t i = 0; i < bringup_count; i++) {
		const struct bringup_result *r = &report->results[i];

		fprintf(out, "%s %u - %s %s", r->verdict == BRINGUP_FAILED ? "not ok" : "ok", i + 1,
			r->test->id, r->test->name);
		if (r->verdict == BRINGUP_COULD_NOT_RUN || r->verdict == BRINGUP_NOT_RUN)
			fprintf(out, " # SKIP %s", r->text);
		fputc('\n', out);
		if (r->verdict == BRINGUP_FAILED)
			fprintf(out, "  ---\n  message: \"%s\"\n  ...\n", r->text);
	}
}

/* ---- against an earlier run -------------------------------------------------------------------------- */

#define WORSE 0.1

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *value;

	return o && json_object_object_get_ex(o, key, &value) && json_object_is_type(value, type)
		       ? value
		       : NULL;
}

/* The figure of that test in the baseline; false: it has none. */
static bool baseline_value(struct json_object *results, const char *id, const char *name,
			   double *value)
{
	for (size_t i = 0; i < json_object_array_length(results); i++) {
		struct json_object *r = json_object_array_get_idx(results, i);
		struct json_object *of = member(r, "id", json_type_string);
		struct json_object *figures = member(r, "figures", json_type_array);

		if (!of || !figures || strcmp(json_object_get_string(of), id) != 0)
			continue;
		for (size_t k = 0; k < json_object_array_length(figures); k++) {
			struct json_object *f = json_object_array_get_idx(figures, k);
			struct json_object *called = member(f, "name", json_type_string);
			struct json_object *v;

			if (called && !strcmp(json_object_get_string(called), name) &&
			    json_object_object_get_ex(f, "value", &v)) {
				*value = json_object_get_double(v);
				return true;
			}
		}
	}
	return false;
}

static void compare_one(struct json_object *results, struct bringup_result *r)
{
	for (uint32_t i = 0; i < r->figures; i++) {
		const struct bringup_figure *f = &r->figure[i];
		double was, ratio;

		if (!baseline_value(results, r->test->id, f->name, &was) || was <= 0 ||
		    f->value <= 0)
			continue;
		ratio = f->more_is_better ? f->value / was : was / f->value;
		if (ratio < 1 - WORSE)
			bringup_fail(r, "%s: %.1f %s, in the baseline %.1f", f->name, f->value,
				     f->unit, was);
	}
}

int bringup_compare(struct bringup_result *results, const char *path, char *text, size_t bytes)
{
	struct json_object *all = json_object_from_file(path);
	struct json_object *old = member(all, "results", json_type_array);

	if (!old) {
		snprintf(text, bytes, "%s is not a report of an earlier run (-o json)", path);
		json_object_put(all);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < bringup_count; i++)
		if (results[i].verdict == BRINGUP_PASSED)
			compare_one(old, &results[i]);
	json_object_put(all);
	return 0;
}
