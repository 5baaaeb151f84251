/* SPDX-License-Identifier: Apache-2.0 */
/* The float executor against the naive evaluation, before folding, after it, and equalised. */
#include "host/compile/equalise.h"
#include "tests/compile/cases.h"
#include "tests/compile/naive.h"
#include "tests/suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

struct loaded {
	struct pool *pool;
	struct graph *g;
	struct execute *e;
	char text[400];
};

static void load(struct loaded *l, const struct net *net, bool fold)
{
	size_t length;
	uint8_t *data = net_pack(net, &length);

	l->pool = pool_create((size_t)1 << 30, l->text, sizeof(l->text));
	ck_assert_msg(!onnx_parse(l->pool, data, length, &l->g) && !shape_infer(l->g) &&
			      (!fold || !fold_graph(l->g)) && !execute_create(l->g, &l->e),
		      "%s", l->text);
	free(data);
}

/* Largest difference of all outputs, relative to the largest value of each. */
static double difference(const struct loaded *l, const struct naive *n)
{
	double worst = 0;

	for (uint32_t k = 0; k < l->g->outputs; k++) {
		const struct graph_tensor *t = &l->g->tensor[l->g->output[k]];
		const struct naive_value *want = naive_output(n, k);
		const float *got = execute_values(l->e, l->g->output[k]);
		double top = 1e-3;

		ck_assert_uint_eq(t->count, want->count);
		ck_assert_int_eq((int)t->rank, want->rank);
		for (int i = 0; i < want->rank; i++)
			ck_assert_int_eq(t->dim[i], want->dim[i]);
		ck_assert_str_eq(t->name, want->name);
		for (size_t i = 0; i < want->count; i++)
			top = fmax(top, fabs(want->v[i]));
		for (size_t i = 0; i < want->count; i++)
			worst = fmax(worst, fabs((double)got[i] - want->v[i]) / top);
	}
	return worst;
}

static void image(const struct net *net, uint64_t seed, float *x)
{
	uint8_t *pixels = malloc(net_pixel_count(net));

	net_pixels(net, seed, pixels);
	net_floats(net, pixels, x);
	free(pixels);
}

START_TEST(operators)
{
	const struct net_case *c = &net_cases[_i];
	struct net net = c->build();
	float *x = malloc(net_pixel_count(&net) * sizeof(float));
	static struct naive naive;

	for (uint64_t seed = 1; seed < 4; seed++) {
		image(&net, seed, x);
		naive_run(&naive, net.model, x);
		for (int fold = 0; fold < 2; fold++) {
			struct loaded l;
			double d;

			load(&l, &net, fold);
			ck_assert_int_eq(execute_run(l.e, x), 0);
			d = difference(&l, &naive);
			ck_assert_msg(d < 3e-6, "%s%s, seed %d: differs by %g", c->name,
				      fold ? " folded" : "", (int)seed, d);
			pool_free(l.pool);
		}
		naive_free(&naive);
	}
	free(x);
	net_free(&net);
}
END_TEST

/* Folding must leave neither batch norms nor affine nodes behind a convolution. */
START_TEST(folding_leaves_nothing)
{
	struct net net = net_cases[4].build();
	struct loaded l;

	load(&l, &net, true);
	for (uint32_t i = 0; i < l.g->nodes; i++)
		ck_assert_msg(l.g->node[i].kind == GRAPH_CONV || l.g->node[i].kind == GRAPH_RELU,
			      "%s is left", graph_kind_name(l.g->node[i].kind));
	pool_free(l.pool);
	net_free(&net);
}
END_TEST

static void equalise(struct loaded *l, const struct net *net, float *x)
{
	struct calibrate *c;

	ck_assert_int_eq(calibrate_create(l->g, NULL, &c), 0);
	for (uint64_t seed = 10; seed < 14; seed++) {
		image(net, seed, x);
		ck_assert_int_eq(execute_run(l->e, x), 0);
		calibrate_add(c, l->e);
	}
	ck_assert_int_eq(equalise_graph(l->g, c), 0);
}

/* Scales move, outputs stay. */
START_TEST(equalisation_is_exact)
{
	const struct net_case *c = &net_cases[_i];
	struct net net = c->build();
	float *x = malloc(net_pixel_count(&net) * sizeof(float));
	static struct naive naive;
	struct loaded l;
	double d;

	load(&l, &net, true);
	equalise(&l, &net, x);
	image(&net, 3, x);
	naive_run(&naive, net.model, x);
	ck_assert_int_eq(execute_run(l.e, x), 0);
	d = difference(&l, &naive);
	ck_assert_msg(d < 1e-5, "%s: differs by %g", c->name, d);
	naive_free(&naive);
	pool_free(l.pool);
	free(x);
	net_free(&net);
}
END_TEST

/* A channel made a thousand times smaller is brought back among the others. */
START_TEST(equalisation_equalises)
{
	struct net net = net_template();
	Onnx__TensorProto *w = net.model->graph->initializer[3]; /* of the depthwise one */
	float *x = malloc(net_pixel_count(&net) * sizeof(float)), before, after;
	struct loaded l;
	size_t k = w->n_float_data / 16;

	for (size_t i = 0; i < k; i++)
		w->float_data[i] *= 1e-3f;
	net.model->graph->initializer[4]->float_data[0] *= 1e-3f;
	load(&l, &net, true);
	before = fabsf(l.g->tensor[l.g->node[2].input[1]].f[0]);
	equalise(&l, &net, x);
	after = fabsf(l.g->tensor[l.g->node[2].input[1]].f[0]);
	ck_assert_msg(after > 10 * before, "a weight went from %g to %g", (double)before,
		      (double)after);
	pool_free(l.pool);
	free(x);
	net_free(&net);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("float");
	TCase *t = tcase_create("float");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, operators, 0, (int)net_case_count);
	tcase_add_test(t, folding_leaves_nothing);
	tcase_add_loop_test(t, equalisation_is_exact, 0, (int)net_case_count);
	tcase_add_test(t, equalisation_equalises);
	suite_add_tcase(suite, t);
	return suite_run(suite);
}
