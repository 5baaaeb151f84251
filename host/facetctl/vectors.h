/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors in files: NumPy's .npy (float32 or int8, two dimensions, C order) and .fvecs (each vector
 * an int32 dimension, then floats). Files are mapped, not read, so that tens of millions of rows
 * cost no memory of their own.
 */
#ifndef FACET_FACETCTL_VECTORS_H
#define FACET_FACETCTL_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vectors {
	uint64_t count;
	uint32_t dim;
	bool is_s8;
	/* private */
	const uint8_t *data; /* first element of vector 0 */
	size_t stride;	     /* bytes from one vector to the next */
	void *base;
	size_t length;
};

/* 0, or -1 with one line in text. */
int vectors_open(const char *path, struct vectors *vectors, char *text, size_t size);
void vectors_close(struct vectors *vectors);
/* Copies rows [first, first + count) without gaps; the element type stays. */
void vectors_copy(const struct vectors *vectors, uint64_t first, uint64_t count, void *out);

/* An .npy file of float32 rows whose number is known only at the end. */
struct npy_writer;
struct npy_writer *npy_create(const char *path, uint32_t dim);
int npy_append(struct npy_writer *writer, const float *rows, uint64_t count);
int npy_finish(struct npy_writer *writer); /* 0 or -errno; syncs the file and frees the writer */

/* A file of one label a line, for count vectors. The strings live in one block: free both. */
int labels_read(const char *path, uint64_t count, char **block, const char ***labels, char *text,
		size_t size);

#endif
