/* SPDX-License-Identifier: Apache-2.0 */
/* Search: the reference against the oracle, every instruction set against it too, bad calls. */
#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/search_world.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct world_limits small = {.dim = 64, .rows = 300, .count = 64, .k = 40};
static const struct world_limits wide = {.dim = 1024, .rows = 70, .count = 30, .k = 20};
static const struct world_limits tall = {.dim = 6, .rows = 70000, .count = 3, .k = 65536};

/* more tiles than a block holds, and several groups of queries */
static const struct world_limits blocks = {.dim = 64, .rows = 9000, .count = 64, .k = 20};

struct lists {
	uint32_t count;
	struct search_list *list[SEARCH_BATCH_MAX];
};

static void lists_create(struct lists *l, const struct world *w)
{
	l->count = w->count;
	for (uint32_t i = 0; i < w->count; i++) {
		l->list[i] = search_list_create(w->queries[i].k, w->queries[i].by_subject);
		ck_assert_ptr_nonnull(l->list[i]);
	}
}

static void lists_free(struct lists *l)
{
	for (uint32_t i = 0; i < l->count; i++)
		search_list_free(l->list[i]);
}

static void assert_agrees(const struct world *w, const struct lists *l, const char *who)
{
	for (uint32_t i = 0; i < w->count; i++)
		ck_assert_msg(world_agrees(w, i, l->list[i], who), "seed %llu, %s",
			      (unsigned long long)w->seed, who);
}

static void *scratch_create(const struct cpu_kernels *k, const struct world *w)
{
	size_t bytes = k->search_scratch_bytes(w->layout.dim, w->count);
	void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* ---- whole galleries ---- */

static void check_ref(uint64_t seed, const struct world_limits *limits)
{
	struct world *w = world_create(seed, limits);
	struct lists l;

	lists_create(&l, w);
	ck_assert_int_eq(ref_search(&w->layout, 0, w->rows, w->queries, w->count, l.list), 0);
	assert_agrees(w, &l, "ref");
	lists_free(&l);
	world_free(w);
}

static void check_cpu(uint64_t seed, const struct world_limits *limits)
{
	struct world *w = world_create(seed, limits);

	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		void *scratch = scratch_create(*k, w);
		struct lists l;

		lists_create(&l, w);
		ck_assert_int_eq((*k)->search(&w->layout, 0, w->tiles, w->queries, w->count, l.list,
					      scratch),
				 0);
		assert_agrees(w, &l, (*k)->name);
		lists_free(&l);
		free(scratch);
	}
	world_free(w);
}

START_TEST(ref_is_right)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		check_ref(seed, &small);
	for (uint64_t seed = 101; seed <= 115; seed++)
		check_ref(seed, &wide);
	check_ref(201, &tall);
}
END_TEST

START_TEST(cpu_is_right)
{
	for (uint64_t seed = 1001; seed <= 1100; seed++)
		check_cpu(seed, &small);
	for (uint64_t seed = 1101; seed <= 1125; seed++)
		check_cpu(seed, &wide);
	for (uint64_t seed = 1201; seed <= 1203; seed++)
		check_cpu(seed, &tall);
	for (uint64_t seed = 1301; seed <= 1305; seed++)
		check_cpu(seed, &blocks);
}
END_TEST

/* Every number of queries, since each is a kernel of its own. */
START_TEST(every_batch_is_right)
{
	for (uint32_t count = 1; count <= SEARCH_BATCH_MAX; count++) {
		struct world_limits limits = {.dim = 24, .rows = 100, .count = 1, .k = 5};
		uint64_t seed = 2000 + count;

		/* the first seed that draws this count */
		limits.count = SEARCH_BATCH_MAX;
		for (struct world *w;; seed += 100) {
			bool found;

			w = world_create(seed, &limits);
			found = w->count == count;
			world_free(w);
			if (found)
				break;
		}
		check_cpu(seed, &limits);
	}
}
END_TEST

/* ---- parts of a gallery, merged in any order ---- */

/* Cuts the tiles at random, searches the parts in random order and merges as they come. */
static void search_in_parts(const struct cpu_kernels *k, const struct world *w, struct lists *total,
			    uint64_t *state)
{
	uint64_t cuts[9] = {0}, order[8];
	void *scratch = scratch_create(k, w);

	for (int i = 1; i < 8; i++)
		cuts[i] = cuts[i - 1] + world_below(state, w->tiles - cuts[i - 1] + 1);
	cuts[8] = w->tiles;
	for (uint64_t i = 0; i < 8; i++) {
		uint64_t at = world_below(state, i + 1);

		order[i] = order[at];
		order[at] = i;
	}
	for (int i = 0; i < 8; i++) {
		struct lists part;

		lists_create(&part, w);
		ck_assert_int_eq(k->search(&w->layout, cuts[order[i]], cuts[order[i] + 1],
					   w->queries, w->count, part.list, scratch),
				 0);
		for (uint32_t q = 0; q < w->count; q++)
			search_list_merge(total->list[q], part.list[q]);
		lists_free(&part);
	}
	free(scratch);
}

START_TEST(parts_merge)
{
	uint64_t state = 7;

	for (uint64_t seed = 3001; seed <= 3040; seed++) {
		struct world *w = world_create(seed, &small);

		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
			struct lists total;

			lists_create(&total, w);
			search_in_parts(*k, w, &total, &state);
			assert_agrees(w, &total, (*k)->name);
			lists_free(&total);
		}
		world_free(w);
	}
}
END_TEST

/* One list through all the slices in turn: limits carry over from slice to slice. */
START_TEST(slices_share_a_list)
{
	for (uint64_t seed = 3101; seed <= 3130; seed++) {
		struct world *w = world_create(seed, &small);

		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
			void *scratch = scratch_create(*k, w);
			struct lists l;

			lists_create(&l, w);
			for (uint64_t t = w->tiles; t-- > 0;)
				ck_assert_int_eq((*k)->search(&w->layout, t, t + 1, w->queries,
							      w->count, l.list, scratch),
						 0);
			assert_agrees(w, &l, (*k)->name);
			lists_free(&l);
			free(scratch);
		}
		world_free(w);
	}
}
END_TEST

/* ---- the far ends of the arithmetic ---- */

/* 1,024 dimensions of -128 on both sides: dot = 2^24, the accumulator's largest start. */
START_TEST(largest_dot)
{
	_Alignas(64) static uint8_t tiles[16 * 1024];
	static int8_t x[1024];
	static uint64_t id[16], tags[16];
	static uint32_t born[16], died[16], subject[16];
	struct search_rows rows = {SEARCH_DOT, 1024, 1024, tiles, NULL, NULL,
				   NULL,       id,   tags, born,  died, subject};
	struct search_query query = {.x = x, .limit = -INFINITY, .k = 1, .rows = 1};
	struct search_hit hit;

	memset(x, -128, sizeof(x));
	search_put_row(&rows, 0, x);
	died[0] = SEARCH_NEVER;
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
		void *scratch =
			aligned_alloc(64, (*k)->search_scratch_bytes(1024, 1) / 64 * 64 + 64);
		struct search_list *list = search_list_create(1, false);

		ck_assert_int_eq((*k)->search(&rows, 0, 1, &query, 1, &list, scratch), 0);
		ck_assert_uint_eq(search_list_sorted(list, &hit), 1);
		ck_assert_float_eq(hit.s, 0x1p24f);
		search_list_free(list);
		free(scratch);
	}
}
END_TEST

/* A NaN among the scales is illegal, but must not get into an answer or upset its order. */
START_TEST(nan_counts_nowhere)
{
	for (uint64_t seed = 4001; seed <= 4020; seed++) {
		struct world *w = world_create(seed, &small);

		w->scale[w->rows / 2] = NAN;
		w->layout.metric = SEARCH_COSINE;
		for (uint32_t i = 0; i < w->count; i++)
			w->queries[i].limit = -INFINITY;
		for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++) {
			void *scratch = scratch_create(*k, w);
			struct lists l;

			lists_create(&l, w);
			ck_assert_int_eq((*k)->search(&w->layout, 0, w->tiles, w->queries, w->count,
						      l.list, scratch),
					 0);
			assert_agrees(w, &l, (*k)->name);
			lists_free(&l);
			free(scratch);
		}
		ck_assert_int_eq(search_scales_check(&w->layout, 0, w->rows), -EINVAL);
		world_free(w);
	}
}
END_TEST

/* ---- bad calls ---- */

enum fault {
	BAD_METRIC,
	DIM_0,
	DIM_1025,
	HEAD_0,
	HEAD_6,
	HEAD_LONG,
	NO_HEAD,
	HEAD_OFF,
	NO_TAIL,
	TAIL_OFF,
	NO_SCALE,
	NO_BIAS,
	NO_ID,
	NO_TAGS,
	NO_BORN,
	NO_DIED,
	NO_SUBJECT,
	NO_X,
	K_0,
	K_LARGE,
	LIMIT_NAN,
	Q_MUL_NAN,
	Q_MUL_NEGATIVE,
	Q_MUL_INFINITE,
	FAULTS
};

static void spoil(struct search_rows *rows, struct search_query *query, enum fault fault)
{
	/* clang-format off */
	switch (fault) {
	case BAD_METRIC: rows->metric = (enum search_metric)3; break;
	case DIM_0: rows->dim = 0; break;
	case DIM_1025: rows->dim = 1025; break;
	case HEAD_0: rows->head = 0; break;
	case HEAD_6: rows->head = 6; break;
	case HEAD_LONG: rows->head = search_padded_dim(rows->dim) + 4; break;
	case NO_HEAD: rows->head_tiles = NULL; break;
	case HEAD_OFF: rows->head_tiles += 32; break;
	case NO_TAIL: rows->tail_tiles = NULL; break;
	case TAIL_OFF: rows->tail_tiles += 4; break;
	case NO_SCALE: rows->scale = NULL; break;
	case NO_BIAS: rows->bias = NULL; break;
	case NO_ID: rows->id = NULL; break;
	case NO_TAGS: rows->tags = NULL; break;
	case NO_BORN: rows->born = NULL; break;
	case NO_DIED: rows->died = NULL; break;
	case NO_SUBJECT: rows->subject = NULL; break;
	case NO_X: query->x = NULL; break;
	case K_0: query->k = 0; break;
	case K_LARGE: query->k = SEARCH_K_MAX + 1; break;
	case LIMIT_NAN: query->limit = NAN; break;
	case Q_MUL_NAN: query->q_mul = NAN; break;
	case Q_MUL_NEGATIVE: query->q_mul = -1.0f; break;
	case Q_MUL_INFINITE: query->q_mul = INFINITY; break;
	case FAULTS: break;
	}
	/* clang-format on */
}

/* The answer of every backend to one call. */
static void assert_answer(const struct search_rows *rows, uint64_t begin, uint64_t end,
			  const struct search_query *queries, uint32_t count, int answer)
{
	static uint8_t scratch[1 << 20] __attribute__((aligned(64)));
	struct search_list *lists[SEARCH_BATCH_MAX + 1];

	for (uint32_t i = 0; i <= SEARCH_BATCH_MAX; i++)
		lists[i] = search_list_create(1, false);
	ck_assert_int_eq(ref_search(rows, begin * 16, end * 16, queries, count, lists), answer);
	for (const struct cpu_kernels *const *k = cpu_kernels_all(); *k; k++)
		ck_assert_int_eq((*k)->search(rows, begin, end, queries, count, lists, scratch),
				 answer);
	for (uint32_t i = 0; i <= SEARCH_BATCH_MAX; i++)
		search_list_free(lists[i]);
}

/* A legal L2 gallery with a tail, as the faults want it. */
static struct world *world_with_tail(void)
{
	for (uint64_t seed = 5000;; seed++) {
		struct world *w = world_create(seed, &small);

		if (w->layout.metric == SEARCH_L2 && w->layout.tail_tiles)
			return w;
		world_free(w);
	}
}

START_TEST(bad_calls_are_refused)
{
	struct world *w = world_with_tail();
	struct search_rows rows = w->layout;
	struct search_query queries[SEARCH_BATCH_MAX + 1];

	for (uint32_t i = 0; i <= SEARCH_BATCH_MAX; i++) {
		queries[i] = w->queries[0];
		queries[i].k = 1;
		queries[i].by_subject = false;
	}
	spoil(&rows, &queries[1], (enum fault)_i);
	assert_answer(&rows, 0, 1, queries, 2, (enum fault)_i == FAULTS ? 0 : -EINVAL);
	rows = w->layout;
	queries[1] = queries[0];
	assert_answer(&rows, 0, 1, queries, 0, -EINVAL);
	assert_answer(&rows, 0, 1, queries, SEARCH_BATCH_MAX + 1, -EINVAL);
	assert_answer(&rows, 1, 0, queries, 1, -EINVAL);
	assert_answer(&rows, 1, 1, queries, 1, 0);
	world_free(w);
}
END_TEST

START_TEST(scales_are_checked)
{
	float scale[16] = {0}, bias[16] = {0};
	struct search_rows rows = {.metric = SEARCH_L2, .scale = scale, .bias = bias};
	static const struct {
		float scale, bias;
		int answer;
	} rows_of[] = {
		{0x1p60f, 0x1p120f, 0}, {0x1.2p60f, 0, -EINVAL}, {0, 0x1.2p120f, -EINVAL},
		{-1, 0, -EINVAL},	{0, -1, -EINVAL},	 {NAN, 0, -EINVAL},
		{0, NAN, -EINVAL},	{INFINITY, 0, -EINVAL},
	};

	for (size_t i = 0; i < sizeof(rows_of) / sizeof(rows_of[0]); i++) {
		scale[7] = rows_of[i].scale;
		bias[7] = rows_of[i].bias;
		ck_assert_int_eq(search_scales_check(&rows, 0, 8), rows_of[i].answer);
		ck_assert_int_eq(search_scales_check(&rows, 0, 7), 0);
		ck_assert_int_eq(search_scales_check(&rows, 8, 16), 0);
	}
}
END_TEST

/* ---- the layout ---- */

/* By the words of the contract: tile, then line of 4 dimensions, then row, then dimension. */
START_TEST(layout_is_as_stated)
{
	for (uint64_t seed = 6001; seed <= 6030; seed++) {
		struct world *w = world_create(seed, &wide);
		uint32_t dim = w->layout.dim, head = w->layout.head;
		uint32_t tail = search_padded_dim(dim) - head;
		int8_t x[SEARCH_DIM_MAX];

		for (uint64_t r = 0; r < w->rows; r++) {
			search_get_row(&w->layout, r, x);
			ck_assert_mem_eq(x, w->x + r * dim, dim);
			for (uint32_t d = 0; d < head + tail; d++) {
				uint32_t at = d < head ? d : d - head,
					 size = d < head ? head : tail;
				const uint8_t *tiles =
					d < head ? w->layout.head_tiles : w->layout.tail_tiles;
				uint8_t byte = tiles[r / 16 * 16 * size + at / 4 * 64 + r % 16 * 4 +
						     at % 4];

				ck_assert_int_eq(byte - 128, d < dim ? w->x[r * dim + d] : 0);
			}
		}
		world_free(w);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search");
	TCase *tc = tcase_create("search");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, ref_is_right);
	tcase_add_test(tc, cpu_is_right);
	tcase_add_test(tc, every_batch_is_right);
	tcase_add_test(tc, parts_merge);
	tcase_add_test(tc, slices_share_a_list);
	tcase_add_test(tc, largest_dot);
	tcase_add_test(tc, nan_counts_nowhere);
	tcase_add_loop_test(tc, bad_calls_are_refused, 0, FAULTS + 1);
	tcase_add_test(tc, scales_are_checked);
	tcase_add_test(tc, layout_is_as_stated);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
