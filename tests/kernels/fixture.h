/* SPDX-License-Identifier: Apache-2.0 */
/* Random operands and an oracle for requantisation that shares nothing with kernels/. */
#ifndef FACET_TESTS_KERNELS_FIXTURE_H
#define FACET_TESTS_KERNELS_FIXTURE_H

#include "kernels/cpu/cpu.h"
#include "kernels/ops.h"

/* A seeded generator (splitmix64). */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);		/* 0 .. n - 1 */
int32_t rng_range(struct rng *r, int32_t a, int32_t b); /* a .. b */
float rng_scale(struct rng *r);				/* 2^-14 .. 2^-2, any mantissa */

/* 64-byte aligned, of exactly this size so that the address sanitizer sees the end; never NULL. */
void *fixture_alloc(size_t bytes);

enum fixture_fill { FILL_RANDOM, FILL_LOWEST, FILL_HIGHEST, FILL_EXTREMES, FILL_KINDS };
void fixture_fill(struct rng *r, enum fixture_fill kind, int8_t *x, size_t n);

/* Scales and clamp for so many channels; scales are to be freed with fixture_free_requant. */
enum fixture_scales {
	SCALES_LINEAR,
	SCALES_RELU,
	SCALES_PRELU,
	SCALES_WILD, /* 0, 2^-100, 2^60, negative slopes */
	SCALES_KINDS
};
void fixture_requant(struct rng *r, enum fixture_scales kind, uint32_t channels,
		     struct op_requant *q);
void fixture_free_requant(struct op_requant *q);

/* Bytes of one output value. */
size_t fixture_out_bytes(enum op_out out);

/* The value of kernels/ops.h for one accumulator, written to y[i]. */
void oracle_requant(const struct op_requant *q, enum op_out out, uint32_t c, int64_t acc,
		    const int8_t *residual, void *y, size_t i);
/* Clamp, round to nearest even, zero point. */
int8_t oracle_byte(float t, int32_t z, int32_t lo, int32_t hi);

/* Computes rows [0, rows) in slices of random size and order with op(context, begin, end). */
void fixture_slices(struct rng *r, uint32_t rows, int (*op)(void *context, uint32_t, uint32_t),
		    void *context);

#endif
