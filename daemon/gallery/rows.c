/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gallery/rows.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/device/host_memory.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#define POPULATE_STEP ((size_t)32 << 20)

enum part { TILES = ROWS_TILES, SCALE, BIAS, ID, TAGS, BORN, DIED, SUBJECT, SEQ, OLDER, NEWER };

/* Bytes a row of each part; tiles and the parts a metric does without are set by rows_init(). */
static const uint32_t part_bytes[ROWS_PARTS] = {
	[SCALE] = 4, [BIAS] = 4,    [ID] = 8,  [TAGS] = 8,  [BORN] = 4,
	[DIED] = 4,  [SUBJECT] = 4, [SEQ] = 8, [OLDER] = 4, [NEWER] = 4,
};

/* Those that boards have copies of. */
static const bool of_boards[ROWS_PARTS] = {
	[TILES] = true, [SCALE] = true, [BIAS] = true, [TAGS] = true, [BORN] = true, [DIED] = true,
};

static uint32_t bytes_of(const struct rows *rows, enum part part)
{
	if (part == TILES)
		return search_padded_dim(rows->view.dim);
	if (part == SCALE && rows->view.metric == SEARCH_DOT)
		return 0;
	if (part == BIAS && rows->view.metric != SEARCH_L2)
		return 0;
	return part_bytes[part];
}

static int reserve_parts(struct rows *rows)
{
	for (int i = 0; i < ROWS_PARTS; i++) {
		uint32_t bytes = bytes_of(rows, (enum part)i);
		bool shared = of_boards[i] && host_memory_wanted();
		int err = bytes ? reserve_init(&rows->part[i], bytes * ROWS_MAX, shared) : 0;

		if (err)
			return err;
	}
	return 0;
}

int rows_init(struct rows *rows, uint32_t dim, enum search_metric metric)
{
	int err;

	memset(rows, 0, sizeof(*rows));
	rows->view.dim = dim;
	rows->view.metric = metric;
	rows->view.head = search_padded_dim(dim);
	rows->free_head = ROWS_NONE;
	crypto_shorthash_keygen(rows->hash_key);
	err = reserve_parts(rows);
	if (!err)
		err = index_init(&rows->ids);
	if (!err)
		err = changes_init(&rows->changes, ROWS_MAX);
	if (err) {
		rows_free(rows);
		return err;
	}
	rows->view.head_tiles = rows->part[TILES].base;
	rows->view.scale = (void *)rows->part[SCALE].base;
	rows->view.bias = (void *)rows->part[BIAS].base;
	rows->view.id = (uint64_t *)rows->part[ID].base;
	rows->view.tags = (uint64_t *)rows->part[TAGS].base;
	rows->view.born = (uint32_t *)rows->part[BORN].base;
	rows->view.died = (uint32_t *)rows->part[DIED].base;
	rows->view.subject = (uint32_t *)rows->part[SUBJECT].base;
	rows->seq = (uint64_t *)rows->part[SEQ].base;
	rows->older = (uint32_t *)rows->part[OLDER].base;
	rows->newer = (uint32_t *)rows->part[NEWER].base;
	return 0;
}

void rows_free(struct rows *rows)
{
	for (int i = 0; i < ROWS_PARTS; i++)
		reserve_free(&rows->part[i]);
	index_free(&rows->ids);
	changes_free(&rows->changes);
	memset(rows, 0, sizeof(*rows));
}

int rows_room(struct rows *rows, uint64_t more)
{
	uint64_t want = rows->high + more; /* whole tiles: a search reads the last one whole */

	if (more > ROWS_MAX || want > ROWS_MAX - SEARCH_TILE_ROWS)
		return -ENOMEM;
	want = (want + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS * SEARCH_TILE_ROWS;
	for (int i = 0; i < ROWS_PARTS; i++) {
		uint32_t bytes = bytes_of(rows, (enum part)i);
		int err = bytes ? reserve_grow(&rows->part[i], want * bytes) : 0;

		if (err)
			return err;
	}
	if (changes_room(&rows->changes, want))
		return -ENOMEM;
	return index_room(&rows->ids, more, NULL);
}

void rows_populate(struct rows *rows, uint64_t count, const bool *stop)
{
	for (int i = 0; i < ROWS_PARTS; i++) {
		size_t bytes = (size_t)bytes_of(rows, (enum part)i) * count;

		for (size_t at = 0; at < bytes; at += POPULATE_STEP) {
			size_t n = bytes - at < POPULATE_STEP ? bytes - at : POPULATE_STEP;

			if (__atomic_load_n(stop, __ATOMIC_RELAXED) ||
			    madvise(rows->part[i].base + at, n, MADV_POPULATE_WRITE))
				return; /* an old kernel: pages come one by one */
		}
	}
}

uint32_t rows_take(struct rows *rows)
{
	uint32_t row = rows->free_head;

	if (row != ROWS_NONE) {
		rows->free_head = rows->older[row];
		rows->free_count--;
		return row;
	}
	row = (uint32_t)rows->high++;
	((uint32_t *)rows->view.born)[row] = SEARCH_NEVER;
	return row;
}

void rows_give(struct rows *rows, uint32_t row)
{
	assert(rows->view.born[row] == SEARCH_NEVER);
	rows->older[row] = rows->free_head;
	rows->free_head = row;
	rows->free_count++;
}

static int32_t squared_norm(const int8_t *x, uint32_t dim)
{
	int32_t sum = 0;

	for (uint32_t i = 0; i < dim; i++)
		sum += x[i] * x[i];
	return sum;
}

static int set_scale(struct rows *rows, uint32_t row, const struct rows_entry *entry)
{
	const struct search_rows *view = &rows->view;
	double step = entry->step;

	if (view->metric == SEARCH_COSINE)
		((float *)view->scale)[row] = op_cosine_scale(entry->x, view->dim);
	if (view->metric == SEARCH_L2) {
		double norm = (double)squared_norm(entry->x, view->dim);

		((float *)view->scale)[row] = 2.0f * entry->step;
		((float *)view->bias)[row] = (float)(norm * (step * step));
	}
	return search_scales_check(view, row, (uint64_t)row + 1);
}

int rows_fill(struct rows *rows, uint32_t row, const struct rows_entry *entry)
{
	const struct search_rows *view = &rows->view;

	assert(view->born[row] == SEARCH_NEVER);
	if (set_scale(rows, row, entry))
		return -EINVAL;
	search_put_row(view, row, entry->x);
	((uint64_t *)view->id)[row] = entry->id;
	((uint64_t *)view->tags)[row] = entry->tags;
	((uint32_t *)view->subject)[row] = entry->subject;
	((uint32_t *)view->died)[row] = SEARCH_NEVER;
	rows->seq[row] = entry->seq;
	return 0;
}

void rows_wipe(struct rows *rows, uint32_t row)
{
	static const int8_t zero[SEARCH_DIM_MAX];
	const struct search_rows *view = &rows->view;

	__atomic_store_n((uint32_t *)&view->born[row], SEARCH_NEVER, __ATOMIC_RELEASE);
	search_put_row(view, row, zero);
	if (view->metric != SEARCH_DOT)
		((float *)view->scale)[row] = 0.0f;
	if (view->metric == SEARCH_L2)
		((float *)view->bias)[row] = 0.0f;
	((uint64_t *)view->id)[row] = 0;
	((uint64_t *)view->tags)[row] = 0;
}

static uint32_t hash_id(const struct rows *rows, uint64_t id)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t h;

	crypto_shorthash(hash, (const uint8_t *)&id, sizeof(id), rows->hash_key);
	memcpy(&h, hash, sizeof(h));
	return h;
}

struct same_id {
	const uint64_t *ids;
	uint64_t id;
};

static bool same_id(const void *context, uint32_t row)
{
	const struct same_id *same = context;

	return same->ids[row] == same->id;
}

uint32_t rows_by_id(const struct rows *rows, uint64_t id)
{
	struct same_id same = {rows->view.id, id};

	return index_find(&rows->ids, hash_id(rows, id), same_id, &same);
}

void rows_prefetch_id(const struct rows *rows, uint64_t id)
{
	index_prefetch(&rows->ids, hash_id(rows, id));
}

void rows_add_id(struct rows *rows, uint32_t row)
{
	index_insert(&rows->ids, hash_id(rows, rows->view.id[row]), row);
}

void rows_drop_id(struct rows *rows, uint32_t row)
{
	index_remove(&rows->ids, hash_id(rows, rows->view.id[row]), row);
}

bool rows_visible(const struct rows *rows, uint32_t row, uint32_t epoch, uint64_t row_count)
{
	uint32_t born = __atomic_load_n(&rows->view.born[row], __ATOMIC_ACQUIRE);
	uint32_t died = __atomic_load_n(&rows->view.died[row], __ATOMIC_ACQUIRE);

	return row < row_count && born <= epoch && epoch < died;
}

float rows_score(const struct rows *rows, uint32_t row, const int8_t *y, const int8_t *x,
		 float q_mul)
{
	const struct search_rows *view = &rows->view;
	int32_t dot = 0;

	for (uint32_t i = 0; i < view->dim; i++)
		dot += x[i] * y[i];
	switch (view->metric) {
	case SEARCH_COSINE:
		return (float)dot * view->scale[row];
	case SEARCH_L2:
		return (float)dot * view->scale[row] * q_mul - view->bias[row];
	default:
		return (float)dot;
	}
}
