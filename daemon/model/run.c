/* SPDX-License-Identifier: Apache-2.0 */
/* One item in flight: an arena on the device, and the model's commands with their buffers. */
#include "daemon/model/plan.h"

#include <errno.h>
#include <stdlib.h>

struct model_run {
	const struct model_plan *plan;
	struct device_buffer *arena;
	struct device_command commands[]; /* [steps] */
};

static void bind_step(struct model_run *run, uint32_t i)
{
	const struct model_step *step = &run->plan->model->steps[i];
	struct device_command *command = &run->commands[i];

	*command = step->command;
	command->weights = run->plan->weights[i];
	command->out.buffer = run->arena;
	for (uint32_t k = 0; k < DEVICE_INPUTS_MAX; k++) {
		if (step->in_arena >> k & 1)
			command->in[k].buffer = run->arena;
		if (step->in_constants >> k & 1)
			command->in[k].buffer = run->plan->constants;
		if (step->tables >> k & 1)
			command->tables[k].buffer = run->plan->constants;
	}
}

int model_run_create(const struct model_plan *plan, struct model_run **run)
{
	const struct model *model = plan->model;
	struct model_run *r = calloc(1, sizeof(*r) + model->step_count * sizeof(r->commands[0]));
	int err;

	if (!r)
		return -ENOMEM;
	r->plan = plan;
	err = plan->device->ops->buffer_create(plan->device, model->info.arena_bytes, &r->arena);
	if (err) {
		free(r);
		return err;
	}
	for (uint32_t i = 0; i < model->step_count; i++)
		bind_step(r, i);
	*run = r;
	return 0;
}

void model_run_free(struct model_run *run)
{
	if (!run)
		return;
	run->plan->device->ops->buffer_free(run->arena);
	free(run);
}

int model_run_write(struct model_run *run, uint32_t input, const void *data)
{
	const struct model *model = run->plan->model;
	const struct model_tensor_place *tensor;

	if (input >= model->info.inputs)
		return -EINVAL;
	tensor = &model->tensors[model->input[input]];
	return run->plan->device->ops->buffer_write(run->arena, tensor->offset, data,
						    tensor->bytes);
}

int model_run_read(const struct model_run *run, uint32_t output, void *data)
{
	const struct model *model = run->plan->model;
	const struct model_tensor_place *tensor;

	if (output >= model->info.outputs)
		return -EINVAL;
	tensor = &model->tensors[model->output[output]];
	return run->plan->device->ops->buffer_read(run->arena, tensor->offset, data, tensor->bytes);
}

const struct device_command *model_run_commands(const struct model_run *run, uint32_t *count)
{
	*count = run->plan->model->step_count;
	return run->commands;
}
