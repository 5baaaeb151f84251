/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/isa.h"
#include "kernels/requant.h"

#include <string.h>

#define LANES 16u

/* LANES sums. Constant trip counts and a result of its own let the compiler use vectors. */
static inline void add_lanes(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y)
{
	float low = (float)(p->lo - p->z), high = (float)(p->hi - p->z), t[LANES], u[LANES];
	float s_a = p->s_a, s_b = p->s_b;
	int32_t z_a = p->z_a, z_b = p->z_b, z = p->z;
	int8_t bytes[LANES];

	for (uint32_t i = 0; i < LANES; i++)
		t[i] = (float)(a[i] - z_a);
	for (uint32_t i = 0; i < LANES; i++)
		u[i] = (float)(b[i] - z_b);
	for (uint32_t i = 0; i < LANES; i++) {
		t[i] = t[i] * s_a + u[i] * s_b;
		t[i] = t[i] > low ? t[i] : low;
		t[i] = requant_rne(t[i] < high ? t[i] : high);
	}
	for (uint32_t i = 0; i < LANES; i++)
		bytes[i] = (int8_t)((int32_t)t[i] + z);
	memcpy(y, bytes, LANES);
}

int cpu_add_portable(const struct op_add *p, const int8_t *a, const int8_t *b, int8_t *y)
{
	int err = op_add_check(p);
	uint64_t i = 0;

	if (err)
		return err;
	for (; p->count - i >= LANES; i += LANES)
		add_lanes(p, a + i, b + i, y + i);
	for (; i < p->count; i++) {
		float t = (float)(a[i] - p->z_a) * p->s_a + (float)(b[i] - p->z_b) * p->s_b;

		y[i] = requant_byte(t, p->z, p->lo, p->hi);
	}
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
