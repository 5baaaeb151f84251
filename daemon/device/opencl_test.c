/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The golden self-test: each op once or twice on small operands, against kernels/ref. Shapes have
 * rests in every direction; values are random, so that a fused multiply-add, another rounding or a
 * lost tail shows. All operands of a test lie in one buffer: what lies between them must stay.
 */
#include "daemon/device/opencl.h"
#include "kernels/ref/ref.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES	     (UINT64_C(1) << 18)
#define CHANNELS_MAX 64u

struct bench {
	struct opencl *cl;
	uint64_t seed, used;
	struct device_buffer *buffer;
	uint8_t *sent, *want, *got; /* [BYTES] */
	float s_pos[CHANNELS_MAX], s_neg[CHANNELS_MAX];
	int32_t bias[CHANNELS_MAX];
	int8_t w[32768];
};

static uint32_t draw(struct bench *b)
{
	uint64_t z = b->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 16);
}

static float draw_float(struct bench *b, float low, float high)
{
	return low + (high - low) * ((float)(draw(b) % 65536) / 65536.0f);
}

static struct device_span span(struct bench *b, uint64_t bytes)
{
	uint64_t at = (b->used + 64) / 4 * 4;

	b->used = at + bytes;
	return (struct device_span){b->buffer, at, bytes};
}

static void *sent(const struct bench *b, const struct device_span *s)
{
	return b->sent + s->offset;
}

static void *want(const struct bench *b, const struct device_span *s)
{
	return b->want + s->offset;
}

/* Fills the memory that the spans were cut from, before the reference works in it. */
static void begin(struct bench *b)
{
	for (uint64_t i = 0; i < BYTES; i++)
		b->sent[i] = (uint8_t)(draw(b) % 16 ? draw(b) : 128);
	memcpy(b->want, b->sent, BYTES);
}

/* Runs it, and compares all of the memory. */
static int run(struct bench *b, const struct device_command *command)
{
	const struct device_batch batch = {.commands = command, .count = 1};
	struct opencl *cl = b->cl;
	int err = opencl_buffer_write(b->buffer, 0, b->sent, BYTES);

	cl->deadline = opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u;
	if (!err)
		err = opencl_run(cl, &batch, command);
	if (!err)
		err = opencl_settle(cl);
	if (!err)
		err = opencl_buffer_read(b->buffer, 0, b->got, BYTES);
	if (err)
		return err;
	return memcmp(b->got, b->want, BYTES) ? -EIO : 0;
}

static struct op_requant draw_requant(struct bench *b)
{
	for (uint32_t c = 0; c < CHANNELS_MAX; c++) {
		b->s_pos[c] = draw_float(b, 0.0f, 0.01f);
		b->s_neg[c] = draw_float(b, -0.01f, 0.01f);
		b->bias[c] = (int32_t)(draw(b) % 20001) - 10000;
	}
	for (size_t i = 0; i < sizeof(b->w); i++)
		b->w[i] = (int8_t)draw(b);
	return (struct op_requant){.s_pos = b->s_pos,
				   .s_neg = b->s_neg,
				   .s_r = draw_float(b, 0.1f, 2.0f),
				   .z_r = 5,
				   .z = -7,
				   .lo = -120,
				   .hi = 117};
}

/* ---- products ---- */

static int test_conv2d(struct bench *b, struct op_conv2d op, bool residual)
{
	uint64_t pixels = (uint64_t)op.n * op_conv2d_oh(&op) * op_conv2d_ow(&op);
	uint32_t size = op.out == OP_OUT_S8 ? 1 : 4;
	struct device_command command = {.op = DEVICE_CONV2D, .conv2d = op};
	struct device_weights *weights;
	int err;

	command.conv2d.q = draw_requant(b);
	command.in[0] = span(b, (uint64_t)op.n * op.h * op.w * op.c);
	if (residual)
		command.in[1] = span(b, pixels * op.oc);
	command.out = span(b, pixels * op.oc * size);
	command.checksum = span(b, pixels * 4);
	begin(b);
	err = opencl_weights_conv2d(&b->cl->base, &command.conv2d, b->w, b->bias, &weights);
	if (err)
		return err;
	command.weights = weights;
	ref_conv2d(&command.conv2d, sent(b, &command.in[0]), b->w, b->bias,
		   residual ? sent(b, &command.in[1]) : NULL, want(b, &command.out));
	ref_conv2d_checksum(&command.conv2d, sent(b, &command.in[0]), b->w, b->bias,
			    want(b, &command.checksum));
	err = run(b, &command);
	opencl_weights_free(weights);
	return err;
}

static int test_conv2ds(struct bench *b)
{
	const struct op_conv2d dense = {.n = 2,
					.h = 9,
					.w = 7,
					.c = 19,
					.oc = 21,
					.kh = 3,
					.kw = 3,
					.groups = 1,
					.stride_h = 2,
					.stride_w = 1,
					.dilation_h = 1,
					.dilation_w = 1,
					.pad_top = 1,
					.pad_left = 1,
					.pad_bottom = 1,
					.z_x = -3};
	struct op_conv2d grouped = dense, depthwise = dense;
	int err = test_conv2d(b, dense, true);

	grouped.c = 12;
	grouped.oc = 18;
	grouped.groups = 3;
	grouped.dilation_w = 2;
	grouped.out = OP_OUT_F32;
	depthwise.c = depthwise.oc = depthwise.groups = 37;
	if (!err)
		err = test_conv2d(b, grouped, true);
	return err ? err : test_conv2d(b, depthwise, false);
}

static int test_gemm(struct bench *b, enum op_out out)
{
	struct op_gemm op = {.m = 5, .n = 33, .k = 67, .out = out};
	struct device_command command = {.op = DEVICE_GEMM};
	struct device_weights *weights;
	int err;

	op.q = draw_requant(b);
	command.gemm = op;
	command.in[0] = span(b, (uint64_t)op.m * op.k);
	if (out != OP_OUT_S32)
		command.in[1] = span(b, (uint64_t)op.m * op.n);
	command.out = span(b, (uint64_t)op.m * op.n * (out == OP_OUT_S8 ? 1 : 4));
	command.checksum = span(b, op.m * 4);
	begin(b);
	err = opencl_weights_gemm(&b->cl->base, &op, b->w, b->bias, &weights);
	if (err)
		return err;
	command.weights = weights;
	ref_gemm(&op, sent(b, &command.in[0]), b->w, b->bias,
		 out != OP_OUT_S32 ? sent(b, &command.in[1]) : NULL, want(b, &command.out));
	ref_gemm_checksum(&op, sent(b, &command.in[0]), b->w, b->bias, want(b, &command.checksum));
	err = run(b, &command);
	opencl_weights_free(weights);
	return err;
}

static int test_gemms(struct bench *b)
{
	int err = test_gemm(b, OP_OUT_S8);

	return err ? err : test_gemm(b, OP_OUT_S32);
}

/* ---- the smaller ones ---- */

static int test_pool(struct bench *b, enum op_pool_kind kind, uint32_t divisor)
{
	const struct op_pool2d op = {.n = 2,
				     .h = 8,
				     .w = 9,
				     .c = 21,
				     .kh = 3,
				     .kw = 2,
				     .stride_h = 2,
				     .stride_w = 1,
				     .pad_top = 1,
				     .pad_left = 1,
				     .kind = kind,
				     .divisor = divisor,
				     .scale = 1.37f,
				     .z_x = 4,
				     .z = -2,
				     .lo = -100,
				     .hi = 127};
	struct device_command command = {.op = DEVICE_POOL2D, .pool2d = op};

	command.in[0] = span(b, (uint64_t)op.n * op.h * op.w * op.c);
	command.out = span(b, (uint64_t)op.n * op_pool2d_oh(&op) * op_pool2d_ow(&op) * op.c);
	begin(b);
	ref_pool2d(&op, sent(b, &command.in[0]), want(b, &command.out));
	return run(b, &command);
}

static int test_pools(struct bench *b)
{
	int err = test_pool(b, OP_POOL_MAX, 0);

	if (!err)
		err = test_pool(b, OP_POOL_AVG, 0);
	return err ? err : test_pool(b, OP_POOL_AVG, 6);
}

static int test_add(struct bench *b)
{
	const struct op_add op = {.count = 5003,
				  .s_a = draw_float(b, 0.3f, 1.5f),
				  .s_b = draw_float(b, 0.3f, 1.5f),
				  .z_a = 9,
				  .z_b = -11,
				  .z = 3,
				  .lo = -128,
				  .hi = 127};
	struct device_command command = {.op = DEVICE_ADD, .add = op};

	command.in[0] = span(b, op.count);
	command.in[1] = span(b, op.count);
	command.out = span(b, op.count);
	begin(b);
	ref_add(&op, sent(b, &command.in[0]), sent(b, &command.in[1]), want(b, &command.out));
	return run(b, &command);
}

static int test_table(struct bench *b)
{
	const struct op_table op = {.pixels = 37, .c = 13, .per_channel = true};
	struct device_command command = {.op = DEVICE_TABLE, .table = op};

	command.in[0] = span(b, op.pixels * op.c);
	command.tables[0] = span(b, op.c * 256u);
	command.out = span(b, op.pixels * op.c);
	begin(b);
	ref_table(&op, sent(b, &command.tables[0]), sent(b, &command.in[0]), want(b, &command.out));
	return run(b, &command);
}

static int test_concat(struct bench *b)
{
	const struct op_concat op = {.pixels = 29, .inputs = 3, .c = {5, 16, 3}};
	struct device_command command = {.op = DEVICE_CONCAT, .concat = op};
	const int8_t *x[3], *tables[3] = {NULL};

	for (uint32_t i = 0; i < op.inputs; i++)
		command.in[i] = span(b, op.pixels * op.c[i]);
	command.tables[1] = span(b, 256);
	command.out = span(b, op.pixels * 24);
	begin(b);
	for (uint32_t i = 0; i < op.inputs; i++)
		x[i] = sent(b, &command.in[i]);
	tables[1] = sent(b, &command.tables[1]);
	ref_concat(&op, x, tables, want(b, &command.out));
	return run(b, &command);
}

static int test_dequantize(struct bench *b)
{
	const struct op_dequantize op = {.count = 1001, .scale = 0.0371f, .z = -9};
	struct device_command command = {.op = DEVICE_DEQUANTIZE, .dequantize = op};

	command.in[0] = span(b, op.count);
	command.out = span(b, op.count * 4);
	begin(b);
	ref_dequantize(&op, sent(b, &command.in[0]), want(b, &command.out));
	return run(b, &command);
}

/* A transposition of [3][11][7] with the last extent backwards, elements of 4 bytes. */
static int test_strided(struct bench *b)
{
	const struct device_strided op = {.rank = 3,
					  .element_bytes = 4,
					  .extent = {11, 7, 3},
					  .stride = {7, -1, 77},
					  .offset = 6};
	struct device_command command = {.op = DEVICE_STRIDED, .strided = op};
	uint32_t *x, *y;

	command.in[0] = span(b, 3 * 77 * 4);
	command.out = span(b, 3 * 77 * 4);
	begin(b);
	x = sent(b, &command.in[0]);
	y = want(b, &command.out);
	for (int i = 0; i < 11; i++)
		for (int j = 0; j < 7; j++)
			for (int k = 0; k < 3; k++)
				*y++ = x[6 + i * 7 - j + k * 77];
	return run(b, &command);
}

static int test_join(struct bench *b)
{
	const struct device_join op = {
		.outer = 9, .inputs = 2, .element_bytes = 4, .inner = {5, 3}};
	struct device_command command = {.op = DEVICE_JOIN, .join = op};
	uint8_t *y;

	command.in[0] = span(b, 9 * 20);
	command.in[1] = span(b, 9 * 12);
	command.out = span(b, 9 * 32);
	begin(b);
	y = want(b, &command.out);
	for (size_t o = 0; o < 9; o++, y += 32) {
		memcpy(y, (uint8_t *)sent(b, &command.in[0]) + o * 20, 20);
		memcpy(y + 20, (uint8_t *)sent(b, &command.in[1]) + o * 12, 12);
	}
	return run(b, &command);
}

static int test_copy(struct bench *b)
{
	struct device_command command = {.op = DEVICE_COPY};

	command.in[0] = span(b, 4099);
	command.out = span(b, 4099);
	begin(b);
	memcpy(want(b, &command.out), sent(b, &command.in[0]), 4099);
	return run(b, &command);
}

/* ---- search ---- */

#define TILES	300u
#define ROWS	(TILES * SEARCH_TILE_ROWS)
#define QUERIES 17u

struct gallery {
	struct search_rows rows;
	uint8_t *head, *tail;
	float scale[ROWS], bias[ROWS];
	uint64_t id[ROWS], tags[ROWS];
	uint32_t born[ROWS], died[ROWS], subject[ROWS];
	int8_t x[QUERIES][SEARCH_DIM_MAX];
	struct search_query query[QUERIES];
	struct search_list *list[QUERIES], *expected[QUERIES];
};

static void gallery_free(struct gallery *g)
{
	for (uint32_t q = 0; q < QUERIES; q++) {
		search_list_free(g->list[q]);
		search_list_free(g->expected[q]);
	}
	free(g->head);
	free(g->tail);
	free(g);
}

static struct gallery *gallery_create(struct bench *b, enum search_metric metric, uint32_t dim,
				      uint32_t head)
{
	struct gallery *g = calloc(1, sizeof(*g));
	uint32_t padded = search_padded_dim(dim);

	if (!g)
		return NULL;
	g->head = aligned_alloc(64, (size_t)ROWS * head);
	g->tail = padded > head ? aligned_alloc(64, (size_t)ROWS * (padded - head)) : NULL;
	if (!g->head || (padded > head && !g->tail)) {
		gallery_free(g);
		return NULL;
	}
	memset(g->head, 128, (size_t)ROWS * head);
	if (g->tail)
		memset(g->tail, 128, (size_t)ROWS * (padded - head));
	g->rows = (struct search_rows){.metric = metric,
				       .dim = dim,
				       .head = head,
				       .head_tiles = g->head,
				       .tail_tiles = g->tail,
				       .scale = g->scale,
				       .bias = g->bias,
				       .id = g->id,
				       .tags = g->tags,
				       .born = g->born,
				       .died = g->died,
				       .subject = g->subject};
	for (uint64_t r = 0; r < ROWS; r++) {
		int8_t x[SEARCH_DIM_MAX];

		for (uint32_t d = 0; d < dim; d++)
			x[d] = (int8_t)draw(b);
		search_put_row(&g->rows, r, x);
		g->scale[r] = draw_float(b, 0.1f, 1.0f);
		g->bias[r] = draw_float(b, 0.0f, 1000.0f);
		g->id[r] = (r * 2654435761u) % 4294967291u;
		g->tags[r] = draw(b) % 4;
		g->subject[r] = draw(b) % 999;
		g->born[r] = draw(b) % 8;
		g->died[r] = draw(b) % 8 ? SEARCH_NEVER : 4;
	}
	return g;
}

static bool gallery_ask(struct bench *b, struct gallery *g, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct search_query *q = &g->query[i];

		for (uint32_t d = 0; d < g->rows.dim; d++)
			g->x[i][d] = (int8_t)draw(b);
		*q = (struct search_query){.x = g->x[i],
					   .q_mul = draw_float(b, 0.1f, 2.0f),
					   .limit = -INFINITY,
					   .k = 1 + draw(b) % 20,
					   .by_subject = i % 3 == 2,
					   .epoch = draw(b) % 8,
					   .rows = ROWS - draw(b) % 50,
					   .tag_mask = i % 2,
					   .tag_value = draw(b) % 2 & (i % 2)};
		g->list[i] = search_list_create(q->k, q->by_subject);
		g->expected[i] = search_list_create(q->k, q->by_subject);
		if (!g->list[i] || !g->expected[i])
			return false;
	}
	return true;
}

static bool same_lists(const struct gallery *g, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct search_hit got[20], wanted[20];
		uint32_t n = search_list_sorted(g->list[i], got);

		if (n != search_list_sorted(g->expected[i], wanted))
			return false;
		for (uint32_t h = 0; h < n; h++)
			if (got[h].s != wanted[h].s || got[h].row != wanted[h].row)
				return false;
	}
	return true;
}

static int run_search(struct bench *b, struct gallery *g, uint32_t tiles, uint32_t count,
		      uint64_t *ns)
{
	struct opencl *cl = b->cl;
	struct device_rows *copy;
	struct device_command load = {.op = DEVICE_LOAD}, search = {.op = DEVICE_SEARCH};
	const struct device_batch batch = {.commands = &search, .count = 1};
	uint64_t begin;
	int err = opencl_rows_create(&cl->base, &g->rows, 0, tiles, &copy);

	if (err)
		return err;
	load.load = (struct device_load){.to = copy, .tile_end = tiles};
	search.search = (struct device_search){.rows = &g->rows,
					       .resident = copy,
					       .tile_end = tiles,
					       .queries = g->query,
					       .count = count,
					       .lists = g->list};
	cl->deadline = opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u;
	err = opencl_run(cl, &batch, &load);
	begin = opencl_clock();
	if (!err)
		err = opencl_run(cl, &batch, &search);
	if (!err)
		err = opencl_settle(cl);
	*ns = opencl_clock() - begin;
	opencl_rows_free(copy);
	return err;
}

static int test_search(struct bench *b, enum search_metric metric, uint32_t head, uint32_t count)
{
	struct gallery *g = gallery_create(b, metric, 70, head);
	uint64_t ns;
	int err = -ENOMEM;

	if (g && gallery_ask(b, g, count))
		err = ref_search(&g->rows, 0, ROWS, g->query, count, g->expected);
	if (!err)
		err = run_search(b, g, TILES, count, &ns);
	if (!err && !same_lists(g, count))
		err = -EIO;
	if (g)
		gallery_free(g);
	return err;
}

static int test_searches(struct bench *b)
{
	int err = test_search(b, SEARCH_COSINE, 36, 3);

	if (!err)
		err = test_search(b, SEARCH_L2, 72, QUERIES);
	return err ? err : test_search(b, SEARCH_DOT, 4, 1);
}

/* ---- all of them ---- */

static const struct {
	enum device_op op;
	const char *name;
	int (*run)(struct bench *b);
} tests[] = {
	{DEVICE_CONV2D, "conv2d", test_conv2ds},
	{DEVICE_GEMM, "gemm", test_gemms},
	{DEVICE_POOL2D, "pool2d", test_pools},
	{DEVICE_ADD, "add", test_add},
	{DEVICE_TABLE, "table", test_table},
	{DEVICE_CONCAT, "concat", test_concat},
	{DEVICE_DEQUANTIZE, "dequantize", test_dequantize},
	{DEVICE_STRIDED, "strided", test_strided},
	{DEVICE_JOIN, "join", test_join},
	{DEVICE_COPY, "copy", test_copy},
	{DEVICE_SEARCH, "search", test_searches},
};

static int bench_init(struct bench *b, struct opencl *cl)
{
	b->cl = cl;
	b->seed = 1;
	b->sent = malloc(BYTES);
	b->want = malloc(BYTES);
	b->got = malloc(BYTES);
	if (!b->sent || !b->want || !b->got)
		return -ENOMEM;
	return opencl_buffer_create(&cl->base, BYTES, &b->buffer);
}

static void bench_free(struct bench *b)
{
	opencl_buffer_free(b->buffer);
	free(b->sent);
	free(b->want);
	free(b->got);
	free(b);
}

int opencl_self_test(struct opencl *cl, char *why, size_t bytes)
{
	struct bench *b = calloc(1, sizeof(*b));
	uint64_t ops = opencl_ops(cl);
	int err = b ? bench_init(b, cl) : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(tests) / sizeof(tests[0]); i++) {
		b->used = 0;
		if (!(ops >> tests[i].op & 1))
			continue;
		err = tests[i].run(b);
		if (err)
			snprintf(why, bytes, "%s / %s: %s by the %s kernels %s", cl->platform,
				 cl->name, tests[i].name, cl->variant->name,
				 err == -EIO ? "gives wrong bits: the driver miscompiles it"
					     : strerror(-err));
	}
	if (b)
		bench_free(b);
	return err;
}

/* Few rows first: an emulator takes its time. */
uint64_t opencl_variant_ns(struct opencl *cl)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct gallery *g = NULL;
	uint64_t ns = 0, least = 0;
	int err = -ENOMEM;

	if (b) {
		b->cl = cl;
		g = gallery_create(b, SEARCH_COSINE, 512, 512);
	}
	if (g && gallery_ask(b, g, 12)) {
		for (uint32_t i = 0; i < 12; i++)
			g->query[i].limit = INFINITY; /* the products alone */
		err = run_search(b, g, 16, 12, &ns);
	}
	for (int i = 0; !err && ns < 20000000 && i < 3; i++) {
		err = run_search(b, g, TILES, 12, &ns);
		least = !least || ns < least ? ns : least;
	}
	if (g)
		gallery_free(g);
	free(b);
	return err ? 0 : least ? least : ns * TILES / 16;
}
