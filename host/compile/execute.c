/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/execute.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct call {
	const struct graph *g;
	const struct graph_node *n;
	const void *const *in;
	void *const *out;
};

static const struct graph_tensor *tensor_in(const struct call *c, uint32_t k)
{
	return &c->g->tensor[c->n->input[k]];
}

static const struct graph_tensor *tensor_out(const struct call *c)
{
	return &c->g->tensor[c->n->output[0]];
}

static const void *value_in(const struct call *c, uint32_t k)
{
	return k < c->n->inputs ? c->in[k] : NULL;
}

static int run_conv(const struct call *c)
{
	return execute_conv(c->g, c->n, c->in[0], c->in[1], value_in(c, 2), c->out[0]);
}

static int run_gemm(const struct call *c)
{
	const float *x = c->in[0], *w = c->in[1], *b = value_in(c, 2);
	size_t k = (size_t)tensor_in(c, 1)->dim[1], columns = (size_t)tensor_in(c, 1)->dim[0];
	size_t rows = tensor_in(c, 0)->count / k;
	float *y = c->out[0];

	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < columns; i++) {
			float sum[4] = {0};

			for (size_t j = 0; j < k; j++)
				sum[j % 4] += x[r * k + j] * w[i * k + j];
			*y++ = (b ? b[i] : 0) + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
		}
	return 0;
}

/* ---- pointwise ----------------------------------------------------------------------------------- */

/* Elements of one channel (axis 1). */
static size_t channel_size(const struct graph_tensor *t)
{
	size_t size = 1;

	for (uint32_t i = 2; i < t->rank; i++)
		size *= (size_t)t->dim[i];
	return size;
}

static int run_affine(const struct call *c)
{
	const struct graph_tensor *t = tensor_in(c, 0);
	const float *x = c->in[0], *a = c->in[1], *b = c->in[2];
	size_t size = channel_size(t), channels = (size_t)t->dim[1];
	float *y = c->out[0];

	for (size_t i = 0; i < t->count; i++)
		y[i] = x[i] * a[i / size % channels] + b[i / size % channels];
	return 0;
}

static int run_batchnorm(const struct call *c)
{
	const struct graph_tensor *t = tensor_in(c, 0);
	const float *x = c->in[0], *scale = c->in[1], *shift = c->in[2];
	const float *mean = c->in[3], *variance = c->in[4];
	size_t size = channel_size(t), channels = (size_t)t->dim[1];
	float *y = c->out[0];

	for (size_t i = 0; i < t->count; i++) {
		size_t ch = i / size % channels;

		y[i] = (x[i] - mean[ch]) / sqrtf(variance[ch] + c->n->alpha) * scale[ch] +
		       shift[ch];
	}
	return 0;
}

static int run_prelu(const struct call *c)
{
	const struct graph_tensor *t = tensor_in(c, 0);
	const float *x = c->in[0], *slope = c->in[1];
	size_t size = channel_size(t), slopes = tensor_in(c, 1)->count;
	float *y = c->out[0];

	for (size_t i = 0; i < t->count; i++)
		y[i] = x[i] < 0 ? x[i] * slope[i / size % slopes] : x[i];
	return 0;
}

static int run_clip(const struct call *c)
{
	const float *x = c->in[0], *least = value_in(c, 1), *most = value_in(c, 2);
	float *y = c->out[0];

	for (size_t i = 0; i < tensor_in(c, 0)->count; i++) {
		y[i] = least && x[i] < *least ? *least : x[i];
		y[i] = most && y[i] > *most ? *most : y[i];
	}
	return 0;
}

static float unary(const struct graph_node *n, float x)
{
	switch (n->kind) {
	case GRAPH_RELU:
		return x < 0 ? 0 : x;
	case GRAPH_LEAKY:
		return x < 0 ? x * n->alpha : x;
	case GRAPH_SIGMOID:
		return 1 / (1 + expf(-x));
	case GRAPH_TANH:
		return tanhf(x);
	case GRAPH_EXP:
		return expf(x);
	case GRAPH_SQRT:
		return sqrtf(x);
	case GRAPH_HARDSIGMOID:
		return fminf(fmaxf(n->alpha * x + n->beta, 0), 1);
	case GRAPH_HARDSWISH:
		return x * fminf(fmaxf(x / 6 + 0.5f, 0), 1);
	default:
		return x < 0 ? n->alpha * expm1f(x) : x; /* GRAPH_ELU */
	}
}

static int run_unary(const struct call *c)
{
	const float *x = c->in[0];
	float *y = c->out[0];

	for (size_t i = 0; i < tensor_in(c, 0)->count; i++)
		y[i] = unary(c->n, x[i]);
	return 0;
}

static float binary_float(enum graph_kind kind, float a, float b)
{
	return kind == GRAPH_ADD   ? a + b
	       : kind == GRAPH_SUB ? a - b
	       : kind == GRAPH_MUL ? a * b
				   : a / b;
}

/* Integers from a file: sums wrap, a quotient of zero or -1 is told apart. */
static int binary_integer(enum graph_kind kind, int64_t a, int64_t b, int64_t *y)
{
	uint64_t ua = (uint64_t)a, ub = (uint64_t)b;

	if (kind == GRAPH_DIV && (b == 0 || b == -1))
		return -EINVAL;
	*y = kind == GRAPH_DIV ? a / b
			       : (int64_t)(kind == GRAPH_ADD   ? ua + ub
					   : kind == GRAPH_SUB ? ua - ub
							       : ua * ub);
	return 0;
}

/* The view of an input as the output sees it: extents that are repeated have stride 0. */
static void broadcast(const struct graph_tensor *t, const struct graph_tensor *out,
		      struct graph_view *view)
{
	struct graph_view plain;

	graph_view_plain(t, &plain);
	*view = (struct graph_view){.rank = out->rank};
	for (uint32_t i = 0; i < out->rank; i++) {
		uint32_t skip = out->rank - t->rank;

		view->dim[i] = out->dim[i];
		if (i >= skip && t->dim[i - skip] != 1)
			view->stride[i] = plain.stride[i - skip];
	}
}

/* Offset of the element number i of a view. */
static int64_t view_at(const struct graph_view *v, size_t i)
{
	int64_t at = v->offset;

	for (uint32_t axis = v->rank; axis-- > 0;) {
		at += (int64_t)(i % (size_t)v->dim[axis]) * v->stride[axis];
		i /= (size_t)v->dim[axis];
	}
	return at;
}

static int run_binary(const struct call *c)
{
	const struct graph_tensor *out = tensor_out(c);
	bool plain = tensor_in(c, 0)->count == out->count && tensor_in(c, 1)->count == out->count;
	struct graph_view a, b;
	int err = 0;

	broadcast(tensor_in(c, 0), out, &a);
	broadcast(tensor_in(c, 1), out, &b);
	for (size_t i = 0; i < out->count && !err; i++) {
		int64_t ia = plain ? (int64_t)i : view_at(&a, i);
		int64_t ib = plain ? (int64_t)i : view_at(&b, i);

		if (out->type == GRAPH_I64)
			err = binary_integer(c->n->kind, ((const int64_t *)c->in[0])[ia],
					     ((const int64_t *)c->in[1])[ib],
					     (int64_t *)c->out[0] + i);
		else
			((float *)c->out[0])[i] =
				binary_float(c->n->kind, ((const float *)c->in[0])[ia],
					     ((const float *)c->in[1])[ib]);
	}
	return err;
}

static void softmax_row(const float *x, float *y, size_t count, size_t stride)
{
	float top = x[0], sum = 0;

	for (size_t i = 1; i < count; i++)
		top = fmaxf(top, x[i * stride]);
	for (size_t i = 0; i < count; i++) {
		y[i * stride] = expf(x[i * stride] - top);
		sum += y[i * stride];
	}
	for (size_t i = 0; i < count; i++)
		y[i * stride] /= sum;
}

static int run_softmax(const struct call *c)
{
	const struct graph_tensor *t = tensor_in(c, 0);
	const float *x = c->in[0];
	size_t count = 1, stride = 1;

	for (uint32_t i = (uint32_t)c->n->axis; i < t->rank; i++) {
		if (i == c->n->axis || c->n->flatten)
			count *= (size_t)t->dim[i];
		else
			stride *= (size_t)t->dim[i];
	}
	for (size_t outer = 0; outer < t->count; outer += count * stride)
		for (size_t i = 0; i < stride; i++)
			softmax_row(x + outer + i, (float *)c->out[0] + outer + i, count, stride);
	return 0;
}

/* ---- pooling ------------------------------------------------------------------------------------- */

struct range {
	int64_t from, to;
};

static struct range taps(int64_t o, uint32_t stride, uint32_t before, uint32_t k, int64_t size)
{
	int64_t from = o * stride - before, to = from + k;

	return (struct range){from < 0 ? 0 : from, to > size ? size : to};
}

static float pool_window(const struct call *c, const float *x, int64_t width, struct range v,
			 struct range h)
{
	const struct graph_window *w = &c->n->win;
	bool max = c->n->kind == GRAPH_MAXPOOL;
	float acc = max ? -INFINITY : 0;

	for (int64_t y = v.from; y < v.to; y++)
		for (int64_t i = h.from; i < h.to; i++)
			acc = max ? fmaxf(acc, x[y * width + i]) : acc + x[y * width + i];
	if (max)
		return acc;
	return acc / (w->count_padding ? (float)(w->kh * w->kw)
				       : (float)((v.to - v.from) * (h.to - h.from)));
}

static int run_pool(const struct call *c)
{
	const struct graph_tensor *in = tensor_in(c, 0), *out = tensor_out(c);
	const struct graph_window *w = &c->n->win;
	int64_t oh = w->global ? 1 : out->dim[2], ow = w->global ? 1 : out->dim[3];
	const float *x = c->in[0];
	float *y = c->out[0];

	for (int64_t ch = 0; ch < in->dim[1]; ch++, x += in->dim[2] * in->dim[3])
		for (int64_t oy = 0; oy < oh; oy++)
			for (int64_t ox = 0; ox < ow; ox++)
				*y++ = pool_window(
					c, x, in->dim[3],
					taps(oy, w->stride_h, w->pad_top, w->kh, in->dim[2]),
					taps(ox, w->stride_w, w->pad_left, w->kw, in->dim[3]));
	return 0;
}

/* ---- moves: floats or integers ------------------------------------------------------------------- */

static size_t element_size(const struct graph_tensor *t)
{
	return t->type == GRAPH_I64 ? sizeof(int64_t) : sizeof(float);
}

static int run_reshape(const struct call *c)
{
	memcpy(c->out[0], c->in[0], tensor_in(c, 0)->count * element_size(tensor_in(c, 0)));
	return 0;
}

static int run_move(const struct call *c)
{
	struct graph_view plain, view;

	graph_view_plain(tensor_in(c, 0), &plain);
	for (uint32_t k = 0; k < c->n->outputs; k++) {
		graph_view_apply(c->g, c->n, k, &plain, &view);
		graph_view_copy(&view, element_size(tensor_in(c, 0)), c->in[0], c->out[k]);
	}
	return 0;
}

static int run_concat(const struct call *c)
{
	size_t outer = 1, at = 0, size = element_size(tensor_out(c));

	for (uint32_t i = 0; i < c->n->axis; i++)
		outer *= (size_t)tensor_out(c)->dim[i];
	for (size_t o = 0; o < outer; o++)
		for (uint32_t k = 0; k < c->n->inputs; k++) {
			size_t inner = tensor_in(c, k)->count / outer * size;

			memcpy((char *)c->out[0] + at, (const char *)c->in[k] + o * inner, inner);
			at += inner;
		}
	return 0;
}

static int run_pad(const struct call *c)
{
	const struct graph_tensor *in = tensor_in(c, 0), *out = tensor_out(c);
	const float *x = c->in[0];
	float *y = c->out[0];
	struct graph_view view;

	for (size_t i = 0; i < out->count; i++)
		y[i] = c->n->alpha;
	graph_view_plain(out, &view);
	for (uint32_t i = 0; i < in->rank; i++) {
		view.offset += c->n->start[i] * view.stride[i];
		view.dim[i] = in->dim[i];
	}
	for (size_t i = 0; i < in->count; i++)
		y[view_at(&view, i)] = x[i];
	return 0;
}

static int run_gather(const struct call *c)
{
	const struct graph_tensor *x = tensor_in(c, 0), *index = tensor_in(c, 1);
	size_t outer = 1, inner = element_size(x), at = 0;
	size_t extent = (size_t)x->dim[c->n->axis];

	for (uint32_t i = 0; i < x->rank; i++) {
		if (i < c->n->axis)
			outer *= (size_t)x->dim[i];
		else if (i > c->n->axis)
			inner *= (size_t)x->dim[i];
	}
	for (size_t o = 0; o < outer; o++)
		for (size_t i = 0; i < index->count; i++, at += inner) {
			int64_t from = index->i[i] + (index->i[i] < 0 ? (int64_t)extent : 0);

			memcpy((char *)c->out[0] + at,
			       (const char *)c->in[0] + (o * extent + (size_t)from) * inner, inner);
		}
	return 0;
}

static int run_cast(const struct call *c)
{
	const struct graph_tensor *in = tensor_in(c, 0);

	if (element_size(in) == element_size(tensor_out(c)))
		return run_reshape(c);
	for (size_t i = 0; i < in->count; i++) {
		if (in->type == GRAPH_I64)
			((float *)c->out[0])[i] = (float)((const int64_t *)c->in[0])[i];
		else if (fabsf(((const float *)c->in[0])[i]) < 0x1p62f)
			((int64_t *)c->out[0])[i] = (int64_t)((const float *)c->in[0])[i];
		else
			return -EINVAL;
	}
	return 0;
}

struct executor {
	int (*run)(const struct call *c);
	bool integers; /* also has a meaning on them */
};

static const struct executor executors[GRAPH_KINDS] = {
	[GRAPH_CONV] = {run_conv, false},	  [GRAPH_GEMM] = {run_gemm, false},
	[GRAPH_AFFINE] = {run_affine, false},	  [GRAPH_BATCHNORM] = {run_batchnorm, false},
	[GRAPH_ADD] = {run_binary, true},	  [GRAPH_SUB] = {run_binary, true},
	[GRAPH_MUL] = {run_binary, true},	  [GRAPH_DIV] = {run_binary, true},
	[GRAPH_MAXPOOL] = {run_pool, false},	  [GRAPH_AVGPOOL] = {run_pool, false},
	[GRAPH_RELU] = {run_unary, false},	  [GRAPH_LEAKY] = {run_unary, false},
	[GRAPH_PRELU] = {run_prelu, false},	  [GRAPH_CLIP] = {run_clip, false},
	[GRAPH_SIGMOID] = {run_unary, false},	  [GRAPH_TANH] = {run_unary, false},
	[GRAPH_EXP] = {run_unary, false},	  [GRAPH_SQRT] = {run_unary, false},
	[GRAPH_HARDSIGMOID] = {run_unary, false}, [GRAPH_HARDSWISH] = {run_unary, false},
	[GRAPH_ELU] = {run_unary, false},	  [GRAPH_SOFTMAX] = {run_softmax, false},
	[GRAPH_CONCAT] = {run_concat, true},	  [GRAPH_RESHAPE] = {run_reshape, true},
	[GRAPH_TRANSPOSE] = {run_move, true},	  [GRAPH_SLICE] = {run_move, true},
	[GRAPH_SPLIT] = {run_move, true},	  [GRAPH_PAD] = {run_pad, false},
	[GRAPH_GATHER] = {run_gather, true},	  [GRAPH_CAST] = {run_cast, true},
};

int execute_node(const struct graph *g, const struct graph_node *n, const void *const *in,
		 void *const *out)
{
	struct call call = {g, n, in, out};

	if (!executors[n->kind].run)
		return -EINVAL;
	for (uint32_t k = 0; k < n->inputs && !executors[n->kind].integers; k++)
		if (n->input[k] != GRAPH_NONE && g->tensor[n->input[k]].type == GRAPH_I64)
			return -EINVAL;
	return executors[n->kind].run(&call);
}

uint64_t execute_macs(const struct graph *g, const struct graph_node *n)
{
	const struct graph_tensor *w;

	if (n->kind != GRAPH_CONV && n->kind != GRAPH_GEMM)
		return 0;
	w = &g->tensor[n->input[1]];
	return g->tensor[n->output[0]].count * (w->count / (uint64_t)w->dim[0]);
}

/* ---- the whole network --------------------------------------------------------------------------- */

struct execute {
	const struct graph *g;
	float **value; /* [tensors] */
};

int execute_create(const struct graph *g, struct execute **execute)
{
	struct execute *e = pool_alloc(g->pool, 1, sizeof(*e));

	if (!e)
		return pool_exhausted(g->pool);
	e->g = g;
	e->value = pool_alloc(g->pool, g->tensors, sizeof(*e->value));
	if (!e->value)
		return pool_exhausted(g->pool);
	for (uint32_t t = 0; t < g->tensors; t++)
		e->value[t] = g->tensor[t].f;
	for (uint32_t i = 0; i < g->nodes; i++)
		for (uint32_t k = 0; k < g->node[i].outputs; k++) {
			uint32_t t = g->node[i].output[k];

			e->value[t] = pool_alloc(g->pool, g->tensor[t].count, sizeof(float));
			if (!e->value[t])
				return pool_exhausted(g->pool);
		}
	*execute = e;
	return 0;
}

static int run_one(struct execute *e, const struct graph_node *n)
{
	const void *in[256];
	void *out[256];

	for (uint32_t k = 0; k < n->inputs; k++)
		in[k] = n->input[k] == GRAPH_NONE ? NULL : e->value[n->input[k]];
	for (uint32_t k = 0; k < n->outputs; k++)
		out[k] = e->value[n->output[k]];
	return execute_node(e->g, n, in, out);
}

int execute_run(struct execute *e, const float *input)
{
	int err = 0;

	e->value[e->g->input] = (float *)input;
	for (uint32_t i = 0; i < e->g->nodes && !err; i++)
		err = run_one(e, &e->g->node[i]);
	return err ? pool_error(e->g->pool, err, "the float network could not be run") : 0;
}

const float *execute_values(const struct execute *e, uint32_t tensor)
{
	return e->value[tensor];
}
