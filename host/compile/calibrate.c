/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/calibrate.h"

#include <math.h>
#include <string.h>

#define BINS 65536u

struct statistics {
	uint64_t *bin; /* [BINS], or NULL */
	uint64_t count;
	double *top, *mean; /* [channels], sums over samples */
};

struct calibrate {
	const struct graph *g;
	struct statistics *of; /* [tensors] */
	uint32_t samples;
};

static int prepare(const struct graph *g, struct statistics *s, const struct graph_tensor *t,
		   bool histogram)
{
	size_t channels = t->rank >= 2 ? (size_t)t->dim[1] : 0;

	if (histogram) {
		s->bin = pool_alloc(g->pool, BINS, sizeof(*s->bin));
		if (!s->bin)
			return pool_exhausted(g->pool);
	}
	if (!channels)
		return 0;
	s->top = pool_alloc(g->pool, channels, sizeof(double));
	s->mean = pool_alloc(g->pool, channels, sizeof(double));
	return s->top && s->mean ? 0 : pool_exhausted(g->pool);
}

int calibrate_create(const struct graph *g, const bool *wanted, struct calibrate **calibrate)
{
	struct calibrate *c = pool_alloc(g->pool, 1, sizeof(*c));
	int err = 0;

	if (!c)
		return pool_exhausted(g->pool);
	c->g = g;
	c->of = pool_alloc(g->pool, g->tensors, sizeof(*c->of));
	if (!c->of)
		return pool_exhausted(g->pool);
	for (uint32_t i = 0; i < g->nodes && !err; i++)
		for (uint32_t k = 0; k < g->node[i].outputs && !err; k++) {
			uint32_t t = g->node[i].output[k];

			err = prepare(g, &c->of[t], &g->tensor[t], wanted && wanted[t]);
		}
	if (!err)
		err = prepare(g, &c->of[g->input], &g->tensor[g->input], false);
	*calibrate = c;
	return err;
}

static uint32_t bin_of(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits >> 16;
}

/* The value in the middle of a bin. */
static double bin_value(uint32_t bin)
{
	uint32_t bits = bin << 16 | 0x8000u;
	float v;

	memcpy(&v, &bits, sizeof(v));
	return (double)v;
}

static void add_channels(struct statistics *s, const struct graph_tensor *t, const float *v)
{
	size_t channels = (size_t)t->dim[1], size = t->count / channels;

	for (size_t c = 0; c < channels; c++) {
		double sum = 0;
		float top = 0;

		for (size_t i = 0; i < size; i++) {
			float m = fabsf(v[c * size + i]);

			sum += (double)v[c * size + i];
			top = m > top ? m : top;
		}
		s->top[c] += (double)top;
		s->mean[c] += sum / (double)size;
	}
}

void calibrate_add(struct calibrate *c, const struct execute *execute)
{
	c->samples++;
	for (uint32_t t = 0; t < c->g->tensors; t++) {
		struct statistics *s = &c->of[t];
		const float *v = execute_values(execute, t);

		if (s->top)
			add_channels(s, &c->g->tensor[t], v);
		if (!s->bin)
			continue;
		for (size_t i = 0; i < c->g->tensor[t].count; i++)
			s->bin[bin_of(v[i])]++;
		s->count += c->g->tensor[t].count;
	}
}

/* Bins in rising order of value: negative ones from the largest magnitude down, then the others. */
static uint32_t bin_in_order(uint32_t i)
{
	return i < BINS / 2 ? BINS - 1 - i : i - BINS / 2;
}

void calibrate_range(const struct calibrate *c, uint32_t tensor, double percentile, float *least,
		     float *most)
{
	const struct statistics *s = &c->of[tensor];
	double outside = (double)s->count * (1 - percentile / 100) / 2, seen = 0;

	*least = *most = 0;
	for (uint32_t i = 0; i < BINS && seen <= outside; i++) {
		seen += (double)s->bin[bin_in_order(i)];
		*least = (float)bin_value(bin_in_order(i));
	}
	seen = 0;
	for (uint32_t i = BINS; i-- > 0 && seen <= outside;) {
		seen += (double)s->bin[bin_in_order(i)];
		*most = (float)bin_value(bin_in_order(i));
	}
}

static const double *averaged(const struct calibrate *c, const double *sum, uint32_t tensor)
{
	size_t channels = (size_t)c->g->tensor[tensor].dim[1];
	double *to;

	if (!sum || !c->samples)
		return NULL;
	to = pool_alloc(c->g->pool, channels, sizeof(*to));
	for (size_t i = 0; to && i < channels; i++)
		to[i] = sum[i] / c->samples;
	return to;
}

const double *calibrate_channel_top(const struct calibrate *c, uint32_t tensor)
{
	return averaged(c, c->of[tensor].top, tensor);
}

const double *calibrate_channel_mean(const struct calibrate *c, uint32_t tensor)
{
	return averaged(c, c->of[tensor].mean, tensor);
}
