/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the OpenCL device, bounded; and buffers. The host has no view of them. */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE UINT64_C(4096)

static bool charge(struct opencl *cl, uint64_t bytes)
{
	uint64_t before = atomic_fetch_add(&cl->memory, bytes);

	if (before <= cl->memory_max && bytes <= cl->memory_max - before)
		return true;
	atomic_fetch_sub(&cl->memory, bytes);
	return false;
}

void opencl_uncharge(struct opencl *cl, uint64_t charged)
{
	atomic_fetch_sub(&cl->memory, charged);
}

/* The host's own memory is not charged. Drivers allocate late, so the first use tells. */
int opencl_memory(struct opencl *cl, cl_mem_flags flags, uint64_t bytes, void *host, cl_mem *memory,
		  uint64_t *charged)
{
	uint64_t whole = host ? 0 : (bytes + PAGE - 1) & ~(PAGE - 1);
	cl_int error;

	if (atomic_load(&cl->lost))
		return -ENODEV;
	if (bytes > cl->buffer_max || !charge(cl, whole))
		return -ENOMEM;
	*memory = clCreateBuffer(cl->session->context, flags | (host ? CL_MEM_USE_HOST_PTR : 0),
				 bytes, host, &error);
	if (error) {
		opencl_uncharge(cl, whole);
		return opencl_errno(error);
	}
	*charged += whole;
	return 0;
}

static uint64_t limit_of(const struct opencl *cl)
{
	return opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u;
}

static int buffer_new(struct device *device, uint64_t bytes, void *host,
		      struct device_buffer **buffer)
{
	struct opencl *cl = opencl_of(device);
	struct device_buffer *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->base = (struct command_buffer){device, host, bytes};
	pthread_rwlock_rdlock(&cl->use);
	b->generation = cl->generation;
	err = opencl_memory(cl, CL_MEM_READ_WRITE, bytes, host, &b->memory, &b->charged);
	/* Nobody sees what was in a board's memory before. */
	if (!err && !host) {
		err = opencl_fill(cl, cl->session->io, b->memory, 0, bytes, 0);
		if (!err)
			err = opencl_finish_io(cl);
	}
	pthread_rwlock_unlock(&cl->use);
	if (err)
		opencl_buffer_free(b);
	else
		*buffer = b;
	return err;
}

int opencl_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer)
{
	if (bytes == 0 || bytes > COMMAND_BUFFER_MAX)
		return -EINVAL;
	return buffer_new(device, bytes, NULL, buffer);
}

/* Only where the device works in the host's memory; elsewhere a copy would not be "in place". */
int opencl_buffer_import(struct device *device, void *memory, uint64_t bytes,
			 struct device_buffer **buffer)
{
	if (!memory || bytes == 0 || bytes > UINTPTR_MAX - (uintptr_t)memory)
		return -EINVAL;
	return opencl_of(device)->on_cpu ? buffer_new(device, bytes, memory, buffer) : -EOPNOTSUPP;
}

static bool gone(const struct opencl *cl, const struct device_buffer *buffer)
{
	return atomic_load(&cl->lost) || buffer->generation != cl->generation;
}

int opencl_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
			uint64_t bytes)
{
	struct opencl *cl = opencl_of(buffer->base.device);
	int err = -ENODEV;

	if (!command_inside(&buffer->base, offset, bytes))
		return -EINVAL;
	if (!bytes)
		return 0;
	pthread_rwlock_rdlock(&cl->use);
	if (!gone(cl, buffer))
		err = opencl_put(cl, cl->session->io, buffer->memory, offset, data, bytes,
				 limit_of(cl));
	pthread_rwlock_unlock(&cl->use);
	return err;
}

int opencl_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes)
{
	struct opencl *cl = opencl_of(buffer->base.device);
	int err = -ENODEV;

	if (!command_inside(&buffer->base, offset, bytes))
		return -EINVAL;
	if (!bytes)
		return 0;
	pthread_rwlock_rdlock(&cl->use);
	if (!gone(cl, buffer))
		err = opencl_get(cl, cl->session->io, buffer->memory, offset, data, bytes,
				 limit_of(cl));
	pthread_rwlock_unlock(&cl->use);
	return err;
}

void opencl_buffer_free(struct device_buffer *buffer)
{
	struct opencl *cl;

	if (!buffer)
		return;
	cl = opencl_of(buffer->base.device);
	pthread_rwlock_rdlock(&cl->use);
	if (buffer->memory && !gone(cl, buffer))
		clReleaseMemObject(buffer->memory);
	pthread_rwlock_unlock(&cl->use);
	opencl_uncharge(cl, buffer->charged);
	free(buffer);
}
