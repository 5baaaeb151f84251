/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the CPU backend. */
#ifndef FACET_DAEMON_DEVICE_CPU_H
#define FACET_DAEMON_DEVICE_CPU_H

#include <pthread.h>
#include <stdatomic.h>
#include "daemon/device/command.h"
#include "daemon/device/cpu_pool.h"
#include "daemon/device/device.h"
#include "daemon/device/worker.h"
#include "kernels/cpu/cpu.h"

struct device_buffer {
	struct command_buffer base;
	size_t mapped; /* 0: imported */
};

struct device_weights {
	struct command_weights base;
	void *packed;
	size_t mapped;
};

/* The helpers' own lists of a search, kept between searches. */
struct cpu_search_lists {
	struct search_list *list[SEARCH_BATCH_MAX];
	uint32_t k[SEARCH_BATCH_MAX]; /* that list[i] was made for; 0: none */
};

struct cpu {
	struct device base;
	const struct cpu_kernels *kernels;
	uint32_t threads;
	uint64_t memory_max;
	cpu_set_t pin;
	bool pinned;

	/* of the worker thread */
	struct cpu_pool *pool;
	struct cpu_search_lists *lists; /* [threads], of which 0 is unused */

	/* shared */
	_Atomic uint64_t memory; /* bytes mapped */
	struct worker worker;
};

static inline struct cpu *cpu_of(const struct device *device)
{
	return (struct cpu *)device;
}

/* ---- cpu_buffer.c ---- */
int cpu_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer);
int cpu_buffer_import(struct device *device, void *memory, uint64_t bytes,
		      struct device_buffer **buffer);
void *cpu_buffer_map(struct device_buffer *buffer);
int cpu_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
		     uint64_t bytes);
int cpu_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes);
void cpu_buffer_free(struct device_buffer *buffer);
int cpu_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
		       const int32_t *bias, struct device_weights **weights);
int cpu_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
		     const int32_t *bias, struct device_weights **weights);
void cpu_weights_free(struct device_weights *weights);

/* ---- cpu_run.c: one command, checked and run on the worker thread ---- */
int cpu_run(struct cpu *cpu, const struct device_command *command);

/* ---- cpu_search.c ---- */
int cpu_run_search(struct cpu *cpu, const struct device_command *command);
void cpu_search_lists_free(struct cpu_search_lists *lists);

/* ---- cpu_move.c: the ops that only move bytes ---- */
int cpu_run_echo(struct cpu *cpu, const struct device_command *command);
int cpu_run_copy(struct cpu *cpu, const struct device_command *command);
int cpu_run_upload(struct cpu *cpu, const struct device_command *command);
int cpu_run_download(struct cpu *cpu, const struct device_command *command);
int cpu_run_strided(struct cpu *cpu, const struct device_command *command);
int cpu_run_join(struct cpu *cpu, const struct device_command *command);

#endif
