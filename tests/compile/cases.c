/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/compile/cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- images ------------------------------------------------------------------------------------------- */

static int64_t extent(const struct net *net, size_t axis)
{
	return net->model->graph->input[0]->type->tensor_type->shape->dim[axis]->dim_value;
}

size_t net_pixel_count(const struct net *net)
{
	return (size_t)(extent(net, 1) * extent(net, 2) * extent(net, 3));
}

void net_pixels(const struct net *net, uint64_t seed, uint8_t *pixels)
{
	uint64_t state = seed * 7919 + 12345;
	double wave[4];

	for (int i = 0; i < 4; i++)
		wave[i] = net_random(&state, 0.1, 1.3);
	for (int64_t y = 0; y < extent(net, 2); y++)
		for (int64_t x = 0; x < extent(net, 3); x++)
			for (int64_t c = 0; c < extent(net, 1); c++)
				*pixels++ =
					(uint8_t)(127.5 +
						  70 * sin(wave[c % 3] * (double)(x + c) +
							   wave[3] * (double)y * (double)(c + 1)) +
						  net_random(&state, -57, 57));
}

void net_floats(const struct net *net, const uint8_t *pixels, float *x)
{
	size_t channels = (size_t)extent(net, 1), size = net_pixel_count(net) / channels;

	for (size_t i = 0; i < size; i++)
		for (size_t c = 0; c < channels; c++)
			x[c * size + i] = ((float)pixels[i * channels + c] - 127) / 128;
}

/* ---- pieces ------------------------------------------------------------------------------------------- */

/* A convolution with weights and bias of its own; its window is for the caller to set. */
static Onnx__NodeProto *conv(struct net *net, const char *x, const char *y, int from, int to, int k)
{
	char w[32], b[32], inputs[128];
	double size = 1.7 / sqrt(from * k * k);

	sprintf(w, "%s_w", y);
	sprintf(b, "%s_b", y);
	sprintf(inputs, "%s %s %s", x, w, b);
	net_weights(net, w, -size, size, to, from, k, k, 0);
	net_weights(net, b, -0.3, 0.3, to, 0);
	return net_node(net, "Conv", inputs, y);
}

static Onnx__NodeProto *conv_same(struct net *net, const char *x, const char *y, int from, int to)
{
	Onnx__NodeProto *n = conv(net, x, y, from, to, 3);

	node_ints(n, "pads", 4, 1, 1, 1, 1);
	return n;
}

static void batchnorm(struct net *net, const char *x, const char *y, int c)
{
	char inputs[128];

	sprintf(inputs, "%s %s_s %s_h %s_m %s_v", x, y, y, y, y);
	net_node(net, "BatchNormalization", inputs, y);
	sprintf(inputs, "%s_s", y);
	net_weights(net, inputs, 0.5, 1.5, c, 0);
	sprintf(inputs, "%s_h", y);
	net_weights(net, inputs, -0.3, 0.3, c, 0);
	sprintf(inputs, "%s_m", y);
	net_weights(net, inputs, -0.3, 0.3, c, 0);
	sprintf(inputs, "%s_v", y);
	net_weights(net, inputs, 0.2, 1.5, c, 0);
}

static struct net done(struct net net, const char *output)
{
	net_output(&net, output);
	return net;
}

/* ---- convolutions ------------------------------------------------------------------------------------- */

static struct net conv_relu(void)
{
	struct net net = net_create(9, 3, 11, 9);
	Onnx__NodeProto *n = conv(&net, "x", "c", 3, 6, 3);

	node_ints(n, "pads", 4, 1, 1, 1, 1);
	node_ints(n, "strides", 2, 2, 2);
	node_ints(n, "kernel_shape", 2, 3, 3);
	net_node(&net, "Relu", "c", "r");
	conv(&net, "r", "y", 6, 4, 1);
	return done(net, "y");
}

static struct net conv_groups_prelu(void)
{
	struct net net = net_create(11, 4, 10, 12);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 4, 6);
	net_weights(&net, "slope", -0.2, 0.5, 6, 1, 1, 0);
	net_node(&net, "PRelu", "a slope", "p");
	net_weights(&net, "w", -0.4, 0.4, 8, 3, 3, 2, 0);
	n = net_node(&net, "Conv", "p w", "g");
	node_int(n, "group", 2);
	node_ints(n, "pads", 4, 2, 0, 1, 3);
	node_ints(n, "dilations", 2, 2, 3);
	net_weights(&net, "one", 0.3, 0.31, 1, 0);
	net_node(&net, "PRelu", "g one", "y");
	return done(net, "y");
}

static struct net depthwise(void)
{
	struct net net = net_create(13, 3, 12, 10);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 8);
	n = net_node(&net, "LeakyRelu", "a", "l");
	node_float(n, "alpha", 0.2f);
	n = conv(&net, "l", "d", 1, 8, 3);
	node_int(n, "group", 8);
	node_text(n, "auto_pad", "SAME_UPPER");
	node_ints(n, "strides", 2, 2, 2);
	net_node(&net, "LeakyRelu", "d", "m");
	n = conv(&net, "m", "e", 1, 8, 4);
	node_int(n, "group", 8);
	node_text(n, "auto_pad", "SAME_LOWER");
	n = conv(&net, "e", "f", 1, 8, 3);
	node_int(n, "group", 8);
	node_ints(n, "pads", 4, 1, 1, 1, 1);
	node_ints(n, "strides", 2, 2, 2);
	conv(&net, "f", "y", 8, 5, 1);
	return done(net, "y");
}

static struct net multiplier(void)
{
	struct net net = net_create(13, 3, 9, 9);
	Onnx__NodeProto *n = conv(&net, "x", "y", 1, 9, 3);

	node_int(n, "group", 3);
	node_text(n, "auto_pad", "VALID");
	return done(net, "y");
}

static struct net conv_batchnorm(void)
{
	struct net net = net_create(9, 3, 8, 8);

	conv_same(&net, "x", "a", 3, 6);
	batchnorm(&net, "a", "b", 6);
	net_node(&net, "Relu", "b", "r");
	conv_same(&net, "r", "c", 6, 6);
	net_weights(&net, "two", 1.5, 2, 1, 6, 1, 1, 0);
	net_node(&net, "Mul", "two c", "m");
	net_scalar(&net, "half", 0.5f);
	net_node(&net, "Sub", "half m", "s");
	net_node(&net, "Div", "s half", "y");
	return done(net, "y");
}

static struct net preactivation(void)
{
	struct net net = net_create(9, 3, 8, 8);

	conv_same(&net, "x", "a", 3, 6);
	net_node(&net, "Relu", "a", "r");
	batchnorm(&net, "r", "b", 6);
	net_node(&net, "Relu", "b", "s");
	conv_same(&net, "s", "c", 6, 4);
	net_node(&net, "Concat", "r c", "j")->n_attribute = 0;
	node_int(net.model->graph->node[net.model->graph->n_node - 1], "axis", 1);
	batchnorm(&net, "j", "d", 10);
	net_node(&net, "Relu", "d", "t");
	conv(&net, "t", "y", 10, 5, 1);
	return done(net, "y");
}

static struct net residual(void)
{
	struct net net = net_create(9, 3, 8, 10);

	conv_same(&net, "x", "a", 3, 6);
	net_node(&net, "Relu", "a", "b");
	conv_same(&net, "b", "c", 6, 6);
	net_node(&net, "Relu", "c", "d");
	conv_same(&net, "d", "e", 6, 6);
	net_node(&net, "Add", "e b", "f");
	net_node(&net, "Relu", "f", "g");
	conv_same(&net, "g", "h", 6, 6);
	net_node(&net, "Relu", "h", "i");
	net_node(&net, "Add", "g i", "j");
	conv(&net, "j", "y", 6, 4, 1);
	return done(net, "y");
}

/* What comes out may not be rescaled, even if the network goes on from there. */
static struct net inner_output(void)
{
	struct net net = net_create(9, 3, 7, 7);

	conv_same(&net, "x", "a", 3, 5);
	net_node(&net, "Relu", "a", "b");
	conv_same(&net, "b", "y", 5, 4);
	net_output(&net, "b");
	return done(net, "y");
}

/* A sum of two pools: an op of its own. */
static struct net plain_add(void)
{
	struct net net = net_create(9, 3, 9, 9);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 4);
	n = net_node(&net, "MaxPool", "a", "m");
	node_ints(n, "kernel_shape", 2, 3, 3);
	node_ints(n, "pads", 4, 1, 1, 1, 1);
	node_ints(n, "strides", 2, 2, 2);
	n = net_node(&net, "AveragePool", "a", "v");
	node_ints(n, "kernel_shape", 2, 3, 3);
	node_ints(n, "pads", 4, 1, 1, 1, 1);
	node_ints(n, "strides", 2, 2, 2);
	net_node(&net, "Add", "m v", "s");
	net_node(&net, "Relu", "s", "r");
	conv(&net, "r", "y", 4, 3, 1);
	return done(net, "y");
}

/* ---- pools -------------------------------------------------------------------------------------------- */

static struct net pools(void)
{
	struct net net = net_create(13, 3, 12, 11);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 4);
	n = net_node(&net, "MaxPool", "a", "m");
	node_ints(n, "kernel_shape", 2, 2, 3);
	node_ints(n, "strides", 2, 2, 2);
	node_int(n, "ceil_mode", 1);
	n = net_node(&net, "AveragePool", "m", "v");
	node_ints(n, "kernel_shape", 2, 3, 2);
	node_ints(n, "pads", 4, 1, 0, 1, 1);
	node_int(n, "count_include_pad", 1);
	n = net_node(&net, "AveragePool", "v", "u");
	node_ints(n, "kernel_shape", 2, 2, 2);
	node_ints(n, "pads", 4, 1, 1, 0, 0);
	return done(net, "u");
}

static struct net global_pools(void)
{
	struct net net = net_create(11, 3, 7, 6);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 8);
	net_node(&net, "GlobalAveragePool", "a", "g");
	n = net_node(&net, "Squeeze", "g", "q");
	node_ints(n, "axes", 2, 2, 3);
	net_weights(&net, "w", -0.5, 0.5, 8, 6, 0);
	net_weights(&net, "b", -0.5, 0.5, 1, 6, 0);
	n = net_node(&net, "Gemm", "q w b", "h");
	node_float(n, "alpha", 0.7f);
	node_float(n, "beta", 1.3f);
	net_node(&net, "GlobalMaxPool", "a", "k");
	n = net_node(&net, "Flatten", "k", "l");
	net_weights(&net, "w2", -0.5, 0.5, 6, 8, 0);
	n = net_node(&net, "Gemm", "l w2", "o");
	node_int(n, "transB", 1);
	net_node(&net, "Relu", "o", "p");
	net_node(&net, "Add", "p h", "y");
	net_output(&net, "h");
	return done(net, "y");
}

static struct net mean_matmul(void)
{
	struct net net = net_create(13, 3, 7, 6);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 8);
	n = net_node(&net, "ReduceMean", "a", "g");
	node_ints(n, "axes", 2, -1, 2);
	node_int(n, "keepdims", 0);
	net_weights(&net, "w", -0.5, 0.5, 8, 6, 0);
	net_node(&net, "MatMul", "g w", "h");
	net_weights(&net, "b", -0.5, 0.5, 6, 0);
	net_node(&net, "Add", "h b", "i");
	batchnorm(&net, "i", "j", 6);
	net_weights(&net, "slope", 0.1, 0.5, 6, 0);
	net_node(&net, "PRelu", "j slope", "y");
	return done(net, "y");
}

static struct net flat_gemm(void)
{
	struct net net = net_create(9, 3, 5, 4);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 4);
	net_node(&net, "Relu", "a", "r");
	net_ints(&net, "shape", 2, 0, -1);
	net_node(&net, "Reshape", "r shape", "f");
	net_weights(&net, "w", -0.2, 0.2, 7, 80, 0);
	n = net_node(&net, "Gemm", "f w", "y");
	node_int(n, "transB", 1);
	return done(net, "y");
}

/* ---- tables ------------------------------------------------------------------------------------------- */

static struct net tables(void)
{
	static const char *const kinds[] = {"Sigmoid",	 "Tanh", "HardSigmoid",
					    "HardSwish", "Elu",	 "Clip"};
	struct net net = net_create(14, 3, 6, 6);

	net_scalar(&net, "least", -0.4f);
	net_scalar(&net, "most", 0.6f);
	for (int i = 0; i < 6; i++) {
		char a[8], b[8], c[8], inputs[32];

		sprintf(a, "a%d", i);
		sprintf(b, "b%d", i);
		sprintf(c, "c%d", i);
		sprintf(inputs, i == 5 ? "%s least most" : "%s", a);
		conv_same(&net, "x", a, 3, 4);
		net_node(&net, kinds[i], inputs, b);
		conv(&net, b, c, 4, 3, 1);
		net_output(&net, c);
	}
	return net;
}

static struct net old_clip(void)
{
	struct net net = net_create(9, 3, 6, 6);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 4);
	n = net_node(&net, "Clip", "a", "b");
	node_float(n, "min", 0);
	node_float(n, "max", 0.5f);
	net_node(&net, "Dropout", "b", "d");
	net_node(&net, "Identity", "d", "i");
	conv(&net, "i", "y", 4, 3, 1);
	return done(net, "y");
}

/* ---- moves -------------------------------------------------------------------------------------------- */

static struct net concats(void)
{
	struct net net = net_create(9, 3, 6, 6);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 4);
	conv_same(&net, "a", "b", 4, 3);
	net_node(&net, "Relu", "b", "c");
	n = net_node(&net, "Concat", "a c x", "j");
	node_int(n, "axis", 1);
	conv(&net, "j", "y", 10, 5, 1);
	return done(net, "y");
}

/* Twenty inputs are more than one op takes. */
static struct net wide_concat(void)
{
	struct net net = net_create(9, 3, 4, 4);
	char inputs[256] = "";

	for (int i = 0; i < 20; i++) {
		char y[8];

		sprintf(y, "c%d", i);
		conv(&net, "x", y, 3, 2, 1);
		strcat(strcat(inputs, " "), y);
	}
	node_int(net_node(&net, "Concat", inputs, "j"), "axis", -3);
	conv(&net, "j", "y", 40, 5, 1);
	return done(net, "y");
}

static struct net shuffle(void)
{
	struct net net = net_create(13, 3, 6, 5);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 8);
	net_ints(&net, "five", 5, 1, 2, 4, 6, 5);
	net_node(&net, "Reshape", "a five", "b");
	node_ints(net_node(&net, "Transpose", "b", "c"), "perm", 5, 0, 2, 1, 3, 4);
	net_ints(&net, "four", 4, 1, -1, 6, 5);
	net_node(&net, "Reshape", "c four", "d");
	net_ints(&net, "sizes", 2, 3, 5);
	n = net_node(&net, "Split", "d sizes", "e f");
	node_int(n, "axis", 1);
	conv_same(&net, "f", "g", 5, 5);
	net_node(&net, "Relu", "g", "h");
	node_int(net_node(&net, "Concat", "e h", "i"), "axis", 1);
	net_ints(&net, "s0", 2, 1, 4);
	net_ints(&net, "s1", 2, -1, -100);
	net_ints(&net, "s2", 2, 2, 3);
	net_ints(&net, "s3", 2, 2, -1);
	net_node(&net, "Slice", "i s0 s1 s2 s3", "j");
	conv(&net, "j", "y", 8, 3, 1);
	return done(net, "y");
}

static struct net padded(void)
{
	struct net net = net_create(9, 3, 6, 5);
	Onnx__NodeProto *n;

	n = net_node(&net, "Pad", "x", "p");
	node_text(n, "mode", "constant");
	node_ints(n, "pads", 8, 0, 0, 1, 0, 0, 0, 2, 1);
	conv_same(&net, "p", "a", 3, 4);
	n = net_node(&net, "Pad", "a", "q");
	node_ints(n, "pads", 8, 0, 0, 0, 0, 0, 0, 0, 0);
	n = net_node(&net, "Transpose", "q", "t");
	node_ints(n, "perm", 4, 0, 2, 3, 1);
	return done(net, "t");
}

/* What detectors do with their heads. */
static struct net detector(void)
{
	struct net net = net_create(9, 3, 8, 8);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 6);
	net_node(&net, "Relu", "a", "r");
	n = conv_same(&net, "r", "b", 6, 6);
	node_ints(n, "strides", 2, 2, 2);
	for (int i = 0; i < 2; i++) {
		const char *from = i ? "b" : "r";
		char t[2][8], text[64];

		for (int k = 0; k < 2; k++) {
			sprintf(t[0], "h%d%d", i, k);
			sprintf(t[1], "t%d%d", i, k);
			conv_same(&net, from, t[0], 6, k ? 8 : 4);
			node_ints(net_node(&net, "Transpose", t[0], t[1]), "perm", 4, 0, 2, 3, 1);
			sprintf(text, "s%d%d", i, k);
			net_node(&net, "Shape", t[1], text);
			sprintf(t[0], "g%d%d", i, k);
			sprintf(text, "s%d%d zero", i, k);
			net_node(&net, "Gather", text, t[0]);
			sprintf(text, "u%d%d", i, k);
			node_ints(net_node(&net, "Unsqueeze", t[0], text), "axes", 1, 0);
			sprintf(text, "u%d%d rest%d", i, k, k);
			sprintf(t[0], "n%d%d", i, k);
			node_int(net_node(&net, "Concat", text, t[0]), "axis", 0);
			sprintf(text, "%s %s", t[1], t[0]);
			sprintf(t[0], "f%d%d", i, k);
			net_node(&net, "Reshape", text, t[0]);
		}
	}
	net_ints(&net, "rest0", 2, -1, 2);
	net_ints(&net, "rest1", 2, -1, 4);
	net_ints(&net, "zero", 1, 0);
	net.model->graph->initializer[net.model->graph->n_initializer - 1]->n_dims = 0;
	node_int(net_node(&net, "Concat", "f00 f10", "scores"), "axis", 1);
	node_int(net_node(&net, "Concat", "f01 f11", "boxes"), "axis", 1);
	node_int(net_node(&net, "Softmax", "scores", "p"), "axis", 2);
	n = net_node(&net, "Slice", "boxes", "xy");
	node_ints(n, "axes", 1, 2);
	node_ints(n, "starts", 1, 0);
	node_ints(n, "ends", 1, 2);
	n = net_node(&net, "Slice", "boxes", "wh");
	node_ints(n, "axes", 1, 2);
	node_ints(n, "starts", 1, -2);
	node_ints(n, "ends", 1, 2147483647);
	net_scalar(&net, "tenth", 0.1f);
	net_weights(&net, "anchors", 0.2, 0.9, 1, 160, 2, 0);
	net_weights(&net, "row", 0.2, 0.9, 2, 0);
	net_node(&net, "Mul", "tenth xy", "m");
	net_node(&net, "Mul", "m anchors", "o");
	net_node(&net, "Add", "anchors o", "centre");
	net_node(&net, "Mul", "wh tenth", "v");
	net_node(&net, "Exp", "v", "e");
	net_node(&net, "Mul", "e row", "size");
	net_node(&net, "Sqrt", "size", "root");
	net_node(&net, "Div", "root size", "d");
	net_node(&net, "Sub", "centre d", "low");
	net_node(&net, "Sigmoid", "low", "sig");
	net_node(&net, "Tanh", "centre", "tan");
	node_int(net_node(&net, "Concat", "sig tan", "box"), "axis", 2);
	net_output(&net, "p");
	return done(net, "box");
}

/* Along each axis, also the one that is always 1. */
static struct net softmaxes(void)
{
	struct net net = net_create(13, 3, 5, 6);

	conv_same(&net, "x", "a", 3, 4);
	for (int axis = 0; axis < 4; axis++) {
		char y[8];

		sprintf(y, "s%d", axis);
		node_int(net_node(&net, "Softmax", "a", y), "axis", axis);
		net_output(&net, y);
	}
	return net;
}

/* ---- only in float ------------------------------------------------------------------------------------ */

static struct net squeeze_excite(void)
{
	struct net net = net_create(13, 3, 6, 6);

	conv_same(&net, "x", "a", 3, 4);
	net_node(&net, "GlobalAveragePool", "a", "g");
	conv(&net, "g", "s", 4, 4, 1);
	net_node(&net, "Sigmoid", "s", "f");
	net_node(&net, "Mul", "a f", "m");
	conv(&net, "m", "y", 4, 3, 1);
	return done(net, "y");
}

static struct net odd_moves(void)
{
	struct net net = net_create(13, 3, 4, 5);

	net_ints(&net, "pads", 8, 0, 1, 2, 0, 0, 0, 1, 3);
	net_scalar(&net, "value", 0.25f);
	net_node(&net, "Pad", "x pads value", "p");
	net_node(&net, "Transpose", "p", "t");
	net_ints(&net, "axes", 1, -1);
	net_node(&net, "Squeeze", "t axes", "q");
	net_ints(&net, "more", 2, 0, 3);
	net_node(&net, "Unsqueeze", "q more", "u");
	node_int(net_node(&net, "Softmax", "u", "y"), "axis", 1);
	return done(net, "y");
}

const struct net_case net_cases[] = {
	{"conv_relu", conv_relu, 42},
	{"conv_groups_prelu", conv_groups_prelu, 38},
	{"depthwise", depthwise, 37},
	{"multiplier", multiplier, 50},
	{"conv_batchnorm", conv_batchnorm, 45},
	{"preactivation", preactivation, 38},
	{"residual", residual, 34},
	{"inner_output", inner_output, 36},
	{"plain_add", plain_add, 40},
	{"pools", pools, 29},
	{"global_pools", global_pools, 47},
	{"mean_matmul", mean_matmul, 47},
	{"flat_gemm", flat_gemm, 40},
	{"tables", tables, 38},
	{"old_clip", old_clip, 46},
	{"concats", concats, 41},
	{"wide_concat", wide_concat, 36},
	{"shuffle", shuffle, 38},
	{"padded", padded, 47},
	{"detector", detector, 56},
	{"softmaxes", softmaxes, 40},
	{"squeeze_excite", squeeze_excite, 0},
	{"odd_moves", odd_moves, 0},
};
const size_t net_case_count = sizeof(net_cases) / sizeof(net_cases[0]);

struct net net_template(void)
{
	struct net net = net_create(9, 3, 16, 16);
	Onnx__NodeProto *n;

	conv_same(&net, "x", "a", 3, 16);
	net_weights(&net, "slope", 0.1, 0.4, 16, 1, 1, 0);
	net_node(&net, "PRelu", "a slope", "b");
	n = conv_same(&net, "b", "c", 1, 16);
	node_int(n, "group", 16);
	net_node(&net, "PRelu", "c slope", "d");
	conv(&net, "d", "e", 16, 16, 1);
	net_node(&net, "Add", "b e", "f");
	conv(&net, "f", "i", 16, 16, 1);
	n = conv(&net, "i", "g", 1, 16, 16);
	node_int(n, "group", 16);
	conv(&net, "g", "h", 16, 32, 1);
	net_ints(&net, "shape", 2, 1, 32);
	net_node(&net, "Reshape", "h shape", "y");
	return done(net, "y");
}
