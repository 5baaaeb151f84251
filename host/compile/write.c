/* SPDX-License-Identifier: Apache-2.0 */
/* The .fct file of proto/model.proto. */
#include "host/compile/program.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES	128u
#define GRAPH_BYTES_MAX (16u << 20)

static void put32(uint8_t *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(uint8_t *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

int write_pack(const struct program *p, uint8_t **data, size_t *length)
{
	size_t graph = facet__model__graph__get_packed_size(&p->graph);
	size_t weights = (HEADER_BYTES + graph + 63) & ~(size_t)63;
	crypto_generichash_state state;
	uint8_t *to;

	if (graph > GRAPH_BYTES_MAX)
		return pool_error(p->pool, -EFBIG, "the compiled graph is larger than 16 MiB");
	*length = weights + p->weight_bytes;
	*data = to = pool_alloc(p->pool, *length, 1);
	if (!to)
		return pool_exhausted(p->pool);
	memcpy(to, "FACETFCT", 8);
	put32(to + 8, 1);
	put64(to + 16, graph);
	put64(to + 24, weights);
	put64(to + 32, p->weight_bytes);
	facet__model__graph__pack(&p->graph, to + HEADER_BYTES);
	if (p->weight_bytes)
		memcpy(to + weights, p->weights, p->weight_bytes);
	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, to + HEADER_BYTES, graph);
	crypto_generichash_update(&state, to + weights, p->weight_bytes);
	crypto_generichash_final(&state, to + 64, 32);
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

/* Whole or not at all: beside the target, then renamed over it. */
int write_file(struct pool *pool, const char *path, const uint8_t *data, size_t length)
{
	char *beside = pool_alloc(pool, strlen(path) + 8, 1);
	int fd, err;

	if (!beside)
		return pool_exhausted(pool);
	sprintf(beside, "%s.XXXXXX", path);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return pool_error(pool, -errno, "cannot write '%s': %s", path, strerror(errno));
	err = write_all(fd, data, length);
	if (!err && (fchmod(fd, 0644) || fsync(fd)))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(beside, path))
		err = -errno;
	if (!err)
		return 0;
	unlink(beside);
	return pool_error(pool, err, "cannot write '%s': %s", path, strerror(-err));
}
