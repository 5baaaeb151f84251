/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables of dispatch.c are made of. Signatures and contracts: struct cpu_kernels. */
#ifndef FACET_KERNELS_CPU_ISA_H
#define FACET_KERNELS_CPU_ISA_H

#include "kernels/cpu/cpu.h"

#define CPU_CONV_AND_GEMM(isa)                                                                     \
	size_t cpu_conv2d_packed_bytes_##isa(const struct op_conv2d *p);                           \
	int cpu_conv2d_pack_##isa(const struct op_conv2d *p, const int8_t *w, const int32_t *bias, \
				  void *packed);                                                   \
	size_t cpu_conv2d_scratch_bytes_##isa(const struct op_conv2d *p);                          \
	int cpu_conv2d_##isa(const struct op_conv2d *p, const void *packed, const int8_t *x,       \
			     const int8_t *residual, void *y, uint32_t row_begin,                  \
			     uint32_t row_end, void *scratch);                                     \
	size_t cpu_gemm_packed_bytes_##isa(const struct op_gemm *p);                               \
	int cpu_gemm_pack_##isa(const struct op_gemm *p, const int8_t *b, const int32_t *bias,     \
				void *packed);                                                     \
	size_t cpu_gemm_scratch_bytes_##isa(const struct op_gemm *p);                              \
	int cpu_gemm_##isa(const struct op_gemm *p, const void *packed, const int8_t *a,           \
			   const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,  \
			   void *scratch);

CPU_CONV_AND_GEMM(avx512)
CPU_CONV_AND_GEMM(avx2)
CPU_CONV_AND_GEMM(portable)

uint32_t cpu_checksum_dot_portable(const int8_t *x, const int16_t *w, size_t n);
uint32_t cpu_checksum_dot_avx2(const int8_t *x, const int16_t *w, size_t n);
uint32_t cpu_checksum_dot_avx512(const int8_t *x, const int16_t *w, size_t n);

int cpu_pool2d_portable(const struct op_pool2d *p, const int8_t *x, int8_t *y, uint32_t row_begin,
			uint32_t row_end);
int cpu_add_portable(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y);
int cpu_table_portable(const struct op_table *p, const int8_t *table, const int8_t *x, int8_t *y);
int cpu_concat_portable(const struct op_concat *p, const int8_t *const *x,
			const int8_t *const *tables, int8_t *y);
int cpu_dequantize_portable(const struct op_dequantize *p, const int8_t *x, float *y);

#endif
