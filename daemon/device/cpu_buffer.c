/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the CPU device: buffers and packed weights. */
#include "daemon/device/cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#define HUGE_PAGE (UINT64_C(2) << 20)
#define PAGE	  UINT64_C(4096)

/* Within what the device may take, packing of a hostile model's weights included. */
static bool take_memory(struct cpu *cpu, uint64_t bytes)
{
	uint64_t before = atomic_fetch_add(&cpu->memory, bytes);

	if (before <= cpu->memory_max && bytes <= cpu->memory_max - before)
		return true;
	atomic_fetch_sub(&cpu->memory, bytes);
	return false;
}

/* Zeroed, left out of core dumps; from 2 MiB on aligned to a huge page and asked to be of them. */
static void *map_whole(uint64_t bytes, uint64_t whole, uint64_t page)
{
	uint64_t extra = page - PAGE;
	uint8_t *at = mmap(NULL, whole + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	uint64_t before;

	if (at == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)at & (page - 1);
	if (before)
		munmap(at, before);
	if (extra > before)
		munmap(at + before + whole, extra - before);
	at += before;
	if (page == HUGE_PAGE)
		madvise(at, whole, MADV_HUGEPAGE);
	madvise(at, whole, MADV_DONTDUMP);
	ASAN_POISON_MEMORY_REGION(at + bytes, whole - bytes);
	return at;
}

static void *map(struct device *device, uint64_t bytes, size_t *mapped)
{
	uint64_t page = bytes >= HUGE_PAGE ? HUGE_PAGE : PAGE;
	uint64_t whole = (bytes + page - 1) & ~(page - 1);
	void *at;

	if (!take_memory(cpu_of(device), whole))
		return NULL;
	at = map_whole(bytes, whole, page);
	if (!at)
		atomic_fetch_sub(&cpu_of(device)->memory, whole);
	*mapped = whole;
	return at;
}

static void unmap(struct device *device, void *at, size_t mapped)
{
	if (!mapped)
		return;
	ASAN_UNPOISON_MEMORY_REGION(at, mapped);
	munmap(at, mapped);
	atomic_fetch_sub(&cpu_of(device)->memory, mapped);
}

/* ---- buffers ---- */

static int buffer_new(struct device *device, void *data, uint64_t bytes, size_t mapped,
		      struct device_buffer **buffer)
{
	struct device_buffer *b = malloc(sizeof(*b));

	if (!b)
		return -ENOMEM;
	*b = (struct device_buffer){.base = {device, data, bytes}, .mapped = mapped};
	*buffer = b;
	return 0;
}

int cpu_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer)
{
	size_t mapped;
	void *data;
	int err;

	if (bytes == 0 || bytes > COMMAND_BUFFER_MAX)
		return -EINVAL;
	data = map(device, bytes, &mapped);
	if (!data)
		return -ENOMEM;
	err = buffer_new(device, data, bytes, mapped, buffer);
	if (err)
		unmap(device, data, mapped);
	return err;
}

int cpu_buffer_import(struct device *device, void *memory, uint64_t bytes,
		      struct device_buffer **buffer)
{
	if (!memory || bytes == 0 || bytes > UINTPTR_MAX - (uintptr_t)memory)
		return -EINVAL;
	return buffer_new(device, memory, bytes, 0, buffer);
}

void *cpu_buffer_map(struct device_buffer *buffer)
{
	return buffer->base.data;
}

int cpu_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
		     uint64_t bytes)
{
	if (!command_inside(&buffer->base, offset, bytes))
		return -EINVAL;
	memcpy(buffer->base.data + offset, data, bytes);
	return 0;
}

int cpu_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes)
{
	if (!command_inside(&buffer->base, offset, bytes))
		return -EINVAL;
	memcpy(data, buffer->base.data + offset, bytes);
	return 0;
}

void cpu_buffer_free(struct device_buffer *buffer)
{
	if (!buffer)
		return;
	unmap(buffer->base.device, buffer->base.data, buffer->mapped);
	free(buffer);
}

/* ---- weights ---- */

static int weights_new(struct device *device, enum device_op op, size_t bytes,
		       struct device_weights **weights)
{
	struct device_weights *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->base.device = device;
	w->base.op = op;
	w->packed = map(device, bytes, &w->mapped);
	if (!w->packed) {
		free(w);
		return -ENOMEM;
	}
	*weights = w;
	return 0;
}

int cpu_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
		       const int32_t *bias, struct device_weights **weights)
{
	const struct cpu_kernels *kernels = cpu_of(device)->kernels;
	struct device_weights *made;
	int err = op_conv2d_check(op);

	if (!err)
		err = weights_new(device, DEVICE_CONV2D, kernels->conv2d_packed_bytes(op), &made);
	if (err)
		return err;
	made->base.conv2d = *op;
	err = kernels->conv2d_pack(op, w, bias, made->packed);
	if (err)
		cpu_weights_free(made);
	else
		*weights = made;
	return err;
}

int cpu_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
		     const int32_t *bias, struct device_weights **weights)
{
	const struct cpu_kernels *kernels = cpu_of(device)->kernels;
	struct device_weights *made;
	int err = op_gemm_check(op);

	if (!err)
		err = weights_new(device, DEVICE_GEMM, kernels->gemm_packed_bytes(op), &made);
	if (err)
		return err;
	made->base.gemm = *op;
	err = kernels->gemm_pack(op, b, bias, made->packed);
	if (err)
		cpu_weights_free(made);
	else
		*weights = made;
	return err;
}

void cpu_weights_free(struct device_weights *weights)
{
	if (!weights)
		return;
	unmap(weights->base.device, weights->packed, weights->mapped);
	free(weights);
}
