/* SPDX-License-Identifier: Apache-2.0 */
/* Searches through the device: shared by threads, in pieces, while rows come and go. */
#include "daemon/device/part.h"
#include "kernels/ref/ref.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DIM  64u
#define ROWS (40000u)
#define ALL  (ROWS + 8000u) /* the rows behind ROWS are appended while a search runs */

struct gallery {
	struct search_rows rows;
	struct device_rows *resident; /* NULL: the device reads the host's */
	uint8_t *tiles;
	float *scale;
	uint64_t *id, *tags;
	uint32_t *born, *died, *subject;
};

/* Few distinct rows and scales, so that equal scores abound and the order by id decides. */
static void put_row(struct gallery *g, uint64_t r, uint64_t *seed)
{
	int8_t x[DIM];
	uint64_t kind = rig_random(seed) % 300;

	for (uint32_t d = 0; d < DIM; d++)
		x[d] = (int8_t)rig_random(&kind);
	search_put_row(&g->rows, r, x);
	g->scale[r] = 0.25f * (float)rig_between(seed, 1, 3);
	g->id[r] = (r * 2654435761u) % 4294967291u;
	g->tags[r] = rig_random(seed) % 8;
	g->subject[r] = rig_random(seed) % 5000;
	g->died[r] = rig_random(seed) % 8 ? SEARCH_NEVER : 5;
	__atomic_store_n(&g->born[r], rig_random(seed) % 12, __ATOMIC_RELEASE);
}

static void gallery_init(struct gallery *g, struct device *device, uint64_t *seed)
{
	g->tiles = aligned_alloc(64, (size_t)ALL * DIM);
	memset(g->tiles, 128, (size_t)ALL * DIM);
	g->scale = calloc(ALL, sizeof(*g->scale));
	g->id = calloc(ALL, sizeof(*g->id));
	g->tags = calloc(ALL, sizeof(*g->tags));
	g->born = calloc(ALL, sizeof(*g->born));
	g->died = calloc(ALL, sizeof(*g->died));
	g->subject = calloc(ALL, sizeof(*g->subject));
	g->rows = (struct search_rows){.metric = SEARCH_COSINE,
				       .dim = DIM,
				       .head = DIM,
				       .head_tiles = g->tiles,
				       .scale = g->scale,
				       .id = g->id,
				       .tags = g->tags,
				       .born = g->born,
				       .died = g->died,
				       .subject = g->subject};
	for (uint64_t r = 0; r < ROWS; r++)
		put_row(g, r, seed);
	g->resident = rig_rows(device, &g->rows, ALL / 16);
}

static void gallery_free(struct gallery *g, struct device *device)
{
	if (g->resident)
		device->ops->rows_free(g->resident);
	free(g->tiles);
	free(g->scale);
	free(g->id);
	free(g->tags);
	free(g->born);
	free(g->died);
	free(g->subject);
}

struct probes {
	struct search_query query[SEARCH_BATCH_MAX];
	int8_t x[SEARCH_BATCH_MAX][DIM];
	struct search_list *list[SEARCH_BATCH_MAX], *expected[SEARCH_BATCH_MAX];
	uint32_t count;
};

static void probes_init(struct probes *p, uint32_t count, uint64_t *seed)
{
	p->count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct search_query *q = &p->query[i];

		for (uint32_t d = 0; d < DIM; d++)
			p->x[i][d] = (int8_t)rig_random(seed);
		*q = (struct search_query){.x = p->x[i],
					   .limit = rig_random(seed) % 3 ? -INFINITY : 9000.0f,
					   .k = rig_between(seed, 1, i % 4 ? 40 : 3000),
					   .by_subject = rig_random(seed) % 2,
					   .epoch = rig_between(seed, 1, 12),
					   .rows = ROWS - rig_random(seed) % 100};
		q->tag_mask = rig_random(seed) % 4;
		q->tag_value = rig_random(seed) & q->tag_mask;
		p->list[i] = search_list_create(q->k, q->by_subject);
		p->expected[i] = search_list_create(q->k, q->by_subject);
	}
}

static void probes_free(struct probes *p)
{
	for (uint32_t i = 0; i < p->count; i++) {
		search_list_free(p->list[i]);
		search_list_free(p->expected[i]);
	}
}

static void ck_same_lists(const struct probes *p, const char *what)
{
	for (uint32_t i = 0; i < p->count; i++) {
		struct search_hit *got = calloc(p->query[i].k, sizeof(*got));
		struct search_hit *want = calloc(p->query[i].k, sizeof(*want));
		uint32_t n = search_list_sorted(p->list[i], got);

		ck_assert_uint_eq(n, search_list_sorted(p->expected[i], want));
		for (uint32_t h = 0; h < n; h++)
			ck_assert_msg(got[h].id == want[h].id && got[h].s == want[h].s &&
					      got[h].row == want[h].row &&
					      got[h].subject == want[h].subject,
				      "%s: query %u, hit %u of %u differs", what, i, h, n);
		free(got);
		free(want);
	}
}

static struct device_command search_command(const struct gallery *g, const struct probes *p,
					    uint64_t tile_begin, uint64_t tile_end)
{
	return (struct device_command){.op = DEVICE_SEARCH,
				       .search = {.rows = &g->rows,
						  .resident = g->resident,
						  .tile_begin = tile_begin,
						  .tile_end = tile_end,
						  .queries = p->query,
						  .count = p->count,
						  .lists = p->list}};
}

/* Threads 1 to 4; one command, or pieces of several sizes in one batch. */
START_TEST(shared_and_in_pieces)
{
	static const uint32_t counts[] = {1, 3, 12, 64};
	static const uint64_t pieces[] = {ROWS / 16, 999, 1500};
	uint64_t seed = 100 + (uint64_t)_i;
	struct device *device = rig_open((uint32_t)_i % 4 + 1, 0);
	struct gallery g;
	struct probes *p = calloc(1, sizeof(*p));

	gallery_init(&g, device, &seed);
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		uint64_t step = pieces[(c + (size_t)_i) % 3];
		struct device_command commands[8];
		uint32_t n = 0;

		probes_init(p, counts[c], &seed);
		for (uint64_t t = 0; t < ROWS / 16; t += step)
			commands[n++] = search_command(&g, p, t,
						       t + step < ROWS / 16 ? t + step : ROWS / 16);
		ck_assert_int_eq(ref_search(&g.rows, 0, ROWS, p->query, p->count, p->expected), 0);
		ck_assert_int_eq(rig_run(device, commands, n, NULL), 0);
		ck_same_lists(p, "in pieces");
		probes_free(p);
	}
	gallery_free(&g, device);
	device->ops->close(device);
	free(p);
}
END_TEST

/* More hits than helpers keep lists for: still the same answer. */
START_TEST(very_long_lists)
{
	uint64_t seed = 9;
	struct device *device = rig_open(3, 0);
	struct device_command command;
	struct gallery g;
	struct probes *p = calloc(1, sizeof(*p));

	gallery_init(&g, device, &seed);
	for (uint32_t count = 1; count <= 8; count += 7) {
		probes_init(p, count, &seed);
		for (uint32_t i = 0; i < count; i++) {
			struct search_query *q = &p->query[i];

			search_list_free(p->list[i]);
			search_list_free(p->expected[i]);
			q->k = SEARCH_K_MAX;
			p->list[i] = search_list_create(q->k, q->by_subject);
			p->expected[i] = search_list_create(q->k, q->by_subject);
		}
		command = search_command(&g, p, 0, ROWS / 16);
		ck_assert_int_eq(ref_search(&g.rows, 0, ROWS, p->query, p->count, p->expected), 0);
		ck_assert_int_eq(rig_run(device, &command, 1, NULL), 0);
		ck_same_lists(p, "long lists");
		probes_free(p);
	}
	gallery_free(&g, device);
	device->ops->close(device);
	free(p);
}
END_TEST

/* Rows are appended, and rows die at later epochs, while searches of an older state run. */
struct appender {
	struct gallery *gallery;
	_Atomic bool stop;
};

static void *append(void *argument)
{
	struct appender *a = argument;
	uint64_t seed = 55;

	for (uint64_t r = ROWS; !atomic_load(&a->stop); r = r + 1 < ALL ? r + 1 : ROWS) {
		uint64_t dies = rig_random(&seed) % ROWS;

		put_row(a->gallery, r, &seed);
		if (a->gallery->died[dies] == SEARCH_NEVER)
			__atomic_store_n(&a->gallery->died[dies], 20, __ATOMIC_RELAXED);
	}
	return NULL;
}

START_TEST(rows_come_and_go_meanwhile)
{
	uint64_t seed = 31;
	struct device *device = rig_open(2, 0);
	struct gallery g;
	struct appender appender = {.gallery = &g};
	struct probes *p = calloc(1, sizeof(*p));
	pthread_t thread;

	gallery_init(&g, device, &seed);
	probes_init(p, 8, &seed);
	ck_assert_int_eq(ref_search(&g.rows, 0, ROWS, p->query, p->count, p->expected), 0);
	pthread_create(&thread, NULL, append, &appender);
	for (int round = 0; round < 30; round++) {
		struct device_command command = search_command(&g, p, 0, ALL / 16);

		for (uint32_t i = 0; i < p->count; i++)
			search_list_reset(p->list[i], p->query[i].k, p->query[i].by_subject);
		ck_assert_int_eq(rig_run(device, &command, 1, NULL), 0);
		ck_same_lists(p, "with appends");
	}
	atomic_store(&appender.stop, true);
	pthread_join(thread, NULL);
	probes_free(p);
	gallery_free(&g, device);
	device->ops->close(device);
	free(p);
}
END_TEST

/* ---- read back ------------------------------------------------------------------------------- */
#define UNLOAD_TILES 40u

struct room {
	_Alignas(64) uint8_t tiles[UNLOAD_TILES * SEARCH_TILE_ROWS * DIM];
	float scale[UNLOAD_TILES * SEARCH_TILE_ROWS];
	uint64_t id[UNLOAD_TILES * SEARCH_TILE_ROWS], tags[UNLOAD_TILES * SEARCH_TILE_ROWS];
	uint32_t born[UNLOAD_TILES * SEARCH_TILE_ROWS], died[UNLOAD_TILES * SEARCH_TILE_ROWS];
	uint32_t subject[UNLOAD_TILES * SEARCH_TILE_ROWS];
	struct search_rows rows;
};

static struct device_command unload(struct gallery *g, struct room *room, uint64_t begin,
				    uint64_t end)
{
	struct device_command command = {.op = DEVICE_UNLOAD};

	memset(room, 0x5a, offsetof(struct room, rows));
	room->rows = g->rows;
	room->rows.head_tiles = room->tiles;
	room->rows.scale = room->scale;
	room->rows.id = room->id;
	room->rows.tags = room->tags;
	room->rows.born = room->born;
	room->rows.died = room->died;
	room->rows.subject = room->subject;
	command.unload = (struct device_unload){g->resident, begin, end, &room->rows};
	return command;
}

/* The host's bytes, and nothing behind them. */
static void ck_room(const struct gallery *g, const struct room *room, uint64_t begin, uint64_t end)
{
	for (int part = 0; part < PARTS; part++) {
		uint64_t tile = part_bytes(&g->rows, (enum part)part);
		const uint8_t *got = part_data(&room->rows, (enum part)part);

		if (!tile)
			continue;
		ck_assert_mem_eq(got, part_data(&g->rows, (enum part)part) + begin * tile,
				 (end - begin) * tile);
		for (uint64_t i = (end - begin) * tile; i < UNLOAD_TILES * tile; i++)
			ck_assert_uint_eq(got[i], 0x5a);
	}
}

START_TEST(what_was_loaded_comes_back)
{
	uint64_t seed = 17;
	struct device *device = rig_open(2, 0);
	struct room *room = aligned_alloc(64, sizeof(*room));
	struct device_command command;
	struct gallery g;

	gallery_init(&g, device, &seed);
	for (int i = 0; g.resident && i < 60; i++) {
		uint64_t begin = rig_random(&seed) % (ALL / 16 - UNLOAD_TILES);
		uint64_t end = begin + rig_random(&seed) % (UNLOAD_TILES + 1);

		command = unload(&g, room, begin, end);
		ck_assert_int_eq(rig_run(device, &command, 1, NULL), 0);
		ck_room(&g, room, begin, end);
	}
	command = unload(&g, room, ALL / 16 - 1, ALL / 16 + 1);
	ck_assert_int_eq(rig_run(device, &command, 1, NULL), -EINVAL);
	command = unload(&g, room, 2, 1);
	ck_assert_int_eq(rig_run(device, &command, 1, NULL), -EINVAL);
	command.unload.from = NULL;
	ck_assert_int_eq(rig_run(device, &command, 1, NULL), -EINVAL);
	gallery_free(&g, device);
	device->ops->close(device);
	free(room);
}
END_TEST

START_TEST(wrong_searches)
{
	uint64_t seed = 2;
	struct device *device = rig_open(2, 0);
	struct gallery g;
	struct search_rows rows;
	struct probes *p = calloc(1, sizeof(*p));
	struct device_command good, c;

	gallery_init(&g, device, &seed);
	probes_init(p, 2, &seed);
	good = search_command(&g, p, 0, ROWS / 16);
#define REFUSED(...)                                                                               \
	do {                                                                                       \
		c = good;                                                                          \
		rows = g.rows;                                                                     \
		c.search.rows = &rows;                                                             \
		__VA_ARGS__;                                                                       \
		ck_assert_int_eq(rig_run(device, &c, 1, NULL), -EINVAL);                           \
	} while (0)
	REFUSED(c.search.rows = NULL);
	REFUSED(c.search.queries = NULL);
	REFUSED(c.search.lists = NULL);
	REFUSED(c.search.count = 0);
	REFUSED(c.search.count = SEARCH_BATCH_MAX + 1);
	REFUSED(c.search.tile_begin = 2; c.search.tile_end = 1);
	REFUSED(c.search.tile_end = UINT64_MAX);
	REFUSED(rows.dim = 0);
	REFUSED(rows.head = 6);
	REFUSED(rows.scale = NULL);
	p->query[1].k = 0;
	REFUSED();
	p->query[1].k = 1;
	p->query[0].limit = NAN;
	REFUSED();
	p->query[0].limit = 0;
	ck_assert_int_eq(rig_run(device, &good, 1, NULL), 0);
	probes_free(p);
	gallery_free(&g, device);
	device->ops->close(device);
	free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device search");
	TCase *tc = tcase_create("search");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, shared_and_in_pieces, 0, 8);
	tcase_add_test(tc, very_long_lists);
	tcase_add_test(tc, rows_come_and_go_meanwhile);
	tcase_add_test(tc, what_was_loaded_comes_back);
	tcase_add_test(tc, wrong_searches);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
