/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NPY_MAGIC  "\x93NUMPY"
#define NPY_HEADER 128 /* of the files written here */
#define DIM_MAX	   65536u

static int fail(char *text, size_t size, const char *path, const char *why)
{
	snprintf(text, size, "%s: %s", path, why);
	return -1;
}

static uint32_t read_le(const uint8_t *p, unsigned int bytes)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint32_t)p[i] << (8 * i);
	return value;
}

/* The header is a Python dictionary; three of its values matter, each found by its key. */
static int npy_header(struct vectors *v, const char *header, size_t *item)
{
	const char *descr = strstr(header, "'descr':"), *order = strstr(header, "'fortran_order':");
	const char *shape = strstr(header, "'shape':");
	char type[8] = "";
	uint64_t dim = 0;
	int end = 0;

	if (!descr || !order || !shape || sscanf(descr, "'descr': '%7[^']'", type) != 1)
		return -1;
	if (strncmp(order, "'fortran_order': False", 22) != 0)
		return -1;
	if (sscanf(shape, "'shape': (%" SCNu64 ", %" SCNu64 ")%n", &v->count, &dim, &end) != 2 ||
	    !end)
		return -1;
	if (dim == 0 || dim > DIM_MAX)
		return -1;
	v->dim = (uint32_t)dim;
	v->is_s8 = strcmp(type, "|i1") == 0;
	*item = v->is_s8 ? 1 : 4;
	return v->is_s8 || strcmp(type, "<f4") == 0 ? 0 : -1;
}

static int open_npy(struct vectors *v, const char *path, char *text, size_t size)
{
	const uint8_t *file = v->base;
	char header[1024] = "";
	size_t start, length, item;

	if (v->length < 12)
		return fail(text, size, path, "too short for an .npy file");
	start = file[6] == 1 ? 10 : 12;
	length = read_le(file + 8, file[6] == 1 ? 2 : 4);
	if (length >= sizeof(header) || start + length > v->length)
		return fail(text, size, path, "its .npy header is too long or cut off");
	memcpy(header, file + start, length);
	if (npy_header(v, header, &item) != 0)
		return fail(text, size, path,
			    "want a two-dimensional C-order array of float32 or int8; in numpy: "
			    "np.save(f, np.ascontiguousarray(x, dtype=np.float32))");
	v->stride = v->dim * item;
	v->data = file + start + length;
	if (v->count > (v->length - start - length) / v->stride)
		return fail(text, size, path, "cut off: fewer rows than its header says");
	return 0;
}

static int open_fvecs(struct vectors *v, const char *path, char *text, size_t size)
{
	uint32_t dim;

	if (v->length < 8)
		return fail(text, size, path, "neither .npy nor .fvecs (too short)");
	dim = read_le(v->base, 4);
	if (dim == 0 || dim > DIM_MAX || v->length % (4 + 4 * (size_t)dim) != 0)
		return fail(text, size, path, "neither an .npy nor an .fvecs file");
	v->dim = dim;
	v->stride = 4 + 4 * (size_t)dim;
	v->count = v->length / v->stride;
	v->data = (const uint8_t *)v->base + 4;
	for (uint64_t i = 0; i < v->count; i++)
		if (read_le(v->data + i * v->stride - 4, 4) != dim)
			return fail(text, size, path, "its vectors have different dimensions");
	return 0;
}

int vectors_open(const char *path, struct vectors *vectors, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
	struct stat st;

	memset(vectors, 0, sizeof(*vectors));
	if (fd < 0)
		return fail(text, size, path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		fail(text, size, path, "not a file with vectors in it");
		goto out;
	}
	vectors->length = (size_t)st.st_size;
	vectors->base = mmap(NULL, vectors->length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (vectors->base == MAP_FAILED) {
		vectors->base = NULL;
		fail(text, size, path, strerror(errno));
		goto out;
	}
	if (vectors->length > 8 && memcmp(vectors->base, NPY_MAGIC, 6) == 0)
		result = open_npy(vectors, path, text, size);
	else
		result = open_fvecs(vectors, path, text, size);
	if (result != 0)
		vectors_close(vectors);
out:
	close(fd);
	return result;
}

void vectors_close(struct vectors *vectors)
{
	if (vectors->base)
		munmap(vectors->base, vectors->length);
	memset(vectors, 0, sizeof(*vectors));
}

void vectors_copy(const struct vectors *vectors, uint64_t first, uint64_t count, void *out)
{
	size_t bytes = vectors->dim * (vectors->is_s8 ? 1u : 4u);
	uint8_t *to = out;

	for (uint64_t i = 0; i < count; i++)
		memcpy(to + i * bytes, vectors->data + (first + i) * vectors->stride, bytes);
}

/* ---- writing -------------------------------------------------------------------------------- */
struct npy_writer {
	FILE *file;
	uint32_t dim;
	uint64_t count;
	int error;
};

static int npy_write_header(struct npy_writer *writer)
{
	char header[NPY_HEADER + 1];
	int n;

	memset(header, ' ', NPY_HEADER);
	memcpy(header, NPY_MAGIC "\x01\x00", 8);
	header[8] = NPY_HEADER - 10;
	header[9] = 0;
	n = snprintf(header + 10, NPY_HEADER - 10,
		     "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64 ", %u), }",
		     writer->count, writer->dim);
	header[10 + n] = ' ';
	header[NPY_HEADER - 1] = '\n';
	rewind(writer->file);
	return fwrite(header, NPY_HEADER, 1, writer->file) == 1 ? 0 : -EIO;
}

struct npy_writer *npy_create(const char *path, uint32_t dim)
{
	struct npy_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->dim = dim;
	writer->file = fopen(path, "wbe");
	if (!writer->file) {
		free(writer);
		return NULL;
	}
	writer->error = npy_write_header(writer);
	return writer;
}

int npy_append(struct npy_writer *writer, const float *rows, uint64_t count)
{
	if (!writer->error && fwrite(rows, 4ul * writer->dim, count, writer->file) != count)
		writer->error = -(errno ? errno : EIO);
	writer->count += count;
	return writer->error;
}

int npy_finish(struct npy_writer *writer)
{
	int error = writer->error;

	if (!error)
		error = npy_write_header(writer);
	if (!error && (fflush(writer->file) != 0 || fsync(fileno(writer->file)) != 0))
		error = -errno;
	if (fclose(writer->file) != 0 && !error)
		error = -errno;
	free(writer);
	return error;
}

/* ---- labels --------------------------------------------------------------------------------- */
int labels_read(const char *path, uint64_t count, char **block, const char ***labels, char *text,
		size_t size)
{
	FILE *file = fopen(path, "re");
	char *line = NULL, *next;
	size_t room = 0, length;
	uint64_t n = 0;

	*block = NULL;
	*labels = NULL;
	if (!file)
		return fail(text, size, path, strerror(errno));
	length = 0;
	if (getdelim(&line, &room, '\0', file) > 0)
		length = strlen(line);
	fclose(file);
	*labels = calloc(count ? count : 1, sizeof(**labels));
	if (!*labels) {
		free(line);
		return fail(text, size, path, "out of memory");
	}
	for (char *at = line; length && *at && n < count; at = next) {
		next = at + strcspn(at, "\n");
		if (*next)
			*next++ = '\0';
		at[strcspn(at, "\r")] = '\0';
		(*labels)[n++] = at;
	}
	*block = line;
	if (n == count)
		return 0;
	free(*labels);
	*labels = NULL;
	free(line);
	*block = NULL;
	snprintf(text, size, "%s: %" PRIu64 " labels for %" PRIu64 " vectors", path, n, count);
	return -1;
}
