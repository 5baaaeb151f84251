/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kernels/search_world.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u

uint64_t world_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t world_below(uint64_t *state, uint64_t n)
{
	return world_random(state) % n;
}

/* Memory whose last byte is the last one that may be read. */
static void *guarded(struct world *w, size_t bytes, size_t align)
{
	size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
	uint8_t *p = mmap(NULL, whole + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	assert(p != MAP_FAILED && w->map_count < 16);
	mprotect(p + whole, PAGE, PROT_NONE);
	w->maps[w->map_count] = p;
	w->map_bytes[w->map_count++] = whole + PAGE;
	return p + (whole - bytes) / align * align;
}

/* ---- values: what makes ties, what makes extremes, and what is ordinary ---- */

enum flavour { ORDINARY, EXTREME, FEW_VALUES, IDENTICAL, DUPLICATES, FLAVOURS };

static int8_t random_value(uint64_t *state, enum flavour flavour)
{
	static const int8_t extremes[] = {-128, -128, 127, 127, -127, 0};

	if (flavour == EXTREME)
		return extremes[world_below(state, 6)];
	if (flavour == FEW_VALUES)
		return (int8_t)((int)world_below(state, 3) - 1);
	return (int8_t)world_below(state, 256);
}

static void random_rows(struct world *w, uint64_t *state, enum flavour flavour)
{
	uint32_t dim = w->layout.dim;

	for (uint64_t r = 0; r < w->rows; r++) {
		int8_t *x = w->x + r * dim;
		uint64_t of = flavour == IDENTICAL ? 0 : world_below(state, r + 1);

		for (uint32_t d = 0; d < dim; d++)
			x[d] = random_value(state, flavour);
		if (r && (flavour == IDENTICAL || (flavour == DUPLICATES && r % 3)))
			memcpy(x, w->x + of * dim, dim);
		search_put_row(&w->layout, r, x);
	}
}

static float random_float(uint64_t *state, float low, float high)
{
	return low + (high - low) * (float)(world_random(state) >> 40) * 0x1p-24f;
}

static void random_columns(struct world *w, uint64_t *state, enum flavour flavour)
{
	bool same_scale = flavour == IDENTICAL || world_below(state, 3) == 0;
	uint64_t some = 1 + world_below(state, w->rows);
	float scale = random_float(state, 0.001f, 0.1f);

	for (uint64_t r = 0; r < w->tiles * SEARCH_TILE_ROWS; r++) {
		w->scale[r] = same_scale ? scale : random_float(state, 0.0f, 0.1f);
		w->bias[r] = same_scale ? 2.0f : random_float(state, 0.0f, 1000.0f);
	}
	for (uint64_t r = 0; r < w->rows; r++) {
		w->id[r] = (r + 1) * 0x9e3779b97f4a7c15u;
		w->tags[r] = world_below(state, 8);
		w->born[r] = (uint32_t)world_below(state, 6);
		w->died[r] = world_below(state, 2) ? SEARCH_NEVER
						   : w->born[r] + (uint32_t)world_below(state, 6);
		w->subject[r] = (uint32_t)world_below(state, some);
	}
}

/* The score of a row, each step exact and then rounded once. */
static float exact_score(const struct world *w, const struct search_query *q, uint64_t r)
{
	int64_t dot = 0;
	float s;

	for (uint32_t d = 0; d < w->layout.dim; d++)
		dot += (int64_t)w->x[r * w->layout.dim + d] * q->x[d];
	s = (float)dot;
	if (w->layout.metric != SEARCH_DOT)
		s = (float)((__float128)s * w->scale[r]);
	if (w->layout.metric == SEARCH_L2) {
		s = (float)((__float128)s * q->q_mul);
		s = (float)((__float128)s - w->bias[r]);
	}
	return s;
}

static float random_limit(const struct world *w, const struct search_query *q, uint64_t *state)
{
	uint64_t r = world_below(state, w->rows);

	switch (world_below(state, 4)) {
	case 0: /* a row's own score: it passes */
		return exact_score(w, q, r);
	case 1: /* just above: it does not */
		return nextafterf(exact_score(w, q, r), INFINITY);
	default:
		return -INFINITY;
	}
}

static void random_queries(struct world *w, uint64_t *state, uint32_t k, enum flavour flavour)
{
	for (uint32_t i = 0; i < w->count; i++) {
		struct search_query *q = &w->queries[i];
		int8_t *x = w->probes + (size_t)i * w->layout.dim;

		for (uint32_t d = 0; d < w->layout.dim; d++)
			x[d] = random_value(state, flavour);
		q->x = x;
		q->q_mul = random_float(state, 0.0f, 0.1f);
		q->k = 1 + (uint32_t)world_below(state, world_below(state, 2) ? 12 : k);
		q->k = q->k > k ? k : q->k;
		q->by_subject = world_below(state, 2);
		q->epoch = (uint32_t)world_below(state, 8);
		q->rows = world_below(state, 2) ? w->rows : world_below(state, w->rows + 1);
		q->tag_mask = world_below(state, 2) ? 0 : world_below(state, 8);
		q->tag_value = world_below(state, 8) & q->tag_mask;
		q->limit = random_limit(w, q, state);
	}
}

static void random_layout(struct world *w, uint64_t *state, const struct world_limits *limits)
{
	uint32_t dim = 1 + (uint32_t)world_below(state, limits->dim);
	uint32_t padded = search_padded_dim(dim);
	uint32_t head =
		world_below(state, 2) ? padded : 4 + 4 * (uint32_t)world_below(state, padded / 4);

	w->rows = 1 + world_below(state, limits->rows);
	w->tiles = (w->rows + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS;
	w->layout.metric = (enum search_metric)world_below(state, 3);
	w->layout.dim = dim;
	w->layout.head = head;
	w->layout.head_tiles = guarded(w, w->tiles * SEARCH_TILE_ROWS * head, 64);
	if (head < padded)
		w->layout.tail_tiles =
			guarded(w, w->tiles * SEARCH_TILE_ROWS * (padded - head), 64);
}

struct world *world_create(uint64_t seed, const struct world_limits *limits)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t state = seed;
	enum flavour flavour = (enum flavour)world_below(&state, FLAVOURS);

	assert(w);
	w->seed = seed;
	random_layout(w, &state, limits);
	w->x = guarded(w, w->rows * w->layout.dim, 1);
	w->scale = guarded(w, w->tiles * SEARCH_TILE_ROWS * sizeof(float), 4);
	w->bias = guarded(w, w->tiles * SEARCH_TILE_ROWS * sizeof(float), 4);
	w->id = guarded(w, w->rows * sizeof(*w->id), 8);
	w->tags = guarded(w, w->rows * sizeof(*w->tags), 8);
	w->born = guarded(w, w->rows * sizeof(*w->born), 4);
	w->died = guarded(w, w->rows * sizeof(*w->died), 4);
	w->subject = guarded(w, w->rows * sizeof(*w->subject), 4);
	w->layout.scale = w->scale;
	w->layout.bias = w->bias;
	w->layout.id = w->id;
	w->layout.tags = w->tags;
	w->layout.born = w->born;
	w->layout.died = w->died;
	w->layout.subject = w->subject;
	w->count = 1 + (uint32_t)world_below(&state, limits->count);
	w->probes = guarded(w, (size_t)w->count * w->layout.dim, 1);
	random_rows(w, &state, flavour);
	random_columns(w, &state, flavour);
	random_queries(w, &state, limits->k, flavour);
	return w;
}

void world_free(struct world *w)
{
	for (int i = 0; i < w->map_count; i++)
		munmap(w->maps[i], w->map_bytes[i]);
	free(w);
}

/* ---- the oracle ---- */

static bool is_candidate(const struct world *w, const struct search_query *q, uint64_t r)
{
	return w->born[r] <= q->epoch && w->died[r] > q->epoch &&
	       (w->tags[r] & q->tag_mask) == q->tag_value && exact_score(w, q, r) >= q->limit;
}

static int compare_hits(const void *a, const void *b)
{
	const struct search_hit *x = a, *y = b;

	if (x->s != y->s)
		return x->s > y->s ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static uint32_t first_of_each_subject(struct search_hit *hits, uint32_t count, uint32_t subjects)
{
	bool *seen = calloc(subjects, sizeof(*seen));
	uint32_t kept = 0;

	assert(seen);
	for (uint32_t i = 0; i < count; i++) {
		if (seen[hits[i].subject])
			continue;
		seen[hits[i].subject] = true;
		hits[kept++] = hits[i];
	}
	free(seen);
	return kept;
}

struct search_hit *world_answer(const struct world *w, uint32_t i, uint32_t *count)
{
	const struct search_query *q = &w->queries[i];
	struct search_hit *hits = calloc(w->rows, sizeof(*hits));
	uint32_t n = 0;

	assert(hits);
	for (uint64_t r = 0; r < q->rows; r++)
		if (is_candidate(w, q, r))
			hits[n++] = (struct search_hit){exact_score(w, q, r), w->subject[r],
							w->id[r], r};
	qsort(hits, n, sizeof(*hits), compare_hits);
	if (q->by_subject)
		n = first_of_each_subject(hits, n, (uint32_t)w->rows);
	*count = n < q->k ? n : q->k;
	return hits;
}

static bool same_hit(const struct search_hit *a, const struct search_hit *b)
{
	return memcmp(&a->s, &b->s, sizeof(a->s)) == 0 && a->id == b->id && a->row == b->row &&
	       a->subject == b->subject;
}

bool world_agrees(const struct world *w, uint32_t i, const struct search_list *list,
		  const char *who)
{
	struct search_hit *got = calloc(SEARCH_K_MAX, sizeof(*got));
	uint32_t count = search_list_sorted(list, got);
	uint32_t expected_count, same = 0;
	struct search_hit *expected = world_answer(w, i, &expected_count);
	bool agrees;

	while (same < count && same < expected_count && same_hit(&got[same], &expected[same]))
		same++;
	agrees = same == count && same == expected_count;
	if (!agrees)
		printf("seed %llu: %s differs: query %u of %u, dim %u, head %u, metric %d: "
		       "%u hits for %u, hit %u is the first that differs\n",
		       (unsigned long long)w->seed, who, i, w->count, w->layout.dim, w->layout.head,
		       (int)w->layout.metric, count, expected_count, same);
	free(expected);
	free(got);
	return agrees;
}
