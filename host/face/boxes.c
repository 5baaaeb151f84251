/* SPDX-License-Identifier: Apache-2.0 */
/* From the detector's anchors to boxes, and which face a photo is about. */
#include "host/face/boxes.h"

#include <errno.h>
#include <stdlib.h>

static int by_score(const void *a, const void *b)
{
	const struct face_found *f = a, *g = b;

	if (f->score != g->score)
		return f->score > g->score ? -1 : 1;
	return f->anchor < g->anchor ? -1 : f->anchor > g->anchor;
}

/* Comparisons are false of a NaN. */
static bool usable(const struct face_found *f, float min_score)
{
	return f->score >= min_score && f->score <= 1.001f && f->left >= -1 && f->top >= -1 &&
	       f->right <= 2 && f->bottom <= 2 && f->left < f->right && f->top < f->bottom;
}

static double area(double left, double top, double right, double bottom)
{
	return left < right && top < bottom ? (right - left) * (bottom - top) : 0;
}

static double overlap(const struct face_found *f, const struct face_found *g)
{
	double both = area(f->left > g->left ? f->left : g->left, f->top > g->top ? f->top : g->top,
			   f->right < g->right ? f->right : g->right,
			   f->bottom < g->bottom ? f->bottom : g->bottom);
	double all = area(f->left, f->top, f->right, f->bottom) +
		     area(g->left, g->top, g->right, g->bottom) - both;

	return both / all;
}

static uint32_t collect(const float *scores, const float *boxes, uint32_t anchors, float min_score,
			struct face_found *all)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < anchors; i++) {
		const float *box = boxes + 4 * (size_t)i;
		struct face_found f = {box[0], box[1], box[2], box[3], scores[2 * (size_t)i + 1],
				       i};

		if (usable(&f, min_score))
			all[count++] = f;
	}
	qsort(all, count, sizeof(*all), by_score);
	return count < FACE_CANDIDATES ? count : FACE_CANDIDATES;
}

int face_boxes_pick(const float *scores, const float *boxes, uint32_t anchors, float min_score,
		    float max_overlap, struct face_found *kept, uint32_t max)
{
	struct face_found *all = malloc(((size_t)anchors + 1) * sizeof(*all));
	uint32_t count, n = 0;

	if (!all)
		return -ENOMEM;
	count = collect(scores, boxes, anchors, min_score, all);
	for (uint32_t i = 0; i < count && n < max; i++) {
		bool free_of_others = true;

		for (uint32_t j = 0; j < n && free_of_others; j++)
			free_of_others = overlap(&all[i], &kept[j]) <= max_overlap;
		if (free_of_others)
			kept[n++] = all[i];
	}
	free(all);
	return (int)n;
}

/* ---- which face ---------------------------------------------------------------------------------- */

static double merit_of_size(const struct facet_face *f, const struct facet_face_image *image)
{
	(void)image;
	return area(f->left, f->top, f->right, f->bottom);
}

static double merit_of_place(const struct facet_face *f, const struct facet_face_image *image)
{
	double dx = ((double)f->left + f->right - image->width) / 2;
	double dy = ((double)f->top + f->bottom - image->height) / 2;

	return -(dx * dx + dy * dy);
}

int facet_face_choose(const struct facet_face_set *set, const struct facet_face_image *image,
		      enum facet_face_choice choice)
{
	static double (*const merits[])(const struct facet_face *,
					const struct facet_face_image *) = {
		[FACET_FACE_LARGEST] = merit_of_size, [FACET_FACE_CENTRE] = merit_of_place};
	uint32_t best = 0;

	if (!set->count)
		return -ENOENT;
	if (choice == FACET_FACE_ONLY)
		return set->count == 1 ? 0 : -E2BIG;
	if ((size_t)choice >= sizeof(merits) / sizeof(merits[0]))
		return -EINVAL;
	for (uint32_t i = 1; i < set->count; i++)
		if (merits[choice](&set->face[i], image) > merits[choice](&set->face[best], image))
			best = i;
	return (int)best;
}

void facet_face_set_free(struct facet_face_set *set)
{
	free(set->face);
	*set = (struct facet_face_set){0};
}
