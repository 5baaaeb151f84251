/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on a device: weights packed, constants within its reach. The CPU takes every op. A board
 * takes those it can do; its constants are laid out anew, each as the board wants it aligned.
 */
#include "daemon/model/plan.h"
#include "kernels/cpu/cpu.h"

#include <errno.h>
#include <stdlib.h>

#define PLAN_ALIGN 64u

static uint64_t align_up(uint64_t bytes, uint64_t align)
{
	return (bytes + align - 1) / align * align;
}

uint64_t plan_product_rows(const struct device_command *command)
{
	if (command->op == DEVICE_GEMM)
		return command->gemm.m;
	if (command->op == DEVICE_CONV2D)
		return (uint64_t)op_conv2d_oh(&command->conv2d) * op_conv2d_ow(&command->conv2d);
	return 0;
}

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
	*at += align_up(span->bytes, PLAN_ALIGN);
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
	*at += align_up(span->bytes, PLAN_ALIGN);
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
static int pack_weights(struct model_plan *plan, uint32_t i, const int8_t *w, const int32_t *bias)
{
	const struct device_command *command = &plan->commands[i];
	const struct device_ops *ops = plan->device->ops;
	int err;

	if (command->op == DEVICE_CONV2D)
		err = ops->weights_conv2d(plan->device, &command->conv2d, w, bias,
					  &plan->weights[i]);
	else
		err = ops->weights_gemm(plan->device, &command->gemm, w, bias, &plan->weights[i]);
	plan->commands[i].weights = plan->weights[i];
	return err;
}

/* What the sums of the product's accumulators are computed from. */
static int pack_sums(struct model_plan *plan, uint32_t i, const int8_t *w, const int32_t *bias)
{
	const struct device_command *command = &plan->commands[i];
	bool conv = command->op == DEVICE_CONV2D;
	size_t bytes = conv ? cpu_conv2d_checksum_bytes(&command->conv2d)
			    : cpu_gemm_checksum_bytes(&command->gemm);
	uint64_t rows = plan_product_rows(command);

	plan->sums[i] = malloc(bytes);
	if (!plan->sums[i])
		return -ENOMEM;
	if (conv)
		cpu_conv2d_checksum_pack(&command->conv2d, w, bias, plan->sums[i]);
	else
		cpu_gemm_checksum_pack(&command->gemm, w, bias, plan->sums[i]);
	if (rows * 4 > plan->sums_bytes)
		plan->sums_bytes = rows * 4;
	return 0;
}

static int pack_product(struct model_plan *plan, uint32_t i)
{
	const struct model *model = plan->model;
	const struct model_step *step = &model->steps[i];
	const int8_t *w = (const int8_t *)model->weights + step->weights;
	const int32_t *bias = (const int32_t *)(model->weights + step->bias);
	int err = pack_weights(plan, i, w, bias);

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
		if (!plan->takes[i] || !plan_product_rows(&plan->commands[i]))
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
