/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"

int ref_dequantize(const struct op_dequantize *p, const int8_t *x, float *y)
{
	int err = op_dequantize_check(p);

	if (err)
		return err;
	for (uint64_t i = 0; i < p->count; i++)
		y[i] = (float)(x[i] - p->z) * p->scale;
	return 0;
}
