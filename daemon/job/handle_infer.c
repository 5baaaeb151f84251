/* SPDX-License-Identifier: Apache-2.0 */
/* infer: tensors through a model, its outputs back. */
#include <errno.h>
#include <string.h>

#include "daemon/job/service.h"
#include "daemon/net/rights.h"

static void inferred(struct job *job)
{
	const struct model_info *info = model_info(job->model->model);
	const Facet__Wire__Infer *m = job->body;
	Facet__Wire__InferReply infer = FACET__WIRE__INFER_REPLY__INIT;
	Facet__Wire__Reply reply = FACET__WIRE__REPLY__INIT;
	Facet__Wire__Bulk *outputs[MODEL_IO_MAX];
	struct job_out out = {.count = 0};

	for (uint32_t i = 0; i < info->outputs; i++)
		if (job_put(job, &out, job->infer.outputs[i],
			    info->output[i].bytes * m->tensors->count, &outputs[i]))
			return;
	infer.outputs = outputs;
	infer.n_outputs = info->outputs;
	reply.body_case = FACET__WIRE__REPLY__BODY_INFER;
	reply.infer = &infer;
	job_send(job, &out, &reply);
}

void handle_infer(struct job *job)
{
	const Facet__Wire__Infer *m = job->body;
	struct model_entry *model;

	if (!m->tensors) {
		job_fail(job, FACET__WIRE__CODE__INVALID_ARGUMENT, "no tensors; send the inputs");
		return;
	}
	model = service_model(job->service, m->tensors->model);
	if (!model && job->service->models_loading) {
		job_refuse(job, FACET__WIRE__CODE__UNAVAILABLE, 200,
			   "models are loading; come back shortly");
		return;
	}
	if (!model) {
		job_fail(job, FACET__WIRE__CODE__NOT_FOUND,
			 "no model of this name; see model list");
		return;
	}
	/* Who gets a template in hand can search with it. */
	if (model_info(model->model)->is_template &&
	    job_need_right(job, RIGHT_SEARCH_VECTOR | RIGHT_RAW_KERNEL | RIGHT_ADMIN))
		return;
	job_hold_model(job, model);
	job_infer(job, m->tensors, inferred);
}
