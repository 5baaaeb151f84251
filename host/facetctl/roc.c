/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/roc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pair {
	float score;
	uint32_t a, b;
};

struct pairs {
	struct pair *items;
	uint64_t count, room;
};

struct roc {
	uint32_t subjects;
	struct pairs genuine, impostor; /* best first after roc_finish() */
};

struct roc *roc_create(uint32_t subjects)
{
	struct roc *roc = calloc(1, sizeof(*roc));

	if (roc)
		roc->subjects = subjects;
	return roc;
}

void roc_free(struct roc *roc)
{
	if (!roc)
		return;
	free(roc->genuine.items);
	free(roc->impostor.items);
	free(roc);
}

int roc_add(struct roc *roc, uint32_t subject_a, uint32_t subject_b, float score)
{
	struct pairs *to = subject_a == subject_b ? &roc->genuine : &roc->impostor;

	if (to->count == to->room) {
		uint64_t room = to->room ? 2 * to->room : 4096;
		struct pair *items = realloc(to->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		to->items = items;
		to->room = room;
	}
	to->items[to->count++] = (struct pair){score, subject_a, subject_b};
	return 0;
}

static int by_score(const void *a, const void *b)
{
	float x = ((const struct pair *)a)->score, y = ((const struct pair *)b)->score;

	return (x < y) - (x > y);
}

int roc_finish(struct roc *roc)
{
	if (roc->genuine.count == 0 || roc->impostor.count == 0)
		return -ENODATA;
	qsort(roc->genuine.items, roc->genuine.count, sizeof(struct pair), by_score);
	qsort(roc->impostor.items, roc->impostor.count, sizeof(struct pair), by_score);
	return 0;
}

uint64_t roc_genuine(const struct roc *roc)
{
	return roc->genuine.count;
}

uint64_t roc_impostors(const struct roc *roc)
{
	return roc->impostor.count;
}

/* How often a pair counts; without weights, once. A genuine pair needs its one subject drawn. */
static double weight_of(const struct pair *pair, const uint32_t *drawn)
{
	if (!drawn)
		return 1.0;
	return pair->a == pair->b ? drawn[pair->a] : (double)drawn[pair->a] * drawn[pair->b];
}

static double total_weight(const struct pairs *pairs, const uint32_t *drawn)
{
	double total = 0;

	for (uint64_t i = 0; i < pairs->count; i++)
		total += weight_of(&pairs->items[i], drawn);
	return total;
}

/*
 * The smallest threshold with at most `allowed` impostor weight at or above it: just above the
 * first impostor score whose whole tie group no longer fits.
 */
static double threshold_for(const struct pairs *impostor, const uint32_t *drawn, double allowed)
{
	double passed = 0;
	uint64_t i = 0;

	while (i < impostor->count) {
		float score = impostor->items[i].score;
		double group = 0;

		for (; i < impostor->count && impostor->items[i].score == score; i++)
			group += weight_of(&impostor->items[i], drawn);
		if (passed + group > allowed)
			return nextafterf(score, INFINITY);
		passed += group;
	}
	return -INFINITY;
}

static double tar_at(const struct pairs *genuine, const uint32_t *drawn, double threshold)
{
	double passed = 0, total = 0;

	for (uint64_t i = 0; i < genuine->count; i++) {
		double weight = weight_of(&genuine->items[i], drawn);

		total += weight;
		if (genuine->items[i].score >= threshold)
			passed += weight;
	}
	return total > 0 ? passed / total : NAN;
}

void roc_at(const struct roc *roc, double far, struct roc_point *point)
{
	double allowed = far * (double)roc->impostor.count;

	point->far = far;
	point->threshold = threshold_for(&roc->impostor, NULL, allowed);
	point->tar = tar_at(&roc->genuine, NULL, point->threshold);
	point->low = point->high = NAN;
}

/* xorshift64*: the draws only need to be even and repeatable. */
static uint32_t draw(uint64_t *state, uint32_t bound)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(((*state * 0x2545f4914f6cdd1dull >> 32) * bound) >> 32);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int roc_interval(const struct roc *roc, struct roc_point *point, uint32_t replicates, uint64_t seed)
{
	uint32_t *drawn = calloc(roc->subjects, sizeof(*drawn)), kept = 0;
	double *tars = calloc(replicates, sizeof(*tars));
	uint64_t state = seed | 1;
	int result = -ENOMEM;

	if (!drawn || !tars)
		goto out;
	for (uint32_t r = 0; r < replicates; r++) {
		memset(drawn, 0, roc->subjects * sizeof(*drawn));
		for (uint32_t i = 0; i < roc->subjects; i++)
			drawn[draw(&state, roc->subjects)]++;
		double allowed = point->far * total_weight(&roc->impostor, drawn);
		double tar =
			tar_at(&roc->genuine, drawn, threshold_for(&roc->impostor, drawn, allowed));
		if (!isnan(tar)) /* a draw may hold no subject with two photos */
			tars[kept++] = tar;
	}
	result = kept ? 0 : -ENODATA;
	if (kept) {
		qsort(tars, kept, sizeof(*tars), by_value);
		point->low = tars[(uint32_t)(0.025 * kept)];
		point->high = tars[(uint32_t)(0.975 * (kept - 1))];
	}
out:
	free(tars);
	free(drawn);
	return result;
}
