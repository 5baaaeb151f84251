/* SPDX-License-Identifier: Apache-2.0 */
/* Each op through the device against kernels/ref, and commands that are wrong. */
#include "kernels/ref/ref.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 12

/* One command with operands in memory of its own, and what the reference says of it. */
struct trial {
	struct device *device;
	struct rig_memory memory;
	struct device_command command;
	struct device_weights *weights;
	void *expected;
	float *s_pos, *s_neg;
	int8_t *w;
	int32_t *bias;
	uint64_t seed;
};

static void trial_init(struct trial *t, struct device *device, uint64_t seed)
{
	*t = (struct trial){.device = device, .seed = seed};
	rig_memory_init(&t->memory, device, 3u << 19);
}

static void trial_free(struct trial *t)
{
	t->device->ops->weights_free(t->weights);
	rig_memory_free(&t->memory);
	free(t->expected);
	free(t->s_pos);
	free(t->s_neg);
	free(t->w);
	free(t->bias);
}

static void *in_data(struct trial *t, int i)
{
	return t->command.in[i].buffer ? rig_data(&t->memory, &t->command.in[i]) : NULL;
}

static void add_input(struct trial *t, int i, uint64_t bytes, uint32_t align)
{
	t->command.in[i] = rig_span(&t->memory, bytes, align, &t->seed);
}

static void add_output(struct trial *t, uint64_t bytes, uint32_t align)
{
	t->command.out = rig_span(&t->memory, bytes, align, &t->seed);
	t->expected = malloc(bytes);
}

static void ck_trial(struct trial *t, const char *what, uint64_t seed)
{
	int err = rig_run_in(&t->memory, &t->command, 1, NULL);

	ck_assert_msg(!err, "%s, seed %llu: error %d", what, (unsigned long long)seed, err);
	ck_assert_msg(
		!memcmp(rig_data(&t->memory, &t->command.out), t->expected, t->command.out.bytes),
		"%s, seed %llu: not what the reference says", what, (unsigned long long)seed);
	ck_assert_msg(rig_gaps_intact(&t->memory), "%s, seed %llu: wrote outside its span", what,
		      (unsigned long long)seed);
}

/* ---- convolution and matrix product ---- */

static void random_requant(struct trial *t, struct op_requant *q, uint32_t channels, uint32_t k)
{
	float s = 2.0f / (float)k;

	t->s_pos = malloc(channels * sizeof(float));
	t->s_neg = malloc(channels * sizeof(float));
	for (uint32_t c = 0; c < channels; c++) {
		t->s_pos[c] = rig_float(&t->seed, s / 100, s / 10);
		t->s_neg[c] = rig_float(&t->seed, -s / 20, s / 10);
	}
	*q = (struct op_requant){t->s_pos, t->s_neg, 0.4f, -7, 9, -128, 120};
}

static void random_weights(struct trial *t, uint32_t rows, uint32_t k)
{
	t->w = malloc((size_t)rows * k);
	t->bias = malloc(rows * sizeof(int32_t));
	for (size_t i = 0; i < (size_t)rows * k; i++)
		t->w[i] = (int8_t)rig_random(&t->seed);
	for (uint32_t i = 0; i < rows; i++)
		t->bias[i] = (int32_t)rig_between(&t->seed, 0, 20000) - 10000;
}

static void make_conv2d(struct trial *t)
{
	static const uint32_t groups_of[] = {1, 1, 2, 0};
	struct op_conv2d *p = &t->command.conv2d;
	uint32_t groups = groups_of[rig_random(&t->seed) % 4], k;
	uint64_t outputs;

	t->command.op = DEVICE_CONV2D;
	p->n = rig_between(&t->seed, 1, 2);
	p->h = rig_between(&t->seed, 5, 40);
	p->w = rig_between(&t->seed, 5, 30);
	p->c = 2 * rig_between(&t->seed, 1, 24);
	p->groups = groups ? groups : p->c;
	p->oc = groups ? 2 * rig_between(&t->seed, 1, 24) : p->c;
	p->kh = rig_between(&t->seed, 1, 3);
	p->kw = rig_between(&t->seed, 1, 3);
	p->stride_h = rig_between(&t->seed, 1, 2);
	p->stride_w = rig_between(&t->seed, 1, 2);
	p->dilation_h = p->dilation_w = 1;
	p->pad_top = rig_between(&t->seed, 0, 1);
	p->pad_left = rig_between(&t->seed, 0, 1);
	p->pad_bottom = rig_between(&t->seed, 0, 1);
	p->pad_right = rig_between(&t->seed, 0, 1);
	p->z_x = -3;
	p->out = (enum op_out)(rig_random(&t->seed) % 3);
	k = p->kh * p->kw * (p->c / p->groups);
	outputs = (uint64_t)p->n * op_conv2d_oh(p) * op_conv2d_ow(p) * p->oc;
	random_requant(t, &p->q, p->oc, k);
	random_weights(t, p->oc, k);
	add_input(t, 0, (uint64_t)p->n * p->h * p->w * p->c, 1);
	if (rig_random(&t->seed) % 2)
		add_input(t, 1, outputs, 1);
	add_output(t, outputs * (p->out == OP_OUT_S8 ? 1 : 4), 4);
	ck_assert_int_eq(ref_conv2d(p, in_data(t, 0), t->w, t->bias, in_data(t, 1), t->expected),
			 0);
	ck_assert_int_eq(t->device->ops->weights_conv2d(t->device, p, t->w, t->bias, &t->weights),
			 0);
	t->command.weights = t->weights;
}

static void make_gemm(struct trial *t)
{
	struct op_gemm *p = &t->command.gemm;
	uint64_t outputs;

	t->command.op = DEVICE_GEMM;
	p->m = rig_between(&t->seed, 1, 150);
	p->n = rig_between(&t->seed, 1, 200);
	p->k = rig_between(&t->seed, 1, 300);
	p->out = (enum op_out)(rig_random(&t->seed) % 3);
	outputs = (uint64_t)p->m * p->n;
	random_requant(t, &p->q, p->n, p->k);
	random_weights(t, p->n, p->k);
	add_input(t, 0, (uint64_t)p->m * p->k, 1);
	if (rig_random(&t->seed) % 2)
		add_input(t, 1, outputs, 1);
	add_output(t, outputs * (p->out == OP_OUT_S8 ? 1 : 4), 4);
	ck_assert_int_eq(ref_gemm(p, in_data(t, 0), t->w, t->bias, in_data(t, 1), t->expected), 0);
	ck_assert_int_eq(t->device->ops->weights_gemm(t->device, p, t->w, t->bias, &t->weights), 0);
	t->command.weights = t->weights;
}

/* All of one sign, or all at an end: accumulators go where they can go. */
static void make_extreme_gemm(struct trial *t)
{
	static const int8_t ends[] = {-128, -127, 127};
	struct op_gemm *p = &t->command.gemm;
	int8_t x = ends[rig_random(&t->seed) % 3], w = ends[rig_random(&t->seed) % 3];

	t->command.op = DEVICE_GEMM;
	p->m = rig_between(&t->seed, 1, 9);
	p->n = rig_between(&t->seed, 1, 20);
	p->k = rig_between(&t->seed, 20000, OP_K_MAX);
	p->out = (enum op_out)(rig_random(&t->seed) % 3);
	random_requant(t, &p->q, p->n, p->k);
	random_weights(t, p->n, p->k);
	memset(t->w, w, (size_t)p->n * p->k);
	for (uint32_t c = 0; c < p->n; c++)
		t->bias[c] = (x < 0) == (w < 0) ? OP_BIAS_MAX : -OP_BIAS_MAX;
	add_input(t, 0, (uint64_t)p->m * p->k, 1);
	memset(in_data(t, 0), x, (size_t)p->m * p->k);
	add_output(t, (uint64_t)p->m * p->n * (p->out == OP_OUT_S8 ? 1 : 4), 4);
	ck_assert_int_eq(ref_gemm(p, in_data(t, 0), t->w, t->bias, NULL, t->expected), 0);
	ck_assert_int_eq(t->device->ops->weights_gemm(t->device, p, t->w, t->bias, &t->weights), 0);
	t->command.weights = t->weights;
}

/* ---- the smaller ones ---- */

static void make_pool2d(struct trial *t)
{
	struct op_pool2d *p = &t->command.pool2d;

	t->command.op = DEVICE_POOL2D;
	*p = (struct op_pool2d){.n = 2,
				.h = rig_between(&t->seed, 4, 60),
				.w = rig_between(&t->seed, 4, 60),
				.c = rig_between(&t->seed, 1, 80),
				.kh = 3,
				.kw = 2,
				.stride_h = 2,
				.stride_w = 1,
				.pad_top = 1,
				.kind = (enum op_pool_kind)(rig_random(&t->seed) % 2),
				.scale = 1.2f,
				.z_x = -20,
				.z = 4,
				.lo = -100,
				.hi = 127};
	add_input(t, 0, (uint64_t)p->n * p->h * p->w * p->c, 1);
	add_output(t, (uint64_t)p->n * op_pool2d_oh(p) * op_pool2d_ow(p) * p->c, 1);
	ck_assert_int_eq(ref_pool2d(p, in_data(t, 0), t->expected), 0);
}

static void make_add(struct trial *t)
{
	uint32_t n = rig_between(&t->seed, 1, 5000);

	t->command.op = DEVICE_ADD;
	t->command.add = (struct op_add){n, 0.5f, -1.25f, 3, -4, 5, -128, 100};
	add_input(t, 0, n, 1);
	add_input(t, 1, n, 1);
	add_output(t, n, 1);
	ck_assert_int_eq(ref_add(&t->command.add, in_data(t, 0), in_data(t, 1), t->expected), 0);
}

static void make_table(struct trial *t)
{
	bool per_channel = rig_random(&t->seed) % 2;
	uint32_t c = rig_between(&t->seed, 1, 70), pixels = rig_between(&t->seed, 1, 300);

	t->command.op = DEVICE_TABLE;
	t->command.table = (struct op_table){pixels, c, per_channel};
	add_input(t, 0, (uint64_t)pixels * c, 1);
	t->command.tables[0] = rig_span(&t->memory, per_channel ? c * 256 : 256, 1, &t->seed);
	add_output(t, (uint64_t)pixels * c, 1);
	ck_assert_int_eq(ref_table(&t->command.table, rig_data(&t->memory, &t->command.tables[0]),
				   in_data(t, 0), t->expected),
			 0);
}

static void make_concat(struct trial *t)
{
	struct op_concat *p = &t->command.concat;
	const int8_t *x[OP_CONCAT_MAX], *tables[OP_CONCAT_MAX];
	uint32_t c = 0;

	t->command.op = DEVICE_CONCAT;
	p->pixels = rig_between(&t->seed, 1, 200);
	p->inputs = rig_between(&t->seed, 1, OP_CONCAT_MAX);
	for (uint32_t i = 0; i < p->inputs; i++) {
		p->c[i] = rig_between(&t->seed, 1, 40);
		c += p->c[i];
		add_input(t, (int)i, p->pixels * p->c[i], 1);
		x[i] = in_data(t, (int)i);
		tables[i] = NULL;
		if (rig_random(&t->seed) % 2) {
			t->command.tables[i] = rig_span(&t->memory, 256, 1, &t->seed);
			tables[i] = rig_data(&t->memory, &t->command.tables[i]);
		}
	}
	add_output(t, p->pixels * c, 1);
	ck_assert_int_eq(ref_concat(p, x, tables, t->expected), 0);
}

static void make_dequantize(struct trial *t)
{
	uint32_t n = rig_between(&t->seed, 1, 3000);

	t->command.op = DEVICE_DEQUANTIZE;
	t->command.dequantize = (struct op_dequantize){n, 0.037f, -11};
	add_input(t, 0, n, 1);
	add_output(t, (uint64_t)n * 4, 4);
	ck_assert_int_eq(ref_dequantize(&t->command.dequantize, in_data(t, 0), t->expected), 0);
}

static void fill_floats(struct trial *t, int i)
{
	float *x = in_data(t, i);

	for (uint64_t k = 0; k < t->command.in[i].bytes / 4; k++)
		x[k] = rig_float(&t->seed, 0.1f, 4.0f);
}

static void make_float(struct trial *t)
{
	struct op_float *p = &t->command.float_op;
	uint32_t b[4];

	t->command.op = DEVICE_FLOAT;
	p->kind = (enum op_float_kind)(rig_random(&t->seed) % OP_FLOAT_KINDS);
	p->rows = rig_between(&t->seed, 1, 30);
	p->cols = rig_between(&t->seed, 1, 50);
	p->b = rig_random(&t->seed) % 4;
	b[OP_B_FULL] = (uint32_t)p->rows * p->cols;
	b[OP_B_ROW] = p->cols;
	b[OP_B_COLUMN] = (uint32_t)p->rows;
	b[OP_B_SCALAR] = 1;
	add_input(t, 0, p->rows * p->cols * 4, 4);
	fill_floats(t, 0);
	if (p->kind <= OP_FLOAT_DIV) {
		add_input(t, 1, b[p->b] * 4, 4);
		fill_floats(t, 1);
	}
	add_output(t, p->rows * p->cols * 4, 4);
	ck_assert_int_eq(ref_float(p, in_data(t, 0), in_data(t, 1), t->expected), 0);
}

/* A gather with strides of any sign; the expected value by plain indexing. */
static void make_strided(struct trial *t)
{
	struct device_strided *p = &t->command.strided;
	int64_t low = 0, high = 0;
	uint64_t n = 1;

	t->command.op = DEVICE_STRIDED;
	p->rank = rig_between(&t->seed, 1, 6);
	p->element_bytes = rig_random(&t->seed) % 2 ? 1 : 4;
	for (uint32_t d = 0; d < p->rank; d++) {
		int64_t reach;

		p->extent[d] = rig_between(&t->seed, 1, 5);
		p->stride[d] = (int64_t)rig_between(&t->seed, 0, 20) - 10;
		reach = (int64_t)(p->extent[d] - 1) * p->stride[d];
		low += reach < 0 ? reach : 0;
		high += reach > 0 ? reach : 0;
		n *= p->extent[d];
	}
	p->offset = (uint64_t)-low;
	add_input(t, 0, (uint64_t)(high - low + 1) * p->element_bytes, p->element_bytes);
	add_output(t, n * p->element_bytes, p->element_bytes);
	for (uint64_t i = 0; i < n; i++) {
		int64_t at = (int64_t)p->offset;
		uint64_t rest = i;

		for (uint32_t d = p->rank; d-- > 0; rest /= p->extent[d])
			at += (int64_t)(rest % p->extent[d]) * p->stride[d];
		memcpy((char *)t->expected + i * p->element_bytes,
		       (char *)in_data(t, 0) + at * p->element_bytes, p->element_bytes);
	}
}

static void make_join(struct trial *t)
{
	struct device_join *p = &t->command.join;
	char *to;
	uint64_t row = 0;

	t->command.op = DEVICE_JOIN;
	p->outer = rig_between(&t->seed, 1, 40);
	p->inputs = rig_between(&t->seed, 1, DEVICE_INPUTS_MAX);
	p->element_bytes = rig_random(&t->seed) % 2 ? 1 : 4;
	for (uint32_t i = 0; i < p->inputs; i++) {
		p->inner[i] = rig_between(&t->seed, 1, 30);
		row += p->inner[i];
		add_input(t, (int)i, p->outer * p->inner[i] * p->element_bytes, p->element_bytes);
	}
	add_output(t, p->outer * row * p->element_bytes, p->element_bytes);
	to = t->expected;
	for (uint64_t o = 0; o < p->outer; o++)
		for (uint32_t i = 0; i < p->inputs; i++) {
			size_t bytes = p->inner[i] * p->element_bytes;

			memcpy(to, (char *)in_data(t, (int)i) + o * bytes, bytes);
			to += bytes;
		}
}

static void make_move(struct trial *t)
{
	uint32_t n = rig_between(&t->seed, 1, 3000);

	t->command.op = rig_random(&t->seed) % 2 ? DEVICE_COPY : DEVICE_ECHO;
	add_input(t, 0, n, 1);
	add_output(t, n, 1);
	memcpy(t->expected, in_data(t, 0), n);
}

static const struct maker {
	const char *name;
	void (*make)(struct trial *t);
} makers[] = {{"conv2d", make_conv2d},
	      {"gemm", make_gemm},
	      {"pool2d", make_pool2d},
	      {"add", make_add},
	      {"table", make_table},
	      {"concat", make_concat},
	      {"dequantize", make_dequantize},
	      {"float", make_float},
	      {"strided", make_strided},
	      {"join", make_join},
	      {"move", make_move},
	      {"extreme gemm", make_extreme_gemm}};
#define MAKERS (int)(sizeof(makers) / sizeof(makers[0]))

static bool can(const struct device *device, enum device_op op)
{
	struct device_caps caps;

	device->ops->caps(device, &caps);
	return caps.ops >> op & 1;
}

START_TEST(ops_like_the_reference)
{
	const struct maker *maker = &makers[_i % MAKERS];
	struct device *device = rig_open(1 + (uint32_t)(_i / MAKERS), 0);

	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t seed = (uint64_t)_i * 1000 + round;
		struct trial t;

		trial_init(&t, device, seed);
		maker->make(&t);
		if (can(device, t.command.op))
			ck_trial(&t, maker->name, seed);
		trial_free(&t);
	}
	device->ops->close(device);
}
END_TEST

/* The batch of weights is free: packed for n = 1, used for n = 3. */
START_TEST(weights_serve_any_batch)
{
	struct device *device = rig_open(2, 0);
	struct op_conv2d one;
	struct trial t;

	trial_init(&t, device, 77);
	make_conv2d(&t);
	one = t.command.conv2d;
	one.n = 1;
	device->ops->weights_free(t.weights);
	ck_assert_int_eq(device->ops->weights_conv2d(device, &one, t.w, t.bias, &t.weights), 0);
	t.command.weights = t.weights;
	ck_trial(&t, "conv2d", 77);
	trial_free(&t);
	device->ops->close(device);
}
END_TEST

/* ---- commands that are wrong ---- */

typedef void change(struct trial *t);

#define CHANGE(name, ...)                                                                          \
	static void name(struct trial *t)                                                          \
	{                                                                                          \
		struct device_command *c = &t->command;                                            \
                                                                                                   \
		__VA_ARGS__;                                                                       \
	}

CHANGE(no_input, c->in[0].buffer = NULL)
CHANGE(no_output, c->out.buffer = NULL)
CHANGE(short_input, c->in[0].bytes -= 4)
CHANGE(long_output, c->out.bytes += 4)
CHANGE(short_output, c->out.bytes -= 4)
CHANGE(input_past_end, c->in[0].offset = t->memory.size - c->in[0].bytes + 4)
CHANGE(output_past_end, c->out.offset = t->memory.size - c->out.bytes + 4)
CHANGE(input_overflows, c->in[0].offset = UINT64_MAX - 3)
CHANGE(output_overflows, c->out.offset = UINT64_MAX - 3)
CHANGE(output_over_input, c->out.offset = c->in[0].offset)
CHANGE(output_over_end_of_input, c->out.offset = c->in[0].offset + (c->in[0].bytes + 3) / 4 * 4 - 4)
CHANGE(unknown_op, c->op = DEVICE_OPS)
CHANGE(negative_op, c->op = (enum device_op) - 1)

static change *const any_op[] = {no_input,
				 no_output,
				 short_input,
				 long_output,
				 short_output,
				 input_past_end,
				 output_past_end,
				 input_overflows,
				 output_overflows,
				 output_over_input,
				 output_over_end_of_input,
				 unknown_op,
				 negative_op};
#define ANY_OP (int)(sizeof(any_op) / sizeof(any_op[0]))

CHANGE(conv_no_weights, c->weights = NULL)
CHANGE(conv_other_kernel, c->conv2d.kh += 1)
CHANGE(conv_other_padding, c->conv2d.z_x += 1)
CHANGE(conv_more_items, c->conv2d.n = 65536)
CHANGE(conv_zero_stride, c->conv2d.stride_w = 0)
CHANGE(conv_short_residual, c->in[1] = (struct device_span){c->out.buffer, 0, 1})
CHANGE(conv_no_scales, c->conv2d.out = OP_OUT_S8; c->conv2d.q.s_pos = NULL)
CHANGE(conv_as_gemm, struct op_gemm g = {1, 1, 1, OP_OUT_S32, {0}}; c->op = DEVICE_GEMM;
       c->gemm = g)
CHANGE(gemm_no_weights, c->weights = NULL)
CHANGE(gemm_other_k, c->gemm.k += 1)
CHANGE(gemm_other_n, c->gemm.n += 1)
CHANGE(gemm_huge_m, c->gemm.m = 1u << 31)
CHANGE(pool_empty_window, c->pool2d.kh = 0)
CHANGE(pool_unknown_kind, c->pool2d.kind = (enum op_pool_kind)2)
CHANGE(add_huge, c->add.count = UINT64_MAX)
CHANGE(add_not_a_scale, c->add.s_b = NAN)
CHANGE(add_one_operand, c->in[1].buffer = NULL)
CHANGE(table_none, c->tables[0].buffer = NULL)
CHANGE(table_short, c->tables[0].bytes -= 1)
CHANGE(table_no_channels, c->table.c = 0)
CHANGE(table_as_output, c->out = c->tables[0]; c->out.bytes = c->in[0].bytes;
       c->out.offset -= c->out.bytes - 1)
CHANGE(concat_too_many, c->concat.inputs = OP_CONCAT_MAX + 1)
CHANGE(concat_table_short, c->tables[0] = (struct device_span){c->out.buffer, 0, 255})
CHANGE(dequantize_huge_zero, c->dequantize.z = 128)
CHANGE(dequantize_unaligned, c->out.offset += 2)
CHANGE(float_unknown, c->float_op.kind = OP_FLOAT_KINDS)
CHANGE(float_negative, c->float_op.kind = (enum op_float_kind) - 1)
CHANGE(float_unknown_b, c->float_op.kind = OP_FLOAT_ADD; c->float_op.b = 4)
CHANGE(float_no_b, c->float_op.kind = OP_FLOAT_ADD; c->in[1].buffer = NULL)
CHANGE(float_unaligned, c->in[0].offset += 1)
CHANGE(strided_no_rank, c->strided.rank = 0)
CHANGE(strided_rank_seven, c->strided.rank = 7)
CHANGE(strided_halves, c->strided.element_bytes = 2)
CHANGE(strided_nothing, c->strided.element_bytes = 0)
CHANGE(strided_further, c->strided.offset += 1)
/* The makers' offset is the smallest that keeps all taps inside. */
CHANGE(strided_before, c->strided.offset -= 1)
CHANGE(strided_far, c->strided.stride[0] = INT64_MIN)
CHANGE(strided_empty, c->strided.extent[0] = 0)
CHANGE(join_none, c->join.inputs = 0)
CHANGE(join_too_many, c->join.inputs = DEVICE_INPUTS_MAX + 1)
CHANGE(join_wide, c->join.inner[0] = UINT64_MAX)
CHANGE(join_tall, c->join.outer = UINT64_MAX / 2)
CHANGE(join_flat, c->join.outer = 0)

/* maker: an index in makers */
static const struct wrong {
	int maker;
	change *change;
} wrongs[] = {
	{0, conv_no_weights},
	{0, conv_other_kernel},
	{0, conv_other_padding},
	{0, conv_more_items},
	{0, conv_zero_stride},
	{0, conv_short_residual},
	{0, conv_no_scales},
	{0, conv_as_gemm},
	{1, gemm_no_weights},
	{1, gemm_other_k},
	{1, gemm_other_n},
	{1, gemm_huge_m},
	{2, pool_empty_window},
	{2, pool_unknown_kind},
	{3, add_huge},
	{3, add_not_a_scale},
	{3, add_one_operand},
	{4, table_none},
	{4, table_short},
	{4, table_no_channels},
	{4, table_as_output},
	{5, concat_too_many},
	{5, concat_table_short},
	{6, dequantize_huge_zero},
	{6, dequantize_unaligned},
	{7, float_unknown},
	{7, float_negative},
	{7, float_unknown_b},
	{7, float_no_b},
	{7, float_unaligned},
	{8, strided_no_rank},
	{8, strided_rank_seven},
	{8, strided_halves},
	{8, strided_nothing},
	{8, strided_further},
	{8, strided_before},
	{8, strided_far},
	{8, strided_empty},
	{9, join_none},
	{9, join_too_many},
	{9, join_wide},
	{9, join_tall},
	{9, join_flat},
};

static void ck_wrong(struct device *device, int maker, change *change, const char *what, int number)
{
	struct trial t;
	uint8_t *before;
	int err;

	trial_init(&t, device, 500 + (uint64_t)maker);
	makers[maker].make(&t);
	change(&t);
	before = malloc(t.memory.size);
	memcpy(before, t.memory.base, t.memory.size);
	err = rig_run_in(&t.memory, &t.command, 1, NULL);
	ck_assert_msg(err == -EINVAL, "%s: wrong command %d: %d", what, number, err);
	ck_assert_msg(!memcmp(before, t.memory.base, t.memory.size),
		      "%s: wrong command %d wrote something", what, number);
	free(before);
	trial_free(&t);
}

START_TEST(wrong_commands_are_refused)
{
	struct device *device = rig_open(2, 0);

	for (int m = 0; m < MAKERS; m++)
		for (int i = 0; i < ANY_OP; i++)
			ck_wrong(device, m, any_op[i], makers[m].name, i);
	for (int i = 0; i < (int)(sizeof(wrongs) / sizeof(wrongs[0])); i++)
		ck_wrong(device, wrongs[i].maker, wrongs[i].change, makers[wrongs[i].maker].name,
			 100 + i);
	device->ops->close(device);
}
END_TEST

/* 2^62 rows more are none more modulo 2^64, at 4 bytes an element. */
START_TEST(a_join_that_wraps)
{
	struct device *device = rig_open(1, 0);
	struct trial t;

	if (!can(device, DEVICE_JOIN)) {
		device->ops->close(device);
		return;
	}
	trial_init(&t, device, 11);
	t.command.op = DEVICE_JOIN;
	t.command.join = (struct device_join){.outer = 4, .inputs = 2, .element_bytes = 4};
	t.command.join.inner[0] = t.command.join.inner[1] = 2;
	add_input(&t, 0, 32, 4);
	add_input(&t, 1, 32, 4);
	add_output(&t, 64, 4);
	ck_assert_int_eq(rig_run(device, &t.command, 1, NULL), 0);
	t.command.join.outer += UINT64_C(1) << 62;
	ck_assert_int_eq(rig_run(device, &t.command, 1, NULL), -EINVAL);
	trial_free(&t);
	device->ops->close(device);
}
END_TEST

/* Buffers and weights of another device are no more legal than none. */
START_TEST(things_of_another_device)
{
	struct device *device = rig_open(1, 0), *other = rig_open(1, 0);
	struct trial t;

	trial_init(&t, device, 3);
	make_add(&t);
	ck_assert_int_eq(rig_run(device, &t.command, 1, NULL), 0);
	ck_assert_int_eq(rig_run(other, &t.command, 1, NULL), -EINVAL);
	trial_free(&t);
	trial_init(&t, device, 4);
	make_conv2d(&t);
	device->ops->weights_free(t.weights);
	ck_assert_int_eq(
		other->ops->weights_conv2d(other, &t.command.conv2d, t.w, t.bias, &t.weights), 0);
	t.command.weights = t.weights;
	ck_assert_int_eq(rig_run(device, &t.command, 1, NULL), -EINVAL);
	trial_free(&t);
	device->ops->close(device);
	other->ops->close(other);
}
END_TEST

START_TEST(weights_that_are_wrong)
{
	struct device *device = rig_open(1, 0);
	struct device_weights *weights;
	struct trial t;

	trial_init(&t, device, 6);
	make_conv2d(&t);
	t.bias[0] = OP_BIAS_MAX + 1;
	ck_assert_int_eq(
		device->ops->weights_conv2d(device, &t.command.conv2d, t.w, t.bias, &weights),
		-EOVERFLOW);
	t.command.conv2d.groups = 0;
	ck_assert_int_eq(
		device->ops->weights_conv2d(device, &t.command.conv2d, t.w, t.bias, &weights),
		-EINVAL);
	trial_free(&t);
	device->ops->close(device);
}
END_TEST

/* ---- buffers ---- */

START_TEST(buffers_are_bounded)
{
	struct device *device = rig_open(1, 0);
	const struct device_ops *ops = device->ops;
	static const uint64_t sizes[] = {1, 4096, 5000, 2u << 20, (2u << 20) + 1, 5u << 20};
	struct device_buffer *buffer;
	uint8_t byte = 7, mine[64] = {0};

	ck_assert_int_eq(ops->buffer_create(device, 0, &buffer), -EINVAL);
	ck_assert_int_ne(ops->buffer_create(device, UINT64_MAX, &buffer), 0);
	ck_assert_int_ne(ops->buffer_create(device, UINT64_MAX / 2, &buffer), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t n = sizes[i], zeros = 0;
		uint8_t *data;

		ck_assert_int_eq(ops->buffer_create(device, n, &buffer), 0);
		data = ops->buffer_map(buffer);
		ck_assert_uint_eq((uintptr_t)data % (n >= 2u << 20 ? 2u << 20 : 4096), 0);
		while (zeros < n && !data[zeros])
			zeros++;
		ck_assert_uint_eq(zeros, n);
		ck_assert_int_eq(ops->buffer_write(buffer, n - 1, &byte, 1), 0);
		ck_assert_int_eq(ops->buffer_write(buffer, n, &byte, 1), -EINVAL);
		ck_assert_int_eq(ops->buffer_write(buffer, UINT64_MAX, &byte, 2), -EINVAL);
		ck_assert_int_eq(ops->buffer_read(buffer, n - 1, mine, 1), 0);
		ck_assert_int_eq(ops->buffer_read(buffer, n - 1, mine, 2), -EINVAL);
		ck_assert_int_eq(mine[0], 7);
		ops->buffer_free(buffer);
	}
	ck_assert_int_eq(ops->buffer_import(device, mine, sizeof(mine), &buffer), 0);
	ck_assert_ptr_eq(ops->buffer_map(buffer), mine);
	ck_assert_int_eq(ops->buffer_write(buffer, 63, &byte, 1), 0);
	ck_assert_int_eq(mine[63], 7);
	ops->buffer_free(buffer);
	ck_assert_int_eq(ops->buffer_import(device, NULL, 1, &buffer), -EINVAL);
	ck_assert_int_eq(ops->buffer_import(device, mine, 0, &buffer), -EINVAL);
	ck_assert_int_eq(ops->buffer_import(device, mine, UINT64_MAX, &buffer), -EINVAL);
	device->ops->close(device);
}
END_TEST

/* Many models, or one that names the same weights again and again, take no more than this. */
START_TEST(memory_is_bounded)
{
	const struct device_config config = {.threads = 1, .memory = 8u << 20};
	struct device_weights *weights[600];
	struct device_buffer *buffer;
	struct device_caps caps;
	struct device *device;
	uint32_t n = 0;
	struct trial t;

	ck_assert_int_eq(device_open("cpu", &config, &device), 0);
	device->ops->caps(device, &caps);
	ck_assert_uint_eq(caps.memory_bytes, config.memory);
	ck_assert_int_eq(device->ops->buffer_create(device, 9u << 20, &buffer), -ENOMEM);
	ck_assert_int_eq(device->ops->buffer_create(device, 6u << 20, &buffer), 0);
	trial_init(&t, device, 7);
	make_conv2d(&t);
	while (n < 600 &&
	       !device->ops->weights_conv2d(device, &t.command.conv2d, t.w, t.bias, &weights[n]))
		n++;
	ck_assert_uint_gt(n, 1);
	ck_assert_uint_lt(n, 600);
	ck_assert_int_eq(
		device->ops->weights_conv2d(device, &t.command.conv2d, t.w, t.bias, &weights[n]),
		-ENOMEM);
	while (n)
		device->ops->weights_free(weights[--n]);
	device->ops->buffer_free(buffer);
	ck_assert_int_eq(device->ops->buffer_create(device, 6u << 20, &buffer), 0);
	device->ops->buffer_free(buffer);
	trial_free(&t);
	device->ops->close(device);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device ops");
	TCase *tc = tcase_create("ops");

	tcase_set_timeout(tc, 60);
	/* Threads are the CPU's: 1 to 4. */
	tcase_add_loop_test(tc, ops_like_the_reference, 0, (rig_is_cpu() ? 4 : 1) * MAKERS);
	tcase_add_test(tc, weights_serve_any_batch);
	tcase_add_test(tc, wrong_commands_are_refused);
	tcase_add_test(tc, a_join_that_wraps);
	tcase_add_test(tc, things_of_another_device);
	tcase_add_test(tc, weights_that_are_wrong);
	if (rig_is_cpu()) {
		tcase_add_test(tc, buffers_are_bounded);
		tcase_add_test(tc, memory_is_bounded);
	}
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
