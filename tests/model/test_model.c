/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled networks: what runs computes the graph's meaning, what is wrong is refused by name. */
#include "daemon/model/model.h"
#include "tests/model/interpret.h"
#include "tests/model/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Refused with a message that has the words. */
static void ck_refused(const struct fct *fct, const char *words, const char *what)
{
	char text[MODEL_TEXT] = "";
	struct model *model;

	ck_assert_msg(rig_try(fct, &model, text) == -EINVAL, "%s was accepted", what);
	ck_assert_msg(strstr(text, words) != NULL, "%s: \"%s\" lacks \"%s\"", what, text, words);
	ck_assert_ptr_null(strchr(text, '\n'));
}

/* Runs one item through the device and through the interpreter, and compares all outputs. */
static void ck_same_as_interpreter(struct fct *fct, const struct model *model,
				   struct device *device, struct model_run *run)
{
	const struct model_info *info = model_info(model);
	void *values[FCT_TENSORS] = {0};
	const struct device_command *commands;
	uint32_t count;

	rig_inputs(fct, info, values);
	interpret(fct, values);
	for (uint32_t i = 0; i < info->inputs; i++)
		ck_assert_int_eq(model_run_write(run, i, values[fct->inputs[i]]), 0);
	commands = model_run_commands(run, &count);
	ck_assert_int_eq(rig_run(device, commands, count), 0);
	for (uint32_t i = 0; i < info->outputs; i++) {
		void *got = malloc(info->output[i].bytes);

		ck_assert_int_eq(model_run_read(run, i, got), 0);
		ck_assert_mem_eq(got, values[fct->outputs[i]], info->output[i].bytes);
		free(got);
	}
	rig_free(values);
}

static void ck_network(struct fct *fct, uint32_t threads, int items)
{
	struct model *model = rig_load(fct);
	struct device *device = rig_cpu(threads);
	struct model_plan *plan;
	struct model_run *run;

	ck_assert_int_eq(model_plan_create(model, device, &plan), 0);
	ck_assert_int_eq(model_run_create(plan, &run), 0);
	for (int i = 0; i < items; i++)
		ck_same_as_interpreter(fct, model, device, run);
	model_run_free(run);
	model_plan_free(plan);
	device->ops->close(device);
	model_free(model);
}

/* ---- what must work ---- */

START_TEST(every_op_like_the_interpreter)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct fct *fct = fct_everything(seed);

		ck_network(fct, (uint32_t)seed, 3);
		free(fct);
	}
}
END_TEST

START_TEST(info_is_right)
{
	struct fct *fct = fct_everything(5);
	struct model *model = rig_load(fct);
	const struct model_info *info = model_info(model);

	ck_assert_str_eq(info->name, "small");
	ck_assert_uint_eq(info->inputs, 2);
	ck_assert_uint_eq(info->outputs, 3);
	ck_assert_uint_eq(info->ops, fct->graph.n_ops);
	ck_assert_int_eq(info->input[0].type, MODEL_U8);
	ck_assert_uint_eq(info->input[0].rank, 3);
	ck_assert_uint_eq(info->input[0].shape[2], 3);
	ck_assert_uint_eq(info->input[0].bytes, 12 * 12 * 3);
	ck_assert_uint_eq(info->output[0].bytes, 80);
	ck_assert_uint_eq(info->weight_bytes, fct->weights_bytes);
	ck_assert_uint_eq(info->arena_bytes, fct->graph.arena_bytes);
	ck_assert(!info->is_template);
	/* conv 3x3x3, depthwise, two groups of 8, the matrix product */
	ck_assert_uint_eq(info->macs, 36 * 16 * 27 + 36 * 16 * 9 + 36 * 16 * 8 + 20 * 288);
	model_free(model);
	free(fct);
}
END_TEST

/* A chain over two halves of a small arena, as a compiler would place it. */
static struct fct *chain(void)
{
	struct fct *fct = fct_new(8);
	uint32_t t[5];

	for (int i = 0; i < 5; i++) {
		t[i] = fct_tensor(fct, FACET__MODEL__TYPE__S8, 3, 4, 4, 16);
		fct->tensor[t[i]].arena_offset = (uint64_t)(i % 2) * 256;
	}
	fct->graph.arena_bytes = 512;
	fct_input(fct, t[0]);
	for (int i = 0; i < 4; i++)
		fct_conv(fct, t[i], UINT32_MAX, t[i + 1], 3, 1, 1, 1);
	fct_output(fct, t[4]);
	return fct;
}

START_TEST(memory_is_used_again)
{
	struct fct *fct = chain();

	ck_network(fct, 1, 4);
	free(fct);
}
END_TEST

START_TEST(many_runs_in_one_batch)
{
	enum { RUNS = 5 };
	struct fct *fct = chain();
	struct model *model = rig_load(fct);
	struct device *device = rig_cpu(2);
	struct device_command *all;
	struct model_plan *plan;
	struct model_run *run[RUNS];
	void *values[RUNS][FCT_TENSORS] = {0};
	uint32_t count = 0;

	ck_assert_int_eq(model_plan_create(model, device, &plan), 0);
	all = calloc(RUNS * fct->graph.n_ops, sizeof(*all));
	for (int r = 0; r < RUNS; r++) {
		ck_assert_int_eq(model_run_create(plan, &run[r]), 0);
		rig_inputs(fct, model_info(model), values[r]);
		ck_assert_int_eq(model_run_write(run[r], 0, values[r][fct->inputs[0]]), 0);
		memcpy(all + (uint32_t)r * fct->graph.n_ops, model_run_commands(run[r], &count),
		       fct->graph.n_ops * sizeof(*all));
		ck_assert_uint_eq(count, fct->graph.n_ops);
	}
	ck_assert_int_eq(rig_run(device, all, RUNS * count), 0);
	for (int r = 0; r < RUNS; r++) {
		int8_t got[256];

		interpret(fct, values[r]);
		ck_assert_int_eq(model_run_read(run[r], 0, got), 0);
		ck_assert_mem_eq(got, values[r][fct->outputs[0]], 256);
		model_run_free(run[r]);
		rig_free(values[r]);
	}
	model_plan_free(plan);
	device->ops->close(device);
	model_free(model);
	free(all);
	free(fct);
}
END_TEST

START_TEST(no_such_input_or_output)
{
	struct fct *fct = chain();
	struct model *model = rig_load(fct);
	struct device *device = rig_cpu(1);
	struct model_plan *plan;
	struct model_run *run;
	int8_t data[256] = {0};

	ck_assert_int_eq(model_plan_create(model, device, &plan), 0);
	ck_assert_int_eq(model_run_create(plan, &run), 0);
	ck_assert_int_eq(model_run_write(run, 1, data), -EINVAL);
	ck_assert_int_eq(model_run_read(run, 1, data), -EINVAL);
	model_run_free(run);
	model_plan_free(plan);
	device->ops->close(device);
	model_free(model);
	free(fct);
}
END_TEST

static struct fct *template_network(void)
{
	struct fct *fct = fct_new(9);
	uint32_t x = fct_tensor(fct, FACET__MODEL__TYPE__S8, 1, 64, 0, 0);
	uint32_t y = fct_tensor(fct, FACET__MODEL__TYPE__F32, 1, 32, 0, 0);

	fct_input(fct, x);
	fct_gemm(fct, x, UINT32_MAX, y, 64);
	fct_output(fct, y);
	memset(fct->space, 0xab, sizeof(fct->space));
	fct->graph.template_ = true;
	fct->graph.space_digest = (ProtobufCBinaryData){32, fct->space};
	return fct;
}

START_TEST(a_template_has_a_space)
{
	struct fct *fct = template_network();
	struct model *model = rig_load(fct);

	ck_assert(model_info(model)->is_template);
	ck_assert_uint_eq(model_info(model)->dim, 32);
	ck_assert_mem_eq(model_info(model)->space_digest, fct->space, 32);
	model_free(model);
	fct->graph.space_digest.len = 31;
	ck_refused(fct, "space digest", "short digest");
	fct->graph.space_digest.len = 32;
	fct->graph.n_outputs = 0;
	ck_refused(fct, "outputs", "no outputs");
	free(fct);
}
END_TEST

/* ---- what must be refused: one change each to a network that is right ---- */

/* clang-format off */
#define REFUSALS(X) \
	X(op_of_no_kind, "kind", f->op[3].kind = (Facet__Model__Kind)11) \
	X(params_of_another_kind, "parameters", f->op[1].kind = FACET__MODEL__KIND__GEMM) \
	X(input_not_there, "not there", f->op[1].inputs[0] = 99) \
	X(output_not_there, "not there", f->op[1].output = 99) \
	X(graph_input_not_there, "not there", f->inputs[1] = 77) \
	X(graph_output_not_there, "not there", f->outputs[1] = 77) \
	X(too_many_inputs, "inputs", f->op[0].n_inputs = 2; f->op_inputs[0][1] = 0) \
	X(no_inputs, "inputs", f->op[0].n_inputs = 0) \
	X(read_before_written, "before it is written", f->op[3].inputs[1] = f->op[4].output) \
	X(input_read_unfed, "before it is written", f->graph.n_inputs = 1) \
	X(written_twice, "twice", f->op[2].output = f->op[1].output; f->op[2].inputs[0] = f->op[1].output) \
	X(input_twice, "twice", f->inputs[1] = f->inputs[0]) \
	X(output_never_written, "never written", f->outputs[0] = (uint32_t)f->graph.n_tensors - 1) \
	X(writes_a_constant, "constant", f->tensor[f->op[1].output].is_const = true) \
	X(overlap_of_the_living, "overlaps", f->tensor[f->op[2].output].arena_offset = f->tensor[f->op[1].output].arena_offset) \
	X(overlap_by_a_line, "overlaps", f->tensor[f->op[2].output].arena_offset = f->tensor[f->op[1].output].arena_offset + 512) \
	X(overlap_of_outputs, "overlaps", f->tensor[f->outputs[2]].arena_offset = f->tensor[f->outputs[1]].arena_offset) \
	X(arena_unaligned, "arena", f->tensor[2].arena_offset += 32) \
	X(arena_past_end, "arena", f->graph.arena_bytes -= 64) \
	X(arena_offset_overflows, "arena", f->tensor[2].arena_offset = UINT64_MAX - 63) \
	X(arena_too_large, "arena", f->graph.arena_bytes = (1ull << 30) + 1) \
	X(constant_past_end, "weights", f->tensor[f->graph.n_tensors - 1].const_offset = f->weights_bytes - 40) \
	X(constant_unaligned, "weights", f->tensor[f->graph.n_tensors - 1].const_offset += 2) \
	X(constant_overflows, "weights", f->tensor[f->graph.n_tensors - 1].const_offset = UINT64_MAX - 3) \
	X(extent_zero, "extents", f->shape[3][1] = 0) \
	X(extent_huge, "extents", f->shape[3][0] = f->shape[3][1] = 65536) \
	X(rank_zero, "extents", f->tensor[3].n_shape = 0) \
	X(rank_five, "extents", f->tensor[3].n_shape = 5; f->shape[3][3] = f->shape[3][4] = 1) \
	X(scale_not_finite, "scale", f->tensor[3].scale = INFINITY) \
	X(scale_zero, "scale", f->tensor[3].scale = 0) \
	X(zero_point_wide, "zero point", f->tensor[3].zero_point = 128) \
	X(type_unknown, "type", f->tensor[3].type = (Facet__Model__Type)3) \
	X(type_of_conv, "convolution", f->tensor[f->op[1].output].type = FACET__MODEL__TYPE__U8) \
	X(conv_weights_past_end, "weights", f->params[1].conv.weights->offset = f->weights_bytes - 100) \
	X(conv_weights_overflow, "weights", f->params[1].conv.weights->offset = UINT64_MAX - 100) \
	X(conv_weights_short, "weights", f->params[1].conv.weights->length--) \
	X(conv_no_weights, "weights", f->params[1].conv.weights = NULL) \
	X(conv_bias_unaligned, "bias", f->params[1].conv.bias->offset++) \
	X(conv_bias_large, "overflow", memset(f->weights + f->params[1].conv.bias->offset, 0x7f, 4)) \
	X(conv_stride_zero, "convolution", f->params[1].conv.stride_h = 0) \
	X(conv_kernel_wide, "convolution", f->params[1].conv.kh = 90) \
	X(conv_shape, "shape", f->params[1].conv.pad_top = 3) \
	X(conv_groups, "convolution", f->params[2].conv.groups = 3) \
	X(conv_groups_zero, "convolution", f->params[2].conv.groups = 0) \
	X(conv_clamp, "convolution", f->params[1].conv.q->lo = 100; f->params[1].conv.q->hi = 99) \
	X(conv_zero_point, "convolution", f->params[1].conv.z_x = -129) \
	X(conv_scales_nan, "convolution", memset(f->weights + f->params[1].conv.q->s_pos->offset, 0xff, 4)) \
	X(conv_no_requant, "convolution", f->params[1].conv.q = NULL) \
	X(conv_out_of_other_type, "convolution", f->params[1].conv.q->out = 1) \
	X(conv_residual_size, "convolution", f->op[3].inputs[1] = 2) \
	X(add_scale, "sum", f->params[4].add.s_a = NAN) \
	X(table_short, "table", f->params[0].table.table->length = 512) \
	X(table_past_end, "table", f->params[0].table.table->offset = f->weights_bytes - 767) \
	X(table_wants_u8, "table", f->params[0].table.from_u8 = false) \
	X(concat_channels, "channels", f->op[5].inputs[1] = f->op[5].inputs[0]; f->op[5].n_inputs = 1; f->params[5].concat.n_tables = 1) \
	X(concat_tables, "table", f->params[5].concat.n_tables = 1) \
	X(concat_table_size, "table", f->span_list[5][1]->length = 255) \
	X(pool_shape, "shape", f->params[6].pool.stride_w = 1) \
	X(pool_window, "pooling", f->params[6].pool.kh = 0) \
	X(pool_kind, "pooling", f->params[6].pool.kind = 2) \
	X(strided_outside, "gathers", f->params[9].strided.offset = 1) \
	X(strided_before, "gathers", f->stride[9][0] = -1) \
	X(strided_overflow, "gathers", f->stride[9][1] = INT64_MAX / 2) \
	X(strided_count, "gathers", f->extent[9][0] = 31) \
	X(copy_size, "copy", f->op[10].inputs[0] = f->op[0].output) \
	X(gemm_k, "matrix", f->params[11].gemm.k = 144) \
	X(gemm_k_zero, "matrix", f->params[11].gemm.k = 0) \
	X(float_kind, "float", f->params[12].float_op.kind = 8) \
	X(float_one_operand, "float", f->op[12].n_inputs = 1) \
	X(float_b, "operand", f->params[12].float_op.b = 3) \
	X(dequantize_scale, "dequantizing", f->params[14].dequantize.scale = -INFINITY) \
	X(join_blocks, "blocks", f->inner[16][0] = 31) \
	X(join_one_input_less, "blocks", f->op[16].n_inputs = 1; f->params[16].join.n_inner = 1) \
	X(join_moved_block, "blocks", f->inner[16][0] = 40; f->inner[16][1] = 24) \
	X(join_overflow, "blocks", f->params[16].join.outer = UINT64_MAX) \
	X(name_with_newline, "printable", f->tensor[1].name = "a\nb") \
	X(op_name_long, "name", static char n[257]; memset(n, 'x', 256); f->op[2].name = n) \
	X(cosine_nan, "cosine", f->graph.cosine_to_float = NAN) \
	X(no_ops, "ops", f->graph.n_ops = 0) \
	X(template_of_three, "template", f->graph.template_ = true)
/* clang-format on */

#define CHANGE(name, words, ...)                                                                   \
	static void name(struct fct *f)                                                            \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}
REFUSALS(CHANGE)

#define ROW(name, words, ...) {#name, words, name},
static const struct refusal {
	const char *name, *words;
	void (*change)(struct fct *f);
} refusals[] = {REFUSALS(ROW)};

START_TEST(refused_with_the_right_words)
{
	struct fct *f = fct_everything(4);

	refusals[_i].change(f);
	ck_refused(f, refusals[_i].words, refusals[_i].name);
	free(f);
}
END_TEST

START_TEST(too_much_work)
{
	struct fct *fct = fct_new(2);
	uint32_t one = fct_tensor(fct, FACET__MODEL__TYPE__S8, 3, 8192, 8192, 1);
	uint32_t two = fct_tensor(fct, FACET__MODEL__TYPE__S8, 3, 8192, 8192, 1);
	uint32_t last = one;

	fct->graph.arena_bytes = 1u << 27;
	fct_input(fct, one);
	for (int i = 0; i < 40; i++) {
		uint32_t to = i ? fct_tensor(fct, FACET__MODEL__TYPE__S8, 3, 8192, 8192, 1) : two;

		fct->tensor[to].arena_offset = i % 2 ? 0 : 1u << 26;
		fct_conv(fct, last, UINT32_MAX, to, 127, 1, 63, 1);
		last = to;
	}
	fct->graph.arena_bytes = 1u << 27;
	fct_output(fct, last);
	ck_refused(fct, "10^13", "too much work");
	free(fct);
}
END_TEST

/* Bytes moved are work as well, without a single multiply-add. */
START_TEST(too_much_copying)
{
	struct fct *fct = fct_new(2);
	uint32_t from = fct_tensor(fct, FACET__MODEL__TYPE__S8, 2, 1u << 15, 1u << 14, 0);

	fct_input(fct, from);
	for (uint32_t i = 1; i < 320; i++) {
		uint32_t to = fct_tensor(fct, FACET__MODEL__TYPE__S8, 2, 1u << 15, 1u << 14, 0);

		fct->tensor[to].arena_offset = i % 2 ? 1u << 29 : 0;
		fct_copy(fct, from, to);
		from = to;
	}
	fct->graph.arena_bytes = 1u << 30;
	fct_output(fct, from);
	ck_refused(fct, "10^13", "too much copying");
	free(fct);
}
END_TEST

/* ---- hostile files ---- */

START_TEST(any_flipped_byte_is_refused)
{
	struct fct *fct = template_network();
	char text[MODEL_TEXT];
	struct model *model;
	size_t bytes;
	uint8_t *file = fct_write(fct, &bytes);

	for (size_t i = 0; i < bytes; i++) {
		uint8_t flip = (uint8_t)(1u << fct_random(fct) % 8);

		file[i] ^= flip;
		ck_assert_msg(model_load(file, bytes, &model, text) == -EINVAL,
			      "byte %zu of %zu flipped by %u was accepted", i, bytes, flip);
		ck_assert_str_ne(text, "");
		file[i] ^= flip;
	}
	ck_assert_int_eq(model_load(file, bytes, &model, text), 0);
	model_free(model);
	free(file);
	free(fct);
}
END_TEST

START_TEST(any_other_length_is_refused)
{
	struct fct *fct = template_network();
	char text[MODEL_TEXT];
	struct model *model;
	size_t bytes;
	uint8_t *file = fct_write(fct, &bytes);
	uint8_t *longer = calloc(1, bytes + 1);

	for (size_t n = 0; n < bytes; n += n < 256 || n > bytes - 256 ? 1 : 97) {
		uint8_t *exact = malloc(n + !n);

		memcpy(exact, file, n);
		ck_assert_int_eq(model_load(exact, n, &model, text), -EINVAL);
		free(exact);
	}
	memcpy(longer, file, bytes);
	ck_assert_int_eq(model_load(longer, bytes + 1, &model, text), -EINVAL);
	free(longer);
	free(file);
	free(fct);
}
END_TEST

/* Runs what was loaded, whatever it is; commands may not fail, as all was checked. */
static void run_hostile(const struct model *model, struct device *device)
{
	const struct model_info *info = model_info(model);
	const struct device_command *commands;
	struct model_plan *plan;
	struct model_run *run;
	uint32_t count;

	if (info->macs > 100000000 || info->arena_bytes > 1u << 24)
		return;
	ck_assert_int_eq(model_plan_create(model, device, &plan), 0);
	ck_assert_int_eq(model_run_create(plan, &run), 0);
	for (uint32_t i = 0; i < info->inputs; i++) {
		void *data = calloc(1, info->input[i].bytes);

		ck_assert_int_eq(model_run_write(run, i, data), 0);
		free(data);
	}
	commands = model_run_commands(run, &count);
	ck_assert_int_eq(rig_run(device, commands, count), 0);
	for (uint32_t i = 0; i < info->outputs; i++) {
		void *data = malloc(info->output[i].bytes);

		ck_assert_int_eq(model_run_read(run, i, data), 0);
		free(data);
	}
	model_run_free(run);
	model_plan_free(plan);
}

/* Mostly in the graph, now and then in the header, or in the weights with their scales. */
static size_t place_to_mutate(struct fct *fct, size_t graph_end)
{
	uint32_t dice = fct_random(fct) % 20;

	if (dice == 0)
		return fct_random(fct) % 128;
	if (dice < 4)
		return graph_end + fct_random(fct) % fct->weights_bytes;
	return 128 + fct_random(fct) % (graph_end - 128);
}

static void mutate(struct fct *fct, uint8_t *file, size_t graph_end)
{
	static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0x10, 2, 3};
	uint32_t times = 1 + fct_random(fct) % 3;

	while (times--) {
		size_t at = place_to_mutate(fct, graph_end);

		switch (fct_random(fct) % 4) {
		case 0:
			file[at] = bytes[fct_random(fct) % sizeof(bytes)];
			break;
		case 1:
			file[at] = (uint8_t)fct_random(fct);
			break;
		case 2:
			file[at] = (uint8_t)(file[at] + (fct_random(fct) % 2 ? 1 : -1));
			break;
		default:
			file[at] ^= (uint8_t)(1u << fct_random(fct) % 8);
		}
	}
}

/* Flips with the digest corrected: refused, or harmless. */
static void ck_mutations(struct fct *fct, int count)
{
	struct device *device = rig_cpu(1);
	char text[MODEL_TEXT];
	size_t bytes;
	uint8_t *file = fct_write(fct, &bytes), *copy = malloc(bytes);
	size_t graph_end = bytes - fct->weights_bytes;
	int loaded = 0;

	for (int i = 0; i < count; i++) {
		struct model *model;
		int err;

		memcpy(copy, file, bytes);
		mutate(fct, copy, graph_end);
		fct_rehash(copy, bytes);
		err = model_load(copy, bytes, &model, text);
		ck_assert_msg(err == 0 || (err == -EINVAL && text[0]), "error %d \"%s\"", err,
			      text);
		if (err)
			continue;
		loaded++;
		run_hostile(model, device);
		model_free(model);
	}
	/* Both must happen, or the test tests nothing. */
	ck_assert_int_gt(loaded, count / 100);
	ck_assert_int_lt(loaded, count - count / 10);
	device->ops->close(device);
	free(copy);
	free(file);
}

START_TEST(mutations_with_the_digest_corrected)
{
	struct fct *fct = fct_everything(10 + (uint64_t)_i);

	ck_mutations(fct, getenv("FACET_LONG") ? 100000 : 4000);
	free(fct);
}
END_TEST

START_TEST(lengths_in_the_header)
{
	static const uint64_t values[] = {0,
					  1,
					  63,
					  64,
					  127,
					  128,
					  1u << 24,
					  (1u << 24) + 1,
					  1ull << 32,
					  1ull << 63,
					  UINT64_MAX,
					  UINT64_MAX - 127,
					  UINT64_MAX - 63};
	struct fct *fct = template_network();
	char text[MODEL_TEXT];
	struct model *model;
	size_t bytes;
	uint8_t *file = fct_write(fct, &bytes);

	for (size_t at = 16; at <= 32; at += 8)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			uint8_t *copy = malloc(bytes);

			memcpy(copy, file, bytes);
			memcpy(copy + at, &values[i], 8);
			fct_rehash(copy, bytes);
			ck_assert_int_eq(model_load(copy, bytes, &model, text), -EINVAL);
			free(copy);
		}
	free(file);
	free(fct);
}
END_TEST

/* ---- the suite ---- */

static Suite *suite(void)
{
	Suite *s = suite_create("model");
	TCase *runs = tcase_create("runs"), *refuses = tcase_create("refuses");
	TCase *hostile = tcase_create("hostile");

	tcase_add_test(runs, every_op_like_the_interpreter);
	tcase_add_test(runs, info_is_right);
	tcase_add_test(runs, memory_is_used_again);
	tcase_add_test(runs, many_runs_in_one_batch);
	tcase_add_test(runs, no_such_input_or_output);
	tcase_add_test(runs, a_template_has_a_space);
	tcase_add_loop_test(refuses, refused_with_the_right_words, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(refuses, too_much_work);
	tcase_add_test(refuses, too_much_copying);
	tcase_set_timeout(hostile, 300);
	tcase_add_test(hostile, any_flipped_byte_is_refused);
	tcase_add_test(hostile, any_other_length_is_refused);
	tcase_add_test(hostile, lengths_in_the_header);
	tcase_add_loop_test(hostile, mutations_with_the_digest_corrected, 0, 2);
	suite_add_tcase(s, runs);
	suite_add_tcase(s, refuses);
	suite_add_tcase(s, hostile);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
