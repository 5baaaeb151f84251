/* SPDX-License-Identifier: Apache-2.0 */
/* A model on a device: weights packed, constants within its reach. */
#include "daemon/model/plan.h"

#include <errno.h>
#include <stdlib.h>

static int place_constants(struct model_plan *plan)
{
	const struct model *model = plan->model;
	const struct device_ops *ops = plan->device->ops;
	struct device_caps caps;
	int err;

	if (!model->constants_bytes)
		return 0;
	ops->caps(plan->device, &caps);
	if (caps.reads_host_memory)
		return ops->buffer_import(plan->device, model->weights, model->constants_bytes,
					  &plan->constants);
	err = ops->buffer_create(plan->device, model->constants_bytes, &plan->constants);
	if (err)
		return err;
	return ops->buffer_write(plan->constants, 0, model->weights, model->constants_bytes);
}

static int pack_step(struct model_plan *plan, uint32_t i)
{
	const struct model_step *step = &plan->model->steps[i];
	const struct device_command *command = &step->command;
	const int8_t *w = (const int8_t *)plan->model->weights + step->weights;
	const int32_t *bias = (const int32_t *)(plan->model->weights + step->bias);
	const struct device_ops *ops = plan->device->ops;

	if (command->op == DEVICE_CONV2D)
		return ops->weights_conv2d(plan->device, &command->conv2d, w, bias,
					   &plan->weights[i]);
	if (command->op == DEVICE_GEMM)
		return ops->weights_gemm(plan->device, &command->gemm, w, bias, &plan->weights[i]);
	return 0;
}

int model_plan_create(const struct model *model, struct device *device, struct model_plan **plan)
{
	struct model_plan *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->model = model;
	p->device = device;
	p->weights = calloc(model->step_count, sizeof(struct device_weights *));
	err = p->weights ? place_constants(p) : -ENOMEM;
	for (uint32_t i = 0; !err && i < model->step_count; i++)
		err = pack_step(p, i);
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
	plan->device->ops->buffer_free(plan->constants);
	free(plan->weights);
	free(plan);
}
