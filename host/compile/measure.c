/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/measure.h"

#include <math.h>
#include <string.h>

struct measure {
	const struct graph *g;
	const struct program *p;
	const struct execute *execute; /* of the sample at hand */
	double *signal, *noise;	       /* [ops] */
	uint32_t samples, samples_max;
	size_t length;	    /* of all outputs joined */
	float *real, *int8; /* [samples_max][length] */
};

int measure_create(const struct graph *g, const struct program *p, uint32_t samples_max,
		   struct measure **measure)
{
	struct measure *m = pool_alloc(g->pool, 1, sizeof(*m));

	if (!m)
		return pool_exhausted(g->pool);
	*measure = m;
	m->g = g;
	m->p = p;
	m->samples_max = samples_max;
	for (uint32_t k = 0; k < g->outputs; k++)
		m->length += g->tensor[g->output[k]].count;
	m->signal = pool_alloc(g->pool, p->graph.n_ops, sizeof(double));
	m->noise = pool_alloc(g->pool, p->graph.n_ops, sizeof(double));
	m->real = pool_alloc(g->pool, samples_max * m->length, sizeof(float));
	m->int8 = pool_alloc(g->pool, samples_max * m->length, sizeof(float));
	return m->signal && m->noise && m->real && m->int8 ? 0 : pool_exhausted(g->pool);
}

/* An element of an op's output as a real number. */
static double real_value(const Facet__Model__Tensor *t, const void *data, int64_t at)
{
	if (t->type == FACET__MODEL__TYPE__F32)
		return (double)((const float *)data)[at];
	return (((const int8_t *)data)[at] - t->zero_point) * (double)t->scale;
}

static void compare(void *context, uint32_t op, const void *output)
{
	struct measure *m = context;
	uint32_t index = m->p->graph.ops[op]->output, tensor = m->p->stands_for[index], axis;
	const struct graph_view *v = &m->p->view[index];
	int64_t at[GRAPH_RANK] = {0}, offset = v->offset;
	const float *want;

	if (tensor == GRAPH_NONE)
		return;
	want = execute_values(m->execute, tensor);
	do {
		double d = real_value(m->p->graph.tensors[index], output, offset) - (double)*want;

		m->signal[op] += (double)*want * (double)*want;
		m->noise[op] += d * d;
		want++;
		for (axis = v->rank; axis-- > 0;) {
			offset += v->stride[axis];
			if (++at[axis] < v->dim[axis])
				break;
			offset -= v->stride[axis] * v->dim[axis];
			at[axis] = 0;
		}
	} while (axis != UINT32_MAX);
}

int measure_add(struct measure *m, struct execute *execute, struct evaluate *evaluate,
		const float *input, const uint8_t *pixels)
{
	size_t at = m->samples * m->length;
	int err = execute_run(execute, input);

	m->execute = execute;
	if (!err)
		err = evaluate_run(evaluate, pixels, compare, m);
	for (uint32_t k = 0; k < m->g->outputs && !err; k++) {
		size_t count = m->g->tensor[m->g->output[k]].count;

		memcpy(m->real + at, execute_values(execute, m->g->output[k]),
		       count * sizeof(float));
		memcpy(m->int8 + at, evaluate_tensor(evaluate, m->p->graph.outputs[k]),
		       count * sizeof(float));
		at += count;
	}
	m->samples++;
	return err;
}

double measure_sqnr(const struct measure *m, uint32_t op)
{
	return 10 * log10(m->signal[op] / m->noise[op]);
}

/* ---- cosines ------------------------------------------------------------------------------------------ */

static double cosine(const float *a, const float *b, const double *mean_a, const double *mean_b,
		     size_t length)
{
	double ab = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < length; i++) {
		double x = (double)a[i] - (mean_a ? mean_a[i] : 0);
		double y = (double)b[i] - (mean_b ? mean_b[i] : 0);

		ab += x * y;
		aa += x * x;
		bb += y * y;
	}
	return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static double *mean_of(const struct measure *m, const float *v)
{
	double *mean = pool_alloc(m->g->pool, m->length, sizeof(double));

	for (uint32_t s = 0; mean && s < m->samples; s++)
		for (size_t i = 0; i < m->length; i++)
			mean[i] += (double)v[s * m->length + i] / m->samples;
	return mean;
}

static double spread(const struct measure *m, const float *v)
{
	double sum = 0;
	uint32_t pairs = 0;

	for (uint32_t a = 0; a < m->samples; a++)
		for (uint32_t b = a + 1; b < m->samples; b++, pairs++)
			sum += cosine(v + a * m->length, v + b * m->length, NULL, NULL, m->length);
	return pairs ? sum / pairs : 0;
}

void measure_finish(const struct measure *m, struct compile_report *report)
{
	const double *mean_real = mean_of(m, m->real), *mean_int8 = mean_of(m, m->int8);

	report->cosine = report->centred_cosine = 0;
	for (uint32_t s = 0; s < m->samples; s++) {
		const float *a = m->real + s * m->length, *b = m->int8 + s * m->length;

		report->cosine += cosine(a, b, NULL, NULL, m->length) / m->samples;
		report->centred_cosine +=
			cosine(a, b, mean_real, mean_int8, m->length) / m->samples;
	}
	report->spread = spread(m, m->int8);
	report->spread_float = spread(m, m->real);
}
