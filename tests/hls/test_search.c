/* SPDX-License-Identifier: Apache-2.0 */
/* The search kernel in C simulation: its survivors against the oracle and against kernels/ref. */
#include "hls/search.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/search_world.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct world_limits small = {.dim = 64, .rows = 300, .count = 64, .k = 40};
static const struct world_limits wide = {.dim = 1024, .rows = 70, .count = 30, .k = 20};
static const struct world_limits tall = {.dim = 6, .rows = 20000, .count = 3, .k = 300};
static const struct world_limits tiny = {.dim = 5, .rows = 17, .count = 3, .k = 3};

/* One call, with everything in memory of exactly the stated size. */
struct call {
	const struct world *w;
	struct shell_search args;
	struct shell_query *parameters;
	int8_t *x;
	uint32_t *survivors;
	size_t answer_bytes;
	uint64_t value;
	bool no_epochs, no_tags;
};

static void call_create(struct call *c, const struct world *w, uint32_t capacity)
{
	const struct search_rows *rows = &w->layout;
	uint32_t dim = rows->dim;

	*c = (struct call){.w = w};
	c->args = (struct shell_search){rows->metric,	    dim,      rows->head, w->count,
					(uint32_t)w->tiles, capacity, {0, 0}};
	c->parameters = fixture_alloc(w->count * sizeof(*c->parameters));
	c->x = fixture_alloc((size_t)w->count * dim);
	c->answer_bytes =
		sizeof(struct shell_survivors) + (size_t)capacity * sizeof(struct shell_survivor);
	c->survivors = fixture_alloc(w->count * c->answer_bytes);
	memset(c->survivors, 0x5a, w->count * c->answer_bytes);
	for (uint32_t i = 0; i < w->count; i++) {
		const struct search_query *q = &w->queries[i];

		memcpy(c->x + (size_t)i * dim, q->x, dim);
		c->parameters[i] = (struct shell_query){.q_mul = hls_bits(q->q_mul),
							.limit = hls_bits(q->limit),
							.k = q->by_subject ? 0 : q->k,
							.epoch = q->epoch,
							.rows = q->rows,
							.tag_mask = q->tag_mask,
							.tag_value = q->tag_value};
	}
}

static void call_free(struct call *c)
{
	free(c->parameters);
	free(c->x);
	free(c->survivors);
}

/* Where the first tile of a port lies; past the end for ports that have none. */
static const struct hls_line *port(const uint8_t *tiles, uint32_t n, const struct search_state *s,
				   uint32_t groups)
{
	uint64_t tile = (uint64_t)n * s->share;

	if (!tiles || tile >= s->tiles)
		return NULL;
	return (const struct hls_line *)(const void *)tiles + tile * groups;
}

#define PORT_OF_WORLD(n)                                                                           \
	, port(rows->head_tiles, n, s, s->head_groups),                                            \
		port(rows->tail_tiles, n, s, s->groups - s->head_groups)

static struct search_columns columns_of(const struct call *c)
{
	const struct search_rows *rows = &c->w->layout;

	return (struct search_columns){
		rows->metric == SEARCH_DOT ? NULL : rows->scale,
		rows->metric == SEARCH_L2 ? rows->bias : NULL, c->no_epochs ? NULL : rows->born,
		c->no_epochs ? NULL : rows->died, c->no_tags ? NULL : rows->tags};
}

static void run_kernel(struct call *c)
{
	const struct search_rows *rows = &c->w->layout;
	struct search_state sizes = {.tiles = (uint32_t)c->w->tiles,
				     .share = ((uint32_t)c->w->tiles + HLS_CHANNELS - 1) /
					      HLS_CHANNELS,
				     .head_groups = rows->head / 4,
				     .groups = search_padded_dim(rows->dim) / 4};
	const struct search_state *s = &sizes;
	struct search_columns columns = columns_of(c);

	facet_search((const uint32_t *)&c->args, &c->value, c->survivors, c->x,
		     (const uint32_t *)c->parameters, columns.scale, columns.bias, columns.born,
		     columns.died, columns.tags HLS_EACH(PORT_OF_WORLD));
}

/* As a device does that wants to look up now and then. */
static void run_in_slices(struct call *c, uint64_t *random)
{
	const struct search_rows *rows = &c->w->layout;
	struct search_state *s = fixture_alloc(sizeof(*s));
	struct search_columns columns = columns_of(c);

	memset(s, 0xa5, sizeof(*s));
	search_open(s, (const uint32_t *)&c->args, c->x, (const uint32_t *)c->parameters);
	for (uint32_t begin = 0, end; begin < s->share; begin = end) {
		end = begin + 1 + (uint32_t)world_below(random, s->share - begin);
		search_rounds(s, begin, end, c->survivors, &columns HLS_EACH(PORT_OF_WORLD));
	}
	c->value = search_close(s, c->survivors);
	free(s);
}

/* ---- what the shell promises of survivors -------------------------------------------------------- */

static const struct shell_survivors *answer_of(const struct call *c, uint32_t i)
{
	return (const void *)((const uint8_t *)c->survivors + i * c->answer_bytes);
}

/* All rows that count, best first. */
static struct search_hit *all_that_count(const struct call *c, uint32_t i, uint32_t *count)
{
	struct world *w = (struct world *)c->w;
	struct search_query *q = &w->queries[i], was = *q;
	struct search_hit *hits;

	q->k = SEARCH_K_MAX;
	q->by_subject = false;
	hits = world_answer(w, i, count);
	*q = was;
	return hits;
}

static void check_survivors(const struct call *c, uint32_t i, const struct search_hit *hits,
			    uint32_t count)
{
	const struct shell_survivors *answer = answer_of(c, i);
	const struct shell_survivor *survivor = (const void *)(answer + 1);
	float limit = hls_float(answer->limit);
	float *score = fixture_alloc(c->w->rows * sizeof(*score));
	uint32_t reach = 0, seen = 0;

	for (uint64_t r = 0; r < c->w->rows; r++)
		score[r] = NAN;
	for (uint32_t h = 0; h < count; h++)
		score[hits[h].row] = hits[h].s;
	for (uint32_t n = 0; n < answer->stored; n++) {
		uint32_t row = survivor[n].row;

		ck_assert_uint_lt(row, c->w->rows);
		/* It counts, it has these bits, it comes once. */
		ck_assert_msg(hls_bits(score[row]) == survivor[n].s, "seed %d query %u row %u",
			      (int)c->w->seed, i, row);
		seen += score[row] >= limit;
		score[row] = NAN;
	}
	while (reach < count && hits[reach].s >= limit)
		reach++;
	if (answer->found == answer->stored)
		ck_assert_msg(seen == reach, "seed %d query %u: %u of %u above the last limit",
			      (int)c->w->seed, i, seen, reach);
	free(score);
}

static void check_limit(const struct call *c, uint32_t i, const struct search_hit *hits,
			uint32_t count)
{
	const struct shell_query *q = &c->parameters[i];
	const struct shell_survivors *answer = answer_of(c, i);
	float first = hls_float(q->limit), last = hls_float(answer->limit);

	ck_assert(last >= first);
	if (!q->k || q->k > HLS_K || count < q->k)
		ck_assert_uint_eq(answer->limit, q->limit);
	else
		ck_assert_msg(last == hits[q->k - 1].s, "seed %d query %u: limit", (int)c->w->seed,
			      i);
	if (!q->k || q->k > HLS_K)
		ck_assert_uint_eq(answer->found, count);
	ck_assert_uint_le(answer->found, count);
}

static void check_answer(const struct call *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->w->count; i++) {
		const struct shell_survivors *answer = answer_of(c, i);
		uint32_t count;
		struct search_hit *hits = all_that_count(c, i, &count);

		check_survivors(c, i, hits, count);
		check_limit(c, i, hits, count);
		ck_assert_uint_eq(answer->stored, answer->found < c->args.capacity
							  ? answer->found
							  : c->args.capacity);
		ck_assert_uint_eq(answer->reserved, 0);
		sum += answer->found;
		free(hits);
	}
	ck_assert_uint_eq(c->value, sum);
}

/* What a host makes of the survivors is what kernels/ref finds. */
static void check_against_ref(const struct call *c, uint32_t i)
{
	const struct search_query *q = &c->w->queries[i];
	const struct shell_survivors *answer = answer_of(c, i);
	const struct shell_survivor *survivor = (const void *)(answer + 1);
	struct search_list *ref = search_list_create(q->k, q->by_subject);
	struct search_list *got = search_list_create(q->k, q->by_subject);
	struct search_hit *a = fixture_alloc(q->k * sizeof(*a)),
			  *b = fixture_alloc(q->k * sizeof(*b));
	uint32_t n;

	ck_assert_int_eq(ref_search(&c->w->layout, 0, c->w->rows, q, 1, &ref), 0);
	for (uint32_t s = 0; s < answer->stored; s++) {
		uint32_t row = survivor[s].row;

		search_list_offer(got,
				  &(struct search_hit){hls_float(survivor[s].s), c->w->subject[row],
						       c->w->id[row], row});
	}
	n = search_list_sorted(ref, a);
	ck_assert_uint_eq(search_list_sorted(got, b), n);
	ck_assert_msg(!memcmp(a, b, n * sizeof(*a)), "seed %d query %u", (int)c->w->seed, i);
	ck_assert(world_agrees(c->w, i, got, "hls"));
	search_list_free(ref);
	search_list_free(got);
	free(a);
	free(b);
}

static void check_world(uint64_t seed, const struct world_limits *limits)
{
	struct world *w = world_create(seed, limits);
	uint64_t random = seed;
	struct call c;

	call_create(&c, w, (uint32_t)w->rows);
	if (seed % 2)
		run_kernel(&c);
	else
		run_in_slices(&c, &random);
	check_answer(&c);
	for (uint32_t i = 0; i < w->count; i++)
		check_against_ref(&c, i);
	call_free(&c);
	world_free(w);
}

START_TEST(random_galleries)
{
	uint64_t seed = (uint64_t)_i * 50;

	for (int n = 0; n < 12; n++)
		check_world(++seed, &small);
	for (int n = 0; n < 10; n++)
		check_world(++seed, &tiny);
	for (int n = 0; n < 2; n++)
		check_world(++seed, &wide);
	check_world(++seed, &tall);
}
END_TEST

/* Too many survivors: as many as there is room for, and nothing past it. */
START_TEST(no_room)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct world *w = world_create(5000 + seed, &small);
		struct call c;

		call_create(&c, w, 1 + (uint32_t)(seed % 7));
		run_kernel(&c);
		check_answer(&c);
		call_free(&c);
		world_free(w);
	}
}
END_TEST

/* Without epochs and tags every row passes them; a NaN score counts nowhere. */
START_TEST(absent_columns)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *w = world_create(7000 + seed, &small);
		struct call c;

		memset(w->born, 0, w->rows * 4);
		memset(w->died, 0xff, w->rows * 4);
		memset(w->tags, 0, w->rows * 8);
		for (uint64_t r = 0; r < w->rows; r += 5)
			w->scale[r] = NAN;
		for (uint32_t i = 0; i < w->count; i++)
			w->queries[i].tag_mask = w->queries[i].tag_value = 0;
		call_create(&c, w, (uint32_t)w->rows);
		c.no_epochs = c.no_tags = true;
		run_kernel(&c);
		check_answer(&c);
		call_free(&c);
		world_free(w);
	}
}
END_TEST

/* The k-queue at its length, and one past it, where the limit stays. */
START_TEST(queue_length)
{
	static const struct world_limits one = {.dim = 16, .rows = 3000, .count = 4, .k = 10};
	const uint32_t lengths[] = {1, 2, HLS_K - 1, HLS_K, HLS_K + 1};

	for (uint64_t seed = 1; seed <= 25; seed++) {
		struct world *w = world_create(9000 + seed, &one);
		struct call c;

		for (uint32_t i = 0; i < w->count; i++) {
			w->queries[i].k = lengths[seed % 5] ? lengths[seed % 5] : 1;
			w->queries[i].by_subject = false;
			w->queries[i].limit = -INFINITY;
		}
		call_create(&c, w, (uint32_t)w->rows);
		run_kernel(&c);
		check_answer(&c);
		for (uint32_t i = 0; i < w->count; i++)
			check_against_ref(&c, i);
		call_free(&c);
		world_free(w);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hls search");
	TCase *t = tcase_create("search");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_galleries, 0, 8);
	tcase_add_test(t, no_room);
	tcase_add_test(t, absent_columns);
	tcase_add_test(t, queue_length);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
