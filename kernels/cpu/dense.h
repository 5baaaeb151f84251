/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and GEMM on vector units: what is common to the instruction sets.
 *
 * An output pixel's products are a few segments, runs of input bytes that lie together: a whole
 * kernel row where taps are adjacent, else one tap. Input rows are copied once into scratch, padded
 * with z_x and brought into the form the multiply wants, so that the innermost loop knows nothing
 * of padding, stride or dilation: it walks segments, `stride` bytes from pixel to pixel. A GEMM and
 * a 1x1 convolution are the case of one segment a pixel.
 *
 * Weights are packed as [group][tile][segment][step][lane][product]: a tile has `lanes` output
 * channels, a step multiplies `products` neighbouring values in each lane. The channels of two
 * tiles are interleaved by fours, since packing 32 bits to 8 interleaves them back.
 */
#ifndef FACET_KERNELS_CPU_DENSE_H
#define FACET_KERNELS_CPU_DENSE_H

#include "kernels/cpu/shortcut.h"
#include "kernels/ops.h"

/* A rectangle of outputs: `pixels` neighbours by the channels of up to 4 tiles. */
struct dense_block {
	const uint8_t *const *segment; /* [segments], of the strip's first pixel */
	uint32_t segments, steps;
	size_t offset; /* from there to this block's first pixel */
	size_t stride; /* from a pixel to the next */
	uint32_t pixels, tiles;
	const uint8_t *w; /* first tile */
	size_t w_tile;	  /* bytes of a tile */
	const int32_t *bias;
	const float *s_pos, *s_neg; /* [tiles * lanes], in the order of the lanes */
	struct shortcut cut;
	const struct op_requant *q;
	enum op_out out;
	const int8_t *residual; /* whole tensor, or NULL */
	void *y;		/* whole tensor */
	size_t at;		/* element of the first pixel's first channel */
	size_t pixel;		/* elements from a pixel to the next */
	uint32_t channels;	/* of this block, <= tiles * lanes */
};

struct dense_isa {
	uint32_t lanes;	   /* int32 lanes of a register */
	uint32_t products; /* values multiplied in one lane by one instruction */
	uint32_t element;  /* bytes of a value in scratch */
	int32_t offset;	   /* what is added to each value there, taken back in the bias */
	uint32_t pixels;   /* most pixels of a block of 1 or 2 tiles */
	uint32_t narrow;   /* most pixels of a block of 4 tiles */
	void (*copy)(const int8_t *x, size_t n, void *to);
	void (*fill)(int8_t v, size_t n, void *to);
	void (*block)(const struct dense_block *b);
};

extern const struct dense_isa dense_avx512, dense_avx2;

size_t dense_conv2d_packed_bytes(const struct dense_isa *isa, const struct op_conv2d *p);
int dense_conv2d_pack(const struct dense_isa *isa, const struct op_conv2d *p, const int8_t *w,
		      const int32_t *bias, void *packed);
size_t dense_conv2d_scratch_bytes(const struct dense_isa *isa, const struct op_conv2d *p);
int dense_conv2d(const struct dense_isa *isa, const struct op_conv2d *p, const void *packed,
		 const int8_t *x, const int8_t *residual, void *y, uint32_t row_begin,
		 uint32_t row_end, void *scratch);

size_t dense_gemm_packed_bytes(const struct dense_isa *isa, const struct op_gemm *p);
int dense_gemm_pack(const struct dense_isa *isa, const struct op_gemm *p, const int8_t *b,
		    const int32_t *bias, void *packed);
size_t dense_gemm_scratch_bytes(const struct dense_isa *isa, const struct op_gemm *p);
int dense_gemm(const struct dense_isa *isa, const struct op_gemm *p, const void *packed,
	       const int8_t *a, const int8_t *residual, void *y, uint32_t row_begin,
	       uint32_t row_end, void *scratch);

#endif
