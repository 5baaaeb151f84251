/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/scrape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX  6
#define SAMPLES_MAX 100000u
#define VALUES_MAX  256u
#define BUCKETS_MAX 64u

struct sample {
	const char *name;
	const char *label[LABELS_MAX][2];
	int labels;
	double value;
};

struct scrape {
	char *text; /* cut into words */
	struct sample *sample;
	size_t count;
};

/* ---- parsing ------------------------------------------------------------------------------------ */
/* Name and value of one label; where it ends, NULL if it is none. */
static char *take_label(char *at, struct sample *sample)
{
	char *equals = strchr(at, '='), *end;

	if (!equals || equals[1] != '"' || sample->labels == LABELS_MAX)
		return NULL;
	end = strchr(equals + 2, '"');
	if (!end)
		return NULL;
	*equals = '\0';
	*end = '\0';
	sample->label[sample->labels][0] = at;
	sample->label[sample->labels++][1] = equals + 2;
	return end + 1;
}

static bool take_line(char *line, struct sample *sample)
{
	char *at = line + strcspn(line, "{ "), *end;

	*sample = (struct sample){.name = line};
	if (line[0] == '#' || !*at)
		return false;
	if (*at == '{') {
		*at++ = '\0';
		while (at && *at && *at != '}') {
			at = take_label(at, sample);
			if (at && *at == ',')
				at++;
		}
		if (!at || *at != '}')
			return false;
		at++;
	} else {
		*at++ = '\0';
	}
	sample->value = strtod(at, &end);
	return end != at;
}

struct scrape *scrape_parse(const char *text)
{
	struct scrape *scrape = calloc(1, sizeof(*scrape));
	size_t lines = 1;
	char *save = NULL;

	if (!scrape)
		return NULL;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	lines = lines < SAMPLES_MAX ? lines : SAMPLES_MAX;
	scrape->text = strdup(text);
	scrape->sample = calloc(lines, sizeof(*scrape->sample));
	if (!scrape->text || !scrape->sample) {
		scrape_free(scrape);
		return NULL;
	}
	for (char *line = strtok_r(scrape->text, "\n", &save); line && scrape->count < lines;
	     line = strtok_r(NULL, "\n", &save))
		scrape->count += take_line(line, &scrape->sample[scrape->count]);
	return scrape;
}

void scrape_free(struct scrape *scrape)
{
	if (!scrape)
		return;
	free(scrape->sample);
	free(scrape->text);
	free(scrape);
}

/* ---- asking -------------------------------------------------------------------------------------- */
static const char *label_of(const struct sample *sample, const char *name)
{
	for (int i = 0; i < sample->labels; i++)
		if (!strcmp(sample->label[i][0], name))
			return sample->label[i][1];
	return NULL;
}

static bool fits(const struct sample *sample, const char *name, const char *const *labels)
{
	if (strcmp(sample->name, name) != 0)
		return false;
	for (; labels && labels[0]; labels += 2) {
		const char *value = label_of(sample, labels[0]);

		if (!value || strcmp(value, labels[1]) != 0)
			return false;
	}
	return true;
}

double scrape_sum(const struct scrape *scrape, const char *name, const char *const *labels)
{
	double sum = 0;

	for (size_t i = 0; i < scrape->count; i++)
		if (fits(&scrape->sample[i], name, labels))
			sum += scrape->sample[i].value;
	return sum;
}

const char *scrape_label(const struct scrape *scrape, const char *name, const char *label, size_t n)
{
	const char *seen[VALUES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < scrape->count && count < VALUES_MAX; i++) {
		const char *value = fits(&scrape->sample[i], name, NULL)
					    ? label_of(&scrape->sample[i], label)
					    : NULL;
		size_t k = 0;

		while (value && k < count && strcmp(seen[k], value) != 0)
			k++;
		if (!value || k < count)
			continue;
		if (count == n)
			return value;
		seen[count++] = value;
	}
	return NULL;
}

/* ---- histograms ------------------------------------------------------------------------------------ */
struct bucket {
	double le, count;
};

static int by_bound(const void *a, const void *b)
{
	double x = ((const struct bucket *)a)->le, y = ((const struct bucket *)b)->le;

	return (x > y) - (x < y);
}

static void add_buckets(const struct scrape *scrape, const char *name, const char *const *labels,
			double sign, struct bucket *bucket, size_t *count)
{
	for (size_t i = 0; i < scrape->count; i++) {
		const struct sample *sample = &scrape->sample[i];
		const char *le = fits(sample, name, labels) ? label_of(sample, "le") : NULL;
		size_t k = 0;

		if (!le)
			continue;
		while (k < *count && bucket[k].le != strtod(le, NULL))
			k++;
		if (k == BUCKETS_MAX)
			continue;
		if (k == *count)
			bucket[(*count)++] = (struct bucket){strtod(le, NULL), 0};
		bucket[k].count += sign * sample->value;
	}
}

double scrape_quantile(const struct scrape *now, const struct scrape *before, const char *name,
		       const char *const *labels, double share)
{
	struct bucket bucket[BUCKETS_MAX];
	char full[96];
	size_t count = 0;
	double all;

	snprintf(full, sizeof(full), "%s_bucket", name);
	add_buckets(now, full, labels, 1, bucket, &count);
	if (before)
		add_buckets(before, full, labels, -1, bucket, &count);
	if (!count)
		return 0;
	qsort(bucket, count, sizeof(bucket[0]), by_bound);
	all = bucket[count - 1].count;
	for (size_t i = 0; all > 0 && i < count; i++)
		if (bucket[i].count >= share * all)
			return isinf(bucket[i].le) && i ? bucket[i - 1].le : bucket[i].le;
	return 0;
}
