/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: the table, its masks and pending bits, and messages to the host. */
#include "boards/virtual/internal.h"

#include <string.h>

#define ENTRY_MASKED 1u
#define PENDING_AT   0x800u /* in BAR 2; pci.c tells the host */

void irq_init(struct irq *irq, uint32_t vectors)
{
	pthread_mutex_init(&irq->lock, NULL);
	pthread_mutex_init(&irq->raising, NULL);
	irq->vectors = vectors;
	irq_reset(irq);
}

void irq_reset(struct irq *irq)
{
	pthread_mutex_lock(&irq->lock);
	memset(irq->table, 0, sizeof(irq->table));
	for (uint32_t i = 0; i < SHELL_VECTORS_MAX; i++)
		irq->table[i][3] = ENTRY_MASKED;
	irq->enabled = irq->masked = false;
	irq->pending = 0;
	irq->wanted = 0;
	pthread_mutex_unlock(&irq->lock);
}

/* ---- raising --------------------------------------------------------------------------------- */

/* The message of a vector that may be sent now; else it is dropped, or pending. */
static bool message(struct board *board, uint32_t vector, uint64_t *address, uint32_t *data)
{
	struct irq *irq = &board->irq;
	const uint32_t *entry = irq->table[vector];
	bool send = false;

	pthread_mutex_lock(&irq->lock);
	if (!irq->enabled || !board->bus.master) {
		irq->dropped++;
	} else if (irq->masked || (entry[3] & ENTRY_MASKED)) {
		irq->pending |= 1u << vector;
	} else {
		*address = entry[0] | (uint64_t)entry[1] << 32;
		*data = entry[2];
		send = true;
	}
	pthread_mutex_unlock(&irq->lock);
	return send;
}

static void send(struct board *board, uint32_t vector)
{
	uint64_t address;
	uint32_t data;

	if (!message(board, vector, &address, &data))
		return;
	board->irq.raised++;
	pthread_mutex_lock(&board->irq.raising);
	if (board->front.raise)
		board->front.raise(board->front.user, address, data);
	pthread_mutex_unlock(&board->irq.raising);
}

void irq_raise(struct board *board, uint32_t vector, uint32_t unit)
{
	if (board->gone)
		return;
	if (vector >= board->irq.vectors) {
		board->irq.dropped++;
		if (vector != SHELL_VECTOR_NONE)
			board_error(board, SHELL_ERROR_VECTOR, unit, vector, 0, 0);
		return;
	}
	send(board, vector);
}

void irq_want(struct board *board, uint32_t vector)
{
	if (vector >= board->irq.vectors) {
		board->irq.dropped++;
		registers_error(board, SHELL_ERROR_VECTOR, FAULT_ANY, vector, 0, 0);
		return;
	}
	board->irq.wanted |= 1u << vector;
	pthread_cond_signal(&board->wake);
}

void irq_serve(struct board *board)
{
	uint32_t wanted = atomic_exchange(&board->irq.wanted, 0);

	for (uint32_t i = 0; i < board->irq.vectors; i++)
		if (wanted >> i & 1)
			irq_raise(board, i, FAULT_ANY);
}

/* What waited behind a mask that is open now. irq.lock is held. */
static void release(struct board *board)
{
	struct irq *irq = &board->irq;
	uint32_t open = 0;

	if (!irq->enabled || irq->masked)
		return;
	for (uint32_t i = 0; i < irq->vectors; i++)
		if (!(irq->table[i][3] & ENTRY_MASKED))
			open |= 1u << i;
	irq->wanted |= irq->pending & open;
	irq->pending &= ~open;
}

void irq_control(struct board *board, bool enabled, bool masked)
{
	pthread_mutex_lock(&board->irq.lock);
	board->irq.enabled = enabled;
	board->irq.masked = masked;
	release(board);
	pthread_mutex_unlock(&board->irq.lock);
	pthread_cond_signal(&board->wake);
}

/* ---- the table ------------------------------------------------------------------------------- */

static uint32_t table_word(struct irq *irq, uint64_t offset)
{
	if (offset == PENDING_AT)
		return irq->pending;
	return offset < irq->vectors * 16u ? irq->table[offset / 16][offset % 16 / 4] : 0;
}

uint64_t irq_table_read(struct irq *irq, uint64_t offset, unsigned int size)
{
	uint64_t value;

	if ((size != 4 && size != 8) || offset % size)
		return UINT64_MAX;
	pthread_mutex_lock(&irq->lock);
	value = table_word(irq, offset);
	if (size == 8)
		value |= (uint64_t)table_word(irq, offset + 4) << 32;
	pthread_mutex_unlock(&irq->lock);
	return value;
}

void irq_table_write(struct board *board, uint64_t offset, unsigned int size, uint64_t value)
{
	struct irq *irq = &board->irq;

	if ((size != 4 && size != 8) || offset % size || offset >= irq->vectors * 16u)
		return;
	pthread_mutex_lock(&irq->lock);
	for (unsigned int i = 0; i < size / 4; i++)
		irq->table[offset / 16][offset % 16 / 4 + i] = (uint32_t)(value >> 32 * i);
	release(board);
	pthread_mutex_unlock(&irq->lock);
	pthread_cond_signal(&board->wake);
}
