/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a network to be compiled. With an odd first byte the rest is the file; otherwise it is
 * a recipe for one: nodes of known operators with inputs, attributes and constants taken from the
 * bytes, so that what lies behind the parser is reached.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/compile/equalise.h"
#include "host/compile/lower.h"
#include "onnx.pb-c.h"

#define NODES_MAX 12u
#define MACS_MAX  1000000u

static const char *const operators[] = {
	"Conv",
	"Gemm",
	"MatMul",
	"BatchNormalization",
	"Add",
	"Sub",
	"Mul",
	"Div",
	"MaxPool",
	"AveragePool",
	"GlobalAveragePool",
	"Relu",
	"LeakyRelu",
	"PRelu",
	"Clip",
	"Sigmoid",
	"Softmax",
	"Concat",
	"Reshape",
	"Flatten",
	"Squeeze",
	"Unsqueeze",
	"Identity",
	"Transpose",
	"Slice",
	"Split",
	"Pad",
	"ReduceMean",
	"Shape",
	"Gather",
	"Cast",
};
static const char *const lists[] = {"pads",   "strides", "kernel_shape", "dilations", "axes",
				    "starts", "ends",	 "perm",	 "split"};
static const char *const numbers[] = {"axis", "group", "ceil_mode", "transB", "keepdims", "to"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The recipe, read byte by byte; zeros after its end. */
struct recipe {
	const uint8_t *at, *end;
	/* memory of the message's parts, all gone at once */
	struct pool *pool;
};

static uint8_t take(struct recipe *r)
{
	return r->at < r->end ? *r->at++ : 0;
}

static char *name(struct recipe *r, uint32_t i)
{
	char text[16];

	snprintf(text, sizeof(text), "t%u", i);
	return pool_text(r->pool, text, strlen(text));
}

static Onnx__TensorProto *constant(struct recipe *r, uint32_t i)
{
	Onnx__TensorProto *t = pool_alloc(r->pool, 1, sizeof(*t));
	size_t count = 1;

	onnx__tensor_proto__init(t);
	t->name = name(r, i);
	t->has_data_type = 1;
	t->n_dims = take(r) % 5;
	t->dims = pool_alloc(r->pool, 5, sizeof(*t->dims));
	for (size_t k = 0; k < t->n_dims; k++) {
		t->dims[k] = 1 + take(r) % 6;
		count *= (size_t)t->dims[k];
	}
	if (take(r) & 1) {
		t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
		t->int64_data = pool_alloc(r->pool, count, sizeof(int64_t));
		t->n_int64_data = count;
		for (size_t k = 0; k < count && k < 16; k++)
			t->int64_data[k] = (int8_t)take(r);
	} else {
		t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
		t->float_data = pool_alloc(r->pool, count, sizeof(float));
		t->n_float_data = count;
		for (size_t k = 0; k < count && k < 16; k++)
			t->float_data[k] = (float)(int8_t)take(r) / 16;
	}
	return t;
}

static Onnx__AttributeProto *attribute(struct recipe *r)
{
	Onnx__AttributeProto *a = pool_alloc(r->pool, 1, sizeof(*a));
	uint8_t kind = take(r);

	onnx__attribute_proto__init(a);
	if (kind & 1) {
		a->name = (char *)(uintptr_t)numbers[kind / 2 % COUNT(numbers)];
		a->has_i = 1;
		a->i = (int8_t)take(r);
		return a;
	}
	a->name = (char *)(uintptr_t)lists[kind / 2 % COUNT(lists)];
	a->n_ints = take(r) % 9;
	a->ints = pool_alloc(r->pool, 9, sizeof(*a->ints));
	for (size_t k = 0; k < a->n_ints; k++)
		a->ints[k] = (int8_t)take(r);
	return a;
}

/* A node over earlier tensors; it makes t<made>. */
static Onnx__NodeProto *node(struct recipe *r, uint32_t made)
{
	Onnx__NodeProto *n = pool_alloc(r->pool, 1, sizeof(*n));
	uint8_t shape = take(r);

	onnx__node_proto__init(n);
	n->op_type = (char *)(uintptr_t)operators[take(r) % COUNT(operators)];
	n->n_input = 1 + shape % 5;
	n->n_attribute = shape / 5 % 4;
	n->n_output = 1;
	n->input = pool_alloc(r->pool, 5, sizeof(char *));
	n->attribute = pool_alloc(r->pool, 4, sizeof(void *));
	n->output = pool_alloc(r->pool, 1, sizeof(char *));
	for (size_t k = 0; k < n->n_input; k++)
		n->input[k] = name(r, take(r) % made);
	for (size_t k = 0; k < n->n_attribute; k++)
		n->attribute[k] = attribute(r);
	n->output[0] = name(r, made);
	return n;
}

static Onnx__ValueInfoProto *image(struct recipe *r)
{
	Onnx__TypeProto__Tensor *t = pool_alloc(r->pool, 1, sizeof(*t));
	Onnx__TensorShapeProto *s = pool_alloc(r->pool, 1, sizeof(*s));
	Onnx__ValueInfoProto *info = pool_alloc(r->pool, 1, sizeof(*info));

	onnx__value_info_proto__init(info);
	onnx__type_proto__tensor__init(t);
	onnx__tensor_shape_proto__init(s);
	info->name = name(r, 0);
	info->type = pool_alloc(r->pool, 1, sizeof(*info->type));
	onnx__type_proto__init(info->type);
	info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	info->type->tensor_type = t;
	t->has_elem_type = 1;
	t->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	t->shape = s;
	s->n_dim = 4;
	s->dim = pool_alloc(r->pool, 4, sizeof(void *));
	for (size_t k = 0; k < 4; k++) {
		s->dim[k] = pool_alloc(r->pool, 1, sizeof(**s->dim));
		onnx__tensor_shape_proto__dimension__init(s->dim[k]);
		s->dim[k]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		s->dim[k]->dim_value = k ? 1 + take(r) % (k == 1 ? 4 : 9) : 1;
	}
	return info;
}

/* The recipe's network, packed. */
static uint8_t *cook(struct recipe *r, size_t *length)
{
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	Onnx__GraphProto g = ONNX__GRAPH_PROTO__INIT;
	Onnx__OperatorSetIdProto set = ONNX__OPERATOR_SET_ID_PROTO__INIT, *sets = &set;
	Onnx__ValueInfoProto *in = image(r), out = ONNX__VALUE_INFO_PROTO__INIT, *outs = &out;
	uint32_t made = 1, constants = take(r) % 6, nodes = 1 + take(r) % NODES_MAX;
	uint8_t *data;

	model.graph = &g;
	model.n_opset_import = 1;
	model.opset_import = &sets;
	set.has_version = 1;
	set.version = 7 + take(r) % 12;
	g.n_input = g.n_output = 1;
	g.input = &in;
	g.output = &outs;
	g.initializer = pool_alloc(r->pool, constants + 1, sizeof(void *));
	g.node = pool_alloc(r->pool, nodes, sizeof(void *));
	for (uint32_t i = 0; i < constants; i++)
		g.initializer[g.n_initializer++] = constant(r, made++);
	for (uint32_t i = 0; i < nodes; i++, made++)
		g.node[g.n_node++] = node(r, made);
	out.name = name(r, made - 1);
	*length = onnx__model_proto__get_packed_size(&model);
	data = pool_alloc(r->pool, *length, 1);
	onnx__model_proto__pack(&model, data);
	return data;
}

/* The float network has run: quantise it, and run it in int8. */
static int quantise(struct graph *g, struct execute *execute)
{
	struct compile_options options = {.percentile = 99.99};
	struct evaluate *evaluate;
	struct calibrate *c;
	struct program *p;
	uint8_t *pixels;
	bool *wanted;
	int err = lower_wanted(g, &wanted);

	for (uint32_t i = 0; i < COMPILE_CHANNELS_MAX; i++)
		options.scale[i] = 128;
	if (!err)
		err = calibrate_create(g, wanted, &c);
	if (err)
		return err;
	calibrate_add(c, execute);
	err = equalise_graph(g, c);
	if (!err)
		err = lower_graph(g, c, &options, &p);
	if (!err)
		err = arena_place(p);
	if (!err)
		err = evaluate_create(p, &evaluate);
	if (err)
		return err;
	pixels = pool_alloc(g->pool, g->tensor[g->input].count, 1);
	return pixels ? evaluate_run(evaluate, pixels, NULL, NULL) : 0;
}

static int compile(struct pool *pool, const uint8_t *data, size_t length)
{
	struct execute *execute;
	struct graph *g;
	float *x;
	int err = onnx_parse(pool, data, length, &g);

	if (!err)
		err = shape_infer(g);
	if (!err)
		err = fold_graph(g);
	if (!err)
		err = execute_create(g, &execute);
	if (err)
		return err;
	for (uint32_t i = 0; i < g->nodes; i++)
		if (execute_macs(g, &g->node[i]) > MACS_MAX ||
		    g->tensor[g->node[i].output[0]].count > MACS_MAX)
			return 0;
	x = pool_alloc(pool, g->tensor[g->input].count, sizeof(float));
	if (!x || execute_run(execute, x))
		return 0;
	return quantise(g, execute);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char text[200], none[200];
	struct pool *pool = pool_create((size_t)64 << 20, text, sizeof(text));
	struct recipe recipe = {data + 1, data + bytes,
				pool_create((size_t)16 << 20, none, sizeof(none))};
	size_t length = bytes - 1;
	const uint8_t *file = data + 1;

	if (bytes > 0 && bytes < 65536) {
		if (!(data[0] & 1))
			file = cook(&recipe, &length);
		if (compile(pool, file, length) && !text[0])
			abort(); /* a refusal says why */
	}
	pool_free(recipe.pool);
	pool_free(pool);
	return 0;
}
