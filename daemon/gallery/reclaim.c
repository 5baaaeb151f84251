/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of rows. dying: deleted, and perhaps seen by older snapshots. wiped: seen by none, their
 * bytes gone; but a search may have read such a row's old `born` just before, and would take a new
 * row in that slot for the old one. So wiped rows rest until every snapshot of that time has ended,
 * and only then are free.
 */
#include "daemon/gallery/internal.h"

#include <unistd.h>

static void push(struct gallery *gallery, struct row_list *list, uint32_t row)
{
	gallery->rows.seq[row] = ROWS_NONE;
	if (list->first == ROWS_NONE)
		list->first = row;
	else
		gallery->rows.seq[list->last] = row;
	list->last = row;
}

static uint32_t pop(struct gallery *gallery, struct row_list *list)
{
	uint32_t row = list->first;

	list->first = (uint32_t)gallery->rows.seq[row];
	return row;
}

void reclaim_add(struct gallery *gallery, uint32_t row)
{
	push(gallery, &gallery->dying, row);
}

bool reclaim_pending(const struct gallery *gallery, uint32_t epoch)
{
	uint32_t row = gallery->dying.first;

	return row != ROWS_NONE && gallery->rows.view.died[row] <= epoch;
}

static void wipe(struct gallery *gallery, uint32_t row)
{
	uint32_t subject = gallery->rows.view.subject[row];

	rows_wipe(&gallery->rows, row);
	changes_begin(&gallery->rows.changes);
	changes_mark(&gallery->rows.changes, row);
	changes_end(&gallery->rows.changes);
	subjects_unlink(&gallery->subjects, &gallery->rows, row);
	subjects_drop_empty(&gallery->subjects, subject);
}

static void free_rested(struct gallery *gallery, uint64_t oldest)
{
	if (oldest < gallery->resting_stamp)
		return;
	while (gallery->resting.first != ROWS_NONE)
		rows_give(&gallery->rows, pop(gallery, &gallery->resting));
}

static void set_wanted(struct gallery *gallery)
{
	bool wanted = gallery->dying.first != ROWS_NONE || gallery->wiped.first != ROWS_NONE ||
		      gallery->resting.first != ROWS_NONE;

	__atomic_store_n(&gallery->reclaim_wanted, wanted, __ATOMIC_SEQ_CST);
}

void reclaim_run(struct gallery *gallery)
{
	uint64_t generation;
	uint32_t epoch;

	/* Before the look: a release that it misses then wakes the writer again. */
	set_wanted(gallery);
	snapshots_oldest(&gallery->snapshots, &epoch, &generation);
	free_rested(gallery, generation);
	while (reclaim_pending(gallery, epoch)) {
		uint32_t row = pop(gallery, &gallery->dying);

		wipe(gallery, row);
		push(gallery, &gallery->wiped, row);
	}
	if (gallery->resting.first == ROWS_NONE && gallery->wiped.first != ROWS_NONE) {
		gallery->resting = gallery->wiped;
		gallery->wiped.first = ROWS_NONE;
		gallery->resting_stamp = snapshots_stamp(&gallery->snapshots);
		snapshots_oldest(&gallery->snapshots, &epoch, &generation);
		free_rested(gallery, generation);
	}
	set_wanted(gallery);
}

#define EPOCH_LATE     (UINT32_MAX - (1u << 20)) /* from here on a moment without snapshots is used */
#define EPOCH_LAST     (UINT32_MAX - (1u << 18)) /* and from here on one is made */
#define REBASE_WAIT_US 200

/* With the lock held no snapshot can begin; without snapshots all dead rows can go. */
static bool rebased(struct gallery *gallery)
{
	struct rows *rows = &gallery->rows;
	uint32_t *born = (uint32_t *)rows->view.born;
	bool quiet;

	reclaim_run(gallery);
	pthread_mutex_lock(&gallery->snapshots.lock);
	quiet = !gallery->snapshots.count && gallery->dying.first == ROWS_NONE;
	for (uint64_t r = 0; quiet && r < rows->high; r++)
		if (born[r] != SEARCH_NEVER)
			born[r] = 0;
	if (quiet) {
		gallery->epoch = gallery->snapshots.epoch = 1;
		gallery->snapshots.era++; /* copies of rows count for nothing any more */
	}
	pthread_mutex_unlock(&gallery->snapshots.lock);
	return quiet;
}

void epoch_rebase(struct gallery *gallery)
{
	if (gallery->epoch < EPOCH_LATE || rebased(gallery) || gallery->epoch < EPOCH_LAST)
		return;
	snapshots_refuse(&gallery->snapshots, true);
	while (!rebased(gallery))
		usleep(REBASE_WAIT_US);
	snapshots_refuse(&gallery->snapshots, false);
}
