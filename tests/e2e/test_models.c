/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model through a real daemon with boards beside the CPU: sound ones, wrong ones, and such as come
 * and go under load. What comes out is what the graph means, by an interpreter that shares no code
 * with the daemon, or there is an error that says so.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/libfacet/facet.h"
#include "tests/e2e/rig.h"
#include "tests/model/interpret.h"
#include "tests/suite.h"

#define ITEMS 8u

static struct rig rig;
static struct facet *c;

/* The network, and ITEMS inputs with the outputs that are right. */
static struct fct *fct;
static uint8_t *data, *right[20];
static uint64_t item_bytes, output_bytes[20];

static uint64_t tensor_bytes(uint32_t tensor)
{
	const Facet__Model__Tensor *t = &fct->tensor[tensor];
	uint64_t bytes = t->type == FACET__MODEL__TYPE__F32 ? 4 : 1;

	for (size_t i = 0; i < t->n_shape; i++)
		bytes *= t->shape[i];
	return bytes;
}

static void make_item(uint32_t index)
{
	void *values[FCT_TENSORS] = {0};
	uint8_t *at = data + index * item_bytes;

	for (size_t i = 0; i < fct->graph.n_inputs; i++) {
		uint64_t bytes = tensor_bytes(fct->inputs[i]);

		values[fct->inputs[i]] = malloc(bytes);
		for (uint64_t k = 0; k < bytes; k++)
			at[k] = (uint8_t)fct_random(fct);
		memcpy(values[fct->inputs[i]], at, bytes);
		at += bytes;
	}
	interpret(fct, values);
	for (size_t i = 0; i < fct->graph.n_outputs; i++)
		memcpy(right[i] + index * output_bytes[i], values[fct->outputs[i]],
		       output_bytes[i]);
	for (uint32_t i = 0; i < FCT_TENSORS; i++)
		free(values[i]);
}

/* Long enough to be cut into several slices on a device. */
static struct fct *deep(void)
{
	struct fct *f = fct_new(31);
	uint32_t in = fct_tensor(f, FACET__MODEL__TYPE__S8, 3, 16, 16, 32), next;

	fct_input(f, in);
	for (int i = 0; i < 12; i++) {
		next = fct_tensor(f, FACET__MODEL__TYPE__S8, 3, 16, 16, 32);
		fct_conv(f, in, UINT32_MAX, next, 3, 1, 1, 1);
		in = next;
	}
	fct_output(f, in);
	fct_reuse(f);
	return f;
}

static void make_items(struct fct *network)
{
	fct = network;
	item_bytes = 0;
	for (size_t i = 0; i < fct->graph.n_inputs; i++)
		item_bytes += tensor_bytes(fct->inputs[i]);
	data = malloc(ITEMS * item_bytes);
	for (size_t i = 0; i < fct->graph.n_outputs; i++) {
		output_bytes[i] = tensor_bytes(fct->outputs[i]);
		right[i] = malloc(ITEMS * output_bytes[i]);
	}
	for (uint32_t i = 0; i < ITEMS; i++)
		make_item(i);
}

static void start_with(struct fct *network, const char *settings)
{
	struct facet_params params = {.size = sizeof(params)};
	struct facet_models *models;
	size_t bytes;
	uint8_t *file;

	make_items(network);
	rig_make(&rig, settings);
	rig_start(&rig);
	ck_assert_int_eq(facet_connect(rig.socket, &params, &c), 0);
	file = fct_write(fct, &bytes);
	ck_assert_msg(!facet_model_create_memory(c, "net", file, bytes, &models), "%s",
		      facet_error(c)->text);
	free(file);
	facet_free(models);
}

static void start(const char *settings)
{
	start_with(fct_everything(21), settings);
}

static void stop(void)
{
	facet_close(c);
	ck_assert_int_eq(rig_end(&rig, SIGTERM), 0);
	rig_remove(&rig);
	for (size_t i = 0; i < fct->graph.n_outputs; i++)
		free(right[i]);
	free(data);
	free(fct);
}

static void expect_right(const struct facet_outputs *outputs)
{
	ck_assert_uint_eq(outputs->count, fct->graph.n_outputs);
	for (size_t i = 0; i < outputs->count; i++) {
		ck_assert_uint_eq(outputs->items[i].bytes, ITEMS * output_bytes[i]);
		ck_assert_msg(!memcmp(outputs->items[i].data, right[i], ITEMS * output_bytes[i]),
			      "output %zu is wrong", i);
	}
}

/* Inference of all items: what comes is right; true: something came. */
static bool infer(void)
{
	struct facet_outputs *outputs;

	if (facet_infer(c, "net", ITEMS, data, ITEMS * item_bytes, &outputs))
		return false;
	expect_right(outputs);
	facet_free(outputs);
	return true;
}

static void infer_ok(uint32_t times)
{
	for (uint32_t i = 0; i < times; i++)
		ck_assert_msg(infer(), "%s", facet_error(c)->text);
}

static struct facet_device device(const char *name)
{
	struct facet_devices *devices;
	struct facet_device d;

	ck_assert_msg(!facet_device_list(c, name, &devices), "%s", facet_error(c)->text);
	d = devices->items[0];
	if (d.model_count) { /* what is looked at after the reply is freed */
		ck_assert_str_eq(d.models[0].model, "net");
		ck_assert_uint_gt(d.models[0].ops, 0);
		ck_assert_uint_le(d.models[0].ops, d.models[0].of);
		ck_assert_uint_eq(d.models[0].of, fct->graph.n_ops);
	}
	facet_free(devices);
	return d;
}

static void until_placed(const char *name, bool placed)
{
	for (int i = 0; i < 1000; i++) {
		if ((device(name).model_count > 0) == placed)
			return;
		usleep(10000);
	}
	ck_abort_msg("the model is not %s %s", placed ? "on" : "off", name);
}

/* ---- sound boards -------------------------------------------------------------------------------------- */
static const char *const sound[] = {
	"[device b0]\nkind = fault\n[limits]\ncheck_every = 0\nchecksum_every = 1\n",
	"[device b0]\nkind = fault\n[limits]\ncheck_every = 1\n",
	"[device b0]\nkind = fault\n[limits]\ncheck_every = 3\nchecksum_every = 2\nslice_us = "
	"100\n",
	"[device b0]\nkind = virtual\n[limits]\ncheck_every = 2\nchecksum_every = 1\n",
	"[device b0]\nkind = fault\n[device b1]\nkind = fault\n[limits]\nslice_us = 100\n",
};

START_TEST(test_sound_boards)
{
	struct facet_device d;

	start(sound[_i]);
	until_placed("b0", true);
	infer_ok(40);
	d = device("b0");
	ck_assert_uint_gt(d.batches, 0);
	ck_assert_uint_eq(d.failed, 0);
	ck_assert_uint_eq(d.mismatches, 0);
	if (_i < 4)
		ck_assert_uint_gt(d.checks, 0);
	ck_assert_uint_gt(d.memory_used, 0);
	stop();
}
END_TEST

/* Slices follow each other on a board, and wait where one is recomputed. */
START_TEST(test_a_deep_network)
{
	struct facet_device d;

	start_with(deep(), "[device b0]\nkind = fault\nprefer = 1\n[limits]\nslice_us = 100\n"
			   "check_every = 4\nchecksum_every = 5\n");
	until_placed("b0", true);
	infer_ok(10);
	d = device("b0");
	ck_assert_uint_gt(d.batches, 3 * 10 * ITEMS);
	ck_assert_uint_gt(d.checks, 10);
	ck_assert_uint_eq(d.mismatches, 0);
	stop();
}
END_TEST

START_TEST(test_a_deleted_model_leaves_the_board)
{
	start(sound[0]);
	until_placed("b0", true);
	infer_ok(3);
	ck_assert_int_eq(facet_model_delete(c, "net", false), 0);
	until_placed("b0", false);
	for (int i = 0; i < 500 && device("b0").memory_used; i++)
		usleep(10000);
	ck_assert_uint_eq(device("b0").memory_used, 0);
	stop();
}
END_TEST

/* ---- wrong ones: full checking lets nothing wrong out, and the device is found out ---------------------- */
static const struct {
	const char *settings;
	bool seen; /* each fault is a mismatch or a failure, so the board must stand out */
} wrong[] = {
	{"[device b0]\nkind = fault\nfault = flip-out:every=5,ops=compute\n[limits]\n"
	 "check_every = 1\n",
	 true},
	{"[device b0]\nkind = fault\nfault = flip-acc:every=3\n[limits]\ncheck_every = 0\n"
	 "checksum_every = 1\n",
	 true},
	{"[device b0]\nkind = fault\nfault = flip-in:every=7\n[limits]\ncheck_every = 1\n", false},
	{"[device b0]\nkind = fault\nfault = fail:every=9,ops=conv2d\n[limits]\nslice_us = 100\n",
	 true},
	{"[device b0]\nkind = fault\nfault = hang:every=11,ms=30,ops=conv2d+gemm\n", true},
	{"[device b0]\nkind = fault\nfault = gone:after=9\n", true},
};

START_TEST(test_wrong_boards)
{
	uint64_t stood_out = 0;

	start(wrong[_i].settings);
	until_placed("b0", true);
	infer_ok(40);
	stood_out = device("b0").failed + device("b0").mismatches;
	if (wrong[_i].seen)
		ck_assert_uint_gt(stood_out, 0);
	stop();
}
END_TEST

/* ---- boards that come and go under load ------------------------------------------------------------------ */
static const enum facet_device_action actions[] = {FACET_DEVICE_DRAIN,	FACET_DEVICE_ENABLE,
						   FACET_DEVICE_RESET,	FACET_DEVICE_ENABLE,
						   FACET_DEVICE_REMOVE, FACET_DEVICE_ENABLE};

START_TEST(test_boards_come_and_go)
{
	const struct facet_call call = {.size = sizeof(call)};
	struct facet_completion completion = {.size = sizeof(completion)};
	struct facet_outputs *outputs[6] = {0};
	uint64_t id[6];

	start("[device b0]\nkind = fault\n[device b1]\nkind = virtual\n[limits]\n"
	      "check_every = 4\nchecksum_every = 3\nslice_us = 200\n");
	until_placed("b0", true);
	until_placed("b1", true);
	for (int round = 0; round < 12; round++) {
		const char *name = round % 4 < 2 ? "b0" : "b1";

		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(facet_submit_infer(c, "net", ITEMS, data,
							    ITEMS * item_bytes, &outputs[i], &call,
							    &id[i]),
					 0);
		/* One that is busy with the last is asked again in the next round. */
		facet_device_change(c, name, actions[round % 6], NULL);
		if (round == 5)
			kill(rig.pid, SIGHUP);
		for (int i = 0; i < 6; i++) {
			ck_assert_int_eq(facet_wait(c, id[i], &completion), 0);
			ck_assert_msg(!completion.result, "%s", completion.error.text);
			expect_right(outputs[i]);
			facet_free(outputs[i]);
		}
	}
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("models on boards, end to end");
	TCase *tcase = tcase_create("models");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_sound_boards, 0, sizeof(sound) / sizeof(sound[0]));
	tcase_add_test(tcase, test_a_deep_network);
	tcase_add_test(tcase, test_a_deleted_model_leaves_the_board);
	tcase_add_loop_test(tcase, test_wrong_boards, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tcase, test_boards_come_and_go);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
