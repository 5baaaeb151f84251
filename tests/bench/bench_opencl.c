/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search, convolution and GEMM on an OpenCL device, with each variant of the kernels, beside what a
 * core can do in the same run. Figures are a CPU second of the whole process, so that a driver that
 * works on several threads is counted in full; for a device that is not a processor only the wall
 * clock means something.
 *
 *   bench_opencl [SELECT [ROWS]]
 */
#include "daemon/device/opencl.h"
#include "tests/bench/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIM    512u
#define ROUNDS 7
#define K      10u

static const uint32_t batches[] = {1, 4, 12, 24};

struct figure {
	double cpu[ROUNDS], wall[ROUNDS];
};

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void begin(struct figure *f, int round)
{
	f->cpu[round] = -seconds(CLOCK_PROCESS_CPUTIME_ID);
	f->wall[round] = -seconds(CLOCK_MONOTONIC);
}

static void end(struct figure *f, int round)
{
	f->cpu[round] += seconds(CLOCK_PROCESS_CPUTIME_ID);
	f->wall[round] += seconds(CLOCK_MONOTONIC);
}

static void print(const char *variant, const char *what, struct figure *f, double ops,
		  const struct limits *limits)
{
	double cpu = ops / limits_median(f->cpu, ROUNDS) * 1e-9;
	double wall = ops / limits_median(f->wall, ROUNDS) * 1e-9;
	double peak = limits_vnni_gops(limits);

	printf("%-9s %-22s %8.1f %8.1f %8.2f\n", variant, what, cpu, wall,
	       peak > 0 ? cpu / peak : 0.0);
}

static void fail(const char *what, int err)
{
	fprintf(stderr, "bench_opencl: %s: %s\n", what, strerror(-err));
	exit(1);
}

static int run(struct opencl *cl, const struct device_command *command)
{
	const struct device_batch batch = {.commands = command, .count = 1};
	int err;

	cl->deadline = opencl_clock() + (uint64_t)cl->timeout_ms * 1000000u;
	err = opencl_run(cl, &batch, command);
	return err ? err : opencl_settle(cl);
}

/* ---- search ---- */

struct gallery {
	struct search_rows rows;
	struct device_rows *copy;
	uint64_t tiles;
	int8_t x[SEARCH_BATCH_MAX][DIM];
};

static void *filled(size_t bytes, int with)
{
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (!memory)
		fail("memory", -12);
	memset(memory, with, bytes);
	return memory;
}

static void gallery_make(struct gallery *g, uint64_t rows)
{
	uint8_t *tiles = filled(rows * DIM, 0);
	float *scale = filled(rows * 4, 0);
	uint64_t *id = filled(rows * 8, 0);

	srand(7);
	for (uint64_t i = 0; i < rows * DIM; i++)
		tiles[i] = (uint8_t)(rand() >> 8);
	for (uint64_t r = 0; r < rows; r++) {
		scale[r] = 1.0f + (float)(rand() % 100) * 0.001f;
		id[r] = r;
	}
	for (uint32_t q = 0; q < SEARCH_BATCH_MAX; q++)
		for (uint32_t d = 0; d < DIM; d++)
			g->x[q][d] = (int8_t)(rand() >> 8);
	g->tiles = rows / SEARCH_TILE_ROWS;
	g->rows = (struct search_rows){SEARCH_COSINE,
				       DIM,
				       DIM,
				       tiles,
				       NULL,
				       scale,
				       NULL,
				       id,
				       filled(rows * 8, 0),
				       filled(rows * 4, 0),
				       filled(rows * 4, 255),
				       filled(rows * 4, 0)};
}

static void bench_search(struct opencl *cl, struct gallery *g, uint32_t count,
			 struct limits *limits)
{
	struct device_command load = {.op = DEVICE_LOAD}, search = {.op = DEVICE_SEARCH};
	struct search_query query[SEARCH_BATCH_MAX];
	struct search_list *list[SEARCH_BATCH_MAX];
	struct figure f;
	char what[32];
	int err = opencl_rows_create(&cl->base, &g->rows, 0, g->tiles, &g->copy);

	load.load = (struct device_load){g->copy, 0, g->tiles};
	if (!err)
		err = run(cl, &load);
	for (uint32_t q = 0; q < count; q++) {
		query[q] = (struct search_query){.x = g->x[q],
						 .limit = -INFINITY,
						 .k = K,
						 .epoch = 1,
						 .rows = g->tiles * SEARCH_TILE_ROWS};
		list[q] = search_list_create(K, false);
	}
	search.search = (struct device_search){&g->rows, g->copy, 0, g->tiles, query, count, list};
	for (int round = -1; !err && round < ROUNDS; round++) {
		for (uint32_t q = 0; q < count; q++)
			search_list_reset(list[q], K, false);
		limits_sample(limits);
		begin(&f, round < 0 ? 0 : round);
		err = run(cl, &search);
		end(&f, round < 0 ? 0 : round);
	}
	if (err)
		fail("search", err);
	for (uint32_t q = 0; q < count; q++)
		search_list_free(list[q]);
	opencl_rows_free(g->copy);
	snprintf(what, sizeof(what), "search 512-D, b=%u", count);
	print(cl->variant->name, what, &f,
	      2.0 * (double)count * DIM * (double)g->tiles * SEARCH_TILE_ROWS, limits);
}

/* ---- products ---- */

static void bench_product(struct opencl *cl, struct device_command *command, const char *what,
			  uint64_t in, uint64_t out, double macs, struct limits *limits)
{
	struct device_buffer *buffer;
	struct figure f;
	int err = opencl_buffer_create(&cl->base, in + out + 8192, &buffer);

	command->in[0] = (struct device_span){buffer, 0, in};
	command->out = (struct device_span){buffer, (in + 4095) / 4096 * 4096, out};
	for (int round = -1; !err && round < ROUNDS; round++) {
		begin(&f, round < 0 ? 0 : round);
		err = run(cl, command);
		end(&f, round < 0 ? 0 : round);
	}
	if (err)
		fail(what, err);
	opencl_buffer_free(buffer);
	print(cl->variant->name, what, &f, 2.0 * macs, limits);
}

static void bench_products(struct opencl *cl, struct limits *limits)
{
	enum { CHANNELS = 1024 };
	static float scale[CHANNELS];
	static int32_t bias[CHANNELS];
	const struct op_requant q = {scale, scale, 0, 0, 0, -128, 127};
	struct device_command conv = {.op = DEVICE_CONV2D}, gemm = {.op = DEVICE_GEMM};
	struct device_weights *weights;
	int8_t *w = filled((size_t)CHANNELS * CHANNELS, 3);

	for (int i = 0; i < CHANNELS; i++)
		scale[i] = 0.001f;
	conv.conv2d = (struct op_conv2d){1, 56, 56, 64, 64, 3, 3, 1,	     1, 1,
					 1, 1,	1,  1,	1,  1, 0, OP_OUT_S8, q};
	gemm.gemm = (struct op_gemm){256, CHANNELS, CHANNELS, OP_OUT_S8, q};
	if (opencl_weights_conv2d(&cl->base, &conv.conv2d, w, bias, &weights))
		fail("weights", -12);
	conv.weights = weights;
	bench_product(cl, &conv, "conv 3x3 56x56x64", 56 * 56 * 64, 56 * 56 * 64,
		      56.0 * 56 * 64 * 64 * 9, limits);
	opencl_weights_free(weights);
	if (opencl_weights_gemm(&cl->base, &gemm.gemm, w, bias, &weights))
		fail("weights", -12);
	gemm.weights = weights;
	bench_product(cl, &gemm, "GEMM 256x1024x1024", 256 * CHANNELS, 256 * CHANNELS,
		      256.0 * CHANNELS * CHANNELS, limits);
	opencl_weights_free(weights);
	free(w);
}

int main(int argc, char **argv)
{
	const struct device_config config = {.select = argc > 1 ? argv[1] : NULL};
	uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) / SEARCH_TILE_ROWS * SEARCH_TILE_ROWS
				 : 262144;
	struct limits *limits = limits_create();
	struct gallery *g = calloc(1, sizeof(*g));
	char why[256] = "";

	if (!limits || !g || !rows)
		fail("memory", -12);
	gallery_make(g, rows);
	printf("%-9s %-22s %8s %8s %8s\n", "kernels", "what", "Gop/cpu-s", "Gop/s", "of VNNI");
	for (uint32_t v = 0; v < opencl_variant_count; v++) {
		struct opencl *cl;
		int err = opencl_open_here(&config, opencl_variants[v].name, &cl, why, sizeof(why),
					   NULL);

		if (err) {
			printf("%-9s not here: %s\n", opencl_variants[v].name, why);
			continue;
		}
		for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
			bench_search(cl, g, batches[i], limits);
		bench_products(cl, limits);
		opencl_close_here(cl);
	}
	printf("VNNI peak of a core, same run: %.0f Gop/s; DRAM read %.1f GB/s (%s); %llu rows\n",
	       limits_vnni_gops(limits), limits_read_gbs(limits), limits_read_name(limits),
	       (unsigned long long)rows);
	limits_free(limits);
	return 0;
}
