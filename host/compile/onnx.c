/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an ONNX file. It is hostile: it is walked once against its descriptor, with bounds on depth,
 * fields and predicted memory, before protobuf-c unpacks it; every name, shape and length is checked
 * before use.
 */
#include "host/compile/onnx.h"
#include "kernels/ref/ref.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_DEPTH_MAX	12u
#define SCAN_FIELDS_MAX (4u << 20)
#define SCAN_MEMORY_MAX ((size_t)2 << 30)
#define NODES_MAX	16384u
#define TENSORS_MAX	(1u << 20)

/* ---- before unpacking ------------------------------------------------------------------------ */

struct scan {
	const uint8_t *at, *end;
	size_t fields, memory;
};

static bool scan_varint(struct scan *s, uint64_t *value)
{
	*value = 0;
	for (uint32_t shift = 0; shift < 64 && s->at < s->end; shift += 7) {
		uint8_t byte = *s->at++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool scan_message(struct scan *s, const ProtobufCMessageDescriptor *type, uint32_t depth);

static bool scan_bytes(struct scan *s, const ProtobufCFieldDescriptor *field, uint32_t depth)
{
	const uint8_t *end = s->end;
	uint64_t length;
	bool ok = true;

	if (!scan_varint(s, &length) || length > (uint64_t)(s->end - s->at))
		return false;
	/* Packed integers of one byte become eight. */
	s->memory += length * 8;
	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
		s->end = s->at + length;
		ok = scan_message(s, field->descriptor, depth + 1);
		s->end = end;
	} else {
		s->at += length;
	}
	return ok;
}

static bool scan_skip(struct scan *s, size_t length)
{
	if (length > (size_t)(s->end - s->at))
		return false;
	s->at += length;
	return true;
}

static bool scan_message(struct scan *s, const ProtobufCMessageDescriptor *type, uint32_t depth)
{
	uint64_t key, value;
	bool ok = depth <= SCAN_DEPTH_MAX;

	s->memory += type->sizeof_message;
	while (ok && s->at < s->end) {
		if (!scan_varint(s, &key))
			return false;
		s->memory += 64;
		if (++s->fields > SCAN_FIELDS_MAX || s->memory > SCAN_MEMORY_MAX)
			return false;
		switch (key & 7) {
		case 0:
			ok = scan_varint(s, &value);
			break;
		case 1:
			ok = scan_skip(s, 8);
			break;
		case 2:
			ok = scan_bytes(
				s,
				protobuf_c_message_descriptor_get_field(
					type, key >> 3 > UINT32_MAX ? 0 : (unsigned)(key >> 3)),
				depth);
			break;
		case 5:
			ok = scan_skip(s, 4);
			break;
		default:
			ok = false;
		}
	}
	return ok;
}

/* ---- constants --------------------------------------------------------------------------------- */

static const char *text_or(const char *text, const char *otherwise)
{
	return text && text[0] ? text : otherwise;
}

/* Where the raw bytes of count elements of the given size lie; NULL if not there in that length. */
static const uint8_t *raw_bytes(const Onnx__TensorProto *proto, size_t count, size_t size)
{
	if (!proto->has_raw_data || proto->raw_data.len != count * size)
		return NULL;
	return proto->raw_data.data;
}

static bool read_floats(const Onnx__TensorProto *proto, float *to, size_t count)
{
	const uint8_t *raw = raw_bytes(proto, count, sizeof(float));

	if (!raw && proto->n_float_data != count)
		return false;
	memcpy(to, raw ? raw : (const void *)proto->float_data, count * sizeof(float));
	return true;
}

static bool read_halves(const Onnx__TensorProto *proto, float *to, size_t count)
{
	const uint8_t *raw = raw_bytes(proto, count, sizeof(uint16_t));
	uint16_t half;

	if (!raw && proto->n_int32_data != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (raw)
			memcpy(&half, raw + i * sizeof(half), sizeof(half));
		else
			half = (uint16_t)proto->int32_data[i];
		ref_from_half(&half, 1, &to[i]);
	}
	return true;
}

static bool read_doubles(const Onnx__TensorProto *proto, float *to, size_t count)
{
	const uint8_t *raw = raw_bytes(proto, count, sizeof(double));

	if (!raw && proto->n_double_data != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		double value;

		memcpy(&value, raw ? raw + i * sizeof(value) : (const void *)&proto->double_data[i],
		       sizeof(value));
		to[i] = (float)value;
	}
	return true;
}

static bool read_int64(const Onnx__TensorProto *proto, int64_t *to, size_t count)
{
	const uint8_t *raw = raw_bytes(proto, count, sizeof(int64_t));

	if (!raw && proto->n_int64_data != count)
		return false;
	memcpy(to, raw ? raw : (const void *)proto->int64_data, count * sizeof(int64_t));
	return true;
}

static bool read_int32(const Onnx__TensorProto *proto, int64_t *to, size_t count)
{
	const uint8_t *raw = raw_bytes(proto, count, sizeof(int32_t));

	if (!raw && proto->n_int32_data != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		int32_t value;

		memcpy(&value, raw ? raw + i * sizeof(value) : (const void *)&proto->int32_data[i],
		       sizeof(value));
		to[i] = value;
	}
	return true;
}

struct data_type {
	bool (*floats)(const Onnx__TensorProto *proto, float *to, size_t count);
	bool (*integers)(const Onnx__TensorProto *proto, int64_t *to, size_t count);
};

static const struct data_type data_types[] = {
	[ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT] = {.floats = read_floats},
	[ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16] = {.floats = read_halves},
	[ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE] = {.floats = read_doubles},
	[ONNX__TENSOR_PROTO__DATA_TYPE__INT64] = {.integers = read_int64},
	[ONNX__TENSOR_PROTO__DATA_TYPE__INT32] = {.integers = read_int32},
};

static const struct data_type *find_type(int32_t type)
{
	if (type < 0 || (size_t)type >= sizeof(data_types) / sizeof(data_types[0]))
		return NULL;
	return data_types[type].floats || data_types[type].integers ? &data_types[type] : NULL;
}

static bool read_values(struct graph *g, struct graph_tensor *t, const struct data_type *type,
			const Onnx__TensorProto *proto)
{
	if (type->integers) {
		t->type = GRAPH_I64;
		t->i = pool_alloc(g->pool, t->count, sizeof(*t->i));
		return t->i && type->integers(proto, t->i, t->count);
	}
	t->f = pool_alloc(g->pool, t->count, sizeof(*t->f));
	if (!t->f || !type->floats(proto, t->f, t->count))
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (!(t->f[i] - t->f[i] == 0))
			return false;
	return true;
}

int onnx_tensor_read(struct graph *g, const Onnx__TensorProto *proto, uint32_t tensor)
{
	const struct data_type *type = find_type(proto->data_type);
	struct graph_tensor *t = &g->tensor[tensor];

	if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL ||
	    proto->n_external_data)
		return pool_error(
			g->pool, -EINVAL,
			"weights of '%s' are in another file; save the network as one file",
			t->name);
	if (!type)
		return pool_error(
			g->pool, -EINVAL,
			"'%s' is of data type %d; only float, float16, double, int32 and int64 "
			"are read",
			t->name, proto->data_type);
	if (proto->n_dims > GRAPH_RANK ||
	    graph_set_shape(g, tensor, (uint32_t)proto->n_dims, proto->dims))
		return pool_error(g->pool, -EINVAL, "'%s' has an impossible shape", t->name);
	if (!read_values(g, t, type, proto))
		return pool_error(
			g->pool, -EINVAL,
			"'%s' has not as many values as its shape says, or one that is not finite",
			t->name);
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------- */

struct names {
	uint32_t *slot; /* tensor + 1 */
	uint32_t mask;
};

static int names_create(struct pool *pool, size_t count, struct names *names)
{
	uint32_t size = 64;

	while (size < count * 2)
		size *= 2;
	names->mask = size - 1;
	names->slot = pool_alloc(pool, size, sizeof(uint32_t));
	return names->slot ? 0 : pool_exhausted(pool);
}

/* The slot of a name, or the empty one where it belongs. */
static uint32_t *names_find(const struct graph *g, const struct names *names, const char *name)
{
	uint32_t hash = 2166136261u;

	for (const char *p = name; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	for (uint32_t at = hash & names->mask;; at = (at + 1) & names->mask)
		if (!names->slot[at] || !strcmp(g->tensor[names->slot[at] - 1].name, name))
			return &names->slot[at];
}

static int names_define(struct graph *g, const struct names *names, const char *name,
			uint32_t *tensor)
{
	uint32_t *slot = names_find(g, names, name);

	if (*slot)
		return pool_error(g->pool, -EINVAL, "the tensor '%s' is defined twice", name);
	*tensor = graph_add_tensor(g, name);
	if (*tensor == GRAPH_NONE)
		return pool_exhausted(g->pool);
	*slot = *tensor + 1;
	return 0;
}

/* ---- the graph --------------------------------------------------------------------------------- */

struct reader {
	struct graph *g;
	const Onnx__GraphProto *proto;
	struct names names;
	int64_t opset;
	uint32_t *node_of; /* [tensors] the proto's node that makes a tensor, + 1 */
};

static int read_constants(struct reader *r)
{
	for (size_t i = 0; i < r->proto->n_initializer; i++) {
		const Onnx__TensorProto *proto = r->proto->initializer[i];
		uint32_t tensor;
		int err = names_define(r->g, &r->names, text_or(proto->name, ""), &tensor);

		if (!err)
			err = onnx_tensor_read(r->g, proto, tensor);
		if (err)
			return err;
	}
	return 0;
}

/* The image: float [1 or open][channels][height][width]. */
static int read_image(struct reader *r, const Onnx__ValueInfoProto *info, uint32_t tensor)
{
	const Onnx__TypeProto__Tensor *type =
		info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
			? info->type->tensor_type
			: NULL;
	int64_t dim[GRAPH_RANK] = {0};

	if (!type || !type->shape || type->shape->n_dim != 4 ||
	    type->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
		return pool_error(
			r->g->pool, -EINVAL,
			"the input '%s' is not a float image [1][channels][height][width]",
			info->name);
	for (uint32_t i = 0; i < 4; i++) {
		const Onnx__TensorShapeProto__Dimension *d = type->shape->dim[i];
		bool stated = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;

		dim[i] = stated ? d->dim_value : i ? 0 : 1;
	}
	if (dim[0] != 1 || dim[1] < 1 || dim[1] > 4 || dim[2] < 1 || dim[2] > 8192 || dim[3] < 1 ||
	    dim[3] > 8192 || graph_set_shape(r->g, tensor, 4, dim))
		return pool_error(
			r->g->pool, -EINVAL,
			"the input '%s' must be stated as [1][1 to 4][height][width], up to "
			"8192 pixels a side; fix its shape in the network",
			info->name);
	return 0;
}

static int read_inputs(struct reader *r)
{
	r->g->input = GRAPH_NONE;
	for (size_t i = 0; i < r->proto->n_input; i++) {
		const Onnx__ValueInfoProto *info = r->proto->input[i];
		int err;

		if (!info->name || !info->name[0])
			return pool_error(r->g->pool, -EINVAL, "an input has no name");
		if (*names_find(r->g, &r->names, info->name))
			continue; /* its value is an initialiser */
		if (r->g->input != GRAPH_NONE)
			return pool_error(
				r->g->pool, -EINVAL,
				"the network has several inputs ('%s', '%s'); only one image is "
				"taken, or the weights are missing",
				r->g->tensor[r->g->input].name, info->name);
		err = names_define(r->g, &r->names, info->name, &r->g->input);
		if (!err)
			err = read_image(r, info, r->g->input);
		if (err)
			return err;
	}
	if (r->g->input == GRAPH_NONE)
		return pool_error(r->g->pool, -EINVAL, "the network has no input");
	return 0;
}

static bool text_add(char *text, size_t size, const char *item)
{
	size_t used = strlen(text);
	int n = snprintf(text + used, size - used, "%s%s", used ? ", " : "", item);

	if (n < 0 || (size_t)n >= size - used) {
		text[used] = '\0';
		return false;
	}
	return true;
}

/* All operators that we lack, each once, in one line. */
static int check_operators(const struct reader *r)
{
	char list[300] = "";
	uint32_t left = 0;

	for (size_t i = 0; i < r->proto->n_node; i++) {
		const Onnx__NodeProto *n = r->proto->node[i];
		const char *type = text_or(n->op_type, "(none)");
		bool seen = onnx_node_known(n);

		for (size_t k = 0; k < i && !seen; k++)
			seen = !onnx_node_known(r->proto->node[k]) &&
			       !strcmp(text_or(r->proto->node[k]->op_type, "(none)"), type);
		if (!seen && !text_add(list, sizeof(list), type))
			left++;
	}
	if (!list[0] && !left)
		return 0;
	return pool_error(r->g->pool, -ENOTSUP, "operators not supported: %s%s", list,
			  left ? " and more" : "");
}

static int define_outputs(struct reader *r)
{
	for (size_t i = 0; i < r->proto->n_node; i++) {
		const Onnx__NodeProto *n = r->proto->node[i];

		if (!n->n_output)
			return pool_error(r->g->pool, -EINVAL, "the node '%s' has no output",
					  text_or(n->name, n->op_type));
		for (size_t k = 0; k < n->n_output; k++) {
			uint32_t tensor;
			int err;

			if (!n->output[k][0])
				continue;
			err = names_define(r->g, &r->names, n->output[k], &tensor);
			if (err)
				return err;
			r->node_of[tensor] = (uint32_t)i + 1;
		}
	}
	return 0;
}

static int connect(struct reader *r, const Onnx__NodeProto *proto, struct graph_node *n)
{
	/* Two more inputs than the file states, for those that come from attributes. */
	n->input = pool_alloc(r->g->pool, proto->n_input + 4, sizeof(uint32_t));
	n->output = pool_alloc(r->g->pool, proto->n_output, sizeof(uint32_t));
	if (!n->input || !n->output)
		return pool_exhausted(r->g->pool);
	for (size_t k = 0; k < proto->n_input; k++) {
		uint32_t slot =
			proto->input[k][0] ? *names_find(r->g, &r->names, proto->input[k]) : 0;

		if (!slot && proto->input[k][0])
			return pool_error(
				r->g->pool, -EINVAL,
				"the node '%s' needs '%s', which is missing: no weights and "
				"no node's output of that name",
				n->name, proto->input[k]);
		n->input[n->inputs++] = slot ? slot - 1 : GRAPH_NONE;
	}
	for (size_t k = 0; k < proto->n_output; k++)
		if (proto->output[k][0])
			n->output[n->outputs++] =
				*names_find(r->g, &r->names, proto->output[k]) - 1;
	return n->outputs ? 0
			  : pool_error(r->g->pool, -EINVAL, "the node '%s' has no output", n->name);
}

static int read_node(struct reader *r, const Onnx__NodeProto *proto)
{
	struct graph_node *n = &r->g->node[r->g->nodes];
	const char *name = text_or(proto->name, proto->output[0]);
	int err;

	n->name = pool_text(r->g->pool, name, strlen(name));
	if (!n->name)
		return pool_exhausted(r->g->pool);
	err = connect(r, proto, n);
	if (!err)
		err = onnx_node_read(r->g, proto, r->opset, n);
	if (!err)
		r->g->nodes++;
	return err;
}

static bool is_ready(const struct reader *r, const Onnx__NodeProto *n, const bool *ready)
{
	for (size_t k = 0; k < n->n_input; k++) {
		uint32_t slot = n->input[k][0] ? *names_find(r->g, &r->names, n->input[k]) : 0;

		if (slot && r->node_of[slot - 1] && !ready[slot - 1])
			return false;
	}
	return true;
}

static int take_node(struct reader *r, const Onnx__NodeProto *n, bool *ready)
{
	for (size_t k = 0; k < n->n_output; k++)
		if (n->output[k][0])
			ready[*names_find(r->g, &r->names, n->output[k]) - 1] = true;
	return read_node(r, n);
}

/*
 * Nodes in an order in which each comes after those it needs, the file's order where that is one.
 * Each round takes, in file order, the nodes that have become ready; a sorted file needs one round.
 */
static int read_nodes(struct reader *r)
{
	size_t count = r->proto->n_node, done = 0, before;
	bool *taken = pool_alloc(r->g->pool, count + 1, sizeof(bool));
	bool *ready = pool_alloc(r->g->pool, r->g->tensors + 1, sizeof(bool));

	if (!taken || !ready)
		return pool_exhausted(r->g->pool);
	do {
		before = done;
		for (size_t i = 0; i < count; i++) {
			int err;

			if (taken[i] || !is_ready(r, r->proto->node[i], ready))
				continue;
			taken[i] = true;
			done++;
			err = take_node(r, r->proto->node[i], ready);
			if (err)
				return err;
		}
	} while (done != before && done < count);
	for (size_t i = 0; i < count; i++)
		if (!taken[i])
			return pool_error(
				r->g->pool, -EINVAL,
				"the node '%s' is part of a cycle or waits for one",
				text_or(r->proto->node[i]->name, r->proto->node[i]->output[0]));
	return 0;
}

static int read_outputs(struct reader *r)
{
	struct graph *g = r->g;

	if (!r->proto->n_output || r->proto->n_output > 16)
		return pool_error(g->pool, -EINVAL,
				  "the network has %zu outputs; 1 to 16 are taken",
				  r->proto->n_output);
	g->output = pool_alloc(g->pool, r->proto->n_output, sizeof(uint32_t));
	if (!g->output)
		return pool_exhausted(g->pool);
	for (size_t i = 0; i < r->proto->n_output; i++) {
		const char *name = text_or(r->proto->output[i]->name, "");
		uint32_t slot = *names_find(g, &r->names, name);

		if (!slot || !r->node_of[slot - 1])
			return pool_error(g->pool, -EINVAL, "no node makes the output '%s'", name);
		g->output[g->outputs++] = slot - 1;
	}
	return 0;
}

static int find_opset(const Onnx__ModelProto *model, struct pool *pool, int64_t *opset)
{
	*opset = 0;
	for (size_t i = 0; i < model->n_opset_import; i++) {
		const char *domain = text_or(model->opset_import[i]->domain, "ai.onnx");

		if (!strcmp(domain, "ai.onnx"))
			*opset = model->opset_import[i]->version;
	}
	if (*opset < ONNX_OPSET_MIN || *opset > ONNX_OPSET_MAX)
		return pool_error(
			pool, -EINVAL,
			"the network uses ONNX operator set %lld; %d to %d are understood",
			(long long)*opset, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
	return 0;
}

static int read_graph(struct pool *pool, const Onnx__ModelProto *model, struct graph **graph)
{
	struct reader r = {.proto = model->graph};
	size_t outputs = 0;
	int err;

	if (!r.proto || !r.proto->n_node || r.proto->n_node > NODES_MAX)
		return pool_error(pool, -EINVAL, "not a network: no nodes, or over %u", NODES_MAX);
	for (size_t i = 0; i < r.proto->n_node; i++)
		outputs += r.proto->node[i]->n_output;
	if (outputs + r.proto->n_initializer + r.proto->n_input > TENSORS_MAX)
		return pool_error(pool, -EINVAL, "the network has over %u tensors", TENSORS_MAX);
	err = find_opset(model, pool, &r.opset);
	if (err)
		return err;
	r.g = pool_alloc(pool, 1, sizeof(*r.g));
	r.node_of = pool_alloc(pool, outputs + r.proto->n_initializer + r.proto->n_input + 1,
			       sizeof(uint32_t));
	if (!r.g || !r.node_of)
		return pool_exhausted(pool);
	r.g->pool = pool;
	r.g->node = pool_alloc(pool, r.proto->n_node, sizeof(*r.g->node));
	if (!r.g->node)
		return pool_exhausted(pool);
	err = names_create(pool, outputs + r.proto->n_initializer + r.proto->n_input, &r.names);
	if (!err)
		err = check_operators(&r);
	if (!err)
		err = read_constants(&r);
	if (!err)
		err = read_inputs(&r);
	if (!err)
		err = define_outputs(&r);
	if (!err)
		err = read_nodes(&r);
	if (!err)
		err = read_outputs(&r);
	*graph = r.g;
	return err;
}

int onnx_parse(struct pool *pool, const uint8_t *data, size_t length, struct graph **graph)
{
	struct scan scan = {.at = data, .end = data + length};
	Onnx__ModelProto *model;
	int err;

	if (!length || !scan_message(&scan, &onnx__model_proto__descriptor, 0))
		return pool_error(
			pool, -EINVAL,
			"not an ONNX file, or a damaged one: its protobuf does not parse");
	model = onnx__model_proto__unpack(NULL, length, data);
	if (!model)
		return pool_error(
			pool, -EINVAL,
			"not an ONNX file, or a damaged one: its protobuf does not parse");
	err = read_graph(pool, model, graph);
	onnx__model_proto__free_unpacked(model, NULL);
	return err;
}

int onnx_read(struct pool *pool, const char *path, struct graph **graph)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = -1;
	int err = 0;

	if (!file)
		return pool_error(pool, -errno, "cannot open '%s': %s", path, strerror(errno));
	if (!fseek(file, 0, SEEK_END))
		size = ftell(file);
	if (size < 1 || size > (long)ONNX_FILE_MAX)
		err = pool_error(pool, size < 1 ? -EINVAL : -EFBIG,
				 "'%s' is no ONNX file: empty, not a file, or over %u MiB", path,
				 ONNX_FILE_MAX >> 20);
	if (!err && !(data = malloc((size_t)size)))
		err = pool_exhausted(pool);
	rewind(file);
	if (!err && fread(data, 1, (size_t)size, file) != (size_t)size)
		err = pool_error(pool, -EIO, "cannot read '%s'", path);
	if (!err)
		err = onnx_parse(pool, data, (size_t)size, graph);
	free(data);
	fclose(file);
	return err;
}
