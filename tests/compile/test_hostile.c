/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are wrong, on purpose or by damage: one clear line, no crash, no output. */
#include "host/compile/compile.h"
#include "host/compile/execute.h"
#include "tests/compile/cases.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that happens to a file before samples are asked for, and one run if it is still legal. */
static int digest(const uint8_t *data, size_t length, char text[COMPILE_TEXT])
{
	struct pool *pool = pool_create((size_t)64 << 20, text, COMPILE_TEXT);
	struct execute *e;
	struct graph *g;
	int err = onnx_parse(pool, data, length, &g);

	if (!err)
		err = shape_infer(g);
	if (!err)
		err = fold_graph(g);
	if (!err)
		err = execute_create(g, &e);
	for (uint32_t i = 0; !err && i < g->nodes; i++)
		if (execute_macs(g, &g->node[i]) > 1000000)
			err = -EFBIG;
	if (!err) {
		float *x = calloc(g->tensor[g->input].count, sizeof(float));

		err = execute_run(e, x);
		free(x);
	}
	pool_free(pool);
	return err;
}

/* The network must be refused with that error and a line that holds both words. */
static void refused(struct net net, int want, const char *word, const char *other)
{
	char text[COMPILE_TEXT];
	size_t length;
	uint8_t *data = net_pack(&net, &length);
	int err = digest(data, length, text);

	ck_assert_msg(err == want && strstr(text, word) && strstr(text, other),
		      "error %d, '%s' (wanted %d, '%s', '%s')", err, text, want, word, other);
	ck_assert_ptr_null(strchr(text, '\n'));
	free(data);
	net_free(&net);
}

static struct net one_conv(void)
{
	struct net net = net_create(9, 3, 8, 8);
	Onnx__NodeProto *n = net_node(&net, "Conv", "x w b", "y");

	net_weights(&net, "w", -1, 1, 4, 3, 3, 3, 0);
	net_weights(&net, "b", -1, 1, 4, 0);
	node_ints(n, "pads", 4, 1, 1, 1, 1);
	net_output(&net, "y");
	return net;
}

static struct net with_node(const char *type, const char *inputs, const char *attribute, int a,
			    int b)
{
	struct net net = one_conv();
	Onnx__NodeProto *n = net_node(&net, type, inputs, "z");

	if (attribute)
		node_ints(n, attribute, 2, a, b);
	net_output(&net, "z");
	return net;
}

START_TEST(operators)
{
	struct net net = one_conv();

	net_node(&net, "LSTM", "y", "a");
	net_node(&net, "Frobnicate", "a", "b");
	net_node(&net, "LSTM", "b", "c");
	net_node(&net, "Relu", "c", "d")->domain = strdup("com.example");
	refused(net, -ENOTSUP, "LSTM, Frobnicate, Relu", "not supported");
	net = one_conv();
	for (int i = 0; i < 100; i++) {
		char type[32];

		sprintf(type, "Unheard-of-%d", i);
		net_node(&net, type, "y", type);
	}
	refused(net, -ENOTSUP, "Unheard-of-0, Unheard-of-1", "and more");
}
END_TEST

START_TEST(edges)
{
	struct net net = one_conv();

	net_node(&net, "Add", "q y", "p");
	net_node(&net, "Relu", "p", "q");
	refused(net, -EINVAL, "Add_p", "cycle");
	net = one_conv();
	net_node(&net, "Relu", "z", "z");
	refused(net, -EINVAL, "Relu_z", "cycle");
	refused(with_node("Add", "y nowhere", NULL, 0, 0), -EINVAL, "Add_z",
		"'nowhere', which is missing");
	net = one_conv();
	net_node(&net, "Relu", "y", "y");
	refused(net, -EINVAL, "'y'", "twice");
	net = one_conv();
	net_output(&net, "w");
	refused(net, -EINVAL, "no node makes", "'w'");
	net = one_conv();
	free(net.model->graph->initializer[0]->name);
	net.model->graph->initializer[0]->name = strdup("other");
	refused(net, -EINVAL, "Conv_y", "'w', which is missing");
	refused(with_node("Conv", "y - b", NULL, 0, 0), -EINVAL, "Conv_z", "left out");
	refused(with_node("Relu", "y y", NULL, 0, 0), -EINVAL, "Relu_z", "too few or too many");
}
END_TEST

/* A node may stand before those it needs. */
START_TEST(any_order)
{
	struct net net = one_conv();
	Onnx__NodeProto **node = net.model->graph->node, *first = node[0];
	char text[COMPILE_TEXT];
	uint8_t *data;
	size_t length;

	net_node(&net, "Relu", "y", "z");
	net_output(&net, "z");
	node = net.model->graph->node;
	node[0] = node[1];
	node[1] = first;
	data = net_pack(&net, &length);
	ck_assert_msg(!digest(data, length, text), "%s", text);
	free(data);
	net_free(&net);
}
END_TEST

START_TEST(shapes)
{
	struct net net = one_conv();

	net.model->graph->initializer[0]->dims[0] = -4;
	refused(net, -EINVAL, "'w'", "impossible shape");
	net = one_conv();
	net.model->graph->initializer[0]->dims[1] = INT64_C(1) << 61;
	refused(net, -EINVAL, "'w'", "impossible shape");
	net = one_conv();
	net.model->graph->initializer[0]->dims[0] = 8;
	refused(net, -EINVAL, "'w'", "not as many values");
	net = one_conv();
	net.model->graph->initializer[0]->dims[0] = 3;
	net.model->graph->initializer[0]->dims[1] = 4;
	refused(net, -EINVAL, "Conv_y", "do not fit together");
	net = one_conv();
	net.model->graph->input[0]->type->tensor_type->shape->dim[2]->dim_value = -1;
	refused(net, -EINVAL, "'x'", "must be stated");
	net = one_conv();
	net.model->graph->input[0]->type->tensor_type->shape->dim[0]->dim_value = 2;
	refused(net, -EINVAL, "'x'", "must be stated");
	net = one_conv();
	net.model->graph->input[0]->type->tensor_type->shape->dim[3]->dim_value = 2000000000;
	refused(net, -EINVAL, "'x'", "must be stated");
	refused(with_node("Transpose", "y", "perm", 0, 0), -EINVAL, "Transpose_z", "permutation");
	refused(with_node("MaxPool", "y", "kernel_shape", 9, 9), -EINVAL, "MaxPool_z",
		"larger than");
	refused(with_node("MaxPool", "y", "kernel_shape", -1, 2), -EINVAL, "MaxPool_z",
		"0 to 4096");
	refused(with_node("Unsqueeze", "y", "axes", 2, 9), -EINVAL, "Unsqueeze_z", "axes");
	net = with_node("Reshape", "y s", NULL, 0, 0);
	net_ints(&net, "s", 2, -1, -1);
	refused(net, -EINVAL, "Reshape_z", "does not fit");
	net = with_node("Reshape", "y s", NULL, 0, 0);
	net_ints(&net, "s", 2, 3, 5);
	refused(net, -EINVAL, "Reshape_z", "does not fit");
	net = with_node("Gather", "y s", NULL, 0, 0);
	net_ints(&net, "s", 1, 77);
	refused(net, -EINVAL, "Gather_z", "outside");
	net = with_node("Pad", "y s", NULL, 0, 0);
	net_ints(&net, "s", 8, 0, 0, 0, 60000, 0, 0, 60000, 0);
	refused(net, -EINVAL, "Pad_z", "huge");
	net = with_node("Split", "y s", NULL, 0, 0);
	net_ints(&net, "s", 1, 5);
	refused(net, -EINVAL, "Split_z", "add up");
}
END_TEST

START_TEST(values)
{
	struct net net = one_conv();

	net.model->graph->initializer[0]->float_data[5] = __builtin_nanf("");
	refused(net, -EINVAL, "'w'", "not finite");
	net = one_conv();
	net.model->graph->initializer[1]->has_data_location = 1;
	net.model->graph->initializer[1]->data_location = 1;
	refused(net, -EINVAL, "'b'", "another file");
	net = one_conv();
	net.model->graph->initializer[1]->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
	refused(net, -EINVAL, "'b'", "data type 8");
	net = one_conv();
	net.model->opset_import[0]->version = 99;
	refused(net, -EINVAL, "operator set 99", "7 to");
	net = with_node("Div", "y zero", NULL, 0, 0);
	net_scalar(&net, "zero", 0);
	refused(net, -EINVAL, "Div_z", "zero");
	net = one_conv();
	net_ints(&net, "i", 1, 7);
	net_node(&net, "Relu", "i", "j");
	refused(net, -EINVAL, "Relu_j", "cannot be evaluated");
	net = one_conv();
	net_ints(&net, "i", 1, -9);
	net_ints(&net, "k", 1, 0);
	net_node(&net, "Div", "i k", "j");
	refused(net, -EINVAL, "Div_j", "cannot be evaluated");
	net = one_conv();
	free(net.model->graph->node[0]->name);
	net.model->graph->node[0]->name = strdup("two\nlines\x1b[2J");
	net.model->graph->initializer[0]->n_dims--;
	refused(net, -EINVAL, "'w'", "");
}
END_TEST

/* Halves, raw bytes and doubles are weights too. */
START_TEST(number_formats)
{
	struct net net = one_conv();
	Onnx__TensorProto *b = net.model->graph->initializer[1];
	char text[COMPILE_TEXT];
	uint8_t *data;
	size_t length;

	b->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
	b->n_float_data = 0;
	free(b->float_data);
	b->float_data = NULL;
	b->has_raw_data = 1;
	b->raw_data.len = 8;
	b->raw_data.data = malloc(8);
	memcpy(b->raw_data.data, "\x00\x3c\x00\xc0\x00\x38\x01\x00", 8); /* 1, -2, 0.5, 2^-24 */
	data = net_pack(&net, &length);
	{
		const float want[4] = {1, -2, 0.5f, 0x1p-24f};
		struct pool *pool = pool_create((size_t)1 << 30, text, sizeof(text));
		struct graph *g;

		ck_assert_msg(!onnx_parse(pool, data, length, &g), "%s", text);
		ck_assert(!memcmp(g->tensor[1].f, want, sizeof(want)));
		pool_free(pool);
	}
	free(data);
	b->raw_data.len = 7;
	refused(net, -EINVAL, "'b'", "not as many values");
}
END_TEST

START_TEST(truncated)
{
	struct net net = net_cases[_i].build();
	char text[COMPILE_TEXT];
	size_t length;
	uint8_t *data = net_pack(&net, &length);

	for (size_t n = 0; n < length; n += 1 + n / 200) {
		uint8_t *part = malloc(n + 1); /* of this size, so that a read past it is seen */

		memcpy(part, data, n);
		part = realloc(part, n ? n : 1);
		if (digest(part, n, text))
			ck_assert_msg(text[0], "no line for %zu bytes", n);
		free(part);
	}
	free(data);
	net_free(&net);
}
END_TEST

static int two_samples(void *context, uint32_t index, const struct compile_input *input,
		       uint8_t *pixels)
{
	net_pixels(context, index + 1, pixels);
	(void)input;
	return index < 2;
}

/* The rest of the compiler, for a damaged file that is still a network. */
static void compile_all(struct net *net, const uint8_t *data, size_t length)
{
	char text[COMPILE_TEXT], *path = net_write(net);
	struct compile_options o = {.network = path, .sample = two_samples, .sample_context = net};
	struct compile_report *report;
	struct compile_input input;
	FILE *f = fopen(path, "wb");
	int err;

	ck_assert(f && fwrite(data, 1, length, f) == length && !fclose(f));
	ck_assert_msg(!compile_inspect(path, &input, text), "%s", text);
	if ((size_t)input.width * input.height * input.channels == net_pixel_count(net)) {
		err = compile_network(&o, &report, text);
		ck_assert_msg(!err || text[0], "%d without a line", err);
		compile_report_free(report);
	}
	net_unlink(path);
}

START_TEST(bytes_flipped)
{
	struct net net = net_cases[_i].build();
	uint64_t state = (uint64_t)_i * 1000003 + 17;
	char text[COMPILE_TEXT];
	size_t length;
	uint8_t *data = net_pack(&net, &length);

	for (int round = 0; round < 400; round++) {
		uint8_t *copy = malloc(length);
		int flips = 1 + round % 3, err;

		memcpy(copy, data, length);
		while (flips--)
			copy[(size_t)net_random(&state, 0, (double)length)] ^=
				(uint8_t)(1u << (int)net_random(&state, 0, 8));
		err = digest(copy, length, text);
		ck_assert_msg(!err || err == -EFBIG || text[0], "round %d: %d without a line",
			      round, err);
		if (!err && round % 8 == 0)
			compile_all(&net, copy, length);
		free(copy);
	}
	free(data);
	net_free(&net);
}
END_TEST

/* Messages inside messages, and a file of nothing but fields. */
START_TEST(nested)
{
	size_t depth = 4000, length = 0, room = depth * 8;
	uint8_t *data = malloc(room), *at = data + room;
	char text[COMPILE_TEXT];

	/* graph (7) { node (1) { attribute (5) { g (6) { node ... */
	for (size_t i = 0; i < depth; i++) {
		static const uint8_t key[3] = {1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2};
		size_t n = length;

		do {
			*--at = (uint8_t)(n < 128 ? n : 0);
			n = 0;
		} while (n);
		*--at = key[2 - i % 3];
		length = (size_t)(data + room - at);
		if (length > 100)
			break;
	}
	*--at = (uint8_t)length;
	*--at = 7 << 3 | 2;
	ck_assert_int_eq(digest(at, (size_t)(data + room - at), text), -EINVAL);
	memset(data, 0x08, room);
	ck_assert_int_eq(digest(data, room, text), -EINVAL);
	free(data);
}
END_TEST

static int no_sample(void *context, uint32_t index, const struct compile_input *input,
		     uint8_t *pixels)
{
	(void)index;
	(void)input;
	(void)pixels;
	return *(int *)context;
}

START_TEST(options)
{
	struct net net = one_conv();
	char text[COMPILE_TEXT], *path = net_write(&net);
	int answer = 0;
	struct compile_options o = {
		.network = path, .sample = no_sample, .sample_context = &answer};
	struct compile_report *report;
	struct compile_input input;

	ck_assert_int_eq(compile_network(&o, &report, text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "no calibration samples"));
	answer = -EIO;
	ck_assert_int_eq(compile_network(&o, &report, text), -EIO);
	o.percentile = 20;
	ck_assert_int_eq(compile_network(&o, &report, text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "percentile"));
	o.percentile = 0;
	o.scale[0] = -1;
	ck_assert_int_eq(compile_network(&o, &report, text), -EINVAL);
	o.network = "/nonexistent/net.onnx";
	ck_assert_int_eq(compile_network(&o, &report, text), -ENOENT);
	ck_assert_ptr_nonnull(strstr(text, "/nonexistent/net.onnx"));
	ck_assert_ptr_null(report);
	ck_assert_int_eq(compile_inspect(path, &input, text), 0);
	ck_assert(input.width == 8 && input.height == 8 && input.channels == 3);
	ck_assert_int_lt(compile_inspect("/", &input, text), 0);
	net_unlink(path);
	net_free(&net);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *t = tcase_create("hostile");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, operators);
	tcase_add_test(t, edges);
	tcase_add_test(t, any_order);
	tcase_add_test(t, shapes);
	tcase_add_test(t, values);
	tcase_add_test(t, number_formats);
	tcase_add_loop_test(t, truncated, 0, (int)net_case_count);
	tcase_add_loop_test(t, bytes_flipped, 0, (int)net_case_count);
	tcase_add_test(t, nested);
	tcase_add_test(t, options);
	suite_add_tcase(suite, t);
	return suite_run(suite);
}
