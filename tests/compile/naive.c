/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/compile/naive.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct naive_value *get(struct naive *n, const char *name)
{
	for (int i = 0; i < n->values; i++)
		if (!strcmp(n->value[i].name, name))
			return &n->value[i];
	fprintf(stderr, "naive: no tensor '%s'\n", name);
	abort();
}

static struct naive_value *put(struct naive *n, const char *name, int rank, const int64_t *dim)
{
	struct naive_value *v = &n->value[n->values++];

	*v = (struct naive_value){.name = strdup(name), .rank = rank, .count = 1};
	for (int i = 0; i < rank; i++) {
		v->dim[i] = dim[i];
		v->count *= (size_t)dim[i];
	}
	v->v = calloc(v->count, sizeof(double));
	return v;
}

static void put_tensor(struct naive *n, const char *name, const Onnx__TensorProto *t)
{
	struct naive_value *v = put(n, name, (int)t->n_dims, t->dims);

	for (size_t i = 0; i < v->count; i++)
		v->v[i] = t->n_float_data ? (double)t->float_data[i] : (double)t->int64_data[i];
}

/* ---- a node at hand ----------------------------------------------------------------------------------- */

struct at {
	struct naive *n;
	const Onnx__NodeProto *p;
	struct naive_value *x, *b, *c; /* the first three inputs, or NULL */
};

static const Onnx__AttributeProto *attr(const struct at *a, const char *name)
{
	for (size_t i = 0; i < a->p->n_attribute; i++)
		if (!strcmp(a->p->attribute[i]->name, name))
			return a->p->attribute[i];
	return NULL;
}

static int64_t integer(const struct at *a, const char *name, int64_t otherwise)
{
	return attr(a, name) ? attr(a, name)->i : otherwise;
}

static double real(const struct at *a, const char *name, double otherwise)
{
	return attr(a, name) ? (double)attr(a, name)->f : otherwise;
}

static int64_t element(const struct at *a, const char *name, size_t i, int64_t otherwise)
{
	return attr(a, name) ? attr(a, name)->ints[i] : otherwise;
}

static struct naive_value *out(const struct at *a, int rank, const int64_t *dim)
{
	return put(a->n, a->p->output[0], rank, dim);
}

static struct naive_value *out_like(const struct at *a)
{
	return out(a, a->x->rank, a->x->dim);
}

/* Place of an element, and back; row-major. */
static void unravel(const int64_t *dim, int rank, size_t i, int64_t *at)
{
	for (int k = rank; k-- > 0;) {
		at[k] = (int64_t)(i % (size_t)dim[k]);
		i /= (size_t)dim[k];
	}
}

static size_t ravel(const int64_t *dim, int rank, const int64_t *at)
{
	size_t i = 0;

	for (int k = 0; k < rank; k++)
		i = i * (size_t)dim[k] + (size_t)at[k];
	return i;
}

/* ---- windows ------------------------------------------------------------------------------------------ */

struct window {
	int64_t k[2], stride[2], dilation[2], before[2], after[2], out[2];
};

static struct window window(const struct at *a, int64_t kh, int64_t kw)
{
	const Onnx__AttributeProto *automatic = attr(a, "auto_pad");
	struct window w;

	for (size_t d = 0; d < 2; d++) {
		int64_t size = a->x->dim[2 + d], reach, room;

		w.k[d] = element(a, "kernel_shape", d, d ? kw : kh);
		w.stride[d] = element(a, "strides", d, 1);
		w.dilation[d] = element(a, "dilations", d, 1);
		w.before[d] = element(a, "pads", d, 0);
		w.after[d] = element(a, "pads", d + 2, 0);
		reach = (w.k[d] - 1) * w.dilation[d] + 1;
		if (automatic && !strncmp((char *)automatic->s.data, "SAME", 4)) {
			int64_t o = (size + w.stride[d] - 1) / w.stride[d];
			int64_t pad = (o - 1) * w.stride[d] + reach - size;

			pad = pad < 0 ? 0 : pad;
			w.before[d] = automatic->s.data[5] == 'U' ? pad / 2 : (pad + 1) / 2;
			w.after[d] = pad - w.before[d];
		}
		room = size + w.before[d] + w.after[d] - reach;
		w.out[d] = room / w.stride[d] + 1;
		if (integer(a, "ceil_mode", 0) && room % w.stride[d] &&
		    w.out[d] * w.stride[d] < size + w.before[d])
			w.out[d]++;
	}
	return w;
}

static void conv(const struct at *a)
{
	struct window w = window(a, a->b->dim[2], a->b->dim[3]);
	int64_t groups = integer(a, "group", 1), oc = a->b->dim[0],
		dim[4] = {1, oc, w.out[0], w.out[1]};
	struct naive_value *y = out(a, 4, dim);
	int64_t per = a->b->dim[1];

	for (size_t i = 0; i < y->count; i++) {
		int64_t p[4];
		double sum;

		unravel(dim, 4, i, p);
		sum = a->c ? a->c->v[p[1]] : 0;
		for (int64_t c = 0; c < per; c++)
			for (int64_t ky = 0; ky < w.k[0]; ky++)
				for (int64_t kx = 0; kx < w.k[1]; kx++) {
					int64_t q[4] = {0, p[1] / (oc / groups) * per + c,
							p[2] * w.stride[0] + ky * w.dilation[0] -
								w.before[0],
							p[3] * w.stride[1] + kx * w.dilation[1] -
								w.before[1]};
					int64_t k[4] = {p[1], c, ky, kx};

					if (q[2] < 0 || q[3] < 0 || q[2] >= a->x->dim[2] ||
					    q[3] >= a->x->dim[3])
						continue;
					sum += a->x->v[ravel(a->x->dim, 4, q)] *
					       a->b->v[ravel(a->b->dim, 4, k)];
				}
		y->v[i] = sum;
	}
}

static void pool(const struct at *a)
{
	bool global = !strncmp(a->p->op_type, "Global", 6), max = strstr(a->p->op_type, "Max");
	struct window w = window(a, a->x->dim[2], a->x->dim[3]);
	int64_t dim[4] = {1, a->x->dim[1], global ? 1 : w.out[0], global ? 1 : w.out[1]};
	struct naive_value *y = out(a, 4, dim);

	for (size_t i = 0; i < y->count; i++) {
		double best = -INFINITY, sum = 0, taps = 0;
		int64_t p[4];

		unravel(dim, 4, i, p);
		for (int64_t ky = 0; ky < w.k[0]; ky++)
			for (int64_t kx = 0; kx < w.k[1]; kx++) {
				int64_t q[4] = {0, p[1], p[2] * w.stride[0] + ky - w.before[0],
						p[3] * w.stride[1] + kx - w.before[1]};
				double v;

				if (q[2] < 0 || q[3] < 0 || q[2] >= a->x->dim[2] ||
				    q[3] >= a->x->dim[3])
					continue;
				v = a->x->v[ravel(a->x->dim, 4, q)];
				best = fmax(best, v);
				sum += v;
				taps++;
			}
		if (integer(a, "count_include_pad", 0))
			taps = (double)(w.k[0] * w.k[1]);
		y->v[i] = max ? best : sum / taps;
	}
}

/* ---- products and pointwise --------------------------------------------------------------------------- */

static void gemm(const struct at *a)
{
	bool turned = integer(a, "transB", 0);
	int64_t k = a->x->dim[a->x->rank - 1], columns = a->b->dim[turned ? 0 : 1], dim[8];
	struct naive_value *y;

	memcpy(dim, a->x->dim, sizeof(dim));
	dim[a->x->rank - 1] = columns;
	y = out(a, a->x->rank, dim);
	for (size_t i = 0; i < y->count; i++) {
		size_t row = i / (size_t)columns, col = i % (size_t)columns;

		for (int64_t j = 0; j < k; j++)
			y->v[i] += a->x->v[row * (size_t)k + (size_t)j] *
				   a->b->v[turned ? col * (size_t)k + (size_t)j
						  : (size_t)j * (size_t)columns + col];
		y->v[i] *= real(a, "alpha", 1);
		if (a->c)
			y->v[i] += real(a, "beta", 1) * a->c->v[a->c->count == 1 ? 0 : col];
	}
}

static void batchnorm(const struct at *a)
{
	const struct naive_value *mean = get(a->n, a->p->input[3]),
				 *var = get(a->n, a->p->input[4]);
	struct naive_value *y = out_like(a);

	for (size_t i = 0; i < y->count; i++) {
		int64_t p[8];

		unravel(y->dim, y->rank, i, p);
		y->v[i] = (a->x->v[i] - mean->v[p[1]]) /
				  sqrt(var->v[p[1]] + real(a, "epsilon", 1e-5)) * a->b->v[p[1]] +
			  a->c->v[p[1]];
	}
}

/* The element of v that meets place p of an output of that rank. */
static double broadcast(const struct naive_value *v, int rank, const int64_t *p)
{
	int64_t q[8];

	for (int k = 0; k < v->rank; k++)
		q[k] = v->dim[k] == 1 ? 0 : p[k + rank - v->rank];
	return v->v[ravel(v->dim, v->rank, q)];
}

static void binary(const struct at *a)
{
	int rank = a->x->rank > a->b->rank ? a->x->rank : a->b->rank;
	int64_t dim[8], p[8];
	struct naive_value *y;
	char kind = a->p->op_type[0];

	for (int k = 0; k < rank; k++) {
		int kx = k - (rank - a->x->rank), kb = k - (rank - a->b->rank);

		dim[k] = kx >= 0 ? a->x->dim[kx] : 1;
		if (kb >= 0 && a->b->dim[kb] > dim[k])
			dim[k] = a->b->dim[kb];
	}
	y = out(a, rank, dim);
	for (size_t i = 0; i < y->count; i++) {
		double l, r;

		unravel(dim, rank, i, p);
		l = broadcast(a->x, rank, p);
		r = broadcast(a->b, rank, p);
		y->v[i] = kind == 'P'	? (l < 0 ? l * r : l)
			  : kind == 'A' ? l + r
			  : kind == 'S' ? l - r
			  : kind == 'M' ? l * r
					: l / r;
	}
}

static double point(const struct at *a, double x)
{
	const char *t = a->p->op_type;

	if (!strcmp(t, "Relu"))
		return x > 0 ? x : 0;
	if (!strcmp(t, "LeakyRelu"))
		return x > 0 ? x : x * real(a, "alpha", 0.01);
	if (!strcmp(t, "Sigmoid"))
		return 1 / (1 + exp(-x));
	if (!strcmp(t, "Tanh"))
		return tanh(x);
	if (!strcmp(t, "Exp"))
		return exp(x);
	if (!strcmp(t, "Sqrt"))
		return sqrt(x);
	if (!strcmp(t, "Elu"))
		return x > 0 ? x : real(a, "alpha", 1) * (exp(x) - 1);
	if (!strcmp(t, "HardSigmoid"))
		return fmax(0, fmin(1, real(a, "alpha", 0.2) * x + real(a, "beta", 0.5)));
	if (!strcmp(t, "HardSwish"))
		return x * fmax(0, fmin(1, x / 6 + 0.5));
	if (!strcmp(t, "Clip")) {
		double least = a->b ? a->b->v[0] : real(a, "min", -1e30);
		double most = a->c ? a->c->v[0] : real(a, "max", 1e30);

		return x < least ? least : x > most ? most : x;
	}
	return x; /* Identity, Dropout */
}

static void unary(const struct at *a)
{
	struct naive_value *y = out_like(a);

	for (size_t i = 0; i < y->count; i++)
		y->v[i] = point(a, a->x->v[i]);
}

static void softmax(const struct at *a)
{
	bool old = a->n->model->opset_import[0]->version < 13;
	int axis = (int)integer(a, "axis", old ? 1 : -1);
	struct naive_value *y = out_like(a);

	axis += axis < 0 ? y->rank : 0;
	for (size_t i = 0; i < y->count; i++) {
		int64_t p[8], q[8];
		double sum = 0;

		unravel(y->dim, y->rank, i, p);
		for (size_t j = 0; j < y->count; j++) {
			bool same = true;

			unravel(y->dim, y->rank, j, q);
			for (int k = 0; k < y->rank; k++)
				same = same && (k == axis || (old && k > axis) || p[k] == q[k]);
			sum += same ? exp(a->x->v[j]) : 0;
		}
		y->v[i] = exp(a->x->v[i]) / sum;
	}
}

/* ---- shapes ------------------------------------------------------------------------------------------- */

static void concat(const struct at *a)
{
	int axis = (int)integer(a, "axis", 0);
	int64_t dim[8], first = 0;
	struct naive_value *y;

	memcpy(dim, a->x->dim, sizeof(dim));
	axis += axis < 0 ? a->x->rank : 0;
	for (size_t k = 1; k < a->p->n_input; k++)
		dim[axis] += get(a->n, a->p->input[k])->dim[axis];
	y = out(a, a->x->rank, dim);
	for (size_t k = 0; k < a->p->n_input; k++) {
		const struct naive_value *v = get(a->n, a->p->input[k]);

		for (size_t i = 0; i < v->count; i++) {
			int64_t p[8];

			unravel(v->dim, v->rank, i, p);
			p[axis] += first;
			y->v[ravel(dim, y->rank, p)] = v->v[i];
		}
		first += v->dim[axis];
	}
}

static void same_elements(const struct at *a, int rank, const int64_t *dim)
{
	struct naive_value *y = out(a, rank, dim);

	memcpy(y->v, a->x->v, y->count * sizeof(double));
}

static void reshape(const struct at *a)
{
	int64_t dim[8], known = 1;

	for (size_t i = 0; i < a->b->count; i++) {
		dim[i] = (int64_t)a->b->v[i] ? (int64_t)a->b->v[i] : a->x->dim[i];
		known *= dim[i] > 0 ? dim[i] : 1;
	}
	for (size_t i = 0; i < a->b->count; i++)
		if (dim[i] == -1)
			dim[i] = (int64_t)a->x->count / known;
	same_elements(a, (int)a->b->count, dim);
}

static void flatten(const struct at *a)
{
	int64_t axis = integer(a, "axis", 1), dim[2] = {1, 1};

	for (int i = 0; i < a->x->rank; i++)
		dim[i >= axis] *= a->x->dim[i];
	same_elements(a, 2, dim);
}

/* The axes, from the attribute or the second input. */
static bool names_axis(const struct at *a, int64_t axis, int rank)
{
	size_t count = a->b ? a->b->count : attr(a, "axes") ? attr(a, "axes")->n_ints : 0;

	for (size_t i = 0; i < count; i++) {
		int64_t v = a->b ? (int64_t)a->b->v[i] : attr(a, "axes")->ints[i];

		if (v == axis || v + rank == axis)
			return true;
	}
	return false;
}

static void squeeze(const struct at *a)
{
	bool all = !a->b && !attr(a, "axes");
	int64_t dim[8];
	int rank = 0;

	for (int i = 0; i < a->x->rank; i++)
		if (all ? a->x->dim[i] != 1 : !names_axis(a, i, a->x->rank))
			dim[rank++] = a->x->dim[i];
	same_elements(a, rank, dim);
}

static void unsqueeze(const struct at *a)
{
	int rank = a->x->rank + (int)(a->b ? a->b->count : attr(a, "axes")->n_ints), from = 0;
	int64_t dim[8];

	for (int i = 0; i < rank; i++)
		dim[i] = names_axis(a, i, rank) ? 1 : a->x->dim[from++];
	same_elements(a, rank, dim);
}

static void transpose(const struct at *a)
{
	int64_t dim[8], p[8], q[8];
	struct naive_value *y;

	for (int i = 0; i < a->x->rank; i++)
		dim[i] = a->x->dim[element(a, "perm", (size_t)i, a->x->rank - 1 - i)];
	y = out(a, a->x->rank, dim);
	for (size_t i = 0; i < y->count; i++) {
		unravel(dim, y->rank, i, p);
		for (int k = 0; k < y->rank; k++)
			q[element(a, "perm", (size_t)k, y->rank - 1 - k)] = p[k];
		y->v[i] = a->x->v[ravel(a->x->dim, y->rank, q)];
	}
}

/* Bounds come from attributes or inputs 1 to 4; the tests use bounds inside the extents, or huge. */
static double bound(const struct at *a, size_t input, const char *name, size_t i, double otherwise)
{
	if (a->p->n_input > input && a->p->input[input][0])
		return get(a->n, a->p->input[input])->v[i];
	return (double)element(a, name, i, (int64_t)otherwise);
}

static void slice(const struct at *a)
{
	size_t count = a->b ? a->b->count : attr(a, "starts")->n_ints;
	int64_t dim[8], start[8] = {0}, step[8] = {1, 1, 1, 1, 1, 1, 1, 1}, p[8];
	struct naive_value *y;

	memcpy(dim, a->x->dim, sizeof(dim));
	for (size_t i = 0; i < count; i++) {
		int64_t axis = (int64_t)bound(a, 3, "axes", i, (double)i), size = a->x->dim[axis];
		int64_t from = (int64_t)bound(a, 1, "starts", i, 0);
		int64_t to = (int64_t)bound(a, 2, "ends", i, 0);
		int64_t by = a->p->n_input > 4 ? (int64_t)get(a->n, a->p->input[4])->v[i] : 1;

		from += from < 0 ? size : 0;
		to += to < 0 ? size : 0;
		to = to > size ? size : to < -1 ? -1 : to;
		start[axis] = from;
		step[axis] = by;
		dim[axis] = 0;
		for (int64_t at = from; by > 0 ? at < to : at > to; at += by)
			dim[axis]++;
	}
	y = out(a, a->x->rank, dim);
	for (size_t i = 0; i < y->count; i++) {
		unravel(dim, y->rank, i, p);
		for (int k = 0; k < y->rank; k++)
			p[k] = start[k] + p[k] * step[k];
		y->v[i] = a->x->v[ravel(a->x->dim, y->rank, p)];
	}
}

static void split(const struct at *a)
{
	int axis = (int)integer(a, "axis", 0);
	int64_t dim[8], first = 0, p[8];

	memcpy(dim, a->x->dim, sizeof(dim));
	for (size_t k = 0; k < a->p->n_output; k++) {
		struct naive_value *y;

		dim[axis] =
			a->b ? (int64_t)a->b->v[k]
			     : element(a, "split", k, a->x->dim[axis] / (int64_t)a->p->n_output);
		y = put(a->n, a->p->output[k], a->x->rank, dim);
		for (size_t i = 0; i < y->count; i++) {
			unravel(dim, y->rank, i, p);
			p[axis] += first;
			y->v[i] = a->x->v[ravel(a->x->dim, y->rank, p)];
		}
		first += dim[axis];
	}
}

static void pad(const struct at *a)
{
	int64_t dim[8], before[8], p[8];
	int rank = a->x->rank;
	struct naive_value *y;

	for (int i = 0; i < rank; i++) {
		before[i] = (int64_t)bound(a, 1, "pads", (size_t)i, 0);
		dim[i] = a->x->dim[i] + before[i] +
			 (int64_t)bound(a, 1, "pads", (size_t)(i + rank), 0);
	}
	y = out(a, rank, dim);
	for (size_t i = 0; i < y->count; i++)
		y->v[i] = a->c ? a->c->v[0] : real(a, "value", 0);
	for (size_t i = 0; i < a->x->count; i++) {
		unravel(a->x->dim, rank, i, p);
		for (int k = 0; k < rank; k++)
			p[k] += before[k];
		y->v[ravel(dim, rank, p)] = a->x->v[i];
	}
}

static void reducemean(const struct at *a)
{
	int64_t keep = integer(a, "keepdims", 1), dim[4] = {1, a->x->dim[1], 1, 1};
	struct naive_value *y = out(a, keep ? 4 : 2, dim);
	size_t size = a->x->count / y->count;

	for (size_t i = 0; i < a->x->count; i++)
		y->v[i / size] += a->x->v[i] / (double)size;
}

static void shape(const struct at *a)
{
	int64_t rank = a->x->rank;
	struct naive_value *y = out(a, 1, &rank);

	for (int i = 0; i < rank; i++)
		y->v[i] = (double)a->x->dim[i];
}

/* Of one extent only: enough for shapes. */
static void gather(const struct at *a)
{
	struct naive_value *y = out(a, a->b->rank, a->b->dim);

	for (size_t i = 0; i < y->count; i++)
		y->v[i] = a->x->v[(int64_t)a->b->v[i] + (a->b->v[i] < 0 ? a->x->dim[0] : 0)];
}

static void constant(const struct at *a)
{
	put_tensor(a->n, a->p->output[0], attr(a, "value")->t);
}

static const struct {
	const char *type;
	void (*run)(const struct at *a);
} operators[] = {
	{"Conv", conv},
	{"Gemm", gemm},
	{"MatMul", gemm},
	{"BatchNormalization", batchnorm},
	{"Add", binary},
	{"Sub", binary},
	{"Mul", binary},
	{"Div", binary},
	{"PRelu", binary},
	{"MaxPool", pool},
	{"AveragePool", pool},
	{"GlobalMaxPool", pool},
	{"GlobalAveragePool", pool},
	{"Softmax", softmax},
	{"Concat", concat},
	{"Reshape", reshape},
	{"Flatten", flatten},
	{"Squeeze", squeeze},
	{"Unsqueeze", unsqueeze},
	{"Transpose", transpose},
	{"Slice", slice},
	{"Split", split},
	{"Pad", pad},
	{"ReduceMean", reducemean},
	{"Shape", shape},
	{"Gather", gather},
	{"Constant", constant},
};

static void run_node(struct naive *n, const Onnx__NodeProto *p)
{
	struct at a = {.n = n, .p = p};
	struct naive_value **in[] = {&a.x, &a.b, &a.c};

	for (size_t k = 0; k < 3 && k < p->n_input; k++)
		*in[k] = p->input[k][0] ? get(n, p->input[k]) : NULL;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (!strcmp(operators[i].type, p->op_type)) {
			operators[i].run(&a);
			return;
		}
	unary(&a);
}

void naive_run(struct naive *n, const Onnx__ModelProto *model, const float *x)
{
	const Onnx__TensorShapeProto *s = model->graph->input[0]->type->tensor_type->shape;
	struct naive_value *image;
	int64_t dim[4];

	n->model = model;
	n->values = 0;
	for (size_t i = 0; i < 4; i++)
		dim[i] = s->dim[i]->dim_value;
	image = put(n, model->graph->input[0]->name, 4, dim);
	for (size_t i = 0; i < image->count; i++)
		image->v[i] = (double)x[i];
	for (size_t i = 0; i < model->graph->n_initializer; i++)
		put_tensor(n, model->graph->initializer[i]->name, model->graph->initializer[i]);
	for (size_t i = 0; i < model->graph->n_node; i++)
		run_node(n, model->graph->node[i]);
}

const struct naive_value *naive_output(const struct naive *n, size_t index)
{
	return get((struct naive *)n, n->model->graph->output[index]->name);
}

void naive_free(struct naive *n)
{
	for (int i = 0; i < n->values; i++) {
		free(n->value[i].name);
		free(n->value[i].v);
	}
	n->values = 0;
}
