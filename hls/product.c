/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of convolution and matrix product, which way they go, and the two kernels. */
#include "hls/product.h"

/* Words of the shell's structures. */
enum { CONV_WORDS = 24, CONV_REQUANT = 17, GEMM_WORDS = 10, GEMM_REQUANT = 3 };

_Static_assert(sizeof(struct shell_conv2d) == CONV_WORDS * 4 &&
		       offsetof(struct shell_conv2d, q) == CONV_REQUANT * 4 &&
		       sizeof(struct shell_gemm) == GEMM_WORDS * 4 &&
		       offsetof(struct shell_gemm, q) == GEMM_REQUANT * 4,
	       "the shell's structures as words");

static void open_requant(struct requant_args *q, const uint32_t *words)
{
	q->out = words[0];
	q->s_r = hls_float(words[1]);
	q->z_r = (int32_t)words[2];
	q->z = (int32_t)words[3];
	q->lo = (int32_t)words[4];
	q->hi = (int32_t)words[5];
}

static uint32_t extent(uint32_t in, uint32_t padding, uint32_t taps, uint32_t dilation,
		       uint32_t stride)
{
	return (in + padding - ((taps - 1) * dilation + 1)) / stride + 1;
}

static void derive(struct product_shape *s)
{
	s->oh = extent(s->h, s->pad_top + s->pad_bottom, s->kh, s->dilation_h, s->stride_h);
	s->ow = extent(s->w, s->pad_left + s->pad_right, s->kw, s->dilation_w, s->stride_w);
	s->group_c = s->c / s->groups;
	s->group_oc = s->oc / s->groups;
	s->k = s->kh * s->kw * s->group_c;
}

void product_open_conv2d(struct product_shape *s, const uint32_t *args)
{
	uint32_t w[CONV_WORDS];

	for (uint32_t i = 0; i < CONV_WORDS; i++) {
#pragma HLS PIPELINE II = 1
		w[i] = args[i];
	}
	s->n = w[0];
	s->h = w[1];
	s->w = w[2];
	s->c = w[3];
	s->oc = w[4];
	s->kh = w[5];
	s->kw = w[6];
	s->groups = w[7];
	s->stride_h = w[8];
	s->stride_w = w[9];
	s->dilation_h = w[10];
	s->dilation_w = w[11];
	s->pad_top = w[12];
	s->pad_left = w[13];
	s->pad_bottom = w[14];
	s->pad_right = w[15];
	s->z_x = (int32_t)w[16];
	open_requant(&s->q, &w[CONV_REQUANT]);
	derive(s);
}

void product_open_gemm(struct product_shape *s, const uint32_t *args)
{
	uint32_t w[GEMM_WORDS];

	for (uint32_t i = 0; i < GEMM_WORDS; i++) {
#pragma HLS PIPELINE II = 1
		w[i] = args[i];
	}
	s->n = s->w = s->kh = s->kw = s->groups = 1;
	s->stride_h = s->stride_w = s->dilation_h = s->dilation_w = 1;
	s->pad_top = s->pad_left = s->pad_bottom = s->pad_right = 0;
	s->z_x = 0;
	s->h = w[0];
	s->oc = w[1];
	s->c = w[2];
	open_requant(&s->q, &w[GEMM_REQUANT]);
	derive(s);
}

void product_rows(const struct product_shape *s, const struct product_memory *m, uint32_t begin,
		  uint32_t end)
{
	if (depthwise_fits(s))
		depthwise_rows(s, m, begin, end);
	else
		dense_rows(s, m, (uint64_t)begin * s->ow, (uint64_t)end * s->ow);
}

/* ---- the kernels -------------------------------------------------------------------------------- */

void facet_conv2d(const uint32_t *args, uint8_t *y, uint32_t *chk, const int8_t *x,
		  const int8_t *residual, const int8_t *weights, const int32_t *bias,
		  const float *s_pos, const float *s_neg)
{
#pragma HLS INTERFACE m_axi port = args bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = out offset = slave max_widen_bitwidth = 512
#pragma HLS INTERFACE m_axi port = chk bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = x bundle = in offset = slave max_widen_bitwidth = 512
#pragma HLS INTERFACE m_axi port = residual bundle = residual offset = slave max_widen_bitwidth =  \
	512
#pragma HLS INTERFACE m_axi port = weights bundle = weights offset = slave max_widen_bitwidth = 512
#pragma HLS INTERFACE m_axi port = bias bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = s_pos bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = s_neg bundle = channel offset = slave
#pragma HLS INTERFACE s_axilite port = return
	const struct product_memory m = {y, chk, x, residual, weights, bias, s_pos, s_neg};
	struct product_shape s;

	product_open_conv2d(&s, args);
	product_rows(&s, &m, 0, s.n * s.oh);
}

void facet_gemm(const uint32_t *args, uint8_t *y, uint32_t *chk, const int8_t *a,
		const int8_t *residual, const int8_t *b, const int32_t *bias, const float *s_pos,
		const float *s_neg)
{
#pragma HLS INTERFACE m_axi port = args bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = out offset = slave max_widen_bitwidth = 512
#pragma HLS INTERFACE m_axi port = chk bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = a bundle = in offset = slave max_widen_bitwidth = 512
#pragma HLS INTERFACE m_axi port = residual bundle = residual offset = slave max_widen_bitwidth =  \
	512
#pragma HLS INTERFACE m_axi port = b bundle = weights offset = slave max_widen_bitwidth = 512
#pragma HLS INTERFACE m_axi port = bias bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = s_pos bundle = channel offset = slave
#pragma HLS INTERFACE m_axi port = s_neg bundle = channel offset = slave
#pragma HLS INTERFACE s_axilite port = return
	const struct product_memory m = {y, chk, a, residual, b, bias, s_pos, s_neg};
	struct product_shape s;

	product_open_gemm(&s, args);
	dense_rows(&s, &m, 0, s.h);
}
