/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device: something that executes the ops of kernels/ops.h on buffers. The CPU is the device that
 * is always there. All backends are one struct device_ops; nothing above knows which one it has.
 *
 * A batch is a list of commands, executed in order. submit() queues it and returns; the device's
 * worker thread runs batches in the order of their submission and calls batch->done from that
 * thread, exactly once, for a cancelled batch too. Whoever submits keeps the batch and all it points
 * to alive until then; done() may free it, and may submit again. Any thread may submit.
 */
#ifndef FACET_DAEMON_DEVICE_DEVICE_H
#define FACET_DAEMON_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernels/ops.h"

struct device;
struct device_buffer;
struct device_rows;

/* ---- commands ------------------------------------------------------------------------------ */
enum device_op {
	DEVICE_ECHO, /* out = in[0], or nothing at all where both are absent */
	DEVICE_SEARCH,
	DEVICE_CONV2D,
	DEVICE_GEMM,
	DEVICE_POOL2D,
	DEVICE_ADD,
	DEVICE_TABLE,
	DEVICE_CONCAT,
	DEVICE_DEQUANTIZE,
	DEVICE_FLOAT,
	DEVICE_STRIDED,
	DEVICE_JOIN,
	DEVICE_COPY,
	DEVICE_UPLOAD,	 /* out = host */
	DEVICE_DOWNLOAD, /* host = in[0] */
	DEVICE_LOAD,	 /* rows from host memory into the device's copy of them */
	DEVICE_UNLOAD,	 /* that copy back, as the device holds it */
	DEVICE_OPS
};

/*
 * A range of a buffer; a NULL buffer is an absent operand. A span has exactly the bytes of its
 * operand, an operand of 4-byte elements lies at a multiple of 4, and an output overlaps no input:
 * anything else is -EINVAL in batch->error, and nothing outside the spans is ever touched.
 */
struct device_span {
	struct device_buffer *buffer;
	uint64_t offset;
	uint64_t bytes;
};

/* Weights and bias of one conv2d or gemm, packed for the device once. */
struct device_weights;

/*
 * Rows change while searches run: what a search of an older epoch must not see it tells by born and
 * died. A device that does not read host memory searches its own copy, made by rows_create() and
 * brought up to date by DEVICE_LOAD, in the order of submission: a search sees the host's rows as
 * they were at the last load of its tiles, or later.
 */
struct device_search {
	const struct search_rows *rows; /* in host memory; its shape holds for the copy too */
	struct device_rows *resident; /* the device's copy, NULL where it reads host memory (cpu) */
	uint64_t tile_begin, tile_end;
	const struct search_query *queries;
	uint32_t count;			  /* <= SEARCH_BATCH_MAX */
	struct search_list *const *lists; /* in and out: one a query */
};

struct device_load {
	struct device_rows *to;
	uint64_t tile_begin, tile_end; /* within the copy's range */
};

/* What a device takes from the host when it searches, and has no copy of, comes from there. */
struct device_unload {
	struct device_rows *from;
	uint64_t tile_begin, tile_end; /* within the copy's range */
	const struct search_rows *to;  /* the caller's memory; tile_begin is its tile 0 */
};

#define DEVICE_INPUTS_MAX OP_CONCAT_MAX

/* Gathers elements: out[i][j].. = in[0][offset + i * stride[0] + j * stride[1] ..]. */
struct device_strided {
	uint32_t rank, element_bytes; /* 1 .. 6; 1 or 4 */
	uint32_t extent[6];
	int64_t stride[6]; /* in elements of the input */
	uint64_t offset;   /* in elements */
};

/* out[o] = in[0][o], in[1][o], .. : blocks of inner[i] elements, side by side. */
struct device_join {
	uint64_t outer;
	uint32_t inputs, element_bytes; /* 1 .. DEVICE_INPUTS_MAX; 1 or 4 */
	uint64_t inner[DEVICE_INPUTS_MAX];
};

/* Elements of the output, 0 for parameters that are illegal or leave an input of in_elements. */
uint64_t device_strided_elements(const struct device_strided *p, uint64_t in_elements);
uint64_t device_join_elements(const struct device_join *p);

struct device_command {
	enum device_op op;
	union {
		struct device_search search;
		struct op_conv2d conv2d;
		struct op_gemm gemm;
		struct op_pool2d pool2d;
		struct op_add add;
		struct op_table table;
		struct op_concat concat;
		struct op_dequantize dequantize;
		struct op_float float_op;
		struct device_strided strided;
		struct device_join join;
		struct device_load load;
		struct device_unload unload;
		void *host; /* upload, download: the caller's memory, of the span's bytes */
	};
	const struct device_weights *weights; /* conv2d, gemm */
	struct device_span
		in[DEVICE_INPUTS_MAX]; /* x [, residual] | a, b | inputs of concat, join */
	struct device_span tables[DEVICE_INPUTS_MAX]; /* table, concat */
	struct device_span out;
	/* conv2d, gemm on a device whose caps say so: uint32_t chk[m], the sum over all channels of
	 * the accumulators of output pixel (row) m, modulo 2^32, before requantisation; or absent */
	struct device_span checksum;
};

struct device_batch {
	const struct device_command *commands;
	uint32_t count;
	uint64_t trace;				  /* for logs */
	void (*done)(struct device_batch *batch); /* on the worker thread */
	void *user;
	/* results */
	int error; /* 0, -EINVAL, -ENOMEM, -ECANCELED: cancelled, or lost with a device that
			       * was reset for another's sake; -EIO: failed; -ETIMEDOUT: hung, the
			       * device was reset; -ENODEV: the device is gone; -ESTALE: what it
			       * works with was lost in a reset */
	uint32_t error_index; /* of the command that failed */
	uint64_t device_ns;   /* time on the device */
	/* the device's own */
	struct device_batch *next;
	bool cancelled;
};

/* ---- the table of a backend ------------------------------------------------------------------ */
struct device_caps {
	char name[32];	       /* cpu0 */
	char detail[96];       /* avx512vnni, 2 threads */
	uint64_t ops;	       /* bit (1 << device_op) */
	uint64_t memory_bytes; /* that buffers and packed weights may take together */
	uint32_t alignment;
	uint32_t batch_max; /* queries of one search */
	int priority;	    /* the cpu has the lowest */
	bool reads_host_memory;
	bool checksums;	     /* device_command.checksum */
	bool tiles_in_place; /* its copies of rows read the host's tiles where they lie */
	bool shares_cpu;     /* its work runs on this machine's processors */
};

struct device_stats {
	uint64_t batches, commands, failed, cancelled, busy_ns;
	uint64_t direct_bytes; /* that it read where they lay, of those it was given */
	uint64_t faults;       /* that it made on purpose (fault.h) */
	uint32_t queued;
};

struct device_config {
	uint32_t threads; /* cpu: 0 = one a processor of the affinity mask */
	uint32_t queue;	  /* batches that may wait; 0 = 1,024 */
	const char *pin;  /* cpu list such as "0" or "0-3", NULL for no pinning */
	const char *isa;  /* cpu: NULL: FACET_CPU_ISA or the best; opencl: the variant */
	uint64_t memory;  /* bytes of buffers and packed weights; 0: cpu: half of the machine's */
	/* of boards */
	const char
		*select;   /* which one: opencl: part of a platform's or device's name; drm: node */
	const char *image; /* what runs on it: an xclbin, an OpenCL binary; NULL: none needed */
	const char *cache; /* folder for built programs, NULL: none is kept */
	const char *libexec; /* folder of the helpers */
	uint32_t timeout_ms; /* of one batch; 0: the backend's own */
	const char *fault;   /* what goes wrong on purpose (fault.h), NULL: nothing */
	char *why;	     /* NULL, or where a failure says in words what is wrong */
	size_t why_bytes;
};

struct device_ops {
	const char *kind; /* cpu, opencl, xrt, drm, fault */
	int (*probe)(const struct device_config *config, struct device **device);
	void (*caps)(const struct device *device, struct device_caps *caps);
	int (*buffer_create)(struct device *device, uint64_t bytes, struct device_buffer **buffer);
	/* The caller's memory, used in place; it outlives the buffer. */
	int (*buffer_import)(struct device *device, void *memory, uint64_t bytes,
			     struct device_buffer **buffer);
	void *(*buffer_map)(struct device_buffer *buffer); /* host view, NULL if there is none */
	int (*buffer_write)(struct device_buffer *buffer, uint64_t offset, const void *data,
			    uint64_t bytes);
	int (*buffer_read)(struct device_buffer *buffer, uint64_t offset, void *data,
			   uint64_t bytes);
	void (*buffer_free)(struct device_buffer *buffer);
	/* The device's copy of tiles [begin, end) of rows, which outlive it; no row is born in it until
	 * it is loaded. NULL where the device reads host memory. Freeing wipes it. These and the
	 * buffer calls may block: the control thread makes none of them for a board. */
	int (*rows_create)(struct device *device, const struct search_rows *rows,
			   uint64_t tile_begin, uint64_t tile_end, struct device_rows **copy);
	void (*rows_free)(struct device_rows *copy);
	/* Packed copies: w and bias may go, the scales that op->q points to may not. A command using
	 * them has the same op but for n (m of a GEMM) and q. */
	int (*weights_conv2d)(struct device *device, const struct op_conv2d *op, const int8_t *w,
			      const int32_t *bias, struct device_weights **weights);
	int (*weights_gemm)(struct device *device, const struct op_gemm *op, const int8_t *b,
			    const int32_t *bias, struct device_weights **weights);
	void (*weights_free)(struct device_weights *weights);
	/* 0; -EAGAIN: the queue is full, done() will not be called. Wakes the worker only if it sleeps. */
	int (*submit)(struct device *device, struct device_batch *batch);
	/* Not yet begun: it is dropped; else it ends at the next command. done() is called anyway, in
	 * the batch's turn. The batch must not be done yet, or still be in the caller's hands. */
	void (*cancel)(struct device *device, struct device_batch *batch);
	int (*reset)(struct device *device);
	void (*stats)(const struct device *device, struct device_stats *stats);
	void (*close)(struct device *device); /* ends the worker; nothing may be in flight */
};

extern const struct device_ops device_cpu, device_drm, device_opencl, device_virtual;

/* Every backend's struct device starts with its table. */
struct device {
	const struct device_ops *ops;
};

/* -ENODEV: no such kind, or the machine has none. */
int device_open(const char *kind, const struct device_config *config, struct device **device);

#endif
