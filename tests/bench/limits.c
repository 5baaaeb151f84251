/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/limits.h"

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define READ_BYTES  (1ul << 30)
#define HUGE_PAGE   (2ul << 20)
#define SAMPLES_MAX 256
#define VNNI_ROUNDS 10000000L

/* A pass over n bytes, prefetching `ahead` bytes before them; the value keeps it from being
 * optimised away. */
typedef uint64_t (*read_loop)(const char *p, size_t n, size_t ahead);

#define AVX512 __attribute__((target("avx512f,avx512vnni"), noinline))

static uint64_t read_words(const char *p, size_t n, size_t ahead)
{
	const uint64_t *w = (const uint64_t *)p;
	uint64_t sum[8] = {0};

	for (size_t i = 0; i < n / 8; i += 8) {
		__builtin_prefetch((const char *)(w + i) + ahead);
		for (int j = 0; j < 8; j++)
			sum[j] |= w[i + j];
	}
	return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

AVX512 static uint64_t read_lines(const char *p, size_t n, size_t ahead)
{
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;

	for (size_t i = 0; i < n; i += 256) {
		if (ahead)
			for (int j = 0; j < 4; j++)
				_mm_prefetch(p + i + ahead + j * 64, _MM_HINT_T0);
		a = _mm512_or_si512(a, _mm512_load_si512(p + i));
		b = _mm512_or_si512(b, _mm512_load_si512(p + i + 64));
		c = _mm512_or_si512(c, _mm512_load_si512(p + i + 128));
		d = _mm512_or_si512(d, _mm512_load_si512(p + i + 192));
	}
	a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
	return (uint64_t)_mm512_reduce_or_epi64(a);
}

/* The same, prefetched into the second cache only. */
AVX512 static uint64_t read_lines_l2(const char *p, size_t n, size_t ahead)
{
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;

	for (size_t i = 0; i < n; i += 256) {
		for (int j = 0; j < 4; j++)
			_mm_prefetch(p + i + ahead + j * 64, _MM_HINT_T1);
		a = _mm512_or_si512(a, _mm512_load_si512(p + i));
		b = _mm512_or_si512(b, _mm512_load_si512(p + i + 64));
		c = _mm512_or_si512(c, _mm512_load_si512(p + i + 128));
		d = _mm512_or_si512(d, _mm512_load_si512(p + i + 192));
	}
	a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
	return (uint64_t)_mm512_reduce_or_epi64(a);
}

/* One chain of dependent steps of four cycles: a slower walk leaves the hardware's prefetcher
 * further ahead, which on some processors reads faster. */
AVX512 static uint64_t read_chain(const char *p, size_t n, size_t ahead)
{
	__m512i a = _mm512_setzero_si512(), b = _mm512_set1_epi32(0x01010101);

	for (size_t i = 0; i < n; i += 64) {
		__m512i line = _mm512_load_si512(p + i);

		if (ahead)
			_mm_prefetch(p + i + ahead, _MM_HINT_T1);
		__asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(a) : "v"(line), "v"(b));
	}
	return (uint64_t)_mm512_reduce_or_epi64(a);
}

/* Pages of 4 KiB side by side, four at a time: more streams for the hardware's prefetcher. */
AVX512 static uint64_t read_streams(const char *p, size_t n, size_t ahead)
{
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;

	for (size_t block = 0; block < n; block += 16384)
		for (size_t i = block; i < block + 4096; i += 64) {
			for (int j = 0; ahead && j < 4; j++)
				_mm_prefetch(p + i + j * 4096 + ahead, _MM_HINT_T0);
			a = _mm512_or_si512(a, _mm512_load_si512(p + i));
			b = _mm512_or_si512(b, _mm512_load_si512(p + i + 4096));
			c = _mm512_or_si512(c, _mm512_load_si512(p + i + 8192));
			d = _mm512_or_si512(d, _mm512_load_si512(p + i + 12288));
		}
	a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
	return (uint64_t)_mm512_reduce_or_epi64(a);
}

static const struct {
	const char *name;
	read_loop loop;
	size_t ahead;
	int avx512;
} loops[] = {
	{"words, prefetch 1 KiB", read_words, 1024, 0},
	{"lines", read_lines, 0, 1},
	{"lines, prefetch 512 B", read_lines, 512, 1},
	{"lines, prefetch 1 KiB", read_lines, 1024, 1},
	{"lines, prefetch 2 KiB", read_lines, 2048, 1},
	{"lines, prefetch 4 KiB", read_lines, 4096, 1},
	{"lines, prefetch 8 KiB", read_lines, 8192, 1},
	{"lines, prefetch 1 KiB to L2", read_lines_l2, 1024, 1},
	{"lines, prefetch 4 KiB to L2", read_lines_l2, 4096, 1},
	{"chain", read_chain, 0, 1},
	{"chain, prefetch 1 KiB to L2", read_chain, 1024, 1},
	{"chain, prefetch 4 KiB to L2", read_chain, 4096, 1},
	{"4 streams", read_streams, 0, 1},
	{"4 streams, prefetch 16 KiB", read_streams, 16384, 1},
};

#define LOOPS ((int)(sizeof(loops) / sizeof(loops[0])))

struct limits {
	char *buffer;
	int avx512, samples;
	uint64_t sink;
	double read[LOOPS][SAMPLES_MAX], vnni[SAMPLES_MAX];
};

double limits_cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double limits_median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void *limits_map(unsigned long bytes)
{
	size_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	char *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;

	if (p == MAP_FAILED)
		return NULL;
	skip = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
	if (skip)
		munmap(p, skip);
	munmap(p + skip + size, HUGE_PAGE - skip);
	madvise(p + skip, size, MADV_HUGEPAGE);
	return p + skip;
}

struct limits *limits_create(void)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
	l->buffer = limits_map(READ_BYTES);
	if (!l->buffer) {
		free(l);
		return NULL;
	}
	memset(l->buffer, 1, READ_BYTES);
	return l;
}

void limits_free(struct limits *l)
{
	if (!l)
		return;
	munmap(l->buffer, READ_BYTES);
	free(l);
}

/* clang-format off */
#define SIXTEEN(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
/* clang-format on */
#define CHAIN(i) __m512i c##i = _mm512_set1_epi32(i);
#define STEP(i)	 __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(c##i) : "v"(a), "v"(b));
#define FOLD(i)	 sum = _mm512_add_epi32(sum, c##i);

AVX512 static uint64_t vnni_rounds(long rounds)
{
	__m512i a = _mm512_set1_epi32(0x03030303), b = _mm512_set1_epi32(0x05050505);
	__m512i sum = _mm512_setzero_si512();

	SIXTEEN(CHAIN)
	for (long i = 0; i < rounds; i++) {
		SIXTEEN(STEP)
	}
	SIXTEEN(FOLD)
	return (uint64_t)_mm512_reduce_add_epi32(sum);
}

static void sample_vnni(struct limits *l)
{
	double start = limits_cpu_seconds();

	l->sink += vnni_rounds(VNNI_ROUNDS);
	l->vnni[l->samples] = 16.0 * 64 * 2 * VNNI_ROUNDS / (limits_cpu_seconds() - start) * 1e-9;
}

void limits_sample(struct limits *l)
{
	if (l->samples == SAMPLES_MAX)
		return;
	for (int i = 0; i < LOOPS; i++) {
		double start;

		if (loops[i].avx512 && !l->avx512)
			continue;
		start = limits_cpu_seconds();
		l->sink += loops[i].loop(l->buffer, READ_BYTES, loops[i].ahead);
		l->read[i][l->samples] = (double)READ_BYTES / (limits_cpu_seconds() - start) * 1e-9;
	}
	if (l->avx512)
		sample_vnni(l);
	l->samples++;
}

static double median_of(const double *values, int n)
{
	double sorted[SAMPLES_MAX];

	memcpy(sorted, values, (size_t)n * sizeof(*values));
	return n ? limits_median(sorted, n) : 0;
}

static int best_loop(const struct limits *l)
{
	int best = 0;

	for (int i = 1; i < LOOPS; i++)
		if (median_of(l->read[i], l->samples) > median_of(l->read[best], l->samples))
			best = i;
	return best;
}

double limits_read_gbs(const struct limits *l)
{
	return median_of(l->read[best_loop(l)], l->samples);
}

const char *limits_read_name(const struct limits *l)
{
	return loops[best_loop(l)].name;
}

double limits_vnni_gops(const struct limits *l)
{
	return median_of(l->vnni, l->samples);
}
