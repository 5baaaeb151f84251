/* SPDX-License-Identifier: Apache-2.0 */
/* Any device with an OpenCL 1.2 driver. */
#include "daemon/device/opencl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void caps(const struct device *device, struct device_caps *caps)
{
	const struct opencl *cl = opencl_of(device);

	*caps = (struct device_caps){
		.ops = opencl_ops(cl),
		.memory_bytes = cl->memory_max,
		.alignment = 4,
		.batch_max = SEARCH_BATCH_MAX,
		.priority = 1,
		.checksums = true,
		.tiles_in_place = cl->on_cpu,
		.shares_cpu = cl->on_cpu,
	};
	snprintf(caps->name, sizeof(caps->name), "%.31s", cl->name);
	snprintf(caps->detail, sizeof(caps->detail), "%.40s, %s kernels, driver %.24s",
		 cl->platform, cl->variant->name, cl->driver);
}

/* ---- the worker ---- */

static int run(struct device *device, const struct device_batch *batch, uint32_t index)
{
	struct opencl *cl = opencl_of(device);
	int err = -ENODEV;

	pthread_rwlock_rdlock(&cl->use);
	cl->deadline = opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u;
	if (!atomic_load(&cl->lost))
		err = opencl_run(cl, batch, &batch->commands[index]);
	pthread_rwlock_unlock(&cl->use);
	return err;
}

/* A device that hung is given a new session at once; if that does not work it stays lost. */
static int finish(struct device *device, const struct device_batch *batch, int error,
		  uint32_t *index)
{
	struct opencl *cl = opencl_of(device);
	int err = 0;

	pthread_rwlock_rdlock(&cl->use);
	if (!atomic_load(&cl->lost))
		err = opencl_settle(cl);
	pthread_rwlock_unlock(&cl->use);
	if (!error && err) {
		error = err;
		*index = batch->count - 1;
	}
	if (error == -ETIMEDOUT)
		opencl_renew(cl);
	return error;
}

static const struct worker_ops worker_ops = {.run = run, .finish = finish};

static int submit(struct device *device, struct device_batch *batch)
{
	return worker_submit(&opencl_of(device)->worker, batch);
}

static void cancel(struct device *device, struct device_batch *batch)
{
	worker_cancel(&opencl_of(device)->worker, batch);
}

static void stats(const struct device *device, struct device_stats *stats)
{
	worker_stats(&opencl_of(device)->worker, stats);
}

static void *map(struct device_buffer *buffer)
{
	return buffer->base.data;
}

/* OpenCL has no reset: a session in which nothing is left of what was. */
static int reset(struct device *device)
{
	return opencl_renew(opencl_of(device));
}

static void close_device(struct device *device)
{
	struct opencl *cl = opencl_of(device);

	worker_stop(&cl->worker);
	opencl_close_here(cl);
}

/* ---- opening ---- */

/* First in a helper: it finds out whether the driver survives, and which variant is best. */
static int probe(const struct device_config *config, struct device **device)
{
	char variant[32], ours[256], *why = config->why ? config->why : ours;
	size_t bytes = config->why ? config->why_bytes : sizeof(ours);
	struct opencl *cl;
	int err = opencl_try(config, variant, sizeof(variant), why, bytes);

	if (!err)
		err = opencl_open_here(config, variant, &cl, why, bytes, NULL);
	if (err)
		return err;
	err = worker_start(&cl->worker, &cl->base, &worker_ops, config->queue);
	if (err)
		opencl_close_here(cl);
	else
		*device = &cl->base;
	return err;
}

const struct device_ops device_opencl = {
	.kind = "opencl",
	.probe = probe,
	.caps = caps,
	.buffer_create = opencl_buffer_create,
	.buffer_import = opencl_buffer_import,
	.buffer_map = map,
	.buffer_write = opencl_buffer_write,
	.buffer_read = opencl_buffer_read,
	.buffer_free = opencl_buffer_free,
	.rows_create = opencl_rows_create,
	.rows_free = opencl_rows_free,
	.weights_conv2d = opencl_weights_conv2d,
	.weights_gemm = opencl_weights_gemm,
	.weights_free = opencl_weights_free,
	.submit = submit,
	.cancel = cancel,
	.reset = reset,
	.stats = stats,
	.close = close_device,
};
