/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/ref/ref.h"

int ref_table(const struct op_table *p, const int8_t *table, const int8_t *x, int8_t *y)
{
	int err = op_table_check(p);

	if (err)
		return err;
	for (uint64_t i = 0; i < p->pixels * p->c; i++) {
		const int8_t *row = p->per_channel ? table + i % p->c * 256 : table;

		y[i] = row[x[i] + 128];
	}
	return 0;
}
