/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution is left to the portable kernels here, whose lanes are its channels. */
#include "kernels/cpu/dense.h"
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/isa.h"

size_t cpu_conv2d_packed_bytes_avx2(const struct op_conv2d *p)
{
	return is_depthwise(p) ? cpu_conv2d_packed_bytes_portable(p)
			       : dense_conv2d_packed_bytes(&dense_avx2, p);
}

int cpu_conv2d_pack_avx2(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			 void *packed)
{
	return is_depthwise(p) ? cpu_conv2d_pack_portable(p, w, bias, packed)
			       : dense_conv2d_pack(&dense_avx2, p, w, bias, packed);
}

size_t cpu_conv2d_scratch_bytes_avx2(const struct op_conv2d *p)
{
	return is_depthwise(p) ? cpu_conv2d_scratch_bytes_portable(p)
			       : dense_conv2d_scratch_bytes(&dense_avx2, p);
}

int cpu_conv2d_avx2(const struct op_conv2d *p, const void *packed, const int8_t *x,
		    const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		    void *scratch)
{
	if (is_depthwise(p))
		return cpu_conv2d_portable(p, packed, x, residual, y, row_begin, row_end, scratch);
	return dense_conv2d(&dense_avx2, p, packed, x, residual, y, row_begin, row_end, scratch);
}

size_t cpu_gemm_packed_bytes_avx2(const struct op_gemm *p)
{
	return dense_gemm_packed_bytes(&dense_avx2, p);
}

int cpu_gemm_pack_avx2(const struct op_gemm *p, const int8_t *b, const int32_t *bias, void *packed)
{
	return dense_gemm_pack(&dense_avx2, p, b, bias, packed);
}

size_t cpu_gemm_scratch_bytes_avx2(const struct op_gemm *p)
{
	return dense_gemm_scratch_bytes(&dense_avx2, p);
}

int cpu_gemm_avx2(const struct op_gemm *p, const void *packed, const int8_t *a,
		  const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		  void *scratch)
{
	return dense_gemm(&dense_avx2, p, packed, a, residual, y, row_begin, row_end, scratch);
}
