/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the fault device: buffers and weights of the inner one, and rows of its own. */
#include "daemon/device/fault_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct device_ops *inner_ops(const struct device *device)
{
	return fault_of(device)->inner->ops;
}

static bool is_gone(struct device *device)
{
	struct fault *fault = fault_of(device);
	bool gone;

	pthread_mutex_lock(&fault->lock);
	gone = fault->gone;
	pthread_mutex_unlock(&fault->lock);
	return gone;
}

/* ---- buffers ---- */

static int buffer_new(struct device *device, void *host, uint64_t bytes,
		      struct device_buffer **buffer)
{
	struct device_buffer *b;
	int err;

	if (is_gone(device))
		return -ENODEV;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	*b = (struct device_buffer){.device = device, .host = host, .bytes = bytes};
	err = inner_ops(device)->buffer_create(fault_of(device)->inner, bytes, &b->inner);
	if (err)
		free(b);
	else
		*buffer = b;
	return err;
}

int fault_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer)
{
	return buffer_new(device, NULL, bytes, buffer);
}

int fault_buffer_import(struct device *device, void *memory, uint64_t bytes,
			struct device_buffer **buffer)
{
	if (!memory || bytes == 0 || bytes > UINTPTR_MAX - (uintptr_t)memory)
		return -EINVAL;
	return buffer_new(device, memory, bytes, buffer);
}

void *fault_buffer_map(struct device_buffer *buffer)
{
	return buffer->host ? buffer->host : inner_ops(buffer->device)->buffer_map(buffer->inner);
}

int fault_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
		       uint64_t bytes)
{
	int err = is_gone(buffer->device)
			  ? -ENODEV
			  : inner_ops(buffer->device)
				    ->buffer_write(buffer->inner, offset, data, bytes);

	if (!err && buffer->host)
		memcpy(buffer->host + offset, data, bytes);
	return err;
}

int fault_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes)
{
	if (is_gone(buffer->device))
		return -ENODEV;
	return inner_ops(buffer->device)->buffer_read(buffer->inner, offset, data, bytes);
}

void fault_buffer_free(struct device_buffer *buffer)
{
	if (!buffer)
		return;
	inner_ops(buffer->device)->buffer_free(buffer->inner);
	free(buffer);
}

/* ---- weights ---- */

static int weights_new(struct device *device, struct device_weights **weights)
{
	if (is_gone(device))
		return -ENODEV;
	*weights = calloc(1, sizeof(**weights));
	if (!*weights)
		return -ENOMEM;
	(*weights)->device = device;
	return 0;
}

static int weights_made(struct device_weights *made, int err, struct device_weights **weights)
{
	if (err)
		fault_weights_free(made);
	else
		*weights = made;
	return err;
}

int fault_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
			 const int32_t *bias, struct device_weights **weights)
{
	struct device *inner = fault_of(device)->inner;
	struct op_conv2d sums = *op;
	struct device_weights *made;
	int err = weights_new(device, &made);

	if (err)
		return err;
	sums.out = OP_OUT_S32;
	err = inner->ops->weights_conv2d(inner, op, w, bias, &made->inner);
	if (!err)
		err = inner->ops->weights_conv2d(inner, &sums, w, bias, &made->sums);
	return weights_made(made, err, weights);
}

int fault_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
		       const int32_t *bias, struct device_weights **weights)
{
	struct device *inner = fault_of(device)->inner;
	struct op_gemm sums = *op;
	struct device_weights *made;
	int err = weights_new(device, &made);

	if (err)
		return err;
	sums.out = OP_OUT_S32;
	err = inner->ops->weights_gemm(inner, op, b, bias, &made->inner);
	if (!err)
		err = inner->ops->weights_gemm(inner, &sums, b, bias, &made->sums);
	return weights_made(made, err, weights);
}

void fault_weights_free(struct device_weights *weights)
{
	if (!weights)
		return;
	inner_ops(weights->device)->weights_free(weights->inner);
	inner_ops(weights->device)->weights_free(weights->sums);
	free(weights);
}

/* ---- rows ---- */

/* The arrays of a search_rows: where each is in the struct, and its bytes a tile. */
struct array {
	size_t at, bytes;
	bool here;
};

static void arrays_of(const struct search_rows *rows, struct array array[9])
{
	const uint32_t n = SEARCH_TILE_ROWS;
	uint32_t tail = search_padded_dim(rows->dim) - rows->head;
	const struct array all[9] = {
		/* born and died first: a row that is seen as born was written before that */
		{offsetof(struct search_rows, born), n * 4, true},
		{offsetof(struct search_rows, died), n * 4, true},
		{offsetof(struct search_rows, head_tiles), (size_t)n * rows->head, true},
		{offsetof(struct search_rows, tail_tiles), (size_t)n * tail, rows->tail_tiles},
		{offsetof(struct search_rows, scale), n * 4, rows->scale},
		{offsetof(struct search_rows, bias), n * 4, rows->bias},
		{offsetof(struct search_rows, id), n * 8, true},
		{offsetof(struct search_rows, tags), n * 8, true},
		{offsetof(struct search_rows, subject), n * 4, true},
	};

	memcpy(array, all, sizeof(all));
}

static void **array_place(struct search_rows *rows, size_t at)
{
	return (void **)((char *)rows + at);
}

/* From tile 0 on, so that tiles keep their numbers; what is never touched takes no memory. */
static int rows_map(struct device_rows *copy)
{
	struct array array[9];

	arrays_of(copy->host, array);
	copy->shadow = *copy->host;
	for (int i = 0; i < 9; i++) {
		size_t bytes = (size_t)copy->tile_end * array[i].bytes;
		void *at;

		if (!array[i].here || !bytes)
			continue;
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at == MAP_FAILED)
			return -ENOMEM;
		madvise(at, bytes, MADV_DONTDUMP);
		copy->map[i] = at;
		copy->mapped[i] = bytes;
		*array_place(&copy->shadow, array[i].at) = at;
	}
	return 0;
}

int fault_rows_create(struct device *device, const struct search_rows *rows, uint64_t tile_begin,
		      uint64_t tile_end, struct device_rows **copy)
{
	struct fault *fault = fault_of(device);
	struct device_rows *made;
	int err;

	if (is_gone(device))
		return -ENODEV;
	if (search_rows_check(rows) || tile_begin > tile_end || tile_end > UINT64_C(1) << 40)
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	*made = (struct device_rows){
		.device = device, .host = rows, .tile_begin = tile_begin, .tile_end = tile_end};
	err = rows_map(made);
	if (!err && !fault->inner_host)
		err = fault->inner->ops->rows_create(fault->inner, &made->shadow, tile_begin,
						     tile_end, &made->inner);
	if (err)
		fault_rows_free(made);
	else
		*copy = made;
	return err;
}

void fault_rows_free(struct device_rows *copy)
{
	if (!copy)
		return;
	if (copy->inner)
		inner_ops(copy->device)->rows_free(copy->inner);
	for (int i = 0; i < 9; i++)
		if (copy->map[i])
			munmap(copy->map[i], copy->mapped[i]); /* the kernel wipes it */
	free(copy);
}

int fault_rows_load(struct device_rows *copy, uint64_t tile_begin, uint64_t tile_end)
{
	struct search_rows host = *copy->host;
	struct array array[9];

	if (tile_begin < copy->tile_begin || tile_begin > tile_end || tile_end > copy->tile_end)
		return -EINVAL;
	arrays_of(&host, array);
	for (int i = 0; i < 9; i++) {
		size_t from = tile_begin * array[i].bytes;

		if (!copy->map[i])
			continue;
		memcpy((char *)copy->map[i] + from, (char *)*array_place(&host, array[i].at) + from,
		       (tile_end - tile_begin) * array[i].bytes);
		if (i == 1)
			atomic_thread_fence(memory_order_acquire);
	}
	return 0;
}

int fault_rows_unload(const struct device_rows *copy, uint64_t tile_begin, uint64_t tile_end,
		      const struct search_rows *to)
{
	struct search_rows room = *to;
	struct array array[9];

	if (tile_begin < copy->tile_begin || tile_begin > tile_end || tile_end > copy->tile_end)
		return -EINVAL;
	arrays_of(copy->host, array);
	for (int i = 0; i < 9; i++)
		if (copy->map[i])
			memcpy(*array_place(&room, array[i].at),
			       (char *)copy->map[i] + tile_begin * array[i].bytes,
			       (tile_end - tile_begin) * array[i].bytes);
	return 0;
}
