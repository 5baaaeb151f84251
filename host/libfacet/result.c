/* SPDX-License-Identifier: Apache-2.0 */
/* Results that the library makes: pieces chained behind a first one, freed together. */
#include <stdlib.h>
#include <string.h>
#include "host/libfacet/client.h"

struct piece {
	struct piece *next;
	size_t bytes;
	_Alignas(16) uint8_t data[];
};

static struct piece *piece_new(size_t bytes)
{
	struct piece *piece;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	piece = calloc(1, sizeof(*piece) + bytes);
	if (piece)
		piece->bytes = bytes;
	return piece;
}

static struct piece *piece_of(void *result)
{
	return (struct piece *)((uint8_t *)result - offsetof(struct piece, data));
}

void *client_result_new(size_t bytes)
{
	struct piece *piece = piece_new(bytes);

	return piece ? piece->data : NULL;
}

void *client_result_add(void *result, uint64_t count, size_t size)
{
	struct piece *first = piece_of(result), *piece;

	if (count > SIZE_MAX / 2 / size)
		return NULL;
	piece = piece_new(count * size);
	if (!piece)
		return NULL;
	piece->next = first->next;
	first->next = piece;
	return piece->data;
}

const char *client_result_text(void *result, const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = client_result_add(result, bytes, 1);

	return copy ? memcpy(copy, text, bytes) : NULL;
}

void facet_free(void *result)
{
	struct piece *piece = result ? piece_of(result) : NULL;

	while (piece) {
		struct piece *next = piece->next;

		/* Templates may have been in it. */
		explicit_bzero(piece->data, piece->bytes);
		free(piece);
		piece = next;
	}
}
