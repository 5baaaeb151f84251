/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Board memory. A sound bank is plain memory, which kernels use in place; one with bad cells or
 * stuck address lines is read and written through here only, 8 bytes at a time.
 */
#include "boards/virtual/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define POISON_MAX (UINT64_C(64) << 20) /* a larger bank would be made resident by it */

static void fill_poison(struct bank *bank)
{
	uint64_t bytes = bank->bytes < POISON_MAX ? bank->bytes : POISON_MAX;

	for (uint64_t i = 0; i < bytes; i++)
		bank->memory[i] = (uint8_t)(0xa5 ^ i ^ i >> 8);
}

int bank_init(struct bank *bank, uint64_t bytes, bool poison)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	bank->memory = memory;
	bank->bytes = bytes;
	pthread_mutex_init(&bank->lock, NULL);
	if (poison)
		fill_poison(bank);
	return 0;
}

void bank_free(struct bank *bank)
{
	if (!bank->memory)
		return;
	munmap(bank->memory, bank->bytes);
	pthread_mutex_destroy(&bank->lock);
	bank->memory = NULL;
}

void bank_forget(struct bank *bank, bool poison)
{
	madvise(bank->memory, bank->bytes, MADV_DONTNEED);
	if (poison)
		fill_poison(bank);
}

/* ---- faulty memory --------------------------------------------------------------------------- */

/* The word that the address lines really select. */
static uint64_t select_word(const struct bank *bank, uint64_t at)
{
	uint64_t word = (at & ~bank->stuck_lines) | (bank->stuck_values & bank->stuck_lines);

	return word + 8 <= bank->bytes ? word : at;
}

static uint64_t with_bit(uint64_t word, uint32_t bit, bool on)
{
	return on ? word | UINT64_C(1) << bit : word & ~(UINT64_C(1) << bit);
}

static uint64_t load(struct bank *bank, uint64_t at)
{
	uint64_t word;

	at = select_word(bank, at);
	memcpy(&word, bank->memory + at, 8);
	for (uint32_t i = 0; i < bank->cells; i++)
		if (!bank->cell[i].coupled && bank->cell[i].address == at)
			word = with_bit(word, bank->cell[i].bit, bank->cell[i].stuck);
	return word;
}

static void store(struct bank *bank, uint64_t at, uint64_t word)
{
	uint64_t before, victim;

	at = select_word(bank, at);
	memcpy(&before, bank->memory + at, 8);
	memcpy(bank->memory + at, &word, 8);
	for (uint32_t i = 0; i < bank->cells; i++) {
		const struct bank_cell *cell = &bank->cell[i];

		if (!cell->coupled || cell->with != at ||
		    !(~before & word & 1ull << cell->with_bit))
			continue;
		memcpy(&victim, bank->memory + cell->address, 8);
		victim ^= UINT64_C(1) << cell->bit;
		memcpy(bank->memory + cell->address, &victim, 8);
	}
}

/* The part of [at, at + bytes) in its first word: where in the word, and how much. */
static uint64_t part_of_word(uint64_t at, uint64_t bytes, uint64_t *offset)
{
	*offset = at % 8;
	return bytes < 8 - *offset ? bytes : 8 - *offset;
}

static void read_words(struct bank *bank, uint64_t at, uint8_t *to, uint64_t bytes)
{
	while (bytes) {
		uint64_t offset, n = part_of_word(at, bytes, &offset);
		uint64_t word = load(bank, at - offset);

		memcpy(to, (uint8_t *)&word + offset, n);
		at += n;
		to += n;
		bytes -= n;
	}
}

static void write_words(struct bank *bank, uint64_t at, const uint8_t *from, uint64_t bytes)
{
	while (bytes) {
		uint64_t offset, n = part_of_word(at, bytes, &offset);
		uint64_t word = load(bank, at - offset);

		memcpy((uint8_t *)&word + offset, from, n);
		store(bank, at - offset, word);
		at += n;
		from += n;
		bytes -= n;
	}
}

void bank_read(struct bank *bank, uint64_t at, void *to, uint64_t bytes)
{
	if (!bank->faulty) {
		memcpy(to, bank->memory + at, bytes);
		return;
	}
	pthread_mutex_lock(&bank->lock);
	read_words(bank, at, to, bytes);
	pthread_mutex_unlock(&bank->lock);
}

void bank_write(struct bank *bank, uint64_t at, const void *from, uint64_t bytes)
{
	if (!bank->faulty) {
		memcpy(bank->memory + at, from, bytes);
		return;
	}
	pthread_mutex_lock(&bank->lock);
	write_words(bank, at, from, bytes);
	pthread_mutex_unlock(&bank->lock);
}
