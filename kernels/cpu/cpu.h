/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU's kernels: the ops of kernels/ops.h for AVX-512 VNNI, AVX2 and portable C.
 *
 * One table an instruction set, chosen once at start: the best the processor has, or the one named
 * by FACET_CPU_ISA (avx512vnni, avx2, portable), which the processor must have. All give the bits
 * of kernels/ref/.
 *
 * Work is cut into slices so that a pool can share it: a slice is a range of output rows
 * (n * oh of a convolution, m of a GEMM, tiles of a search). Slices may run at the same time; each
 * wants a scratch buffer of its own. Nothing here allocates, locks or keeps state.
 */
#ifndef FACET_KERNELS_CPU_H
#define FACET_KERNELS_CPU_H

#include "kernels/ops.h"

struct cpu_kernels {
	const char *name;

	/* Weights are packed once, for this table only: 64-byte aligned, of the stated size (0: p is
	 * refused). Packing checks p and the weights and keeps scales too, so computing with what was
	 * packed wants the same p; it checks no more than the rows. Scratch is 64-byte aligned. The
	 * residual may be y itself. */
	size_t (*conv2d_packed_bytes)(const struct op_conv2d *p);
	int (*conv2d_pack)(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			   void *packed);
	size_t (*conv2d_scratch_bytes)(const struct op_conv2d *p);
	int (*conv2d)(const struct op_conv2d *p, const void *packed, const int8_t *x,
		      const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		      void *scratch);

	size_t (*gemm_packed_bytes)(const struct op_gemm *p);
	int (*gemm_pack)(const struct op_gemm *p, const int8_t *b, const int32_t *bias,
			 void *packed);
	size_t (*gemm_scratch_bytes)(const struct op_gemm *p);
	int (*gemm)(const struct op_gemm *p, const void *packed, const int8_t *a,
		    const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		    void *scratch);

	/* Sum of x[i] * w[i], modulo 2^32: what checksums are made of. */
	uint32_t (*checksum_dot)(const int8_t *x, const int16_t *w, size_t n);

	/* rows are n * oh */
	int (*pool2d)(const struct op_pool2d *p, const int8_t *x, int8_t *y, uint32_t row_begin,
		      uint32_t row_end);
	int (*add)(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y);
	int (*table)(const struct op_table *p, const int8_t *table, const int8_t *x, int8_t *y);
	int (*concat)(const struct op_concat *p, const int8_t *const *x,
		      const int8_t *const *tables, int8_t *y);
	int (*dequantize)(const struct op_dequantize *p, const int8_t *x, float *y);

	/* Rows [tile_begin * 16, tile_end * 16) against up to SEARCH_BATCH_MAX queries; hits are
	 * offered to lists[i]. Scratch: search_scratch_bytes(), 64-byte aligned. */
	size_t (*search_scratch_bytes)(uint32_t dim, uint32_t queries);
	int (*search)(const struct search_rows *rows, uint64_t tile_begin, uint64_t tile_end,
		      const struct search_query *queries, uint32_t count,
		      struct search_list *const *lists, void *scratch);

	/* The same bits as op_quantize_row, and float <-> float16 of n values. */
	int (*quantize_row)(const float *x, uint32_t dim, int8_t *q, float *step);
	void (*to_half)(const float *x, size_t n, uint16_t *y);
	void (*from_half)(const uint16_t *x, size_t n, float *y);
};

/*
 * Checksums of products (kernels/ops.h) from their inputs. The weights are summed once: packed is of
 * the stated size, aligned to 4, and the same for all tables; p must have been checked. Rows are n * oh
 * of a convolution, m of a GEMM; chk is that of the whole output.
 */
size_t cpu_conv2d_checksum_bytes(const struct op_conv2d *p);
void cpu_conv2d_checksum_pack(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			      void *packed);
void cpu_conv2d_checksum(const struct cpu_kernels *kernels, const struct op_conv2d *p,
			 const void *packed, const int8_t *x, uint32_t *chk, uint32_t row_begin,
			 uint32_t row_end);
size_t cpu_gemm_checksum_bytes(const struct op_gemm *p);
void cpu_gemm_checksum_pack(const struct op_gemm *p, const int8_t *b, const int32_t *bias,
			    void *packed);
void cpu_gemm_checksum(const struct cpu_kernels *kernels, const struct op_gemm *p,
		       const void *packed, const int8_t *a, uint32_t *chk, uint32_t row_begin,
		       uint32_t row_end);

/* NULL name: FACET_CPU_ISA, else the best. Returns NULL if the processor lacks it or the name is
 * unknown. */
const struct cpu_kernels *cpu_kernels_get(const char *name);
/* The tables this processor can run, best first; NULL ends it. */
const struct cpu_kernels *const *cpu_kernels_all(void);

/* Sets MXCSR to round-to-nearest, no flush to zero; every worker thread calls it first. */
void cpu_float_mode(void);

#endif
