/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/compile/net.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double net_random(uint64_t *state, double least, double most)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return least + (most - least) * (double)(*state >> 11) * 0x1p-53;
}

/* One more entry of an array of pointers. */
#define ADD(array, count, item)                                                                    \
	do {                                                                                       \
		(array) = realloc((array), ((count) + 1) * sizeof(*(array)));                      \
		(array)[(count)++] = (item);                                                       \
	} while (0)

#define NEW(type, init)                                                                            \
	({                                                                                         \
		type *new_ = malloc(sizeof(type));                                                 \
		init(new_);                                                                        \
		new_;                                                                              \
	})

static Onnx__ValueInfoProto *value_info(const char *name, const int64_t *dim, size_t rank)
{
	Onnx__ValueInfoProto *info = NEW(Onnx__ValueInfoProto, onnx__value_info_proto__init);
	Onnx__TypeProto__Tensor *type =
		NEW(Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
	Onnx__TensorShapeProto *shape = NEW(Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);

	info->name = strdup(name);
	info->type = NEW(Onnx__TypeProto, onnx__type_proto__init);
	info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	info->type->tensor_type = type;
	type->has_elem_type = 1;
	type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
	type->shape = shape;
	for (size_t i = 0; i < rank; i++) {
		Onnx__TensorShapeProto__Dimension *d =
			NEW(Onnx__TensorShapeProto__Dimension,
			    onnx__tensor_shape_proto__dimension__init);

		d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		d->dim_value = dim[i];
		ADD(shape->dim, shape->n_dim, d);
	}
	return info;
}

struct net net_create(int64_t opset, int64_t c, int64_t h, int64_t w)
{
	struct net net = {.model = NEW(Onnx__ModelProto, onnx__model_proto__init),
			  .random = 88172645};
	Onnx__OperatorSetIdProto *set =
		NEW(Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
	int64_t dim[4] = {1, c, h, w};

	net.model->graph = NEW(Onnx__GraphProto, onnx__graph_proto__init);
	set->has_version = 1;
	set->version = opset;
	ADD(net.model->opset_import, net.model->n_opset_import, set);
	ADD(net.model->graph->input, net.model->graph->n_input, value_info("x", dim, 4));
	return net;
}

void net_free(struct net *net)
{
	onnx__model_proto__free_unpacked(net->model, NULL);
}

static Onnx__TensorProto *tensor(struct net *net, const char *name, int type)
{
	Onnx__TensorProto *t = NEW(Onnx__TensorProto, onnx__tensor_proto__init);

	t->name = strdup(name);
	t->has_data_type = 1;
	t->data_type = type;
	ADD(net->model->graph->initializer, net->model->graph->n_initializer, t);
	return t;
}

Onnx__TensorProto *net_weights(struct net *net, const char *name, double least, double most, ...)
{
	Onnx__TensorProto *t = tensor(net, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
	size_t count = 1;
	int64_t dim;
	va_list list;

	va_start(list, most);
	while ((dim = va_arg(list, int)) != 0) {
		ADD(t->dims, t->n_dims, dim);
		count *= (size_t)dim;
	}
	va_end(list);
	while (t->n_float_data < count)
		ADD(t->float_data, t->n_float_data, (float)net_random(&net->random, least, most));
	return t;
}

void net_ints(struct net *net, const char *name, int count, ...)
{
	Onnx__TensorProto *t = tensor(net, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
	va_list list;

	va_start(list, count);
	ADD(t->dims, t->n_dims, (int64_t)count);
	for (int i = 0; i < count; i++)
		ADD(t->int64_data, t->n_int64_data, (int64_t)va_arg(list, int));
	va_end(list);
}

void net_scalar(struct net *net, const char *name, float value)
{
	Onnx__TensorProto *t = tensor(net, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);

	ADD(t->float_data, t->n_float_data, value);
}

Onnx__NodeProto *net_node(struct net *net, const char *type, const char *inputs,
			  const char *outputs)
{
	Onnx__NodeProto *n = NEW(Onnx__NodeProto, onnx__node_proto__init);
	char *text[2] = {strdup(inputs), strdup(outputs)}, *rest;

	n->op_type = strdup(type);
	n->name = malloc(strlen(type) + strlen(outputs) + 2);
	sprintf(n->name, "%s_%s", type, outputs);
	for (char *w = strtok_r(text[0], " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		ADD(n->input, n->n_input, strdup(strcmp(w, "-") ? w : ""));
	for (char *w = strtok_r(text[1], " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		ADD(n->output, n->n_output, strdup(w));
	free(text[0]);
	free(text[1]);
	ADD(net->model->graph->node, net->model->graph->n_node, n);
	return n;
}

static Onnx__AttributeProto *attribute(Onnx__NodeProto *node, const char *name)
{
	Onnx__AttributeProto *a = NEW(Onnx__AttributeProto, onnx__attribute_proto__init);

	a->name = strdup(name);
	ADD(node->attribute, node->n_attribute, a);
	return a;
}

void node_int(Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto *a = attribute(node, name);

	a->has_i = 1;
	a->i = value;
}

void node_float(Onnx__NodeProto *node, const char *name, float value)
{
	Onnx__AttributeProto *a = attribute(node, name);

	a->has_f = 1;
	a->f = value;
}

void node_text(Onnx__NodeProto *node, const char *name, const char *value)
{
	Onnx__AttributeProto *a = attribute(node, name);

	a->has_s = 1;
	a->s.data = (uint8_t *)strdup(value);
	a->s.len = strlen(value);
}

void node_ints(Onnx__NodeProto *node, const char *name, int count, ...)
{
	Onnx__AttributeProto *a = attribute(node, name);
	va_list list;

	va_start(list, count);
	for (int i = 0; i < count; i++)
		ADD(a->ints, a->n_ints, (int64_t)va_arg(list, int));
	va_end(list);
}

void net_output(struct net *net, const char *name)
{
	ADD(net->model->graph->output, net->model->graph->n_output, value_info(name, NULL, 0));
}

uint8_t *net_pack(const struct net *net, size_t *length)
{
	uint8_t *data;

	*length = onnx__model_proto__get_packed_size(net->model);
	data = malloc(*length);
	onnx__model_proto__pack(net->model, data);
	return data;
}

char *net_write(const struct net *net)
{
	char folder[] = "/tmp/facet-compile-XXXXXX";
	char *path = malloc(sizeof(folder) + 16);
	size_t length;
	uint8_t *data = net_pack(net, &length);
	FILE *f;

	if (!mkdtemp(folder))
		abort();
	sprintf(path, "%s/net.onnx", folder);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, length, f) != length || fclose(f))
		abort();
	free(data);
	return path;
}

void net_unlink(char *path)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	free(path);
}
