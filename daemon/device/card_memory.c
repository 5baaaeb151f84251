/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a card's banks, first fit, and host memory that it reaches. */
#include "daemon/device/card_internal.h"

#include <errno.h>
#include <stdlib.h>

#define HOST_MAX (UINT64_C(1) << 32)

static uint64_t aligned(const struct card *card, uint64_t bytes)
{
	uint64_t align = UINT64_C(1) << card->info.align_log2;

	return (bytes + align - 1) & ~(align - 1);
}

bool card_memory_lost(const struct card *card, const struct card_memory *memory)
{
	return memory->base.place == SHELL_PLACE_BOARD && memory->generation != card->generation &&
	       !(card->info.caps & SHELL_CAP_MEMORY_KEPT);
}

uint64_t card_memory_place(const struct shell_memory *memory)
{
	return ((const struct card_memory *)memory)->piece.begin;
}

/* ---- pieces of a bank ---- */

static int piece_take(struct card *card, uint32_t bank, uint64_t bytes, struct card_piece *piece)
{
	struct card_piece **at = &card->taken[bank];
	uint64_t begin = 0;

	for (; *at && (*at)->begin - begin < bytes; at = &(*at)->next)
		begin = (*at)->end;
	if ((*at ? (*at)->begin : card->info.bank[bank].bytes) - begin < bytes)
		return -ENOSPC;
	piece->begin = begin;
	piece->end = begin + bytes;
	piece->next = *at;
	*at = piece;
	return 0;
}

static void piece_give(struct card *card, uint32_t bank, const struct card_piece *piece)
{
	struct card_piece **at = &card->taken[bank];

	while (*at != piece)
		at = &(*at)->next;
	*at = piece->next;
}

static uint64_t longest_gap(const struct card *card, uint32_t bank)
{
	uint64_t begin = 0, most = 0;

	for (const struct card_piece *p = card->taken[bank]; p; p = p->next) {
		if (p->begin - begin > most)
			most = p->begin - begin;
		begin = p->end;
	}
	if (card->info.bank[bank].bytes - begin > most)
		most = card->info.bank[bank].bytes - begin;
	return most;
}

/* ---- memory ---- */

static struct card_memory *memory_new(const struct card *card, enum shell_place place,
				      uint64_t bytes)
{
	struct card_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->base.place = place;
	m->base.bytes = bytes;
	m->generation = card->generation;
	return m;
}

int card_bank_memory(struct card *card, uint32_t bank, uint64_t bytes, struct shell_memory **memory)
{
	struct card_memory *m;
	int err = -ENOMEM;

	if (bank >= card->info.banks)
		return -EINVAL;
	pthread_mutex_lock(&card->lock);
	if (!bytes)
		bytes = longest_gap(card, bank);
	m = bytes ? memory_new(card, SHELL_PLACE_BOARD, bytes) : NULL;
	if (m) {
		m->bank = bank;
		err = piece_take(card, bank, aligned(card, bytes), &m->piece);
	}
	pthread_mutex_unlock(&card->lock);
	if (err)
		free(m);
	else
		*memory = &m->base;
	return err;
}

static int zero(struct card *card, struct shell_memory *memory)
{
	const struct shell_fill args = {0};
	struct shell_call call = {.operands = 1, .operand = {{memory, 0, memory->bytes}}};

	shell_call_op(&call, SHELL_OP_FILL, &args, sizeof(args));
	card_run(&card->base, &call, 1);
	return call.error;
}

/* In the bank with the longest gap. */
static int board_create(struct card *card, uint64_t bytes, struct shell_memory **memory)
{
	struct shell_memory *made;
	uint64_t most = 0;
	uint32_t best = 0;
	int err;

	pthread_mutex_lock(&card->lock);
	for (uint32_t b = 0; b < card->info.banks; b++)
		if (longest_gap(card, b) > most) {
			most = longest_gap(card, b);
			best = b;
		}
	pthread_mutex_unlock(&card->lock);
	if (bytes > most)
		return -ENOSPC;
	err = card_bank_memory(card, best, bytes, &made);
	if (err)
		return err;
	err = zero(card, made);
	if (err)
		card_memory_free(&card->base, made);
	else
		*memory = made;
	return err;
}

static int host_create(struct card *card, uint64_t bytes, struct shell_memory **memory)
{
	struct card_memory *m;
	int err;

	if (bytes > HOST_MAX)
		return -ENOMEM;
	m = memory_new(card, SHELL_PLACE_HOST, bytes);
	if (!m)
		return -ENOMEM;
	err = card->bus->ops->dma_create(card->bus, bytes, &m->dma);
	if (err) {
		free(m);
		return err;
	}
	m->base.map = m->dma.map;
	*memory = &m->base;
	return 0;
}

int card_memory_create(struct shell_port *port, enum shell_place place, uint64_t bytes,
		       struct shell_memory **memory)
{
	struct card *card = card_of(port);

	return place == SHELL_PLACE_HOST ? host_create(card, bytes, memory)
					 : board_create(card, bytes, memory);
}

void card_memory_free(struct shell_port *port, struct shell_memory *memory)
{
	struct card_memory *m = (struct card_memory *)memory;
	struct card *card = card_of(port);

	if (memory->place == SHELL_PLACE_HOST) {
		card->bus->ops->dma_free(card->bus, &m->dma);
	} else {
		pthread_mutex_lock(&card->lock);
		piece_give(card, m->bank, &m->piece);
		pthread_mutex_unlock(&card->lock);
	}
	free(m);
}

/* ---- moving ---- */

static int move(struct card *card, struct shell_memory *memory, uint64_t offset, uint8_t *data_out,
		const uint8_t *data_in, uint64_t bytes)
{
	int err;

	pthread_mutex_lock(&card->lock);
	err = shell_move(&card->mover, memory, offset, data_out, data_in, bytes);
	pthread_mutex_unlock(&card->lock);
	return err;
}

int card_write(struct shell_port *port, struct shell_memory *memory, uint64_t offset,
	       const void *data, uint64_t bytes)
{
	return move(card_of(port), memory, offset, NULL, data, bytes);
}

int card_read(struct shell_port *port, struct shell_memory *memory, uint64_t offset, void *data,
	      uint64_t bytes)
{
	return move(card_of(port), memory, offset, data, NULL, bytes);
}
