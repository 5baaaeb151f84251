/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled networks, run by kernels/ref/, against the naive evaluation of the float network. */
#include "host/compile/compile.h"
#include "tests/compile/cases.h"
#include "tests/compile/int8.h"
#include "tests/compile/naive.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct source {
	const struct net *net;
	uint32_t count;
	bool all_the_same;
	uint32_t asked;
};

static int sample(void *context, uint32_t index, const struct compile_input *input, uint8_t *pixels)
{
	struct source *s = context;

	ck_assert_uint_eq(index, s->asked++);
	ck_assert_uint_eq(input->width * input->height * input->channels, net_pixel_count(s->net));
	if (index == s->count)
		return 0;
	net_pixels(s->net, s->all_the_same ? 1 : 100 + index, pixels);
	return 1;
}

struct compiled {
	char *onnx, fct[80], text[COMPILE_TEXT];
	struct compile_report *report;
	int err;
};

/* Compiles; the output lies beside the network. Options may be NULL. */
static struct compiled compile(const struct net *net, const struct compile_options *options,
			       bool all_the_same)
{
	struct source source = {.net = net, .count = 24, .all_the_same = all_the_same};
	struct compile_options o =
		options ? *options : (struct compile_options){.not_template = true};
	struct compiled c = {.onnx = net_write(net)};

	snprintf(c.fct, sizeof(c.fct), "%s.fct", c.onnx);
	o.network = c.onnx;
	o.output = c.fct;
	o.sample = sample;
	o.sample_context = &source;
	c.err = compile_network(&o, &c.report, c.text);
	return c;
}

static void discard(struct compiled *c)
{
	compile_report_free(c->report);
	unlink(c->fct);
	net_unlink(c->onnx);
}

static double sqnr(struct int8_net *int8, const struct naive *naive, uint32_t output)
{
	const struct naive_value *want = naive_output(naive, output);
	const float *got = int8->value[int8->graph->outputs[output]];
	double signal = 0, noise = 1e-30;

	ck_assert_str_eq(int8->graph->tensors[int8->graph->outputs[output]]->name, want->name);
	ck_assert_uint_eq(int8_count(int8, int8->graph->outputs[output]), want->count);
	for (size_t i = 0; i < want->count; i++) {
		double d = (double)got[i] - want->v[i];

		signal += want->v[i] * want->v[i];
		noise += d * d;
	}
	return 10 * log10(signal / noise);
}

static void compare(const char *name, const struct net *net, const char *fct, double least)
{
	uint8_t *pixels = malloc(net_pixel_count(net));
	float *x = malloc(net_pixel_count(net) * sizeof(float));
	static struct naive naive;
	struct int8_net int8;

	int8_open(&int8, fct);
	for (uint64_t seed = 1; seed < 4; seed++) {
		net_pixels(net, seed, pixels);
		net_floats(net, pixels, x);
		naive_run(&naive, net->model, x);
		int8_run(&int8, pixels);
		for (uint32_t k = 0; k < net->model->graph->n_output; k++) {
			double got = sqnr(&int8, &naive, k);

			ck_assert_msg(got > least, "%s, output %u, seed %d: %.1f dB", name, k,
				      (int)seed, got);
		}
		int8_run_arena(&int8, pixels);
		naive_free(&naive);
	}
	int8_close(&int8);
	free(x);
	free(pixels);
}

START_TEST(operators)
{
	const struct net_case *k = &net_cases[_i];
	struct net net = k->build();
	struct compiled c = compile(&net, NULL, false);

	if (k->sqnr > 0) {
		ck_assert_msg(!c.err, "%s: %s", k->name, c.text);
		compare(k->name, &net, c.fct, k->sqnr);
	} else {
		ck_assert_int_eq(c.err, -ENOTSUP);
		ck_assert_ptr_null(c.report);
		ck_assert(strlen(c.text) > 0 && access(c.fct, F_OK));
	}
	discard(&c);
	net_free(&net);
}
END_TEST

static size_t read_all(const char *path, uint8_t **data)
{
	struct int8_net net;
	size_t length;

	int8_open(&net, path);
	length = net.length;
	*data = malloc(length);
	memcpy(*data, net.file, length);
	int8_close(&net);
	return length;
}

START_TEST(same_input_same_bytes)
{
	struct net net = net_cases[_i].build();
	struct compiled a = compile(&net, NULL, false), b = compile(&net, NULL, false);
	uint8_t *da, *db;
	size_t la, lb;

	ck_assert(!a.err && !b.err);
	la = read_all(a.fct, &da);
	lb = read_all(b.fct, &db);
	ck_assert_uint_eq(la, lb);
	ck_assert(!memcmp(da, db, la));
	ck_assert(!memcmp(a.report->digest, b.report->digest, 32));
	ck_assert_uint_eq(a.report->file_bytes, la);
	free(da);
	free(db);
	discard(&a);
	discard(&b);
	net_free(&net);
}
END_TEST

START_TEST(a_template_network)
{
	struct net net = net_template();
	struct compile_options options = {.name = "thirty-two"};
	struct compiled c = compile(&net, &options, false);
	const struct compile_report *r = c.report;
	struct int8_net int8;
	uint64_t macs = 0;

	ck_assert_msg(!c.err, "%s", c.text);
	ck_assert(r->is_template && r->dim == 32 && r->outputs == 1 && r->samples == 24);
	ck_assert_str_eq(r->name, "thirty-two");
	ck_assert(r->input.width == 16 && r->input.height == 16 && r->input.channels == 3);
	ck_assert(r->cosine > 0.998 && r->centred_cosine > 0.99 && r->spread < 0.9);
	for (uint32_t i = 0; i < r->layers; i++) {
		macs += r->layer[i].macs;
		ck_assert_msg(r->layer[i].sqnr > 25, "%s: %.1f dB", r->layer[i].name,
			      r->layer[i].sqnr);
	}
	/* 16x16 times (3*3*3*16 + 9*16 + 16*16 + 16*16 + 16), and 16*32 */
	ck_assert_uint_eq(macs, 256 * (432 + 144 + 256 + 256 + 16) + 512);
	ck_assert_uint_eq(macs, r->macs);
	int8_open(&int8, c.fct);
	ck_assert(int8.graph->template_ && int8.graph->macs == macs);
	ck_assert_str_eq(int8.graph->name, "thirty-two");
	ck_assert_uint_eq(int8.graph->tensors[int8.graph->outputs[0]]->n_shape, 1);
	ck_assert(!memcmp(int8.graph->space_digest.data, r->space_digest, 32));
	ck_assert(fabs((double)int8.graph->cosine_to_float - r->centred_cosine) < 1e-6);
	ck_assert(int8.graph->preprocess->width == 16 && int8.graph->preprocess->n_mean == 3 &&
		  int8.graph->preprocess->mean[2] == 127 &&
		  int8.graph->preprocess->scale[0] == 128);
	int8_close(&int8);
	discard(&c);
	net_free(&net);
}
END_TEST

/* The residual, the activations: none of them is an op of its own. */
START_TEST(fusion)
{
	struct net net = net_template();
	struct compiled c = compile(&net, NULL, false);
	uint32_t convs = 0, others = 0;

	ck_assert(!c.err);
	for (uint32_t i = 0; i < c.report->layers; i++) {
		convs += !strcmp(c.report->layer[i].kind, "conv2d");
		others += !!strcmp(c.report->layer[i].kind, "conv2d");
	}
	ck_assert_uint_eq(convs, 6);
	ck_assert_uint_eq(others, 2); /* the image's table, the last shape */
	discard(&c);
	net_free(&net);
}
END_TEST

/* Equalisation must help where one channel is far below the others. */
START_TEST(equalisation_helps)
{
	struct net net = net_template();
	Onnx__GraphProto *g = net.model->graph;
	struct compiled with, without;

	/* Channel i of the depthwise layer is made 2^-i as large, and its weights after it 2^i. */
	for (size_t i = 0; i < 16; i++) {
		for (size_t k = 0; k < 9; k++)
			g->initializer[3]->float_data[i * 9 + k] *= exp2f(-(float)i / 2);
		g->initializer[4]->float_data[i] *= exp2f(-(float)i / 2);
		for (size_t k = 0; k < 16; k++)
			g->initializer[5]->float_data[k * 16 + i] *= exp2f((float)i / 2);
	}
	with = compile(&net, NULL, false);
	without = compile(
		&net, &(struct compile_options){.no_equalise = true, .not_template = true}, false);
	ck_assert_msg(!with.err && !without.err, "%s%s", with.text, without.text);
	ck_assert_msg(1 - with.report->centred_cosine < (1 - without.report->centred_cosine) / 3,
		      "cosine %.5f with, %.5f without", with.report->centred_cosine,
		      without.report->centred_cosine);
	discard(&with);
	discard(&without);
	net_free(&net);
}
END_TEST

/* Other preprocessing: exact in the table, part of the space, near the float network. */
START_TEST(preprocessing)
{
	struct net net = net_template();
	struct compile_options options = {.mean = {122.8f, 117, 104.3f}, .scale = {255, 255, 200}};
	struct compiled plain = compile(&net, &(struct compile_options){.name = "a"}, false);
	struct compiled other = compile(&net, &options, false);

	ck_assert_msg(!plain.err && !other.err, "%s%s", plain.text, other.text);
	ck_assert(memcmp(plain.report->space_digest, other.report->space_digest, 32));
	ck_assert_msg(other.report->centred_cosine > 0.99, "%.4f", other.report->centred_cosine);
	options.mean[0] = options.mean[1] = options.mean[2] = 127.5f;
	options.scale[0] = options.scale[1] = options.scale[2] = 128;
	discard(&other);
	other = compile(&net, &options, false);
	ck_assert_msg(other.report->centred_cosine > 0.99, "%.4f", other.report->centred_cosine);
	discard(&plain);
	discard(&other);
	net_free(&net);
}
END_TEST

START_TEST(collapse_is_refused)
{
	struct net net = net_template();
	struct compiled c = compile(&net, &(struct compile_options){0}, true);

	ck_assert_int_eq(c.err, -ERANGE);
	ck_assert_ptr_nonnull(strstr(c.text, "nearly the same template"));
	ck_assert(access(c.fct, F_OK));
	discard(&c);
	c = compile(&net, &(struct compile_options){.allow_collapse = true}, true);
	ck_assert_int_eq(c.err, 0);
	discard(&c);
	net_free(&net);
}
END_TEST

static int stop(void *context, const char *what, uint32_t at, uint32_t total)
{
	ck_assert(what[0] && at <= total);
	return --*(int *)context == 0;
}

START_TEST(stops_when_told)
{
	struct net net = net_template();
	int left = 30;
	struct compile_options options = {.progress = stop, .progress_context = &left};
	struct compiled c = compile(&net, &options, false);

	ck_assert_int_eq(c.err, -ECANCELED);
	ck_assert(access(c.fct, F_OK));
	discard(&c);
	net_free(&net);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("int8");
	TCase *t = tcase_create("int8");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, operators, 0, (int)net_case_count);
	tcase_add_loop_test(t, same_input_same_bytes, 0, 7);
	tcase_add_test(t, a_template_network);
	tcase_add_test(t, fusion);
	tcase_add_test(t, equalisation_helps);
	tcase_add_test(t, preprocessing);
	tcase_add_test(t, collapse_is_refused);
	tcase_add_test(t, stops_when_told);
	suite_add_tcase(suite, t);
	return suite_run(suite);
}
