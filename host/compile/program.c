/* SPDX-License-Identifier: Apache-2.0 */
#include "host/compile/program.h"

#include <string.h>

void *program_new(struct pool *pool, size_t size, void (*init)(void *))
{
	void *message = pool_alloc(pool, 1, size);

	if (message)
		init(message);
	return message;
}

struct program *program_create(struct pool *pool)
{
	struct program *p = pool_alloc(pool, 1, sizeof(*p));

	if (!p)
		return NULL;
	p->pool = pool;
	facet__model__graph__init(&p->graph);
	return p;
}

/* A copy with room for more entries. */
static void *grow(struct pool *pool, const void *from, size_t count, size_t room, size_t size)
{
	void *to = pool_alloc(pool, room, size);

	if (to && count)
		memcpy(to, from, count * size);
	return to;
}

static bool grow_tensors(struct program *p)
{
	size_t count = p->graph.n_tensors, room = count ? count * 2 : 64;

	if (count < p->tensors_room)
		return true;
	p->graph.tensors = grow(p->pool, p->graph.tensors, count, room, sizeof(void *));
	p->stands_for = grow(p->pool, p->stands_for, count, room, sizeof(*p->stands_for));
	p->view = grow(p->pool, p->view, count, room, sizeof(*p->view));
	p->tensors_room = (uint32_t)room;
	return p->graph.tensors && p->stands_for && p->view;
}

/* A name as the daemon accepts it: printable, at most 200 bytes. */
static char *clean_name(struct pool *pool, const char *name)
{
	size_t length = strlen(name);
	char *copy = pool_text(pool, name, length < 200 ? length : 200);

	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < 32 || (unsigned char)*c > 126)
			*c = '?';
	return copy;
}

uint32_t program_tensor(struct program *p, const char *name, Facet__Model__Type type, uint32_t rank,
			const uint32_t *shape)
{
	Facet__Model__Tensor *t =
		PROGRAM_NEW(p->pool, Facet__Model__Tensor, facet__model__tensor__init);
	uint32_t index = (uint32_t)p->graph.n_tensors;

	if (!t || !grow_tensors(p))
		return GRAPH_NONE;
	t->name = clean_name(p->pool, name);
	t->type = type;
	t->shape = pool_alloc(p->pool, rank, sizeof(*t->shape));
	if (!t->name || !t->shape)
		return GRAPH_NONE;
	memcpy(t->shape, shape, rank * sizeof(*shape));
	t->n_shape = rank;
	p->graph.tensors[index] = t;
	p->stands_for[index] = GRAPH_NONE;
	p->graph.n_tensors++;
	return index;
}

int program_rename(struct program *p, uint32_t tensor, const char *name)
{
	p->graph.tensors[tensor]->name = clean_name(p->pool, name);
	return p->graph.tensors[tensor]->name ? 0 : pool_exhausted(p->pool);
}

uint32_t program_constant(struct program *p, const float *values, uint32_t count)
{
	uint32_t index = program_tensor(p, "", FACET__MODEL__TYPE__F32, 1, &count);
	Facet__Model__Span *span = program_span(p, values, (size_t)count * sizeof(float));

	if (index == GRAPH_NONE || !span)
		return GRAPH_NONE;
	p->graph.tensors[index]->is_const = true;
	p->graph.tensors[index]->const_offset = span->offset;
	return index;
}

Facet__Model__Op *program_op(struct program *p, Facet__Model__Kind kind, const char *name,
			     uint32_t inputs, const uint32_t *input, uint32_t output)
{
	Facet__Model__Op *op = PROGRAM_NEW(p->pool, Facet__Model__Op, facet__model__op__init);
	size_t count = p->graph.n_ops, room = count ? count * 2 : 64;

	if (op && count == p->ops_room) {
		p->graph.ops = grow(p->pool, p->graph.ops, count, room, sizeof(void *));
		p->ops_room = (uint32_t)room;
	}
	if (!op || !p->graph.ops)
		return NULL;
	op->kind = kind;
	op->name = clean_name(p->pool, name);
	op->inputs = pool_alloc(p->pool, inputs, sizeof(*input));
	if (!op->name || !op->inputs)
		return NULL;
	memcpy(op->inputs, input, inputs * sizeof(*input));
	op->n_inputs = inputs;
	op->output = output;
	p->graph.ops[p->graph.n_ops++] = op;
	return op;
}

Facet__Model__Span *program_span(struct program *p, const void *data, size_t bytes)
{
	Facet__Model__Span *span =
		PROGRAM_NEW(p->pool, Facet__Model__Span, facet__model__span__init);
	size_t at = (p->weight_bytes + 63) & ~(size_t)63, need = at + bytes;

	if (!span)
		return NULL;
	if (need > p->weight_room) {
		p->weights = grow(p->pool, p->weights, p->weight_bytes, need * 2, 1);
		p->weight_room = need * 2;
	}
	if (!p->weights)
		return NULL;
	memcpy(p->weights + at, data, bytes);
	p->weight_bytes = need;
	span->offset = at;
	span->length = bytes;
	return span;
}

uint64_t program_tensor_count(const struct program *p, uint32_t tensor)
{
	const Facet__Model__Tensor *t = p->graph.tensors[tensor];
	uint64_t count = 1;

	for (size_t i = 0; i < t->n_shape; i++)
		count *= t->shape[i];
	return count;
}

uint64_t program_tensor_bytes(const struct program *p, uint32_t tensor)
{
	bool wide = p->graph.tensors[tensor]->type == FACET__MODEL__TYPE__F32;

	return program_tensor_count(p, tensor) * (wide ? sizeof(float) : 1);
}
