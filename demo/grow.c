/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large gallery grown from few real templates, and the limits of the machine to judge it by.
 *
 * A made-up person is a random mix of 16 real templates (so that persons spread as real ones do,
 * along the same few directions) with a tenth of its energy in all directions; each of his four
 * templates is that with noise, such that two of them have a cosine near 0.69, the median of real
 * pairs. Without real templates 200 random ones in 96 dimensions stand in.
 */
#include "demo/demo.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/bench/limits.h"

#define MIX	       16
#define EACH	       4u     /* templates of a person */
#define ALL_AROUND     0.316f /* a tenth of the energy */
#define NOISE	       0.67f  /* 1 / (1 + 0.67^2) = 0.69 */
#define CLUSTERED      200u
#define CLUSTERED_SPAN 96u
#define CLUSTERED_DIM  512u
#define DIM_MAX	       1024u

uint64_t demo_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Mean 0, variance 1. */
float demo_normal(uint64_t *state)
{
	uint64_t r = demo_random(state);
	uint32_t sum =
		(uint32_t)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48));

	return ((float)sum - 131070.0f) * (1.0f / 37837.2f);
}

static void scale_to(float *v, uint32_t dim, float length)
{
	float sum = 0;

	for (uint32_t i = 0; i < dim; i++)
		sum += v[i] * v[i];
	sum = sum > 0 ? length / sqrtf(sum) : 0;
	for (uint32_t i = 0; i < dim; i++)
		v[i] *= sum;
}

struct real {
	float *rows; /* [count][dim], length 1 */
	uint32_t count, dim;
};

/* Version 1 of the format, float32 in C order: what facetctl exports. */
static int read_npy(const char *path, struct real *real)
{
	FILE *file = fopen(path, "rbe");
	unsigned char head[10];
	char text[4096] = "";
	size_t length;
	int r = 2;

	if (!file)
		return demo_fail("%s: cannot be read", path);
	if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY\x01", 7))
		goto out;
	length = head[8] | (size_t)head[9] << 8;
	if (length >= sizeof(text) || fread(text, 1, length, file) != length ||
	    !strstr(text, "<f4") || !strstr(text, "False") || !strstr(text, "'shape': (") ||
	    sscanf(strstr(text, "'shape': (") + 10, "%u, %u", &real->count, &real->dim) != 2)
		goto out;
	if (!real->count || real->count > 1000000 || !real->dim || real->dim > DIM_MAX)
		goto out;
	real->rows = malloc((size_t)real->count * real->dim * sizeof(float));
	if (real->rows &&
	    fread(real->rows, (size_t)real->dim * sizeof(float), real->count, file) == real->count)
		r = 0;
out:
	fclose(file);
	return r ? demo_fail("%s: not templates as facetctl exports them", path) : 0;
}

static int make_clustered(struct real *real, uint64_t *seed)
{
	real->count = CLUSTERED;
	real->dim = CLUSTERED_DIM;
	real->rows = calloc((size_t)real->count * real->dim, sizeof(float));
	for (uint32_t i = 0; real->rows && i < real->count; i++)
		for (uint32_t j = 0; j < CLUSTERED_SPAN; j++)
			real->rows[(size_t)i * real->dim + j] = demo_normal(seed);
	return real->rows ? 0 : demo_fail("out of memory");
}

static void make_person(const struct real *real, uint64_t *seed, float *person)
{
	float around[DIM_MAX];

	memset(person, 0, real->dim * sizeof(float));
	for (int m = 0; m < MIX; m++) {
		const float *row = real->rows + demo_random(seed) % real->count * real->dim;
		float weight = demo_normal(seed);

		for (uint32_t i = 0; i < real->dim; i++)
			person[i] += weight * row[i];
	}
	for (uint32_t i = 0; i < real->dim; i++)
		around[i] = demo_normal(seed);
	scale_to(person, real->dim, 1);
	scale_to(around, real->dim, ALL_AROUND);
	for (uint32_t i = 0; i < real->dim; i++)
		person[i] += around[i];
	scale_to(person, real->dim, 1);
}

static void make_template(const float *person, uint32_t dim, uint64_t *seed, float *out)
{
	for (uint32_t i = 0; i < dim; i++)
		out[i] = demo_normal(seed);
	scale_to(out, dim, NOISE);
	for (uint32_t i = 0; i < dim; i++)
		out[i] += person[i];
	scale_to(out, dim, 1);
}

static void write_head(FILE *file, uint32_t count, uint32_t dim)
{
	char head[129];
	int n = snprintf(head, sizeof(head),
			 "%cNUMPY%c%c%c%c{'descr': '<f4', 'fortran_order': False, "
			 "'shape': (%u, %u), }",
			 0x93, 1, 0, 118, 0, count, dim);

	memset(head + n, ' ', sizeof(head) - (size_t)n);
	head[8] = 118;
	head[127] = '\n';
	fwrite(head, 1, 128, file);
}

static int grow(const struct real *real, uint64_t seed, uint32_t count, FILE *npy, FILE *labels)
{
	float person[DIM_MAX], row[DIM_MAX];
	uint64_t name = seed;

	write_head(npy, count, real->dim);
	for (uint32_t i = 0; i < count; i++) {
		if (i % EACH == 0)
			make_person(real, &seed, person);
		make_template(person, real->dim, &seed, row);
		fwrite(row, sizeof(float), real->dim, npy);
		fprintf(labels, "grown-%llu-%u\n", (unsigned long long)name, i / EACH);
	}
	return ferror(npy) || ferror(labels);
}

int demo_grow(int argc, char **argv)
{
	uint64_t seed = argc == 5 ? strtoull(argv[2], NULL, 0) : 0;
	uint32_t count = argc == 5 ? (uint32_t)strtoul(argv[3], NULL, 0) : 0;
	uint64_t first = 1;
	struct real real = {0};
	FILE *npy = NULL, *labels = NULL;
	char path[4096];
	int r;

	if (!count)
		return demo_fail("grow wants REAL.npy or -, SEED, COUNT, OUT");
	r = strcmp(argv[1], "-") ? read_npy(argv[1], &real) : make_clustered(&real, &first);
	for (uint32_t i = 0; r == 0 && i < real.count; i++)
		scale_to(real.rows + (size_t)i * real.dim, real.dim, 1);
	if (r == 0) {
		snprintf(path, sizeof(path), "%s.npy", argv[4]);
		npy = fopen(path, "wbe");
		snprintf(path, sizeof(path), "%s.txt", argv[4]);
		labels = fopen(path, "we");
		r = npy && labels ? grow(&real, seed, count, npy, labels) : 1;
		r |= npy && fclose(npy);
		r |= labels && fclose(labels);
		r = r ? demo_fail("%s: cannot be written (is the disk full?)", argv[4]) : 0;
	}
	free(real.rows);
	return r;
}

/* ---- limits -------------------------------------------------------------------------------------- */

int demo_limits(int argc, char **argv)
{
	double rows = argc == 3 ? strtod(argv[1], NULL) : 0,
	       bytes = argc == 3 ? strtod(argv[2], NULL) : 0;
	struct limits *limits;
	double read, vnni;

	if (!(rows > 0) || !(bytes > 0))
		return demo_fail("limits wants ROWS and BYTES");
	limits = limits_create();
	if (!limits)
		return demo_fail("not enough memory to measure the limits");
	for (int i = 0; i < 3; i++)
		limits_sample(limits);
	read = limits_read_gbs(limits);
	vnni = limits_vnni_gops(limits);
	printf("one core reads %.1f GB/s of memory: at most %.0f passes a second over %.0f MB\n",
	       read, read * 1e9 / (rows * bytes), rows * bytes / 1e6);
	if (vnni > 0)
		printf("one core does %.0f int8 operations a nanosecond: at most %.0f searches a "
		       "second, however many share a pass\n",
		       vnni, vnni * 1e9 / (2 * rows * bytes));
	else
		puts("no AVX-512 VNNI here: the searches use what there is");
	limits_free(limits);
	return 0;
}
