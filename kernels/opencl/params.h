/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host tells a kernel. Structures that go by value have fields of four bytes only, so that
 * both sides agree on the layout. Read by the host's compiler and, put before each .cl, by the device's.
 */
#ifndef FACET_KERNELS_OPENCL_PARAMS_H
#define FACET_KERNELS_OPENCL_PARAMS_H

/* Requantisation of kernels/ops.h; out is enum op_out. */
struct cl_requant {
	float s_r;
	int z_r, z, lo, hi;
	int out, residual, checksum; /* the last two: whether there is one */
};

/* conv2d; a GEMM is one of a row of m pixels. Extents of weights are as they are packed. */
struct cl_product {
	int h, w, c, oh, ow;
	int pixels; /* n * oh * ow */
	int oc, groups;
	int group_in, group_out; /* channels of one group */
	int tiles;		 /* of 16 output channels, of one group */
	int kh, kw, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
	int pad_at; /* in the packed weights: a pixel of padding */
	struct cl_requant q;
};

struct cl_pool {
	int h, w, c, oh, ow, pixels;
	int kh, kw, stride_h, stride_w, pad_top, pad_left;
	int average, divisor; /* divisor 0: the taps inside */
	int z_x, z, lo, hi;
};

struct cl_add {
	float s_a, s_b;
	int z_a, z_b, z, lo, hi;
};

/* A search of some tiles of one segment of the device's rows, which are counted from its begin. */
struct cl_search {
	uint first, tiles;
	uint head4, tail4; /* groups of four dimensions */
	int metric;	   /* enum search_metric */
	uint queries;	   /* whole blocks of them */
	uint capacity;	   /* hits that the list of one query holds */
};

/* ---- in buffers ---- */

struct cl_query {
	ulong tag_mask, tag_value;
	float limit, q_mul;
	int raised; /* 128 * the sum of its values: the rows' bytes are raised by 128 */
	uint epoch, rows, select; /* select: only its best so many are wanted; 0: all */
};

struct cl_hit {
	float s;
	uint row, subject, unused;
	ulong id;
};

#endif
