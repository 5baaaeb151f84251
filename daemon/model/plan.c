/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on a device: weights packed, constants within its reach. The CPU takes every op. A board
 * takes those it can do; its constants are laid out anew, each as the board wants it aligned.
 */
#include "daemon/model/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/device/product.h"

/* ---- constants: inputs and tables of the ops that the device takes ------------------------------ */
typedef int (*constant_fn)(struct model_plan *plan, struct device_span *span, uint64_t *at);

static int constants_each(struct model_plan *plan, constant_fn fn)
{
	uint64_t at = 0;
	int err = 0;

	for (uint32_t i = 0; i < plan->model->step_count; i++) {
		const struct model_step *step = &plan->model->steps[i];
		struct device_command *command = &plan->commands[i];

		for (uint32_t k = 0; plan->takes[i] && !err && k < DEVICE_INPUTS_MAX; k++) {
			if (step->in_constants >> k & 1)
				err = fn(plan, &command->in[k], &at);
			if (!err && step->tables >> k & 1)
				err = fn(plan, &command->tables[k], &at);
		}
	}
	return err;
}

static int constant_measure(struct model_plan *plan, struct device_span *span, uint64_t *at)
{
	*at += plan_aligned(span->bytes);
	plan->bytes = *at;
	return 0;
}

static int constant_import(struct model_plan *plan, struct device_span *span, uint64_t *at)
{
	(void)at;
	span->buffer = plan->constants;
	return 0;
}

static int constant_write(struct model_plan *plan, struct device_span *span, uint64_t *at)
{
	int err = plan->device->ops->buffer_write(plan->constants, *at,
						  plan->model->weights + span->offset, span->bytes);

	span->buffer = plan->constants;
	span->offset = *at;
	*at += plan_aligned(span->bytes);
	return err;
}

static int place_constants(struct model_plan *plan)
{
	const struct model *model = plan->model;
	const struct device_ops *ops = plan->device->ops;
	int err;

	if (plan->caps.reads_host_memory) {
		if (!model->constants_bytes)
			return 0;
		err = ops->buffer_import(plan->device, model->weights, model->constants_bytes,
					 &plan->constants);
		return err ? err : constants_each(plan, constant_import);
	}
	err = constants_each(plan, constant_measure);
	if (err || !plan->bytes)
		return err;
	err = ops->buffer_create(plan->device, plan->bytes, &plan->constants);
	return err ? err : constants_each(plan, constant_write);
}

/* ---- products ------------------------------------------------------------------------------------ */
/* What the sums of the product's accumulators are computed from. */
static int pack_sums(struct model_plan *plan, uint32_t i, const int8_t *w, const int32_t *bias)
{
	uint64_t bytes = device_product_rows(&plan->commands[i]) * 4;

	plan->sums[i] = device_product_sums(&plan->commands[i], w, bias);
	if (bytes > plan->sums_bytes)
		plan->sums_bytes = bytes;
	return plan->sums[i] ? 0 : -ENOMEM;
}

static int pack_product(struct model_plan *plan, uint32_t i)
{
	const struct model *model = plan->model;
	const struct model_step *step = &model->steps[i];
	const int8_t *w = (const int8_t *)model->weights + step->weights;
	const int32_t *bias = (const int32_t *)(model->weights + step->bias);
	int err = device_product_weights(plan->device, &plan->commands[i], w, bias,
					 &plan->weights[i]);

	plan->commands[i].weights = plan->weights[i];
	if (!err && plan->caps.checksums && !plan->caps.reads_host_memory)
		err = pack_sums(plan, i, w, bias);
	return err;
}

static uint64_t weight_bytes(const struct device_command *command)
{
	const struct op_conv2d *p = &command->conv2d;

	if (command->op == DEVICE_GEMM)
		return (uint64_t)command->gemm.n * (command->gemm.k + 4);
	return p->oc * ((uint64_t)p->kh * p->kw * (p->c / p->groups) + 4);
}

/* -EOPNOTSUPP: a device that need not take all of the model leaves this product to others. */
static int pack(struct model_plan *plan)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < plan->model->step_count; i++) {
		if (!plan->takes[i] || !device_product_rows(&plan->commands[i]))
			continue;
		err = pack_product(plan, i);
		plan->bytes += weight_bytes(&plan->commands[i]);
		if (err != -EOPNOTSUPP || plan->caps.reads_host_memory)
			continue;
		plan->takes[i] = false;
		err = 0;
	}
	return err;
}

/* ---- the plan -------------------------------------------------------------------------------------- */
static int plan_take(struct model_plan *plan)
{
	const struct model *model = plan->model;
	bool any = false;

	for (uint32_t i = 0; i < model->step_count; i++) {
		plan->commands[i] = model->steps[i].command;
		plan->takes[i] =
			plan->caps.reads_host_memory || plan->caps.ops >> plan->commands[i].op & 1;
		any |= plan->takes[i];
	}
	return any ? 0 : -EOPNOTSUPP;
}

int model_plan_create(const struct model *model, struct device *device, struct model_plan **plan)
{
	struct model_plan *p = calloc(1, sizeof(*p));
	uint32_t n = model->step_count;
	int err = -ENOMEM;

	if (!p)
		return -ENOMEM;
	p->model = model;
	p->device = device;
	device->ops->caps(device, &p->caps);
	p->commands = calloc(n, sizeof(*p->commands));
	p->weights = calloc(n, sizeof(*p->weights));
	p->sums = calloc(n, sizeof(*p->sums));
	p->takes = calloc(n, sizeof(*p->takes));
	if (p->commands && p->weights && p->sums && p->takes)
		err = plan_take(p);
	if (!err)
		err = place_constants(p);
	if (!err)
		err = pack(p);
	if (err)
		model_plan_free(p);
	else
		*plan = p;
	return err;
}

void model_plan_free(struct model_plan *plan)
{
	if (!plan)
		return;
	for (uint32_t i = 0; plan->weights && i < plan->model->step_count; i++)
		plan->device->ops->weights_free(plan->weights[i]);
	for (uint32_t i = 0; plan->sums && i < plan->model->step_count; i++)
		free(plan->sums[i]);
	plan->device->ops->buffer_free(plan->constants);
	free(plan->takes);
	free(plan->sums);
	free(plan->weights);
	free(plan->commands);
	free(plan);
}

void plan_bind(const struct model_plan *plan, uint32_t step, struct device_buffer *arena,
	       struct device_command *command)
{
	uint32_t in_arena = plan->model->steps[step].in_arena;

	*command = plan->commands[step];
	command->out.buffer = arena;
	for (uint32_t k = 0; in_arena; k++, in_arena >>= 1)
		if (in_arena & 1)
			command->in[k].buffer = arena;
}

uint64_t model_plan_bytes(const struct model_plan *plan)
{
	return plan->bytes;
}

uint32_t model_plan_ops(const struct model_plan *plan)
{
	uint32_t ops = 0;

	for (uint32_t i = 0; i < plan->model->step_count; i++)
		ops += plan->takes[i];
	return ops;
}

uint32_t model_plan_reach(const struct model_plan *plan, uint32_t begin)
{
	while (begin < plan->model->step_count && plan->takes[begin])
		begin++;
	return begin;
}
