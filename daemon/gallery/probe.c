/* SPDX-License-Identifier: Apache-2.0 */
/* Queries: a vector made ready, scores as users see them, 1:1. */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define Q_MUL_MAX 0x1p40f /* kernels/ops.h */

static double norm2(const int8_t *x, uint32_t dim)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < dim; i++)
		sum += x[i] * x[i];
	return (double)sum;
}

static int finish(const struct gallery *gallery, struct gallery_probe *probe, float step)
{
	const struct gallery_space *space = &gallery->spec.space;
	double norm = norm2(probe->x, space->dim);

	if (norm == 0.0)
		return -EINVAL;
	probe->q_scale = step;
	probe->q_norm2 = 0.0f;
	if (space->metric == SEARCH_COSINE)
		probe->q_scale = op_cosine_scale(probe->x, space->dim);
	if (space->metric == SEARCH_L2) {
		if (!(step <= Q_MUL_MAX))
			return -EINVAL;
		probe->q_norm2 = (float)(norm * ((double)step * step));
	}
	return 0;
}

int gallery_probe_f32(const struct gallery *gallery, const float *x, struct gallery_probe *probe)
{
	float step;
	int err = gallery->cpu->quantize_row(x, gallery->spec.space.dim, probe->x, &step);

	return err ? err : finish(gallery, probe, step);
}

int gallery_probe_s8(const struct gallery *gallery, const int8_t *x, struct gallery_probe *probe)
{
	memcpy(probe->x, x, gallery->spec.space.dim);
	return finish(gallery, probe, 1.0f);
}

float gallery_score(const struct gallery *gallery, const struct gallery_probe *probe, float s)
{
	if (gallery->spec.space.metric == SEARCH_L2)
		return fmaxf(probe->q_norm2 - s, 0.0f);
	return s * probe->q_scale;
}

/* Floats in their order as integers in theirs: -infinity is the least, infinity the largest. */
static float float_at(int64_t rank)
{
	uint32_t bits = rank >= 0 ? (uint32_t)rank : 0x80000000u | (uint32_t)(-rank - 1);
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

#define RANK_INFINITY ((int64_t)0x7f800000)

static bool passes(const struct gallery *gallery, const struct gallery_probe *probe,
		   float threshold, float s)
{
	float score = gallery_score(gallery, probe, s);

	return gallery->spec.space.metric == SEARCH_L2 ? score <= threshold : score >= threshold;
}

/* Scores are monotonic in s, so the least s that passes is found by halving. */
float gallery_limit(const struct gallery *gallery, const struct gallery_probe *probe,
		    float threshold)
{
	int64_t fails = -RANK_INFINITY - 1, meets = RANK_INFINITY;

	if (passes(gallery, probe, threshold, -INFINITY))
		return -INFINITY;
	if (!passes(gallery, probe, threshold, INFINITY))
		return INFINITY; /* also for a threshold that is no number */
	while (meets - fails > 1) {
		int64_t middle = fails + (meets - fails) / 2;

		if (passes(gallery, probe, threshold, float_at(middle)))
			meets = middle;
		else
			fails = middle;
	}
	return float_at(meets);
}

void gallery_query(const struct gallery *gallery, const struct gallery_probe *probe,
		   const struct gallery_snapshot *snapshot, struct search_query *query)
{
	bool l2 = gallery->spec.space.metric == SEARCH_L2;

	query->x = probe->x;
	query->q_mul = l2 ? probe->q_scale : 0.0f;
	query->epoch = snapshot->epoch;
	query->rows = snapshot->row_count;
}

const char *gallery_subject(const struct gallery *gallery, uint32_t subject)
{
	return subjects_name(&gallery->subjects, subject);
}

static uint32_t first_row(struct gallery *gallery, const char *name, uint32_t *subject)
{
	struct subjects *subjects = &gallery->subjects;
	uint32_t row = ROWS_NONE;

	pthread_mutex_lock(&subjects->lock);
	*subject = subjects_find(subjects, name);
	if (*subject != INDEX_NONE)
		row = subjects->entry[*subject].head;
	pthread_mutex_unlock(&subjects->lock);
	return row;
}

/* The values of a row: from memory, or from the view. -ENOENT: it was deleted a moment ago. */
static int values_of(const struct gallery *gallery, struct store_view *view, uint32_t row,
		     int8_t *y)
{
	const struct rows *rows = &gallery->rows;
	struct record record;
	uint64_t seq;
	int err;

	if (!view) {
		search_get_row(&rows->view, row, y);
		return 0;
	}
	seq = __atomic_load_n(&rows->seq[row], __ATOMIC_RELAXED);
	err = store_get(view, &seq, false, &record);
	if (!err && record.id != rows->view.id[row])
		err = -ENOENT;
	if (!err)
		memcpy(y, record.x, rows->view.dim);
	return err;
}

int verify_rows(const struct gallery *gallery, struct store_view *view,
		const struct gallery_snapshot *snapshot, const char *subject,
		const struct gallery_probe *probe, struct search_hit *best)
{
	struct gallery *g = (struct gallery *)gallery; /* its lock is taken */
	const struct rows *rows = &gallery->rows;
	bool l2 = gallery->spec.space.metric == SEARCH_L2;
	int err = -ENOENT;
	uint32_t row = first_row(g, subject, &best->subject);

	for (; row != ROWS_NONE; row = __atomic_load_n(&rows->older[row], __ATOMIC_ACQUIRE)) {
		uint64_t id = rows->view.id[row];
		int8_t y[SEARCH_DIM_MAX];
		int missing;
		float s;

		if (!rows_visible(rows, row, snapshot->epoch, snapshot->row_count))
			continue;
		missing = values_of(gallery, view, row, y);
		if (missing && missing != -ENOENT)
			return missing;
		if (missing)
			continue;
		s = rows_score(rows, row, y, probe->x, l2 ? probe->q_scale : 0.0f);
		if (!err && (s < best->s || (s == best->s && id > best->id)))
			continue;
		best->s = s;
		best->id = id;
		best->row = row;
		err = 0;
	}
	return err;
}

int gallery_verify(const struct gallery *gallery, const struct gallery_snapshot *snapshot,
		   const char *subject, const struct gallery_probe *probe, struct search_hit *best)
{
	return verify_rows(gallery, NULL, snapshot, subject, probe, best);
}
