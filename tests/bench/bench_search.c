/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact search over clustered int8 templates, top-10, cosine with a scale a template, beside what
 * the machine can do in the same run: DRAM read and vpdpbusd. One core, CPU time, medians of rounds
 * that take the limits and every row in turn. A ratio above 1.05 means that a limit was not
 * measured well: an error.
 *
 *   bench_search [--rows N] [--dim D] [--rounds R] [--isa NAME] [--shared] [--json]
 */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/search.h"
#include "tests/bench/limits.h"

#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/device/host_memory.h"

#define K	     10
#define SEED	     20240607u
#define PER_IDENTITY 20
#define ROUNDS_MAX   99
#define RATIO_MAX    1.05

static const uint32_t batches[] = {1, 4, 8, 12, 16, 32, 64};
#define BATCHES ((int)(sizeof(batches) / sizeof(batches[0])))

struct options {
	uint64_t rows;
	uint32_t dim;
	int rounds, json, shared;
	const char *isa;
};

struct gallery {
	struct search_rows rows;
	float *scale;
	uint64_t *id, *tags;
	uint32_t *born, *died, *subject;
};

struct bench {
	struct options options;
	const struct cpu_kernels *kernels;
	uint64_t rows, tiles;
	int8_t *queries; /* [SEARCH_BATCH_MAX][dim] */
	struct search_list *lists[SEARCH_BATCH_MAX];
	void *scratch;
	struct limits *limits;
	double seconds[2][BATCHES][ROUNDS_MAX]; /* clustered, identical */
};

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Nearly normal, of deviation 148 about 0. */
static int random_normal(uint64_t *state)
{
	uint64_t r = random_next(state);
	int sum = 0;

	for (int i = 0; i < 4; i++, r >>= 16)
		sum += (int)(r & 255);
	return sum - 510;
}

/* Identity-like noise about a centre: cosine about 0.67 between templates of one identity. */
static void random_template(uint64_t *state, const int *centre, int8_t *x, uint32_t dim)
{
	for (uint32_t i = 0; i < dim; i++) {
		int v = (centre[i] * 7 + random_normal(state) * 5) / 50;

		x[i] = (int8_t)(v > 127 ? 127 : v < -127 ? -127 : v);
	}
}

static void random_centre(uint64_t *state, int *centre, uint32_t dim)
{
	for (uint32_t i = 0; i < dim; i++)
		centre[i] = random_normal(state);
}

static void *map_or_die(uint64_t bytes)
{
	void *p = limits_map(bytes);

	if (!p) {
		fprintf(stderr, "bench_search: no memory; try fewer --rows\n");
		exit(2);
	}
	return p;
}

/* What a scan reads, where a daemon with a board of Facet's has it; with huge pages, if shared memory may
 * have them here. */
static void *rows_or_die(const struct options *o, uint64_t bytes)
{
	uint8_t *at;

	bytes = (bytes + 4095) / 4096 * 4096;
	if (!o->shared)
		return map_or_die(bytes);
	if (host_memory_map(bytes, 1 << 21, &at) || mprotect(at, bytes, PROT_READ | PROT_WRITE)) {
		fprintf(stderr, "bench_search: no memory; try fewer --rows\n");
		exit(2);
	}
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

static void gallery_init(struct gallery *g, const struct options *o, uint64_t tiles)
{
	uint64_t rows = tiles * SEARCH_TILE_ROWS;
	uint32_t dim = o->dim;

	g->scale = rows_or_die(o, rows * sizeof(*g->scale));
	g->id = map_or_die(rows * sizeof(*g->id));
	g->tags = map_or_die(rows * sizeof(*g->tags));
	g->born = map_or_die(rows * sizeof(*g->born));
	g->died = map_or_die(rows * sizeof(*g->died));
	g->subject = map_or_die(rows * sizeof(*g->subject));
	g->rows = (struct search_rows){
		.metric = SEARCH_COSINE,
		.dim = dim,
		.head = search_padded_dim(dim),
		.head_tiles = rows_or_die(o, rows * search_padded_dim(dim)),
		.scale = g->scale,
		.id = g->id,
		.tags = g->tags,
		.born = g->born,
		.died = g->died,
		.subject = g->subject,
	};
	for (uint64_t r = 0; r < rows; r++) {
		g->id[r] = r * 0x9e3779b97f4a7c15u; /* as good as random, and unique */
		g->died[r] = SEARCH_NEVER;
		g->subject[r] = (uint32_t)(r / PER_IDENTITY);
	}
}

/* Fills the gallery and makes queries: every other one of somebody in it. */
static void fill_clustered(struct bench *b, struct gallery *g)
{
	uint32_t dim = g->rows.dim;
	uint64_t state = SEED, every = b->rows / SEARCH_BATCH_MAX, made = 0;
	int centre[SEARCH_DIM_MAX];
	int8_t x[SEARCH_DIM_MAX];

	for (uint64_t r = 0; r < b->rows; r++) {
		if (r % PER_IDENTITY == 0)
			random_centre(&state, centre, dim);
		random_template(&state, centre, x, dim);
		search_put_row(&g->rows, r, x);
		g->scale[r] = op_cosine_scale(x, dim);
		if (r != made * every || made == SEARCH_BATCH_MAX)
			continue;
		if (made % 2)
			random_centre(&state, centre, dim);
		random_template(&state, centre, b->queries + made++ * dim, dim);
	}
}

static void fill_identical(struct bench *b, struct gallery *g)
{
	for (uint64_t r = 0; r < b->rows; r++) {
		search_put_row(&g->rows, r, b->queries);
		g->scale[r] = op_cosine_scale(b->queries, g->rows.dim);
	}
}

/* CPU seconds of one pass with the first n queries. */
static double time_search(struct bench *b, const struct gallery *g, uint32_t n)
{
	struct search_query queries[SEARCH_BATCH_MAX];
	double start;

	for (uint32_t i = 0; i < n; i++) {
		queries[i] = (struct search_query){
			.x = b->queries + (size_t)i * g->rows.dim,
			.limit = -INFINITY,
			.k = K,
			.epoch = 1,
			.rows = b->rows,
		};
		search_list_reset(b->lists[i], K, false);
	}
	start = limits_cpu_seconds();
	if (b->kernels->search(&g->rows, 0, b->tiles, queries, n, b->lists, b->scratch)) {
		fprintf(stderr, "bench_search: the search was refused\n");
		exit(2);
	}
	return limits_cpu_seconds() - start;
}

struct figure {
	double rate, gbs, gops, of_read, of_vnni;
};

static struct figure figure_of(struct bench *b, int kind, int batch)
{
	double seconds = limits_median(b->seconds[kind][batch], b->options.rounds);
	double bytes = (double)b->rows * (search_padded_dim(b->options.dim) + sizeof(float));
	double macs = (double)b->rows * search_padded_dim(b->options.dim) * batches[batch];
	double peak = limits_vnni_gops(b->limits);
	struct figure f = {
		.rate = batches[batch] / seconds,
		.gbs = bytes / seconds * 1e-9,
		.gops = 2 * macs / seconds * 1e-9,
	};

	f.of_read = f.gbs / limits_read_gbs(b->limits);
	f.of_vnni = peak > 0 ? f.gops / peak : 0;
	return f;
}

static const char *const kind_names[] = {"clustered", "identical"};

static void print_text(struct bench *b, int kind, int batch, const struct figure *f)
{
	double normal = figure_of(b, 0, batch).rate;

	printf("%-10s %5u %10.1f %8.2f %9.1f %10.2f %10.2f", kind_names[kind], batches[batch],
	       f->rate, f->gbs, f->gops, f->of_read, f->of_vnni);
	if (kind)
		printf("   %.2f of the normal rate", f->rate / normal);
	printf("\n");
}

static void print_json(int kind, int batch, const struct figure *f)
{
	printf("%s\n    {\"data\": \"%s\", \"batch\": %u, \"queries_per_cpu_second\": %.2f, "
	       "\"gb_per_s\": %.3f, \"gop_per_s\": %.2f, \"of_read\": %.4f, \"of_vnni\": %.4f}",
	       kind || batch ? "," : "", kind_names[kind], batches[batch], f->rate, f->gbs, f->gops,
	       f->of_read, f->of_vnni);
}

static void print_head(const struct bench *b)
{
	const char *format =
		b->options.json
			? "{\"rows\": %llu, \"dim\": %u, \"k\": %d, \"isa\": \"%s\", "
			  "\"read_gb_per_s\": %.3f, \"read_loop\": \"%s\", "
			  "\"vnni_gop_per_s\": %.2f, \"results\": ["
			: "%llu templates of %u B, top-%d, cosine, %s, one core, CPU time\n"
			  "limits: DRAM read %.2f GB/s (%s), vpdpbusd %.1f Gop/s\n"
			  "data       batch        q/s     GB/s     Gop/s  / DRAM read  / VNNI\n";

	printf(format, (unsigned long long)b->rows, b->options.dim, K, b->kernels->name,
	       limits_read_gbs(b->limits), limits_read_name(b->limits),
	       limits_vnni_gops(b->limits));
}

/* Returns the number of ratios that cannot be. */
static int report(struct bench *b)
{
	int errors = 0;

	print_head(b);
	for (int kind = 0; kind < 2; kind++)
		for (int i = 0; i < BATCHES; i++) {
			struct figure f = figure_of(b, kind, i);

			if (b->options.json)
				print_json(kind, i, &f);
			else
				print_text(b, kind, i, &f);
			errors += f.of_read > RATIO_MAX || f.of_vnni > RATIO_MAX;
		}
	if (b->options.json)
		printf("\n  ], \"errors\": %d}\n", errors);
	if (errors)
		fprintf(stderr,
			"bench_search: %d ratios above %.2f: a limit is wrong, or the gallery "
			"fits a cache (take more --rows)\n",
			errors, RATIO_MAX);
	return errors;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'n':
		o->rows = strtoull(arg, NULL, 10);
		break;
	case 'd':
		o->dim = (uint32_t)strtoul(arg, NULL, 10);
		break;
	case 'r':
		o->rounds = atoi(arg);
		break;
	case 'i':
		o->isa = arg;
		break;
	case 's':
		o->shared = 1;
		break;
	case 'j':
		o->json = 1;
		break;
	case ARGP_KEY_END:
		if (o->rows < SEARCH_BATCH_MAX || o->dim < 4 || o->dim > SEARCH_DIM_MAX ||
		    o->rounds < 1 || o->rounds > ROUNDS_MAX)
			argp_error(state, "rows >= 64, dim 4 to 1024, rounds 1 to 99");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option argp_options[] = {
	{"rows", 'n', "N", 0, "templates (1000000)", 0},
	{"dim", 'd', "D", 0, "bytes a template (512)", 0},
	{"rounds", 'r', "R", 0, "rounds, of which the median counts (9)", 0},
	{"isa", 'i', "NAME", 0, "avx512vnni, avx2 or portable", 0},
	{"shared", 's', NULL, 0, "rows in memory that boards can read", 0},
	{"json", 'j', NULL, 0, "JSON instead of a table", 0},
	{0},
};

static void prepare(struct bench *b, struct gallery galleries[2])
{
	b->rows = b->options.rows;
	b->tiles = (b->rows + SEARCH_TILE_ROWS - 1) / SEARCH_TILE_ROWS;
	b->queries = map_or_die((uint64_t)SEARCH_BATCH_MAX * b->options.dim);
	b->scratch = map_or_die(b->kernels->search_scratch_bytes(b->options.dim, SEARCH_BATCH_MAX));
	b->limits = limits_create();
	for (uint32_t i = 0; i < SEARCH_BATCH_MAX; i++)
		b->lists[i] = search_list_create(K, false);
	gallery_init(&galleries[0], &b->options, b->tiles);
	gallery_init(&galleries[1], &b->options, b->tiles);
	fill_clustered(b, &galleries[0]);
	fill_identical(b, &galleries[1]);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {argp_options,
					 parse,
					 NULL,
					 "Exact int8 search beside the machine's limits.",
					 0,
					 0,
					 0};
	static struct bench b = {.options = {1000000, 512, 9, 0, 0, NULL}};
	static struct gallery galleries[2];

	argp_parse(&argp, argc, argv, 0, NULL, &b.options);
	b.kernels = cpu_kernels_get(b.options.isa);
	if (!b.kernels) {
		fprintf(stderr, "bench_search: this processor has no such instruction set\n");
		return 2;
	}
	prepare(&b, galleries);
	if (!b.limits)
		return 2;
	for (int r = 0; r < b.options.rounds; r++) {
		limits_sample(b.limits);
		for (int kind = 0; kind < 2; kind++)
			for (int i = 0; i < BATCHES; i++)
				b.seconds[kind][i][r] =
					time_search(&b, &galleries[kind], batches[i]);
	}
	return report(&b) ? 1 : 0;
}
