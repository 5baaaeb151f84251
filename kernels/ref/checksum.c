/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"

#include <errno.h>
#include <stdlib.h>

/* The accumulators are those of the op itself, with OP_OUT_S32. */
static void sum_rows(const int32_t *acc, uint64_t rows, uint32_t channels, uint32_t *chk)
{
	for (uint64_t m = 0; m < rows; m++) {
		chk[m] = 0;
		for (uint32_t c = 0; c < channels; c++)
			chk[m] += (uint32_t)acc[m * channels + c];
	}
}

int ref_conv2d_checksum(const struct op_conv2d *p, const int8_t *x, const int8_t *w,
			const int32_t *bias, uint32_t *chk)
{
	struct op_conv2d sums = *p;
	uint64_t rows;
	int32_t *acc;
	int err = op_conv2d_check(p);

	if (err)
		return err;
	rows = (uint64_t)p->n * op_conv2d_oh(p) * op_conv2d_ow(p);
	acc = malloc(rows * p->oc * sizeof(*acc));
	if (!acc)
		return -ENOMEM;
	sums.out = OP_OUT_S32;
	err = ref_conv2d(&sums, x, w, bias, NULL, acc);
	if (!err)
		sum_rows(acc, rows, p->oc, chk);
	free(acc);
	return err;
}

int ref_gemm_checksum(const struct op_gemm *p, const int8_t *a, const int8_t *b,
		      const int32_t *bias, uint32_t *chk)
{
	struct op_gemm sums = *p;
	int32_t *acc;
	int err = op_gemm_check(p);

	if (err)
		return err;
	acc = malloc((size_t)p->m * p->n * sizeof(*acc));
	if (!acc)
		return -ENOMEM;
	sums.out = OP_OUT_S32;
	err = ref_gemm(&sums, a, b, bias, NULL, acc);
	if (!err)
		sum_rows(acc, p->m, p->n, chk);
	free(acc);
	return err;
}
