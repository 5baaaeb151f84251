/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks, checked. A part that is to be recomputed left its results beside the item's memory: the
 * CPU runs the same ops in that memory. Of other parts some products brought their sums.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/job/check.h"

static const struct model_entry *slice_model(const struct slice *slice)
{
	return target_model(slice->pass->target);
}

/* pass_infer.c decided when the part was made. */
static int infer_recompute(struct service *service, struct slice *slice, struct check_work *work)
{
	const struct model_entry *entry = slice_model(slice);
	const struct model_run_entry *run = slice->pass->user;
	uint32_t count;

	(void)service;
	if (!slice->part || !model_part_is_aside(slice->part))
		return 0;
	work->commands = model_run_commands(run->run, &count) + slice->begin;
	work->count = (uint32_t)(slice->end - slice->begin);
	work->expected_ns = (uint64_t)(entry->cost.ns[FLEET_CPU] *
				       (double)model_work(entry->model, (uint32_t)slice->begin,
							  (uint32_t)slice->end));
	return 1;
}

static int infer_compare(const struct slice *slice, const struct check_work *work)
{
	(void)work;
	return model_part_same(slice->part) ? 0 : -EBADMSG;
}

static uint32_t infer_sums(const struct slice *slice)
{
	return slice->part ? model_part_watched(slice->part) : 0;
}

static bool infer_sum_right(const struct slice *slice, uint32_t i, uint32_t *op)
{
	return model_part_sums_right(slice->part, i, op);
}

static void infer_summed(struct service *service, const struct slice *slice, uint32_t op,
			 bool right, uint64_t ns)
{
	const struct model_entry *entry = slice_model(slice);
	struct metrics_layer *layer =
		metrics_layer(&service->metrics, entry->name, op,
			      model_op(entry->model, op) == DEVICE_GEMM ? "gemm" : "conv2d");

	layer->checked++;
	layer->checks_ns += ns;
	layer->mismatches += !right;
}

static void infer_describe(const struct slice *slice, char *text, size_t bytes)
{
	snprintf(text, bytes, "model=%s ops=%" PRIu64 "-%" PRIu64, slice_model(slice)->name,
		 slice->begin, slice->end);
}

const struct check_kind check_infer = {
	.recompute = infer_recompute,
	.compare = infer_compare,
	.sums = infer_sums,
	.sum_right = infer_sum_right,
	.summed = infer_summed,
	.describe = infer_describe,
};
