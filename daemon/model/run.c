/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One item in flight. What its tensors hold is in the host's memory, where the CPU's commands work in
 * place, and where parts of it that ran on boards (part.c) come from and go back to.
 */
#include "daemon/model/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int model_run_create(const struct model_plan *plan, struct model_run **run)
{
	const struct model *model = plan->model;
	uint64_t bytes = plan_aligned(model->info.arena_bytes);
	struct model_run *r = calloc(1, sizeof(*r) + model->step_count * sizeof(r->commands[0]));
	int err = -ENOMEM;

	if (!r)
		return -ENOMEM;
	r->plan = plan;
	r->memory = aligned_alloc(PLAN_ALIGN, bytes);
	if (r->memory)
		err = plan->device->ops->buffer_import(plan->device, r->memory, bytes, &r->arena);
	if (err) {
		model_run_free(r);
		return err;
	}
	memset(r->memory, 0, bytes);
	for (uint32_t i = 0; i < model->step_count; i++)
		plan_bind(plan, i, r->arena, &r->commands[i]);
	*run = r;
	return 0;
}

void model_run_free(struct model_run *run)
{
	if (!run)
		return;
	if (run->arena)
		run->plan->device->ops->buffer_free(run->arena);
	free(run->memory);
	free(run);
}

int model_run_write(struct model_run *run, uint32_t input, const void *data)
{
	const struct model *model = run->plan->model;
	const struct model_tensor_place *tensor;

	if (input >= model->info.inputs)
		return -EINVAL;
	tensor = &model->tensors[model->input[input]];
	memcpy(run->memory + tensor->offset, data, tensor->bytes);
	return 0;
}

int model_run_read(const struct model_run *run, uint32_t output, void *data)
{
	const struct model *model = run->plan->model;
	const struct model_tensor_place *tensor;

	if (output >= model->info.outputs)
		return -EINVAL;
	tensor = &model->tensors[model->output[output]];
	memcpy(data, run->memory + tensor->offset, tensor->bytes);
	return 0;
}

const struct device_command *model_run_commands(const struct model_run *run, uint32_t *count)
{
	*count = run->plan->model->step_count;
	return run->commands;
}
