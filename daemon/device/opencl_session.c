/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to the driver: queues, waiting with a limit, launching. Nothing here waits inside the
 * driver for the device, so a device that hangs costs its time limit, not the thread.
 *
 * A device that missed its limit is lost: OpenCL has no reset. Its session, and all memory made in
 * it, is left to the driver, since releasing may wait for ever.
 */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Commands enqueued before the worker waits for them. */
#define ENQUEUED_MAX 32u

uint64_t opencl_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int opencl_errno(cl_int error)
{
	switch (error) {
	case CL_SUCCESS:
		return 0;
	case CL_MEM_OBJECT_ALLOCATION_FAILURE:
	case CL_OUT_OF_RESOURCES:
	case CL_OUT_OF_HOST_MEMORY:
	case CL_INVALID_BUFFER_SIZE:
		return -ENOMEM;
	case CL_DEVICE_NOT_AVAILABLE:
		return -ENODEV;
	default:
		return -EIO;
	}
}

/* ---- waiting ---- */

/* Shared by the waiting thread and the driver's callback, freed by the later one. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool is_over;
	cl_int status;
	_Atomic int users;
};

static void waiter_put(struct waiter *w)
{
	if (atomic_fetch_sub(&w->users, 1) > 1)
		return;
	pthread_cond_destroy(&w->over);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void CL_CALLBACK event_over(cl_event event, cl_int status, void *argument)
{
	struct waiter *w = argument;

	(void)event;
	pthread_mutex_lock(&w->lock);
	w->is_over = true;
	w->status = status;
	pthread_cond_signal(&w->over);
	pthread_mutex_unlock(&w->lock);
	waiter_put(w);
}

static struct waiter *waiter_create(void)
{
	struct waiter *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->over, &attr);
	pthread_condattr_destroy(&attr);
	atomic_store(&w->users, 2);
	return w;
}

/* The status of a finished event, or 1 after the deadline. */
static cl_int waiter_wait(struct waiter *w, uint64_t deadline)
{
	const struct timespec until = {(time_t)(deadline / 1000000000u),
				       (long)(deadline % 1000000000u)};
	cl_int status = 1;

	pthread_mutex_lock(&w->lock);
	while (!w->is_over && pthread_cond_timedwait(&w->over, &w->lock, &until) != ETIMEDOUT)
		;
	if (w->is_over)
		status = w->status;
	pthread_mutex_unlock(&w->lock);
	return status;
}

/* No limit: such a driver works in the caller's thread. It does not call back late either. */
static int wait_inside(cl_event event)
{
	cl_int error = clWaitForEvents(1, &event);

	clReleaseEvent(event);
	return error ? -EIO : 0;
}

static int wait_outside(struct opencl *cl, cl_event event, uint64_t deadline)
{
	struct waiter *w = waiter_create();
	cl_int status;

	if (!w) {
		clReleaseEvent(event);
		return -ENOMEM;
	}
	if (clSetEventCallback(event, CL_COMPLETE, event_over, w)) {
		waiter_put(w);
		waiter_put(w);
		clReleaseEvent(event);
		return -EIO;
	}
	status = waiter_wait(w, deadline);
	waiter_put(w);
	if (status == 1) {
		atomic_store(&cl->lost, true);
		return -ETIMEDOUT; /* the event is left behind with the session */
	}
	clReleaseEvent(event);
	return status < 0 ? (opencl_errno(status) == -ENODEV ? -ENODEV : -EIO) : 0;
}

int opencl_wait(struct opencl *cl, cl_event event, uint64_t deadline)
{
	return cl->lazy ? wait_inside(event) : wait_outside(cl, event, deadline);
}

static void release_pending(struct opencl_session *session)
{
	while (session->pendings)
		clReleaseMemObject(session->pending[--session->pendings]);
	session->enqueued = 0;
}

int opencl_settle(struct opencl *cl)
{
	struct opencl_session *session = cl->session;
	cl_event event;
	cl_int error;
	int err;

	if (!session->enqueued && !session->pendings)
		return 0;
	error = clEnqueueMarkerWithWaitList(session->queue, 0, NULL, &event);
	if (!error)
		error = clFlush(session->queue);
	if (error)
		return opencl_errno(error);
	err = opencl_wait(cl, event, cl->deadline);
	if (err != -ETIMEDOUT)
		release_pending(session);
	return err;
}

int opencl_finish_io(struct opencl *cl)
{
	cl_event event;
	cl_int error = clEnqueueMarkerWithWaitList(cl->session->io, 0, NULL, &event);

	if (!error)
		error = clFlush(cl->session->io);
	if (error)
		return opencl_errno(error);
	return opencl_wait(cl, event, opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u);
}

/* ---- launching ---- */

int opencl_launch(struct opencl *cl, enum opencl_kernel kernel, uint64_t wide, uint64_t high,
		  const struct opencl_argument *arguments, uint32_t count)
{
	struct opencl_session *session = cl->session;
	const size_t local[2] = {cl->items, 1};
	const size_t global[2] = {(wide + cl->items - 1) / cl->items * cl->items, high};
	cl_int error = 0;

	if (!session->kernel[kernel])
		return -EINVAL;
	for (uint32_t i = 0; i < count && !error; i++)
		error = clSetKernelArg(session->kernel[kernel], i, arguments[i].bytes,
				       arguments[i].value);
	if (!error)
		error = clEnqueueNDRangeKernel(session->queue, session->kernel[kernel], 2, NULL,
					       global, local, 0, NULL, NULL);
	if (error)
		return opencl_errno(error);
	return ++session->enqueued < ENQUEUED_MAX ? 0 : opencl_settle(cl);
}

int opencl_temporary(struct opencl *cl, const void *data, size_t bytes, cl_mem *memory)
{
	struct opencl_session *session = cl->session;
	cl_int error;
	int err = 0;

	if (session->pendings == sizeof(session->pending) / sizeof(session->pending[0]))
		err = opencl_settle(cl);
	if (err)
		return err;
	*memory = clCreateBuffer(session->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes,
				 (void *)(uintptr_t)data, &error);
	if (error)
		return opencl_errno(error);
	session->pending[session->pendings++] = *memory;
	return 0;
}

/* ---- moving ---- */

/* Mapping, not reading or writing: then no driver holds the caller's memory after the limit. */
static int map(struct opencl *cl, cl_command_queue queue, cl_mem memory, cl_map_flags flags,
	       uint64_t offset, uint64_t bytes, uint64_t deadline, void **at)
{
	cl_event event;
	cl_int error;

	*at = clEnqueueMapBuffer(queue, memory, CL_FALSE, flags, offset, bytes, 0, NULL, &event,
				 &error);
	if (!error)
		error = clFlush(queue);
	return error ? opencl_errno(error) : opencl_wait(cl, event, deadline);
}

/* What follows on the worker's queue comes after it in any case; others wait. */
static int unmap(struct opencl *cl, cl_command_queue queue, cl_mem memory, void *at,
		 uint64_t deadline)
{
	bool waits = queue != cl->session->queue;
	cl_event event;
	cl_int error = clEnqueueUnmapMemObject(queue, memory, at, 0, NULL, waits ? &event : NULL);

	if (!waits) {
		cl->session->enqueued++;
		return opencl_errno(error);
	}
	if (!error)
		error = clFlush(queue);
	return error ? opencl_errno(error) : opencl_wait(cl, event, deadline);
}

int opencl_put(struct opencl *cl, cl_command_queue queue, cl_mem memory, uint64_t offset,
	       const void *data, uint64_t bytes, uint64_t deadline)
{
	void *at;
	int err = map(cl, queue, memory, CL_MAP_WRITE_INVALIDATE_REGION, offset, bytes, deadline,
		      &at);

	if (err)
		return err;
	memcpy(at, data, bytes);
	return unmap(cl, queue, memory, at, deadline);
}

int opencl_get(struct opencl *cl, cl_command_queue queue, cl_mem memory, uint64_t offset,
	       void *data, uint64_t bytes, uint64_t deadline)
{
	void *at;
	int err = map(cl, queue, memory, CL_MAP_READ, offset, bytes, deadline, &at);

	if (err)
		return err;
	memcpy(data, at, bytes);
	return unmap(cl, queue, memory, at, deadline);
}

int opencl_fill(struct opencl *cl, cl_command_queue queue, cl_mem memory, uint64_t offset,
		uint64_t bytes, uint32_t value)
{
	uint8_t byte = (uint8_t)value;
	bool words = bytes % 4 == 0 && offset % 4 == 0;
	cl_int error = clEnqueueFillBuffer(queue, memory, words ? (void *)&value : (void *)&byte,
					   words ? 4 : 1, offset, bytes, 0, NULL, NULL);

	(void)cl;
	return opencl_errno(error);
}

/* ---- sessions ---- */

int opencl_session_create(struct opencl *cl, struct opencl_session **session, char *why,
			  size_t bytes)
{
	struct opencl_session *s = calloc(1, sizeof(*s));
	cl_int error = CL_OUT_OF_HOST_MEMORY;
	int err;

	if (!s)
		return -ENOMEM;
	s->context = clCreateContext(NULL, 1, &cl->id, NULL, NULL, &error);
	if (!error)
		s->queue = clCreateCommandQueue(s->context, cl->id, 0, &error);
	if (!error)
		s->io = clCreateCommandQueue(s->context, cl->id, 0, &error);
	if (error)
		snprintf(why, bytes, "no context or queue: OpenCL error %d", error);
	err = error ? opencl_errno(error) : opencl_programs_build(cl, s, why, bytes);
	if (err)
		opencl_session_free(cl, s);
	else
		*session = s;
	return err;
}

void opencl_session_free(struct opencl *cl, struct opencl_session *session)
{
	cl_mem memory[] = {session->search.x, session->search.query, session->search.found,
			   session->search.hits, session->search.best};

	if (!atomic_load(&cl->lost)) {
		for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
			if (memory[i])
				clReleaseMemObject(memory[i]);
		release_pending(session);
		for (int i = 0; i < OPENCL_KERNELS; i++)
			if (session->kernel[i])
				clReleaseKernel(session->kernel[i]);
		for (int i = 0; i < OPENCL_PROGRAMS; i++)
			if (session->program[i])
				clReleaseProgram(session->program[i]);
		if (session->io)
			clReleaseCommandQueue(session->io);
		if (session->queue)
			clReleaseCommandQueue(session->queue);
		if (session->context)
			clReleaseContext(session->context);
	}
	opencl_uncharge(cl, session->scratch);
	free(session);
}
