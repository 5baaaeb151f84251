/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX's operators, and their attributes of all operator sets, into one spelling of our own. */
#include "host/compile/onnx.h"

#include <errno.h>
#include <string.h>

#define INTS_MAX 64u

/* ---- attributes -------------------------------------------------------------------------------- */

static const Onnx__AttributeProto *find(const Onnx__NodeProto *proto, const char *name)
{
	for (size_t i = 0; i < proto->n_attribute; i++)
		if (proto->attribute[i]->name && !strcmp(proto->attribute[i]->name, name))
			return proto->attribute[i];
	return NULL;
}

static int64_t get_int(const Onnx__NodeProto *proto, const char *name, int64_t otherwise)
{
	const Onnx__AttributeProto *a = find(proto, name);

	return a && a->has_i ? a->i : otherwise;
}

static float get_float(const Onnx__NodeProto *proto, const char *name, float otherwise)
{
	const Onnx__AttributeProto *a = find(proto, name);

	return a && a->has_f && a->f - a->f == 0 ? a->f : otherwise;
}

static bool get_is(const Onnx__NodeProto *proto, const char *name, const char *value)
{
	const Onnx__AttributeProto *a = find(proto, name);

	return a && a->has_s && a->s.len == strlen(value) && !memcmp(a->s.data, value, a->s.len);
}

static int refuse(struct graph *g, const struct graph_node *n, const char *why)
{
	return pool_error(g->pool, -EINVAL, "the %s node '%s': %s", graph_kind_name(n->kind),
			  n->name, why);
}

/* Values of a list within [least, most], `otherwise` where it is absent; false if it is not so. */
static bool get_extents(const Onnx__NodeProto *proto, const char *name, uint32_t count,
			int64_t least, int64_t most, uint32_t otherwise, uint32_t *to)
{
	const Onnx__AttributeProto *a = find(proto, name);

	if (a && a->n_ints && a->n_ints != count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		int64_t value = a && a->n_ints ? a->ints[i] : otherwise;

		if (value < least || value > most)
			return false;
		to[i] = (uint32_t)value;
	}
	return true;
}

/* Adds a constant input at place `at` from a list of integers; leaves it absent without the list. */
static int ints_input(struct graph *g, const Onnx__NodeProto *proto, const char *name, uint32_t at,
		      struct graph_node *n)
{
	const Onnx__AttributeProto *a = find(proto, name);
	int64_t count = a ? (int64_t)a->n_ints : 0;
	uint32_t tensor;

	if (!count)
		return 0;
	if (count > INTS_MAX || n->inputs > at)
		return refuse(g, n, "a list of integers that it should not have, or too long");
	tensor = graph_add_tensor(g, name);
	if (tensor == GRAPH_NONE || graph_set_shape(g, tensor, 1, &count))
		return pool_exhausted(g->pool);
	g->tensor[tensor].type = GRAPH_I64;
	g->tensor[tensor].i = pool_alloc(g->pool, (size_t)count, sizeof(int64_t));
	if (!g->tensor[tensor].i)
		return pool_exhausted(g->pool);
	memcpy(g->tensor[tensor].i, a->ints, (size_t)count * sizeof(int64_t));
	while (n->inputs < at)
		n->input[n->inputs++] = GRAPH_NONE;
	n->input[n->inputs++] = tensor;
	return 0;
}

static int float_input(struct graph *g, float value, uint32_t at, struct graph_node *n)
{
	uint32_t tensor;
	float *to = graph_add_constant(g, 1, &tensor);

	if (!to)
		return pool_exhausted(g->pool);
	*to = value;
	while (n->inputs < at)
		n->input[n->inputs++] = GRAPH_NONE;
	n->input[n->inputs++] = tensor;
	return 0;
}

/* ---- operators --------------------------------------------------------------------------------- */

struct source {
	struct graph *g;
	const Onnx__NodeProto *proto;
	int64_t opset;
};

static int read_window(const struct source *s, struct graph_node *n)
{
	static const char *const automatic[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
	struct graph_window *w = &n->win;
	uint32_t kernel[2], stride[2], dilation[2], pad[4];

	if (!get_extents(s->proto, "kernel_shape", 2, 0, 4096, 0, kernel) ||
	    !get_extents(s->proto, "strides", 2, 1, 4096, 1, stride) ||
	    !get_extents(s->proto, "dilations", 2, 1, 4096, 1, dilation) ||
	    !get_extents(s->proto, "pads", 4, 0, 4096, 0, pad))
		return refuse(
			s->g, n,
			"its window must have two dimensions, with extents, strides, dilations and "
			"pads of 0 to 4096");
	*w = (struct graph_window){.kh = kernel[0],
				   .kw = kernel[1],
				   .stride_h = stride[0],
				   .stride_w = stride[1],
				   .dilation_h = dilation[0],
				   .dilation_w = dilation[1],
				   .pad_top = pad[0],
				   .pad_left = pad[1],
				   .pad_bottom = pad[2],
				   .pad_right = pad[3],
				   .groups = 1};
	for (uint32_t i = 0; i < 4; i++)
		if (get_is(s->proto, "auto_pad", automatic[i]))
			w->automatic = i;
	w->ceil = get_int(s->proto, "ceil_mode", 0) != 0;
	w->count_padding = get_int(s->proto, "count_include_pad", 0) != 0;
	return 0;
}

static int read_conv(const struct source *s, struct graph_node *n)
{
	int64_t groups = get_int(s->proto, "group", 1);
	int err = read_window(s, n);

	if (err)
		return err;
	if (groups < 1 || groups > 65536)
		return refuse(s->g, n, "an impossible number of groups");
	n->win.groups = (uint32_t)groups;
	return 0;
}

static int read_pool(const struct source *s, struct graph_node *n)
{
	int err = read_window(s, n);

	if (err)
		return err;
	if (!n->win.kh || !n->win.kw)
		return refuse(s->g, n, "it has no window");
	if (n->win.dilation_h != 1 || n->win.dilation_w != 1 || n->outputs != 1 ||
	    get_int(s->proto, "storage_order", 0))
		return refuse(s->g, n, "dilated pooling and indices are not supported");
	return 0;
}

static int read_global(const struct source *s, struct graph_node *n)
{
	(void)s;
	n->win = (struct graph_window){.stride_h = 1,
				       .stride_w = 1,
				       .dilation_h = 1,
				       .dilation_w = 1,
				       .groups = 1,
				       .global = true};
	return 0;
}

/* keep: W comes as [k][n] and shape inference turns it; alpha and beta scale W and the bias. */
static int read_gemm(const struct source *s, struct graph_node *n)
{
	n->alpha = get_float(s->proto, "alpha", 1);
	n->beta = get_float(s->proto, "beta", 1);
	n->keep = !get_int(s->proto, "transB", 0);
	if (get_int(s->proto, "transA", 0))
		return refuse(s->g, n, "transA is not supported");
	return 0;
}

static int read_matmul(const struct source *s, struct graph_node *n)
{
	(void)s;
	n->alpha = n->beta = 1;
	n->keep = true;
	return 0;
}

static int read_batchnorm(const struct source *s, struct graph_node *n)
{
	n->alpha = get_float(s->proto, "epsilon", 1e-5f);
	if (n->outputs != 1 || get_int(s->proto, "training_mode", 0) ||
	    !get_int(s->proto, "spatial", 1))
		return refuse(s->g, n,
			      "only its form for inference, one scale a channel, is supported");
	return 0;
}

static int read_leaky(const struct source *s, struct graph_node *n)
{
	n->alpha = get_float(s->proto, "alpha", 0.01f);
	return 0;
}

static int read_elu(const struct source *s, struct graph_node *n)
{
	n->alpha = get_float(s->proto, "alpha", 1);
	return 0;
}

static int read_hardsigmoid(const struct source *s, struct graph_node *n)
{
	n->alpha = get_float(s->proto, "alpha", 0.2f);
	n->beta = get_float(s->proto, "beta", 0.5f);
	return 0;
}

/* Before operator set 11 the bounds are attributes. */
static int read_clip(const struct source *s, struct graph_node *n)
{
	int err = 0;

	if (find(s->proto, "min"))
		err = float_input(s->g, get_float(s->proto, "min", -3e38f), 1, n);
	if (!err && find(s->proto, "max"))
		err = float_input(s->g, get_float(s->proto, "max", 3e38f), 2, n);
	return err;
}

static int read_axis(const struct source *s, struct graph_node *n)
{
	n->axis = get_int(s->proto, "axis", n->kind == GRAPH_FLATTEN ? 1 : 0);
	return 0;
}

static int read_softmax(const struct source *s, struct graph_node *n)
{
	n->flatten = s->opset < 13;
	n->axis = get_int(s->proto, "axis", n->flatten ? 1 : -1);
	return 0;
}

static int read_reshape(const struct source *s, struct graph_node *n)
{
	if (get_int(s->proto, "allowzero", 0))
		return refuse(s->g, n, "allowzero is not supported");
	return 0;
}

static int read_axes(const struct source *s, struct graph_node *n)
{
	n->keep = get_int(s->proto, "keepdims", 1) != 0;
	if (get_int(s->proto, "noop_with_empty_axes", 0))
		return refuse(s->g, n, "noop_with_empty_axes is not supported");
	return ints_input(s->g, s->proto, "axes", 1, n);
}

static int read_transpose(const struct source *s, struct graph_node *n)
{
	const Onnx__AttributeProto *a = find(s->proto, "perm");

	n->perms = a ? (uint32_t)(a->n_ints > GRAPH_RANK ? GRAPH_RANK + 1 : a->n_ints) : 0;
	if (n->perms > GRAPH_RANK)
		return refuse(s->g, n, "perm is too long");
	for (uint32_t i = 0; i < n->perms; i++)
		n->perm[i] = a->ints[i];
	return 0;
}

static int read_slice(const struct source *s, struct graph_node *n)
{
	int err = ints_input(s->g, s->proto, "starts", 1, n);

	if (!err)
		err = ints_input(s->g, s->proto, "ends", 2, n);
	if (!err)
		err = ints_input(s->g, s->proto, "axes", 3, n);
	return err;
}

static int read_split(const struct source *s, struct graph_node *n)
{
	n->axis = get_int(s->proto, "axis", 0);
	return ints_input(s->g, s->proto, "split", 1, n);
}

static int read_pad(const struct source *s, struct graph_node *n)
{
	int err;

	if (find(s->proto, "mode") && !get_is(s->proto, "mode", "constant"))
		return refuse(s->g, n, "only constant padding is supported");
	if (n->inputs > 3)
		return refuse(s->g, n, "axes are not supported");
	err = ints_input(s->g, s->proto, "pads", 1, n);
	if (!err && find(s->proto, "value"))
		err = float_input(s->g, get_float(s->proto, "value", 0), 2, n);
	return err;
}

static int read_shape(const struct source *s, struct graph_node *n)
{
	if (find(s->proto, "start") || find(s->proto, "end"))
		return refuse(s->g, n, "start and end are not supported");
	return 0;
}

static int read_cast(const struct source *s, struct graph_node *n)
{
	int64_t to = get_int(s->proto, "to", 0);

	n->to_integer = to == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ||
			to == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
	if (!n->to_integer && to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
		return refuse(s->g, n, "only casts to float, int32 and int64 are supported");
	return 0;
}

/* The value itself becomes the node's output; the node is an identity without input, swept later. */
static int read_constant(const struct source *s, struct graph_node *n)
{
	const Onnx__AttributeProto *a = find(s->proto, "value");
	const Onnx__AttributeProto *one = find(s->proto, "value_float");
	struct graph_tensor *t = &s->g->tensor[n->output[0]];

	n->dead = true;
	if (a && a->t)
		return onnx_tensor_read(s->g, a->t, n->output[0]);
	if (one && one->has_f && one->f - one->f == 0) {
		t->f = pool_alloc(s->g->pool, 1, sizeof(float));
		if (!t->f)
			return pool_exhausted(s->g->pool);
		t->f[0] = one->f;
		return graph_set_shape(s->g, n->output[0], 0, NULL);
	}
	return refuse(s->g, n, "its value is neither a tensor nor a float");
}

struct operator
{
	const char *name;
	enum graph_kind kind;
	uint8_t inputs_min, inputs_max;
	int (*read)(const struct source *s, struct graph_node *n);
};

static const struct operator operators[] = {
	{"Conv", GRAPH_CONV, 2, 3, read_conv},
	{"Gemm", GRAPH_GEMM, 2, 3, read_gemm},
	{"MatMul", GRAPH_GEMM, 2, 2, read_matmul},
	{"BatchNormalization", GRAPH_BATCHNORM, 5, 5, read_batchnorm},
	{"Add", GRAPH_ADD, 2, 2, NULL},
	{"Sub", GRAPH_SUB, 2, 2, NULL},
	{"Mul", GRAPH_MUL, 2, 2, NULL},
	{"Div", GRAPH_DIV, 2, 2, NULL},
	{"MaxPool", GRAPH_MAXPOOL, 1, 1, read_pool},
	{"AveragePool", GRAPH_AVGPOOL, 1, 1, read_pool},
	{"GlobalAveragePool", GRAPH_AVGPOOL, 1, 1, read_global},
	{"GlobalMaxPool", GRAPH_MAXPOOL, 1, 1, read_global},
	{"Relu", GRAPH_RELU, 1, 1, NULL},
	{"LeakyRelu", GRAPH_LEAKY, 1, 1, read_leaky},
	{"PRelu", GRAPH_PRELU, 2, 2, NULL},
	{"Clip", GRAPH_CLIP, 1, 3, read_clip},
	{"Sigmoid", GRAPH_SIGMOID, 1, 1, NULL},
	{"Tanh", GRAPH_TANH, 1, 1, NULL},
	{"Exp", GRAPH_EXP, 1, 1, NULL},
	{"Sqrt", GRAPH_SQRT, 1, 1, NULL},
	{"HardSigmoid", GRAPH_HARDSIGMOID, 1, 1, read_hardsigmoid},
	{"HardSwish", GRAPH_HARDSWISH, 1, 1, NULL},
	{"Elu", GRAPH_ELU, 1, 1, read_elu},
	{"Softmax", GRAPH_SOFTMAX, 1, 1, read_softmax},
	{"Concat", GRAPH_CONCAT, 1, 255, read_axis},
	{"Reshape", GRAPH_RESHAPE, 2, 2, read_reshape},
	{"Flatten", GRAPH_FLATTEN, 1, 1, read_axis},
	{"Squeeze", GRAPH_SQUEEZE, 1, 2, read_axes},
	{"Unsqueeze", GRAPH_UNSQUEEZE, 1, 2, read_axes},
	{"Identity", GRAPH_IDENTITY, 1, 1, NULL},
	{"Dropout", GRAPH_IDENTITY, 1, 3, NULL},
	{"Transpose", GRAPH_TRANSPOSE, 1, 1, read_transpose},
	{"Slice", GRAPH_SLICE, 1, 5, read_slice},
	{"Split", GRAPH_SPLIT, 1, 2, read_split},
	{"Pad", GRAPH_PAD, 1, 3, read_pad},
	{"ReduceMean", GRAPH_REDUCEMEAN, 1, 2, read_axes},
	{"Shape", GRAPH_SHAPE, 1, 1, read_shape},
	{"Gather", GRAPH_GATHER, 2, 2, read_axis},
	{"Cast", GRAPH_CAST, 1, 1, read_cast},
	{"Constant", GRAPH_IDENTITY, 0, 0, read_constant},
};

static const struct operator* find_operator(const Onnx__NodeProto *proto)
{
	const char *domain = proto->domain ? proto->domain : "";

	if (!proto->op_type || (domain[0] && strcmp(domain, "ai.onnx")))
		return NULL;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (!strcmp(operators[i].name, proto->op_type))
			return &operators[i];
	return NULL;
}

bool onnx_node_known(const Onnx__NodeProto *proto)
{
	return find_operator(proto) != NULL;
}

int onnx_node_read(struct graph *g, const Onnx__NodeProto *proto, int64_t opset,
		   struct graph_node *n)
{
	const struct operator* op = find_operator(proto);
	struct source source = {.g = g, .proto = proto, .opset = opset};

	n->kind = op->kind;
	if (n->inputs < op->inputs_min || n->inputs > op->inputs_max || n->outputs > 255)
		return refuse(g, n, "it has too few or too many inputs or outputs");
	for (uint32_t i = 0; i < op->inputs_min; i++)
		if (n->input[i] == GRAPH_NONE)
			return refuse(g, n, "an input that it must have is left out");
	return op->read ? op->read(&source, n) : 0;
}
