/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, and their text. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/metrics.h"
#include "tests/daemon/promtext.h"
#include "tests/suite.h"

static struct metrics *metrics;
static struct metrics_tenant *gate, *lab;
static char *text;

static const char *name_of(uint32_t op)
{
	return op == 10 ? "echo" : op == 19 ? "search" : NULL;
}

static void setup(void)
{
	metrics = calloc(1, sizeof(*metrics));
	gate = calloc(1, sizeof(*gate));
	lab = calloc(1, sizeof(*lab));
	text = NULL;
}

static void teardown(void)
{
	metrics_tenant_clear(gate);
	metrics_tenant_clear(lab);
	free(gate);
	free(lab);
	free(metrics);
	free(text);
}

/* The text, which must be legal whatever is in it. */
static void print(void)
{
	const struct metrics_row rows[] = {{"gate", gate}, {"lab", lab}};
	size_t bytes = 0;
	FILE *out;
	const char *error;

	free(text);
	text = NULL;
	out = open_memstream(&text, &bytes);
	metrics_print(metrics, rows, 2, name_of, out);
	fclose(out);
	error = prom_check(text);
	ck_assert_msg(!error, "%s", error);
}

static bool has(const char *line)
{
	size_t n = strlen(line);

	for (const char *s = strstr(text, line); s; s = strstr(s + 1, line))
		if ((s == text || s[-1] == '\n') && s[n] == '\n')
			return true;
	return false;
}

START_TEST(test_nothing_counted_is_legal)
{
	print();
	ck_assert(has("facet_connections_total 0"));
	ck_assert(has("facet_peers_dropped_total{cause=\"tenant\"} 0"));
}
END_TEST

START_TEST(test_requests_by_tenant_op_and_code)
{
	metrics_request(gate, 10, 0);
	metrics_request(gate, 10, 7);
	metrics_request(gate, 19, 7);
	metrics_request(lab, 10, 0);
	metrics_request(lab, 10, 0);
	metrics_request(lab, 11, 0); /* no such op */
	gate->refused[QUOTA_RATE] = 5;
	print();
	ck_assert(has("facet_requests_total{tenant=\"gate\",op=\"echo\",code=\"ok\"} 1"));
	ck_assert(has("facet_requests_total{tenant=\"lab\",op=\"echo\",code=\"ok\"} 2"));
	ck_assert(has("facet_errors_total{tenant=\"gate\",cause=\"overloaded\"} 2"));
	ck_assert(has("facet_refused_total{tenant=\"gate\",quota=\"rate\"} 5"));
	ck_assert_ptr_null(strstr(text, "facet_errors_total{tenant=\"lab\""));
}
END_TEST

START_TEST(test_latency_buckets)
{
	metrics_latency(gate, 10, STAGE_TOTAL, 1000);
	metrics_latency(gate, 10, STAGE_TOTAL, 1001);
	metrics_latency(gate, 10, STAGE_TOTAL, 3600ull * 1000000000);
	metrics_latency(gate, 10, STAGE_WAIT, 0);
	print();
#define ECHO "facet_latency_seconds_bucket{tenant=\"gate\",op=\"echo\",stage="
	ck_assert(has(ECHO "\"total\",le=\"0.000001\"} 1"));
	ck_assert(has(ECHO "\"total\",le=\"0.000002\"} 2"));
	ck_assert(has(ECHO "\"total\",le=\"16.777216\"} 2"));
	ck_assert(has(ECHO "\"total\",le=\"+Inf\"} 3"));
	ck_assert(has(ECHO "\"wait\",le=\"0.000001\"} 1"));
	ck_assert_ptr_null(strstr(text, "stage=\"queue\""));
	ck_assert(
		has("facet_latency_seconds_count{tenant=\"gate\",op=\"echo\",stage=\"total\"} 3"));
}
END_TEST

START_TEST(test_batches)
{
	metrics_batch(metrics, 1);
	metrics_batch(metrics, 12);
	metrics_batch(metrics, 16);
	metrics_batch(metrics, 17);
	print();
	ck_assert(has("facet_batch_queries_bucket{le=\"1\"} 1"));
	ck_assert(has("facet_batch_queries_bucket{le=\"8\"} 1"));
	ck_assert(has("facet_batch_queries_bucket{le=\"16\"} 3"));
	ck_assert(has("facet_batch_queries_bucket{le=\"32\"} 4"));
	ck_assert(has("facet_batch_queries_sum 46"));
}
END_TEST

START_TEST(test_devices_by_name)
{
	struct metrics_device *cpu = metrics_device(metrics, "cpu0", "cpu");
	struct metrics_device *board = metrics_device(metrics, "board", "xrt");

	ck_assert_ptr_ne(cpu, board);
	ck_assert_ptr_eq(metrics_device(metrics, "cpu0", "cpu"), cpu);
	metrics_slice(cpu, 12, 5000000, 0);
	metrics_slice(cpu, 1, 1000000, -EIO);
	metrics_slice(board, 256, 0, -ETIMEDOUT);
	metrics_slice(board, 1, 0, -ECANCELED);
	metrics_slice(NULL, 1, 0, 0);
	metrics_share(gate, cpu, 4000000);
	metrics_share(lab, board, 1000000);
	metrics_share(NULL, cpu, 1);
	metrics_share(gate, NULL, 1);
	board->state = METRICS_SUSPECT;
	board->checks[CHECK_SUMS] += 9;
	board->mismatches[CHECK_RECOMPUTED]++;
	board->check_ns[CHECK_SUMS] += 1500;
	board->up_bytes += 77;
	board->direct_bytes = 70;
	print();
	ck_assert(has("facet_device_slices_total{device=\"cpu0\"} 2"));
	ck_assert(has("facet_device_units_total{device=\"cpu0\"} 13"));
	ck_assert(has("facet_device_busy_seconds_total{device=\"cpu0\"} 0.006000000"));
	ck_assert(has("facet_device_failed_total{device=\"cpu0\"} 1"));
	ck_assert(has("facet_device_failed_total{device=\"board\"} 0"));
	ck_assert(has("facet_device_timeouts_total{device=\"board\"} 1"));
	ck_assert(has("facet_device_cancelled_total{device=\"board\"} 1"));
	ck_assert(has("facet_slice_units_bucket{device=\"cpu0\",le=\"8\"} 1"));
	ck_assert(has("facet_slice_units_bucket{device=\"cpu0\",le=\"16\"} 2"));
	ck_assert(has("facet_slice_units_bucket{device=\"board\",le=\"256\"} 2"));
	ck_assert(has("facet_slice_seconds_count{device=\"cpu0\"} 2"));
	ck_assert(has("facet_tenant_device_seconds_total{tenant=\"gate\",device=\"cpu0\"} "
		      "0.004000000"));
	ck_assert(has("facet_device_state{device=\"board\",state=\"suspect\"} 1"));
	ck_assert(has("facet_device_state{device=\"board\",state=\"ok\"} 0"));
	ck_assert(has("facet_checks_total{device=\"board\",method=\"sums\"} 9"));
	ck_assert(has("facet_checks_total{device=\"board\",method=\"recomputed\"} 0"));
	ck_assert(has("facet_mismatches_total{device=\"board\",method=\"recomputed\"} 1"));
	ck_assert(has("facet_check_seconds_total{device=\"board\",method=\"sums\"} 0.000001500"));
	ck_assert(has("facet_device_bytes_total{device=\"board\",direction=\"up\"} 77"));
	ck_assert(has("facet_device_bytes_total{device=\"board\",direction=\"direct\"} 70"));
}
END_TEST

START_TEST(test_devices_have_a_bound)
{
	struct metrics_device *device = NULL;
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		device = metrics_device(metrics, name, "fault");
		device->resets++;
	}
	ck_assert_ptr_eq(device, &metrics->devices[METRICS_DEVICES - 1]);
	ck_assert_ptr_eq(metrics_device(metrics, "d5", "fault"), &metrics->devices[5]);
	print();
	ck_assert(has("facet_device_resets_total{device=\"d31\"} 1"));
	ck_assert(has("facet_device_resets_total{device=\"other\"} 68"));
}
END_TEST

START_TEST(test_layers_come_and_go)
{
	struct metrics_layer *l = metrics_layer(metrics, "feature", 3, "conv2d");

	l->checked += 2;
	l->checks_ns += 500;
	ck_assert_ptr_eq(metrics_layer(metrics, "feature", 3, "conv2d"), l);
	ck_assert_ptr_ne(metrics_layer(metrics, "feature", 4, "gemm"), l);
	print();
	ck_assert(has("facet_layer_checked_total{model=\"feature\",layer=\"3\",op=\"conv2d\"} 2"));
	ck_assert(has("facet_layer_check_seconds_total{model=\"feature\",layer=\"3\",op=\"conv2d\"}"
		      " 0.000000500"));
	metrics_layers_drop(metrics, "feature");
	print();
	ck_assert_ptr_null(strstr(text, "feature"));
	ck_assert_ptr_eq(metrics_layer(metrics, "other-model", 0, "gemm"), l);
	ck_assert_uint_eq(l->checked, 0);
	for (uint32_t i = 0; i < 2 * METRICS_LAYERS; i++)
		metrics_layer(metrics, "deep", i, "gemm")->checked++;
	print();
	ck_assert_ptr_nonnull(
		strstr(text, "facet_layer_checked_total{model=\"other\",layer=\"0\""));
}
END_TEST

/* Whatever a name holds, the text stays legal. */
START_TEST(test_names_cannot_break_the_text)
{
	metrics_device(metrics, "a\"b\\c\nd\x80", "ki\"nd")->resets++;
	metrics_layer(metrics, "m\"\n", 1, "\\")->checked++;
	print();
	ck_assert(has("facet_device_resets_total{device=\"a_b_c_d_\"} 1"));
}
END_TEST

/* The judge itself. */
static const struct {
	const char *text;
	bool legal;
} judged[] = {
	{"# TYPE a gauge\na 1\n", true},
	{"# TYPE a gauge\na{x=\"1\",y=\"\\\"\"} -1.5e3\n", true},
	{"# TYPE a gauge\na 1", false},
	{"a 1\n", false},
	{"# TYPE a gauge\nb 1\n", false},
	{"# TYPE a gauge\na 1\na 1\n", false},
	{"# TYPE a gauge\na 1\n# TYPE a gauge\n", false},
	{"# TYPE a counter\na 1\n", false},
	{"# TYPE a_total counter\na_total -1\n", false},
	{"# TYPE a gauge\na x\n", false},
	{"# TYPE a gauge\na{x=1} 1\n", false},
	{"# TYPE a gauge\na{x=\"1} 1\n", false},
	{"# TYPE a gauge\na{1x=\"1\"} 1\n", false},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
	 true},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
	 false},
	{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n", false},
	{"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n", false},
	{"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\n", false},
};

START_TEST(test_the_judge)
{
	const char *error = prom_check(judged[_i].text);

	ck_assert_msg(!error == judged[_i].legal, "%s: %s", judged[_i].text, error);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tcase = tcase_create("metrics");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_nothing_counted_is_legal);
	tcase_add_test(tcase, test_requests_by_tenant_op_and_code);
	tcase_add_test(tcase, test_latency_buckets);
	tcase_add_test(tcase, test_batches);
	tcase_add_test(tcase, test_devices_by_name);
	tcase_add_test(tcase, test_devices_have_a_bound);
	tcase_add_test(tcase, test_layers_come_and_go);
	tcase_add_test(tcase, test_names_cannot_break_the_text);
	tcase_add_loop_test(tcase, test_the_judge, 0, (int)(sizeof(judged) / sizeof(judged[0])));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
