/* SPDX-License-Identifier: Apache-2.0 */
/* What those see who keep copies of a gallery's rows on devices. */
#include "daemon/gallery/internal.h"

void gallery_follow(struct gallery *gallery, bool on)
{
	__atomic_store_n(&gallery->followed, on, __ATOMIC_SEQ_CST);
	if (!on)
		gallery_copied(gallery, UINT64_MAX);
}

void gallery_moment(struct gallery *gallery, struct gallery_moment *moment)
{
	/* What is published by now was marked before. */
	pthread_mutex_lock(&gallery->snapshots.lock);
	moment->epoch = gallery->snapshots.epoch;
	moment->era = gallery->snapshots.era;
	moment->tiles = (gallery->snapshots.rows + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS;
	pthread_mutex_unlock(&gallery->snapshots.lock);
	moment->stamp = changes_moment(&gallery->rows.changes, &moment->tiles);
	moment->rows = &gallery->rows.view;
}

bool gallery_changed_tiles(const struct gallery *gallery, uint64_t since, uint64_t end,
			   uint64_t most, uint64_t *begin, uint64_t *tiles)
{
	return changes_next(&gallery->rows.changes, since, end, most, begin, tiles);
}

void gallery_copied(struct gallery *gallery, uint64_t stamp)
{
	__atomic_store_n(&gallery->copied, stamp, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&gallery->copies_wanted, __ATOMIC_SEQ_CST))
		queue_nudge(&gallery->writes);
}

void follow_tell(struct gallery *gallery)
{
	if (__atomic_load_n(&gallery->followed, __ATOMIC_SEQ_CST) && gallery->changed)
		gallery->changed(gallery, gallery->user);
}

/* Are all copies past what the request had wiped? Asked when its rows are wiped here. */
bool follow_wiped(struct gallery *gallery, struct gallery_request *request)
{
	if (!request->wiped) {
		request->wiped = changes_stamp(&gallery->rows.changes);
		follow_tell(gallery);
	}
	/* Before the look: whoever moves on after it then wakes the writer. */
	__atomic_store_n(&gallery->copies_wanted, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&gallery->copied, __ATOMIC_SEQ_CST) < request->wiped)
		return false;
	__atomic_store_n(&gallery->copies_wanted, false, __ATOMIC_SEQ_CST);
	return true;
}
