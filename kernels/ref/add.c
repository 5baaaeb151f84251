/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"
#include "kernels/requant.h"

int ref_add(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y)
{
	int err = op_add_check(p);

	if (err)
		return err;
	for (uint64_t i = 0; i < p->count; i++) {
		float t = (float)(a[i] - p->z_a) * p->s_a;

		t = t + (float)(b[i] - p->z_b) * p->s_b;
		y[i] = requant_byte(t, p->z, p->lo, p->hi);
	}
	return 0;
}
