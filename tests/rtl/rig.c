/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/rtl/rig.h"

#include "kernels/ref/ref.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct core_memory rig_hbm(void)
{
	return (struct core_memory){.latency = 60,
				    .rate_num = 3,
				    .rate_den = 4,
				    .refresh_every = 1170,
				    .refresh_clocks = 105,
				    .seed = 1};
}

struct core_memory rig_perfect(void)
{
	return (struct core_memory){.latency = 60, .rate_num = 1, .rate_den = 1, .seed = 1};
}

/* ---- memory ---- */

static void *allocate(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

	ck_assert_ptr_nonnull(p);
	return memset(p, 0, (bytes + 63) / 64 * 64);
}

static uint64_t tiles_bytes(const struct rig *rig)
{
	return (uint64_t)rig->c.tiles * SEARCH_TILE_ROWS * search_padded_dim(rig->c.dim);
}

static bool within(uint64_t addr, size_t n, uint64_t at, uint64_t bytes)
{
	return addr >= at && addr - at <= bytes && n <= bytes - (addr - at);
}

static int memory_read(void *context, uint64_t addr, void *to, size_t n)
{
	struct rig *rig = context;
	uint64_t tile = 16ull * search_padded_dim(rig->c.dim);

	rig->reads++;
	if (within(addr, n, rig->query_at, tile))
		memcpy(to, rig->query_tile + (addr - rig->query_at), n);
	else if (within(addr, n, rig->tiles_at, tiles_bytes(rig)))
		memcpy(to, rig->rows.head_tiles + (addr - rig->tiles_at), n);
	else
		rig->outside++;
	return rig->reads == rig->fail_read;
}

static int memory_write(void *context, uint64_t addr, const void *from, size_t n)
{
	struct rig *rig = context;
	uint64_t bytes = (uint64_t)rig->queries * ((rig->c.k + 7) / 8) * 64;

	rig->writes++;
	if (within(addr, n, rig->results_at, bytes))
		memcpy(rig->results + (addr - rig->results_at), from, n);
	else
		rig->outside++;
	return rig->writes == rig->fail_write;
}

/* ---- contents ---- */

static int8_t row_value(const struct rig *rig, struct rng *state, uint32_t r, uint32_t d)
{
	switch (rig->c.fill) {
	case RIG_LOWEST:
	case RIG_OPPOSITE:
		return -128;
	case RIG_EXTREMES:
		return rng_below(state, 2) ? 127 : -128;
	case RIG_EQUAL:
		return (int8_t)(d * 37 + 11);
	case RIG_RISING: /* two digits of r, the first counting 127 times as much */
		return (int8_t)(d == 0 ? r / 120 : d == 1 ? r % 120 : 0);
	case RIG_FEW:
		return d < 2 ? (int8_t)rng_below(state, 3) : 0;
	default:
		return (int8_t)rng_next(state);
	}
}

static int8_t query_value(const struct rig *rig, struct rng *state, uint32_t d)
{
	switch (rig->c.fill) {
	case RIG_LOWEST:
		return -128;
	case RIG_OPPOSITE:
		return 127;
	case RIG_EXTREMES:
		return rng_below(state, 2) ? 127 : -128;
	case RIG_RISING:
		return d == 0 ? 127 : d == 1 ? 1 : (int8_t)rng_next(state);
	case RIG_FEW:
		return (int8_t)rng_below(state, 4) - 1;
	default:
		return (int8_t)rng_next(state);
	}
}

static void lay_out(struct rig *rig)
{
	uint32_t all = rig->c.tiles * SEARCH_TILE_ROWS;
	uint64_t *id = allocate(all * 8ull), *tags = allocate(all * 8ull);
	uint32_t *died = allocate(all * 4ull);

	memset(died, 0xff, all * 4ull);
	for (uint32_t r = 0; r < all; r++)
		id[r] = r;
	rig->rows = (struct search_rows){.metric = SEARCH_DOT,
					 .dim = rig->c.dim,
					 .head = search_padded_dim(rig->c.dim),
					 .head_tiles = allocate(tiles_bytes(rig)),
					 .id = id,
					 .tags = tags,
					 .born = (const uint32_t *)tags,
					 .died = died,
					 .subject = (const uint32_t *)tags};
}

static void fill(struct rig *rig)
{
	struct rng state = {rig->c.seed};
	int8_t x[SEARCH_DIM_MAX];
	struct search_rows queries = rig->rows;

	for (uint32_t r = 0; r < rig->c.tiles * SEARCH_TILE_ROWS; r++) {
		for (uint32_t d = 0; d < rig->c.dim; d++)
			x[d] = row_value(rig, &state, r, d);
		search_put_row(&rig->rows, r, x);
	}
	queries.head_tiles = rig->query_tile;
	/* The places past the queries hold what no answer may depend on. */
	memset(rig->query_tile, 0x5a, 16ull * search_padded_dim(rig->c.dim));
	for (uint32_t i = 0; i < rig->queries; i++) {
		int8_t *to = rig->x + (size_t)i * rig->c.dim;

		for (uint32_t d = 0; d < rig->c.dim; d++)
			to[d] = query_value(rig, &state, d);
		search_put_row(&queries, i, to);
	}
}

static void take_shape(struct rig *rig)
{
	uint32_t shape = core_read(rig->core, CORE_SHAPE);

	ck_assert_uint_eq(core_read(rig->core, CORE_IDENTITY), CORE_IS);
	rig->queries = shape & 255;
	rig->places = shape >> 8 & 255;
	rig->burst = shape >> 16 & 255;
	rig->depth = 1u << (shape >> 24);
	ck_assert_uint_ge(rig->queries, 2);
	ck_assert_uint_le(rig->queries, RIG_QUERIES_MAX);
}

struct rig *rig_create(const struct rig_case *c)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct core_memory memory = c->memory;
	struct rng state = {c->seed ^ 0x1234567};

	ck_assert_ptr_nonnull(rig);
	rig->c = *c;
	memory.context = rig;
	memory.read = memory_read;
	memory.write = memory_write;
	rig->core = core_open(&memory);
	ck_assert_ptr_nonnull(rig->core);
	take_shape(rig);
	rig->query_at = 0x100000000 + 64ull * rng_below(&state, 4096);
	rig->tiles_at = c->tiles_at ? c->tiles_at : 0x3000000000 + 64ull * rng_below(&state, 4096);
	rig->results_at = 0x800000 + 64ull * rng_below(&state, 4096);
	lay_out(rig);
	rig->query_tile = allocate(16ull * search_padded_dim(c->dim));
	rig->x = allocate((size_t)RIG_QUERIES_MAX * c->dim);
	fill(rig);
	rig_arguments(rig);
	return rig;
}

void rig_free(struct rig *rig)
{
	core_close(rig->core);
	free((void *)rig->rows.head_tiles);
	free((void *)rig->rows.id);
	free((void *)rig->rows.tags);
	free((void *)rig->rows.died);
	free(rig->query_tile);
	free(rig->x);
	free(rig);
}

/* ---- running ---- */

static void write64(struct core *core, uint32_t offset, uint64_t value)
{
	core_write(core, offset, (uint32_t)value);
	core_write(core, offset + 4, (uint32_t)(value >> 32));
}

void rig_arguments(struct rig *rig)
{
	write64(rig->core, CORE_QUERIES, rig->query_at);
	write64(rig->core, CORE_TILES_AT, rig->tiles_at);
	write64(rig->core, CORE_RESULTS, rig->results_at);
	core_write(rig->core, CORE_DIM, rig->c.dim);
	core_write(rig->core, CORE_TILES, rig->c.tiles);
	core_write(rig->core, CORE_ROWS, rig->c.rows);
	core_write(rig->core, CORE_K, rig->c.k);
	for (uint32_t i = 0; i < rig->queries; i++)
		core_write(rig->core, CORE_LIMIT + 8 * i, (uint32_t)rig->c.limit);
	core_write(rig->core, CORE_IRQ_GLOBAL, 1);
	core_write(rig->core, CORE_IRQ_ENABLE, 1);
}

uint32_t rig_run(struct rig *rig)
{
	struct core *core = rig->core;
	uint64_t before = core_counts(core).clocks;
	uint64_t lines = tiles_bytes(rig) / 64;

	memset(rig->results, 0xee, sizeof(rig->results));
	core_write(core, CORE_CONTROL, 1);
	ck_assert_msg(core_wait(core, 100000 + 100 * lines) == 0, "seed %llu: no interrupt",
		      (unsigned long long)rig->c.seed);
	rig->clocks = core_counts(core).clocks - before;
	ck_assert_uint_eq(core_read(core, CORE_CONTROL), 6); /* done and idle */
	ck_assert_uint_eq(core_read(core, CORE_CONTROL), 4); /* done only once */
	core_write(core, CORE_IRQ_STATUS, 1);
	ck_assert_uint_eq(core_read(core, CORE_IRQ_STATUS), 0);
	rig->told = core_read(core, CORE_CLOCKS) | (uint64_t)core_read(core, CORE_CLOCKS + 4) << 32;
	rig->stalled = core_read(core, CORE_STALLED);
	rig->starved = core_read(core, CORE_STARVED);
	for (uint32_t i = 0; i < rig->queries; i++)
		rig->passed[i] = core_read(core, CORE_PASSED + 4 * i);
	ck_assert_msg(!core_counts(core).breaches, "seed %llu: %s", (unsigned long long)rig->c.seed,
		      core_counts(core).breach);
	ck_assert_uint_eq(rig->outside, 0);
	return core_read(core, CORE_STATUS);
}

/* ---- answers ---- */

/* The smallest float that is not below it: a limit past 2^24 may have none of its own value. */
static float limit_of(int32_t limit)
{
	float f = (float)limit;

	if (limit == INT32_MIN)
		return -INFINITY;
	return (double)f < (double)limit ? nextafterf(f, INFINITY) : f;
}

static uint32_t expected(struct rig *rig, uint32_t query, struct search_hit *hits)
{
	struct search_query q = {.x = rig->x + (size_t)query * rig->c.dim,
				 .limit = limit_of(rig->c.limit),
				 .k = rig->c.k,
				 .rows = rig->c.rows};
	struct search_list *list = search_list_create(rig->c.k, false);
	uint32_t n, all = rig->c.tiles * SEARCH_TILE_ROWS;

	ck_assert_ptr_nonnull(list);
	ck_assert_int_eq(ref_search(&rig->rows, 0, all, &q, 1, &list), 0);
	n = search_list_sorted(list, hits);
	search_list_free(list);
	return n;
}

static void assert_place(const struct rig *rig, uint32_t query, uint32_t place,
			 const struct search_hit *hit)
{
	const uint8_t *at = rig->results + (size_t)query * ((rig->c.k + 7) / 8) * 64 + place * 8;
	uint32_t row;
	int32_t dot;

	memcpy(&row, at, 4);
	memcpy(&dot, at + 4, 4);
	ck_assert_msg(
		row == (hit ? (uint32_t)hit->row : CORE_NO_ROW) &&
			dot == (hit ? (int32_t)hit->s : CORE_NO_DOT),
		"seed %llu dim %u tiles %u fill %d query %u place %u: row %u dot %d, expected "
		"row %d dot %d",
		(unsigned long long)rig->c.seed, rig->c.dim, rig->c.tiles, (int)rig->c.fill, query,
		place, row, dot, hit ? (int)hit->row : -1, hit ? (int)hit->s : 0);
}

void rig_assert_equal(struct rig *rig)
{
	struct search_hit hits[RIG_K_MAX];

	for (uint32_t i = 0; i < rig->queries; i++) {
		uint32_t n = expected(rig, i, hits);

		for (uint32_t p = 0; p < (rig->c.k + 7) / 8 * 8; p++)
			assert_place(rig, i, p, p < n ? &hits[p] : NULL);
	}
}
