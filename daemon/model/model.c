/* SPDX-License-Identifier: Apache-2.0 */
/* The file: header, digest, graph. proto/model.proto describes it. */
#include "daemon/model/graph.h"
#include "proto/wire.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES   128u
#define FORMAT_VERSION 1u
#define WEIGHTS_ALIGN  64u
#define DIGEST_BYTES   32u

static const char magic[8] = {'F', 'A', 'C', 'E', 'T', 'F', 'C', 'T'};

/* The parts of a file whose header was found right. */
struct parts {
	const uint8_t *graph, *weights;
	uint64_t graph_bytes, weights_bytes;
};

static uint64_t read64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

static uint32_t read32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static bool all_zero(const uint8_t *at, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (at[i])
			return false;
	return true;
}

static const char *split(const uint8_t *file, uint64_t bytes, struct parts *parts)
{
	uint64_t weights_at, graph_end;

	if (bytes < HEADER_BYTES || memcmp(file, magic, sizeof(magic)))
		return "not a compiled model; make one with facetctl compile";
	if (read32(file + 8) != FORMAT_VERSION)
		return "the file's format is not version 1; compile the network with this version";
	parts->graph_bytes = read64(file + 16);
	weights_at = read64(file + 24);
	parts->weights_bytes = read64(file + 32);
	if (read32(file + 12) || !all_zero(file + 40, 24) || !all_zero(file + 96, 32))
		return "the file's header is damaged; copy or compile it again";
	if (bytes > MODEL_FILE_MAX || parts->graph_bytes > MODEL_GRAPH_MAX)
		return "the file is larger than 1 GiB, or its graph larger than 16 MiB";
	graph_end = HEADER_BYTES + parts->graph_bytes;
	if (weights_at != (graph_end + WEIGHTS_ALIGN - 1) / WEIGHTS_ALIGN * WEIGHTS_ALIGN ||
	    weights_at > bytes || parts->weights_bytes != bytes - weights_at ||
	    !all_zero(file + graph_end, weights_at - graph_end))
		return "the file is cut short or damaged; copy or compile it again";
	parts->graph = file + HEADER_BYTES;
	parts->weights = file + weights_at;
	return NULL;
}

static bool digest_ok(const uint8_t *file, const struct parts *parts)
{
	crypto_generichash_state state;
	uint8_t digest[DIGEST_BYTES];

	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	crypto_generichash_update(&state, parts->graph, parts->graph_bytes);
	crypto_generichash_update(&state, parts->weights, parts->weights_bytes);
	crypto_generichash_final(&state, digest, sizeof(digest));
	return !memcmp(digest, file + 64, sizeof(digest));
}

/* Room behind the weights for the tables that will be rewritten, which no op makes larger than it
 * is in the file; MODEL_TABLES_MAX in all. */
static uint64_t tables_room(const Facet__Model__Graph *graph)
{
	uint64_t room = 0;

	for (size_t i = 0; i < graph->n_ops; i++) {
		const Facet__Model__Op *op = graph->ops[i];

		if (op->params_case == FACET__MODEL__OP__PARAMS_TABLE && op->table->from_u8 &&
		    op->table->table && op->table->table->length <= MODEL_TABLES_MAX - room)
			room += op->table->table->length;
	}
	return room;
}

static int copy_weights(struct model *model, const struct parts *parts, uint64_t tables)
{
	uint64_t aligned =
		(parts->weights_bytes + WEIGHTS_ALIGN - 1) & ~(uint64_t)(WEIGHTS_ALIGN - 1);
	uint64_t room = (aligned + tables + WEIGHTS_ALIGN) & ~(uint64_t)(WEIGHTS_ALIGN - 1);

	model->weights = aligned_alloc(WEIGHTS_ALIGN, room);
	if (!model->weights)
		return -ENOMEM;
	memcpy(model->weights, parts->weights, parts->weights_bytes);
	memset(model->weights + parts->weights_bytes, 0, room - parts->weights_bytes);
	model->weights_bytes = parts->weights_bytes;
	model->constants_bytes = aligned;
	return 0;
}

/* ---- what others may know of it ---- */

static void describe_tensor(const struct model *model, const Facet__Model__Graph *graph,
			    uint32_t index, char **names, struct model_tensor *to)
{
	const struct model_tensor_place *from = &model->tensors[index];

	to->name = *names;
	*names = stpcpy(*names, graph->tensors[index]->name) + 1;
	to->type = from->type;
	to->rank = from->rank;
	memcpy(to->shape, from->shape, sizeof(to->shape));
	to->bytes = from->bytes;
}

static int describe(struct model *model, const Facet__Model__Graph *graph)
{
	struct model_info *info = &model->info;
	char *at;

	model->names = at = malloc((1 + graph->n_inputs + graph->n_outputs) * (MODEL_NAME_MAX + 1));
	if (!at)
		return -ENOMEM;
	info->name = at;
	at = stpcpy(at, graph->name) + 1;
	info->is_template = graph->template_;
	if (info->is_template) {
		memcpy(info->space_digest, graph->space_digest.data, sizeof(info->space_digest));
		info->dim = (uint32_t)model->tensors[graph->outputs[0]].elements;
	}
	info->inputs = (uint32_t)graph->n_inputs;
	info->outputs = (uint32_t)graph->n_outputs;
	info->ops = model->step_count;
	info->weight_bytes = model->weights_bytes;
	info->arena_bytes = graph->arena_bytes;
	info->cosine_to_float = graph->cosine_to_float;
	for (uint32_t i = 0; i < info->inputs; i++) {
		model->input[i] = graph->inputs[i];
		describe_tensor(model, graph, graph->inputs[i], &at, &info->input[i]);
	}
	for (uint32_t i = 0; i < info->outputs; i++) {
		model->output[i] = graph->outputs[i];
		describe_tensor(model, graph, graph->outputs[i], &at, &info->output[i]);
	}
	return 0;
}

const struct model_info *model_info(const struct model *model)
{
	return &model->info;
}

uint64_t model_work(const struct model *model, uint32_t begin, uint32_t end)
{
	return end <= begin
		       ? 0
		       : model->steps[end - 1].work - (begin ? model->steps[begin - 1].work : 0);
}

enum device_op model_op(const struct model *model, uint32_t op)
{
	return model->steps[op].command.op;
}

/* ---- loading ---- */

static int load_graph(struct model *model, const struct parts *parts,
		      const Facet__Model__Graph *graph, char *text)
{
	struct model_check check = {.model = model, .graph = graph, .text = text};
	int err = copy_weights(model, parts, tables_room(graph));

	if (!err)
		err = model_check_graph(&check);
	if (!err)
		err = describe(model, graph);
	if (!err)
		model->constants_bytes += check.tables_bytes;
	return err;
}

static int load_parts(struct model *model, const struct parts *parts, char *text)
{
	struct wire_arena *arena = wire_arena_create();
	ProtobufCMessage *message;
	int err = -ENOMEM;

	if (!arena)
		return err;
	err = wire_decode(&facet__model__graph__descriptor, parts->graph, parts->graph_bytes, arena,
			  &message);
	if (!err)
		err = load_graph(model, parts, (const Facet__Model__Graph *)message, text);
	else if (err == -EBADMSG)
		err = -EINVAL;
	wire_arena_free(arena);
	return err;
}

int model_load(const void *file, size_t bytes, struct model **model, char text[MODEL_TEXT])
{
	struct parts parts;
	const char *wrong;
	struct model *m;
	int err;

	text[0] = 0;
	wrong = split(file, bytes, &parts);
	if (!wrong && !digest_ok(file, &parts))
		wrong = "the file is damaged, its digest does not match; copy or compile it again";
	if (wrong) {
		strcpy(text, wrong);
		return -EINVAL;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	crypto_generichash(m->info.digest, sizeof(m->info.digest), file, bytes, NULL, 0);
	err = load_parts(m, &parts, text);
	if (err) {
		if (err == -EINVAL && !text[0])
			strcpy(text, "the graph is not a legal message, or larger than allowed");
		model_free(m);
		return err;
	}
	*model = m;
	return 0;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	free(model->names);
	free(model->steps);
	free(model->tensors);
	free(model->last);
	free(model->weights);
	free(model);
}
