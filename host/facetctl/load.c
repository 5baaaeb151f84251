/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/load.h"

#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LATENCIES_MAX (1u << 22) /* the first so many count */
#define PER_CENTRE    20u	 /* vectors of one made-up identity */
#define CHUNK	      1000u
#define IN_FLIGHT     8u

/* ---- data ----------------------------------------------------------------------------------- */
uint64_t load_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull); /* SplitMix64, Steele et al. 2014 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Near enough to a normal: the sum of four even numbers. */
static float noise(uint64_t *state)
{
	uint64_t r = load_random(state);
	int sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (int)(r >> (16 * i) & 0xffff) - 0x8000;
	return (float)sum / 37837.0f; /* standard deviation 1 */
}

void load_vectors(uint64_t seed, uint64_t first, uint32_t count, uint32_t dim, float *x)
{
	for (uint32_t i = 0; i < count; i++, x += dim) {
		uint64_t who = seed ^ ((first + i) / PER_CENTRE * 0x2545f4914f6cdd1dull);
		uint64_t self = seed + 77 + (first + i) * 0xd1342543de82ef95ull;
		double sum = 0;

		for (uint32_t d = 0; d < dim; d++) {
			x[d] = noise(&who) + 0.7f * noise(&self);
			sum += (double)x[d] * x[d];
		}
		for (uint32_t d = 0; d < dim; d++)
			x[d] = (float)(x[d] / sqrt(sum));
	}
}

/* ---- a gallery to measure in ------------------------------------------------------------------- */
static int fill_gallery(struct ctl *ctl, const char *name, uint64_t rows, uint32_t dim)
{
	float *x = malloc((size_t)CHUNK * dim * sizeof(*x));
	static const char *const subject = "bench";
	struct facet_completion done = {.size = sizeof(done)};
	uint64_t sent = 0, kept = 0;
	int status = x ? CTL_OK : ctl_error("out of memory");

	while (status == CTL_OK && kept < rows) {
		uint32_t n = rows - sent < CHUNK ? (uint32_t)(rows - sent) : CHUNK;
		struct facet_probe probe = {
			.size = sizeof(probe), .count = n, .dim = dim, .data = x};
		struct facet_call call = {.size = sizeof(call), .user = (void *)(uintptr_t)n};

		if (ctl_interrupted())
			status = ctl_error("interrupted");
		else if (n && facet_in_flight(ctl->c) < IN_FLIGHT) {
			load_vectors(1, sent, n, dim, x);
			sent += n;
			if (facet_submit_enrol(ctl->c, name, &probe, &subject, 1, NULL, NULL, NULL,
					       &call, NULL) != 0)
				status = ctl_failed(ctl, "enrol");
		} else if (facet_wait(ctl->c, 0, &done) != 0 || done.result != 0)
			status = ctl_error("enrol: %s", done.error.text);
		else
			kept += (uintptr_t)done.user;
		output_progress(ctl->out, "enrolled", kept, rows);
	}
	free(x);
	return status;
}

int load_gallery(struct ctl *ctl, char name[65], uint64_t rows, uint32_t dim, bool originals)
{
	struct facet_gallery_params params = {
		.size = sizeof(params), .dim = dim, .keep_int8_only = !originals};

	snprintf(name, 65, "bench-%d", (int)getpid());
	if (facet_gallery_create(ctl->c, name, &params) != 0)
		return ctl_failed(ctl, "a gallery to measure in");
	if (fill_gallery(ctl, name, rows, dim) == CTL_OK)
		return CTL_OK;
	load_gallery_delete(ctl, name);
	return CTL_ERROR;
}

void load_gallery_delete(struct ctl *ctl, const char *name)
{
	while (facet_in_flight(ctl->c)) {
		struct facet_completion done = {.size = sizeof(done)};

		if (facet_wait(ctl->c, 0, &done) != 0)
			break;
	}
	if (facet_gallery_delete(ctl->c, name, NULL, NULL) != 0)
		ctl_failed(ctl, name);
}

/* ---- the clients ------------------------------------------------------------------------------ */
struct slot {
	uint32_t number;
	double since;
};

struct run {
	const struct load *load;
	struct facet **client;
	struct pollfd *poll;
	struct slot *slot; /* [clients][depth] */
	float *latency;
	uint64_t calls, failed;
	double device_ns, end;
};

static int submit(struct run *run, uint32_t c, struct slot *slot)
{
	struct facet_call call = {.size = sizeof(call), .user = slot};

	slot->since = output_now();
	if (run->load->submit(run->load->context, run->client[c], slot->number, &call) == 0)
		return CTL_OK;
	return ctl_error("submit: %s", facet_error(run->client[c])->text);
}

static int complete(struct run *run, uint32_t c, const struct facet_completion *done)
{
	struct slot *slot = done->user;
	double now = output_now();

	if (done->result != 0 && !done->error.retryable)
		return ctl_error("%s", done->error.text);
	if (done->result != 0)
		run->failed++;
	else if (run->calls++ < LATENCIES_MAX)
		run->latency[run->calls - 1] = (float)(now - slot->since);
	run->device_ns += (double)done->timing.device_ns;
	return now < run->end && !ctl_interrupted() ? submit(run, c, slot) : CTL_OK;
}

/*
 * Processing sends what was submitted, and may receive more: only when it has brought nothing is
 * there nothing left that no poll would tell of.
 */
/*
 * Takes completions and sends what they gave rise to, until nothing is left: facet_process() may read
 * a reply while it sends, and the descriptor says nothing of a completion that is already here.
 */
static int serve(struct run *run, uint32_t c)
{
	struct facet_completion done = {.size = sizeof(done)};
	int status = CTL_OK, taken = 1;

	while (status == CTL_OK && taken) {
		if (facet_process(run->client[c]) != 0)
			return ctl_error("%s", facet_error(run->client[c])->text);
		for (taken = 0; status == CTL_OK && facet_next(run->client[c], &done) == 1; taken++)
			status = complete(run, c, &done);
	}
	return status;
}

static uint32_t in_flight(const struct run *run)
{
	uint32_t total = 0;

	for (uint32_t c = 0; c < run->load->clients; c++)
		total += facet_in_flight(run->client[c]);
	return total;
}

static int drive(struct run *run)
{
	const struct load *load = run->load;
	int status = CTL_OK;

	for (uint32_t i = 0; status == CTL_OK && i < load->clients * load->depth; i++) {
		run->slot[i].number = i;
		status = submit(run, i / load->depth, &run->slot[i]);
	}
	for (uint32_t c = 0; status == CTL_OK && c < load->clients; c++)
		status = serve(run, c);
	while (status == CTL_OK && in_flight(run) && !ctl_interrupted()) {
		if (poll(run->poll, load->clients, 1000) < 0 && !ctl_interrupted())
			return ctl_error("poll failed");
		for (uint32_t c = 0; status == CTL_OK && c < load->clients; c++)
			if (run->poll[c].revents)
				status = serve(run, c);
	}
	return status;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void summarise(struct run *run, double seconds, struct load_result *result)
{
	uint64_t n = run->calls < LATENCIES_MAX ? run->calls : LATENCIES_MAX;

	qsort(run->latency, n, sizeof(*run->latency), by_value);
	*result = (struct load_result){
		.calls = run->calls,
		.failed = run->failed,
		.seconds = seconds,
		.p50_us = n ? 1e6 * (double)run->latency[n / 2] : 0,
		.p99_us = n ? 1e6 * (double)run->latency[n * 99 / 100] : 0,
		.device_us = run->calls ? run->device_ns / 1e3 / (double)run->calls : 0,
	};
}

static int open_clients(struct run *run)
{
	struct facet_params params = {.size = sizeof(params),
				      .software = "facetctl bench",
				      .in_flight = run->load->depth};

	for (uint32_t c = 0; c < run->load->clients; c++) {
		if (facet_connect(run->load->ctl->socket, &params, &run->client[c]) != 0)
			return ctl_error("client %u: %s", c, facet_error(run->client[c])->text);
		run->poll[c].fd = facet_fd(run->client[c]);
		run->poll[c].events = POLLIN;
	}
	return CTL_OK;
}

int load_run(const struct load *load, struct load_result *result)
{
	struct run run = {.load = load};
	double start;
	int status;

	run.client = calloc(load->clients, sizeof(*run.client));
	run.poll = calloc(load->clients, sizeof(*run.poll));
	run.slot = calloc((size_t)load->clients * load->depth, sizeof(*run.slot));
	run.latency = calloc(LATENCIES_MAX, sizeof(*run.latency));
	status = run.client && run.poll && run.slot && run.latency ? CTL_OK
								   : ctl_error("out of memory");
	if (status == CTL_OK)
		status = open_clients(&run);
	start = output_now();
	run.end = start + load->seconds;
	if (status == CTL_OK)
		status = drive(&run);
	if (status == CTL_OK)
		summarise(&run, output_now() - start, result);
	for (uint32_t c = 0; run.client && c < load->clients; c++)
		facet_close(run.client[c]);
	free(run.latency);
	free(run.slot);
	free(run.poll);
	free(run.client);
	return status;
}
