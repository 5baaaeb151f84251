/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"
#include "kernels/requant.h"

int ref_gemm(const struct op_gemm *p, const int8_t *a, const int8_t *b, const int32_t *bias,
	     const int8_t *residual, void *y)
{
	int err = op_gemm_check(p);

	if (!err)
		err = op_weights_check(b, bias, p->n, p->k);
	if (err)
		return err;
	for (size_t m = 0; m < p->m; m++) {
		for (size_t n = 0; n < p->n; n++) {
			int32_t acc = bias[n];

			for (size_t k = 0; k < p->k; k++)
				acc += a[m * p->k + k] * b[n * p->k + k];
			requant_store(&p->q, p->out, (uint32_t)n, acc, residual, y, m * p->n + n);
		}
	}
	return 0;
}
