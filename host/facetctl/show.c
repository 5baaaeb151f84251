/* SPDX-License-Identifier: Apache-2.0 */
#include "host/facetctl/show.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const type_names[] = {"f32", "s8", "u8", "s32"};
static const char *const metric_names[] = {"cosine", "dot", "L2"};

void show_bytes(struct json_object *row, const char *key, uint64_t bytes, bool exact)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned int unit = 0;
	char text[32];

	if (exact) {
		output_count(row, key, (int64_t)bytes);
		return;
	}
	for (; value >= 1024 && unit < 4; unit++)
		value /= 1024;
	snprintf(text, sizeof(text), unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	output_text(row, key, text);
}

static void show_digest(struct json_object *row, const char *key, const uint8_t *digest)
{
	char text[2 * FACET_DIGEST_BYTES + 1];

	for (unsigned int i = 0; i < FACET_DIGEST_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	output_text(row, key, text);
}

static void show_tensors(struct json_object *row, const char *key,
			 const struct facet_tensor_info *tensors, uint32_t count)
{
	char text[512] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < count && n < sizeof(text); i++) {
		const struct facet_tensor_info *t = &tensors[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s", i ? ", " : "", t->name,
				      t->type <= FACET_S32 ? type_names[t->type] : "?");
		for (uint32_t d = 0; d < t->rank && n < sizeof(text); d++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", d ? "x" : " ",
					      t->shape[d]);
	}
	output_text(row, key, text);
}

void show_thresholds(struct json_object *row, const struct facet_space *space)
{
	char key[32];

	for (uint32_t i = 0; i < space->threshold_count; i++) {
		snprintf(key, sizeof(key), "threshold_fmr_%g", space->thresholds[i].fmr);
		output_number(row, key, space->thresholds[i].score, 4);
	}
}

struct json_object *show_model(const struct facet_model_info *model, bool whole)
{
	struct json_object *row = output_row_new();

	output_text(row, "model", model->name);
	output_count(row, "dim", model->space ? model->space->dim : 0);
	output_number(row, "MMACs", (double)model->macs / 1e6, 1);
	show_bytes(row, "weights", model->weight_bytes, false);
	output_count(row, "ops", model->ops);
	output_number(row, "cosine_to_float", model->cosine_to_float, 4);
	if (!whole)
		return row;
	show_tensors(row, "inputs", model->inputs, model->input_count);
	show_tensors(row, "outputs", model->outputs, model->output_count);
	show_digest(row, "digest", model->digest);
	if (model->space) {
		show_digest(row, "space", model->space->digest);
		show_thresholds(row, model->space);
	}
	return row;
}

struct json_object *show_gallery(const struct facet_gallery_info *gallery, bool whole)
{
	struct json_object *row = output_row_new();

	output_text(row, "gallery", gallery->name);
	output_text(row, "state", gallery->state);
	output_count(row, "percent", gallery->percent);
	output_count(row, "templates", (int64_t)gallery->templates);
	output_count(row, "subjects", (int64_t)gallery->subjects);
	output_count(row, "dim", gallery->space ? gallery->space->dim : 0);
	output_text(row, "model", gallery->model);
	show_bytes(row, "memory", gallery->resident_bytes, whole);
	show_bytes(row, "disk", gallery->disk_bytes, whole);
	if (!whole) {
		if (gallery->text && gallery->text[0])
			output_text(row, "text", gallery->text);
		return row;
	}
	output_text(row, "text", gallery->text);
	output_count(row, "epoch", (int64_t)gallery->epoch);
	output_text(row, "originals", gallery->keep_int8_only ? "not kept" : "float16");
	output_text(row, "host_copy", gallery->host[0] ? gallery->host : "yes");
	if (gallery->space) {
		output_text(row, "space_name", gallery->space->name);
		output_text(row, "metric", metric_names[gallery->space->metric % 3]);
		show_digest(row, "space", gallery->space->digest);
		show_thresholds(row, gallery->space);
	}
	return row;
}
