/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/pool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_HEADER 64u

struct block {
	struct block *next;
};

struct pool {
	struct block *blocks;
	size_t used, limit;
	char *text;
	size_t text_size;
};

struct pool *pool_create(size_t limit, char *text, size_t text_size)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	*pool = (struct pool){.limit = limit, .text = text, .text_size = text_size};
	text[0] = '\0';
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	while (pool->blocks) {
		struct block *next = pool->blocks->next;

		free(pool->blocks);
		pool->blocks = next;
	}
	free(pool);
}

void *pool_alloc(struct pool *pool, size_t count, size_t size)
{
	struct block *block;
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > pool->limit - pool->used)
		return NULL;
	bytes = (bytes + BLOCK_HEADER + 63) & ~(size_t)63;
	block = aligned_alloc(64, bytes);
	if (!block)
		return NULL;
	memset(block, 0, bytes);
	block->next = pool->blocks;
	pool->blocks = block;
	pool->used += count * size;
	return (char *)block + BLOCK_HEADER;
}

char *pool_text(struct pool *pool, const char *text, size_t length)
{
	char *copy = pool_alloc(pool, length + 1, 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

int pool_error(struct pool *pool, int err, const char *format, ...)
{
	va_list list;

	if (pool->text[0])
		return err;
	va_start(list, format);
	vsnprintf(pool->text, pool->text_size, format, list);
	va_end(list);
	/* Names come from the file: keep the line one line. */
	for (char *p = pool->text; *p; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = '?';
	return err;
}

int pool_exhausted(struct pool *pool)
{
	return pool_error(pool, -ENOMEM, "the network needs more memory than is allowed or free");
}
