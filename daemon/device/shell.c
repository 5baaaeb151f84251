/* SPDX-License-Identifier: Apache-2.0 */
/* A board behind the shell contract as a device. */
#include "daemon/device/shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	enum shell_op shell;
	enum device_op device;
} op_pairs[] = {
	{SHELL_OP_ECHO, DEVICE_ECHO},	  {SHELL_OP_SEARCH, DEVICE_SEARCH},
	{SHELL_OP_CONV2D, DEVICE_CONV2D}, {SHELL_OP_GEMM, DEVICE_GEMM},
	{SHELL_OP_POOL2D, DEVICE_POOL2D}, {SHELL_OP_ADD, DEVICE_ADD},
	{SHELL_OP_TABLE, DEVICE_TABLE},	  {SHELL_OP_CONCAT, DEVICE_CONCAT},
	{SHELL_OP_COPY, DEVICE_COPY},
};

static uint64_t device_ops_of(uint64_t shell_ops)
{
	/* What only moves bytes between host and board is the port's. */
	uint64_t ops = 1u << DEVICE_UPLOAD | 1u << DEVICE_DOWNLOAD;

	for (size_t i = 0; i < sizeof(op_pairs) / sizeof(op_pairs[0]); i++)
		if (shell_ops >> op_pairs[i].shell & 1)
			ops |= UINT64_C(1) << op_pairs[i].device;
	if (ops >> DEVICE_SEARCH & 1)
		ops |= UINT64_C(1) << DEVICE_LOAD | UINT64_C(1) << DEVICE_UNLOAD;
	return ops;
}

void shell_caps(const struct device *device, struct device_caps *caps)
{
	const struct shell_device *shell = shell_of(device);

	*caps = (struct device_caps){
		.ops = device_ops_of(shell->caps.ops),
		.memory_bytes = shell->memory_max,
		.alignment = shell->caps.alignment,
		.batch_max = SEARCH_BATCH_MAX,
		.priority = 1,
		.checksums = shell->caps.checksums,
		.shares_cpu = shell->caps.shares_cpu,
	};
	memcpy(caps->name, shell->caps.name, sizeof(caps->name));
	memcpy(caps->detail, shell->caps.detail, sizeof(caps->detail));
}

int shell_submit(struct device *device, struct device_batch *batch)
{
	return worker_submit(&shell_of(device)->worker, batch);
}

void shell_cancel(struct device *device, struct device_batch *batch)
{
	worker_cancel(&shell_of(device)->worker, batch);
}

int shell_reset(struct device *device)
{
	struct shell_port *port = shell_of(device)->port;

	return port->ops->reset(port);
}

void shell_stats(const struct device *device, struct device_stats *stats)
{
	const struct shell_device *shell = shell_of(device);

	worker_stats(&shell->worker, stats);
	stats->direct_bytes = shell->port->direct_bytes;
}

static void release(struct shell_device *shell)
{
	shell_stage_free(shell, &shell->in);
	shell_stage_free(shell, &shell->out);
	shell->port->ops->close(shell->port);
	free(shell);
}

void shell_close(struct device *device)
{
	struct shell_device *shell = shell_of(device);

	worker_stop(&shell->worker);
	release(shell);
}

static int run(struct device *device, const struct device_batch *batch, uint32_t index)
{
	return shell_run(shell_of(device), batch, index);
}

static const struct worker_ops worker_ops = {.run = run};

int shell_device_create(const struct device_ops *ops, struct shell_port *port,
			const struct device_config *config, struct device **device)
{
	struct shell_device *shell = aligned_alloc(64, (sizeof(*shell) + 63) & ~(size_t)63);
	int err;

	if (!shell) {
		port->ops->close(port);
		return -ENOMEM;
	}
	memset(shell, 0, sizeof(*shell));
	shell->base.ops = ops;
	shell->port = port;
	port->ops->caps(port, &shell->caps);
	shell->memory_max = shell->caps.memory_bytes;
	/* A part of a copy has 64 bytes a tile at least, and scans begin at any tile. */
	if (shell->caps.alignment > 64)
		shell->caps.ops &= ~(UINT64_C(1) << SHELL_OP_SEARCH);
	if (config->memory && config->memory < shell->memory_max)
		shell->memory_max = config->memory;
	err = worker_start(&shell->worker, &shell->base, &worker_ops, config->queue);
	if (err)
		release(shell);
	else
		*device = &shell->base;
	return err;
}
