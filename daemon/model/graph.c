/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a graph as a whole: every tensor inside its memory, every op after those it reads
 * from, and no tensor written over another that is still wanted.
 */
#include "daemon/model/graph.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN 64u

int model_fail(struct model_check *check, const char *format, ...)
{
	va_list arguments;
	int used = 0;

	if (check->where)
		used = snprintf(check->text, MODEL_TEXT, "op %u (%.60s): ", check->index,
				check->where);
	va_start(arguments, format);
	vsnprintf(check->text + used, MODEL_TEXT - (size_t)used, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* ---- tensors ---- */

/* Names go to logs and to clients: no control characters, bounded. UTF-8 is the decoder's check. */
static bool name_ok(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return n <= MODEL_NAME_MAX;
}

static bool shape_ok(const Facet__Model__Tensor *from, struct model_tensor_place *to)
{
	if (from->n_shape < 1 || from->n_shape > 4)
		return false;
	to->rank = (uint32_t)from->n_shape;
	to->elements = 1;
	for (uint32_t i = 0; i < to->rank; i++) {
		if (from->shape[i] < 1 || from->shape[i] > OP_ELEMENTS_MAX / to->elements)
			return false;
		to->shape[i] = from->shape[i];
		to->elements *= from->shape[i];
	}
	return true;
}

static bool scale_ok(const Facet__Model__Tensor *t)
{
	return t->type != FACET__MODEL__TYPE__S8 || (isfinite(t->scale) && t->scale > 0 &&
						     t->zero_point >= -128 && t->zero_point <= 127);
}

static bool place_ok(const struct model_check *check, const Facet__Model__Tensor *from,
		     struct model_tensor_place *to)
{
	uint64_t room = from->is_const ? check->model->weights_bytes : check->graph->arena_bytes;
	uint32_t align = from->is_const ? (to->type == MODEL_F32 ? 4 : 1) : ARENA_ALIGN;

	to->is_const = from->is_const;
	to->offset = from->is_const ? from->const_offset : from->arena_offset;
	to->bytes = to->elements * (to->type == MODEL_F32 ? 4 : 1);
	return to->offset % align == 0 && to->offset <= room && to->bytes <= room - to->offset;
}

static int check_tensor(struct model_check *check, uint32_t i)
{
	static const enum model_type types[] = {[FACET__MODEL__TYPE__F32] = MODEL_F32,
						[FACET__MODEL__TYPE__S8] = MODEL_S8,
						[FACET__MODEL__TYPE__U8] = MODEL_U8};
	const Facet__Model__Tensor *from = check->graph->tensors[i];
	struct model_tensor_place *to = &check->model->tensors[i];

	if (!name_ok(from->name))
		return model_fail(check, "tensor %u: its name is too long or not printable", i);
	if ((unsigned int)from->type > FACET__MODEL__TYPE__U8)
		return model_fail(check, "tensor %u: type %d is none of F32, S8, U8", i,
				  (int)from->type);
	to->type = types[from->type];
	if (!shape_ok(from, to))
		return model_fail(check,
				  "tensor %u: wants 1 to 4 extents of 1 or more, at most "
				  "2^30 elements",
				  i);
	if (!scale_ok(from))
		return model_fail(check, "tensor %u: scale or zero point out of range", i);
	if (!place_ok(check, from, to))
		return model_fail(check, "tensor %u: lies outside the %s, or unaligned", i,
				  from->is_const ? "weights" : "arena");
	return 0;
}

static int check_tensors(struct model_check *check)
{
	struct model *model = check->model;
	int err = 0;

	model->tensor_count = (uint32_t)check->graph->n_tensors;
	model->tensors = calloc(model->tensor_count, sizeof(*model->tensors));
	model->last = calloc(model->tensor_count, sizeof(*model->last));
	if (!model->tensors || !model->last)
		return -ENOMEM;
	for (uint32_t i = 0; !err && i < model->tensor_count; i++)
		err = check_tensor(check, i);
	return err;
}

/* ---- the order, and who lives when ---- */

static void find_last_reads(const struct model_check *check, uint32_t *last)
{
	const Facet__Model__Graph *graph = check->graph;

	for (uint32_t i = 0; i < graph->n_ops; i++)
		for (size_t k = 0; k < graph->ops[i]->n_inputs; k++)
			last[graph->ops[i]->inputs[k]] = i;
	for (size_t i = 0; i < graph->n_outputs; i++)
		last[graph->outputs[i]] = MODEL_NEVER;
}

struct living {
	const uint32_t *last;
	uint32_t count;
	uint32_t *tensor; /* [tensors] those in the arena whose bytes are still wanted */
	bool *written;	  /* [tensors] */
};

static bool overlap(const struct model_tensor_place *a, const struct model_tensor_place *b)
{
	return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static int be_born(struct model_check *check, struct living *living, uint32_t tensor)
{
	const struct model_tensor_place *tensors = check->model->tensors;

	if (tensors[tensor].is_const || living->written[tensor])
		return model_fail(check, "tensor %u is written twice, or a constant", tensor);
	for (uint32_t i = 0; i < living->count; i++)
		if (overlap(&tensors[tensor], &tensors[living->tensor[i]]))
			return model_fail(check,
					  "tensor %u overlaps tensor %u, which is still "
					  "wanted",
					  tensor, living->tensor[i]);
	living->written[tensor] = true;
	living->tensor[living->count++] = tensor;
	return 0;
}

static void bury(struct living *living, uint32_t op)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < living->count; i++)
		if (living->last[living->tensor[i]] > op)
			living->tensor[kept++] = living->tensor[i];
	living->count = kept;
}

static int check_order(struct model_check *check, struct living *living)
{
	const Facet__Model__Graph *graph = check->graph;
	int err = 0;

	for (size_t i = 0; !err && i < graph->n_inputs; i++)
		err = be_born(check, living, graph->inputs[i]);
	for (uint32_t i = 0; !err && i < graph->n_ops; i++) {
		const Facet__Model__Op *op = graph->ops[i];

		check->where = op->name;
		check->index = i;
		for (size_t k = 0; k < op->n_inputs; k++)
			if (!living->written[op->inputs[k]] &&
			    !check->model->tensors[op->inputs[k]].is_const)
				return model_fail(check, "reads tensor %u before it is written",
						  op->inputs[k]);
		err = be_born(check, living, op->output);
		bury(living, i);
	}
	check->where = NULL;
	for (size_t i = 0; !err && i < graph->n_outputs; i++)
		if (!living->written[graph->outputs[i]])
			err = model_fail(check, "output %zu is never written", i);
	return err;
}

static int check_life(struct model_check *check)
{
	uint32_t n = check->model->tensor_count;
	uint32_t *last = check->model->last;
	struct living living = {.last = last,
				.tensor = calloc(n, sizeof(*living.tensor)),
				.written = calloc(n, sizeof(*living.written))};
	int err = -ENOMEM;

	if (living.tensor && living.written) {
		find_last_reads(check, last);
		err = check_order(check, &living);
	}
	free(living.written);
	free(living.tensor);
	return err;
}

/* ---- the whole ---- */

static bool indices_ok(const Facet__Model__Graph *graph, size_t n, const uint32_t *indices)
{
	for (size_t i = 0; i < n; i++)
		if (indices[i] >= graph->n_tensors)
			return false;
	return true;
}

static int check_counts(struct model_check *check)
{
	const Facet__Model__Graph *graph = check->graph;

	if (!name_ok(graph->name) || !name_ok(graph->producer))
		return model_fail(check, "the model's name is too long or not printable");
	if (graph->n_tensors < 1 || graph->n_tensors > MODEL_TENSORS_MAX || graph->n_ops < 1 ||
	    graph->n_ops > MODEL_OPS_MAX)
		return model_fail(check, "%zu tensors and %zu ops: there may be 1 to %u of each",
				  graph->n_tensors, graph->n_ops, MODEL_OPS_MAX);
	if (graph->n_inputs < 1 || graph->n_inputs > MODEL_IO_MAX || graph->n_outputs < 1 ||
	    graph->n_outputs > MODEL_IO_MAX)
		return model_fail(check, "%zu inputs and %zu outputs: there may be 1 to %u of each",
				  graph->n_inputs, graph->n_outputs, MODEL_IO_MAX);
	if (graph->arena_bytes < 1 || graph->arena_bytes > MODEL_ARENA_MAX)
		return model_fail(check, "the arena is of %llu bytes: 1 to 2^30 are allowed",
				  (unsigned long long)graph->arena_bytes);
	if (!isfinite(graph->cosine_to_float))
		return model_fail(check, "the cosine to the float network is not a number");
	if (!indices_ok(graph, graph->n_inputs, graph->inputs) ||
	    !indices_ok(graph, graph->n_outputs, graph->outputs))
		return model_fail(check, "an input or output names a tensor that is not there");
	return 0;
}

static int check_ops(struct model_check *check)
{
	const Facet__Model__Graph *graph = check->graph;
	struct model *model = check->model;
	int err = 0;

	model->step_count = (uint32_t)graph->n_ops;
	model->steps = calloc(model->step_count, sizeof(*model->steps));
	if (!model->steps)
		return -ENOMEM;
	for (uint32_t i = 0; !err && i < model->step_count; i++) {
		const Facet__Model__Op *op = graph->ops[i];

		if (!name_ok(op->name))
			return model_fail(check, "op %u: its name is too long or not printable", i);
		check->where = op->name;
		check->index = i;
		if (!indices_ok(graph, op->n_inputs, op->inputs) ||
		    !indices_ok(graph, 1, &op->output))
			return model_fail(check, "names a tensor that is not there");
		err = model_check_op(check, op, &model->steps[i]);
		model->steps[i].work = check->work;
		if (!err && check->work > MODEL_WORK_MAX)
			err = model_fail(check, "the network computes more than 10^13 "
						"multiply-adds an item");
	}
	check->where = NULL;
	return err;
}

static bool preprocess_ok(const Facet__Model__Preprocess *p)
{
	if (!p)
		return true;
	if (p->width > OP_DIM_MAX || p->height > OP_DIM_MAX || p->channels > 4 ||
	    p->n_mean != p->channels || p->n_scale != p->channels)
		return false;
	for (uint32_t c = 0; c < p->channels; c++)
		if (!isfinite(p->mean[c]) || !isfinite(p->scale[c]) || p->scale[c] == 0)
			return false;
	return true;
}

static int check_template(struct model_check *check)
{
	const Facet__Model__Graph *graph = check->graph;
	const struct model_tensor_place *out = &check->model->tensors[graph->outputs[0]];

	if (!preprocess_ok(graph->preprocess))
		return model_fail(check, "the preprocessing is out of range");
	if (!graph->template_)
		return 0;
	if (graph->n_outputs != 1 || out->type != MODEL_F32 || out->rank != 1 ||
	    out->elements > SEARCH_DIM_MAX)
		return model_fail(check, "a template must be the one output, F32 of 1 to %u values",
				  SEARCH_DIM_MAX);
	if (graph->space_digest.len != sizeof(check->model->info.space_digest))
		return model_fail(check, "a model that makes templates wants a space digest of 32 "
					 "bytes");
	return 0;
}

int model_check_graph(struct model_check *check)
{
	int err = check_counts(check);

	if (!err)
		err = check_tensors(check);
	if (!err)
		err = check_ops(check);
	if (!err)
		err = check_life(check);
	if (!err)
		err = check_template(check);
	return err;
}
