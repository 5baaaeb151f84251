/* SPDX-License-Identifier: Apache-2.0 */
/* What saves work in the requantisation of a whole layer, found once when its weights are packed. */
#ifndef FACET_KERNELS_CPU_SHORTCUT_H
#define FACET_KERNELS_CPU_SHORTCUT_H

#include "kernels/ops.h"

/* The first 64 bytes of packed weights. */
struct scales_kind {
	uint32_t linear; /* s_neg == s_pos in each channel */
	uint32_t relu;	 /* s_neg == 0 in each channel */
	uint32_t small;	 /* all scales within 1/2 */
	uint32_t unused[13];
};

static inline struct scales_kind scales_kind(const struct op_requant *q, uint32_t channels,
					     enum op_out out)
{
	struct scales_kind k = {.linear = 1, .relu = 1, .small = 1};

	for (uint32_t c = 0; out != OP_OUT_S32 && c < channels; c++) {
		float pos = q->s_pos[c], neg = q->s_neg[c];

		k.linear &= pos == neg;
		k.relu &= neg == 0;
		k.small &= pos <= 0.5f && neg <= 0.5f && neg >= -0.5f;
	}
	return k;
}

struct shortcut {
	bool linear; /* s_neg need not be looked at */
	bool small;  /* |t| < 2^31, whatever the accumulator */
	int32_t lo;  /* the least byte to come out, >= q->lo */
};

static inline struct shortcut shortcut_of(const struct scales_kind *k, const struct op_requant *q,
					  enum op_out out, bool residual)
{
	struct shortcut s = {.linear = k->linear, .small = k->small, .lo = q->lo};

	if (residual && (q->s_r > 1048576.0f || q->s_r < -1048576.0f))
		s.small = false;
	if (!k->relu || residual || out != OP_OUT_S8)
		return s;
	/* A ReLU is a clamp at the zero point: what s_neg makes of a negative t is cut off anyway. */
	s.linear = true;
	s.lo = q->z > q->lo ? q->z : q->lo;
	s.lo = s.lo < q->hi ? s.lo : q->hi;
	return s;
}

#endif
