/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/isa.h"
#include "kernels/requant.h"

#include <string.h>

/* 256 x 256 would be a table too large for the cache, but each side alone has only 256 values. */
int cpu_add_portable(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y)
{
	float ta[256], tb[256];
	int err = op_add_check(p);

	if (err)
		return err;
	for (int32_t v = -128; v < 128; v++) {
		ta[v + 128] = (float)(v - p->z_a) * p->s_a;
		tb[v + 128] = (float)(v - p->z_b) * p->s_b;
	}
	for (uint64_t i = 0; i < p->count; i++)
		y[i] = requant_byte(ta[a[i] + 128] + tb[b[i] + 128], p->z, p->lo, p->hi);
	return 0;
}

int cpu_table_portable(const struct op_table *p, const int8_t *table, const int8_t *x, int8_t *y)
{
	int err = op_table_check(p);

	if (err)
		return err;
	if (!p->per_channel) {
		for (uint64_t i = 0; i < p->pixels * p->c; i++)
			y[i] = table[x[i] + 128];
		return 0;
	}
	for (uint64_t pixel = 0; pixel < p->pixels; pixel++, x += p->c, y += p->c)
		for (uint32_t c = 0; c < p->c; c++)
			y[c] = table[(size_t)c * 256 + (size_t)(x[c] + 128)];
	return 0;
}

int cpu_concat_portable(const struct op_concat *p, const int8_t *const *x,
			const int8_t *const *tables, int8_t *y)
{
	int err = op_concat_check(p);
	uint32_t total = 0;

	if (err)
		return err;
	for (uint32_t i = 0; i < p->inputs; i++)
		total += p->c[i];
	for (uint32_t i = 0; i < p->inputs; y += p->c[i], i++) {
		const int8_t *table = tables ? tables[i] : NULL;

		for (uint64_t pixel = 0; pixel < p->pixels; pixel++) {
			const int8_t *from = x[i] + pixel * p->c[i];
			int8_t *to = y + pixel * total;

			if (!table) {
				memcpy(to, from, p->c[i]);
				continue;
			}
			for (uint32_t c = 0; c < p->c[i]; c++)
				to[c] = table[from[c] + 128];
		}
	}
	return 0;
}

int cpu_dequantize_portable(const struct op_dequantize *p, const int8_t *x, float *y)
{
	float table[256];
	int err = op_dequantize_check(p);

	if (err)
		return err;
	for (int32_t v = -128; v < 128; v++)
		table[v + 128] = (float)(v - p->z) * p->scale;
	for (uint64_t i = 0; i < p->count; i++)
		y[i] = table[x[i] + 128];
	return 0;
}
