/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of rows, where the host need not keep them: a gallery without a host copy lets go of them,
 * block by block, once copies on devices have them, and reads them from the store again before anything
 * in a block changes, or when the copies are lost. Which blocks are away only the writer knows; the
 * other columns never go.
 *
 * A block goes when the copies have all of its changes (stamp), and none of its rows is dying: the
 * record of such a row is gone, and older snapshots still see it. So whoever lets a row die or fills a
 * slot has the block's values back first (values_need()).
 */
#include "daemon/gallery/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_TILES 64u
#define BLOCK_ROWS  (BLOCK_TILES * SEARCH_TILE_ROWS)
#define FETCH_STEP  64u /* blocks between two looks at what waits */

static uint64_t block_count(const struct gallery *gallery)
{
	return (gallery->rows.high + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

static bool *away(const struct gallery *gallery)
{
	return (bool *)gallery->values.away.base;
}

static uint64_t block_bytes(const struct gallery *gallery)
{
	return (uint64_t)BLOCK_ROWS * search_padded_dim(gallery->spec.space.dim);
}

int values_init(struct gallery *gallery)
{
	struct reserve *marks = &gallery->values.away;
	int err;

	if (!gallery->spec.no_host_copy)
		return 0;
	err = reserve_init(marks, ROWS_MAX / BLOCK_ROWS, false);
	return err ? err : reserve_grow(marks, ROWS_MAX / BLOCK_ROWS);
}

void values_free(struct gallery *gallery)
{
	reserve_free(&gallery->values.away);
}

uint64_t values_away_bytes(const struct gallery *gallery)
{
	return gallery->values.away_count * block_bytes(gallery);
}

/* ---- back from the store ------------------------------------------------------------------------ */
static int read_row(struct gallery *gallery, struct store_view *view, uint32_t row)
{
	const struct search_rows *rows = &gallery->rows.view;
	uint64_t seq = gallery->rows.seq[row];
	struct record record;
	int err;

	if (rows->born[row] == SEARCH_NEVER)
		return 0; /* nobody's */
	err = store_get(view, &seq, false, &record);
	if (err)
		return err == -ENOENT ? -EBADMSG : err;
	if (record.id != rows->id[row])
		return -EBADMSG;
	search_put_row(rows, row, record.x);
	return 0;
}

static int read_block(struct gallery *gallery, struct store_view *view, uint64_t block)
{
	uint64_t first = block * BLOCK_ROWS, end = first + BLOCK_ROWS;
	int err = 0;

	for (uint64_t r = first; !err && r < end && r < gallery->rows.high; r++)
		err = read_row(gallery, view, (uint32_t)r);
	if (err)
		return err;
	away(gallery)[block] = false;
	gallery->values.away_count--;
	return 0;
}

/* Up to so many blocks from the first on; *first is where it ended. */
static int read_blocks(struct gallery *gallery, uint64_t *first, uint32_t most)
{
	struct store_view *view = malloc(sizeof(*view));
	int err = view ? store_view_begin(gallery->store, view) : -ENOMEM;

	if (!err) {
		for (; !err && most && *first < block_count(gallery); ++*first) {
			if (!away(gallery)[*first])
				continue;
			err = read_block(gallery, view, *first);
			most--;
		}
		store_view_end(view);
	}
	free(view);
	return err;
}

int values_need(struct gallery *gallery, uint32_t row)
{
	uint64_t block = row / BLOCK_ROWS;

	if (!gallery->values.away_count || !away(gallery)[block])
		return 0;
	return read_blocks(gallery, &block, 1);
}

/* ---- away ----------------------------------------------------------------------------------------- */
static bool dying(const struct gallery *gallery, uint64_t block)
{
	const struct search_rows *rows = &gallery->rows.view;

	for (uint64_t r = block * BLOCK_ROWS; r < (block + 1) * BLOCK_ROWS; r++)
		if (rows->born[r] != SEARCH_NEVER && rows->died[r] != SEARCH_NEVER)
			return true;
	return false;
}

static bool changed_since(const struct gallery *gallery, uint64_t block, uint64_t stamp)
{
	uint64_t begin = block * BLOCK_TILES, tiles;

	return gallery_changed_tiles(gallery, stamp, begin + BLOCK_TILES, BLOCK_TILES, &begin,
				     &tiles);
}

/* All but the last block, in which the gallery grows. */
static void shed(struct gallery *gallery, uint64_t stamp)
{
	uint64_t bytes = block_bytes(gallery);

	for (uint64_t block = 0; block + 1 < block_count(gallery); block++) {
		if (away(gallery)[block] || changed_since(gallery, block, stamp) ||
		    dying(gallery, block) ||
		    reserve_shed(&gallery->rows.part[ROWS_TILES], block * bytes, bytes))
			continue;
		away(gallery)[block] = true;
		gallery->values.away_count++;
	}
}

/* ---- the writer's turn ----------------------------------------------------------------------------- */
static bool fetch_some(struct gallery *gallery, uint64_t order)
{
	struct values *values = &gallery->values;
	int err = 0;

	if (values->here == order)
		return false;
	__atomic_store_n(&values->shed, 0, __ATOMIC_RELEASE);
	if (values->away_count)
		err = read_blocks(gallery, &values->fetched, FETCH_STEP);
	if (err) {
		gallery_set_state(gallery, GALLERY_FAILED,
				  "reading rows from the store again: %s: restore a copy",
				  strerror(-err));
		return false;
	}
	if (values->away_count) {
		gallery_set_percent(gallery,
				    (uint32_t)(values->fetched * 100 / block_count(gallery)));
		return true;
	}
	gallery_set_percent(gallery, 100);
	gallery_count(gallery);
	__atomic_store_n(&values->here, order, __ATOMIC_SEQ_CST);
	if (gallery->changed)
		gallery->changed(gallery, gallery->user);
	return false;
}

bool values_run(struct gallery *gallery)
{
	struct values *values = &gallery->values;
	uint64_t stamp, order;

	if (!gallery->spec.no_host_copy || gallery_get_state(gallery) == GALLERY_FAILED)
		return false;
	order = __atomic_load_n(&values->order, __ATOMIC_SEQ_CST);
	if (order & 1)
		return fetch_some(gallery, order);
	stamp = __atomic_load_n(&values->held, __ATOMIC_SEQ_CST);
	values->fetched = 0;
	if (stamp == values->shed)
		return false;
	shed(gallery, stamp);
	gallery_count(gallery);
	__atomic_store_n(&values->shed, stamp, __ATOMIC_RELEASE);
	return false;
}

/* ---- from outside ----------------------------------------------------------------------------------- */
static void set_order(struct gallery *gallery, bool fetch)
{
	uint64_t order = gallery->values.order;

	if ((order & 1) != fetch)
		__atomic_store_n(&gallery->values.order, order + 1, __ATOMIC_SEQ_CST);
	queue_nudge(&gallery->writes);
}

void gallery_shed(struct gallery *gallery, uint64_t stamp)
{
	__atomic_store_n(&gallery->values.held, stamp, __ATOMIC_SEQ_CST);
	set_order(gallery, false);
}

void gallery_fetch(struct gallery *gallery)
{
	set_order(gallery, true);
}

bool gallery_here(const struct gallery *gallery)
{
	uint64_t order = gallery->values.order;

	return (order & 1) && __atomic_load_n(&gallery->values.here, __ATOMIC_SEQ_CST) == order;
}
