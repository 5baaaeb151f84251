/* SPDX-License-Identifier: Apache-2.0 */
/* From the wire's descriptions of things to the public ones, all inside one result. */
#include <string.h>
#include "host/libfacet/client.h"

static void digest_get(uint8_t to[FACET_DIGEST_BYTES], const ProtobufCBinaryData *from)
{
	if (from->len == FACET_DIGEST_BYTES)
		memcpy(to, from->data, FACET_DIGEST_BYTES);
}

bool client_texts_get(void *result, char *const *from, size_t count, const char *const **texts)
{
	const char **to = client_result_add(result, count, sizeof(*to));

	for (size_t i = 0; to && i < count; i++) {
		to[i] = client_result_text(result, from[i]);
		if (!to[i])
			return false;
	}
	*texts = to;
	return to != NULL;
}

bool client_space_get(void *result, const Facet__Wire__Space *from,
		      const struct facet_space **space)
{
	struct facet_space *to;
	struct facet_threshold *thresholds;

	*space = NULL;
	if (!from)
		return true;
	to = client_result_add(result, 1, sizeof(*to));
	thresholds = client_result_add(result, from->n_thresholds, sizeof(*thresholds));
	if (!to || !thresholds)
		return false;
	to->name = client_result_text(result, from->name);
	digest_get(to->digest, &from->digest);
	to->dim = from->dim;
	to->metric = (enum facet_metric)from->metric;
	to->threshold_count = (uint32_t)from->n_thresholds;
	to->thresholds = thresholds;
	for (size_t i = 0; i < from->n_thresholds; i++)
		thresholds[i] = (struct facet_threshold){from->thresholds[i]->fmr,
							 from->thresholds[i]->score,
							 from->thresholds[i]->impostor_pairs};
	*space = to;
	return to->name != NULL;
}

static bool tensors_get(void *result, Facet__Wire__TensorInfo *const *from, size_t count,
			const struct facet_tensor_info **tensors)
{
	struct facet_tensor_info *to = client_result_add(result, count, sizeof(*to));

	*tensors = to;
	for (size_t i = 0; to && i < count; i++) {
		uint32_t *shape = client_result_add(result, from[i]->n_shape, sizeof(*shape));

		to[i].name = client_result_text(result, from[i]->name);
		if (!shape || !to[i].name)
			return false;
		to[i].type = (enum facet_type)from[i]->type;
		to[i].rank = (uint32_t)from[i]->n_shape;
		to[i].shape = shape;
		to[i].elements = 1;
		for (size_t k = 0; k < from[i]->n_shape; k++) {
			shape[k] = from[i]->shape[k];
			to[i].elements *= shape[k];
		}
	}
	return to != NULL;
}

bool client_models_get(void *result, Facet__Wire__ModelInfo *const *from, size_t count,
		       const struct facet_model_info **models)
{
	struct facet_model_info *to = client_result_add(result, count, sizeof(*to));

	*models = to;
	for (size_t i = 0; to && i < count; i++) {
		const Facet__Wire__ModelInfo *m = from[i];

		to[i].name = client_result_text(result, m->name);
		if (!to[i].name || !client_space_get(result, m->space, &to[i].space) ||
		    !tensors_get(result, m->inputs, m->n_inputs, &to[i].inputs) ||
		    !tensors_get(result, m->outputs, m->n_outputs, &to[i].outputs))
			return false;
		digest_get(to[i].digest, &m->digest);
		to[i].input_count = (uint32_t)m->n_inputs;
		to[i].output_count = (uint32_t)m->n_outputs;
		to[i].macs = m->macs;
		to[i].weight_bytes = m->weight_bytes;
		to[i].ops = m->ops;
		to[i].cosine_to_float = m->cosine_to_float;
	}
	return to != NULL;
}

bool client_galleries_get(void *result, Facet__Wire__GalleryInfo *const *from, size_t count,
			  const struct facet_gallery_info **galleries)
{
	static const Facet__Wire__Space nameless = FACET__WIRE__SPACE__INIT;
	struct facet_gallery_info *to = client_result_add(result, count, sizeof(*to));

	*galleries = to;
	for (size_t i = 0; to && i < count; i++) {
		const Facet__Wire__GalleryInfo *g = from[i];

		to[i].name = client_result_text(result, g->name);
		to[i].model = client_result_text(result, g->model);
		to[i].state = client_result_text(result, g->state);
		to[i].text = client_result_text(result, g->text);
		to[i].host = client_result_text(result, g->host);
		if (!to[i].name || !to[i].model || !to[i].state || !to[i].text || !to[i].host ||
		    !client_space_get(result, g->space ? g->space : &nameless, &to[i].space))
			return false;
		to[i].percent = g->percent;
		to[i].templates = g->templates;
		to[i].subjects = g->subjects;
		to[i].epoch = g->epoch;
		to[i].resident_bytes = g->resident_bytes;
		to[i].disk_bytes = g->disk_bytes;
		to[i].keep_int8_only = g->keep_int8_only;
	}
	return to != NULL;
}

bool client_templates_get(void *result, Facet__Wire__TemplateInfo *const *from, size_t count,
			  const struct facet_template_info **templates)
{
	struct facet_template_info *to = client_result_add(result, count, sizeof(*to));

	*templates = to;
	for (size_t i = 0; to && i < count; i++) {
		to[i].source = client_result_text(result, from[i]->source);
		if (!to[i].source)
			return false;
		to[i].id = from[i]->id;
		to[i].tags = from[i]->tags;
		to[i].epoch = from[i]->epoch;
	}
	return to != NULL;
}
