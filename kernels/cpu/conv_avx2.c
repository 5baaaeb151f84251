/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/dense.h"
#include "kernels/cpu/depthwise.h"
#include "kernels/cpu/isa.h"

size_t cpu_conv2d_packed_bytes_avx2(const struct op_conv2d *p)
{
	if (op_conv2d_check(p))
		return 0;
	return is_depthwise(p) ? depthwise_packed_bytes_avx2(p)
			       : dense_conv2d_packed_bytes(&dense_avx2, p);
}

int cpu_conv2d_pack_avx2(const struct op_conv2d *p, const int8_t *w, const int32_t *bias,
			 void *packed)
{
	int err = op_conv2d_check(p);

	if (!err)
		err = op_weights_check(w, bias, p->oc, p->kh * p->kw * (p->c / p->groups));
	if (err)
		return err;
	if (!is_depthwise(p))
		return dense_conv2d_pack(&dense_avx2, p, w, bias, packed);
	depthwise_pack_avx2(p, w, bias, packed);
	return 0;
}

size_t cpu_conv2d_scratch_bytes_avx2(const struct op_conv2d *p)
{
	if (op_conv2d_check(p))
		return 0;
	return is_depthwise(p) ? depthwise_scratch_bytes_avx2(p)
			       : dense_conv2d_scratch_bytes(&dense_avx2, p);
}

int cpu_conv2d_avx2(const struct op_conv2d *p, const void *packed, const int8_t *x,
		    const int8_t *residual, void *y, uint32_t row_begin, uint32_t row_end,
		    void *scratch)
{
	if (is_depthwise(p))
		return depthwise_avx2(p, packed, x, residual, y, row_begin, row_end, scratch);
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
