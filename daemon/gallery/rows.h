/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a gallery in memory: the search layout and what belongs to each row. Arrays grow in
 * place. Only the writer changes them; searches read at the same time.
 *
 * The life of a slot: taken (born NEVER: no search counts it) -> published (born = its epoch) ->
 * dying (died = an epoch) -> wiped, born NEVER again -> free. A wiped slot is filled anew only when
 * every search that could have read its old born is over: gallery's reclaim (snapshot.h).
 */
#ifndef FACET_DAEMON_GALLERY_ROWS_H
#define FACET_DAEMON_GALLERY_ROWS_H

#include "daemon/gallery/changes.h"
#include "daemon/gallery/index.h"
#include "daemon/gallery/reserve.h"
#include "kernels/ops.h"

#define ROWS_MAX   (UINT64_C(1) << 30)
#define ROWS_NONE  UINT32_MAX
#define ROWS_PARTS 11
#define ROWS_TILES 0 /* the part that holds the values */

struct rows {
	struct search_rows view; /* what searches use; its pointers never change */
	uint64_t high;		 /* slots ever taken */
	uint32_t free_head;
	uint64_t free_count;
	uint64_t *seq;	 /* key in the store; of a dead row: link of a list */
	uint32_t *older; /* the subject's next row, kept until the slot is free */
	uint32_t *newer;
	struct index ids;
	struct changes changes; /* marked by who changes what is published */
	uint8_t hash_key[16];
	struct reserve part[ROWS_PARTS];
};

struct rows_entry {
	const int8_t *x; /* [dim], rotated */
	float step;
	uint64_t id, tags, seq;
	uint32_t subject;
};

int rows_init(struct rows *rows, uint32_t dim, enum search_metric metric);
void rows_free(struct rows *rows);
/* Memory for more rows and ids, so that rows_take() and rows_add_id() cannot fail. -ENOMEM */
int rows_room(struct rows *rows, uint64_t more);
/* Has the kernel clear the memory of so many rows now, until *stop. Room was made. */
void rows_populate(struct rows *rows, uint64_t count, const bool *stop);
uint32_t rows_take(struct rows *rows);
void rows_give(struct rows *rows, uint32_t row); /* a wiped slot no search can read */
/* -EINVAL: scale or bias would leave the range of kernels/ops.h. The row stays unborn. */
int rows_fill(struct rows *rows, uint32_t row, const struct rows_entry *entry);
void rows_wipe(struct rows *rows, uint32_t row);
uint32_t rows_by_id(const struct rows *rows, uint64_t id);   /* ROWS_NONE: absent */
void rows_prefetch_id(const struct rows *rows, uint64_t id); /* it will be asked for soon */
void rows_add_id(struct rows *rows, uint32_t row);
void rows_drop_id(struct rows *rows, uint32_t row);
/* Does a search of this epoch and high-water mark count the row? */
bool rows_visible(const struct rows *rows, uint32_t row, uint32_t epoch, uint64_t row_count);
/* Score of one row by the formula of the metric; y: its values. */
float rows_score(const struct rows *rows, uint32_t row, const int8_t *y, const int8_t *x,
		 float q_mul);

#endif
