/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"

int ref_concat(const struct op_concat *p, const int8_t *const *x, const int8_t *const *tables,
	       int8_t *y)
{
	int err = op_concat_check(p);

	if (err)
		return err;
	for (uint64_t pixel = 0; pixel < p->pixels; pixel++) {
		for (uint32_t i = 0; i < p->inputs; i++) {
			const int8_t *in = x[i] + pixel * p->c[i];
			const int8_t *table = tables ? tables[i] : NULL;

			for (uint32_t c = 0; c < p->c[i]; c++)
				*y++ = table ? table[in[c] + 128] : in[c];
		}
	}
	return 0;
}
