/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/device/selftest.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ref/ref.h"

#define M	3u
#define N	37u
#define DEPTH	129u
#define TILES	24u
#define ROWS	(TILES * SEARCH_TILE_ROWS)
#define DIM	64u
#define QUERIES 3u
#define K	5u

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
};

static void batch_done(struct device_batch *batch)
{
	struct waiting *waiting = batch->user;

	pthread_mutex_lock(&waiting->lock);
	waiting->done = true;
	pthread_cond_signal(&waiting->over);
	pthread_mutex_unlock(&waiting->lock);
}

static int run(struct device *device, const struct device_command *command)
{
	struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
	struct device_batch batch = {
		.commands = command, .count = 1, .done = batch_done, .user = &waiting};
	int err = device->ops->submit(device, &batch);

	if (err)
		return err;
	pthread_mutex_lock(&waiting.lock);
	while (!waiting.done)
		pthread_cond_wait(&waiting.over, &waiting.lock);
	pthread_mutex_unlock(&waiting.lock);
	return batch.error;
}

static uint32_t draw(uint32_t *seed)
{
	return (*seed = *seed * 1664525u + 1013904223u) >> 8;
}

/* ---- a product ------------------------------------------------------------------------------- */
struct product {
	int8_t a[M * DEPTH], b[N * DEPTH], want[M * N], got[M * N];
	int32_t bias[N];
	float s_pos[N], s_neg[N];
	struct device_buffer *buffer;
	struct device_weights *weights;
};

static int product_run(struct device *device, struct product *p, const struct op_gemm *op,
		       uint32_t align)
{
	const struct device_ops *ops = device->ops;
	uint64_t out = (sizeof(p->a) + align - 1) / align * align;
	struct device_command command = {.op = DEVICE_GEMM, .gemm = *op};
	int err = ops->buffer_create(device, out + sizeof(p->got), &p->buffer);

	if (!err)
		err = ops->weights_gemm(device, op, p->b, p->bias, &p->weights);
	if (!err)
		err = ops->buffer_write(p->buffer, 0, p->a, sizeof(p->a));
	command.weights = p->weights;
	command.in[0] = (struct device_span){p->buffer, 0, sizeof(p->a)};
	command.out = (struct device_span){p->buffer, out, sizeof(p->got)};
	if (!err)
		err = run(device, &command);
	return err ? err : ops->buffer_read(p->buffer, out, p->got, sizeof(p->got));
}

static int test_product(struct device *device)
{
	struct product *p = calloc(1, sizeof(*p));
	struct device_caps caps;
	struct op_gemm op = {.m = M, .n = N, .k = DEPTH};
	uint32_t seed = 1;
	int err;

	if (!p)
		return -ENOMEM;
	device->ops->caps(device, &caps);
	for (uint32_t i = 0; i < M * DEPTH; i++)
		p->a[i] = (int8_t)draw(&seed);
	for (uint32_t i = 0; i < N * DEPTH; i++)
		p->b[i] = (int8_t)draw(&seed);
	for (uint32_t i = 0; i < N; i++) {
		p->bias[i] = (int32_t)(draw(&seed) % 2001) - 1000;
		p->s_pos[i] = (float)(draw(&seed) % 1000) * 1e-6f;
		p->s_neg[i] = (float)(draw(&seed) % 1000) * -1e-6f;
	}
	op.q = (struct op_requant){p->s_pos, p->s_neg, 0, 0, 3, -128, 127};
	ref_gemm(&op, p->a, p->b, p->bias, NULL, p->want);
	err = product_run(device, p, &op, caps.alignment ? caps.alignment : 1);
	if (!err && memcmp(p->want, p->got, sizeof(p->want)) != 0)
		err = -EBADMSG;
	device->ops->weights_free(p->weights);
	device->ops->buffer_free(p->buffer);
	free(p);
	return err;
}

/* ---- a search --------------------------------------------------------------------------------- */
struct gallery {
	_Alignas(64) uint8_t tiles[ROWS * DIM];
	float scale[ROWS];
	uint64_t id[ROWS], tags[ROWS];
	uint32_t born[ROWS], died[ROWS], subject[ROWS];
	int8_t x[QUERIES][DIM];
	struct search_rows rows;
	struct search_query query[QUERIES];
	struct search_list *got[QUERIES], *want[QUERIES];
};

static void gallery_fill(struct gallery *g)
{
	uint32_t seed = 7;

	g->rows =
		(struct search_rows){SEARCH_COSINE, DIM,   DIM,	    g->tiles, NULL,    g->scale,
				     NULL,	    g->id, g->tags, g->born,  g->died, g->subject};
	for (uint32_t i = 0; i < ROWS * DIM; i++)
		g->tiles[i] = (uint8_t)draw(&seed);
	for (uint32_t r = 0; r < ROWS; r++) {
		g->scale[r] = 0.5f + (float)(draw(&seed) % 100) * 0.01f;
		g->id[r] = r * 2654435761u % 4294967291u;
		g->tags[r] = draw(&seed) % 4;
		g->born[r] = draw(&seed) % 8;
		g->died[r] = draw(&seed) % 4 ? SEARCH_NEVER : 4;
		g->subject[r] = draw(&seed) % 50;
	}
	for (uint32_t q = 0; q < QUERIES; q++) {
		for (uint32_t d = 0; d < DIM; d++)
			g->x[q][d] = (int8_t)draw(&seed);
		g->query[q] = (struct search_query){.x = g->x[q],
						    .limit = -INFINITY,
						    .k = K,
						    .by_subject = q == 1,
						    .epoch = 5,
						    .rows = ROWS - q,
						    .tag_mask = q == 2,
						    .tag_value = 0};
		g->got[q] = search_list_create(K, q == 1);
		g->want[q] = search_list_create(K, q == 1);
	}
}

static int search_run(struct device *device, struct gallery *g)
{
	struct device_command load = {.op = DEVICE_LOAD}, search = {.op = DEVICE_SEARCH};
	struct device_rows *copy = NULL;
	struct device_caps caps;
	int err = 0;

	device->ops->caps(device, &caps);
	if (!caps.reads_host_memory) {
		err = device->ops->rows_create(device, &g->rows, 0, TILES, &copy);
		load.load = (struct device_load){copy, 0, TILES};
		if (!err)
			err = run(device, &load);
	}
	search.search = (struct device_search){&g->rows, copy, 0, TILES, g->query, QUERIES, g->got};
	if (!err)
		err = run(device, &search);
	if (copy)
		device->ops->rows_free(copy);
	return err;
}

static bool same_lists(const struct gallery *g)
{
	for (uint32_t q = 0; q < QUERIES; q++) {
		struct search_hit got[K], want[K];
		uint32_t n = search_list_sorted(g->got[q], got);

		if (n != search_list_sorted(g->want[q], want))
			return false;
		for (uint32_t i = 0; i < n; i++)
			if (got[i].row != want[i].row || got[i].s != want[i].s)
				return false;
	}
	return true;
}

static int test_search(struct device *device)
{
	struct gallery *g = aligned_alloc(64, (sizeof(*g) + 63) & ~(size_t)63);
	bool lists = true;
	int err = -ENOMEM;

	if (!g)
		return -ENOMEM;
	memset(g, 0, sizeof(*g));
	gallery_fill(g);
	for (uint32_t q = 0; q < QUERIES; q++)
		lists = lists && g->got[q] && g->want[q];
	if (lists)
		err = ref_search(&g->rows, 0, ROWS, g->query, QUERIES, g->want);
	if (!err)
		err = search_run(device, g);
	if (!err && !same_lists(g))
		err = -EBADMSG;
	for (uint32_t q = 0; q < QUERIES; q++) {
		search_list_free(g->got[q]);
		search_list_free(g->want[q]);
	}
	free(g);
	return err;
}

/* ---- both -------------------------------------------------------------------------------------- */
static const struct {
	enum device_op op;
	const char *name;
	int (*run)(struct device *device);
} tests[] = {
	{DEVICE_GEMM, "a product", test_product},
	{DEVICE_SEARCH, "a search", test_search},
};

int selftest(struct device *device, char *why, size_t bytes)
{
	struct device_caps caps;
	int err = 0;

	device->ops->caps(device, &caps);
	for (size_t i = 0; !err && i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (!(caps.ops >> tests[i].op & 1))
			continue;
		err = tests[i].run(device);
		if (err)
			snprintf(why, bytes, "its self-test failed: %s: %s", tests[i].name,
				 err == -EBADMSG ? "wrong bytes" : strerror(-err));
	}
	return err;
}
