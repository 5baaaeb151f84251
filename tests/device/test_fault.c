/* SPDX-License-Identifier: Apache-2.0 */
/* The fault device: what it breaks, what it leaves alone, and that it counts what it did. */
#include "daemon/device/fault.h"
#include "kernels/ref/ref.h"
#include "tests/device/rig.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the device, a gemm over imported memory, a small gallery -------------------------------- */
#define M    5u
#define N    19u
#define K    24u
#define DIM  32u
#define ROWS 48u

static struct device *device;

static void open_with(const char *spec)
{
	const struct device_config config = {.threads = 1, .fault = spec};

	ck_assert_int_eq(device_open("fault", &config, &device), 0);
}

static void close_it(void)
{
	device->ops->close(device);
}

static uint64_t injected(enum fault_kind kind)
{
	struct fault_stats stats;

	fault_stats(device, &stats);
	return stats.injected[kind];
}

struct product {
	struct op_gemm p;
	int8_t before_x[8], x[M * K], w[N * K], residual[M * N];
	int32_t bias[N];
	float s_pos[N];
	int8_t y[M * N], want[M * N], x_before[M * K], r_before[M * N];
	uint32_t chk[M], want_chk[M];
	struct device_buffer *in, *extra, *out, *sums;
	struct device_weights *weights;
	struct device_command command;
};

static void want_checksums(struct product *g)
{
	for (uint32_t m = 0; m < M; m++) {
		g->want_chk[m] = 0;
		for (uint32_t n = 0; n < N; n++) {
			g->want_chk[m] += (uint32_t)g->bias[n];
			for (uint32_t k = 0; k < K; k++)
				g->want_chk[m] += (uint32_t)(g->x[m * K + k] * g->w[n * K + k]);
		}
	}
}

static void product_random(struct product *g, uint64_t seed)
{
	for (uint32_t i = 0; i < M * K; i++)
		g->x[i] = (int8_t)rig_random(&seed);
	for (uint32_t i = 0; i < N * K; i++)
		g->w[i] = (int8_t)rig_random(&seed);
	for (uint32_t i = 0; i < M * N; i++)
		g->residual[i] = (int8_t)rig_random(&seed);
	for (uint32_t n = 0; n < N; n++) {
		g->bias[n] = (int32_t)rig_between(&seed, 0, 2000) - 1000;
		g->s_pos[n] = rig_float(&seed, 0.001f, 0.002f);
	}
	memcpy(g->x_before, g->x, sizeof(g->x));
	memcpy(g->r_before, g->residual, sizeof(g->residual));
}

static void product_init(struct product *g, uint64_t seed)
{
	const struct device_ops *ops = device->ops;

	memset(g, 0, sizeof(*g));
	product_random(g, seed);
	g->p = (struct op_gemm){M, N, K, OP_OUT_S8, {g->s_pos, g->s_pos, 0.5f, 3, 1, -128, 127}};
	ck_assert_int_eq(ref_gemm(&g->p, g->x, g->w, g->bias, g->residual, g->want), 0);
	want_checksums(g);
	ck_assert_int_eq(ops->weights_gemm(device, &g->p, g->w, g->bias, &g->weights), 0);
	ck_assert_int_eq(ops->buffer_import(device, g->before_x, 8 + sizeof(g->x), &g->in), 0);
	ck_assert_int_eq(ops->buffer_import(device, g->residual, sizeof(g->residual), &g->extra),
			 0);
	ck_assert_int_eq(ops->buffer_import(device, g->y, sizeof(g->y), &g->out), 0);
	ck_assert_int_eq(ops->buffer_create(device, sizeof(g->chk), &g->sums), 0);
	g->command = (struct device_command){
		.op = DEVICE_GEMM,
		.gemm = g->p,
		.weights = g->weights,
		.in = {{g->in, 8, sizeof(g->x)}, {g->extra, 0, sizeof(g->residual)}},
		.out = {g->out, 0, sizeof(g->y)}};
}

static void product_free(struct product *g)
{
	device->ops->buffer_free(g->in);
	device->ops->buffer_free(g->extra);
	device->ops->buffer_free(g->out);
	device->ops->buffer_free(g->sums);
	device->ops->weights_free(g->weights);
}

/* With a checksum, read back by the batch itself; the inputs that the device saw into seen. */
static int product_run(struct product *g, int8_t seen[M * K])
{
	struct device_command commands[3] = {g->command};

	commands[0].checksum = (struct device_span){g->sums, 0, sizeof(g->chk)};
	commands[1] = (struct device_command){.op = DEVICE_DOWNLOAD, .host = g->chk};
	commands[1].in[0] = commands[0].checksum;
	commands[2] = (struct device_command){.op = DEVICE_DOWNLOAD, .host = seen};
	commands[2].in[0] = g->command.in[0];
	return rig_run(device, commands, seen ? 3 : 2, NULL);
}

static void ck_untouched(const struct product *g)
{
	ck_assert_mem_eq(g->x, g->x_before, sizeof(g->x));
	ck_assert_mem_eq(g->residual, g->r_before, sizeof(g->residual));
}

struct gallery {
	struct search_rows rows;
	_Alignas(64) uint8_t tiles[ROWS * DIM];
	uint8_t before[ROWS * DIM];
	uint64_t id[ROWS], tags[ROWS];
	uint32_t born[ROWS], died[ROWS], subject[ROWS];
	int8_t x[DIM];
	struct search_query query;
	struct search_list *list, *want;
	struct device_rows *copy;
};

static void gallery_fill(struct gallery *g, uint64_t seed)
{
	g->rows = (struct search_rows){.metric = SEARCH_DOT,
				       .dim = DIM,
				       .head = DIM,
				       .head_tiles = g->tiles,
				       .id = g->id,
				       .tags = g->tags,
				       .born = g->born,
				       .died = g->died,
				       .subject = g->subject};
	for (uint32_t d = 0; d < DIM; d++)
		g->x[d] = (int8_t)rig_between(&seed, 1, 127);
	for (uint32_t r = 0; r < ROWS; r++) {
		int8_t x[DIM];

		for (uint32_t d = 0; d < DIM; d++)
			x[d] = (int8_t)rig_random(&seed);
		search_put_row(&g->rows, r, x);
		g->id[r] = 1000 + r;
		g->died[r] = SEARCH_NEVER;
	}
	memcpy(g->before, g->tiles, sizeof(g->tiles));
}

static int load_tiles(struct gallery *g, uint64_t begin, uint64_t end)
{
	struct device_command load = {.op = DEVICE_LOAD};

	load.load = (struct device_load){g->copy, begin, end};
	return rig_run(device, &load, 1, NULL);
}

static void gallery_load(struct gallery *g)
{
	ck_assert_int_eq(load_tiles(g, 0, ROWS / SEARCH_TILE_ROWS), 0);
}

static void gallery_init(struct gallery *g, uint64_t seed)
{
	memset(g, 0, sizeof(*g));
	gallery_fill(g, seed);
	g->query = (struct search_query){.x = g->x, .limit = -INFINITY, .k = ROWS, .rows = ROWS};
	g->list = search_list_create(ROWS, false);
	g->want = search_list_create(ROWS, false);
	ck_assert_int_eq(ref_search(&g->rows, 0, ROWS, &g->query, 1, &g->want), 0);
	ck_assert_int_eq(
		device->ops->rows_create(device, &g->rows, 0, ROWS / SEARCH_TILE_ROWS, &g->copy),
		0);
	gallery_load(g);
}

static void gallery_free(struct gallery *g)
{
	device->ops->rows_free(g->copy);
	search_list_free(g->list);
	search_list_free(g->want);
}

static int gallery_search(struct gallery *g)
{
	struct device_command command = {.op = DEVICE_SEARCH};

	search_list_reset(g->list, ROWS, false);
	command.search = (struct device_search){.rows = &g->rows,
						.resident = g->copy,
						.tile_end = ROWS / SEARCH_TILE_ROWS,
						.queries = &g->query,
						.count = 1,
						.lists = &g->list};
	return rig_run(device, &command, 1, NULL);
}

/* How many places of the two answers differ. */
static uint32_t gallery_differs(const struct gallery *g)
{
	struct search_hit got[ROWS], want[ROWS];
	uint32_t n = search_list_sorted(g->list, got), bad = 0;

	ck_assert_uint_eq(search_list_sorted(g->want, want), ROWS);
	if (n != ROWS)
		return ROWS;
	for (uint32_t i = 0; i < n; i++)
		bad += got[i].id != want[i].id || got[i].s != want[i].s;
	return bad;
}

/* ---- the spec ------------------------------------------------------------------------------- */
START_TEST(a_spec_is_read_or_refused)
{
	static const char *const good[] = {
		"",
		"fail",
		"fail:every=3",
		"flip-out:rate=1/1000,seed=7,bits=3",
		"flip-in:rate=0.5;flip-out:ops=gemm+conv2d",
		"hang:ms=20,after=5,limit=1 delay:ms=3",
		"gone:after=100; fail:ops=all",
		"flip-rows:ops=search",
		"flip-acc:ops=gemm",
		"flip-in:ops=compute",
		"fail:rate=1",
		"fail:rate=0",
	};
	static const char *const bad[] = {
		"x",
		"fail:every=0",
		"fail:every=-1",
		"fail:every",
		"fail:every=1,every=2",
		"fail:every=2,rate=0.1",
		"fail:rate=2",
		"fail:rate=1/0",
		"fail:rate=nan",
		"fail:rate=.5x",
		"fail:ops=bogus",
		"fail:ops=",
		"fail:ops=gemm+",
		"flip-acc:ops=search",
		"flip-rows:ops=gemm",
		"flip-in:bits=0",
		"flip-in:bits=65",
		"delay:ms=3600001",
		"fail:",
		"fail:limit=99999999999999999999",
		"fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;fail;"
		"fail",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		open_with(good[i]);
		close_it();
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct device_config config = {.threads = 1, .fault = bad[i]};

		ck_assert_msg(device_open("fault", &config, &device) == -EINVAL, "%s", bad[i]);
		ck_assert_msg(device_open("cpu", &config, &device) == -EINVAL, "%s", bad[i]);
	}
}
END_TEST

START_TEST(any_kind_of_device_can_be_wrapped)
{
	const struct device_config config = {.threads = 1, .fault = "fail"};
	const struct device_config none = {.threads = 1, .select = "no-such-kind"};
	struct device_caps caps;

	ck_assert_int_eq(device_open("cpu", &config, &device), 0);
	ck_assert_str_eq(device->ops->kind, "fault");
	device->ops->caps(device, &caps);
	ck_assert_str_eq(caps.name, "fault-cpu0");
	ck_assert(!caps.reads_host_memory && caps.checksums);
	ck_assert(caps.ops >> DEVICE_LOAD & 1);
	close_it();
	ck_assert_int_eq(device_open("fault", &none, &device), -ENODEV);
}
END_TEST

/* ---- without faults it is the inner device --------------------------------------------------- */
START_TEST(without_faults_it_gives_the_same_bytes)
{
	open_with(NULL);
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct product g;
		struct gallery h;

		product_init(&g, seed);
		ck_assert_int_eq(product_run(&g, NULL), 0);
		ck_assert_mem_eq(g.y, g.want, sizeof(g.y));
		ck_assert_mem_eq(g.chk, g.want_chk, sizeof(g.chk));
		ck_untouched(&g);
		product_free(&g);
		gallery_init(&h, seed);
		ck_assert_int_eq(gallery_search(&h), 0);
		ck_assert_uint_eq(gallery_differs(&h), 0);
		gallery_free(&h);
	}
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		ck_assert_uint_eq(injected((enum fault_kind)kind), 0);
	close_it();
}
END_TEST

/* Rows that were not loaded are not found, and a later change only after a load. */
START_TEST(rows_are_a_copy)
{
	struct gallery g;

	open_with(NULL);
	gallery_init(&g, 3);
	g.died[7] = 0;
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_eq(gallery_differs(&g), 0);
	gallery_load(&g);
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_eq(gallery_differs(&g), ROWS);
	device->ops->rows_free(g.copy);
	ck_assert_int_eq(device->ops->rows_create(device, &g.rows, 1, 2, &g.copy), 0);
	ck_assert_int_eq(gallery_search(&g), -EINVAL);
	ck_assert_int_eq(load_tiles(&g, 1, 2), 0);
	ck_assert_int_eq(load_tiles(&g, 0, 2), -EINVAL);
	ck_assert_int_eq(load_tiles(&g, 1, 3), -EINVAL);
	gallery_free(&g);
	close_it();
}
END_TEST

START_TEST(what_the_inner_device_refuses_is_refused)
{
	struct product g;
	struct device *other = device;
	struct device_buffer *foreign;

	open_with(NULL);
	other = device;
	open_with(NULL);
	product_init(&g, 1);
	ck_assert_int_eq(other->ops->buffer_create(other, sizeof(g.x), &foreign), 0);
	g.command.in[0].buffer = foreign;
	ck_assert_int_eq(product_run(&g, NULL), -EINVAL);
	ck_assert_int_eq(rig_run(device, &g.command, 1, NULL), -EINVAL);
	g.command.in[0] = (struct device_span){g.in, 9, sizeof(g.x)};
	ck_assert_int_eq(product_run(&g, NULL), -EINVAL);
	g.command.in[0] = (struct device_span){g.in, 8, sizeof(g.x)};
	g.command.out.bytes--;
	ck_assert_int_eq(product_run(&g, NULL), -EINVAL);
	g.command.out.bytes++;
	g.command.weights = NULL;
	ck_assert_int_eq(product_run(&g, NULL), -EINVAL);
	g.command.op = DEVICE_OPS;
	ck_assert_int_eq(rig_run(device, &g.command, 1, NULL), -EINVAL);
	product_free(&g);
	other->ops->buffer_free(foreign);
	other->ops->close(other);
	close_it();
}
END_TEST

/* ---- failing, going, hanging ------------------------------------------------------------------ */
static const struct device_command echo = {.op = DEVICE_ECHO};

START_TEST(every_after_and_limit_say_when)
{
	int want[] = {0, 0, 0, 0, -EIO, 0, 0, -EIO, 0, 0, 0, 0, 0, 0};

	open_with("fail:every=3,after=2,limit=2");
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_msg(rig_run(device, &echo, 1, NULL) == want[i], "command %zu", i);
	ck_assert_uint_eq(injected(FAULT_FAIL), 2);
	close_it();
}
END_TEST

START_TEST(a_failed_command_ends_its_batch)
{
	struct device_command commands[4] = {echo, echo, echo, echo};
	uint32_t at;

	open_with("fail:every=3,limit=1");
	ck_assert_int_eq(rig_run(device, commands, 4, &at), -EIO);
	ck_assert_uint_eq(at, 2);
	ck_assert_int_eq(rig_run(device, commands, 4, NULL), 0);
	close_it();
}
END_TEST

START_TEST(a_rate_is_kept_and_repeats)
{
	uint64_t first = 0, second = 0;

	for (int round = 0; round < 2; round++) {
		uint64_t *pattern = round ? &second : &first;
		uint64_t n = 0;

		open_with("fail:rate=1/4,seed=11");
		for (int i = 0; i < 1000; i++) {
			bool failed = rig_run(device, &echo, 1, NULL) != 0;

			n += failed;
			*pattern = *pattern * 3 + failed;
		}
		ck_assert_uint_ge(n, 200);
		ck_assert_uint_le(n, 300);
		ck_assert_uint_eq(n, injected(FAULT_FAIL));
		close_it();
	}
	ck_assert_uint_eq(first, second);
}
END_TEST

START_TEST(a_device_that_is_gone_stays_so)
{
	struct device_buffer *buffer;
	struct product g;

	open_with("gone:ops=gemm");
	product_init(&g, 1);
	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
	ck_assert_int_eq(product_run(&g, NULL), -ENODEV);
	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), -ENODEV);
	ck_assert_int_eq(device->ops->reset(device), -ENODEV);
	ck_assert_int_eq(device->ops->buffer_create(device, 64, &buffer), -ENODEV);
	ck_assert_int_eq(device->ops->buffer_write(g.sums, 0, g.chk, sizeof(g.chk)), -ENODEV);
	ck_assert_uint_eq(injected(FAULT_GONE), 1);
	ck_assert_int_eq(fault_set(device, NULL), 0);
	ck_assert_int_eq(product_run(&g, NULL), 0);
	ck_assert_mem_eq(g.y, g.want, sizeof(g.y));
	product_free(&g);
	close_it();
}
END_TEST

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

START_TEST(a_delay_is_time_on_the_device)
{
	uint64_t begin = now_ms();
	struct device_stats stats;

	open_with("delay:ms=30");
	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
	ck_assert_uint_ge(now_ms() - begin, 30);
	device->ops->stats(device, &stats);
	ck_assert_uint_ge(stats.busy_ns, 30000000);
	ck_assert_uint_eq(injected(FAULT_DELAY), 1);
	close_it();
}
END_TEST

static void wait_injected(enum fault_kind kind)
{
	while (!injected(kind))
		nanosleep(&(struct timespec){0, 100000}, NULL);
}

START_TEST(a_hang_ends_by_reset_and_loses_what_waits)
{
	struct rig_wait wait = RIG_WAIT;
	struct device_batch batch[3];

	open_with("hang:limit=1");
	for (int i = 0; i < 3; i++) {
		batch[i] = (struct device_batch){
			.commands = &echo, .count = 1, .done = rig_done, .user = &wait};
		ck_assert_int_eq(device->ops->submit(device, &batch[i]), 0);
	}
	wait_injected(FAULT_HANG);
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	ck_assert_uint_eq(wait.count, 0);
	ck_assert_int_eq(device->ops->reset(device), 0);
	rig_wait_for(&wait, 3);
	ck_assert_int_eq(batch[0].error, -ETIMEDOUT);
	ck_assert_int_eq(batch[1].error, -ECANCELED);
	ck_assert_int_eq(batch[2].error, -ECANCELED);
	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
	close_it();
}
END_TEST

START_TEST(a_hang_with_a_time_ends_by_itself)
{
	open_with("hang:ms=20,limit=1");
	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), -ETIMEDOUT);
	ck_assert_int_eq(rig_run(device, &echo, 1, NULL), 0);
	close_it();
}
END_TEST

/* ---- flips ------------------------------------------------------------------------------------ */
START_TEST(a_flipped_input_is_the_devices_alone)
{
	uint32_t differs = 0, seen_bits = 0;

	open_with("flip-in:ops=gemm,seed=5");
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct product g;
		int8_t seen[M * K];

		product_init(&g, seed);
		ck_assert_int_eq(product_run(&g, seen), 0);
		ck_untouched(&g);
		differs += memcmp(g.chk, g.want_chk, sizeof(g.chk)) ||
			   memcmp(g.y, g.want, sizeof(g.y));
		for (uint32_t i = 0; i < sizeof(seen); i++)
			seen_bits += (uint32_t)__builtin_popcount((uint8_t)(seen[i] ^ g.x[i]));
		product_free(&g);
	}
	ck_assert_uint_eq(injected(FAULT_FLIP_IN), 50);
	/* Each was in x, where it is read back, or in the residual; not each changes a byte. */
	ck_assert_uint_ge(seen_bits, 10);
	ck_assert_uint_le(seen_bits, 50);
	ck_assert_uint_ge(differs, 25);
	close_it();
}
END_TEST

START_TEST(a_flipped_output_is_one_bit)
{
	open_with("flip-out:ops=gemm,seed=6");
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct product g;
		int bits = 0;

		product_init(&g, seed);
		ck_assert_int_eq(product_run(&g, NULL), 0);
		for (uint32_t i = 0; i < sizeof(g.y); i++)
			bits += __builtin_popcount((uint8_t)(g.y[i] ^ g.want[i]));
		ck_assert_int_eq(bits, 1);
		ck_assert_mem_eq(g.chk, g.want_chk, sizeof(g.chk));
		ck_untouched(&g);
		product_free(&g);
	}
	ck_assert_uint_eq(injected(FAULT_FLIP_OUT), 50);
	close_it();
}
END_TEST

START_TEST(a_flipped_accumulator_shows_in_the_checksum_of_its_row)
{
	open_with("flip-acc:seed=7");
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct product g;
		uint32_t rows = 0, difference = 0;

		product_init(&g, seed);
		ck_assert_int_eq(product_run(&g, NULL), 0);
		for (uint32_t m = 0; m < M; m++) {
			if (g.chk[m] == g.want_chk[m])
				continue;
			rows++;
			difference = g.chk[m] - g.want_chk[m];
		}
		ck_assert_uint_eq(rows, 1);
		/* plus or minus a power of two */
		ck_assert((difference & (difference - 1)) == 0 ||
			  (-difference & (-difference - 1)) == 0);
		ck_untouched(&g);
		product_free(&g);
	}
	ck_assert_uint_eq(injected(FAULT_FLIP_ACC), 50);
	close_it();
}
END_TEST

START_TEST(flips_of_a_search)
{
	static const char *const specs[] = {"flip-in:ops=search,seed=1", "flip-out:seed=2",
					    "flip-rows:seed=3"};
	static const enum fault_kind kinds[] = {FAULT_FLIP_IN, FAULT_FLIP_OUT, FAULT_FLIP_ROWS};

	for (int i = 0; i < 3; i++) {
		open_with(specs[i]);
		for (uint64_t seed = 0; seed < 50; seed++) {
			struct gallery g;
			int8_t x[DIM];

			gallery_init(&g, seed);
			memcpy(x, g.x, sizeof(x));
			ck_assert_int_eq(gallery_search(&g), 0);
			ck_assert_msg(gallery_differs(&g) > 0, "%s, seed %d", specs[i], (int)seed);
			ck_assert_mem_eq(g.tiles, g.before, sizeof(g.tiles));
			ck_assert_mem_eq(g.x, x, sizeof(x));
			gallery_free(&g);
		}
		ck_assert_uint_eq(injected(kinds[i]), 50);
		close_it();
	}
}
END_TEST

START_TEST(a_flipped_row_stays_until_it_is_loaded)
{
	struct gallery g;

	open_with("flip-rows:limit=1");
	gallery_init(&g, 9);
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_gt(gallery_differs(&g), 0);
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_gt(gallery_differs(&g), 0);
	gallery_load(&g);
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_eq(gallery_differs(&g), 0);
	gallery_free(&g);
	close_it();
}
END_TEST

/* Two fault devices, one in the other: the outer one's rows and buffers are the inner one's. */
START_TEST(a_wrapped_device_may_be_wrapped)
{
	struct gallery g;
	struct product p;
	struct device *outer;

	open_with("flip-rows:limit=1");
	ck_assert_int_eq(fault_wrap(device, "fail:ops=gemm,limit=1", &outer), 0);
	device = outer;
	gallery_init(&g, 9);
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_gt(gallery_differs(&g), 0);
	gallery_load(&g);
	ck_assert_int_eq(gallery_search(&g), 0);
	ck_assert_uint_eq(gallery_differs(&g), 0);
	product_init(&p, 4);
	ck_assert_int_eq(product_run(&p, NULL), -EIO);
	ck_assert_int_eq(product_run(&p, NULL), 0);
	ck_assert_mem_eq(p.y, p.want, sizeof(p.y));
	ck_assert_mem_eq(p.chk, p.want_chk, sizeof(p.chk));
	product_free(&p);
	gallery_free(&g);
	close_it();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fault");
	TCase *tc = tcase_create("fault");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_spec_is_read_or_refused);
	tcase_add_test(tc, any_kind_of_device_can_be_wrapped);
	tcase_add_test(tc, without_faults_it_gives_the_same_bytes);
	tcase_add_test(tc, rows_are_a_copy);
	tcase_add_test(tc, what_the_inner_device_refuses_is_refused);
	tcase_add_test(tc, every_after_and_limit_say_when);
	tcase_add_test(tc, a_failed_command_ends_its_batch);
	tcase_add_test(tc, a_rate_is_kept_and_repeats);
	tcase_add_test(tc, a_device_that_is_gone_stays_so);
	tcase_add_test(tc, a_delay_is_time_on_the_device);
	tcase_add_test(tc, a_hang_ends_by_reset_and_loses_what_waits);
	tcase_add_test(tc, a_hang_with_a_time_ends_by_itself);
	tcase_add_test(tc, a_flipped_input_is_the_devices_alone);
	tcase_add_test(tc, a_flipped_output_is_one_bit);
	tcase_add_test(tc, a_flipped_accumulator_shows_in_the_checksum_of_its_row);
	tcase_add_test(tc, flips_of_a_search);
	tcase_add_test(tc, a_flipped_row_stays_until_it_is_loaded);
	tcase_add_test(tc, a_wrapped_device_may_be_wrapped);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
