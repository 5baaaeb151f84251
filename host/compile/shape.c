/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes of all tensors, node by node; whatever follows from constants alone is evaluated on the way
 * (chains of Shape, Gather, Unsqueeze, Concat in front of a Reshape). Afterwards no integer tensor
 * is left in the network and no parameter of a node is unknown.
 */
#include "host/compile/execute.h"

#include <errno.h>
#include <string.h>

static struct graph_tensor *in(const struct graph *g, const struct graph_node *n, uint32_t k)
{
	return k < n->inputs && n->input[k] != GRAPH_NONE ? &g->tensor[n->input[k]] : NULL;
}

static int refuse(const struct graph *g, const struct graph_node *n, const char *why)
{
	return pool_error(g->pool, -EINVAL, "the %s node '%s': %s", graph_kind_name(n->kind),
			  n->name, why);
}

static int set(struct graph *g, const struct graph_node *n, uint32_t rank, const int64_t *dim)
{
	g->tensor[n->output[0]].type = in(g, n, 0)->type;
	if (graph_set_shape(g, n->output[0], rank, dim))
		return refuse(g, n, "its output would have an impossible or huge shape");
	return 0;
}

static int infer_same(struct graph *g, struct graph_node *n)
{
	return set(g, n, in(g, n, 0)->rank, in(g, n, 0)->dim);
}

/* An axis counted from the end if negative; false if there is none such. */
static bool resolve_axis(int64_t *axis, uint32_t rank)
{
	if (*axis < 0)
		*axis += rank;
	return *axis >= 0 && *axis < (int64_t)rank;
}

/* ---- windows ----------------------------------------------------------------------------------- */

struct side {
	int64_t size, k, stride, dilation, before, after, out;
};

/* One dimension of a window: output extent, and the pads where they are automatic. */
static bool resolve_side(struct side *s, int automatic, bool ceil)
{
	int64_t reach = (s->k - 1) * s->dilation + 1, room;

	if (automatic == GRAPH_PAD_UPPER || automatic == GRAPH_PAD_LOWER) {
		int64_t out = (s->size + s->stride - 1) / s->stride;
		int64_t pad = (out - 1) * s->stride + reach - s->size;

		pad = pad > 0 ? pad : 0;
		s->before = automatic == GRAPH_PAD_UPPER ? pad / 2 : pad - pad / 2;
		s->after = pad - s->before;
	} else if (automatic == GRAPH_PAD_VALID) {
		s->before = s->after = 0;
	}
	room = s->size + s->before + s->after - reach;
	if (room < 0)
		return false;
	s->out = room / s->stride + 1;
	/* A last, partial window counts if it begins inside the input or the padding before it. */
	if (ceil && room % s->stride && s->out * s->stride < s->size + s->before) {
		s->after += s->stride - room % s->stride;
		s->out++;
	}
	return true;
}

static bool resolve_window(struct graph_window *w, const struct graph_tensor *x, int64_t out[2])
{
	struct side v = {x->dim[2],	w->kh, w->stride_h, w->dilation_h, w->pad_top,
			 w->pad_bottom, 0};
	struct side h = {x->dim[3],    w->kw, w->stride_w, w->dilation_w, w->pad_left,
			 w->pad_right, 0};

	if (!resolve_side(&v, w->automatic, w->ceil) || !resolve_side(&h, w->automatic, w->ceil))
		return false;
	w->pad_top = (uint32_t)v.before;
	w->pad_bottom = (uint32_t)v.after;
	w->pad_left = (uint32_t)h.before;
	w->pad_right = (uint32_t)h.after;
	w->automatic = GRAPH_PAD_STATED;
	w->ceil = false;
	out[0] = v.out;
	out[1] = h.out;
	return true;
}

static int infer_conv(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *w = in(g, n, 1), *b = in(g, n, 2);
	int64_t groups = n->win.groups, dim[4] = {1, w->dim[0]};

	if (x->rank != 4 || w->rank != 4)
		return refuse(g, n, "only two-dimensional convolution is supported");
	if (!w->f || (b && !b->f))
		return refuse(g, n, "its weights are not constant");
	if (w->dim[1] * groups != x->dim[1] || w->dim[0] % groups ||
	    (n->win.kh && n->win.kh != w->dim[2]) || (n->win.kw && n->win.kw != w->dim[3]))
		return refuse(g, n, "weights, groups and input channels do not fit together");
	if (b && (b->rank != 1 || b->dim[0] != w->dim[0]))
		return refuse(g, n, "its bias has not one value an output channel");
	n->win.kh = (uint32_t)w->dim[2];
	n->win.kw = (uint32_t)w->dim[3];
	if (!resolve_window(&n->win, x, dim + 2))
		return refuse(g, n, "its window is larger than its input");
	return set(g, n, 4, dim);
}

static int infer_pool(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0);
	int64_t dim[4] = {1, x->dim[1]};

	if (x->rank != 4)
		return refuse(g, n, "only two-dimensional pooling is supported");
	if (n->win.global) {
		n->win.kh = (uint32_t)x->dim[2];
		n->win.kw = (uint32_t)x->dim[3];
	}
	if (n->win.ceil && n->win.count_padding)
		return refuse(g, n, "ceil_mode together with count_include_pad is not supported");
	if (n->win.pad_top >= n->win.kh || n->win.pad_left >= n->win.kw ||
	    n->win.pad_bottom >= n->win.kh || n->win.pad_right >= n->win.kw)
		return refuse(g, n, "its padding is not smaller than its window");
	if (!resolve_window(&n->win, x, dim + 2))
		return refuse(g, n, "its window is larger than its input");
	return set(g, n, 4, dim);
}

/* ---- products and pointwise -------------------------------------------------------------------- */

/* Weights [k][n] turned to [n][k], alpha and beta taken into weights and bias. */
static int normalise_gemm(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor w = *in(g, n, 1);
	uint32_t rows = (uint32_t)w.dim[n->keep], cols = (uint32_t)w.dim[!n->keep], tensor;
	int64_t dim[2] = {rows, cols};
	float *to;

	if (w.count > GRAPH_ELEMENTS_MAX)
		return refuse(g, n, "its weights are too large");
	to = graph_add_constant(g, (uint32_t)w.count, &tensor);
	if (!to)
		return pool_exhausted(g->pool);
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t c = 0; c < cols; c++)
			to[(size_t)r * cols + c] =
				n->alpha *
				w.f[n->keep ? (size_t)c * rows + r : (size_t)r * cols + c];
	graph_set_shape(g, tensor, 2, dim);
	n->input[1] = tensor;
	n->alpha = 1;
	n->keep = false;
	return 0;
}

/* A bias of any broadcast form becomes [n]. */
static int normalise_bias(struct graph *g, struct graph_node *n, uint32_t count)
{
	const struct graph_tensor *b = in(g, n, 2);
	const float *from = b ? b->f : NULL;
	size_t length = b ? b->count : 0;
	uint32_t tensor;
	float *to;

	if (!b)
		return 0;
	if (!from || (length != 1 && length != count) ||
	    b->dim[b->rank ? b->rank - 1 : 0] != (int64_t)length)
		return refuse(g, n, "its bias is not constant, or has not one value a column");
	to = graph_add_constant(g, count, &tensor);
	if (!to)
		return pool_exhausted(g->pool);
	for (uint32_t i = 0; i < count; i++)
		to[i] = n->beta * from[length == 1 ? 0 : i];
	n->input[2] = tensor;
	n->beta = 1;
	return 0;
}

static int infer_gemm(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *w = in(g, n, 1);
	int64_t dim[GRAPH_RANK];
	uint32_t rank = x->rank;
	int err;

	if (!w->f || w->rank != 2 || rank < 2)
		return refuse(g, n, "only a product with constant weights of rank 2 is supported");
	memcpy(dim, x->dim, sizeof(dim));
	if (x->dim[rank - 1] != w->dim[!n->keep])
		return refuse(g, n, "weights and input do not fit together");
	err = normalise_gemm(g, n);
	if (err)
		return err;
	dim[rank - 1] = in(g, n, 1)->dim[0];
	err = normalise_bias(g, n, (uint32_t)dim[rank - 1]);
	return err ? err : set(g, n, rank, dim);
}

static int infer_batchnorm(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0);

	if (x->rank != 2 && x->rank != 4)
		return refuse(g, n, "only inputs of rank 2 and 4 are supported");
	for (uint32_t k = 1; k < 5; k++)
		if (!in(g, n, k)->f || in(g, n, k)->count != (size_t)x->dim[1])
			return refuse(g, n, "its parameters are not constant, one a channel");
	return infer_same(g, n);
}

static int infer_binary(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *a = in(g, n, 0), *b = in(g, n, 1);
	uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
	int64_t dim[GRAPH_RANK];

	if (a->type != b->type)
		return refuse(g, n, "its inputs are of different types");
	for (uint32_t i = 0; i < rank; i++) {
		int64_t da = i < rank - a->rank ? 1 : a->dim[i - (rank - a->rank)];
		int64_t db = i < rank - b->rank ? 1 : b->dim[i - (rank - b->rank)];

		if (da != db && da != 1 && db != 1)
			return refuse(g, n, "its inputs' shapes do not fit together");
		dim[i] = da > db ? da : db;
	}
	return set(g, n, rank, dim);
}

static int infer_prelu(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *slope = in(g, n, 1);
	uint32_t skip = x->rank - slope->rank;

	if (!slope->f || slope->rank > x->rank)
		return refuse(g, n, "its slopes are not constant");
	for (uint32_t i = 0; i < slope->rank; i++)
		if (slope->dim[i] != 1 && (i + skip != 1 || slope->dim[i] != x->dim[1]))
			return refuse(g, n, "its slopes are not one, or one a channel");
	return infer_same(g, n);
}

static int infer_clip(struct graph *g, struct graph_node *n)
{
	for (uint32_t k = 1; k < 3; k++)
		if (in(g, n, k) && (!in(g, n, k)->f || in(g, n, k)->count != 1))
			return refuse(g, n, "its bounds are not constant");
	return infer_same(g, n);
}

static int infer_axis(struct graph *g, struct graph_node *n)
{
	if (!resolve_axis(&n->axis, in(g, n, 0)->rank))
		return refuse(g, n, "it has no such axis");
	return infer_same(g, n);
}

/* ---- shapes ------------------------------------------------------------------------------------ */

static int infer_concat(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *first = &g->tensor[n->input[0]];
	int64_t dim[GRAPH_RANK];

	memcpy(dim, first->dim, sizeof(dim));
	if (!resolve_axis(&n->axis, first->rank))
		return refuse(g, n, "it has no such axis");
	for (uint32_t k = 1; k < n->inputs; k++) {
		const struct graph_tensor *t = in(g, n, k);

		if (!t || t->rank != first->rank || t->type != first->type)
			return refuse(g, n, "its inputs differ in rank or type");
		for (uint32_t i = 0; i < first->rank; i++)
			if (i != n->axis && t->dim[i] != first->dim[i])
				return refuse(g, n, "its inputs' shapes do not fit together");
		dim[n->axis] += t->dim[n->axis];
	}
	return set(g, n, first->rank, dim);
}

/* From here on it is a plain reshape of one input. */
static int become_reshape(struct graph *g, struct graph_node *n, uint32_t rank, const int64_t *dim)
{
	int err = set(g, n, rank, dim);

	if (err)
		return err;
	if (g->tensor[n->output[0]].count != in(g, n, 0)->count)
		return refuse(g, n, "its output would have another number of elements");
	n->kind = GRAPH_RESHAPE;
	n->inputs = n->outputs = 1;
	return 0;
}

static int infer_reshape(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *shape = in(g, n, 1);
	int64_t dim[GRAPH_RANK], rest = (int64_t)x->count, open = -1;

	if (!shape->i || shape->rank > 1 || shape->count > GRAPH_RANK)
		return refuse(g, n, "its shape is not constant, or of over 6 extents");
	for (uint32_t i = 0; i < shape->count; i++) {
		dim[i] = i < x->rank && shape->i[i] == 0 ? x->dim[i] : shape->i[i];
		if (dim[i] == -1 && open < 0) {
			open = i;
			continue;
		}
		if (dim[i] < 1 || rest % dim[i])
			return refuse(g, n, "its shape does not fit its input");
		rest /= dim[i];
	}
	if (open >= 0)
		dim[open] = rest;
	return become_reshape(g, n, (uint32_t)shape->count, dim);
}

static int infer_flatten(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0);
	int64_t dim[2] = {1, 1};

	if (n->axis < 0)
		n->axis += x->rank;
	if (n->axis < 0 || n->axis > (int64_t)x->rank)
		return refuse(g, n, "it has no such axis");
	for (uint32_t i = 0; i < x->rank; i++)
		dim[i >= n->axis] *= x->dim[i];
	return become_reshape(g, n, 2, dim);
}

/* Which axes of a tensor of that rank a list names; all bits of it, or false. */
static bool read_axes(const struct graph_tensor *list, uint32_t rank, uint32_t *mask)
{
	*mask = 0;
	if (!list->i)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		int64_t axis = list->i[i];

		if (!resolve_axis(&axis, rank) || *mask >> axis & 1)
			return false;
		*mask |= 1u << axis;
	}
	return true;
}

static int infer_squeeze(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *axes = in(g, n, 1);
	int64_t dim[GRAPH_RANK];
	uint32_t rank = 0, mask = 0;

	if (axes && !read_axes(axes, x->rank, &mask))
		return refuse(g, n, "its axes are not constant, or there is none such");
	for (uint32_t i = 0; i < x->rank; i++)
		if (axes ? !(mask >> i & 1) : x->dim[i] != 1)
			dim[rank++] = x->dim[i];
	return become_reshape(g, n, rank, dim);
}

static int infer_unsqueeze(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *axes = in(g, n, 1);
	int64_t dim[GRAPH_RANK];
	uint32_t rank, mask, from = 0;

	if (!axes || axes->count > GRAPH_RANK || x->rank + axes->count > GRAPH_RANK)
		return refuse(g, n, "it has no axes, or its output too many");
	rank = x->rank + (uint32_t)axes->count;
	if (!read_axes(axes, rank, &mask))
		return refuse(g, n, "its axes are not constant, or there is none such");
	for (uint32_t i = 0; i < rank; i++)
		dim[i] = mask >> i & 1 ? 1 : x->dim[from++];
	return become_reshape(g, n, rank, dim);
}

static int infer_identity(struct graph *g, struct graph_node *n)
{
	return become_reshape(g, n, in(g, n, 0)->rank, in(g, n, 0)->dim);
}

static int infer_transpose(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0);
	int64_t dim[GRAPH_RANK];
	uint32_t seen = 0;

	if (!n->perms)
		for (uint32_t i = 0; i < x->rank; i++)
			n->perm[n->perms++] = x->rank - 1 - i;
	if (n->perms != x->rank)
		return refuse(g, n, "its permutation has not as many places as its input extents");
	for (uint32_t i = 0; i < x->rank; i++) {
		if (n->perm[i] < 0 || n->perm[i] >= x->rank || seen >> n->perm[i] & 1)
			return refuse(g, n, "its permutation is none");
		seen |= 1u << n->perm[i];
		dim[i] = x->dim[n->perm[i]];
	}
	return set(g, n, x->rank, dim);
}

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
	return v < least ? least : v > most ? most : v;
}

/* One axis of a slice: [start, end) by step, ONNX's way of clamping. */
static int64_t slice_axis(struct graph_node *n, uint32_t axis, int64_t size, int64_t start,
			  int64_t end, int64_t step)
{
	start = clamp(start, -size - 1, size + 1);
	end = clamp(end, -size - 1, size + 1);
	start += start < 0 ? size : 0;
	end += end < 0 ? size : 0;
	if (step > 0) {
		start = clamp(start, 0, size);
		end = clamp(end, 0, size);
	} else {
		start = clamp(start, 0, size - 1);
		end = clamp(end, -1, size - 1);
	}
	n->start[axis] = start;
	n->step[axis] = step;
	return step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
}

static int infer_slice(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *starts = in(g, n, 1), *ends = in(g, n, 2);
	const struct graph_tensor *axes = in(g, n, 3), *steps = in(g, n, 4);
	int64_t dim[GRAPH_RANK];

	memcpy(dim, x->dim, sizeof(dim));
	for (uint32_t i = 0; i < GRAPH_RANK; i++) {
		n->start[i] = 0;
		n->step[i] = 1;
	}
	if (!starts || !ends || !starts->i || !ends->i || starts->count != ends->count ||
	    (axes && (!axes->i || axes->count != starts->count)) ||
	    (steps && (!steps->i || steps->count != starts->count)) || starts->count > x->rank)
		return refuse(g, n, "its bounds are not constant, or not as many as its axes");
	for (uint32_t i = 0; i < starts->count; i++) {
		int64_t axis = axes ? axes->i[i] : i, step = steps ? steps->i[i] : 1;

		if (!resolve_axis(&axis, x->rank) || !step || step > 65536 || step < -65536)
			return refuse(g, n, "it has no such axis, or an impossible step");
		dim[axis] =
			slice_axis(n, (uint32_t)axis, x->dim[axis], starts->i[i], ends->i[i], step);
	}
	return set(g, n, x->rank, dim);
}

static int infer_split(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *sizes = in(g, n, 1);
	int64_t dim[GRAPH_RANK], left, each;

	if (!resolve_axis(&n->axis, x->rank))
		return refuse(g, n, "it has no such axis");
	if (sizes && (!sizes->i || sizes->count != n->outputs))
		return refuse(g, n, "its sizes are not constant, or not as many as its outputs");
	left = x->dim[n->axis];
	each = (left + n->outputs - 1) / n->outputs;
	memcpy(dim, x->dim, sizeof(dim));
	for (uint32_t k = 0; k < n->outputs; k++) {
		dim[n->axis] = sizes ? sizes->i[k] : each < left ? each : left;
		left -= dim[n->axis] > 0 && dim[n->axis] <= left ? dim[n->axis] : left + 1;
		g->tensor[n->output[k]].type = x->type;
		if (left < 0 || graph_set_shape(g, n->output[k], x->rank, dim))
			return refuse(g, n, "its sizes do not add up to its input");
	}
	if (left)
		return refuse(g, n, "its sizes do not add up to its input");
	n->inputs = 1;
	return 0;
}

static int infer_pad(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *pads = in(g, n, 1), *value = in(g, n, 2);
	int64_t dim[GRAPH_RANK];

	if (!pads || !pads->i || pads->count != 2 * x->rank ||
	    (value && (!value->f || value->count != 1)))
		return refuse(g, n, "its pads are not constant, or not two an extent");
	for (uint32_t i = 0; i < x->rank; i++) {
		n->start[i] = pads->i[i];
		n->step[i] = pads->i[i + x->rank];
		if (n->start[i] < 0 || n->step[i] < 0 || n->start[i] > 65536 || n->step[i] > 65536)
			return refuse(g, n, "negative or huge pads are not supported");
		dim[i] = x->dim[i] + n->start[i] + n->step[i];
	}
	n->alpha = value ? value->f[0] : 0;
	n->inputs = 1;
	return set(g, n, x->rank, dim);
}

/* The mean over height and width is an average pool over all of them. */
static int infer_reducemean(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *axes = in(g, n, 1);
	int64_t dim[4] = {1, x->dim[1], 1, 1};
	uint32_t mask;

	if (x->rank != 4 || !axes || !read_axes(axes, x->rank, &mask) || mask != 0xc)
		return refuse(g, n, "only the mean over height and width is supported");
	n->kind = GRAPH_AVGPOOL;
	n->win = (struct graph_window){.kh = (uint32_t)x->dim[2],
				       .kw = (uint32_t)x->dim[3],
				       .stride_h = 1,
				       .stride_w = 1,
				       .dilation_h = 1,
				       .dilation_w = 1,
				       .groups = 1,
				       .global = true};
	n->inputs = 1;
	return set(g, n, n->keep ? 4 : 2, dim);
}

static int infer_shape_of(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor x = *in(g, n, 0);
	struct graph_tensor *t = &g->tensor[n->output[0]];
	int64_t rank = x.rank;

	if (!rank || graph_set_shape(g, n->output[0], 1, &rank))
		return refuse(g, n, "its input is a scalar");
	t->type = GRAPH_I64;
	t->i = pool_alloc(g->pool, x.rank, sizeof(*t->i));
	if (!t->i)
		return pool_exhausted(g->pool);
	memcpy(t->i, x.dim, x.rank * sizeof(*t->i));
	n->dead = true;
	return 0;
}

static int infer_gather(struct graph *g, struct graph_node *n)
{
	const struct graph_tensor *x = in(g, n, 0), *index = in(g, n, 1);
	int64_t dim[GRAPH_RANK];
	uint32_t rank = 0;

	if (!resolve_axis(&n->axis, x->rank) || !index->i || index->rank > 1 ||
	    x->rank - 1 + index->rank > GRAPH_RANK)
		return refuse(g, n, "it has no such axis, or its index is not a constant list");
	for (size_t i = 0; i < index->count; i++)
		if (index->i[i] < -x->dim[n->axis] || index->i[i] >= x->dim[n->axis])
			return refuse(g, n, "its index is outside its input");
	for (uint32_t i = 0; i < x->rank; i++) {
		if (i != n->axis)
			dim[rank++] = x->dim[i];
		else if (index->rank)
			dim[rank++] = index->dim[0];
	}
	return set(g, n, rank, dim);
}

static int infer_cast(struct graph *g, struct graph_node *n)
{
	int err = infer_same(g, n);

	g->tensor[n->output[0]].type = n->to_integer ? GRAPH_I64 : GRAPH_F32;
	return err;
}

static int (*const infer[GRAPH_KINDS])(struct graph *g, struct graph_node *n) = {
	[GRAPH_CONV] = infer_conv,
	[GRAPH_GEMM] = infer_gemm,
	[GRAPH_BATCHNORM] = infer_batchnorm,
	[GRAPH_ADD] = infer_binary,
	[GRAPH_SUB] = infer_binary,
	[GRAPH_MUL] = infer_binary,
	[GRAPH_DIV] = infer_binary,
	[GRAPH_MAXPOOL] = infer_pool,
	[GRAPH_AVGPOOL] = infer_pool,
	[GRAPH_RELU] = infer_same,
	[GRAPH_LEAKY] = infer_same,
	[GRAPH_PRELU] = infer_prelu,
	[GRAPH_CLIP] = infer_clip,
	[GRAPH_SIGMOID] = infer_same,
	[GRAPH_TANH] = infer_same,
	[GRAPH_EXP] = infer_same,
	[GRAPH_SQRT] = infer_same,
	[GRAPH_HARDSIGMOID] = infer_same,
	[GRAPH_HARDSWISH] = infer_same,
	[GRAPH_ELU] = infer_same,
	[GRAPH_SOFTMAX] = infer_axis,
	[GRAPH_CONCAT] = infer_concat,
	[GRAPH_RESHAPE] = infer_reshape,
	[GRAPH_FLATTEN] = infer_flatten,
	[GRAPH_SQUEEZE] = infer_squeeze,
	[GRAPH_UNSQUEEZE] = infer_unsqueeze,
	[GRAPH_IDENTITY] = infer_identity,
	[GRAPH_TRANSPOSE] = infer_transpose,
	[GRAPH_SLICE] = infer_slice,
	[GRAPH_SPLIT] = infer_split,
	[GRAPH_PAD] = infer_pad,
	[GRAPH_REDUCEMEAN] = infer_reducemean,
	[GRAPH_SHAPE] = infer_shape_of,
	[GRAPH_GATHER] = infer_gather,
	[GRAPH_CAST] = infer_cast,
};

/* ---- constants ----------------------------------------------------------------------------------- */

static bool all_constant(const struct graph *g, const struct graph_node *n)
{
	for (uint32_t k = 0; k < n->inputs; k++)
		if (n->input[k] != GRAPH_NONE && !graph_is_constant(g, n->input[k]))
			return false;
	return n->inputs > 0;
}

static void *values_of(const struct graph_tensor *t)
{
	return t->f ? (void *)t->f : (void *)t->i;
}

static int evaluate(struct graph *g, struct graph_node *n)
{
	const void **from = pool_alloc(g->pool, n->inputs, sizeof(*from));
	void **to = pool_alloc(g->pool, n->outputs, sizeof(*to));

	if (!from || !to)
		return pool_exhausted(g->pool);
	for (uint32_t k = 0; k < n->inputs; k++)
		from[k] = n->input[k] == GRAPH_NONE ? NULL : values_of(&g->tensor[n->input[k]]);
	for (uint32_t k = 0; k < n->outputs; k++) {
		struct graph_tensor *t = &g->tensor[n->output[k]];

		to[k] = pool_alloc(g->pool, t->count, 8);
		if (!to[k])
			return pool_exhausted(g->pool);
		if (t->type == GRAPH_I64)
			t->i = to[k];
		else
			t->f = to[k];
	}
	n->dead = true;
	if (execute_node(g, n, from, to))
		return refuse(g, n, "it cannot be evaluated on these constants");
	return 0;
}

static int infer_node(struct graph *g, struct graph_node *n)
{
	int err;

	for (uint32_t k = 0; k < n->inputs; k++)
		if (n->input[k] != GRAPH_NONE && !g->tensor[n->input[k]].count)
			return refuse(g, n,
				      "it uses an output that the node before it does not make");
	err = infer[n->kind](g, n);
	if (err || n->dead)
		return err;
	if (all_constant(g, n))
		return evaluate(g, n);
	for (uint32_t k = 0; k < n->outputs; k++)
		if (g->tensor[n->output[k]].type == GRAPH_I64)
			return refuse(g, n, "integers that depend on the image are not supported");
	return n->kind == GRAPH_GATHER || n->kind == GRAPH_CAST
		       ? refuse(g, n, "it is supported on constants only")
		       : 0;
}

int shape_infer(struct graph *g)
{
	for (uint32_t i = 0; i < g->nodes; i++) {
		int err = g->node[i].dead ? 0 : infer_node(g, &g->node[i]);

		if (err)
			return err;
	}
	for (uint32_t k = 0; k < g->outputs; k++)
		if (!g->tensor[g->output[k]].count || graph_is_constant(g, g->output[k]))
			return pool_error(g->pool, -EINVAL,
					  "the output '%s' does not depend on the image",
					  g->tensor[g->output[k]].name);
	return graph_sweep(g);
}
