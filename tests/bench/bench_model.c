/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a compiled network takes: CPU milliseconds an op (each alone, again and again) and an
 * inference (CPU time, and the median of the wall clock), through the device with everything
 * between. What an inference takes over the sum of its ops is the device and colder caches.
 *
 *   bench_model NET.fct [THREADS [ROUNDS [PIN]]]
 */
#include "daemon/model/model.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_done(struct device_batch *batch)
{
	sem_post(batch->user);
}

static void run(struct device *device, const struct device_command *commands, uint32_t count)
{
	sem_t over;
	struct device_batch batch = {
		.commands = commands, .count = count, .done = on_done, .user = &over};

	sem_init(&over, 0, 0);
	while (device->ops->submit(device, &batch) == -EAGAIN)
		;
	while (sem_wait(&over))
		;
	sem_destroy(&over);
	if (batch.error) {
		fprintf(stderr, "command %u failed: %s\n", batch.error_index,
			strerror(-batch.error));
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct timing {
	double wall, cpu; /* median; mean. milliseconds */
};

/* Each round runs the commands `times` times in one batch, if they are one command. */
static struct timing measure(struct device *device, const struct device_command *commands,
			     uint32_t count, uint32_t rounds, uint32_t times)
{
	struct device_command *repeated = calloc((size_t)count * times, sizeof(*repeated));
	double *wall = calloc(rounds, sizeof(*wall)), cpu, start;
	struct timing timing;

	for (uint32_t i = 0; i < times; i++)
		memcpy(repeated + (size_t)i * count, commands, count * sizeof(*commands));
	run(device, repeated, count * times);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (uint32_t i = 0; i < rounds; i++) {
		start = seconds(CLOCK_MONOTONIC);
		run(device, repeated, count * times);
		wall[i] = (seconds(CLOCK_MONOTONIC) - start) * 1e3 / times;
	}
	cpu = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3 / rounds / times;
	qsort(wall, rounds, sizeof(*wall), by_value);
	timing = (struct timing){wall[rounds / 2], cpu};
	free(wall);
	free(repeated);
	return timing;
}

static void describe(const struct device_command *c, char *text, size_t size, double *macs)
{
	static const char *const names[DEVICE_OPS] = {
		"echo",	  "search",	"conv2d", "gemm",    "pool2d", "add", "table",
		"concat", "dequantize", "float",  "strided", "join",   "copy"};
	const struct op_conv2d *p = &c->conv2d;

	*macs = 0;
	if (c->op == DEVICE_CONV2D) {
		snprintf(text, size, "conv2d %ux%u/%u g%u %ux%ux%u -> %ux%ux%u%s", p->kh, p->kw,
			 p->stride_h, p->groups, p->h, p->w, p->c, op_conv2d_oh(p), op_conv2d_ow(p),
			 p->oc, c->in[1].buffer ? " +r" : "");
		*macs = (double)op_conv2d_oh(p) * op_conv2d_ow(p) * p->oc * p->kh * p->kw *
			(p->c / p->groups);
	} else if (c->op == DEVICE_GEMM) {
		snprintf(text, size, "gemm %ux%ux%u", c->gemm.m, c->gemm.n, c->gemm.k);
		*macs = (double)c->gemm.m * c->gemm.n * c->gemm.k;
	} else {
		snprintf(text, size, "%s, %llu bytes out", names[c->op],
			 (unsigned long long)c->out.bytes);
	}
}

static void bench(struct device *device, struct model_run *one, uint32_t rounds)
{
	uint32_t count;
	const struct device_command *commands = model_run_commands(one, &count);
	struct timing whole, op;
	double sum = 0, macs;
	char text[96];

	printf("%8s %8s  op\n", "CPU ms", "GMAC/s");
	for (uint32_t i = 0; i < count; i++) {
		op = measure(device, &commands[i], 1, rounds, 20);
		describe(&commands[i], text, sizeof(text), &macs);
		printf("%8.4f %8.1f  %s\n", op.cpu, macs / op.cpu * 1e-6, text);
		sum += op.cpu;
	}
	whole = measure(device, commands, count, rounds * 5, 1);
	printf("%8.4f           sum of the ops, each alone\n", sum);
	printf("%8.4f           inference; wall clock, median of %u: %.4f ms\n", whole.cpu,
	       rounds * 5, whole.wall);
	whole = measure(device, commands, count, rounds, 8);
	printf("%8.4f           of 8 in one batch; wall clock %.4f ms\n", whole.cpu, whole.wall);
}

static void *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	void *data = NULL;

	if (file && !fseek(file, 0, SEEK_END)) {
		*bytes = (size_t)ftell(file);
		rewind(file);
		data = malloc(*bytes + 1);
		if (data && fread(data, 1, *bytes, file) != *bytes) {
			free(data);
			data = NULL;
		}
	}
	if (file)
		fclose(file);
	return data;
}

int main(int argc, char **argv)
{
	struct device_config config = {.threads = argc > 2 ? (uint32_t)atoi(argv[2]) : 1,
				       .pin = argc > 4 ? argv[4] : NULL};
	uint32_t rounds = argc > 3 ? (uint32_t)atoi(argv[3]) : 40;
	char text[MODEL_TEXT] = "";
	struct device_caps caps;
	struct device *device;
	struct model_plan *plan;
	struct model_run *one;
	struct model *model;
	size_t bytes;
	void *file = argc > 1 ? read_file(argv[1], &bytes) : NULL;

	if (!file || !rounds || model_load(file, bytes, &model, text) ||
	    device_open("cpu", &config, &device) || model_plan_create(model, device, &plan) ||
	    model_run_create(plan, &one)) {
		fprintf(stderr, "usage: bench_model NET.fct [THREADS [ROUNDS [PIN]]]\n%s\n", text);
		return 2;
	}
	device->ops->caps(device, &caps);
	printf("%s: %u ops, %.1f M multiply-adds, %.2f MB of weights, arena %.2f MB; %s\n",
	       model_info(model)->name, model_info(model)->ops,
	       (double)model_info(model)->macs * 1e-6,
	       (double)model_info(model)->weight_bytes * 1e-6,
	       (double)model_info(model)->arena_bytes * 1e-6, caps.detail);
	bench(device, one, rounds);
	model_run_free(one);
	model_plan_free(plan);
	device->ops->close(device);
	model_free(model);
	free(file);
	return 0;
}
