// SPDX-License-Identifier: GPL-2.0-only
/*
 * Board memory. A piece is filled with zeros before anybody gets it, and again, in the background, when
 * it is given back, so that what was secret does not wait there for the next owner.
 */
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "facet_drv.h"

#define WIPE_TRIES 3

static void piece_remove(struct facet_bank *bank, struct facet_piece *piece)
{
	mutex_lock(&bank->lock);
	bank->free_bytes += piece->node.size;
	drm_mm_remove_node(&piece->node);
	mutex_unlock(&bank->lock);
	kfree(piece);
}

/* ---- wiping ---- */

static struct facet_piece *dirty_take(struct facet_bank *bank)
{
	struct facet_piece *piece;

	mutex_lock(&bank->lock);
	piece = list_first_entry_or_null(&bank->dirty, struct facet_piece, link);
	if (piece)
		list_del_init(&piece->link);
	mutex_unlock(&bank->lock);
	return piece;
}

/* Whoever gets a piece has it filled first: one that cannot be wiped now is no danger, only late. */
static void wipe_bank(struct facet_device *facet, struct facet_bank *bank)
{
	struct facet_piece *piece;

	while ((piece = dirty_take(bank))) {
		if (facet_job_zero(facet, piece, false) && ++piece->tries < WIPE_TRIES &&
		    !READ_ONCE(facet->unplugged)) {
			mutex_lock(&bank->lock);
			list_add_tail(&piece->link, &bank->dirty);
			mutex_unlock(&bank->lock);
			continue;
		}
		mutex_lock(&bank->lock);
		bank->dirty_bytes -= piece->node.size;
		mutex_unlock(&bank->lock);
		piece_remove(bank, piece);
	}
}

static void wipe(struct work_struct *work)
{
	struct facet_device *facet = container_of(work, struct facet_device, wipe);
	u32 i;

	for (i = 0; i < facet->banks; i++)
		wipe_bank(facet, &facet->bank[i]);
}

/* ---- pieces ---- */

static int piece_place(struct facet_device *facet, struct facet_bank *bank, u64 bytes,
		       struct facet_piece *piece)
{
	u64 align = max_t(u64, PAGE_SIZE, 1ull << facet->align_log2);
	int err;

	mutex_lock(&bank->lock);
	err = drm_mm_insert_node_generic(&bank->mm, &piece->node, bytes, align, 0,
					 DRM_MM_INSERT_BEST);
	if (!err)
		bank->free_bytes -= bytes;
	mutex_unlock(&bank->lock);
	return err;
}

int facet_piece_take(struct facet_device *facet, u32 index, u64 bytes, struct facet_piece **out)
{
	struct facet_bank *bank = &facet->bank[index];
	struct facet_piece *piece = kzalloc(sizeof(*piece), GFP_KERNEL);
	int err;

	if (!piece)
		return -ENOMEM;
	INIT_LIST_HEAD(&piece->link);
	piece->bank = index;
	err = piece_place(facet, bank, bytes, piece);
	if (err == -ENOSPC) { /* perhaps what is being wiped */
		flush_work(&facet->wipe);
		err = piece_place(facet, bank, bytes, piece);
	}
	if (err) {
		kfree(piece);
		return err;
	}
	err = facet_job_zero(facet, piece, true);
	if (err)
		facet_piece_give(facet, piece);
	else
		*out = piece;
	return err;
}

void facet_piece_give(struct facet_device *facet, struct facet_piece *piece)
{
	struct facet_bank *bank = &facet->bank[piece->bank];

	if (READ_ONCE(facet->unplugged)) {
		piece_remove(bank, piece);
		return;
	}
	mutex_lock(&bank->lock);
	list_add_tail(&piece->link, &bank->dirty);
	bank->dirty_bytes += piece->node.size;
	mutex_unlock(&bank->lock);
	queue_work(system_unbound_wq, &facet->wipe);
}

/* Pieces stay with their owners, whose files say that their contents are lost; what waits to be wiped is
 * filled all the same: a reset that forgets is not one that erases. */
void facet_banks_lost(struct facet_device *facet)
{
	queue_work(system_unbound_wq, &facet->wipe);
}

/* ---- all ---- */

/* What a file that was closed late has left. */
static void banks_release(struct drm_device *drm, void *data)
{
	facet_banks_fini(to_facet(drm));
}

int facet_banks_init(struct facet_device *facet)
{
	u32 i;

	INIT_WORK(&facet->wipe, wipe);
	for (i = 0; i < facet->banks; i++) {
		struct facet_bank *bank = &facet->bank[i];

		mutex_init(&bank->lock);
		INIT_LIST_HEAD(&bank->dirty);
		drm_mm_init(&bank->mm, 0, bank->bytes);
		bank->free_bytes = bank->bytes;
	}
	return drmm_add_action(&facet->drm, banks_release, NULL);
}

/* Files may still hold pieces: their nodes go with them. */
void facet_banks_fini(struct facet_device *facet)
{
	cancel_work_sync(&facet->wipe);
	wipe(&facet->wipe);
}
