/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the OpenCL backend. */
#ifndef FACET_DAEMON_DEVICE_OPENCL_H
#define FACET_DAEMON_DEVICE_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "daemon/device/command.h"
#include "daemon/device/opencl_list.h"
#include "daemon/device/part.h"
#include "daemon/device/worker.h"
#include "kernels/opencl/params.h"

#define OPENCL_TEXT	   128
#define OPENCL_STAGED	   (UINT64_C(1) << 17) /* bytes */
#define OPENCL_QUERIES_MAX 72u		       /* SEARCH_BATCH_MAX in whole blocks of any variant */

/* ---- programs and kernels ---- */

enum opencl_program { OPENCL_BASE, OPENCL_LANE, OPENCL_DOT, OPENCL_TILE, OPENCL_PROGRAMS };

enum opencl_kernel {
	KERNEL_DEPTHWISE,
	KERNEL_POOL2D,
	KERNEL_ADD,
	KERNEL_DEQUANTIZE,
	KERNEL_TABLE,
	KERNEL_STRIDED,
	KERNEL_BLOCKS,
	KERNEL_SELECT,
	KERNEL_PRODUCT,
	KERNEL_PRODUCT_TILE,
	KERNEL_SEARCH_PLAIN,
	KERNEL_SEARCH_LANE,
	KERNEL_SEARCH_DOT,
	KERNEL_SEARCH_TILE1,
	KERNEL_SEARCH_TILE4,
	KERNEL_SEARCH_TILE12,
	KERNEL_SEARCH_TILE16,
	KERNEL_SEARCH_TILE24,
	OPENCL_KERNELS
};

/* A way to search and to multiply that this kind of device may be best at. */
struct opencl_variant {
	const char *name;
	enum opencl_program program;
	enum opencl_kernel product;
	uint32_t rows_per_item;
	struct {
		enum opencl_kernel kernel;
		uint32_t queries;
	} block[5]; /* by rising size; 0 ends them */
};

extern const struct opencl_variant opencl_variants[];
extern const uint32_t opencl_variant_count;

/* ---- a session: all that a device which no longer answers takes with it ---- */

struct opencl_session {
	cl_context context;
	cl_command_queue queue; /* of the worker, in order */
	cl_command_queue io;	/* of whoever writes and reads buffers */
	cl_program program[OPENCL_PROGRAMS];
	cl_kernel kernel[OPENCL_KERNELS]; /* NULL: an image that lacks it */
	cl_mem pending[64];		  /* arguments of commands that may still run */
	uint32_t pendings, enqueued;	  /* commands since the last wait */
	struct {
		uint32_t queries; /* that there is room for */
		cl_mem x, query, found, hits, best;
	} search;
	uint64_t scratch; /* bytes of the above */
};

struct opencl {
	struct device base;
	cl_device_id id;
	char platform[OPENCL_TEXT], name[OPENCL_TEXT], version[OPENCL_TEXT], driver[OPENCL_TEXT];
	char *cache;
	void *image;
	size_t image_bytes;
	bool on_cpu;
	bool lazy;	/* the driver runs nothing until somebody waits inside it */
	uint32_t items; /* of a work group */
	uint64_t memory_max, buffer_max;
	uint32_t timeout_ms;
	const struct opencl_variant *variant;

	/* The session is replaced by reset() only. */
	pthread_rwlock_t use;
	struct opencl_session *session;
	uint32_t generation; /* of the session; what belongs to an older one is lost */
	_Atomic bool lost;
	_Atomic uint64_t memory;

	_Alignas(64) struct worker worker;
	uint64_t deadline; /* of what the worker does now, on CLOCK_MONOTONIC */
	void *staged;	   /* the worker's: [OPENCL_STAGED] */
#ifdef FACET_FLIP
	struct {
		uint32_t pixel, channel, mask;
	} flip; /* see opencl_flip() */
#define OPENCL_FLIP_ARGUMENTS(cl)                                                                  \
	, OPENCL_ARGUMENT((cl)->flip.pixel), OPENCL_ARGUMENT((cl)->flip.channel),                  \
		OPENCL_ARGUMENT((cl)->flip.mask)
#else
#define OPENCL_FLIP_ARGUMENTS(cl)
#endif
};

struct device_buffer {
	struct command_buffer base;
	cl_mem memory;
	uint64_t charged;
	uint32_t generation;
};

struct device_weights {
	struct command_weights base;
	cl_mem packed, bias, scales;
	float *shadow;	/* what scales holds: [tiles][s_pos of 16][s_neg of 16] */
	uint32_t lines; /* of 16 channels, of all groups */
	uint64_t charged;
	uint32_t generation;
	bool depthwise;
	enum opencl_kernel product;
	struct cl_product params; /* but for the pixels and the requantisation */
};

/* Tiles that fit one allocation. */
struct opencl_segment {
	uint64_t begin, end;
	cl_mem part[PARTS];
};

struct device_rows {
	struct device *device;
	const struct search_rows *rows;
	uint64_t begin, end;
	enum search_metric metric;
	uint32_t dim, head;
	bool in_place; /* the tiles are the host's own */
	uint32_t generation, count;
	uint64_t charged;
	struct opencl_segment *segment;
};

static inline struct opencl *opencl_of(const struct device *device)
{
	return (struct opencl *)device;
}

/* ---- opencl_open.c ---- */
/* Finds the device that is meant and describes it; -ENODEV after writing to why: there is none. */
int opencl_find(const struct device_config *config, struct opencl *cl, char *why, size_t bytes);
/* Of every device, by index from 0; false past the last. */
bool opencl_describe(uint32_t index, struct opencl_listed *listed);
/*
 * In this process: finds, builds, tests, and takes the variant of that name, or where it is NULL the
 * fastest. stage (may be NULL) is told before each step that a driver may not survive.
 */
int opencl_open_here(const struct device_config *config, const char *variant,
		     struct opencl **opened, char *why, size_t bytes,
		     void (*stage)(const char *name));
void opencl_close_here(struct opencl *cl);
/* After a limit was missed: another session, in which nothing is left of what was. */
int opencl_renew(struct opencl *cl);

/* ---- opencl_session.c ---- */
uint64_t opencl_clock(void);
/* A negative errno for an error of OpenCL. */
int opencl_errno(cl_int error);
int opencl_session_create(struct opencl *cl, struct opencl_session **session, char *why,
			  size_t bytes);
void opencl_session_free(struct opencl *cl, struct opencl_session *session);
/* Waits until the event is over, and releases it: 0, -EIO, or -ETIMEDOUT, and the device is lost. */
int opencl_wait(struct opencl *cl, cl_event event, uint64_t deadline);
/* All that the worker has enqueued. */
int opencl_settle(struct opencl *cl);
/* All that others have, on the other queue. */
int opencl_finish_io(struct opencl *cl);

struct opencl_argument {
	size_t bytes;
	const void *value;
};
#define OPENCL_ARGUMENT(x) ((struct opencl_argument){sizeof(x), &(x)})
#define OPENCL_LAUNCH(cl, kernel, wide, high, ...)                                                 \
	opencl_launch(cl, kernel, wide, high, (const struct opencl_argument[]){__VA_ARGS__},       \
		      sizeof((const struct opencl_argument[]){__VA_ARGS__}) /                      \
			      sizeof(struct opencl_argument))
/* On the worker's queue: wide x high items, the last group not full. */
int opencl_launch(struct opencl *cl, enum opencl_kernel kernel, uint64_t wide, uint64_t high,
		  const struct opencl_argument *arguments, uint32_t count);
/* An argument in memory that lives until the next settling. */
int opencl_temporary(struct opencl *cl, const void *data, size_t bytes, cl_mem *memory);
/* Between host and device; the host's memory is touched by the calling thread only. */
int opencl_put(struct opencl *cl, cl_command_queue queue, cl_mem memory, uint64_t offset,
	       const void *data, uint64_t bytes, uint64_t deadline);
int opencl_get(struct opencl *cl, cl_command_queue queue, cl_mem memory, uint64_t offset,
	       void *data, uint64_t bytes, uint64_t deadline);
int opencl_fill(struct opencl *cl, cl_command_queue queue, cl_mem memory, uint64_t offset,
		uint64_t bytes, uint32_t value);

/* ---- opencl_program.c ---- */
int opencl_programs_build(struct opencl *cl, struct opencl_session *session, char *why,
			  size_t bytes);
bool opencl_program_present(const struct opencl_session *session, enum opencl_program program);
int opencl_program_try(struct opencl *cl, struct opencl_session *session,
		       enum opencl_program program, char *why, size_t bytes);
/* The text of a program and its length; made from kernels/opencl at build time. */
extern const char *const opencl_source[OPENCL_PROGRAMS][8];

/* ---- opencl_cache.c ---- */
/* A built program of exactly this identity, or NULL. */
void *opencl_cache_read(const char *folder, const char *identity, size_t *bytes);
void opencl_cache_write(const char *folder, const char *identity, const void *data, size_t bytes);

/* ---- opencl_buffer.c ---- */
int opencl_memory(struct opencl *cl, cl_mem_flags flags, uint64_t bytes, void *host, cl_mem *memory,
		  uint64_t *charged);
void opencl_uncharge(struct opencl *cl, uint64_t charged);
int opencl_buffer_create(struct device *device, uint64_t bytes, struct device_buffer **buffer);
int opencl_buffer_import(struct device *device, void *memory, uint64_t bytes,
			 struct device_buffer **buffer);
int opencl_buffer_write(struct device_buffer *buffer, uint64_t offset, const void *data,
			uint64_t bytes);
int opencl_buffer_read(struct device_buffer *buffer, uint64_t offset, void *data, uint64_t bytes);
void opencl_buffer_free(struct device_buffer *buffer);

/* ---- opencl_weights.c ---- */
int opencl_weights_conv2d(struct device *device, const struct op_conv2d *op, const int8_t *w,
			  const int32_t *bias, struct device_weights **weights);
int opencl_weights_gemm(struct device *device, const struct op_gemm *op, const int8_t *b,
			const int32_t *bias, struct device_weights **weights);
void opencl_weights_free(struct device_weights *weights);
int opencl_weights_scales(struct opencl *cl, struct device_weights *weights,
			  const struct op_requant *q, enum op_out out);

/* ---- opencl_run.c: on the worker ---- */
int opencl_run(struct opencl *cl, const struct device_batch *batch,
	       const struct device_command *command);
uint64_t opencl_ops(const struct opencl *cl);

/* ---- opencl_rows.c ---- */
int opencl_rows_create(struct device *device, const struct search_rows *rows, uint64_t tile_begin,
		       uint64_t tile_end, struct device_rows **copy);
void opencl_rows_free(struct device_rows *copy);
int opencl_run_load(struct opencl *cl, const struct device_command *command);
int opencl_run_unload(struct opencl *cl, const struct device_command *command);

/* ---- opencl_search.c ---- */
int opencl_run_search(struct opencl *cl, const struct device_batch *batch,
		      const struct device_command *command);

/* ---- opencl_test.c ---- */
/* Each op on small vectors against the reference, with the variant that is set; -EIO: wrong. */
int opencl_self_test(struct opencl *cl, char *why, size_t bytes);
/* Nanoseconds that this variant takes for a search of fixed size; 0: it failed. */
uint64_t opencl_variant_ns(struct opencl *cl);

#ifdef FACET_FLIP
/* Test builds: of the next convolutions and GEMMs the accumulator of this pixel and channel is
 * changed by the mask before it is used. */
void opencl_flip(struct device *device, uint32_t pixel, uint32_t channel, uint32_t mask);
#endif

#endif
