/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges Prometheus text (exposition format 0.0.4): lines, names, labels, values; that a family has
 * one TYPE before its samples, which stand together; that no series comes twice; that buckets rise,
 * and end with +Inf and the count. Knows nothing of the daemon.
 */
#ifndef FACET_TESTS_DAEMON_PROMTEXT_H
#define FACET_TESTS_DAEMON_PROMTEXT_H

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROM_NAMES  512
#define PROM_SERIES 32768
#define PROM_LINE   1024

struct prom {
	char error[PROM_LINE + 200];
	char family[128], type[16];
	bool sampled; /* the family has samples */
	char *families[PROM_NAMES];
	unsigned family_count;
	char *series[PROM_SERIES];
	unsigned series_count;
	/* the histogram being read */
	char of[PROM_LINE]; /* its labels without le */
	double le, below;
	bool open;
};

static inline bool prom_fail(struct prom *p, const char *what, const char *line)
{
	if (!p->error[0])
		snprintf(p->error, sizeof(p->error), "%s: %.200s", what, line);
	return false;
}

static inline size_t prom_name(const char *s, bool label)
{
	size_t n = 0;

	while (isalpha((unsigned char)s[n]) || s[n] == '_' || (!label && s[n] == ':') ||
	       (n && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

/* # TYPE and # HELP; other comments are free. */
static inline bool prom_comment(struct prom *p, const char *line)
{
	char name[128] = "", type[17] = "";

	if (!strncmp(line, "# HELP ", 7)) {
		size_t n = prom_name(line + 7, false);

		return (n && line[7 + n] == ' ') || prom_fail(p, "HELP without a name", line);
	}
	if (strncmp(line, "# TYPE ", 7))
		return true;
	if (sscanf(line + 7, "%127s %16s", name, type) != 2 ||
	    prom_name(name, false) != strlen(name))
		return prom_fail(p, "a TYPE that names nothing", line);
	if (strcmp(type, "counter") && strcmp(type, "gauge") && strcmp(type, "histogram"))
		return prom_fail(p, "an unknown TYPE", line);
	if (!strcmp(type, "counter") !=
	    (strlen(name) > 6 && !strcmp(name + strlen(name) - 6, "_total")))
		return prom_fail(p, "a counter ends in _total, and nothing else does", line);
	for (unsigned i = 0; i < p->family_count; i++)
		if (!strcmp(p->families[i], name))
			return prom_fail(p, "a family comes twice", line);
	if (p->open)
		return prom_fail(p, "a histogram without +Inf or count before", line);
	if (p->family_count == PROM_NAMES)
		return prom_fail(p, "more families than this checker holds", line);
	p->families[p->family_count++] = strdup(name);
	snprintf(p->family, sizeof(p->family), "%s", name);
	snprintf(p->type, sizeof(p->type), "%s", type);
	return true;
}

/* One label; leaves le in *le and appends all others to rest. NULL: it is none. */
static inline const char *prom_label(struct prom *p, const char *s, const char *line, double *le,
				     char *rest)
{
	size_t n = prom_name(s, true), start = strlen(rest);
	const char *value = s + n + 2;
	const char *end = value;

	if (!n || s[n] != '=' || s[n + 1] != '"') {
		prom_fail(p, "not a label", line);
		return NULL;
	}
	for (; *end && *end != '"'; end++)
		if (*end == '\\' && (!end[1] || !strchr("\\\"n", *++end))) {
			prom_fail(p, "an unknown escape", line);
			return NULL;
		}
	if (!*end) {
		prom_fail(p, "a label without its end", line);
		return NULL;
	}
	if (n == 2 && !strncmp(s, "le", 2)) {
		*le = strncmp(value, "+Inf\"", 5) ? strtod(value, NULL) : INFINITY;
		return end + 1;
	}
	snprintf(rest + start, PROM_LINE - start, "%.*s,", (int)(end + 1 - s), s);
	return end + 1;
}

static inline const char *prom_labels(struct prom *p, const char *s, const char *line, double *le,
				      char *rest)
{
	if (*s != '{')
		return s;
	for (s++; s && *s != '}'; s += s && *s == ',') {
		s = prom_label(p, s, line, le, rest);
		if (s && *s != ',' && *s != '}') {
			prom_fail(p, "labels that are not separated", line);
			return NULL;
		}
	}
	return s ? s + 1 : NULL;
}

static inline bool prom_bucket(struct prom *p, const char *line, double le, double value,
			       const char *rest)
{
	if (isnan(le))
		return prom_fail(p, "a bucket without le", line);
	if (!p->open) {
		snprintf(p->of, sizeof(p->of), "%s", rest);
		p->le = -INFINITY;
		p->below = 0;
		p->open = true;
	}
	if (strcmp(p->of, rest))
		return prom_fail(p, "buckets of two series mixed", line);
	if (le <= p->le || value < p->below)
		return prom_fail(p, "buckets that do not rise", line);
	p->le = le;
	p->below = value;
	return true;
}

static inline bool prom_histogram(struct prom *p, const char *suffix, const char *line, double le,
				  double value, const char *rest)
{
	if (!strcmp(suffix, "_bucket"))
		return prom_bucket(p, line, le, value, rest);
	if (!p->open || strcmp(p->of, rest) || !isinf(p->le))
		return prom_fail(p, "sum or count without all buckets before", line);
	if (!strcmp(suffix, "_sum"))
		return true;
	if (strcmp(suffix, "_count"))
		return prom_fail(p, "not of a histogram", line);
	p->open = false;
	return value == p->below || prom_fail(p, "count and +Inf differ", line);
}

static inline bool prom_sample(struct prom *p, const char *line)
{
	size_t n = prom_name(line, false), family = strlen(p->family);
	double le = NAN, value;
	char rest[PROM_LINE] = "", suffix[32] = "";
	const char *after = prom_labels(p, line + n, line, &le, rest);
	char *end;

	if (!after)
		return false;
	if (!n || n < family || strncmp(line, p->family, family) || n - family >= sizeof(suffix))
		return prom_fail(p, "a sample outside its family", line);
	memcpy(suffix, line + family, n - family);
	value = strtod(after, &end);
	if (*after != ' ' || end == after || *end)
		return prom_fail(p, "not a value", line);
	if (strcmp(p->type, "gauge") && !(value >= 0))
		return prom_fail(p, "a count below 0", line);
	if (p->series_count == PROM_SERIES)
		return prom_fail(p, "more series than this checker holds", line);
	p->series[p->series_count++] = strndup(line, (size_t)(after - line));
	if (!strcmp(p->type, "histogram"))
		return prom_histogram(p, suffix, line, le, value, rest);
	return !suffix[0] || prom_fail(p, "a sample outside its family", line);
}

static inline int prom_by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void prom_twice(struct prom *p)
{
	qsort(p->series, p->series_count, sizeof(p->series[0]), prom_by_text);
	for (unsigned i = 1; i < p->series_count; i++)
		if (!strcmp(p->series[i - 1], p->series[i]))
			prom_fail(p, "a series comes twice", p->series[i]);
}

/* NULL: it is legal; else what is wrong, until the next call. */
static inline const char *prom_check(const char *text)
{
	static char error[PROM_LINE + 200];
	struct prom *p = calloc(1, sizeof(*p));
	char line[PROM_LINE];
	bool ok = true;

	for (const char *end; ok && *text; text = end + 1) {
		end = strchr(text, '\n');
		if (!end || end - text >= PROM_LINE) {
			prom_fail(p, end ? "a long line" : "no newline at the end", text);
			break;
		}
		memcpy(line, text, (size_t)(end - text));
		line[end - text] = '\0';
		ok = !line[0] || (line[0] == '#' ? prom_comment(p, line) : prom_sample(p, line));
	}
	if (p->open)
		prom_fail(p, "a histogram without +Inf or count", p->family);
	prom_twice(p);
	snprintf(error, sizeof(error), "%s", p->error);
	for (unsigned i = 0; i < p->family_count; i++)
		free(p->families[i]);
	for (unsigned i = 0; i < p->series_count; i++)
		free(p->series[i]);
	free(p);
	return error[0] ? error : NULL;
}

#endif
