/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enrol_bench ROOT CHECKER DIM PREFILL SECONDS [int8]: durable enrolments a second with 8 batches of
 * 1,000 random ids in flight, after PREFILL templates; then the time of a restart, and resident and
 * disk bytes a template. With SECONDS 0 only the restart of what is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "daemon/gallery/gallery.h"

#define FLIGHT 8
#define BATCH  1000

struct batch {
	struct gallery_request request;
	float *x;
	uint64_t ids[BATCH];
	char names[BATCH][24];
	const char *subjects[BATCH];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct gallery_request *finished;
static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void done(struct gallery_request *request)
{
	pthread_mutex_lock(&lock);
	request->next = finished;
	finished = request;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

static void submit(struct gallery *gallery, struct batch *batch, uint32_t dim)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		batch->ids[i] = next() >> 1 | 1;
		snprintf(batch->names[i], sizeof(batch->names[i]), "s%012" PRIx64, next() >> 16);
		batch->subjects[i] = batch->names[i];
	}
	for (uint32_t i = 0; i < BATCH; i++) /* new vectors, at little cost to this core */
		batch->x[(size_t)i * dim + next() % dim] = (float)(next() >> 40) * 0x1p-24f;
	batch->request = (struct gallery_request){
		.kind = GALLERY_ENROL,
		.done = done,
		.user = batch,
		.count = BATCH,
		.f32 = batch->x,
		.ids = batch->ids,
		.subjects = batch->subjects,
		.subject_count = BATCH,
	};
	if (gallery_submit(gallery, &batch->request)) {
		fprintf(stderr, "submit failed\n");
		exit(1);
	}
}

static struct gallery_request *take(void)
{
	struct gallery_request *request;

	pthread_mutex_lock(&lock);
	while (!finished)
		pthread_cond_wait(&wake, &lock);
	request = finished;
	finished = request->next;
	pthread_mutex_unlock(&lock);
	if (request->error) {
		fprintf(stderr, "enrol: %s\n", request->text);
		exit(1);
	}
	return request;
}

/* Until count templates or seconds, the batches in flight included. */
static uint64_t enrol(struct gallery *gallery, struct batch *batches, uint32_t dim, uint64_t count,
		      double seconds)
{
	double until = now() + seconds;
	uint64_t sent = 0, acknowledged = 0;

	for (; sent < FLIGHT * BATCH; sent += BATCH)
		submit(gallery, &batches[sent / BATCH], dim);
	while (acknowledged < sent) {
		struct gallery_request *request = take();

		acknowledged += BATCH;
		if (sent >= count || now() > until)
			continue;
		submit(gallery, request->user, dim);
		sent += BATCH;
	}
	return acknowledged;
}

static void print_memory(uint64_t templates, uint32_t dim)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long kib, sum = 0;
	char line[128];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1 ||
		    sscanf(line, "RssShmem: %lu", &kib) == 1)
			sum += kib;
	if (status)
		fclose(status);
	printf("resident %.1f bytes a template, %.3f of its %u\n",
	       (double)sum * 1024 / (double)templates, (double)sum * 1024 / (double)templates / dim,
	       dim);
}

static struct gallery *open_it(const struct gallery_config *config)
{
	struct gallery_status status;
	struct gallery *gallery;
	double start = now(), loading = 0.0;

	if (gallery_open(config, "bench", &gallery))
		exit(1);
	do {
		usleep(1000);
		gallery_status(gallery, &status);
		if (status.state == GALLERY_LOADING && loading == 0.0)
			loading = now();
	} while (status.state < GALLERY_READY);
	if (status.state != GALLERY_READY) {
		fprintf(stderr, "%s\n", status.text);
		exit(1);
	}
	printf("opened %" PRIu64 " templates in %.2f s (check %.2f s)\n", status.templates,
	       now() - start, loading == 0.0 ? 0.0 : loading - start);
	return gallery;
}

static void measure(const struct gallery_config *config, struct batch *batches, uint32_t dim,
		    uint64_t prefill, double seconds)
{
	struct gallery *gallery = open_it(config);
	struct gallery_status status;
	double start;
	uint64_t n;

	state ^= (uint64_t)(now() * 1e9); /* other ids than an earlier run's */
	if (prefill)
		enrol(gallery, batches, dim, prefill, 1e9);
	start = now();
	n = enrol(gallery, batches, dim, UINT64_MAX, seconds);
	printf("enrolled %.0f a second (%" PRIu64 " templates, originals %s)\n",
	       (double)n / (now() - start), n,
	       gallery_spec(gallery)->keep_int8_only ? "dropped" : "kept");
	gallery_status(gallery, &status);
	printf("%.1f ms a commit, %" PRIu64 " commits\n",
	       (double)status.fsync_ns * 1e-6 / (double)status.commits, status.commits);
	gallery_close(gallery);
}

int main(int argc, char **argv)
{
	struct gallery_config config = {.disk_reserve = 1};
	struct gallery_spec spec = {.space = {.name = "bench", .metric = SEARCH_COSINE}};
	struct gallery_status status;
	struct gallery *gallery;
	struct batch *batches = calloc(FLIGHT, sizeof(*batches));
	char text[GALLERY_TEXT];
	uint64_t prefill;
	uint32_t dim;

	if (argc < 6 || !batches)
		return 2;
	config.root = argv[1];
	config.checker = argv[2];
	dim = spec.space.dim = (uint32_t)atoi(argv[3]);
	prefill = strtoull(argv[4], NULL, 10);
	spec.keep_int8_only = argc > 6;
	gallery_create(&config, "bench", &spec, text);
	for (int b = 0; b < FLIGHT; b++) {
		batches[b].x = malloc((size_t)BATCH * dim * sizeof(float));
		for (size_t i = 0; i < (size_t)BATCH * dim; i++)
			batches[b].x[i] = (float)(next() >> 40) * 0x1p-23f - 1.0f;
	}
	if (atof(argv[5]) > 0.0)
		measure(&config, batches, dim, prefill, atof(argv[5]));
	for (int b = 0; b < FLIGHT; b++)
		free(batches[b].x);
	free(batches);
	gallery = open_it(&config);
	gallery_status(gallery, &status);
	print_memory(status.templates, dim);
	printf("disk %.1f bytes a template\n",
	       (double)status.disk_bytes / (double)status.templates);
	gallery_close(gallery);
	return 0;
}
