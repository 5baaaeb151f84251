/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The float tail. Only + - * / and square root, each rounded to single, in the order written, so
 * that every host gives the same bits. libm is not used: its functions differ between versions.
 */
#include "kernels/ref/ref.h"
#include "kernels/requant.h"

#include <math.h>
#include <string.h>

/* 2^n for -126 <= n <= 127. */
static float power_of_two(int32_t n)
{
	uint32_t bits = (uint32_t)(n + 127) << 23;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/*
 * e^x within 1.05 units in the last place, found by trying every single: x = n ln 2 + r with
 * |r| <= 0.3467, ln 2 in two parts of which the first has 10 bits so that n times it is exact, then
 * the Taylor sum to r^7, whose remainder is below 2^-27.
 */
static float exponential(float x)
{
	const float log2e = 1.44269504f, ln2_hi = 0.693359375f, ln2_lo = -2.12194440e-4f;
	float n, r, t;
	int32_t half;

	if (x != x)
		return x;
	if (x > 88.8f)
		return INFINITY;
	if (x < -104.0f)
		return 0.0f;
	n = requant_rne(x * log2e);
	r = x - n * ln2_hi;
	r = r - n * ln2_lo;
	t = 1.0f / 5040;
	t = t * r + 1.0f / 720;
	t = t * r + 1.0f / 120;
	t = t * r + 1.0f / 24;
	t = t * r + 1.0f / 6;
	t = t * r + 0.5f;
	t = t * r * r + r + 1.0f;
	/* In two steps: 2^n itself may be out of range where the product is not. */
	half = (int32_t)n / 2;
	return t * power_of_two(half) * power_of_two((int32_t)n - half);
}

static float binary(enum op_float_kind kind, float a, float b)
{
	switch (kind) {
	case OP_FLOAT_ADD:
		return a + b;
	case OP_FLOAT_SUB:
		return a - b;
	case OP_FLOAT_MUL:
		return a * b;
	default:
		return a / b;
	}
}

static float unary(enum op_float_kind kind, float a)
{
	switch (kind) {
	case OP_FLOAT_EXP:
		return exponential(a);
	case OP_FLOAT_SIGMOID:
		return 1.0f / (1.0f + exponential(-a));
	default:
		return sqrtf(a);
	}
}

static void softmax(const float *x, uint32_t cols, float *y)
{
	float lane[16] = {0}, top = x[0];

	for (uint32_t i = 1; i < cols; i++)
		top = x[i] > top ? x[i] : top;
	for (uint32_t i = 0; i < cols; i++) {
		y[i] = exponential(x[i] - top);
		lane[i % 16] += y[i];
	}
	for (uint32_t width = 8; width; width /= 2)
		for (uint32_t i = 0; i < width; i++)
			lane[i] += lane[i + width];
	for (uint32_t i = 0; i < cols; i++)
		y[i] = y[i] / lane[0];
}

/* Where b's value for element (row, col) lies. */
static uint64_t b_index(const struct op_float *p, uint64_t row, uint32_t col)
{
	const uint64_t at[] = {[OP_B_FULL] = row * p->cols + col,
			       [OP_B_ROW] = col,
			       [OP_B_COLUMN] = row,
			       [OP_B_SCALAR] = 0};

	return at[p->b];
}

int ref_float(const struct op_float *p, const float *a, const float *b, float *y)
{
	int err = op_float_check(p);

	if (err)
		return err;
	for (uint64_t row = 0; row < p->rows; row++, a += p->cols, y += p->cols) {
		if (p->kind == OP_FLOAT_SOFTMAX) {
			softmax(a, p->cols, y);
			continue;
		}
		for (uint32_t col = 0; col < p->cols; col++)
			y[col] = p->kind <= OP_FLOAT_DIV
					 ? binary(p->kind, a[col], b[b_index(p, row, col)])
					 : unary(p->kind, a[col]);
	}
	return 0;
}
