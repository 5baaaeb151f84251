/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores by the originals, in double. Sums run over the dimensions in their order, so that all
 * hosts agree. Hits whose template was deleted meanwhile come last, behind record_count.
 */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ranked {
	struct search_hit hit;
	double score;
	bool gone, nearer_is_less;
};

static double length_of(const float *x, uint32_t dim)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < dim; i++)
		sum += (double)x[i] * x[i];
	return sqrt(sum);
}

static double score(enum search_metric metric, const float *probe, double probe_length,
		    const float *x, uint32_t dim)
{
	double sum = 0.0;

	if (metric == SEARCH_L2) {
		for (uint32_t i = 0; i < dim; i++) {
			double d = (double)probe[i] - x[i];

			sum += d * d;
		}
		return sum;
	}
	for (uint32_t i = 0; i < dim; i++)
		sum += (double)probe[i] * x[i];
	return metric == SEARCH_DOT ? sum : sum / (probe_length * length_of(x, dim));
}

static int by_score(const void *a_, const void *b_)
{
	const struct ranked *a = a_, *b = b_;

	if (a->gone != b->gone)
		return a->gone ? 1 : -1;
	if (a->score != b->score)
		return (a->score < b->score) == a->nearer_is_less ? -1 : 1;
	return a->hit.id < b->hit.id ? -1 : a->hit.id > b->hit.id;
}

/* -ENOENT: the template is gone. */
static int original_of(struct gallery *gallery, struct store_view *view,
		       const struct search_hit *hit, float *x)
{
	struct record record;
	uint64_t seq;
	int err;

	if (hit->row >= gallery->rows.part[0].size / search_padded_dim(gallery->spec.space.dim))
		return -EINVAL;
	seq = __atomic_load_n(&gallery->rows.seq[hit->row], __ATOMIC_RELAXED);
	err = store_get(view, &seq, false, &record);
	if (err)
		return err;
	if (record.id != hit->id)
		return -ENOENT;
	return store_original(view, seq, &record, x);
}

static int rank(struct gallery *gallery, struct gallery_request *request, struct store_view *view,
		struct ranked *ranked)
{
	const struct gallery_space *space = &gallery->spec.space;
	double length = length_of(request->probe, space->dim);
	float x[SEARCH_DIM_MAX];

	for (uint32_t i = 0; i < request->count; i++) {
		int err = original_of(gallery, view, &request->hits[i], x);

		if (err && err != -ENOENT)
			return gallery_fail(request, -EIO, "reading an original: %s",
					    strerror(-err));
		ranked[i].hit = request->hits[i];
		ranked[i].gone = err != 0;
		ranked[i].nearer_is_less = space->metric == SEARCH_L2;
		if (!err)
			ranked[i].score =
				score(space->metric, request->probe, length, x, space->dim);
		request->record_count += !err;
	}
	return 0;
}

static bool finite_probe(const float *x, uint32_t dim)
{
	bool zero = true;

	for (uint32_t i = 0; i < dim; i++) {
		if (!isfinite(x[i]))
			return false;
		zero = zero && x[i] == 0.0f;
	}
	return !zero;
}

int gallery_rerank(struct gallery *gallery, struct gallery_request *request,
		   struct store_view *view)
{
	struct ranked *ranked;
	int err;

	if (!request->probe || !finite_probe(request->probe, gallery->spec.space.dim))
		return gallery_fail(request, -EINVAL,
				    "the probe is zero or holds a NaN or infinity");
	if (request->count > SEARCH_K_MAX || (request->count && !request->hits) || !request->scores)
		return gallery_fail(request, -EINVAL, "re-rank takes at most %u hits",
				    SEARCH_K_MAX);
	ranked = calloc(request->count + 1, sizeof(*ranked));
	if (!ranked)
		return gallery_fail(request, -ENOMEM, "out of memory");
	err = rank(gallery, request, view, ranked);
	if (!err) {
		qsort(ranked, request->count, sizeof(*ranked), by_score);
		for (uint32_t i = 0; i < request->count; i++) {
			request->hits[i] = ranked[i].hit;
			request->scores[i] = ranked[i].gone ? NAN : ranked[i].score;
		}
	}
	free(ranked);
	return err;
}
