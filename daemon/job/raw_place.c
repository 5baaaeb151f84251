/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/device/product.h"
#include "daemon/job/boards.h"
#include "daemon/job/check.h"
#include "daemon/job/raw.h"

#define WORTH_MACS  1000000u /* less is not worth packing weights for a board */
#define TRY_KERNELS 64u	     /* of so many one goes to a board that was slower */

/* The operands of one job on one board. Slices are done one after the other there, so they share
 * buffers that are as large as the whole. */
struct raw_place {
	struct service *service;
	struct fleet_device *device;
	struct device_weights *weights;
	struct device_buffer *in, *extra, *out, *chk;
	void *sums; /* packed for checksums */
	uint64_t bytes, setup_ns;
	bool lost; /* it failed: the CPU does the rest */
	int err;
	struct errand errand;
};

struct raw_part {
	struct device_command commands[5];
	uint32_t count;
	bool aside, summed;
	uint64_t out_bytes, up, down;
	uint8_t *aside_at;
	uint32_t *chk, *expected, rows; /* rows: pixels, or rows of a GEMM */
	const struct raw_job *raw;
	const int8_t *x;
};

/* ---- which board ---------------------------------------------------------------------------------------- */
static bool can(const struct fleet_device *device, const struct raw_job *raw)
{
	return device->index != FLEET_CPU && fleet_works(device) &&
	       !device->caps.reads_host_memory && device->caps.ops >> raw->command.op & 1;
}

/* Longer than the CPU would take, by less than 0. */
static double lead_ns(const struct service *service, const struct fleet_device *device,
		      const struct raw_job *raw)
{
	const struct fleet_device *cpu = &service->fleet.device[FLEET_CPU];
	const struct cost *cost = &service->raw_cost[raw->conv];
	double lead = (double)raw->macs * (cost->ns[FLEET_CPU] - cost->ns[device->index]) -
		      service->raw_setup_ns[device->index] * (double)(raw->w_bytes + raw->x_bytes);
	uint64_t now = service_now();

	if (!device->caps.shares_cpu)
		lead += (double)fleet_backlog_ns(cpu, now) - (double)fleet_backlog_ns(device, now);
	return lead;
}

struct fleet_device *raw_place_choose(struct service *service, const struct raw_job *raw)
{
	const struct cost *cost = &service->raw_cost[raw->conv];
	bool try = ++service->raw_turn % TRY_KERNELS == 0;
	struct fleet_device *best = NULL;
	double most = 0;

	for (uint32_t i = 1; i < service->fleet.count; i++) {
		struct fleet_device *device = &service->fleet.device[i];
		double lead;

		if (!can(device, raw))
			continue;
		if (device->preferred)
			return device;
		if (raw->macs < WORTH_MACS)
			continue;
		lead = lead_ns(service, device, raw);
		if (try || cost->ns[i] <= 0) /* not measured, or not for long */
			lead = lead > 1 ? lead : 1;
		if (lead <= most)
			continue;
		most = lead;
		best = device;
	}
	return best;
}

/* ---- making it ------------------------------------------------------------------------------------------- */
int raw_place_create(struct service *service, struct fleet_device *device, struct raw_job *raw)
{
	struct raw_place *place = calloc(1, sizeof(*place));

	if (!place)
		return -ENOMEM;
	place->service = service;
	place->device = device;
	device->placed++;
	raw->place = place;
	return 0;
}

static int make_buffer(struct raw_place *place, uint64_t bytes, struct device_buffer **buffer)
{
	struct device *device = place->device->device;

	place->bytes += bytes;
	return device->ops->buffer_create(device, bytes, buffer);
}

/* Only if some are asked for: it reads all weights once. */
static int make_sums(struct raw_place *place, const struct raw_job *raw)
{
	if (!place->service->config->checksum_every || !place->device->caps.checksums)
		return 0;
	place->sums = device_product_sums(&raw->command, raw->w, raw->bias);
	if (!place->sums)
		return -ENOMEM;
	return make_buffer(place, device_product_rows(&raw->command) * 4, &place->chk);
}

void raw_place_make(struct raw_job *raw)
{
	struct raw_place *place = raw->place;
	uint64_t begun = service_now();
	int err = device_product_weights(place->device->device, &raw->command, raw->w, raw->bias,
					 &place->weights);

	place->bytes = raw->w_bytes;
	if (!err)
		err = make_buffer(place, raw->x_bytes, &place->in);
	if (!err && raw->residual)
		err = make_buffer(place, raw->r_bytes, &place->extra);
	if (!err)
		err = make_buffer(place, raw->y_bytes, &place->out);
	if (!err)
		err = make_sums(place, raw);
	place->setup_ns = service_now() - begun;
	place->err = err;
}

void raw_place_made(struct raw_job *raw)
{
	struct raw_place *place = raw->place;
	double *setup = &place->service->raw_setup_ns[place->device->index];
	double measured = (double)place->setup_ns / (double)(raw->w_bytes + raw->x_bytes);

	place->device->metrics->memory_bytes += place->bytes;
	place->device->placed_bytes += place->bytes;
	*setup = *setup > 0 ? (*setup * 3 + measured) / 4 : measured;
	if (place->err)
		raw_place_drop(raw);
}

/* ---- its end --------------------------------------------------------------------------------------------- */
static void free_work(struct errand *errand)
{
	struct raw_place *place = errand->user;
	const struct device_ops *ops = place->device->device->ops;

	ops->buffer_free(place->in);
	ops->buffer_free(place->extra);
	ops->buffer_free(place->out);
	ops->buffer_free(place->chk);
	ops->weights_free(place->weights);
	free(place->sums);
}

static void free_done(struct errand *errand)
{
	struct raw_place *place = errand->user;
	struct fleet_device *device = place->device;

	device->metrics->memory_bytes -= place->bytes;
	device->placed_bytes -= place->bytes;
	device->placed--;
	free(place);
	board_step(device);
}

void raw_place_drop(struct raw_job *raw)
{
	struct raw_place *place = raw->place;

	raw->place = NULL;
	if (!place)
		return;
	place->errand = (struct errand){.work = free_work, .done = free_done, .user = place};
	boards_errand(place->service, &place->errand);
}

/* ---- in use ----------------------------------------------------------------------------------------------- */
bool raw_place_usable(const struct raw_place *place)
{
	return !place->lost && fleet_works(place->device);
}

bool raw_place_alone(const struct raw_place *place)
{
	return place->device->preferred || place->device->caps.shares_cpu;
}

uint32_t raw_place_device(const struct raw_place *place)
{
	return place->device->index;
}

static void add_move(struct raw_part *part, enum device_op op, struct device_buffer *buffer,
		     uint64_t bytes, const void *host)
{
	struct device_command *command = &part->commands[part->count++];
	struct device_span span = {buffer, 0, bytes};

	command->op = op;
	command->host = (void *)host;
	if (op == DEVICE_UPLOAD) {
		command->out = span;
		part->up += bytes;
	} else {
		command->in[0] = span;
		part->down += bytes;
	}
}

static void add_product(struct raw_part *part, const struct raw_job *raw, uint64_t n)
{
	struct raw_place *place = raw->place;
	struct device_command *command = &part->commands[part->count++];

	raw_command(raw, n, command);
	command->weights = place->weights;
	command->in[0] = (struct device_span){place->in, 0, raw->x_bytes / raw->rows * n};
	if (place->extra)
		command->in[1] =
			(struct device_span){place->extra, 0, raw->r_bytes / raw->rows * n};
	command->out = (struct device_span){place->out, 0, part->out_bytes};
	if (part->summed)
		command->checksum = (struct device_span){place->chk, 0, part->rows * 4ull};
}

static int part_memory(struct raw_part *part)
{
	if (part->aside)
		part->aside_at = malloc(part->out_bytes);
	if (part->summed) {
		part->chk = malloc(part->rows * 4ull);
		part->expected = malloc(part->rows * 4ull);
	}
	return (part->aside && !part->aside_at) || (part->summed && (!part->chk || !part->expected))
		       ? -ENOMEM
		       : 0;
}

static void part_free(struct raw_part *part)
{
	free(part->aside_at);
	free(part->chk);
	free(part->expected);
	free(part);
}

int raw_part_create(struct service *service, const struct raw_job *raw, struct slice *slice)
{
	const struct raw_place *place = raw->place;
	uint64_t begin = slice->begin, n = slice->end - slice->begin;
	struct raw_part *part = calloc(1, sizeof(*part));
	struct device_command command;

	if (!part)
		return -ENOMEM;
	raw_command(raw, n, &command);
	part->raw = raw;
	part->x = raw->x + raw->x_bytes / raw->rows * begin;
	part->rows = (uint32_t)device_product_rows(&command);
	part->out_bytes = raw->y_bytes / raw->rows * n;
	part->aside = check_due(service);
	part->summed = !part->aside && place->sums && check_sums_due(service);
	if (part_memory(part)) {
		part_free(part);
		return -ENOMEM;
	}
	add_move(part, DEVICE_UPLOAD, place->in, raw->x_bytes / raw->rows * n, part->x);
	if (place->extra)
		add_move(part, DEVICE_UPLOAD, place->extra, raw->r_bytes / raw->rows * n,
			 raw->residual + raw->r_bytes / raw->rows * begin);
	add_product(part, raw, n);
	if (part->summed)
		add_move(part, DEVICE_DOWNLOAD, place->chk, part->rows * 4ull, part->chk);
	add_move(part, DEVICE_DOWNLOAD, place->out, part->out_bytes,
		 part->aside ? part->aside_at
			     : (uint8_t *)raw->y + raw->y_bytes / raw->rows * begin);
	slice->raw = part;
	slice->batch.commands = part->commands;
	slice->batch.count = part->count;
	return 0;
}

void raw_part_done(struct raw_job *raw, struct slice *slice)
{
	struct metrics_device *metrics = slice->device->metrics;

	if (slice->batch.error && raw->place)
		raw->place->lost = true;
	if (!slice->raw)
		return;
	metrics->up_bytes += slice->raw->up;
	metrics->down_bytes += slice->raw->down;
	part_free(slice->raw);
	slice->raw = NULL;
}

/* ---- checked ------------------------------------------------------------------------------------------------ */
static int raw_recompute(struct service *service, struct slice *slice, struct check_work *work)
{
	(void)service;
	if (!slice->raw || !slice->raw->aside)
		return 0;
	work->commands = &slice->command;
	work->count = 1;
	work->expected_ns = slice->batch.device_ns;
	return 1;
}

static int raw_compare(const struct slice *slice, const struct check_work *work)
{
	const struct raw_part *part = slice->raw;
	const struct raw_job *raw = part->raw;
	const uint8_t *y = (const uint8_t *)raw->y + raw->y_bytes / raw->rows * slice->begin;

	(void)work;
	return memcmp(part->aside_at, y, part->out_bytes) ? -EBADMSG : 0;
}

static uint32_t raw_sums(const struct slice *slice)
{
	return slice->raw && slice->raw->summed;
}

static bool raw_sum_right(const struct slice *slice, uint32_t i, uint32_t *op)
{
	const struct raw_part *part = slice->raw;
	struct device_command command;

	*op = i;
	raw_command(part->raw, slice->end - slice->begin, &command);
	return device_product_sums_right(&command, part->raw->place->sums, part->x, part->chk,
					 part->expected);
}

static void raw_describe(const struct slice *slice, char *text, size_t bytes)
{
	snprintf(text, bytes, "op=%s rows=%" PRIu64 "-%" PRIu64,
		 slice->raw->raw->conv ? "conv2d" : "gemm", slice->begin, slice->end);
}

const struct check_kind check_raw = {
	.recompute = raw_recompute,
	.compare = raw_compare,
	.sums = raw_sums,
	.sum_right = raw_sum_right,
	.describe = raw_describe,
};
