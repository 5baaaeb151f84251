/* SPDX-License-Identifier: Apache-2.0 */
/* The body of execute_gemm.h, included once by each build of it, with GEMM_NAME set. */
#include "host/compile/execute_gemm.h"

#include <string.h>

typedef float lanes __attribute__((vector_size(32)));

/* By pointer: passing such vectors by value is not the same on all builds. */
static inline void store(float *y, const lanes *lo, const lanes *hi, uint32_t columns)
{
	float line[EXECUTE_PANEL];

	memcpy(line, lo, sizeof(*lo));
	memcpy(line + 8, hi, sizeof(*hi));
	memcpy(y, line, columns * sizeof(float));
}

#define SPLAT(v) ((lanes){v, v, v, v, v, v, v, v})

static inline void four_rows(const float *a, size_t k, const float *start, const float *panel,
			     float *y, size_t y_stride, uint32_t columns)
{
	const lanes *b = (const lanes *)panel;
	lanes p0 = SPLAT(start[0]), q0 = p0, p1 = SPLAT(start[1]), q1 = p1;
	lanes p2 = SPLAT(start[2]), q2 = p2, p3 = SPLAT(start[3]), q3 = p3;

	for (size_t i = 0; i < k; i++) {
		lanes lo = b[2 * i], hi = b[2 * i + 1], v;

		v = SPLAT(a[i]);
		p0 += v * lo;
		q0 += v * hi;
		v = SPLAT(a[k + i]);
		p1 += v * lo;
		q1 += v * hi;
		v = SPLAT(a[2 * k + i]);
		p2 += v * lo;
		q2 += v * hi;
		v = SPLAT(a[3 * k + i]);
		p3 += v * lo;
		q3 += v * hi;
	}
	store(y, &p0, &q0, columns);
	store(y + y_stride, &p1, &q1, columns);
	store(y + 2 * y_stride, &p2, &q2, columns);
	store(y + 3 * y_stride, &p3, &q3, columns);
}

static inline void one_row(const float *a, size_t k, const float *start, const float *panel,
			   float *y, uint32_t columns)
{
	const lanes *b = (const lanes *)panel;
	lanes p = SPLAT(start[0]), q = p;

	for (size_t i = 0; i < k; i++) {
		lanes v = SPLAT(a[i]);

		p += v * b[2 * i];
		q += v * b[2 * i + 1];
	}
	store(y, &p, &q, columns);
}

void GEMM_NAME(const float *a, size_t k, const float *start, uint32_t rows, const float *panel,
	       float *y, size_t y_stride, uint32_t columns)
{
	uint32_t r = 0;

	for (; r + 4 <= rows; r += 4)
		four_rows(a + r * k, k, start + r, panel, y + r * y_stride, y_stride, columns);
	for (; r < rows; r++)
		one_row(a + r * k, k, start + r, panel, y + r * y_stride, columns);
}
