/* SPDX-License-Identifier: Apache-2.0 */
/* The memory and the error text of one compilation: taken piece by piece, given back at once. */
#ifndef FACET_HOST_COMPILE_POOL_H
#define FACET_HOST_COMPILE_POOL_H

#include <stddef.h>

struct pool;

struct pool *pool_create(size_t limit, char *text, size_t text_size);
void pool_free(struct pool *pool);
/* count * size zeroed bytes on a multiple of 64; NULL over the limit or without memory. */
void *pool_alloc(struct pool *pool, size_t count, size_t size);
/* A copy of length bytes, ended by 0. */
char *pool_text(struct pool *pool, const char *text, size_t length);
/* Sets the error's line unless one is set, and returns err, so that `return pool_error(...)`. */
int pool_error(struct pool *pool, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* -ENOMEM with its line. */
int pool_exhausted(struct pool *pool);

#endif
